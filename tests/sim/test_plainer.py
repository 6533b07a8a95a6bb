"""A failure is told with as little held back as will do, and shrinks the better for it."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import asyncio
import random

import actorgrid as ag
from actorgrid import sim
from actorgrid.sim.onlookers import Holds
from actorgrid.sim.plainer import plainer
from actorgrid.sim.policies import RandomWalk
from actorgrid.sim.runner import Program, Run
from tests.zoo.catalogue import ZOO
from tests.zoo.shared_state import Cell, read_then_write

EVERYTHING = Holds.ALL | Holds.TURNS | Holds.THREADS | Holds.CALLS


@ag.remote
class Slow:
    """Has a gap between what it reads and what it writes."""

    def __init__(self) -> None:
        self.value = 0

    async def add(self) -> int:
        before = self.value
        await asyncio.sleep(0)
        self.value = before + 1
        return self.value


def adds_twice() -> None:
    slow = Slow.remote()
    assert max(ag.get([slow.add.remote(), slow.add.remote()])) == 2


def loses_an_update() -> None:
    cell = Cell.remote()
    ag.get([read_then_write.remote(cell, 1) for _ in range(2)])
    assert ag.get(cell.get.remote()) == 2


def first_failure(program: Program) -> Run:
    for seed in range(200):
        run = program.run(RandomWalk(random.Random(seed)), seed)
        if run.failed:
            return run
    raise AssertionError("nothing fails")


def test_failure_that_needs_nothing_held_back_is_told_without() -> None:
    program = Program(loses_an_update, holds=EVERYTHING)
    failed = first_failure(program)
    simpler, found, replays = plainer(program, failed)
    assert (simpler.holds, found.schedule.settings) == (Holds.NOTHING, {})
    assert found.identity == failed.identity
    assert found.events < failed.events
    assert replays == 2


def test_failure_that_needs_turns_is_told_with_nothing_else() -> None:
    program = Program(adds_twice, holds=EVERYTHING)
    simpler, found, _ = plainer(program, first_failure(program))
    assert simpler.holds == Holds.TURNS
    assert found.failed


def test_failure_with_nothing_held_back_is_left_alone() -> None:
    program = Program(loses_an_update)
    failed = first_failure(program)
    assert plainer(program, failed) == (program, failed, 0)


def test_found_failure_shrinks_to_what_it_needs_although_the_search_went_on_with_turns() -> None:
    animal = next(animal for animal in ZOO if str(animal) == "philosophers_4")
    for seed in (0, 1, 5):  # in what these find first turns were held back
        failure = sim.explore(animal.buggy, *animal.args, seed=seed).failures[0]
        assert failure.first.schedule.settings["holds"] == Holds.TURNS
        assert failure.schedule.settings == {}
        assert len(failure.schedule.deviations) == 3
