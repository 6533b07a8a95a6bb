"""The workloads: each takes a running system and a scale, and returns rows (name -> value).

A row's unit and direction are in ``ROWS``. A system that cannot do a workload leaves its rows out. Every workload warms
up before it measures. ``scale`` is 1 for a real run and smaller for a smoke run.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import tasks
from systems import System

Rows = dict[str, float]

#: Row -> (unit, "higher" or "lower" is better).
ROWS: dict[str, tuple[str, str]] = {
    "start-up to first result": ("ms", "lower"),
    "shutdown": ("ms", "lower"),
    "idle memory, 2 workers": ("MB", "lower"),
    "sync task": ("us", "lower"),
    "sync actor call": ("us", "lower"),
    "sync pipeline, 2 actors": ("us", "lower"),
    "sync compiled pipeline, 2 actors": ("us", "lower"),
    "compiled against ordinary, 1 actor": ("x", "higher"),
    "compiled against ordinary, 2 actors": ("x", "higher"),
    "async tasks": ("/s", "higher"),
    "async actor calls": ("/s", "higher"),
    "2 callers x 2 actors": ("/s", "higher"),
    "nested submission": ("/s", "higher"),
    "chain": ("/s", "higher"),
    "fan-in": ("/s", "higher"),
    "tree": ("/s", "higher"),
    "wait loop": ("/s", "higher"),
    "stream": ("/s", "higher"),
    "actor creation": ("/s", "higher"),
    "put small": ("/s", "higher"),
    "get small": ("/s", "higher"),
    "numpy copy 100 MB, warm": ("GB/s", "higher"),
    "put 100 MB": ("GB/s", "higher"),
    "get 100 MB": ("us", "lower"),
    "pass 100 MB to a task": ("ms", "lower"),
    "return 100 MB from a task": ("ms", "lower"),
    "8 x Monte Carlo": ("x serial", "higher"),
}


def seconds(work: Callable[[], object]) -> float:
    """Return how long ``work`` takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def median_of(repeats: int, work: Callable[[], object]) -> float:
    """Return the median time of some runs, after one that is not counted."""
    work()
    times = sorted(seconds(work) for _ in range(repeats))
    return times[len(times) // 2]


def sync_task(system: System, scale: float) -> Rows:
    """One task at a time."""
    count = max(int(500 * scale), 20)

    def loop() -> None:
        for _ in range(count):
            system.call_sync(tasks.noop)

    return {"sync task": median_of(3, loop) / count * 1e6}


def async_tasks(system: System, scale: float) -> Rows:
    """10,000 tasks at once."""
    count = max(int(10_000 * scale), 50)
    took = median_of(3, lambda: system.results([system.submit(tasks.noop) for _ in range(count)]))
    return {"async tasks": count / took}


def actor_calls(system: System, scale: float) -> Rows:
    """One call at a time, then 10,000 at once, then callers that are actors themselves."""
    if not system.has_actors:
        return {}
    actors = [system.actor(), system.actor()]
    one = actors[0]
    count, burst = max(int(500 * scale), 20), max(int(10_000 * scale), 50)

    def loop() -> None:
        for _ in range(count):
            system.result(system.increment(one))

    rows = {"sync actor call": median_of(3, loop) / count * 1e6}
    took = median_of(3, lambda: system.results([system.increment(one) for _ in range(burst)]))
    rows["async actor calls"] = burst / took
    if system.callers(actors, 10):
        rows["2 callers x 2 actors"] = 2 * burst / median_of(3, lambda: system.callers(actors, burst))
    system.drop_actors(actors)
    return rows


def pipelines(system: System, scale: float) -> Rows:
    """One value at a time through one and two actors: by ordinary calls, compiled, and by ordinary calls again."""
    if not system.has_actors:
        return {}
    rows: Rows = {}
    count = max(int(500 * scale), 20)
    for length in (1, 2):
        actors = [system.actor() for _ in range(length)]
        took: list[float] = []
        for compiled in (False, True, False):
            made = system.pipeline(actors, compiled=compiled)
            if made is None:
                return {}
            send, end = made
            took.append(median_of(3, lambda send=send: [send() for _ in range(count)]) / count * 1e6)
            end()
        system.drop_actors(actors)
        ordinary = (took[0] + took[2]) / 2
        rows[f"compiled against ordinary, {length} actor{'s' * (length > 1)}"] = ordinary / took[1]
    rows["sync pipeline, 2 actors"], rows["sync compiled pipeline, 2 actors"] = ordinary, took[1]
    return rows


def actor_creation(system: System, scale: float) -> Rows:
    """50 actors, each called once."""
    if not system.has_actors:
        return {}
    count = max(int(50 * scale), 3)

    def create() -> None:
        actors = [system.actor() for _ in range(count)]
        system.results([system.increment(actor) for actor in actors])
        system.drop_actors(actors)

    return {"actor creation": count / median_of(1, create)}


def graphs(system: System, scale: float) -> Rows:
    """Tasks that depend on each other."""
    if not system.has_dependencies:
        return {}
    length, width, leaves = (max(int(n * scale), 16) for n in (1000, 2000, 1024))
    rows: Rows = {}

    def chain() -> None:
        future = system.submit(tasks.increment, 0)
        for _ in range(length - 1):
            future = system.submit(tasks.increment, future)
        assert system.result(future) == length

    def fan_in() -> None:
        futures = [system.submit(tasks.increment, 0) for _ in range(width)]
        assert system.result(system.fan_in(futures)) == width

    def tree() -> None:
        level = [system.submit(tasks.increment, 0) for _ in range(leaves)]
        while len(level) > 1:
            odd = level[len(level) // 2 * 2 :]
            level = [system.submit(tasks.add, level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)] + odd
        assert system.result(level[0]) == leaves

    rows["chain"] = length / median_of(1, chain)
    rows["fan-in"] = width / median_of(1, fan_in)
    rows["tree"] = 2 * leaves / median_of(1, tree)
    if system.nested(1, 1):
        inner = max(int(1000 * scale), 10)
        rows["nested submission"] = 4 * inner / median_of(1, lambda: system.nested(4, inner))
    return rows


def wait_loop(system: System, scale: float) -> Rows:
    """1000 results, taken one by one as they come."""
    count = max(int(1000 * scale), 20)

    def loop() -> None:
        rest = [system.submit(tasks.noop) for _ in range(count)]
        while rest:
            rest = system.first_done(rest)

    try:
        return {"wait loop": count / median_of(1, loop)}
    except TypeError:
        return {}


def small_objects(system: System, scale: float) -> Rows:
    """Put and get integers."""
    count = max(int(1000 * scale), 20)
    try:
        stored = [system.put(i) for i in range(count)]
    except TypeError:
        return {}
    put = median_of(3, lambda: [system.put(i) for i in range(count)])
    get = median_of(3, lambda: [system.get(one) for one in stored])
    return {"put small": count / put, "get small": count / get}


def stream(system: System, scale: float) -> Rows:
    """A generator of 10,000 integers, each fetched by itself."""
    count = max(int(10_000 * scale), 50)
    if not system.stream(10):
        return {}
    return {"stream": count / median_of(3, lambda: system.stream(count))}


def large_objects(system: System, scale: float) -> Rows:
    """An array of 100 MB: put, get, pass, return; and numpy's own copy beside it."""
    import numpy as np

    count = max(int(100e6 / 8 * scale), 10_000)
    size = count * 8 / 1e9
    array, warm = np.ones(count), np.ones(count)

    def copy() -> None:
        warm[:] = array

    rows: Rows = {"numpy copy 100 MB, warm": size / median_of(5, copy)}
    rows["return 100 MB from a task"] = 1e3 * median_of(
        3, lambda: system.result(system.submit(tasks.make_array, count))
    )
    if not system.has_dependencies:
        rows["pass 100 MB to a task"] = 1e3 * median_of(3, lambda: system.result(system.submit(tasks.length, array)))
        return rows
    holder: list[Any] = [None]

    def put() -> None:
        holder[0] = None
        holder[0] = system.put(array)

    rows["put 100 MB"] = size / median_of(5, put)
    rows["get 100 MB"] = 1e6 * median_of(5, lambda: system.get(holder[0]))
    rows["pass 100 MB to a task"] = 1e3 * median_of(3, lambda: system.result(system.submit(tasks.length, holder[0])))
    return rows


def monte_carlo(system: System, scale: float) -> Rows:
    """CPU-bound work on both workers, against the same work in this process."""
    samples = max(int(400_000 * scale), 1000)
    serial = median_of(1, lambda: [tasks.monte_carlo(samples, seed) for seed in range(8)])
    took = median_of(1, lambda: system.results([system.submit(tasks.monte_carlo, samples, seed) for seed in range(8)]))
    return {"8 x Monte Carlo": serial / took}


#: Run in this order in one process per system; starting and stopping are measured around them.
WORKLOADS: dict[str, Callable[[System, float], Rows]] = {
    work.__name__: work
    for work in (
        sync_task, async_tasks, actor_calls, pipelines, actor_creation, graphs, wait_loop, stream, small_objects,
        large_objects, monte_carlo,
    )
}  # fmt: skip
