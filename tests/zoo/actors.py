"""The zoo, parts C and D: programs whose bug is how actors wait, or what a crash leaves behind."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import time
from typing import Any

import actorgrid as ag
from tests.zoo.shared_state import Cell, finish

# ------------------------------------------------------------------------------------------- waiting for each other


@ag.remote
class Peer:
    """Calls back to whoever calls it."""

    def __init__(self) -> None:
        self.other: Any = None

    def meet(self, other: Any) -> None:
        self.other = other

    def ask(self) -> int:
        return int(ag.get(self.other.answer.remote()))

    def answer(self) -> int:
        return 1


def behavioural_deadlock() -> None:
    a, b = Peer.remote(), Peer.remote()
    ag.get([a.meet.remote(b), b.meet.remote(a)])
    ag.get([a.ask.remote(), b.ask.remote()])


def behavioural_deadlock_fixed() -> None:
    a, b = Peer.options(max_concurrency=2).remote(), Peer.options(max_concurrency=2).remote()
    ag.get([a.meet.remote(b), b.meet.remote(a)])
    ag.get([a.ask.remote(), b.ask.remote()])


@ag.remote
class Counter:
    """An asynchronous actor that waits in the middle of an update."""

    def __init__(self, other: Any) -> None:
        self.other = other
        self.value = 0

    async def add(self) -> None:
        value = self.value
        await self.other.get.remote()
        self.value = value + 1

    async def add_at_once(self) -> None:
        await self.other.get.remote()
        self.value += 1

    async def get(self) -> int:
        return self.value


def await_interleave() -> None:
    counter = Counter.remote(Cell.remote())
    ag.get([counter.add.remote(), counter.add.remote()])
    assert ag.get(counter.get.remote()) == 2


def await_interleave_fixed() -> None:
    counter = Counter.remote(Cell.remote())
    ag.get([counter.add_at_once.remote(), counter.add_at_once.remote()])
    assert ag.get(counter.get.remote()) == 2


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


def two_crash() -> None:
    """Two replicas: only both deaths lose the value."""
    replicas = [Cell.options(max_restarts=2, max_task_retries=3).remote() for _ in range(2)]
    ag.get([replica.set.remote(1) for replica in replicas])
    assert 1 in ag.get([replica.get.remote() for replica in replicas]), "every replica forgot it"


# ------------------------------------------------------------------------------------------------------------ time


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


def impatient() -> None:
    """A reply that may come late: the timeout is long enough on any sane machine."""
    cell = Cell.remote(1)
    assert ag.get(cell.get.remote(), timeout=0.5) == 1


@ag.remote
def first_or_last(name: str) -> str:
    return name


def wait_order() -> None:
    """Takes the first result for the first submission's."""
    ready, _ = ag.wait([first_or_last.remote("one"), first_or_last.remote("two")], num_returns=1)
    assert ag.get(ready[0]) == "one"


def wait_order_fixed() -> None:
    ready, rest = ag.wait([first_or_last.remote("one"), first_or_last.remote("two")], num_returns=1)
    assert sorted(finish([*ready, *rest])) == ["one", "two"]
