"""The pool: what programs that use ``multiprocessing.Pool`` expect."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import itertools
import multiprocessing
import operator
import os
import pickle
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import actorgrid as ag
from actorgrid.exceptions import WorkerCrashedError
from actorgrid.util.multiprocessing import Pool, TimeoutError  # noqa: A004  # what programs catch
from tests.contract.tools import DEADLINE, Gate, count_run, kill_this_process, runs

pytestmark = pytest.mark.usefixtures("grid")

FREE = {"num_cpus": 0}


@pytest.fixture
def pool() -> Iterator[Pool]:
    with Pool(2, ray_remote_args=FREE) as made:
        yield made


def square(value: int) -> int:
    return value * value


def add(one: int, other: int = 0, *, more: int = 0) -> int:
    return one + other + more


def held(gate: Any, value: int = 1) -> int:
    ag.get(gate.pass_through.remote(value))
    return value


def test_apply(pool: Pool) -> None:
    assert pool.apply(add, (1, 2), {"more": 3}) == 6


def test_pool_may_have_more_processes_than_there_are_cpus() -> None:
    with Pool(5) as pool:
        assert pool.map(square, range(20)) == [number * number for number in range(20)]


def test_apply_takes_keywords_by_the_name_that_ray_has_for_them(pool: Pool) -> None:
    assert pool.apply(add, None, kwargs={"one": 1, "more": 3}) == 4


def test_apply_async(pool: Pool) -> None:
    result = pool.apply_async(add, (1,))
    assert result.get(DEADLINE) == 1
    assert result.ready()
    assert result.successful()


@pytest.mark.parametrize("chunksize", [None, 1, 3])
def test_map(pool: Pool, chunksize: int | None) -> None:
    assert pool.map(square, range(10), chunksize) == [n * n for n in range(10)]


def test_map_of_nothing(pool: Pool) -> None:
    assert pool.map(square, []) == []


def test_starmap(pool: Pool) -> None:
    assert pool.starmap(add, [(1, 2), (3,), (4, 5)]) == [3, 3, 9]
    assert pool.starmap_async(operator.mul, [(2, 3)]).get(DEADLINE) == [6]


def test_imap_is_in_order_and_imap_unordered_has_all(pool: Pool) -> None:
    assert list(pool.imap(square, range(20))) == [n * n for n in range(20)]
    assert list(pool.imap(square, range(20), chunksize=6)) == [n * n for n in range(20)]
    assert sorted(pool.imap_unordered(square, range(20), chunksize=3)) == [n * n for n in range(20)]


def test_imap_takes_items_as_results_are_read(pool: Pool) -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for value in range(1000):
            taken.append(value)
            yield value

    results = pool.imap(square, items())
    assert [next(results) for _ in range(3)] == [0, 1, 4]
    assert len(taken) < 20


def test_result_that_does_not_come_in_time_can_be_asked_for_again(pool: Pool) -> None:
    gate = Gate.remote()
    results = pool.imap(held, [gate])
    with pytest.raises(multiprocessing.TimeoutError):
        results.next(timeout=0.05)
    single = pool.apply_async(held, (gate,))
    with pytest.raises(TimeoutError):
        single.get(timeout=0.05)
    with pytest.raises(ValueError, match="not ready"):
        single.successful()
    ag.get(gate.open.remote())
    assert results.next(timeout=DEADLINE) == 1
    assert single.get(DEADLINE) == 1


def test_unordered_gives_what_is_ready(pool: Pool) -> None:
    gate = Gate.remote()
    results = pool.imap_unordered(lambda value: held(gate) if value == 0 else value, [0, 5])
    assert results.next(timeout=DEADLINE) == 5
    ag.get(gate.open.remote())
    assert results.next(timeout=DEADLINE) == 1
    with pytest.raises(StopIteration):
        results.next()


def test_errors_are_raised_where_the_result_is_asked_for(pool: Pool) -> None:
    with pytest.raises(ZeroDivisionError):
        pool.map(lambda value: 1 // value, [1, 0, 2])
    results = pool.imap(lambda value: 1 // value, [1, 0, 1])
    assert next(results) == 1
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert next(results) == 1
    failed = pool.apply_async(square, ("x",))
    failed.wait(DEADLINE)
    assert not failed.successful()


def outcomes(results: Iterator[int]) -> list[int | str]:
    """Read all there is; of an error, its class."""
    found: list[int | str] = []
    while True:
        try:
            found.append(next(results))
        except StopIteration:
            return found
        except Exception as error:  # noqa: BLE001  # any of them is what comes of a value
            found.append("TypeError" if isinstance(error, TypeError) else type(error).__name__)


def invert(value: int) -> int:
    return 6 // value


class TestErrorsOfImap:
    """Each has the place of one value."""

    @pytest.mark.parametrize("chunksize", [1, 4])
    def test_error_costs_no_other_value_of_its_chunk(self, pool: Pool, chunksize: int) -> None:
        expected = [6, "ZeroDivisionError", 3, 2, "ZeroDivisionError", 6]
        assert outcomes(pool.imap(invert, [1, 0, 2, 3, 0, 1], chunksize)) == expected
        assert sorted(map(str, outcomes(pool.imap_unordered(invert, [1, 0, 2, 3, 0, 1], chunksize)))) == sorted(
            map(str, expected)
        )

    @pytest.mark.parametrize("chunksize", [1, 2])
    def test_error_says_where_it_was_raised(self, pool: Pool, chunksize: int) -> None:
        with pytest.raises(ZeroDivisionError) as caught:
            next(pool.imap(invert, [0, 0], chunksize))
        told = str(caught.value.__cause__)
        assert "return 6 // value" in told
        assert "pool.py" not in told

    def test_what_cannot_be_sent_costs_its_chunk_and_no_other(self, pool: Pool) -> None:
        items: list[Any] = [1, (value for value in "a"), 2, 3]
        assert outcomes(pool.imap(invert, items)) == [6, "TypeError", 3, 2]
        assert outcomes(pool.imap(invert, items, chunksize=2)) == ["TypeError", "TypeError", 3, 2]

    def test_dead_process_is_an_error_for_each_value_of_its_chunk(self) -> None:
        with Pool(1, ray_remote_args={**FREE, "max_retries": 0}) as pool:
            results = pool.imap(lambda value: kill_this_process() if value == 1 else value, range(4), chunksize=2)
            assert outcomes(results) == ["WorkerCrashedError", "WorkerCrashedError", 2, 3]

    def test_chunk_is_called_again_where_errors_are_to_be_tried_again(self, tmp_path: Path) -> None:
        def once_wrong(value: int) -> int:
            return invert(count_run(tmp_path / "runs") - 1 if value == 2 else value)

        with Pool(1, ray_remote_args={**FREE, "retry_exceptions": True, "max_retries": 1}) as pool:
            assert outcomes(pool.imap(once_wrong, [1, 2], chunksize=2)) == [6, 6]


def test_call_is_over_when_all_its_chunks_are_even_if_one_has_failed(pool: Pool) -> None:
    gate = Gate.remote()
    told: list[BaseException] = []

    def work(value: int) -> int:
        return held(gate) if value else invert(value)

    result = pool.map_async(work, [0, 1], chunksize=1, error_callback=told.append)
    ag.get(gate.arrivals.remote(1))
    assert pool.apply(square, (2,)) == 4  # what failed is over
    assert not result.ready()
    assert not told
    ag.get(gate.open.remote())
    with pytest.raises(ZeroDivisionError):
        result.get(DEADLINE)
    assert [type(error) for error in told] == [ZeroDivisionError]


def test_callbacks_get_what_comes_of_it(pool: Pool) -> None:
    got: list[Any] = []
    pool.map_async(square, [1, 2], callback=got.append).get(DEADLINE)
    failed = pool.apply_async(square, ("x",), callback=got.append, error_callback=lambda e: got.append(type(e)))
    failed.wait(DEADLINE)
    assert sorted(got[0]) == [1, 4]
    assert issubclass(got[1], TypeError)


def test_callback_that_raises_does_not_keep_the_result_back(pool: Pool, caplog: pytest.LogCaptureFixture) -> None:
    result = pool.apply_async(square, (2,), callback=lambda _: operator.truediv(1, 0))
    assert result.get(DEADLINE) == 4
    caplog.clear()


def test_initializer_runs_once_in_each_process_before_its_first_call(tmp_path: Path) -> None:
    def prepare(name: str) -> None:
        count_run(tmp_path / f"{name}{ag.get_runtime_context().get_worker_id()}")

    with Pool(2, prepare, ("in",), ray_remote_args=FREE) as pool:
        used = set(pool.map(lambda _: ag.get_runtime_context().get_worker_id(), range(12), chunksize=1))
    assert {path.name for path in tmp_path.iterdir()} == {f"in{process}" for process in used}
    assert all(runs(path) == 1 for path in tmp_path.iterdir())


VARIABLE = "AG_TEST_OF_A_POOL"


def set_variable(value: str) -> None:
    os.environ[VARIABLE] = value


def variable(_: object = None) -> str | None:
    return os.environ.get(VARIABLE)


#: A module that workers cannot import: its functions go by value, as those of ``__main__`` do.
MODULE = """
shared = None
names = []

