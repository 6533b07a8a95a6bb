"""What the plugin gives to simulated tests: options and a fixture."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

import actorgrid as ag
from actorgrid import sim
from actorgrid.exceptions import DeadlockError, SimulationError
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


def test_clocks_of_a_hypothesis_test_are_replaced_once_for_all_cases_and_real_again_after_it(
    tmp_path: Path,
) -> None:
    (tmp_path / "test_cases.py").write_text("""
import time
from hypothesis import given, settings, strategies
from actorgrid import sim

real, before = time.monotonic, []

@settings(max_examples=20, database=None)
@given(strategies.integers())
def test_with_a_world(number):
    before.append(time.monotonic)
    with sim.world():
        assert time.monotonic() < 1.0

def test_after_it():
    assert before[0] is real
    assert real not in before[1:]
    assert time.monotonic is real
""")
    assert "2 passed" in run_pytest(tmp_path, "-k", "test_cases.py")


def test_seed_is_an_option(tmp_path: Path) -> None:
    text = "import random\nfrom actorgrid import sim\n"
    text += "@sim.test(runs=1)\ndef test_it():\n    print('drew', random.random())\n"
    (tmp_path / "test_seed.py").write_text(text + "def test_grid(sim_grid):\n    print('drew', random.random())\n")

    def drawn(seed: int) -> set[str]:
        return set(re.findall(r"drew \S+", run_pytest(tmp_path, f"--actorgrid-seed={seed}", "-k", "seed.py")))

    one = drawn(1)
    assert one
    assert one == drawn(1)
    assert one.isdisjoint(drawn(2))


def test_summary_says_of_which_tests_hypothesis_has_tried_every_schedule(tmp_path: Path) -> None:
    text = """
from hypothesis import given, settings, strategies as st
from actorgrid import sim
from tests.zoo.shared_state import token_ring_fixed, lost_update_fixed

@settings(max_examples=2000, deadline=None, database=None)
@given(st.booleans())
def test_all(_):
    with sim.world():
        lost_update_fixed()

@settings(max_examples=3, deadline=None, database=None)
@given(st.none())
def test_some(_):
    with sim.world():
        lost_update_fixed()

@settings(database=None)
@given(st.booleans())
def test_without_a_schedule(_):
    pass
"""
    (tmp_path / "test_exhaustive.py").write_text(text, encoding="utf-8")
    said = [line for line in run_pytest(tmp_path, "-k", "exhaustive.py").splitlines() if "exhaustive: " in line]
    (line,) = said
    assert "test_exhaustive.py::test_all: every input and every schedule there is was tried" in line


def test_summary_does_not_call_exhaustive_what_leaves_out_late_starts(tmp_path: Path) -> None:
    text = """
from hypothesis import given, settings, strategies as st
import actorgrid as ag
from actorgrid import sim

@ag.remote
def task():
    pass

def look():
    ag.wait([task.remote()], timeout=0)

@settings(max_examples=2000, deadline=None, database=None)
@given(st.none())
def test_some(_):
    with sim.world():
        look()

@settings(max_examples=2000, deadline=None, database=None)
@given(st.none())
def test_all(_):
    with sim.world(starts=True):
        look()
"""
    (tmp_path / "test_late.py").write_text(text, encoding="utf-8")
    said = [line for line in run_pytest(tmp_path, "-k", "late.py").splitlines() if "exhaustive: " in line]
    assert [line.split("test_late.py::")[0].split(": ")[0] for line in said] == ["not exhaustive", "exhaustive"]
    assert "test_some: it can tell when tasks start" in said[0]


def test_option_replays_a_schedule_in_a_hypothesis_test(tmp_path: Path) -> None:
    text = """
from hypothesis import given, settings, strategies as st
from actorgrid import sim
from tests.zoo.shared_state import lost_update

@settings(max_examples=1, database=None)
@given(st.booleans())
def test_updates(_):
    with sim.world():
        lost_update()

def test_in_a_world(sim_grid):
    lost_update()
"""
    (tmp_path / "test_given.py").write_text(text, encoding="utf-8")
    line = sim.explore(lost_update, runs=300).failures[0].schedule.dumps()
    said = run_pytest(tmp_path, "-k", "given.py", f"--actorgrid-replay={line}")
    assert "2 failed" in said
    assert f"schedule {line}, 1 deviations" in said


FIXTURE = """
import random

import pytest

import actorgrid as ag
from tests.zoo.shared_state import Cell

@pytest.fixture
def cell(sim_grid):
    return Cell.remote(random.random())

def test_value(cell):
    print("drew", ag.get(cell.get.remote()))
    assert not cell

def test_skipped(sim_grid):
    pytest.skip("why not")
