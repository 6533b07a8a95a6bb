"""Placement groups in the simulator: what taking things one by one can lead to is found, and a group prevents it."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

from typing import Any

import pytest

import actorgrid as ag
from actorgrid import sim
from actorgrid.exceptions import DeadlockError, TaskPlacementGroupRemoved
from actorgrid.util import placement_group, remove_placement_group
from actorgrid.util.scheduling_strategies import PlacementGroupSchedulingStrategy

pytestmark = pytest.mark.search

ARM = {"arm": 1}


@ag.remote(num_cpus=0)
class Arm:
    def ready(self) -> bool:
        return True


@ag.remote(num_cpus=0)
def one_by_one() -> None:
    left = Arm.options(resources=ARM).remote()
    ag.get(left.ready.remote())
    right = Arm.options(resources=ARM).remote()
    ag.get(right.ready.remote())
    del left, right


@ag.remote(num_cpus=0)
def together() -> None:
    group = placement_group([ARM, ARM])
    ag.get(group.ready())
    for index in range(2):
        place = PlacementGroupSchedulingStrategy(group, index)
        arm = Arm.options(resources=ARM, scheduling_strategy=place).remote()
        ag.get(arm.ready.remote())
    remove_placement_group(group)


def two_robots(work: Any) -> None:
    ag.init(resources={"arm": 2})
    ag.get([work.remote(), work.remote()])


def test_two_that_take_two_things_one_by_one_may_wait_for_ever() -> None:
    error = sim.run(lambda: two_robots(one_by_one)).error
    assert isinstance(error, DeadlockError)
    assert "one_by_one 0 waits in get for Arm.ready" in str(error)


def test_two_that_take_them_together_never_do() -> None:
    sim.explore(lambda: two_robots(together), runs=50).check()


def test_whoever_works_when_a_group_is_removed_has_finished_or_is_told() -> None:
    ends: set[str] = set()

    @ag.remote(num_cpus=1)
    def work() -> str:
        return "finished"

    @ag.remote(num_cpus=0)
    def remove(group: Any) -> None:
        remove_placement_group(group)

    def program() -> None:
        ag.init(num_cpus=1)
        group = placement_group([{"CPU": 1}])
        refs = [work.options(scheduling_strategy=PlacementGroupSchedulingStrategy(group)).remote() for _ in range(2)]
        removed = remove.remote(group)
        for ref in refs:
            try:
                ends.add(ag.get(ref))
            except TaskPlacementGroupRemoved:
                ends.add("removed")
        ag.get(removed)
        assert ag.available_resources()["CPU"] == 1

    sim.explore(program, runs=60).check()
    assert ends == {"finished", "removed"}


@pytest.mark.parametrize("seed", [0, 7])
def test_run_with_groups_is_the_same_each_time(seed: int) -> None:
    first, second = (sim.run(lambda: two_robots(together), seed=seed) for _ in range(2))
    assert first.identity == second.identity
