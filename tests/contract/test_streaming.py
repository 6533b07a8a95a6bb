"""Generators that run elsewhere: items as they come, the bound, the end, and every way to end early."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

# ruff: noqa: UP028
# ... because Ray sends into what a generator yields from, and a range has no ``send``.

from __future__ import annotations

import asyncio
import gc
import os
import pickle
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import actorgrid as ag
from actorgrid.testing.waiting import wait_until
from tests.contract.tools import DEADLINE, Gate, count_run, hold, kill_this_process, runs

pytestmark = pytest.mark.usefixtures("grid")

BOUND = "_generator_backpressure_num_objects"


@ag.remote
def count(most: int) -> Iterator[int]:
    for number in range(most):
        yield number


@ag.remote
def fails_at(most: int) -> Iterator[int]:
    for number in range(most):
        yield number
    raise ValueError(most)


@ag.remote
def noted(path: Path, most: int = 1000) -> Iterator[int]:
    """Note each item in a file before it goes out, and the end in another."""
    try:
        for _ in range(most):
            yield count_run(path)
    finally:
        count_run(path.with_suffix(".closed"))


@ag.remote
def gated(gate: Any, most: int = 2) -> Iterator[int]:
    """Pass the gate before the last item."""
    for number in range(most - 1):
        yield number
    ag.get(gate.pass_through.remote())
    yield most - 1


class Numbers:
    """Every kind of generator method."""

    def __init__(self) -> None:
        self.closed = 0

    def sync(self, most: int) -> Iterator[int]:
        try:
            for number in range(most):
                yield number
        finally:
            self.closed += 1

    def fails(self, most: int) -> Iterator[int]:
        for number in range(most):
            yield number
        raise ValueError(most)

    def times_closed(self) -> int:
        return self.closed


@ag.remote(num_cpus=0)
class AsyncNumbers(Numbers):
    async def asynchronous(self, most: int) -> AsyncIterator[int]:
        try:
            for number in range(most):
                await asyncio.sleep(0)
                yield number
        finally:
            self.closed += 1

    async def asynchronous_fails(self, most: int) -> AsyncIterator[int]:
        for number in range(most):
            yield number
        raise ValueError(most)

    async def answer(self) -> int:
        return 42


KINDS: dict[str, Callable[[], Any]] = {
    "task": lambda: count.remote,
    "method": lambda: ag.remote(num_cpus=0)(Numbers).remote().sync.remote,
    "threaded": lambda: ag.remote(num_cpus=0, max_concurrency=3)(Numbers).remote().sync.remote,
    "of an async actor": lambda: AsyncNumbers.remote().sync.remote,
    "async": lambda: AsyncNumbers.remote().asynchronous.remote,
}


@pytest.fixture(params=KINDS)
def counting(request: pytest.FixtureRequest) -> Any:
    """Return what starts a generator of so many numbers."""
    return KINDS[request.param]()


def values(generator: Any) -> list[Any]:
    """Read to the end; errors are listed by class."""
    read: list[Any] = []
    for ref in generator:
        try:
            read.append(ag.get(ref, timeout=DEADLINE))
        except ag.exceptions.RayError as error:
            read.append(type(getattr(error, "cause", None) or error))
    return read


# ------------------------------------------------------------------------------------------ items, in order


def test_items_come_in_their_order_and_then_the_end(counting: Any) -> None:
    generator = counting(5)
    assert isinstance(generator, ag.ObjectRefGenerator)
    assert values(generator) == [0, 1, 2, 3, 4]
    assert list(generator) == []


def test_generator_may_yield_from_whatever_can_be_iterated_over() -> None:
    @ag.remote
    def both() -> Iterator[int]:
        yield from range(2)
        yield from [5, 6]

    assert values(both.remote()) == [0, 1, 5, 6]


def test_more_items_than_the_bound_all_arrive(counting: Any) -> None:
    assert values(counting(150)) == list(range(150))


def test_a_generator_that_yields_nothing_is_empty(counting: Any) -> None:
    assert values(counting(0)) == []


def test_an_item_comes_before_the_generator_goes_on() -> None:
    gate = Gate.remote()
    generator = gated.remote(gate)
    assert ag.get(next(generator), timeout=DEADLINE) == 0
    gate.open.remote()
    assert values(generator) == [1]


def test_streaming_is_what_generators_do_unless_told_otherwise() -> None:
    assert isinstance(count.options(num_returns=None).remote(1), ag.ObjectRefGenerator)
    assert isinstance(count.options(num_returns="streaming").remote(1), ag.ObjectRefGenerator)
    first, second = count.options(num_returns=2).remote(2)
    assert ag.get([first, second], timeout=DEADLINE) == [0, 1]


def test_one_item_of_a_generator_may_be_its_result() -> None:
    @ag.remote(num_returns=1)
    def some(number: int) -> Iterator[int]:
        yield from range(7, 7 + number)

    assert ag.get(some.remote(1)) == 7
    for number in (0, 2):
        with pytest.raises(ValueError, match=f"returned {number} objects, but num_returns=1"):
            ag.get(some.remote(number))


def test_generator_that_a_plain_function_makes_is_read_where_it_runs() -> None:
    @ag.remote
    def made(number: int) -> Iterator[int]:
        return (7 + each for each in range(number))

    assert ag.get(made.remote(1)) == 7
    with pytest.raises(ValueError, match="returned 3 objects, but num_returns=1"):
        ag.get(made.remote(3))


def test_of_n_items_those_that_lack_are_the_error() -> None:
    assert values(fails_at.options(num_returns=3).remote(1)) == [0, ValueError, ValueError]
    assert values(count.options(num_returns=3).remote(2)) == [0, 1, ValueError]
    assert values(count.options(num_returns=2).remote(3)) == [ValueError, ValueError]
    assert values(fails_at.options(num_returns=2).remote(0)) == [ValueError, ValueError]


def test_a_method_says_in_its_decorator_what_it_returns() -> None:
    @ag.remote(num_cpus=0)
    class Pairs:
        @ag.method(num_returns=2)
        def pair(self) -> Iterator[int]:
            yield 1
            yield 2

    pairs = Pairs.remote()
    assert ag.get(pairs.pair.remote(), timeout=DEADLINE) == [1, 2]
    assert values(pairs.pair.options(num_returns="streaming").remote()) == [1, 2]


def test_a_handle_that_was_sent_elsewhere_knows_which_methods_stream() -> None:
    @ag.remote(num_cpus=0)
    def read(handle: Any) -> list[int]:
        return values(handle.sync.remote(3))

    handle = ag.remote(num_cpus=0)(Numbers).remote()
    assert ag.get(read.remote(handle), timeout=DEADLINE) == [0, 1, 2]


def test_large_items_lie_in_shared_memory_and_stay_as_they_were() -> None:
    @ag.remote
    def large() -> Iterator[np.ndarray[Any, Any]]:
        for number in range(5):
            yield np.full(100_000, number)

    sums = [int(ag.get(ref, timeout=DEADLINE).sum()) for ref in large.remote()]
    assert sums == [number * 100_000 for number in range(5)]


def test_items_may_hold_references() -> None:
    @ag.remote
    def boxes() -> Iterator[list[Any]]:
        for number in range(3):
            yield [ag.put(number)]

    refs = list(boxes.remote())
    assert [ag.get(ag.get(ref, timeout=DEADLINE)[0], timeout=DEADLINE) for ref in refs] == [0, 1, 2]


def test_items_can_be_arguments_and_outlive_their_generator() -> None:
    @ag.remote
    def double(value: int) -> int:
        return 2 * value

    refs = list(count.remote(3))
    assert ag.get([double.remote(ref) for ref in refs], timeout=DEADLINE) == [0, 2, 4]


def test_streams_feed_each_other() -> None:
    @ag.remote(num_cpus=0)
    def square(most: int) -> Iterator[int]:
        for ref in count.remote(most):
            yield ag.get(ref) ** 2

    assert values(square.remote(100)) == [number**2 for number in range(100)]


def test_several_streams_are_read_side_by_side() -> None:
    generators = [count.remote(100) for _ in range(3)]
    assert [[ag.get(ref) for ref in row] for row in zip(*generators, strict=True)] == [[n] * 3 for n in range(100)]


# ------------------------------------------------------------------------------------------ asyncio


def test_a_program_with_an_event_loop_reads_with_async_for() -> None:
    async def read() -> list[int]:
        return [await ref async for ref in count.remote(100)]

    assert asyncio.run(read()) == list(range(100))


def test_an_async_actor_reads_streams_of_others() -> None:
    @ag.remote(num_cpus=0)
    class Reader:
        async def read(self, handle: Any) -> list[int]:
            return [await ref async for ref in handle.asynchronous.remote(100)]

    reader, numbers = Reader.remote(), AsyncNumbers.remote()
    assert ag.get(reader.read.remote(numbers), timeout=DEADLINE) == list(range(100))


def test_other_calls_of_an_async_actor_go_on_while_a_stream_waits_for_its_reader() -> None:
    numbers = AsyncNumbers.remote()
    generators = [numbers.asynchronous.remote(1000), numbers.sync.remote(1000)]
    for generator in generators:
        next(generator)
    assert ag.get(numbers.answer.remote(), timeout=DEADLINE) == 42


# ------------------------------------------------------------------------------------------ looking


def test_wait_returns_a_generator_whose_next_item_is_there() -> None:
    gate = Gate.remote()
    closed, open_ = gated.remote(gate, 1), count.remote(1)
    ready, rest = ag.wait([closed, open_], timeout=DEADLINE)
    assert ready == [open_]
    assert rest == [closed]
    gate.open.remote()
    assert ag.wait([closed], timeout=DEADLINE) == ([closed], [])


def test_wait_takes_generators_and_references_together() -> None:
    generator, ref = count.remote(1), ag.put(1)
    ready, rest = ag.wait([generator, ref], num_returns=2, timeout=DEADLINE)
    assert ready == [generator, ref]
    assert not rest


def test_a_generator_that_is_over_is_ready() -> None:
    generator = count.remote(1)
    assert values(generator) == [0]
    assert ag.wait([generator], timeout=DEADLINE) == ([generator], [])


def test_next_ready_and_is_finished_say_what_next_would_do() -> None:
    gate = Gate.remote()
    generator = gated.remote(gate, 1)
    assert not generator.next_ready()
    assert not generator.is_finished()
    gate.open.remote()
    ag.get(generator.completed(), timeout=DEADLINE)
    assert wait_until(generator.next_ready)
    assert not generator.is_finished()
    next(generator)
    assert wait_until(generator.is_finished)
    assert not generator.next_ready()


def test_get_returns_a_generator_unchanged() -> None:
    generator = count.remote(1)
    assert ag.get(generator) is generator
    with pytest.raises(TypeError):
        ag.get([generator])


def test_completed_is_none_once_the_generator_has_ended(counting: Any) -> None:
    generator = counting(3)
    assert ag.get(generator.completed(), timeout=DEADLINE) is None
    assert values(generator) == [0, 1, 2]


def test_explain_says_that_a_stream_waits_for_its_reader() -> None:
    generator = count.options(**{BOUND: 2}).remote(5)
    next(generator)
    assert wait_until(lambda: "until some of its 2 unread items are read" in ag.explain(generator))


# ------------------------------------------------------------------------------------------ the bound


def test_a_generator_is_no_further_ahead_than_its_bound(tmp_path: Path) -> None:
    generator = noted.options(**{BOUND: 2}).remote(tmp_path / "items")
    for read in range(3):
        assert "2 unread" in told(generator)
        assert runs(tmp_path / "items") == 2 + read
        next(generator)


def count_for_ever(path: Path) -> Iterator[int]:
    while True:
        yield count_run(path)


def told(generator: Any) -> str:
    """Return what the grid says of a generator once it waits for its reader."""
    assert wait_until(lambda: "unread" in ag.explain(generator))
    return ag.explain(generator)


def test_without_a_bound_of_its_own_it_is_64_items(tmp_path: Path) -> None:
    generator = noted.remote(tmp_path / "items")
    assert "64 unread" in told(generator)
    assert runs(tmp_path / "items") == 64


def test_minus_one_lets_it_run_to_its_end(tmp_path: Path) -> None:
    generator = noted.options(**{BOUND: -1}).remote(tmp_path / "items", 200)
    assert wait_until(lambda: runs(tmp_path / "items.closed") == 1)
    assert len(list(generator)) == 200


def test_a_bound_of_one_makes_it_a_generator_like_pythons(tmp_path: Path) -> None:
    generator = noted.options(**{BOUND: 1}).remote(tmp_path / "items", 3)
    assert "1 unread" in told(generator)
    assert runs(tmp_path / "items") == 1
    assert values(generator) == [1, 2, 3]


def test_methods_have_bounds_too(tmp_path: Path) -> None:
    @ag.remote(num_cpus=0)
    class Noter:
        @ag.method(**{BOUND: 3})
        def note(self) -> Iterator[int]:
            while True:
                yield count_run(tmp_path / "items")

    noter = Noter.remote()
    generator = noter.note.remote()
    assert "3 unread" in told(generator)
    assert runs(tmp_path / "items") == 3


def test_actor_has_a_bound_for_its_methods_and_the_tighter_one_counts(tmp_path: Path) -> None:
    @ag.remote(num_cpus=0, _actor_generator_backpressure_num_objects=2)
    class Noter:
        @ag.method(**{BOUND: 1})
        def own(self) -> Iterator[int]:
            yield from count_for_ever(tmp_path / "own")

        @ag.method(**{BOUND: 5})
        def wider(self) -> Iterator[int]:
            yield from count_for_ever(tmp_path / "wider")

        def plain(self) -> Iterator[int]:
            yield from count_for_ever(tmp_path / "plain")

    for method, bound in [("own", 1), ("wider", 2), ("plain", 2)]:
        name = f"{method} of an actor with a bound"
        there = Noter.options(name=name).remote()
        generator = getattr(ag.get_actor(name), method).remote()
        assert f"{bound} unread" in told(generator)
        assert runs(tmp_path / method) == bound
        ag.kill(there)
    free = Noter.options(_actor_generator_backpressure_num_objects=-1).remote()
    assert "5 unread" in told(free.wider.remote())


def test_waiting_for_the_end_lifts_the_bound() -> None:
    generator = count.options(**{BOUND: 1}).remote(50)
    ready, _ = ag.wait([generator.completed()], timeout=DEADLINE)
    assert ready
    assert values(generator) == list(range(50))


def test_awaiting_the_end_lifts_the_bound() -> None:
    async def end(generator: Any) -> None:
        await asyncio.wait_for(generator.completed(), DEADLINE)

    generator = count.options(**{BOUND: 1}).remote(50)
    asyncio.run(end(generator))
    assert len(list(generator)) == 50


def test_a_task_that_needs_the_end_lifts_the_bound() -> None:
    @ag.remote(num_cpus=0)
    def after(nothing: None) -> str:
        return "after"

    generator = count.options(**{BOUND: 1}).remote(50)
    assert ag.get(after.remote(generator.completed()), timeout=DEADLINE) == "after"


def test_looking_at_the_end_does_not_lift_the_bound(tmp_path: Path) -> None:
    generator = noted.options(**{BOUND: 1}).remote(tmp_path / "items")
    assert ag.wait([generator.completed()], timeout=0) == ([], [generator.completed()])
    assert "1 unread" in told(generator)
    assert runs(tmp_path / "items") == 1


def test_a_generator_that_waits_for_its_reader_lends_its_cpu() -> None:
    generators = [count.options(num_cpus=2).remote(1000) for _ in range(2)]
    for generator in generators:  # each holds all there is, and both are read
        next(generator)
    assert [len(list(generator)) for generator in generators] == [999, 999]


def test_a_task_that_waits_for_the_actor_whose_stream_it_reads_is_not_stuck() -> None:
    @ag.remote(num_cpus=0)
    def waits(handle: Any) -> tuple[int, int]:
        generator = handle.sync.remote(1000)
        closed = ag.get(handle.times_closed.remote())  # it comes behind the stream, which waits to be read
        return closed, len(list(generator))

    handle = ag.remote(num_cpus=0)(Numbers).remote()
    assert ag.get(waits.remote(handle), timeout=DEADLINE) == (1, 1000)


def test_whoever_wants_to_know_the_end_elsewhere_lifts_the_bound() -> None:
    @ag.remote(num_cpus=0)
    def after_all(refs: list[Any]) -> str:
        return repr(ag.get(refs[0]))

    generator = count.options(**{BOUND: 1}).remote(50)
    assert ag.get(after_all.remote([generator.completed()]), timeout=DEADLINE) == "None"


# ------------------------------------------------------------------------------------------ errors


@pytest.mark.parametrize(
    "fail",
    [
        lambda: fails_at.remote(3),
        lambda: ag.remote(num_cpus=0)(Numbers).remote().fails.remote(3),
        lambda: AsyncNumbers.remote().asynchronous_fails.remote(3),
    ],
    ids=["task", "method", "async"],
)
def test_what_the_generator_raises_is_its_last_item(fail: Callable[[], Any]) -> None:
    generator = fail()
    assert values(generator) == [0, 1, 2, ValueError]
    assert list(generator) == []
    assert generator.is_finished()
    assert ag.get(generator.completed(), timeout=DEADLINE) is None


def test_an_item_that_cannot_be_pickled_ends_the_stream() -> None:
    @ag.remote
    def yields_a_lock() -> Iterator[Any]:
        yield 1
        yield threading.Lock()
        yield 2

    generator = yields_a_lock.remote()
    assert ag.get(next(generator), timeout=DEADLINE) == 1
    with pytest.raises(TypeError, match="item 1"):
        ag.get(next(generator), timeout=DEADLINE)
    assert list(generator) == []


def test_an_argument_that_is_an_error_is_the_only_item() -> None:
    @ag.remote
    def broken() -> int:
        raise KeyError("broken")

    assert values(count.remote(broken.remote())) == [KeyError]


def test_an_actor_whose_constructor_fails_gives_one_error() -> None:
    @ag.remote(num_cpus=0)
    class Broken:
        def __init__(self) -> None:
            raise ValueError("no")

        def items(self) -> Iterator[int]:
            yield 1

    with pytest.raises(ag.exceptions.ActorDiedError):
        ag.get(next(Broken.remote().items.remote()), timeout=DEADLINE)


def test_exceptions_that_are_retried_begin_the_generator_anew(tmp_path: Path) -> None:
    @ag.remote(max_retries=2, retry_exceptions=[ConnectionError])
    def flaky() -> Iterator[int]:
        for number in range(4):
            if number == 2 and count_run(tmp_path / "tries") <= 2:
                raise ConnectionError
            yield number

    assert values(flaky.remote()) == [0, 1, 2, 3]
    assert runs(tmp_path / "tries") == 3


def test_the_last_of_the_retried_exceptions_is_the_last_item() -> None:
    @ag.remote(max_retries=1, retry_exceptions=True)
    def hopeless() -> Iterator[int]:
        yield 1
        raise ConnectionError

    assert values(hopeless.remote()) == [1, ConnectionError]


# ------------------------------------------------------------------------------------------ deaths


def test_a_process_that_dies_is_replaced_and_items_are_not_repeated(tmp_path: Path) -> None:
    @ag.remote
    def dies_once() -> Iterator[int]:
        for number in range(200):
            if number == 130 and count_run(tmp_path / "deaths") == 1:
                kill_this_process()
            yield number

    assert values(dies_once.remote()) == list(range(200))


def test_without_retries_what_was_yielded_stays_and_the_death_is_the_last_item() -> None:
    @ag.remote(max_retries=0)
    def dies(gate: Any) -> Iterator[int]:
        for number in range(3):
            yield number
        ag.get(gate.pass_through.remote())
        kill_this_process()
        yield 3

    gate = Gate.remote()
    generator = dies.remote(gate)
    refs = [next(generator) for _ in range(3)]
    gate.open.remote()
    assert ag.get(refs, timeout=DEADLINE) == [0, 1, 2]
    assert values(generator) == [ag.exceptions.WorkerCrashedError]
    with pytest.raises(ag.exceptions.WorkerCrashedError):
        ag.get(generator.completed(), timeout=DEADLINE)


def test_a_replay_that_yields_less_is_an_error(tmp_path: Path) -> None:
    @ag.remote
    def changes(gate: Any) -> Iterator[int]:
        if count_run(tmp_path / "tries") == 2:
            yield 0
            return
        for number in range(3):
            yield number
        ag.get(gate.pass_through.remote())
        kill_this_process()

    gate = Gate.remote()
    generator = changes.remote(gate)
    assert ag.get([next(generator) for _ in range(3)], timeout=DEADLINE) == [0, 1, 2]
    gate.open.remote()
    with pytest.raises(ag.exceptions.StreamingGeneratorReplayInconsistentError, match="yielded 1 items"):
        ag.get(next(generator), timeout=DEADLINE)


def test_the_death_of_an_actor_is_the_last_item_of_its_streams() -> None:
    handle = ag.remote(num_cpus=0)(Numbers).remote()
    generator = handle.sync.remote(1000)
    assert ag.get(next(generator), timeout=DEADLINE) == 0
    ag.kill(handle)
    read = values(generator)
    assert read[-1] is ag.exceptions.ActorDiedError
    assert read[:-1] == list(range(1, len(read)))


def test_an_actor_that_restarts_yields_from_where_its_reader_is(tmp_path: Path) -> None:
    @ag.remote(num_cpus=0, max_restarts=1, max_task_retries=1)
    class DiesOnce:
        def items(self) -> Iterator[int]:
            for number in range(100):
                if number == 70 and count_run(tmp_path / "deaths") == 1:
                    kill_this_process()
                yield number

    handle = DiesOnce.remote()
    assert values(handle.items.remote()) == list(range(100))


def test_an_actor_that_restarts_without_retries_says_that_it_was_away(tmp_path: Path) -> None:
    @ag.remote(num_cpus=0, max_restarts=1)
    class DiesOnce:
        def items(self) -> Iterator[int]:
            yield 0
            if count_run(tmp_path / "deaths") == 1:
                kill_this_process()

    handle = DiesOnce.remote()
    assert values(handle.items.remote())[-1] is ag.exceptions.ActorUnavailableError
    assert values(handle.items.remote()) == [0]


def test_a_stream_ends_when_its_reader_dies(tmp_path: Path) -> None:
    @ag.remote(max_retries=0, num_cpus=0)
    def reads(path: Path) -> None:
        generator = noted.options(num_cpus=0).remote(path)
        next(generator)
        kill_this_process()

    with pytest.raises(ag.exceptions.WorkerCrashedError):
        ag.get(reads.remote(tmp_path / "items"), timeout=DEADLINE)
    assert wait_until(lambda: runs(tmp_path / "items.closed") == 1)
    assert runs(tmp_path / "items") <= 66


def test_the_end_of_the_grid_ends_a_wait_for_the_next_item(fresh_grid: Callable[..., Any]) -> None:
    fresh_grid(num_cpus=2)
    gate = Gate.remote()
    generator = gated.remote(gate, 1)
    ag.get(gate.arrivals.remote(at_least=1), timeout=DEADLINE)
    ag.shutdown()
    with pytest.raises(ag.exceptions.RayError):
        next(generator)


# ------------------------------------------------------------------------------------------ stopping


def test_cancel_ends_a_stream_behind_what_it_has_yielded(counting: Any) -> None:
    generator = counting(1000)
    assert ag.get(next(generator), timeout=DEADLINE) == 0
    ag.cancel(generator)
    read = values(generator)
    assert read[-1] is ag.exceptions.TaskCancelledError
    assert read[:-1] == list(range(1, len(read)))
    with pytest.raises(ag.exceptions.TaskCancelledError):
        ag.get(generator.completed(), timeout=DEADLINE)


def test_cancel_by_force_kills_the_process_of_a_generator() -> None:
    @ag.remote
    def stubborn(gate: Any) -> Iterator[int]:
        yield 0
        while True:
            try:
                ag.get(gate.pass_through.remote())
            except KeyboardInterrupt:
                continue

    gate = Gate.remote()
    generator = stubborn.remote(gate)
    assert ag.get(next(generator), timeout=DEADLINE) == 0
    ag.get(gate.arrivals.remote(at_least=1), timeout=DEADLINE)
    ag.cancel(generator, force=True)
    assert values(generator) == [ag.exceptions.TaskCancelledError]


def test_cancel_before_the_start_gives_one_error(tmp_path: Path) -> None:
    held = hold(num_cpus=2)
    generator = noted.remote(tmp_path / "items")
    ag.cancel(generator)
    assert values(generator) == [ag.exceptions.TaskCancelledError]
    ag.kill(held)
    assert runs(tmp_path / "items") == 0


def test_close_stops_a_stream_where_it_yields(counting: Any) -> None:
    generator = counting(1000)
    next(generator)
    generator.close()
    assert list(generator) == []
    assert generator.is_finished()
    with pytest.raises(ag.exceptions.TaskCancelledError):
        ag.get(generator.completed(), timeout=DEADLINE)
    generator.close()


def test_close_runs_the_finally_clauses_and_yields_no_more(tmp_path: Path) -> None:
    generator = noted.options(**{BOUND: 2}).remote(tmp_path / "items")
    next(generator)
    generator.close()
    assert wait_until(lambda: runs(tmp_path / "items.closed") == 1)
    assert runs(tmp_path / "items") <= 3


def test_a_generator_that_is_dropped_stops(tmp_path: Path) -> None:
    generator = noted.options(**{BOUND: 2}).remote(tmp_path / "items")
    next(generator)
    del generator
    assert wait_until(lambda: gc.collect() >= 0 and runs(tmp_path / "items.closed") == 1)
    assert runs(tmp_path / "items") <= 3


def test_a_generator_that_is_dropped_runs_on_while_somebody_wants_its_end(tmp_path: Path) -> None:
    end = noted.options(**{BOUND: 2}).remote(tmp_path / "items", 100).completed()
    assert ag.get(end, timeout=DEADLINE) is None
    assert runs(tmp_path / "items") == 100


def test_a_method_that_is_closed_leaves_its_actor_well(counting: Any) -> None:
    generators = [counting(1000) for _ in range(3)]
    for generator in generators:
        next(generator)
        generator.close()
    assert values(counting(2)) == [0, 1]


def test_an_async_generator_is_closed_on_its_loop() -> None:
    numbers = AsyncNumbers.remote()
    generator = numbers.asynchronous.remote(1000)
    next(generator)
    generator.close()
    assert wait_until(lambda: ag.get(numbers.times_closed.remote(), timeout=DEADLINE) == 1)


def test_a_deadline_ends_a_stream_that_waits_for_its_reader() -> None:
    read: list[Any] = []
    for limit in (0.2, 2.0, 10.0):  # a busy machine needs longer to begin at all
        generator = count.options(timeout=limit, **{BOUND: 1}).remote(10)
        with pytest.raises(ag.exceptions.TaskTimeoutError):
            ag.get(end_of(generator), timeout=DEADLINE)
        read = values(generator)
        if len(read) > 1:
            break
    assert read == [0, ag.exceptions.TaskTimeoutError]


def end_of(generator: Any) -> Any:
    """Return the end of a stream once it is there, without waiting for it in a way that lifts the bound."""
    assert wait_until(lambda: bool(ag.wait([generator.completed()], timeout=0)[0]))
    return generator.completed()


def test_what_was_not_read_is_given_back(fresh_grid: Callable[..., Any]) -> None:
    fresh_grid(num_cpus=2, object_store_memory=64 << 20, object_spilling_directory="")

    @ag.remote
    def large() -> Iterator[np.ndarray[Any, Any]]:
        for _ in range(20):
            yield np.zeros(200_000)

    for _ in range(5):  # three would fill the store
        generator = large.remote()
        assert ag.get(generator.completed(), timeout=DEADLINE) is None
        next(generator)


def test_items_that_are_not_read_may_go_to_disk(fresh_grid: Callable[..., Any]) -> None:
    fresh_grid(num_cpus=2, object_store_memory=32 << 20)

    @ag.remote
    def large() -> Iterator[np.ndarray[Any, Any]]:
        for number in range(40):
            yield np.full(200_000, number)

    generator = large.remote()
    assert ag.get(generator.completed(), timeout=DEADLINE) is None
    assert [int(ag.get(ref, timeout=DEADLINE)[0]) for ref in generator] == list(range(40))


# ------------------------------------------------------------------------------------------ what cannot be


@pytest.mark.parametrize("name", ["send", "throw"])
def test_nothing_can_be_sent_into_a_generator(name: str) -> None:
    with pytest.raises(NotImplementedError, match=name):
        getattr(count.remote(1), name)(ValueError())


@pytest.mark.parametrize("name", ["asend", "athrow"])
def test_nothing_can_be_sent_into_it_asynchronously(name: str) -> None:
    with pytest.raises(NotImplementedError, match=name):
        asyncio.run(getattr(count.remote(1), name)(ValueError()))


def test_a_generator_cannot_be_sent_or_stored() -> None:
    generator = count.remote(1)
    with pytest.raises(TypeError):
        pickle.dumps(generator)
    with pytest.raises(TypeError):
        ag.put(generator)
    with pytest.raises(TypeError):
        count.remote(generator)  # type: ignore[call-overload]  # that is the point


@pytest.mark.parametrize("wanted", ["streaming", "dynamic"])
def test_only_generators_can_stream(wanted: str) -> None:
    def plain() -> int:
        return 1

    class Plain:
        def plain(self) -> int:
            return 1

    message = "can only be used with generator functions"
    with pytest.raises(ValueError, match=message):
        ag.remote(num_returns=wanted)(plain)
    with pytest.raises(ValueError, match=message):
        ag.remote(plain).options(num_returns=wanted)
    with pytest.raises(ValueError, match=message):
        ag.remote(Plain).remote().plain.options(num_returns=wanted)


@pytest.mark.parametrize(("bound", "error"), [(0, ValueError), (-2, ValueError), ("many", TypeError), (1.5, TypeError)])
def test_a_bound_is_positive_or_minus_one(bound: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=BOUND):
        count.options(**{BOUND: bound})


# ------------------------------------------------------------------------------------------ dynamic


@pytest.mark.filterwarnings("ignore:num_returns='dynamic':DeprecationWarning")
class TestDynamic:
    """The old way: one reference, to the list of all."""

    def test_one_reference_leads_to_all_items(self) -> None:
        ref = count.options(num_returns="dynamic").remote(3)
        assert isinstance(ref, ag.ObjectRef)
        items = ag.get(ref, timeout=DEADLINE)
        assert isinstance(items, ag.DynamicObjectRefGenerator)
        assert len(items) == 3
        assert values(items) == [0, 1, 2]
        assert len(items) == 0

    def test_what_it_raises_is_its_last_item(self) -> None:
        items = ag.get(fails_at.options(num_returns="dynamic").remote(2), timeout=DEADLINE)
        assert values(items) == [0, 1, ValueError]

    def test_methods_of_each_kind_can(self) -> None:
        handle = AsyncNumbers.remote()
        for method in (handle.sync, handle.asynchronous):
            assert values(ag.get(method.options(num_returns="dynamic").remote(2), timeout=DEADLINE)) == [0, 1]


def test_dynamic_warns_that_it_is_the_old_way() -> None:
    def numbers() -> Iterator[int]:
        yield 1

    class Numbered:
        @ag.method(num_returns="dynamic")
        def numbers(self) -> Iterator[int]:
            yield 1

    for use in (
        lambda: ag.remote(num_returns="dynamic")(numbers),
        lambda: ag.remote(numbers).options(num_returns="dynamic"),
        lambda: ag.remote(Numbered),
    ):
        with pytest.warns(DeprecationWarning, match="streaming") as caught:
            use()
        assert caught[0].filename == __file__


# ------------------------------------------------------------------------------------------ in a task


def test_a_task_reads_what_its_own_child_yields(tmp_path: Path) -> None:
    @ag.remote
    def reads() -> int:
        return sum(ag.get(ref) for ref in count.remote(300))

    assert ag.get(reads.remote(), timeout=DEADLINE) == sum(range(300))


def test_a_stream_dropped_by_a_task_stops(tmp_path: Path) -> None:
    @ag.remote
    def looks() -> int:
        return int(ag.get(next(noted.options(**{BOUND: 2}).remote(tmp_path / "items"))))

    assert ag.get(looks.remote(), timeout=DEADLINE) == 1
    assert wait_until(lambda: runs(tmp_path / "items.closed") == 1)


def test_the_body_of_a_generator_runs_in_a_process_of_its_own() -> None:
    @ag.remote
    def pids() -> Iterator[int]:
        yield os.getpid()

    assert values(pids.remote()) != [os.getpid()]