"""


def test_what_fails_in_the_fixture_tells_the_line_that_replays_it(tmp_path: Path) -> None:
    (tmp_path / "test_fixture.py").write_text(FIXTURE, encoding="utf-8")
    said = run_pytest(tmp_path, "-k", "fixture.py", "--actorgrid-seed=7")
    (line,) = re.findall(r"replay it: pytest --actorgrid-replay='?(ag1:[^ ']+)'? \S*test_fixture.py::test_value", said)
    assert "1 failed, 1 skipped" in said
    assert "Cell.get" in said
    again = run_pytest(tmp_path, "-k", "fixture.py", f"--actorgrid-replay={line}")
    assert re.findall("drew.*", again) == re.findall("drew.*", said)


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


async def test_async_test_runs_in_the_world_on_virtual_time(sim_grid: World, tmp_path: Path) -> None:
    assert tmp_path.name
    cell = Cell.remote(5)
    began = time.monotonic()
    value, _ = await asyncio.gather(cell.get.remote(), asyncio.sleep(3600))
    assert value == 5
    assert 3600 <= time.monotonic() - began < 3601
    assert sim_grid.clock.now >= 3600


async def test_async_test_sees_errors_and_time_limits(sim_grid: World) -> None:
    @ag.remote(max_retries=0)
    def fail() -> None:
        raise ValueError("on purpose")

    @ag.remote
    class Slow:
        async def nap(self) -> None:
            await asyncio.sleep(1e6)

    with pytest.raises(ValueError, match="on purpose"):
        await fail.remote()
    slow = Slow.remote()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(slow.nap.remote(), 10)


def test_async_program_that_waits_for_nothing_is_a_deadlock() -> None:
    async def wait() -> None:
        await asyncio.gather(asyncio.Event().wait(), asyncio.Event().wait())

    error = sim.run(wait).error
    assert isinstance(error, DeadlockError)
    assert "its event loop" in str(error)


def test_all_parts_can_be_looked_at(sim_grid: World) -> None:
    with pytest.raises(SimulationError, match="no grid runs in this world"):
        _ = sim_grid.head
    ag.init(num_cpus=3)
    cell = Cell.remote(5)
    assert ag.get(cell.get.remote()) == 5
    (worker,) = sim_grid.workers
    assert worker.title == f"Cell {worker.engine.pid}"
    assert worker.machine.actor is not None
    assert not worker.machine.running
    (driver,) = sim_grid.drivers
    assert driver.capacity["CPU"] == 3
    assert sim_grid.clients == {driver.client.number: driver.client, worker.number: worker.engine.client}
    assert list(sim_grid.head.peers) == list(sim_grid.clients)
    sim_grid.check()
    ag.kill(cell)
    sim.settle()
    assert worker not in sim_grid.workers


@sim.test(runs=50)
async def test_decorated_async_test() -> None:
    cell = Cell.remote(1)
    await asyncio.gather(cell.set.remote(2), asyncio.sleep(10))
    assert await cell.get.remote() == 2


def test_async_programs_are_explored_and_replayed() -> None:
    async def race() -> None:
        cell = Cell.remote(0)

        async def increment() -> None:
            await cell.set.remote(await cell.get.remote() + 1)

        await asyncio.gather(increment(), increment())
        assert await cell.get.remote() == 2

    found = sim.explore(race, runs=100)
    (failure,) = found.failures
    assert isinstance(failure.run.error, AssertionError)
    assert isinstance(sim.replay(failure.schedule, race).error, AssertionError)
    assert sim.replay(failure.schedule, race, real=True).confirmed


ORDER = """
from actorgrid import sim

def test_order():
    print("hash", hash("a string"))

@sim.test(runs=1)
def test_it():
    print("hash", hash("a string"))
    assert False
"""


def pytest_there(folder: Path, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run pytest in a folder, as its users do, where nothing says how strings hash but ``variables``."""
    (folder / "test_order.py").write_text(ORDER, encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONHASHSEED"} | variables
    command = [sys.executable, "-m", "pytest", "-q", "-s", "-p", "no:cacheprovider", *options]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=60, cwd=folder, env=environment
    )  # fmt: skip


def hash_there(folder: Path, *options: str, **variables: str) -> str:
    done = pytest_there(folder, *options, **variables)
    assert done.returncode == 1, done.stdout + done.stderr
    (found,) = set(re.findall(r"hash \S+", done.stdout))
    return str(found)


def test_pytest_starts_again_with_the_hash_seed_of_its_settings(tmp_path: Path) -> None:
    of_7 = hash_there(tmp_path, PYTHONHASHSEED="7")
    (tmp_path / "pytest.ini").write_text("[pytest]\nactorgrid_hash_seed = 7\n", encoding="utf-8")
    assert hash_there(tmp_path) == of_7
    assert hash_there(tmp_path, PYTHONHASHSEED="3") != of_7, "whoever says how strings are to hash is obeyed"


def test_replay_by_option_hashes_strings_as_when_the_schedule_was_found(tmp_path: Path) -> None:
    option = f"--actorgrid-replay={sim.Schedule(settings={'hash': 5}).dumps()}"
    assert hash_there(tmp_path, option, PYTHONHASHSEED="3") == hash_there(tmp_path, PYTHONHASHSEED="5")


def test_hash_seed_that_is_no_number_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\nactorgrid_hash_seed = random\n", encoding="utf-8")
    assert "actorgrid_hash_seed must be a whole number, not 'random'" in pytest_there(tmp_path).stderr
