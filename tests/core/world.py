"""A world without processes: the head machine, a driver's client and workers, joined by queues.

Whoever runs the world picks what happens next: a frame is delivered, a process takes a step, a worker dies. Frames on
one link keep their order; nothing is ordered between links. Every frame is encoded and decoded on the way, and
``check`` runs after every event of the head. Programs are scripts (see ``Step``), so that Hypothesis can make them up.

What ``runtime/worker.py`` and ``runtime/driver.py`` do around the machines is done here in the same order.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import msgspec

from actorgrid.core import ids
from actorgrid.core import messages as m
from actorgrid.core.client import Client, Entry
from actorgrid.core.head.check import check
from actorgrid.core.head.effects import CloseWorker, SignalWorker, SpawnWorker
from actorgrid.core.head.machine import Head, HeadConfig
from actorgrid.core.head.objects import TINY
from actorgrid.core.head.records import Peer, Task
from actorgrid.core.messages import Kind, Status, Value
from actorgrid.core.resources import demand
from actorgrid.core.states import TASK, TaskState
from actorgrid.core.stream import Inflow
from actorgrid.core.worker import Running, WorkerMachine
from actorgrid.wire.codec import Decoder, encode_frame

#: The setup that always fails.
BAD = b"bad"
ONE_CPU = demand({"CPU": 1})
#: Concurrency groups of some actors.
GROUPS = (("", 1), ("g", 2))
#: (timeout, run_timeout) of those that have a deadline; a step takes a millisecond.
LIMITS = ((0.02, 0.0), (0.0, 0.01), (0.03, 0.02))


@dataclass(frozen=True)
class Step:
    """One thing that a body does.

    ``task``: submit ``script`` with retries ``a``; ``b`` & 3 is 0: no arguments, 1: a local reference as an argument,
    2: inside an argument, 3: none, and a deadline; ``b`` & 4: with a setup, which fails if ``a`` is 3. ``put``.
    ``get``: wait for local reference ``a``. ``drop``: forget it. ``cancel``: cancel it (``b`` & 1: force, ``b`` & 2:
    recursive). ``actor``: create one (``a`` restarts, ``b`` 1: concurrent; ``a`` 3: with a setup). ``call``: call actor
    ``a``, whose method runs ``script``, with ``b`` & 1 retries (``b`` & 2: an argument, ``b`` & 4: a deadline).
    ``kill``: kill actor ``a`` (``b``: no restart). ``lose``: drop the handle of actor ``a``. ``raise``, ``retry``
    (raise something retryable), ``crash``: the end.

    ``stream``: run ``script`` as a generator with ``a`` retries, ``b`` & 3 says how far it may be ahead (``b`` & 4: as
    a method of an actor, as far as it likes). ``yield``: an item, which mentions a local reference. ``next``: read
    stream ``a``, ``drain``: to its end. ``leave``: read no more of it (``b``: but keep its end). ``halt``: cancel it.
    """

    what: str
    a: int = 0
    b: int = 0
    script: tuple[Step, ...] = ()


Script = tuple[Step, ...]


class Local:
    """A reference as user code holds it."""

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        entry.refs += 1

    def drop(self) -> None:
        self.entry.drop()


class Process:
    """What drivers and workers share: a client and a program counter per body."""

    def __init__(self, world: World, number: int) -> None:
        self.world = world
        self.number = number
        self.client = Client(number, self, str, lambda _: ())
        self.inbox: deque[list[Any]] = deque()
        self.outbox: deque[list[Any]] = deque()
        #: The frame that it sent last.
        self.sent: list[Any] = []
        self.specs: dict[tuple[Any, ...], int] = {}
        self.decode: Callable[[bytes], list[Any]] = Decoder(m.ToClient).feed

    def wake(self) -> None:
        """Dropped references are collected at the next turn anyway."""

    def say(self, message: Any) -> None:
        """Put a message into the outbox."""
        self.client.outbox.append(message)

    def send(self) -> None:
        """Collect what was dropped and send everything as one frame."""
        self.client.collect()
        if self.client.outbox:
            self.sent, self.client.outbox = self.client.outbox, []
            self.outbox.append(self.sent)

    def hear(self, message: Any) -> None:
        """Handle a reply."""
        if isinstance(message, m.Ready):
            self.client.ready(message)
        elif isinstance(message, m.Item):
            self.client.item(message)
        elif isinstance(message, m.Answer):
            self.client.answered(message)

    def spec(
        self,
        kind: Kind,
        retries: int,
        restarts: int = 0,
        concurrency: int = 1,
        limits: tuple[float, float] = (0, 0),
        checkpoint: int = 0,
        grouped: bool = False,
        yields: int = 0,
        setup: bytes = b"",
    ) -> int:
        """Return the number of a spec, registering it the first time."""
        key = (kind, retries, restarts, concurrency, limits, checkpoint, grouped, yields, setup)
        if key not in self.specs:
            number = self.specs[key] = self.client.take_ids(1)
            digest = b"" if kind is Kind.METHOD else b"code"
            if digest:
                self.say(m.Export(digest, "code", Value(Status.OK, b"x")))
            self.say(
                m.Spec(
                    number, kind, f"{kind.name}{retries}", digest, ONE_CPU if kind is not Kind.METHOD else (),
                    max_retries=retries, max_restarts=restarts, max_concurrency=concurrency,
                    num_returns=0 if kind is Kind.ACTOR else 1, timeout=limits[0], run_timeout=limits[1],
                    checkpoint_calls=checkpoint, groups=GROUPS if grouped and kind is Kind.ACTOR else (),
                    group="g" if grouped and kind is Kind.METHOD else "", yields=yields, setup=setup,
                )
            )  # fmt: skip
        return self.specs[key]


class Stall:
    """What a generator waits for that is as far ahead as it may be."""

    def __init__(self, running: Running) -> None:
        self.running = running

    @property
    def value(self) -> Value | None:
        flow = self.running.outflow
        return None if flow is not None and flow.full and not self.running.cancelled else Value(Status.OK)


class Body:
    """A script that runs: its locals and how far it is."""

    def __init__(self, process: Process, script: Script, running: Running | None) -> None:
        self.process = process
        self.running = running
        self.locals: list[Local] = []
        self.actors: list[Local] = []
        #: Streams that it reads, and what it does with the item that it waits for.
        self.streams: list[Inflow] = []
        self.then: Callable[[], None] | None = None
        self.waiting: Entry | Inflow | Stall | None = None
        self.steps = self._run(script)
        self.end = ""

    def ids(self) -> tuple[int, int]:
        """Return (parent, nth) of the next submission."""
        if self.running is None:
            return 0, 0
        self.running.children += 1
        return self.running.run.task, self.running.children - 1

    def made(self, nth: int) -> m.Made | None:
        """Return what this call submitted as its number ``nth`` when it ran before."""
        running = self.running
        made = None if running is None else running.made.get(nth)
        assert made is not None or running is None or not running.run.again, (
            "a call that runs again does more than before"
        )
        return made

    def advance(self) -> bool:
        """Take a step; returns whether there was one."""
        if self.waiting is not None:
            if self.waiting.value is None:
                return False
            self.waiting = None
            if self.running is not None:
                self.process.say(m.Resumed(self.running.run.task))
            if self.then is not None:
                then, self.then = self.then, None
                then()
        return next(self.steps, None) is not None

    def _run(self, script: Script) -> Iterator[bool]:
        for step in script:
            if step.what in ("raise", "retry", "crash"):
                self.end = step.what
                return
            if step.what == "drain":
                yield from self._drain(step)
                continue
            getattr(self, f"_{step.what}")(step)
            yield True
            if step.what == "yield" and self.running is not None and self.running.cancelled:
                break
        self.end = "ok"

    def _pick(self, index: int, among: list[Local]) -> Local | None:
        return among[index % len(among)] if among else None

    def _task(self, step: Step) -> None:
        client, world = self.process.client, self.process.world
        how = step.b & 3
        argument = self._pick(step.a + how, self.locals) if how in (1, 2) else None
        setup = b"" if not step.b & 4 else b"s" if step.a < 3 else BAD
        limits = LIMITS[step.a % 3] if how == 3 else (0, 0)
        spec = self.process.spec(Kind.TASK, step.a % 3, limits=limits, setup=setup)
        script = world.remember(step.script)
        parent, nth = self.ids()
        task = client.take_ids(1)
        oid = (argument.entry.oid,) if argument else ()
        deps, refs = (oid, ()) if how == 1 else ((), oid)
        slots: tuple[int | str, ...] = (0,) if deps else ()
        handles = tuple(actor.entry.oid for actor in self.actors[:1])
        self.locals.append(Local(client.promise(task)))
        self.process.say(m.Submit(task, spec, script, deps, slots, refs + handles, 0, parent, nth))
        world.retries[task] = step.a % 3

    def _put(self, step: Step) -> None:
        client = self.process.client
        inside = self._pick(step.a, self.locals)
        oid = client.take_ids(1)
        value = Value(Status.OK, b"v", None, (inside.entry.oid,) if inside and step.b else ())
        self.locals.append(Local(client.own(oid, value)))
        self.process.say(m.Put(oid, value))

    def _get(self, step: Step) -> None:
        local = self._pick(step.a, self.locals)
        if local is None or local.entry.value is not None:
            return
        self.waiting = local.entry
        if self.running is not None and isinstance(self.process, FakeWorker):
            back = self.process.handed_back(self.process.machine.block())
            self.process.say(m.Blocked(self.running.run.task, "get", (local.entry.oid,), back))
        if not local.entry.known:
            local.entry.known = True
            self.process.say(m.Subscribe((local.entry.oid,)))

    def _drop(self, step: Step) -> None:
        if self.locals:
            self.locals.pop(step.a % len(self.locals)).drop()

    def _cancel(self, step: Step) -> None:
        local = self._pick(step.a, self.locals)
        if local is not None:
            self.process.say(m.Cancel(local.entry.oid, bool(step.b & 1), bool(step.b & 2)))

    def _actor(self, step: Step) -> None:
        client = self.process.client
        parent, nth = self.ids()
        made = self.made(nth)
        if made is not None:
            self.actors.append(Local(client.entries[made.ident]))
            return
        checkpoint = step.a if step.a > 1 and not step.b else 0
        spec = self.process.spec(
            Kind.ACTOR, 0, step.a % 3 + bool(checkpoint), 3 if step.b else 1, checkpoint=checkpoint, grouped=step.b > 1,
            setup=b"s" if step.a == 3 else b"",
        )  # fmt: skip
        ident = client.take_ids(1)
        if checkpoint:
            self.process.world.journaled.add(ident)
        self.actors.append(Local(client.promise(ident)))
        script = self.process.world.remember(())
        self.process.say(m.CreateActor(ident, spec, script, parent=parent, nth=nth))

    def _call(self, step: Step) -> None:
        actor = self._pick(step.a, self.actors)
        if actor is None:
            return
        client, world = self.process.client, self.process.world
        retries = 9 if actor.entry.oid in world.journaled else step.b % 2  # more than there are deaths
        spec = self.process.spec(
            Kind.METHOD, retries, limits=LIMITS[step.a % 3] if step.b & 4 else (0, 0), grouped=step.a > 1
        )
        argument = self._pick(step.a, self.locals) if step.b & 2 else None
        deps = (argument.entry.oid,) if argument else ()
        parent, nth = self.ids()
        made = self.made(nth)
        if made is not None:
            self.locals.append(Local(client.entries[made.ident]))
            return
        task = client.take_ids(1)
        self.locals.append(Local(client.promise(task)))
        script = world.remember(step.script)
        slots: tuple[int | str, ...] = (0,) if deps else ()
        self.process.say(m.Submit(task, spec, script, deps, slots, (), actor.entry.oid, parent, nth))
        world.retries[task] = retries
        world.caller_order[actor.entry.oid, self.process.number].append(task)

    # -- streams

    def _stream(self, step: Step) -> None:
        client, world = self.process.client, self.process.world
        actor = self._pick(step.a, self.actors) if step.b & 4 else None
        if actor is not None and actor.entry.oid in world.journaled:
            return
        bound = -1 if actor is not None else (1, 2, -1, 1)[step.b & 3]
        kind = Kind.METHOD if actor is not None else Kind.TASK
        spec = self.process.spec(kind, step.a % 3, yields=bound)
        parent, nth = self.ids()
        task = client.take_ids(1)
        stream = client.open(task, bound)
        stream.end.refs += 1
        self.streams.append(stream)
        script, target = world.remember(step.script), actor.entry.oid if actor is not None else 0
        self.process.say(m.Submit(task, spec, script, (), (), (), target, parent, nth))
        world.retries[task] = step.a % 3
        if target:
            world.caller_order[target, self.process.number].append(task)

    def _yield(self, step: Step) -> None:
        running = self.running
        if running is None or running.outflow is None:
            return
        inside = self._pick(step.a, self.locals)
        flow, refs = running.outflow, (inside.entry.oid,) if inside and step.b else ()
        size = 1 if step.a % 2 else 2 * TINY
        value = Value(Status.OK, b"%d:%s" % (flow.at, b"i" * size), None, refs)
        self.process.say(m.Yield(running.run.task, running.run.attempt, flow.at, value))
        flow.at += 1
        if flow.full and not running.cancelled:
            self.waiting = Stall(running)
            self.process.say(m.Blocked(running.run.task, m.YIELD, (), self._handed_back()))

    def _handed_back(self) -> tuple[int, ...]:
        assert isinstance(self.process, FakeWorker)
        return self.process.handed_back(self.process.machine.block())

    def _next(self, step: Step) -> None:
        if not self.streams:
            return
        stream = self.streams[step.a % len(self.streams)]
        if stream.ready:
            self._take(stream)
            return
        self.waiting, self.then = stream, partial(self._take, stream)
        if self.running is not None:
            self.process.say(m.Blocked(self.running.run.task, "next", (stream.oid,), self._handed_back(), need=1))

    def _drain(self, step: Step) -> Iterator[bool]:
        stream = self.streams[step.a % len(self.streams)] if self.streams else None
        while stream is not None and not stream.over:
            self._next(Step("next", self.streams.index(stream)))
            yield True

    def _take(self, stream: Inflow) -> None:
        place = stream.taken
        entry = stream.take()
        if entry is not None:
            self.locals.append(Local(entry))
            entry.refs -= 1
            if entry is not stream.end:
                self.process.world.read.append((stream.oid, place, entry))

    def _leave(self, step: Step) -> None:
        if self.streams:
            stream = self.streams.pop(step.a % len(self.streams))
            if step.b:
                self.locals.append(Local(stream.end))
            stream.leave()

    def _halt(self, step: Step) -> None:
        if self.streams:
            self.process.say(m.Cancel(self.streams[step.a % len(self.streams)].oid))

    def _kill(self, step: Step) -> None:
        actor = self._pick(step.a, self.actors)
        if actor is not None:
            self.process.say(m.KillActor(actor.entry.oid, bool(step.b)))

    def _lose(self, step: Step) -> None:
        if self.actors:
            self.actors.pop(step.a % len(self.actors)).drop()

    def forget(self) -> None:
        """The body's frame is gone: drop every local."""
        for local in self.locals + self.actors:
            local.drop()
        for stream in self.streams:
            stream.leave()
        self.locals.clear()
        self.actors.clear()
        self.streams.clear()


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
                self.client.hold(message.refs)
                for made in message.made:
                    self.client.hold(tuple(range(made.ident, made.ident + made.count)))
                for value in message.deps:
                    self.client.hold(value.refs)
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

    def let_go(self, run: m.Run) -> None:
        """A call is over, or goes back: what it brought along is no longer held for it."""
        self.client.let_go(run.refs)
        for made in run.made:
            self.client.let_go(tuple(range(made.ident, made.ident + made.count)))
        for value in run.deps:
            self.client.let_go(value.refs)

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
        self.world.started.append((running.run.task, running.run.attempt, running.run.actor))
        if m.STATE in running.run.slots:
            self.state = json.loads(running.run.deps[running.run.slots.index(m.STATE)].data)
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
        run, values = running.run, (Value(Status.FAILURE, SPOILED if not running.cancelled else CANCELLED),)
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
        if cancelled or running.cancelled:
            values: tuple[Value, ...] = (Value(Status.FAILURE, CANCELLED),)
        elif end == "ok":
            size = 1 if run.task % 2 else 2 * TINY
            values = (Value(Status.OK, b"%d:%s" % (len(self.state), b"r" * size), None, refs),)
        else:
            values = (Value(Status.ERROR, b"e"),)
        if running.outflow is not None and values[0].status is not Status.FAILURE:
            values = (Value(Status.OK, b"none"), *(value for value in values if value.status is Status.ERROR))
        if running.spec.kind is Kind.ACTOR:
            values = ()
        done = m.Done(run.task, run.attempt, values, 5, end == "retry", unstarted=unstarted)
        if saved is not None:
            done.saved = saved.entry.oid
        self.say(done)
        if saved is not None:
            saved.drop()
        self.let_go(run)
        self.current = next(iter(self.bodies), 0)

    def _lives(self, run: m.Run, *, interrupted: bool) -> Local | None:
        """A call of an actor with checkpoints is over: it is part of the state, which is saved if it is time to."""
        self.state.append(run.again or run.task)
        self.world.lived[run.actor] = self.state
        self.unsaved += 1
        if self.unsaved < self.checkpoint and not interrupted:
            return None
        self.unsaved = 0
        oid, value = self.client.take_ids(1), Value(Status.OK, json.dumps(self.state).encode())
        saved = Local(self.client.own(oid, value))
        self.say(m.Put(oid, value))
        return saved


