"""Threads of one process: in which order they begin, call, take a lock, and go on after a wait is a choice."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
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


@ag.remote(max_concurrency=2)
class Threaded:
    """An actor that runs two calls at a time."""

    def __init__(self) -> None:
        self.seen: list[int] = []
        self.value = 0
        self.lock = threading.Lock()

    def note(self, refs: list[Any], number: int) -> None:
        ag.get(refs[0])
        self.seen.append(number)

    def put_and_note(self, log: Any, number: int) -> None:
        ag.get(log.put.remote(number))
        self.seen.append(number)

    def add_and_say(self, log: Any) -> None:
        value = self.value
        log.put.remote(value)
        self.value = value + 1

    def add_in_two_steps(self) -> None:
        with self.lock:
            value = self.value
        with self.lock:
            self.value = value + 1

    def get(self) -> Any:
        return self.seen, self.value


def results_of_one_actor() -> Any:
    """The results come in one order; whose thread goes on first is another matter."""
    log, threaded = Log.remote(), Threaded.remote()
    refs = [log.put.remote(number) for number in range(2)]
    ag.get([threaded.note.remote([ref], number) for number, ref in enumerate(refs)])
    return ag.get(threaded.get.remote())[0]


def put_and_noted() -> Any:
    log, threaded = Log.remote(), Threaded.remote()
    ag.get([threaded.put_and_note.remote(log, number) for number in range(2)])
    return ag.get(log.get.remote()), ag.get(threaded.get.remote())[0]


def lost_at_a_call() -> Any:
    log, threaded = Log.remote(), Threaded.remote()
    ag.get([threaded.add_and_say.remote(log) for _ in range(2)])
    return ag.get(threaded.get.remote())[1]


def lost_between_two_locks() -> Any:
    threaded = Threaded.remote()
    ag.get([threaded.add_in_two_steps.remote() for _ in range(2)])
    return ag.get(threaded.get.remote())[1]


def queued_by_threads() -> Any:
    Log.remote()  # a grid is there
    said: queue.Queue[int] = queue.Queue()
    together(lambda: said.put(0), lambda: said.put(1))
    return [said.get() for _ in range(2)]


def woken_at_once() -> Any:
    Log.remote()  # see above
    seen: list[int] = []

    def sleep_and_note(number: int) -> None:
        time.sleep(1)
        seen.append(number)

    together(*(partial(sleep_and_note, number) for number in range(2)))
    return seen


def pooled() -> Any:
    Log.remote()  # see above
    seen: list[int] = []
    with ThreadPoolExecutor(2) as pool:
        for number in range(2):
            pool.submit(seen.append, number)
    return seen


ORDERS = [[0, 1], [1, 0]]
PROGRAMS: list[tuple[Callable[[], Any], list[Any], str]] = [
    (two_puts, ORDERS, "sleep"),
    (puts_of_thread_and_main, ORDERS, "none"),
    (lost_in_memory, [1, 2], "sleep"),
    (crossed, [[[0, 1], [0, 1]], [[0, 1], [1, 0]], [[1, 0], [1, 0]]], "sleep"),
    (slow_to_go_on, ORDERS, "none"),
    (threads_of_an_actor, ORDERS, "sleep"),
    (threads_that_start_the_grid, ORDERS, "sleep"),
    (results_of_one_actor, ORDERS, "none"),
    (put_and_noted, [(one, other) for one in ORDERS for other in ORDERS], "none"),
    (lost_at_a_call, [1, 2], "none"),
    (lost_between_two_locks, [1, 2], "none"),
    (queued_by_threads, ORDERS, "none"),
    (woken_at_once, ORDERS, "none"),
    (pooled, ORDERS, "none"),
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

    assert sim.prove(over).classes == 3  # whichever begins first, and the second before or after the first was joined


def test_thread_has_one_name_in_every_run() -> None:
    def told() -> list[str]:
        run = sim.run(two_puts, seed=1)
        return [step.what for step in run.story]

    assert told() == told()


def test_threads_of_a_pool_have_one_order_in_every_run() -> None:
    assert len({sim.run(pooled, schedule=sim.Schedule(settings={"holds": 9})).digest for _ in range(20)}) == 1


def test_actor_that_runs_calls_one_at_a_time_has_the_schedules_that_it_had() -> None:
    def alone() -> None:
        threaded = Threaded.options(max_concurrency=1).remote()
        ag.get([threaded.add_in_two_steps.remote() for _ in range(2)])

    assert sim.prove(alone, reduction="none").classes == 1
