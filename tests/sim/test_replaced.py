"""The names that stand-ins lie under: worlds share them, and nothing of a world stays behind."""

from __future__ import annotations

import _thread
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import actorgrid as ag
from actorgrid import sim
from actorgrid.sim.runner import Program, quiet_collector

HOUR = 3600.0
REAL = {name: getattr(time, name) for name in ("time", "monotonic", "sleep", "localtime", "strftime", "asctime")}


def real_ones() -> dict[str, object]:
    return {name: getattr(time, name) for name in REAL}


def an_hour() -> float:
    began = time.monotonic()
    time.sleep(HOUR)
    return time.monotonic() - began


def stops_the_clock() -> float:
    """A program that cheats, and does not clean up."""
    before = time.time()
    time.time = lambda: before
    time.sleep(HOUR)
    return time.time() - before


def wall_clock_hour() -> float:
    began = time.time()
    time.sleep(HOUR)
    return time.time() - began


def years() -> tuple[int, str, str]:
    return time.localtime().tm_year, time.strftime("%Y"), time.asctime()[-4:]


def test_names_stay_replaced_between_runs_that_follow_each_other_and_real_code_sees_no_difference() -> None:
    with quiet_collector():
        assert Program(an_hour).run(sim.choices.Dull()).value == pytest.approx(HOUR)
        assert time.monotonic is not REAL["monotonic"]
        assert abs(time.monotonic() - REAL["monotonic"]()) < 60
        assert Program(an_hour).run(sim.choices.Dull()).value == pytest.approx(HOUR)
    assert real_ones() == REAL


def test_calendar_is_virtual_in_each_of_many_runs() -> None:
    with quiet_collector():
        seen = [Program(years).run(sim.choices.Dull()).value for _ in range(3)]
    assert seen == [(2026, "2026", "2026")] * 3


def test_what_one_run_does_to_the_clock_the_next_one_does_not_see() -> None:
    with quiet_collector():
        assert Program(stops_the_clock).run(sim.choices.Dull()).value == 0
        assert Program(wall_clock_hour).run(sim.choices.Dull()).value == pytest.approx(HOUR)
    assert real_ones() == REAL


def test_clock_that_a_program_stopped_goes_on_after_its_only_run() -> None:
    assert sim.run(stops_the_clock).value == 0
    assert real_ones() == REAL


def test_clock_that_the_caller_has_replaced_is_theirs_again_after_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped() -> float:
        return 7.0

    monkeypatch.setattr(time, "time", stopped)
    assert sim.run(lambda: time.time() == 7).value is False
    assert time.time is stopped
    monkeypatch.undo()
    assert real_ones() == REAL


def test_world_is_refused_while_one_is_open_in_another_thread() -> None:
    is_open, is_over = _thread.allocate_lock(), _thread.allocate_lock()  # real ones in any world
    is_open.acquire()
    is_over.acquire()

    def holds_one_open() -> None:
        with sim.world():
            is_open.release()
            assert is_over.acquire(timeout=60)

    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(holds_one_open)
        assert is_open.acquire(timeout=60)
        try:
            with pytest.raises(ag.exceptions.SimulationError, match="in another thread"):
                sim.run(an_hour)
        finally:
            is_over.release()
        other.result()
    assert sim.run(an_hour).value == pytest.approx(HOUR)
    assert real_ones() == REAL


def test_error_in_a_run_leaves_nothing_replaced() -> None:
    @ag.remote
    def fails() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"), sim.world():
        ag.get(fails.remote())
    assert real_ones() == REAL
