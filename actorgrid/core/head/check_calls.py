"""Calls, and who runs them: each is where its state says. See ``check``."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from actorgrid.core.head.check_books import holders, require
from actorgrid.core.head.groups import group_of
from actorgrid.core.head.records import Actor, Limits, Object, Shape, Task, Worker
from actorgrid.core.messages import Kind
from actorgrid.core.states import (
    TASK_FINAL,
    ActorState,
    StreamState,
    TaskState,
    WorkerState,
)

if TYPE_CHECKING:
    from actorgrid.core.head.machine import Head


def check_objects(head: Head) -> None:
    """An object is promised or stored; nothing stays that nobody wants."""
    for ident, held in head.objects.table.items():
        if not isinstance(held, Object):
            continue
        stored = held.value is not None or head.vigils.makes(ident)
        require(head, (held.task is None) == stored, ident, "neither promised nor stored, or both")
        require(head, bool(holders(held)) or held.pins > 0, ident, "an object that nobody wants")
        if held.task is not None:
            require(head, held.task.message.task in head.tasks.table, ident, "promised by a task that is over")
        for number in held.subscribers or ():
            require(head, number in head.peers and held.task is not None, ident, "somebody gone waits for it")
        for task in held.waiters or ():
            waits = task.state is TaskState.WAITING or task.state in TASK_FINAL
            require(head, waits, ident, "waited for by a task that does not wait")


def check_tasks(head: Head) -> None:
    """Each task is where its state says."""
    for ident, task in head.tasks.table.items():
        require(head, task.message.task == ident, ident, "a task under another id")
        require(head, task.state not in TASK_FINAL, ident, "a task that is over is still here")
        placed = task.worker is not None
        running = task.state in (TaskState.ASSIGNED, TaskState.BLOCKED)
        resting = task.spec.kind is Kind.ACTOR and task.state is TaskState.ASSIGNED and not placed
        require(head, placed == running or resting, ident, f"{task.state} with worker {task.worker}")
        require(head, (task.blocked > 0) == (task.state is TaskState.BLOCKED), ident, f"blocked {task.blocked} times")
        if task.worker is not None:
            require(head, task.worker.assigned.get(ident) is task, ident, "its worker does not have it")
        if task.state is not TaskState.WAITING:
            require(head, task.missing == 0, ident, "it runs without its arguments")
        missing = sum(_waits(head, oid, task) for oid in set(task.message.deps))
        require(head, task.missing == missing, ident, f"it needs {missing} arguments and counts {task.missing}")
        aside = task.actor is not None and not task.actor.fifo  # other calls of the actor go on meanwhile
        require(head, task.blocked == 0 or task.waits is not None, ident, "blocked in nothing")
        waits = task.blocked > 0 or (aside and placed)
        require(head, task.waits is None or waits, ident, "it waits and is not blocked")
        ours = not task.job or task.job in head.drivers or task.spec.kind not in (Kind.TASK, Kind.METHOD)
        require(head, ours or task.cancelled, ident, f"it goes on, and driver {task.job} has left")
        given_up = task.cancelled or (task.limits is not None and bool(task.limits.overdue))
        require(head, placed or not given_up, ident, "it waits, and was cancelled or is overdue")
        _check_family(head, task)
        if task.limits is not None:
            _check_limits(head, task, task.limits)


def _waits(head: Head, oid: int, task: Task) -> int:
    """Return how often ``task`` waits for an object: an argument may be there twice."""
    held = head.objects.table[oid]
    waiters = held.waiters if isinstance(held, Object) else None
    return sum(waiter is task for waiter in waiters or ())


def _check_family(head: Head, task: Task) -> None:
    ident, parent = task.message.task, task.parent
    for number, child in (task.children or {}).items():
        require(head, child.parent is task and number in head.tasks.table, ident, "a child that is not its own")
    if parent is not None:
        require(head, head.tasks.table.get(parent.message.task) is parent, ident, "its parent is over")
        require(head, (parent.children or {}).get(ident) is task, ident, "its parent does not know it")


def _check_limits(head: Head, task: Task, limits: Limits) -> None:
    ident = task.message.task
    require(head, not limits.run or task.worker is not None, ident, "its run is timed and it does not run")
    for number in (limits.total, limits.run, limits.grace):
        rings = not number or bool(limits.overdue) or head.alarms.is_set(number)
        require(head, rings, ident, f"alarm {number} will not ring")


def check_streams(head: Head) -> None:
    """Streams and their readers agree, and whatever waits to be read has something to be read."""
    for ident, task in head.tasks.table.items():
        stream = task.stream
        if stream is None:
            continue
        reader = head.peers.get(task.client)
        read = reader is not None and reader.streams.get(ident) is task
        require(head, read == (stream.state is not StreamState.DISMISSED), ident, f"{stream.state}, and read: {read}")
        require(head, stream.state is not StreamState.OVER, ident, "a stream that is over is still here")
        require(head, stream.at <= stream.count, ident, f"{stream.at} of {stream.count} items yielded")
        require(head, stream.taken <= stream.count, ident, f"{stream.taken} of {stream.count} items taken")
        if stream.state is StreamState.FULL:
            require(head, stream.full and task.worker is not None, ident, "it waits for nothing")
    full = sum(t.stream is not None and t.stream.state is StreamState.FULL for t in head.tasks.table.values())
    require(head, full == head.streams.waiting, 0, f"{full} streams wait, {head.streams.waiting} counted")
    for number, peer in head.peers.items():
        for ident, task in peer.streams.items():
            require(head, head.tasks.table.get(ident) is task, ident, f"client {number} reads what is over")


def check_ready(head: Head) -> None:
    """Queues and their counts agree."""
    for shape in _shapes(head):
        queued = [task for queue in shape.queues.values() for task in queue if task.state is TaskState.READY]
        counts = f"{shape.demand}: {len(queued)} queued, {shape.waiting} counted"
        require(head, len(queued) == shape.waiting, 0, counts)
        require(head, (shape in shape.home) == (shape.waiting > 0), 0, f"{shape.demand}: activity")
        require(head, shape.keys == sorted(shape.queues), 0, f"{shape.demand}: keys")
    for ident, task in head.tasks.table.items():
        if task.state is TaskState.READY and task.spec.kind is not Kind.METHOD:
            queue = task.spec.shape.queues.get((task.spec.spec.priority, -task.depth), ())
            require(head, any(other is task for other in queue), ident, "ready, but in no queue")


def _shapes(head: Head) -> list[Shape]:
    groups = head.reservations.table.values()
    inside = [shape for group in groups for shape in group.shapes.values()]
    return [*head.ready.shapes.values(), *head.reservations.claims.values(), *inside]


def check_workers(head: Head) -> None:
    """Each worker has what its state says."""
    for number, worker in head.workers.table.items():
        itself = worker.number == number and worker.peer.worker is worker
        require(head, itself, number, "a worker under another number")
        require(head, head.peers.get(number) is worker.peer, number, "a worker that is no peer")
        _check_worker(head, worker)
    for worker in head.dispatch.idle:
        require(head, worker.state is WorkerState.IDLE, worker.number, f"idle and {worker.state}")
    groups = head.dispatch.idle.groups()
    known = sorted(worker.number for group in groups.values() for worker in group)
    require(head, known == sorted(worker.number for worker in head.dispatch.idle), 0, "idle, but with no setup")
    for setup, group in groups.items():
        require(head, bool(group) and all(worker.setup == setup for worker in group), 0, "idle with another setup")
    since = [worker.idle_since for worker in head.dispatch.idle]
    require(head, since == sorted(since), 0, "the longest idle is not the first")
    leaving = sum(worker.state is WorkerState.LEAVING for worker in head.workers.table.values())
    require(head, leaving == head.workers.leaving, 0, f"{leaving} leave, {head.workers.leaving} counted")


def _check_worker(head: Head, worker: Worker) -> None:
    number, state = worker.number, worker.state
    require(head, state is not WorkerState.DEAD, number, "a dead worker in the pool")
    if state is WorkerState.IDLE:
        idle = not worker.assigned and not worker.held and worker in head.dispatch.idle
        require(head, idle, number, "idle, but not free")
        require(head, not worker.unneeded, number, "idle, and nobody will need it")
    if state in (WorkerState.BUSY, WorkerState.BLOCKED):
        require(head, bool(worker.assigned), number, f"{state} with nothing to do")
        same = all(task.spec.shape is worker.shape for task in worker.assigned.values())
        require(head, same, number, "tasks of several shapes")
    require(head, (state is WorkerState.ACTOR) <= (worker.actor is not None), number, "an actor's worker without one")
    for ident, task in worker.assigned.items():
        known = task.worker is worker and head.tasks.table.get(ident) is task
        require(head, known, ident, f"worker {number} has a task that is elsewhere")
        same = task.spec.kind is Kind.METHOD or task.spec.shape.setup == worker.setup
        require(head, same, ident, f"worker {number} is set up for something else")
    for spec in worker.specs:
        require(head, worker in spec.taught, number, "it was taught what does not know it")
    for digest in worker.codes:
        require(head, digest in head.library.codes, number, "it was taught code that is gone")
    leaves = worker.parting or state is WorkerState.LEAVING
    require(head, bool(worker.farewell) <= leaves, number, "says farewell and stays")
    for alarm in (worker.farewell, worker.stopped):
        rings = not alarm or bool(worker.ended_by) or head.alarms.is_set(alarm)
        require(head, rings, number, f"alarm {alarm} will not ring")


def check_links(head: Head) -> None:
    """Whatever is to be said is on its way."""
    dirty, busy = set(map(id, head.dirty)), set(map(id, head.busy))
    for number, peer in head.peers.items():
        require(head, not peer.outbox or id(peer) in dirty, number, "messages for it that nobody will send")
        require(head, peer.congested or not peer.owed, number, "it is owed what nobody will send")
    for number, worker in head.workers.table.items():
        require(head, not worker.outbox or id(worker) in busy, number, "orders for it that nobody will send")
    for worker in head.dispatch.pipelined:
        require(head, head.workers.table.get(worker.number) is worker, worker.number, "it is gone, and will be nudged")


def check_actors(head: Head) -> None:
    """Actors, their calls and their workers agree."""
    calls: Counter[int] = Counter()
    for task in head.tasks.table.values():
        if task.actor is not None and task.spec.kind is Kind.METHOD:
            calls[task.actor.ident] += 1
            _check_call(head, task)
    placed = 0
    for ident, held in head.objects.table.items():
        if not isinstance(held, Actor):
            continue
        require(head, held.calls == calls[ident], ident, f"{held.calls} calls counted, {calls[ident]} there")
        require(head, (held.death is not None) == (held.state is ActorState.DEAD), ident, "half dead")
        require(head, (head.actors.alive.get(ident) is held) == (held.death is None), ident, "dead and listed alive")
        placed += held.worker is not None
        most = held.spec.spec.max_restarts
        require(head, min(most, 0) <= held.restarts <= most, ident, f"{held.restarts} restarts of {most} left")
        require(head, len(held.deaths) <= head.config.intensity, ident, f"{len(held.deaths)} deaths remembered")
        named = held.key is None or (head.actors.names.get(held.key) is held) == (held.death is None)
        require(head, named, ident, "its name is not its own")
        if held.worker is not None:
            require(head, held.worker.actor is held, ident, "its worker is another's")
            calls_there = [task for task in held.worker.assigned.values() if task.spec.kind is Kind.METHOD]
            require(head, len(calls_there) <= held.window, ident, f"{len(calls_there)} calls in flight")
            flying = sum(len(task.message.args) for task in calls_there) if held.fifo else 0
            require(head, held.flying == flying, ident, f"{held.flying} bytes counted in flight, {flying} are")
            _check_groups(head, held, calls_there)
        if held.state is ActorState.ALIVE and held.worker is not None:
            waiting = [task.replayed is not None for task in (*calls_there, *held.queue)]
            require(head, waiting == sorted(waiting, reverse=True), ident, "a new call before one that runs again")
        if held.state is ActorState.DEAD:
            require(head, held.journal is None, ident, "dead with a journal")
            require(head, not held.calls and not held.queue and not held.lines, ident, "dead with calls")
            require(head, not held.aside and held.worker is None, ident, "dead with a process, or with calls aside")
    require(head, len(head.actors.names) <= len(head.actors.alive), 0, "names of nobody")
    require(head, placed == head.actors.placed_count, 0, f"{placed} placed, {head.actors.placed_count} counted")


def _check_groups(head: Head, actor: Actor, there: list[Task]) -> None:
    """What is counted and parked of each group is so, and nothing is parked for which there is a place."""
    for name, group in (actor.groups or {}).items():
        sent = sum(group_of(actor, task) is group for task in there)
        require(head, group.sent == sent, actor.ident, f"{group.sent} calls of group {name!r} counted, {sent} are")
        served = head.stage is not None or actor.state is not ActorState.ALIVE
        require(head, served or not group.parked or sent >= group.limit, actor.ident, f"group {name!r} is held up")


def _check_call(head: Head, task: Task) -> None:
    actor, ident = task.actor, task.message.task
    assert actor is not None
    if task.state is TaskState.READY:
        parked = (other for group in (actor.groups or {}).values() for other in group.parked)
        there = any(other is task for other in (*actor.queue, *parked))
        require(head, there, ident, "a ready call outside of the queue")
    if task.state is TaskState.WAITING:
        lined = any(other is task for other in actor.lines.get(task.client, ()))
        require(head, lined is not (ident in actor.aside), ident, "a waiting call neither in line nor aside, or both")
    else:
        require(head, ident not in actor.aside, ident, "a call that waits for nothing aside")
    for client, line in actor.lines.items():
        require(head, bool(line) and line[0].missing > 0, ident, f"the line of client {client} waits for nothing")
