from __future__ import annotations

import re
from typing import Any

import pytest

from actorgrid.api import options as o
from actorgrid.api.basics import get_actor
from actorgrid.api.placement import placement_group
from actorgrid.api.starting import check_labels
from actorgrid.engine.definitions import ActorOptions, MethodOptions, TaskOptions


def task(**given: Any) -> TaskOptions:
    return o.task_options(o.check_task_options(given, at_use=False))


def actor(*, is_async: bool = False, **given: Any) -> ActorOptions:
    return o.actor_options(o.check_actor_options(given, at_use=False), is_async=is_async)


def test_defaults_are_rays() -> None:
    assert task() == TaskOptions()
    assert task(num_cpus=None, name=None, num_returns=None, scheduling_strategy=None) == TaskOptions()
    assert (TaskOptions().num_cpus, TaskOptions().max_retries) == (1.0, 3)
    assert actor() == ActorOptions()


def test_all_task_options() -> None:
    options = task(
        num_cpus=0.5, num_gpus=2, resources={"x": 1}, memory=10.5, num_returns=3, max_retries=-1,
        retry_exceptions=[ValueError], max_calls=2, name="n", priority=-5,
    )  # fmt: skip
    assert options == TaskOptions(0.5, 2.0, {"x": 1.0}, 11, 3, -1, (ValueError,), 2, "n", -5)


def test_all_actor_options() -> None:
    options = actor(
        num_cpus=0, max_restarts=-1, max_task_retries=2, max_concurrency=3, max_pending_calls=0, name="n",
        namespace="s", get_if_exists=True, lifetime="detached", priority=1, memory=1,
    )  # fmt: skip
    assert options == ActorOptions(
        num_cpus=0.0, memory=1, max_restarts=-1, max_task_retries=2, max_concurrency=3, max_pending_calls=-1, name="n",
        namespace="s", get_if_exists=True, detached=True, priority=1,
    )  # fmt: skip
    assert not actor(lifetime="non_detached").detached
    assert actor(lifetime="detached", name="x") == o.actor_options(
        o.check_actor_options(o.check_actor_options({"lifetime": "detached", "name": "x"}, at_use=False), at_use=False),
        is_async=False,
    )


def test_an_actor_with_any_resource_holds_a_cpu() -> None:
    assert actor(num_gpus=1).num_cpus == 1.0
    assert actor(resources={"x": 1}).num_cpus == 1.0
    assert actor(resources={"x": 1}, num_cpus=0).num_cpus == 0.0
    assert actor(memory=5).num_cpus is None


