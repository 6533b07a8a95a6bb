"""Every message that crosses a pipe: the single definition.

Rules for this file

* A message is a ``msgspec.Struct`` encoded as an array with an integer tag: decoding it checks every type, cannot
  run code, and costs 0.1 microseconds. (Measured beside ``marshal`` and a restricted unpickler: as fast, and the only
  one of the three that checks types.) The message read off the pipe *is* the event that a machine handles.
* Tags are never reused. Fields are only ever added at the end, with a default.
* User data travels as opaque bytes (``data``) or as a place in shared memory (``extent``); no machine looks inside.
* ``refs`` lists the objects and actors that a payload mentions. Who sends a payload on grants these to the receiver.

Directions: ``C>H`` client to head, ``H>C`` head to client, ``H>W`` head to a worker's task link, ``W>H`` back,
``H>L`` head to launcher, ``L>H`` back. A worker is also a client: its ``C>H`` messages share one FIFO with ``W>H``.
"""

from __future__ import annotations

import enum
from typing import Any, Final

import msgspec


class Status(enum.IntEnum):
    """What the payload of a value is."""

    OK = 0  # the pickled value
    ERROR = 1  # a pickled exception: user code raised
    FAILURE = 2  # a Failure, encoded: the grid says why there is no value


class FailureKind(enum.StrEnum):
    """Why the grid, not the user's code, has no value to give."""

    WORKER_CRASHED = "worker_crashed"
    ACTOR_DIED = "actor_died"
    ACTOR_UNAVAILABLE = "actor_unavailable"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed_out"
    OBJECT_LOST = "object_lost"
    STORE_FULL = "store_full"
    INFEASIBLE = "infeasible"
    TOO_MANY_WORKERS = "too_many_workers"
    INTERNAL = "internal"
    OUT_OF_DISK = "out_of_disk"
    OUT_OF_MEMORY = "out_of_memory"
    RESOURCE_LIMIT = "resource_limit"
    REPLAY = "replay"
    SETUP_FAILED = "setup_failed"
    GROUP_REMOVED = "group_removed"
    ACTOR_GROUP_REMOVED = "actor_group_removed"


class Struct(msgspec.Struct, array_like=True, gc=False):
    """Base of all that travels: compact, typed, and outside the garbage collector (records hold no cycles)."""


class Extent(Struct):
    """A place in shared memory: ``size`` bytes at ``offset`` of ``segment``."""

    segment: int
    offset: int
    size: int


class Failure(Struct):
    """A system error in plain data; clients turn it into the exception of its kind."""

    kind: FailureKind
    message: str
    pid: int = 0
    #: Exit code if >= 0, minus the signal number if negative, None if it does not apply.
    status: int | None = None
    name: str = ""
    actor: int = 0
    task: int = 0
    #: The actor's constructor raised (``ActorDiedError.actor_init_failed``).
    init_failed: bool = False
    #: The pickled exception behind it, if user code raised one.
    cause: bytes = b""


class Value(Struct):
    """A result, an argument, or a put object: its status and where its bytes are."""

    status: Status
    data: bytes = b""
    extent: Extent | None = None
    refs: tuple[int, ...] = ()
    #: The names of the tasks that did not run because this, the failure of an argument, came instead of a value; the
    #: one that got it first comes first. Of a long chain, some in the middle are left out.
    not_run: tuple[str, ...] = ()


_failure = msgspec.msgpack.Decoder(Failure)


def failure_kind(value: Value) -> FailureKind:
    """Return why there is no value. ``value`` stands for a failure of the grid."""
    return _failure.decode(value.data).kind


# ------------------------------------------------------------------------------------------- C>H: code and calls


class Export(Struct, tag=1):
    """Code under its content hash, sent once per client before its first use."""

    digest: bytes
    name: str
    value: Value


class Kind(enum.IntEnum):
    """What a spec describes."""

    TASK = 0
    ACTOR = 1
    METHOD = 2
    #: A placement group that waits for its room. No client registers this.
    RESERVATION = 3


#: With this status a worker ends that the system allows no thread.
NO_THREAD: Final = 71
#: The slot of an actor's saved state among what its constructor is given.
STATE: Final = -2
#: ``Spec.max_retries`` of a method that leaves it to its actor's ``max_task_retries``.
AS_ACTOR: Final = -2
#: ``Spec.yields`` of a stream that may run ahead of its reader as far as it likes.
UNBOUNDED: Final = -1
#: ``Spec.yields`` of a generator whose one result is the list of what it has yielded.
DYNAMIC: Final = -2
#: ``Blocked.call`` of a stream that is so far ahead of its reader as it may be.
YIELD: Final = "yield"


