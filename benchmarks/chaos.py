"""Workers, heads and drivers killed at random: what is lost, what runs twice, what stays behind?

    python benchmarks/chaos.py [--only storm,actors,drivers,…] [--seconds N] [--trials N] [--minutes N]
                               [--times N] [--calls N] [--seed N] [--json FILE] [--smoke]

* ``storm``: tasks of 5 ms on four workers, one of which is killed every half second; each task has an id, and a ledger
  outside of the grid says which of them ran, and how often. First the same without kills.
* ``actors``: the same with actors that restart and whose calls are repeated (at least once).
* ``streams``: the same with generators, which yield again what they have yielded: is every item seen once, in order?
* ``drivers``: eight programs on a persistent grid that call one actor, while everybody's other workers are killed.
* ``checkpoints``: the same as ``actors`` with some that count, with checkpoints: does each call get its number? And
  what a checkpoint costs.
* ``notice``: how long until the death of a worker is an error, or its call begins anew.
* ``ends``: ``kill -9`` of the head, of the driver, of the driver's whole process group: how long until nothing is left,
  no byte of shared memory either, and until every wait in a driver whose head has died has raised HeadDiedError.
* ``interrupts``: Ctrl-C at random moments of a program that starts grids, uses and ends them: how long until the prompt
  is back.
* ``cancel``: tasks that compute, sleep or are stuck in C, cancelled softly and with force: how long until their ``get``
  raises, and the next task has run.
* ``shutdown``: how long it takes, whatever the workers do.
* ``churn``: grids that start and end, workers that serve one task each: what stays of each of them.
* ``soak``: a mixed load under kills; the slopes of memory, descriptors and stored bytes.

The exit status is 0 if every promise was kept (``chaos_verdict.py`` says which); a smoke run does not look at speeds.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import chaos_cancel  # noqa: E402  # found beside this file
import chaos_churn  # noqa: E402  # the same
import chaos_drivers  # noqa: E402  # the same
import chaos_ends  # noqa: E402  # the same
import chaos_interrupts  # noqa: E402  # the same
import chaos_notice  # noqa: E402  # the same
import chaos_shutdown  # noqa: E402  # the same
import chaos_storm  # noqa: E402  # the same
import chaos_verdict  # noqa: E402  # the same
import psutil  # noqa: E402
from chaos_killer import Killer  # noqa: E402  # the same
from chaos_storm import EVERY, LIMIT, WORKERS  # noqa: E402  # the same
from chaos_work import Ledger, Worker, work  # noqa: E402  # the same

import actorgrid as ag  # noqa: E402
from actorgrid.testing.processes import RealGrid  # noqa: E402


def slope(samples: list[tuple[float, float]]) -> float:
    """Return the slope of a straight line through the samples, by least squares."""
    count = len(samples)
    mean_x, mean_y = sum(x for x, _ in samples) / count, sum(y for _, y in samples) / count
    spread = sum((x - mean_x) ** 2 for x, _ in samples)
    return sum((x - mean_x) * (y - mean_y) for x, y in samples) / spread if spread else 0.0


def soak(minutes: float, seed: int) -> dict[str, Any]:
    """Tasks, actors, large values and deaths; slopes per minute, the first fifth of the time left out."""
    samples: dict[str, list[tuple[float, float]]] = {}
    payload = bytes(300_000)
    with tempfile.TemporaryDirectory() as folder, ag.init(num_cpus=WORKERS, log_to_driver=False):
        ledger = Ledger(f"{folder}/ledger")
        processes = {"driver": psutil.Process(), "head": psutil.Process(RealGrid().head.pid)}
        total = ag.cluster_resources()["object_store_memory"]
        began = last = time.monotonic()
        tasks = 0
        with Killer(2.0, seed, RealGrid().launcher.pid) as killer:
            while (now := time.monotonic()) - began < minutes * 60:
                actor = Worker.remote()
                stored = ag.put(payload)
                ag.get([*(work.remote(ledger, tasks) for _ in range(100)), actor.work.remote(ledger, 0)], timeout=LIMIT)
                assert len(ag.get(stored)) == len(payload)
                del actor, stored
                tasks += 101
                if now - last > min(1.0, minutes * 3):
                    last, minute = now, (now - began) / 60
                    for name, process in processes.items():
                        samples.setdefault(f"{name} memory, kB", []).append((minute, process.memory_info().rss / 1024))
                        samples.setdefault(f"{name} descriptors", []).append((minute, process.num_fds()))
                        samples.setdefault(f"{name} threads", []).append((minute, process.num_threads()))
                    used = total - ag.available_resources()["object_store_memory"]
                    samples.setdefault("object store, kB", []).append((minute, used / 1024))
    found: dict[str, Any] = {"tasks": tasks, "kills": killer.kills}
    for name, points in samples.items():
        late = [point for point in points if point[0] > minutes / 5]
        found[name] = {"first": late[0][1], "last": late[-1][1], "per minute": slope(late)} if late else None
    return found


def table(rows: dict[str, dict[str, Any]]) -> str:
    """Return rows as Markdown."""
    columns = list(dict.fromkeys(column for row in rows.values() for column in row))
    lines = ["| | " + " | ".join(columns) + " |", "|---|" + "--:|" * len(columns)]
    lines += [
        f"| {name} | " + " | ".join(shown(row.get(column)) for column in columns) + " |" for name, row in rows.items()
    ]
    return "\n".join(lines)


def shown(value: Any) -> str:
    """Return a figure as it stands in a table."""
    if value is None:
        return "–"
    return (
        f"{value:,.3g}"
        if isinstance(value, float) and abs(value) < 100
        else f"{value:,.0f}"
        if isinstance(value, float)
        else str(value)
    )


PARTS = (
    "storm",
    "actors",
    "streams",
    "drivers",
    "checkpoints",
    "notice",
    "ends",
    "interrupts",
    "cancel",
    "shutdown",
    "churn",
    "soak",
)


def main() -> int:
    """Run, print, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", default=",".join(PARTS), help="comma-separated parts")
    parser.add_argument("--seconds", type=float, default=120.0, help="length of a storm, and of the calm before it")
    parser.add_argument("--trials", type=int, default=100, help="kills and interrupts of each kind")
    parser.add_argument("--times", type=int, default=1000, help="grids, and workers, that come and go")
    parser.add_argument("--calls", type=int, default=10_000, help="of each of the programs that share an actor")
    parser.add_argument("--minutes", type=float, default=30.0, help="length of the soak")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write every figure there")
    parser.add_argument("--smoke", action="store_true", help="a few seconds: does it run, is it clean?")
    asked = parser.parse_args()
    seconds, trials, minutes = (0.7, 1, 0.03) if asked.smoke else (asked.seconds, asked.trials, asked.minutes)
    times, calls = (5, 200) if asked.smoke else (asked.times, asked.calls)
    number, every = (3, 0.1) if asked.smoke else (chaos_drivers.DRIVERS, EVERY)
    only, results = asked.only.split(","), dict[str, Any]()
    parts: dict[str, Callable[[], dict[str, Any]]] = {
        "storm": lambda: chaos_storm.storm(seconds, asked.seed, actors=False),
        "actors": lambda: chaos_storm.storm(seconds, asked.seed, actors=True),
        "streams": lambda: chaos_storm.streams(seconds, asked.seed),
        "drivers": lambda: chaos_drivers.drivers(number, calls, asked.seed, every=every),
        "checkpoints": lambda: chaos_storm.checkpoints(seconds, asked.seed),
        "notice": lambda: chaos_notice.notice(2 * trials),
        "ends": lambda: chaos_ends.ends(trials),
        "interrupts": lambda: chaos_interrupts.interrupts(trials, asked.seed),
        "cancel": lambda: chaos_cancel.cancel(trials),
        "shutdown": lambda: chaos_shutdown.shutdown(trials),
        "churn": lambda: chaos_churn.churn(times),
        "soak": lambda: soak(minutes, asked.seed),
    }
    print(
        f"CPython {platform.python_version()}, {os.cpu_count()} CPUs, {seconds:g} s, {trials} trials, {minutes:g} min"
    )
    for name in only:
        results[name] = rows = parts[name]()
        figures = {row: found for row, found in rows.items() if isinstance(found, dict)}
        told = ", ".join(f"{found} {what}" for what, found in rows.items() if isinstance(found, int))
        print(f"\n{name} {told}\n\n{table(figures)}", flush=True)
    if asked.json:
        asked.json.write_text(json.dumps(results, indent=1))
    complaints = chaos_verdict.broken(results, timed=not asked.smoke)
    print("\n" + "\n".join(f"BROKEN: {what}" for what in complaints) if complaints else "\nevery promise was kept")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