def test_a_gpu_task_leaves_its_worker() -> None:
    assert task(num_gpus=1).max_calls == 1
    assert task(num_gpus=1, max_calls=0).max_calls == 0
    assert task(num_gpus=0).max_calls == 0


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"foo": 1}, ValueError),
        ({"num_cpus": -1}, ValueError),
        ({"num_cpus": float("nan")}, ValueError),
        ({"num_cpus": float("inf")}, ValueError),
        ({"num_cpus": 0.00001}, ValueError),
        ({"num_cpus": "1"}, TypeError),
        ({"num_cpus": True}, TypeError),
        ({"num_gpus": 1.5}, ValueError),
        ({"resources": {"CPU": 1}}, ValueError),
        ({"resources": {"GPU": 1}}, ValueError),
        ({"resources": {"memory": 1}}, ValueError),
        ({"resources": {"x": -1}}, ValueError),
        ({"resources": {"x": "1"}}, TypeError),
        ({"resources": {1: 1}}, TypeError),
        ({"resources": [1]}, TypeError),
        ({"memory": -1}, ValueError),
        ({"num_returns": -1}, ValueError),
        ({"num_returns": 1.0}, TypeError),
        ({"num_returns": "many"}, ValueError),
        ({"max_retries": -2}, ValueError),
        ({"max_retries": 1 << 40}, ValueError),
        ({"max_retries": 1.5}, TypeError),
        ({"retry_exceptions": 3}, TypeError),
        ({"retry_exceptions": [1]}, TypeError),
        ({"retry_exceptions": [int]}, TypeError),
        ({"max_calls": -1}, ValueError),
        ({"name": 3}, TypeError),
        ({"priority": 1.5}, TypeError),
        ({"enable_task_events": 1}, TypeError),
        ({"timeout": "3"}, TypeError),
        ({"run_timeout": 0}, ValueError),
        ({"runtime_env": {"pip": ["x"]}}, ValueError),
        ({"scheduling_strategy": object()}, TypeError),
        ({"scheduling_strategy": "PACK"}, ValueError),
        ({"accelerator_type": ""}, ValueError),
        ({"accelerator_type": 100}, TypeError),
        ({"label_selector": ["a"]}, TypeError),
        ({"label_selector": {"a": 1}}, TypeError),
        ({"label_selector": {"": "b"}}, ValueError),
        ({"label_selector": {"a": ""}}, ValueError),
        ({"label_selector": {"a": "!"}}, ValueError),
        ({"label_selector": {"a": "in()"}}, ValueError),
        ({"label_selector": {"a": "in(b"}}, ValueError),
        ({"label_selector": {"a": "in(b,)"}}, ValueError),
        ({"label_selector": {"a": "b, c"}}, ValueError),
        ({"fallback_strategy": {"label_selector": {}}}, TypeError),
        ({"fallback_strategy": [{"labels": {}}]}, ValueError),
        ({"placement_group": "mine"}, TypeError),
        ({"placement_group_bundle_index": -2}, ValueError),
        ({"placement_group_bundle_index": 0.0}, TypeError),
        ({"placement_group_capture_child_tasks": 1}, TypeError),
        ({"_generator_backpressure_num_objects": 0}, ValueError),
        ({"_generator_backpressure_num_objects": -2}, ValueError),
        ({"_generator_backpressure_num_objects": True}, TypeError),
        ({"object_store_memory": 1}, ValueError),
        ({"max_restarts": 1}, ValueError),
    ],
)
def test_bad_task_options(given: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error, match=next(iter(given))):
        task(**given)


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"foo": 1}, ValueError),
        ({"name": ""}, ValueError),
        ({"name": 1}, TypeError),
        ({"namespace": ""}, ValueError),
        ({"lifetime": "forever"}, ValueError),
        ({"lifetime": 1}, TypeError),
        ({"max_concurrency": 0}, ValueError),
        ({"max_restarts": -2}, ValueError),
        ({"max_task_retries": -2}, ValueError),
        ({"max_pending_calls": -2}, ValueError),
        ({"get_if_exists": True}, ValueError),
        ({"get_if_exists": 1, "name": "n"}, TypeError),
        ({"concurrency_groups": {"io": 0}}, ValueError),
        ({"concurrency_groups": ["io"]}, TypeError),
        ({"allow_out_of_order_execution": False, "concurrency_groups": {"io": 2}}, ValueError),
        ({"allow_out_of_order_execution": False, "max_concurrency": 2}, ValueError),
        ({"max_retries": 1}, ValueError),
        ({"num_returns": 1}, ValueError),
    ],
)
def test_bad_actor_options(given: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error, match=next(iter(given))):
        actor(**given)


def test_list_of_valid_options_has_those_with_an_underscore_too() -> None:
    with pytest.raises(
        ValueError, match=r"Valid ones are concurrency_group.*, _generator_backpressure_num_objects, _la"
    ):
        o.checked(o.METHOD, {"foo": 1}, "an actor method")


def test_what_belongs_to_the_decorator() -> None:
    with pytest.raises(ValueError, match="max_calls"):
        o.check_task_options({"max_calls": 1}, at_use=True)
    with pytest.raises(ValueError, match="concurrency_groups"):
        o.check_actor_options({"concurrency_groups": {}}, at_use=True)
    with pytest.raises(ValueError, match="allow_out_of_order_execution"):
        actor(is_async=True, allow_out_of_order_execution=False)


