"""Concurrency groups: each has places of its own, in the worker and on the way to it.

What is sent to an actor's worker beyond what may run there waits in one queue. So that the calls of a group whose
places are all taken do not keep the others from being sent, the head sends only a few more of each group than may run,
and parks the rest, each group by itself, in their order.

This file may not know what the calls do, nor who makes them.
"""

from __future__ import annotations

from collections import deque
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from actorgrid.core.head.records import Actor, Group, Task, Worker
from actorgrid.core.states import TaskState

if TYPE_CHECKING:
    from actorgrid.core.head.machine import Head

#: So many calls of a group are sent beyond those that may run, to be there when one of these ends.
AHEAD: Final = 8


def group_of(actor: Actor, task: Task) -> Group | None:
    """Return the group that a call belongs to; None if the actor has none."""
    if actor.groups is None:
        return None
    return actor.groups.get(task.spec.spec.group) or actor.groups[""]


def send(head: Head, actor: Actor, worker: Worker) -> None:
    """Send the calls that have a place; park the others."""
    assert actor.groups is not None
    for group in actor.groups.values():
        while group.parked and _has_place(group, group.parked[0]):
            _assign(head, worker, group, group.parked.popleft())
    queue = actor.queue
    while queue:
        task = queue.popleft()
        group = actor.groups.get(task.spec.spec.group) or actor.groups[""]
        if group.parked or not _has_place(group, task):
            group.parked.append(task)
        else:
            _assign(head, worker, group, task)


def _has_place(group: Group, task: Task) -> bool:
    ahead = 0 if task.spec.spec.run_timeout else AHEAD  # the head must know when such a one starts
    return group.sent < group.limit + ahead


def _assign(head: Head, worker: Worker, group: Group, task: Task) -> None:
    if task.state is TaskState.READY:
        group.sent += 1
        head.dispatch.assign(worker, task)


def left(actor: Actor, task: Task) -> None:
    """A call that was sent is over, or comes back: another one of its group may be sent."""
    group = group_of(actor, task)
    if group is not None:
        group.sent -= 1


def gather(actor: Actor) -> None:
    """The worker is gone, and all that it had: what is parked stands in the actor's queue again, in order."""
    if actor.groups is None:
        return
    parked: list[Task] = []
    for group in actor.groups.values():
        parked += group.parked
        group.parked.clear()
        group.sent = 0
    if parked:
        actor.queue = deque(sorted([*parked, *actor.queue], key=attrgetter("order")))


def running(actor: Actor) -> list[Task]:
    """Return the calls that run in an actor's worker, or may be about to: of each group the ones sent first."""
    assert actor.worker is not None
    assigned = list(actor.worker.assigned.values())
    if actor.groups is None:
        return assigned[: actor.concurrency]
    free = {name: group.limit for name, group in actor.groups.items()}
    found: list[Task] = []
    for task in assigned:
        name = task.spec.spec.group if task.spec.spec.group in free else ""
        free[name] -= 1
        if free[name] >= 0:
            found.append(task)
    return found


def rivals(actor: Actor, task: Task) -> list[Task] | None:
    """Return the running calls that ``task`` has to wait for, since they take all places it may have; None: none."""
    calls = running(actor)
    group = group_of(actor, task)
    if task in calls:
        return None
    if group is not None:
        calls = [call for call in calls if group_of(actor, call) is group]
    return calls if len(calls) >= (actor.concurrency if group is None else group.limit) else None
