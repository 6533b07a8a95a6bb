"""A worker process: takes runs from the task link, executes them, sends what came out.

Threads: the main thread reads the task link and runs user code (as an asynchronous actor: an event loop that does
both). The reader thread of the engine hears replies, revocations and cancellations. They share one lock, the
engine's: starting a task, revoking one and writing to the outbox exclude each other.

Results are buffered in the shared outbox and sent when there is nothing left to run, or ``FLUSH_AFTER`` seconds after
the last send, whichever comes first; a head that has waited longer asks for them (``Revoke``).
"""

from __future__ import annotations

import faulthandler
import gc
import mmap
import os
import random
import signal
import socket
import sys
from collections.abc import Callable
from time import monotonic, perf_counter  # by name: user code may replace those of the module
from typing import TYPE_CHECKING, Any, Final

from actorgrid.core import messages as m
from actorgrid.core.messages import Kind, ToClient, ToWorker
from actorgrid.core.signals import CUT_OFF
from actorgrid.core.worker import Running, WorkerMachine
from actorgrid.engine import breakpoints, checkpoints, current, execution
from actorgrid.engine.code import CodeShelf
from actorgrid.engine.interrupts import protected
from actorgrid.engine.refs import ObjectRef
from actorgrid.engine.worker_side import running_now
from actorgrid.exceptions import is_a
from actorgrid.runtime import lifetime, memory_watch, surroundings
from actorgrid.runtime.aftermath import Aftermath
from actorgrid.runtime.config import BootConfig
from actorgrid.runtime.interruption import Interruption
from actorgrid.runtime.links import Link
from actorgrid.runtime.outbox import Outbox
from actorgrid.runtime.output import MarkedStream
from actorgrid.runtime.way_out import WayOut
from actorgrid.runtime.worker_engine import WorkerEngine

if TYPE_CHECKING:
    from actorgrid.runtime.async_actor import AsyncActor
    from actorgrid.runtime.threaded_actor import ThreadedActor

FLUSH_AFTER: Final = 0.0005
#: How often a worker looks how large it is, at most (seconds).
WEIGH_EVERY: Final = 0.05


