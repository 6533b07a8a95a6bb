"""How generators that run elsewhere end: by an error, by a death, because somebody stops them."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

# ruff: noqa: UP028
# ... because Ray sends into what a generator yields from, and a range has no ``send``.

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import actorgrid as ag
from actorgrid.testing.waiting import wait_until
from tests.contract.streams import BOUND, KINDS, AsyncNumbers, Numbers, count, fails_at, gated, noted, values
from tests.contract.tools import DEADLINE, Gate, count_run, hold, kill_this_process, runs

pytestmark = pytest.mark.usefixtures("grid")


@pytest.fixture(params=KINDS)
def counting(request: pytest.FixtureRequest) -> Any:
    """Return what starts a generator of so many numbers."""
    return KINDS[request.param]()


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
