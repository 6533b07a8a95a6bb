"""Values: small and large, arrays, the budget of the object store."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import dataclasses
import functools
import gc
import pickle
from collections.abc import Callable
from typing import Any, NewType

import numpy as np
import numpy.typing as npt
import pytest

import actorgrid as ag
from actorgrid.engine.current import installed
from tests.contract.tools import DEADLINE

Array = npt.NDArray[Any]
SMALL, LARGE = 4, 500_000
KIB, MIB = 1 << 10, 1 << 20


@ag.remote
def echo(value: Any) -> Any:
    return value


@ag.remote
def make(size: int) -> bytes:
    return b"r" * size


@pytest.mark.usefixtures("grid")
@pytest.mark.parametrize("size", [0, 1, 100 * KIB - 200, 100 * KIB, 100 * KIB + 1, 3 * MIB])
class TestSizes:
    def test_put(self, size: int) -> None:
        value = b"p" * size
        assert ag.get(ag.put(value)) == value

    def test_argument(self, size: int) -> None:
        value = b"a" * size
        assert ag.get(echo.remote(value)) == value

    def test_result(self, size: int) -> None:
        assert ag.get(make.remote(size)) == b"r" * size

    def test_result_as_argument(self, size: int) -> None:
        assert ag.get(echo.remote(make.remote(size))) == b"r" * size

    def test_text(self, size: int) -> None:
        assert ag.get(echo.remote("ä" * size)) == "ä" * size


@pytest.mark.usefixtures("grid")
@pytest.mark.parametrize("value", [bytes, lambda size: list(range(size // 3)), lambda size: np.zeros(size, np.uint8)])
def test_more_than_100_kib_lie_in_shared_memory_and_less_in_the_message(value: Callable[[int], Any]) -> None:
    engine: Any = installed()

    def live() -> int:
        return int(engine.query("stats").body["live"])

    before = live()
    small = ag.put(value(98 * KIB))
    assert live() == before
    large = ag.put(value(102 * KIB))
    assert live() - before >= 100 * KIB
    assert ag.get(large) is not None
    del small, large


@pytest.mark.usefixtures("grid")
@pytest.mark.parametrize("length", [SMALL, LARGE])
class TestArrays:
    def test_array_from_put_is_equal(self, length: int) -> None:
        array = np.arange(length)
        np.testing.assert_array_equal(ag.get(ag.put(array)), array)

    def test_array_from_put_is_read_only(self, length: int) -> None:
        array: Array = ag.get(ag.put(np.zeros(length)))
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1

    def test_array_result_is_read_only(self, length: int) -> None:
        array: Array = ag.get(echo.remote(np.zeros(length)))
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1

    def test_array_argument_is_read_only(self, length: int) -> None:
        @ag.remote
        def write(array: Array) -> None:
            array[0] = 1

        with pytest.raises(ValueError, match="read-only"):
            ag.get(write.remote(np.zeros(length)))

    def test_array_inside_a_container_is_read_only(self, length: int) -> None:
        array = ag.get(ag.put({"k": [np.zeros(length)]}))["k"][0]
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1

    def test_array_does_not_own_its_data(self, length: int) -> None:
        assert not ag.get(ag.put(np.zeros(length))).flags.owndata

    def test_array_can_be_copied_and_written(self, length: int) -> None:
        array = ag.get(ag.put(np.zeros(length))).copy()
        array[0] = 1
        assert array[0] == 1

    def test_array_of_the_caller_stays_writable_and_apart(self, length: int) -> None:
        array = np.zeros(length)
        ref = ag.put(array)
        array[0] = 1
        assert ag.get(ref)[0] == 0

    def test_array_stays_valid_after_its_reference_is_gone(self, length: int) -> None:
        ref = ag.put(np.arange(length))
        array = ag.get(ref)
        tail = array[-2:]
        del ref, array
        gc.collect()
        for i in range(4):
            ag.get(ag.put(np.full(length, i)))
        assert tail.tolist() == [length - 2, length - 1]


@pytest.mark.usefixtures("grid")
def test_two_gets_of_a_large_array_share_memory() -> None:
    ref = ag.put(np.zeros(LARGE))
    assert np.shares_memory(ag.get(ref), ag.get(ref))


class Block:
    """A type of the user's own that hands its memory over out of band (PEP 574)."""

    def __init__(self, memory: Any) -> None:
        self.memory = memoryview(memory)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return Block, (pickle.PickleBuffer(self.memory),)


