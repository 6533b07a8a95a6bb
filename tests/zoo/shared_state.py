"""The zoo, part A: programs whose bug is an order of reads and writes. After SCTBench, as tasks and actors."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import asyncio
from typing import Any

import actorgrid as ag


def finish(refs: list[Any]) -> list[Any]:
    """Let every task end, whatever becomes of it, then raise what one of them raised."""
    ag.wait(refs, num_returns=len(refs))
    results: list[Any] = list(ag.get(refs))
    return results


@ag.remote
class Cell:
    """A variable."""

    def __init__(self, value: Any = 0) -> None:
        self.value = value

    @ag.method(readonly=True)
    def get(self) -> Any:
        return self.value

    def set(self, value: Any) -> None:
        self.value = value

    def add(self, n: int) -> int:
        self.value += n
        return int(self.value)

    def compare_and_set(self, old: Any, new: Any) -> bool:
        if self.value != old:
            return False
        self.value = new
        return True


@ag.remote
class Lock:
    """A lock: ``acquire`` returns when it is held."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()

    async def acquire(self) -> None:
        await self.lock.acquire()

    async def release(self) -> None:
        self.lock.release()


# --------------------------------------------------------------------------------------------------------- account


@ag.remote
class Account:
    def __init__(self) -> None:
        self.done: list[str] = []

    def deposit(self) -> None:
        self.done.append("deposit")

    def withdraw(self) -> None:
        self.done.append("withdraw")

    def check(self) -> None:
        assert len(self.done) < 2, "the check came last"


@ag.remote
def call(actor: Any, method: str) -> Any:
    return ag.get(getattr(actor, method).remote())


def account() -> None:
    it = Account.remote()
    finish([call.remote(it, method) for method in ("deposit", "check", "withdraw")])


def account_fixed() -> None:
    it = Account.remote()
    ag.get(call.remote(it, "check"))
    finish([call.remote(it, method) for method in ("deposit", "withdraw")])


# ----------------------------------------------------------------------------------------------------- lost update


@ag.remote
def read_then_write(cell: Any, times: int) -> None:
    for _ in range(times):
        ag.get(cell.set.remote(ag.get(cell.get.remote()) + 1))


@ag.remote
def add(cell: Any, times: int) -> None:
    for _ in range(times):
        ag.get(cell.add.remote(1))


def lost_update(n: int = 2, k: int = 1) -> None:
    cell = Cell.remote()
    finish([read_then_write.remote(cell, k) for _ in range(n)])
    assert ag.get(cell.get.remote()) == n * k


def lost_update_fixed(n: int = 2, k: int = 1) -> None:
    cell = Cell.remote()
    finish([add.remote(cell, k) for _ in range(n)])
    assert ag.get(cell.get.remote()) == n * k


# --------------------------------------------------------------------------------------------------------- reorder


@ag.remote
def set_both(a: Any, b: Any) -> None:
    ag.get(a.set.remote(1))
    ag.get(b.set.remote(-1))


@ag.remote
def check_both(a: Any, b: Any) -> None:
    seen = ag.get(a.get.remote()), ag.get(b.get.remote())
    assert seen in ((0, 0), (1, -1)), seen


@ag.remote
def set_pair(pair: Any) -> None:
    ag.get(pair.set.remote((1, -1)))


@ag.remote
def check_pair(pair: Any) -> None:
    assert ag.get(pair.get.remote()) in ((0, 0), (1, -1))


def reorder(n: int = 3) -> None:
    a, b = Cell.remote(), Cell.remote()
    finish([*(set_both.remote(a, b) for _ in range(n - 1)), check_both.remote(a, b)])


def reorder_fixed(n: int = 3) -> None:
    pair = Cell.remote((0, 0))
    finish([*(set_pair.remote(pair) for _ in range(n - 1)), check_pair.remote(pair)])


# -------------------------------------------------------------------------------------------------------- twostage


@ag.remote
def two_stages(a: Any, b: Any) -> None:
    ag.get(a.set.remote(1))
    ag.get(b.set.remote(ag.get(a.get.remote()) + 1))


@ag.remote
def two_stages_the_other_way(a: Any, b: Any) -> None:
    ag.get(b.set.remote(2))
    ag.get(a.set.remote(1))


@ag.remote
def check_stages(a: Any, b: Any) -> None:
    first = ag.get(a.get.remote())
    if first:
        assert ag.get(b.get.remote()) == first + 1


