"""Objects that memory cannot hold: they go to disk, come back on demand, and nobody notices but by the clock."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import asyncio
import gc
import random
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import actorgrid as ag
from actorgrid.engine.current import installed
from actorgrid.testing.waiting import wait_until
from tests.contract.tools import DEADLINE
from tests.thinning import one_in

Array = npt.NDArray[np.uint8]
MIB = 1 << 20
SIZE = 2 * MIB
#: A store of eight objects, each with a page for its pickle.
STORE = 8 * (SIZE + 4096)
MANY = 20


@pytest.fixture
def small(fresh_grid: Callable[..., Any]) -> None:
    """Run the test on a grid with a small store."""
    fresh_grid(num_cpus=2, object_store_memory=STORE)


@pytest.fixture
def small_and_impatient(fresh_grid: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the test on a grid with a small store, whose requests do not wait for long before they are refused."""
    monkeypatch.setenv("ACTORGRID_STORE_PATIENCE", "1")
    fresh_grid(num_cpus=2, object_store_memory=STORE)


def stats(name: str) -> int:
    engine: Any = installed()
    return int(engine.query("stats").body[name])


def array(number: int, size: int = SIZE) -> Array:
    return np.full(size, number, np.uint8)


def put_many(count: int = MANY) -> list[Any]:
    return [ag.put(array(number)) for number in range(count)]


def is_right(found: Array, number: int) -> bool:
    return len(found) == SIZE and bool((found == number).all())


@ag.remote
def make(number: int) -> Array:
    return array(number)


@ag.remote
def first(found: Array) -> int:
    assert (found == found[0]).all()
    return int(found[0])


@ag.remote
class Reader:
    def __init__(self) -> None:
        self.kept: list[Array] = []

    def first(self, found: Array) -> int:
        assert (found == found[0]).all()
        return int(found[0])

    def keep(self, found: Array) -> int:
        self.kept.append(found)
        return int(found[0])

    def sums(self) -> list[int]:
        return [int(found[0]) for found in self.kept]

    def forget(self) -> None:
        self.kept.clear()


def test_twelve_arrays_of_30_mb_in_a_store_of_200_mb(fresh_grid: Callable[..., Any]) -> None:
    fresh_grid(num_cpus=1, object_store_memory=200 * MIB)
    refs = [ag.put(np.full(30_000_000, number, np.uint8)) for number in range(12)]
    for number, ref in enumerate(refs):
        found = ag.get(ref)
        assert (len(found), int(found[0]), int(found[-1])) == (30_000_000, number, number)
    assert stats("spilled") >= 160_000_000


@pytest.mark.usefixtures("small")
class TestReading:
    def test_get_in_order_backwards_and_again(self) -> None:
        refs = put_many()
        for order in (range(MANY), reversed(range(MANY)), range(MANY)):
            assert all(is_right(ag.get(refs[number]), number) for number in order)

    def test_get_of_many_whose_values_are_copied_out_of_the_store(self) -> None:
        refs = [ag.put(bytes([number]) * SIZE) for number in range(MANY)]
        assert [value[0] for value in ag.get(refs)] == list(range(MANY))

    def test_wait_sees_that_objects_on_disk_exist_and_leaves_them_there(self) -> None:
        refs = put_many()
        before = stats("spilled")
        assert ag.wait(refs, num_returns=MANY, timeout=DEADLINE) == (refs, [])
        assert stats("spilled") == before > 0

    def test_arguments_of_tasks(self) -> None:
        refs = put_many()
        assert ag.get([first.remote(ref) for ref in refs], timeout=DEADLINE) == list(range(MANY))

    def test_arguments_of_an_actor(self) -> None:
        refs = put_many()
        reader = Reader.remote()
        assert ag.get([reader.first.remote(ref) for ref in refs], timeout=DEADLINE) == list(range(MANY))

    def test_results_of_tasks(self) -> None:
        refs = [make.remote(number) for number in range(MANY)]
        assert all(is_right(ag.get(ref, timeout=DEADLINE), number) for number, ref in enumerate(refs))

    def test_results_of_tasks_that_are_arguments_of_others(self) -> None:
        refs = [first.remote(make.remote(number)) for number in range(MANY)]
        assert ag.get(refs, timeout=DEADLINE) == list(range(MANY))

    def test_references_inside_a_value(self) -> None:
        box = ag.put(put_many())

        @ag.remote
        def open_it(refs: list[Any]) -> list[int]:
            return [int(ag.get(ref)[0]) for ref in refs]

        assert ag.get(open_it.remote(box), timeout=DEADLINE) == list(range(MANY))

    def test_await(self) -> None:
        refs = put_many()

        async def read() -> list[int]:
            return [int((await ref)[0]) for ref in refs]

        assert asyncio.run(read()) == list(range(MANY))

    def test_futures(self) -> None:
        refs = put_many()
        assert [int(ref.future().result(DEADLINE)[0]) for ref in refs] == list(range(MANY))


