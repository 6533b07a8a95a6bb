"""Every policy by its name: it finds what it is there to find, and the next one differs."""

from __future__ import annotations

import pytest

from actorgrid import sim
from tests.zoo import separators, shared_state

NAMES = ["portfolio", "random", "pct", "pct:2", "pos", "urw", "delay", "delay:0.3", "idb", "idb:1"]


@pytest.mark.parametrize("name", NAMES)
def test_policy_finds_a_lost_update(name: str) -> None:
    found = sim.explore(shared_state.lost_update, runs=200, policy=name)
    assert len(found.failures) == 1
    assert len(found.failures[0].schedule.deviations) == 1


def test_dull_policy_finds_nothing() -> None:
    found = sim.explore(shared_state.lost_update, runs=5, policy="dull")
    assert found.failures == []
    assert found.distinct == 1


@pytest.mark.parametrize("name", ["urw", "pct", "idb", "portfolio"])
def test_policy_finds_the_call_that_comes_after_all_of_another_task(name: str) -> None:
    # A random walk has to win 25 times in a row: one that knows how much each task has left does not.
    assert sim.explore(separators.late_short, runs=150, policy=name, shrink=False).failures


def test_iterative_delay_bounding_ends_at_its_bound() -> None:
    found = sim.explore(shared_state.lost_update_fixed, runs=500, policy="idb:1")
    assert found.exhaustive
    assert found.runs < 10


@pytest.mark.parametrize(("name", "reduction"), [("dfs", "none"), ("dpor", "dpor")])
def test_policy_that_tries_everything_is_prove(name: str, reduction: str) -> None:
    with pytest.raises(ValueError, match=f"prove\\(..., reduction='{reduction}'\\)"):
        sim.explore(shared_state.account, policy=name)


def test_unknown_policy_is_refused() -> None:
    with pytest.raises(ValueError, match="there is no policy 'guess'; there are portfolio, idb, "):
        sim.explore(shared_state.account, policy="guess")
