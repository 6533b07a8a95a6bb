"""What ``prove`` leaves out makes no difference: code that goes on after a call may be that of a third process."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

import actorgrid as ag
from actorgrid import sim
from tests.zoo.actors import Counter
from tests.zoo.shared_state import Cell


@ag.remote(max_concurrency=3)
class Threaded:
    """Waits for somebody else in the middle of an update, as ``Counter`` does, with threads."""

    def __init__(self, other: Any) -> None:
        self.other = other
        self.value = 0

    def add(self) -> None:
        value = self.value
        ag.get(self.other.get.remote())
        self.value = value + 1

    def get(self) -> int:
        return self.value


def add_twice(actor: Any) -> None:
    it = actor.remote(Cell.remote())
    ag.get([it.add.remote(), it.add.remote()])
    assert ag.get(it.get.remote()) == 2


def add_in_threads() -> None:
    """Two threads of the program, its main one and another, read by two actors what they then both write."""
    value = 0

    def add(cell: Any) -> None:
        nonlocal value
        before = value
        ag.get(cell.get.remote())
        value = before + 1

    thread = threading.Thread(target=add, args=(Cell.remote(),))
    thread.start()
    add(Cell.remote())
    thread.join()
    assert value == 2


@ag.remote
def fail(cell: Any, error: type[Exception]) -> None:
    ag.get(cell.get.remote())
    raise error("as told")


def first_error() -> None:
    """Whichever task fails first is what ``get`` tells of."""
    ag.get([fail.remote(Cell.remote(), ValueError), fail.remote(Cell.remote(), KeyError)])


PROGRAMS: list[tuple[Callable[..., None], tuple[Any, ...]]] = [
    (add_twice, (Counter,)), (add_twice, (Threaded,)), (add_in_threads, ()), (first_error, ())
]  # fmt: skip


@pytest.mark.parametrize(("program", "args"), PROGRAMS)
def test_reduction_loses_no_way_to_fail(program: Callable[..., None], args: tuple[Any, ...]) -> None:
    reduced, naive = sim.prove(program, *args), sim.prove(program, *args, reduction="none")
    assert reduced.complete
    assert naive.complete
    assert reduced.failing > 0
    assert {run.identity for run in reduced.failures} == {run.identity for run in naive.failures}


@ag.remote
def write(cell: Any, value: int) -> None:
    ag.get(cell.set.remote(value))


def write_twice_and_thrice(caught: type[BaseException] | None) -> Any:
    """Two writes that commute, and, come what may, three that do not."""
    one, other, third = (Cell.remote() for _ in range(3))
    try:
        ag.get([write.remote(one, 1), write.remote(other, 1)])
    except BaseException as error:
        if caught is None or not isinstance(error, caught):
            raise
    finally:
        ag.get([write.remote(third, value) for value in range(3)])
    return ag.get(third.get.remote())


@pytest.mark.parametrize("reduction", ["sleep", "dpor"])
@pytest.mark.parametrize("caught", [None, BaseException])
def test_run_that_is_given_up_counts_for_nothing_whatever_its_program_does_then(
    caught: type[BaseException] | None, reduction: str
) -> None:
    proof = sim.prove(write_twice_and_thrice, caught, reduction=reduction)
    assert proof.complete
    assert (proof.classes, proof.failing) == (6, 0)


def test_program_that_catches_everything_for_ever_is_ended_in_a_run_that_is_given_up() -> None:
    def program() -> None:
        cells = Cell.remote(), Cell.remote()
        refs = [write.remote(cell, 1) for cell in cells]
        while True:
            try:
                ag.get(refs)
            except BaseException:  # noqa: BLE001  # it is what this is about
                continue
            break

    proof = sim.prove(program, reduction="sleep")
    assert (proof.complete, proof.classes, proof.blocked) == (True, 1, 1)
