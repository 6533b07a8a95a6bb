"""What the head remembers of what is over: the newest tasks, and some of the dead actors and workers.

Nothing here is needed to run a program: it is there for whoever asks what has happened (``listings``, ``timeline``).
What is remembered of a task is a bare tuple, in the order of ``Over``: this is the path of every small task.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from actorgrid.core.head.records import Actor, Worker
from actorgrid.core.messages import Spec, Value
from actorgrid.core.states import TaskState, WorkerState

#: So many dead actors and workers, and errors of tasks, are remembered; and so much of an error (bytes).
MOST: Final = 1000
LARGEST_ERROR: Final = 16 << 10


class Over(NamedTuple):
    """A task that is over. ``worker``: who had it in the end, 0 if nobody; ``micros``: how long its user code ran."""

    task: int
    spec: Spec
    state: TaskState
    job: int
    attempt: int
    parent: int
    actor: int
    worker: int
    born: float
    ended: float
    micros: int


class OverWorker(NamedTuple):
    """A worker whose process is gone. ``how``: the end of a sentence."""

    number: int
    pid: int
    born: float
    ended: float
    exit_type: str
    how: str


class OverActor(NamedTuple):
    """An actor that is dead for good."""

    ident: int
    spec: Spec
    job: int
    key: tuple[str, str] | None
    pid: int
    incarnation: int
    why: str
    worker: int


class Past:
    """What is over. ``note`` takes a tuple as in ``Over``; it is None if tasks are not to be remembered."""

    __slots__ = ("actors", "errors", "note", "tasks", "workers")

    # Invariant: len(self.errors) <= MOST

    def __init__(self, most: int) -> None:
        """Remember the newest ``most`` tasks."""
        self.tasks: deque[tuple[Any, ...]] = deque(maxlen=most)
        self.note: Callable[[tuple[Any, ...]], None] | None = self.tasks.append if most else None
        #: Why tasks have failed; the oldest are forgotten.
        self.errors: dict[int, Value] = {}
        self.workers: deque[OverWorker] = deque(maxlen=MOST)
        self.actors: deque[OverActor] = deque(maxlen=MOST)

    def failed(self, task: int, error: Value) -> None:
        """A task has failed. What it says of other objects is not kept."""
        if self.note is None or error.extent is not None or len(error.data) > LARGEST_ERROR:
            return
        self.errors[task] = Value(error.status, error.data, not_run=error.not_run)
        if len(self.errors) > MOST:
            del self.errors[next(iter(self.errors))]

    def worker(self, worker: Worker, now: float, how: str) -> None:
        """A worker's process is gone."""
        exit_type = "SYSTEM_ERROR"
        if "killed by kill()" in how:
            exit_type = "INTENDED_USER_EXIT"
        elif worker.state is WorkerState.LEAVING:
            exit_type = "INTENDED_SYSTEM_EXIT"
        self.workers.append(OverWorker(worker.number, worker.pid, worker.born, now, exit_type, how))

    def actor(self, actor: Actor, worker: Worker | None, pid: int, why: str) -> None:
        """An actor has died; ``worker`` is its process if it still has one, else ``pid`` was that of its last one."""
        pid, number = (worker.pid, worker.number) if worker is not None else (pid, 0)
        spec = actor.spec.spec
        self.actors.append(OverActor(actor.ident, spec, actor.job, actor.key, pid, actor.incarnation, why, number))
