"""Where tasks and actors run: what the options mean to an engine, and what placement groups refuse."""

from __future__ import annotations

import importlib
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import cloudpickle
import pytest

import actorgrid as ag
from actorgrid import util
from actorgrid.api.options import actor_options, check_actor_options, check_task_options, task_options
from actorgrid.core.resources import demand
from actorgrid.engine.definitions import Condition, GroupRef, Where
from actorgrid.util.placement_group import PlacementGroup
from actorgrid.util.scheduling_strategies import (
    DoesNotExist,
    Exists,
    In,
    NodeAffinitySchedulingStrategy,
    NodeLabelSchedulingStrategy,
    NotIn,
    PlacementGroupSchedulingStrategy,
)
from tests.api.fake_engine import SESSION, FakeEngine

REF = GroupRef(7, SESSION, (demand({"CPU": 1}), demand({"CPU": 2})))
GROUP = PlacementGroup(REF)


def where(**options: Any) -> Where:
    """Return where a task with these options runs."""
    return task_options(check_task_options(options, at_use=True)).where


def test_without_options_nothing_is_said() -> None:
    assert where() == Where()


@pytest.mark.parametrize(
    "strategy",
    [
        "DEFAULT",
        "SPREAD",
        PlacementGroupSchedulingStrategy(None),
        PlacementGroupSchedulingStrategy(PlacementGroup.empty()),
        NodeAffinitySchedulingStrategy("e" * 56, soft=True),
        NodeLabelSchedulingStrategy(soft={"zone": In("a")}),
    ],
    ids=repr,
)
def test_strategy_that_asks_for_nothing_still_keeps_a_task_out_of_its_callers_group(strategy: Any) -> None:
    assert where(scheduling_strategy=strategy) == Where(said=True)


@pytest.mark.filterwarnings("ignore:option 'placement_group")
def test_no_group_in_the_older_spelling_does_so_too() -> None:
    assert where(placement_group=None) == Where(said=True)
    assert where(placement_group=None, scheduling_strategy=None) == Where(said=True)
    assert where(placement_group="default") == Where()
    in_group = PlacementGroupSchedulingStrategy(GROUP, 1)
    assert where(placement_group=None, scheduling_strategy=in_group) == where(scheduling_strategy=in_group)


def test_strategy_names_group_bundle_and_whether_it_captures() -> None:
    strategy = PlacementGroupSchedulingStrategy(GROUP, 1, placement_group_capture_child_tasks=True)
    assert where(scheduling_strategy=strategy) == Where(True, REF, 1, True)


def test_actors_take_the_same_options_and_hold_a_cpu_for_the_accelerator_they_ask_for() -> None:
    given = check_actor_options({"accelerator_type": "A100", "label_selector": {"a": "b"}}, at_use=True)
    options = actor_options(given, is_async=False)
    assert options.resources == {"accelerator_type:A100": 0.001}
    assert options.num_cpus == 1
    assert options.where.conditions == ((Condition("a", True, ("b",)),),)


def test_older_spelling_means_the_same_and_warns() -> None:
    with pytest.warns(DeprecationWarning, match="placement_group"):
        given = check_task_options({"placement_group": GROUP, "placement_group_bundle_index": 1}, at_use=True)
    assert task_options(given).where == Where(True, REF, 1, None)


@pytest.mark.filterwarnings("ignore:option 'placement_group")
@pytest.mark.parametrize(
    "given",
    [
        {"placement_group_bundle_index": 0},
        {"placement_group": GROUP, "placement_group_bundle_index": 2},
        {"placement_group": GROUP, "scheduling_strategy": "SPREAD"},
    ],
    ids=str,
)
def test_older_spelling_that_contradicts_itself_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"placement.group"):
        where(**given)


