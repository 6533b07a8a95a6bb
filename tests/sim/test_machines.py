"""The machines of head, workers and driver under random programs, schedules and deaths: what must always hold.

Safety: every invariant after every message. Liveness: every program ends. Conservation: nothing is left. And by the
ledger of each program: whose process did not die under it is not blamed, nothing runs more often than it may, and the
calls of one caller run in their order.
"""

from __future__ import annotations

from typing import Any
from unittest import mock

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import actorgrid as ag
from actorgrid import sim
from actorgrid.core.head.machine import HeadConfig
from actorgrid.core.head.records import Actor
from actorgrid.sim import grid, worker
from actorgrid.sim.choices import Forced, Policy
from actorgrid.testing.programs import LARGE, Act, play
from actorgrid.testing.strategies import faults, programs, schedules

pytestmark = pytest.mark.search

LEVELS = ["calls", "links"]
#: To explain a failure costs minutes of tracing, and the note that the world leaves says more.
PHASES = (Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink)
SOME = settings(
    phases=PHASES, deadline=None, max_examples=12, derandomize=True, suppress_health_check=list(HealthCheck)
)
MANY = settings(SOME, max_examples=3000, derandomize=False)


def nothing_is_left(world: sim.World) -> None:
    """Assert that the grid is as it was when it began."""
    assert world.grid is not None
    head = world.grid.head
    assert not head.tasks.table, [task.spec.spec.name for task in head.tasks.table.values()]
    assert not [held for held in head.objects.table.values() if not isinstance(held, Actor)]
    assert not [held for held in head.objects.table.values() if isinstance(held, Actor) and held.death is None]
    assert head.ready.pool.free == head.ready.pool.capacity
    assert head.memory.orphaned == 0
    assert all(peer.live_bytes == 0 for peer in head.peers.values())


def proving(*args: Any, **options: Any) -> HeadConfig:
    """Return what the head of real processes is told; the simulator finds deadlocks by itself."""
    return HeadConfig(*args, **{**options, "prove_deadlocks": True})


#: Room for a handful of large values: some find the store full.
SMALL_STORE = 5 * LARGE
spans = st.sampled_from([worker.MICROS, 1])
stores = st.sampled_from([None, SMALL_STORE])


def run_and_look(
    acts: tuple[Act, ...], cpus: int, plan: sim.Faults, level: sim.Level, *, store: int | None = None, ask: bool = True,
    micros: int = worker.MICROS, proves: bool = False, starts: bool = False, policy: Policy | None = None,
) -> None:  # fmt: skip
    """Play a program: it ends, every invariant holds after every message, every promise was kept, nothing is left.

    ``micros``: how long tasks seem to run. The head sends those that are short ahead: a death takes some along that
    have not begun. ``proves``: the head looks for calls that wait for each other, as it does for real processes.
    ``starts``: tasks start when it is chosen. ``policy``: who chooses; None: the test case.
    """
    with (
        mock.patch.object(worker, "MICROS", micros),
        mock.patch.object(grid, "HeadConfig", proving if proves else HeadConfig),
        sim.world(checks=True, faults=plan, max_events=20_000, level=level, starts=starts, policy=policy) as world,
    ):
        ag.init(num_cpus=cpus, object_store_memory=store)
        outcome = play(acts, ask=ask)
        sim.settle()
        assert not outcome.ledger.wrong(plan.low_memory)
        if world.grid is not None and world.grid.open and not outcome.ledger.stuck():
            nothing_is_left(world)


@pytest.mark.parametrize("level", LEVELS)
@SOME
@given(programs(shortest=4), st.integers(1, 3), stores, st.booleans(), st.booleans())
def test_every_program_ends_and_leaves_nothing(
    level: sim.Level, acts: tuple[Act, ...], cpus: int, store: int | None, ask: bool, proves: bool
) -> None:
    run_and_look(acts, cpus, sim.Faults(), level, store=store, ask=ask, proves=proves)


@pytest.mark.parametrize("level", LEVELS)
@SOME
@given(programs(shortest=4), st.integers(1, 3), faults(), stores, spans, st.booleans())
def test_every_program_ends_and_leaves_nothing_whoever_dies(
    level: sim.Level, acts: tuple[Act, ...], cpus: int, plan: sim.Faults, store: int | None, micros: int, starts: bool
) -> None:
    run_and_look(acts, cpus, plan, level, store=store, micros=micros, starts=starts)


@pytest.mark.parametrize("level", LEVELS)
@SOME
@given(programs(shortest=4), st.integers(1, 3), faults(most_kills=1, ends=True))
def test_every_promise_is_kept_until_head_or_driver_die(
    level: sim.Level, acts: tuple[Act, ...], cpus: int, plan: sim.Faults
) -> None:
    run_and_look(acts, cpus, plan, level)


@SOME
@given(programs(shortest=4), schedules(plans=faults()))
def test_every_program_does_the_same_again_under_the_same_schedule(
    acts: tuple[Act, ...], schedule: sim.Schedule
) -> None:
    digests = set()
    for _ in range(2):
        plan, policy = sim.Faults.of(schedule.settings), Forced(dict(schedule.deviations))
        with sim.world(faults=plan, policy=policy) as world:
            play(acts)
            sim.settle()
        digests.add(world.choices.digest())
    assert len(digests) == 1


@pytest.mark.slow
@pytest.mark.parametrize("level", LEVELS)
@MANY
@given(programs(shortest=4), st.integers(1, 3), faults(), stores, spans, st.booleans())
def test_thousands_of_programs_end_and_leave_nothing(
    level: sim.Level, acts: tuple[Act, ...], cpus: int, plan: sim.Faults, store: int | None, micros: int, starts: bool
) -> None:
    run_and_look(acts, cpus, plan, level, store=store, micros=micros, starts=starts)
