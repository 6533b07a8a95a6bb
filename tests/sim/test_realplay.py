"""What was found in simulation is seen to happen on real processes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from actorgrid import sim
from tests.zoo import actors, shared_state

KILL = sim.Faults(kill=1)
PROGRAMS: list[tuple[Callable[..., None], tuple[Any, ...], sim.Faults | None]] = [
    (shared_state.account, (), None),
    (shared_state.lost_update, (3, 2), None),
    (shared_state.reorder, (5,), None),
    (shared_state.twostage, (), None),
    (shared_state.wronglock, (), None),
    (shared_state.token_ring, (), None),
    (shared_state.bluetooth, (), None),
    (shared_state.aba, (), None),
    (shared_state.stale_cache, (), None),
    (shared_state.combination_lock, (4,), None),
    (shared_state.causal, (), None),
    (actors.await_interleave, (), None),
    (actors.retry_add, (), KILL),
    (actors.money_transfer, (), KILL),
    (actors.restart_amnesia, (), KILL),
    (actors.work_queue_ack, (), KILL),
    (actors.two_crash, (), sim.Faults(kill=2)),
]


@pytest.mark.parametrize(("program", "args", "faults"), PROGRAMS, ids=lambda value: getattr(value, "__name__", None))
def test_counterexample_happens_on_real_processes(
    program: Callable[..., None], args: tuple[Any, ...], faults: sim.Faults | None
) -> None:
    found = sim.explore(program, *args, runs=2500, faults=faults).failures[0]
    real = sim.replay(found.schedule.dumps(), program, *args, real=True, timeout=20)
    assert real.missing == []
    assert real.unenforced == []
    assert real.identity == found.run.identity
    assert real.confirmed


def test_what_cannot_be_enforced_is_said() -> None:
    found = sim.explore(actors.wait_order, runs=100).failures[0]
    real = sim.replay(found.schedule, actors.wait_order, real=True, timeout=20)
    assert any("wait()" in line for line in real.unenforced)