@pytest.mark.usefixtures("grid")
def test_buffers_of_a_users_own_type_come_back_without_a_copy_and_cannot_be_changed() -> None:
    ref = ag.put(Block(bytearray(b"abc" * LARGE)))
    first, second = ag.get(ref), ag.get(ref)
    assert bytes(first.memory[-6:]) == b"abcabc"
    assert np.shares_memory(np.frombuffer(first.memory, np.uint8), np.frombuffer(second.memory, np.uint8))
    assert first.memory.readonly


@pytest.mark.usefixtures("grid")
@pytest.mark.parametrize(
    "array",
    [
        np.zeros(0),
        np.zeros((3, 0)),
        np.array(5),
        np.asfortranarray(np.arange(6).reshape(2, 3)),
        np.arange(20)[::2],
        np.arange(200_000).reshape(1000, 200).T,
        np.array([("a", 1)], dtype=[("name", "U5"), ("n", "i4")]),
        np.array(["x", None, 3], dtype=object),
        np.array([True, False]),
        np.array(["2020-01-01"], dtype="datetime64[D]"),
    ],
    ids=["empty", "empty2d", "scalar", "fortran", "strided", "transposed", "records", "objects", "bool", "dates"],
)
def test_unusual_arrays(array: Array) -> None:
    back = ag.get(echo.remote(array))
    np.testing.assert_array_equal(back, array)
    assert back.dtype == array.dtype


@pytest.mark.usefixtures("grid")
def test_several_large_arrays_in_one_value() -> None:
    arrays = [np.full(100_000, i) for i in range(4)]
    back = ag.get(echo.remote(arrays))
    assert [array[0] for array in back] == [0, 1, 2, 3]
    assert [len(array) for array in back] == [100_000] * 4


@pytest.mark.usefixtures("grid")
def test_bytearray_stays_one() -> None:
    found = ag.get(ag.put(bytearray(b"abc" * 100_000)))
    assert (type(found), bytes(found)) == (bytearray, b"abc" * 100_000)


@pytest.mark.usefixtures("grid")
def test_object_with_slots_of_a_class_that_goes_by_value_comes_back() -> None:
    @dataclasses.dataclass(slots=True)
    class Point:
        x: int

    @ag.remote
    def make_point(like: Point) -> Point:
        return Point(like.x + 1)

    point = ag.get(make_point.remote(Point(1)))
    assert (point, hasattr(point, "__dict__")) == (Point(2), False)


@pytest.mark.usefixtures("grid")
def test_function_with_a_cache_that_goes_by_value_calls_itself() -> None:
    @functools.cache
    def fib(n: int) -> int:
        return n if n < 2 else fib(n - 1) + fib(n - 2)

    @ag.remote
    def ask(n: int) -> int:
        return fib(n)

    assert ag.get(ask.remote(80)) == 23416728348467685


@pytest.mark.usefixtures("grid")
def test_class_with_cached_properties_goes_by_value() -> None:
    class Circle:
        @functools.cached_property
        def area(self) -> int:
            return 3

    assert ag.get(ag.remote(lambda: Circle().area).remote()) == 3


@pytest.mark.usefixtures("grid")
def test_function_takes_the_types_along_that_it_is_annotated_with() -> None:
    kind = NewType("kind", int)

    def same(value: Any) -> Any:
        return value

    same.__annotations__["value"] = kind
    assert ag.get(ag.remote(same).remote(1)) == 1


