"""The same choices lead to the same run: in one process, with any hash seed, again and again."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from actorgrid import sim
from actorgrid.exceptions import NondeterminismError
from actorgrid.sim.choices import Dull
from actorgrid.sim.onlookers import Holds
from actorgrid.sim.policies import RandomWalk
from actorgrid.sim.runner import Program
from tests.zoo.catalogue import ZOO, Animal

DIGESTS = """
import random, sys
from actorgrid.sim.policies import RandomWalk
from actorgrid.sim.runner import Program, quiet_collector
from tests.zoo.catalogue import ZOO
with quiet_collector():
    for animal in ZOO:
        for seed in range(2):
            program = Program(animal.buggy, animal.args, faults=animal.faults)
            print(animal, seed, program.run(RandomWalk(random.Random(seed)), seed).digest)
"""


def digests(hash_seed: str) -> list[str]:
    """Return what a fresh interpreter makes of the zoo."""
    environment = os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", DIGESTS], env=environment, capture_output=True, text=True, check=True, timeout=120
    )
    return done.stdout.splitlines()


def test_runs_are_equal_under_every_hash_seed() -> None:
    first, second = digests("1"), digests("2")
    assert len(first) == 2 * len(ZOO)
    assert first == second


@pytest.mark.slow
@pytest.mark.parametrize("animal", ZOO, ids=str)
def test_recorded_schedules_lead_to_the_same_runs(animal: Animal) -> None:
    runs_are_repeated(animal, range(3, 20))


@pytest.mark.parametrize("animal", ZOO, ids=str)
def test_recorded_schedule_leads_to_the_same_run(animal: Animal) -> None:
    runs_are_repeated(animal, range(3))


def runs_are_repeated(animal: Animal, seeds: range) -> None:
    import random

    from actorgrid.sim.choices import Forced
    from actorgrid.sim.runner import Program, quiet_collector

    program = Program(animal.buggy, animal.args, faults=animal.faults)
    with quiet_collector():
        for seed in seeds:
            one = program.run(RandomWalk(random.Random(seed)), seed)
            again = program.run(Forced(dict(one.schedule.deviations)), seed)
            assert (again.digest, again.checksum) == (one.digest, one.checksum)
            assert again.schedule == one.schedule


def test_program_that_remembers_earlier_runs_is_found_out() -> None:
    runs: list[int] = []

    def remembers() -> None:
        runs.append(1)
        if len(runs) % 2:
            raise ValueError("every other time")

    with pytest.raises(NondeterminismError, match="same choices"):
        sim.explore(remembers, runs=10)


def test_schedule_is_one_line_of_text() -> None:
    schedule = sim.Schedule(7, ((3, 1), (9, 2)), {"kill": 1})
    text = schedule.dumps()
    assert "\n" not in text
    assert text.startswith("ag1:")
    assert sim.Schedule.loads(text) == schedule


@pytest.mark.parametrize("broken", ["", "ag1:", "ag2:lK_x_", "ag1:lK_#D00", "ag1:***"])
def test_broken_schedule_is_refused(broken: str) -> None:
    with pytest.raises(ValueError, match="schedule"):
        sim.Schedule.loads(broken)


def test_schedule_remembers_its_python_where_turns_of_event_loops_are_choices() -> None:
    here = "{}.{}".format(*sys.version_info)
    assert Program(lambda: None, holds=Holds.TURNS).run(Dull()).schedule.settings["python"] == here
    assert "python" not in Program(lambda: None).run(Dull()).schedule.settings


def test_replay_of_turns_in_another_python_is_warned_of() -> None:
    with pytest.warns(UserWarning, match=r"found in Python 3\.1, and this is 3\.\d+: turns of event loops"):
        sim.replay(sim.Schedule(0, (), {"holds": int(Holds.TURNS), "python": "3.1"}), lambda: None)
