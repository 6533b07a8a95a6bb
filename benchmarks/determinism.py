"""Is a schedule the same run everywhere? Every Python, every hash seed, every program of the zoo.

    python benchmarks/determinism.py [--seeds N] [--start N] [--minutes N] [--jobs N] [--python EXECUTABLE ...]
                                     [--hash-seed N ...] [--pairs]

One process runs every program once for each of a hundred seeds, under a random walk: every fourth with each message a
choice, every fourth with everything held back that can be. It says the line of each schedule, the run's digest, and the
checksum of what processes passed to each other. Others, one for each Python and hash seed, replay these lines and say
which runs are others. In another Python checksums are not compared, and what depends on turns of event loops is left
out: asyncio takes turns of its own there. ``--pairs``: each block of seeds is recorded by one of the pythons and hash
seeds and replayed by one other, every two of them in turn: ten thousand seeds take some hours. ``--minutes``: no more
blocks are begun then. Every Python needs actorgrid's dependencies and Hypothesis installed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, Final, NamedTuple

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

#: Seeds that are recorded, and replayed, by one process.
BLOCK: Final = 100


class Configuration(NamedTuple):
    """What runs a block."""

    python: str
    hash_seed: str


# ---------------------------------------------------------------------------------------------------- in the children


def record(start: int, seeds: int) -> None:
    """Print one JSON line for each program: its number, and the line, digest and checksum of each of its runs."""
    from actorgrid.sim.faults import Level
    from actorgrid.sim.onlookers import Holds
    from actorgrid.sim.policies import RandomWalk
    from actorgrid.sim.runner import Program, quiet_collector
    from tests.zoo.catalogue import ZOO

    everything = Holds.ALL | Holds.TURNS | Holds.THREADS | Holds.CALLS
    ways: list[tuple[Level, Holds]] = [("calls", Holds.NOTHING)] * 2 + [("links", Holds.NOTHING), ("calls", everything)]
    with quiet_collector():
        for number, animal in enumerate(ZOO):
            runs: list[Any] = []
            for seed in range(start, start + seeds):
                level, holds = ways[seed % len(ways)]
                program = Program(animal.buggy, animal.args, faults=animal.faults, level=level, holds=holds)
                run = program.run(RandomWalk(random.Random(seed)), seed)
                runs.append((run.schedule.dumps(), str(run.digest), str(run.checksum)))
            print(json.dumps([number, runs]), flush=True)


def replay(*, same_python: bool) -> None:
    """Read what ``record`` printed; print of each program how many replays there were, and the lines that differ."""
    from actorgrid.sim.choices import Forced, Schedule
    from actorgrid.sim.faults import Faults
    from actorgrid.sim.onlookers import Holds
    from actorgrid.sim.runner import Program, quiet_collector
    from tests.zoo.catalogue import ZOO

    with quiet_collector():
        for text in sys.stdin:
            number, runs = json.loads(text)
            animal, count, differ = ZOO[number], 0, []
            for line, digest, checksum in runs:
                plan = Schedule.loads(line)
                level, holds = plan.settings.get("level", "calls"), Holds(plan.settings.get("holds", 0))
                if holds.turns and not same_python:
                    continue
                faults = Faults.of(plan.settings)
                program = Program(animal.buggy, animal.args, faults=faults, level=level, holds=holds)
                run = program.run(Forced(dict(plan.deviations)), plan.seed)
                count += 1
                if str(run.digest) != digest or (same_python and str(run.checksum) != checksum):
                    differ.append(line)
            print(json.dumps([str(animal), count, differ]), flush=True)


# ------------------------------------------------------------------------------------------------------ in the parent


def child(configuration: Configuration, *arguments: str, stdin: IO[Any] | None, stdout: IO[Any]) -> None:
    """Run this file elsewhere. Raises RuntimeError if that fails."""
    environment = os.environ | {"PYTHONHASHSEED": configuration.hash_seed}
    command = [configuration.python, __file__, *arguments]
    ended = subprocess.run(command, env=environment, stdin=stdin, stdout=stdout, check=False)
    if ended.returncode:
        raise RuntimeError(f"{configuration} ended with status {ended.returncode}")


def pair(block: int, many: int) -> tuple[int, int]:
    """Return which of so many configurations record a block of seeds and replay it: every two of them, in turn."""
    first = block % many
    return first, (first + 1 + block // many % max(many - 1, 1)) % many


class Comparison:
    """What came of all blocks."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.programs: set[str] = set()

    def compare(self, first: int, seeds: int, recorder: Configuration, others: list[Configuration]) -> None:
        """Have one configuration record a block of seeds, and others replay it."""
        with TemporaryFile("w+") as recorded:
            child(recorder, "--record", "--start", str(first), "--seeds", str(seeds), stdin=None, stdout=recorded)
            for other in others:
                recorded.seek(0)
                with TemporaryFile("w+") as said:
                    same = ["--same-python"] * (other.python == recorder.python)
                    child(other, "--replay", *same, stdin=recorded, stdout=said)
                    said.seek(0)
                    for text in said:
                        self._hear(json.loads(text), recorder, other)
        self.counts["seeds"] += seeds

    def _hear(self, said: list[Any], recorder: Configuration, other: Configuration) -> None:
        name, replays, differ = said
        self.programs.add(name)
        self.counts["replays"] += replays
        self.counts["differ"] += len(differ)
        for line in differ:
            print(f"{name}: {line} is another run, recorded by {recorder}, replayed by {other}", flush=True)


def main() -> int:
    """Run the children and compare them. Returns the exit status: 0 if everything was equal."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=BLOCK)
    parser.add_argument("--start", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=float("inf"))
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--python", action="append", default=[], help="an executable; several: give it again")
    parser.add_argument("--hash-seed", action="append", default=[], help="as PYTHONHASHSEED; several: give it again")
    parser.add_argument("--pairs", action="store_true", help="two of the pythons and hash seeds for each block")
    parser.add_argument("--record", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--replay", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--same-python", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.record:
        record(asked.start, asked.seeds)
        return 0
    if asked.replay:
        replay(same_python=asked.same_python)
        return 0
    pythons = asked.python or [sys.executable]
    hash_seeds = asked.hash_seed or ["0", "1", "2"]
    every = [Configuration(python, hash_seed) for hash_seed in hash_seeds for python in pythons]
    comparison, began, end = Comparison(), time.monotonic(), asked.start + asked.seeds

    def block(first: int) -> None:
        if time.monotonic() - began > 60 * asked.minutes:
            return
        one, other = pair(first // BLOCK, len(every))
        recorder, others = (every[one], [every[other]]) if asked.pairs else (every[0], every)
        comparison.compare(first, min(BLOCK, end - first), recorder, others)

    with ThreadPoolExecutor(asked.jobs) as pool:
        list(pool.map(block, range(asked.start, end, BLOCK)))
    counts = comparison.counts
    programs, seeds = len(comparison.programs), counts["seeds"]
    print(f"{programs} programs, {seeds} seeds, {len(pythons)} Pythons, {len(hash_seeds)} hash seeds:")
    print(f"{counts['differ']} of {counts['replays']} replays differ from their recording")
    print(f"{time.monotonic() - began:.0f} s")
    return 1 if counts["differ"] else 0


if __name__ == "__main__":
    sys.exit(main())
