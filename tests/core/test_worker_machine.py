"""The worker machine by hand: what was given, and what goes back."""

from __future__ import annotations

from actorgrid.core.messages import Kind, Restarted, Run, Spec
from actorgrid.core.worker import WorkerMachine


def given(*tasks: int) -> WorkerMachine:
    machine = WorkerMachine()
    machine.specs[1] = Spec(1, Kind.TASK, "f")
    for task in tasks:
        machine.given(Run(task, 1, 1, b""))
    return machine


def test_only_what_is_revoked_goes_back_and_the_rest_runs_in_order() -> None:
    machine = given(1, 2, 3)
    assert [run.task for run in machine.revoke((2, 9))] == [2]
    assert [run.task for run in machine.queue] == [1, 3]


def test_what_has_started_is_not_revoked() -> None:
    machine = given(1, 2)
    running = machine.start()
    assert running is not None
    assert [run.task for run in machine.revoke((1, 2))] == [2]
    assert list(machine.running) == [1]


def test_call_whose_outcome_counts_is_cancelled_no_more() -> None:
    machine = given(1)
    running = machine.start()
    assert running is not None
    assert machine.settle(running)
    assert machine.cancel(1, 1) is None
    assert not running.cancelled
    assert not machine.early, "it is not for a call that is still to come"


def test_outcome_of_a_call_that_was_cancelled_does_not_count() -> None:
    machine = given(1)
    running = machine.start()
    assert running is not None
    assert machine.cancel(1, 1) is running
    assert not machine.settle(running)


def test_of_a_group_with_one_place_the_oldest_call_of_each_caller_may_start() -> None:
    machine = WorkerMachine()
    machine.specs = {number: Spec(number, Kind.METHOD, "A.m", group=group) for number, group in ((1, ""), (2, "io"))}
    machine.constructed(Spec(9, Kind.ACTOR, "A", max_concurrency=3, groups=(("io", 2), ("", 1))))
    for task, spec, caller in ((11, 1, 1), (12, 1, 1), (13, 1, 2), (14, 2, 1), (15, 2, 1)):
        machine.given(Run(task, 1, spec, b"", caller=caller))
    assert [run.task for run in machine.candidates()] == [11, 13, 14, 15]
    assert machine.start() is not None
    assert [run.task for run in machine.candidates()] == [14, 15]


def test_process_whose_setup_failed_is_replaced_after_that_call() -> None:
    machine = given(1)
    running = machine.start()
    assert running is not None
    machine.spoiled = True
    assert machine.finished(running)


def test_process_of_an_actor_whose_setup_failed_ends_with_the_actor() -> None:
    machine = given(1)
    machine.become_actor(Restarted(1, 0, "", ""))
    running = machine.start()
    assert running is not None
    machine.spoiled = True
    assert not machine.finished(running)
