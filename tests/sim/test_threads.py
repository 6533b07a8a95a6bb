"""Threads of one process: in which order they begin, call, and go on after they have waited is a choice."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

import actorgrid as ag
from actorgrid import sim

pytestmark = pytest.mark.search


@ag.remote
class Log:
    def __init__(self) -> None:
        self.said: list[int] = []

    def put(self, what: int) -> None:
        self.said.append(what)

    def get(self) -> list[int]:
        return self.said


def together(*bodies: Callable[[], object]) -> None:
    """Run each in a thread of its own."""
    threads = [threading.Thread(target=body) for body in bodies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def two_puts() -> Any:
    log = Log.remote()
    together(lambda: ag.get(log.put.remote(0)), lambda: ag.get(log.put.remote(1)))
    return ag.get(log.get.remote())


def puts_of_thread_and_main() -> Any:
    log = Log.remote()
    thread = threading.Thread(target=lambda: ag.get(log.put.remote(1)))
    thread.start()
    ag.get(log.put.remote(0))
    thread.join()
    return ag.get(log.get.remote())


def lost_in_memory() -> Any:
    log, count = Log.remote(), [0]

    def add() -> None:
        before = count[0]
        ag.get(log.get.remote())
        count[0] = before + 1

    together(add, add)
    return count[0]


def crossed() -> Any:
    """Each thread puts to two actors, in another order: somebody may come in between."""
    one, other = Log.remote(), Log.remote()
    together(lambda: (one.put.remote(0), other.put.remote(0)), lambda: (other.put.remote(1), one.put.remote(1)))
    return ag.get([one.get.remote(), other.get.remote()])


def slow_to_go_on() -> Any:
    """Calls of one caller end in order; who waits for them may be slow."""
    log, seen = Log.remote(), []
    refs = [log.put.remote(number) for number in range(2)]
    together(*(lambda ref=ref, number=number: seen.append((ag.get(ref), number)) for number, ref in enumerate(refs)))
    return [number for _, number in seen]


@ag.remote
def one() -> int:
    return 1


def threads_that_start_the_grid() -> Any:
    """Whichever calls first starts it for both."""
    seen: list[int] = []
    together(lambda: seen.append(ag.get(one.remote()) - 1), lambda: seen.append(ag.get(one.remote())))
    return seen


@ag.remote
class Starter:
    """An actor with two threads of its own."""

    def start(self, log: Any) -> None:
        together(lambda: ag.get(log.put.remote(0)), lambda: ag.get(log.put.remote(1)))


def threads_of_an_actor() -> Any:
    log = Log.remote()
    ag.get(Starter.remote().start.remote(log))
    return ag.get(log.get.remote())


ORDERS = [[0, 1], [1, 0]]
PROGRAMS: list[tuple[Callable[[], Any], list[Any], str]] = [
    (two_puts, ORDERS, "sleep"),
    (puts_of_thread_and_main, ORDERS, "none"),
    (lost_in_memory, [1, 2], "sleep"),
    (crossed, [[[0, 1], [0, 1]], [[0, 1], [1, 0]], [[1, 0], [1, 0]]], "sleep"),
    (slow_to_go_on, ORDERS, "none"),
    (threads_of_an_actor, ORDERS, "sleep"),
    (threads_that_start_the_grid, ORDERS, "sleep"),
]


def outcomes(program: Callable[[], Any], reduction: str) -> list[Any]:
    seen: list[Any] = []

    def wrapped() -> None:
        value = program()
        if value not in seen:
            seen.append(value)

    proof = sim.prove(wrapped, reduction=reduction)
    assert proof.complete
    assert not proof.failures, proof.failures[0].error
    return sorted(seen)


@pytest.mark.parametrize(("program", "all_there_is", "naive"), PROGRAMS)
def test_every_order_of_threads_is_explored(program: Callable[[], Any], all_there_is: list[Any], naive: str) -> None:
    for reduction in ("dpor", naive):
        assert outcomes(program, reduction) == all_there_is, reduction


def test_program_whose_threads_are_over_has_the_schedules_that_it_had() -> None:
    def over() -> None:
        log = Log.remote()
        together(lambda: None, lambda: None)
        ag.get([log.put.remote(number) for number in range(2)])

    assert sim.prove(over).classes == 2  # whichever begins first


def test_thread_has_one_name_in_every_run() -> None:
    def told() -> list[str]:
        run = sim.run(two_puts, seed=1)
        return [step.what for step in run.story]

    assert told() == told()
