"""What the plugin gives to simulated tests: options and a fixture."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import actorgrid as ag
from actorgrid import sim
from actorgrid.sim.world import World
from tests.zoo.shared_state import Cell, lost_update, lost_update_fixed

TEST = """
from actorgrid import sim
from tests.zoo.shared_state import lost_update
runs = []

@sim.test(runs=300)
def test_updates_are_not_lost():
    runs.append(1)
    lost_update()

def test_count():
    print("runs:", len(runs))
"""


def run_pytest(folder: Path, *options: str) -> str:
    """Return what pytest prints for ``TEST``."""
    (folder / "test_it.py").write_text(TEST, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-s", "-p", "no:cacheprovider", str(folder), *options]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=60, cwd=Path(__file__).parents[2]
    ).stdout


def test_decorated_test_fails_with_the_report_and_is_replayed_by_option(tmp_path: Path) -> None:
    said = run_pytest(tmp_path)
    assert "SimulationFailed" in said
    line = next(word for word in said.split("'") if word.startswith("ag1:"))
    said = run_pytest(tmp_path, f"--actorgrid-replay={line}")
    assert "runs: 1\n" in said
    assert "1 failed" in said


def test_number_of_schedules_is_an_option(tmp_path: Path) -> None:
    said = run_pytest(tmp_path, "--actorgrid-runs=1")
    assert "2 passed" in said


@sim.test(runs=50, prove_below=100)
def test_decorated_test_that_holds() -> None:
    lost_update_fixed()


def test_decorated_test_that_does_not_hold_raises_with_its_cause() -> None:
    with pytest.raises(sim.SimulationFailed, match="replay it") as caught:
        sim.test(runs=100)(lost_update)()
    assert isinstance(caught.value.__cause__, AssertionError)


def test_fixture_runs_the_test_in_a_world(sim_grid: World) -> None:
    cell = Cell.remote(5)
    assert ag.get(cell.get.remote()) == 5
    assert sim.peek(cell).value == 5
    assert sim_grid.events == 1
