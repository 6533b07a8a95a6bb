"""Tasks and calls with ``timeout`` and ``run_timeout``: when they end, with what, and who pays."""

from __future__ import annotations

from typing import Any

import pytest

from actorgrid.core import messages as m
from actorgrid.core.head.deadlines import GRACE
from actorgrid.core.head.effects import SignalWorker
from actorgrid.core.messages import AS_ACTOR, FailureKind, Interrupt, Kind, Ready, Status, Value
from actorgrid.wire.codec import decode_failure
from tests.core.bench import OK, Bench

CANCELLED = (Value(Status.FAILURE, b""),)


def later(bench: Bench, seconds: float) -> None:
    bench.now += seconds
    bench.say()


def outcome(bench: Bench, task: int) -> m.Failure | None:
    """The failure that the driver was told of; None if it was told nothing, or something else."""
    for message in bench.sent():
        if isinstance(message, Ready) and message.oid == task and message.value.status is Status.FAILURE:
            return decode_failure(message.value.data)
    return None


def interrupts(worker: Any) -> list[Interrupt]:
    return [message for message in worker.peer.outbox if isinstance(message, Interrupt)]


def killed(bench: Bench, worker: Any) -> bool:
    return any(isinstance(e, SignalWorker) and e.number == worker.number for e in bench.head.effects)


def actor(bench: Bench, **options: Any) -> int:
    """Create an actor that is alive; return its id."""
    spec = bench.spec("A", kind=Kind.ACTOR, num_returns=0, **options)
    ident = bench.id()
    bench.say(m.CreateActor(ident, spec))
    bench.done(ident, ())
    return ident


def method(bench: Bench, **options: Any) -> int:
    return bench.spec("A.m", kind=Kind.METHOD, method="m", demand=(), max_retries=AS_ACTOR, **options)


def test_task_that_waits_for_a_worker_ends_when_its_timeout_is_over() -> None:
    bench = Bench(CPU=1)
    first = bench.submit(bench.spec())
    late = bench.submit(bench.spec(timeout=5.0))
    later(bench, 4.9)
    assert late in bench.head.tasks.table
    later(bench, 0.1)
    failure = outcome(bench, late)
    assert failure is not None
    assert failure.kind is FailureKind.TIMED_OUT
    assert "f took longer than its timeout of 5 s and was stopped before it started" in failure.message
    bench.done(first)
    assert bench.head.next_deadline() is None


def test_task_that_waits_for_an_argument_ends_when_its_timeout_is_over() -> None:
    bench = Bench()
    first = bench.submit(bench.spec())
    late = bench.submit(bench.spec(timeout=5.0), deps=(first,), slots=(0,))
    later(bench, 5.0)
    failure = outcome(bench, late)
    assert failure is not None
    assert failure.kind is FailureKind.TIMED_OUT
    bench.done(first)


def test_running_task_is_interrupted_and_its_caller_learns_when_it_has_stopped() -> None:
    bench = Bench()
    task = bench.submit(bench.spec(timeout=5.0))
    worker = bench.worker_of(task)
    later(bench, 5.0)
    assert interrupts(worker) == [Interrupt(task, 0, deadline=True)]
    assert outcome(bench, task) is None
    bench.done(task, CANCELLED)
    failure = outcome(bench, task)
    assert failure is not None
    assert failure.kind is FailureKind.TIMED_OUT
    assert not killed(bench, worker)
    assert not len(bench.head.alarms)


def test_value_that_comes_too_late_is_not_delivered() -> None:
    bench = Bench()
    task = bench.submit(bench.spec(timeout=5.0))
    later(bench, 5.0)
    bench.done(task, OK)
    failure = outcome(bench, task)
    assert failure is not None
    assert failure.kind is FailureKind.TIMED_OUT


def test_task_that_takes_no_notice_has_its_worker_killed_after_the_grace() -> None:
    bench = Bench(CPU=1)
    task = bench.submit(bench.spec(timeout=5.0, max_retries=3))
    worker = bench.worker_of(task)
    later(bench, 5.0)
    later(bench, GRACE - 0.1)
    assert not killed(bench, worker)
    later(bench, 0.1)
    assert killed(bench, worker)
    bench.die(worker, current=task)
    failure = outcome(bench, task)
    assert failure is not None
    assert failure.kind is FailureKind.TIMED_OUT
    assert "had to be killed" in failure.message
    assert task not in bench.head.tasks.table, "an overdue task is not tried again"


def test_worker_that_dies_during_the_grace_leaves_a_timeout_behind_too() -> None:
    bench = Bench()
    task = bench.submit(bench.spec(timeout=5.0, max_retries=3))
    later(bench, 5.0)
    bench.die(bench.worker_of(task), current=0)
    failure = outcome(bench, task)
    assert failure is not None
    assert failure.kind is FailureKind.TIMED_OUT


def test_exception_that_retry_exceptions_covers_is_not_retried_once_it_is_late() -> None:
    bench = Bench()
    task = bench.submit(bench.spec(timeout=5.0, max_retries=3))
    later(bench, 5.0)
    bench.done(task, (Value(Status.ERROR, b"e"),), retry=True)
    failure = outcome(bench, task)
    assert failure is not None
    assert failure.kind is FailureKind.TIMED_OUT


