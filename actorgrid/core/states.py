"""States and transition tables of everything that has a life, in one place.

Rules for this file

* A table maps (state, input) to the next state. A pair that is absent is a bug in the caller and raises
  ``InternalError`` with the record's story: it is never ignored.
* Every absent pair is impossible for the reason given beside its table in ``IMPOSSIBLE_…``; tests prove that tables
  and lists together are total, that every state can be reached, and that every state can reach a final one.
* The state diagrams in the docs are drawn from these tables.

The hot path of the head (submit, assign, return) writes the next state without looking it up; property tests run the
same programs with every step checked against the table.
"""

from __future__ import annotations

import enum
from typing import Final


class TaskState(enum.StrEnum):
    """Where a task or an actor call is."""

    WAITING = "waiting"  # an argument does not exist yet, or an earlier call of the same caller waits for one
    READY = "ready"  # could start now: queued for a worker, or in its actor's queue
    ASSIGNED = "assigned"  # one worker has it, and runs it or will
    BLOCKED = "blocked"  # runs, but waits for objects: its CPUs are lent out
    RESTING = "resting"  # will be tried again, a little later
    FINISHED = "finished"  # returned
    FAILED = "failed"  # ended with an error
    CANCELLED = "cancelled"  # ended because somebody asked


class TaskInput(enum.StrEnum):
    """What can happen to a task."""

    ARGS_READY = "args ready"
    ASSIGN = "assign"
    HAND_BACK = "hand back"  # the worker gave it back unstarted
    BLOCK = "block"
    RESUME = "resume"
    RETURN = "return"
    FAIL = "fail"
    RETRY = "retry"  # worker death or a covered exception, with retries left
    REST = "rest"  # ... and not for the first time: let a moment pass before
    WAKE = "wake"  # the moment is over
    CANCEL = "cancel"


class ActorState(enum.StrEnum):
    """Where an actor is."""

    PENDING = "pending"  # its constructor has not returned yet
    ALIVE = "alive"
    RESTARTING = "restarting"  # its process died; the constructor runs again
    DEAD = "dead"


class ActorInput(enum.StrEnum):
    """What can happen to an actor."""

    CONSTRUCTED = "constructed"
    RESTART = "restart"  # process died, restarts left
    DIE = "die"


class WorkerState(enum.StrEnum):
    """Where a worker process is."""

    IDLE = "idle"
    BUSY = "busy"
    BLOCKED = "blocked"  # its running task waits for objects
    ACTOR = "actor"  # belongs to one actor for good
    LEAVING = "leaving"  # was told to exit, or said that it will
    DEAD = "dead"


class WorkerInput(enum.StrEnum):
    """What can happen to a worker."""

    ASSIGN = "assign"
    DRAIN = "drain"  # nothing assigned any more
    BLOCK = "block"
    RESUME = "resume"
    BECOME_ACTOR = "become actor"
    LEAVE = "leave"
    DIE = "die"


# Under names of their own for the hot path: before Python 3.12 to look a member up in its class takes ten times as long
# as what it is compared with.
TASK_WAITING: Final = TaskState.WAITING
TASK_READY: Final = TaskState.READY
TASK_ASSIGNED: Final = TaskState.ASSIGNED
TASK_BLOCKED: Final = TaskState.BLOCKED
TASK_FINISHED: Final = TaskState.FINISHED
ACTOR_ALIVE: Final = ActorState.ALIVE
WORKER_IDLE: Final = WorkerState.IDLE
WORKER_BUSY: Final = WorkerState.BUSY
WORKER_BLOCKED: Final = WorkerState.BLOCKED
WORKER_LEAVING: Final = WorkerState.LEAVING
WORKER_DEAD: Final = WorkerState.DEAD


class PlaceState(enum.StrEnum):
    """Where the bytes of an object in shared memory are; those of a small one are inline, and stay."""

    ARENA = "arena"  # in shared memory; clients that know the place may read there
    RECALLED = "recalled"  # still there; whoever knows the place is asked to forget it
    SPILLING = "spilling"  # nobody knows the place; it is being copied to disk
    EMPTYING = "emptying"  # it is on disk; its pages are being given back
    SPILLED = "spilled"  # on disk alone
    WANTED = "wanted"  # on disk, and somebody wants it: it waits for room
    RESTORING = "restoring"  # has room; it is being copied back to where it lay
    ABANDONED = "abandoned"  # nobody wants the object; a copy is still under way there
    GONE = "gone"  # freed
    LOST = "lost"  # what came back from disk is not what was written


