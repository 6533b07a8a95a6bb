"""What the head remembers of what is over: the newest tasks, and some of the dead actors and workers.

Nothing here is needed to run a program: it is there for whoever asks what has happened (``listings``, ``timeline``).
What is remembered of a task is a bare tuple, in the order of ``Over``. That is a fortieth of what the head does for a
task that does nothing, so of floods only a sample is remembered, and the others are counted: ``BURST`` tasks at once,
``RATE`` per second for long; and every task that fails.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

from actorgrid.core.head.records import Actor, SpecRecord, Task, Worker
from actorgrid.core.messages import Kind, Spec, Value
from actorgrid.core.states import TaskState, WorkerState

#: So many dead actors and workers, and errors of tasks, are remembered; and so much of an error (bytes).
MOST: Final = 1000
LARGEST_ERROR: Final = 16 << 10
BURST: Final = 1000
RATE: Final = 1000.0


#: Function, name and kind of tasks.
Kindred = tuple[str, str, Kind]


class Over(NamedTuple):
    """A task that is over. ``worker``: who had it in the end, 0 if nobody; ``micros``: how long its user code ran.

    ``attempt``: how many attempts before the last one came to nothing.
    """

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
    launched: float | None
    ended: float
    exit_type: str
    how: str


class OverJob(NamedTuple):
    """A driver that has left."""

    number: int
    pid: int
    born: float
    ended: float


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
    shown: str


class Past:
    """What is over. ``note`` takes a tuple as in ``Over``."""

    __slots__ = (
        "_counted", "_refilled", "actors", "attempts", "burst", "errors", "jobs", "note", "on", "room", "tasks",
        "workers",
    )  # fmt: skip

    # Invariant: len(self.errors) <= MOST and len(self.attempts) <= MOST
    # Invariant: self.room <= self.burst

    def __init__(self, most: int, now: float) -> None:
        """Remember the newest ``most`` tasks."""
        self.on = most > 0
        self.tasks: deque[tuple[Any, ...]] = deque(maxlen=most)
        self.note: Callable[[tuple[Any, ...]], None] = self.tasks.append
        #: So many tasks that finish are remembered before ``refill`` makes it ``burst`` again; it may be below zero.
        self.room = self.burst = BURST if self.on else 0
        self._refilled = now
        #: (function, name, type) -> how many tasks have finished that were only counted, of specs that are gone.
        self._counted: dict[Kindred, int] = {}
        #: Why tasks have failed, and how many attempts to make an object came to nothing; the oldest are forgotten.
        self.errors: dict[int, Value] = {}
        self.attempts: dict[int, int] = {}
        self.workers: deque[OverWorker] = deque(maxlen=MOST)
        self.actors: deque[OverActor] = deque(maxlen=MOST)
        self.jobs: deque[OverJob] = deque(maxlen=MOST)

    def refill(self, now: float) -> None:
        """Time has passed: some more may be remembered."""
        more = int((now - self._refilled) * RATE)
        if more:
            self.room = min(self.room + more, self.burst)
            self._refilled = now

    def let_go(self, spec: SpecRecord) -> None:
        """A spec is gone: keep its count."""
        if spec.counted:
            key = kindred(spec.spec)
            self._counted[key] = self._counted.get(key, 0) + spec.counted

    def counted(self, specs: Iterable[SpecRecord]) -> dict[Kindred, int]:
        """Return how many tasks have finished that were not remembered; ``specs`` are those that there are."""
        counts = dict(self._counted)
        for spec in specs:
            if spec.counted:
                key = kindred(spec.spec)
                counts[key] = counts.get(key, 0) + spec.counted
        return counts

    def failed(self, task: int, error: Value) -> None:
        """A task has failed. What it says of other objects is not kept."""
        if not self.on or error.extent is not None or len(error.data) > LARGEST_ERROR:
            return
        self.errors[task] = Value(error.status, error.data, not_run=error.not_run)
        if len(self.errors) > MOST:
            del self.errors[next(iter(self.errors))]

    def tried(self, task: Task) -> None:
        """A task is to be tried again."""
        if not self.on:
            return
        first = task.message.task
        for oid in range(first, first + task.spec.spec.num_returns):
            self.attempts[oid] = task.tried
            if len(self.attempts) > MOST:
                del self.attempts[next(iter(self.attempts))]

    def worker(self, worker: Worker, now: float, how: str) -> None:
        """A worker's process is gone."""
        exit_type = "SYSTEM_ERROR"
        if "killed by kill()" in how:
            exit_type = "INTENDED_USER_EXIT"
        elif worker.state is WorkerState.LEAVING:
            exit_type = "INTENDED_SYSTEM_EXIT"
        self.workers.append(OverWorker(worker.number, worker.pid, worker.born, worker.launched, now, exit_type, how))

    def actor(self, actor: Actor, worker: Worker | None, pid: int, why: str) -> None:
        """An actor has died; ``worker`` is its process if it still has one, else ``pid`` was that of its last one."""
        pid, number = (worker.pid, worker.number) if worker is not None else (pid, 0)
        a = actor
        self.actors.append(OverActor(a.ident, a.spec.spec, a.creator, a.key, pid, a.incarnation, why, number, a.shown))


def name_of(spec: Spec) -> str:
    """Return what a task is called."""
    return f"{spec.name}.__init__" if spec.kind is Kind.ACTOR else spec.name


def kindred(spec: Spec) -> Kindred:
    """Return function, name and kind of the tasks of a spec."""
    name = name_of(spec)
    return spec.function or name, name, spec.kind
