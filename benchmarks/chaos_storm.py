"""Calls on a pool whose workers are killed: is each done, and its result delivered once? See ``chaos.py``."""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

from chaos_killer import Killer
from chaos_work import ITEMS, Ledger, Tally, Worker, stream, work

import actorgrid as ag
from actorgrid.testing import wait_until
from actorgrid.testing.processes import RealGrid

WORKERS = 4
EVERY = 0.5
#: Calls that are under way at a time, and streams.
WINDOW = 200
STREAMS = 8
#: A call that takes longer hangs (seconds).
LIMIT = 60.0


def run_for(seconds: float, submit: Callable[[int], Any]) -> dict[str, Any]:
    """Keep ``WINDOW`` calls under way for so long, then wait for the last; count what came back.

    Each call returns its number. A reference is read once: *delivered twice* are results, by their numbers, that came
    under the reference of another call, too. Where more can go wrong, an item that comes again, is in ``streams``.
    """
    pending: dict[Any, int] = {}
    delivered: Counter[int] = Counter()
    wrong = lost = hangs = number = 0
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
                result = ag.get(ref)
            except ag.exceptions.ActorGridError:
                lost += 1
                continue
            delivered[result] += 1
            wrong += result != meant
    took = time.monotonic() - began
    return {
        "calls": number, "lost": lost, "delivered twice": _again(delivered), "wrong results": wrong, "hangs": hangs,
        "per second": number / took,
    }  # fmt: skip


def _again(counts: Counter[int]) -> int:
    return sum(count > 1 for count in counts.values())


def weather(every: float, seed: int, run: Callable[[], dict[str, Any]], wanted: int) -> dict[str, Any]:
    """Run, while a worker is killed ``every`` so many seconds if that is not 0; then there are ``wanted`` again."""
    if every:
        with Killer(every, seed, RealGrid().launcher.pid) as killer:
            row = run()
        row["kills"] = killer.kills
    else:
        row = run()
    grid = RealGrid()
    wait_until(lambda: len(grid.workers) == wanted, 10)
    row["workers afterwards"] = f"{len(grid.workers)} of {wanted}"
    return row


def compared(run: Callable[[float], dict[str, Any]], what: str = "") -> dict[str, Any]:
    """Return the rows of a calm run and of one in which a worker is killed every so many seconds."""
    calm, storm = run(0.0), run(EVERY)
    storm["of calm"] = storm["per second"] / calm["per second"]
    return {f"calm{what}": calm, f"storm{what}": storm}


def storm(seconds: float, seed: int, *, actors: bool) -> dict[str, Any]:
    """A calm run, then the same under kills."""
    return compared(lambda every: _calls(every, seconds, seed, actors=actors))


def _calls(every: float, seconds: float, seed: int, *, actors: bool) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder, ag.init(num_cpus=WORKERS, log_to_driver=False):
        ledger = Ledger(f"{folder}/ledger")
        handles: list[Any] = [Worker.remote() for _ in range(WORKERS)] if actors else []

        def submit(number: int) -> Any:
            return (handles[number % WORKERS].work if handles else work).remote(ledger, number)

        ag.get([submit(-1 - number) for number in range(WORKERS)])
        row = weather(every, seed, lambda: run_for(seconds, submit), len(handles) + WORKERS)
        ran = {number: count for number, count in ledger.counts().items() if number >= 0}
        return row | {"never ran": row["calls"] - len(ran), "ran again": sum(ran.values()) - len(ran)}


def checkpoints(seconds: float, seed: int) -> dict[str, Any]:
    """Counters, calm and under kills, by how often their state is saved; and what a call takes without any."""
    rows: dict[str, Any] = {}
    for saves in (1, 10, 100):
        rows |= compared(partial(_counters, saves, seconds, seed), f", checkpoint={saves}")
    with ag.init(num_cpus=WORKERS, log_to_driver=False):
        rows["no checkpoints"] = {"us a call": call_time(Tally.remote(0, 1))}
    return rows


def _counters(saves: int, seconds: float, seed: int, every: float) -> dict[str, Any]:
    with ag.init(num_cpus=WORKERS, log_to_driver=False):
        counters: list[Any] = [Tally.options(checkpoint=saves).remote(first, WORKERS) for first in range(WORKERS)]
        ag.get([counter.__ray_ready__.remote() for counter in counters])
        row = weather(
            every, seed, lambda: run_for(seconds, lambda number: counters[number % WORKERS].work.remote()), 2 * WORKERS
        )
        if not every:
            row["us a call"] = call_time(counters[0])
        return row


def call_time(counter: Any, calls: int = 2000, rounds: int = 5) -> float:
    """Return the median of microseconds that a call takes, many at a time."""
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        ag.get([counter.add.remote() for _ in range(calls)])
        times.append((time.perf_counter() - began) / calls * 1e6)
    return sorted(times)[rounds // 2]


def streams(seconds: float, seed: int) -> dict[str, Any]:
    """Streams of items, calm and under kills: one that begins anew yields everything again, and nobody may see it."""
    return compared(lambda every: _streams(every, seconds, seed))


def _streams(every: float, seconds: float, seed: int) -> dict[str, Any]:
    with ag.init(num_cpus=WORKERS, log_to_driver=False):
        ag.get([ag.remote(time.sleep).remote(0.01) for _ in range(WORKERS)])
        return weather(every, seed, lambda: read_for(seconds), WORKERS)


def read_for(seconds: float) -> dict[str, Any]:
    """Keep ``STREAMS`` streams under way for so long, read each to its end; count the items by their numbers."""
    open_streams: list[tuple[int, Any]] = []
    delivered: Counter[int] = Counter()
    lost = wrong = hangs = number = 0
    began = time.monotonic()
    while open_streams or time.monotonic() - began < seconds:
        while len(open_streams) < STREAMS and time.monotonic() - began < seconds:
            open_streams.append((number, stream.remote(number)))
            number += 1
        index, generator = open_streams.pop(0)
        try:
            items = [ag.get(ref, timeout=LIMIT) for ref in generator]
        except ag.exceptions.GetTimeoutError:
            hangs += 1
            continue
        except ag.exceptions.ActorGridError:
            lost += ITEMS
            continue
        delivered.update(items)
        meant = range(index * ITEMS, (index + 1) * ITEMS)
        lost += len(set(meant) - set(items))
        wrong += items != list(meant)
    took = time.monotonic() - began
    return {
        "items": number * ITEMS, "lost": lost, "delivered twice": _again(delivered), "streams out of order": wrong,
        "hangs": hangs, "per second": number * ITEMS / took,
    }  # fmt: skip
