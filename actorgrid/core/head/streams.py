"""Streams: generators whose items go to their caller as they come.

A stream is a task, or a call of an actor, with one object of its own, which exists when it is over. Whoever submitted
it is its reader; nobody else ever is. An item is known by (task, index): it becomes an object, granted to the reader
and pushed at once, when an attempt yields its index for the first time. An attempt that follows another yields from
the start; what is there already is thrown away, and one that ends before it has come so far is an error.

A stream may be ``bound`` items ahead of its reader. Its worker counts too, and when it believes that so many are unread
it says that it waits (``Blocked`` in a yield: its CPUs are lent out as for any wait) and gets a ``Credit`` as soon as
the reader has taken some. Waiting for the object of a stream lifts its bound: whoever waits for the end reads nothing
meanwhile. So does a circle of calls that wait for each other, if the bound is what closes it (``core.head.waits``).

Unread items have one reference, the reader's. It gives them back when it dismisses the stream, and if it dies they go
with it. A stream that nobody reads stops where it next yields, unless somebody waits for its end.

This file may not know what runs a generator, nor how an item is told from a result.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actorgrid.core.head.records import Object, Stream, Task
from actorgrid.core.messages import UNBOUNDED, Credit, Dismiss, Item, Status, Taken, Value, Yield
from actorgrid.core.messages import FailureKind as Failed
from actorgrid.core.states import STREAM, StreamInput, StreamState

if TYPE_CHECKING:
    from actorgrid.core.head.machine import Head
    from actorgrid.core.head.records import Peer


class Streams:
    """The streams that are not over; the tasks hold them."""

    __slots__ = ("head", "waiting")

    def __init__(self, head: Head) -> None:
        self.head = head
        #: How many wait for their readers.
        self.waiting = 0

    def _step(self, task: Task, given: StreamInput) -> None:
        stream = task.stream
        assert stream is not None
        state = STREAM.get((stream.state, given))
        if state is None:
            raise self.head.impossible(f"stream {task.message.task} ({task.spec.spec.name})", stream.state, given)
        self.head.note(task.message.task, stream.state, given)
        self.waiting += (state is StreamState.FULL) - (stream.state is StreamState.FULL)
        stream.state = state

    def open(self, peer: Peer, task: Task) -> None:
        """``peer`` has submitted a stream, and reads it."""
        task.stream = Stream(task.spec.spec.yields)
        peer.streams[task.message.task] = task

    # -- items

    def yielded(self, peer: Peer, message: Yield) -> None:
        """A worker has an item. One that is there already, or that nobody will read, is thrown away."""
        assert peer.worker is not None
        self.head.memory.vouch(peer, message.value)
        task = peer.worker.assigned.get(message.task)
        stream = task.stream if task is not None and task.attempt == message.attempt else None
        if task is None or stream is None:
            self.head.memory.discard(message.value)
            return
        stream.at += 1
        if stream.at <= stream.count:
            self.head.memory.discard(message.value)
            return
        stream.count += 1
        if stream.state is StreamState.DISMISSED:
            self.head.memory.discard(message.value)
        else:
            self._append(task, message.value, peer.number)

    def known(self, peer: Peer, message: Yield) -> bool:
        """Return whether a dead worker's item was handled before, or is nobody's."""
        task = peer.worker.assigned.get(message.task) if peer.worker is not None else None
        if task is None or task.stream is None or task.attempt != message.attempt:
            return True
        return message.index < task.stream.at

    def _append(self, task: Task, value: Value, owner: int) -> None:
        """Make an object of an item and send it to the reader."""
        reader, objects = self.head.peers.get(task.client), self.head.objects
        if reader is None:  # it has just died, and this is a part of what follows
            self.head.memory.discard(value)
            return
        made = Object(self.head.next_id(), None)
        objects.grant_first(reader, made)
        objects.store(made, value, owner)
        if objects.may_push(reader, made):
            away = objects.show(reader, made)
            self.head.reply(reader, Item(task.message.task, made.ident, value, away))
        else:
            self.head.reply(reader, Item(task.message.task, made.ident, None))

    # -- the bound

    def fill(self, task: Task) -> None:
        """Its worker waits for its reader: perhaps for what it is to be told."""
        stream = task.stream
        assert stream is not None
        if stream.state is StreamState.OPEN:
            self._step(task, StreamInput.FILL)
            self._grant(task)
        elif stream.state is StreamState.DISMISSED and not task.cancelled:  # else it is told to stop, not to go on
            self._credit(task, UNBOUNDED)

    def taken(self, peer: Peer, message: Taken) -> None:
        """The reader has taken items."""
        task = peer.streams.get(message.task)
        if task is None or task.stream is None:
            return
        if message.count == UNBOUNDED:
            self.lift(task)
        else:
            task.stream.taken = message.count
            self._grant(task)

    def lift(self, task: Task) -> None:
        """Somebody waits for its end: it need not wait for its reader."""
        if task.stream is not None:
            task.stream.bound = UNBOUNDED
            self._grant(task)

    def _grant(self, task: Task) -> None:
        stream = task.stream
        if stream is not None and stream.state is StreamState.FULL and not stream.full:
            self._step(task, StreamInput.GRANT)
            self._credit(task, UNBOUNDED if stream.bound < 0 else stream.taken)

    def _credit(self, task: Task, taken: int) -> None:
        assert task.worker is not None
        self.head.reply(task.worker.peer, Credit(task.message.task, task.attempt, taken))

    # -- the end

    def begin_anew(self, task: Task) -> None:
        """The task was taken from its worker: the next attempt yields from the start."""
        assert task.stream is not None
        self._step(task, StreamInput.BEGIN)
        task.stream.at = 0

    def dismiss(self, peer: Peer, message: Dismiss) -> None:
        """The reader will not read on."""
        task = peer.streams.pop(message.task, None)
        if task is not None:
            self._dismiss(task, stop=message.stop)

    def _dismiss(self, task: Task, *, stop: bool) -> None:
        stream = task.stream
        assert stream is not None
        waits = stream.state is StreamState.FULL
        self._step(task, StreamInput.DISMISS)
        stream.bound = UNBOUNDED
        if stop:
            self.head.tasks.cancel_task(task, force=False, recursive=False, gently=True)
        elif waits:
            self._credit(task, UNBOUNDED)

    def drop_client(self, peer: Peer) -> None:
        """The reader is dead."""
        while peer.streams:
            ident, task = peer.streams.popitem()
            # What was cancelled because the reader has gone is over, and did not find the reader to tell it so.
            if task.stream is not None and task.stream.state is not StreamState.OVER:
                self._dismiss(task, stop=ident not in self.head.objects.table)

    def over(self, task: Task, values: tuple[Value, ...], owner: int) -> tuple[Value, ...]:
        """The task has ended. Returns what its own object is.

        What user code raised comes as a second value: it is the last item, for whoever reads the items in turn.
        """
        stream = task.stream
        assert stream is not None
        dismissed = stream.state is StreamState.DISMISSED
        self._step(task, StreamInput.END)
        reader = self.head.peers.get(task.client)
        if reader is not None:
            reader.streams.pop(task.message.task, None)
        if len(values) > 1:
            if dismissed:
                self.head.tasks.tell_unread(task, values[1])
            else:
                self._append(task, values[1], owner)
        elif values and values[0].status is Status.OK and stream.at < stream.count and not dismissed:
            text = (
                f"{task.spec.spec.name} was run again and yielded {stream.at} items, where it had yielded "
                f"{stream.count} before: a generator that may be run again must yield the same each time"
            )
            return (self.head.failure(Failed.REPLAY, text, task=task),)
        return values[:1]
