"""Which machine a call may run on, which devices it has, and how many threads."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

import actorgrid as ag
from actorgrid.exceptions import ActorUnschedulableError, InfeasibleResourcesError, TaskUnschedulableError
from actorgrid.util import placement_group, remove_placement_group
from actorgrid.util.scheduling_strategies import (
    DoesNotExist,
    Exists,
    In,
    NodeAffinitySchedulingStrategy,
    NodeLabelSchedulingStrategy,
    NotIn,
)
from tests.contract.tools import DEADLINE, Gate, Holder, hold

ZONE = {"zone": "a", "disk": "ssd"}


@pytest.fixture
def labelled_grid(fresh_grid: Callable[..., Any]) -> None:
    """A grid on a machine with labels, with a kind of accelerator, and with two GPUs."""
    fresh_grid(num_cpus=4, num_gpus=2, labels=ZONE, resources={"accelerator_type:T1000": 1})


@ag.remote
def one() -> int:
    return 1


def here() -> str:
    return str(ag.nodes()[0]["NodeID"])


# -- the node


@pytest.mark.usefixtures("grid")
@pytest.mark.parametrize("words", ["DEFAULT", "SPREAD"])
def test_strategies_that_are_words_run_anywhere(words: str) -> None:
    assert ag.get(one.options(scheduling_strategy=words).remote(), timeout=DEADLINE) == 1
    assert hold(scheduling_strategy=words)


@pytest.mark.usefixtures("grid")
def test_affinity_to_this_node_is_met_and_a_soft_one_to_another_is_too() -> None:
    for node, soft in ((here(), False), (here(), True), ("0" * 56, True)):
        strategy = NodeAffinitySchedulingStrategy(node, soft=soft)
        assert ag.get(one.options(scheduling_strategy=strategy).remote(), timeout=DEADLINE) == 1
        assert hold(scheduling_strategy=strategy)


@pytest.mark.parametrize("soft", [True, False])
@pytest.mark.parametrize("node", ["", "127.0.0.1", "zz", "ab", "g" * 56, "f" * 56, "0" * 54, "0" * 58])
def test_affinity_to_what_is_no_id_of_a_node_is_refused_where_it_is_made(node: str, soft: bool) -> None:
    with pytest.raises(ValueError, match="node_id"):
        NodeAffinitySchedulingStrategy(node, soft=soft)


def test_affinity_that_is_soft_cannot_be_to_fail_as_well() -> None:
    with pytest.raises(ValueError, match="_fail_on_unavailable"):
        NodeAffinitySchedulingStrategy("0" * 56, soft=True, _fail_on_unavailable=True)


@pytest.mark.usefixtures("grid")
def test_affinity_may_spell_the_id_of_a_node_in_capitals() -> None:
    strategy = NodeAffinitySchedulingStrategy(here().upper(), soft=False)
    assert ag.get(one.options(scheduling_strategy=strategy).remote(), timeout=DEADLINE) == 1


@pytest.mark.usefixtures("grid")
def test_affinity_to_a_node_that_is_not_there_is_refused_at_the_call() -> None:
    elsewhere = NodeAffinitySchedulingStrategy("0" * 56, soft=False)
    with pytest.raises(TaskUnschedulableError, match=f"{'0' * 56}.*{here()}"):
        one.options(scheduling_strategy=elsewhere).remote()
    with pytest.raises(ActorUnschedulableError, match="Holder"):
        Holder.options(scheduling_strategy=elsewhere).remote()


# -- labels


@pytest.mark.usefixtures("labelled_grid")
def test_labels_of_the_machine_are_those_of_init_and_its_id() -> None:
    labels = {**ZONE, "ray.io/node-id": here(), "actorgrid.io/node-id": here()}
    assert ag.nodes()[0]["Labels"] == labels
    assert ag.get_runtime_context().get_node_labels() == labels

    @ag.remote
    def inside() -> dict[str, str]:
        return ag.get_runtime_context().get_node_labels()

    assert ag.get(inside.remote(), timeout=DEADLINE) == labels


@pytest.mark.parametrize("name", ["ray.io/thing", "actorgrid.io/thing"])
def test_names_of_the_labels_of_a_grid_of_its_own_are_refused(fresh_grid: Callable[..., None], name: str) -> None:
    with pytest.raises(ValueError, match="must have a name that does not begin with"):
        fresh_grid(num_cpus=2, labels={name: "a"})


@pytest.mark.usefixtures("labelled_grid")
@pytest.mark.parametrize(
    "options",
    [
        {"label_selector": {"zone": "a"}},
        {"label_selector": {"zone": "!b", "disk": "in(ssd, nvme)"}},
        {"label_selector": {"zone": "!in(b,c)", "absent": "!x"}},
        {"label_selector": {"zone": "b"}, "fallback_strategy": [{"label_selector": {"zone": "a"}}]},
        {"scheduling_strategy": NodeLabelSchedulingStrategy({"zone": In("a", "b"), "disk": Exists()})},
        {"scheduling_strategy": NodeLabelSchedulingStrategy({"zone": NotIn("b"), "absent": DoesNotExist()})},
        {"scheduling_strategy": NodeLabelSchedulingStrategy({}, soft={"zone": In("elsewhere")})},
    ],
)
def test_labels_that_match_are_met(options: dict[str, Any]) -> None:
    assert ag.get(one.options(**options).remote(), timeout=DEADLINE) == 1
    assert hold(**options)


@pytest.mark.usefixtures("labelled_grid")
@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"label_selector": {"zone": "b"}}, "'zone' is 'b'"),
        ({"label_selector": {"zone": "a", "disk": "!in(ssd,hdd)"}}, "'disk' is not 'ssd' or 'hdd'"),
        ({"label_selector": {"absent": "x"}}, "'absent' is 'x'"),
        (
            {"label_selector": {"zone": "b"}, "fallback_strategy": [{"label_selector": {"zone": "c"}}]},
            "'zone' is 'b' or 'zone' is 'c'",
        ),
        ({"scheduling_strategy": NodeLabelSchedulingStrategy({"absent": Exists()})}, "there is a label 'absent'"),
        ({"scheduling_strategy": NodeLabelSchedulingStrategy({"zone": DoesNotExist()})}, "there is no label 'zone'"),
    ],
)
def test_labels_that_do_not_match_are_refused_at_the_call(options: dict[str, Any], told: str) -> None:
    with pytest.raises(TaskUnschedulableError, match=told):
        one.options(**options).remote()
    with pytest.raises(ActorUnschedulableError, match=told):
        Holder.options(**options).remote()


@pytest.mark.usefixtures("labelled_grid")
def test_bundles_of_a_group_may_ask_for_labels() -> None:
    group = placement_group([{"CPU": 1}], bundle_label_selector=[{"zone": "a"}])
    assert group.wait(DEADLINE)
    remove_placement_group(group)
    with pytest.raises(InfeasibleResourcesError, match="bundle 1 is to be where 'zone' is 'b'"):
        placement_group([{"CPU": 1}] * 2, bundle_label_selector=[{}, {"zone": "b"}])


@pytest.mark.usefixtures("labelled_grid")
def test_kind_of_accelerator_is_a_resource_of_the_grid() -> None:
    assert ag.get(one.options(accelerator_type="T1000").remote(), timeout=DEADLINE) == 1
    with pytest.raises(InfeasibleResourcesError, match="accelerator_type:T2000"):
        one.options(accelerator_type="T2000").remote()


# -- devices


def seen() -> tuple[Any, Any, str | None]:
    """Return what a process is told of its GPUs, in three ways."""
    ids = ag.get_runtime_context().get_accelerator_ids()
    return ag.get_gpu_ids(), ids, os.environ.get("CUDA_VISIBLE_DEVICES")


def told(*numbers: int) -> tuple[Any, Any, str | None]:
    names = [str(number) for number in numbers]
    return list(numbers), {"GPU": names}, ",".join(names)


@ag.remote
class Owner:
    def seen(self) -> tuple[Any, Any, str | None]:
        return seen()


@pytest.mark.usefixtures("labelled_grid")
def test_each_actor_sees_its_own_devices() -> None:
    owners = [Owner.options(num_gpus=1).remote() for _ in range(2)]
    devices = ag.get([owner.seen.remote() for owner in owners], timeout=DEADLINE)
    assert sorted(devices) == [told(0), told(1)]
    assert ag.get(Owner.remote().seen.remote(), timeout=DEADLINE) == told()


@pytest.mark.usefixtures("labelled_grid")
def test_parts_of_a_device_see_the_whole_of_it() -> None:
    halves = [Owner.options(num_gpus=0.5, num_cpus=0).remote() for _ in range(4)]
    devices = ag.get([half.seen.remote() for half in halves], timeout=DEADLINE)
    assert sorted(devices) == [told(0), told(0), told(1), told(1)]


@pytest.mark.usefixtures("labelled_grid")
def test_task_sees_its_devices_and_the_next_one_in_its_place_does_not() -> None:
    look = ag.remote(max_calls=0)(seen)
    assert ag.get(look.options(num_gpus=2).remote(), timeout=DEADLINE) == told(0, 1)
    assert ag.get([look.remote() for _ in range(4)], timeout=DEADLINE) == [told()] * 4
    assert ag.get(look.options(num_gpus=1).remote(), timeout=DEADLINE) == told(0)


@pytest.mark.usefixtures("labelled_grid")
def test_device_in_use_is_waited_for() -> None:
    gate = Gate.remote()

    @ag.remote(num_gpus=2)
    def use() -> None:
        ag.get(gate.pass_through.remote())

    uses = use.remote()
    ag.get(gate.arrivals.remote(1), timeout=DEADLINE)
    waits = one.options(num_gpus=0.1).remote()
    assert ag.wait([waits], timeout=0) == ([], [waits])
    gate.open.remote()
    assert ag.get([uses, waits], timeout=DEADLINE) == [None, 1]


@pytest.mark.usefixtures("grid")
def test_driver_has_no_devices() -> None:
    assert ag.get_gpu_ids() == []
    assert ag.get_runtime_context().get_accelerator_ids() == {"GPU": []}


@pytest.mark.processes("a simulated machine has devices of its own")
def test_names_of_devices_are_those_that_the_driver_may_use(
    fresh_grid: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-a1,GPU-b2,5")
    with pytest.raises(ValueError, match="num_gpus=4"):
        fresh_grid(num_gpus=4)
    fresh_grid(num_cpus=2, num_gpus=2)
    look = ag.remote(seen)
    names = ["GPU-a1", "GPU-b2"]
    assert ag.get(look.options(num_gpus=2).remote(), timeout=DEADLINE) == (names, {"GPU": names}, "GPU-a1,GPU-b2")


@pytest.mark.processes("a simulated machine has devices of its own")
def test_variables_of_devices_can_be_left_alone(
    fresh_grid: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACTORGRID_NOSET_VISIBLE_DEVICES", "1")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    fresh_grid(num_cpus=2, num_gpus=2)
    ids, _, variable = ag.get(ag.remote(seen).options(num_gpus=1).remote(), timeout=DEADLINE)
    assert (ids, variable) == ([0], None)


@pytest.mark.usefixtures("grid")
def test_grid_without_gpus_leaves_the_variable_alone() -> None:
    @ag.remote
    def variable() -> str | None:
        return os.environ.get("CUDA_VISIBLE_DEVICES")

    assert ag.get(variable.remote(), timeout=DEADLINE) == os.environ.get("CUDA_VISIBLE_DEVICES")


# -- threads


@ag.remote
def threads() -> str | None:
    return os.environ.get("OMP_NUM_THREADS")


@ag.remote
class Threads:
    def threads(self) -> str | None:
        return os.environ.get("OMP_NUM_THREADS")


@pytest.fixture
def unset(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has said how many threads libraries use."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)


@pytest.mark.usefixtures("unset")
def test_libraries_use_as_many_threads_as_a_call_has_cpus(fresh_grid: Callable[..., Any]) -> None:
    fresh_grid(num_cpus=4)
    cpus = {0: "1", 0.5: "1", 1: "1", 2: "2", 3.5: "3"}
    for count, expected in cpus.items():
        assert ag.get(threads.options(num_cpus=count).remote(), timeout=DEADLINE) == expected
    assert ag.get(threads.remote(), timeout=DEADLINE) == "1"
    assert ag.get(Threads.remote().threads.remote(), timeout=DEADLINE) == "1"
    assert ag.get(Threads.options(num_cpus=2).remote().threads.remote(), timeout=DEADLINE) == "2"


class Looks:
    """Looks how many threads it may use when it is unpickled, as libraries do when they are imported."""

    def __init__(self, seen: str | None = None) -> None:
        self.seen = seen

    def __reduce__(self) -> tuple[Any, ...]:
        return look, ()


def look() -> Looks:
    return Looks(os.environ.get("OMP_NUM_THREADS"))


@pytest.mark.usefixtures("unset")
def test_number_of_threads_is_known_before_arguments_are_unpickled(fresh_grid: Callable[..., Any]) -> None:
    fresh_grid(num_cpus=4)

    @ag.remote(num_cpus=3)
    def seen(looks: Looks) -> str | None:
        return looks.seen

    assert ag.get(seen.remote(Looks()), timeout=DEADLINE) == "3"


@pytest.mark.parametrize("of_tasks", [False, True])
def test_number_of_threads_that_somebody_has_set_stays(
    fresh_grid: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, of_tasks: bool
) -> None:
    if of_tasks:
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
        fresh_grid(num_cpus=2, runtime_env={"env_vars": {"OMP_NUM_THREADS": "7"}})
    else:
        monkeypatch.setenv("OMP_NUM_THREADS", "7")
        fresh_grid(num_cpus=2)
    assert ag.get(threads.options(num_cpus=2).remote(), timeout=DEADLINE) == "7"


@pytest.mark.usefixtures("unset")
def test_number_of_threads_that_a_task_sets_stays_in_its_process(fresh_grid: Callable[..., Any]) -> None:
    fresh_grid(num_cpus=2)

    @ag.remote(num_cpus=0)
    class Setter:
        def __init__(self) -> None:
            os.environ["OMP_NUM_THREADS"] = "5"

        def threads(self) -> str | None:
            return os.environ.get("OMP_NUM_THREADS")

    assert ag.get(Setter.remote().threads.remote(), timeout=DEADLINE) == "5"
    assert ag.get(threads.options(num_cpus=2).remote(), timeout=DEADLINE) == "2"


@pytest.mark.usefixtures("unset")
def test_variable_that_a_task_sets_is_not_seen_by_programs_that_this_one_starts(fresh_grid: Callable[..., Any]) -> None:
    fresh_grid(num_cpus=2)

    @ag.remote
    def change() -> None:
        os.environ["OMP_NUM_THREADS"] = "5"

    ag.get(change.remote(), timeout=DEADLINE)
    ag.shutdown()
    said = subprocess.run(["env"], capture_output=True, text=True, check=True).stdout
    assert "OMP_NUM_THREADS=" not in said
