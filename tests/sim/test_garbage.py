"""A run leaves nothing behind: what outlives it in the program's modules does not keep its world."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable
from queue import SimpleQueue

import pytest
from cloudpickle import cloudpickle

import actorgrid as ag
from actorgrid import sim
from actorgrid.engine import current
from actorgrid.sim.host import SimHost
from actorgrid.sim.locks import SimLock


@ag.remote
def double(number: int) -> int:
    return 2 * number


class Counter:
    def __init__(self) -> None:
        self.count = 0

    def add(self) -> int:
        self.count += 1
        return self.count


@ag.remote
def make(cls: type) -> object:
    return cls()


counter = ag.remote(Counter)
kept: list[object] = []


def calls_a_function() -> None:
    assert ag.get(double.remote(2)) == 4


def calls_a_method() -> None:
    assert ag.get(counter.remote().add.remote()) == 1


def sends_a_class() -> None:
    class Local: ...

    assert isinstance(ag.get(make.remote(Local)), Local)


def makes_a_lock_that_is_kept() -> None:
    lock = threading.RLock()
    kept.append(lock)
    with lock:
        calls_a_function()


def ends_while_a_lock_is_held() -> None:
    lock = threading.Lock()
    kept.append(lock)
    lock.acquire()
    calls_a_function()


def makes_a_queue_that_is_kept() -> None:
    queue: SimpleQueue[object] = SimpleQueue()
    kept.append(queue)
    queue.put(double.remote(2))
    calls_a_function()


@pytest.mark.parametrize(
    "program",
    [
        calls_a_function, calls_a_method, makes_a_lock_that_is_kept, ends_while_a_lock_is_held,
        makes_a_queue_that_is_kept,
    ],
)  # fmt: skip
def test_world_that_is_over_is_garbage_whatever_the_program_keeps(program: Callable[[], None]) -> None:
    worlds = []

    def watched() -> None:
        program()
        host = current.installed()
        assert isinstance(host, SimHost)
        worlds.append(weakref.ref(host.world))

    try:
        sim.run(watched)
        gc.collect()
        assert [world() for world in worlds] == [None]
    finally:
        kept.clear()


def test_what_cloudpickle_knows_of_classes_is_after_a_world_what_it_was() -> None:
    def known() -> tuple[object, object]:
        return cloudpickle._DYNAMIC_CLASS_TRACKER_BY_CLASS, cloudpickle._DYNAMIC_CLASS_TRACKER_BY_ID

    before = known()
    run = sim.run(sends_a_class)
    assert run.error is None  # an instance that comes back is one of the program's class, not of the worker's copy
    assert all(now is then for now, then in zip(known(), before, strict=True))


def test_function_is_called_in_one_world_after_another() -> None:
    for _ in range(3):
        assert sim.run(calls_a_function).error is None


def test_lock_that_was_held_at_the_end_of_a_world_can_be_released_afterwards() -> None:
    try:
        sim.run(ends_while_a_lock_is_held)
        lock = kept.pop()
        assert isinstance(lock, SimLock)
        lock.release()
        assert lock.acquire(blocking=False)
    finally:
        kept.clear()


def test_call_that_has_started_does_not_keep_its_arguments_for_as_long_as_the_world_lives() -> None:
    with sim.world() as world:
        calls_a_method()
        assert world.grid is not None
        assert world.grid.calls
        assert all(call.run is None and call.offer is None for call in world.grid.calls.values())
