"""Asynchronous actors, and every other event loop of a simulated program: asyncio's own loop on virtual time.

The loop is CPython's, with its FIFO order of callbacks: nothing is explored that asyncio cannot do. Only the waiting is
ours: where a real loop sleeps in ``select`` the fiber parks. So it does between two callbacks where that can be told
(see ``turns``): calls that come then stand at the end of the queue.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections import deque
from collections.abc import Awaitable, Coroutine
from typing import TYPE_CHECKING, Any, Final

from actorgrid.engine.worker_side import running_now
from actorgrid.sim.fibers import WorldOver
from actorgrid.sim.onlookers import Holds
from actorgrid.sim.readonly import Watch, Watched
from actorgrid.sim.refusals import RefusingLoop

if TYPE_CHECKING:
    from actorgrid.core.worker import Running
    from actorgrid.sim.fibers import Fiber
    from actorgrid.sim.worker import Worker
    from actorgrid.sim.world import World


#: Whose callbacks only make a future done: whoever waits for it goes on in a callback of its own.
_PLUMBING: Final = frozenset({"actorgrid.engine.generators", "actorgrid.engine.refs", "asyncio.futures", __name__})
#: After so many callbacks in a row that nothing could come between, others have their chance.
_PATIENCE: Final = 1000


class _Queue(deque[Any]):
    """The callbacks that a loop is to run; it is told of each that comes and of each that is next."""

    def __init__(self, loop: SimLoop) -> None:
        super().__init__()
        self._loop = loop

    def append(self, handle: Any) -> None:
        """Add one at the end."""
        super().append(handle)
        self._loop.queued()

    def popleft(self) -> Any:
        """Return the next one, when its turn has come."""
        self._loop.next(self[0])
        return super().popleft()


class _Selector:
    """Waits for nothing but time and ``_write_to_self``."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.fiber: Fiber | None = None
        self.signalled = False
        #: How many callbacks have run since the loop last had nothing to do.
        self.busy = 0

    def select(self, timeout: float | None) -> list[Any]:
        """Park until somebody wakes the loop or ``timeout`` virtual seconds have passed."""
        if not self.signalled and (timeout is None or timeout > 0):
            self.busy = 0
            self.fiber = self.world.fibers.current
            self.world.waits.wait("its event loop", timeout, lambda: self.signalled)
            self.fiber = None
        self.signalled = False
        return []

    def signal(self) -> None:
        """End the wait, or the next one."""
        self.signalled = True
        if self.fiber is not None:
            self.world.fibers.wake(self.fiber)


class SimTask(asyncio.Task[Any]):
    """A task whose place in a set does not depend on its address: ``asyncio.wait`` returns sets."""

    def __init__(self, coro: Any, *, number: int, **kwargs: Any) -> None:
        self._number = number
        super().__init__(coro, **kwargs)

    def __hash__(self) -> int:
        return self._number


class SimFuture(asyncio.Future[Any]):
    """A future whose place in a set does not depend on its address."""

    def __init__(self, *, number: int, **kwargs: Any) -> None:
        self._number = number
        super().__init__(**kwargs)

    def __hash__(self) -> int:
        return self._number


class SimLoop(RefusingLoop):
    """An event loop on virtual time without sockets."""

    #: The worker whose calls it serves, if any, and whether what runs now is the program's code.
    worker: Worker | None = None
    _runs_code = False

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world
        self._ready = _Queue(self)
        self._selector = _Selector(world)
        self._clock_resolution = 1e-9
        self._made = 0
        world.surroundings.loops.append(self)

    def time(self) -> float:
        """Return the virtual time."""
        return self._world.clock.now

    # -- turns

    def queued(self) -> None:
        """A callback was added to the queue: a call that comes now will be behind it."""
        worker, world = self.worker, self._world
        if worker is None:
            return
        if world.onlookers.holds.turns:
            world.touch(worker.path)
        elif worker.loop is not None and (fiber := world.fibers.current) is not None:
            by_thread = bool(fiber.ident) and fiber.home is worker.engine
            if by_thread or (self._runs_code and fiber is worker.loop.fiber):
                world.onlookers.need(Holds.TURNS)

    def next(self, handle: Any) -> None:
        """Wait for the turn of this callback, the next one."""
        world, worker, selector = self._world, self.worker, self._selector
        self._runs_code = False
        selector.busy += 1
        if handle.cancelled() or getattr(handle._callback, "__module__", "") in _PLUMBING:  # noqa: SLF001  # asyncio's
            return
        if worker is not None and world.onlookers.holds.turns:
            world.turns.take(worker.path, f"the event loop of {worker.title}")
        elif selector.busy % _PATIENCE == 0:
            world.waits.wait("its event loop", 0.0, lambda: False)
        self._runs_code = True

    def rests(self, fiber: Fiber) -> bool:
        """Return whether this fiber, which is to go on, runs none of the program's code yet."""
        return fiber is self._selector.fiber or self._world.turns.waits(fiber)

    def create_future(self) -> asyncio.Future[Any]:
        """See ``asyncio.AbstractEventLoop.create_future``."""
        self._made += 1
        return SimFuture(number=self._made, loop=self)

    def create_task(self, coro: Any, *, name: Any = None, **kwargs: Any) -> Any:
        """See ``asyncio.AbstractEventLoop.create_task``."""
        if self.get_task_factory() is not None:
            return super().create_task(coro, name=name, **kwargs)
        self._check_closed()  # type: ignore[attr-defined]  # BaseEventLoop's
        self._made += 1
        # Not asyncio's own name: it counts the tasks that the interpreter has ever made.
        return SimTask(coro, number=self._made, loop=self, name=name or f"Task-{self._made}", **kwargs)

    def _process_events(self, events: Any) -> None:
        del events
        self._runs_code = False  # what is added next are timers that are due

    def _write_to_self(self) -> None:
        self._selector.signal()

    def call_exception_handler(self, context: Any) -> None:
        """Say what nobody asked for; not that the world is over, which ends the tasks of killed processes."""
        if not isinstance(context.get("exception"), WorldOver):
            super().call_exception_handler(context)

    def bury(self) -> None:
        """Close it although its process died in the middle of something: no complaints."""
        for task in asyncio.all_tasks(self):
            task._log_destroy_pending = False  # type: ignore[attr-defined]  # noqa: SLF001  # there is no other way
            coroutine = task.get_coro()
            if inspect.iscoroutine(coroutine) and inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED:
                coroutine.close()
        if not self.is_closed():
            self._thread_id = None
            super().close()


