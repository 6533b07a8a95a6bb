"""A body that runs: the steps of a script, one after the other, as user code would take them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from actorgrid.core import messages as m
from actorgrid.core.client import Entry
from actorgrid.core.messages import Kind, Status, Value
from actorgrid.core.stream import Inflow
from actorgrid.core.worker import Running
from tests.core.process import Local, Process
from tests.core.script import BAD, LIMITS, Script, Step


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
            self.process.look(self.waiting.value)
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

    def look_at_all(self) -> None:
        """Whatever it holds can be read."""
        for local in self.locals:
            self.process.look(local.entry.value)

    def _pick(self, index: int, among: list[Local]) -> Local | None:
        return among[index % len(among)] if among else None

    def _task(self, step: Step) -> None:
        client, world = self.process.client, self.process.world
        how = step.b & 3
        argument = self._pick(step.a + how, self.locals) if how in (1, 2) else None
        setup = b"" if not step.b & 4 else b"s" if step.a < 3 else BAD
        limits = LIMITS[step.a % 3] if how == 3 else (0, 0)
        spec = self.process.spec(Kind.TASK, step.a % 3, limits=limits, setup=setup, returns=step.n)
        script = world.remember(step.script)
        parent, nth = self.ids()
        task = client.take_ids(step.n)
        oid = (argument.entry.oid,) if argument else ()
        deps, refs = (oid, ()) if how == 1 else ((), oid)
        slots: tuple[int | str, ...] = (0,) if deps else ()
        handles = tuple(actor.entry.oid for actor in self.actors[:1])
        self.locals += [Local(client.promise(task + index)) for index in range(step.n)]
        self.process.say(m.Submit(task, spec, script, deps, slots, refs + handles, 0, parent, nth))
        world.retries[task] = step.a % 3

    def _put(self, step: Step) -> None:
        client = self.process.client
        inside = self._pick(step.a, self.locals)
        oid = client.take_ids(1)
        value = self.process.store(b"v", step.a % 3, (inside.entry.oid,) if inside and step.b else ())
        self.locals.append(Local(client.own(oid, value)))
        self.process.say(m.Put(oid, value))

    def _get(self, step: Step) -> None:
        local = self._pick(step.a, self.locals)
        if local is None or local.entry.value is not None:
            return
        self.waiting = local.entry
        if self.running is not None:
            self.process.say(m.Blocked(self.running.run.task, "get", (local.entry.oid,), self.process.hand_back()))
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
        limits = LIMITS[step.a % 3] if step.b & 4 else (0, 0)
        spec = self.process.spec(Kind.METHOD, retries, limits=limits, grouped=step.a > 1, returns=step.n)
        argument = self._pick(step.a, self.locals) if step.b & 2 else None
        deps = (argument.entry.oid,) if argument else ()
        parent, nth = self.ids()
        made = self.made(nth)
        if made is not None:
            self.locals += [Local(client.entries[made.ident + index]) for index in range(step.n)]
            return
        task = client.take_ids(step.n)
        self.locals += [Local(client.promise(task + index)) for index in range(step.n)]
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
        value = self.process.store(b"%d" % flow.at, step.a % 3, refs)
        self.process.say(m.Yield(running.run.task, running.run.attempt, flow.at, value))
        flow.at += 1
        if flow.full and not running.cancelled:
            self.waiting = Stall(running)
            self.process.say(m.Blocked(running.run.task, m.YIELD, (), self.process.hand_back()))

    def _next(self, step: Step) -> None:
        if not self.streams:
            return
        stream = self.streams[step.a % len(self.streams)]
        if stream.ready:
            self._take(stream)
            return
        self.waiting, self.then = stream, partial(self._take, stream)
        if self.running is not None:
            self.process.say(m.Blocked(self.running.run.task, "next", (stream.oid,), self.process.hand_back(), need=1))

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
            self.process.look(entry.value)
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
