"""Runs that go on for ever: they are told soon, shrunk by their first events, and not confused with slow ones."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
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


def spins_on_get() -> None:
    ref = ag.put(1)
    while ag.get(ref) == 1:
        pass


def spins_on_wait() -> None:
    ref = Lock.remote().acquire.remote()
    while ag.wait([ref], timeout=0):
        pass


def spins_on_put() -> None:
    while True:
        ag.put(1)


def submits_for_ever() -> None:
    while True:
        use.remote()


def asks_for_a_name() -> None:
    while True:
        try:
            ag.get_actor("nobody")
        except Exception:  # noqa: BLE001  # as programs do
            continue


def looks_at_the_clock() -> None:
    while time.monotonic() >= 0:
        pass


async def takes_turns() -> None:
    turns = 0
    while turns >= 0:
        turns += 1
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    "function",
    [spins_on_get, spins_on_wait, spins_on_put, submits_for_ever, asks_for_a_name, looks_at_the_clock, takes_turns],
)
def test_program_that_goes_on_for_ever_without_waiting_is_told_where(function: Callable[[], Any]) -> None:
    run = sim.run(function, max_events=50)
    assert isinstance(run.error, LivelockError)
    assert str(run.error).startswith("the program has not ended after 500 calls, most of which wait for nothing: main")
    assert f"is at {Path(__file__).name}:" in str(run.error)


def test_program_that_swallows_what_it_is_told_ends_all_the_same() -> None:
    def tries_for_ever() -> None:
        while True:
            try:
                ag.get(ag.put(1), timeout=1)
                time.sleep(1)
            except Exception:  # noqa: BLE001  # as programs do
                continue

    run = sim.run(tries_for_ever, max_events=50)
    assert isinstance(run.error, LivelockError)
    assert str(run.error).startswith("the program has not ended after 50 events")


def test_block_that_goes_on_for_ever_without_waiting_is_told() -> None:
    with pytest.raises(LivelockError, match="after 500 calls"), sim.world(max_events=50):
        asks_for_a_name()


def test_task_that_goes_on_for_ever_without_waiting_ends_the_program() -> None:
    @ag.remote
    def spins() -> None:
        asks_for_a_name()

    def program() -> None:
        ag.get(spins.remote())

    run = sim.run(program, max_events=50)
    assert isinstance(run.error, LivelockError)
    assert "asks_for_a_name" not in str(run.error)
    assert "spins" in str(run.error)


def test_waiting_for_a_time_to_come_takes_no_longer_for_a_day() -> None:
    def program() -> float:
        until = time.monotonic() + 86_400
        while time.monotonic() < until:
            pass
        return time.monotonic() - until

    run = sim.run(program)
    assert run.error is None
    assert 0 <= run.value < 86_400


def test_program_that_notes_the_time_of_all_that_it_does_takes_hardly_any() -> None:
    """One that writes a log, say: tasks with a time limit are none the later for it."""

    def program() -> None:
        for _ in range(20_000):
            time.time()

    run = sim.run(program)
    assert run.error is None
    assert run.seconds < 1


def test_proof_of_a_program_whose_dull_run_never_ends_costs_hardly_more_than_that_run() -> None:
    proof = sim.prove(spins_on_wait)
    assert (proof.complete, proof.classes, proof.failing) == (False, 1, 1)
    assert isinstance(proof.failures[0].error, LivelockError)
    assert proof.failures[0].events < 10


def test_proof_takes_a_run_that_is_slow_and_ends_for_no_livelock() -> None:
    proof = sim.prove(slow_if_second_comes_first, right=True)
    assert proof.complete
    assert proof.failing == 0


def test_proof_ends_with_a_run_that_does_not() -> None:
    proof = sim.prove(both_ways, max_events=60)
    assert not proof.complete
    assert isinstance(proof.failures[0].error, LivelockError)


def test_decorated_test_tells_a_livelock() -> None:
    with pytest.raises(sim.SimulationFailed, match="LivelockError"):
        sim.test(prove_below=5)(both_ways)()
