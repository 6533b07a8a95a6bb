"""A simulated grid: the head machine, its processes, and the links between them.

At the granularity of calls, messages flow until all is quiet, in one canonical order, after every step of user code:
what is left open then (``offers``) is which call an actor starts next. Every frame goes through the real codec.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable
from functools import partial
from hashlib import blake2b
from math import ceil
from typing import TYPE_CHECKING, Any, Final

from actorgrid.core import ids
from actorgrid.core import messages as m
from actorgrid.core.head import effects as e
from actorgrid.core.head.check import check
from actorgrid.core.head.check_rest import check_rest
from actorgrid.core.head.machine import Head, HeadConfig
from actorgrid.core.head.stage import path_of_repetition
from actorgrid.core.messages import A_METHOD
from actorgrid.core.resources import demand
from actorgrid.core.signals import SIGKILL
from actorgrid.engine.definitions import Setup
from actorgrid.exceptions import HeadDiedError
from actorgrid.sim.calls import Call
from actorgrid.sim.choices import Event
from actorgrid.sim.clock import EPOCH
from actorgrid.sim.engines import SimDriver
from actorgrid.sim.footprint import ALL
from actorgrid.sim.host import SimHost
from actorgrid.sim.memory import DIES, Memory
from actorgrid.sim.onlookers import Holds
from actorgrid.sim.payloads import plain
from actorgrid.sim.words import note_words
from actorgrid.sim.worker import MICROS, Worker
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
_SUBMISSIONS: Final = (m.Submit, m.CreateActor)


def _channel(union: Any) -> Callable[[list[Any]], list[Any]]:
    """Return what a batch of messages turns into on its way: everything that the real codec does, but framing."""
    decode = Decoder[Any](union).body
    return lambda batch: decode(encode_message(batch))


_to_head: Final = _channel(m.ToHead)
to_worker: Final = _channel(m.ToWorker)
to_client: Final = _channel(m.ToClient)


class Grid:
    """One grid of a world."""

    def __init__(self, world: World, start: StartConfig) -> None:
        self.world = world
        cpus = float(CPUS if start.num_cpus is None else start.num_cpus)
        have: dict[str, float] = {
            "CPU": cpus, "GPU": start.num_gpus or 0.0,
            "memory": MEMORY if start.memory is None else float(start.memory),
            "object_store_memory": float(STORE if start.object_store_memory is None else start.object_store_memory),
            "node:127.0.0.1": 1.0, "node:__internal_head__": 1.0, **start.resources,
        }  # fmt: skip
        self.capacity = {name: amount for name, amount in have.items() if amount}
        self.session = f"{world.tag}{world.grids:08x}".zfill(32)
        self.namespace = start.namespace if start.namespace is not None else self.session[-16:]
        self.setup, self.plain = start.setup, Setup(start.setup.env_vars)
        self.labels, self.node_name = dict(start.labels), start.node_name
        self.device_names = [str(number) for number in range(ceil(start.num_gpus or 0))]
        #: Unfinished tasks that a process may have, and whether one more is an error.
        self.pending_limit = start.max_pending_tasks, start.refuse_pending_tasks
        for module in start.preload:
            with contextlib.suppress(ImportError):  # as on real processes: whoever needs it will say so
                importlib.import_module(module)
        self.memory = Memory()
        config = HeadConfig(
            demand(self.capacity), int(self.capacity["object_store_memory"]), 0, start.max_workers or 256,
            prove_deadlocks=False, intensity=start.restart_intensity, period=start.restart_period,
            spills=start.object_spilling_directory != "", store_patience=start.store_patience,
            task_events=start.task_events, driver_pid=FIRST_PID, began=world.clock.now, epoch=EPOCH,
        )  # fmt: skip
        self.head = Head(config)
        self.workers: dict[int, Worker] = {}
        #: Engines that have something to say to the head, in the order in which they began.
        self.talking: dict[SimHost, None] = {}
        #: How many of the processes that copy to the disk and back have died.
        self.copiers = 0
        self.calls: dict[int, Call] = {}
        self.by_path: dict[str, Call] = {}
        #: How many calls with each path have been submitted.
        self._submitted: dict[str, int] = {}
        #: How many calls each call has made.
        self.said: dict[int, int] = {}
        self.open = True
        self.driver = SimDriver(self, ids.DRIVER, FIRST_PID)

    @property
    def least_micros(self) -> int:
        """What workers say of a call that has taken no time at all."""
        return MICROS

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
                self.to_head(host.client.number, batch)
                return True
        return False

    def to_head(self, number: int, batch: list[Any]) -> None:
        """Deliver what client ``number`` says to the head."""
        batch = _to_head(batch)
        world = self.world
        world.messages += len(batch)
        if world.footprint is not None:
            note_words(world, batch)
        self._enlist_all(number, batch)
        if not world.checks:
            self.head.handle(number, batch, world.clock.now)
        else:
            for message in batch:
                self.head.handle(number, [message], world.clock.now)
                check(self.head)
        world.payloads.say(batch, self.calls)
        world.files.say(batch, self.calls)
        self.turn()

    def _enlist_all(self, number: int, batch: list[Any]) -> None:
        """Note the submissions in a batch, before the head hears of them: their specs may be in it, too."""
        peer = self.head.peers.get(number)
        if peer is None:
            return
        known, fresh = peer.specs, {}
        for message in batch:
            kind = type(message)
            if kind is m.Spec:
                fresh[message.spec] = message
            elif kind is m.Submit or kind is m.CreateActor:
                record = known.get(message.spec)
                self._enlist(number, message, fresh[message.spec] if record is None else record.spec)

    def _path(self, message: m.Submit | m.CreateActor) -> str:
        """Return the place of a submission in the tree of calls."""
        parent = self.calls.get(message.parent)
        return f"{parent.path}.{message.nth}" if parent is not None else str(message.nth)

    def _enlist(self, number: int, message: m.Submit | m.CreateActor, spec: m.Spec) -> None:
        world, calls = self.world, self.calls
        parent = calls.get(message.parent)
        path = self._path(message)
        chain = parent.chain if parent is not None else world.root_chain
        actor = None
        if type(message) is m.Submit:
            if message.actor:
                actor = calls.get(message.actor)
            else:
                chain = world.chain(f"{spec.name} {path}")
        world.age += 1
        self.said[message.parent] = self.said.get(message.parent, 0) + 1
        again = self._again(path)
        call = Call(path, chain, world.age, spec.name, readonly=spec.readonly, actor=actor, again=again)
        calls[message.task] = call
        if actor is not None or (spec.kind is not A_METHOD and world.onlookers.held(spec.kind)):
            self.born(call)
        if world.story is not None:
            call.site = world.story.sites.get((number, message.parent, message.nth), "")
            call.given = blake2b(plain(message.args), digest_size=4).hexdigest()
            self.by_path[path] = call

    def _again(self, path: str) -> int:
        """Return how many calls with this path there have been, and count one more."""
        again = self._submitted.get(path, 0)
        self._submitted[path] = again + 1
        return again

    def born(self, call: Call) -> None:
        """This call may start from now on, when it is chosen."""
        policy, turns = self.world.choices.policy, self.world.onlookers.holds.turns
        if call.actor is None:
            policy.born(call.key("start"), readonly=False)
        else:
            policy.born(call.key("call"), readonly=call.readonly and not turns)

    def repeats(self, run: m.Run, actor: m.Restarted | None) -> None:
        """A call runs again to bring its actor back: note it, under a path of its own."""
        first = self.calls[run.again]
        assert actor is not None
        path = path_of_repetition(first.path, actor.incarnation)
        again = self._again(path)
        call = Call(path, first.chain, first.age, first.name, readonly=first.readonly, actor=first.actor, again=again)
        self.calls[run.task] = call
        self.born(call)
        if self.world.story is not None:
            call.site, call.given = first.site, first.given
            self.by_path[path] = call

    def turn(self) -> None:
        """Let the head do what it can do now, and deliver what it says."""
        head = self.head
        if head.ready.active:
            self.world.touch("cpus")  # whoever asks first gets them first
        head.turn(self.world.clock.now)
        if self.world.checks:
            check(head)
            check_rest(head)
        while head.effects or head.busy or head.dirty:
            if head.effects:
                effects, head.effects = head.effects, []
                for effect in effects:
                    self._carry_out(effect)
            if head.busy:
                busy, head.busy = head.busy, []
                for record in busy:
                    batch, record.outbox = record.outbox, []
                    worker = self.workers.get(record.number)
                    if worker is not None and worker.engine.alive:
                        self.assign(worker, to_worker(batch))
            if head.dirty:
                dirty, head.dirty = head.dirty, []
                for peer in dirty:
                    batch, peer.outbox = peer.outbox, []
                    self.reply(peer.number, to_client(batch))
        if head.ready.active:
            self.world.touch("cpus")
            self.world.onlookers.need(Holds.TASKS)  # whose turn it is depends on who started first

    def assign(self, worker: Worker, batch: list[Any]) -> None:
        """Deliver what the head says over a worker's task link."""
        self.world.messages += len(batch)
        worker.take(batch)

    def reply(self, number: int, batch: list[Any]) -> None:
        """Deliver what the head says to client ``number``."""
        self.world.messages += len(batch)
        if number == ids.DRIVER:
            self.driver.hear(batch)
            return
        worker = self.workers.get(number)
        if worker is not None and worker.engine.alive:
            worker.engine.hear(batch)

    def report(self, message: m.Spawned | m.SpawnFailed | m.Exited | m.Spared) -> None:
        """Deliver what the launcher says to the head."""
        if isinstance(message, m.Spawned):
            self.head.hear_launcher(message, self.world.clock.now)
        elif isinstance(message, m.SpawnFailed):
            self.world.later(partial(self._stillborn, message))  # the launcher's word comes after the head's turn
        else:
            self.head.hear_launcher(message, self.world.clock.now)
            self.turn()

    def _stillborn(self, message: m.SpawnFailed) -> None:
        self.head.hear_launcher(message, self.world.clock.now)
        self.turn()

    def signal(self, number: int, signal: int, task: int = 0) -> None:
        """Have the launcher kill a worker; with a ``task`` only if it runs that one."""
        target = self.workers.get(number)
        if target is None:
            return
        if task and task not in target.machine.running:
            self.world.later(partial(self.report, m.Spared(number, task)))
        else:
            kill = partial(self.died, target, -signal)
            self.world.onlookers.on_its_way(f"the kill of {target.title} arrives", target.victim, kill)

    def _carry_out(self, effect: e.Effect) -> None:
        if isinstance(effect, e.SpawnWorker):
            if self.world.harm.breaks("spawn", f"worker {effect.number} does not start"):
                self.report(m.SpawnFailed(effect.number, "no memory for another process"))
                return
            worker = Worker(self, effect.number, FIRST_PID + effect.number)
            self.workers[effect.number] = worker
            self.report(m.Spawned(effect.number, worker.engine.pid))
        elif isinstance(effect, e.SignalWorker):
            self.signal(effect.number, effect.signal, effect.task)
        elif isinstance(effect, e.CloseWorker):
            self.workers.pop(effect.number, None)
        elif isinstance(effect, e.PunchExtent):
            self.memory.free(effect.extent)
        elif isinstance(effect, e.Spill):
            if isinstance(effect.order, m.SpillFree):
                self.memory.disk.pop(effect.order.offset, None)
            else:
                self.world.later(partial(self._copy, effect.order, self.copiers))
        elif isinstance(effect, e.Stop):
            self.lost(effect.reason)

    def _copy(self, order: m.SpillOut | m.SpillIn, copier: int) -> None:
        """Copy an object to the disk or back, unless the process that was to do so is dead; it tells the head."""
        if copier != self.copiers:
            return
        label, is_out = f"of {order.extent.size} bytes", isinstance(order, m.SpillOut)
        if is_out:
            ways = f"the disk is full for a copy {label}", f"the copying process dies before a copy {label}"
        else:
            ways = f"a copy {label} is damaged on the disk", f"the copying process dies before it reads a copy {label}"
        way = self.world.harm.breaks("spill", *ways, *[f"the copying process dies after a copy {label}"][: int(is_out)])
        messages = self.memory.copy(order) if not way else self.memory.fail(order, way)
        for message in messages:
            self.head.hear_spiller(message, self.world.clock.now)
        if way >= DIES:
            self.copiers += 1
            self.head.hear_spiller(None, self.world.clock.now)
        self.turn()

    def memory_runs_short(self) -> None:
        """Tell the head that memory is used up, and that every process has the same part of it."""
        limit = int(self.capacity["memory"])
        resident = {number: limit // len(self.workers) for number in self.workers}
        self.head.pressure.seen(limit, limit, resident)
        self.turn()

    # -- processes come and go

    def died(self, worker: Worker, status: int, *, oom: bool = False) -> None:
        """A worker's process ends now; what it has said stays said. ``oom``: the system has killed for memory."""
        engine = worker.engine
        if not engine.alive:
            return
        if not self._calm(worker, status):
            self.world.touch(ALL)
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
        exited = m.Exited(worker.number, engine.pid, status, current, oom=oom)
        self.world.later(lambda: self.bury(worker, last, exited))
        if here is not None and here.home is engine:
            self.world.fibers.kill(here)
            self.world.fibers.park("for ever: its process is dead")

    def _calm(self, worker: Worker, status: int) -> bool:
        """Return whether nobody else can notice this end: that of an actor without a name that nobody can call."""
        actor = worker.machine.actor
        return status == 0 and bool(worker.machine.leaving) and (actor is None or not actor.name)

    def bury(self, worker: Worker, last: list[Any], death: m.Exited) -> None:
        """Tell the head of a death, and before that what the dead had said."""
        if last:
            self.to_head(worker.number, last)
        self.report(death)

    def process(self, pid: int) -> Worker | None:
        """Return the worker with this process id."""
        return self.workers.get(pid - FIRST_PID)

    def lost(self, reason: str = "") -> None:
        """The head is gone, and every worker with it."""
        self.open = False
        self._kill_workers()
        self.driver.end_waits(HeadDiedError(reason or "the head process died"))

    def close(self) -> None:
        """The driver leaves: everything ends."""
        self.open = False
        self.driver.alive = False
        self.driver.end_waits(HeadDiedError("the grid was shut down"))
        self._kill_workers()
        self.world.closed(self)

    def _kill_workers(self) -> None:
        fibers = self.world.fibers
        for fiber in list(fibers.alive):
            if isinstance(fiber.home, SimHost) and fiber.home.grid is self and fiber.home is not self.driver:
                fiber.home.alive = False
                fibers.kill(fiber)
        self.talking.clear()

    # -- what may happen

    def deliveries(self) -> list[Event]:
        """Return the messages of which any may arrive next: none, for they all have arrived."""
        return []

    def offers(self) -> list[Event]:
        """Return what may start next: calls at actors, and tasks and constructors that are held back."""
        return [
            self._offer(worker, run)
            for worker in self.workers.values()
            if worker.machine.queue and worker.engine.alive
            for run in worker.offers()
        ]

    def _offer(self, worker: Worker, run: m.Run) -> Event:
        """Return the start of what waits at a worker: the same each time, for it may wait for many turns."""
        call = self.calls[run.task]
        if call.offer is None or call.run is not run:
            call.run, call.offer = run, self._start_of(worker, run, call)
        return call.offer

    def _start_of(self, worker: Worker, run: m.Run, call: Call) -> Event:
        begin = partial(worker.begin, run)
        if worker.machine.specs[run.spec].kind is not A_METHOD:
            return Event("start", call.path, call.path, call.label, begin, age=call.age, again=call.again)
        where = self.calls[run.actor].path
        # In the queue of an event loop, where two calls stand can be told even if neither changes the actor.
        readonly = call.readonly and not worker.takes_turns()
        return Event(
            "call", where, call.path, call.label, begin, call.chain, call.age, readonly=readonly, again=call.again
        )

    def survives(self, point: str, worker: Worker, running: Running) -> bool:
        """Return False if the process dies at this point of what it runs; to a fiber of that process it never returns.

        "before_reply": the body ran, the result does not leave. "send": what it says last does not leave. "restart":
        a constructor is about to run again.
        """
        world, actor = self.world, worker.machine.actor
        if world.harm.nothing or not world.harm.may_kill(point) or not (world.harm.faults.actors or actor is None):
            return True
        name = running.spec.name
        when = {
            "before_reply": f"before {name} replies",
            "send": f"before a send of {name}",
            "restart": f"before {name} is constructed again",
        }
        label = f"kill {worker.title} {when[point]}"
        if not world.draw("kill", 2, label):
            return True
        call = ""
        if point == "before_reply":
            call = self.calls[running.run.task].path
        elif point == "send":
            call = next((self._path(lost) for lost in worker.engine.unsay() if isinstance(lost, _SUBMISSIONS)), "")
        world.harm.killed(label, worker, point, call)
        self.died(worker, -SIGKILL)
        return False
