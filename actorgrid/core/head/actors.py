"""Actors: their queue, their order, their end.

Calls of one caller reach a synchronous actor in the order of submission: a call whose argument does not exist yet
holds up the later calls of its caller (and of nobody else). Up to ``window`` calls, or 128 KiB, are in flight. Death
is decided here, at once and for good: the process may need a moment longer, but from then on every call is answered.

This file may not know how calls run inside the worker.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final

from actorgrid.core.head import groups, restarts
from actorgrid.core.head.journals import Journal
from actorgrid.core.head.records import Actor, Peer, Task, Worker
from actorgrid.core.messages import (
    A_METHOD,
    AN_ACTOR,
    AS_ACTOR,
    OK,
    ActorReady,
    Answer,
    CreateActor,
    Done,
    KillActor,
    Restarted,
    Status,
    Submit,
    Value,
)
from actorgrid.core.messages import FailureKind as Failed
from actorgrid.core.states import (
    ACTOR,
    ACTOR_ALIVE,
    TASK_READY,
    TASK_WAITING,
    WORKER_LEAVING,
    ActorInput,
    TaskInput,
    WorkerInput,
)

if TYPE_CHECKING:
    from actorgrid.core.head.machine import Head


#: Bytes of arguments that may be in flight to a synchronous actor; one call always goes.
MOST_FLYING: Final = 128 << 10
KILLED: Final = "was killed by kill()"


class Actors:
    """Every actor that somebody may still refer to."""

    __slots__ = ("alive", "head", "names", "placed_count")

    def __init__(self, head: Head) -> None:
        self.head = head
        self.names: dict[tuple[str, str], Actor] = {}
        #: Those that are not dead, in the order of their creation.
        self.alive: dict[int, Actor] = {}
        #: Workers that belong to actors.
        self.placed_count = 0

    def step(self, actor: Actor, given: ActorInput) -> None:
        """Move an actor along its table."""
        state = ACTOR.get((actor.state, given))
        if state is None:
            raise self.head.impossible(f"actor {actor.ident} ({actor.spec.spec.name})", actor.state, given)
        self.head.note(actor.ident, actor.state, given)
        actor.state = state

    # -- creation

    def create(self, peer: Peer, message: CreateActor) -> None:
        """A client creates an actor, or finds the one of that name."""
        key = (message.namespace, message.name) if message.name else None
        existing = self.names.get(key) if key else None
        if existing is not None:
            self._exists(peer, message, existing)
            return
        spec = peer.specs[message.spec]
        actor = Actor(message.task, spec)
        actor.holder, actor.grants = peer.number, 1
        peer.held[message.task] = None
        self.head.objects.table[message.task] = self.alive[message.task] = actor
        actor.handle = message.handle
        if key:
            actor.key = key
            self.names[key] = actor
        m = message
        submit = Submit(m.task, m.spec, m.args, m.deps, m.slots, m.refs, 0, m.parent, m.nth)
        task = self.head.tasks.admit(peer, submit, spec)
        task.actor = actor
        actor.creator = task.creator
        if actor.detached:
            task.job = 0
        actor.job = task.job
        actor.creation = task
        if spec.spec.checkpoint_calls or spec.spec.checkpoint_seconds:
            actor.journal, task.made = Journal(), {}
        if task.parent is not None and task.parent.made is not None:
            self.head.tasks.submitted(task, 1)
        if message.request:
            self.head.reply(peer, Answer(message.request, {"actor": actor.ident, "created": True}))
        if spec.reservation is None or self.head.reservations.admits(task):
            self.head.tasks.await_arguments(task)

    def _exists(self, peer: Peer, message: CreateActor, actor: Actor) -> None:
        if message.get_if_exists:
            self.head.objects.grant(peer, actor.ident)
            body = {"actor": actor.ident, "created": False, "handle": actor.handle}
            self.head.reply(peer, Answer(message.request, body))
        else:
            self.head.reply(peer, Answer(message.request, error="exists"))

    def placed(self, actor: Actor, worker: Worker) -> None:
        """A worker becomes this actor."""
        worker.actor = actor
        worker.peer.job, worker.peer.creator = actor.job, actor.creator
        actor.worker = worker
        self.placed_count += 1
        self.head.workers.wanting = True
        namespace, name = actor.key or ("", "")
        self.head.order(worker, Restarted(actor.ident, actor.incarnation, name, namespace, actor.handle))

    def constructed(self, peer: Peer, message: ActorReady) -> None:
        """A constructor has returned, and its actor says what it is shown as."""
        actor = peer.worker.actor if peer.worker is not None else None
        if actor is not None and actor.ident == message.actor:
            actor.shown = message.shown

    def _constructed(self, actor: Actor, worker: Worker, task: Task) -> None:
        self.step(actor, ActorInput.CONSTRUCTED)
        self.head.dispatch.move(worker, actor.spec.spec.lifetime_demand, actor.spec.shape.source)
        if not actor.restarts:
            actor.creation = None
            self.head.dispatch.close(task, (), worker.number)
        else:
            task.worker = None  # it stays "assigned" until the next incarnation needs it
            task.micros = max(task.micros, 1)  # who lists tasks sees by it that the constructor has returned
        self.pump(actor)
        self.maybe_stop(actor)

    def constructor_failed(self, actor: Actor, error: Value, *, began: bool = False) -> None:
        """The constructor raised, or one of its arguments is an error; or (``began``) its process is not set up."""
        text = f"the constructor of {actor.spec.spec.name} failed"
        cause = error.data if error.status is Status.ERROR else b""
        if error.status is Status.FAILURE:
            failure = self.head.failure_of(error)
            if began and failure.kind is Failed.SETUP_FAILED:
                self.die(actor, failure.message, kind=failure.kind, cause=failure.cause)
                return
            text += ": " + failure.message
        self.die(actor, text, init_failed=True, cause=cause)

    # -- calls

    def call(self, task: Task) -> None:
        """A client calls a method."""
        actor = self.head.objects.table.get(task.message.actor)
        if not isinstance(actor, Actor) or actor.death is not None:
            death = actor.death if isinstance(actor, Actor) else None
            text = "the actor is gone: the last handle to it went out of scope"
            self.head.tasks.fail(task, death or self.head.failure(Failed.ACTOR_DIED, text, task=task))
            return
        task.actor = actor
        if task.retries == AS_ACTOR:
            task.retries = actor.spec.spec.max_task_retries
        actor.calls += 1
        if actor.journal is not None:
            task.made = {}
        line = actor.lines.get(task.client)
        if line is not None:
            line.append(task)
        self.head.tasks.await_arguments(task)
        if task.missing > 0 and line is None:
            if actor.fifo and not actor.spec.spec.out_of_order:
                actor.lines[task.client] = deque((task,))
            else:
                actor.aside[task.message.task] = task

    def arguments_ready(self, task: Task) -> None:
        """A call has its arguments: it is next, unless an earlier call of its caller still waits."""
        actor = task.actor
        assert actor is not None
        if task.client in actor.lines:
            self.line_moves(actor, task.client)
        else:
            actor.aside.pop(task.message.task, None)
            self._enqueue(actor, task)
            self.pump(actor)

    def _enqueue(self, actor: Actor, task: Task) -> None:
        task.state = TASK_READY
        actor.queue.append(task)

    def line_moves(self, actor: Actor, client: int) -> None:
        """Let through whatever no longer waits at the front of a caller's line."""
        line = actor.lines.get(client)
        if line is None:
            return
        while line:
            first = line[0]
            if first.state is TASK_WAITING:
                if first.missing:
                    break
                self._enqueue(actor, first)
            line.popleft()
        if not line:
            del actor.lines[client]
        self.pump(actor)

    def pump(self, actor: Actor) -> None:
        """Send calls to the worker, as many as the window allows."""
        worker = actor.worker
        if worker is None or actor.state is not ACTOR_ALIVE or worker.killed_with is not None:
            return
        if self.head.stage is not None:
            self.head.stage.pump(actor, worker)
            return
        if actor.groups is not None:
            groups.send(self.head, actor, worker)
            return
        queue, window, assign = actor.queue, actor.window, self.head.dispatch.assign
        fifo = actor.fifo
        while queue and len(worker.assigned) < window and (actor.flying < MOST_FLYING or not worker.assigned):
            if queue[0].spec.spec.run_timeout and len(worker.assigned) >= actor.concurrency:
                return  # the head must know when it starts
            task = queue.popleft()
            if task.state is TASK_READY:
                if fifo:  # calls of the others may wait for one another: none of them may be held back for its size
                    actor.flying += len(task.message.args)
                assign(worker, task)

    def done(self, actor: Actor, worker: Worker, task: Task, message: Done) -> None:
        """The worker ended a call, or the constructor."""
        if task.spec.kind is AN_ACTOR:
            if message.values and message.values[0].status is not OK:
                self.constructor_failed(actor, message.values[0], began=True)
            else:
                self._constructed(actor, worker, task)
            return
        if actor.fifo:
            actor.flying -= len(task.message.args)
        groups.left(actor, task)
        if actor.journal is not None and not self._noted(actor, task, message):
            return
        if actor.deaths and task.replayed is None:
            actor.deaths.clear()
        if message.retry and task.retries and not task.cancelled:
            if task.retries > 0:
                task.retries -= 1
            for value in message.values:
                self.head.memory.discard(value)
            self._again(actor, task)
        else:
            self.head.dispatch.close(task, message.values, worker.number)
        self.pump(actor)
        if len(worker.assigned) > 1:
            self.head.dispatch.pipelined[worker] = None

    def _noted(self, actor: Actor, task: Task, message: Done) -> bool:
        """Note a call in the journal. Returns False if the actor has died of it: it cannot be brought back."""
        journals = self.head.journals
        strayed = journals.strayed(task, message)
        if not strayed:
            journals.ended(actor, task, message)
            return True
        for value in message.values:
            self.head.memory.discard(value)
        name = task.spec.spec.name
        journals.drop(task, began=True)
        self.die(actor, f"{actor.spec.spec.name} cannot be brought back to where it was: {name}, run again, {strayed}")
        return False

    def _again(self, actor: Actor, task: Task) -> None:
        self.head.dispatch.take_back(task, TaskInput.RETRY)
        actor.queue.appendleft(task)

    def call_over(self, actor: Actor, call: int) -> None:
        """One call of the actor has ended, in whatever way."""
        actor.calls -= 1
        if actor.aside:
            actor.aside.pop(call, None)
        if not actor.calls and not actor.holder and not actor.pins:
            self.maybe_stop(actor)

    # -- the end

    def kill(self, peer: Peer, message: KillActor) -> None:
        """``kill(actor)``: no goodbye."""
        del peer
        actor = self.head.objects.table.get(message.actor)
        if not isinstance(actor, Actor) or actor.death is not None:
            return
        worker = actor.worker
        if message.no_restart or not actor.restarts:
            self.die(actor, f"{actor.spec.spec.name} {KILLED}")
        elif worker is None:  # it is charged all the same: nobody can tell whether it had a process yet
            restarts.charge(actor)
        elif worker.killed_with is None:
            self.head.workers.kill(worker, KILLED)
            worker.killed_with = {task.message.task for task in actor.queue} if actor.state is ACTOR_ALIVE else set()

    def end_job(self, job: int) -> None:
        """The driver is gone with which these actors end."""
        for held in list(self.head.objects.table.values()):
            if isinstance(held, Actor) and held.job == job and held.death is None:
                self.die(held, f"{held.spec.spec.name} ended with the driver that created it")

    def exiting(self, actor: Actor, reason: str) -> None:
        """The actor ends itself: no restart."""
        actor.why = reason

    def unheld(self, actor: Actor) -> None:
        """No handle is left anywhere."""
        if actor.death is not None:
            self.head.objects.table.pop(actor.ident, None)
        else:
            self.maybe_stop(actor)

    def maybe_stop(self, actor: Actor) -> None:
        """End an actor that nobody can call any more, once its calls are over."""
        if actor.holder or actor.pins or actor.detached or actor.state is not ACTOR_ALIVE:
            return
        if actor.calls:
            return
        self.die(actor, f"{actor.spec.spec.name} went out of scope: its last handle is gone", graceful=True)

    def die(
        self, actor: Actor, text: str, *, graceful: bool = False, kind: Failed = Failed.ACTOR_DIED, **details: Any
    ) -> None:
        """The actor is dead from now on: answer every call, let its process go. ``details`` are fields of Failure."""
        self.step(actor, ActorInput.DIE)
        worker, actor.worker = actor.worker, None
        self.alive.pop(actor.ident, None)
        self.head.past.actor(actor, worker, details.get("pid", 0), text)
        actor.flying = 0
        groups.gather(actor)
        if worker is not None:
            details.setdefault("pid", worker.pid)
        name = actor.spec.spec.name
        actor.death = death = self.head.failure(kind, text, actor=actor.ident, name=name, **details)
        if actor.key:
            self.names.pop(actor.key, None)
        if actor.spec.reservation is not None:
            actor.spec.reservation.actors.pop(actor.ident, None)
        calls: list[Task] = []
        if worker is not None:
            calls += worker.assigned.values()
            worker.assigned.clear()
            self.detach(worker, graceful=graceful)
        calls += actor.queue
        for line in actor.lines.values():
            calls += line
        calls += actor.aside.values()
        actor.queue.clear()
        actor.lines.clear()
        self.head.journals.close(actor)
        self._end_creation(actor)
        for task in calls:
            if task.spec.kind is A_METHOD and task.actor is not None:
                self.head.tasks.fail(task, death)
        if not actor.holder and not actor.pins:
            self.head.objects.table.pop(actor.ident, None)
        if actor.detached:
            self.head.reservations.end_owner(actor)

    def _end_creation(self, actor: Actor) -> None:
        creation, actor.creation = actor.creation, None
        if creation is None:
            return
        if creation.state is TASK_READY:
            self.head.ready.left(creation.spec.shape)
        self.head.step_task(creation, TaskInput.FAIL)
        self.head.tasks.end(creation, (), 0)

    def detach(self, worker: Worker, *, graceful: bool) -> None:
        """The worker of a dead actor goes."""
        worker.actor = None
        self.placed_count -= 1
        self.head.dispatch.vacate(worker)
        if graceful:
            if worker.state is not WORKER_LEAVING:
                self.head.workers.leave(worker, "actor out of scope")
        else:
            self.head.workers.kill(worker)
            self.head.workers.step(worker, WorkerInput.LEAVE)
