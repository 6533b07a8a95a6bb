"""Where the time of a small task goes: CPU microseconds, system calls and wake-ups per task, in each process.

    python benchmarks/budget.py [--tasks N] [--json FILE]

CPU time is the scheduler's own count (``/proc/PID/task/*/schedstat``), wake-ups are voluntary context switches, and
system calls are counted by ``strace -c`` in a run of their own, if there is an ``strace``. Every commit that makes the
hot path dearer should show here. The budget of the design: driver 7, head 10, worker 7 microseconds per no-op task.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import measure  # noqa: E402  # found beside this file

import actorgrid as ag  # noqa: E402  # a checkout, or installed

PROCESSES = ("driver", "head", "worker")


@ag.remote
def noop() -> None:
    """Nothing."""


@ag.remote
class Actor:
    """Does nothing."""

    def noop(self) -> None:
        """Nothing."""


def groups() -> dict[str, list[int]]:
    """Return the processes by what they do."""
    found = measure.titles(measure.everything_started())
    return {
        "driver": [os.getpid()],
        "head": found.get("actorgrid: head", []),
        "worker": found.get("actorgrid: worker", []),
    }


def snapshot(read: Callable[[int], float]) -> dict[str, float]:
    """Return a figure summed per kind of process."""
    return {kind: sum(read(pid) for pid in pids) for kind, pids in groups().items()}


def system_calls(pids: list[int], work: Callable[[], object]) -> float:
    """Return how many system calls processes make during ``work``; counting slows them down."""
    with tempfile.NamedTemporaryFile(mode="r") as report:
        attach = [word for pid in pids for word in ("-p", str(pid))]
        command = ["strace", "-f", "-c", "-o", report.name, *attach]
        tracer = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert tracer.stderr is not None
        for _ in pids:
            tracer.stderr.readline()  # "Process N attached"
        work()
        tracer.send_signal(signal.SIGINT)
        tracer.wait()
        total = [line.split()[3] for line in report.read().splitlines() if line.endswith("total")]
    return float(total[-1]) if total else 0.0


def budget(count: int, work: Callable[[int], object], rounds: int, *, trace: bool) -> dict[str, dict[str, float]]:
    """Return, per kind of process, the medians of microseconds, wake-ups and system calls per task."""
    work(count)
    samples: list[tuple[dict[str, float], dict[str, float]]] = []
    for _ in range(rounds):
        cpu, woken = snapshot(measure.cpu_seconds), snapshot(measure.wakeups)
        work(count)
        time.sleep(0.05)  # let the counters of the last time slice arrive
        after, woken_after = snapshot(measure.cpu_seconds), snapshot(measure.wakeups)
        samples.append(
            (
                {kind: (after[kind] - cpu[kind]) / count * 1e6 for kind in PROCESSES},
                {kind: (woken_after[kind] - woken[kind]) / count for kind in PROCESSES},
            )
        )
    middle = rounds // 2
    result = {
        kind: {
            "cpu us": sorted(sample[0][kind] for sample in samples)[middle],
            "wake-ups": sorted(sample[1][kind] for sample in samples)[middle],
        }
        for kind in PROCESSES
    }
    if trace:
        few = max(count // 10, 100)
        for kind in PROCESSES:
            result[kind]["system calls"] = system_calls(groups()[kind], lambda: work(few)) / few
    return result


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tasks", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    trace = shutil.which("strace") is not None
    results: dict[str, dict[str, dict[str, float]]] = {}
    with ag.init(num_cpus=2):
        actor = Actor.remote()  # type: ignore[attr-defined]  # mypy does not see what a class decorator makes
        loads: dict[str, tuple[int, Callable[[int], object]]] = {
            "async tasks": (asked.tasks, lambda n: ag.get([noop.remote() for _ in range(n)])),
            "sync tasks": (asked.tasks // 10, lambda n: [ag.get(noop.remote()) for _ in range(n)]),
            "async actor calls": (asked.tasks, lambda n: ag.get([actor.noop.remote() for _ in range(n)])),
            "sync actor calls": (asked.tasks // 10, lambda n: [ag.get(actor.noop.remote()) for _ in range(n)]),
        }
        for name, (count, work) in loads.items():
            results[name] = budget(count, work, asked.rounds, trace=trace)
    print("| per call | " + " | ".join(f"{kind}: CPU us, wake-ups, system calls" for kind in PROCESSES) + " |")
    print("|---|" + "---|" * len(PROCESSES))
    for name, row in results.items():
        cells = []
        for kind in PROCESSES:
            calls = f"{row[kind]['system calls']:.2f}" if "system calls" in row[kind] else "–"
            cells.append(f"{row[kind]['cpu us']:.1f}, {row[kind]['wake-ups']:.2f}, {calls}")
        print(f"| {name} | " + " | ".join(cells) + " |")
    if asked.json:
        asked.json.write_text(json.dumps(results, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
