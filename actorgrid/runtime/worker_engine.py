"""The engine inside a worker: user code there submits, gets and puts like a driver.

What it says goes through the same outbox as the results of the tasks that run here, so that a result never overtakes
the objects it mentions. What it hears comes over the control link, read by the reader thread, while the main thread
runs tasks.
"""

from __future__ import annotations

import contextvars
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from actorgrid.core import messages as m
from actorgrid.core.messages import Kind, ToClient
from actorgrid.core.resources import amounts
from actorgrid.core.worker import Running
from actorgrid.engine.control import Handle
from actorgrid.engine.definitions import Context
from actorgrid.engine.interrupts import protected
from actorgrid.engine.serialize import loads
from actorgrid.exceptions import HeadDiedError
from actorgrid.runtime.links import Link
from actorgrid.runtime.process import ProcessEngine

if TYPE_CHECKING:
    from actorgrid.runtime.config import BootConfig
    from actorgrid.runtime.worker import Worker

#: The call that the current thread or coroutine belongs to.
running_now: contextvars.ContextVar[Running | None] = contextvars.ContextVar("actorgrid_running", default=None)


class WorkerEngine(ProcessEngine):
    """The engine of a worker process."""

    def __init__(self, worker: Worker, config: BootConfig, number: int, control: Link[ToClient]) -> None:
        """``worker`` runs the tasks and owns the outbox."""
        super().__init__(number, config.session, config.capacity, config.namespace, control)
        self.worker = worker
        self._outside[m.Revoke] = worker.revoke
        self._outside[m.Interrupt] = worker.interrupt

    def start(self) -> None:
        """Start listening."""
        self._thread.start()

    def running(self) -> Running | None:
        """Return the call that the calling code belongs to."""
        return running_now.get() or self.worker.latest

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

    def current_task(self) -> tuple[int, int]:
        """See ``EngineBase``."""
        running = self.running()
        if running is None:
            return 0, 0
        running.children += 1
        return running.run.task, running.children - 1

    def blocking(self, call: str, oids: tuple[int, ...]) -> Callable[[], None] | None:
        """See ``EngineBase``."""
        running = self.running()
        if running is None:
            return None
        task = running.run.task
        self.worker.drain()
        self.client.outbox.append(m.Blocked(task, call, oids, self.handed_back(self.worker.machine.block())))

        def resume() -> None:
            self.client.outbox.append(m.Resumed(task))
            self.send(force=True)

        return resume

    def patience(self) -> int | None:
        """While an interrupt is on its way, look often whether it has landed."""
        return 5 if self.worker.target else None

    def patience_is_over(self) -> None:
        """Send an interrupt again until it has landed."""
        self.worker.press()

    def lost(self, reason: str) -> None:
        """The head is gone: so are we."""
        self.end_waits(HeadDiedError(reason or "the head process died"))
        os._exit(1)

    # -- values of the calls that run here

    @protected
    def given(self, run: m.Run) -> None:
        """Count what a call brings along: it is held until ``let_go``. Called with the lock held."""
        client = self.client
        client.hold(run.refs)
        for value, oid in zip(run.deps, run.oids, strict=True):
            client.hold(value.refs)
            if value.extent is not None:
                entry = client.granted(oid)
                entry.refs += 1
                entry.heavy = True

    def let_go(self, run: m.Run) -> None:
        """The call is over. Called with the lock held."""
        client = self.client
        client.let_go(run.refs)
        for value, oid in zip(run.deps, run.oids, strict=True):
            client.let_go(value.refs)
            if value.extent is not None:
                client.let_go((oid,))

    def handed_back(self, runs: tuple[m.Run, ...]) -> tuple[int, ...]:
        """Let go of what tasks brought along that go back unstarted; return their ids. Called with the lock held."""
        for run in runs:
            self.let_go(run)
        return tuple(run.task for run in runs)

    def pinned(self, oid: int, extent: m.Extent) -> memoryview:
        """Return an argument in shared memory; what is built on it pins the object."""
        return self._pinned_view(self.client.entries[oid], extent)

    def store_result(self, value: Any, name: str) -> m.Value:
        """Return the message form of a result."""
        return self.store(value, f"the result of {name}")

    # -- where am I

    def context(self) -> Context:
        """Return where the calling code runs."""
        running = self.running()
        actor = self.worker.machine.actor
        base = Context(
            worker=self.client.number, namespace=self.namespace, session=self.session,
            actor=actor.actor if actor else 0, actor_name=actor.name if actor else "",
            incarnation=actor.incarnation if actor else 0,
        )  # fmt: skip
        if running is None:
            return base
        spec = self.worker.actor_spec or running.spec
        demand = spec.lifetime_demand if spec.kind is Kind.ACTOR else spec.demand
        return Context(
            worker=base.worker, namespace=base.namespace, session=base.session, actor=base.actor,
            actor_name=base.actor_name, incarnation=base.incarnation, task=running.run.task,
            task_name=running.spec.name, assigned_resources=amounts(demand), cancelled=running.cancelled,
        )  # fmt: skip

    def current_actor(self) -> Handle:
        """See ``Engine``."""
        actor = self.worker.machine.actor
        if actor is None:
            return super().current_actor()
        class_name, methods = loads(actor.handle)
        return self._actor(actor.actor, granted=False), class_name, methods

    def exit_actor(self) -> None:
        """See ``Engine``."""
        if self.worker.machine.actor is None:
            super().exit_actor()
        self.worker.exit_actor()

    def shutdown(self) -> None:
        """A task does not end the grid that it runs in."""
