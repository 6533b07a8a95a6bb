"""``actorgrid.util.state`` of tasks, and of everything: Ray's names, and no lag."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import actorgrid as ag
from actorgrid.exceptions import WorkerCrashedError
from actorgrid.testing.waiting import wait_until
from actorgrid.util import state
from actorgrid.util.state.common import StateSchema
from tests.contract.told import hold_back, identity, task_of, waiting
from tests.contract.tools import DEADLINE, Gate, hold

pytestmark = pytest.mark.usefixtures("grid")


@ag.remote
def failing() -> None:
    raise ValueError("not today")


@ag.remote(max_retries=0)
def dying() -> None:
    os._exit(3)


@ag.remote
def outer() -> tuple[str, str]:
    inner = identity.remote(1)
    ag.get(inner)
    return ag.get_runtime_context().get_task_id() or "", inner.hex()


def test_what_was_submitted_before_is_in_the_answer() -> None:
    gate = Gate.remote()
    first = waiting.remote(gate)
    last = identity.remote(first)
    assert task_of(last).state == "PENDING_ARGS_AVAIL"
    ag.get(gate.arrivals.remote(1), timeout=DEADLINE)
    assert wait_until(lambda: task_of(first).state == "RUNNING_IN_RAY_GET")  # its worker says so a moment later
    ag.get(gate.open.remote())
    ag.get(last, timeout=DEADLINE)
    assert (task_of(first).state, task_of(last).state) == ("FINISHED", "FINISHED")


def test_task_that_lacks_a_cpu_waits_for_a_node() -> None:
    holder = hold(num_cpus=2)
    ref = identity.remote(1)
    assert task_of(ref).state == "PENDING_NODE_ASSIGNMENT"
    assert task_of(ref).worker_id is None
    assert task_of(ref).node_id is None
    ag.kill(holder)
    assert ag.get(ref, timeout=DEADLINE) == 1


def test_task_that_has_returned_tells_where_and_when_it_ran() -> None:
    ref = identity.options(name="the one").remote(1)
    ag.get(ref)
    told = task_of(ref)
    assert (told.name, told.func_or_class_name, told.type) == ("the one", "identity", "NORMAL_TASK")
    assert (told.state, told.error_type, told.error_message) == ("FINISHED", None, None)
    assert told.creation_time_ms <= told.start_time_ms <= told.end_time_ms
    assert [event["state"] for event in told.events] == ["PENDING_ARGS_AVAIL", "RUNNING", "FINISHED"]
    assert told.required_resources == {"CPU": 1.0}
    assert told.node_id == ag.nodes()[0]["NodeID"]
    worker = state.get_worker(told.worker_id)
    assert worker is not None
    assert (worker.worker_type, worker.pid) == ("WORKER", told.worker_pid)


def test_error_of_a_task_is_told_with_its_traceback() -> None:
    ref = failing.remote()
    with pytest.raises(ValueError, match="not today"):
        ag.get(ref)
    told = task_of(ref)
    assert (told.state, told.error_type) == ("FAILED", "TASK_EXECUTION_EXCEPTION")
    assert "ValueError: not today" in told.error_message
    assert [row.task_id for row in state.list_tasks(filters=[("error_type", "=", told.error_type)])] == [told.task_id]


@ag.remote
def failing_generator() -> Iterator[int]:
    yield 1
    raise ValueError("no more")


def test_generator_that_raised_has_failed() -> None:
    generator = failing_generator.remote()
    assert ag.get(next(generator)) == 1
    with pytest.raises(ValueError, match="no more"):
        ag.get(next(generator))
    assert wait_until(generator.is_finished)
    (told,) = state.list_tasks(filters=[("name", "=", "failing_generator")], detail=True)
    assert (told.state, told.error_type) == ("FAILED", "TASK_EXECUTION_EXCEPTION")
    assert "ValueError: no more" in (told.error_message or "")


def test_dead_worker_and_its_task_tell_of_each_other() -> None:
    ref = dying.remote()
    with pytest.raises(WorkerCrashedError):
        ag.get(ref, timeout=DEADLINE)
    told = task_of(ref)
    assert (told.state, told.error_type) == ("FAILED", "WORKER_DIED")
    worker = state.get_worker(told.worker_id)
    assert worker is not None
    assert (worker.is_alive, worker.exit_type, worker.pid) == (False, "SYSTEM_ERROR", told.worker_pid)
    assert "3" in (worker.exit_detail or "")


def test_cancelled_task_has_failed() -> None:
    holder = hold(num_cpus=2)
    ref = identity.remote(1)
    ag.cancel(ref)
    with pytest.raises(ag.exceptions.TaskCancelledError):
        ag.get(ref, timeout=DEADLINE)
    assert (task_of(ref).state, task_of(ref).error_type) == ("FAILED", "TASK_CANCELLED")
    ag.kill(holder)


def test_parents_and_ids_are_those_of_the_runtime_context() -> None:
    parent, inner = ag.get(outer.remote(), timeout=DEADLINE)
    assert state.list_tasks(filters=[("parent_task_id", "=", parent)])[0].task_id == inner[:48]
    told = state.get_task(parent)
    assert told is not None
    assert (told.name, told.parent_task_id, told.job_id) == ("outer", None, ag.get_runtime_context().get_job_id())


@ag.remote(num_returns=2)
def pair(gate: Any = None) -> tuple[int, int]:
    if gate is not None:
        ag.get(gate.pass_through.remote())
    return 1, 2


def test_task_is_told_by_any_of_its_results_while_it_runs_and_afterwards() -> None:
    gate = Gate.remote()
    refs = pair.remote(gate)
    other = identity.remote(0)
    ag.get(gate.arrivals.remote(1), timeout=DEADLINE)

    def told() -> Any:
        found = [state.get_task(each) for each in (*refs, *(ref.hex()[:48] for ref in refs))]
        assert {each and each.task_id for each in found} == {refs[0].hex()[:48]}
        return found[0] and found[0].state

    assert told().startswith("RUNNING")
    ag.get(gate.open.remote())
    assert ag.get([*refs, other], timeout=DEADLINE) == [1, 2, 0]
    assert told() == "FINISHED"
    assert len(state.get_objects(refs[1].hex())) == 1


def test_task_is_told_by_the_reference_that_it_makes() -> None:
    @ag.remote
    def items() -> Iterator[int]:
        yield 1

    first, _ = pair.remote()
    generator = items.remote()
    ag.get([first, next(generator)], timeout=DEADLINE)
    told = [state.get_task(each) for each in (identity.remote(1), first, generator)]
    assert [each and each.func_or_class_name.rpartition(".")[2] for each in told] == ["identity", "pair", "items"]
    assert state.get_task(ag.put(1)) is None


@pytest.mark.parametrize("get", [state.get_task, state.get_actor, state.get_worker, state.get_placement_group])
def test_what_is_no_id_is_refused(get: Callable[..., Any]) -> None:
    with pytest.raises(TypeError, match="hex digits, not int"):
        get(3, _explain=True)


def test_task_that_was_tried_again_has_one_row(tmp_path: Path) -> None:
    @ag.remote(retry_exceptions=True)
    def second(been: Path) -> str:
        if not been.exists():
            been.touch()
            raise OSError("not yet")
        return "here"

    ref = second.remote(tmp_path / "been")
    assert ag.get(ref, timeout=DEADLINE) == "here"
    rows = state.list_tasks(filters=[("task_id", "=", ref.hex()[:48])])
    assert [(row.attempt_number, row.state) for row in rows] == [(1, "FINISHED")]
    once = identity.remote(1)
    ag.get(once, timeout=DEADLINE)
    made = [state.get_objects(each.hex())[0].attempt_number for each in (ref, once, ag.put(1))]
    assert made == [2, 1, 1]  # how often it was tried in all
    counts = state.summarize_objects()["cluster"]["summary"]["disabled"]["task_attempt_number_counts"]
    assert (counts["2"], counts["1"] >= 1) == (1, True)


def test_processes_say_when_they_came_and_that_no_debugger_holds_them() -> None:
    ref = identity.remote(1)
    ag.get(ref, timeout=DEADLINE)
    (driver,) = state.list_workers(filters=[("worker_type", "=", "DRIVER")], detail=True)
    assert (driver.worker_launch_time_ms, driver.worker_launched_time_ms) == (-1, -1)
    worker = state.get_worker(task_of(ref).worker_id)
    assert worker is not None
    times = [worker.worker_launch_time_ms or 0, worker.worker_launched_time_ms or 0, worker.start_time_ms or 0]
    assert times == sorted(times)
    assert times[0] > 0
    assert (worker.debugger_port, worker.num_paused_threads) == (None, None)
    assert state.list_workers(filters=[("num_paused_threads", "=", "1")]) == []


def test_attempt_is_the_first_of_what_waited_behind_a_task_that_blocks_and_was_given_to_another_worker() -> None:
    gate = Gate.remote()
    ag.get([may_wait.remote() for _ in range(50)], timeout=DEADLINE)  # so short that workers get several at once
    before = {row.task_id for row in state.list_tasks(limit=1000)}
    refs = [may_wait.remote(gate if number % 10 == 5 else None) for number in range(40)]
    ag.get(gate.arrivals.remote(4), timeout=DEADLINE)
    ag.get(gate.open.remote())
    ag.get(refs, timeout=DEADLINE)
    rows = state.list_tasks(filters=[("name", "=", "may_wait")], limit=1000)
    tried = [(row.attempt_number, row.state) for row in rows if row.task_id not in before]
    assert tried == [(0, "FINISHED")] * 40


@ag.remote
def may_wait(gate: Any = None) -> None:
    if gate is not None:
        ag.get(gate.pass_through.remote())


def test_filters_must_all_hold_and_do_not_mind_case() -> None:
    ag.get([identity.options(name=f"n{i}").remote(i) for i in range(3)], timeout=DEADLINE)

    def names(*filters: tuple[str, str, Any]) -> list[str]:
        return sorted(row.name for row in state.list_tasks(filters=list(filters)))

    only = ("func_or_class_name", "=", "identity")
    assert names(only, ("name", "=", "N1")) == ["n1"]
    assert names(only, ("name", "!=", "n1"), ("name", "!=", "n2"), ("name", "=", "n0")) == ["n0"]
    assert names(only, ("state", "=", "running")) == []
    assert names(("attempt_number", "=", "0"), ("name", "=", "n1")) == ["n1"]
    assert names(("task_id", "=", "nonsense")) == []
    assert names(("node_id", "=", ag.nodes()[0]["NodeID"]), ("name", "=", "n1")) == ["n1"]
    assert names(("node_id", "!=", ag.nodes()[0]["NodeID"]), ("name", "=", "n1")) == []


def test_limit_keeps_what_is_not_over_and_then_the_newest() -> None:
    gate = Gate.remote()
    ag.get(identity.options(name="older").remote(1), timeout=DEADLINE)
    ag.get(identity.options(name="newer").remote(1), timeout=DEADLINE)
    ref = waiting.remote(gate)
    only = [("type", "=", "NORMAL_TASK")]
    assert [row.name for row in state.list_tasks(filters=only, limit=2)] == ["waiting", "newer"]
    ag.get(gate.open.remote())
    ag.get(ref, timeout=DEADLINE)


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"filters": [("nme", "=", "f")]}, ValueError, "Did you mean 'name'"),
        ({"filters": [("creation_time_ms", "=", 1)]}, ValueError, "cannot be filtered by"),
        ({"filters": [("name", "<", "f")]}, ValueError, "compares with '=' or '!='"),
        ({"filters": ["name=f"]}, TypeError, "a filter is"),
        ({"limit": 0}, ValueError, "from 1 to 10000"),
        ({"limit": 10_001}, ValueError, "from 1 to 10000"),
        ({"limit": "all"}, TypeError, "whole number"),
        ({"timeout": -1}, ValueError, "timeout"),
        ({"address": "10.0.0.1:6379"}, ConnectionError, "no grid at"),
    ],
)
def test_bad_question_is_refused(arguments: dict[str, Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        state.list_tasks(**arguments)


def test_states_work_as_dictionaries() -> None:
    ag.get(identity.remote(1), timeout=DEADLINE)
    row = state.list_tasks(limit=1)[0]
    assert isinstance(row, StateSchema)
    assert row["name"] == row.name == row.get("name") == dict(row)["name"] == row.asdict()["name"]
    assert "name" in row
    assert row.get("nonsense", 3) == 3
    assert len(row) == len(list(row)) == len(row.items()) == len(row.values())
    with pytest.raises(KeyError):
        row["nonsense"]
    assert row.events is None, "only with detail=True"


def test_summaries_count_by_function_class_and_kind() -> None:
    actor = hold_back.remote()
    ag.get([identity.remote(i) for i in range(3)], timeout=DEADLINE)
    with pytest.raises(ValueError, match="not today"):
        ag.get(failing.remote())
    tasks = state.summarize_tasks()["cluster"]
    assert tasks["summary"]["failing"]["state_counts"]["FAILED"] >= 1
    assert tasks["summary"]["identity"]["type"] == "NORMAL_TASK"
    assert tasks["summary"]["identity"]["state_counts"]["FINISHED"] >= 3
    assert tasks["total_actor_scheduled"] >= 1
    assert state.summarize_actors()["cluster"]["summary"]["hold_back"]["state_counts"]
    ref = ag.put(b"x" * 300_000)
    objects = state.summarize_objects()["cluster"]
    assert objects["total_size_mb"] > 0.2
    assert objects["summary"]["disabled"]["ref_type_counts"]["LOCAL_REFERENCE"] >= 1
    del ref, actor


def test_machine_and_driver_are_listed() -> None:
    (node,) = state.list_nodes()
    assert (node.node_id, node.state, node.resources_total["CPU"]) == (ag.nodes()[0]["NodeID"], "ALIVE", 2.0)
    assert state.get_node(node.node_id) == node
    assert state.list_nodes(filters=[("state", "=", "DEAD")]) == []
    (job,) = state.list_jobs(detail=True)
    assert (job.job_id, job.type, job.status) == (ag.get_runtime_context().get_job_id(), "DRIVER", "RUNNING")
    assert job.entrypoint == " ".join(sys.argv)
    assert job.driver_info is not None
    assert job.driver_info["pid"] == str(state.list_workers(filters=[("worker_type", "=", "DRIVER")])[0].pid)
    assert state.get_job(job.job_id) == job


@ag.remote
def look() -> list[str]:
    return [row.state for row in state.list_tasks(filters=[("name", "=", "look")])]


def test_task_sees_itself_run() -> None:
    assert "RUNNING" in ag.get(look.remote(), timeout=DEADLINE)


def test_nothing_is_remembered_if_nobody_wants_it(
    fresh_grid: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACTORGRID_TASK_EVENTS", "0")
    fresh_grid(num_cpus=2)
    ag.get(identity.remote(1), timeout=DEADLINE)
    assert state.list_tasks() == []


def test_only_so_many_are_remembered(fresh_grid: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACTORGRID_TASK_EVENTS", "3")
    fresh_grid(num_cpus=2)
    ag.get([identity.remote(i) for i in range(10)], timeout=DEADLINE)
    assert len(state.list_tasks()) == 3


def test_environment_variable_is_checked(no_grid: None, monkeypatch: pytest.MonkeyPatch) -> None:
    del no_grid
    monkeypatch.setenv("ACTORGRID_TASK_EVENTS", "many")
    with pytest.raises(ValueError, match="ACTORGRID_TASK_EVENTS is no whole number: 'many'"):
        ag.init()


def test_without_a_grid_there_is_nothing_to_ask(no_grid: None) -> None:
    del no_grid
    with pytest.raises(RuntimeError, match="has not been started"):
        state.list_tasks()
