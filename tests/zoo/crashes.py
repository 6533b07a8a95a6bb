"""The zoo, part D: programs whose bug is what a crash, a timeout or a wrong clock leaves behind."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Any

import actorgrid as ag
from tests.zoo.locks import Lock
from tests.zoo.shared_state import Cell, finish

# ------------------------------------------------------------------------------------------- crashes in the middle


@ag.remote(max_retries=3)
def add_one(cell: Any) -> None:
    ag.get(cell.add.remote(1))


@ag.remote
class Ledger:
    """Knows which requests it has seen."""

    def __init__(self) -> None:
        self.seen: dict[str, int] = {}

    def add_once(self, request: str, n: int) -> None:
        self.seen.setdefault(request, n)

    @ag.method(readonly=True)
    def total(self) -> int:
        return sum(self.seen.values())


@ag.remote(max_retries=3)
def add_once(ledger: Any, request: str) -> None:
    ag.get(ledger.add_once.remote(request, 1))


def retry_add() -> None:
    cell = Cell.remote()
    ag.get(add_one.remote(cell))
    assert ag.get(cell.get.remote()) == 1, "a retry paid twice"


def retry_add_fixed() -> None:
    ledger = Ledger.remote()
    ag.get(add_once.remote(ledger, "r1"))
    assert ag.get(ledger.total.remote()) == 1


@ag.remote(max_retries=3)
def transfer(a: Any, b: Any) -> None:
    ag.get(a.add.remote(-10))
    ag.get(b.add.remote(10))


@ag.remote
class Bank:
    def __init__(self) -> None:
        self.balance = {"a": 100, "b": 0}
        self.done: set[str] = set()

    def transfer(self, request: str) -> None:
        if request not in self.done:
            self.done.add(request)
            self.balance["a"] -= 10
            self.balance["b"] += 10

    @ag.method(readonly=True)
    def total(self) -> tuple[int, int]:
        return self.balance["a"], self.balance["b"]


@ag.remote(max_retries=3)
def transfer_in_bank(bank: Any) -> None:
    ag.get(bank.transfer.remote("t1"))


def money_transfer() -> None:
    a, b = Cell.remote(100), Cell.remote(0)
    ag.get(transfer.remote(a, b))
    assert ag.get([a.get.remote(), b.get.remote()]) == [90, 10], "money was made or lost"


def money_transfer_fixed() -> None:
    bank = Bank.remote()
    ag.get(transfer_in_bank.remote(bank))
    assert ag.get(bank.total.remote()) == (90, 10)


def restart_amnesia() -> None:
    cell = Cell.options(max_restarts=1, max_task_retries=3).remote()
    ag.get(cell.set.remote(7))
    assert ag.get(cell.get.remote()) == 7, "an acknowledged write is gone"


def _replicated(count: int) -> None:
    """Every replica is restarted empty: only if all of them die is the value lost."""
    replicas = [Cell.options(max_restarts=2, max_task_retries=3).remote() for _ in range(count)]
    ag.get([replica.set.remote(1) for replica in replicas])
    assert 1 in ag.get([replica.get.remote() for replica in replicas]), "every replica forgot it"


def restart_amnesia_fixed() -> None:
    _replicated(2)


def two_crash() -> None:
    """Two replicas: only both deaths lose the value."""
    _replicated(2)


def two_crash_fixed() -> None:
    _replicated(3)


@ag.remote(max_retries=0)
def work(queue: Any, sink: Any) -> None:
    item = ag.get(queue.take.remote())
    if item is not None:
        ag.get(sink.add.remote(item))
        ag.get(queue.done.remote())


@ag.remote
class Queue:
    """Leases its one item until it is told that it is done."""

    def __init__(self) -> None:
        self.left = 1

    def take(self) -> int | None:
        return 5 if self.left else None

    def done(self) -> None:
        self.left = 0


def work_queue_ack() -> None:
    queue, sink = Queue.remote(), Cell.remote()
    for _ in range(2):
        ag.wait([work.remote(queue, sink)])
    assert ag.get(sink.get.remote()) in (0, 5), "an item was worked on twice"


@ag.remote(max_retries=0)
def work_once(queue: Any, sink: Any) -> None:
    item = ag.get(queue.take.remote())
    if item is not None:
        ag.get(sink.add_once.remote("the item", item))
        ag.get(queue.done.remote())


def work_queue_ack_fixed() -> None:
    queue, sink = Queue.remote(), Ledger.remote()
    for _ in range(2):
        ag.wait([work_once.remote(queue, sink)])
    assert ag.get(sink.total.remote()) in (0, 5)


# ----------------------------------------------------------------------------------------------- looking, then acting


@ag.remote(max_retries=3)
def charge_unless_done(steps: Any, charged: Any) -> None:
    """A step of a saga: it notes what is done, so that a retry can skip it."""
    if not ag.get(steps.get.remote()):
        ag.get(charged.add.remote(30))
        ag.get(steps.set.remote(True))


@ag.remote(max_retries=3)
def charge_by_key(ledger: Any) -> None:
    ag.get(ledger.add_once.remote("step 1", 30))


def saga_check_then_act() -> None:
    steps, charged = Cell.remote(False), Cell.remote()
    ag.get(charge_unless_done.remote(steps, charged))
    assert ag.get(charged.get.remote()) == 30, "charged, not noted, and charged again"


def saga_check_then_act_fixed() -> None:
    ledger = Ledger.remote()
    ag.get(charge_by_key.remote(ledger))
    assert ag.get(ledger.total.remote()) == 30


# ------------------------------------------------------------------------------------ who dies with something in hand


@ag.remote(max_retries=3)
def hold(lock: Any) -> None:
    ag.get(lock.acquire.remote())
    ag.get(lock.release.remote())


@ag.remote
class LeasedLock:
    """A lock that is held for ten seconds at most."""

    def __init__(self) -> None:
        self.until = 0.0
        self.free = asyncio.Event()

    async def acquire(self) -> None:
        while (left := self.until - time.monotonic()) > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.free.wait(), left)
        self.until = time.monotonic() + 10
        self.free.clear()

    async def release(self) -> None:
        self.until = 0.0
        self.free.set()


def _hold_twice(lock: Any) -> None:
    ag.get([hold.remote(lock), hold.remote(lock)])


def lock_holder_dies() -> None:
    """A lock that nobody will ever release: the retry of its dead holder waits for it, too."""
    _hold_twice(Lock.remote())


def lock_holder_dies_fixed() -> None:
    """That the lock knows its holder's name would not do: what a dead holder has sent may come after its retry."""
    _hold_twice(LeasedLock.remote())


