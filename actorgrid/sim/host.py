"""The engine of a simulated process: what a real host does with sockets, threads and maps, done with fibers.

It may not know what other processes there are: it says things to its grid and is told things by it.
"""

from __future__ import annotations

import _thread
import os
import sys
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from actorgrid.core import messages as m
from actorgrid.core.client import failed
from actorgrid.core.messages import AN_ACTOR
from actorgrid.engine import current
from actorgrid.engine.calls import PreparedCall
from actorgrid.engine.definitions import FunctionDefinition, GroupRef, MethodOptions, TaskOptions
from actorgrid.engine.generators import ObjectRefGenerator
from actorgrid.engine.refs import ActorRef, ObjectRef
from actorgrid.engine.serialize import Pickled
from actorgrid.engine.unread import UnreadErrors
from actorgrid.engine.waits import PendingTasks, Sleeper
from actorgrid.exceptions import ActorGridError
from actorgrid.sim.fibers import Fiber
from actorgrid.sim.homes import Home
from actorgrid.sim.memory import Store
from actorgrid.sim.noticing import Noticing
from actorgrid.sim.onlookers import Holds
from actorgrid.sim.places import call_site
from actorgrid.sim.surroundings import Trackers, new_trackers, track
from actorgrid.sim.waiter import SimWaiter
from actorgrid.wire import custom

if TYPE_CHECKING:
    from actorgrid.core.worker import Running
    from actorgrid.sim.grid import Grid

#: Names of fibers in which nobody may wait: callbacks run there, as on a real process's reader thread.
READER: Final = "reader"


