"""The plugin in test runs of its own, as users have it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

GRIDS = """
import actorgrid as ag

double = ag.remote(lambda x: 2 * x)
seen = []

def test_without_the_fixture_the_first_call_starts_a_grid():
    assert ag.get(double.remote(1)) == 2

def test_on_a_grid_of_its_own(grid):
    assert ag.cluster_resources()["CPU"] == 2
    assert ag.get(double.remote(2)) == 4
    seen.append(grid.head)

async def test_async(grid):
    assert not seen.pop().alive
    assert await double.remote(4) == 8

def test_after_it_nothing_runs():
    assert not ag.is_initialized()

def test_one_grid(session_grid):
    seen.append(session_grid.head)
    assert ag.get(double.remote(2)) == 4

async def test_for_many_tests(session_grid, no_leaks):
    assert session_grid.head == seen[0]
    assert await double.remote(2) == 4
    session_grid.head.kill()

def test_is_replaced_when_it_is_dead(session_grid):
    assert session_grid.head != seen[0]
    assert ag.get(double.remote(2)) == 4

def test_simulation_goes_beside_it(sim_grid):
    assert ag.get(double.remote(2)) == 4
    assert sim_grid.workers

def test_grid_of_its_own_goes_before_it(grid):
    seen.append(grid.head)

def test_grid_of_the_session_is_started_again(session_grid):
    assert not seen[-1].alive
    assert ag.get(double.remote(2)) == 4
"""

LEAKS = """
import subprocess, sys, threading, pytest

over = threading.Event()

def start(name):
    threading.Thread(target=over.wait, args=(60,), name=name).start()

def test_that_leaks():
    start("left alone")

def test_that_finds_it_there_and_leaks_nothing():
    assert not over.is_set()

def test_that_fails_anyway():
    start("not our business")
    raise ValueError

def test_with_a_command_that_goes_on(popen):
    popen("sleep", "600")

def test_with_a_command_that_goes_on_and_fails_anyway(popen):
    popen("sleep", "600")
    raise ValueError

def test_at_the_end(session_grid):
    over.set()
"""

OTHERS = """
import pytest

class Plugin:
    @pytest.hookimpl
    def pytest_pyfunc_call(self, pyfuncitem):
        print("somebody else runs", pyfuncitem.name)
        return True

@pytest.fixture(scope="session", autouse=True)
def plugin(pytestconfig):
    pytestconfig.pluginmanager.register(Plugin())

async def test_that_uses_no_grid():
    assert False

async def test_that_uses_one(sim_grid):
    print("we run it")
"""

QUIET = "import sys, actorgrid.pytest_plugin; print([name for name in sys.modules if name.startswith('actorgrid')])"


def run_pytest(folder: Path, source: str, *options: str, code: int = 0) -> str:
    """Return what pytest prints for a file of tests; its exit code must be ``code``."""
    (folder / "test_user.py").write_text(source, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", *options, str(folder)]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == code, result.stdout + result.stderr
    return result.stdout


def test_fixtures_give_grids_whatever_ran_before(tmp_path: Path) -> None:
    assert "10 passed" in run_pytest(tmp_path, GRIDS)


def test_every_test_is_checked_for_leaks_if_asked_for(tmp_path: Path) -> None:
    said = run_pytest(tmp_path, LEAKS, "-o", "actorgrid_leaks=true", "-o", "actorgrid_patience=0.3", code=1)
    assert "2 failed, 4 passed, 2 errors" in said
    assert "left behind, 0.3 s later:\n  thread 'left alone'\n" in said
    assert "still running after 0.3 s, now killed: []; 'sleep 600' runs" in said
    assert "not our business'" not in said
    assert "ERROR at teardown of test_with_a_command_that_goes_on _" in said


def test_coroutines_that_use_no_grid_are_left_to_others(tmp_path: Path) -> None:
    said = run_pytest(tmp_path, OTHERS, "-s")
    assert "somebody else runs test_that_uses_no_grid" in said
    assert "we run it" in said
    assert "somebody else runs test_that_uses_one" not in said


def test_plugin_imports_nothing_of_the_package() -> None:
    said = subprocess.run([sys.executable, "-c", QUIET], capture_output=True, text=True, timeout=60, check=True).stdout
    assert said == "['actorgrid', 'actorgrid.pytest_plugin']\n"
