"""What a worker had not started when it blocked, went silent or died, one rule at a time."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from actorgrid.core import messages as m
from actorgrid.core.head.check import check
from actorgrid.core.head.effects import SignalWorker, SpawnWorker
from actorgrid.core.head.records import Actor
from actorgrid.core.head.refusals import TRY_AGAIN
from actorgrid.core.ids import COUNTER_BITS, DRIVER, MAX_CLIENTS
from actorgrid.core.messages import FailureKind, Kind, Status, Value
from actorgrid.core.resources import demand
from actorgrid.core.states import ActorState
from actorgrid.exceptions import InternalError
from tests.core.bench import Bench


def with_tasks_ahead(bench: Bench) -> tuple[Any, list[int]]:
    """Return a worker and its tasks: the first runs, the others wait behind it."""
    spec = bench.spec()
    bench.done(bench.submit(spec), micros=1)
    first, *tasks = [bench.submit(spec) for _ in range(4)]
    bench.done(first, micros=1)
    worker = bench.worker_of(tasks[0])
    assert list(worker.assigned) == tasks
    return worker, tasks


def actor_with_calls(bench: Bench, count: int) -> tuple[Any, list[int]]:
    actor = bench.id()
    bench.say(m.CreateActor(actor, bench.spec("A", kind=Kind.ACTOR)))
    bench.done(actor, ())
    method = bench.spec("A.f", kind=Kind.METHOD, demand=())
    calls = [bench.submit(method, actor=actor) for _ in range(count)]
    return bench.worker_of(calls[0]), calls


def test_tasks_behind_one_that_blocks_start_elsewhere_in_their_order() -> None:
    bench = Bench(CPU=1)
    worker, (blocks, *behind) = with_tasks_ahead(bench)
    bench.say(m.Blocked(blocks, "get", unstarted=tuple(behind)), source=worker.number)
    assert list(worker.assigned) == [blocks]
    assert bench.worker_of(behind[0]) not in (None, worker)
    moved = [bench.head.tasks.table[task] for task in behind]
    assert [(task.attempt, task.tried) for task in moved] == [(1, 0), (1, 0)]  # people are told of those that began


def test_only_what_the_worker_hands_back_is_taken_from_it() -> None:
    bench = Bench(CPU=1)
    worker, (blocks, kept, back) = with_tasks_ahead(bench)
    bench.say(m.Blocked(blocks, "get", unstarted=(back,)), source=worker.number)
    assert list(worker.assigned) == [blocks, kept]


def test_silent_actor_with_calls_in_flight_is_asked_for_what_it_has_and_keeps_its_calls() -> None:
    bench = Bench()
    worker, (first, *others) = actor_with_calls(bench, 3)
    bench.done(first)
    deadline = bench.head.next_deadline()
    assert deadline is not None
    bench.now = deadline + 0.001
    bench.head.turn(bench.now)
    assert m.Revoke(()) in worker.peer.outbox
    assert list(worker.assigned) == others


def test_actor_with_one_call_left_is_not_asked() -> None:
    bench = Bench()
    worker, (first, _) = actor_with_calls(bench, 2)
    bench.done(first)
    bench.now = 1000.0
    bench.head.turn(bench.now)
    assert not [message for message in worker.peer.outbox if isinstance(message, m.Revoke)]


# What a worker leaves in the memory that outlives it may be known already: the frame may have been sent before it died.


def spoken(bench: Bench) -> tuple[Any, int, list[Any]]:
    """Return a worker, its task, and what it says while it runs it: a spec, a call of it, a stored value."""
    task = bench.submit(bench.spec(max_retries=0))
    worker = bench.worker_of(task)
    base = worker.number << COUNTER_BITS
    said = [
        m.Export(b"inner", "g", Value(Status.OK, b"x")),
        m.Spec(base + 1, Kind.TASK, "g", b"inner"),
        m.Submit(base + 2, base + 1, parent=task),
        m.Put(base + 3, Value(Status.OK, b"v")),
    ]
    return worker, task, said


def test_leftover_that_was_not_heard_before_counts(bench: Bench) -> None:
    worker, task, said = spoken(bench)
    bench.head.handle_leftover(worker.number, [*said, m.Done(task, 0, (Value(Status.OK, b"r"),), 1)], 0.0)
    assert said[2].task in bench.head.tasks.table
    assert said[3].oid in bench.head.objects.table
    assert Value(Status.OK, b"r") in [message.value for message in bench.sent() if isinstance(message, m.Ready)]


def test_leftover_that_was_heard_before_is_not_taken_twice(bench: Bench) -> None:
    worker, _, said = spoken(bench)
    bench.say(*said, source=worker.number)
    inner = bench.head.tasks.table[said[2].task]
    stored = bench.head.objects.table[said[3].oid]
    spec = worker.peer.specs[said[1].spec]
    bench.head.handle_leftover(worker.number, said, 0.0)
    assert bench.head.tasks.table[said[2].task] is inner
    assert bench.head.objects.table[said[3].oid] is stored
    assert worker.peer.specs[said[1].spec] is spec
    assert bench.head.tasks.count == 2


def test_leftover_of_a_worker_that_is_gone_is_not_heard(bench: Bench) -> None:
    worker, _, said = spoken(bench)
    bench.die(worker)
    bench.head.handle_leftover(worker.number, said, 0.0)
    assert said[2].task not in bench.head.tasks.table


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_grid_counts_the_workers_that_it_has_ordered(bench: Bench) -> None:
    task = bench.submit(bench.spec(max_retries=1))
    bench.die(bench.worker_of(task), current=task)
    bench.say(m.Query(1, "stats", {}), source=DRIVER)
    (answer,) = [message for message in bench.sent() if isinstance(message, m.Answer)]
    ordered = [effect for effect in bench.head.effects if isinstance(effect, SpawnWorker)]
    assert answer.body["spawned"] == len(ordered) > 1


def test_actor_whose_worker_dies_before_the_constructor_begins_is_placed_anew_free_of_charge() -> None:
    bench = Bench()
    actor = bench.id()
    bench.say(m.CreateActor(actor, bench.spec("A", kind=Kind.ACTOR, num_returns=0, max_restarts=0)))
    for _ in range(2):
        bench.die(bench.worker_of(actor), current=0)
        assert bench.worker_of(actor) is not None
    bench.done(actor, ())
    assert bench.head.objects.table[actor].state == "alive"  # type: ignore[attr-defined]  # it is an Actor


def test_actor_whose_every_worker_dies_before_the_constructor_begins_dies() -> None:
    bench = Bench()
    actor = bench.id()
    bench.say(m.CreateActor(actor, bench.spec("A", kind=Kind.ACTOR, num_returns=0, max_restarts=0)))
    for _ in range(3):
        bench.die(bench.worker_of(actor), current=0)
    assert bench.head.objects.table[actor].state == "dead"  # type: ignore[attr-defined]  # it is an Actor


def refuse(bench: Bench, worker: Any) -> None:
    """The system does not allow the process of ``worker``."""
    bench.head.hear_launcher(m.SpawnFailed(worker.number, "no more"), bench.now)
    check(bench.head)
    bench.head.turn(bench.now)
    check(bench.head)


def test_task_whose_worker_is_refused_runs_on_another_one_free_of_charge() -> None:
    bench = Bench()
    first, second = bench.submit(bench.spec()), bench.submit(bench.spec())
    for _ in range(5):
        refuse(bench, bench.worker_of(second))
        assert bench.worker_of(second) is None, "the pool does not grow now"
        bench.now += TRY_AGAIN
        bench.head.turn(bench.now)
    refuse(bench, bench.worker_of(second))
    worker = bench.worker_of(first)
    bench.done(first)
    assert bench.worker_of(second) is worker


def test_task_for_which_there_is_no_worker_at_all_fails_with_what_is_needed() -> None:
    bench = Bench()
    task = bench.submit(bench.spec(max_retries=-1))
    for _ in range(20):
        for worker in list(bench.head.workers.table.values()):
            refuse(bench, worker)
        bench.now += TRY_AGAIN
        bench.head.turn(bench.now)
        if task not in bench.head.tasks.table:
            break
    (ready,) = [message for message in bench.sent() if isinstance(message, m.Ready)]
    failure = msgspec.msgpack.decode(ready.value.data, type=m.Failure)
    assert failure.kind is FailureKind.RESOURCE_LIMIT
    assert "the system allows no further worker (no more); there are 0, and one more is needed" in failure.message


def test_pool_grows_again_when_the_system_allows_it() -> None:
    bench = Bench()
    tasks = [bench.submit(bench.spec()) for _ in range(2)]
    refuse(bench, bench.worker_of(tasks[1]))
    bench.now += TRY_AGAIN
    bench.head.turn(bench.now)
    assert bench.worker_of(tasks[1]) is not None
    bench.done(tasks[1])
    bench.now += TRY_AGAIN
    bench.head.turn(bench.now)
    assert bench.head.workers.limit == bench.head.workers.most


def test_actor_that_cannot_get_a_process_is_dead_and_says_why() -> None:
    bench = Bench()
    bench.submit(bench.spec())
    actor = bench.id()
    bench.say(m.CreateActor(actor, bench.spec("A", kind=Kind.ACTOR, num_returns=0, max_restarts=-1)))
    for _ in range(10):
        for worker in list(bench.head.workers.table.values()):
            if not worker.assigned or worker.actor is not None:
                refuse(bench, worker)
        bench.now += TRY_AGAIN
        bench.head.turn(bench.now)
    held = bench.head.objects.table[actor]
    assert isinstance(held, Actor)
    assert held.state is ActorState.DEAD
    assert held.death is not None
    assert b"A cannot start: the system allows no further worker" in held.death.data
    assert bench.head.actors.placed_count == 0


def test_worker_without_a_thread_was_not_started() -> None:
    bench = Bench()
    first, second = bench.submit(bench.spec()), bench.submit(bench.spec(max_retries=0))
    number = bench.worker_of(second).number
    bench.head.hear_launcher(m.Exited(number, 7, m.NO_THREAD), bench.now)
    check(bench.head)
    bench.done(first)
    assert second in bench.head.tasks.table


def test_worker_that_leaves_has_so_long_for_its_last_words() -> None:
    bench = Bench()
    actor = bench.id()
    bench.say(m.CreateActor(actor, bench.spec("A", kind=Kind.ACTOR, num_returns=0)))
    worker = bench.worker_of(actor)
    bench.done(actor, ())
    bench.say(m.Release((actor,)))
    bench.head.effects.clear()
    bench.now += bench.head.config.farewell
    bench.head.turn(bench.now)
    assert bench.head.effects == [SignalWorker(worker.number, 9)]


def test_process_that_is_gone_is_no_longer_among_those_that_drivers_would_kill() -> None:
    bench = Bench()
    task = bench.submit(bench.spec(max_retries=0))
    worker = bench.worker_of(task)
    bench.head.hear_launcher(m.Spawned(worker.number, 4711), bench.now)
    bench.sent()
    bench.die(worker, current=task)
    assert m.Group(4711, alive=False) in bench.sent()


def test_worker_that_has_left_in_time_leaves_no_alarm() -> None:
    bench = Bench()
    actor = bench.id()
    bench.say(m.CreateActor(actor, bench.spec("A", kind=Kind.ACTOR, num_returns=0)))
    worker = bench.worker_of(actor)
    bench.done(actor, ())
    bench.say(m.Release((actor,)))
    assert len(bench.head.alarms) == 1
    bench.head.hear_launcher(m.Exited(worker.number, 7, 0), bench.now)
    assert len(bench.head.alarms) == 0


def test_actor_for_which_a_full_pool_of_waiting_workers_has_no_place_is_dead_and_not_forgotten() -> None:
    bench = Bench()
    bench.head.workers.limit = bench.head.workers.most = 1
    outer = bench.submit(bench.spec())
    worker = bench.worker_of(outer)
    actor = bench.id()
    bench.say(m.CreateActor(actor, bench.spec("A", kind=Kind.ACTOR, num_returns=0)))
    call = bench.submit(bench.spec("method", kind=Kind.METHOD, demand=()), actor=actor)
    bench.say(m.Blocked(outer, "get", (call,)), source=worker.number)
    held = bench.head.objects.table[actor]
    assert isinstance(held, Actor)
    assert held.death is not None
    assert b"A cannot start: all 1 workers wait for other tasks" in held.death.data


def test_task_that_others_wait_for_and_that_is_refused_its_worker_fails() -> None:
    bench = Bench()
    outer = bench.submit(bench.spec())
    worker = bench.worker_of(outer)
    inner = bench.submit(bench.spec("g"))
    bench.say(m.Blocked(outer, "get", (inner,)), source=worker.number)
    for _ in range(20):
        for other in list(bench.head.workers.table.values()):
            if other is not worker:
                refuse(bench, other)
        bench.now += TRY_AGAIN
        bench.head.turn(bench.now)
        if inner not in bench.head.tasks.table:
            return
    raise AssertionError("it waits for ever")


def test_worker_forgets_code_that_is_gone_though_the_spec_by_which_it_was_taught_went_before() -> None:
    bench = Bench(CPU=2)
    early, late = bench.id(), bench.id()
    bench.say(m.Export(b"once", "g", Value(Status.OK, b"x")))
    for spec in (early, late):
        bench.say(m.Spec(spec, Kind.TASK, "g", b"once", demand({"CPU": 1})))
    task = bench.submit(early)
    worker = bench.worker_of(task)
    bench.done(task)
    bench.say(m.Forget(early))
    assert b"once" in worker.codes
    worker.outbox.clear()
    bench.say(m.Forget(late))
    assert b"once" not in worker.codes
    assert [one.digests for one in worker.outbox if isinstance(one, m.Unlearn)] == [(b"once",)]


# A call that is to end comes back from its worker: what told the worker so may have crossed that on its way.


def kinds_of_failures(bench: Bench) -> dict[int, FailureKind]:
    """Return how the calls ended of whose failure the driver was told."""
    said = [message for message in bench.sent() if isinstance(message, m.Ready)]
    failed = [message for message in said if message.value.status is Status.FAILURE]
    return {message.oid: msgspec.msgpack.decode(message.value.data, type=m.Failure).kind for message in failed}


def test_cancelled_task_that_its_worker_hands_back_does_not_run() -> None:
    bench = Bench(CPU=1)
    worker, (first, second, *_) = with_tasks_ahead(bench)
    bench.say(m.Cancel(second, force=False, recursive=False))
    bench.say(m.Revoked((second,)), source=worker.number)
    assert kinds_of_failures(bench) == {second: FailureKind.CANCELLED}
    assert first in bench.head.tasks.table
    check(bench.head)


def test_cancelled_task_that_a_blocked_worker_hands_back_does_not_run() -> None:
    bench = Bench(CPU=1)
    worker, (first, second, *_) = with_tasks_ahead(bench)
    bench.say(m.Cancel(second, force=False, recursive=False))
    bench.say(m.Blocked(first, "get", (), (second,)), source=worker.number)
    assert kinds_of_failures(bench) == {second: FailureKind.CANCELLED}
    check(bench.head)


def test_overdue_task_whose_worker_cannot_be_started_does_not_run(bench: Bench) -> None:
    task = bench.submit(bench.spec(timeout=5.0))
    worker = bench.worker_of(task)
    bench.now = 5.1
    bench.head.turn(bench.now)
    bench.head.hear_launcher(m.SpawnFailed(worker.number, "no memory"), bench.now)
    assert kinds_of_failures(bench) == {task: FailureKind.TIMED_OUT}
    check(bench.head)


def test_cancelled_task_whose_worker_cannot_be_started_does_not_run(bench: Bench) -> None:
    task = bench.submit(bench.spec())
    worker = bench.worker_of(task)
    bench.say(m.Cancel(task, force=False, recursive=False))
    bench.head.hear_launcher(m.SpawnFailed(worker.number, "no memory"), bench.now)
    assert kinds_of_failures(bench) == {task: FailureKind.CANCELLED}
    check(bench.head)


def test_overdue_call_of_an_actor_that_dies_and_restarts_has_taken_too_long(bench: Bench) -> None:
    actor = bench.id()
    bench.say(m.CreateActor(actor, bench.spec("A", kind=Kind.ACTOR, max_restarts=1)))
    bench.done(actor, ())
    call = bench.submit(bench.spec("A.f", kind=Kind.METHOD, demand=(), timeout=5.0, max_retries=1), actor=actor)
    bench.now = 5.1
    bench.head.turn(bench.now)
    bench.die(bench.worker_of(call), current=call)
    assert kinds_of_failures(bench) == {call: FailureKind.TIMED_OUT}


def test_worker_that_has_lost_its_link_and_is_stopped_meanwhile_is_killed_when_it_goes_on(bench: Bench) -> None:
    worker = bench.worker_of(bench.submit(bench.spec()))
    bench.head.hear_launcher(m.LinkLost(worker.number), bench.now)
    bench.head.hear_launcher(m.Stopped(worker.number, stopped=True), bench.now)
    bench.now = 2.0
    bench.head.turn(bench.now)
    bench.head.hear_launcher(m.Stopped(worker.number, stopped=False), bench.now)
    bench.now = 5.0
    bench.head.turn(bench.now)
    killed = [effect.number for effect in bench.head.effects if isinstance(effect, SignalWorker)]
    assert killed == [worker.number]


def test_grid_that_has_no_more_numbers_for_processes_says_so(bench: Bench) -> None:
    bench.head._last_peer = MAX_CLIENTS - 1
    with pytest.raises(InternalError, match=f"this grid has started {MAX_CLIENTS:,} processes; start a new one"):
        bench.head.next_peer()


def test_actor_that_ends_itself_has_so_long_for_its_last_words_as_one_that_is_let_go(bench: Bench) -> None:
    worker, (first, second) = actor_with_calls(bench, 2)
    bench.say(m.Exiting("exit_actor()"), source=worker.number)
    bench.now = 100.0
    bench.say(m.Parting(), source=worker.number)
    bench.now = 100.0 + bench.head.config.farewell - 0.1
    bench.head.turn(bench.now)
    assert not [effect for effect in bench.head.effects if isinstance(effect, SignalWorker)]
    bench.now += 0.2
    bench.head.turn(bench.now)
    assert [effect.number for effect in bench.head.effects if isinstance(effect, SignalWorker)] == [worker.number]
    bench.die(worker)
    assert kinds_of_failures(bench) == {first: FailureKind.ACTOR_DIED, second: FailureKind.ACTOR_DIED}


def test_actor_that_ends_itself_has_all_the_time_it_needs_for_calls_that_still_run(bench: Bench) -> None:
    worker, _ = actor_with_calls(bench, 2)
    bench.say(m.Exiting("exit_actor()"), source=worker.number)
    bench.now = 1000.0
    bench.head.turn(bench.now)
    assert not [effect for effect in bench.head.effects if isinstance(effect, SignalWorker)]


def test_worker_whose_call_ends_it_has_so_long_for_its_last_words(bench: Bench) -> None:
    worker = bench.worker_of(bench.submit(bench.spec()))
    bench.say(m.Parting(), source=worker.number)
    bench.now = bench.head.config.farewell - 0.1
    bench.head.turn(bench.now)
    assert not [effect for effect in bench.head.effects if isinstance(effect, SignalWorker)]
    bench.now += 0.2
    bench.head.turn(bench.now)
    assert [effect.number for effect in bench.head.effects if isinstance(effect, SignalWorker)] == [worker.number]