class PlaceInput(enum.StrEnum):
    """What can happen to a place."""

    RECALL = "recall"  # chosen to make room: the least recently used
    STAY = "stay"  # somebody reads it, or wants it, or the room is no longer needed
    LEAVE = "leave"  # nobody knows the place any more
    WRITTEN = "written"
    EMPTIED = "emptied"
    REFUSED = "refused"  # the disk did not take it, or who was to write it died
    WANT = "want"
    GIVE_UP = "give up"  # there was no room in time
    ROOM = "room"
    READ = "read"
    DAMAGED = "damaged"
    ORPHANED = "orphaned"  # who was copying died; the copy is begun anew
    FREE = "free"


class StreamState(enum.StrEnum):
    """Where a stream is: a generator that runs in a worker, and whoever reads its items elsewhere."""

    OPEN = "open"  # its items go to its reader as they come
    FULL = "full"  # it is as far ahead of its reader as it may be, and waits
    DISMISSED = "dismissed"  # nobody reads it: what still comes is thrown away
    OVER = "over"  # it has ended, in whatever way


class StreamInput(enum.StrEnum):
    """What can happen to a stream."""

    FILL = "fill"  # its generator waits for its reader
    GRANT = "grant"  # the reader has taken enough, or lets it run ahead
    BEGIN = "begin"  # another attempt will yield from the start
    DISMISS = "dismiss"
    END = "end"


class ReservationState(enum.StrEnum):
    """Where a placement group is."""

    WAITING = "waiting"  # what its bundles need is not free all at once, or it is not its turn
    PLACED = "placed"  # its bundles are its own
    REMOVED = "removed"


class ReservationInput(enum.StrEnum):
    """What can happen to a placement group."""

    PLACE = "place"
    REMOVE = "remove"


T, TI = TaskState, TaskInput
TASK: Final[dict[tuple[TaskState, TaskInput], TaskState]] = {
    (T.WAITING, TI.ARGS_READY): T.READY,
    (T.WAITING, TI.FAIL): T.FAILED,
    (T.WAITING, TI.CANCEL): T.CANCELLED,
    (T.READY, TI.ASSIGN): T.ASSIGNED,
    (T.READY, TI.FAIL): T.FAILED,
    (T.READY, TI.CANCEL): T.CANCELLED,
    (T.ASSIGNED, TI.HAND_BACK): T.READY,
    (T.ASSIGNED, TI.BLOCK): T.BLOCKED,
    (T.ASSIGNED, TI.RETURN): T.FINISHED,
    (T.ASSIGNED, TI.FAIL): T.FAILED,
    (T.ASSIGNED, TI.RETRY): T.READY,
    (T.ASSIGNED, TI.REST): T.RESTING,
    (T.ASSIGNED, TI.CANCEL): T.CANCELLED,
    (T.BLOCKED, TI.RESUME): T.ASSIGNED,
    (T.BLOCKED, TI.RETURN): T.FINISHED,
    (T.BLOCKED, TI.FAIL): T.FAILED,
    (T.BLOCKED, TI.RETRY): T.READY,
    (T.BLOCKED, TI.REST): T.RESTING,
    (T.BLOCKED, TI.CANCEL): T.CANCELLED,
    (T.RESTING, TI.WAKE): T.READY,
    (T.RESTING, TI.FAIL): T.FAILED,
    (T.RESTING, TI.CANCEL): T.CANCELLED,
}
_WITH_A_WORKER: Final = (TI.HAND_BACK, TI.BLOCK, TI.RESUME, TI.RETURN, TI.RETRY, TI.REST)
TASK_FINAL: Final = (T.FINISHED, T.FAILED, T.CANCELLED)
IMPOSSIBLE_TASK: Final[dict[tuple[TaskState, TaskInput], str]] = {
    **{(T.WAITING, i): "no worker has it" for i in _WITH_A_WORKER},
    **{(s, TI.WAKE): "it does not rest" for s in (T.WAITING, T.READY, T.ASSIGNED, T.BLOCKED)},
    (T.WAITING, TI.ASSIGN): "arguments come first",
    **{(s, i): "no worker has it" for s in (T.READY, T.RESTING) for i in _WITH_A_WORKER},
    (T.RESTING, TI.ARGS_READY): "arguments become ready once",
    (T.RESTING, TI.ASSIGN): "it is not queued",
    (T.READY, TI.ARGS_READY): "arguments become ready once",
    (T.ASSIGNED, TI.ARGS_READY): "arguments become ready once",
    (T.ASSIGNED, TI.ASSIGN): "one worker has it",
    (T.ASSIGNED, TI.RESUME): "a Resumed for a task that does not block is dropped at the door",
    (T.BLOCKED, TI.ARGS_READY): "arguments become ready once",
    (T.BLOCKED, TI.ASSIGN): "one worker has it",
    (T.BLOCKED, TI.HAND_BACK): "it has started",
    (T.BLOCKED, TI.BLOCK): "calls that block in several threads are counted, the first one blocks the task",
    **{(s, i): "the record is gone" for s in TASK_FINAL for i in TI},
}

