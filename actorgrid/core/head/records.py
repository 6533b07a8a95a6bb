"""What the head knows of each thing: plain records with slots, and nothing that acts.

Records point at each other by object only where the pointer is cleared when either side ends, so that reference
counting alone frees everything: the head runs with the garbage collector off.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from actorgrid.core.messages import Blocked, Extent, Kind, Made, Spec, Submit, Value
from actorgrid.core.resources import GPU, NOWHERE, Demand, Parts, Pool, Source, cpus_of, of
from actorgrid.core.states import TASK_WAITING, WORKER_IDLE, ActorState, PlaceState, StreamState, TaskState, WorkerState
from actorgrid.core.stream import streams

if TYPE_CHECKING:
    from actorgrid.core.head.journals import Entry, Journal
    from actorgrid.core.head.reservations import Reservation

#: Why a worker leaves whose setup nobody needs any more.
NEEDED_NO_MORE: Final = "no calls with its runtime environment will come any more"


class Peer:
    """A process at the other end of a link: a driver, or a worker (which is also a client)."""

    __slots__ = (
        "alive", "born", "congested", "creator", "exports", "held", "job", "last_id", "leased", "live_bytes",
        "measured", "number", "outbox", "owed", "pid", "segments", "specs", "streams", "worker",
    )  # fmt: skip

    def __init__(self, number: int) -> None:
        self.number = number
        self.alive = True
        #: Messages for its reply link, sent at the end of the turn.
        self.outbox: list[object] = []
        #: Ids this client was granted. Invariant: i in self.held == (self.number in grants of i)
        self.held: dict[int, None] = {}
        #: The newest id it chose: ids of one client only grow, so a repeated message is recognised.
        self.last_id = 0
        #: The number of the last message in which it said what it has measured.
        self.measured = 0
        #: Code that it exported for a spec which is still on its way.
        self.exports: dict[bytes, None] = {}
        #: Spec ids that this client registered.
        self.specs: dict[int, SpecRecord] = {}
        #: Segments that it made or whose descriptor went over its reply link.
        self.segments: dict[int, None] = {}
        #: Bytes of shared memory it may fill, used or not, and how many are in live objects.
        self.leased = 0
        self.live_bytes = 0
        #: Its socket is full: results wait in ``owed`` until it drains.
        self.congested = False
        self.owed: deque[int] = deque()
        #: Streams that it reads, by task, until they are over or it has dismissed them.
        self.streams: dict[int, Task] = {}
        self.worker: Worker | None = None
        #: Of a driver: its process, and when it came.
        self.pid = 0
        self.born = 0.0
        #: Whose work it does: a driver its own, a worker that of its last task, an actor's worker that of the actor.
        self.job = number
        #: The same; if that is nobody's (0), the driver for which the detached actor was created (for people).
        self.creator = number


class Code:
    """An exported function or class."""

    __slots__ = ("digest", "name", "uses", "value")

    def __init__(self, digest: bytes, name: str, value: Value) -> None:
        self.digest = digest
        self.name = name
        self.value = value
        #: Specs that mention it, and clients that exported it for a spec which is still on its way.
        self.uses = 0


class Shape:
    """Tasks with equal demand, of the same source and with the same setup, wait together."""

    __slots__ = (
        "__weakref__", "claims", "cpus", "demand", "gpus", "home", "keys", "passed_over", "queues", "setup", "source",
        "waiting",
    )  # fmt: skip

    def __init__(
        self, demand: Demand, source: Source, home: dict[Shape, None], setup: bytes = b"", *, claims: bool = False
    ) -> None:
        """``home``: where it stands while tasks of it wait. ``claims``: they are placement groups to be."""
        self.demand = demand
        self.source = source
        self.home = home
        self.claims = claims
        #: What a worker must be set up with; see ``core.head.idle``.
        self.setup = setup
        self.cpus = cpus_of(demand)
        self.gpus = of(GPU, demand)
        #: Ready tasks by (priority, -depth), each first in, first out; ``keys`` is the sorted list of those in use.
        self.queues: dict[tuple[int, int], deque[Task]] = {}
        self.keys: list[tuple[int, int]] = []
        self.waiting = 0
        #: How many tasks of other shapes went ahead while this one's first did not fit.
        self.passed_over = 0


class SpecRecord:
    """A registered call: the message, and what the head learned about it."""

    __slots__ = (
        "code", "counted", "forgotten", "kind", "max_retries", "mean_micros", "pending", "reservation", "shape", "spec",
        "streams", "taught", "timed", "warned",
    )  # fmt: skip

    def __init__(self, spec: Spec, code: Code | None, shape: Shape, reservation: Reservation | None = None) -> None:
        self.spec = spec
        self.code = code
        self.shape = shape
        #: The placement group that its calls run in.
        self.reservation = reservation
        self.kind: Kind = spec.kind
        self.max_retries = spec.max_retries
        #: Its calls have deadlines.
        self.timed = spec.timeout > 0 or spec.run_timeout > 0
        #: Its calls are generators whose items go to their caller as they come.
        self.streams = streams(spec)
        #: Exponential mean of run times; -1: nothing ran yet.
        self.mean_micros = -1.0
        #: Tasks that are not over, and tasks that have finished and of which nothing else is remembered.
        self.pending = 0
        self.counted = 0
        #: Workers that know it.
        self.taught: dict[Worker, None] = {}
        self.forgotten = False
        #: Somebody was told that a call of it fails again and again.
        self.warned = False


class Held:
    """What lives as long as somebody refers to it: objects and actors.

    ``grants`` counts, per client, every time this id was sent to (or named by) it; ``pins`` counts the records of the
    head that mention it: tasks that are not over, and stored values.
    """

    __slots__ = ("grants", "holder", "ident", "others", "pins")

    # Invariant: bool(self.grants) == bool(self.holder)
    # Invariant: self.others is None or all(self.others.values())

    def __init__(self, ident: int) -> None:
        self.ident = ident
        #: The first holder and its grants stand apart: most things only ever have one.
        self.holder = 0
        self.grants = 0
        self.others: dict[int, int] | None = None
        self.pins = 0


class Object(Held):
    """An object: promised by a task, or stored."""

    __slots__ = ("owner", "place", "subscribers", "task", "value", "waiters")

    def __init__(self, ident: int, task: Task | None) -> None:
        super().__init__(ident)
        self.value: Value | None = None
        #: The task that will make it. Invariant: (self.task is not None) == (self.value is None)
        self.task = task
        #: Tasks that need it.
        self.waiters: list[Task] | None = None
        #: Clients other than the submitter that asked for it.
        self.subscribers: list[int] | None = None
        #: Client that wrote its extent.
        self.owner = 0
        #: Where that is, if it may be spilled.
        self.place: Place | None = None


class Limits:
    """What a task with a deadline needs to know; the numbers are alarms, 0 for none."""

    __slots__ = ("grace", "how", "overdue", "run", "total")

    def __init__(self) -> None:
        self.total = self.run = self.grace = 0
        #: Which of its deadlines is over, by the name of its option; empty if none is.
        self.overdue = ""
        #: How it was stopped, for its error: the end of a sentence.
        self.how = ""


class Stream:
    """What comes of a task that is a generator, item by item; see ``core.head.streams``."""

    __slots__ = ("at", "bound", "count", "state", "taken")

    # Invariant: self.at <= self.count and self.taken <= self.count

    def __init__(self, bound: int) -> None:
        self.state: StreamState = StreamState.OPEN
        #: So many items may be unread before it waits; -1: any number.
        self.bound = bound
        #: Items that there are, or were: what an attempt has yielded stays when another one follows it.
        self.count = 0
        #: How many of them the attempt that runs has yielded, again or for the first time.
        self.at = 0
        #: How many its reader has taken.
        self.taken = 0

    @property
    def full(self) -> bool:
        """It is so far ahead of its reader that it must wait."""
        return 0 <= self.bound <= self.at - self.taken


class Task:
    """A task, an actor's creation, or a call of an actor."""

    __slots__ = (
        "actor", "attempt", "attempts", "blocked", "born", "cancelled", "children", "client", "creator", "depth",
        "failures", "forced", "hopeless", "job", "limits", "made", "message", "micros", "missing", "oom",
        "order", "parent", "replayed", "retries", "since", "spec", "starved", "state", "stream", "strikes",
        "tried", "waits", "worker",
    )  # fmt: skip

    def __init__(self, message: Submit, spec: SpecRecord, client: int, order: int, born: float = 0.0) -> None:
        self.message = message
        self.spec = spec
        self.client = client
        #: The driver with which it ends; 0: none, a detached actor submitted it.
        self.job = 0
        #: That driver, or the one for which that actor was created (for people).
        self.creator = 0
        #: Position in the order of submission, over all clients.
        self.order = order
        #: When it was submitted, and how long the user code of the attempt that ended it ran.
        self.born = born
        self.micros = 0
        self.depth = 0
        self.state: TaskState = TASK_WAITING
        self.attempt = 0
        #: How many attempts came to nothing: what ``attempt`` counts, less those that were handed back unstarted.
        self.tried = 0
        self.retries = spec.max_retries
        #: Arguments that do not exist yet.
        self.missing = 0
        self.worker: Worker | None = None
        #: When that worker got it.
        self.since = 0.0
        #: What it waits for, if it said so. Invariant: self.waits is None or self.worker is not None
        self.waits: Blocked | None = None
        #: How many calls of it block now (threads may block side by side).
        self.blocked = 0
        self.cancelled = False
        #: ... by force: whatever its worker says, it was cancelled.
        self.forced = False
        self.actor: Actor | None = None
        self.parent: Task | None = None
        #: Tasks that it submitted and that are not over: what a recursive cancel reaches.
        self.children: dict[int, Task] | None = None
        #: How often it was charged with a failure, and why, for the final error.
        self.failures = 0
        self.attempts: list[str] | None = None
        #: It is being killed because memory runs short; it runs alone, so that no retry can help; how often it was.
        self.starved = self.hopeless = False
        self.oom = 0
        #: Workers that died before they said a word while they had it.
        self.strikes = 0
        #: None if it may take as long as it likes.
        self.limits: Limits | None = None
        #: What it submitted, by number, if its actor has a journal: a call that runs again need not do so again.
        self.made: dict[int, Made] | None = None
        #: The call that it repeats to bring its actor back to where it was.
        self.replayed: Entry | None = None
        #: None if it is no generator whose items go to its caller as they come.
        self.stream: Stream | None = None