#: What a call waits for that only a kill can end.
DEAF: Any = Entry(Client(1, None, str, lambda _: ()), 0)  # type: ignore[arg-type]  # nobody wakes it

SPOILED = msgspec.msgpack.encode(m.Failure(m.FailureKind.SETUP_FAILED, "spoiled"))
CANCELLED = msgspec.msgpack.encode(m.Failure(m.FailureKind.CANCELLED, "cancelled"))


def _leads() -> dict[TaskState, set[TaskState]]:
    """Return where a task in each state may be after one event, which may be several steps of its table."""
    leads: dict[TaskState, set[TaskState]] = {state: {state} for state in TaskState}
    for _ in TaskState:
        for (before, _), after in TASK.items():
            leads[before] |= leads[after]
    return leads


LEADS = _leads()


@dataclass
class World:
    """Everything, and a pick of what happens next."""

    cpus: int = 2
    deaths: int = 0
    drivers: int = 1
    #: How many processes there may be.
    most: int = 500
    #: How often a link fills up because its client reads slowly.
    jams: int = 0
    #: How often a process does not start, is stopped by a signal, or closes its links.
    nuisances: int = 0
    scripts: list[Script] = field(default_factory=list)
    started: list[tuple[int, int, int]] = field(default_factory=list)
    retries: dict[int, int] = field(default_factory=dict)
    #: Actors with checkpoints, and what their latest process has lived through.
    journaled: set[int] = field(default_factory=set)
    lived: dict[int, list[int]] = field(default_factory=dict)
    #: What was read of streams: (stream, place, item).
    read: list[tuple[int, int, Entry]] = field(default_factory=list)
    caller_order: dict[tuple[int, int], list[int]] = field(default_factory=lambda: defaultdict(list))
    trace: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.now = 0.0
        #: Every task that there ever was, and the state it was last seen in.
        self.records: dict[int, Task] = {}
        self.states: dict[int, TaskState] = {}
        #: Who is to blame: the task that ran when a worker died, the task that raised what is retried.
        self.blame: Counter[int] = Counter()
        self.head = Head(HeadConfig(demand({"CPU": self.cpus}), 1 << 30, min(self.cpus, self.most), self.most))
        self.workers: dict[int, FakeWorker] = {}
        self.launcher: deque[tuple[int, int]] = deque()
        #: What the launcher has to say.
        self.words: deque[m.Spawned | m.SpawnFailed | m.Exited | m.Stopped | m.LinkLost] = deque()
        self.hosts = {ids.DRIVER: Process(self, ids.DRIVER)}
        for _ in range(self.drivers - 1):
            number = self.head.add_driver().number
            self.hosts[number] = Process(self, number)
        self.mains: dict[int, Body] = {}
        self.head.workers.prestart(min(self.cpus, self.most))
        self._turn()

    def remember(self, script: Script) -> bytes:
        """Return a script as a payload."""
        self.scripts.append(script)
        return str(len(self.scripts) - 1).encode()

    def is_actor(self, ident: int) -> bool:
        """Return whether an id is an actor's (user code would know by the class of the reference)."""
        return ident in self.actor_ids

    @property
    def actor_ids(self) -> set[int]:
        """Return the ids of every actor that was ever called or created."""
        return {actor for actor, _ in self.caller_order} | {
            ident for ident, held in self.head.objects.table.items() if type(held).__name__ == "Actor"
        }

    # -- the head

    def _deliver(self, source: int, batch: list[Any]) -> None:
        batch = Decoder[Any](m.ToHead).feed(encode_frame(batch))
        for message in batch:
            self.trace.append(f"{source}>{type(message).__name__}")
            if isinstance(message, m.Done) and message.retry:
                self.blame[message.task] += 1
            self.head.handle(source, [message], self.now)
            self._look()
        self._turn()

    def _look(self) -> None:
        """Check every invariant, and that tasks went only where their table leads."""
        check(self.head)
        self.records.update(self.head.tasks.table)
        for ident, record in self.records.items():
            before = self.states.get(ident, TaskState.WAITING)
            assert record.state in LEADS[before], f"task {ident}: {before} -> {record.state}"
            self.states[ident] = record.state

    def _turn(self) -> None:
        head = self.head
        head.turn(self.now)
        self._look()
        effects, head.effects = head.effects, []
        for effect in effects:
            if isinstance(effect, SpawnWorker):
                self.workers[effect.number] = FakeWorker(self, effect.number)
            elif isinstance(effect, SignalWorker):
                self.launcher.append((effect.task, effect.number))
            elif isinstance(effect, CloseWorker):
                self.workers.pop(effect.number, None)
        busy, head.busy = head.busy, []
        for worker in busy:
            batch, worker.outbox = worker.outbox, []
            if worker.number in self.workers:
                self.workers[worker.number].task_link.append(Decoder[Any](m.ToWorker).feed(encode_frame(batch)))
        dirty, head.dirty = head.dirty, []
        for peer in dirty:
            batch, peer.outbox = peer.outbox, []
            process = self.hosts.get(peer.number) or self.workers.get(peer.number)
            if process is not None:
                process.inbox.append(Decoder[Any](m.ToClient).feed(encode_frame(batch)))

    # -- deaths

    def die(self, worker: FakeWorker, status: int, current: int | None = None) -> None:
        """A worker's process ends now; what it has said stays readable."""
        if worker.dying:
            return
        worker.dying = True
        last = worker.client.outbox or worker.sent  # it may have died just before it sent that, or just after
        body = encode_frame(last)[4:] if last else b""
        now = worker.current if current is None else current
        self.words.append(m.Exited(worker.number, 1000 + worker.number, status, now if worker.bodies else 0, body))

    def _report(self) -> None:
        """The launcher says the next thing."""
        message = self.words.popleft()
        worker = self.workers.get(message.worker)
        if worker is None:
            return
        if isinstance(message, m.Exited):
            self._bury(worker, message)
        self.head.hear_launcher(message, self.now)
        check(self.head)
        self._turn()

    def _bury(self, worker: FakeWorker, message: m.Exited) -> None:
        while worker.outbox:
            self._deliver(worker.number, worker.outbox.popleft())
        if message.outbox:
            leftover = list(Decoder[Any](m.ToHead).body(message.outbox))
            self.head.handle_leftover(worker.number, leftover, self.now)
            self.head.handle_leftover(worker.number, leftover, self.now)  # a frame may come twice
        self.blame[message.current] += 1

    # -- nuisances

    def _nuisances(self, worker: FakeWorker) -> list[Callable[[], object]]:
        """Return what could befall a worker; going on is free."""
        if worker.stopped and not worker.dying:
            return [partial(self._go_on, worker)]
        if not self.nuisances or worker.dying:
            return []
        if not worker.born:
            return [partial(self._refuse, worker)]
        stop, mute = partial(self._stop, worker), partial(self._mute, worker)
        return [stop] if worker.mute else [stop, mute]

    def _be_born(self, worker: FakeWorker) -> None:
        worker.born = True
        self.words.append(m.Spawned(worker.number, 1000 + worker.number))

    def _refuse(self, worker: FakeWorker) -> None:
        self.nuisances -= 1
        worker.dying = True
        self.words.append(m.SpawnFailed(worker.number, "no memory for another process"))

    def _stop(self, worker: FakeWorker) -> None:
        self.nuisances -= 1
        worker.stopped = True
        self.words.append(m.Stopped(worker.number, stopped=True))

    def _go_on(self, worker: FakeWorker) -> None:
        worker.stopped = False
        self.words.append(m.Stopped(worker.number, stopped=False))

    def _mute(self, worker: FakeWorker) -> None:
        self.nuisances -= 1
        worker.mute = True
        self.words.append(m.LinkLost(worker.number))

    # -- what can happen

    def enabled(self) -> list[Callable[[], object]]:
        """Return everything that could happen next, in a fixed order."""
        can: list[Callable[[], object]] = []
        for number, main in self.mains.items():
            if main.waiting is None or main.waiting.value is not None:
                can.append(partial(self._driver_step, number))
        for process in [*self.hosts.values(), *self.workers.values()]:
            can += self._process_can(process)
        if self.launcher:
            can.append(self._launch)
        if self.words:
            can.append(self._report)
        peers = self.head.peers.values()
        can += [partial(self._drained, peer) for peer in peers if peer.congested]
        if self.jams:
            can += [partial(self._jam, peer) for peer in peers if peer.alive and not peer.congested]
        return can

    def _process_can(self, process: Process) -> list[Callable[[], object]]:
        can: list[Callable[[], object]] = []
        if process.outbox:
            can.append(partial(self._send_on, process))
        if isinstance(process, FakeWorker):
            if not (process.born or process.dying):
                can.append(partial(self._be_born, process))
            if not process.able:
                return can
        if process.inbox:
            can.append(partial(self._hear, process))
        if process.client.outbox or process.client.dropped:
            can.append(process.send)
        return can + self._worker_can(process) if isinstance(process, FakeWorker) else can

    def _jam(self, peer: Peer) -> None:
        """The link to ``peer`` holds more than it should: what is large waits."""
        self.jams -= 1
        peer.congested = True

    def _drained(self, peer: Peer) -> None:
        self.head.objects.drained(peer)
        check(self.head)
        self._turn()

    def _worker_can(self, worker: FakeWorker) -> list[Callable[[], object]]:
        can: list[Callable[[], object]] = []
        if worker.task_link:
            can.append(lambda: worker.take(worker.task_link.popleft()))
        if worker.machine.queue and len(worker.machine.running) < worker.machine.limit:
            can.append(worker.start)
        for task, body in worker.bodies.items():
            if body.waiting is None or body.waiting.value is not None:
                can.append(partial(worker.step, task))
        if worker.machine.leaving and not worker.bodies and not worker.machine.queue and not worker.client.outbox:
            can.append(lambda: self.die(worker, 0))
        return can

    def _send_on(self, process: Process) -> None:
        self._deliver(process.number, process.outbox.popleft())

    def _hear(self, process: Process) -> None:
        for message in process.inbox.popleft():
            process.hear(message)

    def _launch(self) -> None:
        task, number = self.launcher.popleft()
        worker = self.workers.get(number)
        if worker is None or worker.dying:
            return
        if not worker.born:
            self._be_born(worker)
        if task and worker.current != task:
            self.head.hear_launcher(m.Spared(number, task), self.now)
            check(self.head)
            self._turn()
        else:
            self.die(worker, -9)

    def _driver_step(self, number: int) -> None:
        main = self.mains[number]
        if not main.advance() and main.waiting is None:
            del self.mains[number]

    def leave(self, number: int) -> None:
        """A driver dies: what it has not sent is lost, what was sent is read first."""
        process = self.hosts[number]
        while process.outbox:
            self._deliver(number, process.outbox.popleft())
        del self.hosts[number]
        self.mains.pop(number, None)
        others = {task: task.cancelled for task in self.head.tasks.table.values() if task.job != number}
        self.head.leave(number)
        check(self.head)
        assert all(task.cancelled == cancelled for task, cancelled in others.items()), "what others have asked for"
        self._turn()

    # -- running

    def run(
        self, script: Script, pick: Callable[[int], int], steps: int, other: Script = (), leaves: int | None = None
    ) -> Body:
        """Run a driver's script: ``pick(n)`` chooses among n events for ``steps`` steps, then all drains in order.

        A second driver, if there is one, runs ``other`` and leaves before step ``leaves`` (None: it stays).
        """
        main = self.mains[ids.DRIVER] = Body(self.hosts[ids.DRIVER], script, None)
        for number in list(self.hosts)[1:]:
            self.mains[number] = Body(self.hosts[number], other, None)
        for index in range(steps):
            if index == leaves:
                self.leave(max(self.hosts))
            can = self.enabled()
            victims = (
                [worker for worker in self.workers.values() if worker.born and not worker.dying] if self.deaths else []
            )
            can += [event for worker in self.workers.values() for event in self._nuisances(worker)]
            if not can:
                break
            choice = pick(len(can) + bool(victims))
            self.now += 0.001
            if choice < len(can):
                can[choice]()
            else:
                self.deaths -= 1
                self.die(victims[pick(len(victims))], -9)
        self.drain(max(5_000, 100 * len(script)))
        if leaves is not None and leaves >= steps:
            self.leave(max(self.hosts))
            self.drain()
        return main

    def drain(self, most: int = 5_000) -> None:
        """Let everything happen until nothing can."""
        for _ in range(most):
            can = self.enabled()
            if not can:
                self.now = max(self.now + 0.01, self.head.alarms.next() or 0.0)
                before = len(self.trace)
                self._turn()  # nudges and retirements are due
                if not self.enabled() and before == len(self.trace) and not len(self.head.alarms):
                    return
                continue
            self.now += 0.001
            for event in can[:1]:
                event()
            self._rotate()
        raise AssertionError("the world does not come to rest")

    def _rotate(self) -> None:
        """Let no process starve while everything drains: the first enabled event belongs to another one next time."""
        if len(self.workers) > 1:
            number, worker = next(iter(self.workers.items()))
            del self.workers[number]
            self.workers[number] = worker
