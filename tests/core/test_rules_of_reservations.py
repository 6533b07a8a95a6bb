"""Placement groups in the head, one rule at a time; every event is followed by a check of all books."""

from __future__ import annotations

import gc

import pytest

from actorgrid.core import messages as m
from actorgrid.core.head.check import check
from actorgrid.core.head.explain import explain
from actorgrid.core.head.ready import PATIENCE
from actorgrid.core.head.reservations import Reservation
from actorgrid.core.ids import COUNTER_BITS, DRIVER
from actorgrid.core.messages import Extent, FailureKind, Kind, Status, Value
from actorgrid.core.resources import Demand, demand
from actorgrid.core.states import TaskState, WorkerState
from tests.core.bench import Bench
from tests.core.reserving import HERE, ask, cpus, create, failure, free, gpu_spec, gpus, inside, placed, reserve, told

# -- making one


def test_group_takes_the_resources_of_all_its_bundles_at_once() -> None:
    bench = Bench(CPU=4)
    assert placed(bench, reserve(bench, cpus(1), cpus(2)))
    assert free(bench) == 1


def test_group_that_does_not_fit_takes_nothing_and_waits() -> None:
    bench = Bench(CPU=2)
    task = bench.submit(bench.spec())
    group = reserve(bench, cpus(), cpus())
    assert not placed(bench, group)
    assert free(bench) == 1
    bench.done(task)
    assert placed(bench, group)


def test_group_needs_no_worker() -> None:
    bench = Bench(CPU=4)
    bench.head.workers.limit = 1
    bench.submit(bench.spec())
    bench.submit(bench.spec())
    assert placed(bench, reserve(bench, cpus()))


def test_tasks_that_come_later_do_not_starve_a_group() -> None:
    bench = Bench(CPU=2)
    running = bench.submit(bench.spec())
    group = reserve(bench, cpus(2))
    later = [bench.submit(bench.spec()) for _ in range(2 * PATIENCE)]
    for task in later:
        if placed(bench, group):
            break
        if bench.worker_of(task) is None:
            bench.done(running)
        else:
            bench.done(task)
    assert placed(bench, group)
    assert later[-1] in bench.head.tasks.table


def test_group_that_waits_for_what_an_actor_holds_keeps_nobody_from_running() -> None:
    bench = Bench(CPU=2)
    actor = create(bench, bench.spec("A", kind=Kind.ACTOR, lifetime_demand=cpus()))
    bench.done(actor, ())
    group = reserve(bench, cpus(2))
    for _ in range(2 * PATIENCE):
        bench.done(bench.submit(bench.spec()))
    assert not placed(bench, group)


def test_groups_are_served_in_their_order() -> None:
    bench = Bench(CPU=1)
    task = bench.submit(bench.spec())
    groups = [reserve(bench, cpus()) for _ in range(3)]
    bench.done(task)
    assert [placed(bench, group) for group in groups] == [True, False, False]
    bench.say(m.Unreserve(groups[1]), m.Unreserve(groups[0]))
    assert placed(bench, groups[2])


def test_name_is_taken_once_and_free_again_after_the_end() -> None:
    bench = Bench()
    first = reserve(bench, cpus(), name="a", namespace="n", request=7)
    second = reserve(bench, cpus(), name="a", namespace="n", request=8)
    reserve(bench, cpus(), name="a", namespace="other", request=9)
    answers = [(message.request, message.error) for message in bench.sent() if isinstance(message, m.Answer)]
    assert answers == [(7, ""), (8, "exists"), (9, "")]
    assert second not in bench.head.reservations.table
    bench.say(m.Unreserve(first))
    assert placed(bench, reserve(bench, cpus(), name="a", namespace="n"))


# -- who waits for one


def test_whoever_asks_is_told_when_the_group_is_placed_or_at_once() -> None:
    bench = Bench(CPU=1)
    task = bench.submit(bench.spec())
    group = reserve(bench, cpus())
    early = ask(bench, group)
    assert told(bench) == {}
    assert explain(bench.head, early)[0].startswith("its placement group has not started: it waits for 1 CPU")
    bench.done(task)
    assert told(bench)[early] == HERE
    late = ask(bench, group)
    assert told(bench) == {late: HERE}