A, AI = ActorState, ActorInput
ACTOR: Final[dict[tuple[ActorState, ActorInput], ActorState]] = {
    (A.PENDING, AI.CONSTRUCTED): A.ALIVE,
    (A.PENDING, AI.RESTART): A.RESTARTING,
    (A.PENDING, AI.DIE): A.DEAD,
    (A.ALIVE, AI.RESTART): A.RESTARTING,
    (A.ALIVE, AI.DIE): A.DEAD,
    (A.RESTARTING, AI.CONSTRUCTED): A.ALIVE,
    (A.RESTARTING, AI.RESTART): A.RESTARTING,
    (A.RESTARTING, AI.DIE): A.DEAD,
}
ACTOR_FINAL: Final = (A.DEAD,)
IMPOSSIBLE_ACTOR: Final[dict[tuple[ActorState, ActorInput], str]] = {
    (A.ALIVE, AI.CONSTRUCTED): "a constructor runs once per incarnation",
    **{(A.DEAD, i): "dead for good" for i in AI},
}

W, WI = WorkerState, WorkerInput
WORKER: Final[dict[tuple[WorkerState, WorkerInput], WorkerState]] = {
    (W.IDLE, WI.ASSIGN): W.BUSY,
    (W.IDLE, WI.BECOME_ACTOR): W.ACTOR,
    (W.IDLE, WI.LEAVE): W.LEAVING,
    (W.IDLE, WI.DIE): W.DEAD,
    (W.BUSY, WI.ASSIGN): W.BUSY,
    (W.BUSY, WI.DRAIN): W.IDLE,
    (W.BUSY, WI.BLOCK): W.BLOCKED,
    (W.BUSY, WI.LEAVE): W.LEAVING,
    (W.BUSY, WI.DIE): W.DEAD,
    (W.BLOCKED, WI.RESUME): W.BUSY,
    (W.BLOCKED, WI.DRAIN): W.IDLE,
    (W.BLOCKED, WI.LEAVE): W.LEAVING,
    (W.BLOCKED, WI.DIE): W.DEAD,
    (W.ACTOR, WI.LEAVE): W.LEAVING,
    (W.ACTOR, WI.DIE): W.DEAD,
    (W.LEAVING, WI.LEAVE): W.LEAVING,
    (W.LEAVING, WI.DIE): W.DEAD,
}
WORKER_FINAL: Final = (W.DEAD,)
IMPOSSIBLE_WORKER: Final[dict[tuple[WorkerState, WorkerInput], str]] = {
    (W.IDLE, WI.DRAIN): "it has nothing",
    (W.IDLE, WI.BLOCK): "nothing runs",
    (W.IDLE, WI.RESUME): "nothing runs",
    (W.BUSY, WI.RESUME): "nothing blocks",
    (W.BUSY, WI.BECOME_ACTOR): "only an idle worker becomes an actor",
    (W.BLOCKED, WI.ASSIGN): "a blocked worker is given nothing",
    (W.BLOCKED, WI.BLOCK): "counted by its task",
    (W.BLOCKED, WI.BECOME_ACTOR): "only an idle worker becomes an actor",
    **{(W.ACTOR, i): "it has calls, no tasks" for i in (WI.ASSIGN, WI.DRAIN, WI.BLOCK, WI.RESUME)},
    (W.ACTOR, WI.BECOME_ACTOR): "it is one",
    **{(W.LEAVING, i): "it is given nothing" for i in (WI.ASSIGN, WI.BECOME_ACTOR)},
    **{(W.LEAVING, i): "its last task no longer changes it" for i in (WI.DRAIN, WI.BLOCK, WI.RESUME)},
    **{(W.DEAD, i): "its process is gone" for i in WI},
}