class Placement(Struct):
    """In which placement group a task or actor runs; ``group`` 0: in none, although its caller may be in one."""

    group: int
    #: The one bundle whose resources it takes; -1: any.
    bundle: int = -1
    #: What it submits runs there, too, unless that says otherwise; None: if this holds for whoever submits it.
    capture: bool | None = None
    #: The demands of its bundles, for whoever runs there.
    bundles: tuple[tuple[tuple[str, int], ...], ...] = ()


class Spec(Struct, tag=2):
    """Everything about a call that does not change from call to call, registered once per client."""

    spec: int
    kind: Kind
    name: str
    digest: bytes = b""
    #: Resource name and amount in units of 1/10000, sorted by name, no zeros.
    demand: tuple[tuple[str, int], ...] = ()
    #: METHOD: the attribute to call.
    method: str = ""
    num_returns: int = 1
    #: Worker deaths (and, if the worker says so, exceptions) that a call survives; -1 = any number.
    max_retries: int = 0
    #: Pickled ``retry_exceptions`` (True or a tuple of classes); b"" = never. Only the worker reads it.
    retry_exceptions: bytes = b""
    max_calls: int = 0
    priority: int = 0
    #: ACTOR only, from here on.
    max_restarts: int = 0
    max_task_retries: int = 0
    max_concurrency: int = 1
    is_async: bool = False
    detached: bool = False
    #: What the actor holds while it lives (``demand`` is what it needs to be placed).
    lifetime_demand: tuple[tuple[str, int], ...] = ()
    #: METHOD: it does not change its actor.
    readonly: bool = False
    #: TASK and METHOD: seconds from submission to the result, and in a worker; 0 = any.
    timeout: float = 0.0
    run_timeout: float = 0.0
    #: ACTOR: a call that waits for an argument does not hold up the later ones of its caller.
    out_of_order: bool = False
    #: ACTOR: its state is saved after so many calls, and after the first call that ends so many seconds after the last
    #: time; 0: not for this reason.
    checkpoint_calls: int = 0
    checkpoint_seconds: float = 0.0
    #: ACTOR: its concurrency groups and how many calls of each run at once, "" for calls that name none; () if it has
    #: none. Invariant: not groups or sum(limit for _, limit in groups) == max_concurrency
    groups: tuple[tuple[str, int], ...] = ()
    #: METHOD: the concurrency group of the call.
    group: str = ""
    #: TASK and METHOD: it is a generator whose items go to the caller as they come, and so many of them may be there
    #: unread. Its one object says when it is over. 0: no stream; or UNBOUNDED, or DYNAMIC.
    yields: int = 0
    #: TASK and ACTOR: the runtime environment in which it runs, opaque to the head; b"": what every worker has anyway.
    setup: bytes = b""
    #: TASK and METHOD: the name of the function if the call goes by another one (for people).
    function: str = ""
    #: TASK and ACTOR: the placement group; None: none was asked for.
    placement: Placement | None = None


class Submit(Struct, tag=3):
    """Run a task, or call a method of ``actor`` (0: a task)."""

    task: int
    spec: int
    args: bytes = b""
    #: Objects whose values the call needs, and the position or name of the argument each one fills.
    #: The slot -1 means: this object is the pickled (args, kwargs) itself.
    deps: tuple[int, ...] = ()
    slots: tuple[int | str, ...] = ()
    refs: tuple[int, ...] = ()
    actor: int = 0
    #: The task that submits (0: a driver) and which child of it this is: equal in every retry of the parent.
    parent: int = 0
    nth: int = 0


class CreateActor(Struct, tag=4):
    """Create an actor; its id is ``task``. ``request`` is answered unless it is 0."""

    task: int
    spec: int
    args: bytes = b""
    deps: tuple[int, ...] = ()
    slots: tuple[int | str, ...] = ()
    refs: tuple[int, ...] = ()
    parent: int = 0
    nth: int = 0
    name: str = ""
    namespace: str = ""
    get_if_exists: bool = False
    #: What ``get_actor`` needs to build a handle, opaque to the head.
    handle: bytes = b""
    request: int = 0


class Put(Struct, tag=5):
    """Here is an object."""

    oid: int
    value: Value


