"""Memory runs short at a moment of a simulated run: whom the head ends, whom it spares, and what it says."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import os
import time
from typing import Any

import pytest

import actorgrid as ag
from actorgrid import sim
from actorgrid.exceptions import ActorDiedError, OutOfMemoryError

TIRED = 10.0


@ag.remote(num_cpus=0)
class Diary:
    """Notes who starts, in order."""

    def __init__(self) -> None:
        self.starts: list[str] = []

    def note(self, who: str) -> None:
        self.starts.append(who)

    def read(self) -> list[str]:
        return self.starts


@ag.remote(num_cpus=0)
def rest(diary: Any, who: str) -> str:
    diary.note.remote(who)
    time.sleep(TIRED)
    return who


@ag.remote(num_cpus=0)
def rest_or_crash(diary: Any, who: str, crashes: int) -> str:
    ag.get(diary.note.remote(who))
    if ag.get(diary.read.remote()).count(who) <= crashes:
        os._exit(3)
    time.sleep(TIRED)
    return who


@ag.remote(num_cpus=0)
class Sleeper:
    def __init__(self, diary: Any, who: str) -> None:
        diary.note.remote(who)

    def rest(self) -> str:
        time.sleep(TIRED)
        return "slept"


def memory_runs_short(world: sim.World, times: int = 1) -> None:
    """Have memory run short now, and everything come to rest that follows from it but the passing of time."""
    assert world.grid is not None
    for _ in range(times):
        world.later(world.grid.memory_runs_short)
    time.sleep(0.01)


def until_started(diary: Any, who: str, times: int) -> None:
    """Wait until somebody has started so many times."""
    while ag.get(diary.read.remote()).count(who) < times:
        time.sleep(0.05)


def one_after_another(diary: Any, *names: str, **options: Any) -> dict[str, Any]:
    """Start tasks, each a while after the last."""
    refs = {}
    for name in names:
        refs[name] = rest.options(**options).remote(diary, name)
        time.sleep(0.1)
    return refs


def test_newest_task_that_may_be_tried_again_goes_first_and_runs_again() -> None:
    with sim.world(checks=True) as world:
        diary = Diary.remote()
        refs = one_after_another(diary, "a", "b", "c", max_retries=3)
        memory_runs_short(world)
        assert ag.get(list(refs.values())) == ["a", "b", "c"]
        assert ag.get(diary.read.remote()) == ["a", "b", "c", "c"]


def test_next_one_is_not_chosen_before_the_memory_of_the_last_is_back() -> None:
    with sim.world(checks=True) as world:
        diary = Diary.remote()
        refs = one_after_another(diary, "a", "b", "c", max_retries=3)
        memory_runs_short(world, times=3)
        assert ag.get(list(refs.values())) == ["a", "b", "c"]
        assert ag.get(diary.read.remote()) == ["a", "b", "c", "c"]


def test_task_that_has_come_back_is_the_newest_and_goes_again() -> None:
    with sim.world(checks=True) as world:
        diary = Diary.remote()
        refs = one_after_another(diary, "a", "b", "c", max_retries=3)
        for times in (1, 2):
            until_started(diary, "c", times)
            memory_runs_short(world)
        assert ag.get(list(refs.values())) == ["a", "b", "c"]
        assert ag.get(diary.read.remote()) == ["a", "b", "c", "c", "c"]


def test_actor_that_comes_back_goes_before_a_task_that_does_not() -> None:
    with sim.world(checks=True) as world:
        diary = Diary.remote()
        back = Sleeper.options(max_restarts=1, max_task_retries=1).remote(diary, "back")
        slept = back.rest.remote()
        time.sleep(0.1)
        refs = one_after_another(diary, "once", max_retries=0)
        memory_runs_short(world)
        assert ag.get([slept, refs["once"]]) == ["slept", "once"]
        assert ag.get(diary.read.remote()) == ["back", "once", "back"]


def test_task_goes_before_an_actor_that_does_not_come_back() -> None:
    with sim.world(checks=True) as world:
        diary = Diary.remote()
        refs = one_after_another(diary, "once", max_retries=0)
        goes = Sleeper.remote(diary, "goes")
        slept = goes.rest.remote()
        time.sleep(0.1)
        memory_runs_short(world)
        with pytest.raises(OutOfMemoryError):
            ag.get(refs["once"])
        assert ag.get(slept) == "slept"


def test_actor_that_is_all_there_is_goes_for_good() -> None:
    with sim.world(checks=True) as world:
        slept = Sleeper.remote(Diary.remote(), "goes").rest.remote()
        time.sleep(0.1)
        memory_runs_short(world)
        with pytest.raises(ActorDiedError, match="memory ran short"):
            ag.get(slept)


def test_error_says_how_much_was_in_use_and_who_has_most() -> None:
    with sim.world(checks=True) as world:
        diary = Diary.remote()
        refs = one_after_another(diary, *"abcdefg", max_retries=0)
        memory_runs_short(world)
        with pytest.raises(OutOfMemoryError) as caught:
            ag.get(list(refs.values()))
    said = str(caught.value)
    assert "that ran rest was killed because memory ran short" in said
    assert "GB were in use (threshold 95%)" in said
    assert said.count("rest ") + said.count("Diary ") == 1 + 5  # who it was, and the five largest
    assert "nothing else was running" not in said
    assert "so it is not tried again" not in said
    assert "Use less memory per task" in said


def test_it_may_happen_three_times_to_a_task_whose_crashes_are_counted_apart() -> None:
    with sim.world(checks=True) as world:
        diary = Diary.remote()
        company = one_after_another(diary, "company", max_retries=0)["company"]
        ref = rest_or_crash.options(max_retries=2).remote(diary, "it", 1)
        for nth in range(3):
            until_started(diary, "it", 2 + nth)
            memory_runs_short(world)
        assert ag.get([company, ref]) == ["company", "it"]
        assert ag.get(diary.read.remote()).count("it") == 1 + 1 + 3  # first, after its crash, after each shortage


def test_task_to_which_it_happens_a_fourth_time_fails_and_tells_which_attempt_that_was() -> None:
    with sim.world(checks=True) as world:
        diary = Diary.remote()
        company = one_after_another(diary, "company", max_retries=0)["company"]
        ref = rest.options(max_retries=9).remote(diary, "it")
        for nth in range(4):
            until_started(diary, "it", 1 + nth)
            memory_runs_short(world)
        with pytest.raises(OutOfMemoryError, match="this was attempt 4 that ended so"):
            ag.get(ref)
        assert ag.get(company) == "company"
        assert ag.get(diary.read.remote()).count("it") == 4


def test_nothing_happens_to_a_grid_in_which_nothing_runs() -> None:
    with sim.world(checks=True) as world:
        diary = Diary.remote()
        ag.get(diary.note.remote("here"))
        memory_runs_short(world)
        assert ag.get(diary.read.remote()) == ["here"]
