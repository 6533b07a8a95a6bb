"""What every engine that hosts our own machines is built on: values, references, and the lock.

A host (a driver process, a worker process, the simulator) adds how frames travel, how a thread waits, and where
shared memory comes from: the methods under "what a host adds".

Locking, and why it is safe:

1. One re-entrant lock guards the client machine. It is re-entrant because the garbage collector may run a user's
   ``__del__`` that calls us while we hold it.
2. No user code is pickled or unpickled under it.
3. Frames are written under it, so that the outbox keeps its order. The head never waits for a client, so the write
   ends.
4. Nobody sleeps under it: waiting threads sleep on locks of their own, which whoever reads the link opens.
"""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import Any

from actorgrid.core import messages as m
from actorgrid.core.client import Client, Entry
from actorgrid.core.ids import render
from actorgrid.core.measures import Measures
from actorgrid.core.resources import Demand, Pool, demand
from actorgrid.core.signals import Terminated
from actorgrid.engine import current
from actorgrid.engine.definitions import Context, Setup
from actorgrid.engine.errors import failure_to_exception
from actorgrid.engine.interrupts import protected
from actorgrid.engine.refs import ActorRef, ObjectRef
from actorgrid.engine.serialize import INLINE_LIMIT, NONE, Pickled, collecting, dumps, loads
from actorgrid.engine.waits import BlockingWaiter, Sleeper
from actorgrid.exceptions import ActorGridError, ResourceLimitError, SerializationError
from actorgrid.wire.codec import decode_failure
from actorgrid.wire.errors import told_of, unpack_exception

_ABSTRACT = "a host must define this"


