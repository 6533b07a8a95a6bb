"""Programs whose number of schedules that matter is known from the literature on partial-order reduction."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import actorgrid as ag
from actorgrid import sim
from tests.zoo import shared_state
from tests.zoo.shared_state import Cell, finish


@ag.remote
def read(cell: Any) -> Any:
    return ag.get(cell.get.remote())


@ag.remote
def write(cell: Any, value: Any) -> None:
    ag.get(cell.set.remote(value))


@ag.remote
def write_next(cells: list[Any], index: int) -> None:
    ag.get(cells[index].set.remote(ag.get(cells[index - 1].get.remote()) + 1))


@ag.remote
def find_last_zero(cells: list[Any]) -> int:
    index = len(cells) - 1
    while ag.get(cells[index].get.remote()):
        index -= 1
    return index


def readers(n: int) -> None:
    """One writer, ``n`` readers: each reads before or after it."""
    cell = Cell.remote()
    finish([write.remote(cell, 1), *(read.remote(cell) for _ in range(n))])


def last_zero(n: int) -> None:
    """After Flanagan and Godefroid: each cell gets the value of the one before plus one; one looks for the last 0."""
    cells = [Cell.remote() for _ in range(n + 1)]
    finish([find_last_zero.remote(cells), *(write_next.remote(cells, index) for index in range(1, n + 1))])


def independent(n: int) -> None:
    """Tasks that have nothing to do with each other."""
    cells = [Cell.remote() for _ in range(n)]
    finish([write.remote(cell, 1) for cell in cells])


COUNTS: list[tuple[Callable[..., None], tuple[int, ...], str, int]] = [
    (shared_state.account, (), "none", 6),
    (shared_state.lost_update, (2, 1), "none", 6),
    (shared_state.reorder, (3,), "none", 90),
    (shared_state.reorder, (3,), "sleep", 36),
    (shared_state.token_ring, (), "none", 24),
    (readers, (1,), "sleep", 2),
    (readers, (3,), "sleep", 8),
    (readers, (5,), "sleep", 32),
    (readers, (3,), "none", 24),
    (last_zero, (2,), "sleep", 5),  # (n + 3) * 2 ** (n - 2)
    (last_zero, (3,), "sleep", 12),
    (last_zero, (4,), "sleep", 28),
    (independent, (4,), "sleep", 1),
    (independent, (4,), "none", 24),
]


@pytest.mark.parametrize(("program", "args", "reduction", "classes"), COUNTS)
def test_exhaustive_search_counts_what_is_known(
    program: Callable[..., None], args: tuple[int, ...], reduction: str, classes: int
) -> None:
    proof = sim.prove(program, *args, reduction=reduction)
    assert proof.complete
    assert proof.classes == classes


@pytest.mark.slow
@pytest.mark.parametrize("program", [readers, last_zero])
def test_larger_counts_are_those_of_the_literature(program: Callable[..., None]) -> None:
    proof = sim.prove(program, 6 if program is readers else 5)
    assert (proof.complete, proof.classes) == (True, 64)