def test_trivial_values_of_what_is_not_there_yet() -> None:
    assert task(
        runtime_env={}, label_selector={}, placement_group="default", timeout=None, fallback_strategy=[],
        _labels={"a": "b"}, enable_task_events=False, _num_objects_per_yield=1,
    ) == TaskOptions()  # fmt: skip
    assert actor(concurrency_groups={}, allow_out_of_order_execution=False) == actor()


def test_method_options_are_laid_on_top_of_each_other() -> None:
    base = MethodOptions(num_returns=2, max_task_retries=1, name="n")
    given = o.checked(o.METHOD, {"num_returns": 3, "name": None}, "")
    assert o.method_options(given, base) == MethodOptions(num_returns=3, max_task_retries=1, name="n")
    with pytest.raises(TypeError, match="concurrency_group"):
        o.checked(o.METHOD, {"concurrency_group": 1}, "")


def test_environment_variable_says_how_often_tasks_are_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACTORGRID_TASK_MAX_RETRIES", "7")
    assert task().max_retries == 7
    assert task(max_retries=1).max_retries == 1
    monkeypatch.setenv("ACTORGRID_TASK_MAX_RETRIES", "-2")
    with pytest.raises(ValueError, match="ACTORGRID_TASK_MAX_RETRIES is no number of retries: '-2'"):
        task()


def test_bound_of_an_actor_is_for_one_call_at_a_time() -> None:
    bound = "_actor_generator_backpressure_num_objects"
    few: dict[str, Any] = {bound: 3}
    no: dict[str, Any] = {bound: -1}
    assert actor(**few) == actor(**no) == actor()
    several: list[dict[str, Any]] = [{"max_concurrency": 2}, {"concurrency_groups": {"io": 2}}, {"is_async": True}]
    for given in several:
        with pytest.raises(ValueError, match=f"{bound}' is for actors that run one call at a time"):
            actor(**few, **given)
        actor(**no, **given)
    nothing: dict[str, Any] = {bound: 0}
    with pytest.raises(ValueError, match=f"{bound}' must be positive"):
        actor(**nothing)


def test_option_that_there_is_not_says_what_there_is_instead() -> None:
    with pytest.raises(ValueError, match="yield a tuple"):
        task(_num_objects_per_yield=2)
    assert task(_num_objects_per_yield=1) == task()


CONTROLS = {"colour": "n\x1b[31mred", "line": "two\nlines", "bell": "\x07", "eight bits": "\x9b31m", "nul": "a\0b",
            "separator": "a\u2028b", "right to left": "a\u202eb"}  # fmt: skip


@pytest.mark.parametrize("given", CONTROLS.values(), ids=CONTROLS.keys())
def test_names_have_no_control_characters_which_would_act_on_the_terminal_that_shows_them(given: str) -> None:
    text = re.escape(f"must not have control characters, which act on terminals: {given!r}")
    for use in (
        lambda: task(name=given), lambda: actor(name=given), lambda: actor(name="n", namespace=given),
        lambda: o.checked(o.METHOD, {"name": given}, ""), lambda: task(resources={given: 1}),
        lambda: o.check_actor_options({"concurrency_groups": {given: 1}}, at_use=False),
        lambda: placement_group([{"CPU": 1}], name=given), lambda: placement_group([{given: 1}]),
        lambda: check_labels({given: "x"}), lambda: check_labels({"x": given}), lambda: get_actor(given),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=text):
            use()


def test_names_may_be_in_any_alphabet_and_have_blanks() -> None:
    for name in ("größe 7", "名前", "👩\u200d🚀", "a\u00a0b", "<b>"):
        assert (task(name=name).name, actor(name=name).name) == (name, name)
