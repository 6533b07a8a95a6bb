"""What the head tells of what there is and of what is over, and how much of it it remembers."""

from __future__ import annotations

from typing import Any

import pytest

from actorgrid.core import messages as m
from actorgrid.core.head import inventory, past
from actorgrid.core.head.machine import Head, HeadConfig
from actorgrid.core.messages import Failure, FailureKind, Kind, Status, Value
from actorgrid.core.resources import demand
from actorgrid.util.state import common
from actorgrid.wire.codec import encode_failure
from tests.core.bench import BUDGET, OK, Bench

STATES: dict[str, type[common.StateSchema]] = {
    "tasks": common.TaskState,
    "actors": common.ActorState,
    "workers": common.WorkerState,
    "objects": common.ObjectState,
    "jobs": common.JobState,
}


def ask(bench: Bench, of: str, *columns: str, filters: tuple[Any, ...] = (), limit: int = 100) -> list[Any]:
    """Return the rows of a list, each as the tuple of its columns."""
    body = {"of": of, "filters": list(filters), "columns": list(columns), "limit": limit}
    return [tuple(row[name] for name in columns) for row in inventory.listed(bench.head, body)["rows"]]


def actor(bench: Bench, **options: Any) -> int:
    """Create an actor whose constructor has returned."""
    ident = bench.id()
    bench.say(m.CreateActor(ident, bench.spec("A", kind=Kind.ACTOR, num_returns=0, **options)))
    bench.done(ident, ())
    return ident


@pytest.mark.parametrize("of", STATES)
def test_every_kind_of_record_has_every_column_that_is_asked_for(of: str) -> None:
    wanted = {
        each.metadata["wire"] or name
        for name, each in STATES[of].__dataclass_fields__.items()  # type: ignore[attr-defined]  # a dataclass
        if each.metadata["local"] is common.WIRED or each.metadata["wire"]
    }
    parts, key = inventory._KINDS[of]
    assert key in wanted
    for _, columns in parts(Bench().head, None):
        assert wanted <= set(columns)


def test_what_is_not_over_comes_first_and_then_the_newest() -> None:
    bench = Bench(CPU=1)
    tasks = [bench.submit(bench.spec()) for _ in range(4)]
    bench.done(tasks[0])
    bench.done(tasks[1])
    assert [row for (row,) in ask(bench, "tasks", "task_id")] == [tasks[2], tasks[3], tasks[1], tasks[0]]
    assert ask(bench, "tasks", "task_id", limit=1) == [(tasks[2],)]


def test_task_that_is_not_first_at_its_worker_has_not_begun() -> None:
    bench = Bench(CPU=1)
    quick = bench.spec(name="quick")
    first = bench.submit(quick)
    bench.head.hear_launcher(m.Spawned(bench.worker_of(first).number, 77), 0.0)
    later = [bench.submit(quick) for _ in range(3)]
    bench.done(first, micros=5)
    states = dict(ask(bench, "tasks", "task_id", "state"))
    assert [states[task] for task in later] == ["RUNNING", "SUBMITTED_TO_WORKER", "SUBMITTED_TO_WORKER"]


def test_reason_of_a_failure_is_remembered_as_ray_calls_it() -> None:
    bench = Bench()
    full = Value(Status.FAILURE, encode_failure(Failure(FailureKind.STORE_FULL, "no room")))
    raised = Value(Status.ERROR, b"pickled")
    for value in (full, raised):
        bench.done(bench.submit(bench.spec()), (value,))
    rows = ask(bench, "tasks", "error_type", "error", "state")
    assert rows == [
        ("TASK_EXECUTION_EXCEPTION", [1, b"pickled", []], "FAILED"),
        ("STORE_FULL", [2, full.data, []], "FAILED"),
    ]


def test_long_error_is_not_kept() -> None:
    bench = Bench()
    bench.done(bench.submit(bench.spec()), (Value(Status.ERROR, b"x" * (past.LARGEST_ERROR + 1)),))
    assert ask(bench, "tasks", "state", "error") == [("FAILED", None)]


def test_only_so_many_errors_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(past, "MOST", 2)
    bench = Bench()
    for _ in range(3):
        bench.done(bench.submit(bench.spec()), (Value(Status.ERROR, b"x"),))
    assert [error is None for (error,) in ask(bench, "tasks", "error")] == [False, False, True]


@pytest.mark.parametrize(("on", "told"), [(True, [1, 2, 2]), (False, [1, 1, 1])])
def test_of_only_so_many_objects_it_is_remembered_how_often_they_were_tried(
    monkeypatch: pytest.MonkeyPatch, on: bool, told: list[int]
) -> None:
    monkeypatch.setattr(past, "MOST", 2)
    bench = Bench(CPU=3)
    bench.head.past.on = on
    for _ in range(3):
        bench.die(bench.worker_of(task := bench.submit(bench.spec(max_retries=1))), current=task)
    assert [number for (number,) in ask(bench, "objects", "attempt_number")] == told


