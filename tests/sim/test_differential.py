"""What real processes do is among what is simulated: of small programs everything is, and some of it happens for real.

``spin`` is how long a program thinks before it goes on: what real processes do meanwhile depends on it, and what
simulated ones do does not.
"""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

import actorgrid as ag
from actorgrid import sim
from actorgrid.exceptions import ActorDiedError, GetTimeoutError, TaskCancelledError, TaskError
from tests.thinning import one_in
from tests.zoo.shared_state import Cell, finish

pytestmark = pytest.mark.search

SPINS = (0, 300_000, 2_000_000)


def think(spin: int) -> None:
    for _ in range(spin):
        pass


@ag.remote
def one() -> int:
    return 1


@ag.remote
def two() -> int:
    return 2


@ag.remote
def fail_by_value() -> None:
    raise ValueError


@ag.remote
def fail_by_key() -> None:
    raise KeyError


@ag.remote
def add_twice(cell: Any) -> None:
    cell.add.remote(1)
    cell.add.remote(1)


@ag.remote
class Twice:
    """Adds two to a cell, in two steps."""

    def hit(self, cell: Any) -> None:
        cell.add.remote(1)
        cell.add.remote(1)

    def pid(self) -> int:
        return os.getpid()


@ag.remote
class Announced:
    """Adds one to a cell as soon as it is there."""

    def __init__(self, cell: Any) -> None:
        cell.add.remote(1)


@ag.remote
class Stillborn:
    """Has no life."""

    def __init__(self) -> None:
        raise ValueError

    def nothing(self) -> None: ...


@ag.remote
def stamp() -> float:
    return time.monotonic()


@ag.remote
def look_up(name: str) -> str:
    try:
        return str(ag.get(ag.get_actor(name).get.remote()))
    except ValueError:
        return "no such name"


@ag.remote
def make(name: str) -> str:
    try:
        ag.get(Cell.options(name=name, lifetime="detached").remote().get.remote())
    except ValueError:
        return "taken"
    return "made"


def value_of(ref: Any, timeout: float | None = None) -> Any:
    """Return what comes of a task, in words if that is nothing good."""
    try:
        return ag.get(ref, timeout=timeout)
    except GetTimeoutError:
        return "timeout"
    except TaskCancelledError:
        return "cancelled"
    except ActorDiedError:
        return "died"
    except TaskError as error:
        return type(error.cause).__name__


def content(cell: Any, spin: int) -> int:
    """Return what is in a cell after a while."""
    think(spin)
    return int(ag.get(cell.get.remote()))


# ---------------------------------------------------------------------------------------------- the first look


def look_without_waiting(spin: int) -> Any:
    ref = one.remote()
    think(spin)
    return value_of(ref, 0)


def wait_without_waiting(spin: int) -> Any:
    ref = one.remote()
    think(spin)
    return len(ag.wait([ref], timeout=0)[0])


def look_after_another_result(spin: int) -> Any:
    ref = one.remote()
    ag.get(two.remote())
    think(spin)
    return value_of(ref, 0)


def impatient(spin: int) -> Any:
    del spin
    return value_of(one.remote(), 0.002)


def impatient_with_an_actor(spin: int) -> Any:
    del spin
    return value_of(Cell.remote().get.remote(), 0.002)


def lose_patience_and_cancel(spin: int) -> Any:
    del spin
    ref = one.remote()
    first = value_of(ref, 0.002)
    if first == "timeout":
        ag.cancel(ref)
    return first, value_of(ref)


# ------------------------------------------------------------------------------------------------------ the end


def cancel_late(spin: int) -> Any:
    ref = one.remote()
    think(spin)
    ag.cancel(ref)
    return value_of(ref)


def cancel_between_two_calls(spin: int) -> Any:
    cell = Cell.remote()
    ref = add_twice.remote(cell)
    think(spin)
    ag.cancel(ref)
    return value_of(ref), content(cell, spin)


def kill_late(spin: int) -> Any:
    cell, actor = Cell.remote(), Twice.remote()
    ag.get(actor.__ray_ready__.remote())
    actor.hit.remote(cell)
    think(spin)
    ag.kill(actor)
    return content(cell, spin)


def signal_late(spin: int) -> Any:
    cell, actor = Cell.remote(), Twice.remote()
    pid = ag.get(actor.pid.remote())
    actor.hit.remote(cell)
    think(spin)
    os.kill(pid, signal.SIGKILL)
    return content(cell, spin)


def kill_in_infancy(spin: int) -> Any:
    cell = Cell.remote()
    actor = Announced.remote(cell)
    think(spin)
    ag.kill(actor)
    return content(cell, spin)


def stillborn(spin: int) -> Any:
    del spin
    return value_of(Stillborn.remote().nothing.remote(), 0.002)


# ---------------------------------------------------------------------------------------------- who comes first


def first_error(spin: int) -> Any:
    del spin
    return value_of([fail_by_value.remote(), fail_by_key.remote()])


def first_stamp(spin: int) -> Any:
    del spin
    one_time, other_time = ag.get([stamp.remote(), stamp.remote()])
    return one_time < other_time


def stamp_before_mine(spin: int) -> Any:
    ref = stamp.remote()
    think(spin)
    mine = time.monotonic()
    return ag.get(ref) < mine


