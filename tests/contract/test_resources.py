"""Logical CPUs, GPUs and custom resources."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import actorgrid as ag
from actorgrid.testing.waiting import wait_until
from tests.contract.tools import DEADLINE, Gate, Holder, hold


@ag.remote
def one() -> int:
    return 1


@pytest.fixture
def rich_grid(fresh_grid: Callable[..., Any]) -> None:
    """A grid with four CPUs, two GPUs and a custom resource."""
    fresh_grid(num_cpus=4, num_gpus=2, resources={"special": 3})


@pytest.mark.usefixtures("grid")
def test_cluster_resources_have_what_the_grid_was_started_with() -> None:
    total = ag.cluster_resources()
    assert total["CPU"] == 2
    assert "GPU" not in total
    assert total["memory"] > 0
    assert total["object_store_memory"] > 0
    assert total["node:__internal_head__"] == 1
    assert len([key for key in total if key.startswith("node:") and key != "node:__internal_head__"]) == 1


@pytest.mark.usefixtures("grid")
def test_available_resources_of_an_idle_grid_are_all() -> None:
    assert ag.available_resources()["CPU"] == ag.cluster_resources()["CPU"]


@pytest.mark.usefixtures("grid")
def test_actor_with_cpus_holds_them_while_it_lives() -> None:
    holder = hold(num_cpus=1)
    assert ag.available_resources()["CPU"] == 1
    ag.kill(holder)
    assert wait_until(lambda: ag.available_resources().get("CPU") == 2)


@pytest.mark.usefixtures("grid")
def test_actor_without_options_holds_no_cpu_while_it_lives() -> None:
    holder = hold()
    assert wait_until(lambda: ag.available_resources().get("CPU") == 2)
    assert ag.get(holder.ready.remote()) > 0


@pytest.mark.usefixtures("grid")
def test_used_up_resource_is_absent() -> None:
    holder = hold(num_cpus=2)
    assert ag.available_resources().get("CPU", 0) == 0
    ag.kill(holder)


@pytest.mark.usefixtures("grid")
def test_task_waits_until_its_cpus_are_free() -> None:
    holder = hold(num_cpus=1)
    both = one.options(num_cpus=2).remote()
    assert ag.get(one.remote(), timeout=DEADLINE) == 1  # one CPU is free, and that is not enough for both
    assert ag.wait([both], timeout=0) == ([], [both])
    ag.kill(holder)
    assert ag.get(both, timeout=DEADLINE) == 1


@pytest.mark.usefixtures("grid")
def test_task_without_cpus_runs_on_a_full_grid() -> None:
    holder = hold(num_cpus=2)
    assert ag.get(one.options(num_cpus=0).remote(), timeout=DEADLINE) == 1
    ag.kill(holder)


@pytest.mark.usefixtures("grid")
def test_default_actor_needs_a_free_cpu_to_be_placed() -> None:
    holder = hold(num_cpus=2)
    waiting = Holder.remote()
    ready = waiting.ready.remote()
    assert ag.get(one.options(num_cpus=0).remote(), timeout=DEADLINE) == 1
    assert ag.wait([ready], timeout=0) == ([], [ready])
    ag.kill(holder)
    assert ag.get(ready, timeout=DEADLINE) > 0


@pytest.mark.usefixtures("grid")
def test_fractions_of_a_cpu_add_up() -> None:
    gate = Gate.remote()

    @ag.remote(num_cpus=0.5)
    class Quarter:
        def ready(self) -> None:
            ag.get(gate.arrive.remote())

    quarters = [Quarter.remote() for _ in range(4)]
    ag.get([quarter.ready.remote() for quarter in quarters], timeout=DEADLINE)
    assert ag.available_resources().get("CPU", 0) == 0


@pytest.mark.usefixtures("grid")
def test_fractions_are_exact() -> None:
    holders = [hold(num_cpus=0.1) for _ in range(3)]
    assert ag.available_resources()["CPU"] == pytest.approx(1.7, abs=1e-9)
    for holder in holders:
        ag.kill(holder)
    assert wait_until(lambda: ag.available_resources().get("CPU") == 2)


@pytest.mark.usefixtures("rich_grid")
def test_gpus_and_custom_resources_are_listed() -> None:
    total = ag.cluster_resources()
    assert (total["CPU"], total["GPU"], total["special"]) == (4, 2, 3)


@pytest.mark.usefixtures("rich_grid")
def test_custom_resource_is_held_and_given_back() -> None:
    holder = hold(resources={"special": 2})
    assert ag.available_resources()["special"] == 1
    ag.kill(holder)
    assert wait_until(lambda: ag.available_resources().get("special") == 3)


@pytest.mark.usefixtures("rich_grid")
def test_task_waits_for_a_custom_resource() -> None:
    holder = hold(resources={"special": 3})
    ref = one.options(resources={"special": 0.5}).remote()
    assert ag.get(one.remote(), timeout=DEADLINE) == 1
    assert ag.wait([ref], timeout=0) == ([], [ref])
    ag.kill(holder)
    assert ag.get(ref, timeout=DEADLINE) == 1


@pytest.mark.usefixtures("rich_grid")
def test_actor_with_any_resource_holds_one_cpu_unless_told() -> None:
    held = [hold(resources={"special": 1}), hold(resources={"special": 1}, num_cpus=0)]
    assert ag.available_resources()["CPU"] == 3
    assert len(held) == 2


@pytest.mark.usefixtures("rich_grid")
def test_task_with_a_gpu_runs() -> None:
    assert ag.get(one.options(num_gpus=1).remote(), timeout=DEADLINE) == 1


@pytest.mark.usefixtures("rich_grid")
def test_blocked_get_keeps_custom_resources() -> None:
    gate = Gate.remote()

    @ag.remote(num_cpus=1, resources={"special": 3})
    def blocked() -> None:
        ag.get(gate.pass_through.remote())

    ref = blocked.remote()
    ag.get(gate.arrivals.remote(1), timeout=DEADLINE)
    assert wait_until(lambda: ag.available_resources().get("CPU") == 4)
    assert ag.available_resources().get("special", 0) == 0
    gate.open.remote()
    ag.get(ref, timeout=DEADLINE)


@pytest.mark.usefixtures("grid")
@pytest.mark.parametrize(
    "options", [{"num_cpus": 3}, {"num_gpus": 1}, {"resources": {"absent": 1}}, {"memory": 1 << 60}], ids=str
)
class TestInfeasible:
    """Where Ray waits for ever."""

    def test_task_is_refused_at_submission(self, options: dict[str, Any]) -> None:
        with pytest.raises(ag.exceptions.InfeasibleResourcesError):
            one.options(**options).remote()

    def test_actor_is_refused_at_submission(self, options: dict[str, Any]) -> None:
        with pytest.raises(ag.exceptions.InfeasibleResourcesError):
            Holder.options(**options).remote()

    def test_refusal_in_a_task_is_an_error_of_that_task(self, options: dict[str, Any]) -> None:
        @ag.remote
        def submit() -> None:
            one.options(**options).remote()

        with pytest.raises(ag.exceptions.InfeasibleResourcesError):
            ag.get(submit.remote(), timeout=DEADLINE)


@pytest.mark.usefixtures("grid")
def test_refusal_names_request_and_capacity() -> None:
    with pytest.raises(ag.exceptions.InfeasibleResourcesError, match=r"CPU.*\b77\b.*\b2\b"):
        one.options(num_cpus=77).remote()


@pytest.mark.usefixtures("grid")
def test_large_request_is_not_starved_by_small_ones() -> None:
    @ag.remote
    def small(n: int) -> int:
        return n

    before = [small.remote(i) for i in range(50)]
    large = one.options(num_cpus=2).remote()
    after = [small.remote(i) for i in range(50)]
    assert ag.get([large, *before, *after], timeout=DEADLINE) == [1, *range(50), *range(50)]
