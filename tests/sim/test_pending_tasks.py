"""Waiting for room among the pending tasks, in virtual time: what it can lead to is found."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

from typing import Any

import actorgrid as ag
from actorgrid import sim
from actorgrid.exceptions import DeadlockError
from tests.zoo.shared_state import Cell


@ag.remote
def add(cell: Any) -> int:
    return int(ag.get(cell.add.remote(1)))


@ag.remote(num_cpus=0)
class Door:
    """Opens once somebody has opened it."""

    def __init__(self) -> None:
        import asyncio

        self.opened = asyncio.Event()

    async def open(self) -> None:
        self.opened.set()

    async def enter(self) -> None:
        await self.opened.wait()


@ag.remote(num_cpus=0)
def enter(door: Any) -> None:
    ag.get(door.enter.remote())


@ag.remote(num_cpus=0)
def open_it(door: Any) -> None:
    ag.get(door.open.remote())


def five_of_two() -> None:
    ag.init(max_pending_tasks=2)
    cell = Cell.remote()
    refs = [add.remote(cell) for _ in range(5)]
    assert sorted(ag.get(refs)) == [1, 2, 3, 4, 5]


def behind_a_door() -> None:
    ag.init(max_pending_tasks=1)
    door = Door.remote()
    refs = [enter.remote(door), open_it.remote(door)]
    ag.get(refs)


def test_all_tasks_run_under_every_order_and_death() -> None:
    found = sim.explore(five_of_two, runs=100)
    assert not found.failures, found.failures[0].report


def test_task_that_waits_for_one_that_has_no_room_is_a_deadlock_that_says_so() -> None:
    error = sim.run(behind_a_door).error
    assert isinstance(error, DeadlockError)
    assert "main waits in remote for enter 1" in str(error)
