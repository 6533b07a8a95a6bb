"""Every policy by its name: it finds what it is there to find, and the next one differs."""

from __future__ import annotations

from pathlib import Path

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


def test_schedule_is_read_from_a_saved_report(tmp_path: Path) -> None:
    failure = sim.explore(shared_state.lost_update, 3, 2, runs=500).failures[0]
    page, text = tmp_path / "story.html", tmp_path / "report.txt"
    failure.save(page)
    text.write_text(str(failure), encoding="utf-8")
    for path in (page, text):
        assert sim.Schedule.loads(path) == failure.schedule
        assert sim.replay(path, shared_state.lost_update, 3, 2).identity == failure.run.identity
    text.write_text("nothing of the kind", encoding="utf-8")
    with pytest.raises(ValueError, match="there is no schedule"):
        sim.replay(text, shared_state.lost_update)


def test_schedule_of_another_program_is_refused_if_strict() -> None:
    failure = sim.explore(shared_state.lost_update, 3, 2, runs=500).failures[0]
    assert sim.replay(failure.schedule, shared_state.lost_update, 3, 2, strict=True).failed
    late, high = sim.Schedule(0, ((99, 1),)), sim.Schedule(0, ((0, 9),))
    assert not sim.replay(late, shared_state.account).failed
    with pytest.raises(ValueError, match="not one of account as it is now: it deviates at decision 99, and there were"):
        sim.replay(late, shared_state.account, strict=True)
    with pytest.raises(ValueError, match="at decision 0 it takes possibility 9, and there were only 3"):
        sim.replay(high, shared_state.account, strict=True)
