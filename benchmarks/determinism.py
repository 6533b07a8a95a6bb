"""Is a schedule the same run everywhere? Every Python, every hash seed, every program of the zoo.

    python benchmarks/determinism.py [--seeds N] [--start N] [--jobs N] [--python EXECUTABLE ...] [--hash-seed N ...]
                                     [--pairs]

Each child process takes one Python, one hash seed and a block of seeds. It runs every program once for each seed, under
a random walk, and again from the schedule that was recorded; both must have the same digest, and the same checksum of
what processes passed to each other (which is another one in another Python). The parent compares the digests of the
children. ``--pairs``: each block is run by two of the pythons and hash seeds only, every two of them in
turn: a day is enough for ten thousand seeds. Every Python needs actorgrid's dependencies and Hypothesis installed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

#: Seeds that are compared at a time.
BLOCK = 100


def child(start: int, seeds: int) -> None:
    """Print one JSON line for each program and block of seeds: its digest, and how many replays differed."""
    from actorgrid.sim.choices import Forced
    from actorgrid.sim.policies import RandomWalk
    from actorgrid.sim.runner import Program, quiet_collector
    from tests.zoo.catalogue import ZOO

    with quiet_collector():
        for animal in ZOO:
            program = Program(animal.buggy, animal.args, faults=animal.faults)
            block, different = hashlib.blake2b(digest_size=16), []
            for seed in range(start, start + seeds):
                one = program.run(RandomWalk(random.Random(seed)), seed)
                again = program.run(Forced(dict(one.schedule.deviations)), seed)
                block.update(str(one.digest).encode())
                if (one.digest, one.checksum) != (again.digest, again.checksum):
                    different.append(seed)
            print(json.dumps([str(animal), start, block.hexdigest(), different]), flush=True)


def pair(block: int, many: int) -> set[int]:
    """Return which two of so many configurations run a block of seeds: every two of them meet, in turn."""
    first = block % many
    return {first, (first + 1 + block // many % max(many - 1, 1)) % many}


def lines(python: str, hash_seed: str, start: int, seeds: int) -> Iterator[tuple[str, int, str, list[int]]]:
    """Yield what a child says."""
    command = [python, __file__, "--child", "--start", str(start), "--seeds", str(seeds)]
    environment = os.environ | {"PYTHONHASHSEED": hash_seed}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            name, first, digest, different = json.loads(line)
            yield name, first, digest, different
    if process.returncode:
        raise RuntimeError(f"{python} with hash seed {hash_seed} ended with status {process.returncode}")


def main() -> int:
    """Run the children and compare them. Returns the exit status: 0 if everything was equal."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=BLOCK)
    parser.add_argument("--start", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--python", action="append", default=[], help="an executable; several: give it again")
    parser.add_argument("--hash-seed", action="append", default=[], help="as PYTHONHASHSEED; several: give it again")
    parser.add_argument("--pairs", action="store_true", help="two of the pythons and hash seeds for each block")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        child(asked.start, asked.seeds)
        return 0
    pythons = asked.python or [sys.executable]
    hash_seeds = asked.hash_seed or ["0", "1", "2"]
    configurations = [(python, hash_seed) for hash_seed in hash_seeds for python in pythons]
    blocks = range(asked.start, asked.start + asked.seeds, BLOCK)
    work = [
        (first, configuration)
        for first in blocks
        for place, configuration in enumerate(configurations)
        if not asked.pairs or place in pair(first // BLOCK, len(configurations))
    ]
    known: dict[tuple[str, int], str] = {}
    counts = {"compared": 0, "unequal": 0, "replays": 0}

    def follow(start: int, configuration: tuple[str, str]) -> None:
        seeds = min(BLOCK, asked.start + asked.seeds - start)
        for name, first, digest, different in lines(*configuration, start, seeds):
            counts["compared"] += 1
            for seed in different:
                counts["replays"] += 1
                print(f"{name}, seed {seed}: the replay differs ({configuration})", flush=True)
            if known.setdefault((name, first), digest) != digest:
                counts["unequal"] += 1
                print(
                    f"{name}, seeds {first}...: other runs than elsewhere ({configuration})",
                    flush=True,
                )

    began = time.monotonic()
    with ThreadPoolExecutor(asked.jobs) as pool:
        list(pool.map(lambda part: follow(*part), work))
    programs = len({name for name, _ in known})
    print(f"{programs} programs x {asked.seeds} seeds x {len(pythons)} Pythons x {len(hash_seeds)} hash seeds:")
    print(f"{counts['replays']} replays differ from their recording")
    print(f"{counts['unequal']} of {counts['compared']} blocks of {BLOCK} seeds differ between Pythons or hash seeds")
    print(f"{time.monotonic() - began:.0f} s")
    return 1 if counts["replays"] or counts["unequal"] else 0


if __name__ == "__main__":
    sys.exit(main())
