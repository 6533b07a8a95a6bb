"""The judge of ``benchmarks/chaos.py``: each promise, broken alone, is named, and a run that keeps all is fine."""

from __future__ import annotations

import copy
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
Judge = Callable[..., list[str]]

STORM = {"calls": 900, "lost": 0, "delivered twice": 0, "hangs": 0, "never ran": 0, "ran again": 0, "per second": 600.0}
KEPT: dict[str, Any] = {
    part: {
        "calm": {**STORM, "workers afterwards": "4 of 4"},
        "storm": {**STORM, "ran again": 3, "kills": 3, "workers afterwards": "4 of 4", "of calm": 0.97},
    }
    for part in ("storm", "actors")
} | {
    "drivers": {
        "one counter": {
            "drivers": 8,
            "calls": 80_000,
            "counted": 80_000,
            "lost": 0,
            "out of order": 0,
            "wrong tasks": 0,
            "hangs": 0,
            "kills": 40,
            "CPUs free afterwards": 4,
        }
    },
    "notice": {"the error is raised": {"p99, ms": 14.0, "p100, ms": 20.0, "left behind": 0}},
    "streams": {
        "calm": {"lost": 0, "delivered twice": 0, "hangs": 0, "workers afterwards": "4 of 4"},
        "storm": {"lost": 0, "streams out of order": 0, "kills": 3, "workers afterwards": "4 of 4", "of calm": 0.9},
    },
    "checkpoints": {
        "storm, checkpoint=10": {"lost": 0, "wrong results": 0, "hangs": 0, "kills": 3, "of calm": 0.97},
        "storm, checkpoint=100": {"lost": 0, "wrong results": 0, "hangs": 0, "kills": 3, "of calm": 0.7},
        "no checkpoints": {"us a call": 61.0},
    },
    "ends": {
        "head": {"left behind": 0, "bytes left": 0, "most bytes in the driver": 67_108_864, "p100, ms": 47.0},
        "head: get raises HeadDiedError": {"p100, ms": 31.0},
    },
    "interrupts": {"Ctrl-C": {"left behind": 0, "p100, ms": 101.0, "other than one traceback": 0}},
    "cancel": {
        "soft: time.sleep": {"p100, ms": 4.0, "next task: p100, ms": 5.0, "left behind": 0},
        "force: in C": {
            "trials": 9,
            "p100, ms": 14.0,
            "next task: p100, ms": 600.0,
            "in another process": 9,
            "left behind": 0,
        },
    },
    "shutdown": {"idle": {"p100, ms": 30.0, "left behind": 0, "bytes left": 0}},
    "churn": {"grids": 5, "head: descriptors": {"first": 20.0, "last": 21.0}},
    "soak": {
        "kills": 9,
        "driver memory, kB": {"first": 30_000.0, "last": 31_000.0, "per minute": 38.0},
        "head descriptors": {"first": 20, "last": 21, "per minute": 0.01},
        "driver threads": {"first": 2, "last": 2, "per minute": 0.0},
        "object store, kB": {"first": 0.0, "last": 0.0, "per minute": -3.0},
    },
}


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> Judge:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    judge: Judge = importlib.import_module("chaos_verdict").broken
    return judge


def but(path: tuple[str, ...], value: object) -> dict[str, Any]:
    """Return the figures of a good run with one of them changed."""
    results = copy.deepcopy(KEPT)
    row = results
    for name in path[:-1]:
        row = row[name]
    row[path[-1]] = value
    return results


def test_good_run_is_not_blamed(broken: Judge) -> None:
    assert broken(KEPT) == []


def test_parts_that_did_not_run_promise_nothing(broken: Judge) -> None:
    assert broken({}) == []


