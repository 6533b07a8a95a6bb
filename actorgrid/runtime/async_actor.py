"""Asynchronous actors: an event loop on the main thread runs constructor and calls, and reads the task link.

Synchronous methods of such an actor run on the loop too and hold it up, as in Ray. Results are sent once per turn of
the loop.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Coroutine
from contextvars import copy_context
from time import perf_counter  # by name: user code may replace that of the module
from typing import TYPE_CHECKING, Any, NoReturn

from actorgrid.engine.worker_side import running_now
from actorgrid.runtime.awaiting_calls import AwaitingCalls, new_loop
from actorgrid.runtime.concurrent_actor import ConcurrentActor

if TYPE_CHECKING:
    from actorgrid.core.worker import Running
    from actorgrid.runtime.worker import Worker


class AsyncActor(ConcurrentActor):
    """The life of an asynchronous actor."""

    def __init__(self, worker: Worker) -> None:
        super().__init__(worker)
        #: Running calls by task id: a strong reference, and what a cancellation needs.
        self.tasks: dict[int, asyncio.Task[None]] = {}
        self.runner = asyncio.Runner(loop_factory=new_loop)
        self.loop = self.runner.get_loop()
        self.send_due = False
        self.done = asyncio.Event()
        self.serving: asyncio.Task[None] | None = None

    def construct(self, running: Running) -> None:
        """Run the constructor on the loop: tasks that it starts there live on (as in Ray)."""
        if (error := self.runner.run(self.worker.engine.construct(running), context=copy_context())) is not None:
            raise error

    def run(self) -> NoReturn:
        """Serve calls until told to leave."""
        with self.runner:
            try:
                self.runner.run(self._serve(), context=copy_context())
            except SystemExit as error:  # raised by a task in the background: asyncio lets it through
                self._go_on(error)
        self.worker.way_out.depart()

    def _go_on(self, error: SystemExit) -> None:
        """Something in the background wants to exit: at once, or with ``exit_actor()``, when running calls are over."""
        while True:
            if not self.worker.way_out.exiting:
                self.worker.way_out.exit_process(error)
            try:
                if self.serving is not None:
                    self.loop.run_until_complete(self.serving)
            except SystemExit as another:
                error = another
            else:
                return

    def leave(self) -> None:
        """``exit_actor()`` was called, by a call or by anything else. Calls that run finish first (as in Ray)."""
        self.loop.call_soon_threadsafe(self._leave_if_idle)

    def _leave_if_idle(self) -> None:
        if (self.worker.machine.leaving or self.worker.way_out.exiting) and not self.tasks:
            self.done.set()

    async def _serve(self) -> None:
        self.worker.engine.calls = AwaitingCalls(self.loop, self.worker.engine, self.tasks)
        self.worker.interrupt_running = self.cancel
        self.worker.drain = lambda: None
        self.loop.add_reader(self.worker.link.fileno(), self._readable)
        self.serving = asyncio.current_task()
        self._start_calls()
        await self.done.wait()
        self.loop.remove_reader(self.worker.link.fileno())
        self._send()

    def _readable(self) -> None:
        worker = self.worker
        try:
            batch = worker.link.receive(socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        if batch is None:
            import os  # only at the very end

            os._exit(1)
        worker.take(batch)
        self._start_calls()
        self._leave_if_idle()

    def _start_calls(self) -> None:
        engine = self.worker.engine
        while not self.worker.way_out.exiting:
            with engine.lock:
                running = self.worker.machine.start()
            if running is None:
                return
            self.tasks[running.run.task] = self.loop.create_task(self._call(running))

    async def _call(self, running: Running) -> None:
        running_now.set(running)
        began = perf_counter()
        result: Any = None
        error: BaseException | None = None
        try:
            result = self.worker.engine.perform(running)
            running.given = None  # what a coroutine lets go of is gone
            if isinstance(result, Coroutine) or asyncio.isfuture(result):  # a reference is a result, so is a generator
                result = await result
        except BaseException as raised:  # noqa: BLE001  # whatever user code raises is its result
            error = raised
        self.tasks.pop(running.run.task, None)
        if self.worker.way_out.ends_actor(error):
            self._leave_if_idle()  # the head answers this call
            return
        self.call_over(running, result, error, began)
        error = None  # its traceback holds this frame: a cycle would keep alive whatever the call's frames refer to
        if not self.send_due:
            self.send_due = True
            self.loop.call_soon(self._send)
        self._start_calls()
        self._leave_if_idle()

    def _send(self) -> None:
        self.send_due = False
        self.worker.push()

    def cancel(self, running: Running) -> None:
        """Cancel a running call. Called on the reader thread."""

        def cancel_now() -> None:
            task = self.tasks.get(running.run.task)
            if task is not None:
                task.cancel()

        # One turn later: a call cancelled before its first step would end without a word.
        self.loop.call_soon_threadsafe(lambda: self.loop.call_soon(cancel_now))
