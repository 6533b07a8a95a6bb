"""The zoo, part A: programs whose bug is a lock or a condition. After SCTBench, as tasks and actors."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import asyncio
from typing import Any

import actorgrid as ag
from tests.zoo.shared_state import Cell, finish


@ag.remote
class Lock:
    """A lock: ``acquire`` returns when it is held."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()

    async def acquire(self) -> None:
        await self.lock.acquire()

    async def release(self) -> None:
        self.lock.release()


# ------------------------------------------------------------------------------------------------------ wrong lock


@ag.remote
def locked_add(lock: Any, cell: Any) -> None:
    ag.get(lock.acquire.remote())
    value = ag.get(cell.get.remote())
    ag.get(cell.set.remote(value + 1))
    assert ag.get(cell.get.remote()) == value + 1, "somebody else held a lock, too"
    ag.get(lock.release.remote())


def wronglock(m: int = 1, n: int = 1) -> None:
    cell, mine, yours = Cell.remote(), Lock.remote(), Lock.remote()
    finish([locked_add.remote(mine, cell) for _ in range(m)] + [locked_add.remote(yours, cell) for _ in range(n)])


def wronglock_fixed(m: int = 1, n: int = 1) -> None:
    cell, lock = Cell.remote(), Lock.remote()
    finish([locked_add.remote(lock, cell) for _ in range(m + n)])


# ------------------------------------------------------------------------------------------------- deadlock, forks


@ag.remote
def take_two(first: Any, second: Any) -> None:
    ag.get(first.acquire.remote())
    ag.get(second.acquire.remote())
    ag.get([second.release.remote(), first.release.remote()])


def deadlock01() -> None:
    a, b = Lock.remote(), Lock.remote()
    finish([take_two.remote(a, b), take_two.remote(b, a)])


def deadlock01_fixed() -> None:
    a, b = Lock.remote(), Lock.remote()
    finish([take_two.remote(a, b), take_two.remote(a, b)])


def philosophers(n: int = 3) -> None:
    forks = [Lock.remote() for _ in range(n)]
    finish([take_two.remote(forks[seat], forks[(seat + 1) % n]) for seat in range(n)])


def philosophers_fixed(n: int = 3) -> None:
    forks = [Lock.remote() for _ in range(n)]
    finish([take_two.remote(*(forks[i] for i in sorted((seat, (seat + 1) % n)))) for seat in range(n)])


# --------------------------------------------------------------------------------------------------- forgotten unlock


@ag.remote
def work_unless_stopped(lock: Any, stopped: Any, careful: bool) -> None:
    ag.get(lock.acquire.remote())
    if ag.get(stopped.get.remote()) and not careful:
        return  # and the lock is held for ever
    ag.get(lock.release.remote())


@ag.remote
def stop_work(stopped: Any) -> None:
    ag.get(stopped.set.remote(True))


def phase01(careful: bool = False) -> None:
    lock, stopped = Lock.remote(), Cell.remote(False)
    finish([work_unless_stopped.remote(lock, stopped, careful), stop_work.remote(stopped)])
    ag.get(lock.acquire.remote())


def phase01_fixed() -> None:
    phase01(careful=True)


# ------------------------------------------------------------------------------------------------------- lost wake-up


@ag.remote
class Condition:
    """Wakes who waits at that moment; with ``sticky`` it stays signalled once it was."""

    def __init__(self, sticky: bool = False) -> None:
        self.sticky = sticky
        self.event = asyncio.Event()

    async def wait(self) -> None:
        await self.event.wait()

    async def notify(self) -> None:
        self.event.set()
        if not self.sticky:
            self.event = asyncio.Event()


@ag.remote
def consume(full: Any, condition: Any) -> None:
    while not ag.get(full.get.remote()):
        ag.get(condition.wait.remote())


@ag.remote
def set_and_notify(full: Any, condition: Any) -> None:
    ag.get(full.set.remote(True))
    ag.get(condition.notify.remote())


@ag.remote
def notify_and_set(full: Any, condition: Any) -> None:
    ag.get(condition.notify.remote())
    ag.get(full.set.remote(True))


def sync01() -> None:
    """The consumer looks, and then waits: the signal comes between the two."""
    full, condition = Cell.remote(False), Condition.remote()
    finish([consume.remote(full, condition), set_and_notify.remote(full, condition)])


def sync01_fixed() -> None:
    full, condition = Cell.remote(False), Condition.remote(sticky=True)
    finish([consume.remote(full, condition), set_and_notify.remote(full, condition)])


def sync02() -> None:
    """The producer signals before there is anything to see."""
    full, condition = Cell.remote(False), Condition.remote()
    finish([notify_and_set.remote(full, condition), consume.remote(full, condition)])


@ag.remote
def wait_once(full: Any, condition: Any) -> None:
    ag.get(condition.wait.remote())
    assert ag.get(full.get.remote())


def sync02_fixed() -> None:
    full, condition = Cell.remote(False), Condition.remote(sticky=True)
    finish([set_and_notify.remote(full, condition), wait_once.remote(full, condition)])


# ------------------------------------------------------------------------------------------------------- nested locks


@ag.remote
def use_together(door: Any, count: Any, room: Any) -> None:
    """The first of a group locks the room for it, the last unlocks it; the group's count is behind the door."""
    ag.get(door.acquire.remote())
    if ag.get(count.add.remote(1)) == 1:
        ag.get(room.acquire.remote())
    ag.get(door.release.remote())
    ag.get(door.acquire.remote())
    if ag.get(count.add.remote(-1)) == 0:
        ag.get(room.release.remote())
    ag.get(door.release.remote())


def carter01() -> None:
    """Two groups, one door: who waits for the room keeps the other group from leaving it."""
    door, room = Lock.remote(), Lock.remote()
    finish([use_together.remote(door, Cell.remote(), room) for _ in range(2)])


def carter01_fixed() -> None:
    room = Lock.remote()
    finish([use_together.remote(Lock.remote(), Cell.remote(), room) for _ in range(2)])