class Release(Struct, tag=6):
    """No reference to these is left here; ``seen[i]`` grants of ``oids[i]`` go back (1 each if ``seen`` is empty)."""

    oids: tuple[int, ...]
    seen: tuple[int, ...] = ()


class Subscribe(Struct, tag=7):
    """Send these objects as soon as they exist (``fetch``: with their bytes even beyond the credit)."""

    oids: tuple[int, ...]


#: What a coroutine of an asynchronous actor blocks in: the call goes on beside others.
AWAIT: Final = "await"


class Blocked(Struct, tag=8):
    """This task waits for objects; its CPUs are free until ``Resumed``. ``unstarted``: tasks handed back."""

    task: int
    call: str
    #: What it waits for, the first of them if there are many.
    oids: tuple[int, ...] = ()
    unstarted: tuple[int, ...] = ()
    #: How many of ``oids`` it needs; 0: all.
    need: int = 0
    #: It goes on by itself some time (a timeout), or waits for more than ``oids`` tells.
    finite: bool = False


class Resumed(Struct, tag=9):
    """The task goes on."""

    task: int


class Cancel(Struct, tag=10):
    """Cancel the task that makes this object."""

    oid: int
    force: bool = False
    recursive: bool = True


class KillActor(Struct, tag=11):
    """Kill an actor as ``ray.kill`` does."""

    actor: int
    no_restart: bool = True


class Query(Struct, tag=12):
    """Ask the head something; it answers with the same ``request``."""

    request: int
    what: str
    body: dict[str, Any] = {}  # msgspec copies mutable defaults per instance


class NewSegment(Struct, tag=13):
    """The client made a shared-memory segment; its descriptor rides on this frame."""

    segment: int
    size: int


class LeaseRequest(Struct, tag=14):
    """The client wants to hold ``size`` more bytes of shared memory; answered with ``Lease``."""

    request: int
    size: int


class LeaseReturn(Struct, tag=15):
    """The client gives ``size`` leased, unused bytes back."""

    size: int


class Forget(Struct, tag=16):
    """The client will not use this spec again."""

    spec: int


class Environment(Struct, tag=17):
    """What workers need to look like the driver (pickled, opaque to the head). Also H>W."""

    version: int
    blob: bytes


class Bye(Struct, tag=18):
    """The driver leaves: end the grid. Answered by the end of the stream."""


class HoldOutput(Struct, tag=19):
    """Nobody reads what the driver prints: keep what workers write in their pipes, so that they wait (or: go on)."""

    hold: bool


class Fetch(Struct, tag=24):
    """The client wants to read an object whose place it was asked to forget; answered once it is in memory again."""

    request: int
    oid: int


class Recalled(Struct, tag=25):
    """The answer to a Recall. ``used``: something here reads the object; else its place is forgotten.

    ``seen``: grants of the object that arrived here. Fewer than the head has sent: a call that knows the place is on
    its way.
    """

    oid: int
    number: int
    seen: int = 0
    used: bool = False


class Unpinned(Struct, tag=26):
    """Nothing here reads this object any more (said once, after a Recall that found it ``used``)."""

    oid: int


class AwaitEnd(Struct, tag=29):
    """Object ``oid`` is to come to exist, with this value, when client ``client`` has ended; now, if it has."""

    oid: int
    client: int
    value: Value


class Taken(Struct, tag=27):
    """So many items of a stream have been read here; -1: it need not wait for its reader any more."""

    task: int
    count: int


class Dismiss(Struct, tag=28):
    """Nobody here will read this stream any more. ``stop``: nor does anybody wait for its end, so it is to stop."""

    task: int
    stop: bool


class MetricKind(enum.IntEnum):
    """What a metric measures."""

    COUNTER = 0
    GAUGE = 1
    HISTOGRAM = 2


class Metric(Struct):
    """A metric, as whoever measures it has described it. ``boundaries``: where the buckets of a histogram end."""

    name: str
    kind: MetricKind
    description: str = ""
    boundaries: tuple[float, ...] = ()


class Sample(Struct):
    """What a process has measured of a metric, under these tags, since it last said so."""

    name: str
    kind: MetricKind
    tags: tuple[tuple[str, str], ...] = ()
    #: By how much a counter has grown, what a gauge was last, the sum of what a histogram has seen.
    amount: float = 0.0
    #: How much of that fell into each bucket; the last one has no end.
    counts: list[int] = []  # msgspec copies mutable defaults per instance


