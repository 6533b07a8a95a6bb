"""Deadlines: tasks and calls that may take only so long.

``timeout`` runs from submission to the result, ``run_timeout`` from the moment a worker is given the call. When it is
over the work is stopped, and only then does the caller see a TIMED_OUT failure:

1. what no worker has ends at once;
2. what a worker has is interrupted, as by ``cancel()``, and so is what it submitted;
3. what has not ended ``GRACE`` seconds later has its process killed: this call pays for it, the others of that process
   are treated as after any death;
4. a call that waits in a worker behind another one is not worth that other one's life: it ends without a confirmation.

Nothing that is overdue is tried again. A call with a ``run_timeout`` is never sent ahead of its turn: a worker that
gets it runs it at once (see ``Dispatch`` and ``Actors.pump``), so that the head knows when it started.

This file may not know how user code is interrupted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from actorgrid.core.head import groups
from actorgrid.core.head.records import Limits
from actorgrid.core.messages import FailureKind, Interrupt, Kind, Value

if TYPE_CHECKING:
    from actorgrid.core.head.machine import Head
    from actorgrid.core.head.records import Task

#: Seconds between the interrupt of an overdue call and the end of its process.
GRACE: Final = 1.0


class Deadlines:
    """When what must be over, and what happens if it is not."""

    __slots__ = ("head",)

    # Invariant: every alarm of ours names a task that is in ``head.tasks.table`` and has ``limits``.

    def __init__(self, head: Head) -> None:
        self.head = head

    def admitted(self, task: Task) -> None:
        """A task whose spec has a deadline was submitted."""
        task.limits = limits = Limits()
        seconds = task.spec.spec.timeout
        if seconds:
            limits.total = self.head.alarms.set(self.head.now + seconds, self._total_is_over, task.message.task)

    def started(self, task: Task) -> None:
        """A task with ``limits`` was given to a worker."""
        seconds, limits = task.spec.spec.run_timeout, task.limits
        assert limits is not None
        if seconds and not limits.overdue:
            limits.run = self.head.alarms.set(self.head.now + seconds, self._run_is_over, task.message.task)

    def taken_back(self, task: Task) -> None:
        """A task with ``limits`` left its worker and is not over: the next run counts from its own start."""
        assert task.limits is not None
        self.head.alarms.call_off(task.limits.run)
        task.limits.run = 0

    def over(self, task: Task) -> None:
        """A task with ``limits`` has ended."""
        limits = task.limits
        assert limits is not None
        for number in (limits.total, limits.run, limits.grace):
            self.head.alarms.call_off(number)

    def failure(self, task: Task) -> Value:
        """Return what an overdue task ends with."""
        spec, limits = task.spec.spec, task.limits
        assert limits is not None
        seconds = getattr(spec, limits.overdue)
        how = "ran" if limits.overdue == "run_timeout" else "took"
        text = f"{spec.name} {how} longer than its {limits.overdue} of {seconds:g} s"
        return self.head.failure(FailureKind.TIMED_OUT, f"{text} and was stopped{limits.how}", task=task)

    # -- alarms

    def _total_is_over(self, ident: int) -> None:
        self._expired(self.head.tasks.table[ident], "timeout")

    def _run_is_over(self, ident: int) -> None:
        self._expired(self.head.tasks.table[ident], "run_timeout")

    def _expired(self, task: Task, which: str) -> None:
        limits, ident = task.limits, task.message.task
        assert limits is not None
        if limits.overdue:
            return
        limits.overdue = which
        task.retries = 0
        self.head.note(ident, task.state, f"its {which} is over")
        for child in list(task.children.values()) if task.children else ():
            if child.spec.kind is not Kind.ACTOR:
                self.head.tasks.cancel_task(child, force=False, recursive=True)
        if task.worker is None:
            limits.how = " before it started"
            self.head.tasks.drop(task, self.failure(task))
        else:
            limits.grace = self.head.alarms.set(self.head.now + GRACE, self._grace_is_over, ident)
            self.head.reply(task.worker.peer, Interrupt(ident, task.attempt, deadline=True))

    def _grace_is_over(self, ident: int) -> None:
        task = self.head.tasks.table[ident]
        worker, actor, limits = task.worker, task.actor, task.limits
        assert limits is not None
        if worker is None:
            return  # its worker died meanwhile; whoever buries it ends the task
        alone = actor is None or actor.concurrency == 1
        runs = next(iter(worker.assigned)) == ident if actor is None else task in groups.running(actor)
        name = task.spec.spec.name
        if runs:
            limits.how = f"; its process (pid {worker.pid}) had to be killed"
            how = f"was killed: {name} was overdue and did not stop within {GRACE:g} s"
            if alone:
                self.head.workers.kill_call(task, how)
            else:  # which of them runs nobody outside can say; it was interrupted a second ago
                self.head.workers.kill(worker, how)
            return
        limits.how = ", unless it starts at this very moment: its process does not answer"
        del worker.assigned[ident]
        if actor is not None and actor.fifo:
            actor.flying -= len(task.message.args)
        if actor is not None:
            groups.left(actor, task)
        task.worker = task.waits = None
        self.head.tasks.fail(task, self.failure(task))
        if actor is not None:
            self.head.actors.pump(actor)
