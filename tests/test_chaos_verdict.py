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
    "checkpoints": {"every 1": {"wrong counters": 0}, "never": {"us a call, no kills": 61.0}},
    "ends": {
        "head": {"left behind": 0, "bytes left": 0, "most bytes in the driver": 67_108_864, "p100, ms": 47.0},
        "head: get raises HeadDiedError": {"p100, ms": 31.0},
    },
    "interrupts": {"Ctrl-C": {"left behind": 0, "p100, ms": 101.0, "other than one traceback": 0}},
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
    (("checkpoints", "every 1", "wrong counters"), 1, "checkpoints, every 1: 1 wrong counters"),
    (("drivers", "one counter", "lost"), 3, "drivers, one counter: 3 lost"),
    (("drivers", "one counter", "out of order"), 1, "drivers, one counter: 1 out of order"),
    (("drivers", "one counter", "wrong tasks"), 1, "drivers, one counter: 1 wrong tasks"),
    (("drivers", "one counter", "hangs"), 1, "drivers, one counter: 1 hangs"),
    (("drivers", "one counter", "counted"), 80_001, "drivers, one counter: 80001 counted of 80000 calls"),
    (("drivers", "one counter", "CPUs free afterwards"), 0, "drivers, one counter: CPUs are still taken"),
    (("notice", "the error is raised", "left behind"), 1, "the error is raised: 1 processes left behind"),
    (("notice", "the error is raised", "p100, ms"), 30_000.0, "the error is raised: a death was never noticed"),
    (("ends", "head", "left behind"), 2, "head: 2 processes and names left behind"),
    (("ends", "head", "bytes left"), 4096, "head: 4096 bytes of shared memory left behind"),
    (("ends", "head", "p100, ms"), 20_000.0, "head: not within 20 s"),
    (
        ("ends", "head: get raises HeadDiedError", "p100, ms"),
        20_000.0,
        "head: get raises HeadDiedError: not within 20 s",
    ),
    (("interrupts", "Ctrl-C", "left behind"), 1, "Ctrl-C: 1 processes and names left behind"),
    (("interrupts", "Ctrl-C", "other than one traceback"), 1, "Ctrl-C: 1 times other than one traceback"),
    (("churn", "head: descriptors", "last"), 99.0, "churn: more head: descriptors at the end"),
]
TIMED: list[tuple[tuple[str, ...], object, str]] = [
    (("storm", "storm", "of calm"), 0.79, "storm: 0.79 of the calm speed in the storm, less than 0.8"),
    (
        ("notice", "the error is raised", "p99, ms"),
        51.0,
        "the error is raised: 51 ms in the worst of a hundred, more than 50",
    ),
    (("ends", "head", "p100, ms"), 1001.0, "head: 1001 ms at worst, more than 1000"),
    (
        ("ends", "head: get raises HeadDiedError", "p100, ms"),
        1200.0,
        "head: get raises HeadDiedError: 1200 ms at worst, more than 1000",
    ),
    (("interrupts", "Ctrl-C", "p100, ms"), 778.0, "Ctrl-C: 778 ms at worst, more than 500"),
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
