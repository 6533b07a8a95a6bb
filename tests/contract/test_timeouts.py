"""``timeout=`` and ``run_timeout=`` of tasks and calls: the work really stops, and only that work."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import asyncio
import os
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

import actorgrid as ag
from actorgrid.testing.waiting import wait_until
from tests.contract.tools import DEADLINE, Gate, count_run, runs

pytestmark = pytest.mark.usefixtures("grid")

#: Long enough for a busy machine to begin, short enough to wait for.
SHORT = 0.3


def times_out(ref: Any) -> str:
    with pytest.raises(ag.exceptions.TaskTimeoutError) as caught:
        ag.get(ref, timeout=DEADLINE)
    assert isinstance(caught.value, TimeoutError)
    return str(caught.value)


def stopped(submit: Callable[[float], Any]) -> str:
    """Return what is said of work that was stopped while it ran. A busy machine needs longer to begin at all."""
    text = ""
    for limit in (SHORT, 2.0, 10.0):
        text = times_out(submit(limit))
        if "before it started" not in text:
            return text
    raise AssertionError(text)


@ag.remote
def asleep() -> None:
    time.sleep(60)


@ag.remote
def one() -> int:
    return 1


@ag.remote(num_cpus=0)
def behind(gate: Any) -> int:
    ag.get(gate.pass_through.remote())
    return 1


@ag.remote
class Sleeper:
    def __init__(self) -> None:
        self.seen = ""

    def sleep(self) -> None:
        try:
            time.sleep(60)
        except KeyboardInterrupt:
            self.seen = "interrupted"
            raise

    def what(self) -> str:
        return self.seen


def test_task_that_runs_too_long_is_stopped_and_the_next_one_runs() -> None:
    text = stopped(lambda limit: asleep.options(timeout=limit, num_cpus=2).remote())
    assert re.match(r"asleep took longer than its timeout of \S+ s and was stopped", text)
    assert ag.get(one.options(num_cpus=2).remote(), timeout=DEADLINE) == 1


def test_task_that_waits_too_long_for_an_argument_never_runs(tmp_path: Path) -> None:
    gate = Gate.remote()

    @ag.remote(timeout=SHORT)
    def late(value: int) -> int:
        count_run(tmp_path / "ran")
        return value

    assert "before it started" in times_out(late.remote(behind.remote(gate)))
    ag.get(gate.open.remote())
    assert not runs(tmp_path / "ran")


def test_run_timeout_does_not_count_the_time_in_the_queue() -> None:
    gate = Gate.remote()
    first = behind.remote(gate)

    @ag.remote(run_timeout=1.0)
    def quick(value: int) -> int:
        return value + 1

    ref = quick.remote(first)
    assert ag.wait([ref], timeout=1.2)[0] == []  # longer than it may run
    ag.get(gate.open.remote())
    assert ag.get(ref, timeout=DEADLINE) == 2
    assert "ran longer than its run_timeout of 0.3 s" in times_out(asleep.options(run_timeout=SHORT).remote())


def test_task_that_ends_in_time_is_not_touched() -> None:
    refs = [one.options(timeout=60, run_timeout=60).remote() for _ in range(20)]
    assert ag.get(refs, timeout=DEADLINE) == [1] * 20


def test_task_that_timed_out_is_not_retried(tmp_path: Path) -> None:
    @ag.remote(max_retries=3, retry_exceptions=True)
    def slow() -> None:
        count_run(tmp_path / "ran")
        time.sleep(60)

    for limit in (SHORT, 2.0, 10.0):
        times_out(slow.options(timeout=limit).remote())
        if runs(tmp_path / "ran"):  # it had begun
            break
    assert runs(tmp_path / "ran") == 1


def test_what_the_task_submitted_is_cancelled_with_it(tmp_path: Path) -> None:
    @ag.remote
    def inner() -> None:
        count_run(tmp_path / "began")
        try:
            time.sleep(60)
        finally:
            count_run(tmp_path / "ended")

    @ag.remote(num_cpus=0)
    def outer() -> None:
        ag.get(inner.remote())

    for limit in (SHORT, 2.0, 10.0):
        times_out(outer.options(timeout=limit).remote())
        if runs(tmp_path / "began"):  # it had begun
            break
    assert wait_until(lambda: runs(tmp_path / "ended") == 1)
    assert wait_until(lambda: ag.available_resources().get("CPU") == 2)


def test_method_that_runs_too_long_is_interrupted_and_its_actor_goes_on() -> None:
    actor = Sleeper.remote()
    for limit in (SHORT, 2.0, 10.0):
        times_out(actor.sleep.options(timeout=limit).remote())
        if ag.get(actor.what.remote(), timeout=DEADLINE):  # it had begun
            break
    assert ag.get(actor.what.remote(), timeout=DEADLINE) == "interrupted"


def test_call_that_waits_too_long_for_its_turn_never_runs() -> None:
    gate = Gate.remote()

    @ag.remote
    class Turns:
        def __init__(self) -> None:
            self.ran = 0

        def hold(self) -> None:
            ag.get(gate.pass_through.remote())

        @ag.method(timeout=SHORT)
        def late(self) -> None:
            self.ran += 1

        def count(self) -> int:
            return self.ran

    actor = Turns.remote()
    held = actor.hold.remote()
    times_out(actor.late.remote())
    ag.get(gate.open.remote())
    ag.get(held, timeout=DEADLINE)
    assert ag.get(actor.count.remote(), timeout=DEADLINE) == 0


def test_coroutine_that_runs_too_long_is_cancelled_and_the_others_go_on() -> None:
    @ag.remote
    class Async:
        async def sleep(self) -> None:
            await asyncio.sleep(60)

        async def nap(self) -> int:
            await asyncio.sleep(2 * SHORT)
            return 1

    actor = Async.remote()
    other = actor.nap.remote()
    times_out(actor.sleep.options(timeout=SHORT).remote())
    assert ag.get(other, timeout=DEADLINE) == 1


@pytest.mark.processes("in one thread, code that never calls or waits cannot be stopped")
def test_task_that_takes_no_notice_is_killed_and_its_worker_replaced(tmp_path: Path) -> None:
    @ag.remote
    def deaf() -> None:
        (tmp_path / "pid").write_text(str(os.getpid()), encoding="ascii")
        while True:
            try:
                time.sleep(60)
            except KeyboardInterrupt:
                pass

    assert "had to be killed" in stopped(lambda limit: deaf.options(timeout=limit).remote())
    pid = int((tmp_path / "pid").read_text(encoding="ascii"))
    assert wait_until(lambda: not psutil.pid_exists(pid))
    assert ag.get([one.remote() for _ in range(8)], timeout=DEADLINE) == [1] * 8


@pytest.mark.processes("in one thread, code that never calls or waits cannot be stopped")
def test_thread_that_takes_no_notice_costs_its_actor_the_process() -> None:
    @ag.remote(max_concurrency=2, max_restarts=1)
    class Threaded:
        def sleep(self) -> None:
            threading.Event().wait(60)

        def pid(self) -> int:
            return os.getpid()

    actor = Threaded.remote()
    first = ag.get(actor.pid.remote(), timeout=DEADLINE)
    stopped(lambda limit: actor.sleep.options(timeout=limit).remote())

    def lives_again() -> bool:
        try:
            return bool(ag.get(actor.pid.remote(), timeout=DEADLINE) != first)
        except ag.exceptions.ActorUnavailableError:
            return False

    assert wait_until(lives_again)


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf")])
def test_time_limit_that_makes_no_sense_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="'timeout' must be a positive number of seconds"):
        one.options(timeout=value)


def test_time_limit_of_a_whole_actor_is_refused_with_a_hint() -> None:
    with pytest.raises(ValueError, match="is for tasks and methods"):
        ag.remote(timeout=1)(type("A", (), {}))