@pytest.mark.usefixtures("grid")
def test_large_value_pickled_in_band() -> None:
    value = {i: str(i) for i in range(50_000)}
    assert ag.get(echo.remote(value)) == value


@pytest.mark.usefixtures("grid")
def test_large_value_in_a_closure() -> None:
    table = np.arange(LARGE)

    @ag.remote
    def look(i: int) -> int:
        return int(table[i])

    assert ag.get(look.remote(LARGE - 1)) == LARGE - 1


@pytest.mark.usefixtures("grid")
def test_one_put_array_read_by_many_tasks() -> None:
    @ag.remote
    def part(array: Array, start: int) -> int:
        return int(array[start : start + 1000].sum())

    ref = ag.put(np.ones(10_000))
    assert sum(ag.get([part.remote(ref, start) for start in range(0, 10_000, 1000)])) == 10_000


@pytest.mark.usefixtures("grid")
def test_object_made_by_a_worker_outlives_that_worker() -> None:
    @ag.remote(max_calls=1)
    def produce() -> Array:
        return np.arange(LARGE)

    ref = produce.remote()
    ag.get([produce.remote() for _ in range(3)], timeout=DEADLINE)
    assert ag.get(ref)[-1] == LARGE - 1


@pytest.mark.usefixtures("grid")
def test_object_put_by_an_actor_outlives_that_actor() -> None:
    @ag.remote
    class Producer:
        def produce(self) -> Any:
            return [ag.put(np.arange(LARGE)), ag.put("small")]

    producer = Producer.remote()
    large, small = ag.get(producer.produce.remote())
    ag.kill(producer)
    assert ag.get(large)[-1] == LARGE - 1
    assert ag.get(small) == "small"


def test_memory_of_dropped_objects_is_used_again(fresh_grid: Callable[..., Any]) -> None:
    fresh_grid(num_cpus=1, object_store_memory=80 * MIB)
    for i in range(20):
        assert ag.get(ag.put(np.full(MIB, i)))[0] == i  # 8 MiB each, 160 MiB in all


def test_memory_of_dropped_results_is_used_again(fresh_grid: Callable[..., Any]) -> None:
    fresh_grid(num_cpus=1, object_store_memory=80 * MIB)
    for _ in range(20):
        assert len(ag.get(make.remote(8 * MIB), timeout=DEADLINE)) == 8 * MIB


def test_value_larger_than_the_object_store_is_refused(fresh_grid: Callable[..., Any]) -> None:
    fresh_grid(num_cpus=1, object_store_memory=80 * MIB)
    with pytest.raises(ag.exceptions.ObjectStoreFullError):
        ag.put(np.zeros(100 * MIB, dtype=np.uint8))
    assert ag.get(ag.put(np.ones(MIB)))[0] == 1


def test_object_store_full_of_objects_in_use_refuses_more(
    fresh_grid: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACTORGRID_STORE_PATIENCE", "0.5")
    fresh_grid(num_cpus=1, object_store_memory=80 * MIB)
    views: list[Array] = []

    def fill() -> None:
        for i in range(20):
            views.append(ag.get(ag.put(np.full(MIB, i))))  # noqa: PERF401  # what was stored before the error counts

    with pytest.raises(ag.exceptions.ObjectStoreFullError):
        fill()
    assert views
    assert [view[0] for view in views] == list(range(len(views)))
    views.clear()
    gc.collect()
    assert ag.get(ag.put(np.ones(MIB)))[0] == 1


def test_result_that_finds_the_store_full_is_an_error_of_that_task(fresh_grid: Callable[..., Any]) -> None:
    fresh_grid(num_cpus=1, object_store_memory=80 * MIB)
    with pytest.raises(ag.exceptions.ObjectStoreFullError):
        ag.get(make.remote(100 * MIB), timeout=DEADLINE)
    assert ag.get(make.remote(10), timeout=DEADLINE) == b"r" * 10
