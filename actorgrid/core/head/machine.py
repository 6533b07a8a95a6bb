"""The head: the machine that owns the task graph.

Rules for this folder

* One entrance: ``handle(source, message, now)`` (and ``hear_launcher`` for the one peer that is no client). The
  message read off the pipe is the event. Afterwards, once per turn, ``turn(now)`` starts what can start; then the shell
  sends every outbox named in ``dirty`` and ``busy``, carries out ``effects`` in order, and sleeps until
  ``next_deadline`` at the latest.
* No input or output, no clock, no randomness; nothing user-made is unpickled. Order comes from counters and
  insertion order, never from a ``set``, so that two runs on the same input give the same output.
* Every event costs O(1) or O(log n) in tasks, objects and workers; only the end of one driver of several looks at all.
* ``check.check(head)`` states every invariant; tests call it after every event, production only after nonsense.

Who owns what::

    Library   code and specs                  Tasks      a task's life
    Objects   reference counts, delivery      Ready      who is next, free resources
    Memory    segments, leases                Dispatch   giving work and taking it back
    Actors    queues and restarts             Workers    the pool, births and deaths
    Spilling  what goes to disk and back      Room       who waits for memory
    Alarms    what must happen at a time      Deadlines  tasks that may take only so long
    Waits     who waits for whom                  Streams   generators and their readers
    Past      what is over                        Metrics   what programs measure
    Reservations  placement groups
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Final

import msgspec

from actorgrid.core import ids, messages
from actorgrid.core.head.actors import Actors
from actorgrid.core.head.alarms import Alarms
from actorgrid.core.head.backoff import Backoff
from actorgrid.core.head.deadlines import Deadlines
from actorgrid.core.head.dispatch import NUDGE_AFTER, Dispatch
from actorgrid.core.head.effects import Effect, MuteOutput, Stop
from actorgrid.core.head.journals import Journals
from actorgrid.core.head.knocks import Knocks
from actorgrid.core.head.library import Library
from actorgrid.core.head.memory import Memory
from actorgrid.core.head.metrics import Metrics
from actorgrid.core.head.objects import Objects
from actorgrid.core.head.past import OverJob, Past
from actorgrid.core.head.pressure import Pressure
from actorgrid.core.head.queries import answer
from actorgrid.core.head.ready import Ready
from actorgrid.core.head.records import Peer, Task, Worker
from actorgrid.core.head.reservations import Reservations
from actorgrid.core.head.room import Room
from actorgrid.core.head.spilling import Spilling
from actorgrid.core.head.stage import Stage
from actorgrid.core.head.streams import Streams
from actorgrid.core.head.tasks import Tasks, step
from actorgrid.core.head.vigils import Vigils
from actorgrid.core.head.waits import Waits
from actorgrid.core.head.workers import Workers
from actorgrid.core.messages import Failure, FailureKind, Query, Status, Value
from actorgrid.core.resources import Demand, Pool
from actorgrid.core.states import TaskInput
from actorgrid.exceptions import InternalError

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Failure).decode


class HeadConfig(msgspec.Struct, frozen=True):
    """What a head is started with. ``capacity`` is a demand; sizes are bytes."""

    capacity: Demand
    store_budget: int
    #: Workers that are ready from the start and stay, and the most there may be.
    keep_workers: int
    max_workers: int
    #: A call that waits in a circle is told so. (The simulator sees more, and says it itself.)
    prove_deadlocks: bool = True
    #: Of the pauses between retries.
    seed: int = 0
    #: An actor whose process dies more often than ``intensity`` times in ``period`` seconds, without a call that
    #: succeeds in between, is not restarted, whatever its ``max_restarts``.
    intensity: int = 10
    period: float = 5.0
    #: Seconds that a worker may stay stopped by a signal before it is killed.
    stopped_limit: float = 30.0
    #: Seconds that a worker which is told to leave has for its last words.
    farewell: float = 30.0
    #: How often memory is looked at while something runs (seconds; 0: never), and the share that is too much.
    memory_interval: float = 0.0
    memory_threshold: float = 0.95
    #: The recorded run that is to be played again, if any.
    script: messages.Script | None = None
    #: Objects go to disk when memory is short, and how long a request for memory may wait for that (seconds).
    spills: bool = False
    store_patience: float = 10.0
    #: Drivers come and go, and the grid stays: there is none at first, and the last one to leave does not end it.
    persistent: bool = False
    #: So many tasks are remembered once they are over.
    task_events: int = 10_000
    #: When the grid began, what to add to the head's times to have those of the wall clock, and the driver's process.
    began: float = 0.0
    epoch: float = 0.0
    driver_pid: int = 0


class Head:
    """The state of a grid."""

    def __init__(self, config: HeadConfig) -> None:
        """Make an empty grid with one driver, client number ``ids.DRIVER`` (persistent: none); more may join."""
        self.config: HeadConfig = config
        self.now = config.began
        self.effects: list[Effect] = []
        #: Peers whose reply outbox, and workers whose task outbox, has something to send.
        self.dirty: list[Peer] = []
        self.busy: list[Worker] = []
        self.peers: dict[int, Peer] = {}
        self.drivers: dict[int, Peer] = {}
        self._last_peer = self._last_id = 0
        self._story: deque[tuple[float, int, str, str]] = deque(maxlen=4096)
        self.stopped = False

        self.alarms = Alarms()
        self.past = Past(config.task_events, config.began)
        self.metrics = Metrics(self)
        self.backoff = Backoff(config.seed)
        self.deadlines = Deadlines(self)
        self.waits = Waits(self)
        self.journals = Journals(self)
        self.pressure = Pressure(self)
        self.vigils = Vigils(self)
        self.knocks = Knocks(self)
        self.library = Library(self)
        self.objects = Objects(self)
        self.memory = Memory(self, config.store_budget)
        self.spilling = Spilling(self, on=config.spills)
        self.room = Room(self, config.store_patience if config.spills else 0.0)
        self.tasks = Tasks(self)
        self.streams = Streams(self)
        self.ready = Ready(Pool(config.capacity))
        self.reservations = Reservations(self)
        self.dispatch = Dispatch(self)
        self.workers = Workers(self, config.keep_workers, config.max_workers)
        self.actors = Actors(self)
        self.stage = None if config.script is None else Stage(self, config.script)
        self._handlers = self._table()
        if not config.persistent:
            self.add_driver(config.driver_pid)

    def _table(self) -> dict[type, Callable[[Peer, Any], None]]:
        m = messages
        return {
            m.Submit: self.tasks.submit,
            m.Done: self.dispatch.done,
            m.Release: self.objects.release,
            m.Export: self.library.export,
            m.Spec: self.library.register,
            m.CreateActor: self.actors.create,
            m.Put: self.objects.put,
            m.Subscribe: self.objects.subscribe,
            m.Blocked: self.workers.blocked,
            m.Resumed: self.workers.resumed,
            m.Cancel: self.tasks.cancel,
            m.KillActor: self.actors.kill,
            m.Query: self._query,
            m.NewSegment: self.memory.new_segment,
            m.LeaseRequest: self.memory.lease,
            m.LeaseReturn: self.memory.lease_return,
            m.Fetch: self.spilling.fetch,
            m.Recalled: self.spilling.recalled,
            m.Unpinned: self.spilling.unpinned,
            m.AwaitEnd: self.vigils.keep,
            m.Forget: self.library.forget,
            m.Environment: self.library.set_environment,
            m.Bye: self._bye,
            m.HoldOutput: self._hold_output,
            m.Yield: self.streams.yielded,
            m.Taken: self.streams.taken,
            m.Dismiss: self.streams.dismiss,
            m.Measured: self.metrics.measured,
            m.Reserve: self.reservations.reserve,
            m.Unreserve: self.reservations.unreserve,
            m.AwaitReserved: self.reservations.await_placed,
            m.Revoked: self.dispatch.revoked,
            m.Exiting: self.workers.exiting,
            m.Parting: self.workers.parting,
            m.Unneeded: self.workers.unneeded,
            m.ActorReady: self.actors.constructed,
            m.Present: self.knocks.present,
        }

    # -- the entrance

    def handle(self, source: int, batch: list[Any], now: float) -> None:
        """Take a frame's messages from client number ``source``. A client that is gone already is not heard."""
        self.now = now
        peer = self.peers.get(source)
        if peer is None:
            return
        if peer.worker is not None:
            peer.worker.spoke = True
            peer.worker.heard = now
        if self.stage is not None:
            batch = self.stage.heard(peer, batch)
        handlers = self._handlers
        for message in batch:
            handlers[type(message)](peer, message)

    def handle_leftover(self, source: int, batch: list[Any], now: float) -> None:
        """Take what a dead worker had finished but perhaps not sent: its last frame may be known already."""
        peer = self.peers.get(source)
        if peer is not None:
            fresh = [message for message in batch if not self._known(peer, message)]
            self.handle(source, fresh, now)

    def hear_launcher(self, message: Any, now: float) -> None:
        """Take what the launcher says of a worker's process. What the worker itself has said comes before."""
        self.now = now
        workers = self.workers
        if isinstance(message, messages.Spawned):
            workers.spawned_as(message)
        elif isinstance(message, messages.Exited):
            workers.exited(message)
        elif isinstance(message, messages.SpawnFailed):
            workers.spawn_failed(message)
        elif isinstance(message, messages.Spared):
            workers.spared(message)
        elif isinstance(message, messages.LinkLost):
            workers.link_lost(message)
        else:
            workers.stopped(message)

    def hear_spiller(self, message: Any, now: float) -> None:
        """Take what the process that owns the spill file says; None: it is dead."""
        self.now = now
        self.spilling.hear(message)

    def _known(self, peer: Peer, message: Any) -> bool:
        if isinstance(message, messages.Put | messages.AwaitEnd | messages.AwaitReserved | messages.Reserve):
            return (message.group if isinstance(message, messages.Reserve) else message.oid) <= peer.last_id
        if isinstance(message, messages.Measured):
            return message.number <= peer.measured
        if isinstance(message, messages.Yield):
            return self.streams.known(peer, message)
        if isinstance(message, messages.Done):  # what it left in shared memory may be an object by now
            return peer.worker is None or message.task not in peer.worker.assigned
        if isinstance(message, messages.Spec | messages.Export):  # code may lie in shared memory, too
            return message.spec in peer.specs if isinstance(message, messages.Spec) else message.digest in peer.exports
        return isinstance(message, messages.Submit | messages.CreateActor) and message.task <= peer.last_id

    def turn(self, now: float) -> None:
        """Start what can start; nudge and retire workers that are due. Called once per turn of the shell's loop."""
        self.now = now
        if self.alarms:
            self.alarms.due(now)
        if self.past.room < self.past.burst:
            self.past.refill(now)
        if self.room.queue:
            self.room.serve()
        if self.ready.active:
            self.dispatch.run()
        if self.dispatch.pipelined:
            self.dispatch.nudge(now)
        if self.dispatch.idle:
            self.workers.retire(now)
        if self.workers.wanting:
            self.workers.replenish()
        if self.pressure.wanted:
            self.pressure.watch()
        if self.stage is not None:
            self.stage.turn()

    def next_deadline(self) -> float | None:
        """Return when ``turn`` must be called even if nothing arrives, None if never."""
        soonest = self.workers.retire_at() if self.dispatch.idle else None
        if self.dispatch.pipelined:
            nudge = self.now + NUDGE_AFTER
            soonest = nudge if soonest is None else min(nudge, soonest)
        if self.alarms and (alarm := self.alarms.next()) is not None:
            soonest = alarm if soonest is None else min(alarm, soonest)
        return soonest

    # -- peers

    def add_driver(self, pid: int = 0, now: float | None = None) -> Peer:
        """Let a driver join: process ``pid``, at this time. The first one has number ``ids.DRIVER``."""
        peer = Peer(self.next_peer())
        peer.pid, peer.born = pid, self.now if now is None else now
        self.peers[peer.number] = self.drivers[peer.number] = peer
        for worker in self.workers.table.values():
            if worker.pid:
                self.reply(peer, messages.Group(worker.pid, alive=True))
        return peer

    def leave(self, number: int) -> None:
        """Driver ``number`` is gone, and with it whatever was done for it; detached actors stay.

        The last one to leave ends the grid, unless that is persistent.
        """
        peer = self.drivers.pop(number, None)
        if peer is None:
            return
        if not self.drivers and not self.config.persistent:
            self.stop("")
            return
        peer.alive = False
        del self.peers[number]
        self.past.jobs.append(OverJob(number, peer.pid, peer.born, max(peer.born, self.now)))
        self.actors.end_job(number)
        self.tasks.end_job(number)
        self.reservations.end_job(number)
        self.objects.drop_client(peer)
        self.streams.drop_client(peer)
        self.memory.drop_client(peer)
        self.library.drop_client(peer)
        self.vigils.over(number)
        self.workers.end_job(number)

    def tell(self, message: object) -> None:
        """Send ``message`` to every driver."""
        for peer in self.drivers.values():
            self.reply(peer, message)

    def next_peer(self) -> int:
        """Return a client number that was never used."""
        self._last_peer += 1
        if self._last_peer >= ids.MAX_CLIENTS:
            raise InternalError(f"this grid has started {ids.MAX_CLIENTS:,} processes; start a new one")
        return self._last_peer

    def next_id(self) -> int:
        """Return an id for what the head itself names: of client number 0, which is nobody's."""
        self._last_id += 1
        return self._last_id

    def reply(self, peer: Peer, message: object) -> None:
        """Send ``message`` on the reply link of ``peer``."""
        if not peer.outbox:
            self.dirty.append(peer)
        peer.outbox.append(message)

    def order(self, worker: Worker, message: object) -> None:
        """Send ``message`` on the task link of ``worker``."""
        if not worker.outbox:
            self.busy.append(worker)
        worker.outbox.append(message)

    def _query(self, peer: Peer, message: Query) -> None:
        if message.what == "explain":
            self.knocks.explain(peer, message)
        else:
            self.reply(peer, answer(self, peer, message))

    def _bye(self, peer: Peer, message: messages.Bye) -> None:
        del message
        self.leave(peer.number)

    def _hold_output(self, peer: Peer, message: messages.HoldOutput) -> None:
        self.effects.append(MuteOutput(peer.number, message.hold))

    def stop(self, reason: str) -> None:
        """End the grid."""
        if not self.stopped:
            self.stopped = True
            self.effects.append(Stop(reason))

    # -- failures and stories

    def failure(self, kind: FailureKind, text: str, task: Task | None = None, **details: Any) -> Value:
        """Return the value that stands for "there is none, because …". ``details`` are fields of Failure."""
        if task is not None:
            details.setdefault("name", task.spec.spec.name)
            details.setdefault("task", task.message.task)
        return Value(Status.FAILURE, _encode(Failure(kind, text, **details)))

    @staticmethod
    def failure_of(value: Value) -> Failure:
        """Return why there is no value."""
        return _decode(value.data)

    def step_task(self, task: Task, given: TaskInput) -> None:
        """Move a task along its table."""
        step(self, task, given)

    def note(self, ident: int, state: str, given: str) -> None:
        """Remember a transition that is not on the hot path."""
        self._story.append((self.now, ident, state, given))

    def story(self, ident: int) -> list[str]:
        """Return what is remembered of ``ident``, oldest first."""
        return [f"{now:.6f} {state} --{given}-->" for now, who, state, given in self._story if who == ident]

    def impossible(self, who: str, state: str, given: str) -> InternalError:
        """Return the error for a transition that cannot be."""
        ident = next((int(word) for word in who.split() if word.isdigit()), 0)
        story = "\n  ".join(self.story(ident)) or "no story"
        return InternalError(f"{who}: {given!r} in state {state!r}\n  {story}")
