"""The machines of head, workers and driver under random programs, schedules and deaths: what must always hold."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import actorgrid as ag
from actorgrid import sim
from actorgrid.core.head.records import Actor
from actorgrid.testing.programs import Act, play
from actorgrid.testing.strategies import faults, programs

LEVELS = ["calls", "links"]
SOME = settings(deadline=None, max_examples=50, derandomize=True, suppress_health_check=list(HealthCheck))
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


def run_and_look(acts: tuple[Act, ...], cpus: int, plan: sim.Faults, level: sim.Level) -> None:
    """Play a program: it ends, every invariant holds after every message, and nothing is left."""
    with sim.world(checks=True, faults=plan, max_events=20_000, level=level) as world:
        ag.init(num_cpus=cpus)
        play(acts)
        sim.settle()
        nothing_is_left(world)


@pytest.mark.parametrize("level", LEVELS)
@SOME
@given(programs(), st.integers(1, 3))
def test_every_program_ends_and_leaves_nothing(level: sim.Level, acts: tuple[Act, ...], cpus: int) -> None:
    run_and_look(acts, cpus, sim.Faults(), level)


@pytest.mark.parametrize("level", LEVELS)
@SOME
@given(programs(), st.integers(1, 3), faults())
def test_every_program_ends_and_leaves_nothing_whoever_dies(
    level: sim.Level, acts: tuple[Act, ...], cpus: int, plan: sim.Faults
) -> None:
    run_and_look(acts, cpus, plan, level)


@pytest.mark.slow
@pytest.mark.parametrize("level", LEVELS)
@MANY
@given(programs(), st.integers(1, 3), faults())
def test_thousands_of_programs_end_and_leave_nothing(
    level: sim.Level, acts: tuple[Act, ...], cpus: int, plan: sim.Faults
) -> None:
    run_and_look(acts, cpus, plan, level)