def test_whoever_asks_for_a_group_that_is_removed_gets_an_error() -> None:
    bench = Bench(CPU=1)
    bench.submit(bench.spec())
    group = reserve(bench, cpus(), name="a")
    early = ask(bench, group)
    bench.say(m.Unreserve(group))
    late = ask(bench, group)
    errors = told(bench)
    assert [failure(errors[oid]).kind for oid in (early, late)] == [FailureKind.GROUP_REMOVED] * 2
    assert failure(errors[early]).message == "placement group a was removed"


def test_cancelling_what_tells_of_a_group_does_not_touch_the_group() -> None:
    bench = Bench(CPU=1)
    task = bench.submit(bench.spec())
    group = reserve(bench, cpus())
    bench.say(m.Cancel(ask(bench, group)))
    bench.done(task)
    assert placed(bench, group)


# -- running in one


def test_answer_that_lay_in_shared_memory_goes_with_the_group() -> None:
    bench = Bench(CPU=1)
    bench.submit(bench.spec())
    group = reserve(bench, cpus())
    bench.say(m.NewSegment(99, 1 << 20), m.LeaseRequest(1, 64 << 10))
    extent = Extent(99, 0, 64 << 10)
    bench.say(m.AwaitReserved(bench.id(), group, Value(Status.OK, b"", extent)))
    bench.sent()
    bench.say(m.Unreserve(group))
    assert [message.extents for message in bench.sent() if isinstance(message, m.Freed)] == [(extent,)]


def test_tasks_of_a_group_take_from_it_alone() -> None:
    bench = Bench(CPU=3)
    group = reserve(bench, cpus(2))
    spec = inside(bench, group)
    tasks = [bench.submit(spec) for _ in range(3)]
    assert [bench.worker_of(task) is not None for task in tasks] == [True, True, False]
    assert free(bench) == 1
    bench.done(tasks[0])
    assert bench.worker_of(tasks[2]) is not None


def test_task_of_a_bundle_waits_for_that_bundle() -> None:
    bench = Bench(CPU=2)
    group = reserve(bench, cpus(), cpus())
    first, second = inside(bench, group, bundle=0), inside(bench, group, bundle=1)
    one, two = bench.submit(first), bench.submit(first)
    assert bench.worker_of(two) is None
    assert bench.worker_of(bench.submit(second)) is not None
    bench.done(one)
    assert bench.worker_of(two) is not None


def test_tasks_wait_in_nobodys_way_until_their_group_is_placed() -> None:
    bench = Bench(CPU=1)
    actor = create(bench, bench.spec("A", kind=Kind.ACTOR, lifetime_demand=cpus()))
    group = reserve(bench, cpus())
    waiting = bench.submit(inside(bench, group))
    assert list(bench.head.ready.active) == [bench.head.reservations.table[group].task.spec.shape]  # type: ignore[union-attr]
    assert explain(bench.head, waiting)[0] == "inside has not started: it waits for its placement group"
    bench.done(actor, ())
    bench.say(m.KillActor(actor))
    assert bench.worker_of(waiting) is not None


def test_blocked_task_lends_its_cpus_to_its_group() -> None:
    bench = Bench(CPU=1)
    group = reserve(bench, cpus())
    outer = bench.submit(inside(bench, group))
    elsewhere = bench.submit(bench.spec())
    inner = bench.submit(inside(bench, group), parent=outer)
    assert bench.worker_of(inner) is None
    bench.say(m.Blocked(outer, "get", (inner,)), source=bench.worker_of(outer).number)
    assert bench.worker_of(inner) is not None
    assert bench.worker_of(elsewhere) is None


def test_actor_holds_its_part_of_the_group_while_it_lives() -> None:
    bench = Bench(CPU=1)
    group = reserve(bench, cpus())
    actor = create(bench, inside(bench, group, "A", kind=Kind.ACTOR, lifetime_demand=cpus()))
    bench.done(actor, ())
    task = bench.submit(inside(bench, group))
    assert bench.worker_of(task) is None
    bench.say(m.KillActor(actor))
    assert bench.worker_of(task) is not None


