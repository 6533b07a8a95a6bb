"""The Engine protocol: everything that ``api`` asks of whatever runs the program.

Four engines are planned behind it: forked processes (``runtime``), the simulator (``sim``), Ray and Dask
(``scaleout``). ``api`` knows this file and nothing below it. Rules:

* Arguments are pickled before ``submit`` and ``call`` return: what the caller changes later is not seen.
* Every blocking call ends with a value, a typed error from ``actorgrid.exceptions``, or its timeout.
* A ``Prepared`` is the engine's own notion of (definition, options), made once, used on every call. All that ``api``
  knows of it is whose it is: it has another one made when the engine changes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

from actorgrid.core.messages import Metric
from actorgrid.engine.definitions import (
    ActorDefinition,
    ActorOptions,
    Condition,
    Context,
    FunctionDefinition,
    GroupRef,
    MethodOptions,
    Sent,
    TaskOptions,
)
from actorgrid.engine.generators import ObjectRefGenerator
from actorgrid.engine.refs import ActorRef, Entry, ObjectRef

if TYPE_CHECKING:
    import asyncio

    from actorgrid.engine.awaiting import Awaiting

#: ``num_returns`` 0 gives None, 1 a reference, n >= 2 a list of references; STREAMING gives a generator of them.
Returns = ObjectRef[Any] | ObjectRefGenerator[Any] | list[ObjectRef[Any]] | None
#: What ``wait`` takes: a generator is ready when its next item is, or when it is over.
Waitable = ObjectRef[Any] | ObjectRefGenerator[Any]
#: What a handle is made of: the actor, its class's name, its methods, its concurrency groups.
Handle = tuple[ActorRef, str, Sent, tuple[str, ...]]


class Prepared(Protocol):
    """A definition with its options in the form of one engine."""

    #: Whose it is; None when that one is over.
    engine: Any


class Unprepared:
    """What stands where nothing has been prepared yet."""

    engine: Any = None


UNPREPARED: Final[Prepared] = Unprepared()


class Engine(Protocol):
    """What runs a program."""

    name: str
    #: After how many seconds a call that still waits says for what; None: never.
    stall_warning: float | None
    #: What modules keep of this process, each under a name of its own: a simulated program has many processes.
    belongings: dict[str, Any]

    # -- calls

    def prepare_task(self, definition: FunctionDefinition, options: TaskOptions) -> Prepared:
        """Return the engine's form of a function with options.

        Raises TypeError if it cannot be pickled, ValueError if its ``runtime_env`` asks for what is not there.
        """

    def submit(self, prepared: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Returns:
        """Run a task. Raises InfeasibleResourcesError, TypeError (unpicklable argument, named by its path)."""

    def create_actor(
        self, definition: ActorDefinition, options: ActorOptions, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[ActorRef, bool]:
        """Create an actor, or with ``get_if_exists`` find it; the flag says whether it was created."""

    def prepare_method(self, method: str, display_name: str, options: MethodOptions) -> Prepared:
        """Return the engine's form of a method with options; ``display_name`` is ``Class.method``."""

    def call(self, actor: ActorRef, prepared: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Returns:
        """Call a method of an actor. Raises PendingCallsLimitExceeded."""

    # -- objects

    def put(self, value: Any) -> ObjectRef[Any]:
        """Store a value. Raises ObjectStoreFullError, TypeError."""

    def get(self, refs: Sequence[ObjectRef[Any]], timeout: float | None) -> list[Any]:
        """Return the values; raises the first error seen, GetTimeoutError after ``timeout`` seconds."""

    def wait(self, refs: Sequence[Waitable], num_returns: int, timeout: float | None) -> tuple[list[Any], list[Any]]:
        """Return (ready, not ready) once ``num_returns`` are ready or ``timeout`` seconds have passed."""

    def on_ready(self, ref: ObjectRef[Any], callback: Callable[[ObjectRef[Any]], None]) -> None:
        """Call ``callback(ref)`` once the object exists, from any thread, or at once if it already does."""

    def awaiting(self, loop: asyncio.AbstractEventLoop) -> Awaiting | None:
        """Return who looks at what is awaited on an event loop; None: nobody does."""

    def say_stalled(self, call: str, seconds: float, entry: Entry, others: int) -> None:
        """Say, some time soon, for what a call has waited so long, and for how many other objects, too."""

    def value(self, ref: ObjectRef[Any]) -> Any:
        """Return the value of an object that exists, or raise its error; never blocks for the object to be made."""

    def process(self) -> int:
        """Return the number of this process; no other process of the grid ever has the same."""

    def end_of(self, process: int) -> ObjectRef[None]:
        """Return a reference to an object that comes to exist when the process of this number has ended."""

    def explain(self, ref: ObjectRef[Any]) -> list[str]:
        """Return what an object waits for: a sentence for each call, from its own to what all wait for in the end."""

    # -- streams

    def next_item(self, generator: ObjectRefGenerator[Any], timeout: float | None) -> ObjectRef[Any] | None:
        """Wait for the next item of a stream and take it; None: there is none.

        ``timeout`` is None, and there will never be one, or 0: do not wait.
        """

    def lets_come(self, entry: Entry) -> bool:
        """Return whether an object that was not there may have come since, because its future was looked at."""

    def sees_item(self, generator: ObjectRefGenerator[Any]) -> bool:
        """Return whether there is something to read, or the stream is over."""

    def on_item(self, generator: ObjectRefGenerator[Any], callback: Callable[[], None]) -> None:
        """Call ``callback()`` once there is something to read, or the end is, from any thread, or at once."""

    def close_stream(self, generator: ObjectRefGenerator[Any]) -> None:
        """Stop a stream where it next yields; nothing more is read."""

    # -- control

    def cancel(self, ref: ObjectRef[Any], *, force: bool, recursive: bool, waiting: bool = False) -> None:
        """Cancel the task behind ``ref``. ``waiting``: unless a worker has it.

        Raises ValueError for ``force`` on an actor's task.
        """

    def kill(self, actor: ActorRef, *, no_restart: bool) -> None:
        """Kill an actor at once."""

    def get_actor(self, name: str, namespace: str | None) -> Handle:
        """Return (weak reference, class name, methods, concurrency groups). Raises ValueError if there is none."""

    def named_actors(self) -> list[tuple[str, str]]:
        """Return (namespace, name) of every actor that has a name."""

    def exit_actor(self) -> None:
        """End the current actor after its running calls. Raises TypeError outside an actor."""

    def context(self) -> Context:
        """Return where the calling code runs."""

    def settle(self) -> bool:
        """See that the running call is not cancelled from here on. Returns False if it was: nobody hears of it."""

    def current_actor(self) -> Handle:
        """Return a weak reference to the actor the calling code runs in. Raises RuntimeError outside an actor."""

    # -- processes

    def setup_for(self, own: Mapping[str, Any]) -> bytes:
        """Return what the process of a call that is made here has to be set up with. Raises ValueError."""

    def unneeded(self, setup: bytes) -> None:
        """No more calls with this setup will come: let its processes go. Says nothing to a grid that is gone."""

    def keep_changes(self) -> None:
        """What the running task has done to its process so far is to stay when it is over."""

    # -- placement groups

    def create_group(
        self,
        bundles: Sequence[Mapping[str, float]],
        strategy: str,
        name: str,
        *,
        detached: bool,
        labels: Sequence[Sequence[Condition]],
    ) -> GroupRef:
        """Make a placement group; ``labels``: what the machine of each bundle must be.

        Raises InfeasibleResourcesError if it can never be, ValueError if the name is taken.
        """

    def group_ready(self, group: GroupRef, value: Any) -> ObjectRef[Any]:
        """Return a reference to ``value``, which comes to exist when the group has its resources."""

    def remove_group(self, group: GroupRef) -> None:
        """Remove a placement group and end what runs in it."""

    def find_group(self, name: str) -> GroupRef | None:
        """Return the placement group of this name, None if there is none."""

    def placement_groups(self) -> list[tuple[GroupRef, dict[str, Any]]]:
        """Return every placement group and what the head tells of it (``Reservations.tell``)."""

    # -- the grid

    def cluster_resources(self) -> dict[str, float]:
        """Return what the grid has."""

    def available_resources(self) -> dict[str, float]:
        """Return what is free now; a resource that is used up is absent."""

    def nodes(self) -> list[dict[str, Any]]:
        """Return one record per machine with Ray's keys."""

    def describe(self, metric: Metric) -> None:
        """Take note of a metric that is going to be measured. Raises ValueError if another metric has this name."""

    def measure(self, metric: Metric, tags: tuple[tuple[str, str], ...], value: float) -> None:
        """Note a measurement; the head hears of it soon. Raises ValueError if another metric has this name."""

    def inspect(self, what: str, body: dict[str, Any], timeout: float | None = None) -> dict[str, Any]:
        """Return what the head answers to a question about the grid; all that the caller has said before is in it.

        Ids are integers, times those of the head (``epoch`` is what to add to them). Raises GetTimeoutError.
        """

    def has_ended(self) -> bool:
        """Return whether the grid has died, so that no call can succeed any more."""

    def shutdown(self) -> None:
        """End the grid (a driver's own) or leave it. Safe to call twice."""