class Measured(Struct, tag=35):
    """The ``number``-th such message of this client. A metric is described once, before its first sample."""

    number: int
    metrics: list[Metric] = []  # msgspec copies mutable defaults per instance
    samples: list[Sample] = []


class Reserve(Struct, tag=40):
    """Make a placement group: set the resources of its bundles aside, all at once, as soon as they are free.

    ``request`` is answered unless it is 0: with the error "exists" if the namespace has a group of that name.
    """

    group: int
    bundles: tuple[tuple[tuple[str, int], ...], ...]
    strategy: str
    name: str = ""
    namespace: str = ""
    #: It outlives its driver.
    detached: bool = False
    #: The task that asks, as in Submit.
    parent: int = 0
    request: int = 0


class Unreserve(Struct, tag=41):
    """Remove a placement group, and end what runs in it."""

    group: int


class AwaitReserved(Struct, tag=42):
    """Object ``oid`` is to come to exist, with this value, when the resources of a placement group are its own."""

    oid: int
    group: int
    value: Value


# ------------------------------------------------------------------------------------------------- W>H: results


class Done(Struct, tag=30):
    """An attempt ended. ``retry``: it raised an exception that ``retry_exceptions`` covers."""

    task: int
    attempt: int
    values: tuple[Value, ...]
    #: Time inside user code.
    micros: int = 0
    retry: bool = False
    #: The worker leaves after this (``max_calls``, ``exit_actor``).
    leaving: bool = False
    #: The object, put just before, that is the actor's state after this call; 0: none was saved.
    saved: int = 0
    #: A call that ran again has not submitted what it had submitted before: the end of a sentence that says so.
    strayed: str = ""
    #: It was cancelled before it started.
    unstarted: bool = False
    #: It has learned something that need not be so when it runs again, and its actor's state was not saved since.
    chance: bool = False


class Present(Struct, tag=36):
    """The answer to ``Knock``."""


class Revoked(Struct, tag=31):
    """These tasks had not started and will not start here."""

    tasks: tuple[int, ...]


class ActorReady(Struct, tag=32):
    """The constructor returned. Said only by actors whose class has a ``__repr__`` of its own."""

    actor: int
    attempt: int
    #: What that returned.
    shown: str = ""


class Exiting(Struct, tag=33):
    """The worker's process is about to end on purpose (``exit_actor``, retirement): its death is no crash."""

    reason: str


class Yield(Struct, tag=34):
    """A stream's item number ``index``, counted anew by each attempt."""

    task: int
    attempt: int
    index: int
    value: Value


# ------------------------------------------------------------------------------------------------- H>C: replies


class Ready(Struct, tag=50):
    """The object exists. Grants ``value.refs``. ``away``: it must be fetched before it is read."""

    oid: int
    value: Value
    away: bool = False


class Answer(Struct, tag=51):
    """The answer to a Query, CreateActor or LeaseRequest. ``error`` is "" or says what is wrong."""

    request: int
    body: dict[str, Any] = {}  # msgspec copies mutable defaults per instance
    error: str = ""


class Segment(Struct, tag=52):
    """A segment that a later message mentions; its descriptor rides on this frame."""

    segment: int
    size: int


class Freed(Struct, tag=53):
    """Extents that this client wrote are unused again. ``cold``: their bytes are not part of its lease any more."""

    extents: tuple[Extent, ...]
    cold: bool = False


class Output(Struct, tag=54):
    """What a worker wrote to its standard output and error."""

    pid: int
    data: bytes


class GridDied(Struct, tag=55):
    """The grid ends, and why; the last message on this link."""

    message: str


class Group(Struct, tag=57):
    """To the driver: a worker's process group exists, or is gone. If all else dies, the driver sweeps the rest."""

    pid: int
    alive: bool


class Notice(Struct, tag=56):
    """Something a person should read (printed on the driver's standard error)."""

    text: str


class Unread(Struct, tag=58):
    """The error of a call of this client, or of its driver's job, whose results nobody referred to any more."""

    value: Value


class Item(Struct, tag=59):
    """The next item of a stream that this client reads. Grants ``oid`` and the refs of its value.

    ``value`` is None if it does not fit the link just now: it follows in a ``Ready``. ``away``: as there.
    """

    task: int
    oid: int
    value: Value | None
    away: bool = False


