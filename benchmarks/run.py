"""The same workloads on actorgrid and on whatever peers are installed, side by side.

    python benchmarks/run.py [--systems a,b] [--only w1,w2] [--rounds N] [--json FILE] [--smoke]

Each system runs in a process of its own; rounds are interleaved, so that a busy moment of the machine hits all; the
table shows medians over the rounds and, for each peer, how many times better actorgrid is (above 1: actorgrid is
better, whatever the row's direction). ``pip install 'actorgrid[bench]'`` brings the peers (Ray: the extra ``ray``).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import measure  # noqa: E402  # found beside this file
import systems  # noqa: E402
import tasks  # noqa: E402
import workloads  # noqa: E402

STDLIB = ["actorgrid", "Pool", "Executor"]


def child(name: str, only: list[str], scale: float) -> None:
    """Measure one system in this process; print one line of JSON."""
    began = time.perf_counter()
    system = systems.ALL[name]()
    system.start()
    system.call_sync(tasks.noop)
    rows = {"start-up to first result": (time.perf_counter() - began) * 1e3}
    system.results([system.submit(tasks.noop) for _ in range(20)])
    rows["idle memory, 2 workers"] = measure.pss(measure.everything_started())
    for work in only or workloads.WORKLOADS:
        rows.update(workloads.WORKLOADS[work](system, scale))
    rows["shutdown"] = workloads.seconds(system.stop) * 1e3
    print("rows:" + json.dumps(rows), flush=True)


def measure_system(name: str, only: list[str], scale: float) -> dict[str, float]:
    """Run one system in a fresh process. Raises RuntimeError if it fails."""
    command = [sys.executable, str(HERE / "run.py"), "--child", name, "--only", ",".join(only), "--scale", str(scale)]
    environment = {**os.environ, "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0", "OMP_NUM_THREADS": "1"}
    # Every worker must be able to import ``tasks``.
    environment["PYTHONPATH"] = os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False, env=environment)
    for line in done.stdout.splitlines():
        if line.startswith("rows:"):
            rows: dict[str, float] = json.loads(line[5:])
            return rows
    raise RuntimeError(f"{name} failed (exit status {done.returncode}):\n{done.stdout[-1000:]}\n{done.stderr[-3000:]}")


def shown(value: float) -> str:
    """Return a figure with three digits that matter."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def table(results: dict[str, dict[str, float]]) -> str:
    """Return the table as Markdown."""
    names = list(results)
    ours = results.get("actorgrid", {})
    lines = ["| | unit | " + " | ".join(names) + " |", "|---|---|" + "--:|" * len(names)]
    for row, (unit, better) in workloads.ROWS.items():
        cells: list[str] = []
        for name in names:
            value = results[name].get(row)
            if value is None:
                cells.append("–")
            elif name == "actorgrid" or row not in ours or not value:
                cells.append(shown(value))
            else:
                ratio = value / ours[row] if better == "lower" else ours[row] / value
                cells.append(f"{shown(value)} ({ratio:.2g}×)" if ratio < 100 else f"{shown(value)} ({ratio:,.0f}×)")
        if any(cell != "–" for cell in cells):
            lines.append(f"| {row} | {unit} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def medians(rounds: list[dict[str, float]]) -> dict[str, float]:
    """Return the median of every row."""
    return {row: statistics.median(one[row] for one in rounds if row in one) for row in rounds[0]}


def arguments() -> argparse.Namespace:
    """Return the command line's meaning."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--systems", help=f"comma-separated, of {', '.join(systems.ALL)}; default: all installed")
    parser.add_argument("--only", default="", help=f"comma-separated, of {', '.join(workloads.WORKLOADS)}")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0, help="size of the workloads")
    parser.add_argument("--json", type=Path, help="write every figure there")
    parser.add_argument("--smoke", action="store_true", help="tiny, once, without third-party peers: does it run?")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> int:
    """Run, print, write."""
    asked = arguments()
    only = [name for name in asked.only.split(",") if name]
    if asked.child:
        child(asked.child, only, asked.scale)
        return 0
    here = systems.installed()
    names = asked.systems.split(",") if asked.systems else [n for n in here if not asked.smoke or n in STDLIB]
    scale, rounds = (0.02, 1) if asked.smoke else (asked.scale, asked.rounds)
    collected: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for number in range(rounds):
        for name in names:
            print(f"round {number + 1} of {rounds}: {name}", file=sys.stderr, flush=True)
            collected[name].append(measure_system(name, only, scale))
    results = {name: medians(found) for name, found in collected.items()}
    version, cpus = platform.python_version(), os.cpu_count()
    where: dict[str, Any] = {"python": version, "cpus": cpus, "rounds": rounds, "scale": scale}
    print(f"CPython {version}, {cpus} CPUs, medians of {rounds}; in brackets: how many times better actorgrid is\n")
    print(table(results))
    if asked.json:
        asked.json.write_text(json.dumps({"where": where, "medians": results, "rounds": collected}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