def test_equal_strategies_are_equal_so_that_options_in_a_loop_prepare_nothing_anew() -> None:
    @ag.remote
    def f() -> None: ...

    again = pickle.loads(pickle.dumps(GROUP))
    first = f.options(scheduling_strategy=PlacementGroupSchedulingStrategy(GROUP, 1))
    assert f.options(scheduling_strategy=PlacementGroupSchedulingStrategy(again, 1)) is first
    assert f.options(scheduling_strategy=PlacementGroupSchedulingStrategy(GROUP, 0)) is not first
    assert PlacementGroupSchedulingStrategy(None) != NodeAffinitySchedulingStrategy("a" * 56, soft=False)
    assert hash(NodeLabelSchedulingStrategy({"a": In("b")})) == hash(NodeLabelSchedulingStrategy({"a": In("b")}))


@pytest.mark.parametrize(
    ("text", "wanted", "values"),
    [
        ("v", True, ("v",)),
        ("!v", False, ("v",)),
        ("in(v, w)", True, ("v", "w")),
        ("!in(v,w)", False, ("v", "w")),
        ("in (v)", True, ("v",)),
        ("intern", True, ("intern",)),
    ],
)
def test_label_selectors_are_read_as_ray_reads_them(text: str, wanted: bool, values: tuple[str, ...]) -> None:
    assert where(label_selector={"k": text}).conditions == ((Condition("k", wanted, values),),)


def test_fallbacks_are_alternatives_and_labels_of_a_strategy_hold_in_each() -> None:
    hard = {"gpu": Exists(), "old": DoesNotExist(), "zone": NotIn("x", "y")}
    conditions = where(
        label_selector={"a": "1"},
        fallback_strategy=[{"label_selector": {"a": "2"}}],
        scheduling_strategy=NodeLabelSchedulingStrategy(hard),
    ).conditions
    always = (Condition("gpu", True, None), Condition("old", False, None), Condition("zone", False, ("x", "y")))
    assert conditions == ((*always, Condition("a", True, ("1",))), (*always, Condition("a", True, ("2",))))


