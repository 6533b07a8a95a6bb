"""What a failure looks like: one screen that tells where it goes wrong and how to see it again."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

from typing import Any

import pytest

import actorgrid as ag
from actorgrid import sim
from tests.thinning import one_in
from tests.zoo import actors, locks, shared_state
from tests.zoo.catalogue import ZOO, Animal

pytestmark = pytest.mark.search


def report_of(program: object, faults: sim.Faults | None = None) -> str:
    """Return the report of the first failure of a program of the zoo."""
    assert callable(program)
    return sim.explore(program, runs=500, faults=faults).failures[0].report


def test_report_marks_the_deviation_and_names_the_line_that_made_each_call() -> None:
    report = report_of(shared_state.lost_update)
    (line,) = [line for line in report.splitlines() if "<-- deviates" in line]
    assert "Cell.get 2.0" in line
    assert "shared_state.py:" in line
    assert ", read_then_write 2  <-- deviates" in line
    assert report.splitlines()[-1].startswith("replay it: ")
    (last,) = [line for line in report.splitlines() if "Cell.get 3 " in line and "shared_state.py:" in line]
    assert last.endswith(", main")


def test_report_of_a_deadlock_shows_where_everybody_waits() -> None:
    report = report_of(locks.deadlock01)
    assert "take_two 2 waits in get for Lock.acquire 2.1 of Lock 1, at locks.py:" in report
    assert "take_two 3 waits in get for Lock.acquire 3.1 of Lock 0, at locks.py:" in report
    assert "in take_two\n" in report
    assert "in finish, called at locks.py:" in report


def test_report_shows_where_the_nearest_passing_schedule_goes_another_way() -> None:
    report = report_of(shared_state.lost_update)
    assert "the nearest schedule that passes goes another way after Cell.get 1.0:" in report
    assert "  fails:  Cell.get 2.0, " in report
    assert "  passes: Cell.set 1.1, " in report


def test_report_of_a_program_that_always_fails_knows_no_schedule_that_passes() -> None:
    def program() -> None:
        ag.put(1)
        raise ValueError("always")

    report = report_of(program)
    assert "in the dullest run there is" in report
    assert "the nearest schedule that passes" not in report


def test_report_fits_on_a_screen_however_long_the_run_was() -> None:
    def program() -> None:
        cell = shared_state.Cell.remote()
        for _ in range(200):
            ag.get(cell.get.remote())
        raise ValueError("in the end " * 50)

    fits(report_of(program))


def fits(report: str) -> None:
    """Hold the report against a screen; only the line that replays it may be longer."""
    lines = report.splitlines()
    assert len(lines) <= 50
    assert max(len(line) for line in lines[:-1]) <= 120
    assert lines[-1].startswith("replay it:  ")


@pytest.mark.parametrize(
    "animal", one_in(4, [each for each in ZOO if not each.slow and (each.deviations > 1 or not each.classes)])
)
def test_report_of_a_large_animal_fits_and_marks_every_deviation(animal: Animal) -> None:
    failure = sim.explore(animal.buggy, *animal.args, runs=2500, faults=animal.faults).failures[0]
    fits(failure.report)
    assert failure.report.count("<-- deviates") == len(failure.schedule.deviations)


@pytest.mark.parametrize("program", [actors.wait_order, locks.sync01, locks.philosophers])
def test_deviation_is_marked_once_wherever_it_was_decided(program: Any) -> None:
    failure = sim.explore(program, runs=500).failures[0]
    assert failure.report.count("<-- deviates") == len(failure.schedule.deviations)


def test_draws_of_the_program_have_a_row_of_their_own() -> None:
    def program() -> None:
        cell = shared_state.Cell.remote()
        assert not sim.buggify("unlucky")
        ag.get(cell.get.remote())

    (line,) = [line for line in report_of(program).splitlines() if "<-- deviates" in line]
    assert "[buggify] unlucky" in line
    assert "test_report.py:" in line


def test_deviation_far_from_the_end_is_shown() -> None:
    def program() -> None:
        cell = shared_state.Cell.remote()
        ag.get(cell.get.remote())
        unlucky = sim.buggify("unlucky")
        for _ in range(100):
            ag.get(cell.get.remote())
        assert not unlucky

    report = report_of(program)
    assert "[buggify] unlucky" in report
    assert "..." in report
    fits(report)