def test_actor_restarts_in_its_group() -> None:
    bench = Bench(CPU=2)
    group = reserve(bench, cpus())
    spec = inside(bench, group, "A", kind=Kind.ACTOR, max_restarts=1, lifetime_demand=cpus())
    actor = create(bench, spec)
    bench.done(actor, ())
    worker = bench.head.objects.table[actor].worker  # type: ignore[attr-defined]
    bench.die(worker)
    again = bench.worker_of(actor)
    assert again is not worker
    assert again.pool in bench.head.reservations.table[group].pools


# -- the end of one


def test_removing_gives_everything_back() -> None:
    bench = Bench(CPU=2)
    group = reserve(bench, cpus(), cpus())
    task = bench.submit(bench.spec())
    assert bench.worker_of(task) is None
    bench.say(m.Unreserve(group))
    assert bench.worker_of(task) is not None


def test_removing_ends_queued_and_running_tasks_with_an_error_that_says_which_ran() -> None:
    bench = Bench(CPU=2)
    group = reserve(bench, cpus(), name="a")
    spec = inside(bench, group, max_retries=3)
    running, queued = bench.submit(spec), bench.submit(spec)
    argument = bench.submit(bench.spec("slow"))
    waiting = bench.submit(spec, deps=(argument,), slots=(0,))
    worker = bench.worker_of(running)
    bench.say(m.Unreserve(group))
    errors = {oid: failure(value) for oid, value in told(bench).items()}
    assert {errors[oid].kind for oid in (running, queued, waiting)} == {FailureKind.GROUP_REMOVED}
    assert "was stopped" in errors[running].message
    assert errors[queued].message == errors[waiting].message == "inside did not run: placement group a was removed"
    assert worker.state is WorkerState.LEAVING
    assert worker.ended_by
    bench.say(m.Done(running, 0, (HERE,)), source=worker.number)  # too late
    bench.die(worker, running)
    assert told(bench) == {}
    bench.done(argument)


def test_removing_ends_a_task_that_rests_before_it_is_tried_again() -> None:
    bench = Bench(CPU=1)
    group = reserve(bench, cpus())
    task = bench.submit(inside(bench, group, max_retries=5))
    for _ in range(2):
        bench.die(bench.worker_of(task), task)
    assert bench.head.tasks.table[task].state is TaskState.RESTING
    bench.say(m.Unreserve(group))
    assert failure(told(bench)[task]).kind is FailureKind.GROUP_REMOVED
    bench.now = 100.0
    bench.head.turn(bench.now)
    check(bench.head)


@pytest.mark.parametrize("lifetime", [(), cpus()], ids=["holds nothing", "holds a CPU"])
def test_removing_ends_actors_and_their_calls(lifetime: Demand) -> None:
    bench = Bench(CPU=2)
    group = reserve(bench, cpus())
    spec = inside(bench, group, "A", kind=Kind.ACTOR, lifetime_demand=lifetime, max_restarts=-1)
    actor = create(bench, spec)
    bench.done(actor, ())
    method = bench.spec("A.f", kind=Kind.METHOD, demand=())
    call = bench.submit(method, actor=actor)
    bench.say(m.Unreserve(group))
    late = bench.submit(method, actor=actor)
    errors = told(bench)
    assert {failure(errors[oid]).kind for oid in (call, late)} == {FailureKind.ACTOR_GROUP_REMOVED}


def test_removing_ends_an_actor_that_waits_for_its_place() -> None:
    bench = Bench(CPU=1)
    bench.submit(bench.spec())
    group = reserve(bench, cpus())
    actor = create(bench, inside(bench, group, "A", kind=Kind.ACTOR))
    call = bench.submit(bench.spec("A.f", kind=Kind.METHOD, demand=()), actor=actor)
    bench.say(m.Unreserve(group))
    assert failure(told(bench)[call]).kind is FailureKind.ACTOR_GROUP_REMOVED


def test_what_is_submitted_to_a_removed_group_ends_at_once() -> None:
    bench = Bench()
    group = reserve(bench, cpus())
    known = inside(bench, group)
    bench.say(m.Unreserve(group), m.Unreserve(group))
    unknown = inside(bench, group, "late")
    tasks = [bench.submit(known), bench.submit(unknown)]
    actor = create(bench, inside(bench, group, "A", kind=Kind.ACTOR))
    call = bench.submit(bench.spec("A.f", kind=Kind.METHOD, demand=()), actor=actor)
    errors = told(bench)
    assert {failure(errors[task]).kind for task in tasks} == {FailureKind.GROUP_REMOVED}
    assert failure(errors[call]).kind is FailureKind.ACTOR_GROUP_REMOVED