@pytest.mark.parametrize(
    ("strategy", "given", "error"),
    [
        (PlacementGroupSchedulingStrategy, (3,), TypeError),
        (PlacementGroupSchedulingStrategy, (GROUP, 2), ValueError),
        (PlacementGroupSchedulingStrategy, (GROUP, -2), ValueError),
        (PlacementGroupSchedulingStrategy, (None, 0), ValueError),
        (PlacementGroupSchedulingStrategy, (GROUP, 1.0), TypeError),
        (PlacementGroupSchedulingStrategy, (GROUP, 1, "yes"), TypeError),
        (NodeAffinitySchedulingStrategy, ("", True), ValueError),
        (NodeAffinitySchedulingStrategy, (3, True), ValueError),
        (NodeAffinitySchedulingStrategy, ("a" * 56, False, True), ValueError),
        (NodeLabelSchedulingStrategy, (), ValueError),
        (NodeLabelSchedulingStrategy, ({"a": "b"},), TypeError),
        (NodeLabelSchedulingStrategy, (["a"],), TypeError),
        (In, (), ValueError),
        (NotIn, (1,), ValueError),
    ],
)
def test_bad_strategies_are_refused_where_they_are_made(strategy: Any, given: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        strategy(*given)


# -- placement groups


def test_group_knows_its_id_and_bundles_and_survives_pickling() -> None:
    again = pickle.loads(pickle.dumps(GROUP))
    assert again == GROUP
    assert hash(again) == hash(GROUP)
    assert again.bundle_specs == [{"CPU": 1}, {"CPU": 2}]
    assert again.bundle_count == 2
    assert (len(again.id.hex()), len(again.id.binary()), again.id.is_nil()) == (36, 18, False)
    assert again.id == GROUP.id
    assert not again.is_empty
    assert again.id.hex() in repr(again)


def test_empty_group_is_none() -> None:
    empty = PlacementGroup.empty()
    assert empty.is_empty
    assert empty.id.is_nil()
    assert empty.bundle_specs == []
    assert empty != GROUP


def test_group_is_made_with_what_was_asked_for(engine: FakeEngine) -> None:
    group = util.placement_group([{"CPU": 1}, {"GPU": 2, "x": 0.5}], "SPREAD", "mine", "detached")
    bundles = [{"CPU": 1.0}, {"GPU": 2.0, "x": 0.5}]
    assert engine.log == [("create_group", bundles, "SPREAD", "mine", True, [])]
    assert group.bundle_specs == bundles


@pytest.mark.usefixtures("engine")
def test_module_of_groups_can_be_called_and_sent_like_the_function() -> None:
    module: Any = importlib.import_module("actorgrid.util.placement_group")
    assert module([{"CPU": 1}]) == module.placement_group([{"CPU": 1}])
    assert pickle.loads(cloudpickle.dumps(module)) is module


@pytest.mark.parametrize(
    "statement",
    [
        "from actorgrid.util import placement_group",
        "from actorgrid.util import get_placement_group, placement_group",
        "from actorgrid.util.placement_group import PlacementGroup, placement_group",
        "from actorgrid.util.placement_group import PlacementGroup; from actorgrid.util import placement_group",
        "import actorgrid.util.placement_group; placement_group = actorgrid.util.placement_group",
    ],
)
def test_function_is_found_whichever_way_it_is_imported(statement: str) -> None:
    program = f"{statement}; assert callable(placement_group)"
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(__file__).parents[2])


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"bundles": []}, ValueError),
        ({"bundles": {"CPU": 1}}, ValueError),
        ({"bundles": "CPU"}, ValueError),
        ({"bundles": 3}, ValueError),
        ({"bundles": [3]}, ValueError),
        ({"bundles": [{3: 1}]}, ValueError),
        ({"bundles": [{}]}, ValueError),
        ({"bundles": [{"CPU": 1}, {"CPU": 0}]}, ValueError),
        ({"bundles": [{"CPU": -1}]}, ValueError),
        ({"bundles": [{"CPU": "1"}]}, ValueError),
        ({"bundles": [{"CPU": float("nan")}]}, ValueError),
        ({"bundles": [{"CPU": 0.00001}]}, ValueError),
        ({"bundles": [{"GPU": 1.5}]}, ValueError),
        ({"strategy": "ANY"}, ValueError),
        ({"name": 3}, TypeError),
        ({"lifetime": "non_detached"}, ValueError),
        ({"bundle_label_selector": [{}, {}]}, ValueError),
        ({"bundle_label_selector": [3]}, TypeError),
        ({"topology_strategy": "ring"}, ValueError),
    ],
    ids=str,
)
def test_bad_groups_are_refused(given: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        util.placement_group(**{"bundles": [{"CPU": 1}], **given})


@pytest.mark.usefixtures("engine")
def test_what_is_no_group_is_refused() -> None:
    with pytest.raises(TypeError, match="PlacementGroup"):
        util.remove_placement_group("mine")  # type: ignore[arg-type]  # on purpose
    with pytest.raises(TypeError, match="PlacementGroup"):
        util.placement_group_table("mine")  # type: ignore[arg-type]  # on purpose
    with pytest.raises(ValueError, match="non-empty"):
        util.get_placement_group("")
    with pytest.raises(ValueError, match="mine"):
        util.get_placement_group("mine")
    with pytest.raises(TypeError, match="timeout"):
        GROUP.wait("1")  # type: ignore[arg-type]  # on purpose
    with pytest.raises(ValueError, match="timeout"):
        GROUP.wait(-1)


def test_removing_no_group_says_nothing(engine: FakeEngine) -> None:
    util.remove_placement_group(PlacementGroup.empty())
    assert engine.log == []


def test_driver_is_in_no_group(engine: FakeEngine) -> None:
    assert util.get_current_placement_group() is None
    context = ag.get_runtime_context()
    assert context.get_placement_group_id() is None
    assert not context.should_capture_child_tasks_in_placement_group
    assert engine.log == []
