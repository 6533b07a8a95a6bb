"""Workers, heads and drivers killed at random: what is lost, what runs twice, what stays behind?

    python benchmarks/chaos.py [--only storm,actors,drivers,…] [--seconds N] [--trials N] [--minutes N]
                               [--times N] [--calls N] [--seed N] [--json FILE] [--smoke]

* ``storm``: tasks of 5 ms on four workers, one of which is killed every half second; each task has an id, and a ledger
  outside of the grid says which of them ran, and how often. First the same without kills.
* ``actors``: the same with actors that restart and whose calls are repeated (at least once).
* ``drivers``: eight programs on a persistent grid that call one actor, while everybody's other workers are killed.
* ``checkpoints``: actors that count, with checkpoints, under the same kills: is every number seen once, in order? And
  what a checkpoint costs.
* ``notice``: how long until the death of a worker is an error, or its call begins anew.
* ``ends``: ``kill -9`` of the head, of the driver, of the driver's whole process group: how long until nothing is left.
* ``interrupts``: Ctrl-C at random moments: how long until the prompt is back.
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
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import chaos_churn  # noqa: E402  # found beside this file
import chaos_drivers  # noqa: E402  # the same
import chaos_ends  # noqa: E402  # the same
import chaos_interrupts  # noqa: E402  # the same
import chaos_notice  # noqa: E402  # the same
import chaos_verdict  # noqa: E402  # the same
import psutil  # noqa: E402
from chaos_killer import Killer  # noqa: E402  # the same

import actorgrid as ag  # noqa: E402
from actorgrid.testing import wait_until  # noqa: E402
from actorgrid.testing.processes import RealGrid  # noqa: E402

WORKERS = 4
EVERY = 0.5
WORK = 0.005
#: Calls that are under way at a time.
WINDOW = 200
#: A call that takes longer hangs (seconds).
LIMIT = 60.0


class Ledger:
    """A file to which every execution adds its number: what is in it has happened, whoever died afterwards."""

    def __init__(self, path: str) -> None:
        self.path = path

    def add(self, number: int) -> None:
        fd = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(fd, b"%d\n" % number)  # one write in append mode is never torn
        os.close(fd)

    def counts(self) -> Counter[int]:
        return Counter(int(line) for line in Path(self.path).read_text(encoding="ascii").split())


@ag.remote(max_retries=-1)
def work(ledger: Ledger, number: int) -> int:
    time.sleep(WORK)
    ledger.add(number)
    return number


@ag.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)
class Worker:
    def work(self, ledger: Ledger, number: int) -> int:
        time.sleep(WORK)
        ledger.add(number)
        return number


@ag.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)
class Tally:
    def __init__(self) -> None:
        self.count = 0

    def __actorgrid_save__(self) -> int:
        return self.count

    def __actorgrid_restore__(self, state: int) -> None:
        self.count = state

    def add(self) -> int:
        self.count += 1
        return self.count

    def work(self) -> int:
        time.sleep(WORK)
        return self.add()


def run_for(seconds: float, submit: Any) -> dict[str, Any]:
    """Keep ``WINDOW`` calls under way for so long, then wait for the last; count what came back."""
    pending: dict[Any, int] = {}
    delivered: Counter[int] = Counter()
    wrong = hangs = number = 0
    began = time.monotonic()
    while pending or time.monotonic() - began < seconds:
        while len(pending) < WINDOW and time.monotonic() - began < seconds:
            pending[submit(number)] = number
            number += 1
        ready, _ = ag.wait(list(pending), num_returns=min(20, len(pending)), timeout=LIMIT)
        if not ready:
            hangs = len(pending)
            break
        for ref in ready:
            meant = pending.pop(ref)
            try:
                delivered[ag.get(ref)] += 1
                wrong += ag.get(ref) != meant
            except ag.exceptions.ActorGridError:
                pass  # lost: it is not among the delivered
    took = time.monotonic() - began
    lost = number - len(delivered) - hangs
    twice = sum(count > 1 for count in delivered.values())
    return {
        "calls": number,
        "lost": lost,
        "delivered twice": twice + wrong,
        "hangs": hangs,
        "per second": number / took,
    }


def storm(seconds: float, seed: int, *, actors: bool) -> dict[str, Any]:
    """A calm run, then the same under kills."""
    rows: dict[str, Any] = {}
    for name, every in (("calm", 0.0), ("storm", EVERY)):
        with tempfile.TemporaryDirectory() as folder, ag.init(num_cpus=WORKERS, log_to_driver=False):
            ledger = Ledger(f"{folder}/ledger")
            handles: list[Any] = [Worker.remote() for _ in range(WORKERS)] if actors else []

            def submit(number: int, ledger: Ledger = ledger, handles: list[Any] = handles) -> Any:
                return (handles[number % WORKERS].work if handles else work).remote(ledger, number)

            ag.get([submit(-1 - number) for number in range(WORKERS)])
            if every:
                with Killer(every, seed, RealGrid().launcher.pid) as killer:
                    row = run_for(seconds, submit)
                row["kills"] = killer.kills
            else:
                row = run_for(seconds, submit)
            ran = {number: count for number, count in ledger.counts().items() if number >= 0}
            row["never ran"] = row["calls"] - len(ran)
            row["ran again"] = sum(ran.values()) - len(ran)
            grid, wanted = RealGrid(), 2 * WORKERS if actors else WORKERS
            wait_until(lambda grid=grid, wanted=wanted: len(grid.workers) == wanted, 10)
            row["workers afterwards"] = f"{len(grid.workers)} of {wanted}"
            rows[name] = row
    rows["storm"]["of calm"] = rows["storm"]["per second"] / rows["calm"]["per second"]
    return rows


def checkpoints(seconds: float, seed: int) -> dict[str, Any]:
    """Counters under kills, by how often their state is saved; and calls per second without any."""
    rows: dict[str, Any] = {}
    for every in (1, 10, 100):
        with ag.init(num_cpus=WORKERS, log_to_driver=False):
            counters = [Tally.options(checkpoint=every).remote() for _ in range(WORKERS)]
            seen: list[list[int]] = [[] for _ in counters]
            began = time.monotonic()
            with Killer(EVERY, seed, RealGrid().launcher.pid) as killer:
                while time.monotonic() - began < seconds:
                    refs = [[counter.work.remote() for _ in range(WINDOW // WORKERS)] for counter in counters]
                    for numbers, those in zip(seen, refs, strict=True):
                        numbers.extend(ag.get(those, timeout=LIMIT))
            wrong = sum(numbers != list(range(1, len(numbers) + 1)) for numbers in seen)
            calls = sum(len(numbers) for numbers in seen)
            took = time.monotonic() - began
            rows[f"every {every}"] = {
                "calls": calls, "kills": killer.kills, "wrong counters": wrong, "per second": calls / took,
                "us a call, no kills": call_time(Tally.options(checkpoint=every).remote()),
            }  # fmt: skip
    with ag.init(num_cpus=WORKERS, log_to_driver=False):
        rows["never"] = {"us a call, no kills": call_time(Tally.remote())}
    return rows


def call_time(counter: Any, calls: int = 2000, rounds: int = 5) -> float:
    """Return the median of microseconds that a call takes, many at a time."""
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        ag.get([counter.add.remote() for _ in range(calls)])
        times.append((time.perf_counter() - began) / calls * 1e6)
    return sorted(times)[rounds // 2]


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


PARTS = ("storm", "actors", "drivers", "checkpoints", "notice", "ends", "interrupts", "churn", "soak")


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
    seconds, trials, minutes = (2.0, 1, 0.05) if asked.smoke else (asked.seconds, asked.trials, asked.minutes)
    times, calls = (5, 200) if asked.smoke else (asked.times, asked.calls)
    number, every = (3, 0.1) if asked.smoke else (chaos_drivers.DRIVERS, EVERY)
    only, results = asked.only.split(","), dict[str, Any]()
    parts: dict[str, Callable[[], dict[str, Any]]] = {
        "storm": lambda: storm(seconds, asked.seed, actors=False),
        "actors": lambda: storm(seconds, asked.seed, actors=True),
        "drivers": lambda: chaos_drivers.drivers(number, calls, asked.seed, every=every),
        "checkpoints": lambda: checkpoints(seconds, asked.seed),
        "notice": lambda: chaos_notice.notice(2 * trials),
        "ends": lambda: chaos_ends.ends(trials),
        "interrupts": lambda: chaos_interrupts.interrupts(trials, asked.seed),
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