class Worker:
    """A worker process."""

    __slots__ = (
        "actor", "asked", "assigned", "born", "codes", "devices", "doomed", "ended_by", "farewell", "heard", "held",
        "idle_since", "killed_with", "knocked", "launched", "lent", "nudged", "number", "outbox", "parting", "passing",
        "peer", "pid", "pool", "segments", "setup", "shape", "shown", "specs", "spoke", "state", "stopped",
        "unneeded",
    )  # fmt: skip

    def __init__(self, peer: Peer, born: float = 0.0) -> None:
        self.number = peer.number
        self.peer = peer
        self.pid = 0
        #: When its process was ordered, and when it existed.
        self.born = born
        self.launched: float | None = None
        self.state: WorkerState = WORKER_IDLE
        #: Messages for its task link, sent at the end of the turn.
        self.outbox: list[object] = []
        #: What it was given and has not answered, in the order in which it runs them.
        self.assigned: dict[int, Task] = {}
        #: What it was taught.
        self.codes: dict[bytes, None] = {}
        self.specs: dict[SpecRecord, None] = {}
        #: Segments whose descriptor went over its task link (``peer.segments``: over the reply link).
        self.segments: dict[int, None] = {}
        self.actor: Actor | None = None
        #: Why the head had it killed, as the end of a sentence; empty if it did not.
        self.ended_by = ""
        #: The calls that waited for it when ``kill`` ended it: others are for the actor's next incarnation.
        self.killed_with: set[int] | None = None
        #: Which task it is to be killed for, if that one runs by then, and how an error tells it.
        self.doomed: tuple[int, str] | None = None
        #: When it last said something, and whether it was asked to since.
        self.heard = 0.0
        self.nudged = False
        #: The alarm after which it is asked once more for what it was given ahead.
        self.asked = 0
        self.spoke = False
        #: When it was asked whether it is there; 0 if it has answered.
        self.knocked = 0.0
        #: The alarm that ends it because a signal has stopped it; 0 while it runs.
        self.stopped = 0
        #: The alarm that ends it because its last words take too long; 0 while it is not leaving.
        self.farewell = 0
        #: Nothing runs in it any more.
        self.parting = False
        self.idle_since = 0.0
        #: Resources taken for what it runs, from where, and the part that is lent out while that is blocked.
        self.held: Demand = ()
        self.pool: Pool = NOWHERE
        self.lent: Demand = ()
        #: Devices among them, and those that it was last told it has.
        self.devices: Parts = ()
        self.shown: Parts = ()
        #: What it holds comes back by itself: it runs a task that does not wait. Counted in ``Pool.passing``.
        self.passing = False
        #: What it is set up with, for good: what its first task needs. None: it has had none.
        self.setup: bytes | None = None
        #: It goes when it has nothing to do: no more calls with this setup will come.
        self.unneeded = False
        #: The shape of the tasks it has. Invariant: all(t.spec.shape is self.shape for t in self.assigned.values())
        self.shape: Shape | None = None