@ag.remote
class Teller:
    """Pays, and has nothing to remember: it is restarted when it dies."""

    def pay(self, ledger: Any, request: str) -> None:
        ag.get(ledger.add_once.remote(request, 10))


def _pay(first: str, second: str) -> None:
    """Pay; pay again as ``second`` after an error, which does not say whether ``first`` was executed."""
    ledger, teller = Ledger.remote(), Teller.options(max_restarts=1).remote()
    try:
        try:
            ag.get(teller.pay.remote(ledger, first))
        except ag.exceptions.ActorError:
            ag.get(teller.pay.remote(ledger, second))
        paid = ag.get(ledger.total.remote())
    except ag.exceptions.ActorGridError:
        return  # the ledger itself died: there is nothing to be seen
    assert paid == 10, "what was said to have failed had been done"


def at_most_once_unknown() -> None:
    _pay("first", "second")


def at_most_once_unknown_fixed() -> None:
    _pay("first", "first")


# ------------------------------------------------------------------------------------------------------------ time


@ag.remote
class SlowLedger:
    """Does what it is asked to do once for each request."""

    def __init__(self) -> None:
        self.done: set[str] = set()

    def work_once(self, request: str, seconds: float) -> None:
        if request not in self.done:
            time.sleep(seconds)
            self.done.add(request)

    def count(self) -> int:
        return len(self.done)


@ag.remote
class Slow:
    def __init__(self) -> None:
        self.done = 0

    def work(self, seconds: float) -> None:
        time.sleep(seconds)
        self.done += 1

    def count(self) -> int:
        return self.done


def timeout_then_late_reply() -> None:
    slow = Slow.remote()
    try:
        ag.get(slow.work.remote(10), timeout=1)
    except ag.exceptions.GetTimeoutError:
        slow.work.remote(0)  # "it did not happen, so I do it again"
    assert ag.get(slow.count.remote()) == 1, "it happened all the same"


def timeout_then_late_reply_fixed() -> None:
    ledger = SlowLedger.remote()
    try:
        ag.get(ledger.work_once.remote("r1", 10), timeout=1)
    except ag.exceptions.GetTimeoutError:
        ledger.work_once.remote("r1", 0)
    assert ag.get(ledger.count.remote()) == 1


@ag.remote
class Leases:
    """Lends one thing for ten seconds, by a clock that nobody can set."""

    def __init__(self) -> None:
        self.until = 0.0

    def take(self) -> bool:
        if time.monotonic() < self.until:
            return False
        self.until = time.monotonic() + 10
        return True


@ag.remote
def pause_then_write(leases: Any, cell: Any, clock: str) -> None:
    """Take the lease, sleep too long, write only if the lease is not over by the named clock."""
    if not ag.get(leases.take.remote()):
        return
    until = getattr(time, clock)() + 10
    time.sleep(20)
    if getattr(time, clock)() < until:
        ag.get(cell.set.remote("late"))


@ag.remote
def write_after(leases: Any, cell: Any) -> None:
    time.sleep(11)
    if ag.get(leases.take.remote()):
        ag.get(cell.set.remote("next"))


def clock_backwards(clock: str = "time") -> None:
    """The wall clock is set back while the holder of a lease sleeps: it believes that it holds it still."""
    leases, cell = Leases.remote(), Cell.remote()
    finish([pause_then_write.remote(leases, cell, clock), write_after.remote(leases, cell)])
    assert ag.get(cell.get.remote()) != "late", "written with a lease that was over"


def clock_backwards_fixed() -> None:
    clock_backwards("monotonic")
