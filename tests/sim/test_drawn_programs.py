"""Whole programs drawn from seeds, each of a dozen acts or more, on random schedules with whatever ``Faults`` has.

Hypothesis (``test_machines``) makes what fails small, but draws mostly short programs; here number and length
count. What fails names its seed.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

import pytest

from actorgrid import sim
from actorgrid.sim import worker
from actorgrid.sim.choices import Policy
from actorgrid.sim.faults import KILL_POINTS
from actorgrid.sim.policies import Delays, PartialOrder, Priorities, RandomWalk
from actorgrid.testing.programs import KINDS, STARTS, Act
from tests.sim.test_machines import LEVELS, SMALL_STORE, run_and_look
from tests.thinning import one_in

pytestmark = pytest.mark.search

BLOCK: Final = 15
POLICIES: Final[list[Callable[[random.Random], Policy]]] = [
    RandomWalk, PartialOrder, lambda rng: Priorities(rng, 4, 100), lambda rng: Delays(rng, 0.1),
]  # fmt: skip


def acts(rng: random.Random, depth: int, least: int, most: int) -> tuple[Act, ...]:
    return tuple(
        Act(
            rng.choice(KINDS), rng.randrange(4), rng.randrange(3), rng.random() < 0.5,
            acts(rng, depth - 1, 0, 5) if depth else (),
        )
        for _ in range(rng.randint(least, most))
    )  # fmt: skip


def plans(rng: random.Random) -> sim.Faults:
    if rng.random() < 0.3:
        return sim.Faults()
    points = KILL_POINTS if rng.random() < 0.5 else frozenset(rng.sample(sorted(KILL_POINTS), 2))
    return sim.Faults(
        kill=rng.choice([0, 1, 2, 4]), actors=rng.random() < 0.5, kill_points=points, clock_jumps=rng.randrange(2),
        spawn_errors=rng.randrange(2), store_full=rng.randrange(2), spill_errors=rng.randrange(3),
        low_memory=rng.randrange(3), head=rng.random() < 0.1, driver=rng.random() < 0.1,
    )  # fmt: skip


def run(seed: int, level: sim.Level) -> None:
    """Run the program of a seed."""
    rng = random.Random(seed)
    program, plan = rng.choice(STARTS) + acts(rng, 2, 4, 20), plans(rng)
    cpus, store = rng.randint(1, 3), rng.choice([None, SMALL_STORE])
    rng = random.Random(~seed)  # the same program, whatever is drawn for the world
    policy, starts, ask = rng.choice(POLICIES)(rng), rng.random() < 0.4, rng.random() < 0.5
    micros, proves = rng.choice([worker.MICROS, 1]), rng.random() < 0.3
    run_and_look(
        program, cpus, plan, level,
        store=store, ask=ask, micros=micros, proves=proves, starts=starts, policy=policy,
    )  # fmt: skip


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("block", one_in(10, range(60)))
def test_drawn_programs_keep_every_promise_and_leave_nothing(block: int, level: sim.Level) -> None:
    for seed in range(BLOCK * block, BLOCK * (block + 1)):
        try:
            run(seed, level)
        except Exception as error:
            error.add_note(f"seed {seed}")
            raise