P, PI = PlaceState, PlaceInput
PLACE: Final[dict[tuple[PlaceState, PlaceInput], PlaceState]] = {
    (P.ARENA, PI.RECALL): P.RECALLED,
    (P.ARENA, PI.FREE): P.GONE,
    (P.RECALLED, PI.STAY): P.ARENA,
    (P.RECALLED, PI.LEAVE): P.SPILLING,
    (P.RECALLED, PI.FREE): P.GONE,
    (P.SPILLING, PI.WRITTEN): P.EMPTYING,
    (P.SPILLING, PI.REFUSED): P.ARENA,
    (P.SPILLING, PI.WANT): P.SPILLING,
    (P.SPILLING, PI.FREE): P.ABANDONED,
    (P.EMPTYING, PI.EMPTIED): P.SPILLED,
    (P.EMPTYING, PI.WANT): P.EMPTYING,
    (P.EMPTYING, PI.FREE): P.ABANDONED,
    (P.SPILLED, PI.WANT): P.WANTED,
    (P.SPILLED, PI.FREE): P.GONE,
    (P.WANTED, PI.WANT): P.WANTED,
    (P.WANTED, PI.GIVE_UP): P.SPILLED,
    (P.WANTED, PI.ROOM): P.RESTORING,
    (P.WANTED, PI.FREE): P.GONE,
    (P.RESTORING, PI.WANT): P.RESTORING,
    (P.RESTORING, PI.READ): P.ARENA,
    (P.RESTORING, PI.DAMAGED): P.LOST,
    (P.RESTORING, PI.ORPHANED): P.RESTORING,
    (P.RESTORING, PI.REFUSED): P.SPILLED,
    (P.RESTORING, PI.FREE): P.ABANDONED,
    (P.ABANDONED, PI.WRITTEN): P.ABANDONED,
    **{(P.ABANDONED, i): P.GONE for i in (PI.EMPTIED, PI.REFUSED, PI.READ, PI.DAMAGED, PI.ORPHANED)},
}
PLACE_FINAL: Final = (P.GONE, P.LOST)
_COPIES: Final = (PI.WRITTEN, PI.EMPTIED, PI.REFUSED, PI.READ, PI.DAMAGED, PI.ORPHANED)
IMPOSSIBLE_PLACE: Final[dict[tuple[PlaceState, PlaceInput], str]] = {
    **{(s, i): "nothing is copied" for s in (P.ARENA, P.RECALLED, P.SPILLED, P.WANTED) for i in _COPIES},
    **{(s, PI.RECALL): "only what lies in memory, and is not asked for already" for s in P if s is not P.ARENA},
    **{(s, PI.STAY): "nobody was asked to forget it" for s in P if s is not P.RECALLED},
    **{(s, PI.LEAVE): "nobody was asked to forget it" for s in P if s is not P.RECALLED},
    (P.ARENA, PI.WANT): "it is there",
    (P.RECALLED, PI.WANT): "it is there: it stays",
    **{(s, PI.GIVE_UP): "it does not wait for room" for s in P if s is not P.WANTED},
    **{(s, PI.ROOM): "it does not wait for room" for s in P if s is not P.WANTED},
    **{(P.SPILLING, i): "it is being written" for i in (PI.EMPTIED, PI.READ, PI.DAMAGED)},
    (P.SPILLING, PI.ORPHANED): "what was not written is refused",
    **{(P.EMPTYING, i): "it is written" for i in (PI.WRITTEN, PI.REFUSED, PI.READ, PI.DAMAGED)},
    (P.EMPTYING, PI.ORPHANED): "it is on disk: the head gives its pages back",
    **{(P.RESTORING, i): "it is being read" for i in (PI.WRITTEN, PI.EMPTIED)},
    **{(P.ABANDONED, i): "nobody wants the object" for i in (PI.WANT, PI.FREE)},
    **{(s, i): "the record is gone" for s in PLACE_FINAL for i in PI},
}

S, SI = StreamState, StreamInput
STREAM: Final[dict[tuple[StreamState, StreamInput], StreamState]] = {
    (S.OPEN, SI.FILL): S.FULL,
    (S.OPEN, SI.BEGIN): S.OPEN,
    (S.OPEN, SI.DISMISS): S.DISMISSED,
    (S.OPEN, SI.END): S.OVER,
    (S.FULL, SI.GRANT): S.OPEN,
    (S.FULL, SI.BEGIN): S.OPEN,
    (S.FULL, SI.DISMISS): S.DISMISSED,
    (S.FULL, SI.END): S.OVER,
    (S.DISMISSED, SI.BEGIN): S.DISMISSED,
    (S.DISMISSED, SI.END): S.OVER,
}
STREAM_FINAL: Final = (S.OVER,)
IMPOSSIBLE_STREAM: Final[dict[tuple[StreamState, StreamInput], str]] = {
    (S.OPEN, SI.GRANT): "it does not wait",
    (S.FULL, SI.FILL): "it waits already: each attempt yields in one place at a time",
    **{(S.DISMISSED, i): "it never waits again" for i in (SI.FILL, SI.GRANT)},
    (S.DISMISSED, SI.DISMISS): "nobody reads it any more, who could dismiss it",
    **{(S.OVER, i): "the record is gone" for i in SI},
}

G, GI = ReservationState, ReservationInput
RESERVATION: Final[dict[tuple[ReservationState, ReservationInput], ReservationState]] = {
    (G.WAITING, GI.PLACE): G.PLACED,
    (G.WAITING, GI.REMOVE): G.REMOVED,
    (G.PLACED, GI.REMOVE): G.REMOVED,
}
RESERVATION_FINAL: Final = (G.REMOVED,)
IMPOSSIBLE_RESERVATION: Final[dict[tuple[ReservationState, ReservationInput], str]] = {
    (G.PLACED, GI.PLACE): "it waits no longer",
    **{(G.REMOVED, i): "the record is gone" for i in GI},
}