class AsyncActor:
    """The event loop of an asynchronous actor."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.tasks: dict[int, asyncio.Task[None]] = {}
        self.loop = SimLoop(worker.world)
        self.loop.set_task_factory(self._task)
        self.fiber: Fiber | None = None

    def construct(self, running: Running) -> None:
        """Run the constructor on the loop: tasks that it starts there live on (as in Ray)."""
        if (error := self.loop.run_until_complete(self.worker.engine.construct(running))) is not None:
            raise error

    def run(self) -> None:
        """Serve calls."""
        worker, world = self.worker, self.worker.world
        worker.engine.share()
        self.loop.worker = worker
        self.fiber = world.fibers.spawn(worker.engine, f"{worker.title} loop", world.root_chain, self._run)

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        try:
            while True:
                try:
                    self.loop.run_forever()
                except SystemExit as error:  # raised by a task in the background: asyncio lets it through
                    self.worker.exits(error)
        finally:
            asyncio.set_event_loop(None)

    def leave(self) -> None:
        """``exit_actor()`` was called, by a call or by anything else. Calls that run finish first (as in Ray)."""
        self.loop.call_soon_threadsafe(self.worker.leave_if_idle)

    def call(self, running: Running) -> None:
        """Start a call on the loop: it is at the end of its queue from now on."""
        self.tasks[running.run.task] = self.loop.create_task(self._call(running))
        self.loop._write_to_self()  # noqa: SLF001  # our own

    async def _call(self, running: Running) -> None:
        running_now.set(running)
        world = self.worker.world
        if world.fibers.current is not None:
            world.fibers.current.chain = self.worker.grid.call_of(running.run.task).chain
        began = world.clock.now
        result: Any = None
        error: BaseException | None = None
        watch = self.worker.watch(running)
        try:
            with watch.step(world.fibers.current) if watch is not None else contextlib.nullcontext():
                result = self.worker.engine.perform(running)
                running.given = None  # see the real one
            if isinstance(result, Coroutine) or asyncio.isfuture(result):  # a reference is a result, so is a generator
                result = await (self._watched(result, watch) if watch is not None else result)
        except WorldOver:
            raise
        except BaseException as raised:  # noqa: BLE001  # whatever user code raises is its result
            error = raised
        error = (watch and watch.verdict()) or error
        self.tasks.pop(running.run.task, None)
        machine = self.worker.machine
        if self.worker.takes_turns() and (machine.free is not None or len(machine.running) >= machine.limit):
            world.touch(self.worker.path)  # calls may come that could not before
        self.worker.over(running, result, error, began)
        error = None  # its traceback holds this frame: a cycle would keep alive whatever the call's frames refer to

    def _watched(self, awaitable: Awaitable[Any], watch: Watch) -> Watched:
        fibers = self.worker.world.fibers
        return Watched(awaitable, watch, lambda: fibers.current)

    def _task(self, loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
        """Make a task: those that a readonly method starts are looked at like itself."""
        running = running_now.get()
        watch = self.worker.watch(running) if running is not None else None
        if watch is not None:
            coroutine = _rest(self._watched(coroutine, watch), watch)
        return asyncio.Task(coroutine, loop=loop, **options)

    def cancel(self, running: Running) -> None:
        """Cancel a running call: behind its first step, or one that has not taken that would end silently."""

        def cancel_now() -> None:
            task = self.tasks.get(running.run.task)
            if task is not None:
                task.cancel()

        self.loop.call_soon_threadsafe(cancel_now)


async def _rest(awaitable: Awaitable[Any], watch: Watch) -> Any:
    """Await it, and raise if it changed the actor."""
    result = await awaitable
    if (error := watch.verdict()) is not None:
        raise error
    return result
