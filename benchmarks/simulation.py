"""The simulator's figures: how fast it is, how soon it finds planted bugs, how small it makes them.

    python benchmarks/simulation.py [--trials N] [--seeds N] [--cases N] [--only NAME] [--slow]

Prints one table per question. Times are CPU time of one core; a search is counted in schedules, which no load changes.
"""

from __future__ import annotations

import argparse
import math
import random
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parents[1]))

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Flaky

import actorgrid as ag
from actorgrid import sim
from actorgrid.sim.choices import Forced
from actorgrid.sim.policies import RandomWalk
from actorgrid.sim.runner import Program, quiet_collector
from tests.zoo.catalogue import ZOO, Animal
from tests.zoo.shared_state import Cell, read_then_write

#: A search ends after so many schedules.
RUNS: Final = 5000
#: In 95 of 100 trials a bug must be found after so many: one whose least deviations are few, and the others.
SHALLOW: Final = 150
DEEPEST: Final = 2500
DEEP: Final = 4
#: So often two things are measured that are compared.
ROUNDS: Final = 9


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
    print(f"schedules per second and core, 15 deliveries: {runs / took:8.0f}   (asked: at least 400)")
    print(f"messages handled by the machines per second:  {handled / took:8.0f}   (asked: at least 50,000)")


def hypothesis_overhead() -> None:
    """What Hypothesis adds to a schedule: medians of rounds that take turns, for one alone differs by half of that."""
    cases = 0

    @settings(
        deadline=None, database=None, max_examples=200, suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )  # fmt: skip
    @given(st.integers(0, 1 << 30))
    def case(number: int) -> None:
        nonlocal cases
        del number
        cases += 1
        with sim.world():
            deliveries_15()

    driven, alone = [], []
    for _ in range(ROUNDS):
        before, began = cases, time.process_time()
        case()
        made = cases - before
        driven.append((time.process_time() - began) / made)
        began = time.process_time()
        for number in range(made):
            with sim.world(policy=RandomWalk(random.Random(number))):
                deliveries_15()
        alone.append((time.process_time() - began) / made)
    adds = 1e3 * (statistics.median(driven) - statistics.median(alone))
    print(f"Hypothesis adds to a test case:               {adds:8.2f} ms ({cases} cases; asked: at most 1)")


@dataclass
class Hunt:
    """What came of looking for one bug, again and again."""

    animal: Animal
    trials: int
    #: After how many schedules it was found, and how many replays it took to shrink it.
    after: list[int] = field(default_factory=list)
    replays: list[int] = field(default_factory=list)
    minimal: int = 0

    @property
    def p95(self) -> int:
        """So many schedules were enough in 95 of 100 trials; those that found nothing count as if they never ended."""
        every = sorted(self.after) + [RUNS] * (self.trials - len(self.after))
        return every[math.ceil(0.95 * self.trials) - 1]

    @property
    def bound(self) -> int:
        """How many are allowed: the depth of a bug is one more than its least deviations, in the literature."""
        return SHALLOW if self.animal.deviations < DEEP else DEEPEST

    def row(self) -> str:
        """Return it as a row of the table."""
        found, late = len(self.after), "" if self.p95 <= self.bound else f"  > {self.bound}"
        missed = "" if found == self.trials else "  MISSED"
        median, most = statistics.median(self.after or [0]), max(self.after or [0])
        least = f"{self.minimal:6}/{found}"
        return (
            f"{self.animal!s:28} {found:4}/{self.trials:<4} {median:7.0f} {self.p95:6} {most:6}   "
            f"{statistics.median(self.replays or [0]):7.0f} {least:>10}{missed}{late}"
        )


def hunt(animal: Animal, trials: int) -> Hunt:
    """Look for a bug ``trials`` times, as ``explore`` does by default, and shrink what is found."""
    hunted = Hunt(animal, trials)
    for trial in range(trials):
        result = sim.explore(animal.buggy, *animal.args, runs=RUNS, seed=trial, faults=animal.faults)
        if result.failures:
            failure = result.failures[0]
            hunted.after.append(failure.found_after)
            hunted.replays.append(failure.replays)
            hunted.minimal += len(failure.schedule.deviations) <= animal.deviations
    return hunted


def verdict(hunts: list[Hunt]) -> None:
    """Print what all hunts come to, beside what was asked."""
    trials, found = sum(each.trials for each in hunts), sum(len(each.after) for each in hunts)
    late = [str(each.animal) for each in hunts if each.p95 > each.bound]
    minimal = sum(each.minimal for each in hunts)
    replays = statistics.median([count for each in hunts for count in each.replays] or [0])
    print(f"\nfound:                          {found} of {trials}   (asked: all)")
    print(f"p95 within {SHALLOW} (deep: {DEEPEST}):    {len(hunts) - len(late)} of {len(hunts)}   (asked: all)")
    if late:
        print(f"    beyond: {', '.join(late)}")
    print(f"shrunk to the known minimum:    {100 * minimal / max(found, 1):.1f} %   (asked: at least 95 %)")
    print(f"median of replays for that:     {replays:.0f}   (asked: at most 100)")


def flaky(cases: int) -> None:
    """How often Hypothesis finds that a test case does not draw, or does not end, as it did before.

    Bugs are searched, found and shrunk, with other seeds again and again: whatever Hypothesis makes of a failure it
    runs once more in the end, and calls it flaky if that passes.
    """
    animals = [animal for animal in ZOO if not animal.slow]
    found, run, bugs = 0, [0], 0
    for number, animal in enumerate(animals, 1):
        for trial in range(cases):
            if run[0] >= cases * number // len(animals):
                break
            try:
                drawn(animal, trial, run)()
            except Flaky as error:
                found += 1
                print(f"{animal}, seed {trial}: {error}")
            except Exception:  # noqa: BLE001  # the bug that the program has
                bugs += 1
    print(f"flaky reports of Hypothesis:                  {found} in {run[0]} cases   (asked: 0 in 100,000)")
    print(f"    bugs that were found and shrunk meanwhile: {bugs}")


def drawn(animal: Animal, number: int, run: list[int]) -> Callable[[], None]:
    """Return a Hypothesis test of ``animal``; ``run[0]`` counts its cases."""

    @seed(number)
    @settings(
        max_examples=200, database=None, suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink],
    )  # fmt: skip
    @given(st.booleans())
    def case(flag: bool) -> None:
        del flag
        run[0] += 1
        with sim.world(faults=animal.faults):
            animal.buggy(*animal.args)

    return case


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
    print(f"replays that differ from their recording:     {mismatches} of {total}   (asked: 0)")


def main() -> None:
    """Print everything."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--cases", type=int, default=5000, help="test cases of Hypothesis; 100,000 take half an hour")
    parser.add_argument("--only", default="", help="hunt only animals with this in their names, and nothing else")
    parser.add_argument("--slow", action="store_true", help="hunt also those that take more than a second each time")
    asked = parser.parse_args()
    if not asked.only:
        speed()
        hypothesis_overhead()
        flaky(asked.cases)
        replays(asked.seeds)
    print(f"\n{'bug':28} {'found':>9} {'median':>7} {'p95':>6} {'max':>6}   {'replays':>7} {'minimal':>10}")
    hunts = []
    for animal in ZOO:
        if asked.only in str(animal) and (asked.slow or not animal.slow):
            hunts.append(hunt(animal, asked.trials))
            print(hunts[-1].row(), flush=True)
    verdict(hunts)


if __name__ == "__main__":
    main()
