"""A simulated grid: the head machine, its processes, and the links between them.

At the granularity of calls, messages flow until all is quiet, in one canonical order, after every step of user code:
what is left open then (``offers``) is which call an actor starts next. Every frame goes through the real codec.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from actorgrid.core import ids
from actorgrid.core import messages as m
from actorgrid.core.head import effects as e
from actorgrid.core.head.check import check
from actorgrid.core.head.machine import Head, HeadConfig
from actorgrid.core.resources import demand
from actorgrid.core.signals import SIGKILL
from actorgrid.exceptions import HeadDiedError
from actorgrid.sim.choices import Chain, Event
from actorgrid.sim.host import SimDriver, SimHost
from actorgrid.sim.memory import Memory
from actorgrid.sim.worker import Worker
from actorgrid.wire.codec import Decoder, encode_message

if TYPE_CHECKING:
    from actorgrid.core.worker import Running
    from actorgrid.engine.definitions import StartConfig
    from actorgrid.sim.world import World

#: What a simulated machine has unless ``init`` says otherwise: enough for every task to have a processor of its own.
CPUS: Final = 64
STORE: Final = 1 << 30
MEMORY: Final = float(8 << 30)
FIRST_PID: Final = 1000


def _channel(union: Any) -> Callable[[list[Any]], list[Any]]:
    """Return what a batch of messages turns into on its way: everything that the real codec does, but framing."""
    decode = Decoder[Any](union).body
    return lambda batch: list(decode(encode_message(batch)))


_to_head: Final = _channel(m.ToHead)
_to_worker: Final = _channel(m.ToWorker)
_to_client: Final = _channel(m.ToClient)


class Call:
    """A submission as the world sees it: its place in the tree of calls, equal in every run."""

    __slots__ = ("age", "chain", "label", "name", "path", "readonly", "site")

    def __init__(self, path: str, chain: Chain, age: int, name: str, *, readonly: bool) -> None:
        self.path = path
        self.readonly = readonly
        self.chain = chain
        self.age = age
        self.name = name
        self.label = f"{name} {path}"
        #: File and line that made it, while the story is told.
        self.site = ""


class Grid:
    """One grid of a world."""

    def __init__(self, world: World, start: StartConfig) -> None:
        self.world = world
        cpus = float(CPUS if start.num_cpus is None else start.num_cpus)
        have: dict[str, float] = {
            "CPU": cpus, "GPU": start.num_gpus, "memory": MEMORY,
            "object_store_memory": float(STORE if start.object_store_memory is None else start.object_store_memory),
            "node:127.0.0.1": 1.0, "node:__internal_head__": 1.0, **start.resources,
        }  # fmt: skip
        self.capacity = {name: amount for name, amount in have.items() if amount}
        self.session = f"{world.tag}{world.grids:08x}".zfill(32)
        self.namespace = start.namespace if start.namespace is not None else self.session[-16:]
        self.env_vars = start.env_vars
        for module in start.preload:
            with contextlib.suppress(ImportError):  # as on real processes: whoever needs it will say so
                importlib.import_module(module)
        self.memory = Memory()
        config = HeadConfig(
            demand(self.capacity), int(self.capacity["object_store_memory"]), 0, start.max_workers or 256
        )
        self.head = Head(config)
        self.workers: dict[int, Worker] = {}
        #: Engines that have something to say to the head, in the order in which they began.
        self.talking: dict[SimHost, None] = {}
        self.calls: dict[int, Call] = {}
        self.by_path: dict[str, Call] = {}
        self.open = True
        self.driver = SimDriver(self, ids.DRIVER, FIRST_PID)

    def call_of(self, task: int) -> Call:
        """Return what is known of a submission."""
        return self.calls[task]

    # -- messages

    def says(self, host: SimHost) -> None:
        """``host`` has something to say."""
        self.talking[host] = None

    def collect(self) -> None:
        """Have every process say what references it has dropped: small ones wait for other words otherwise."""
        for host in [self.driver, *(worker.engine for worker in self.workers.values())]:
            if host.client.dropped:
                self.says(host)

    def pump(self) -> bool:
        """Carry the words of one process to the head and all that follows from them. Returns whether there were any."""
        while self.talking:
            host = next(iter(self.talking))
            del self.talking[host]
            batch = host.speak()
            if batch and self.open and host.alive:
                self._to_head(host.client.number, batch)
                return True
        return False

    def _to_head(self, number: int, batch: list[Any]) -> None:
        batch = _to_head(batch)
        self.world.messages += len(batch)
        head, now = self.head, self.world.clock.now
        for message in batch:
            if type(message) is m.Submit or type(message) is m.CreateActor:
                self._enlist(number, message)
            head.handle(number, [message], now)
            if self.world.checks:
                check(head)
        self.turn()

    def _enlist(self, number: int, message: m.Submit | m.CreateActor) -> None:
        parent = self.calls.get(message.parent)
        path = f"{parent.path}.{message.nth}" if parent is not None else str(message.nth)
        spec = self.head.peers[number].specs[message.spec].spec
        chain = parent.chain if parent is not None else self.world.root_chain
        if isinstance(message, m.Submit) and not message.actor:
            chain = self.world.chain(f"{spec.name} {path}")
        self.world.age += 1
        call = Call(path, chain, self.world.age, spec.name, readonly=spec.readonly)
        self.calls[message.task] = call
        if self.world.story is not None:
            call.site = self.world.sites.get((number, message.parent, message.nth), "")
            self.by_path[path] = call

    def turn(self) -> None:
        """Let the head do what it can do now, and deliver what it says."""
        head = self.head
        head.turn(self.world.clock.now)
        if self.world.checks:
            check(head)
        while head.effects or head.busy or head.dirty:
            effects, head.effects = head.effects, []
            for effect in effects:
                self._carry_out(effect)
            busy, head.busy = head.busy, []
            for record in busy:
                batch, record.outbox = record.outbox, []
                worker = self.workers.get(record.number)
                if worker is not None and worker.engine.alive:
                    self.world.messages += len(batch)
                    worker.take(_to_worker(batch))
            dirty, head.dirty = head.dirty, []
            for peer in dirty:
                batch, peer.outbox = peer.outbox, []
                self._to_client(peer.number, batch)

    def _to_client(self, number: int, batch: list[Any]) -> None:
        self.world.messages += len(batch)
        if number == ids.DRIVER:
            self.driver.hear(_to_client(batch))
            return
        worker = self.workers.get(number)
        if worker is not None and worker.engine.alive:
            worker.engine.hear(_to_client(batch))

    def _carry_out(self, effect: e.Effect) -> None:
        if isinstance(effect, e.SpawnWorker):
            worker = Worker(self, effect.number, FIRST_PID + effect.number)
            self.workers[effect.number] = worker
            self.head.workers.spawned_as(m.Spawned(effect.number, worker.engine.pid))
        elif isinstance(effect, e.SignalWorker):
            target = self.workers.get(effect.number)
            if target is not None:
                self.died(target, -effect.signal)
        elif isinstance(effect, e.CloseWorker):
            self.workers.pop(effect.number, None)
        elif isinstance(effect, e.PunchExtent):
            self.memory.free(effect.extent)
        elif isinstance(effect, e.Stop):
            self.lost(effect.reason)

    # -- processes come and go

    def died(self, worker: Worker, status: int) -> None:
        """A worker's process ends now; what it has said stays said."""
        engine = worker.engine
        if not engine.alive:
            return
        last = engine.speak()
        self.talking.pop(engine, None)
        engine.alive = False
        current = engine.latest.run.task if engine.latest is not None else 0
        if not current and worker.fibers:
            current = next(iter(worker.fibers.values())).run.task
        here = self.world.fibers.current
        for fiber in list(self.world.fibers.alive):
            if fiber.home is engine and fiber is not here:
                self.world.fibers.kill(fiber)
        self.world.later(lambda: self._bury(worker, last, status, current))
        if here is not None and here.home is engine:
            self.world.fibers.kill(here)
            self.world.fibers.park("for ever: its process is dead")

    def _bury(self, worker: Worker, last: list[Any], status: int, current: int) -> None:
        if last:
            self._to_head(worker.number, last)
        self.head.workers.exited(m.Exited(worker.number, worker.engine.pid, status, current))
        self.turn()

    def process(self, pid: int) -> Worker | None:
        """Return the worker with this process id."""
        return self.workers.get(pid - FIRST_PID)

    def lost(self, reason: str) -> None:
        """The head is gone."""
        self.open = False
        self.driver.end_waits(HeadDiedError(reason or "the head process died"))

    def close(self) -> None:
        """The driver leaves: everything ends."""
        self.open = False
        self.driver.alive = False
        self.driver.end_waits(HeadDiedError("the grid was shut down"))
        fibers = self.world.fibers
        for fiber in list(fibers.alive):
            if isinstance(fiber.home, SimHost) and fiber.home.grid is self and fiber.home is not self.driver:
                fibers.kill(fiber)
        self.talking.clear()
        self.world.closed(self)

    # -- what may happen

    def offers(self) -> list[Event]:
        """Return the calls that actors may start next."""
        return [
            self._start_of(worker, run)
            for worker in self.workers.values()
            if worker.machine.queue and worker.engine.alive
            for run in worker.offers()
        ]

    def _start_of(self, worker: Worker, run: m.Run) -> Event:
        call = self.calls[run.task]
        where = self.calls[run.actor].path
        begin = partial(worker.begin, run)
        return Event("call", where, call.path, call.label, begin, call.chain, call.age, readonly=call.readonly)

    def survives_reply(self, worker: Worker, running: Running) -> bool:
        """Return False if the process dies here: the body ran, the result does not leave."""
        if self.world.may_kill("before_reply") and (self.world.faults.actors or worker.machine.actor is None):
            label = f"kill {worker.title} before {running.spec.name} replies"
            if self.world.draw("kill", 2, label):
                self.world.killed(label, worker.path, self.calls[running.run.task].path)
                self.died(worker, -SIGKILL)
                return False
        return True