class Recall(Struct, tag=63):
    """Forget the place of this object unless something reads it; answered with ``Recalled`` and the same ``number``."""

    oid: int
    number: int


class Squeeze(Struct, tag=64):
    """Memory is short: give back what is leased and not used."""


# ----------------------------------------------------------------------------------------- H>W: work and control


class Made(Struct):
    """What a call has submitted as number ``nth``: a task or an actor, ``count`` objects from ``ident`` on."""

    nth: int
    ident: int
    count: int
    name: str
    #: The actor whose method it calls; 0: none.
    actor: int = 0


class Run(Struct, tag=70):
    """Run this attempt. ``deps`` are the values for ``slots``. Grants ``refs`` and the refs of ``deps``."""

    task: int
    attempt: int
    spec: int
    args: bytes
    deps: tuple[Value, ...] = ()
    slots: tuple[int | str, ...] = ()
    refs: tuple[int, ...] = ()
    #: Ids of ``deps``, for pinning.
    oids: tuple[int, ...] = ()
    #: The submitting client, for FIFO per caller.
    caller: int = 0
    #: Actor calls and creations: the actor.
    actor: int = 0
    retries_left: int = 0
    #: Those of ``oids`` that must be fetched before they are read.
    away: tuple[int, ...] = ()
    #: It brings the actor back to where it was: the call that it repeats, whose result nobody needs. 0: it does not.
    again: int = 0
    #: What it has submitted before, and need not submit anew. Grants these.
    made: tuple[Made, ...] = ()


class Learn(Struct, tag=71):
    """A spec that a later Run mentions."""

    spec: Spec


class Code(Struct, tag=72):
    """Code that a later Learn mentions."""

    digest: bytes
    name: str
    value: Value


class Unlearn(Struct, tag=73):
    """Specs and code that will not be used again."""

    specs: tuple[int, ...] = ()
    digests: tuple[bytes, ...] = ()


class Exit(Struct, tag=74):
    """Finish what was given, then leave."""

    reason: str


class Revoke(Struct, tag=75):
    """Hand back these tasks unless they started, and send what is buffered."""

    tasks: tuple[int, ...]


class Knock(Struct, tag=80):
    """To a worker, on its reply link: is anybody there? It is answered with ``Present``."""


class Interrupt(Struct, tag=76):
    """Cancel this attempt if it runs; drop it if it has not started."""

    task: int
    attempt: int
    #: Its time is over: interrupt synchronous methods, too, which ``cancel()`` leaves alone.
    deadline: bool = False
    #: It is a stream that nobody reads: it ends where it next yields, and nothing is interrupted.
    gently: bool = False


class Deadlock(Struct, tag=78):
    """To a worker, on its reply link: what this call waits for can never be; ``text`` says why."""

    task: int
    text: str


class Credit(Struct, tag=79):
    """To a worker, on its reply link: the reader of a stream has taken so many of its items; -1: never wait again."""

    task: int
    attempt: int
    taken: int


class Devices(Struct, tag=85):
    """What this worker runs from now on has these devices, by their numbers."""

    devices: tuple[int, ...]


class Restarted(Struct, tag=77):
    """To a worker that becomes an actor: which incarnation it is."""

    actor: int
    incarnation: int
    name: str
    namespace: str
    #: What a handle to it needs, as in CreateActor.
    handle: bytes = b""


# ------------------------------------------------------------------------------------------------- H>L and L>H


class Spawn(Struct, tag=90):
    """Fork a worker; its links and its output pipe ride on this frame (task, control, output)."""

    worker: int
    title: str = ""


class KillProcess(Struct, tag=91):
    """Signal a worker's process group; with a ``task`` only if that one's user code runs in it (else: ``Spared``)."""

    worker: int
    signal: int
    task: int = 0


class Spawned(Struct, tag=92):
    """The worker has this process id."""

    worker: int
    pid: int


class Exited(Struct, tag=93):
    """The worker's process is gone. ``current``: the task whose user code was running, 0 if none.

    ``outbox`` is a frame body that the worker had finished but not sent: it lies in memory shared with the launcher.
    """

    worker: int
    pid: int
    #: Exit code if >= 0, minus the signal number if negative.
    status: int
    current: int = 0
    outbox: bytes = b""
    #: The system has killed something for want of memory meanwhile (noted by the head's shell).
    oom: bool = False


class SpawnFailed(Struct, tag=94):
    """The fork failed (limits of the machine)."""

    worker: int
    message: str


