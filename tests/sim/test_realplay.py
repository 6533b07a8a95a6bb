"""What was found in simulation is seen to happen on real processes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import actorgrid as ag
from actorgrid import sim
from tests.zoo import actors, crashes, locks, protocols, replication, separators, shared_state, structures

KILL = sim.Faults(kill=1)
PROGRAMS: list[tuple[Callable[..., None], tuple[Any, ...], sim.Faults | None]] = [
    (shared_state.account, (), None),
    (shared_state.lost_update, (3, 2), None),
    (shared_state.reorder, (5,), None),
    (shared_state.twostage, (), None),
    (locks.wronglock, (), None),
    (shared_state.token_ring, (), None),
    (shared_state.bluetooth, (), None),
    (structures.aba, (), None),
    (actors.stale_cache, (), None),
    (separators.combination_lock, (4,), None),
    (actors.causal, (), None),
    (actors.await_interleave, (), None),
    (crashes.retry_add, (), KILL),
    (crashes.money_transfer, (), KILL),
    (crashes.restart_amnesia, (), KILL),
    (crashes.work_queue_ack, (), KILL),
    (crashes.two_crash, (), sim.Faults(kill=2)),
    (structures.circular_buffer, (), None),
    (structures.queue, (), None),
    (structures.stack, (), None),
    (structures.file_system, (), None),
    (separators.fig1b, (), None),
    (protocols.client_server_withdraw, (), None),
    (protocols.espresso, (), None),
    (replication.paxos, (), None),
    (replication.raft_double_vote, (), KILL),
    (replication.crdt_merge, (), None),
    (replication.gossip_resurrects, (), None),
    (replication.fdb_cycle, (), None),
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


def test_process_of_a_grid_plays_nothing_for_real(grid: object) -> None:
    # It would start a grid whose processes may do the same: that is what an import without a guard led to.
    del grid
    schedule = sim.run(shared_state.account).schedule

    @ag.remote
    def play() -> None:
        sim.replay(schedule, shared_state.account, real=True)

    with pytest.raises(RuntimeError, match="cannot start a grid of its own"):
        ag.get(play.remote())
