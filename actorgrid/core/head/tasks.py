"""The life of a task, from submission to its last record.

A task waits for its arguments, is ready, is with a worker (perhaps blocked), and ends: returned, failed or cancelled.
Ending frees what it pinned. The pairs (state, input) are in ``core.states``; the hot path writes the state directly.

This file may not know how workers are chosen or what an actor's queue looks like.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from actorgrid.core.head.records import Object, SpecRecord, Task, Worker
from actorgrid.core.messages import (
    A_METHOD,
    A_RESERVATION,
    A_TASK,
    AN_ACTOR,
    OK,
    Cancel,
    Interrupt,
    Status,
    Submit,
    Unread,
    Value,
)
from actorgrid.core.messages import FailureKind as Failed
from actorgrid.core.states import TASK, TASK_FINISHED, TASK_READY, TASK_WAITING, TaskInput, TaskState

if TYPE_CHECKING:
    from actorgrid.core.head.machine import Head
    from actorgrid.core.head.records import Peer

#: So many names an error carries of the tasks that did not run because of it.
_CHAIN: Final = 8


class Tasks:
    """The table of tasks that are not over."""

    __slots__ = ("_failing", "_fails", "_past", "count", "head", "table")

    def __init__(self, head: Head) -> None:
        self.head = head
        self.table: dict[int, Task] = {}
        #: Tasks submitted so far.
        self.count = 0
        #: Tasks that end because an argument is an error; each may bring others, and chains of them are long.
        self._failing: deque[tuple[Task, Value]] = deque()
        self._fails = False
        #: What remembers those that are over.
        self._past = head.past

    # -- submission

    def submit(self, peer: Peer, message: Submit) -> None:
        """A client runs a task or calls an actor."""
        spec = peer.specs[message.spec]
        task = self.admit(peer, message, spec)
        ident = message.task
        promise = self.head.objects.promise
        for index in range(spec.spec.num_returns):
            promise(peer, ident + index, task)
        if spec.streams:
            self.head.streams.open(peer, task)
        elif task.parent is not None and task.parent.made is not None:
            self.submitted(task, spec.spec.num_returns)
        if spec.kind is A_METHOD:
            self.head.actors.call(task)
        elif spec.reservation is None or self.head.reservations.admits(task):
            self.await_arguments(task)
        if task.job not in self.head.drivers and task.job and ident in self.table:
            self.cancel_task(task, force=spec.kind is A_TASK, recursive=False)  # on its way while its driver left

    def submitted(self, task: Task, count: int) -> None:
        """A call of an actor that has a journal has submitted ``task``, which makes ``count`` objects."""
        parent, m = task.parent, task.message
        if parent is None or parent.made is None:
            return
        if parent.spec.kind is A_METHOD or m.actor or task.spec.kind is AN_ACTOR:
            self.head.journals.submitted(parent, m.nth, m.task, count, task.spec.spec.name, m.actor)

    def admit(self, peer: Peer, message: Submit, spec: SpecRecord) -> Task:
        """Make the record of a task and pin what it mentions."""
        self.count += 1
        peer.last_id = message.task
        task = Task(message, spec, peer.number, self.count, self.head.now)
        self.table[message.task] = task
        if self.head.stage is not None:
            self.head.stage.admit(task)
        spec.pending += 1
        if spec.timed:
            self.head.deadlines.admitted(task)
        task.job, task.creator = peer.job, peer.creator
        if message.parent:
            parent = self.table.get(message.parent)
            if parent is not None:
                if parent.actor is None:
                    task.job, task.creator = parent.job, parent.creator
                task.depth = parent.depth + 1
                task.parent = parent
                if parent.children is None:
                    parent.children = {}
                parent.children[message.task] = task
        if message.deps or message.refs:
            pin = self.head.objects.pin
            for ident in message.deps:
                pin(ident)
            for ident in message.refs:
                pin(ident)
        return task

    def await_arguments(self, task: Task) -> None:
        """Count the arguments that do not exist yet; the task is ready when there are none."""
        if task.message.deps:
            objects = self.head.objects.table
            for ident in task.message.deps:
                held = objects[ident]
                if isinstance(held, Object) and held.value is None:
                    if held.task is not None and held.task.stream is not None:
                        self.head.streams.lift(held.task)
                    task.missing += 1
                    if held.waiters is None:
                        held.waiters = [task]
                    else:
                        held.waiters.append(task)
            if task.missing:
                return
        self.arguments_complete(task)

    def argument_ready(self, task: Task) -> None:
        """One more argument exists."""
        task.missing -= 1
        if not task.missing and task.state is TASK_WAITING:
            self.arguments_complete(task)

    def arguments_complete(self, task: Task) -> None:
        """Every argument exists: queue the task, or end it with the error of an argument."""
        if task.message.deps and (error := self._argument_error(task)) is not None:
            task.missing = -1  # nobody may take it for complete meanwhile
            self._failing.append((task, error))
            if not self._fails:
                self._fail_all()
        elif task.actor is not None and task.spec.kind is A_METHOD:
            self.head.actors.arguments_ready(task)
        else:
            task.state = TASK_READY
            self.head.ready.push(task)

    def _fail_all(self) -> None:
        """End what waits in ``_failing``, and what that brings: in a loop, since a chain may be of any length."""
        self._fails = True
        try:
            while self._failing:
                task, error = self._failing.popleft()
                if self.table.get(task.message.task) is not task:
                    continue  # it ended with its actor
                actor = task.actor  # fail() clears it
                if task.spec.kind is AN_ACTOR:
                    assert actor is not None
                    self.head.actors.constructor_failed(actor, error)
                    continue
                self.fail(task, error)
                if actor is not None:
                    self.head.actors.line_moves(actor, task.client)
        finally:
            self._fails = False

    def _argument_error(self, task: Task) -> Value | None:
        for ident in task.message.deps:
            held = self.head.objects.table[ident]
            value = held.value if isinstance(held, Object) else None
            if value is not None and value.status is not OK:
                return Value(value.status, value.data, refs=value.refs, not_run=_chain(value.not_run, task))
        return None

    # -- the end

    def _unread(self, task: Task, error: Value, count: int) -> None:
        """Tell whoever called of an error that no reference leads to."""
        table = self.head.objects.table
        if not any(task.message.task + index in table for index in range(count)):
            self.tell_unread(task, error)

    def tell_unread(self, task: Task, error: Value) -> None:
        """Tell whoever called of an error that nobody will ask for."""
        peer = self.head.peers.get(task.client)
        if peer is None or not peer.alive:
            peer = self.head.drivers.get(task.job)
        if peer is not None and not peer.congested:
            self.head.reply(peer, Unread(Value(error.status, error.data, not_run=error.not_run)))

    def drop(self, task: Task, error: Value) -> None:
        """End a task that no worker has, wherever it waits."""
        if task.state is TASK_READY and task.spec.kind is A_TASK:
            self.head.ready.left(task.spec.shape)
        actor = task.actor
        self.fail(task, error)
        if actor is not None:
            self.head.actors.line_moves(actor, task.client)

    def fail(self, task: Task, error: Value) -> None:
        """End a task that no worker has, or whose worker has just failed it, with an error."""
        if task.limits is not None and task.limits.overdue:
            error = self.head.deadlines.failure(task)
        cancelled = task.cancelled and error.status is Status.FAILURE
        step(self.head, task, TaskInput.CANCEL if cancelled else TaskInput.FAIL)
        count = 0 if task.replayed is not None else task.spec.spec.num_returns
        self.end(task, (error,) * count, 0)

    def is_given_up(self, task: Task) -> bool:
        """Return whether a task that comes back from its worker was cancelled or is overdue: then it has failed.

        Its worker was told so, but may have handed it back, or never have begun, before it heard of that.
        """
        if not task.cancelled and (task.limits is None or not task.limits.overdue):
            return False
        text = f"{task.spec.spec.name} was cancelled"
        self.fail(task, self.head.failure(Failed.CANCELLED, text, task=task))
        return True

    def end(self, task: Task, values: tuple[Value, ...], owner: int) -> None:
        """The task is over: hand out its results, forget it, free what it pinned."""
        message = task.message
        ident = message.task
        if task.limits is not None:
            self.head.deadlines.over(task)
        del self.table[ident]
        if task.stream is not None:
            values = self._stream_over(task, values, owner)
        fulfil, client = self.head.objects.fulfil, task.client
        if values and values[0].status is not OK:
            self._unread(task, values[0], len(values))
            self.head.past.failed(ident, values[0])
        for index, value in enumerate(values):
            fulfil(ident + index, value, owner, client)
        if message.deps or message.refs:
            self._unpin(message)
        if task.parent is not None or task.children is not None:
            self._leave_family(task)
        if task.made:
            self.head.journals.let_go(task.made)
        spec, actor = task.spec, task.actor
        if self._past.room > 0 or task.state is not TASK_FINISHED:
            self._remember(task, owner)
        else:
            spec.counted += 1
        task.actor = task.worker = None
        if actor is not None and spec.kind is A_METHOD:
            self.head.actors.call_over(actor, ident)
        if spec.reservation is not None:
            spec.reservation.tasks.pop(ident, None)
        spec.pending -= 1
        if spec.forgotten and not spec.pending:
            self.head.library.drop(spec)

    def _unpin(self, message: Submit) -> None:
        unpin = self.head.objects.unpin
        for oid in message.deps:
            unpin(oid)
        for oid in message.refs:
            unpin(oid)

    def _remember(self, task: Task, owner: int) -> None:
        m, past = task.message, self._past
        if not past.on or task.spec.kind is A_RESERVATION:
            return
        past.room -= 1
        past.note(
            (
                m.task, task.spec.spec, task.state, task.creator, task.tried, m.parent, m.actor,
                owner or _number(task.worker), task.born, self.head.now, task.micros,
            )
        )  # fmt: skip

    def _stream_over(self, task: Task, values: tuple[Value, ...], owner: int) -> tuple[Value, ...]:
        """End a stream. Its one object says that it is over; that it has failed, its last item."""
        left = self.head.streams.over(task, values, owner)
        last = values[1:] or left
        if task.state is TASK_FINISHED and last and last[0].status is not OK:
            task.state = TaskState.FAILED
            self.head.past.failed(task.message.task, last[0])
        return left

    @staticmethod
    def _leave_family(task: Task) -> None:
        if task.parent is not None:
            if task.parent.children is not None:
                task.parent.children.pop(task.message.task, None)
            task.parent = None
        if task.children is not None:
            for child in task.children.values():
                child.parent = None
            task.children = None

    # -- cancellation

    def cancel(self, peer: Peer, message: Cancel) -> None:
        """Cancel the task behind an object; finished and put objects are left alone."""
        del peer
        held = self.head.objects.table.get(message.oid)
        if not isinstance(held, Object) or held.task is None or held.task.spec.kind is A_RESERVATION:
            return
        if held.task.worker is None or not message.waiting:
            self.cancel_task(held.task, force=message.force, recursive=message.recursive)

    def cancel_task(self, task: Task, *, force: bool, recursive: bool, gently: bool = False) -> None:
        """Cancel a task and, if ``recursive``, what it submitted, the youngest first.

        ``gently``: it is a stream, which ends where it next yields.
        """
        if recursive and task.children:
            for child in reversed(_descendants(task)):
                if self.table.get(child.message.task) is child:
                    self.cancel_task(child, force=force and child.spec.kind is A_TASK, recursive=False)
        if task.state in (TASK_FINISHED, TaskState.FAILED, TaskState.CANCELLED):
            return
        task.cancelled = True
        name = task.spec.spec.name
        if task.worker is None:
            self.drop(task, self.head.failure(Failed.CANCELLED, f"{name} was cancelled before it started", task=task))
        elif force and next(iter(task.worker.assigned)) == task.message.task:
            self.head.workers.kill_call(task)
        else:
            self.head.reply(task.worker.peer, Interrupt(task.message.task, task.attempt, gently=gently))

    def end_job(self, job: int) -> None:
        """The driver is gone for which these tasks are done: nobody will ask for their results."""
        for task in [task for task in self.table.values() if task.job == job]:
            if task.message.task in self.table and task.spec.kind in (A_TASK, A_METHOD):
                self.cancel_task(task, force=task.spec.kind is A_TASK, recursive=False)


def _descendants(task: Task) -> list[Task]:
    """Return what a task has submitted and what that has, actors and their work excepted; parents come first."""
    found: list[Task] = []
    ahead = [task]
    while ahead:
        for child in (ahead.pop().children or {}).values():
            if child.spec.kind is not AN_ACTOR:
                found.append(child)
                ahead.append(child)
    return found


def _number(worker: Worker | None) -> int:
    return 0 if worker is None else worker.number


def step(head: Head, task: Task, given: TaskInput) -> None:
    """Move a task along its table."""
    state = TASK.get((task.state, given))
    if state is None:
        raise head.impossible(f"task {task.message.task} ({task.spec.spec.name})", task.state, given)
    head.note(task.message.task, task.state, given)
    task.state = state


def _chain(names: tuple[str, ...], task: Task) -> tuple[str, ...]:
    """Return ``names`` with that of ``task`` behind them, in bounded space however long the chain of tasks is."""
    if len(names) == _CHAIN:
        names = (*names[: _CHAIN // 2], "...", *names[_CHAIN // 2 + 2 :])
    return (*names, task.spec.spec.name)