def prepare(value):
    global shared
    shared = value
    names.append(value)

def look(number):
    return shared[number], len(names)

class Looks:
    def __call__(self, number):
        return look(number)
"""


def by_value() -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "module_that_no_worker_has"}
    exec(MODULE, names)
    return names


def first_of(given: dict[str, Any]) -> Any:
    return given["deep"][0](0)


class TestWhatAnInitializerDoes:
    """It stays in the processes of its pool, and is nowhere else."""

    def test_stays_for_all_chunks(self) -> None:
        with Pool(1, set_variable, ("here",), ray_remote_args=FREE) as pool:
            assert [pool.apply(variable) for _ in range(3)] == ["here"] * 3
            assert pool.map(variable, range(4), chunksize=1) == ["here"] * 4

    @pytest.mark.processes("simulated processes share one working directory")
    def test_folder_stays(self, tmp_path: Path) -> None:
        with Pool(1, os.chdir, (tmp_path,), ray_remote_args=FREE) as pool:
            assert [pool.apply(os.getcwd) for _ in range(2)] == [str(tmp_path)] * 2

    def test_what_a_chunk_does_is_undone_and_no_more_than_that(self) -> None:
        with Pool(1, set_variable, ("first",), ray_remote_args=FREE) as pool:
            pool.apply(set_variable, ("second",))
            assert pool.apply(variable) == "first"

    def test_no_other_pool_and_no_task_sees_it(self) -> None:
        look = ag.remote(num_cpus=0)(variable)
        with Pool(1, set_variable, ("a",), ray_remote_args=FREE) as one:
            assert one.apply(variable) == "a"
            with Pool(1, set_variable, ("b",), ray_remote_args=FREE) as other, Pool(1, ray_remote_args=FREE) as plain:
                assert (other.apply(variable), plain.apply(variable)) == ("b", None)
            assert ag.get(look.remote()) is None
            assert one.apply(variable) == "a"

    def test_no_task_that_the_pool_starts_sees_it(self) -> None:
        look = ag.remote(num_cpus=0)(variable)
        with Pool(1, set_variable, ("a",), ray_remote_args=FREE) as pool:
            assert pool.apply(lambda: ag.get(look.remote())) is None

    def test_is_beside_what_the_options_ask_for(self) -> None:
        options = {**FREE, "runtime_env": {"env_vars": {"AG_TEST_BESIDE": "there"}}}
        with Pool(1, set_variable, ("here",), ray_remote_args=options) as pool:
            assert pool.apply(lambda: (os.environ["AG_TEST_BESIDE"], variable())) == ("there", "here")

    def test_global_names_are_those_of_functions_that_go_by_value(self) -> None:
        names = by_value()
        with Pool(1, names["prepare"], ("abc",), ray_remote_args=FREE) as pool:
            expected = [("a", 1), ("b", 1), ("c", 1)]
            assert pool.map(names["look"], range(3), chunksize=1) == expected
            assert list(pool.imap(names["Looks"](), range(3), chunksize=2)) == expected
            assert (
                pool.map(partial(lambda look, number: look(number), names["look"]), range(3), chunksize=1) == expected
            )
        assert names["shared"] is None

    def test_global_names_are_those_of_functions_among_the_items(self) -> None:
        names = by_value()
        look, looks = names["look"], names["Looks"]()
        with Pool(1, names["prepare"], ("abc",), ray_remote_args=FREE) as pool:
            assert pool.starmap(operator.call, [(look, 0), (looks, 1)], chunksize=1) == [("a", 1), ("b", 1)]
            assert pool.apply(operator.call, (partial(look, 2),)) == ("c", 1)
            assert list(pool.imap(first_of, [{"deep": [look]}, {"deep": (looks.__call__,)}])) == [("a", 1)] * 2
            assert pool.apply(operator.call, (operator.call, look), {"number": 1}) == ("b", 1)
        assert names["shared"] is None

    def test_error_is_that_of_each_call_until_it_succeeds(self, tmp_path: Path) -> None:
        def fail_first() -> None:
            set_variable("wrong" if count_run(tmp_path / "runs") == 1 else "right")
            if variable() == "wrong":
                raise LookupError("not yet")

        with Pool(1, fail_first, ray_remote_args=FREE) as pool:
            with pytest.raises(LookupError, match="not yet"):
                pool.apply(variable)
            assert [pool.apply(variable) for _ in range(2)] == ["right"] * 2
        assert runs(tmp_path / "runs") == 2

    def test_what_it_is_given_may_be_large_and_may_be_references(self) -> None:
        def prepare(data: bytes, ref: Any) -> None:
            set_variable(f"{len(data)} {ag.get(ref)}")

        with Pool(1, prepare, (bytes(1 << 20), ag.put("put")), ray_remote_args=FREE) as pool:
            assert pool.apply(variable) == f"{1 << 20} put"

    def test_what_cannot_be_sent_is_refused_when_the_pool_is_made(self) -> None:
        with pytest.raises(TypeError, match="lock"):
            Pool(1, set_variable, (threading.Lock(),))


def test_process_is_replaced_after_so_many_chunks() -> None:
    with Pool(1, maxtasksperchild=1, ray_remote_args=FREE) as pool:
        processes = [pool.apply(lambda: ag.get_runtime_context().get_worker_id()) for _ in range(3)]
    assert len(set(processes)) == 3


def test_dead_process_costs_only_its_chunk() -> None:
    with Pool(2, ray_remote_args={**FREE, "max_retries": 0}) as pool:
        with pytest.raises(WorkerCrashedError):
            pool.apply(kill_this_process)
        assert pool.map(square, range(4)) == [0, 1, 4, 9]


def test_no_more_chunks_than_processes_run_at_once(pool: Pool) -> None:
    gate = Gate.remote()
    result = pool.map_async(lambda value: held(gate, value), range(6), chunksize=1)
    ag.get(gate.arrivals.remote(2))
    assert len(ag.get(gate.arrivals.remote(0))) == 2
    ag.get(gate.open.remote())
    assert result.get(DEADLINE) == list(range(6))


def test_closed_pool_takes_no_more_and_is_joined() -> None:
    pool = Pool(2, ray_remote_args=FREE)
    result = pool.map_async(square, range(4))
    with pytest.raises(ValueError, match="still running"):
        pool.join()
    pool.close()
    with pytest.raises(ValueError, match="not running"):
        pool.map(square, [1])
    pool.join()
    assert result.get(DEADLINE) == [0, 1, 4, 9]


@pytest.mark.parametrize("chunksize", [1, 3])
@pytest.mark.parametrize("ordered", [True, False])
def test_join_takes_the_items_that_imap_has_not_taken(chunksize: int, ordered: bool) -> None:
    pool = Pool(1, ray_remote_args=FREE)
    results = (pool.imap if ordered else pool.imap_unordered)(square, iter(range(30)), chunksize)
    pool.close()
    pool.join()
    assert sorted(results) == [n * n for n in range(30)]


def test_join_waits_for_items_whose_results_nobody_reads(tmp_path: Path) -> None:
    pool = Pool(1, ray_remote_args=FREE)
    pool.imap(count_run, [tmp_path / "runs"] * 12)
    pool.close()
    pool.join()
    assert runs(tmp_path / "runs") == 12


def test_join_takes_items_as_calls_end() -> None:
    gate = Gate.remote()
    taken: list[int] = []

    def items() -> Iterator[int]:
        for value in range(40):
            taken.append(value)
            yield value

    pool = Pool(1, ray_remote_args=FREE)
    results = pool.imap(lambda value: held(gate, value), items())
    pool.close()
    joined = threading.Thread(target=pool.join)
    joined.start()
    ag.get(gate.arrivals.remote(1))
    assert len(taken) < 10
    ag.get(gate.open.remote())
    assert [results.next(DEADLINE) for _ in range(3)] == [0, 1, 2]  # while the other thread joins
    joined.join(DEADLINE)
    assert list(results) == list(range(3, 40))


def test_join_does_not_wait_for_items_of_a_pool_that_was_terminated() -> None:
    pool = Pool(1, ray_remote_args=FREE)
    results = pool.imap(square, itertools.count())
    assert next(results) == 0
    pool.terminate()
    pool.join()
    with pytest.raises(RuntimeError, match="terminated"):
        list(results)


def broken(good: int) -> Iterator[int]:
    yield from range(good)
    raise LookupError("no more of them")


@pytest.mark.parametrize("ordered", [True, False])
def test_item_that_cannot_be_taken_is_an_error_after_the_results_before_it(pool: Pool, ordered: bool) -> None:
    results = (pool.imap if ordered else pool.imap_unordered)(square, broken(3))
    assert sorted(next(results) for _ in range(3)) == [0, 1, 4]
    with pytest.raises(LookupError, match="no more of them"):
        next(results)
    with pytest.raises(StopIteration):
        next(results)


def test_pool_cannot_be_sent_to_a_process(pool: Pool) -> None:
    with pytest.raises(NotImplementedError, match="cannot be passed between processes"):
        pickle.dumps(pool)


def test_terminate_ends_what_is_not_over() -> None:
    gate = Gate.remote()
    with Pool(1, ray_remote_args=FREE) as pool:
        results = [pool.apply_async(held, (gate,)) for _ in range(3)]
        ag.get(gate.arrivals.remote(1))
    pool.join()
    for result in results:
        with pytest.raises(RuntimeError, match="terminated"):
            result.get(DEADLINE)
    ag.get(gate.open.remote())


def test_pool_has_as_many_processes_as_the_grid_has_cpus() -> None:
    gate = Gate.remote()
    with Pool(ray_remote_args=FREE) as pool:
        result = pool.map_async(lambda value: held(gate, value), range(6), chunksize=1)
        ag.get(gate.arrivals.remote(2))
        assert len(ag.get(gate.arrivals.remote(0))) == 2  # CPUs
        ag.get(gate.open.remote())
        result.get(DEADLINE)


@pytest.mark.parametrize("address", [None, "local"])
def test_grid_that_a_pool_starts_has_room_for_all_its_processes(no_grid: None, address: str | None) -> None:
    with Pool(6, ray_address=address) as pool:
        gate = Gate.remote()
        result = pool.map_async(lambda value: held(gate, value), range(8), chunksize=1)
        ag.get(gate.arrivals.remote(6), timeout=DEADLINE)
        assert ag.cluster_resources()["CPU"] == 6
        ag.get(gate.open.remote())
        assert result.get(DEADLINE) == list(range(8))


@pytest.mark.parametrize("name", ["processes", "maxtasksperchild"])
@pytest.mark.parametrize(("bad", "error"), [(0, ValueError), (-1, ValueError), (1.5, TypeError), ("2", TypeError)])
def test_numbers_that_make_no_sense_are_refused(name: str, bad: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=rf"{name} must be .*, not "):
        Pool(**{name: bad})


@pytest.mark.parametrize(("bad", "error"), [(0, ValueError), (-1, ValueError), (1.5, TypeError), ("2", TypeError)])
def test_chunks_of_a_size_that_makes_no_sense_are_refused(pool: Pool, bad: Any, error: type[Exception]) -> None:
    calls: list[Any] = [pool.map, pool.starmap, pool.map_async, pool.imap, pool.imap_unordered]
    for call in calls:
        with pytest.raises(error, match=r"chunksize must be .*, not "):
            call(square, [1, 2], bad)


def test_address_of_no_grid_is_refused() -> None:
    ag.shutdown()
    with pytest.raises(ConnectionError, match=r"no grid at '10\.0\.0\.1:6379'"):
        Pool(ray_address="10.0.0.1:6379")
    assert not ag.is_initialized()


def test_pool_joins_the_grid_that_the_environment_names(no_grid: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACTORGRID_ADDRESS", "/nowhere/at/all")
    with pytest.raises(ConnectionError, match="no grid runs at /nowhere/at/all"):
        Pool(2)


def test_initializer_that_cannot_be_called_is_refused() -> None:
    with pytest.raises(TypeError, match="callable"):
        Pool(1, 3)  # type: ignore[arg-type]
