"""``actorgrid.util.state``: what runs, waits, lives and has been, with Ray's names, and without any lag."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import actorgrid as ag
from actorgrid import util
from actorgrid.exceptions import ActorDiedError, WorkerCrashedError
from actorgrid.experimental import get_object_locations
from actorgrid.testing.waiting import wait_until
from actorgrid.util import state
from actorgrid.util.multiprocessing import Pool
from actorgrid.util.state.common import StateSchema
from tests.contract.tools import DEADLINE, Gate, hold

pytestmark = pytest.mark.usefixtures("grid")


@ag.remote
def identity(value: Any) -> Any:
    return value


@ag.remote
def failing() -> None:
    raise ValueError("not today")


@ag.remote(max_retries=0)
def dying() -> None:
    os._exit(3)


@ag.remote
def waiting(gate: Any) -> None:
    ag.get(gate.pass_through.remote("waiting"))


@ag.remote
def outer() -> tuple[str, str]:
    inner = identity.remote(1)
    ag.get(inner)
    return ag.get_runtime_context().get_task_id() or "", inner.hex()


@ag.remote
class Counter:
    def increase(self) -> int:
        return 1

    def where(self) -> tuple[str, str]:
        context = ag.get_runtime_context()
        return context.get_actor_id() or "", context.get_worker_id()


@ag.remote
class Named:
    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        if not self.name:
            raise ValueError("I have none")
        return f"Named(\n{self.name})"

    def rename(self, name: str) -> None:
        self.name = name


def shown(handle: Any) -> Any:
    """Return what an actor is shown as."""
    found = state.get_actor(handle._actor_id.hex())
    assert found is not None
    return found.repr_name


def task_of(ref: Any) -> Any:
    """Return the state of the task that makes an object."""
    found = state.get_task(ref.hex()[:48])
    assert found is not None
    return found


def test_actor_is_shown_as_its_own_class_says_once_its_constructor_has_returned() -> None:
    one, plain = Named.remote("one"), Counter.remote()
    ag.get([one.rename.remote("two"), plain.increase.remote()], timeout=DEADLINE)
    assert (shown(one), shown(plain)) == ("Named( one)", "")
    alike = [("repr_name", "=", "Named( one)")]
    assert len(state.list_actors(filters=alike)) == 1
    ag.kill(one)
    assert wait_until(lambda: [actor.state for actor in state.list_actors(filters=alike)] == ["DEAD"])


def test_what_an_actor_is_shown_as_does_nothing_to_a_terminal() -> None:
    named = Named.remote("\x1b]0;title\x07\u202e")
    ag.get(named.rename.remote("late"), timeout=DEADLINE)
    assert shown(named) == r"Named( \x1b]0;title\x07\u202e)"


def test_functions_and_classes_may_be_called_anything_and_lists_of_them_do_nothing_to_a_terminal() -> None:
    def function() -> None: ...

    function.__qualname__ = function.__name__ = "fun\x1b[31m\nction"
    odd: Any = type("Cl\x1b[31m\nass", (), {"meth\x1b[31m\nod": lambda _: None})
    actor: Any = ag.remote(odd).remote()
    refs = [ag.remote(function).remote(), getattr(actor, "meth\x1b[31m\nod").remote()]
    ag.get(refs, timeout=DEADLINE)
    assert [task_of(ref).name for ref in refs] == [r"fun\x1b[31m\nction", r"Cl\x1b[31m\nass.meth\x1b[31m\nod"]
    found = state.get_actor(actor._actor_id.hex())
    assert found is not None
    assert found.class_name == r"Cl\x1b[31m\nass"


def test_actor_is_well_that_is_shown_as_what_no_message_can_have() -> None:
    named = Named.remote("\ud800")
    ag.get(named.rename.remote("late"), timeout=DEADLINE)
    assert shown(named) == r"Named( \ud800)"


def test_actor_is_well_whose_class_cannot_say_what_it_is_shown_as() -> None:
    nameless = Named.remote("")
    ag.get(nameless.rename.remote("late"), timeout=DEADLINE)
    assert shown(nameless) == ""


def test_actor_that_restarts_is_shown_as_what_it_is_then() -> None:
    @ag.remote(max_restarts=1, max_task_retries=1)
    class Second:
        def __repr__(self) -> str:
            return f"restarted: {ag.get_runtime_context().was_current_actor_reconstructed}"

        def die(self) -> None:
            os._exit(1)

        def ready(self) -> None: ...

    second = Second.remote()
    ag.get(second.ready.remote(), timeout=DEADLINE)
    before = shown(second)
    second.die.options(max_task_retries=0).remote()
    ag.get(second.ready.remote(), timeout=DEADLINE)
    assert (before, shown(second)) == ("restarted: False", "restarted: True")


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


def test_detached_actor_belongs_to_the_driver_that_made_it() -> None:
    job = ag.get_runtime_context().get_job_id()
    actor = Counter.options(lifetime="detached", name="detached").remote()
    ident = ag.get(actor.where.remote(), timeout=DEADLINE)[0]

    def jobs() -> list[str]:
        mine = ("actor_id", "=", ident)
        constructor = state.list_tasks(filters=[mine, ("type", "=", "ACTOR_CREATION_TASK")])
        return [row.job_id for row in [*state.list_actors(filters=[mine]), *constructor]]

    assert jobs() == [job, job]
    ag.kill(actor)
    with pytest.raises(ActorDiedError):
        ag.get(actor.increase.remote(), timeout=DEADLINE)
    assert jobs() == [job, job]
    assert state.list_actors(filters=[("job_id", "=", job), ("actor_id", "=", ident)])


@ag.remote(num_cpus=0)
class Employer:
    """Has made whatever a process can make, and a task of its own do so, too."""

    def __init__(self, depth: int = 1) -> None:
        self.made: list[Any] = []
        self.depth = depth

    def hire(self) -> list[str]:
        ref, helper = jobs_seen.remote(self.depth), Counter.remote()
        group = util.placement_group([{"CPU": 0.5}], lifetime="detached")
        self.made = [ref, helper, helper.increase.remote(), group]
        ag.get([self.made[2], group.ready()], timeout=DEADLINE)
        job = ag.get_runtime_context().get_job_id()
        return [job, ref.job_id().hex(), *ag.get(ref, timeout=DEADLINE)]

    def dismiss(self) -> None:
        util.remove_placement_group(self.made.pop())
        self.made.clear()


@ag.remote(num_cpus=0)
def jobs_seen(depth: int) -> list[str]:
    here = ag.get_runtime_context().get_job_id()
    return [here, *(ag.get(jobs_seen.remote(depth - 1), timeout=DEADLINE) if depth else [])]


def test_whatever_a_detached_actor_makes_is_of_the_job_that_made_the_actor() -> None:
    job = ag.get_runtime_context().get_job_id()
    before = {row.task_id for row in state.list_tasks(limit=1000)}
    employer = Employer.options(lifetime="detached", name="employer").remote()
    assert ag.get(employer.hire.remote(), timeout=DEADLINE) == [job] * 4
    made = [row for row in state.list_tasks(limit=1000) if row.task_id not in before]
    assert {row.name: row.job_id for row in made} == dict.fromkeys(
        ["Employer.__init__", "Employer.hire", "jobs_seen", "Counter.__init__", "Counter.increase"], job
    )
    alive = [("state", "=", "ALIVE")]
    assert {row.class_name: row.job_id for row in state.list_actors(filters=alive)} == {"Employer": job, "Counter": job}
    assert [row.creator_job_id for row in state.list_placement_groups()] == [job]
    assert len(state.list_tasks(filters=[("job_id", "=", job), ("name", "=", "jobs_seen")])) == 2
    ag.get(employer.dismiss.remote(), timeout=DEADLINE)
    ag.kill(employer)


def test_placement_group_is_told_and_filtered_by() -> None:
    group = util.placement_group([{"CPU": 1}])
    where = util.scheduling_strategies.PlacementGroupSchedulingStrategy(group)
    actor = Counter.options(scheduling_strategy=where, num_cpus=0).remote()
    inside = identity.options(scheduling_strategy=where).remote(ag.get(actor.increase.remote()))
    outside = identity.remote(2)
    ag.get([inside, outside], timeout=DEADLINE)
    only = [("placement_group_id", "=", group.id.hex())]
    tasks = state.list_tasks(filters=[*only, ("type", "=", "NORMAL_TASK")])
    assert [row.task_id for row in tasks] == [task_of(inside).task_id]
    assert [row.actor_id for row in state.list_actors(filters=only)] == [actor._actor_id.hex()]
    assert (task_of(inside).placement_group_id, task_of(outside).placement_group_id) == (group.id.hex(), None)
    assert state.list_tasks(filters=[("is_debugger_paused", "=", "true")]) == []
    assert state.list_objects(filters=[("call_site", "=", "elsewhere")]) == []
    assert state.list_objects(filters=[("call_site", "=", "disabled")])
    del inside, outside
    ag.kill(actor)
    util.remove_placement_group(group)


def test_actor_is_listed_from_creation_to_death_and_after() -> None:
    counter = Counter.options(name="early").remote()
    actor, worker = ag.get(counter.where.remote(), timeout=DEADLINE)
    told = state.get_actor(actor)
    assert told is not None
    assert (told.class_name, told.state, told.name, told.num_restarts) == ("Counter", "ALIVE", "early", 0)
    process = state.get_worker(worker)
    assert process is not None
    assert told.pid == process.pid
    ag.kill(counter)
    with pytest.raises(ActorDiedError):
        ag.get(counter.increase.remote(), timeout=DEADLINE)
    told = state.get_actor(actor)
    assert told is not None
    assert told.state == "DEAD"
    assert told.death_cause is not None
    assert "kill()" in told.death_cause["actor_died_error_context"]["error_message"]


def test_actor_whose_argument_is_missing_is_not_pending_yet() -> None:
    gate = Gate.remote()
    waits = hold_back.remote(waiting.remote(gate))
    found = state.list_actors(filters=[("class_name", "=", "hold_back")])
    assert [one.state for one in found] == ["DEPENDENCIES_UNREADY"]
    ag.get(gate.open.remote())
    assert ag.get(waits.__ray_ready__.remote(), timeout=DEADLINE)
    assert [one.state for one in state.list_actors(filters=[("class_name", "=", "hold_back")])] == ["ALIVE"]


@ag.remote(num_cpus=0)
class hold_back:  # noqa: N801  # a name of its own to filter by
    def __init__(self, *_: Any) -> None: ...


def test_constructor_that_may_run_again_has_finished_meanwhile() -> None:
    actor = Counter.options(max_restarts=1).remote()
    ident, _ = ag.get(actor.where.remote(), timeout=DEADLINE)
    filters = [("actor_id", "=", ident), ("type", "=", "ACTOR_CREATION_TASK")]
    (made,) = state.list_tasks(filters=filters)
    assert (made.state, made.name) == ("FINISHED", "Counter.__init__")
    assert made.worker_id is not None
    ag.kill(actor)
    (made,) = state.list_tasks(filters=filters)
    assert made.state == "FINISHED"


def test_calls_of_an_actor_that_wait_for_their_turn() -> None:
    gate = Gate.remote()
    actor = caller.remote()
    first, second = actor.call.remote(gate), actor.call.remote(gate)
    ag.get(gate.arrivals.remote(1), timeout=DEADLINE)
    assert wait_until(lambda: task_of(first).state == "RUNNING_IN_RAY_GET")  # its worker says so a moment later
    assert task_of(second).state == "PENDING_ACTOR_TASK_ORDERING_OR_CONCURRENCY"
    assert task_of(second).type == "ACTOR_TASK"
    ag.get(gate.open.remote())
    ag.get([first, second], timeout=DEADLINE)


@ag.remote(num_cpus=0)
class caller:  # noqa: N801  # as above
    def call(self, gate: Any) -> None:
        ag.get(gate.pass_through.remote())


def test_objects_tell_their_size_and_who_refers_to_them() -> None:
    small, large = ag.put(b"x"), ag.put(b"x" * 300_000)
    (told,) = state.get_objects(large.hex())
    assert told.object_size > 300_000
    assert (told.reference_type, told.type, told.task_status) == ("LOCAL_REFERENCE", "DRIVER", "FINISHED")
    assert told.pid == state.list_workers(filters=[("worker_type", "=", "DRIVER")])[0].pid
    assert state.get_objects(small.hex())[0].object_size < 300
    ident = large.hex()
    del large
    assert state.get_objects(ident) == []


def test_handles_of_actors_are_not_listed_among_objects() -> None:
    counter = Counter.remote()
    ag.get(counter.increase.remote(), timeout=DEADLINE)
    listed = [one.object_id for one in state.list_objects(limit=1000)]
    assert not any(ident.startswith(counter._actor_id.hex()[:16]) for ident in listed)


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


@ag.remote(num_cpus=0)
def watch(ident: str, folder: Path) -> None:
    assert state.get_objects(ident)
    (folder / "seen").touch()
    assert wait_until(lambda: not state.get_objects(ident), DEADLINE)
    (folder / "gone").touch()


@pytest.mark.parametrize(
    "make", [lambda: bytes(1_000_000), lambda: bytes(5_000), lambda: [ag.put(1)]], ids=["large", "some", "references"]
)
def test_object_that_weighs_goes_at_once_though_its_holder_says_nothing_more(
    make: Callable[[], Any], tmp_path: Path
) -> None:
    ref = ag.put(make())
    watch.remote(ref.hex(), tmp_path)
    assert wait_until((tmp_path / "seen").exists, DEADLINE)
    del ref
    assert wait_until((tmp_path / "gone").exists, DEADLINE)  # from here on this process says nothing


def test_object_that_only_a_task_needs() -> None:
    holder = hold(num_cpus=2)
    used = ag.put(1)
    ident = used.hex()
    ref = identity.remote(used)
    del used
    assert [told.reference_type for told in state.get_objects(ident)] == ["USED_BY_PENDING_TASK"]
    (coming,) = state.get_objects(ref.hex())
    assert (coming.object_size, coming.task_status) == (-1, "PENDING_NODE_ASSIGNMENT")
    ag.kill(holder)
    assert ag.get(ref, timeout=DEADLINE) == 1


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


@pytest.mark.parametrize("end", ["terminate", "close"])
def test_processes_of_a_pool_with_an_initializer_end_with_it(end: str) -> None:
    pool = Pool(1, int, ray_remote_args={"num_cpus": 0})
    process = pool.apply(lambda: ag.get_runtime_context().get_worker_id())
    assert shown_worker(process).is_alive
    getattr(pool, end)()
    pool.join()
    assert wait_until(lambda: not shown_worker(process).is_alive)


def process_of_a_call(gate: Any = None) -> str:
    if gate is not None:
        ag.get(gate.pass_through.remote())
    return ag.get_runtime_context().get_worker_id()


def test_processes_of_a_pool_with_an_initializer_that_is_dropped_end_when_its_calls_are_over() -> None:
    gate = Gate.remote()
    pool = Pool(1, int, ray_remote_args={"num_cpus": 0})
    process = pool.apply(process_of_a_call)
    calls = [pool.apply_async(process_of_a_call, (each,)) for each in (gate, None)]
    ag.get(gate.arrivals.remote(1), timeout=DEADLINE)
    del pool
    gc.collect()
    assert shown_worker(process).is_alive
    ag.get(gate.open.remote())
    assert [call.get(DEADLINE) for call in calls] == [process] * 2
    assert wait_until(lambda: not shown_worker(process).is_alive)


def shown_worker(process: str) -> Any:
    found = state.get_worker(process)
    assert found is not None
    return found


def test_placement_groups_are_listed_until_they_are_removed_and_are_no_tasks() -> None:
    placed = util.placement_group([{"CPU": 1}], name="mine")
    ag.get(placed.ready(), timeout=DEADLINE)
    waiting = util.placement_group([{"CPU": 2}])
    rows = state.list_placement_groups(detail=True)
    assert [(row.placement_group_id, row.state) for row in rows] == [
        (placed.id.hex(), "CREATED"),
        (waiting.id.hex(), "PENDING"),
    ]
    job = ag.get_runtime_context().get_job_id()
    assert (rows[0].name, rows[0].creator_job_id, rows[0].bundles, rows[0].is_detached) == (
        "mine",
        job,
        [{"CPU": 1}],
        False,
    )
    assert state.get_placement_group(waiting.id.hex()) == rows[1]
    assert not [row for row in state.list_tasks() if "group" in row.name]
    assert state.list_placement_groups(filters=[("state", "=", "created")], detail=True) == rows[:1]
    for group in (waiting, placed):
        util.remove_placement_group(group)
    assert state.list_placement_groups() == []
    assert not [row for row in state.list_tasks() if "group" in row.name]


def test_objects_are_on_this_machine_once_they_are_made() -> None:
    gate = Gate.remote()
    there, coming = ag.put(b"x" * 1000), gate.pass_through.remote()
    ag.get(gate.arrivals.remote(at_least=1), timeout=DEADLINE)
    found = get_object_locations([there, coming])
    assert found[there]["node_ids"] == [ag.nodes()[0]["NodeID"]]
    assert found[there]["object_size"] >= 1000
    assert (found[coming]["node_ids"], found[coming]["object_size"]) == ([], None)
    gate.open.remote()
    ag.get(coming, timeout=DEADLINE)
    with pytest.raises(TypeError, match="a list of references is wanted"):
        get_object_locations(there)  # type: ignore[arg-type]  # that is the point