class Worker:
    """One worker process."""

    def __init__(
        self, config: BootConfig, number: int, task: socket.socket, control: socket.socket, shared: mmap.mmap
    ) -> None:
        self.link: Link[Any] = Link(task, ToWorker)
        self.outbox = Outbox(shared, task)
        self.machine = WorkerMachine()
        #: User code has run here.
        self.used = False
        self.way_out = WayOut(self)
        #: The main thread reads the task link. Only changed with the lock held: it says who may read.
        self.reading = False
        #: Takes what lies in the task link; an actor whose calls overlap always reads and needs no help.
        self.drain: Callable[[], None] = self._drain
        #: Interrupts a running call; actors whose calls overlap put their own way here.
        self.interrupt_running: Callable[[Running], None] = self._interrupt_main
        #: What serves the calls of an actor whose calls overlap.
        self.serving: AsyncActor | ThreadedActor | None = None
        self._flushed = 0.0
        #: Bytes that it may have of its own, 0: any number; and when to look again.
        self.most_memory = config.max_worker_memory
        self._weighed = 0.0
        self.title = lifetime.Title()
        self.title.set("actorgrid: worker")
        self.engine = WorkerEngine(self, config, number, Link(control, ToClient))
        self.engine.code = CodeShelf(self.engine)
        self.interruption = Interruption(self.engine.ear.give_back_here)

    # -- the main loop

    def run(self) -> None:
        """Run what comes until told to leave."""
        try:
            self.engine.start()
        except RuntimeError:  # a limit of processes counts threads, too
            os._exit(m.NO_THREAD)
        try:
            while True:
                self._serve()
        except OSError:
            os._exit(CUT_OFF if self.link.is_cut() else 1)

    def _serve(self) -> None:
        """Run what is there, or what comes next."""
        if self.settle():
            batch = self.link.receive()
            if batch is None:
                os._exit(1)  # the head is gone
            if self.take(batch):
                self.engine.give_way()
        self.work()
        if self.machine.leaving:
            self.way_out.leave(self.machine.leaving)

    @protected
    def take(self, batch: list[Any]) -> bool:
        """Note what the head sent. Returns whether there is something to run."""
        with self.engine.lock:
            self.reading = False
            machine = self.machine
            for message in batch:
                if type(message) is m.Run:
                    if message.deps or message.refs or message.made:
                        self.engine.given(message)
                    cancelled = machine.given(message)
                    if cancelled is not None:
                        self._drop(cancelled)
                else:
                    self._learn(message)
            return bool(machine.queue)

    def _drain(self) -> None:
        """Take what lies in the task link while the main thread does something else. Called with the lock held.

        Otherwise a task that waits would sit on those that were sent ahead, perhaps on the very one it waits for.
        """
        while not self.reading:
            try:
                batch = self.link.receive(socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            if batch is None:
                return  # the reader thread will notice
            self.take(batch)

    def _drop(self, running: Running) -> None:
        """A call that never started was cancelled. Called with the lock held."""
        self.engine.let_go(running.run)
        values = execution.cancelled(running)
        self.engine.client.outbox.append(m.Done(running.run.task, running.run.attempt, values, unstarted=True))
        self.engine.send(force=True)
        self.outbox.flush()

    def _learn(self, message: Any) -> None:
        if isinstance(message, m.Learn):
            self.machine.specs[message.spec.spec] = message.spec
        elif isinstance(message, m.Code):
            self.engine.code.add(message)
        elif isinstance(message, m.Segment):
            self.engine.arenas.attach(message, self.link)
        elif isinstance(message, m.Restarted):
            self.machine.become_actor(message)
            self.aftermath.retire()
        elif isinstance(message, m.Devices):
            self.engine.see_devices(message.devices)
        elif isinstance(message, m.Environment):
            surroundings.decode(message.blob).apply(self.engine.setup.working_dir)
            self.aftermath.moved()
        elif isinstance(message, m.Unlearn):
            for spec in message.specs:
                self.machine.specs.pop(spec, None)
            self.engine.code.remove(message.digests)
        elif isinstance(message, m.Exit):
            self.machine.leaving = message.reason  # later, without the lock: last words are user code

    def work(self) -> None:
        """Run everything that is queued."""
        while (running := self._start()) is not None:
            self.execute(running)

    @protected
    def _start(self) -> Running | None:
        with self.engine.lock:
            return self.machine.start()

    @protected
    def push(self) -> None:
        """Send what is buffered."""
        with self.engine.lock:
            self.outbox.flush()

    @protected
    def settle(self) -> bool:
        """Send what is buffered; from here on the main thread reads the task link, and nobody else may.

        Returns False if there is something to run: the reader thread has taken it just before, and nobody would look.
        """
        with self.engine.lock:
            self.outbox.flush()
            self.reading = not self.machine.queue
            return self.reading

    # -- one call

    def execute(self, running: Running) -> None:
        """Run one call on the main thread."""
        spec = running.spec
        self.outbox.set_current(running.run.task)
        self.engine.latest = running
        self.used = True
        token = running_now.set(running)
        self.title.set(f"actorgrid: worker {spec.name}")
        began = perf_counter()
        retry, result = False, None
        try:
            try:
                self.interruption.exposed = running
                result = self.perform(running)
                if self.way_out.forked:
                    self.way_out.end_of_fork(None)
                values = execution.results(self.engine, running, result)
            finally:
                self.interruption.exposed = None
        except BaseException as error:  # noqa: BLE001  # whatever user code raises is its result
            self.interruption.exposed = None
            if self.way_out.forked:
                self.way_out.end_of_fork(error)
            values, retry = self._failed(running, error)
            result = error  # keeps what it mentions alive until it is sent
        micros = int((perf_counter() - began) * 1e6)
        self.interruption.target = None
        running_now.reset(token)
        saves = self.engine.checkpoints
        saved = saves.after(running) if saves is not None else None
        self._finish(running, values, micros, retry=retry, saved=saved)
        del result

    def perform(self, running: Running) -> Any:
        """Run user code."""
        if running.spec.kind is Kind.ACTOR and running.spec.is_async:
            from actorgrid.runtime.async_actor import AsyncActor  # asyncio: 45 ms that others save

            self.serving = asynchronous = AsyncActor(self)
            return asynchronous.construct(running)
        return self.engine.perform(running)

    def _failed(self, running: Running, error: BaseException) -> tuple[tuple[m.Value, ...], bool]:
        if is_a(error, SystemExit):
            if self.way_out.exiting:
                self.way_out.depart()
            self.way_out.exit_process(error)
        if running.cancelled and is_a(error, KeyboardInterrupt):
            return execution.cancelled(running), False
        retry = not running.cancelled and execution.may_retry(running, error)
        values = self._told(running, error)
        return (values, retry) if values is not None else (execution.cancelled(running), False)

    def _told(self, running: Running, error: BaseException) -> tuple[m.Value, ...] | None:
        """Return what a call says that has raised: errors tell in user code what they are. None: it was interrupted."""
        struck = self.interruption.strikes
        values = None
        try:
            try:
                self.interruption.exposed = running
                values = execution.failure(running, error)
            finally:
                self.interruption.exposed = None
        except KeyboardInterrupt:
            self.interruption.exposed = None
            if self.interruption.strikes == struck:
                raise
        return values if self.interruption.strikes == struck else None

    @protected
    def _finish(
        self, running: Running, values: tuple[m.Value, ...], micros: int, *, retry: bool, saved: ObjectRef[Any] | None
    ) -> None:
        """The call is over: its result is in the outbox when this returns."""
        run = running.run
        engine = self.engine
        if running.cancelled and self.machine.is_method(running):
            engine.take_back(values)
            values = execution.cancelled(running)
        for stream in self.aftermath.streams:
            if stream.dirty:
                stream.finish()
        reason = self.aftermath.put_right(micros) if running.spec.kind is Kind.TASK else ""
        with engine.lock:
            leaving = self.machine.finished(running) or bool(reason) or self._grown(running)
            client = engine.client
            if leaving:
                client.outbox.append(m.Revoked(engine.handed_back(self.machine.leave(reason or "replaced"))))
            done = m.Done(run.task, run.attempt, values, micros, retry, leaving)
            if self.engine.checkpoints is not None:
                checkpoints.note(done, running, saved)
            client.outbox.append(done)
            if run.deps or run.refs or run.made:
                engine.let_go(run)
            engine.pack()
            self.outbox.set_current(0)
            self.engine.latest = None
        running.given = None
        with engine.lock:
            if client.dropped:
                client.collect()
                engine.pack()
            now = monotonic()
            if now - self._flushed > FLUSH_AFTER:
                self._flushed = now
                self.outbox.flush()
        if running.spec.kind is Kind.ACTOR:
            self._constructed(running.spec, failed=bool(values) and values[0].status is not m.Status.OK)
        if self.machine.leaving:
            self.way_out.leave(self.machine.leaving)

    def _grown(self, running: Running) -> bool:
        """Return whether this process has more memory than it may keep, now that a task is over. Looks now and then."""
        if not self.most_memory or running.spec.kind is not Kind.TASK:
            return False
        now = monotonic()
        if now < self._weighed:
            return False
        self._weighed = now + WEIGH_EVERY
        return memory_watch.resident(os.getpid()) > self.most_memory

    def _constructed(self, spec: m.Spec, *, failed: bool) -> None:
        if failed:
            return
        with self.engine.lock:
            self.machine.constructed(spec)
        self.push()
        if self.serving is None and spec.max_concurrency > 1:
            from actorgrid.runtime.threaded_actor import ThreadedActor  # only where it is used

            self.serving = ThreadedActor(self, spec.max_concurrency)
        if self.serving is not None:
            self.serving.run()

    #: What tasks leave here; set before anything runs.
    aftermath: Aftermath

    # -- control, on the reader thread

    def revoke(self, message: m.Revoke) -> None:
        """Hand back what has not started; send what is buffered."""
        with self.engine.lock:
            if message.tasks:
                self.drain()
            back = self.engine.handed_back(self.machine.revoke(message.tasks))
            if back:
                self.engine.client.outbox.append(m.Revoked(back))
            self.engine.send(force=True)
            self.outbox.flush()

    def interrupt(self, message: m.Interrupt) -> None:
        """Cancel an attempt."""
        with self.engine.lock:
            running = self.machine.cancel(message.task, message.attempt, overdue=message.deadline)
            if running is None:
                return
            if running.run.task not in self.machine.running:
                self._drop(running)
                return
            self.engine.let_flow(running)
        if not message.gently:
            self.interrupt_running(running)

    def _interrupt_main(self, running: Running) -> None:
        """Interrupt user code. A synchronous method that is cancelled is only told (``is_canceled``), as in Ray."""
        if running.spec.kind is Kind.TASK or running.overdue:
            self.interruption.aim(running)


def work(config: BootConfig, number: int, task: socket.socket, control: socket.socket, shared: mmap.mmap) -> None:
    """Be a worker: the first thing that a forked process calls."""
    lifetime.take_stray_signals()
    config.surroundings.apply()
    random.seed()
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()
    worker = Worker(config, number, task, control, shared)
    os.register_at_fork(after_in_child=lambda: setattr(worker.way_out, "forked", True))
    signal.signal(signal.SIGINT, worker.interruption.on_sigint)
    faulthandler.enable(file=2)
    breakpoints.install()

    def name() -> str:
        running = running_now.get() or worker.engine.latest
        if worker.engine.actor_spec is not None:
            return worker.engine.shown or worker.engine.actor_spec.name
        return running.spec.name if running is not None else "worker"

    worker.aftermath = Aftermath(lambda: (MarkedStream(1, name), MarkedStream(2, name)), task.fileno())
    current.install(worker.engine)
    if config.logging is not None:
        from actorgrid.engine import logs  # logging: only where it is asked for

        logs.apply(config.logging)
    gc.enable()
    worker.aftermath.settle()
    worker.aftermath.watch()
    worker.run()
