"""A plug-in of pytest: tests of the contract on Ray. Each has a time limit, and a line of JSON says what came of it."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

#: A test that takes longer hangs (seconds); Ray starts in three to ten.
LIMIT = 30


class HangsError(Exception):
    """The time of a test is over."""


def pytest_configure(config: pytest.Config) -> None:
    """Have the alarm end what hangs."""
    del config
    signal.signal(signal.SIGALRM, _over)


def _over(*_: Any) -> None:
    raise HangsError(f"the test has not ended after {LIMIT} s")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out what is for the simulator, and what needs no grid at all."""
    items[:] = [item for item in items if hasattr(item, "callspec") and item.callspec.params.get("grids") == "process"]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Raise in a test whose time is over, wherever it waits."""
    _note(item.nodeid, "started")
    signal.setitimer(signal.ITIMER_REAL, LIMIT, 10)
    try:
        return (yield)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Note what came of the phase of a test that matters."""
    if report.when == "call" or (report.when == "setup" and not report.passed):
        why = ""
        if report.failed:
            crash = getattr(report.longrepr, "reprcrash", None)
            why = crash.message if crash is not None else str(report.longrepr)
        _note(report.nodeid, report.outcome, why)


def _note(test: str, outcome: str, why: str = "") -> None:
    with Path(os.environ["ON_RAY_RESULTS"]).open("a", encoding="utf-8") as file:
        file.write(json.dumps({"test": test, "outcome": outcome, "why": why[:400]}) + "\n")