def test_group_ends_with_its_driver_and_a_detached_one_does_not() -> None:
    bench = Bench()
    other = bench.head.add_driver().number
    mine = reserve(bench, cpus(0.5))
    theirs, detached = ((other << COUNTER_BITS) + number for number in (1, 2))
    bench.say(m.Reserve(theirs, (cpus(0.5),), "PACK"), source=other)
    bench.say(m.Reserve(detached, (cpus(0.5),), "PACK", detached=True), source=other)
    task = bench.submit(inside(bench, theirs))
    bench.head.leave(other)
    check(bench.head)
    assert list(bench.head.reservations.table) == [mine, detached]
    assert failure(told(bench)[task]).kind is FailureKind.GROUP_REMOVED


def test_group_of_a_detached_actor_ends_with_it() -> None:
    bench = Bench()
    actor = create(bench, bench.spec("A", kind=Kind.ACTOR, detached=True))
    bench.done(actor, ())
    worker = bench.head.objects.table[actor].worker  # type: ignore[attr-defined]
    group = (worker.number << COUNTER_BITS) + 1
    bench.say(m.Reserve(group, (cpus(),), "PACK"), source=worker.number)
    assert placed(bench, group)
    bench.say(m.KillActor(actor))
    assert not bench.head.reservations.table


def test_group_that_a_task_has_made_outlives_the_task() -> None:
    bench = Bench()
    task = bench.submit(bench.spec())
    worker = bench.worker_of(task)
    group = (worker.number << COUNTER_BITS) + 1
    bench.say(m.Reserve(group, (cpus(),), "PACK", parent=task), source=worker.number)
    bench.done(task)
    bench.die(worker)
    assert placed(bench, group)
    assert bench.head.reservations.table[group].job == DRIVER


def test_leftover_of_a_dead_worker_makes_no_group_twice() -> None:
    bench = Bench()
    task = bench.submit(bench.spec())
    worker = bench.worker_of(task)
    group = (worker.number << COUNTER_BITS) + 1
    message = m.Reserve(group, (cpus(),), "PACK", parent=task)
    bench.say(message, source=worker.number)
    before: Reservation = bench.head.reservations.table[group]
    bench.head.handle_leftover(worker.number, [message], 0.0)
    check(bench.head)
    assert bench.head.reservations.table[group] is before


def test_removed_groups_leave_no_records_behind() -> None:
    bench = Bench()
    gc.collect()
    gc.disable()
    specs = []
    for _ in range(3):
        group = reserve(bench, cpus())
        specs.append(inside(bench, group))
        bench.done(bench.submit(specs[-1]))
        bench.submit(specs[-1])
        create(bench, inside(bench, group, "A", kind=Kind.ACTOR))
        bench.say(m.Unreserve(group))
    bench.say(*map(m.Forget, specs))
    head = bench.head
    cycles = gc.collect()
    gc.enable()
    assert cycles == 0, "the head runs without the collector"
    assert not head.reservations.table
    assert not head.reservations.claims
    assert not head.tasks.table
    assert not head.ready.active
    assert not head.ready.shapes
    assert head.ready.pool.free == head.ready.pool.capacity


# -- in company


def test_shape_that_was_parked_is_queued_like_any_other_once_its_group_is_placed() -> None:
    bench = Bench(CPU=1)
    holds = bench.submit(bench.spec())
    spec = inside(bench, reserve(bench, cpus()))
    first = bench.submit(spec)
    bench.done(holds)
    bench.done(first)
    assert bench.worker_of(bench.submit(spec)) is not None


def test_large_bundles_choose_their_devices_before_small_ones() -> None:
    bench = Bench(GPU=2)
    assert placed(bench, reserve(bench, gpus(0.4), gpus(0.5), gpus(0.5), gpus(0.6)))


def test_demand_that_is_waited_for_outside_keeps_nothing_in_a_group_from_running() -> None:
    bench = Bench(CPU=3)
    spec = inside(bench, reserve(bench, cpus()))
    bench.submit(bench.spec())
    large = bench.submit(bench.spec("large", demand=cpus(2)))
    for _ in range(2 * PATIENCE):
        bench.done(bench.submit(spec))
    assert bench.worker_of(large) is None


