"""A worker of the world without processes: what ``runtime/worker.py`` does around its machine, in the same order."""

from __future__ import annotations

import json
from collections import deque
from typing import TYPE_CHECKING, Any

import msgspec

from actorgrid.core import messages as m
from actorgrid.core.client import Client, Entry
from actorgrid.core.messages import Kind, Status, Value
from actorgrid.core.worker import Running, WorkerMachine
from tests.core.body import Body
from tests.core.process import Local, Process
from tests.core.script import BAD

if TYPE_CHECKING:
    from tests.core.world import World

#: What a call waits for that only a kill can end.
DEAF: Any = Entry(Client(1, None, str, lambda _: ()), 0)  # type: ignore[arg-type]  # nobody wakes it

SPOILED = msgspec.msgpack.encode(m.Failure(m.FailureKind.SETUP_FAILED, "spoiled"))
CANCELLED = msgspec.msgpack.encode(m.Failure(m.FailureKind.CANCELLED, "cancelled"))


class FakeWorker(Process):
    """A worker: machine, client, bodies, and the outbox that survives it."""

    def __init__(self, world: World, number: int) -> None:
        super().__init__(world, number)
        self.machine = WorkerMachine()
        self.task_link: deque[list[Any]] = deque()
        self.bodies: dict[int, Body] = {}
        self.current = 0
        #: What it is set up with; None: it has run nothing.
        self.setup: bytes | None = None
        self.dying = False
        #: Its process is there; a signal has stopped it; it has closed its links.
        self.born, self.stopped, self.mute = False, False, False
        #: As an actor: the calls that it has run, which is all its state; how many of them since it was saved.
        self.state: list[int] = []
        self.unsaved = 0
        #: After how many it is saved; 0: never.
        self.checkpoint = 0

    @property
    def able(self) -> bool:
        """Whether it can do anything."""
        return self.born and not (self.dying or self.stopped or self.mute)

    def take(self, batch: list[Any]) -> None:
        """Read a frame from the task link."""
        for message in batch:
            if isinstance(message, m.Run):
                for value in message.deps:
                    self.look(value, reply_link=False)
                self.client.hold(_brought(message))
                cancelled = self.machine.given(message)
                if cancelled is not None:
                    self._finish(cancelled, cancelled=True, unstarted=True)
            elif isinstance(message, m.Learn):
                self.machine.specs[message.spec.spec] = message.spec
            elif isinstance(message, m.Restarted):
                self.machine.become_actor(message)
            elif isinstance(message, m.Exit):
                self.machine.leaving = message.reason

    def hear(self, message: Any) -> None:
        super().hear(message)
        if isinstance(message, m.Revoke):
            back = self.machine.revoke(message.tasks)
            if back:
                self.say(m.Revoked(self.handed_back(back)))
        elif isinstance(message, m.Interrupt):
            self._interrupt(message)
        elif isinstance(message, m.Knock):
            self.say(m.Present())
        elif isinstance(message, m.Credit):
            self.machine.credit(message)
        else:  # methods do not wait here, so that no program can wait in a circle
            assert not isinstance(message, m.Deadlock), message.text

    def hand_back(self) -> tuple[int, ...]:
        return self.handed_back(self.machine.block())

    def let_go(self, run: m.Run) -> None:
        """A call is over, or goes back: what it brought along is no longer held for it."""
        self.client.let_go(_brought(run))

    def handed_back(self, runs: tuple[m.Run, ...]) -> tuple[int, ...]:
        """Let go of what tasks brought along that go back; return their ids."""
        for run in runs:
            self.let_go(run)
        return tuple(run.task for run in runs)

    def _interrupt(self, message: m.Interrupt) -> None:
        running = self.machine.cancel(message.task, message.attempt, overdue=message.deadline)
        if running is None:
            return
        if message.task not in self.machine.running:
            self._finish(running, cancelled=True, unstarted=True)
        elif message.gently:
            pass  # it sees for itself, where it next yields
        elif message.deadline and message.task % 3 == 0:
            self.bodies[message.task].waiting = DEAF  # it takes no notice and never ends by itself
        elif running.spec.kind is Kind.TASK or (running.overdue and self.machine.limit == 1):
            body = self.bodies.pop(message.task)
            body.forget()
            self.machine.finished(running)
            self._finish(running, cancelled=True)

    def start(self) -> bool:
        """Start the next call if one may start."""
        running = self.machine.start()
        if running is None:
            return False
        if running.spec.kind is not Kind.METHOD:
            assert self.setup in (None, running.spec.setup), f"set up with {self.setup!r}, not {running.spec.setup!r}"
            self.setup = running.spec.setup
            if self.setup == BAD:
                self._is_spoiled(running)
                return True
        self.current = running.run.task
        for value in running.run.deps:
            self.look(value)
        self.world.started.append((running.run.task, running.run.attempt, running.run.actor))
        if m.STATE in running.run.slots:
            saved = running.run.deps[running.run.slots.index(m.STATE)]
            self.state = json.loads(self.world.text(saved))
        if running.spec.kind is Kind.ACTOR:
            self.checkpoint = running.spec.checkpoint_calls
        script = self.world.scripts[int(running.run.args)]
        body = Body(self, script, running)
        for ref in running.run.refs:
            entry = self.client.entries[ref]
            (body.actors if self.world.is_actor(ref) else body.locals).append(Local(entry))
        self.bodies[running.run.task] = body
        return True

    def _is_spoiled(self, running: Running) -> None:
        """It cannot be set up: it says so and leaves."""
        self.machine.spoiled = True
        assert self.machine.finished(running)
        self.say(m.Revoked(self.handed_back(self.machine.leave("spoiled"))))
        run, why = running.run, SPOILED if not running.cancelled else CANCELLED
        values = (Value(Status.FAILURE, why),) * max(running.spec.num_returns, 1)
        self.say(m.Done(run.task, run.attempt, values, 5, leaving=True))
        self.let_go(run)

    def step(self, task: int) -> bool:
        """Let a body go on. Returns whether it did."""
        body = self.bodies[task]
        if body.advance():
            return True
        if body.waiting is not None:
            return False
        if body.end == "crash":
            self.world.die(self, -11, task)
            return True
        del self.bodies[task]
        running = body.running
        assert running is not None
        self.machine.finished(running)
        body.look_at_all()
        refs = tuple(local.entry.oid for local in body.locals) if body.end == "ok" else ()
        self._finish(running, refs=refs, end=body.end)
        body.forget()
        if running.spec.kind is Kind.ACTOR:
            self.machine.constructed(running.spec)
        return True

    def _finish(
        self,
        running: Running,
        refs: tuple[int, ...] = (),
        end: str = "ok",
        *,
        cancelled: bool = False,
        unstarted: bool = False,
    ) -> None:
        run = running.run
        saved = None
        if self.checkpoint and running.spec.kind is Kind.METHOD and not unstarted:
            saved = self._lives(run, interrupted=cancelled or running.cancelled)
        stopped = cancelled or running.cancelled
        values = (Value(Status.FAILURE, CANCELLED),) * max(running.spec.num_returns, 1)
        if running.spec.kind is Kind.ACTOR:
            values = ()
        elif not stopped:
            values = self._results(running, refs, end)
        done = m.Done(run.task, run.attempt, values, 5, end == "retry", unstarted=unstarted)
        if saved is not None:
            done.saved = saved.entry.oid
        self.say(done)
        if saved is not None:
            saved.drop()
        self.let_go(run)
        self.current = next(iter(self.bodies), 0)

    def _results(self, running: Running, refs: tuple[int, ...], end: str) -> tuple[Value, ...]:
        task, count = running.run.task, running.spec.num_returns
        error = Value(Status.ERROR, b"e")
        if running.outflow is not None:
            return (Value(Status.OK, b"none"),) if end == "ok" else (Value(Status.OK, b"none"), error)
        made = count if end == "ok" else int(end == "raise" and count > 2)
        values = [self.store(b"%d" % len(self.state), (task + index) % 3, refs) for index in range(made)]
        return (*values, *(error,) * (count - made))

    def _lives(self, run: m.Run, *, interrupted: bool) -> Local | None:
        """A call of an actor with checkpoints is over: it is part of the state, which is saved if it is time to."""
        self.state.append(run.again or run.task)
        self.world.lived[run.actor] = self.state
        self.unsaved += 1
        if self.unsaved < self.checkpoint and not interrupted:
            return None
        self.unsaved = 0
        value = self.store(json.dumps(self.state).encode(), len(self.state) % 3)
        oid = self.client.take_ids(1)
        saved = Local(self.client.own(oid, value))
        self.say(m.Put(oid, value))
        return saved


def _brought(run: m.Run) -> tuple[int, ...]:
    """Return the grants that come with a call, an id for each."""
    made = [made.ident + index for made in run.made for index in range(made.count)]
    mentioned = [ref for value in run.deps for ref in value.refs]
    mapped = [oid for oid, value in zip(run.oids, run.deps, strict=True) if value.extent is not None]
    return (*run.refs, *made, *mentioned, *mapped)
