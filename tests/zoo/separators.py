"""The zoo, part B: programs that one way to search finds soon and another one hardly ever."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

from typing import Any

import actorgrid as ag
from tests.zoo.shared_state import Cell, add_n, finish

# ----------------------------------------------------------------------------------------------------- long and short


@ag.remote
def run_long(log: Any, k: int) -> None:
    for _ in range(k):
        ag.get(log.add.remote(1))


@ag.remote
def come_before(log: Any, k: int) -> None:
    assert ag.get(log.get.remote()) < k, "the short one came after all of the long one"


def late_short(k: int = 25) -> None:
    """One call against ``k`` of another task, after all of them: a random walk has to win ``k`` times."""
    log = Cell.remote()
    finish([come_before.remote(log, k), run_long.remote(log, k)])


def late_short_fixed(k: int = 25) -> None:
    log = Cell.remote()
    ag.get(come_before.remote(log, k))
    ag.get(run_long.remote(log, k))


@ag.remote
def prepare(ready: Any) -> None:
    ag.get(ready.set.remote(True))


@ag.remote
def use_after(ready: Any, log: Any, k: int) -> None:
    for _ in range(k):
        ag.get(log.add.remote(1))
    assert ag.get(ready.get.remote()), "it is used and was never prepared"


def pct_fig5(k: int = 20) -> None:
    """A bug of depth one (Burckhardt et al. 2010): one task's first call has to wait for all of the other task."""
    ready, log = Cell.remote(False), Cell.remote()
    finish([prepare.remote(ready), use_after.remote(ready, log, k)])


def pct_fig5_fixed(k: int = 20) -> None:
    ready, log = Cell.remote(False), Cell.remote()
    ag.get(prepare.remote(ready))
    ag.get(use_after.remote(ready, log, k))


# ------------------------------------------------------------------------------------------------------------- uneven


@ag.remote
def link(log: Any, left: int) -> None:
    """Make one call, then start the next link of the chain."""
    ag.get(log.add.remote(1))
    if left > 1:
        ag.get(link.remote(log, left - 1))


@ag.remote
def look(log: Any) -> int:
    return int(ag.get(log.get.remote()))


def uneven_spawn(k: int = 8) -> None:
    """Two short tasks and a chain of tasks that starts one after the other: both come last (Shuttle's ``surw``)."""
    log = Cell.remote()
    *seen, _ = finish([look.remote(log), look.remote(log), link.remote(log, k)])
    assert min(seen) < k, "both short ones came after the whole chain"


def uneven_spawn_fixed(k: int = 8) -> None:
    log = Cell.remote()
    seen = finish([look.remote(log), look.remote(log)])
    ag.get(link.remote(log, k))
    assert min(seen) < k


# ---------------------------------------------------------------------------------------------------------- atomicity


@ag.remote
def write_and_look(cell: Any) -> None:
    ag.get(cell.set.remote("mine"))
    assert ag.get(cell.get.remote()) == "mine", "somebody else wrote between the two"


@ag.remote
def write_other(cell: Any) -> None:
    ag.get(cell.set.remote("yours"))


@ag.remote
class Register:
    """A variable that is written and read in one call."""

    def __init__(self) -> None:
        self.value = ""

    def set(self, value: str) -> str:
        self.value = value
        return self.value


@ag.remote
def write_and_look_at_once(cell: Any) -> None:
    assert ag.get(cell.set.remote("mine")) == "mine"


def fig1b(n: int = 10) -> None:
    """One place where another task must come, and ``n`` that make noise (Zhao et al. 2025)."""
    cell, noise = Cell.remote(), Cell.remote()
    finish([write_and_look.remote(cell), write_other.remote(cell), *(add_n.remote(noise, 1) for _ in range(n))])


def fig1b_fixed(n: int = 10) -> None:
    cell, noise = Register.remote(), Cell.remote()
    finish([write_and_look_at_once.remote(cell), write_other.remote(cell), *(add_n.remote(noise, 1) for _ in range(n))])


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


@ag.remote
def turn_all(lock: Any, digits: list[int]) -> None:
    for digit in digits:
        ag.get(lock.turn.remote(digit))


def combination_lock_fixed(n: int = 4) -> None:
    """One task turns all digits, in an order that does not open it."""
    lock = Combination.remote(n)
    finish([turn_all.remote(lock, list(range(n)))])
