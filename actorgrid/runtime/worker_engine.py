"""The engine inside a worker: user code there submits, gets and puts like a driver.

What it says goes through the same outbox as the results of the tasks that run here, so that a result never overtakes
the objects it mentions. What it hears comes over the control link, read by the reader thread, while the main thread
runs tasks.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from time import monotonic  # by name: user code may replace that of the module
from typing import TYPE_CHECKING, Any, Final

from actorgrid.core import messages as m
from actorgrid.core.messages import ToClient
from actorgrid.core.signals import CUT_OFF
from actorgrid.engine.definitions import Setup
from actorgrid.engine.interrupts import protected
from actorgrid.engine.waiting import MOST_TOLD
from actorgrid.engine.waits import Sleeper
from actorgrid.engine.worker_side import WorkerSide
from actorgrid.exceptions import DeadlockError, HeadDiedError
from actorgrid.runtime import surroundings
from actorgrid.runtime.links import Link
from actorgrid.runtime.process import ProcessEngine

if TYPE_CHECKING:
    import asyncio

    from actorgrid.core.worker import Running
    from actorgrid.engine.awaiting import Awaiting
    from actorgrid.engine.calls import PreparedCall
    from actorgrid.engine.definitions import ActorDefinition, ActorOptions, FunctionDefinition, TaskOptions
    from actorgrid.engine.refs import ActorRef
    from actorgrid.runtime.awaiting_calls import AwaitingCalls
    from actorgrid.runtime.config import BootConfig
    from actorgrid.runtime.worker import Worker


#: For so long (seconds) items of a stream may gather that the head has no time for.
GATHER: Final = 0.0005


def _check_imported(code: Any) -> None:
    """Raise RuntimeError if ``code`` is called while its module is imported: who runs it would call it, too."""
    module = sys.modules.get(getattr(code, "__module__", None) or "")
    if getattr(getattr(module, "__spec__", None), "_initializing", False):
        raise RuntimeError(
            f"the module {code.__module__!r} calls {code.__qualname__} while it is imported. Every worker that runs "
            "that imports the module, and would call it again, without end: put the call below "
            "`if __name__ == '__main__':`"
        )


class WorkerEngine(WorkerSide, ProcessEngine):
    """The engine of a worker process."""

    clock = staticmethod(monotonic)
    cut_text = "this call has closed the descriptors by which its process talks to the grid (os.closerange, say)"

    def __init__(self, worker: Worker, config: BootConfig, number: int, control: Link[ToClient]) -> None:
        """``worker`` runs the tasks and owns the outbox."""
        super().__init__(number, config.session, config.capacity, config.namespace, control)
        self.limit_pending(config.max_pending_tasks, refuses=config.refuse_pending_tasks)
        self.worker = worker
        self.machine = worker.machine
        self.setup = self.plain = Setup(config.env_vars)
        self.labels, self.node_name = config.labels, config.node_name
        self.device_names, self.device_variables = config.device_names, config.device_variables
        self.see_devices(())
        self.stalled = {}
        self._outside[m.Revoke] = worker.revoke
        self._outside[m.Interrupt] = worker.interrupt
        self._handlers[m.Deadlock] = self._deadlock
        self._handlers[m.Credit] = self.credited
        self._handlers[m.Knock] = self._knocked
        #: When an item last went out at once.
        self._sent = 0.0
        #: What the calls of an asynchronous actor await, if this is one.
        self.calls: AwaitingCalls | None = None
        #: Who sleeps for which call, the newest: several threads of a call may.
        self._sleepers: dict[int, Sleeper] = {}

    def settle_in(self, setup: Setup) -> None:
        """See ``WorkerSide``. The reader thread may be told of the driver's folder and path meanwhile."""
        with self.lock:
            surroundings.settle_in(setup)
        self.limit_pending(setup.max_pending_tasks, refuses=setup.refuse_pending_tasks)
        if setup.logging is not None:
            from actorgrid.engine import logs  # logging: only where it is asked for

            logs.apply(setup.logging)

    def settled(self) -> None:
        """See ``WorkerSide``."""
        self.worker.aftermath.settle()

    @protected
    def set_variable(self, name: str, value: str) -> None:
        """See ``WorkerSide``. No task has changed it."""
        super().set_variable(name, value)

    def start(self) -> None:
        """Start listening."""
        self._thread.start()

    # -- what must not be run again in every worker that imports it

    def prepare_task(self, definition: FunctionDefinition, options: TaskOptions) -> PreparedCall:
        """See ``Engine``. Raises RuntimeError if the function's module is being imported."""
        _check_imported(definition.function)
        return super().prepare_task(definition, options)

    def create_actor(
        self, definition: ActorDefinition, options: ActorOptions, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[ActorRef, bool]:
        """See ``Engine``. Raises RuntimeError if the class's module is being imported, unless all share one actor."""
        if not options.get_if_exists:
            _check_imported(definition.cls)
        return super().create_actor(definition, options, args, kwargs)

    # -- what EngineBase asks of a host

    @protected
    def send(self, *, force: bool) -> None:
        """See ``EngineBase``."""
        if self.sending:
            self.urgent = self.urgent or force
            return
        client = self.client
        self.sending = True
        try:
            self._pack()
            while len(self.worker.outbox) and (force or client.unanswered < 2):
                client.unanswered += 1
                self.worker.outbox.flush(ack_wanted=client.unanswered == 2)
                force, self.urgent = self.urgent, False
                self._pack()
        except OSError:
            pass  # a dead head is noticed by the reader thread
        finally:
            self.sending = False

    def item(self, running: Running, value: m.Value) -> bool:
        """See ``YieldingEngine``. A child that the generator has forked has nothing to say."""
        if self.worker.way_out.forked:
            self.worker.way_out.end_of_fork(None)
        return super().item(running, value)

    def send_item(self) -> None:
        """See ``YieldingEngine``: items go together while the head is busy with earlier ones, and not for long."""
        now = monotonic()
        late = now - self._sent > GATHER
        if late:
            self._sent = now
        self.send(force=late)

    def pack(self) -> None:
        """Put what is to be said where it survives this process. Called with the lock held."""
        if not self.sending:
            self.sending = True
            try:
                self._pack()
            finally:
                self.sending = False

    def _pack(self) -> None:
        client = self.client
        while client.outbox or self.segments:
            if self.segments:
                self.worker.outbox.flush()
                self.send_segments(self.worker.link)
            batch, client.outbox = client.outbox, []
            add = self.worker.outbox.add
            for message in batch:
                add(message)

    def blocking(self, blocked: m.Blocked, waiter: Sleeper) -> Callable[[], None] | None:
        """See ``EngineBase``."""
        running = self.running()
        if running is None:
            return None
        task = running.run.task
        self.worker.drain()
        blocked.task, blocked.unstarted = task, self.handed_back(self.machine.block())
        self.client.outbox.append(blocked)
        self._sleepers[task] = waiter

        def resume() -> None:
            if self._sleepers.get(task) is waiter:
                del self._sleepers[task]
            self.client.outbox.append(m.Resumed(task))
            self.send(force=True)

        return resume

    def _deadlock(self, message: m.Deadlock) -> None:
        """What a call waits for will never be. It may have gone on meanwhile: somebody was cancelled."""
        waiter = self._sleepers.get(message.task)
        if waiter is None and self.calls is not None:
            self.calls.deadlock(message.task, message.text)
        if waiter is not None and not waiter.open:
            waiter.error = DeadlockError(message.text)
            waiter.release()

    def awaiting(self, loop: asyncio.AbstractEventLoop) -> Awaiting | None:
        """See ``Engine``."""
        calls = self.calls
        return calls if calls is not None and loop is calls.loop else super().awaiting(loop)

    @protected
    def awaits(self, task: int, oids: tuple[int, ...], now: float) -> None:
        """A call of an asynchronous actor has awaited objects for a while."""
        with self.lock:
            running = self.machine.running.get(task)
            if running is not None and self.client.dead is None:
                finite = running.until > now or running.cancelled
                self.client.outbox.append(m.Blocked(task, m.AWAIT, oids[:MOST_TOLD], finite=finite))
                self.send(force=True)

    def goes_on(self, task: int) -> None:
        """It awaits them no more."""
        self.tell_quietly(m.Resumed(task))

    def _knocked(self, message: m.Knock) -> None:
        """Whoever can read this is there."""
        del message
        self.client.outbox.append(m.Present())
        self.send(force=True)

    def recall(self, message: m.Recall) -> None:
        """See ``ProcessEngine``; first take the calls that lie in the task link, for they may mention the object."""
        self.worker.drain()
        super().recall(message)

    def patience(self) -> float | None:
        """While an interrupt is on its way, look often whether it has landed."""
        return 0.005 if self.worker.interruption.target else None

    def patience_is_over(self) -> None:
        """Send an interrupt again until it has landed."""
        self.worker.interruption.press(self.latest)

    def lost(self, reason: str) -> None:
        """The head is gone: so are we."""
        self.end_waits(HeadDiedError(reason or "the head process died"))
        os._exit(CUT_OFF if self.link.is_cut() else 1)

    # -- the end

    def give_way(self) -> None:
        """Hand back what has not started, if earlier tasks have left nothing here for later ones to work with."""
        if self.arenas.starved and self.worker.used and self.machine.actor is None:
            with self.lock:
                reason = "tasks that ran here keep every descriptor"
                back = self.handed_back(self.machine.leave(reason))
                self.client.outbox += [m.Exiting(reason), m.Revoked(back)]  # in this order: nothing new is sent here

    def exit_actor(self) -> None:
        """See ``Engine``."""
        if self.machine.actor is None:
            super().exit_actor()
        self.worker.way_out.exit_actor()

    def shutdown(self) -> None:
        """A task does not end the grid that it runs in."""
