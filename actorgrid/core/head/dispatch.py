"""Dispatch: giving ready tasks to workers, and taking them back.

A worker has one task that runs and perhaps a few ahead. It gets tasks ahead only if their function has been seen to
run for less than ``AHEAD_LIMIT`` microseconds on average, only of the shape it runs already (so that its resources
simply pass on from one to the next), and only while no other shape waits. If a worker with tasks ahead is not heard
of for ``NUDGE_AFTER`` seconds it is asked to send what it has buffered and to hand back what has not started; and
again, ever more seldom: links are not ordered among each other, so that it may not have got that yet.

This file may not know how a worker is born or dies.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from actorgrid.core.head import attempts
from actorgrid.core.head.backoff import LONGEST
from actorgrid.core.head.idle import Idle
from actorgrid.core.head.records import NEEDED_NO_MORE, Object, SpecRecord, Task, Worker
from actorgrid.core.messages import A_TASK, AN_ACTOR, OK, Devices, Done, Revoke, Revoked, Run, Status, Value
from actorgrid.core.messages import FailureKind as Failed
from actorgrid.core.resources import GPU, Demand, Source, of
from actorgrid.core.states import (
    TASK_ASSIGNED,
    TASK_BLOCKED,
    TASK_FINISHED,
    WORKER_BLOCKED,
    WORKER_BUSY,
    WORKER_DEAD,
    WORKER_IDLE,
    WORKER_LEAVING,
    TaskInput,
    TaskState,
    WorkerInput,
)

if TYPE_CHECKING:
    from actorgrid.core.head.machine import Head
    from actorgrid.core.head.records import Peer, Shape

#: Functions whose mean run time is at or above this are never handed ahead (microseconds).
AHEAD_LIMIT: Final = 1000.0
MOST_AHEAD: Final = 64
NUDGE_AFTER: Final = 0.002
#: A worker that does not hand back what it was given ahead is asked again after as long as it has said nothing, and
#: after so many seconds at most.
MOST_PATIENT: Final = 5.0
#: Weight of the newest run in a function's mean run time.
NEWEST: Final = 0.2


class Dispatch:
    """Who runs what."""

    __slots__ = ("head", "idle", "pipelined")

    def __init__(self, head: Head) -> None:
        self.head = head
        self.idle = Idle(head)
        #: Workers that may have something ahead or buffered.
        self.pipelined: dict[Worker, None] = {}

    def run(self) -> None:
        """Start everything that can start now."""
        ready, idle = self.head.ready, self.idle
        held_up: tuple[bytes, ...] = ()
        while ready.active:
            if not idle and not self.head.workers.may_spawn():
                shape = ready.choose_claim() if self.head.reservations.waiting else None
            else:
                shape = ready.choose(held_up)
            if shape is None:
                return
            if shape.claims:
                claim = ready.pop(shape)
                if claim is not None:
                    self.head.reservations.place(claim)
                continue
            worker = idle.take(shape.setup)
            if worker is None and not idle.may_start_another():
                held_up = (*held_up, shape.setup)
                continue
            task = ready.pop(shape)
            if task is not None:
                self.start(worker or self.head.workers.spawn(), task, shape)
            elif worker is not None:
                idle.add(worker)

    def start(self, worker: Worker, task: Task, shape: Shape) -> None:
        """Give an idle worker a task, or turn it into an actor."""
        if shape.demand:
            worker.held = shape.demand
            worker.pool = pool = shape.source.take(shape.demand)
            if pool.devices is not None:
                worker.devices = pool.devices.take(shape.gpus)
        if worker.devices is not worker.shown:
            self._show(worker)
        worker.shape = shape
        worker.setup = shape.setup
        worker.heard, worker.nudged = self.head.now, False
        if task.spec.kind is AN_ACTOR:
            assert task.actor is not None
            self.head.workers.step(worker, WorkerInput.BECOME_ACTOR)
            self.head.actors.placed(task.actor, worker)
        else:
            worker.state = WORKER_BUSY
            if shape.demand:
                worker.passing = True
                worker.pool.pass_on(worker.held, 1, worker.devices)
        self.assign(worker, task)

    def assign(self, worker: Worker, task: Task) -> None:
        """Send an attempt of ``task`` to ``worker``."""
        message = task.message
        spec = task.spec
        task.state = TASK_ASSIGNED
        task.worker = worker
        task.since = self.head.now
        self.head.pressure.wanted = True
        if spec.kind is A_TASK:
            worker.peer.job, worker.peer.creator = task.job, task.creator
        worker.assigned[message.task] = task
        if task.limits is not None:
            self.head.deadlines.started(task)
        if worker not in spec.taught:
            self.head.library.teach(worker, spec)
        actor = message.task if spec.kind is AN_ACTOR else message.actor
        run = Run(message.task, task.attempt, message.spec, message.args, (), (), (), (), task.client, actor)
        if message.deps or message.refs or task.made is not None or task.replayed is not None:
            self._enclose(worker, task, run)
        if not worker.outbox:
            self.head.busy.append(worker)
        worker.outbox.append(run)
        if len(worker.assigned) > 1:
            self.pipelined[worker] = None

    def _enclose(self, worker: Worker, task: Task, run: Run) -> None:
        """Put the values of the arguments into ``run`` and grant what they and the call mention."""
        message = task.message
        self.enclose(worker, run, zip(message.deps, message.slots, strict=True))
        for ref in message.refs:
            self.head.objects.grant(worker.peer, ref)
        run.refs = message.refs
        if task.actor is not None:
            self.head.journals.enclose(worker, task, run)

    def enclose(self, worker: Worker, run: Run, wanted: Iterable[tuple[int, int | str]]) -> None:
        """Put the values of objects into ``run``, each with the slot that it fills, and grant what they mention."""
        objects = self.head.objects
        values: list[Value] = []
        slots: list[int | str] = []
        oids: list[int] = []
        away: list[int] = []
        for ident, slot in wanted:
            held = objects.table[ident]
            assert isinstance(held, Object)
            assert held.value is not None
            value = held.value
            if value.extent is not None:
                self.head.memory.show(worker.peer, worker.outbox, value.extent)
                objects.grant(worker.peer, ident)  # what is mapped from it pins it
                if held.place is not None and not self.head.spilling.tell(held.place, worker.number):
                    away.append(ident)  # it fetches this itself, when it comes to it
            for ref in value.refs:
                objects.grant(worker.peer, ref)
            values.append(value)
            slots.append(slot)
            oids.append(ident)
        run.deps, run.slots, run.oids = (*run.deps, *values), (*run.slots, *slots), (*run.oids, *oids)
        run.away = (*run.away, *away)

    # -- results

    def done(self, peer: Peer, message: Done) -> None:
        """A worker ended an attempt. An attempt that is no longer current is dropped."""
        worker = peer.worker
        assert worker is not None
        self.head.memory.vouch(peer, *message.values)
        task = worker.assigned.get(message.task)
        if task is None or task.attempt != message.attempt:
            for value in message.values:
                self.head.memory.discard(value)
            return
        if self.head.stage is not None and self.head.stage.dies(worker, task):
            return
        del worker.assigned[message.task]
        worker.heard, worker.nudged = self.head.now, False
        task.micros = message.micros
        spec = task.spec
        mean = spec.mean_micros
        task.micros = message.micros
        spec.mean_micros = message.micros if mean < 0 else mean + NEWEST * (message.micros - mean)
        if task.state is TASK_BLOCKED:
            self.unblock(worker, task)
        if task.actor is not None:
            self.head.actors.done(task.actor, worker, task, message)
            return
        if message.retry and task.retries and not task.cancelled:
            self._raised_and_retried(worker, task, message)
        else:
            self.close(task, message.values, peer.number)
        if message.leaving:
            self.head.workers.step(worker, WorkerInput.LEAVE)
        if worker.assigned:
            self._refill(worker)
            if len(worker.assigned) > 1:
                self.pipelined[worker] = None
        else:
            self._next(worker)

    def close(self, task: Task, values: tuple[Value, ...], owner: int) -> None:
        """End a task with what its worker said."""
        if task.limits is not None and task.limits.overdue:
            for value in values:
                self.head.memory.discard(value)
            self.head.tasks.fail(task, self.head.deadlines.failure(task))
            return
        if task.replayed is not None:  # whoever called has its result
            for value in values:
                self.head.memory.discard(value)
            values = ()
        if task.forced:
            for value in values:
                self.head.memory.discard(value)
            name = task.spec.spec.name
            self.head.tasks.fail(task, self.head.failure(Failed.CANCELLED, f"{name} was cancelled", task=task))
            return
        if not values or values[0].status is OK:
            task.state = TASK_FINISHED
        elif task.cancelled and values[0].status is Status.FAILURE:
            task.state = TaskState.CANCELLED
        else:
            task.state = TaskState.FAILED
        self.head.tasks.end(task, values, owner)

    def _raised_and_retried(self, worker: Worker, task: Task, message: Done) -> None:
        if task.retries > 0:
            task.retries -= 1
        for value in message.values:
            self.head.memory.discard(value)
        attempts.failed(self.head, task, worker, "raised an exception")
        self.retry(task, task.failures)

    def retry(self, task: Task, failures: int, longest: float = LONGEST) -> None:
        """A task has failed for the ``failures``-th time and is tried again, perhaps after a rest."""
        pause = self.head.backoff.pause(failures, longest)
        self.take_back(task, TaskInput.REST if pause else TaskInput.RETRY)
        if pause:
            self.head.alarms.set(self.head.now + pause, self._wake, task.message.task)
        else:
            self.head.ready.push(task, front=True)

    def _wake(self, ident: int) -> None:
        task = self.head.tasks.table.get(ident)
        if task is not None and task.state is TaskState.RESTING:
            self.head.step_task(task, TaskInput.WAKE)
            self.head.ready.push(task, front=True)

    def requeue(self, task: Task, given: TaskInput) -> None:
        """A task comes back from its worker and is tried again at once, free of charge, unless it is to end."""
        if not self.head.tasks.is_given_up(task):
            self.take_back(task, given)
            self.head.ready.push(task, front=True)

    def take_back(self, task: Task, given: TaskInput) -> None:
        """The next attempt gets a new number, so that late answers are dropped."""
        self.head.step_task(task, given)
        if task.limits is not None:
            self.head.deadlines.taken_back(task)
        if task.stream is not None:
            self.head.streams.begin_anew(task)
        task.attempt += 1
        if given is not TaskInput.HAND_BACK:
            task.tried += 1
            self.head.past.tried(task)
        task.worker = task.waits = None
        task.blocked = 0

    def _next(self, worker: Worker) -> None:
        """``worker`` has nothing left: pass on its resources to the next task of its shape, or let them go."""
        shape, ready = worker.shape, self.head.ready
        if worker.state is WORKER_BUSY and shape is not None and shape.waiting and len(ready.active) == 1:
            task = ready.pop(shape)
            if task is not None:
                if task.spec.kind is A_TASK:
                    self.assign(worker, task)
                    self._refill(worker)
                    return
                ready.push(task, front=True)
        self.vacate(worker)
        if worker.state is WORKER_BUSY:
            worker.state = WORKER_IDLE
            worker.idle_since = self.head.now
            self.idle.add(worker)
            if worker.unneeded:
                self.head.workers.leave(worker, NEEDED_NO_MORE)

    def _refill(self, worker: Worker) -> None:
        """Hand ``worker`` tasks ahead, as many as their run times and the others' share allow."""
        shape, ready = worker.shape, self.head.ready
        if shape is None or not shape.waiting or len(ready.active) != 1 or self.idle.serves(shape.setup):
            return
        if worker.state is not WORKER_BUSY:
            return
        share = shape.waiting // max(len(self.head.workers.table), 1) + 1
        while shape.waiting:
            task = ready.first(shape)
            if task is None or task.spec.kind is not A_TASK:
                return
            if len(worker.assigned) > min(ahead(task.spec), share):
                return
            ready.pop(shape)
            self.assign(worker, task)

    # -- resources

    def _show(self, worker: Worker) -> None:
        """Tell ``worker`` which devices it has now, if it does not know."""
        if worker.devices != worker.shown:
            self.head.order(worker, Devices(tuple(device for device, _ in worker.devices)))
        worker.shown = worker.devices

    def move(self, worker: Worker, wanted: Demand, source: Source) -> None:
        """Let ``worker`` hold this from now on."""
        if wanted != worker.held:
            self.vacate(worker)
            worker.held = wanted
            worker.pool = pool = source.take(wanted)
            if pool.devices is not None:
                worker.devices = pool.devices.take(of(GPU, wanted))
            self._show(worker)

    def vacate(self, worker: Worker) -> None:
        """Give back what ``worker`` holds."""
        if worker.passing:
            worker.passing = False
            worker.pool.pass_on(worker.held, -1, worker.devices)
        if worker.lent:
            worker.pool.take(worker.lent)
            worker.lent = ()
        if worker.held:
            worker.pool.give(worker.held, worker.devices)
            worker.held = worker.devices = ()

    def block(self, worker: Worker, task: Task) -> None:
        """The running task waits for objects: lend out its CPUs."""
        task.blocked += 1
        if task.blocked > 1:
            return
        self.head.step_task(task, TaskInput.BLOCK)
        if worker.passing:
            worker.passing = False
            worker.pool.pass_on(worker.held, -1, worker.devices)
        if worker.state is WORKER_BUSY:
            self.head.workers.step(worker, WorkerInput.BLOCK)
        if not worker.lent and worker.shape is not None:
            cpus = tuple(pair for pair in worker.held if pair[0] == "CPU")
            worker.lent = cpus
            worker.pool.give(cpus)

    def unblock(self, worker: Worker, task: Task) -> None:
        """The task goes on at once; free CPU may dip below zero."""
        task.blocked = 0
        task.waits = None
        if task.state is TASK_BLOCKED:
            self.head.step_task(task, TaskInput.RESUME)
        if worker.state is WORKER_BLOCKED:
            self.head.workers.step(worker, WorkerInput.RESUME)
        if worker.lent and not any(other.blocked for other in worker.assigned.values()):
            worker.pool.take(worker.lent)
            worker.lent = ()
        if worker.state is WORKER_BUSY and not worker.passing:
            worker.passing = True
            worker.pool.pass_on(worker.held, 1, worker.devices)

    # -- taking back

    def revoked(self, peer: Peer, message: Revoked) -> None:
        """A worker hands back what it had not started."""
        worker = peer.worker
        assert worker is not None
        worker.heard = self.head.now
        for ident in reversed(message.tasks):
            task = worker.assigned.get(ident)
            if task is not None and task.actor is None:
                del worker.assigned[ident]
                self.requeue(task, TaskInput.HAND_BACK)
        if not worker.assigned and worker.state in (WORKER_BUSY, WORKER_LEAVING):
            self._next(worker)

    def nudge(self, now: float) -> None:
        """Ask workers that were silent for long to send what they have and to hand back what has not started."""
        for worker in list(self.pipelined):
            if len(worker.assigned) < 2 or worker.nudged or worker.state is WORKER_DEAD:
                del self.pipelined[worker]
            elif now - worker.heard >= NUDGE_AFTER:
                worker.nudged = True
                del self.pipelined[worker]
                if worker.actor is None:
                    self._ask_back(worker)
                else:
                    self.head.reply(worker.peer, Revoke(()))

    def _ask_back(self, worker: Worker) -> None:
        """Have ``worker`` hand back what has not started; again later, for that may have been still on its way."""
        head = self.head
        head.reply(worker.peer, Revoke(tuple(worker.assigned)[1:]))
        if not head.alarms.is_set(worker.asked):
            silent = min(max(head.now - worker.heard, NUDGE_AFTER), MOST_PATIENT)
            worker.asked = head.alarms.set(head.now + silent, self._still_there, worker.number)

    def _still_there(self, number: int) -> None:
        worker = self.head.workers.table.get(number)
        if worker is not None and worker.nudged and worker.actor is None and len(worker.assigned) > 1:
            self._ask_back(worker)


def ahead(spec: SpecRecord) -> int:
    """Return how many calls of ``spec`` may wait at a worker behind the one that runs."""
    mean = spec.mean_micros
    if mean < 0 or mean >= AHEAD_LIMIT or spec.timed:
        return 0
    return min(MOST_AHEAD, int(AHEAD_LIMIT / max(mean, 8.0)))
