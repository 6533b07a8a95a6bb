"""The settled rules that are easiest to get wrong, one by one, on a head without processes."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from actorgrid.core import messages as m
from actorgrid.core.head.effects import DropSegment, PunchExtent, ShowSegment, SignalWorker, SpawnWorker
from actorgrid.core.head.machine import Head
from actorgrid.core.head.ready import PATIENCE
from actorgrid.core.messages import Extent, Kind, Status, Value
from actorgrid.core.resources import demand
from tests.core.bench import BUDGET, OK, Bench


def running(bench: Bench) -> list[int]:
    return [task for task, record in bench.head.tasks.table.items() if record.worker is not None]


def test_deeper_tasks_start_before_older_ones() -> None:
    bench = Bench(CPU=1)
    spec = bench.spec()
    outer = bench.submit(spec)
    older = bench.submit(spec)
    worker = bench.worker_of(outer)
    inner = bench.submit(spec, parent=outer)
    bench.say(m.Blocked(outer, "get"), source=worker.number)
    assert bench.worker_of(inner) is not None
    assert bench.worker_of(older) is None


def test_smaller_priority_starts_first() -> None:
    bench = Bench(CPU=1)
    first = bench.submit(bench.spec())
    late, urgent = bench.submit(bench.spec(priority=5)), bench.submit(bench.spec(priority=-5))
    bench.done(first)
    assert running(bench) == [urgent]
    assert late in bench.head.tasks.table


def test_large_task_is_overtaken_only_so_often() -> None:
    bench = Bench(CPU=2)
    small, large = bench.spec(), bench.spec("large", demand=demand({"CPU": 2}))
    current = [bench.submit(small), bench.submit(small)]
    big = bench.submit(large)
    waiting = [bench.submit(small) for _ in range(3 * PATIENCE)]
    overtaken = 0
    while bench.worker_of(big) is None:
        bench.done(current.pop(0))
        current = [task for task in running(bench) if task != big]
        overtaken += 1
        assert overtaken <= PATIENCE + 5
    assert len([task for task in waiting if task in bench.head.tasks.table]) > PATIENCE


def test_parent_and_child_number_are_those_of_the_submission_in_every_attempt() -> None:
    bench = Bench()
    outer = bench.submit(bench.spec(max_retries=1))
    inner = bench.submit(bench.spec(max_retries=1), parent=outer, nth=7)
    record = bench.head.tasks.table[inner]
    bench.die(record.worker, current=inner)
    assert (record.message.parent, record.message.nth, record.attempt) == (outer, 7, 1)


def test_only_the_running_task_is_charged_for_a_crash() -> None:
    bench = Bench(CPU=1)
    spec = bench.spec(max_retries=1)
    bench.done(bench.submit(spec), micros=1)
    tasks = [bench.submit(spec) for _ in range(4)]
    bench.done(tasks[0], micros=1)
    worker = bench.worker_of(tasks[1])
    assert len(worker.assigned) > 1, "nothing was sent ahead"
    bench.die(worker, current=tasks[1])
    assert [bench.head.tasks.table[task].retries for task in tasks[1:]] == [0, 1, 1]


def test_result_of_an_attempt_that_is_no_longer_current_is_dropped() -> None:
    bench = Bench()
    task = bench.submit(bench.spec(max_retries=1))
    record = bench.head.tasks.table[task]
    bench.die(record.worker, current=task)
    assert record.attempt == 1
    bench.say(m.Done(task, 0, OK), source=bench.worker_of(task).number)
    assert task in bench.head.tasks.table


def test_release_that_crosses_a_value_in_flight_frees_nothing() -> None:
    bench = Bench()
    inside, outside = bench.id(), bench.id()
    bench.say(m.Put(inside, Value(Status.OK, b"1")))
    bench.say(m.Put(outside, Value(Status.OK, b"2", None, (inside,))))
    bench.say(m.Subscribe((outside,)))  # the head grants ``inside`` a second time with this answer
    bench.say(m.Release((inside,)))  # said before the answer came
    assert inside in bench.head.objects.table
    bench.say(m.Release((outside,)))
    assert inside in bench.head.objects.table
    bench.say(m.Release((inside,)))
    assert not bench.head.objects.table


def test_client_that_reads_slowly_is_owed_its_results_and_gets_them_when_it_reads() -> None:
    bench = Bench()
    bench.driver.congested = True
    tasks = [bench.submit(bench.spec()) for _ in range(2)]
    large = (Value(Status.OK, b"x" * 10_000),)
    bench.done(tasks[0], large)
    bench.done(tasks[1], OK)
    assert [message.oid for message in bench.sent() if isinstance(message, m.Ready)] == [tasks[1]], "only tiny ones go"
    bench.head.objects.drained(bench.driver)
    assert [message.oid for message in bench.sent() if isinstance(message, m.Ready)] == [tasks[0]]
    assert not bench.driver.congested


def test_owed_result_that_was_released_meanwhile_is_not_sent() -> None:
    bench = Bench()
    bench.driver.congested = True
    task = bench.submit(bench.spec())
    bench.done(task, (Value(Status.OK, b"x" * 10_000),))
    bench.say(m.Release((task,)))
    bench.head.objects.drained(bench.driver)
    assert not [message for message in bench.sent() if isinstance(message, m.Ready)]


def test_lease_beyond_the_budget_is_refused_with_the_figures() -> None:
    bench = Bench()
    bench.say(m.LeaseRequest(1, BUDGET // 2), m.LeaseRequest(2, BUDGET))
    first, second = (message for message in bench.sent() if isinstance(message, m.Answer))
    assert first.body["granted"] >= BUDGET // 2
    assert str(BUDGET) in second.error


def test_objects_of_a_dead_writer_stay_and_its_unused_lease_is_free() -> None:
    bench = Bench()
    task = bench.submit(bench.spec(max_retries=0))
    worker = bench.worker_of(task)
    segment, extent = 99, Extent(99, 0, 1000)
    bench.say(m.LeaseRequest(1, 5000), m.NewSegment(segment, 1 << 20), source=worker.number)
    bench.say(m.Done(task, 0, (Value(Status.OK, b"", extent),), 5000), source=worker.number)
    bench.die(worker)
    assert bench.head.memory.leased == bench.head.memory.orphaned == 1000
    bench.head.effects.clear()
    bench.say(m.Release((task,)))
    assert bench.head.memory.leased == 0
    assert [effect for effect in bench.head.effects if isinstance(effect, DropSegment | PunchExtent)] == [
        DropSegment(segment)
    ]


def test_freed_extent_goes_back_to_a_writer_that_lives() -> None:
    bench = Bench()
    oid, extent = bench.id(), Extent(5, 0, 4096)
    bench.say(m.LeaseRequest(1, 8192), m.NewSegment(5, 1 << 20), m.Put(oid, Value(Status.OK, b"", extent)))
    bench.sent()
    bench.say(m.Release((oid,)))
    assert m.Freed((extent,)) in bench.sent()


def test_forced_cancel_kills_the_worker_and_fails_the_task_as_cancelled() -> None:
    bench = Bench()
    task = bench.submit(bench.spec(max_retries=3))
    worker = bench.worker_of(task)
    bench.head.effects.clear()
    bench.say(m.Cancel(task, True))
    assert SignalWorker(worker.number, 9, task) in bench.head.effects
    bench.die(worker, current=task)
    (ready,) = (message for message in bench.sent() if isinstance(message, m.Ready))
    assert "cancelled" in Head.failure_of(ready.value).message


def test_forced_cancel_hits_nobody_else_and_is_tried_again_until_the_task_is_over() -> None:
    bench = Bench(CPU=1)
    task = bench.submit(bench.spec())
    worker = bench.worker_of(task)
    bench.say(m.Cancel(task, True))
    bench.head.effects.clear()
    bench.head.hear_launcher(m.Spared(worker.number, task), bench.now)  # it has not begun
    assert any(isinstance(message, m.Interrupt) for message in worker.peer.outbox)
    bench.now += 0.05
    bench.say()
    assert bench.head.effects == [SignalWorker(worker.number, 9, task)]
    bench.head.hear_launcher(m.Spared(worker.number, task), bench.now)
    bench.done(task)  # too late: it was cancelled by force
    assert bench.head.tasks.table == {}
    bench.now += 0.05
    bench.say()
    assert not len(bench.head.alarms)
    other = bench.submit(bench.spec())
    bench.die(worker, current=other)  # later, by something else: the reason of the kill is not told
    [failure] = [one for one in bench.sent() if isinstance(one, m.Ready) and one.oid == other]
    assert b"SIGKILL" in failure.value.data


def test_worker_that_dies_before_its_first_word_is_no_fault_of_its_task_twice() -> None:
    bench = Bench()
    task = bench.submit(bench.spec(max_retries=0))
    for _ in range(2):
        bench.die(bench.worker_of(task))
        assert task in bench.head.tasks.table
    bench.die(bench.worker_of(task))
    assert task not in bench.head.tasks.table


def test_pool_stops_replacing_workers_that_die_at_birth() -> None:
    bench = Bench()
    bench.head.workers.prestart(2)
    for _ in range(20):
        workers = list(bench.head.workers.table.values())
        if not workers:
            break
        bench.die(workers[0])
    assert not bench.head.workers.table
    assert len([effect for effect in bench.head.effects if isinstance(effect, SpawnWorker)]) <= 6


def test_silent_worker_with_tasks_ahead_is_asked_to_hand_them_back() -> None:
    bench = Bench(CPU=1)
    spec = bench.spec()
    bench.done(bench.submit(spec), micros=1)
    tasks = [bench.submit(spec) for _ in range(4)]
    bench.done(tasks[0], micros=1)
    worker = bench.worker_of(tasks[1])
    deadline = bench.head.next_deadline()
    assert deadline is not None
    bench.now = deadline + 0.001
    bench.head.turn(bench.now)
    assert m.Revoke(tuple(tasks[2:])) in worker.peer.outbox
    bench.say(m.Revoked(tuple(tasks[2:])), source=worker.number)
    assert list(worker.assigned) == [tasks[1]]


def test_worker_that_hands_nothing_back_is_asked_again_after_ever_longer_times() -> None:
    bench = Bench(CPU=1)
    bench.done(bench.submit(bench.spec()), micros=1)
    tasks = [bench.submit(bench.spec()) for _ in range(4)]
    bench.done(tasks[0], micros=1)
    worker = bench.worker_of(tasks[1])
    bench.say(m.Blocked(tasks[1], "get"), source=worker.number)  # what was on its way to it is not there yet
    asked = []
    for _ in range(10_000):
        bench.now += 0.001
        bench.send_all()
        bench.head.turn(bench.now)
        asked += [bench.now for message in worker.peer.outbox if isinstance(message, m.Revoke)]
    pauses = [later - earlier for earlier, later in itertools.pairwise(asked)]
    assert len(asked) > 5
    assert pauses == sorted(pauses)
    bench.say(m.Revoked(tuple(tasks[2:])), source=worker.number)
    for task in tasks[1:]:
        bench.done(task)
    bench.now += 10
    bench.head.turn(bench.now)
    assert not len(bench.head.alarms)


def test_idle_grid_has_no_deadline() -> None:
    bench = Bench()
    bench.head.workers.prestart(2)
    bench.say()
    assert bench.head.next_deadline() is None


def test_impossible_transition_tells_the_story_of_its_record() -> None:
    bench = Bench()
    task = bench.submit(bench.spec(max_retries=1))
    record = bench.head.tasks.table[task]
    bench.die(record.worker, current=task)
    with pytest.raises(Exception, match="retry") as caught:
        bench.head.step_task(record, m_input("args ready"))
    assert "InternalError" in type(caught.value).__name__


def m_input(value: str) -> Any:
    from actorgrid.core.states import TaskInput

    return TaskInput(value)


def test_descriptor_of_a_segment_goes_over_each_link_that_mentions_it() -> None:
    bench = Bench(CPU=1)
    oid, extent = bench.id(), Extent(5, 0, 4096)
    bench.say(m.LeaseRequest(1, 8192), m.NewSegment(5, 1 << 20), m.Put(oid, Value(Status.OK, b"", extent)))
    task = bench.submit(bench.spec(), deps=(oid,), slots=(0,), refs=(oid,))
    worker = bench.worker_of(task)
    bench.say(m.Subscribe((oid,)), source=worker.number)
    shown = [effect for effect in bench.head.effects if isinstance(effect, ShowSegment)]
    assert sorted(effect.reply_link for effect in shown) == [False, True]
    assert {effect.number for effect in shown} == {worker.number}


def test_calls_in_flight_to_a_synchronous_actor_are_bounded_by_their_bytes() -> None:
    bench = Bench()
    actor = bench.id()
    spec = bench.spec("A", kind=Kind.ACTOR)
    bench.say(m.CreateActor(actor, spec))
    bench.done(actor, ())
    method = bench.spec("A.f", kind=Kind.METHOD, demand=())
    calls = [bench.submit(method, args=b"x" * (50 << 10), actor=actor) for _ in range(6)]
    tasks = bench.head.tasks.table
    assert [tasks[call].worker is not None for call in calls] == [True, True, True, False, False, False]
    bench.done(calls[0])
    assert [call for call in calls if call in tasks and tasks[call].worker is not None] == calls[1:4]


def test_call_larger_than_what_may_be_in_flight_goes_alone() -> None:
    bench = Bench()
    actor = bench.id()
    bench.say(m.CreateActor(actor, bench.spec("A", kind=Kind.ACTOR)))
    bench.done(actor, ())
    method = bench.spec("A.f", kind=Kind.METHOD, demand=())
    calls = [bench.submit(method, args=b"x" * (300 << 10), actor=actor) for _ in range(2)]
    tasks = bench.head.tasks.table
    assert [tasks[call].worker is not None for call in calls] == [True, False]


def killed_to_restart() -> tuple[Bench, int, int, int, Any]:
    """Return a bench, an actor that is being killed and may restart, its method, the call that runs, and the worker."""
    bench = Bench()
    actor, spec, method = bench.id(), bench.spec("A", kind=Kind.ACTOR, num_returns=0, max_restarts=1), bench.id()
    bench.say(m.CreateActor(actor, spec), m.Spec(method, Kind.METHOD, "f"))
    bench.done(actor, ())
    call = bench.submit(method, actor=actor)
    worker = bench.worker_of(call)
    bench.say(m.KillActor(actor, no_restart=False))
    return bench, actor, method, call, worker


def test_error_after_kill_with_restart_says_that_it_was_kill_and_not_the_kernel() -> None:
    bench, _, _, call, worker = killed_to_restart()
    bench.die(worker, current=call)
    (answer,) = [message for message in bench.sent() if isinstance(message, m.Ready)]
    assert b"was killed by kill()" in answer.value.data
    assert b"kernel" not in answer.value.data


def test_call_after_a_kill_with_restart_waits_for_the_next_incarnation() -> None:
    bench, actor, method, before, worker = killed_to_restart()
    after = bench.submit(method, actor=actor)
    assert bench.worker_of(after) is None
    bench.die(worker)
    assert [message.oid for message in bench.sent() if isinstance(message, m.Ready)] == [before]
    bench.done(actor, ())
    assert bench.worker_of(after) not in (None, worker)


def test_kill_with_restart_is_charged_though_the_constructor_has_not_begun() -> None:
    bench = Bench()
    actor, spec = bench.id(), bench.spec("A", kind=Kind.ACTOR, num_returns=0, max_restarts=2)
    bench.say(m.CreateActor(actor, spec))
    bench.say(m.KillActor(actor, no_restart=False))
    bench.die(bench.worker_of(actor))
    held: Any = bench.head.objects.table[actor]
    assert (held.restarts, held.incarnation) == (1, 1)