def test_run_timeout_counts_from_the_start_of_each_attempt() -> None:
    bench = Bench(CPU=1)
    first = bench.submit(bench.spec())
    task = bench.submit(bench.spec(run_timeout=5.0, max_retries=1))
    later(bench, 100.0)
    bench.done(first)
    later(bench, 4.0)
    bench.die(bench.worker_of(task), current=task)
    worker = bench.worker_of(task)
    later(bench, 4.0)
    assert not interrupts(worker)
    later(bench, 1.0)
    assert interrupts(worker)
    bench.done(task, CANCELLED)
    failure = outcome(bench, task)
    assert failure is not None
    assert "ran longer than its run_timeout of 5 s" in failure.message


def test_timeout_counts_through_all_attempts() -> None:
    bench = Bench()
    task = bench.submit(bench.spec(timeout=5.0, max_retries=1))
    later(bench, 3.0)
    bench.die(bench.worker_of(task), current=task)
    later(bench, 2.0)
    assert interrupts(bench.worker_of(task))


def test_what_an_overdue_task_submitted_is_cancelled() -> None:
    bench = Bench(CPU=1)
    outer = bench.submit(bench.spec(timeout=5.0))
    inner = bench.submit(bench.spec(), parent=outer)
    later(bench, 5.0)
    failure = outcome(bench, inner)
    assert failure is not None
    assert failure.kind is FailureKind.CANCELLED


def test_tasks_with_a_deadline_are_never_sent_ahead() -> None:
    bench = Bench(CPU=1)
    spec = bench.spec(run_timeout=5.0)
    bench.done(bench.submit(spec), micros=1)
    tasks = [bench.submit(spec) for _ in range(4)]
    assert len(bench.worker_of(tasks[0]).assigned) == 1


def test_call_that_waits_for_its_actor_ends_without_harm_to_the_call_that_runs() -> None:
    bench = Bench()
    ident = actor(bench)
    running = bench.submit(method(bench), actor=ident)
    late = bench.submit(method(bench, timeout=5.0), actor=ident)
    worker = bench.worker_of(running)
    later(bench, 5.0)
    assert interrupts(worker) == [Interrupt(late, 0, deadline=True)]
    later(bench, GRACE)  # the worker does not answer: it may be stuck in C code
    assert not killed(bench, worker)
    failure = outcome(bench, late)
    assert failure is not None
    assert failure.kind is FailureKind.TIMED_OUT
    bench.say(m.Done(late, 0, CANCELLED), source=worker.number)  # it answers after all
    bench.done(running)
    assert bench.head.objects.table[ident].state == "alive"  # type: ignore[attr-defined]  # it is an Actor


@pytest.mark.parametrize("restarts", [0, 1])
def test_method_that_takes_no_notice_costs_its_actor_the_process(restarts: int) -> None:
    bench = Bench()
    ident = actor(bench, max_restarts=restarts, max_task_retries=-1)
    slow = bench.submit(method(bench, timeout=5.0), actor=ident)
    behind = bench.submit(method(bench), actor=ident)
    worker = bench.worker_of(slow)
    later(bench, 5.0)
    later(bench, GRACE)
    assert killed(bench, worker)
    bench.die(worker, current=slow)
    failure = outcome(bench, slow)
    assert failure is not None
    assert failure.kind is FailureKind.TIMED_OUT
    assert (behind in bench.head.tasks.table) == bool(restarts)


def test_call_with_a_run_timeout_is_given_to_its_actor_when_it_can_start() -> None:
    bench = Bench()
    ident = actor(bench)
    first = bench.submit(method(bench), actor=ident)
    timed = bench.submit(method(bench, run_timeout=5.0), actor=ident)
    assert bench.worker_of(timed) is None
    later(bench, 50.0)
    bench.done(first)
    worker = bench.worker_of(timed)
    later(bench, 4.9)
    assert not interrupts(worker)
    later(bench, 0.1)
    assert interrupts(worker)
    bench.done(timed, CANCELLED)


def test_timeouts_of_tasks_that_end_in_time_leave_no_alarm() -> None:
    bench = Bench()
    for _ in range(200):
        bench.done(bench.submit(bench.spec(timeout=5.0, run_timeout=1.0)))
    assert not len(bench.head.alarms)
    assert bench.head.alarms.next() is None


def test_of_several_calls_that_run_at_once_the_late_one_takes_the_process_along() -> None:
    """Which of them runs nobody outside can say: the kill names no call."""
    bench = Bench()
    ident = actor(bench, max_concurrency=2)
    slow = bench.submit(method(bench, timeout=5.0), actor=ident)
    worker = bench.worker_of(slow)
    later(bench, 5.0)
    later(bench, GRACE)
    kills = [effect for effect in bench.head.effects if isinstance(effect, SignalWorker)]
    assert [(kill.number, kill.task) for kill in kills] == [(worker.number, 0)]


def test_of_calls_that_run_one_by_one_the_late_one_alone_is_meant() -> None:
    bench = Bench()
    ident = actor(bench)
    slow = bench.submit(method(bench, timeout=5.0), actor=ident)
    worker = bench.worker_of(slow)
    later(bench, 5.0)
    later(bench, GRACE)
    kills = [effect for effect in bench.head.effects if isinstance(effect, SignalWorker)]
    assert [(kill.number, kill.task) for kill in kills] == [(worker.number, slow)]
