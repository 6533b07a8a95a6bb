"""``actorgrid.util.state`` of actors, their processes, and placement groups."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import gc
import os
from typing import Any

import pytest

import actorgrid as ag
from actorgrid import util
from actorgrid.exceptions import ActorDiedError
from actorgrid.testing.waiting import wait_until
from actorgrid.util import state
from actorgrid.util.multiprocessing import Pool
from tests.contract.told import Counter, hold_back, identity, task_of, waiting
from tests.contract.tools import DEADLINE, Gate

pytestmark = pytest.mark.usefixtures("grid")


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
