"""The system refuses a process: make do with the workers that there are, and try again in a while.

What was given to a worker that never came to be goes to another one. Where there is none that runs tasks it is tried a
few times, and then fails with an error that says which limits there are.

This file may not know how a process is made, nor what else a worker dies of.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from actorgrid.core.head.attempts import STRIKES
from actorgrid.core.head.records import Actor, Task
from actorgrid.core.messages import FailureKind as Failed
from actorgrid.core.messages import Kind
from actorgrid.core.states import TaskInput, WorkerState

if TYPE_CHECKING:
    from actorgrid.core.head.machine import Head

#: So long the pool does not grow (seconds).
TRY_AGAIN: Final = 1.0


def refused(head: Head, actor: Actor | None, assigned: dict[int, Task], reason: str) -> None:
    """A worker has never come to be that had these tasks."""
    if actor is not None:
        actor.worker = None
        head.actors.placed_count -= 1
    _hold_back(head)
    for task in reversed(assigned.values()):
        _never_started(head, task, reason)


def _hold_back(head: Head) -> None:
    """Be content with the workers that there are; try again in a while."""
    head.workers.limit = len(head.workers.table)
    if not head.workers.held_back:
        head.workers.held_back = head.alarms.set(head.now + TRY_AGAIN, partial(_let_grow, head), 0)


def _let_grow(head: Head, _: int) -> None:
    """Try with one more; all at once would take from each other what there is."""
    head.workers.held_back = 0
    head.workers.wanting = True
    head.workers.limit = min(len(head.workers.table) + 1, head.workers.most)
    if head.workers.limit < head.workers.most and head.ready.active:
        head.workers.held_back = head.alarms.set(head.now + TRY_AGAIN, partial(_let_grow, head), 0)
    else:
        head.workers.limit = head.workers.most


def _never_started(head: Head, task: Task, reason: str) -> None:
    """A task's worker could not be started: another one runs it, if there are any that run tasks."""
    others = [worker.state for worker in head.workers.table.values() if worker.actor is None]
    waits_for_idle = task.spec.kind is Kind.ACTOR or WorkerState.BUSY not in others
    if WorkerState.IDLE not in others and waits_for_idle:
        task.strikes += 1
    if task.strikes < STRIKES:
        head.dispatch.requeue(task, TaskInput.HAND_BACK)
        return
    there = sum(worker.pid > 0 for worker in head.workers.table.values())
    text = (
        f"{task.spec.spec.name} cannot start: the system allows no further worker ({reason}); there are {there}, "
        "and one more is needed. Raise the limit of processes, threads or descriptors (ulimit -u, ulimit -n, "
        "pids.max of the control group), or lower num_cpus"
    )
    if task.actor is not None:
        head.actors.die(task.actor, text)
    else:
        head.tasks.fail(task, head.failure(Failed.RESOURCE_LIMIT, text, task=task))
