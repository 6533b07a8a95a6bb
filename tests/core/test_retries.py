"""When something is tried again, how long it rests before, and when it is not tried again at all."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actorgrid.core import messages as m
from actorgrid.core.head.backoff import FIRST, LONGEST, Backoff
from actorgrid.core.head.effects import SignalWorker
from actorgrid.core.head.explain import explain
from actorgrid.core.head.records import Actor
from actorgrid.core.messages import Kind, Notice, Ready, Status, Value
from actorgrid.core.signals import SIGKILL, describe
from actorgrid.core.states import TaskState
from actorgrid.wire.codec import decode_failure
from tests.core.bench import Bench

ERROR = (Value(Status.ERROR, b"e"),)


def later(bench: Bench, seconds: float) -> None:
    bench.now += seconds
    bench.say()


def crash(bench: Bench, task: int, seconds: float = 0.5) -> None:
    """The worker that runs ``task`` dies of it, after so many seconds."""
    bench.now += seconds
    worker = bench.worker_of(task)
    worker.pid = 7
    bench.die(worker, current=task)


def crashed(attempt: int) -> str:
    """Return what is told of such an attempt."""
    return f"attempt {attempt}: pid 7 {describe(-SIGKILL)} after 0.50 s"


def state(bench: Bench, task: int) -> TaskState:
    return bench.head.tasks.table[task].state


@given(st.integers(0, 2**64), st.integers(2, 100))
def test_pauses_double_up_to_the_longest_and_are_shortened_by_at_most_a_half(seed: int, failures: int) -> None:
    pause = Backoff(seed).pause(failures)
    full = min(FIRST * 2.0 ** (failures - 2), LONGEST)
    assert full / 2 <= pause <= full


def test_pauses_of_one_seed_are_equal_and_of_two_are_not() -> None:
    one, same, other = Backoff(1), Backoff(1), Backoff(2)
    pauses = [one.pause(5) for _ in range(10)]
    assert pauses == [same.pause(5) for _ in range(10)]
    assert pauses != [other.pause(5) for _ in range(10)]
    assert len(set(pauses)) == 10


def test_first_retry_comes_at_once_and_the_second_after_a_rest() -> None:
    bench = Bench()
    task = bench.submit(bench.spec(max_retries=3))
    crash(bench, task)
    assert state(bench, task) is TaskState.ASSIGNED
    crash(bench, task)
    assert state(bench, task) is TaskState.RESTING
    assert explain(bench.head, task) == [f"f has failed 2 times ({crashed(2)}) and is tried again in a moment"]
    deadline = bench.head.alarms.next()
    assert deadline is not None
    assert bench.now < deadline <= bench.now + FIRST
    later(bench, FIRST)
    assert state(bench, task) is TaskState.ASSIGNED


def test_exceptions_that_are_retried_rest_as_well() -> None:
    bench = Bench()
    task = bench.submit(bench.spec(max_retries=3))
    bench.done(task, ERROR, retry=True)
    bench.done(task, ERROR, retry=True)
    assert state(bench, task) is TaskState.RESTING
    later(bench, FIRST)
    bench.done(task)
    assert task not in bench.head.tasks.table


def test_task_that_rests_holds_up_nobody() -> None:
    bench = Bench(CPU=1)
    task = bench.submit(bench.spec(max_retries=3))
    crash(bench, task)
    crash(bench, task)
    other = bench.submit(bench.spec())
    assert bench.worker_of(other) is not None


def test_task_that_rests_can_be_cancelled() -> None:
    bench = Bench()
    task = bench.submit(bench.spec(max_retries=3))
    crash(bench, task)
    crash(bench, task)
    bench.say(m.Cancel(task))
    assert task not in bench.head.tasks.table
    later(bench, 1.0)


def test_tasks_handed_back_are_neither_charged_nor_put_to_rest() -> None:
    bench = Bench(CPU=1)
    spec = bench.spec(max_retries=5)
    bench.done(bench.submit(spec), micros=1)
    tasks = [bench.submit(spec) for _ in range(3)]
    bench.done(tasks[0], micros=1)
    assert bench.worker_of(tasks[2]) is bench.worker_of(tasks[1]), "nothing was sent ahead"
    for _ in range(2):
        bench.die(bench.worker_of(tasks[1]), current=tasks[1])
    assert state(bench, tasks[1]) is TaskState.RESTING
    assert state(bench, tasks[2]) is TaskState.ASSIGNED
    assert bench.head.tasks.table[tasks[2]].failures == 0


def test_final_error_lists_every_attempt_with_its_process_end_and_duration() -> None:
    bench = Bench()
    task = bench.submit(bench.spec(max_retries=1))
    crash(bench, task, 0.25)
    crash(bench, task, 1.5)
    failures = [decode_failure(one.value.data) for one in bench.sent() if isinstance(one, Ready) and one.oid == task]
    assert "2 attempts: attempt 1: pid 7 was killed by SIGKILL" in failures[0].message
    assert "after 0.25 s; attempt 2: pid 7" in failures[0].message
    assert failures[0].message.endswith("after 1.50 s")


def test_final_error_lists_attempts_that_raised_and_counts_no_others() -> None:
    bench = Bench(CPU=1)
    task = bench.submit(bench.spec(max_retries=2))
    bench.worker_of(task).pid = 6
    bench.done(task, ERROR, retry=True)
    bench.die(bench.worker_of(task))  # it had not begun: that is no attempt of its own
    crash(bench, task)
    later(bench, 1.0)
    crash(bench, task)
    failures = [decode_failure(one.value.data) for one in bench.sent() if isinstance(one, Ready) and one.oid == task]
    assert "; 3 attempts: attempt 1: pid 6 raised an exception after 0.00 s; attempt 2: pid 7" in failures[0].message


def test_final_error_of_many_attempts_lists_the_last_of_them() -> None:
    bench = Bench(CPU=1)
    task = bench.submit(bench.spec(max_retries=19))
    for _ in range(20):
        crash(bench, task)
        later(bench, 60.0)
    failures = [decode_failure(one.value.data) for one in bench.sent() if isinstance(one, Ready) and one.oid == task]
    assert "; 20 attempts, of which the last 8: attempt 13: pid 7" in failures[0].message


# -- tasks that are tried again for ever


def notices(bench: Bench) -> list[str]:
    return [message.text for message in bench.sent() if isinstance(message, Notice)]


def crash_often(bench: Bench, task: int, times: int) -> None:
    for _ in range(times):
        crash(bench, task)
        later(bench, LONGEST)


def test_task_that_is_tried_for_ever_never_comes_back_sooner_than_half_the_longest_pause() -> None:
    bench = Bench()
    task = bench.submit(bench.spec(max_retries=-1))
    crash_often(bench, task, 50)
    crash(bench, task)
    assert state(bench, task) is TaskState.RESTING
    later(bench, LONGEST / 2 - 0.01)
    assert state(bench, task) is TaskState.RESTING
    later(bench, LONGEST / 2 + 0.01)
    assert state(bench, task) is TaskState.ASSIGNED


def test_task_that_is_tried_for_ever_is_told_of_once_with_the_cause_and_what_ends_it() -> None:
    bench = Bench()
    task = bench.submit(bench.spec(max_retries=-1))
    crash_often(bench, task, 9)
    assert notices(bench) == []
    crash_often(bench, task, 30)
    (notice,) = notices(bench)
    assert notice == (
        f"actorgrid: f has failed 10 times ({crashed(10)}). With max_retries=-1 it is tried again for ever, after "
        f"pauses of up to 5 s: cancel() ends that, or a number of retries"
    )


def test_of_many_calls_of_one_function_that_are_tried_for_ever_one_is_told_of() -> None:
    bench = Bench(CPU=3)
    spec = bench.spec(max_retries=-1)
    for task in [bench.submit(spec) for _ in range(3)]:
        crash_often(bench, task, 12)
    assert len(notices(bench)) == 1


def test_task_with_a_number_of_retries_is_told_of_by_its_error_alone() -> None:
    bench = Bench()
    crash_often(bench, bench.submit(bench.spec(max_retries=30)), 20)
    assert notices(bench) == []


def test_driver_is_told_of_its_own_tasks_alone() -> None:
    bench = Bench()
    other = bench.head.add_driver()
    crash_often(bench, bench.submit(bench.spec(max_retries=-1)), 10)
    assert len(notices(bench)) == 1
    assert not [message for message in other.outbox if isinstance(message, Notice)]


def test_explain_tells_of_the_attempts_that_failed_before_the_one_that_runs() -> None:
    bench = Bench()
    task = bench.submit(bench.spec(max_retries=-1))
    crash_often(bench, task, 9)
    (told,) = explain(bench.head, task)
    assert told.endswith(f"; it has failed 9 times ({crashed(9)})")


# -- actors in a loop


def create(bench: Bench, **options: Any) -> int:
    ident = bench.id()
    bench.say(m.CreateActor(ident, bench.spec("A", kind=Kind.ACTOR, num_returns=0, max_restarts=-1, **options)))
    return ident


def actor(bench: Bench, ident: int) -> Actor:
    found = bench.head.objects.table[ident]
    assert isinstance(found, Actor)
    return found


def test_actor_whose_constructor_kills_it_stops_by_rule() -> None:
    bench = Bench()
    ident = create(bench)
    deaths = 0
    while actor(bench, ident).death is None:
        later(bench, 0.05)
        if actor(bench, ident).worker is not None:
            deaths += 1
            bench.die(bench.worker_of(ident), current=ident)
        assert deaths < 12
    death = actor(bench, ident).death
    assert death is not None
    assert "11 deaths within 5 s, no call served between them, are more than restart_intensity=10 allows" in (
        decode_failure(death.data).message
    )


def test_actor_that_serves_calls_between_its_deaths_goes_on_for_ever() -> None:
    bench = Bench()
    ident = create(bench)
    method = bench.spec("A.m", kind=Kind.METHOD, method="m", demand=())
    for _ in range(50):
        bench.done(ident, ())
        bench.done(bench.submit(method, actor=ident))
        bench.die(bench.head.objects.table[ident].worker)  # type: ignore[attr-defined]  # it is an Actor
        later(bench, 0.01)
    assert actor(bench, ident).death is None


def test_actor_that_dies_seldom_goes_on_for_ever() -> None:
    bench = Bench()
    ident = create(bench)
    for _ in range(50):
        later(bench, LONGEST)
        bench.die(bench.worker_of(ident), current=ident)
    assert actor(bench, ident).death is None


# -- processes that a signal has stopped


def killed(bench: Bench, worker: Any) -> bool:
    return any(isinstance(e, SignalWorker) and e.number == worker.number for e in bench.head.effects)


def test_stopped_worker_is_reported_and_killed_after_its_limit() -> None:
    bench = Bench()
    task = bench.submit(bench.spec(max_retries=1))
    worker = bench.worker_of(task)
    worker.pid = 7
    bench.head.hear_launcher(m.Stopped(worker.number, stopped=True), bench.now)
    told = [message.text for message in bench.sent() if isinstance(message, Notice)]
    assert told == ["actorgrid: a signal has stopped worker 7 (it runs f); if it does not go on it is killed in 30 s"]
    later(bench, 29.0)
    assert not killed(bench, worker)
    later(bench, 1.0)
    assert killed(bench, worker)
    bench.die(worker, current=task)
    assert bench.head.tasks.table[task].attempts == [
        "attempt 1: pid 7 was stopped by a signal for 30 s and killed after 30.00 s"
    ]


def test_stopped_worker_that_goes_on_in_time_is_left_alone() -> None:
    bench = Bench()
    worker = bench.worker_of(bench.submit(bench.spec()))
    for stopped in (True, True, False, False):
        bench.head.hear_launcher(m.Stopped(worker.number, stopped=stopped), bench.now)
    later(bench, 60.0)
    assert not killed(bench, worker)
    assert not len(bench.head.alarms)


def test_worker_that_is_stopped_again_is_reported_again() -> None:
    bench = Bench()
    worker = bench.worker_of(bench.submit(bench.spec()))
    for stopped in (True, False, True):
        bench.head.hear_launcher(m.Stopped(worker.number, stopped=stopped), bench.now)
    assert len([message for message in bench.sent() if isinstance(message, Notice)]) == 2
    later(bench, 30.0)
    assert killed(bench, worker)


def test_stopped_worker_that_dies_leaves_no_alarm() -> None:
    bench = Bench()
    task = bench.submit(bench.spec(max_retries=0))
    worker = bench.worker_of(task)
    bench.head.hear_launcher(m.Stopped(worker.number, stopped=True), bench.now)
    bench.die(worker, current=task)
    assert not len(bench.head.alarms)


# -- processes that have closed their links


def test_worker_that_closes_its_link_and_lives_on_is_killed() -> None:
    bench = Bench()
    task = bench.submit(bench.spec(max_retries=1))
    worker = bench.worker_of(task)
    worker.pid = 7
    bench.head.hear_launcher(m.LinkLost(worker.number), bench.now)
    later(bench, 0.5)
    assert not killed(bench, worker)
    later(bench, 0.5)
    assert killed(bench, worker)
    bench.die(worker, current=task)
    assert bench.head.tasks.table[task].attempts == [
        "attempt 1: pid 7 closed its link to the grid and was killed after 1.00 s"
    ]


@pytest.mark.parametrize(("status", "said"), [(0, "exited with code 0"), (-15, "was killed by SIGTERM")])
def test_process_that_takes_long_to_end_by_itself_is_said_to_have_ended_as_it_did(status: int, said: str) -> None:
    bench = Bench()
    task = bench.submit(bench.spec(max_retries=1))
    worker = bench.worker_of(task)
    bench.head.hear_launcher(m.LinkLost(worker.number), bench.now)
    later(bench, 1.0)
    assert killed(bench, worker)  # it was dying already, on a machine that has much else to do
    bench.die(worker, current=task, status=status)
    assert said in (bench.head.tasks.table[task].attempts or [""])[0]


def test_death_explains_a_closed_link() -> None:
    bench = Bench()
    task = bench.submit(bench.spec(max_retries=1))
    worker = bench.worker_of(task)
    bench.head.hear_launcher(m.LinkLost(worker.number), bench.now)
    bench.die(worker, current=task)
    later(bench, 2.0)
    bench.head.hear_launcher(m.LinkLost(worker.number), bench.now)
    assert not len(bench.head.alarms)


@pytest.mark.parametrize("number", [0, 99])
def test_stop_of_a_worker_that_is_gone_means_nothing(number: int) -> None:
    bench = Bench()
    bench.head.hear_launcher(m.Stopped(number, stopped=True), bench.now)
    assert not len(bench.head.alarms)
