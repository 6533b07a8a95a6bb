"""The executor: what programs that use ``concurrent.futures`` expect."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import concurrent.futures
import operator
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import actorgrid as ag
from actorgrid.exceptions import WorkerCrashedError
from actorgrid.testing.waiting import wait_until
from actorgrid.util import ActorGridExecutor
from tests.contract.tools import DEADLINE, Gate, count_run, kill_this_process, runs

pytestmark = pytest.mark.usefixtures("grid")


@pytest.fixture
def executor() -> Iterator[ActorGridExecutor]:
    with ActorGridExecutor(num_cpus=0) as made:
        yield made


def square(value: int) -> int:
    return value * value


def fail(text: str) -> None:
    raise KeyError(text)


def held(gate: Any, value: int = 1) -> int:
    ag.get(gate.pass_through.remote(value))
    return value


def test_submit_gives_a_future(executor: ActorGridExecutor) -> None:
    future = executor.submit(square, 3)
    assert isinstance(future, concurrent.futures.Future)
    assert future.result(DEADLINE) == 9


def test_keywords_lambdas_methods_and_builtins(executor: ActorGridExecutor) -> None:
    factor = 3
    futures: list[concurrent.futures.Future[Any]] = [
        executor.submit(int, "ff", base=16),
        executor.submit(lambda value: factor * value, 2),
        executor.submit("a,b".split, ","),
        executor.submit(operator.add, 1, b := 2),
    ]
    assert [future.result(DEADLINE) for future in futures] == [255, 6, ["a", "b"], 1 + b]


def parameters(*args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    return args, kwargs


def test_keywords_may_have_any_name(executor: ActorGridExecutor) -> None:
    names = {"self": 2, "fn": 3, "args": 4, "kwargs": 5}
    assert executor.submit(parameters, 1, **names).result(DEADLINE) == ((1,), names)


class Thing:
    def method(self) -> None:
        pass


def make_thing(number: int) -> Thing:
    del number
    return Thing()


def test_nothing_that_was_handed_over_is_kept(executor: ActorGridExecutor) -> None:
    thing = Thing()
    gone = weakref.ref(thing)
    executor.submit(thing.method).result(DEADLINE)
    del thing
    assert wait_until(lambda: gone() is None)


@pytest.mark.parametrize("chunksize", [1, 3])
def test_result_of_a_map_is_kept_by_its_reader_alone(executor: ActorGridExecutor, chunksize: int) -> None:
    for thing in executor.map(make_thing, range(7), chunksize=chunksize):
        gone = weakref.ref(thing)
        del thing
        assert wait_until(lambda gone=gone: gone() is None)  # type: ignore[misc]  # mypy: no types in a lambda


def test_executor_that_is_dropped_finishes_what_it_was_given() -> None:
    executor = ActorGridExecutor(num_cpus=0)
    futures = [executor.submit(square, value) for value in range(5)]
    del executor
    assert [future.result(DEADLINE) for future in futures] == [0, 1, 4, 9, 16]


def test_what_a_closure_captures_is_as_it_is_at_the_call(executor: ActorGridExecutor) -> None:
    value = [1]
    first = executor.submit(lambda: value[0])
    value[0] = 2
    second = executor.submit(lambda: value[0])
    assert [first.result(DEADLINE), second.result(DEADLINE)] == [1, 2]


def test_exceptions_arrive_as_they_were_raised_and_say_where(executor: ActorGridExecutor) -> None:
    with pytest.raises(KeyError):
        executor.submit(fail, "x").result(DEADLINE)
    error = executor.submit(fail, "x").exception(DEADLINE)
    assert type(error) is KeyError
    assert error.args == ("x",)
    assert "raise KeyError(text)" in str(error.__cause__)


def test_workers_may_be_told_to_stop_at_once() -> None:
    gate = Gate.remote()
    executor = ActorGridExecutor(max_workers=1, num_cpus=0)
    futures = [executor.submit(held, gate, value) for value in range(3)]
    ag.get(gate.arrivals.remote(1))
    executor.terminate_workers()
    assert all(future.cancelled() for future in futures)
    ag.get(gate.open.remote())


@pytest.mark.parametrize("chunksize", [1, 4])
def test_map_is_in_order(executor: ActorGridExecutor, chunksize: int) -> None:
    assert list(executor.map(operator.mul, range(10), range(10), chunksize=chunksize)) == [n * n for n in range(10)]


def test_map_with_a_buffer_takes_items_as_results_are_read(executor: ActorGridExecutor) -> None:
    taken = []

    def items() -> Iterator[int]:
        for value in range(100):
            taken.append(value)
            yield value

    results = executor.map(square, items(), buffersize=3)
    assert [next(results) for _ in range(5)] == [0, 1, 4, 9, 16]
    assert len(taken) <= 10


def test_map_whose_results_do_not_come_in_time(executor: ActorGridExecutor) -> None:
    gate = Gate.remote()
    with pytest.raises(TimeoutError):
        next(executor.map(held, [gate], timeout=0.05))
    ag.get(gate.open.remote())


def test_call_of_a_map_whose_result_does_not_come_in_time_is_stopped() -> None:
    gate = Gate.remote()
    with ActorGridExecutor(max_workers=1, num_cpus=0) as executor:
        with pytest.raises(TimeoutError):
            next(executor.map(held, [gate], timeout=0.05))
        try:
            assert executor.submit(square, 2).result(DEADLINE) == 4  # there is a place again
        finally:
            ag.get(gate.open.remote())


def test_error_in_a_map_is_raised_in_its_place(executor: ActorGridExecutor) -> None:
    results = executor.map(lambda value: 1 // value, [1, 0])
    assert next(results) == 1
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_as_completed_and_wait_of_the_standard_library(executor: ActorGridExecutor) -> None:
    futures = [executor.submit(square, value) for value in range(5)]
    assert sorted(f.result() for f in concurrent.futures.as_completed(futures, DEADLINE)) == [0, 1, 4, 9, 16]
    assert not concurrent.futures.wait(futures, DEADLINE).not_done


def test_no_more_calls_than_max_workers_are_under_way() -> None:
    gate = Gate.remote()
    with ActorGridExecutor(max_workers=2, num_cpus=0) as executor:
        futures = [executor.submit(held, gate, value) for value in range(5)]
        ag.get(gate.arrivals.remote(2))
        assert len(ag.get(gate.arrivals.remote(0))) == 2
        ag.get(gate.open.remote())
        assert [future.result(DEADLINE) for future in futures] == list(range(5))


def test_call_that_waits_for_a_place_is_cancelled_and_never_runs(tmp_path: Path) -> None:
    gate = Gate.remote()
    with ActorGridExecutor(max_workers=1, num_cpus=0) as executor:
        first = executor.submit(held, gate)
        second = executor.submit(count_run, tmp_path / "ran")
        assert second.cancel()
        ag.get(gate.open.remote())
        assert first.result(DEADLINE) == 1
    assert runs(tmp_path / "ran") == 0
    with pytest.raises(concurrent.futures.CancelledError):
        second.result()


def held_and_noted(gate: Any, path: Path) -> None:
    try:
        held(gate)
    finally:
        count_run(path)


def test_call_that_runs_is_stopped_by_cancel(executor: ActorGridExecutor, tmp_path: Path) -> None:
    gate = Gate.remote()
    future = executor.submit(held_and_noted, gate, tmp_path / "ended")
    ag.get(gate.arrivals.remote(1))
    assert future.cancel()
    assert future.cancelled()
    assert wait_until(lambda: runs(tmp_path / "ended") == 1)
    with pytest.raises(concurrent.futures.CancelledError):
        future.result()


def test_call_that_is_over_cannot_be_cancelled(executor: ActorGridExecutor) -> None:
    future = executor.submit(square, 2)
    future.result(DEADLINE)
    assert not future.cancel()


def test_callback_may_wait_and_submit(executor: ActorGridExecutor) -> None:
    seen: list[int] = []
    executor.submit(square, 2).add_done_callback(
        lambda future: seen.append(ag.get(ag.remote(num_cpus=0)(square).remote(future.result())))
    )
    assert wait_until(lambda: executor.submit(square, 1).result(DEADLINE) == 1 and seen == [16])


def test_dead_worker_costs_only_its_call() -> None:
    with ActorGridExecutor(num_cpus=0, max_retries=0) as executor:
        dead = executor.submit(kill_this_process)
        fine = executor.submit(square, 3)
        with pytest.raises(WorkerCrashedError):
            dead.result(DEADLINE)
        assert fine.result(DEADLINE) == 9
        assert executor.submit(square, 4).result(DEADLINE) == 16


def test_shutdown_waits_for_all_and_refuses_more() -> None:
    executor = ActorGridExecutor(num_cpus=0)
    futures = [executor.submit(square, value) for value in range(5)]
    executor.shutdown()
    assert all(future.done() for future in futures)
    with pytest.raises(RuntimeError, match="after shutdown"):
        executor.submit(square, 1)


@pytest.mark.parametrize("limited", [True, False])
def test_shutdown_may_cancel_what_has_not_begun_and_leaves_what_runs(limited: bool) -> None:
    gate, memory = Gate.remote(), int(ag.cluster_resources()["memory"])
    # One call runs. The others wait in the executor, or in the grid: all of its memory is taken.
    executor = ActorGridExecutor(1) if limited else ActorGridExecutor(memory=memory)
    futures = [executor.submit(held, gate, value) for value in range(4)]
    ag.get(gate.arrivals.remote(1))
    executor.shutdown(wait=False, cancel_futures=True)
    concurrent.futures.wait(futures[1:], DEADLINE)
    assert [future.cancelled() for future in futures] == [False, True, True, True]
    ag.get(gate.open.remote())
    assert futures[0].result(DEADLINE) == 0


def test_shutdown_need_not_wait() -> None:
    gate = Gate.remote()
    executor = ActorGridExecutor(num_cpus=0)
    future = executor.submit(held, gate)
    executor.shutdown(wait=False)
    assert not future.done()
    ag.get(gate.open.remote())
    assert future.result(DEADLINE) == 1


def test_what_cannot_be_pickled_is_refused_at_the_call(executor: ActorGridExecutor) -> None:
    with pytest.raises(TypeError, match="cannot"):
        executor.submit(square, (value for value in "a"))  # type: ignore[arg-type]
    assert executor.submit(square, 2).result(DEADLINE) == 4


@pytest.mark.parametrize(("value", "error"), [(0, ValueError), ("2", TypeError)])
def test_bad_number_of_workers(value: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="max_workers"):
        ActorGridExecutor(value)


def test_bad_option_is_refused() -> None:
    with pytest.raises(ValueError, match="Invalid option keyword 'speed'"):
        ActorGridExecutor(speed=2)


def test_grid_that_it_started_ends_with_it(no_grid: None) -> None:
    with ActorGridExecutor() as executor:
        assert executor.submit(square, 2).result(DEADLINE) == 4
        assert ag.is_initialized()
    assert not ag.is_initialized()
