"""Placement groups: resources that are set aside together, and what runs with them."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import actorgrid as ag
from actorgrid.exceptions import (
    ActorDiedError,
    ActorPlacementGroupRemoved,
    GetTimeoutError,
    InfeasibleResourcesError,
    TaskPlacementGroupRemoved,
)
from actorgrid.testing.waiting import wait_until
from actorgrid.util import (
    get_current_placement_group,
    get_placement_group,
    placement_group,
    placement_group_table,
    remove_placement_group,
)
from actorgrid.util.placement_group import PlacementGroup
from actorgrid.util.scheduling_strategies import PlacementGroupSchedulingStrategy
from tests.contract.tools import DEADLINE, Gate, Holder, count_run, hold, kill_this_process, runs

pytestmark = pytest.mark.usefixtures("grid")

#: Two CPUs, all that the grid of these tests has.
BOTH = [{"CPU": 1}, {"CPU": 1}]


@pytest.fixture
def pair() -> Iterator[PlacementGroup]:
    """A group of two bundles that is ready."""
    group = placement_group(BOTH)
    assert group.wait(DEADLINE)
    yield group
    remove_placement_group(group)


def within(group: PlacementGroup | None, bundle: int = -1, **fields: Any) -> dict[str, Any]:
    """Return the option for a call that runs in ``group``."""
    return {"scheduling_strategy": PlacementGroupSchedulingStrategy(group, bundle, **fields)}


@ag.remote
def one() -> int:
    return 1


@ag.remote
def where() -> str | None:
    return ag.get_runtime_context().get_placement_group_id()


@ag.remote
class Home:
    def where(self) -> str | None:
        return ag.get_runtime_context().get_placement_group_id()

    def where_children_run(self) -> list[str | None]:
        here: list[str | None] = ag.get([where.options(num_cpus=0).remote(), Home.remote().where.remote()])
        return here


@ag.remote(num_cpus=0)
class Keeper:
    """Makes a group and keeps it to itself."""

    def make(self) -> bool:
        self.group = placement_group(BOTH)
        return self.group.wait(DEADLINE)


# -- making and waiting


def test_ready_gives_the_group_itself(pair: PlacementGroup) -> None:
    assert ag.get(pair.ready(), timeout=DEADLINE) == pair


def test_group_takes_what_it_holds_and_gives_it_back() -> None:
    group = placement_group([{"CPU": 1.5}])
    assert group.wait(DEADLINE)
    assert ag.available_resources()["CPU"] == 0.5
    remove_placement_group(group)
    assert ag.available_resources()["CPU"] == 2


def test_resources_of_a_group_are_in_its_table_and_not_among_those_of_the_grid() -> None:
    group = placement_group([{"CPU": 1.5}])
    assert group.wait(DEADLINE)
    assert not any("group" in name for name in [*ag.cluster_resources(), *ag.available_resources()])
    assert placement_group_table(group)["bundles"] == {0: {"CPU": 1.5}}
    remove_placement_group(group)


def test_group_waits_until_all_its_bundles_fit() -> None:
    holder = hold(num_cpus=1)
    group = placement_group(BOTH)
    ready = group.ready()
    assert not group.wait(0)
    with pytest.raises(GetTimeoutError):
        ag.get(ready, timeout=0)
    assert ag.available_resources()["CPU"] == 1, "a part is not taken ahead"
    ag.kill(holder)
    assert ag.get(ready, timeout=DEADLINE) == group
    remove_placement_group(group)


def test_explain_says_what_a_group_waits_for() -> None:
    holder = hold(num_cpus=1)
    group = placement_group(BOTH, name="pair")
    task = one.options(**within(group)).remote()
    told = ag.explain(task)
    assert "one has not started: it waits for placement group pair" in told
    assert "placement group pair has not started: it waits for 2 CPU (1 CPU free); held by actor Holder" in told
    ag.kill(holder)
    assert ag.get(task, timeout=DEADLINE) == 1
    remove_placement_group(group)


def test_group_can_be_waited_for_in_a_task() -> None:
    @ag.remote(num_cpus=0)
    def waits(group: PlacementGroup) -> bool:
        return ag.get(group.ready(), timeout=DEADLINE) == group and group.wait(DEADLINE)

    group = placement_group(BOTH)
    assert ag.get(waits.remote(group), timeout=DEADLINE)
    remove_placement_group(group)


def test_group_of_a_detached_actor_ends_with_it_and_no_other_does() -> None:
    keeper = Keeper.options(lifetime="detached").remote()
    assert ag.get(keeper.make.remote(), timeout=DEADLINE)
    waits = placement_group(BOTH)
    assert not waits.wait(0.1)
    ag.kill(keeper)
    assert waits.wait(DEADLINE)
    remove_placement_group(waits)


def test_task_can_make_a_group_that_outlives_it() -> None:
    @ag.remote
    def make() -> PlacementGroup:
        return placement_group([{"CPU": 1}], name="made in a task")

    group = ag.get(make.remote(), timeout=DEADLINE)
    assert group.wait(DEADLINE)
    assert get_placement_group("made in a task") == group
    remove_placement_group(group)


@pytest.mark.parametrize("strategy", ["PACK", "SPREAD", "STRICT_PACK"])
def test_strategies_of_one_machine_are_alike(strategy: str) -> None:
    group = placement_group(BOTH, strategy=strategy)
    assert group.wait(DEADLINE)
    assert placement_group_table(group)["strategy"] == strategy
    remove_placement_group(group)


@pytest.mark.parametrize(
    ("bundles", "strategy", "told"),
    [
        (BOTH, "STRICT_SPREAD", "one machine"),
        ([{"CPU": 2}, {"CPU": 1}], "PACK", "'CPU': 3.0"),
        ([{"absent": 1}], "PACK", "absent"),
        ([{"GPU": 1}], "PACK", "GPU"),
    ],
)
def test_group_that_can_never_be_is_refused_at_once(bundles: list[dict[str, float]], strategy: str, told: str) -> None:
    with pytest.raises(InfeasibleResourcesError, match=told):
        placement_group(bundles, strategy=strategy)


@pytest.mark.parametrize(
    "bundles", [None, "CPU", {"CPU": 1}, [], [{}], [1], [None], [{1: 1}], [{"CPU": "1"}], [{"CPU": None}], [{"CPU": 0}]]
)
def test_bundles_that_are_none_are_a_value_error_whatever_is_wrong_with_them(bundles: Any) -> None:
    with pytest.raises(ValueError, match="undle"):
        placement_group(bundles)


def test_one_bundle_may_be_spread_strictly() -> None:
    group = placement_group([{"CPU": 2}], strategy="STRICT_SPREAD")
    assert group.wait(DEADLINE)
    remove_placement_group(group)


# -- names and the table


def test_name_finds_a_group_and_is_taken_once() -> None:
    group = placement_group([{"CPU": 1}], name="mine")
    assert get_placement_group("mine") == group
    assert get_placement_group("mine").bundle_specs == [{"CPU": 1}]
    with pytest.raises(ValueError, match="'mine' is taken"):
        placement_group([{"CPU": 1}], name="mine")
    remove_placement_group(group)
    with pytest.raises(ValueError, match="mine"):
        get_placement_group("mine")
    again = placement_group([{"CPU": 1}], name="mine")
    assert again != group
    remove_placement_group(again)


def test_table_tells_of_each_group_in_each_state() -> None:
    holder = hold(num_cpus=1)
    placed = placement_group([{"CPU": 0.5}], name="small")
    waiting = placement_group(BOTH)
    removed = placement_group([{"CPU": 0.5}])
    remove_placement_group(removed)
    assert placed.wait(DEADLINE)
    node = ag.nodes()[0]["NodeID"]
    assert placement_group_table(placed) == {
        "placement_group_id": placed.id.hex(),
        "name": "small",
        "bundles": {0: {"CPU": 0.5}},
        "bundles_to_node_id": {0: node},
        "bundles_available": {0: {"CPU": 0.5}},
        "strategy": "PACK",
        "state": "CREATED",
    }
    assert placement_group_table(waiting)["state"] == "PENDING"
    assert placement_group_table(removed)["state"] == "REMOVED"
    assert set(placement_group_table()) == {placed.id.hex(), waiting.id.hex()}
    for group in (placed, waiting):
        remove_placement_group(group)
    ag.kill(holder)


# -- running in a group


def test_task_and_actor_know_their_group(pair: PlacementGroup) -> None:
    @ag.remote
    def current() -> PlacementGroup | None:
        return get_current_placement_group()

    here = ag.get(current.options(**within(pair)).remote(), timeout=DEADLINE)
    assert here == pair
    assert here.bundle_specs == BOTH
    home = Home.options(**within(pair, 1)).remote()
    assert ag.get(home.where.remote(), timeout=DEADLINE) == pair.id.hex()
    assert get_current_placement_group() is None


def test_what_runs_in_a_group_needs_nothing_that_is_free(pair: PlacementGroup) -> None:
    assert "CPU" not in ag.available_resources()
    assert ag.get([one.options(**within(pair)).remote() for _ in range(10)], timeout=DEADLINE) == [1] * 10
    outside = one.remote()
    assert ag.wait([outside], timeout=0) == ([], [outside])
    remove_placement_group(pair)
    assert ag.get(outside, timeout=DEADLINE) == 1


def test_bundle_is_used_by_what_names_it_alone(pair: PlacementGroup) -> None:
    holder = hold(num_cpus=1, **within(pair, 0))
    same, other = one.options(**within(pair, 0)).remote(), one.options(**within(pair, 1)).remote()
    assert ag.get(other, timeout=DEADLINE) == 1
    assert ag.wait([same], timeout=0) == ([], [same])
    assert placement_group_table(pair)["bundles_available"] == {0: {"CPU": 0}, 1: {"CPU": 1}}
    ag.kill(holder)
    assert ag.get(same, timeout=DEADLINE) == 1


def test_any_bundle_is_used_by_what_names_none(pair: PlacementGroup) -> None:
    gate = Gate.remote()

    @ag.remote
    def wait() -> None:
        ag.get(gate.arrive.remote())

    holders = [hold(num_cpus=1, **within(pair)) for _ in range(2)]
    waits = wait.options(**within(pair)).remote()
    assert ag.wait([waits], timeout=0) == ([], [waits])
    ag.kill(holders[1])
    ag.get(waits, timeout=DEADLINE)


def test_actor_without_options_needs_a_cpu_of_its_group_to_be_placed(pair: PlacementGroup) -> None:
    holders = [hold(num_cpus=1, **within(pair)) for _ in range(2)]
    waiting = Holder.options(**within(pair)).remote()
    ready = waiting.ready.remote()
    assert ag.wait([ready], timeout=0) == ([], [ready])
    ag.kill(holders[0])
    assert ag.get(ready, timeout=DEADLINE) > 0
    assert ag.get(one.options(**within(pair)).remote(), timeout=DEADLINE) == 1, "while it lives it holds none"


def test_nested_tasks_of_a_group_share_its_cpus(pair: PlacementGroup) -> None:
    @ag.remote
    def fib(n: int) -> int:
        return n if n < 2 else sum(ag.get([fib.remote(n - 1), fib.remote(n - 2)]))

    captured = within(pair, placement_group_capture_child_tasks=True)
    assert ag.get(fib.options(**captured).remote(6), timeout=DEADLINE) == 8


@pytest.mark.parametrize(
    ("options", "bundle", "told"),
    [({"num_cpus": 2}, -1, "any bundle of"), ({"num_cpus": 2}, 0, "bundle 0 of"), ({"resources": {"x": 1}}, 1, "x")],
)
def test_what_fits_into_no_bundle_is_refused_at_the_call(
    pair: PlacementGroup, options: dict[str, Any], bundle: int, told: str
) -> None:
    options = options | within(pair, bundle)
    with pytest.raises(InfeasibleResourcesError, match=told):
        one.options(**options).remote()
    with pytest.raises(InfeasibleResourcesError, match=told):
        Holder.options(**options).remote()


def test_default_actor_is_refused_by_a_group_without_cpus(fresh_grid: Callable[..., Any]) -> None:
    fresh_grid(num_cpus=2, resources={"special": 1})
    group = placement_group([{"special": 1}])
    with pytest.raises(InfeasibleResourcesError, match=r"'CPU': 1\.0"):
        Holder.options(**within(group)).remote()
    assert hold(num_cpus=0, resources={"special": 1}, **within(group))


def test_group_of_an_earlier_grid_is_refused(fresh_grid: Callable[..., Any]) -> None:
    fresh_grid(num_cpus=2)
    old = placement_group([{"CPU": 1}])
    fresh_grid(num_cpus=2)
    for use in (
        lambda: one.options(**within(old)).remote(),
        old.ready,
        lambda: old.wait(1),
        lambda: remove_placement_group(old),
        lambda: placement_group_table(old),
    ):
        with pytest.raises(ValueError, match="another session"):
            use()


# -- what a caller takes along


def test_children_run_elsewhere_unless_they_are_captured(pair: PlacementGroup) -> None:
    home = Home.options(num_cpus=0, **within(pair, placement_group_capture_child_tasks=True)).remote()
    assert ag.get(home.where_children_run.remote(), timeout=DEADLINE) == [pair.id.hex()] * 2
    free = Home.options(num_cpus=0, **within(pair)).remote()
    child = ag.get(free.__ray_call__.remote(lambda _: ag.get(where.options(num_cpus=0).remote())), timeout=DEADLINE)
    assert child is None


def test_grandchildren_are_captured_too(pair: PlacementGroup) -> None:
    @ag.remote(num_cpus=0)
    def nested(depth: int) -> tuple[str | None, bool]:
        if depth:
            return ag.get(nested.remote(depth - 1))
        context = ag.get_runtime_context()
        return context.get_placement_group_id(), context.should_capture_child_tasks_in_placement_group

    captured = nested.options(**within(pair, placement_group_capture_child_tasks=True))
    assert ag.get(captured.remote(2), timeout=DEADLINE) == (pair.id.hex(), True)
    assert ag.get(nested.options(**within(pair)).remote(2), timeout=DEADLINE) == (None, False)


@pytest.mark.parametrize(
    "way_out",
    [
        {"scheduling_strategy": "DEFAULT"},
        {"scheduling_strategy": "SPREAD"},
        {"scheduling_strategy": PlacementGroupSchedulingStrategy(None)},
        pytest.param({"placement_group": None}, marks=pytest.mark.filterwarnings("ignore::DeprecationWarning")),
    ],
)
def test_child_that_says_otherwise_is_not_captured(pair: PlacementGroup, way_out: dict[str, Any]) -> None:
    @ag.remote(num_cpus=0)
    def parent() -> list[str | None]:
        home = Home.options(num_cpus=0, **way_out).remote()
        return ag.get([where.options(num_cpus=0, **way_out).remote(), home.where.remote()])

    captured = parent.options(**within(pair, placement_group_capture_child_tasks=True))
    assert ag.get(captured.remote(), timeout=DEADLINE) == [None, None]


def test_strategy_counts_if_the_older_option_says_that_there_is_no_group(pair: PlacementGroup) -> None:
    older = where.options(num_cpus=0, placement_group=None, **within(pair))
    assert ag.get(older.remote(), timeout=DEADLINE) == pair.id.hex()


@pytest.mark.parametrize(
    "older",
    [
        {"placement_group": None},
        {"placement_group": PlacementGroup.empty()},
        {"placement_group_capture_child_tasks": True},
    ],
    ids=["none", "empty", "capture"],
)
def test_older_options_warn_that_there_are_strategies(older: dict[str, Any]) -> None:
    (name,) = older
    for _ in range(2):  # each time
        with pytest.warns(DeprecationWarning, match=rf"{name}\b.* deprecated.*PlacementGroupSchedulingStrategy"):
            assert ag.get(where.options(num_cpus=0, **older).remote(), timeout=DEADLINE) is None
    with pytest.warns(DeprecationWarning, match=rf"{name}\b.* deprecated"):
        assert ag.get(Home.options(num_cpus=0, **older).remote().where.remote(), timeout=DEADLINE) is None


@pytest.mark.parametrize("older", [{"placement_group": None}, {"placement_group_capture_child_tasks": True}], ids=str)
def test_older_options_do_not_warn_beside_a_strategy_which_counts(pair: PlacementGroup, older: dict[str, Any]) -> None:
    inside = ag.remote(num_cpus=0, **within(pair))(where._function)
    with warnings.catch_warnings(action="error"):
        refs = [inside.options(**older).remote(), where.options(num_cpus=0, **within(pair), **older).remote()]
    assert ag.get(refs, timeout=DEADLINE) == [pair.id.hex()] * 2


def test_strategy_that_is_none_is_the_default() -> None:
    group = placement_group([{"CPU": 1}], strategy=None)
    assert group.wait(DEADLINE)
    assert placement_group_table(group)["strategy"] == "PACK"
    remove_placement_group(group)


def test_older_options_mean_what_they_meant(pair: PlacementGroup) -> None:
    with pytest.warns(DeprecationWarning, match="placement_group") as warned:
        ref = where.options(num_cpus=1, placement_group=pair, placement_group_bundle_index=1).remote()
    assert ag.get(ref, timeout=DEADLINE) == pair.id.hex()
    told = [str(each.message) for each in warned]
    assert sorted("placement_group_bundle_index" in each for each in told) == [False, True]


def test_child_of_another_group_captures_as_its_caller_does() -> None:
    first, second = placement_group([{"CPU": 1}]), placement_group([{"CPU": 1}])

    @ag.remote(num_cpus=0)
    def parent(options: dict[str, Any]) -> str | None:
        return ag.get(child.options(**options).remote())  # type: ignore[no-any-return]  # options hide what it returns

    @ag.remote(num_cpus=0)
    def child() -> str | None:
        return ag.get(where.options(num_cpus=0).remote())

    captured = parent.options(**within(first, placement_group_capture_child_tasks=True))
    assert ag.get(captured.remote(within(second)), timeout=DEADLINE) == second.id.hex()
    never = within(second, placement_group_capture_child_tasks=False)
    assert ag.get(captured.remote(never), timeout=DEADLINE) is None
    for group in (first, second):
        remove_placement_group(group)


def test_captured_child_that_fits_into_no_bundle_is_refused_in_its_caller(pair: PlacementGroup) -> None:
    @ag.remote(num_cpus=0)
    def parent() -> None:
        one.options(num_cpus=2).remote()

    captured = parent.options(**within(pair, placement_group_capture_child_tasks=True))
    with pytest.raises(InfeasibleResourcesError, match="any bundle of its placement group"):
        ag.get(captured.remote(), timeout=DEADLINE)


def test_worker_that_has_captured_does_not_do_so_for_others(pair: PlacementGroup) -> None:
    @ag.remote(num_cpus=0)
    def parent() -> tuple[int, str | None]:
        return os.getpid(), ag.get(where.options(num_cpus=0).remote())

    captured = parent.options(**within(pair, placement_group_capture_child_tasks=True))
    seen: dict[int, set[str | None]] = {}
    for _ in range(4):
        for pid, group in ag.get([captured.remote(), parent.remote()], timeout=DEADLINE):
            seen.setdefault(pid, set()).add(group)
    assert set().union(*seen.values()) == {pair.id.hex(), None}


# -- removing


def test_removing_stops_what_runs_and_what_waits(pair: PlacementGroup) -> None:
    gate = Gate.remote()

    @ag.remote
    def stay() -> None:
        ag.get(gate.pass_through.remote())

    running = stay.options(num_cpus=1, **within(pair, 0)).remote()
    ag.get(gate.arrivals.remote(1), timeout=DEADLINE)
    holder = hold(num_cpus=1, **within(pair, 1))
    queued = one.options(**within(pair, 1)).remote()
    remove_placement_group(pair)
    with pytest.raises(TaskPlacementGroupRemoved, match="stay was stopped"):
        ag.get(running, timeout=DEADLINE)
    with pytest.raises(TaskPlacementGroupRemoved, match="one did not run"):
        ag.get(queued, timeout=DEADLINE)
    with pytest.raises(ActorDiedError, match="its placement group was removed") as caught:
        ag.get(holder.ready.remote(), timeout=DEADLINE)
    assert isinstance(caught.value, ActorPlacementGroupRemoved)
    assert ag.available_resources()["CPU"] == 2


@pytest.mark.processes("the system knows nothing of simulated processes")
def test_removing_ends_the_processes(pair: PlacementGroup) -> None:
    holder = hold(**within(pair))
    pid = ag.get(holder.ready.remote(), timeout=DEADLINE)
    remove_placement_group(pair)
    assert wait_until(lambda: not Path(f"/proc/{pid}").exists())


def test_task_that_was_stopped_is_not_tried_again(pair: PlacementGroup, tmp_path: Any) -> None:
    gate, path = Gate.remote(), tmp_path / "runs"

    @ag.remote(max_retries=-1)
    def stay() -> None:
        count_run(path)
        ag.get(gate.pass_through.remote())

    task = stay.options(**within(pair)).remote()
    ag.get(gate.arrivals.remote(1), timeout=DEADLINE)
    remove_placement_group(pair)
    with pytest.raises(TaskPlacementGroupRemoved):
        ag.get(task, timeout=DEADLINE)
    gate.open.remote()
    assert ag.get([one.remote(), one.remote()], timeout=DEADLINE) == [1, 1]
    assert runs(path) == 1


def test_what_is_submitted_to_a_removed_group_fails(pair: PlacementGroup) -> None:
    inside = one.options(**within(pair))
    assert ag.get(inside.remote(), timeout=DEADLINE) == 1
    remove_placement_group(pair)
    remove_placement_group(pair)  # is done already
    with pytest.raises(TaskPlacementGroupRemoved):
        ag.get(inside.remote(), timeout=DEADLINE)
    with pytest.raises(ActorPlacementGroupRemoved):
        ag.get(Holder.options(**within(pair)).remote().ready.remote(), timeout=DEADLINE)
    with pytest.raises(TaskPlacementGroupRemoved):
        ag.get(pair.ready(), timeout=DEADLINE)
    assert not pair.wait(DEADLINE)


def test_group_that_waits_can_be_removed() -> None:
    holder = hold(num_cpus=1)
    group = placement_group(BOTH, name="never")
    ready, task = group.ready(), one.options(**within(group)).remote()
    remove_placement_group(group)
    for ref in (ready, task):
        with pytest.raises(TaskPlacementGroupRemoved, match="placement group never was removed"):
            ag.get(ref, timeout=DEADLINE)
    ag.kill(holder)


def test_dependent_of_a_task_that_was_stopped_sees_the_same_error(pair: PlacementGroup) -> None:
    @ag.remote
    def after(value: int) -> int:
        return value

    holders = [hold(num_cpus=1, **within(pair)) for _ in range(2)]
    dependent = after.options(num_cpus=0).remote(one.options(**within(pair)).remote())
    remove_placement_group(pair)
    with pytest.raises(TaskPlacementGroupRemoved):
        ag.get(dependent, timeout=DEADLINE)
    assert len(holders) == 2


# -- deaths


def test_task_that_dies_is_tried_again_in_its_group(pair: PlacementGroup, tmp_path: Any) -> None:
    path = tmp_path / "runs"

    @ag.remote
    def dies_once() -> str | None:
        if count_run(path) == 1:
            kill_this_process()
        return ag.get_runtime_context().get_placement_group_id()

    assert ag.get(dies_once.options(**within(pair, 0)).remote(), timeout=DEADLINE) == pair.id.hex()


def test_actor_restarts_in_its_group(pair: PlacementGroup) -> None:
    home = Home.options(num_cpus=1, max_restarts=1, max_task_retries=-1, **within(pair, 0)).remote()
    assert ag.get(home.where.remote(), timeout=DEADLINE) == pair.id.hex()
    ag.kill(home, no_restart=False)
    assert ag.get(home.where.remote(), timeout=DEADLINE) == pair.id.hex()
    assert placement_group_table(pair)["bundles_available"] == {0: {"CPU": 0}, 1: {"CPU": 1}}


# -- GPUs


def test_bundles_have_devices_of_their_own(fresh_grid: Callable[..., Any]) -> None:
    fresh_grid(num_cpus=4, num_gpus=2)
    group = placement_group([{"GPU": 1, "CPU": 1}, {"GPU": 1, "CPU": 1}])

    @ag.remote(num_gpus=0.5, num_cpus=0.5)
    class Half:
        def devices(self) -> tuple[Any, str]:
            return ag.get_gpu_ids(), os.environ["CUDA_VISIBLE_DEVICES"]

    halves = [Half.options(**within(group, bundle)).remote() for bundle in (0, 0, 1, 1)]
    seen = ag.get([half.devices.remote() for half in halves], timeout=DEADLINE)
    assert seen == [([0], "0")] * 2 + [([1], "1")] * 2
