"""Runs that go on for ever: they are told soon, shrunk by their first events, and not confused with slow ones."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import time
from typing import Any

import pytest

import actorgrid as ag
from actorgrid import sim
from actorgrid.exceptions import LivelockError
from actorgrid.sim import patience
from tests.zoo.shared_state import Cell


@pytest.fixture(autouse=True)
def _little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test has no time for as many events as a search gives a run in the end."""
    monkeypatch.setattr(patience, "MOST", 6_000)
    monkeypatch.setattr(patience, "LEAST", 500)


@ag.remote
class Lock:
    def __init__(self) -> None:
        self.held = False

    def acquire(self) -> bool:
        was, self.held = self.held, True
        return not was

    def release(self) -> None:
        self.held = False


@ag.remote
def use(*locks: Any) -> None:
    for lock in locks:
        while not ag.get(lock.acquire.remote()):
            time.sleep(0.01)
    ag.get([lock.release.remote() for lock in locks])


def both_ways() -> None:
    one, other = Lock.remote(), Lock.remote()
    ag.get([use.remote(one, other), use.remote(other, one)])


def test_livelock_is_told_and_replayed_by_its_first_events() -> None:
    found = sim.explore(both_ways, runs=300)
    (failure,) = found.failures
    assert isinstance(failure.run.error, LivelockError)
    assert failure.run.events == 501
    assert len(failure.schedule.deviations) <= 2
    again = sim.replay(failure.schedule.dumps(), both_ways)
    assert isinstance(again.error, LivelockError)
    assert again.digest == failure.run.digest
    with pytest.raises(LivelockError), sim.world(schedule=failure.schedule) as world:
        both_ways()
    assert world.events == 501


def test_program_whose_dull_run_never_ends_is_told() -> None:
    def spins() -> None:
        lock = Lock.remote()
        while ag.get(lock.acquire.remote()) or True:
            pass

    (failure,) = sim.explore(spins).failures
    assert failure.run.events == 501
    assert failure.first.events == 501


def slow_if_second_comes_first(*, right: bool) -> None:
    """End soon, but in one order only after many more events than in the other."""

    @ag.remote
    def write(cell: Any, value: int) -> None:
        ag.get(cell.set.remote(value))

    cell = Cell.remote(0)
    ag.get([write.remote(cell, value) for value in (1, 2)])
    for _ in range(1000 if ag.get(cell.get.remote()) == 1 else 1):
        ag.get(cell.get.remote())
    assert right or ag.get(cell.get.remote()) == 2


def test_run_that_is_slow_and_ends_is_no_livelock() -> None:
    found = sim.explore(slow_if_second_comes_first, right=True, runs=20)
    assert found.failures == []
    assert found.runs > 5


def test_slow_run_fails_as_it_does_in_the_end() -> None:
    (failure,) = sim.explore(slow_if_second_comes_first, right=False, runs=20).failures
    assert isinstance(failure.run.error, AssertionError)


def test_events_that_are_asked_for_are_given() -> None:
    (failure,) = sim.explore(both_ways, runs=300, max_events=300).failures
    assert failure.run.events == 301
    assert str(failure.run.error).startswith("the program has not ended after 300 events")


def test_proof_ends_with_a_run_that_does_not() -> None:
    proof = sim.prove(both_ways, max_events=60)
    assert not proof.complete
    assert isinstance(proof.failures[0].error, LivelockError)


def test_decorated_test_tells_a_livelock() -> None:
    with pytest.raises(sim.SimulationFailed, match="LivelockError"):
        sim.test(prove_below=5)(both_ways)()