class Group:
    """A concurrency group of an actor."""

    __slots__ = ("limit", "parked", "sent")

    def __init__(self, limit: int) -> None:
        #: How many of its calls run at once.
        self.limit = limit
        #: How many the worker has.
        self.sent = 0
        #: Calls that could run and for which it has no place.
        self.parked: deque[Task] = deque()


class Actor(Held):
    """An actor, through all its incarnations."""

    __slots__ = (
        "aside", "calls", "concurrency", "creation", "creator", "death", "deaths", "detached", "fifo", "flying",
        "groups", "handle", "incarnation", "job", "journal", "key", "lines", "queue", "restarts", "shown", "spec",
        "state", "why", "window", "worker",
    )  # fmt: skip

    def __init__(self, ident: int, spec: SpecRecord) -> None:
        super().__init__(ident)
        self.spec = spec
        self.state: ActorState = ActorState.PENDING
        self.worker: Worker | None = None
        #: The creating task; kept while the actor may restart.
        self.creation: Task | None = None
        self.incarnation = 0
        #: When its process has died since a call last succeeded: the newest ``HeadConfig.intensity`` times.
        self.deaths: list[float] = []
        #: The driver with which it ends, and all that it submits; 0 if it is detached.
        self.job = 0
        #: The driver for which it was created, even so (for people).
        self.creator = 0
        self.restarts = spec.spec.max_restarts
        #: Calls that are not over, wherever they wait.
        self.calls = 0
        #: Calls that could run, first in, first out; those that the worker has are in ``worker.assigned``.
        self.queue: deque[Task] = deque()
        #: Calls behind one that waits for an argument, per caller: they keep the caller's order.
        self.lines: dict[int, deque[Task]] = {}
        #: Calls that wait for an argument and hold up nobody: others of an actor that takes them in any order pass.
        self.aside: dict[int, Task] = {}
        #: How many of its calls run at once, of all groups together.
        self.concurrency = concurrency = spec.spec.max_concurrency
        #: Its concurrency groups, "" for calls that name none; None: it has none.
        self.groups = {name: Group(limit) for name, limit in spec.spec.groups} if spec.spec.groups else None
        self.fifo = concurrency == 1 and not spec.spec.is_async
        #: How many calls may be in flight.
        self.window = 64 + (concurrency if concurrency > 1 else 0)
        #: Bytes of arguments in flight to a synchronous actor.
        #: Invariant: self.flying == sum(len(t.message.args) for t in self.worker.assigned.values() if t is a call)
        self.flying = 0
        #: (namespace, name), if it has a name.
        self.key: tuple[str, str] | None = None
        #: What its class has it shown as; "": as its class.
        self.shown = ""
        self.handle = b""
        self.detached = spec.spec.detached
        #: Encoded Failure for every later call, once dead.
        self.death: Value | None = None
        #: What brings it back to where it was, if it has checkpoints.
        self.journal: Journal | None = None
        #: What ended it, if it said so itself before its process ended (``exit_actor``).
        self.why = ""


