"""The zoo, part A: programs whose bug is an order of reads and writes. After SCTBench, as tasks and actors."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

from typing import Any

import actorgrid as ag


def finish(refs: list[Any]) -> list[Any]:
    """Let every task end, whatever becomes of it, then raise what one of them raised."""
    ag.wait(refs, num_returns=len(refs))
    results: list[Any] = list(ag.get(refs))
    return results


def all_at_once(n: int) -> None:
    """See to it that ``n`` tasks have a processor each: by default there are 64."""
    if n > 64:
        ag.init(num_cpus=n)


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
    assert ag.get(cell.get.remote()) == n * k, "an update was lost"


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
    all_at_once(n)
    a, b = Cell.remote(), Cell.remote()
    finish([*(set_both.remote(a, b) for _ in range(n - 1)), check_both.remote(a, b)])


def reorder_fixed(n: int = 3) -> None:
    all_at_once(n)
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
    all_at_once(n + 1)
    a, b = Cell.remote(), Cell.remote()
    finish([*(two_stages.remote(a, b) for _ in range(n)), check_stages.remote(a, b)])


def twostage_fixed(n: int = 1) -> None:
    all_at_once(n + 1)
    a, b = Cell.remote(), Cell.remote()
    finish([*(two_stages_the_other_way.remote(a, b) for _ in range(n)), check_stages.remote(a, b)])


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
    """24 orders; the check sees all three in 6 of them, and only one of these goes around the ring: 5 fail."""
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
    """The request's four calls around the two of the stop: C(5, 2) = 10 orders, and 2 in which it comes too late.

    One of these 12 fails. (Where more is told of how the driver stops there are more of them.)
    """
    driver = Driver.remote()
    finish([request.remote(driver), stop.remote(driver)])


def bluetooth_fixed() -> None:
    driver = Driver.remote()
    finish([stop.remote(driver), request_fixed.remote(driver)])


# --------------------------------------------------------------------------------------------------------------- lazy


@ag.remote
def check_below(cell: Any, limit: int) -> None:
    assert ag.get(cell.get.remote()) < limit, "both had added already"


@ag.remote
def add_n(cell: Any, n: int) -> None:
    ag.get(cell.add.remote(n))


def lazy01() -> None:
    cell = Cell.remote()
    finish([add_n.remote(cell, 1), check_below.remote(cell, 3), add_n.remote(cell, 2)])


def lazy01_fixed() -> None:
    cell = Cell.remote()
    ag.get(check_below.remote(cell, 3))
    finish([add_n.remote(cell, 1), add_n.remote(cell, 2)])
