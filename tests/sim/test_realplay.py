"""What was found in simulation is seen to happen on real processes."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

import pytest

import actorgrid as ag
from actorgrid import sim
from actorgrid.sim import realplay
from tests.thinning import one_in
from tests.zoo import actors, crashes, locks, protocols, replication, separators, shared_state, structures

pytestmark = pytest.mark.search

Cell: Any = shared_state.Cell
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
    (locks.deadlock01, (), None),
    (locks.philosophers, (), None),
    (locks.phase01, (), None),
    (locks.sync01, (), None),
    (locks.sync02, (), None),
    (locks.carter01, (), None),
    (actors.behavioural_deadlock, (), None),
    (crashes.lock_holder_dies, (), sim.Faults(kill=1, actors=False)),
]


@pytest.mark.parametrize(
    ("program", "args", "faults"), one_in(4, PROGRAMS), ids=lambda value: getattr(value, "__name__", None)
)
def test_counterexample_happens_on_real_processes(
    monkeypatch: pytest.MonkeyPatch, program: Callable[..., None], args: tuple[Any, ...], faults: sim.Faults | None
) -> None:
    monkeypatch.setattr(realplay, "QUIET", 1.0)  # a hang is expected here: nobody need be sure
    found = sim.explore(program, *args, runs=2500, faults=faults).failures[0]
    real = sim.replay(found.schedule.dumps(), program, *args, real=True, timeout=20)
    assert real.missing == []
    assert real.unenforced == []
    assert real.identity[0] == found.run.identity[0]
    assert real.identity == found.run.identity or real.identity[0] == "DeadlockError"
    assert real.confirmed


def test_deadlock_that_was_foretold_hangs_and_is_ended() -> None:
    found = sim.explore(locks.phase01, runs=100).failures[0]
    real = sim.replay(found.schedule, locks.phase01, real=True, timeout=20)
    assert real.hung
    assert real.confirmed
    assert str(real) == "on real processes the program hangs, as in the simulator"


def test_order_that_does_not_come_about_is_given_up_and_that_is_said() -> None:
    runs: list[int] = []

    def changes() -> None:
        cell, other = Cell.remote(), Cell.remote()
        runs.append(1)
        ag.get((cell if len(runs) == 1 else other).get.remote())  # really, nobody makes the call that was recorded
        ag.get(cell.get.remote())

    real = sim.replay(sim.Schedule(), changes, real=True, timeout=2)
    assert real.timed_out
    assert not real.confirmed
    assert isinstance(real.error, TimeoutError)
    assert str(real).startswith("on real processes the program did not end, and was ended, not as in the simulator")
    assert "did not end in 2 s: what was recorded did not come to pass" in str(real)


def test_head_dies_for_real() -> None:
    found = sim.explore(shared_state.account_fixed, runs=100, faults=sim.Faults(head=True)).failures[0]
    real = sim.replay(found.schedule, shared_state.account_fixed, real=True, timeout=20)
    assert real.unenforced == []
    assert real.identity == found.run.identity
    assert real.identity[0] == "HeadDiedError"
    assert "SIGKILL" in str(real.error)


def stores() -> None:
    ag.put(bytes(300_000))


def asks() -> None:
    ag.get(Cell.remote().get.remote())


def times_out() -> None:
    ag.get(Cell.remote().get.remote(), timeout=5)


def looks_at_the_clock() -> None:
    began = time.time()
    asks()
    assert abs(time.time() - began) < 100


def polls() -> None:
    assert ag.wait([Cell.remote().get.remote()], timeout=0)[0]


def draws() -> None:
    assert random.random() > 2


def is_lucky() -> None:
    assert not sim.buggify("luck")


@pytest.mark.parametrize(
    ("program", "faults", "step", "why"),
    [
        (actors.wait_order, None, "wait() sees another one first", "up to the real processes"),
        (stores, sim.Faults(store_full=1), "the store has no room for 300", "the room that it has"),
        (times_out, None, "main: get() times out", "real clocks"),
        (looks_at_the_clock, sim.Faults(clock_jumps=1), "the wall clock jumps", "left alone"),
        (polls, None, "main looks again", "when it happens to look"),
        (draws, None, "random numbers, first drawn at test_realplay.py", "draw others"),
        (is_lucky, None, "luck", "in simulations only"),
    ],
)
def test_step_that_is_not_enforced_is_named_with_its_reason(
    program: Callable[..., None], faults: sim.Faults | None, step: str, why: str
) -> None:
    found = sim.explore(program, runs=300, faults=faults).failures[0]
    real = sim.replay(found.schedule, program, real=True, timeout=20)
    assert any(step in line and why in line for line in real.unenforced), real.unenforced


def sees_one_of_two() -> None:
    one, other = Cell.remote(), Cell.remote()
    refs = [one.get.remote(), other.get.remote()]
    ag.wait(refs[:1])
    assert not ag.wait(refs[1:], timeout=0)[0]


def test_late_notice_is_named() -> None:
    # Delaying the notice is what lets the other call finish first.
    proof = sim.prove(sees_one_of_two, reduction="none")
    late = [each for each in proof.failures if any((c.kind, c.over) == ("call", "notice") for c in each.record)]
    real = sim.replay(late[0].schedule, sees_one_of_two, real=True, timeout=20)
    assert any("is seen to be over only after this" in line for line in real.unenforced)


def schedule_that(kind: str, label: str, faults: sim.Faults) -> sim.Schedule:
    """Return a schedule of ``asks`` in which this happens, though nothing fails of it."""
    for at in range(4):
        schedule = sim.Schedule(0, ((at, 1),), faults.settings())
        if any(
            choice.kind == kind and label in choice.label for choice in sim.run(asks, schedule=schedule).record[at:]
        ):
            return schedule
    raise AssertionError(f"there is no such schedule: {label}")


@pytest.mark.parametrize(
    ("kind", "label", "faults", "why"),
    [
        ("kill", "kill the driver", sim.Faults(driver=True), "the driver is the process that plays this"),
        ("spawn", "does not start", sim.Faults(spawn_errors=1), "the system starts a process whenever it can"),
    ],
)
def test_accident_without_consequences_is_named_all_the_same(
    kind: str, label: str, faults: sim.Faults, why: str
) -> None:
    real = sim.replay(schedule_that(kind, label, faults), asks, real=True, timeout=20)
    (line,) = real.unenforced
    assert label in line
    assert why in line


def test_process_of_a_grid_plays_nothing_for_real(grid: object) -> None:
    # It would start a grid whose processes may do the same: that is what an import without a guard led to.
    del grid
    schedule = sim.run(shared_state.account).schedule

    @ag.remote
    def play() -> None:
        sim.replay(schedule, shared_state.account, real=True)

    with pytest.raises(RuntimeError, match="cannot start a grid of its own"):
        ag.get(play.remote())
