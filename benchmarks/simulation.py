"""The simulator's figures: how fast it is, how soon it finds planted bugs, how small it makes them.

    python benchmarks/simulation.py [--trials N] [--seeds N]

Prints one table per question. Times are CPU time of one core; a search is counted in schedules, which no load changes.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import actorgrid as ag
from actorgrid import sim
from actorgrid.sim.choices import Forced
from actorgrid.sim.policies import RandomWalk
from actorgrid.sim.runner import Program, quiet_collector
from tests.zoo.catalogue import ZOO, Animal
from tests.zoo.shared_state import Cell, read_then_write


def deliveries_15() -> None:
    """Seven tasks that read and write, and one more read: 15 calls of an actor, 7 starts of tasks."""
    cell = Cell.remote()
    ag.get([read_then_write.remote(cell, 1) for _ in range(7)])
    ag.get(cell.get.remote())


def speed() -> None:
    """Schedules and events per second of CPU time."""
    program = Program(deliveries_15)
    rng = random.Random(0)
    with quiet_collector():
        for _ in range(50):
            program.run(RandomWalk(rng))
        began, runs, handled = time.process_time(), 0, 0
        while time.process_time() - began < 3:
            run = program.run(RandomWalk(rng))
            assert run.error is None, run.error
            handled += run.messages
            runs += 1
        took = time.process_time() - began
    print(f"schedules per second and core, 15 deliveries: {runs / took:8.0f}")
    print(f"messages handled by the machines per second:  {handled / took:8.0f}")


def hypothesis_overhead() -> None:
    """What Hypothesis adds to a schedule."""
    from hypothesis import HealthCheck, Phase, given, settings
    from hypothesis import strategies as st

    cases = 0

    @settings(
        deadline=None, database=None, max_examples=500, suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )  # fmt: skip
    @given(st.integers(0, 1 << 30))
    def case(number: int) -> None:
        nonlocal cases
        del number
        cases += 1
        with sim.world():
            deliveries_15()

    began = time.process_time()
    case()
    driven = (time.process_time() - began) / cases
    began = time.process_time()
    for seed in range(cases):
        with sim.world(policy=RandomWalk(random.Random(seed))):
            deliveries_15()
    alone = (time.process_time() - began) / cases
    print(f"Hypothesis adds to a test case:               {1e3 * (driven - alone):8.2f} ms ({cases} cases)")


def hunt(animal: Animal, trials: int) -> None:
    """How many schedules until a bug is found, and how many replays to shrink it."""
    found, replays, minimal = [], [], 0
    for trial in range(trials):
        result = sim.explore(animal.buggy, *animal.args, runs=5000, seed=trial, faults=animal.faults, check_every=0)
        if result.failures:
            failure = result.failures[0]
            found.append(failure.found_after)
            replays.append(failure.replays)
            minimal += len(failure.schedule.deviations) <= animal.deviations
    p95 = sorted(found)[int(0.95 * (len(found) - 1))] if found else 0
    print(
        f"{animal!s:28} {len(found):4}/{trials:<4} {statistics.median(found or [0]):7.0f} {p95:6} {max(found or [0]):6}"
        f"   {statistics.median(replays or [0]):7.0f} {minimal:6}/{len(found)}"
    )


def replays(seeds: int) -> None:
    """Runs that differ from their recording."""
    mismatches = total = 0
    with quiet_collector():
        for animal in ZOO:
            program = Program(animal.buggy, animal.args, faults=animal.faults)
            for seed in range(seeds):
                one = program.run(RandomWalk(random.Random(seed)), seed)
                again = program.run(Forced(dict(one.schedule.deviations)), seed)
                total += 1
                mismatches += one.digest != again.digest
    print(f"replays that differ from their recording: {mismatches} of {total}")


def main() -> None:
    """Print everything."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=100)
    asked = parser.parse_args()
    speed()
    hypothesis_overhead()
    replays(asked.seeds)
    print(f"\n{'bug':28} {'found':>9} {'median':>7} {'p95':>6} {'max':>6}   {'replays':>7} {'minimal':>9}")
    for animal in ZOO:
        hunt(animal, asked.trials)


if __name__ == "__main__":
    main()