def name_too_late(spin: int) -> Any:
    ref = look_up.remote("cell")
    think(spin)
    cell = Cell.options(name="cell").remote()
    return ag.get(ref), ag.get(cell.get.remote())


def one_name_for_two(spin: int) -> Any:
    del spin
    return ag.get([make.remote("cell"), make.remote("cell")])


def first_of_two(spin: int) -> Any:
    del spin
    return ag.get(ag.wait([one.remote(), two.remote()], num_returns=1)[0][0])


async def first_awaited(spin: int) -> Any:
    del spin
    order: list[int] = []

    async def note(ref: Any) -> None:
        order.append(await ref)

    await asyncio.gather(note(one.remote()), note(two.remote()))
    return order


def first_thread(spin: int) -> Any:
    del spin
    order: list[int] = []
    refs = [one.remote(), two.remote()]
    threads = [threading.Thread(target=lambda ref=ref: order.append(ag.get(ref))) for ref in refs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return order


def lost_update(spin: int) -> Any:
    del spin
    cell = Cell.remote()

    @ag.remote
    def add() -> None:
        ag.get(cell.set.remote(ag.get(cell.get.remote()) + 1))

    finish([add.remote(), add.remote()])
    return ag.get(cell.get.remote())


@ag.remote
class Dozing:
    """Waits in the middle of an update for what is over at once."""

    def __init__(self) -> None:
        self.value = 0
        self.opened = asyncio.Event()

    async def add(self) -> None:
        value = self.value
        await asyncio.sleep(0)
        self.value = value + 1

    async def open(self) -> bool:
        self.opened.set()
        await asyncio.sleep(0)
        return self.opened.is_set()

    async def close(self) -> None:
        self.opened.clear()

    async def get(self) -> int:
        return self.value


def lost_between_turns(spin: int) -> Any:
    del spin
    dozing = Dozing.remote()
    ag.get([dozing.add.remote(), dozing.add.remote()])
    return ag.get(dozing.get.remote())


def closed_between_turns(spin: int) -> Any:
    del spin
    dozing = Dozing.remote()
    return ag.get([dozing.open.remote(), dozing.close.remote()])[0]


#: Programs, and everything that can come of each.
PROGRAMS: list[tuple[Callable[[int], Any], list[Any]]] = [
    (look_without_waiting, [1, "timeout"]),
    (wait_without_waiting, [0, 1]),
    (look_after_another_result, [1, "timeout"]),
    (impatient, [1, "timeout"]),
    (impatient_with_an_actor, [0, "timeout"]),
    (lose_patience_and_cancel, [(1, 1), ("timeout", 1), ("timeout", "cancelled")]),
    (cancel_late, [1, "cancelled"]),
    # The calls that a task has made arrive whenever they do, whatever has become of the task.
    (cancel_between_two_calls, [(end, calls) for end in (None, "cancelled") for calls in (0, 1, 2)]),
    (kill_late, [0, 1, 2]),
    (signal_late, [0, 1, 2]),
    (kill_in_infancy, [0, 1]),
    (stillborn, ["died", "timeout"]),
    (first_error, ["ValueError", "KeyError"]),
    (first_stamp, [True, False]),
    (stamp_before_mine, [True, False]),
    (name_too_late, [("0", 0), ("no such name", 0)]),
    (one_name_for_two, [["made", "taken"], ["taken", "made"]]),
    (first_of_two, [1, 2]),
    (first_awaited, [[1, 2], [2, 1]]),
    (first_thread, [[1, 2], [2, 1]]),
    (lost_update, [1, 2]),
    (lost_between_turns, [1, 2]),
    (closed_between_turns, [True, False]),
]


def name(value: object) -> str:
    return getattr(value, "__name__", "")


each = pytest.mark.parametrize(("program", "values"), PROGRAMS, ids=name)
some = pytest.mark.parametrize(("program", "values"), one_in(3, PROGRAMS), ids=name)


@each
def test_everything_that_can_come_of_a_program_is_simulated(program: Callable[[int], Any], values: list[Any]) -> None:
    diff = sim.differential(program, 0, real_runs=0, prove_below=2000)
    assert diff.exhaustive
    assert set(diff.simulated) == {("returned", repr(value)) for value in values}


@some
def test_search_finds_it_too(program: Callable[[int], Any], values: list[Any]) -> None:
    diff = sim.differential(program, 0, real_runs=0, runs=200)
    assert set(diff.simulated) == {("returned", repr(value)) for value in values}


def really(program: Callable[[int], Any], values: list[Any], runs: int) -> None:
    """Run a program for real, quick and slow, and see that nothing else comes of it."""
    for spin in SPINS:
        diff = sim.differential(program, spin, real_runs=runs, runs=0)
        assert set(diff.real) <= {("returned", repr(value)) for value in values}


@some
def test_nothing_else_comes_of_it_on_real_processes(program: Callable[[int], Any], values: list[Any]) -> None:
    really(program, values, 1)


@pytest.mark.slow
@each
def test_nothing_else_ever_comes_of_it_on_real_processes(program: Callable[[int], Any], values: list[Any]) -> None:
    really(program, values, 15)
