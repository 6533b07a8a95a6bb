"""Journals: what it takes to bring an actor with checkpoints back to where its callers saw it.

Such an actor's worker saves its state after some of its calls and says so in the message that ends the call, so that
state and result become known in one step. Calls that ended since are noted here, in the order in which they ran, with
their arguments pinned. When the process dies, the next one gets the saved state and runs these calls again, before any
other; their results are dropped, since their callers have them.

What such a call submits is noted by its number among the call's submissions. When the call runs again, after a death,
whether it had ended or not, the worker is told, and hands out the same references instead of submitting anew. So it is
with the constructor, which runs in every process anew, but for its tasks: they may run again, and their results need
not be held for as long as the actor lives.

This file may not know how a state is made, nor what is in it.

Source of the method: rollback recovery with pessimistic logging (E. N. Elnozahy, L. Alvisi, Y.-M. Wang, D. B. Johnson,
"A survey of rollback-recovery protocols in message-passing systems", ACM Computing Surveys 34(3), 2002), where the log
lies with the one process through which all messages go.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from actorgrid.core.head.records import Actor, Task, Worker
from actorgrid.core.messages import STATE, Done, Made, Notice, Run, Status, Submit
from actorgrid.core.states import TaskInput, TaskState

if TYPE_CHECKING:
    from actorgrid.core.head.machine import Head
    from actorgrid.core.head.records import SpecRecord


class Entry:
    """A call that ended, and that the saved state does not know of."""

    __slots__ = ("again", "client", "made", "message", "raised", "retries", "spec")

    def __init__(self, task: Task, done: Done) -> None:
        self.message = task.message
        self.spec: SpecRecord = task.spec
        self.client = task.client
        #: How often it may run again; -1: any number.
        self.retries = task.retries
        #: What it submitted, by number.
        self.made: dict[int, Made] = task.made or {}
        self.raised = raised(done)
        #: Why it might do something else if it ran again, as the end of a sentence; "": it would do the same.
        self.again = ""
        if done.chance:  # its worker says so; that it is cancelled here need not mean that it had heard of it
            interrupted = task.cancelled or (task.limits is not None and task.limits.overdue)
            self.again = "was interrupted" if interrupted else "saw what need not be so again"


class Journal:
    """What is kept of one actor."""

    __slots__ = ("entries", "state")

    def __init__(self) -> None:
        #: The object that is its saved state; 0 if it has saved none.
        self.state = 0
        self.entries: deque[Entry] = deque()


class Journals:
    """The journals of all actors that have one."""

    __slots__ = ("head",)

    def __init__(self, head: Head) -> None:
        self.head = head

    # -- while the actor lives

    def submitted(self, parent: Task, nth: int, ident: int, count: int, name: str, actor: int) -> None:
        """A call of an actor with a journal has submitted something: that is held, for the call may run again."""
        made = parent.made
        assert made is not None
        if nth in made:
            self._let_go(made.pop(nth))  # it ran again and did something else than before
        made[nth] = Made(nth, ident, count, name, actor)
        for oid in range(ident, ident + count):
            self.head.objects.pin(oid)

    def ended(self, actor: Actor, task: Task, message: Done) -> None:
        """A call of ``actor`` has ended: it is noted, or the state that comes with it makes that needless."""
        journal = actor.journal
        assert journal is not None
        entry = task.replayed
        if entry is not None:
            charge(entry)
        if message.saved:
            self._saved(journal, message.saved, entry)
            if task.made:
                self.let_go(task.made)
        elif entry is None and not message.unstarted and not task.spec.spec.readonly:
            journal.entries.append(self._note(task, message))

    def _note(self, task: Task, message: Done) -> Entry:
        entry = Entry(task, message)
        task.made = {}
        entry.spec.pending += 1
        for ident in (*entry.message.deps, *entry.message.refs):
            self.head.objects.pin(ident)
        return entry

    def _saved(self, journal: Journal, state: int, upto: Entry | None) -> None:
        """``state`` holds all that happened: up to and with ``upto``, which has just run again, or all there is."""
        before, journal.state = journal.state, state
        self.head.objects.pin(state)
        if before:
            self.head.objects.unpin(before)
        while journal.entries:
            entry = journal.entries.popleft()
            self._forget(entry)
            if entry is upto:
                break

    def _forget(self, entry: Entry) -> None:
        for ident in (*entry.message.deps, *entry.message.refs):
            self.head.objects.unpin(ident)
        self.let_go(entry.made)
        spec = entry.spec
        spec.pending -= 1
        if spec.forgotten and not spec.pending:
            self.head.library.drop(spec)

    def let_go(self, made: dict[int, Made]) -> None:
        """The call that submitted these will not run again."""
        while made:
            self._let_go(made.popitem()[1])

    def _let_go(self, made: Made) -> None:
        for oid in range(made.ident, made.ident + made.count):
            self.head.objects.unpin(oid)

    # -- another process

    def again(self, actor: Actor) -> deque[Task]:
        """Return the calls that bring the next process of ``actor`` up to date, ready to be sent."""
        journal = actor.journal
        assert journal is not None
        kept = 0
        for entry in journal.entries:
            if not entry.retries or entry.again:
                break
            kept += 1
        self._cut(actor, journal, kept)
        return deque(self._again(actor, entry) for entry in journal.entries)

    def _cut(self, actor: Actor, journal: Journal, kept: int) -> None:
        """Forget every call from the first on that may not run again: a state is made by all of them or by none."""
        lost = len(journal.entries) - kept
        if not lost:
            return
        entry = journal.entries[kept]
        why = (entry.retries and entry.again) or "may not run again (max_task_retries)"
        first = entry.spec.spec.name
        for _ in range(lost):
            self._forget(journal.entries.pop())
        calls = "the last call is" if lost == 1 else f"the last {lost} calls are"
        text = f"{actor.spec.spec.name} goes on from an earlier state: {calls} lost, because {first} {why}"
        self.head.tell(Notice(f"actorgrid: {text}"))

    def _again(self, actor: Actor, entry: Entry) -> Task:
        m = entry.message
        ident = self.head.next_id()  # the call that it repeats has the other one
        message = Submit(ident, m.spec, m.args, m.deps, m.slots, m.refs, m.actor, m.parent, m.nth)
        task = Task(message, entry.spec, entry.client, 0)
        task.replayed = entry
        task.actor = actor
        task.job, task.creator = actor.job, actor.creator
        task.retries = 0
        task.state = TaskState.READY
        self.head.tasks.table[ident] = task
        if self.head.stage is not None:
            self.head.stage.again(task, m.task, actor.incarnation)
        entry.spec.pending += 1
        actor.calls += 1
        for oid in (*m.deps, *m.refs):
            self.head.objects.pin(oid)
        return task

    def drop(self, task: Task, *, began: bool) -> None:
        """A call that was to run again has not: the process has died once more, and the next one begins anew."""
        if began and task.replayed is not None:
            charge(task.replayed)
        self.head.step_task(task, TaskInput.FAIL)
        self.head.tasks.end(task, (), 0)

    def enclose(self, worker: Worker, task: Task, run: Run) -> None:
        """Give a run what it needs to be the same as before: the saved state, or what its first run submitted."""
        actor = task.actor
        assert actor is not None
        if task is actor.creation and actor.journal is not None and actor.journal.state:
            self.head.dispatch.enclose(worker, run, ((actor.journal.state, STATE),))
        entry = task.replayed
        made = task.made if entry is None else entry.made
        if entry is not None:
            run.again = entry.message.task
        if made:
            run.made = tuple(made.values())
            for each in run.made:
                for oid in range(each.ident, each.ident + each.count):
                    self.head.objects.grant(worker.peer, oid)

    def strayed(self, task: Task, message: Done) -> str:
        """Return how a call that ran again has not done what it did before, as the end of a sentence; "" if it has."""
        entry = task.replayed
        if entry is None:
            return ""
        if message.strayed:
            return message.strayed
        before, now = entry.raised, raised(message)
        if None in (before, now) or before is now:
            return ""
        return "raised an exception where it had returned" if now else "returned where it had raised an exception"

    # -- the end

    def close(self, actor: Actor) -> None:
        """The actor is dead for good."""
        journal, actor.journal = actor.journal, None
        if journal is None:
            return
        if journal.state:
            self.head.objects.unpin(journal.state)
        while journal.entries:
            self._forget(journal.entries.popleft())


def raised(done: Done) -> bool | None:
    """Return whether the code of a call has raised an exception; None: the grid had no place for what it returned."""
    status = done.values[0].status if done.values else Status.OK
    return None if status is Status.FAILURE else status is Status.ERROR


def charge(entry: Entry) -> None:
    """The call has run once more."""
    if entry.retries > 0:
        entry.retries -= 1