class SimHost(Noticing):
    """What simulated drivers and workers have in common."""

    name = "sim"

    def __init__(self, grid: Grid, number: int, pid: int) -> None:
        """``number`` is its client number; ``pid`` is the process id that it is told."""
        super().__init__(number, grid.session, grid.capacity, grid.namespace)
        self.grid = grid
        self.world = grid.world
        self.pid = pid
        self.arenas = Store(self, grid.memory, int(grid.capacity["object_store_memory"]))
        self.alive = True
        #: Definitions that are prepared already: code at module level is shared by all simulated processes.
        self._tasks: dict[int, list[tuple[Any, Any, PreparedCall]]] = {}
        self._methods: dict[tuple[str, str], list[tuple[Any, PreparedCall]]] = {}
        #: Its environment variables, in the form that ``os.environ`` keeps; None: the interpreter's.
        self.environment: dict[Any, Any] | None = None
        #: What cloudpickle knows of classes that were defined in a function: each process has its own copies.
        self.trackers: Trackers | None = None
        self.noticed = set()
        self._unread = UnreadErrors()
        self.labels, self.node_name = grid.labels, grid.node_name
        self.limit_pending(grid.pending_limit[0], refuses=grid.pending_limit[1])
        self.plain = grid.plain
        #: Its folder and modules, if it has any of its own.
        self.home: Home | None = None
        #: What it has registered for its classes; the program has the interpreter's own.
        self.serializers: dict[type[Any], custom.Reducer] = {}

    def new_lock(self) -> threading.RLock:
        """See ``EngineBase``. Nobody ever waits for it: fibers only switch where none is held."""
        return _thread.RLock()

    def current_task(self) -> tuple[int, int]:
        """See ``EngineBase``; notes the line that makes the call if the story is to be told."""
        parent, nth = self.parent_and_nth()
        if self.world.story is not None:
            self.world.story.sites[self.client.number, parent, nth] = call_site()
        return parent, nth

    def parent_and_nth(self) -> tuple[int, int]:
        """Return (current task id or 0, its next child's number)."""
        return Noticing.current_task(self)

    @property
    def memory(self) -> Any:
        """The footprint's token for the memory of this process."""
        return "driver"

    def runs(self, fiber: Fiber) -> None:
        """A fiber of this process is about to go on: note whose memory it may change."""
        if fiber.name != READER and not self.world.turns.rests(fiber):
            self.touch_memory(fiber)
        self.touch_limits()

    def touch_memory(self, fiber: Fiber) -> None:
        """Note that what this fiber does may change the memory of this process."""
        del fiber
        self.world.touch(self.memory, is_open=self.world.shared)

    def share(self) -> None:
        """From now on more than one line of execution of this process may run."""
        self.world.shared = True

    def running(self) -> Running | None:
        """Return the call that the calling code belongs to."""
        return None

    def made(self) -> int:
        """Return how many calls the program has made, for what no task does."""
        return self._children

    def is_shared(self) -> bool:
        """Return whether more than one line of execution of this process may run."""
        return self.world.shared

    def has_threads(self) -> bool:
        """Return whether this process has more than one thread now."""
        fibers = self.world.fibers.alive
        return self.is_shared() and sum(fiber.home is self and fiber.name != READER for fiber in fibers) > 1

    def takes_turn(self, label: str) -> bool:
        """A thread is about to do something: others may come before. Returns whether they could."""
        return self.has_threads() and not self.is_reader() and self.world.onlookers.thread_takes_turn(label)

    def expects(self) -> bool:
        """Return whether something may come to an event loop here from outside: results, the words of threads."""
        return bool(self.called_back) or self.has_threads()

    def calls(self, actor: ActorRef) -> None:
        """Somebody here is about to call this actor; if it has been called just now it may be gone in between."""
        onlookers, running = self.world.onlookers, self.running()
        if running is not None and running.spec.kind is AN_ACTOR:
            onlookers.constructor_calls()
        if onlookers.holds.calls and not self.is_reader():
            said = self.client.outbox
            if any(isinstance(message, m.Submit) and message.actor == actor.ident for message in said):
                onlookers.calls_again("makes another call")

    def _check_pending_calls(self, actor: int) -> None:
        self.world.onlookers.need(Holds.TASKS)  # whether those before are over can be told
        super()._check_pending_calls(actor)

    def _make_room(self, pending: PendingTasks) -> None:
        self.world.onlookers.need(Holds.TASKS)  # see above
        super()._make_room(pending)

    def touch_limits(self) -> None:
        """Note that something happens on which it depends whether there are too many pending calls, or tasks."""
        if self._pending_calls or self.pending_tasks is not None:
            self.world.touch(("pending", self.client.number))

    # -- what EngineBase asks of a host

    def send(self, *, force: bool) -> None:
        """See ``EngineBase``."""
        del force
        self.world.check_over()
        self.grid.says(self)

    def wake(self) -> None:
        """See ``EngineBase``."""
        self.grid.says(self)

    def soon(self) -> None:
        """See ``EngineBase``."""
        self.world.check_over()
        self.grid.says(self)

    def write_extent(self, pickled: Pickled) -> m.Extent:
        """See ``EngineBase``."""
        return self.arenas.write(pickled)

    def free_extents(self, extents: tuple[m.Extent, ...]) -> None:
        """See ``EngineBase``."""
        self.arenas.freed(extents)

    def map_extent(self, extent: m.Extent, on_release: Callable[[], None]) -> memoryview:
        """See ``EngineBase``."""
        return self.grid.memory.view(extent, on_release)

    def waiter(self, need: int, *, eager: bool) -> SimWaiter:
        """See ``EngineBase``."""
        self.world.check_over()
        return SimWaiter(self.world, need, eager=eager, why="get()" if eager else "wait()")

    def is_reader(self) -> bool:
        """See ``EngineBase``."""
        fiber = self.world.fibers.current
        return fiber is None or fiber.name == READER

    def schedule(self, callback: Callable[[], None]) -> None:
        """See ``EngineBase``."""
        if self.alive:
            self.world.fibers.spawn(self, READER, self.world.root_chain, callback)

    def end_waits(self, error: ActorGridError) -> None:
        """Let everybody who waits see ``error``."""
        for waiter in self.client.die(error):
            waiter.release()

    def enter(self) -> None:
        """Code of this process runs from now on."""
        current.install(self if self.alive else None)
        surroundings = self.world.surroundings
        os.environ._data = self.environment or surroundings.environment  # type: ignore[attr-defined]  # noqa: SLF001  # where it keeps them
        custom.use(self.serializers)
        if surroundings.homes.here is not self.home:
            surroundings.homes.go(self.home)
        if self.trackers is None:
            self.trackers = new_trackers()
        track(self.trackers)

    def shutdown(self) -> None:
        """End the grid, if it is this process's own."""

    # -- prepared calls: one per definition and options, however many processes use the same module

    def prepare_task(self, definition: FunctionDefinition, options: TaskOptions) -> PreparedCall:
        """See ``Engine``."""
        known = self._tasks.setdefault(id(definition), [])
        for seen, wanted, prepared in known:
            if seen is definition and wanted == options:
                return prepared
        prepared = super().prepare_task(definition, options)
        known.append((definition, options, prepared))
        return prepared

    def _register(self, spec: m.Spec, pickled: Pickled | None) -> PreparedCall:
        prepared = super()._register(spec, pickled)
        self.world.surroundings.prepared.add(prepared)
        return prepared

    def prepare_method(self, method: str, display_name: str, options: MethodOptions) -> PreparedCall:
        """See ``Engine``."""
        known = self._methods.setdefault((method, display_name), [])
        for wanted, prepared in known:
            if wanted == options:
                return prepared
        prepared = super().prepare_method(method, display_name, options)
        known.append((options, prepared))
        return prepared

    def get(self, refs: Sequence[ObjectRef[Any]], timeout: float | None) -> list[Any]:
        """See ``Engine``."""
        world = self.world
        world.endless.does()
        if timeout is not None or self.is_shared():
            world.onlookers.need(Holds.TASKS)
        try:
            values = self._get(refs, timeout) if world.footprint is not None else super().get(refs, timeout)
            if world.files.touches:
                running = self.running()
                call = self.grid.calls[running.run.task] if running is not None else None
                world.files.gets(call, [ref._entry.oid for ref in refs])  # noqa: SLF001  # our own
        except Exception as error:
            if len(refs) > 1:
                world.onlookers.first_error(error)
            elif refs and self.is_there(refs[0]._entry.oid):  # noqa: SLF001  # our own
                self.noticed.add(refs[0]._entry.oid)  # noqa: SLF001  # our own
            raise
        else:
            self.noticed.update([ref._entry.oid for ref in refs])  # noqa: SLF001  # our own
            return values

    def _get(self, refs: Sequence[ObjectRef[Any]], timeout: float | None) -> list[Any]:
        """Get, and note what was touched."""
        world, number = self.world, self.client.number
        oids = [ref._entry.oid for ref in refs]  # noqa: SLF001  # our own
        if len(refs) > 1:
            world.touch(("failed", number), writes=False)  # of several errors the first is raised
            for oid in oids:
                world.touch(("failed", oid), writes=False)
        if timeout is not None:
            for oid in oids:
                self.look_for(oid)
        try:
            return super().get(refs, timeout)
        finally:
            world.seen += oids

    def repeats(self) -> bool:
        """Return whether the calling code runs again and must do what it did before."""
        return False

    # -- what others can tell the time of

    def close_stream(self, generator: ObjectRefGenerator[Any]) -> None:
        """See ``Engine``. What it is to stop may go on for a while."""
        self.act("closes a stream", self.stream(generator).oid)
        super().close_stream(generator)

    def kill(self, actor: ActorRef, *, no_restart: bool) -> None:
        """See ``Engine``. What it is to kill may go on for a while."""
        self.act("kills an actor", actor.ident)
        super().kill(actor, no_restart=no_restart)

    def remove_group(self, group: GroupRef) -> None:
        """See ``Engine``. What runs in it may go on for a while."""
        self.act("removes a placement group")
        super().remove_group(group)

    def cancel(self, ref: ObjectRef[Any], *, force: bool, recursive: bool, waiting: bool = False) -> None:
        """See ``Engine``. What it is to cancel may go on for a while."""
        self.act("cancels a task", ref._entry.oid)  # noqa: SLF001  # our own
        super().cancel(ref, force=force, recursive=recursive, waiting=waiting)

    def _ask_within(
        self, message: Any, timeout: float | None, *, take: Callable[[m.Answer], None] | None = None
    ) -> m.Answer | None:
        if isinstance(message, m.CreateActor):
            self.world.onlookers.name()
            self._step_aside("gives an actor a name")
        else:
            self.act("asks the head")
        return super()._ask_within(message, timeout, take=take)

    def inspect(self, what: str, body: dict[str, Any], timeout: float | None = None) -> dict[str, Any]:
        """See ``Engine``. The head answers in no time: a deadline would be one more thing that could come first."""
        del timeout
        answer = super().inspect(what, body)
        if what == "ran":  # what took no time took none
            least = self.grid.least_micros
            answer["rows"] = [[*row[:8], row[8] if row[8] > least else 0, *row[9:]] for row in answer["rows"]]
        return answer

    def act(self, label: str, victim: int = 0) -> None:
        """Before something that ends others, or that others can tell the time of: it may happen after other things."""
        self.world.onlookers.need(Holds.ALL)
        self._step_aside(label, victim)

    def _step_aside(self, label: str, victim: int = 0) -> None:
        if not self.is_reader():
            self.world.onlookers.step_aside(label, victim)

    # -- what the grid tells it

    def hear(self, batch: list[Any]) -> None:
        """Take what the head replied."""
        client = self.client
        client.heard()
        watched = self.world.footprint is not None
        if watched:
            self.touch_limits()
        for message in batch:
            kind = type(message)
            if watched and (kind is m.Ready or kind is m.Item):
                self._touch_object(message)
            if kind is m.Ready:
                client.ready(message)
            elif kind is m.Item:
                client.item(message)
            elif kind is m.Answer:
                client.answered(message)
            elif kind is m.Freed:
                self.arenas.freed(message.extents, cold=message.cold)
            elif kind is m.Recall:
                client.recall(message)
                self.grid.says(self)
            elif kind is m.Squeeze:
                self.arenas.squeeze()
            else:
                self.hear_more(message)
        if client.dropped:
            self.grid.says(self)
        self.say_unread()

    def _touch_object(self, message: m.Ready | m.Item) -> None:
        """Note that this process is told of an object, or of an item of a stream."""
        number = self.client.number
        self.world.touch(("object", number, message.oid if isinstance(message, m.Ready) else message.task))
        if message.value is not None and failed(message.value):
            self.world.touch(("failed", number))

    def hear_more(self, message: Any) -> None:
        """Take a message that only drivers, or only workers, understand."""
        if isinstance(message, m.Unread):
            self.client.unread.append(message.value)
        elif isinstance(message, m.Notice):
            self.print_error(f"{message.text}\n")
        # Segments are visible to everybody; process groups mean nothing here.

    def say_unread(self) -> None:
        """Say which errors nobody has asked for, unless this is one schedule of many."""
        if self.client.unread and self.world.loud:
            sys.stderr.write(self._unread.take(self.client.unread))

    def print_error(self, text: str) -> None:
        """See ``EngineBase``; one schedule of many is quiet."""
        if self.world.loud:
            sys.stderr.write(text)

    def speak(self) -> list[Any]:
        """Return everything that is to be said to the head."""
        client = self.client
        if client.dropped:
            client.collect()
        self.say_unread()
        batch, client.outbox = client.outbox, []
        return batch

    def blocking(self, blocked: m.Blocked, waiter: Sleeper) -> Callable[[], None] | None:
        """See ``EngineBase``."""
        del waiter
        fiber = self.world.fibers.current
        if fiber is not None:
            self.world.waits.objects[fiber] = (blocked.call, blocked.oids)
        return None
