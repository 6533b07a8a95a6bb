"""Attempts of a task: what it leads to that one has failed.

Only the task whose user code ran is to blame for the death of its worker, and its attempt counts; whatever else the
worker had is handed back free of charge. How the attempts have ended is noted, for the final error.

This file may not know how workers come and go, nor what an actor does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from actorgrid.core.head.backoff import LONGEST
from actorgrid.core.head.records import Task, Worker
from actorgrid.core.messages import Exited, Notice, Value
from actorgrid.core.messages import FailureKind as Failed
from actorgrid.core.states import TaskInput

if TYPE_CHECKING:
    from actorgrid.core.head.machine import Head

#: A task is given to this many workers that die before they say a word, then it fails.
STRIKES: Final = 3
#: So many attempts are listed in the final error of a task: no list grows for ever.
LISTED: Final = 8
#: When so many have failed of a task that is tried for ever, somebody is told.
TOLD_AFTER: Final = 10


def lost(head: Head, task: Task, worker: Worker, message: Exited, how: str) -> None:
    """A worker has died that had ``task``."""
    blamed = message.current == task.message.task
    if not blamed and not worker.spoke:
        task.strikes += 1
        blamed = task.strikes >= STRIKES
    if head.tasks.is_given_up(task) or (blamed and head.pressure.ended(task, worker, message, how)):
        return
    if not blamed:
        head.dispatch.requeue(task, TaskInput.HAND_BACK if not task.blocked else TaskInput.RETRY)
    elif task.retries:
        if task.retries > 0:
            task.retries -= 1
        failed(head, task, worker, how)
        head.dispatch.retry(task, task.failures)
    else:
        failed(head, task, worker, how)
        head.tasks.fail(task, _crash(head, task, worker, message, how))


def failed(head: Head, task: Task, worker: Worker, how: str) -> None:
    """Count an attempt that has failed, and note it for the final error."""
    task.failures += 1
    note(head, task, worker, how)
    if task.retries < 0 and task.failures >= TOLD_AFTER and not task.spec.warned:
        task.spec.warned = True
        _warn(head, task)


def _warn(head: Head, task: Task) -> None:
    """Tell whose task it is that no rule ends this: that is what was asked for, and seldom what was meant."""
    text = (
        f"actorgrid: {task.spec.spec.name} {told(task)}. With max_retries=-1 it is tried again for ever, after pauses "
        f"of up to {LONGEST:g} s: cancel() ends that, or a number of retries"
    )
    driver = head.drivers.get(task.job)
    if driver is not None:
        head.reply(driver, Notice(text))
    else:
        head.tell(Notice(text))


def told(task: Task) -> str:
    """Return what is to be said of the attempts of a task that have failed; "" if none has."""
    count = task.failures + task.oom
    last = f" ({task.attempts[-1]})" if task.attempts else ""
    return f"has failed {count} time{'s' if count > 1 else ''}{last}" if count else ""


def note(head: Head, task: Task, worker: Worker, how: str) -> None:
    """Note how an attempt has ended that counts, for the final error."""
    seconds, number = head.now - task.since, task.failures + task.oom
    text = f"attempt {number}: pid {worker.pid} {how} after {seconds:.2f} s"
    task.attempts = [*(task.attempts or ())[1 - LISTED :], text]


def _crash(head: Head, task: Task, worker: Worker, message: Exited, how: str) -> Value:
    """Return the final error of a task whose worker died under it."""
    text = f"the worker (pid {worker.pid}) {how} while running {task.spec.spec.name}"
    if task.attempts and len(task.attempts) > 1:
        count = task.failures + task.oom
        more = f", of which the last {LISTED}" if count > LISTED else ""
        text += f"; {count} attempts{more}: " + "; ".join(task.attempts)
    return head.failure(Failed.WORKER_CRASHED, text, task=task, pid=worker.pid, status=message.status)