def test_group_is_not_placed_before_it_fits_although_nothing_else_can_start() -> None:
    bench = Bench(CPU=2)
    bench.head.workers.limit = 1
    bench.submit(bench.spec())
    bench.submit(bench.spec())
    assert not placed(bench, reserve(bench, cpus(2)))


def test_group_that_waits_is_no_victim_of_a_full_pool_of_workers() -> None:
    bench = Bench(CPU=1, GPU=1)
    bench.head.workers.limit = 1
    task = bench.submit(gpu_spec(bench, 1))
    group = reserve(bench, gpus(1))
    bench.say(m.Blocked(task, "get", finite=True), source=bench.worker_of(task).number)
    assert not placed(bench, group)
    bench.say(m.Resumed(task), source=bench.worker_of(task).number)
    bench.done(task)
    assert placed(bench, group)


def test_group_that_a_task_waits_for_goes_before_one_that_the_driver_asked_for_earlier() -> None:
    bench = Bench(CPU=1)
    task = bench.submit(bench.spec())
    worker = bench.worker_of(task)
    early = reserve(bench, cpus())
    nested = (worker.number << COUNTER_BITS) + 1
    bench.say(m.Reserve(nested, (cpus(),), "PACK", parent=task), source=worker.number)
    bench.done(task)
    assert (placed(bench, early), placed(bench, nested)) == (False, True)


def circles(bench: Bench, *, grouped: bool = False) -> list[str]:
    """Return the circles that are found when a task waits for one that needs the resource that it holds."""
    wanted = demand({"x": 1})
    outer = bench.submit(bench.spec("outer", demand=wanted))
    worker = bench.worker_of(outer)
    if grouped:
        spec = inside(bench, reserve(bench, wanted, name="a"), "inner", demand=wanted)
    else:
        spec = bench.spec("inner", demand=wanted)
    inner = bench.submit(spec, parent=outer)
    bench.say(m.Blocked(outer, "get", (inner,)), source=worker.number)
    return [message.text for message in worker.peer.outbox if isinstance(message, m.Deadlock)]


def test_circle_through_a_group_that_waits_is_found() -> None:
    (text,) = circles(Bench(CPU=1, x=1), grouped=True)
    assert "inner waits for placement group a" in text
    assert "placement group a waits for x held by outer" in text


def test_no_circle_is_proved_while_a_group_holds_what_is_needed() -> None:
    assert circles(Bench(CPU=1, x=1))
    bench = Bench(CPU=1, x=2)
    reserve(bench, demand({"x": 1}))
    assert circles(bench) == []


def test_group_that_a_task_asks_for_when_its_driver_has_left_is_not_made() -> None:
    bench = Bench()
    other = bench.head.add_driver().number
    spec, task = ((other << COUNTER_BITS) + number for number in (1, 2))
    bench.say(m.Spec(spec, Kind.TASK, "f", b"code", cpus()), m.Submit(task, spec), source=other)
    worker = bench.worker_of(task)
    bench.head.leave(other)
    group, oid = ((worker.number << COUNTER_BITS) + number for number in (1, 2))
    bench.say(m.Reserve(group, (cpus(),), "PACK"), m.AwaitReserved(oid, group, HERE), source=worker.number)
    assert not bench.head.reservations.table
    values = [message.value for message in worker.peer.outbox if isinstance(message, m.Ready)]
    assert [failure(value).kind for value in values] == [FailureKind.GROUP_REMOVED]


def test_actor_whose_last_handle_goes_with_another_one_of_its_group_ends_once() -> None:
    bench = Bench(CPU=4)
    group = reserve(bench, cpus(2))
    callee = create(bench, inside(bench, group, "A", kind=Kind.ACTOR))
    kept = create(bench, inside(bench, group, "B", kind=Kind.ACTOR))
    bench.done(kept, ())
    call = bench.submit(bench.spec("A.f", kind=Kind.METHOD, demand=()), actor=callee, refs=(kept,))
    bench.say(m.Release((kept,)))
    assert kept in bench.head.objects.table, "the call holds it"
    bench.say(m.Unreserve(group))
    assert failure(told(bench)[call]).kind is FailureKind.ACTOR_GROUP_REMOVED
    assert kept not in bench.head.objects.table