class SegmentRecord:
    """A shared-memory segment."""

    __slots__ = ("extents", "owner", "segment", "size", "spilled")

    def __init__(self, segment: int, size: int, owner: int) -> None:
        self.segment = segment
        self.size = size
        #: The client that writes it; 0 once that is dead.
        self.owner = owner
        #: Live extents by offset.
        self.extents: dict[int, Extent] = {}
        #: Extents whose objects are on disk, by offset: they own no memory, and nobody else may use their place.
        self.spilled: dict[int, Extent] = {}


class Place:
    """Where the bytes of an object in shared memory are; see ``core.head.spilling``."""

    __slots__ = (
        "awaited", "checksum", "counted", "extent", "fetchers", "ident", "job", "kept", "number", "offset", "state",
        "told",
    )  # fmt: skip

    def __init__(self, ident: int, extent: Extent) -> None:
        self.ident = ident
        self.extent = extent
        self.state: PlaceState = PlaceState.ARENA
        #: Clients that may know that it lies in memory, and read there.
        self.told: dict[int, None] = {}
        #: The latest recall, and who has not answered it.
        self.number = 0
        self.awaited: dict[int, None] = {}
        #: Clients that read it (True), or will once they see a call that is on its way (False).
        self.kept: dict[int, bool] = {}
        #: (client, request) of those that wait until it is in memory again.
        self.fetchers: list[tuple[int, int]] = []
        #: It counts among the bytes that are about to become free.
        self.counted = False
        #: The copy under way, 0 if there is none.
        self.job = 0
        #: Where it is on disk, -1 if nowhere, and the checksum of what is there.
        self.offset = -1
        self.checksum = 0


class RoomRequest:
    """Somebody waits for room in the store: a client that wants to write, or a place that is to be restored."""

    __slots__ = ("alarm", "client", "moves", "number", "place", "request", "size")

    def __init__(self, number: int, size: int, client: int, request: int, place: Place | None) -> None:
        self.number = number
        self.size = size
        self.client = client
        self.request = request
        self.place = place
        #: The alarm that ends its wait, and how many copies had been made when it was set.
        self.alarm = 0
        self.moves = 0