@pytest.mark.parametrize(("most", "kept"), [(0, 0), (2, 2), (9, 3)])
def test_only_so_many_tasks_are_remembered(most: int, kept: int) -> None:
    bench = Bench()
    bench.head = Head(HeadConfig(demand({"CPU": 2}), BUDGET, 2, 100, task_events=most))
    bench.say(m.Export(b"code", "f", Value(Status.OK, b"x")))
    for _ in range(3):
        bench.done(bench.submit(bench.spec()), OK)
    assert len(ask(bench, "tasks", "task_id")) == kept


def test_object_that_only_another_object_mentions() -> None:
    bench = Bench()
    inner, box = bench.id(), bench.id()
    bench.say(m.Put(inner, Value(Status.OK, b"i")), m.Put(box, Value(Status.OK, b"[i]", refs=(inner,))))
    bench.say(m.Release((inner,)))
    assert ask(bench, "objects", "object_id", "reference_type", "object_size") == [
        (inner, "CAPTURED_IN_OBJECT", 1),
        (box, "LOCAL_REFERENCE", 3),
    ]


def test_dead_actor_is_remembered_with_its_death() -> None:
    bench = Bench()
    ident = actor(bench)
    assert ask(bench, "actors", "actor_id", "state", "why") == [(ident, "ALIVE", None)]
    bench.say(m.KillActor(ident))
    assert ask(bench, "actors", "actor_id", "state", "why") == [(ident, "DEAD", "A was killed by kill()")]


def test_constructor_of_an_actor_that_may_restart_counts_as_finished_from_its_return() -> None:
    bench = Bench()
    ident = actor(bench, max_restarts=1)
    assert ask(bench, "tasks", "task_id", "state") == [(ident, "FINISHED")]
    bench.say(m.KillActor(ident))
    assert ask(bench, "tasks", "task_id", "state") == [(ident, "FINISHED")]


def test_constructor_that_never_ran_has_failed() -> None:
    bench = Bench(CPU=1)
    bench.submit(bench.spec())
    ident = bench.id()
    bench.say(m.CreateActor(ident, bench.spec("A", kind=Kind.ACTOR, num_returns=0, max_restarts=1)))
    bench.say(m.KillActor(ident))
    assert ask(bench, "tasks", "state", filters=(("task_id", "=", ident),)) == [("FAILED",)]


def test_counts_go_by_the_columns_that_are_asked_for() -> None:
    bench = Bench(CPU=2)
    for _ in range(3):
        bench.submit(bench.spec())
    body = {"of": "tasks", "filters": [], "columns": ["name", "worker_pid", "state"]}
    counts = inventory.counted(bench.head, body)["counts"]
    assert counts == [["f", None, "SUBMITTED_TO_WORKER", 2], ["f", None, "PENDING_NODE_ASSIGNMENT", 1]]


def finish(bench: Bench, count: int) -> None:
    """Have so many tasks return, at one moment."""
    for _ in range(count):
        bench.done(bench.submit(bench.spec(name="quick")))


def count_of(bench: Bench, *columns: str) -> list[list[Any]]:
    """Return the counts of tasks by these columns."""
    counts: list[list[Any]] = inventory.counted(bench.head, {"of": "tasks", "filters": [], "columns": list(columns)})[
        "counts"
    ]
    return counts


def test_of_a_flood_some_are_remembered_and_all_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(past, "BURST", 3)
    bench = Bench()
    finish(bench, 10)
    assert len(ask(bench, "tasks", "task_id")) == 3
    assert count_of(bench, "name", "state") == [["quick", "FINISHED", 10]]
    assert count_of(bench, "func_or_class_name", "type", "state") == [["quick", "NORMAL_TASK", "FINISHED", 10]]


def test_after_a_flood_there_is_room_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(past, "BURST", 3)
    bench = Bench()
    finish(bench, 10)
    bench.now += 2 / past.RATE
    bench.say()
    finish(bench, 10)
    assert len(ask(bench, "tasks", "task_id")) == 3 + 2
    bench.now += 1000.0
    bench.say()
    finish(bench, 10)
    assert len(ask(bench, "tasks", "task_id")) == 3 + 2 + 3


def test_tasks_that_fail_are_always_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(past, "BURST", 1)
    bench = Bench()
    for _ in range(3):
        bench.done(bench.submit(bench.spec()), (Value(Status.ERROR, b"x"),))
    assert [state for (state,) in ask(bench, "tasks", "state")] == ["FAILED"] * 3


def test_count_of_tasks_outlives_their_spec(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(past, "BURST", 0)
    bench = Bench()
    finish(bench, 2)
    bench.say(m.Forget(bench.spec(name="quick")))
    assert count_of(bench, "name", "state") == [["quick", "FINISHED", 2]]