@pytest.mark.usefixtures("small_and_impatient")
class TestNoRoom:
    def test_everything_in_use_is_an_error_that_names_who_reads_what(self) -> None:
        refs = put_many(8)
        found = [ag.get(ref) for ref in refs]
        with pytest.raises(ag.exceptions.ObjectStoreFullError) as caught:
            ag.put(array(8))
        assert all(f"ObjectRef({ref.hex()}): " in str(caught.value) for ref in refs)
        assert "the driver" in str(caught.value)
        assert all(is_right(value, number) for number, value in enumerate(found))
        found.clear()
        gc.collect()
        assert is_right(ag.get(ag.put(array(8))), 8)

    def test_object_for_which_there_is_no_room_can_be_read_later(self) -> None:
        refs = put_many(9)
        found = [ag.get(ref) for ref in refs[1:]]
        with pytest.raises(ag.exceptions.ObjectStoreFullError):
            ag.get(refs[0])
        del found
        gc.collect()
        assert is_right(ag.get(refs[0]), 0)

    def test_error_of_a_result_that_finds_no_room_names_the_actor_that_reads(self) -> None:
        reader = Reader.remote()
        refs = put_many(8)
        ag.get([reader.keep.remote(ref) for ref in refs], timeout=DEADLINE)
        with pytest.raises(ag.exceptions.ObjectStoreFullError, match="actor Reader"):
            ag.get(make.remote(1), timeout=DEADLINE)
        ag.get(reader.forget.remote(), timeout=DEADLINE)
        assert is_right(ag.get(make.remote(1), timeout=DEADLINE), 1)


@ag.remote(num_returns=2)
def returns_one_that_cannot_be_sent() -> Any:
    return array(1), threading.Lock()


@ag.remote(num_returns=2)
def returns_too_much() -> Any:
    yield from (array(number) for number in range(3))


@ag.remote(num_returns=3, retry_exceptions=True, max_retries=1)
def fails_half_way() -> Any:
    yield array(1)
    yield array(2)
    raise ValueError


@ag.remote(num_cpus=0)
class Stubborn:
    def __init__(self) -> None:
        self.begun = 0
        self.changed = asyncio.Event()

    async def make(self) -> Any:
        self.begun += 1
        self.changed.set()
        try:
            await asyncio.sleep(600)
        except asyncio.CancelledError:
            return array(1)

    async def has_begun(self, number: int) -> None:
        while self.begun < number:
            self.changed.clear()
            await self.changed.wait()


@pytest.mark.usefixtures("small_and_impatient")
class TestResultsThatNobodyGets:
    def test_what_a_cancelled_method_returns_takes_no_room(self) -> None:
        stubborn = Stubborn.remote()
        for number in range(1, 13):
            ref = stubborn.make.remote()
            ag.get(stubborn.has_begun.remote(number), timeout=DEADLINE)
            ag.cancel(ref)
            with pytest.raises(ag.exceptions.TaskCancelledError):
                ag.get(ref, timeout=DEADLINE)
        assert is_right(ag.get(make.remote(1), timeout=DEADLINE), 1)

    @pytest.mark.parametrize("name", ["returns_one_that_cannot_be_sent", "returns_too_much", "fails_half_way"])
    def test_what_a_call_has_stored_before_it_fails_takes_no_room(self, name: str) -> None:
        for _ in range(12):
            *_, last = globals()[name].remote()
            with pytest.raises((TypeError, ValueError)):
                ag.get(last, timeout=DEADLINE)


@pytest.mark.usefixtures("small")
class TestRoom:
    def test_get_waits_no_longer_than_its_timeout_for_what_is_on_disk(self) -> None:
        refs = put_many(9)
        found = [ag.get(ref) for ref in refs[1:]]
        with pytest.raises(ag.exceptions.GetTimeoutError):
            ag.get(refs[0], timeout=0.1)
        del found

    def test_array_that_an_actor_keeps_stays_what_it_is(self) -> None:
        reader = Reader.remote()
        kept = [ag.put(array(200 + number)) for number in range(3)]
        assert ag.get([reader.keep.remote(ref) for ref in kept], timeout=DEADLINE) == [200, 201, 202]
        refs = put_many()
        assert all(is_right(ag.get(ref), number) for number, ref in enumerate(refs))
        assert ag.get(reader.sums.remote(), timeout=DEADLINE) == [200, 201, 202]

    def test_result_larger_than_what_is_free_has_others_leave(self) -> None:
        refs = put_many(8)

        @ag.remote
        def large() -> Array:
            return np.ones(6 * SIZE, np.uint8)

        assert len(ag.get(large.remote(), timeout=DEADLINE)) == 6 * SIZE
        assert all(is_right(ag.get(ref), number) for number, ref in enumerate(refs))

    def test_dropped_objects_leave_memory_and_disk(self) -> None:
        refs = put_many()
        assert stats("spilled")
        refs.clear()
        gc.collect()
        assert wait_until(lambda: not stats("spilled") and not stats("live") and not stats("objects"))

    def test_objects_that_are_dropped_while_others_are_written(self) -> None:
        refs: list[Any] = []
        for number in range(4 * MANY):
            refs.append(ag.put(array(number % 250)))
            if number % 3:
                del refs[number * 7 % len(refs)]
        gc.collect()
        values = [int(ag.get(ref)[0]) for ref in refs]
        assert values == sorted(values)
        refs.clear()
        gc.collect()
        assert wait_until(lambda: not stats("spilled") and not stats("live"))

    def test_object_outlives_its_writer_on_disk_too(self) -> None:
        @ag.remote(max_calls=1)
        def produce(number: int) -> Array:
            return array(number)

        refs = [produce.remote(number) for number in range(MANY)]
        ag.wait(refs, num_returns=MANY, timeout=DEADLINE)
        assert all(is_right(ag.get(ref, timeout=DEADLINE), number) for number, ref in enumerate(refs))


