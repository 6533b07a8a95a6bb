"""``timeline``: who ran what and when, for people who look at pictures."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest

import actorgrid as ag
from actorgrid.exceptions import TaskError
from tests.contract.tools import DEADLINE, Gate

pytestmark = pytest.mark.usefixtures("grid")


@ag.remote
def nap(_: Any = None) -> str:
    time.sleep(0.02)
    return ag.get_runtime_context().get_task_id() or ""


@ag.remote
def fail() -> None:
    raise RuntimeError("on purpose")


@ag.remote(num_cpus=0)
class Parallel:
    def __init__(self) -> None:
        self.barrier = asyncio.Barrier(3)

    async def meet(self) -> None:
        await self.barrier.wait()
        await asyncio.sleep(0.05)  # in virtual time a call that only meets others takes none


def bars(name: str) -> list[dict[str, Any]]:
    """Return the bars of all calls of this name."""
    return [event for event in ag.timeline() or () if event["ph"] == "X" and event["name"] == name]


def test_every_call_that_has_run_has_a_bar() -> None:
    first = ag.get(nap.options(name="first").remote(), timeout=DEADLINE)
    ag.get(nap.options(name="second").remote(nap.options(name="first").remote()), timeout=DEADLINE)
    one, another = bars("first")
    assert one["args"]["task_id"] == first
    assert one["dur"] >= 19_000
    assert one["args"]["state"] == "FINISHED"
    assert set(one) == {"cat", "name", "ph", "pid", "tid", "ts", "dur", "cname", "args"}
    (last,) = bars("second")
    assert one["ts"] + one["dur"] <= last["ts"]
    assert another["ts"] + another["dur"] <= last["ts"] + last["dur"]


def test_call_that_failed_and_call_that_runs_look_different() -> None:
    gate = Gate.remote()
    with pytest.raises(TaskError):
        ag.get(fail.remote(), timeout=DEADLINE)
    waits = gate.pass_through.remote()
    ag.get(gate.arrivals.remote(1), timeout=DEADLINE)
    states = {event["name"]: event["args"]["state"] for event in ag.timeline() or () if event["ph"] == "X"}
    assert (states["fail"], states["Gate.pass_through"]) == ("FAILED", "RUNNING")
    ag.get(gate.open.remote())
    ag.get(waits, timeout=DEADLINE)


def test_calls_side_by_side_have_rows_of_their_own() -> None:
    actor = Parallel.remote()
    ag.get([actor.meet.remote() for _ in range(3)], timeout=DEADLINE)
    assert len({bar["tid"] for bar in bars("Parallel.meet")}) == 3


def test_file_has_the_same_as_json(tmp_path: Path) -> None:
    ag.get(nap.options(name="written").remote(), timeout=DEADLINE)
    assert ag.timeline(str(tmp_path / "out.json")) is None
    read = json.loads((tmp_path / "out.json").read_text())
    assert [event["args"] for event in read if event["name"] == "written"] == [bar["args"] for bar in bars("written")]


def test_without_a_grid_there_is_no_timeline(no_grid: None) -> None:
    del no_grid
    with pytest.raises(RuntimeError, match="has not been started"):
        ag.timeline()
