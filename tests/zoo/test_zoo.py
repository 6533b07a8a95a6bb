"""The zoo: every planted bug is found and shrunk to its known minimum; every fix holds under every schedule tried."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from actorgrid import sim
from tests.zoo import actors, shared_state

Program = Callable[..., None]


@dataclass(frozen=True)
class Animal:
    """A program with a bug, without it, and what is known of it."""

    buggy: Program
    fixed: Program | None
    #: The fewest deviations from the dull run, and of them faults, that show the bug.
    deviations: int
    args: tuple[Any, ...] = ()
    faults: sim.Faults = field(default_factory=sim.Faults)
    #: Schedules that differ in something that matters, and how many of them fail; None: too many to count here.
    classes: tuple[int, int] | None = None

    def __str__(self) -> str:
        return self.buggy.__name__ + "".join(f"_{arg}" for arg in self.args)


KILL_1, KILL_2, KILL_TASK = sim.Faults(kill=1), sim.Faults(kill=2), sim.Faults(kill=1, actors=False)

ZOO = [
    Animal(shared_state.account, shared_state.account_fixed, 1, classes=(6, 2)),
    Animal(shared_state.lost_update, shared_state.lost_update_fixed, 1, classes=(4, 2)),
    Animal(shared_state.lost_update, shared_state.lost_update_fixed, 1, (3, 2)),
    Animal(shared_state.reorder, shared_state.reorder_fixed, 1, (3,)),
    Animal(shared_state.reorder, shared_state.reorder_fixed, 1, (20,)),
    Animal(shared_state.twostage, shared_state.twostage_fixed, 1),
    Animal(shared_state.wronglock, shared_state.wronglock_fixed, 1),
    Animal(shared_state.token_ring, shared_state.token_ring_fixed, 1),
    Animal(shared_state.bluetooth, shared_state.bluetooth_fixed, 1),
    Animal(shared_state.deadlock01, shared_state.deadlock01_fixed, 1),
    Animal(shared_state.philosophers, shared_state.philosophers_fixed, 2),
    Animal(shared_state.aba, shared_state.aba_fixed, 1),
    Animal(shared_state.stale_cache, shared_state.stale_cache_fixed, 1),
    Animal(shared_state.combination_lock, None, 3, (4,)),
    Animal(shared_state.causal, shared_state.causal_fixed, 1),
    Animal(shared_state.causal, shared_state.causal_fixed, 1, (3,)),
    Animal(actors.behavioural_deadlock, actors.behavioural_deadlock_fixed, 1),
    Animal(actors.await_interleave, actors.await_interleave_fixed, 1),
    Animal(actors.retry_add, actors.retry_add_fixed, 1, faults=KILL_TASK),
    Animal(actors.money_transfer, actors.money_transfer_fixed, 1, faults=KILL_TASK),
    Animal(actors.restart_amnesia, None, 1, faults=KILL_1),
    Animal(actors.work_queue_ack, None, 1, faults=KILL_1),
    Animal(actors.two_crash, None, 2, faults=KILL_2),
    Animal(actors.timeout_then_late_reply, None, 0),
    Animal(actors.impatient, None, 1),
    Animal(actors.wait_order, actors.wait_order_fixed, 1),
]


@functools.cache
def hunt(index: int) -> sim.Exploration:
    """Return what came of looking for the bug of an animal."""
    animal = ZOO[index]
    return sim.explore(animal.buggy, *animal.args, runs=2500, faults=animal.faults)


@pytest.mark.parametrize("animal", ZOO, ids=str)
def test_bug_is_found_and_shrunk_to_its_minimum(animal: Animal) -> None:
    found = hunt(ZOO.index(animal))
    assert found.failures, f"not found: {found}"
    assert len(found.failures[0].schedule.deviations) == animal.deviations, found.failures[0].report


@pytest.mark.parametrize("animal", ZOO, ids=str)
def test_counterexample_is_replayed_from_one_line(animal: Animal) -> None:
    found = hunt(ZOO.index(animal))
    failure = found.failures[0]
    again = sim.replay(failure.schedule.dumps(), animal.buggy, *animal.args)
    assert again.identity == failure.run.identity
    assert again.digest == failure.run.digest


@pytest.mark.parametrize("animal", [animal for animal in ZOO if animal.fixed], ids=str)
def test_fix_holds(animal: Animal) -> None:
    assert animal.fixed is not None
    found = sim.explore(animal.fixed, *animal.args, runs=60, faults=animal.faults)
    assert not found.failures, found.failures[0].report


@pytest.mark.parametrize("animal", [animal for animal in ZOO if animal.classes], ids=str)
def test_every_schedule_is_counted(animal: Animal) -> None:
    proof = sim.prove(animal.buggy, *animal.args, faults=animal.faults)
    assert proof.complete
    assert (proof.classes, proof.failing) == animal.classes