class TestOptions:
    def test_empty_directory_turns_it_off(self, fresh_grid: Callable[..., Any]) -> None:
        fresh_grid(num_cpus=1, object_store_memory=STORE, object_spilling_directory="")
        refs = put_many(8)
        with pytest.raises(ag.exceptions.ObjectStoreFullError):
            ag.put(array(8))
        assert is_right(ag.get(refs[0]), 0)

    def test_environment_variable_turns_it_off(
        self, fresh_grid: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("ACTORGRID_SPILL_DIRECTORY", "")
        fresh_grid(num_cpus=1, object_store_memory=STORE)
        refs = put_many(8)
        with pytest.raises(ag.exceptions.ObjectStoreFullError):
            ag.put(array(8))
        del refs

    def test_directory_that_does_not_exist_is_none_afterwards(
        self, fresh_grid: Callable[..., Any], tmp_path: Path
    ) -> None:
        fresh_grid(num_cpus=1, object_store_memory=STORE, object_spilling_directory=tmp_path / "a" / "b")
        refs = put_many()
        assert is_right(ag.get(refs[0]), 0)
        assert list(tmp_path.iterdir()) == []

    def test_file_is_no_directory(self, no_grid: None, tmp_path: Path) -> None:
        del no_grid
        (tmp_path / "file").write_text("x")
        with pytest.raises(ValueError, match="no directory"):
            ag.init(object_spilling_directory=str(tmp_path / "file"))

    def test_directory_must_be_a_path(self, no_grid: None) -> None:
        del no_grid
        with pytest.raises(TypeError, match="path"):
            ag.init(object_spilling_directory=5)  # type: ignore[arg-type]  # that is the point


class Program:
    """Puts, reads, calls and drops at random; it knows what each value must be."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.refs: list[tuple[Any, int]] = []
        self.views: list[tuple[Array, int]] = []
        self.calls: list[tuple[Any, int]] = []
        self.reader = Reader.remote()
        self.kept: list[int] = []

    def step(self) -> None:
        what = self.random.choice(
            ["put", "make", "read", "read", "look away", "drop", "task", "call", "keep", "forget"]
        )
        getattr(self, what.replace(" ", "_"))()
        while len(self.refs) > MANY:
            self.drop()
        for found, number in self.views:
            assert is_right(found, number)

    def put(self) -> None:
        number = self.random.randrange(1, 250)
        self.refs.append((ag.put(array(number)), number))

    def make(self) -> None:
        number = self.random.randrange(1, 250)
        self.refs.append((make.remote(number), number))

    def read(self) -> None:
        if self.refs:
            ref, number = self.random.choice(self.refs)
            found = ag.get(ref, timeout=DEADLINE)
            assert is_right(found, number)
            if len(self.views) < 2:  # what is read at one moment fits, whatever the tasks and the actor read, too
                self.views.append((found, number))

    def look_away(self) -> None:
        if self.views:
            self.views.pop(self.random.randrange(len(self.views)))

    def drop(self) -> None:
        if self.refs:
            self.refs.pop(self.random.randrange(len(self.refs)))

    def task(self) -> None:
        if self.refs:
            ref, number = self.random.choice(self.refs)
            self.calls.append((first.remote(ref), number))

    def call(self) -> None:
        if self.refs:
            ref, number = self.random.choice(self.refs)
            self.calls.append((self.reader.first.remote(ref), number))

    def keep(self) -> None:
        if self.refs and len(self.kept) < 2:
            ref, number = self.random.choice(self.refs)
            self.calls.append((self.reader.keep.remote(ref), number))
            self.kept.append(number)

    def forget(self) -> None:
        assert ag.get(self.reader.sums.remote(), timeout=DEADLINE) == self.kept
        ag.get(self.reader.forget.remote(), timeout=DEADLINE)
        self.kept.clear()

    def end(self) -> None:
        assert ag.get([ref for ref, _ in self.calls], timeout=DEADLINE) == [number for _, number in self.calls]
        for ref, number in self.refs:
            assert is_right(ag.get(ref, timeout=DEADLINE), number)


@pytest.mark.parametrize("seed", one_in(4, range(4)))
def test_random_programs_read_what_was_written_and_leave_nothing(fresh_grid: Callable[..., Any], seed: int) -> None:
    fresh_grid(num_cpus=2, object_store_memory=STORE)
    program = Program(seed)
    for _ in range(150):
        program.step()
    program.end()
    del program
    gc.collect()
    assert wait_until(lambda: not stats("spilled") and not stats("live") and not stats("objects"))
