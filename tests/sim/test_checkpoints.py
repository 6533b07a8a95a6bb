"""Actors with checkpoints under every order of calls and every death."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import datetime as dt
import re
import time
from typing import Any

import pytest

import actorgrid as ag
from actorgrid import sim

pytestmark = pytest.mark.search

DEATHS = sim.Faults(kill=2)
SAFE: dict[str, Any] = {"max_restarts": -1, "max_task_retries": -1}


class Counting:
    """Counts; every result is the number of calls so far."""

    def __init__(self) -> None:
        self.count = 0

    def __actorgrid_save__(self) -> int:
        return self.count

    def __actorgrid_restore__(self, state: int) -> None:
        self.count = state

    def add(self) -> int:
        self.count += 1
        return self.count


class Forgetful(Counting):
    """Saves less than it knows."""

    def __actorgrid_save__(self) -> int:
        return self.count - self.count % 2


class Through(Counting):
    """Has another actor count, too."""

    def __init__(self, other: Any) -> None:
        super().__init__()
        self.other = other

    def add(self) -> int:
        assert ag.get(self.other.add.remote()) == self.count + 1
        return super().add()


class Caller(Counting):
    """Calls a counter. Whatever it has called already is not called again when the call that did so runs again."""

    def add_twice(self, counter: Any) -> list[int]:
        return [int(ag.get(counter.add.remote())) for _ in range(2)]


def two_callers(cls: type[Counting], every: int) -> None:
    counter = ag.remote(cls).options(num_cpus=0, checkpoint=every, **SAFE).remote()
    callers = [ag.remote(Caller).options(num_cpus=0, checkpoint=1, **SAFE).remote() for _ in range(2)]
    got = ag.get([caller.add_twice.remote(counter) for caller in callers])
    assert sorted(got[0] + got[1]) == [1, 2, 3, 4], got
    assert ag.get(counter.add.remote()) == 5


def one_caller(every: int) -> None:
    counter = ag.remote(Counting).options(checkpoint=every, **SAFE).remote()
    refs = [counter.add.remote() for _ in range(4)]
    assert ag.get(refs) == [1, 2, 3, 4]


def counting_elsewhere(every: int) -> None:
    other = ag.remote(Counting).options(num_cpus=0, **SAFE, checkpoint=1).remote()
    counter = ag.remote(Through).options(num_cpus=0, checkpoint=every, **SAFE).remote(other)
    assert ag.get([counter.add.remote() for _ in range(3)]) == [1, 2, 3]
    assert ag.get(other.add.remote()) == 4


class Helped(Counting):
    """Has a helper from the start that counts along."""

    def __init__(self) -> None:
        super().__init__()
        self.helper = ag.remote(Counting).options(num_cpus=0, **SAFE, checkpoint=1).remote()
        assert ag.get(self.helper.add.remote()) == 1

    def add(self) -> int:
        assert ag.get(self.helper.add.remote()) == self.count + 2
        return super().add()


class Looking(Counting):
    """Looks at whether something is there."""

    def add_if_ready(self, refs: list[Any]) -> int:
        if ag.wait(refs, timeout=0)[0]:
            self.count += 1
        return self.count


@ag.remote(num_cpus=0)
def one() -> int:
    return 1


def helped(every: int) -> None:
    counter = ag.remote(Helped).options(num_cpus=0, checkpoint=every, **SAFE).remote()
    assert ag.get([counter.add.remote() for _ in range(3)]) == [1, 2, 3]


def watching(every: int) -> None:
    counter = ag.remote(Looking).options(num_cpus=0, checkpoint=every, **SAFE).remote()
    counted = ag.get(counter.add_if_ready.remote([one.remote()]))
    assert ag.get(counter.add.remote()) == counted + 1


class Timed(Counting):
    """Takes its time, and prints when it is saved."""

    def __actorgrid_save__(self) -> int:
        print("saved", self.count)  # noqa: T201  # what the test looks for
        return super().__actorgrid_save__()

    def nap(self) -> int:
        time.sleep(2)
        return self.add()


def napping() -> None:
    counter = ag.remote(Timed).options(checkpoint=dt.timedelta(seconds=5), **SAFE).remote()
    ag.get([counter.nap.remote() for _ in range(7)])


def test_state_is_saved_by_the_time_of_the_world(capsys: pytest.CaptureFixture[str]) -> None:
    sim.run(napping)
    assert re.findall(r"saved \d", capsys.readouterr().out) == ["saved 3", "saved 6"]


@pytest.mark.parametrize("every", [1, 2, 100])
def test_helper_that_its_constructor_made_counts_along_whenever_it_dies(every: int) -> None:
    found = sim.explore(helped, every, runs=150, faults=DEATHS)
    assert not found.failures, found.failures[0].report


@pytest.mark.parametrize("every", [1, 100])
def test_what_it_saw_once_stays_what_it_saw(every: int) -> None:
    found = sim.explore(watching, every, runs=200, faults=DEATHS)
    assert not found.failures, found.failures[0].report


@pytest.mark.parametrize("every", [1, 2, 3])
def test_count_is_exact_whenever_the_actor_dies(every: int) -> None:
    proof = sim.prove(one_caller, every, faults=DEATHS)
    assert proof.complete
    assert not proof.failures, proof.failures[0].report


@pytest.mark.parametrize("every", [1, 2, 3])
def test_count_of_two_callers_is_exact_under_many_orders_and_deaths(every: int) -> None:
    found = sim.explore(two_callers, Counting, every, runs=150, faults=DEATHS)
    assert not found.failures, found.failures[0].report


@pytest.mark.slow
def test_count_of_two_callers_is_exact_under_every_order_and_death() -> None:
    proof = sim.prove(two_callers, Counting, 2, faults=sim.Faults(kill=1))
    assert proof.complete
    assert not proof.failures, proof.failures[0].report


@pytest.mark.parametrize("every", [1, 2, 100])
def test_what_such_an_actor_has_others_do_happens_once(every: int) -> None:
    found = sim.explore(counting_elsewhere, every, runs=150, faults=DEATHS)
    assert not found.failures, found.failures[0].report


def test_state_that_is_saved_wrongly_is_found_and_happens_on_real_processes() -> None:
    found = sim.explore(two_callers, Forgetful, 3, runs=500, faults=DEATHS)
    failure = found.failures[0]
    assert isinstance(failure.run.error, AssertionError)
    real = sim.replay(failure.schedule.dumps(), two_callers, Forgetful, 3, real=True, timeout=20)
    assert real.confirmed, real
