"""Asynchronous actors: their calls are tasks of an event loop of their own (see ``loops``)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any

from actorgrid.engine.worker_side import running_now
from actorgrid.sim.fibers import WorldOver
from actorgrid.sim.loops import SimLoop
from actorgrid.sim.readonly import Watch, Watched

if TYPE_CHECKING:
    from actorgrid.core.worker import Running
    from actorgrid.sim.fibers import Fiber
    from actorgrid.sim.worker import Worker


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
        self.loop.serve(worker)
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
            perform = partial(self.worker.engine.perform, running)
            result = perform() if watch is None else watch.look_at(world.fibers.current, perform)
            running.given = None  # see the real one
            if isinstance(result, Coroutine) or asyncio.isfuture(result):  # a reference is a result, so is a generator
                result = await (self._watched(result, watch) if watch is not None else result)
        except WorldOver:
            raise
        except BaseException as raised:  # noqa: BLE001  # whatever user code raises is its result
            if world.over or not self.worker.engine.alive:  # it is collected, maybe while another world runs
                return
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
