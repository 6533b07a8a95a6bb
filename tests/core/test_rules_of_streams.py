"""Streams on a head without processes: items, the bound, retries, and every way in which interest ends."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from actorgrid.core import messages as m
from actorgrid.core.client import Client
from actorgrid.core.head.explain import explain
from actorgrid.core.ids import DRIVER
from actorgrid.core.messages import Extent, FailureKind, Kind, Status, Value
from actorgrid.core.states import StreamState
from actorgrid.core.worker import WorkerMachine
from tests.core.bench import Bench

ITEM = Value(Status.OK, b"item")
ERROR = Value(Status.ERROR, b"error")
NONE = (Value(Status.OK, b"none"),)


class Play(Bench):
    """A head, and streams that are played by hand."""

    def stream(self, bound: int = 2, **options: Any) -> int:
        """Submit a stream; it runs."""
        return self.submit(self.spec("s", yields=bound, **options))

    def yields(self, task: int, count: int = 1, value: Value = ITEM, start: int = 0) -> None:
        record = self.head.tasks.table[task]
        worker = record.worker
        assert worker is not None
        for index in range(start, start + count):
            self.say(m.Yield(task, record.attempt, index, value), source=worker.number)

    def waits(self, task: int) -> None:
        self.say(m.Blocked(task, m.YIELD), source=self.worker_of(task).number)

    def told(self, task: int) -> list[Any]:
        """Take what waits for the worker of ``task`` on its reply link."""
        peer = self.worker_of(task).peer
        batch: list[Any] = peer.outbox
        peer.outbox = []
        self.head.dirty = [other for other in self.head.dirty if other is not peer]
        return batch

    def items(self) -> list[int]:
        """Take what came for the driver; return the ids of the items."""
        return [message.oid for message in self.sent() if isinstance(message, m.Item)]

    def state(self, task: int) -> StreamState:
        stream = self.head.tasks.table[task].stream
        assert stream is not None
        return stream.state


def kind_of(value: Value) -> FailureKind:
    return msgspec.msgpack.Decoder(m.Failure).decode(value.data).kind


@pytest.fixture
def play() -> Play:
    return Play(CPU=2)


def test_each_item_is_an_object_of_its_reader(play: Play) -> None:
    task = play.stream()
    play.yields(task, 2)
    first, second = play.items()
    assert play.head.objects.grants_of(first, DRIVER) == play.head.objects.grants_of(second, DRIVER) == 1
    play.say(m.Release((first,)))
    assert first not in play.head.objects.table


def test_end_comes_behind_the_items(play: Play) -> None:
    task = play.stream()
    play.yields(task)
    play.done(task, NONE)
    assert [type(message) for message in play.sent()] == [m.Item, m.Ready]
    assert task not in play.driver.streams


def test_what_user_code_raises_is_the_last_item(play: Play) -> None:
    task = play.stream()
    play.yields(task)
    play.done(task, (*NONE, ERROR))
    _, error, end = play.sent()
    assert isinstance(error, m.Item)
    assert error.value == ERROR
    assert isinstance(end, m.Ready)
    assert end.value.status is Status.OK


def test_worker_that_waits_gets_credit_when_the_reader_has_taken_some(play: Play) -> None:
    task = play.stream(2)
    play.yields(task, 2)
    play.waits(task)
    assert play.state(task) is StreamState.FULL
    assert not play.told(task)
    play.say(m.Taken(task, 1))
    assert play.told(task) == [m.Credit(task, 0, 1)]
    assert play.state(task) is StreamState.OPEN


def test_credit_that_crosses_the_question_is_not_lost(play: Play) -> None:
    task = play.stream(2)
    play.yields(task, 2)
    play.say(m.Taken(task, 1))
    assert not play.told(task)
    play.waits(task)
    assert play.told(task) == [m.Credit(task, 0, 1)]


def test_stream_that_waits_lends_its_cpu(play: Play) -> None:
    task = play.stream(1)
    others = [play.submit(play.spec()) for _ in range(2)]
    assert sum(play.worker_of(other) is not None for other in others) == 1
    play.yields(task)
    play.waits(task)
    assert all(play.worker_of(other) is not None for other in others)


@pytest.mark.parametrize("how", ["taken", "subscribe", "argument"])
def test_waiting_for_the_end_lifts_the_bound(play: Play, how: str) -> None:
    task = play.stream(1)
    play.yields(task)
    play.waits(task)
    if how == "taken":
        play.say(m.Taken(task, m.UNBOUNDED))
    elif how == "subscribe":
        other = play.worker_of(play.submit(play.spec("g")))
        play.say(m.Subscribe((task,)), source=other.number)
    else:
        play.submit(play.spec("g"), deps=(task,), slots=(0,))
    assert play.told(task) == [m.Credit(task, 0, m.UNBOUNDED)]


def test_another_attempt_keeps_what_the_first_has_yielded(play: Play) -> None:
    task = play.stream(-1, max_retries=1)
    play.yields(task, 3)
    assert len(play.items()) == 3
    play.die(play.worker_of(task), current=task)
    play.yields(task, 5)
    assert len(play.items()) == 2
    play.done(task, NONE)
    assert play.sent()[-1].value.status is Status.OK


def test_another_attempt_that_yields_less_is_an_error(play: Play) -> None:
    task = play.stream(-1, max_retries=1)
    play.yields(task, 3)
    play.die(play.worker_of(task), current=task)
    play.yields(task, 2)
    play.done(task, NONE)
    assert kind_of(play.sent()[-1].value) is FailureKind.REPLAY


def test_items_of_an_attempt_that_is_over_are_dropped(play: Play) -> None:
    task = play.stream(-1, max_retries=1)
    worker = play.worker_of(task)
    play.yields(task)
    play.done(task, (*NONE, ERROR), retry=True)
    play.items()
    play.say(m.Yield(task, 0, 1, ITEM), source=worker.number)
    assert not play.items()


def test_credit_for_a_retry_counts_what_was_taken_before(play: Play) -> None:
    task = play.stream(2, max_retries=1)
    play.yields(task, 2)
    play.say(m.Taken(task, 2))
    play.die(play.worker_of(task), current=task)
    play.yields(task, 2)
    play.waits(task)
    assert m.Credit(task, 1, 2) in play.told(task)


def test_frame_that_comes_twice_is_counted_once(play: Play) -> None:
    play.say(m.NewSegment(77, 4096))
    task = play.stream(-1, max_retries=0)
    worker = play.worker_of(task)
    play.say(m.NewSegment(88, 4096), m.LeaseRequest(1, 4096), source=worker.number)
    large = Value(Status.OK, b"", Extent(88, 0, 1024))
    frame = [m.Yield(task, 0, 0, large), m.Yield(task, 0, 1, ITEM)]
    play.head.handle(worker.number, frame, play.now)
    play.head.handle_leftover(worker.number, frame, play.now)
    play.die(worker, current=task)
    assert len(play.items()) == 2
    assert play.head.memory.segments[88].extents


def test_result_that_comes_twice_does_not_free_its_memory(play: Play) -> None:
    task = play.submit(play.spec())
    worker = play.worker_of(task)
    play.say(m.NewSegment(88, 4096), m.LeaseRequest(1, 4096), source=worker.number)
    frame = [m.Done(task, 0, (Value(Status.OK, b"", Extent(88, 0, 1024)),))]
    play.head.handle(worker.number, frame, play.now)
    play.head.handle_leftover(worker.number, frame, play.now)
    play.die(worker)
    assert play.head.memory.segments[88].extents


def test_reader_that_dies_stops_its_streams(play: Play) -> None:
    parent = play.submit(play.spec("p", max_retries=0))
    reader = play.worker_of(parent)
    task = play.id()
    spec = play.id()
    play.say(m.Spec(spec, Kind.TASK, "s", b"code", yields=2), source=reader.number)
    play.say(m.Submit(task, spec, parent=parent), source=reader.number)
    play.yields(task, 2)
    play.die(reader, current=parent)
    assert play.state(task) is StreamState.DISMISSED
    assert m.Interrupt(task, 0, gently=True) in play.told(task)
    assert not [oid for oid in play.head.objects.table if oid < 100]


def test_reader_that_is_done_with_a_stream_stops_it(play: Play) -> None:
    task = play.stream(1)
    play.yields(task)
    play.waits(task)
    play.say(m.Dismiss(task, stop=True), m.Release((task, *play.items())))
    assert play.told(task) == [m.Interrupt(task, 0, gently=True)]
    play.yields(task, start=1)
    assert not play.items()
    play.done(task, (Value(Status.FAILURE, b""),))
    assert not play.head.objects.table


def test_stream_that_waits_when_it_is_told_to_stop_is_not_told_to_go_on(play: Play) -> None:
    task = play.stream(1)
    play.yields(task)
    play.say(m.Dismiss(task, stop=True))
    play.waits(task)
    assert play.told(task) == [m.Interrupt(task, 0, gently=True)]


def test_stream_that_waits_when_only_its_end_is_wanted_goes_on(play: Play) -> None:
    task = play.stream(1)
    play.yields(task)
    play.say(m.Dismiss(task, stop=False))
    play.waits(task)
    assert play.told(task) == [m.Credit(task, 0, m.UNBOUNDED)]


def test_stream_that_is_dismissed_before_it_starts_never_does(play: Play) -> None:
    running = [play.submit(play.spec()) for _ in range(2)]
    task = play.stream()
    play.say(m.Dismiss(task, stop=True))
    assert task not in play.head.tasks.table
    for other in running:
        play.done(other)


def test_stream_whose_end_is_wanted_runs_on_without_a_reader(play: Play) -> None:
    task = play.stream(1)
    play.yields(task)
    play.waits(task)
    play.say(m.Dismiss(task, stop=False))
    assert play.told(task) == [m.Credit(task, 0, m.UNBOUNDED)]
    play.yields(task, 3, start=1)
    play.done(task, NONE)
    assert [type(message) for message in play.sent()] == [m.Item, m.Ready]


@pytest.mark.parametrize("last", ["reader", "stream"])
def test_stream_runs_beyond_its_bound_if_its_reader_waits_for_its_actor(play: Play, last: str) -> None:
    creation = play.id()
    play.say(m.CreateActor(creation, play.spec("a", kind=Kind.ACTOR, num_returns=0)))
    play.done(creation, ())
    parent = play.submit(play.spec("reader"))
    reader = play.worker_of(parent)
    spec, task, behind = play.id(), play.id(), play.id()
    play.say(m.Spec(spec, Kind.METHOD, "s", method="s", yields=1), source=reader.number)
    play.say(m.Submit(task, spec, refs=(creation,), actor=creation, parent=parent), source=reader.number)
    play.say(m.Submit(behind, spec, refs=(creation,), actor=creation, parent=parent), source=reader.number)
    play.yields(task)
    if last == "stream":
        play.say(m.Blocked(parent, "get", (behind,)), source=reader.number)
        play.waits(task)
    else:
        play.waits(task)
        assert not play.told(task)
        play.say(m.Blocked(parent, "get", (behind,)), source=reader.number)
    told = [*play.told(task), *play.told(parent)]
    assert m.Credit(task, 0, m.UNBOUNDED) in told
    assert not [message for message in told if isinstance(message, m.Deadlock)]


def test_stream_waits_for_no_reader_who_waits_for_its_items(play: Play) -> None:
    parent = play.submit(play.spec("reader"))
    reader = play.worker_of(parent)
    spec, task = play.id(), play.id()
    play.say(m.Spec(spec, Kind.TASK, "s", b"code", yields=1), source=reader.number)
    play.say(m.Submit(task, spec, parent=parent), source=reader.number)
    play.say(m.Blocked(parent, "next", (task,), need=1), source=reader.number)
    play.yields(task)  # it is on its way, and the reader does not know
    play.waits(task)
    assert not [message for message in play.told(task) if isinstance(message, m.Deadlock)]


def test_explain_says_how_many_items_are_unread(play: Play) -> None:
    task = play.stream(2)
    play.yields(task, 2)
    play.waits(task)
    assert "until some of its 2 unread items are read" in explain(play.head, task)[0]


def test_item_that_does_not_fit_the_link_is_announced_and_follows(play: Play) -> None:
    task = play.stream(-1)
    play.driver.congested = True
    play.yields(task, value=Value(Status.OK, b"x" * 1000))
    (item,) = play.sent()
    assert item.value is None
    play.head.objects.drained(play.driver)
    (ready,) = play.sent()
    assert (ready.oid, len(ready.value.data)) == (item.oid, 1000)


# ------------------------------------------------------------------------------------------ the reader's end


class Nobody:
    def wake(self) -> None: ...


def client() -> Client:
    return Client(DRIVER, Nobody(), str, lambda _: ())


def test_reader_says_once_how_many_it_took() -> None:
    reader = client()
    stream = reader.open(reader.take_ids(1), 2)
    stream.end.refs += 1
    for oid in (1, 2, 3):
        reader.item(m.Item(stream.oid, oid, ITEM))
        assert stream.take() is not None
    assert stream.take() is None
    assert reader.outbox == [m.Taken(stream.oid, 3)]


def test_reader_of_a_wide_stream_says_so_for_half_of_it_or_when_it_rests() -> None:
    reader = client()
    stream = reader.open(reader.take_ids(1), 64)
    stream.end.refs += 1
    for oid in range(40):
        reader.item(m.Item(stream.oid, oid, ITEM))
        assert stream.take() is not None
    assert reader.outbox == [m.Taken(stream.oid, 32)]
    reader.outbox.clear()
    reader.rest()
    reader.rest()
    assert reader.outbox == [m.Taken(stream.oid, 40)]


def test_dismissed_stream_gives_back_what_was_not_taken() -> None:
    reader = client()
    stream = reader.open(reader.take_ids(1), 2)
    stream.end.refs += 1
    reader.item(m.Item(stream.oid, 1, ITEM))
    stream.leave()
    reader.collect()
    assert m.Dismiss(stream.oid, stop=True) in reader.outbox
    assert m.Release((stream.oid, 1)) in reader.outbox
    reader.outbox.clear()
    reader.item(m.Item(stream.oid, 2, ITEM))
    reader.collect()
    assert reader.outbox == [m.Release((2,))]


def test_dismissed_stream_whose_end_is_held_is_not_stopped() -> None:
    reader = client()
    stream = reader.open(reader.take_ids(1), 2)
    stream.end.refs += 2
    stream.leave()
    reader.collect()
    assert reader.outbox == [m.Dismiss(stream.oid, stop=False)]


# ------------------------------------------------------------------------------------------ the worker's end


def started(bound: int, **run: Any) -> WorkerMachine:
    machine = WorkerMachine()
    machine.specs[1] = m.Spec(1, Kind.TASK, "s", yields=bound)
    machine.given(m.Run(7, 0, 1, b"", **run))
    machine.start()
    return machine


def test_worker_counts_what_was_taken() -> None:
    machine = started(2)
    flow = machine.running[7].outflow
    assert flow is not None
    flow.at = 2
    assert flow.full
    assert machine.credit(m.Credit(7, 1, 1)) is None  # another attempt's
    assert flow.full
    assert machine.credit(m.Credit(7, 0, 1)) is machine.running[7]
    assert not flow.full


def test_worker_that_never_waits_again() -> None:
    machine = started(1)
    flow = machine.running[7].outflow
    assert flow is not None
    flow.at = 1000
    machine.credit(m.Credit(7, 0, m.UNBOUNDED))
    assert not flow.full


@pytest.mark.parametrize(("bound", "run"), [(0, {}), (m.DYNAMIC, {}), (2, {"again": 3})])
def test_calls_that_nobody_reads_have_no_flow(bound: int, run: dict[str, Any]) -> None:
    assert started(bound, **run).running[7].outflow is None
