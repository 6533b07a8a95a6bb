"""The list of all animals of the zoo, and what is known of each."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from actorgrid import sim
from actorgrid.exceptions import DeadlockError, GetTimeoutError
from tests.zoo import actors, crashes, locks, owners, protocols, replication, separators, shared_state, structures

Program = Callable[..., None]


@dataclass(frozen=True)
class Animal:
    """A program with a bug, and what is known of it."""

    buggy: Program
    #: The fewest deviations from the dull run that show the bug ...
    deviations: int
    args: tuple[Any, ...] = ()
    faults: sim.Faults = field(default_factory=sim.Faults)
    #: ... and how many of them are faults.
    accidents: int = 0
    #: What the bug raises.
    error: type[BaseException] = AssertionError
    #: Schedules that differ in something that matters, and how many of them fail; None: too many to count here.
    classes: tuple[int, int] | None = None
    #: How many there are without the bug; none fails.
    fixed_classes: int | None = None
    #: It takes more than a second to find or to shrink.
    slow: bool = False
    #: Shrinking may end at so many deviations, if there are local minima with more than the fewest; 0: it may not.
    stuck: int = 0

    @property
    def fixed(self) -> Program:
        """The program without the bug: it stands beside it."""
        program: Program = getattr(sys.modules[self.buggy.__module__], f"{self.buggy.__name__}_fixed")
        return program

    def __str__(self) -> str:
        return self.buggy.__name__ + "".join(f"_{arg}" for arg in self.args)


KILL_1: Final = sim.Faults(kill=1)
KILL_2: Final = sim.Faults(kill=2)
KILL_TASK: Final = sim.Faults(kill=1, actors=False)
JUMP: Final = sim.Faults(clock_jumps=1)

#: asyncio.wait_for takes fewer turns of its loop there, and turns are choices.
SINCE_3_12 = sys.version_info >= (3, 12)
TWO_PHASE_COMMIT = (33, 24) if SINCE_3_12 else (167, 152)

ZOO = [
    # A: orders of reads and writes; locks; data structures
    Animal(shared_state.account, 1, classes=(6, 2), fixed_classes=2),
    Animal(shared_state.lost_update, 1, classes=(4, 2), fixed_classes=2),
    Animal(shared_state.lost_update, 1, (3, 2), fixed_classes=90),
    Animal(shared_state.reorder, 1, (3,), classes=(36, 16), fixed_classes=6),
    Animal(shared_state.reorder, 1, (5,), fixed_classes=120),
    Animal(shared_state.reorder, 1, (10,)),
    Animal(shared_state.reorder, 1, (20,)),
    Animal(shared_state.reorder, 1, (50,), slow=True),
    Animal(shared_state.twostage, 1, classes=(3, 1), fixed_classes=2),
    Animal(shared_state.twostage, 1, (20,), slow=True),
    Animal(shared_state.twostage, 1, (100,), slow=True),
    Animal(shared_state.token_ring, 1, classes=(24, 5), fixed_classes=1),
    Animal(shared_state.lazy01, 1, classes=(6, 2), fixed_classes=2),
    Animal(shared_state.bluetooth, 1, classes=(12, 1), fixed_classes=8),
    Animal(locks.wronglock, 1, classes=(8, 2), fixed_classes=4),
    Animal(locks.deadlock01, 1, error=DeadlockError, classes=(9, 1), fixed_classes=8),
    Animal(locks.philosophers, 2, error=DeadlockError, classes=(49, 1), fixed_classes=48),
    Animal(locks.philosophers, 1, (2,), error=DeadlockError, classes=(9, 1), fixed_classes=8),
    Animal(locks.philosophers, 3, (4,), error=DeadlockError, slow=True),
    Animal(locks.philosophers, 4, (5,), error=DeadlockError, slow=True),
    Animal(locks.philosophers, 5, (6,), error=DeadlockError, slow=True),
    Animal(locks.philosophers, 6, (7,), error=DeadlockError, slow=True, stuck=8),
    Animal(locks.phase01, 1, error=DeadlockError, classes=(2, 1), fixed_classes=2),
    Animal(locks.sync01, 1, error=DeadlockError, classes=(3, 1), fixed_classes=3),
    Animal(locks.sync02, 1, error=DeadlockError, classes=(4, 2), fixed_classes=2),
    Animal(locks.carter01, 1, error=DeadlockError, classes=(8, 4), fixed_classes=4),
    Animal(structures.aba, 1, classes=(18, 1), fixed_classes=18),
    Animal(structures.circular_buffer, 1, classes=(12, 4), fixed_classes=6),
    Animal(structures.queue, 1, classes=(4, 2), fixed_classes=2),
    Animal(structures.stack, 1, classes=(14, 12), fixed_classes=2),
    Animal(structures.file_system, 1, classes=(4, 2), fixed_classes=2),
    Animal(structures.file_system, 1, (14,), slow=True),
    Animal(structures.file_system, 1, (24,), slow=True, stuck=6),  # very few single deviations show it
    # B: separators of ways to search
    Animal(separators.late_short, 1, classes=(26, 1), fixed_classes=1),
    Animal(separators.pct_fig5, 1, classes=(2, 1), fixed_classes=1),
    Animal(separators.uneven_spawn, 1, classes=(81, 1), fixed_classes=1),
    Animal(separators.fig1b, 1),
    Animal(separators.combination_lock, 3, (4,), classes=(24, 1), fixed_classes=1),
    Animal(separators.combination_lock, 4, (5,), classes=(120, 1), fixed_classes=1),
    Animal(separators.combination_lock, 5, (6,), fixed_classes=1, slow=True),
    # C: how actors hear of things and wait
    Animal(actors.causal, 1, classes=(2, 1), fixed_classes=1),
    Animal(actors.causal, 1, (3,), classes=(2, 1), fixed_classes=1),
    Animal(actors.causal, 1, (6,), classes=(2, 1), fixed_classes=1),
    Animal(actors.stale_cache, 1, classes=(5, 1), fixed_classes=5),
    Animal(actors.stale_cache, 1, (2,), classes=(48, 12), fixed_classes=41),
    Animal(actors.behavioural_deadlock, 1, error=DeadlockError, classes=(3, 1), fixed_classes=12),
    Animal(actors.await_interleave, 1, classes=(4, 2), fixed_classes=4),
    Animal(actors.turn_interleave, 1, classes=(4, 2), fixed_classes=4),
    Animal(actors.livelock_backoff, 4, fixed_classes=4),
    Animal(actors.impatient, 1, error=GetTimeoutError, classes=(2, 1), fixed_classes=1),
    Animal(actors.wait_order, 1, classes=(2, 1), fixed_classes=2),
    # D: crashes, timeouts, clocks
    Animal(crashes.retry_add, 1, faults=KILL_TASK, accidents=1, classes=(6, 3), fixed_classes=6),
    Animal(crashes.money_transfer, 1, faults=KILL_TASK, accidents=1, classes=(12, 8), fixed_classes=6),
    Animal(crashes.saga_check_then_act, 1, faults=KILL_TASK, accidents=1, classes=(13, 5), fixed_classes=6),
    Animal(crashes.work_queue_ack, 1, faults=KILL_TASK, accidents=1, classes=(27, 9), fixed_classes=27),
    Animal(crashes.lock_holder_dies, 1, faults=KILL_TASK, accidents=1, error=DeadlockError, classes=(210, 56)),
    Animal(crashes.restart_amnesia, 1, faults=KILL_1, accidents=1, classes=(6, 2), fixed_classes=36),
    Animal(crashes.two_crash, 2, faults=KILL_2, accidents=2),
    Animal(owners.owner_death, 1, faults=KILL_1, accidents=1, classes=(6, 2), fixed_classes=5),
    Animal(owners.oom_retry, 0, classes=(1, 1), fixed_classes=1),
    Animal(crashes.at_most_once_unknown, 1, faults=KILL_1, accidents=1, classes=(15, 3), fixed_classes=15),
    Animal(crashes.timeout_then_late_reply, 0, classes=(2, 2), fixed_classes=2),
    # Its tasks compare clocks, so that it matters when each starts.
    Animal(crashes.clock_backwards, 1, faults=JUMP, accidents=1, classes=(275, 28), fixed_classes=259),
    # E: protocols
    Animal(protocols.client_server_withdraw, 1, classes=(4, 2), fixed_classes=1),
    Animal(protocols.two_phase_commit, 1, classes=TWO_PHASE_COMMIT, fixed_classes=309 if SINCE_3_12 else 963),
    Animal(protocols.two_phase_client, 1, classes=(4, 2), fixed_classes=4),
    Animal(protocols.espresso, 1, classes=(5, 1), fixed_classes=5),
    Animal(protocols.failure_detector, 1, classes=(2, 1), fixed_classes=2),
    Animal(protocols.chang_roberts, 1, classes=(6, 2), fixed_classes=8),
    Animal(replication.paxos, 1),
    Animal(replication.raft_double_vote, 1, faults=KILL_1, accidents=1, classes=(144, 14), fixed_classes=408),
    Animal(replication.raft_stale_append, 1, classes=(3, 1), fixed_classes=3),
    Animal(replication.raft_old_term, 1, classes=(3, 1), fixed_classes=3),
    Animal(replication.crdt_merge, 1, classes=(2, 1), fixed_classes=2),
    Animal(replication.gossip_resurrects, 1, classes=(3, 1), fixed_classes=3),
    Animal(replication.fdb_cycle, 1, classes=(148, 118), fixed_classes=8),
]
