"""C>H: what a driver or a worker, as a client, tells the head: code, calls, objects, waits and memory."""

from __future__ import annotations

import enum
from typing import Any, Final

from msgspec import field

from actorgrid.core.messages.base import Struct, Value


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


# Under names of their own for what runs with every message: before Python 3.12 to look a member up in its class takes
# ten times as long as what it is compared with.
A_TASK: Final = Kind.TASK
AN_ACTOR: Final = Kind.ACTOR
A_METHOD: Final = Kind.METHOD
A_RESERVATION: Final = Kind.RESERVATION

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
    """Cancel the task that makes this object. ``waiting``: if it was not given to a worker yet."""

    oid: int
    force: bool = False
    recursive: bool = True
    waiting: bool = False


class KillActor(Struct, tag=11):
    """Kill an actor as ``ray.kill`` does."""

    actor: int
    no_restart: bool = True


class Query(Struct, tag=12):
    """Ask the head something; it answers with the same ``request``."""

    request: int
    what: str
    body: dict[str, Any] = field(default_factory=dict)


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
    counts: list[int] = field(default_factory=list)


class Measured(Struct, tag=35):
    """The ``number``-th such message of this client. A metric is described once, before its first sample."""

    number: int
    metrics: list[Metric] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)


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


class Unneeded(Struct, tag=43):
    """No more calls with this setup will come: workers that have it go when they have nothing to do."""

    setup: bytes


class AwaitReserved(Struct, tag=42):
    """Object ``oid`` is to come to exist, with this value, when the resources of a placement group are its own."""

    oid: int
    group: int
    value: Value