def twostage(n: int = 1) -> None:
    a, b = Cell.remote(), Cell.remote()
    finish([*(two_stages.remote(a, b) for _ in range(n)), check_stages.remote(a, b)])


def twostage_fixed(n: int = 1) -> None:
    a, b = Cell.remote(), Cell.remote()
    finish([*(two_stages_the_other_way.remote(a, b) for _ in range(n)), check_stages.remote(a, b)])


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


# ------------------------------------------------------------------------------------------------------ token ring


@ag.remote
class Ring:
    """The variables of a ring of tasks that pass a value around, and which of them have run."""

    def __init__(self) -> None:
        self.x = [0, 0, 0]
        self.ran: list[int] = []

    def copy(self, to: int, source: int, plus: int) -> None:
        self.x[to] = (self.x[source] + plus) % 4
        self.ran.append(to)

    @ag.method(readonly=True)
    def agree(self) -> bool:
        return len(self.ran) < 3 or len(set(self.x)) == 1


@ag.remote
def pass_on(ring: Any, to: int, source: int, plus: int) -> None:
    ag.get(ring.copy.remote(to, source, plus))


@ag.remote
def check_ring(ring: Any) -> None:
    assert ag.get(ring.agree.remote()), "the token went around in another order"


STAGES = ((0, 2, 1), (1, 0, 0), (2, 1, 0))


def token_ring() -> None:
    ring = Ring.remote()
    finish([*(pass_on.remote(ring, *stage) for stage in STAGES), check_ring.remote(ring)])


def token_ring_fixed() -> None:
    ring = Ring.remote()
    for stage in STAGES:
        ag.get(pass_on.remote(ring, *stage))
    ag.get(check_ring.remote(ring))


# ------------------------------------------------------------------------------------------------------- bluetooth


@ag.remote
class Driver:
    """A driver that is stopped while requests come in."""

    def __init__(self) -> None:
        self.stopping = self.stopped = False
        self.pending = 1

    @ag.method(readonly=True)
    def may_start(self) -> bool:
        return not self.stopping

    def enter(self) -> None:
        self.pending += 1

    def enter_if_open(self) -> bool:
        self.pending += not self.stopping
        return not self.stopping

    @ag.method(readonly=True)
    def is_stopped(self) -> bool:
        return self.stopped

    def leave(self) -> None:
        self.pending -= 1
        self.stopped = self.stopped or (self.stopping and not self.pending)

    def stop(self) -> None:
        self.stopping = True


@ag.remote
def stop(driver: Any) -> None:
    ag.get(driver.stop.remote())
    ag.get(driver.leave.remote())


@ag.remote
def request(driver: Any) -> None:
    if ag.get(driver.may_start.remote()):
        ag.get(driver.enter.remote())
        assert not ag.get(driver.is_stopped.remote()), "a request runs on a stopped driver"
        ag.get(driver.leave.remote())


@ag.remote
def request_fixed(driver: Any) -> None:
    if ag.get(driver.enter_if_open.remote()):
        assert not ag.get(driver.is_stopped.remote())
        ag.get(driver.leave.remote())


def bluetooth() -> None:
    driver = Driver.remote()
    finish([request.remote(driver), stop.remote(driver)])


def bluetooth_fixed() -> None:
    driver = Driver.remote()
    finish([stop.remote(driver), request_fixed.remote(driver)])


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


# ------------------------------------------------------------------------------------------------------------- ABA


@ag.remote
class Stack:
    """A lock-free stack: its nodes and its top change by compare-and-set of the name alone."""

    def __init__(self) -> None:
        self.next: dict[str, str | None] = {"a": "b", "b": None}
        self.top: str | None = "a"
        self.stamp = 0

    @ag.method(readonly=True)
    def look(self) -> tuple[str | None, str | None, int]:
        return self.top, self.next.get(self.top or ""), self.stamp

    def swing(self, old: str | None, new: str | None) -> bool:
        if self.top != old:
            return False
        self.top = new
        self.stamp += 1
        return True

    def swing_stamped(self, old: str | None, new: str | None, stamp: int) -> bool:
        return self.stamp == stamp and self.swing(old, new)

    def push(self, node: str) -> None:
        self.next[node] = self.top
        self.top = node
        self.stamp += 1

    def free(self, node: str) -> None:
        assert self.top != node, "the top of the stack is freed"
        self.next.pop(node, None)

    @ag.method(readonly=True)
    def sound(self) -> bool:
        return self.top is None or self.top in self.next


