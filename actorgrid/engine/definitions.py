"""What a program defined: functions, actor classes, methods and their options, as plain data.

``api`` validates what the user wrote and builds these; an engine reads them. Nothing here runs anything. Structs, not
dataclasses: every process of a grid pays for their definition when it starts, and a dataclass costs a millisecond.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from actorgrid.core.messages import Placement, Script
from actorgrid.core.resources import Demand

#: ``num_returns`` of a generator whose items go to the caller as they come, and of one whose result is their list.
STREAMING: Final = -1
DYNAMIC: Final = -2
#: So many items of a stream may be unread before its generator waits, unless the program says otherwise.
BACKPRESSURE: Final = 64

RetryExceptions = bool | tuple[type[BaseException], ...]


class LogSettings(msgspec.Struct, frozen=True):
    """How the processes of a grid log: "TEXT" or "JSON", from which level on, and which attributes besides."""

    encoding: str
    level: int
    attrs: tuple[str, ...] = ()


class Setup(msgspec.Struct, frozen=True):
    """A runtime environment: what a process is set up with before it runs anything (see ``engine.setups``)."""

    #: Sorted by name.
    env_vars: dict[str, str] = msgspec.field(default_factory=dict)
    #: Absolute paths; "": the driver's own folder.
    working_dir: str = ""
    py_modules: tuple[str, ...] = ()
    #: A function that is called first, or its name, pickled; b"": none.
    hook: bytes = b""
    #: Whose processes these are: they run no other calls, nor those that their own calls make. "": anybody's.
    owner: str = ""
    #: In a persistent grid: the driver whose calls these are, where it looks for names, and what it had around it; how
    #: its processes log, and how many unfinished tasks each may have (see ``StartConfig``).
    job: int = 0
    namespace: str = ""
    surroundings: bytes = b""
    logging: LogSettings | None = None
    max_pending_tasks: int = 0
    refuse_pending_tasks: bool = False


class GroupRef(NamedTuple):
    """A placement group: its number, the grid that it belongs to, and what its bundles hold."""

    ident: int
    session: str
    bundles: tuple[Demand, ...]


class Condition(NamedTuple):
    """What a label of a machine must be, or (not ``wanted``) must not be; ``values`` None: anything at all."""

    label: str
    wanted: bool
    values: tuple[str, ...] | None


class Where(NamedTuple):
    """Where a task or an actor may run."""

    #: It was said whether it runs in a placement group; if not, whoever submits it may take it along to its own.
    said: bool = False
    #: None: in none. -1: in any of its bundles.
    group: GroupRef | None = None
    bundle: int = -1
    #: What it submits runs there, too; None: if this holds for whoever submits it.
    capture: bool | None = None
    #: The only machine, "": any.
    node_id: str = ""
    #: A machine must meet every condition of one of these; (): of none.
    conditions: tuple[tuple[Condition, ...], ...] = ()


class TaskOptions(msgspec.Struct, frozen=True):
    """Options of a remote function (names, units and defaults are Ray's; see ``docs/reference``)."""

    num_cpus: float = 1.0
    num_gpus: float = 0.0
    resources: Mapping[str, float] = msgspec.field(default_factory=dict)
    memory: int = 0
    num_returns: int = 1
    max_retries: int = 3
    retry_exceptions: RetryExceptions = False
    max_calls: int = 0
    name: str = ""
    priority: int = 0
    #: Seconds from submission to the result, and in a worker; 0: any.
    timeout: float = 0.0
    run_timeout: float = 0.0
    #: STREAMING: unread items before the generator waits; -1: any number.
    backpressure: int = BACKPRESSURE
    #: What it asks for on top of the environment of whoever calls it.
    runtime_env: Mapping[str, Any] = msgspec.field(default_factory=dict)
    where: Where = Where()


class ActorOptions(msgspec.Struct, frozen=True):
    """Options of an actor class. ``num_cpus=None``: 1 to place it, 0 while it lives (Ray's rule)."""

    num_cpus: float | None = None
    num_gpus: float = 0.0
    resources: Mapping[str, float] = msgspec.field(default_factory=dict)
    memory: int = 0
    max_restarts: int = 0
    max_task_retries: int = 0
    #: None: 1, or 1000 if the class has any ``async def`` method.
    max_concurrency: int | None = None
    max_pending_calls: int = -1
    name: str = ""
    namespace: str | None = None
    get_if_exists: bool = False
    detached: bool = False
    priority: int = 0
    #: A call that waits for an argument does not hold up the later ones of its caller.
    allow_out_of_order_execution: bool = False
    #: Its state is saved after so many calls, or so many seconds; 0: not for this reason.
    checkpoint_calls: int = 0
    checkpoint_seconds: float = 0.0
    #: Name of a concurrency group -> how many of its calls run at once, beside those that name no group.
    concurrency_groups: Mapping[str, int] = msgspec.field(default_factory=dict)
    #: As for tasks.
    runtime_env: Mapping[str, Any] = msgspec.field(default_factory=dict)
    where: Where = Where()


class MethodOptions(NamedTuple):
    """Options of one actor method call. ``max_task_retries=None``: the actor's.

    A tuple, because every handle that is pickled holds one per method (see ``to_send``).
    """

    num_returns: int = 1
    max_task_retries: int | None = None
    retry_exceptions: RetryExceptions = False
    name: str = ""
    #: It does not change the actor: the simulator need not try its calls in every order, and checks the claim.
    readonly: bool = False
    #: As for tasks.
    timeout: float = 0.0
    run_timeout: float = 0.0
    #: "": none.
    concurrency_group: str = ""
    backpressure: int = BACKPRESSURE


#: Method name -> its options, as they are sent.
Sent = dict[str, tuple[Any, ...]]


def to_send(methods: Mapping[str, tuple[Any, ...]]) -> Sent:
    """Return the options of methods as plain tuples, equal ones as one: a named one pickles ten times slower."""
    known: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    return {name: known.setdefault(tuple(each), tuple(each)) for name, each in methods.items()}


class FunctionDefinition(msgspec.Struct, eq=False):
    """A remote function."""

    function: Callable[..., Any]
    name: str


class ActorDefinition(msgspec.Struct, eq=False):
    """An actor class: the user's class and what handles need to know of its methods."""

    cls: type[Any]
    name: str
    is_async: bool
    #: Public method name -> its default options.
    methods: dict[str, MethodOptions]
    #: The names of its concurrency groups.
    groups: tuple[str, ...] = ()


class Context(msgspec.Struct, frozen=True):
    """Where the calling code runs: ids as integers (0: none), names as text."""

    job: int = 1
    worker: int = 0
    task: int = 0
    actor: int = 0
    task_name: str = ""
    actor_name: str = ""
    namespace: str = ""
    session: str = ""
    assigned_resources: Mapping[str, float] = msgspec.field(default_factory=dict)
    incarnation: int = 0
    cancelled: bool = False
    #: What it is set up with; of a driver, what it lets others inherit.
    setup: Setup = Setup()

    #: The placement group that it runs in.
    placement: Placement | None = None
    #: The devices that it has, by the names that their variables know.
    devices: tuple[str, ...] = ()
    #: The function that runs, with its module, whatever the call is called; "": none.
    function: str = ""


class StartConfig(msgspec.Struct, frozen=True):
    """What ``init`` was asked for; None means: find out."""

    num_cpus: int | None = None
    num_gpus: float | None = None
    resources: Mapping[str, float] = msgspec.field(default_factory=dict)
    #: Bytes.
    object_store_memory: int | None = None
    namespace: str | None = None
    preload: tuple[str, ...] = ()
    log_to_driver: bool = True
    #: What the driver's calls inherit. Its environment variables are those of every process of the grid.
    setup: Setup = Setup()
    max_workers: int | None = None
    #: An actor that dies more than so many times in so many seconds, without serving a call in between, stays dead.
    restart_intensity: int = 10
    restart_period: float = 5.0
    #: Seconds after which a worker that a signal has stopped is killed.
    stopped_limit: float = 30.0
    #: A recorded run to play again (``sim.replay(real=True)``).
    script: Script | None = None
    #: Where objects go that memory cannot hold; None: the temporary directory, "": nowhere.
    object_spilling_directory: str | None = None
    #: Unfinished tasks that a process may have, 0: any number; and whether one more is an error, or waits.
    max_pending_tasks: int = 0
    refuse_pending_tasks: bool = False
    #: How often memory is looked at while something runs (seconds; 0: never), and the share that is too much.
    memory_interval: float = 0.25
    memory_threshold: float = 0.95
    #: Seconds that an actor's process has for its last words when its last handle is gone.
    farewell: float = 30.0
    #: Bytes of its own beyond which a worker is replaced once its task is over; 0: any number.
    max_worker_memory: int = 0
    #: Seconds that a request for memory may wait for others to leave it.
    store_patience: float = 10.0
    #: The socket of a persistent grid to join; "": a grid of its own.
    address: str = ""
    #: So many tasks are remembered once they are over; 0: none.
    task_events: int = 10_000
    #: How its processes log; None: as Python does.
    logging: LogSettings | None = None
    #: Labels of this machine, besides those that it has by itself.
    labels: Mapping[str, str] = msgspec.field(default_factory=dict)
    #: What this machine is called; "": as the system calls it.
    node_name: str = ""
    #: Bytes that tasks which ask for memory are counted against.
    memory: int | None = None
