"""Asynchronous actors, and every other event loop of a simulated program: asyncio's own loop on virtual time.

The loop is CPython's, with its FIFO order of callbacks: nothing is explored that asyncio cannot do. Only the waiting is
ours: where a real loop sleeps in ``select`` the fiber parks.
"""

from __future__ import annotations

import asyncio
import asyncio.base_events
import contextlib
from collections.abc import Awaitable, Coroutine
from typing import TYPE_CHECKING, Any

from actorgrid.engine.worker_side import running_now
from actorgrid.sim.fibers import WorldOver
from actorgrid.sim.readonly import Watch, Watched

if TYPE_CHECKING:
    from actorgrid.core.worker import Running
    from actorgrid.sim.fibers import Fiber
    from actorgrid.sim.worker import Worker
    from actorgrid.sim.world import World


class _Selector:
    """Waits for nothing but time and ``_write_to_self``."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.fiber: Fiber | None = None
        self.signalled = False

    def select(self, timeout: float | None) -> list[Any]:
        """Park until somebody wakes the loop or ``timeout`` virtual seconds have passed."""
        if not self.signalled and (timeout is None or timeout > 0):
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


class SimLoop(asyncio.base_events.BaseEventLoop):
    """An event loop on virtual time without sockets."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world
        self._selector = _Selector(world)
        self._clock_resolution = 1e-9
        self._made = 0
        world.surroundings.loops.append(self)

    def time(self) -> float:
        """Return the virtual time."""
        return self._world.clock.now

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
        """Start a call on the loop."""
        self.loop.call_soon_threadsafe(self._start, running)

    def _start(self, running: Running) -> None:
        self.tasks[running.run.task] = self.loop.create_task(self._call(running))

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
        """Cancel a running call: one turn later, or a call that has not taken its first step would end silently."""

        def cancel_now() -> None:
            task = self.tasks.get(running.run.task)
            if task is not None:
                task.cancel()

        self.loop.call_soon_threadsafe(lambda: self.loop.call_soon(cancel_now))


async def _rest(awaitable: Awaitable[Any], watch: Watch) -> Any:
    """Await it, and raise if it changed the actor."""
    result = await awaitable
    if (error := watch.verdict()) is not None:
        raise error
    return result