@ag.remote
def pop_slowly(stack: Any, stamped: bool) -> None:
    top, below, stamp = ag.get(stack.look.remote())
    if stamped:
        ag.get(stack.swing_stamped.remote(top, below, stamp))
    else:
        ag.get(stack.swing.remote(top, below))


@ag.remote
def pop_two_push_one(stack: Any) -> None:
    popped = []
    for _ in range(2):
        top, below, stamp = ag.get(stack.look.remote())
        if ag.get(stack.swing_stamped.remote(top, below, stamp)):
            popped.append(top)
    if popped[:1] == ["a"] and "b" in popped:
        ag.get(stack.free.remote("b"))
        ag.get(stack.push.remote("a"))


def aba() -> None:
    stack = Stack.remote()
    finish([pop_slowly.remote(stack, False), pop_two_push_one.remote(stack)])
    assert ag.get(stack.sound.remote()), "the top of the stack is a node that was freed"


def aba_fixed() -> None:
    stack = Stack.remote()
    finish([pop_slowly.remote(stack, True), pop_two_push_one.remote(stack)])
    assert ag.get(stack.sound.remote())


# ----------------------------------------------------------------------------------------------------- stale cache


@ag.remote
def read_through(cache: Any, store: Any) -> None:
    if ag.get(cache.get.remote()) is None:
        ag.get(cache.set.remote(ag.get(store.get.remote())))


@ag.remote
def write_and_invalidate(cache: Any, store: Any) -> None:
    ag.get(store.set.remote("new"))
    ag.get(cache.set.remote(None))


@ag.remote
def write_both(cache: Any, store: Any) -> None:
    ag.get(store.set.remote("new"))
    ag.get(cache.set.remote("new"))


@ag.remote
def read_through_carefully(cache: Any, store: Any) -> None:
    if ag.get(cache.get.remote()) is None:
        ag.get(cache.compare_and_set.remote(None, ag.get(store.get.remote())))


def stale_cache() -> None:
    cache, store = Cell.remote(None), Cell.remote("old")
    finish([read_through.remote(cache, store), write_and_invalidate.remote(cache, store)])
    assert ag.get(cache.get.remote()) in (None, "new"), "the cache holds the old value for ever"


def stale_cache_fixed() -> None:
    cache, store = Cell.remote(None), Cell.remote("old")
    finish([read_through_carefully.remote(cache, store), write_both.remote(cache, store)])
    assert ag.get(cache.get.remote()) == "new"


# ------------------------------------------------------------------------------------------------ combination lock


@ag.remote
class Combination:
    """Opens if its digits come in one particular order."""

    def __init__(self, n: int) -> None:
        self.n = n
        self.right = 0

    def turn(self, digit: int) -> None:
        if self.right < self.n:
            self.right = self.right + 1 if digit == self.n - 1 - self.right else 0
        assert self.right < self.n, "it opened"


@ag.remote
def turn(lock: Any, digit: int) -> None:
    ag.get(lock.turn.remote(digit))


def combination_lock(n: int = 4) -> None:
    lock = Combination.remote(n)
    finish([turn.remote(lock, digit) for digit in range(n)])


# ---------------------------------------------------------------------------------------------------------- causal


@ag.remote
class Relay:
    def __init__(self, onward: Any) -> None:
        self.onward = onward

    def send(self, message: str) -> None:
        ag.get(self.onward.send.remote(message))


@ag.remote
class Sink:
    def __init__(self) -> None:
        self.seen: list[str] = []

    def send(self, message: str) -> None:
        self.seen.append(message)

    @ag.method(readonly=True)
    def order(self) -> list[str]:
        return self.seen


def causal(hops: int = 1) -> None:
    sink = Sink.remote()
    relay: Any = sink
    for _ in range(hops):
        relay = Relay.remote(relay)
    direct = sink.send.remote("first")
    relayed = relay.send.remote("second")
    ag.get([direct, relayed])
    assert ag.get(sink.order.remote()) == ["first", "second"], "what was sent first came second"


def causal_fixed(hops: int = 1) -> None:
    sink = Sink.remote()
    relay: Any = sink
    for _ in range(hops):
        relay = Relay.remote(relay)
    ag.get(sink.send.remote("first"))
    ag.get(relay.send.remote("second"))
    assert ag.get(sink.order.remote()) == ["first", "second"]
