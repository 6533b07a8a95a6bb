"""Leases of the object store and segments, one rule at a time."""

from __future__ import annotations

import pytest

from actorgrid.core import messages as m
from actorgrid.core.head.check import check
from actorgrid.core.messages import Extent, Kind, Status, Value
from actorgrid.exceptions import InternalError
from tests.core.bench import BUDGET, Bench

#: What a client gets ahead of its need.
AHEAD = BUDGET // 16


def asked(bench: Bench, size: int) -> m.Answer:
    bench.say(m.LeaseRequest(1, size))
    (answer,) = [message for message in bench.sent() if isinstance(message, m.Answer)]
    return answer


def granted(bench: Bench, size: int) -> int:
    return int(asked(bench, size).body["granted"])


def test_small_lease_is_rounded_up_while_half_of_the_store_stays_free() -> None:
    bench = Bench()
    bench.say(m.LeaseRequest(1, BUDGET // 2 - AHEAD))
    bench.sent()
    assert granted(bench, 1) == AHEAD
    assert bench.head.memory.leased == BUDGET // 2


def test_lease_is_exact_once_less_than_half_would_stay_free() -> None:
    bench = Bench()
    bench.say(m.LeaseRequest(1, BUDGET // 2 - AHEAD + 1))
    bench.sent()
    assert granted(bench, 1) == 1


def test_large_lease_is_exact() -> None:
    assert granted(Bench(), AHEAD + 1) == AHEAD + 1


def test_last_byte_of_the_store_can_be_leased_and_no_more() -> None:
    bench = Bench()
    assert granted(bench, BUDGET) == BUDGET
    assert asked(bench, 1).error


def test_bytes_given_back_can_be_leased_again_but_not_more_than_were_leased() -> None:
    bench = Bench()
    granted(bench, BUDGET)
    bench.say(m.LeaseReturn(2 * BUDGET))
    assert bench.head.memory.leased == 0
    assert granted(bench, BUDGET) == BUDGET


def test_segment_that_is_gone_is_forgotten_by_everybody_who_was_shown_it() -> None:
    bench = Bench()
    task = bench.submit(bench.spec(max_retries=0))
    worker = bench.worker_of(task)
    bench.say(m.LeaseRequest(1, 5000), m.NewSegment(99, 1 << 20), source=worker.number)
    bench.say(m.Done(task, 0, (Value(Status.OK, b"", Extent(99, 0, 1000)),), 5000), source=worker.number)
    reader = bench.submit(bench.spec(max_retries=0), deps=(task,), slots=(0,))
    other = bench.worker_of(reader)
    assert 99 in bench.driver.segments
    bench.done(reader)
    bench.die(worker)
    bench.say(m.Release((task,)))
    assert 99 not in bench.head.memory.segments
    assert 99 not in bench.driver.segments
    assert 99 not in other.segments


def test_result_that_nobody_wants_any_more_gives_its_memory_back() -> None:
    bench = Bench()
    task = bench.submit(bench.spec(max_retries=0))
    worker = bench.worker_of(task)
    bench.say(m.LeaseRequest(1, 5000), m.NewSegment(99, 1 << 20), source=worker.number)
    bench.say(m.Release((task,)))
    worker.peer.outbox.clear()
    bench.say(m.Done(task, 0, (Value(Status.OK, b"", Extent(99, 0, 1000)),), 5000), source=worker.number)
    assert m.Freed((Extent(99, 0, 1000),)) in worker.peer.outbox
    assert worker.peer.live_bytes == 0


def test_error_of_a_call_that_is_tried_again_gives_its_memory_back() -> None:
    bench = Bench()
    actor = bench.id()
    bench.say(m.CreateActor(actor, bench.spec("A", kind=Kind.ACTOR, num_returns=0)))
    bench.done(actor, ())
    call = bench.submit(bench.spec("A.m", kind=Kind.METHOD, method="m", demand=(), max_retries=1), actor=actor)
    worker = bench.worker_of(call)
    bench.say(m.LeaseRequest(1, 5000), m.NewSegment(99, 1 << 20), source=worker.number)
    worker.peer.outbox.clear()
    bench.done(call, (Value(Status.ERROR, b"", Extent(99, 0, 1000)),), retry=True)
    assert m.Freed((Extent(99, 0, 1000),)) in worker.peer.outbox
    assert worker.peer.live_bytes == 0


def test_object_outlives_the_process_that_wrote_it_and_its_bytes_are_counted_until_it_goes() -> None:
    bench = Bench()
    task = bench.submit(bench.spec(max_retries=0))
    worker = bench.worker_of(task)
    bench.say(m.LeaseRequest(1, 5000), m.NewSegment(99, 1 << 20), source=worker.number)
    bench.say(m.Done(task, 0, (Value(Status.OK, b"", Extent(99, 0, 1000)),), 5000), source=worker.number)
    bench.die(worker)
    assert bench.head.memory.orphaned == 1000
    bench.say(m.Release((task,)))
    assert bench.head.memory.orphaned == bench.head.memory.leased == 0


def test_code_that_a_dead_worker_has_exported_is_not_taken_for_another_copy() -> None:
    bench = Bench(CPU=1)
    task = bench.submit(bench.spec())
    worker = bench.worker_of(task)
    bench.say(m.NewSegment(7, 1 << 20), m.LeaseRequest(1, 1 << 20), source=worker.number)
    export = m.Export(b"large", "g", Value(Status.OK, b"", Extent(7, 0, 5000)))
    bench.say(export, source=worker.number)
    bench.head.handle_leftover(worker.number, [export], bench.now)
    assert bench.head.memory.segments[7].extents == {0: Extent(7, 0, 5000)}


@pytest.mark.parametrize(
    "extent", [Extent(8, 0, 10), Extent(7, 1 << 20, 1), Extent(7, -1, 5), Extent(7, 0, 10), Extent(6, 0, 10)]
)
def test_result_that_lies_where_its_worker_has_nothing_is_refused_whole(extent: Extent) -> None:
    bench = Bench(CPU=2)
    tasks = [bench.submit(bench.spec()) for _ in range(2)]
    worker, other = map(bench.worker_of, tasks)
    bench.say(m.NewSegment(7, 1 << 20), m.LeaseRequest(1, 1 << 20), source=worker.number)
    bench.say(m.Put((3 << 40) + 1, Value(Status.OK, b"", Extent(7, 0, 10))), source=worker.number)
    bench.say(m.NewSegment(6, 1 << 20), m.LeaseRequest(1, 1 << 20), source=other.number)
    values = (Value(Status.OK, b"", Extent(7, 64, 10)), Value(Status.OK, b"", extent))
    with pytest.raises(InternalError, match=r"has (nothing|something else) at"):
        bench.head.handle(worker.number, [m.Done(tasks[0], 0, values)], bench.now)
    check(bench.head)
    assert tasks[0] in bench.head.tasks.table
