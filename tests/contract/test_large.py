"""Large numbers: of arguments, results, tasks, links of a chain, bytes."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

from typing import Any

import psutil
import pytest

import actorgrid as ag

np = pytest.importorskip("numpy")

pytestmark = pytest.mark.usefixtures("grid")

#: Nothing here takes so long on a machine that is not stuck.
PATIENCE = 120.0
GIB = 1 << 30


@ag.remote
def total(*numbers: int) -> int:
    return sum(numbers)


@ag.remote
def unpacked(refs: list[Any]) -> int:
    return sum(ag.get(refs))


@ag.remote
def span(count: int) -> list[int]:
    return list(range(count))


@ag.remote
def add_one(number: int) -> int:
    return number + 1


@ag.remote
def echo(value: Any) -> Any:
    return value


def test_ten_thousand_references_as_arguments() -> None:
    refs = [ag.put(number) for number in range(10_000)]
    assert ag.get(total.remote(*refs), timeout=PATIENCE) == sum(range(10_000))


def test_ten_thousand_references_inside_an_argument() -> None:
    refs = [ag.put(number) for number in range(10_000)]
    assert ag.get(unpacked.remote(refs), timeout=PATIENCE) == sum(range(10_000))


def test_three_thousand_results() -> None:
    assert ag.get(span.options(num_returns=3000).remote(3000), timeout=PATIENCE) == list(range(3000))


def test_chain_of_ten_thousand_tasks() -> None:
    ref: Any = 0
    for _ in range(10_000):
        ref = add_one.remote(ref)
    assert ag.get(ref, timeout=PATIENCE) == 10_000


@pytest.mark.slow
def test_million_tasks() -> None:
    refs = [add_one.remote(number) for number in range(1_000_000)]
    assert sum(ag.get(refs, timeout=10 * PATIENCE)) == sum(range(1, 1_000_001))


@pytest.mark.slow
@pytest.mark.processes("in the simulator one process would hold the copies of all")
@pytest.mark.parametrize("tenths", [22, 41])
def test_bytes_of_more_than_two_and_four_gibibytes_come_and_go(fresh_grid: Any, tenths: int) -> None:
    size = tenths * GIB // 10
    if psutil.virtual_memory().available < 5 * size:
        pytest.skip(f"{size} bytes, there and back, with copies in the store: {5 * size} bytes of memory")
    fresh_grid(num_cpus=1, object_store_memory=2 * size)

    @ag.remote(max_retries=0)
    def ends(value: bytes) -> tuple[int, bytes, bytes]:
        return len(value), value[:2], value[-2:]

    @ag.remote(max_retries=0)
    def make(size: int) -> bytes:
        return b"ab".ljust(size, b"z")

    assert ag.get(ends.remote(b"ab".ljust(size, b"z")), timeout=5 * PATIENCE) == (size, b"ab", b"zz")
    back = ag.get(make.remote(size), timeout=5 * PATIENCE)
    assert (len(back), back[:2], back[-2:]) == (size, b"ab", b"zz")


@pytest.mark.slow
@pytest.mark.processes("in the simulator one process would hold the copies of all")
def test_more_than_four_gibibytes_in_one_value(fresh_grid: Any) -> None:
    if psutil.virtual_memory().available < 16 * GIB:
        pytest.skip("an array of 4.5 GiB, and its copies in the store, there and back, need 16 GiB of memory")
    fresh_grid(num_cpus=1, object_store_memory=10 * GIB)
    size = 4 * GIB + GIB // 2
    value = np.zeros(size, np.uint8)
    value[-1] = 7
    back = ag.get(echo.remote(value), timeout=PATIENCE)
    assert len(back) == size
    assert back[-1] == 7
