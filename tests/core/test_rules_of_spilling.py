"""What goes to disk, what stays, and who waits for how long: one rule at a time."""

from __future__ import annotations

from typing import Any

from actorgrid.core import messages as m
from actorgrid.core.extents import reserved
from actorgrid.core.head.effects import PunchExtent, Spill
from actorgrid.core.head.machine import Head, HeadConfig
from actorgrid.core.head.records import Object, Place
from actorgrid.core.head.room import AGAIN
from actorgrid.core.head.spilling import MOST_DEATHS
from actorgrid.core.messages import Extent, FailureKind, Status, Value
from actorgrid.core.resources import demand
from actorgrid.core.states import PlaceState
from tests.core.bench import Bench

UNIT = 64 << 10
BUDGET = 4 * UNIT
PATIENCE = 2.0


class SpillBench(Bench):
    """A head with a store of four units, and the process that copies played by hand."""

    def __init__(self, **config: Any) -> None:
        super().__init__()
        self.head = Head(HeadConfig(demand({"CPU": 2}), BUDGET, 2, 100, spills=True, store_patience=PATIENCE, **config))
        self.specs.clear()
        self.say(m.Export(b"code", "f", Value(Status.OK, b"x")), m.NewSegment(99, 1 << 30))
        self.offset = 0
        self.requests = 0

    def lease(self, size: int = UNIT, source: int = 1) -> int:
        self.requests += 1
        self.say(m.LeaseRequest(self.requests, size), source=source)
        return self.requests

    def put(self, size: int = UNIT) -> int:
        """Put an object for which there is room."""
        self.lease(size)
        oid = self.id()
        self.say(m.Put(oid, Value(Status.OK, b"", Extent(99, self.offset, size))))
        self.offset += size
        return oid

    def fill(self) -> list[int]:
        oids = [self.put() for _ in range(BUDGET // UNIT)]
        self.sent()
        return oids

    def heard(self, kind: type) -> list[Any]:
        return [message for message in self.sent() if isinstance(message, kind)]

    def forgets(self, oid: int, *, used: bool = False, seen: int = 1, source: int = 1) -> None:
        self.say(m.Recalled(oid, self.place(oid).number, seen, used), source=source)

    def place(self, oid: int) -> Place:
        held = self.head.objects.table[oid]
        assert isinstance(held, Object)
        assert held.place is not None
        return held.place

    def orders(self) -> list[Any]:
        effects, self.head.effects = self.head.effects, []
        return [effect.order for effect in effects if isinstance(effect, Spill)]

    def copier(self, *messages: Any) -> None:
        for message in messages:
            self.head.hear_spiller(message, self.now)
        self.say()

    def spill(self, oid: int) -> None:
        """Let the least recently used object, ``oid``, go to disk: somebody wants its room."""
        self.lease()
        self.forgets(oid)
        job = self.place(oid).job
        self.copier(m.Written(job, 7), m.Emptied(job))
        self.say(m.LeaseReturn(UNIT))
        self.sent()
        self.orders()

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.say()


def test_least_recently_used_object_is_recalled_for_a_request_that_does_not_fit() -> None:
    bench = SpillBench()
    first, *_ = bench.fill()
    bench.lease()
    assert [recall.oid for recall in bench.heard(m.Recall)] == [first]


def test_object_that_was_fetched_is_not_the_least_recently_used() -> None:
    bench = SpillBench()
    first, second, *_ = bench.fill()
    bench.say(m.Fetch(7, first))
    bench.sent()
    bench.lease()
    assert [recall.oid for recall in bench.heard(m.Recall)] == [second]


def test_request_that_fits_waits_behind_one_that_does_not() -> None:
    bench = SpillBench()
    bench.fill()
    bench.lease(2 * UNIT)
    bench.say(m.LeaseReturn(0))
    bench.lease(UNIT)
    assert not bench.heard(m.Answer)
    assert len(bench.head.room.queue) == 2


def test_request_larger_than_the_store_is_refused_at_once() -> None:
    bench = SpillBench()
    bench.lease(BUDGET + 1)
    (answer,) = bench.heard(m.Answer)
    assert "full" in answer.error


def test_object_goes_to_disk_only_when_everybody_has_forgotten_its_place() -> None:
    bench = SpillBench()
    first, *_ = bench.fill()
    bench.lease()
    assert not bench.orders()
    bench.forgets(first)
    (order,) = bench.orders()
    assert isinstance(order, m.SpillOut)
    assert order.extent == Extent(99, 0, UNIT)


def test_room_is_free_only_when_the_pages_are_the_systems_again() -> None:
    bench = SpillBench()
    first, *_ = bench.fill()
    bench.lease()
    bench.forgets(first)
    job = bench.place(first).job
    bench.copier(m.Written(job, 1))
    assert not bench.heard(m.Answer)
    bench.copier(m.Emptied(job))
    assert [answer.body for answer in bench.heard(m.Answer)] == [{"granted": UNIT}]


def test_object_that_is_read_stays_and_another_is_recalled() -> None:
    bench = SpillBench()
    first, second, *_ = bench.fill()
    bench.lease()
    bench.sent()
    bench.forgets(first, used=True)
    assert [recall.oid for recall in bench.heard(m.Recall)] == [second]
    assert bench.place(first).state is PlaceState.ARENA


def test_object_that_was_read_can_go_once_it_is_not_read_any_more() -> None:
    bench = SpillBench()
    oids = bench.fill()
    bench.lease()
    for oid in oids:
        bench.forgets(oid, used=True)
    bench.sent()
    bench.say(m.Unpinned(oids[2]))
    assert [recall.oid for recall in bench.heard(m.Recall)] == [oids[2]]


def test_client_that_has_not_seen_a_call_with_the_object_is_about_to_read_it() -> None:
    bench = SpillBench()
    first, *_ = bench.fill()
    task = bench.submit(bench.spec(), deps=(first,), slots=(0,))
    worker = bench.worker_of(task).number
    bench.lease(BUDGET)
    bench.forgets(first)
    bench.say(m.Recalled(first, bench.place(first).number, 0), source=worker)
    assert bench.place(first).kept == {worker: False}
    bench.wait(AGAIN)
    bench.say(m.Recalled(first, bench.place(first).number, 1), source=worker)
    assert bench.place(first).state is PlaceState.SPILLING


def test_call_with_an_object_on_disk_starts_and_is_told_to_fetch_it() -> None:
    bench = SpillBench()
    first, *_ = bench.fill()
    bench.spill(first)
    task = bench.submit(bench.spec(), deps=(first,), slots=(0,))
    (run,) = [message for message in bench.worker_of(task).outbox if isinstance(message, m.Run)]
    assert run.away == (first,)


def test_that_an_object_exists_is_told_without_bringing_it_back() -> None:
    bench = SpillBench()
    first, *_ = bench.fill()
    bench.spill(first)
    bench.say(m.Subscribe((first,)))
    (ready,) = bench.heard(m.Ready)
    assert ready.away
    assert not bench.orders()


def test_fetched_object_comes_back_to_where_it_lay() -> None:
    bench = SpillBench()
    first, *_ = bench.fill()
    bench.spill(first)
    bench.say(m.Fetch(50, first))
    (order,) = bench.orders()
    assert isinstance(order, m.SpillIn)
    assert (order.extent, order.checksum) == (Extent(99, 0, UNIT), 7)
    bench.copier(m.Restored(order.job))
    assert [(answer.request, answer.error) for answer in bench.heard(m.Answer)] == [(50, "")]
    assert not bench.head.spilling.spilled_bytes


def test_object_that_is_wanted_while_it_is_recalled_stays() -> None:
    bench = SpillBench()
    first, *_ = bench.fill()
    bench.lease()
    bench.sent()
    bench.say(m.Fetch(50, first))
    assert [answer.request for answer in bench.heard(m.Answer)] == [50]
    bench.forgets(first)
    assert bench.place(first).state is PlaceState.ARENA


def test_object_that_is_wanted_while_it_is_written_comes_back() -> None:
    bench = SpillBench()
    first, second, *_ = bench.fill()
    bench.lease()
    bench.forgets(first)
    job = bench.place(first).job
    bench.say(m.Fetch(50, first))
    bench.copier(m.Written(job, 1), m.Emptied(job))
    assert bench.place(first).state is PlaceState.WANTED
    bench.forgets(second)
    job = bench.place(second).job
    bench.copier(m.Written(job, 1), m.Emptied(job))
    assert bench.place(first).state is PlaceState.RESTORING


def test_range_of_an_object_that_is_freed_while_it_is_written_is_used_again_only_afterwards() -> None:
    bench = SpillBench()
    first, *_ = bench.fill()
    bench.lease()
    bench.forgets(first)
    job = bench.place(first).job
    bench.sent()
    bench.say(m.Release((first,)))
    assert not bench.heard(m.Freed)
    bench.copier(m.Written(job, 1), m.Emptied(job))
    assert [freed.extents for freed in bench.heard(m.Freed)] == [(Extent(99, 0, UNIT),)]


def test_range_of_an_object_that_is_freed_while_it_is_read_back_is_used_again_only_afterwards() -> None:
    bench = SpillBench()
    first, *_ = bench.fill()
    bench.spill(first)
    bench.say(m.Fetch(50, first))
    job = bench.place(first).job
    bench.say(m.Release((first,)))
    assert not bench.heard(m.Freed)
    bench.copier(m.Restored(job))
    assert bench.heard(m.Freed)


def test_object_that_is_freed_on_disk_leaves_the_disk_and_its_writer_gets_the_range_without_the_bytes() -> None:
    bench = SpillBench()
    first, *_ = bench.fill()
    bench.spill(first)
    leased = bench.head.memory.leased
    bench.say(m.Release((first,)))
    assert [freed.cold for freed in bench.heard(m.Freed)] == [True]
    assert [order.size for order in bench.orders()] == [UNIT]
    assert bench.head.memory.leased == leased


def test_bytes_of_a_freed_object_go_to_whoever_waits() -> None:
    bench = SpillBench()
    first, second, *_ = bench.fill()
    request = bench.lease()
    bench.sent()
    bench.say(m.Release((second,)))
    batch = bench.sent()
    assert [message.cold for message in batch if isinstance(message, m.Freed)] == [True]
    assert [message.request for message in batch if isinstance(message, m.Answer)] == [request]
    bench.forgets(first)
    assert bench.place(first).state is PlaceState.ARENA, "nobody needs its room any more"


def test_leases_that_are_not_used_are_asked_for() -> None:
    bench = SpillBench()
    bench.lease(BUDGET)
    bench.sent()
    request = bench.lease()
    assert bench.heard(m.Squeeze)
    bench.say(m.LeaseReturn(BUDGET))
    assert [answer.request for answer in bench.heard(m.Answer)] == [request]


def test_nobody_is_asked_for_leases_who_has_used_what_he_leased() -> None:
    bench = SpillBench()
    bench.fill()
    bench.lease()
    assert not bench.heard(m.Squeeze)


def test_request_that_waited_too_long_is_refused_and_told_who_reads_what() -> None:
    bench = SpillBench()
    oids = bench.fill()
    bench.lease()
    for oid in oids:
        bench.forgets(oid, used=True)
    bench.sent()
    bench.wait(PATIENCE)
    (answer,) = bench.heard(m.Answer)
    assert answer.body["kind"] == FailureKind.STORE_FULL
    assert answer.body["pins"] == [(oid, UNIT, "the driver") for oid in oids]
    assert not bench.head.alarms


def test_request_is_not_refused_while_objects_leave_slowly() -> None:
    bench = SpillBench()
    first, second, *_ = bench.fill()
    bench.lease(2 * UNIT)
    bench.forgets(first)
    bench.forgets(second)
    job = bench.place(first).job
    bench.copier(m.Written(job, 1), m.Emptied(job))
    bench.wait(PATIENCE)
    assert not bench.heard(m.Answer)
    job = bench.place(second).job
    bench.copier(m.Written(job, 1), m.Emptied(job))
    assert [answer.error for answer in bench.heard(m.Answer)] == [""]


def test_object_that_finds_no_room_stays_on_disk_and_can_be_fetched_later() -> None:
    bench = SpillBench()
    first, *others = bench.fill()
    bench.spill(first)
    bench.lease()
    bench.sent()
    bench.say(m.Fetch(50, first))
    for oid in others:
        bench.forgets(oid, used=True)
    bench.wait(PATIENCE)
    assert [answer.request for answer in bench.heard(m.Answer)] == [50]
    bench.say(m.LeaseReturn(UNIT))
    bench.say(m.Fetch(51, first))
    assert bench.place(first).state is PlaceState.RESTORING


def test_client_that_does_not_answer_does_not_hold_up_the_others() -> None:
    bench = SpillBench()
    _, second, *_ = bench.fill()
    bench.lease()
    bench.sent()
    bench.wait(AGAIN)
    assert [recall.oid for recall in bench.heard(m.Recall)] == [second]


def test_disk_that_takes_no_more_fails_the_first_that_waits_alone_and_the_object_stays() -> None:
    bench = SpillBench()
    first, *_ = bench.fill()
    one, two = bench.lease(), bench.lease()
    bench.forgets(first)
    bench.sent()
    bench.copier(m.SpillFailed(bench.place(first).job, "no space"))
    (answer,) = bench.heard(m.Answer)
    assert (answer.request, answer.error) == (one, "no space")
    assert answer.body["kind"] == FailureKind.OUT_OF_DISK
    assert [request.request for request in bench.head.room.queue.values()] == [two]
    assert bench.place(first).state is PlaceState.ARENA


def test_process_that_the_system_does_not_let_copy_is_not_taken_for_a_full_disk() -> None:
    bench = SpillBench()
    oids = bench.fill()
    request = bench.lease()
    for _ in range(MOST_DEATHS):
        assert not bench.heard(m.Answer)
        bench.wait(AGAIN)
        bench.forgets(next(oid for oid in oids if bench.place(oid).state is PlaceState.RECALLED))
        bench.copier(m.NoSpiller("no descriptors"))
    (answer,) = bench.heard(m.Answer)
    assert (answer.request, answer.error) == (request, "no descriptors")
    assert answer.body["kind"] == FailureKind.RESOURCE_LIMIT
    assert PlaceState.SPILLING not in [bench.place(oid).state for oid in oids]


def test_object_that_the_system_does_not_let_come_back_stays_on_disk() -> None:
    bench = SpillBench()
    first, *_ = bench.fill()
    bench.spill(first)
    bench.say(m.Fetch(50, first))
    for _ in range(MOST_DEATHS):
        bench.copier(m.NoSpiller("no descriptors"))
    (answer,) = bench.heard(m.Answer)
    assert (answer.request, answer.error) == (50, "no descriptors")
    assert answer.body["kind"] == FailureKind.RESOURCE_LIMIT
    assert bench.place(first).state is PlaceState.SPILLED
    bench.say(m.Fetch(51, first))
    bench.copier(m.Restored(bench.place(first).job))
    (answer,) = bench.heard(m.Answer)
    assert (answer.request, answer.error) == (51, "")


def test_object_that_came_back_damaged_is_lost_for_everybody() -> None:
    bench = SpillBench()
    first, *_ = bench.fill()
    bench.spill(first)
    bench.say(m.Fetch(50, first))
    bench.copier(m.SpillFailed(bench.place(first).job, "in /tmp: 3 bytes are missing"))
    (answer,) = bench.heard(m.Answer)
    assert answer.body["kind"] == FailureKind.OBJECT_LOST
    assert "3 bytes are missing" in answer.error
    bench.say(m.Fetch(51, first))
    (answer,) = bench.heard(m.Answer)
    assert "3 bytes are missing" in answer.error


def test_what_the_process_that_copies_had_begun_is_begun_anew() -> None:
    bench = SpillBench()
    first, *_ = bench.fill()
    bench.spill(first)
    bench.say(m.Fetch(50, first))
    (before,) = bench.orders()
    bench.copier(None)
    (after,) = bench.orders()
    assert after == before
    bench.copier(m.Restored(after.job))
    assert bench.heard(m.Answer)


def test_copy_that_was_not_ordered_yet_when_the_process_died_is_not_made_by_the_next_one() -> None:
    bench = SpillBench()
    first, *_ = bench.fill()
    bench.lease()
    bench.head.handle(1, [m.Recalled(first, bench.place(first).number, 1)], bench.now)
    bench.head.hear_spiller(None, bench.now)  # in the same turn
    assert bench.place(first).state is PlaceState.ARENA
    assert not [order for order in bench.orders() if isinstance(order, m.SpillOut)]


def test_process_that_dies_with_nothing_to_do_counts_for_nothing() -> None:
    bench = SpillBench()
    first, *_ = bench.fill()
    bench.spill(first)
    for _ in range(MOST_DEATHS):
        bench.copier(None)
    bench.say(m.Fetch(50, first))
    bench.copier(None)
    assert bench.place(first).state is PlaceState.RESTORING


def test_pages_that_the_process_did_not_give_back_are_given_back_by_the_head() -> None:
    bench = SpillBench()
    first, *_ = bench.fill()
    bench.lease()
    bench.forgets(first)
    bench.copier(m.Written(bench.place(first).job, 1))
    bench.orders()
    bench.copier(None)
    assert PunchExtent(Extent(99, 0, UNIT)) in bench.head.effects
    assert bench.place(first).state is PlaceState.SPILLED


def test_process_that_always_dies_is_not_waited_for() -> None:
    bench = SpillBench()
    first, *_ = bench.fill()
    bench.spill(first)
    bench.say(m.Fetch(50, first))
    for _ in range(MOST_DEATHS):
        bench.copier(None)
    (answer,) = bench.heard(m.Answer)
    assert f"died {MOST_DEATHS} times" in answer.error


def test_object_comes_back_after_its_writer_is_dead() -> None:
    bench = SpillBench()
    task = bench.submit(bench.spec(max_retries=0))
    worker = bench.worker_of(task)
    bench.lease(2 * UNIT, source=worker.number)
    bench.say(m.NewSegment(77, 1 << 30), source=worker.number)
    bench.say(m.Done(task, 0, (Value(Status.OK, b"", Extent(77, 0, 2 * UNIT)),), 5000), source=worker.number)
    bench.lease(3 * UNIT)
    bench.forgets(task)
    job = bench.place(task).job
    bench.copier(m.Written(job, 7), m.Emptied(job))
    bench.die(worker)
    assert 77 in bench.head.memory.segments
    bench.say(m.LeaseReturn(3 * UNIT))
    bench.say(m.Fetch(50, task))
    bench.copier(m.Restored(bench.place(task).job))
    assert bench.head.memory.orphaned == 2 * UNIT
    bench.say(m.Release((task,)))
    assert 77 not in bench.head.memory.segments
    assert not bench.head.memory.leased


def test_client_that_dies_reads_nothing_and_waits_for_nothing() -> None:
    bench = SpillBench()
    oids = bench.fill()
    other = bench.head.add_driver().number
    bench.say(m.Subscribe((oids[0],)), source=other)
    bench.lease(source=other)
    bench.lease(BUDGET - UNIT)
    bench.forgets(oids[0])
    assert bench.place(oids[0]).state is PlaceState.RECALLED
    bench.head.leave(other)
    bench.say()
    assert bench.place(oids[0]).state is PlaceState.SPILLING
    assert len(bench.head.room.queue) == 1


def test_without_a_directory_nothing_goes_to_disk_and_nothing_waits() -> None:
    bench = SpillBench()
    bench.head = Head(HeadConfig(demand({"CPU": 2}), BUDGET, 2, 100))
    bench.say(m.LeaseRequest(1, BUDGET), m.LeaseRequest(2, 1))
    assert ["full" in answer.error for answer in bench.heard(m.Answer)] == [False, True]


def test_sizes_are_those_that_extents_reserve() -> None:
    bench = SpillBench()
    oid = bench.put(UNIT + 1)
    assert bench.place(oid).extent.size == UNIT + 1
    assert reserved(UNIT + 1) > UNIT + 1


def test_object_that_is_freed_while_it_waits_for_room_leaves_the_line_and_whoever_fetched_it_is_told() -> None:
    bench = SpillBench()
    first, *_ = bench.fill()
    bench.spill(first)
    bench.lease()
    bench.sent()
    bench.say(m.Fetch(50, first))
    assert bench.place(first).state is PlaceState.WANTED
    bench.say(m.Release((first,)))
    assert [answer.body["kind"] for answer in bench.heard(m.Answer)] == [FailureKind.OBJECT_LOST]
    assert not bench.head.room.queue
    assert not bench.head.alarms


def test_copy_of_an_object_that_nobody_wants_any_more_may_fail() -> None:
    bench = SpillBench()
    first, *_ = bench.fill()
    bench.spill(first)
    bench.say(m.Fetch(50, first))
    job = bench.place(first).job
    bench.say(m.Release((first,)))
    bench.sent()
    bench.copier(m.SpillFailed(job, "damaged"))
    assert bench.heard(m.Freed)
    assert not bench.head.spilling.spilled_bytes
