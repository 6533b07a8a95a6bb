"""How costs grow: queued tasks from 10 thousand to a million, workers from 1 to 64, actors from 1 to 1000; and idling.

    python benchmarks/growth.py [--smoke]

Nothing here is compared with peers: the question is whether the curves are straight.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import measure  # found beside this file

import actorgrid as ag  # a checkout, or installed


@ag.remote
def noop() -> None:
    """Nothing."""


@ag.remote(num_cpus=2)
def wait_for(path: str) -> None:
    """Hold every CPU until a file exists."""
    while not Path(path).exists():
        time.sleep(0.01)


class Cell:
    """An actor."""

    def ping(self) -> int:
        """Return its process id."""
        return os.getpid()


def head() -> int:
    """Return the head's process id."""
    return measure.titles(measure.everything_started())["actorgrid: head"][0]


def queued(count: int, folder: Path) -> None:
    """Queue ``count`` tasks behind one that holds every CPU, then let them run."""
    with ag.init(num_cpus=2):
        ag.get(noop.remote())
        gate = folder / f"gate-{count}"
        gated = wait_for.remote(str(gate))
        before = measure.rss(os.getpid()), measure.rss(head())
        began = time.perf_counter()
        refs = [noop.remote() for _ in range(count)]
        ag.available_resources()  # answered once everything before it has arrived
        submitted = time.perf_counter() - began
        after = measure.rss(os.getpid()), measure.rss(head())
        gate.touch()
        ag.get(gated)
        began = time.perf_counter()
        ag.get(refs)
        drained = time.perf_counter() - began
        print(
            f"| {count:,} | {submitted / count * 1e6:.2f} | {drained / count * 1e6:.2f} "
            f"| {(after[1] - before[1]) / count:.0f} | {(after[0] - before[0]) / count:.0f} |"
        )


def workers(count: int, tasks: int) -> None:
    """Run no-op tasks on ``count`` workers."""
    with ag.init(num_cpus=count):
        ag.get([noop.remote() for _ in range(tasks)])
        memory = measure.pss(measure.everything_started())
        began = time.perf_counter()
        ag.get([noop.remote() for _ in range(tasks)])
        print(f"| {count} | {tasks / (time.perf_counter() - began):,.0f} | {memory:.0f} |")


def actors(count: int) -> None:
    """Create ``count`` actors and call each."""
    remote: Any = ag.remote(num_cpus=0)(Cell)
    with ag.init(num_cpus=2, max_workers=count + 8):
        began = time.perf_counter()
        cells = [remote.remote() for _ in range(count)]
        assert len(set(ag.get([cell.ping.remote() for cell in cells]))) == count
        created = time.perf_counter() - began
        began = time.perf_counter()
        ag.get([cell.ping.remote() for cell in cells])
        called = time.perf_counter() - began
        memory = measure.pss(measure.everything_started())
        print(f"| {count} | {count / created:,.0f} | {count / called:,.0f} | {memory / count:.1f} |")


def idle(seconds: float) -> None:
    """Do nothing, and see what that costs."""
    with ag.init(num_cpus=2):
        ag.get([noop.remote() for _ in range(100)])
        time.sleep(2)  # surplus workers leave a second after the last task
        pids = [os.getpid(), *measure.everything_started()]
        before = sum(measure.cpu_seconds(pid) for pid in pids), sum(measure.wakeups(pid) for pid in pids)
        time.sleep(seconds)
        after = sum(measure.cpu_seconds(pid) for pid in pids), sum(measure.wakeups(pid) for pid in pids)
        print(f"{(after[0] - before[0]) * 1e3:.2f} ms of CPU and {after[1] - before[1]} wake-ups in {seconds:g} s")


def main() -> int:
    """Print the curves."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="small sizes")
    smoke = parser.parse_args().smoke
    import tempfile

    print("| queued tasks | submit, us each | drain, us each | head, bytes each | driver, bytes each |")
    print("|--:|--:|--:|--:|--:|")
    with tempfile.TemporaryDirectory() as folder:
        for count in (1000, 10_000) if smoke else (10_000, 100_000, 1_000_000):
            queued(count, Path(folder))
    print("\n| workers | no-op tasks /s | memory of all, MB |\n|--:|--:|--:|")
    for count in (1, 4) if smoke else (1, 2, 4, 16, 64):
        workers(count, 2000 if smoke else 20_000)
    print("\n| actors | created /s | calls /s, one each | MB each |\n|--:|--:|--:|--:|")
    for count in (1, 10) if smoke else (1, 10, 100, 1000):
        actors(count)
    print("\nAn idle grid uses ", end="")
    idle(1 if smoke else 10)
    return 0


if __name__ == "__main__":
    sys.exit(main())