class EngineBase:
    """Values and references of one process, and what a host adds."""

    name = "local"

    def __init__(self, client_number: int, session: str, capacity: dict[str, float], namespace: str) -> None:
        """``session`` is a hex tag shown in ids; ``capacity`` is what the grid has."""
        self.session = session
        self.capacity = capacity
        self.namespace = namespace
        self.client = Client(client_number, self, lambda oid: render(oid, session, 56), self._reduce)
        #: What this process is set up with, or lets others inherit; and what every process of the grid is from birth.
        self.setup = self.plain = Setup()
        self.measures = Measures(self.client)
        self.lock = self.new_lock()
        #: What modules keep of this process, each under a name of its own.
        self.belongings: dict[str, Any] = {}
        #: Labels of this machine that ``init`` was given.
        self.labels: dict[str, str] = {}
        #: What ``init`` was told to call it; "": nothing.
        self.node_name = ""
        #: How many calls the program itself has submitted.
        self._children = 0
        #: Seconds after which a call that still waits says for what; None: never.
        self.stall_warning: float | None = None
        #: We are a forked copy in a child of the process that the engine belongs to.
        self.forked = False

    def new_lock(self) -> threading.RLock:
        """Return what a thread holds that changes something here."""
        return threading.RLock()

    @cached_property
    def _pool(self) -> Pool:
        """What the grid has when everything is free. Made when it is first asked for: few workers ask."""
        return Pool(demand(self.capacity))

    def has(self, wanted: Demand, sizes: Sequence[int] = ()) -> bool:
        """Return whether the grid has so much. ``sizes``: its GPUs, if they go to several."""
        return self._pool.feasible(wanted, sizes)

    @property
    def node_id(self) -> str:
        """The machine's id, as text."""
        return (self.session * 2)[:56]

    def node_labels(self) -> dict[str, str]:
        """Return the labels of this machine; those of its id have our name and Ray's."""
        return {"actorgrid.io/node-id": self.node_id, "ray.io/node-id": self.node_id, **self.labels}

    # ------------------------------------------------------------------------------------ what a host adds

    def send(self, *, force: bool) -> None:
        """Send the outbox: now (``force``), or if the flush rule allows. Called with the lock held."""
        raise AssertionError(_ABSTRACT, force)

    def soon(self) -> None:
        """Send the outbox in a moment, unless other words take it along before. Called with the lock held."""
        raise AssertionError(_ABSTRACT)

    def wake(self) -> None:
        """Have dropped references collected soon; may be called from anywhere."""
        raise AssertionError(_ABSTRACT)

    def write_extent(self, pickled: Pickled) -> m.Extent:
        """Put a payload into shared memory. Raises ObjectStoreFullError. Called without the lock."""
        raise AssertionError(_ABSTRACT, pickled)

    def free_extents(self, extents: tuple[m.Extent, ...]) -> None:
        """Take back what ``write_extent`` has returned and the head was not told of. Called without the lock."""
        raise AssertionError(_ABSTRACT, extents)

    def map_extent(self, extent: m.Extent, on_release: Callable[[], None]) -> memoryview:
        """Return a read-only view; ``on_release`` is called when the last thing built on it is gone."""
        raise AssertionError(_ABSTRACT, extent, on_release)

    def fetch(self, entry: Entry, timeout: float | None) -> None:
        """Wait until a pinned object that is ``away`` lies in memory again.

        Raises GetTimeoutError, and whatever says why it cannot. Called without the lock.
        """
        raise AssertionError(_ABSTRACT, entry, timeout)

    def check_may_wait(self, what: str) -> None:
        """Raise RuntimeError where waiting would never end: in a callback, or in a finalizer that interrupted us."""
        if self.is_reader() or self.lock._is_owned():  # type: ignore[attr-defined]  # noqa: SLF001  # as threading.Condition
            message = (
                f"{what} would have to wait here for ever: callbacks of futures and references, and finalizers, hold "
                "up what would wake them. Start a thread for what waits, or await it"
            )
            raise RuntimeError(message)

    def waiter(self, need: int, *, eager: bool) -> Sleeper:
        """Return what the calling thread sleeps on until ``need`` objects exist, or (``eager``) one is an error."""
        return BlockingWaiter(need, eager=eager)

    def is_reader(self) -> bool:
        """Return whether the calling thread is the one that hears the head."""
        return False

    def current_task(self) -> tuple[int, int]:
        """Return (current task id or 0, its next child's number)."""
        self._children += 1
        return 0, self._children - 1

    def saw_chance(self) -> None:
        """The calling code is told something that need not be so another time: what is ready, who is late, who exists.

        Of interest where a call may run again and must do the same.
        """

    def within(self, timeout: float | None) -> float | None:
        """Return how long the calling code waits for what should be there after ``timeout`` seconds."""
        return timeout

    def blocking(self, blocked: m.Blocked, waiter: Sleeper) -> Callable[[], None] | None:
        """The calling thread is about to wait; returns what to call when it goes on. Called with the lock held.

        ``blocked`` says for what; its task and what goes back unstarted are for the host to fill in.
        """
        del blocked, waiter
        return None

    def schedule(self, callback: Callable[[], None]) -> None:
        """Run ``callback`` soon, without the lock."""
        raise AssertionError(_ABSTRACT, callback)

    def let_speak(self) -> None:
        """Have what workers printed before an error be seen before it. Nothing to do where prints need no thread."""

    def print_error(self, text: str) -> None:
        """Show ``text`` (whole lines, or "") where a person sees it."""
        raise AssertionError(_ABSTRACT, text)

    def refresh_environment(self) -> None:
        """Tell the head if ``sys.path`` or the like changed. Called when code is exported."""

    def context(self) -> Context:
        """Return where the calling code runs."""
        return Context(job=self.setup.job or 1, namespace=self.namespace, session=self.session, setup=self.setup)

    def settle(self) -> bool:
        """See ``Engine``. Nobody cancels a program."""
        return True

    # ------------------------------------------------------------------------------------ values

    def store(self, value: Any, what: str) -> m.Value:
        """Pickle a value into a message, or into shared memory if it is large."""
        return self.place(dumps(value, what))

    def place(self, pickled: Pickled) -> m.Value:
        """Return the message form of a payload."""
        if pickled.size <= INLINE_LIMIT:
            return m.Value(m.OK, pickled.inline(), None, pickled.refs)
        return m.Value(m.OK, b"", self.write_extent(pickled), pickled.refs)

    def take_back(self, values: Iterable[m.Value]) -> None:
        """Free the payloads of values that nobody will ever be told of."""
        extents = tuple(value.extent for value in values if value.extent is not None)
        if extents:
            self.free_extents(extents)

    def value(self, ref: ObjectRef[Any]) -> Any:
        """Return the value behind ``ref``, which exists, or raise its error."""
        return self.load(ref._entry)  # type: ignore[arg-type]  # noqa: SLF001  # references of this engine hold Entry

    def load(self, entry: Entry, timeout: float | None = None) -> Any:
        """Unpickle a value, or raise the error that stands in its place; wait so long if it must come from disk."""
        value = entry.value
        if value is None:
            raise self._gone()
        if value.status is m.OK:
            if value.extent is None and value.data == NONE:
                return None
            try:
                data = value.data if value.extent is None else self.pinned_view(entry, value.extent, timeout)
            except ActorGridError:  # it could not be fetched (a timeout is an OSError, too)
                raise
            except OSError as error:  # its segment cannot be mapped
                raise ResourceLimitError(f"object {entry.hex()} cannot be read in this process: {error}") from error
            try:
                return loads(data)
            except Terminated:
                raise
            except (Exception, SystemExit) as error:  # a value that exits must not end who asks for it
                raise self._not_unpickled(entry, error) from error
        entry.read = True
        raise self.error_of(value)

    def _not_unpickled(self, entry: Entry, error: BaseException) -> SerializationError:
        what = "".join(traceback.format_exception_only(error)).strip()  # it survives exceptions without a usable str
        return SerializationError(f"object {entry.hex()} cannot be unpickled in this process: {what[:4096]}")

    def error_of(self, value: m.Value) -> BaseException:
        """Return the exception that a failed value stands for."""
        if value.status is m.Status.ERROR:
            return unpack_exception(value.data, value.not_run)
        failure = decode_failure(value.data)
        if value.not_run:
            failure.message += f"\n{told_of(value.not_run)}"
        return failure_to_exception(failure, lambda ident, digits: render(ident, self.session, digits))

    def pinned_view(self, entry: Entry, extent: m.Extent, timeout: float | None = None) -> memoryview:
        """Return what lies there; it stays in memory until nothing is built on it any more. See ``fetch``."""
        view = self._view(entry, extent)
        if view is None:
            try:
                self.fetch(entry, timeout)
            except BaseException:
                entry.unpin()
                raise
            view = self.map_extent(extent, entry.unpin)
        return view

    @protected
    def _view(self, entry: Entry, extent: m.Extent) -> memoryview | None:
        """Pin an object and return a view that holds the pin; None, and the pin is the caller's, if it is away."""
        with self.lock:
            entry.pins += 1
            entry.refs += 1
            here = not entry.away
        return self.map_extent(extent, entry.unpin) if here else None

    def _gone(self) -> BaseException:
        return self.client.dead or RuntimeError("the object does not exist yet")

    # ------------------------------------------------------------------------------------ references

    def _reduce(self, entry: Entry) -> tuple[Any, ...]:
        entry.read = True
        refs = collecting.refs
        here: object = current.installed()
        if refs is not None and here is not self:  # its number may be another object's there
            kind = "a handle of an actor" if entry.actor else "a reference"
            raise SerializationError(
                f"{kind} belongs to another session: the grid that made it has ended or is another process's"
            )
        if refs is None:
            # Pickled by somebody else's pickler: we cannot see where it goes, so it lives as long as this process.
            with self.lock:
                entry.refs += 1
        else:
            refs.append(entry.oid)
        return rebuild, (entry.oid, self.session, entry.actor)

    @protected
    def rebuild(self, oid: int, *, actor: bool) -> ObjectRef[Any] | ActorRef:
        """Return a reference that was inside a value."""
        with self.lock:
            entry = self.client.entries.get(oid)
            if entry is None:
                entry = self.client.granted(oid)
                entry.seen = 0  # nobody granted it to us: it was smuggled
            if actor:
                entry.actor = entry.heavy = True
                return ActorRef(entry)
            return ObjectRef(entry)


def rebuild(oid: int, session: str, actor: bool) -> ObjectRef[Any] | ActorRef:
    """Return the reference that was pickled. Raises ValueError in a process of another grid."""
    engine = current.installed()
    if not isinstance(engine, EngineBase) or engine.session != session:
        kind = "actor" if actor else "object"
        raise ValueError(f"this reference to an {kind} belongs to a grid that this process is not part of")
    return engine.rebuild(oid, actor=actor)