ALWAYS: list[tuple[tuple[str, ...], object, str]] = [
    (("storm", "storm", "lost"), 1, "storm: 1 lost in the storm"),
    (("actors", "storm", "delivered twice"), 2, "actors: 2 delivered twice in the storm"),
    (("storm", "calm", "hangs"), 200, "storm: 200 hangs in the calm"),
    (("storm", "storm", "never ran"), 1, "storm: 1 never ran in the storm"),
    (
        ("storm", "storm", "ran again"),
        4,
        "storm: 4 ran again in the storm, of 3 that can have been running then",
    ),
    (
        ("actors", "calm", "ran again"),
        1,
        "actors: 1 ran again in the calm, of 0 that can have been running then",
    ),
    (("actors", "storm", "workers afterwards"), "7 of 8", "actors: 7 workers are left of 8 after the storm"),
    (("storm", "storm", "workers afterwards"), "14 of 4", "storm: 14 workers are left of 4 after the storm"),
    (("storm", "storm", "wrong results"), 1, "storm: 1 wrong results in the storm"),
    (("streams", "storm", "delivered twice"), 1, "streams: 1 delivered twice in the storm"),
    (("streams", "storm", "streams out of order"), 1, "streams: 1 streams out of order in the storm"),
    (("streams", "calm", "lost"), 20, "streams: 20 lost in the calm"),
    (
        ("checkpoints", "storm, checkpoint=10", "wrong results"),
        1,
        "checkpoints: 1 wrong results in the storm, checkpoint=10",
    ),
    (("checkpoints", "storm, checkpoint=100", "lost"), 2, "checkpoints: 2 lost in the storm, checkpoint=100"),
    (("checkpoints", "storm, checkpoint=10", "hangs"), 3, "checkpoints: 3 hangs in the storm, checkpoint=10"),
    (
        ("checkpoints", "storm, checkpoint=10", "workers afterwards"),
        "7 of 8",
        "checkpoints: 7 workers are left of 8 after the storm, checkpoint=10",
    ),
    (("drivers", "one counter", "lost"), 3, "drivers, one counter: 3 lost"),
    (("drivers", "one counter", "out of order"), 1, "drivers, one counter: 1 out of order"),
    (("drivers", "one counter", "wrong tasks"), 1, "drivers, one counter: 1 wrong tasks"),
    (("drivers", "one counter", "hangs"), 1, "drivers, one counter: 1 hangs"),
    (("drivers", "one counter", "counted"), 80_001, "drivers, one counter: 80001 counted of 80000 calls"),
    (("drivers", "one counter", "CPUs free afterwards"), 0, "drivers, one counter: CPUs are still taken"),
    (("notice", "the error is raised", "left behind"), 1, "the error is raised: 1 processes left behind"),
    (("notice", "the error is raised", "p100, ms"), 30_000.0, "the error is raised: a death was never noticed"),
    (("ends", "head", "left behind"), 2, "ends, head: 2 processes and names left behind"),
    (("ends", "head", "bytes left"), 4096, "ends, head: 4096 bytes of shared memory left behind"),
    (("ends", "head", "p100, ms"), 20_000.0, "ends, head: not within 20 s"),
    (
        ("ends", "head: get raises HeadDiedError", "p100, ms"),
        20_000.0,
        "ends, head: get raises HeadDiedError: not within 20 s",
    ),
    (("interrupts", "Ctrl-C", "left behind"), 1, "interrupts, Ctrl-C: 1 processes and names left behind"),
    (("interrupts", "Ctrl-C", "other than one traceback"), 1, "interrupts, Ctrl-C: 1 times other than one traceback"),
    (("cancel", "soft: time.sleep", "p100, ms"), 30_000.0, "cancel, soft: time.sleep: not within 30 s until it raises"),
    (
        ("cancel", "soft: time.sleep", "next task: p100, ms"),
        30_000.0,
        "cancel, soft: time.sleep: not within 30 s until the next task has run",
    ),
    (("cancel", "force: in C", "in another process"), 8, "cancel, force: in C: 1 workers live on"),
    (("cancel", "force: in C", "left behind"), 1, "cancel, force: in C: 1 processes left behind"),
    (("shutdown", "idle", "left behind"), 1, "shutdown, idle: 1 processes and names left behind"),
    (("shutdown", "idle", "bytes left"), 4096, "shutdown, idle: 4096 bytes of shared memory left behind"),
    (("churn", "head: descriptors", "last"), 99.0, "churn: more head: descriptors at the end"),
]
TIMED: list[tuple[tuple[str, ...], object, str]] = [
    (("storm", "storm", "of calm"), 0.79, "storm: 0.79 of the calm speed in the storm, less than 0.8"),
    (
        ("checkpoints", "storm, checkpoint=10", "of calm"),
        0.5,
        "checkpoints: 0.50 of the calm speed in the storm, checkpoint=10, less than 0.8",
    ),
    (
        ("notice", "the error is raised", "p99, ms"),
        51.0,
        "the error is raised: 51 ms in the worst of a hundred, more than 50",
    ),
    (("ends", "head", "p100, ms"), 1001.0, "ends, head: 1001 ms at worst, more than 1000"),
    (
        ("ends", "head: get raises HeadDiedError", "p100, ms"),
        1200.0,
        "ends, head: get raises HeadDiedError: 1200 ms at worst, more than 1000",
    ),
    (("interrupts", "Ctrl-C", "p100, ms"), 778.0, "interrupts, Ctrl-C: 778 ms at worst, more than 500"),
    (
        ("cancel", "soft: time.sleep", "p100, ms"),
        501.0,
        "cancel, soft: time.sleep: 501 ms at worst until it raises, more than 500",
    ),
    (
        ("cancel", "force: in C", "next task: p100, ms"),
        1001.0,
        "cancel, force: in C: 1001 ms at worst until the next task has run, more than 1000",
    ),
    (("shutdown", "idle", "p100, ms"), 1001.0, "shutdown, idle: 1001 ms at worst, more than 1000"),
    (
        ("soak", "driver memory, kB", "per minute"),
        400.0,
        "soak: driver memory, kB grows by 400 per minute, more than 100",
    ),
    (("soak", "head descriptors", "per minute"), 1.0, "soak: head descriptors grows by 1 per minute, more than 0.2"),
    (("soak", "driver threads", "per minute"), 0.5, "soak: driver threads grows by 0.5 per minute, more than 0.1"),
    (
        ("soak", "object store, kB", "per minute"),
        300.0,
        "soak: object store, kB grows by 300 per minute, more than 50",
    ),
]


@pytest.mark.parametrize(("path", "value", "said"), [*ALWAYS, *TIMED])
def test_each_broken_promise_is_named(broken: Judge, path: tuple[str, ...], value: object, said: str) -> None:
    assert broken(but(path, value)) == [said]


@pytest.mark.parametrize(("path", "value", "said"), ALWAYS)
def test_run_of_a_few_seconds_is_judged_by_what_happened(
    broken: Judge, path: tuple[str, ...], value: object, said: str
) -> None:
    assert broken(but(path, value), timed=False) == [said]


@pytest.mark.parametrize(("path", "value", "said"), TIMED)
def test_run_of_a_few_seconds_is_not_judged_by_how_long_it_took(
    broken: Judge, path: tuple[str, ...], value: object, said: str
) -> None:
    del said
    assert broken(but(path, value), timed=False) == []
