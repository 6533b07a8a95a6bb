"""Generators that run elsewhere: items as they come, looks at them, what cannot be, and the old way."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import asyncio
import os
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import actorgrid as ag
from actorgrid.testing.waiting import wait_until
from tests.contract.streams import BOUND, KINDS, AsyncNumbers, Numbers, count, fails_at, gated, noted, values
from tests.contract.tools import DEADLINE, Gate, runs

pytestmark = pytest.mark.usefixtures("grid")


@pytest.fixture(params=KINDS)
def counting(request: pytest.FixtureRequest) -> Any:
    """Return what starts a generator of so many numbers."""
    return KINDS[request.param]()


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
