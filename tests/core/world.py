"""A world without processes: the head machine, a driver's client and workers, joined by queues.

Whoever runs the world picks what happens next: a frame is delivered, a process takes a step, a worker dies. Frames on
one link keep their order; nothing is ordered between links. Every frame is encoded and decoded on the way, and
``check`` runs after every event of the head. Programs are scripts (see ``Step``), so that Hypothesis can make them up.

What ``runtime/worker.py`` and ``runtime/driver.py`` do around the machines is done here in the same order.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import msgspec

from actorgrid.core import ids
from actorgrid.core import messages as m
from actorgrid.core.client import Entry
from actorgrid.core.head.check import check
from actorgrid.core.head.check_rest import check_rest
from actorgrid.core.head.effects import (
    CloseWorker,
    DropSegment,
    Effect,
    LookAtMemory,
    PunchExtent,
    ShowSegment,
    SignalWorker,
    SpawnWorker,
)
from actorgrid.core.head.machine import Head, HeadConfig
from actorgrid.core.head.records import Peer, Task
from actorgrid.core.messages import Value
from actorgrid.core.resources import demand
from actorgrid.core.states import TASK, TaskState
from actorgrid.wire.codec import Decoder, encode_frame
from tests.core.body import Body
from tests.core.fake_worker import FakeWorker
from tests.core.process import Process
from tests.core.script import Script
from tests.core.shared_memory import SharedMemory


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
    #: How often memory is short when the head looks at it.
    famines: int = 0
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
        self.shared = SharedMemory()
        #: Every task that there ever was, and the state it was last seen in.
        self.records: dict[int, Task] = {}
        self.states: dict[int, TaskState] = {}
        #: Who is to blame: the task that ran when a worker died, the task that raised what is retried.
        self.blame: Counter[int] = Counter()
        interval = 0.01 if self.famines else 0.0
        config = HeadConfig(
            demand({"CPU": self.cpus}), 1 << 30, min(self.cpus, self.most), self.most, memory_interval=interval
        )
        self.head = Head(config)
        #: The head wants to know how much memory is in use.
        self.looks = False
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

    def text(self, value: Value) -> bytes:
        """Return what a value says or, if it is gone by now, said."""
        data = value.data if value.extent is None else self.shared.recall(value.extent)
        return data.partition(b":")[0]

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
        check_rest(head)
        effects, head.effects = head.effects, []
        for effect in effects:
            if isinstance(effect, SpawnWorker):
                self.workers[effect.number] = FakeWorker(self, effect.number)
            elif isinstance(effect, SignalWorker):
                self.launcher.append((effect.task, effect.number))
            elif isinstance(effect, CloseWorker):
                self.workers.pop(effect.number, None)
            else:
                self._carry_out(effect)
        self._send()

    def _carry_out(self, effect: Effect) -> None:
        if isinstance(effect, PunchExtent):
            self.shared.free(effect.extent)
        elif isinstance(effect, DropSegment):
            self.shared.drop(effect.segment)
        elif isinstance(effect, LookAtMemory):
            self.looks = True
        elif isinstance(effect, ShowSegment):
            process = self.hosts.get(effect.number) or self.workers.get(effect.number)
            if process is not None:
                process.shown[effect.reply_link].add(effect.segment.segment)

    def _send(self) -> None:
        head = self.head
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
        message = m.Exited(worker.number, 1000 + worker.number, status, now if worker.bodies else 0, body)
        message.oom = status == -9 and self.famines > 1  # by the system, which was faster than the head
        self.words.append(message)

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
            self.blame.update(done.task for done in leftover if isinstance(done, m.Done) and done.retry)
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

    # -- memory

    def _see_memory(self) -> None:
        self.looks = False
        short, self.famines = self.famines > 0, max(self.famines - 1, 0)
        if not self.famines:  # nor will it look again: a world in which it did would never come to rest
            self.head.config = msgspec.structs.replace(self.head.config, memory_interval=0.0)
        resident = {worker.number: 1000 for worker in self.workers.values() if worker.born and not worker.dying}
        self.head.pressure.seen(99 if short else 10, 100, resident)
        check(self.head)
        self._turn()

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
        if self.looks:
            can.append(self._see_memory)
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
        if worker.machine.candidates():
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
        if leaves is not None and len(self.hosts) == self.drivers:  # everything was over before that step
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
                    self._compare_grants()
                    return
                continue
            self.now += 0.001
            for event in can[:1]:
                event()
            self._rotate()
        raise AssertionError("the world does not come to rest")

    def _compare_grants(self) -> None:
        """Nothing is on its way: the head has granted to each process what that has seen, and not given back."""
        for process in [*self.hosts.values(), *(worker for worker in self.workers.values() if worker.able)]:
            seen = {oid: entry.seen for oid, entry in process.client.entries.items() if entry.seen}
            number = process.number
            table, peer = self.head.objects.table, self.head.peers[number]
            records = {ident: table[ident] for ident in peer.held}
            granted = {
                ident: held.grants if held.holder == number else (held.others or {})[number]
                for ident, held in records.items()
            }
            assert seen == granted, f"process {number} has seen {seen}, the head has granted {granted}"

    def _rotate(self) -> None:
        """Let no process starve while everything drains: the first enabled event belongs to another one next time."""
        if len(self.workers) > 1:
            number, worker = next(iter(self.workers.items()))
            del self.workers[number]
            self.workers[number] = worker
