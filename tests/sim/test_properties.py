"""What simulated programs may say of themselves: always, eventually, sometimes, buggify, settle, peek."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import asyncio
import time

import pytest

import actorgrid as ag
from actorgrid import sim
from actorgrid.exceptions import DeadlockError, LivelockError, SimulationError
from tests.zoo import locks
from tests.zoo.shared_state import Cell, read_then_write

pytestmark = pytest.mark.search


@pytest.mark.parametrize("closes", [False, True])
def test_always_is_checked_after_the_last_event(closes: bool) -> None:
    def program() -> None:
        if closes:
            ag.init()
        cell = Cell.remote()
        ag.get(cell.get.remote())
        sim.always("small", lambda: sim.peek(cell).value < 1)
        ag.get(cell.add.remote(1))
        if closes:
            ag.shutdown()

    assert str(sim.run(program).error) == "always: 'small' does not hold"


def test_always_is_checked_after_every_event() -> None:
    def program() -> None:
        cell = Cell.remote()
        ag.get(cell.get.remote())
        sim.always("small", lambda: sim.peek(cell).value < 2)
        for _ in range(3):
            cell.add.remote(1)
        ag.get(cell.get.remote())

    run = sim.run(program)
    assert "always: 'small' does not hold" in str(run.error)
    assert run.events == 3


@ag.remote
class Slow:
    """Is done after a while."""

    def __init__(self) -> None:
        self.done = False

    def work(self, seconds: float) -> None:
        time.sleep(seconds)
        self.done = True

    def idle(self, seconds: float) -> None:
        time.sleep(seconds)


def work_for(seconds: float, within: float | None) -> None:
    slow = Slow.remote()
    sim.eventually("done", lambda: sim.peek(slow).done, within=within)
    refs = slow.work.remote(seconds), slow.idle.remote(100.0)
    sim.settle()
    del refs


def test_what_is_true_in_time_is_kept_though_rest_takes_longer() -> None:
    run = sim.run(work_for, 9.0, 10.0)
    assert run.error is None
    assert run.seconds > 100


def test_what_is_true_too_late_is_not_kept_though_it_is_true_at_rest() -> None:
    assert sim.run(work_for, 11.0, None).error is None
    assert "eventually: 'done' does not hold within 10.0 s" in str(sim.run(work_for, 11.0, 10.0).error)


def test_eventually_is_looked_at_when_everything_has_come_to_rest() -> None:
    def program(enough: int) -> None:
        cell = Cell.remote()
        ag.get(cell.get.remote())
        sim.eventually("counted", lambda: sim.peek(cell).value == enough)
        for _ in range(3):
            read_then_write.remote(cell, 1)
        sim.settle()

    assert sim.run(program, 3).error is None
    assert "eventually: 'counted' does not hold" in str(sim.run(program, 4).error)


def test_sometimes_tells_what_the_search_never_reached() -> None:
    def program() -> None:
        cell = Cell.remote()
        ag.wait([read_then_write.remote(cell, 1) for _ in range(2)], num_returns=2)
        sim.sometimes("an update was lost", ag.get(cell.get.remote()) == 1)
        sim.sometimes("an update was made up", ag.get(cell.get.remote()) == 3)

    found = sim.explore(program, runs=100)
    assert found.reached["an update was lost"]
    assert found.never == ["an update was made up"]
    assert "never: an update was made up" in str(found)


def test_buggify_is_a_choice_that_is_no_in_the_dull_run() -> None:
    def program() -> None:
        assert not sim.buggify("an odd thing")

    assert sim.run(program).error is None
    assert len(sim.explore(program, runs=20).failures) == 1


def test_peek_shows_the_object_behind_a_handle() -> None:
    def program() -> int:
        cell = Cell.remote(5)
        ag.get(cell.get.remote())
        return int(sim.peek(cell).value)

    assert sim.run(program).value == 5


def test_properties_are_for_simulated_programs() -> None:
    with pytest.raises(SimulationError, match="simulated programs"):
        sim.settle()


def test_deadlock_says_who_waits_for_whom() -> None:
    error = sim.explore(locks.deadlock01, runs=100).failures[0].run.error
    assert isinstance(error, DeadlockError)
    assert "take_two 2 waits in get for Lock.acquire" in str(error)


def test_program_that_goes_on_for_ever_is_ended() -> None:
    def program() -> None:
        while True:
            time.sleep(1)

    assert isinstance(sim.run(program, max_events=1000).error, LivelockError)


def test_every_outcome_on_real_processes_is_one_of_the_simulated() -> None:
    def balance() -> int:
        cell = Cell.remote()
        ag.wait([read_then_write.remote(cell, 1) for _ in range(3)], num_returns=3)
        return int(ag.get(cell.get.remote()))

    diff = sim.differential(balance, real_runs=5, runs=200)
    assert diff.unexplained == []
    assert sum(diff.real.values()) == 5
    assert len(diff.simulated) == 3


def test_simulation_that_would_start_inside_of_a_running_loop_is_refused() -> None:
    async def main() -> None:
        ag.init(engine="sim")

    with pytest.raises(SimulationError, match="inside of a running event loop"):
        asyncio.run(main())
    assert not ag.is_initialized()
