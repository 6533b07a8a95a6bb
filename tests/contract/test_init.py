"""The beginning and the end of a grid, as the program sees it."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

import pytest

import actorgrid as ag
from tests.contract.tools import DEADLINE, Gate

pytestmark = pytest.mark.usefixtures("no_grid")


@ag.remote
def one() -> int:
    return 1


@ag.remote
def variable(name: str) -> str | None:
    return os.environ.get(name)


@ag.remote
def node_name() -> Any:
    return ag.nodes()[0]["NodeName"]


@ag.remote
class Counter:
    def __init__(self) -> None:
        self.value = 0

    def add(self) -> int:
        self.value += 1
        return self.value


def test_is_initialized_tells_whether_a_grid_runs(fresh_grid: Callable[..., Any]) -> None:
    assert not ag.is_initialized()
    fresh_grid(num_cpus=1)
    assert ag.is_initialized()
    ag.shutdown()
    assert not ag.is_initialized()


def test_shutdown_may_be_asked_to_wait_which_it_always_does(fresh_grid: Callable[..., Any]) -> None:
    fresh_grid(num_cpus=1)
    ag.shutdown(wait_for_processes=True)
    assert not ag.is_initialized()


def test_context_of_init_tells_versions(fresh_grid: Callable[..., Any]) -> None:
    context = fresh_grid(num_cpus=1)
    assert not context.dashboard_url
    assert context.python_version == sys.version.split()[0]
    assert isinstance(context.ray_commit, str)


def test_grid_ends_with_its_with_block(fresh_grid: Callable[..., Any]) -> None:
    with fresh_grid(num_cpus=1):
        assert ag.get(one.remote()) == 1
    assert not ag.is_initialized()


def test_grid_ends_with_its_with_block_when_it_raises(fresh_grid: Callable[..., Any]) -> None:
    with pytest.raises(KeyError), fresh_grid(num_cpus=1):
        raise KeyError
    assert not ag.is_initialized()


def test_second_init_is_a_runtime_error(fresh_grid: Callable[..., Any]) -> None:
    fresh_grid(num_cpus=1)
    with pytest.raises(RuntimeError, match="init"):
        ag.init(num_cpus=1)
    assert ag.get(one.remote()) == 1


def test_second_init_with_ignore_reinit_error_keeps_the_grid(fresh_grid: Callable[..., Any]) -> None:
    fresh_grid(num_cpus=1)
    ref = ag.put(5)
    ag.init(num_cpus=8, ignore_reinit_error=True)
    assert ag.get(ref) == 5
    assert ag.cluster_resources()["CPU"] == 1


def test_shutdown_without_a_grid_does_nothing() -> None:
    ag.shutdown()
    ag.shutdown()
    assert not ag.is_initialized()


def test_unknown_argument_of_init_is_a_runtime_error_that_names_it() -> None:
    init: Any = ag.init
    with pytest.raises(RuntimeError, match="num_cpu_cores"):
        init(num_cpu_cores=1)
    with pytest.raises(RuntimeError, match=r"numcpus\. Did you mean 'num_cpus'\?"):
        init(numcpus=1)
    assert not ag.is_initialized()


def test_local_mode_is_a_runtime_error() -> None:
    init: Any = ag.init
    with pytest.raises(RuntimeError, match="local_mode"):
        init(local_mode=True)
    assert not ag.is_initialized()


@pytest.mark.parametrize(
    "bad", [{"num_cpus": -1}, {"num_gpus": -1}, {"num_gpus": 1.5}, {"resources": {"CPU": 1}}], ids=str
)
def test_impossible_capacity_is_a_value_error(bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        ag.init(**bad)
    assert not ag.is_initialized()


@pytest.mark.parametrize(
    ("bad", "text"),
    [
        ({"num_cpus": 1.5}, "whole number"),
        ({"num_gpus": 0.5}, "whole number"),
        ({"resources": {"part": 0.5}}, "whole number.*part"),
        ({"resources": {"part": 2.5}}, "whole number.*part"),
        ({"resources": {"many": 1e15}}, "at most.*many"),
        ({"resources": {"node:__internal_head__": 2}}, "node:__internal_head__"),
    ],
    ids=str,
)
def test_machine_has_whole_resources_and_no_name_twice(bad: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        ag.init(**bad)
    assert not ag.is_initialized()


def test_capacity_may_be_a_whole_float_and_what_is_zero_is_not_there(fresh_grid: Callable[..., Any]) -> None:
    fresh_grid(num_cpus=2.0, num_gpus=0.0, resources={"some": 3.0, "none": 0})
    there = ag.cluster_resources()
    assert (there["CPU"], there["some"]) == (2, 3)
    assert not {"GPU", "none"} & set(there)


def test_empty_namespace_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="namespace"):
        ag.init(namespace="")
    assert not ag.is_initialized()


@pytest.mark.parametrize(
    "first_use",
    [
        lambda: ag.get(one.remote()),
        lambda: ag.put(1),
        lambda: ag.get(Counter.remote().add.remote()),
        ag.get_runtime_context,
    ],
    ids=["task", "put", "actor", "context"],
)
def test_first_use_starts_a_grid(first_use: Callable[[], Any]) -> None:
    first_use()
    assert ag.is_initialized()
    assert ag.cluster_resources()["CPU"] >= 1


@pytest.mark.parametrize("ask", [ag.nodes, ag.cluster_resources, ag.available_resources])
def test_questions_about_the_grid_do_not_start_one(ask: Callable[[], Any]) -> None:
    with pytest.raises(ag.exceptions.RaySystemError):
        ask()
    assert not ag.is_initialized()


def test_functions_and_classes_can_be_used_on_the_next_grid(fresh_grid: Callable[..., Any]) -> None:
    for _ in range(3):
        fresh_grid(num_cpus=1)
        assert ag.get(one.remote()) == 1
        assert ag.get(Counter.remote().add.remote()) == 1


def test_closure_is_captured_anew_on_the_next_grid(fresh_grid: Callable[..., Any]) -> None:
    box = [1]

    @ag.remote
    def look() -> int:
        return box[0]

    fresh_grid(num_cpus=1)
    assert ag.get(look.remote()) == 1
    box[0] = 2
    fresh_grid(num_cpus=1)
    assert ag.get(look.remote()) == 2


def test_reference_of_an_earlier_grid_is_refused(fresh_grid: Callable[..., Any]) -> None:
    fresh_grid(num_cpus=1)
    ref = ag.put(1)
    fresh_grid(num_cpus=1)
    with pytest.raises((ag.exceptions.RayError, RuntimeError, ValueError)) as caught:
        ag.get(ref, timeout=DEADLINE)
    assert not isinstance(caught.value, ag.exceptions.GetTimeoutError)


@pytest.mark.parametrize("use", [ag.get, lambda ref: ag.wait([ref]), ag.cancel], ids=["get", "wait", "cancel"])
def test_reference_of_a_grid_that_has_ended_is_refused_and_starts_none(
    fresh_grid: Callable[..., Any], use: Callable[[Any], Any]
) -> None:
    fresh_grid(num_cpus=1)
    ref = ag.put(1)
    ag.shutdown()
    with pytest.raises(ValueError, match="has ended"):
        use(ref)
    assert not ag.is_initialized()


def test_handle_of_a_grid_that_has_ended_is_refused_and_starts_none(fresh_grid: Callable[..., Any]) -> None:
    fresh_grid(num_cpus=1)
    counter = Counter.remote()
    ag.shutdown()
    with pytest.raises(ag.exceptions.ActorHandleNotFoundError, match="has ended"):
        counter.add.remote()
    with pytest.raises(ag.exceptions.ActorHandleNotFoundError, match="has ended"):
        ag.kill(counter)
    assert not ag.is_initialized()


def test_handle_of_an_earlier_grid_is_refused(fresh_grid: Callable[..., Any]) -> None:
    fresh_grid(num_cpus=1)
    counter = Counter.remote()
    fresh_grid(num_cpus=1)
    with pytest.raises(ag.exceptions.ActorHandleNotFoundError):
        ag.kill(counter)


def test_env_vars_are_seen_by_workers_only(fresh_grid: Callable[..., Any]) -> None:
    fresh_grid(num_cpus=1, runtime_env={"env_vars": {"ACTORGRID_TEST_ONE": "1", "ACTORGRID_TEST_EMPTY": ""}})
    assert ag.get([variable.remote("ACTORGRID_TEST_ONE"), variable.remote("ACTORGRID_TEST_EMPTY")]) == ["1", ""]
    assert "ACTORGRID_TEST_ONE" not in os.environ


def test_env_vars_that_are_no_text_are_a_type_error() -> None:
    with pytest.raises(TypeError):
        ag.init(num_cpus=1, runtime_env={"env_vars": {"A": 1}})
    assert not ag.is_initialized()


@pytest.mark.parametrize("preload", [[], ["colorsys"]])
def test_preloaded_modules_are_there_before_any_import(fresh_grid: Callable[..., Any], preload: list[str]) -> None:
    loaded: Any = ag.remote(lambda: "colorsys" in sys.modules)
    fresh_grid(num_cpus=1, preload=preload)
    assert ag.get(loaded.remote(), timeout=DEADLINE) is bool(preload)


def test_preload_of_a_missing_module_does_not_end_the_grid(fresh_grid: Callable[..., Any]) -> None:
    fresh_grid(num_cpus=1, preload=["no_such_module_anywhere"])
    assert ag.get(one.remote(), timeout=DEADLINE) == 1


def test_object_store_memory_is_listed(fresh_grid: Callable[..., Any]) -> None:
    fresh_grid(num_cpus=1, object_store_memory=100 << 20)
    assert ag.cluster_resources()["object_store_memory"] == 100 << 20


def test_memory_that_tasks_may_ask_for_is_what_init_was_told(fresh_grid: Callable[..., Any]) -> None:
    fresh_grid(num_cpus=1, _memory=10**9)
    assert ag.cluster_resources()["memory"] == 10**9
    assert ag.get(one.options(memory=10**9).remote(), timeout=DEADLINE) == 1


def test_name_of_the_machine_is_what_init_was_told(fresh_grid: Callable[..., Any]) -> None:
    fresh_grid(num_cpus=1, _node_name="box")
    assert ag.nodes()[0]["NodeName"] == "box"
    assert ag.get(node_name.remote(), timeout=DEADLINE) == "box"


def test_nodes_has_one_row_with_rays_keys(fresh_grid: Callable[..., Any]) -> None:
    fresh_grid(num_cpus=3)
    (node,) = ag.nodes()
    assert node["Alive"] is True
    assert node["Resources"]["CPU"] == 3
    assert {"NodeID", "NodeManagerHostname", "NodeName", "Labels", "alive"} <= set(node)
    assert node["NodeID"] == ag.get_runtime_context().get_node_id()


def test_calls_after_the_end_of_the_grid_leave_old_references_alone(fresh_grid: Callable[..., Any]) -> None:
    fresh_grid(num_cpus=1)
    refs = [ag.put(i) for i in range(10)]
    handle = Counter.remote()
    ag.shutdown()
    del refs, handle  # their release finds no grid: that must not raise, nor start one
    assert not ag.is_initialized()


@pytest.mark.processes("in one thread, code that never calls or waits cannot be stopped")
def test_shutdown_does_not_wait_for_running_tasks(fresh_grid: Callable[..., Any]) -> None:
    fresh_grid(num_cpus=1)

    @ag.remote
    def endless(gate: Any) -> None:
        ag.get(gate.arrive.remote())
        while True:
            pass

    gate = Gate.remote()
    refs = [endless.remote(gate) for _ in range(3)]
    ag.get(gate.arrivals.remote(1), timeout=DEADLINE)
    ag.shutdown()
    assert not ag.is_initialized()
    assert len(refs) == 3  # nobody has let them go before


def test_nesting_deeper_than_there_may_be_workers_is_an_error_that_names_the_option(
    fresh_grid: Callable[..., Any],
) -> None:
    @ag.remote
    def deep(n: int) -> int:
        return 0 if n == 0 else 1 + ag.get(deep.remote(n - 1))

    fresh_grid(num_cpus=1, max_workers=4)
    with pytest.raises(ag.exceptions.TooManyWorkersError, match="max_workers"):
        ag.get(deep.remote(8), timeout=DEADLINE)
    assert ag.get(deep.remote(0), timeout=DEADLINE) == 0