class Stopped(Struct, tag=95):
    """The worker's process was stopped (or continued) by a signal."""

    worker: int
    stopped: bool


class Spared(Struct, tag=97):
    """The worker was not killed: it does not run that task's code, not yet or no longer."""

    worker: int
    task: int


class Quit(Struct, tag=96):
    """Kill every worker's group and exit."""


class LinkLost(Struct, tag=98):
    """The worker's end of a link is closed. The shell of the head says so; a death, if it is one, is reported soon."""

    worker: int


class SpawnSpiller(Struct, tag=109):
    """Fork the process that reads and writes the spill file; its link rides on this frame."""


# --------------------------------------------------------------------------------------- H>S and S>H: the spill file


class SpillOut(Struct, tag=110):
    """Copy an extent to the spill file, at ``offset``, then give its pages back; its segment rides on this frame."""

    job: int
    extent: Extent
    offset: int


class SpillIn(Struct, tag=111):
    """Copy an extent back to where it lay, and compare its checksum; its segment rides on this frame."""

    job: int
    extent: Extent
    offset: int
    checksum: int


class SpillFree(Struct, tag=112):
    """Nobody needs this part of the spill file any more."""

    offset: int
    size: int


class SpillFile(Struct, tag=113):
    """The spill file; its descriptor rides on this frame. The head keeps it for the next process of this kind."""

    path: str


class Written(Struct, tag=120):
    """The extent is in the spill file; its pages go next."""

    job: int
    checksum: int


class Emptied(Struct, tag=121):
    """The pages of the extent are the system's again."""

    job: int


class Restored(Struct, tag=122):
    """The extent is in memory again, and is what it was."""

    job: int


class SpillFailed(Struct, tag=123):
    """The file could not be written, or what was read from it is not what was written."""

    job: int
    message: str


# ------------------------------------------------------------------------------------------ how a run is to be played


#: The victim of a recorded death that is no path: the head itself.
HEAD: Final = "head"


class Kill(Struct):
    """A recorded death: of the process of task or actor ``victim`` (a path), or of the head.

    ``point``: "blocked" (while it waited), "before_reply" (``call`` is the one whose result it took along), "send" (it
    took along the submission of ``call``), "restart" (before the constructor ran again). ``started``, ``finished``: how
    many calls each actor (by path) had when it happened; ``said``: how many each call that ran in the process had made,
    and for the head's death the program itself ("") and every call.
    """

    victim: str
    point: str = "blocked"
    call: str = ""
    started: dict[str, int] = {}  # msgspec copies mutable defaults per instance
    finished: dict[str, int] = {}
    said: dict[str, int] = {}


class Script(Struct):
    """A recorded run, for ``core.head.stage``: the calls that each actor starts, in order, and who dies when."""

    orders: dict[str, list[str]] = {}  # msgspec copies mutable defaults per instance
    kills: list[Kill] = []


#: What arrives at the head from a client or a worker's task link.
ToHead = (
    Export
    | Spec
    | Submit
    | CreateActor
    | Put
    | Release
    | Subscribe
    | Blocked
    | Resumed
    | Cancel
    | KillActor
    | Query
    | NewSegment
    | LeaseRequest
    | LeaseReturn
    | Forget
    | Environment
    | Bye
    | HoldOutput
    | Fetch
    | Recalled
    | Unpinned
    | AwaitEnd
    | Taken
    | Dismiss
    | Measured
    | Reserve
    | Unreserve
    | AwaitReserved
    | Done
    | Revoked
    | ActorReady
    | Exiting
    | Yield
    | Present
)
#: What arrives at a client.
ToClient = (
    Ready
    | Item
    | Answer
    | Segment
    | Freed
    | Output
    | GridDied
    | Group
    | Notice
    | Unread
    | Revoke
    | Interrupt
    | Knock
    | Deadlock
    | Credit
    | Recall
    | Squeeze
)
#: What arrives at a worker's task link.
ToWorker = Run | Learn | Code | Unlearn | Exit | Environment | Segment | Restarted | Devices
ToLauncher = Spawn | KillProcess | Quit | SpawnSpiller
FromLauncher = Spawned | Exited | SpawnFailed | Stopped | Spared | LinkLost
#: What travels between the head and the process that owns the spill file.
ToSpiller = SpillOut | SpillIn | SpillFree | SpillFile
FromSpiller = Written | Emptied | Restored | SpillFailed | SpillFile
