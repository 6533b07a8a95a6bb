"""Modules that a run imports for the first time: what they keep of clocks and locks serves every run, and real code."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import importlib
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import actorgrid as ag
from actorgrid import sim

HOUR = 3600.0
LATE = """
import queue, threading
from datetime import datetime
from time import monotonic, sleep

class Clock:
    now = monotonic

LOCK, RLOCK, QUEUE = threading.Lock(), threading.RLock(), queue.SimpleQueue()
CONDITION = threading.Condition()

def elapsed(now=monotonic):
    began, day = now(), datetime.now()
    sleep(3600)
    return now() - began, (datetime.now() - day).total_seconds(), Clock().now() - began

def hold(seconds):
    with LOCK, RLOCK, CONDITION:
        sleep(seconds)
"""


@ag.remote
def hold_there(seconds: float) -> None:
    importlib.import_module("actorgrid_late").hold(seconds)


@pytest.fixture(autouse=True)
def late(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "actorgrid_late.py").write_text(LATE, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("actorgrid_late", None)


def imported() -> Any:
    return importlib.import_module("actorgrid_late")


def value_of(program: Any, *args: Any) -> Any:
    result = sim.run(program, *args)
    if result.error is not None:
        raise result.error
    return result.value


def test_time_of_a_module_that_a_run_has_imported_is_virtual_in_every_run() -> None:
    for _ in range(3):
        assert value_of(lambda: imported().elapsed()) == pytest.approx((HOUR, HOUR, HOUR), abs=1)


def test_time_of_a_module_that_a_run_has_imported_is_real_outside() -> None:
    value_of(imported)
    before = time.monotonic()
    assert before <= imported().monotonic() <= time.monotonic()
    assert imported().Clock().now() >= before
    assert abs((imported().datetime.now() - importlib.import_module("datetime").datetime.now()).total_seconds()) < 60


def test_lock_that_a_run_has_made_is_a_real_one_to_real_threads() -> None:
    value_of(lambda: imported().hold(1))
    errors: list[BaseException | None] = []
    hook, threading.excepthook = threading.excepthook, lambda args: errors.append(args.exc_value)
    try:
        threads = [threading.Thread(target=imported().hold, args=(0.02,)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
    finally:
        threading.excepthook = hook
    assert errors == []
    assert not imported().LOCK.locked()


def test_queue_that_a_run_has_made_is_a_real_one_to_real_threads() -> None:
    value_of(lambda: imported().QUEUE.put("of a run that is over"))
    timer = threading.Timer(0.02, imported().QUEUE.put, ("real",))
    timer.start()
    assert imported().QUEUE.get(timeout=10) == "real"
    timer.join()


def test_lock_that_a_run_has_made_serves_the_next_run() -> None:
    def program() -> float:
        began = time.monotonic()
        threads = [threading.Thread(target=imported().hold, args=(HOUR,)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return time.monotonic() - began

    for _ in range(2):
        assert value_of(program) == pytest.approx(2 * HOUR, abs=1)


def test_each_simulated_process_has_its_own_lock_of_a_module() -> None:
    def program() -> float:
        imported()
        began = time.monotonic()
        ag.get([hold_there.remote(HOUR) for _ in range(2)])
        return time.monotonic() - began

    assert value_of(program) == pytest.approx(HOUR, abs=1)


@pytest.mark.parametrize("lock", ["LOCK", "RLOCK", "CONDITION"])
def test_lock_may_be_held_while_a_world_begins_or_ends(lock: str) -> None:
    value_of(imported)
    held = getattr(imported(), lock)
    with held:
        ag.init(engine="sim")
    with held:
        ag.shutdown()
    with held:
        pass
