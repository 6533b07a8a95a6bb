"""Cancelling: queued, running, finished tasks; actors' calls; children."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

import actorgrid as ag
from actorgrid.testing.waiting import wait_until
from tests.contract.tools import DEADLINE, Gate, count_run, hold, runs

pytestmark = pytest.mark.usefixtures("grid")


@ag.remote
def busy(gate: Any) -> None:
    """Run for ever, in steps that an exception can come between."""
    ag.get(gate.arrive.remote())
    while True:
        time.sleep(0.001)


@ag.remote
def asleep(gate: Any) -> None:
    """Sleep in one long system call."""
    ag.get(gate.arrive.remote())
    time.sleep(60)


@ag.remote
def stubborn(gate: Any) -> str:
    """Take no notice."""
    try:
        ag.get(gate.arrive.remote())
        while True:
            time.sleep(0.001)
    except KeyboardInterrupt:
        return "swallowed"


@ag.remote
def one() -> int:
    return 1


@ag.remote(num_cpus=0)
def behind(gate: Any, value: Any) -> Any:
    ag.get(gate.pass_through.remote())
    return value


def is_cancelled(ref: Any) -> bool:
    with pytest.raises(ag.exceptions.RayError) as caught:
        ag.get(ref, timeout=DEADLINE)
    error = caught.value
    # Where user code saw the KeyboardInterrupt, Ray wraps the error once more.
    return isinstance(error, ag.exceptions.TaskCancelledError)


def test_queued_task_never_runs(tmp_path: Path) -> None:
    @ag.remote
    def note() -> None:
        count_run(tmp_path / "runs")

    holder = hold(num_cpus=2)
    ref = note.remote()
    ag.cancel(ref)
    assert is_cancelled(ref)
    ag.kill(holder)
    ag.get([one.remote() for _ in range(4)], timeout=DEADLINE)
    assert runs(tmp_path / "runs") == 0


def test_task_that_waits_for_an_argument_never_runs(tmp_path: Path) -> None:
    @ag.remote
    def note(_: Any) -> None:
        count_run(tmp_path / "runs")

    gate = Gate.remote()
    argument = behind.remote(gate, 1)
    ref = note.remote(argument)
    ag.cancel(ref)
    assert is_cancelled(ref)
    gate.open.remote()
    assert ag.get(argument, timeout=DEADLINE) == 1
    ag.get([one.remote() for _ in range(4)], timeout=DEADLINE)
    assert runs(tmp_path / "runs") == 0


@pytest.mark.parametrize("task", [busy, asleep], ids=["steps", "sleep"])
def test_running_task_is_interrupted(task: Any) -> None:
    gate = Gate.remote()
    ref = task.remote(gate)
    ag.get(gate.arrivals.remote(1), timeout=DEADLINE)
    ag.cancel(ref)
    assert is_cancelled(ref)


def test_running_task_sees_a_keyboard_interrupt_and_cleans_up(tmp_path: Path) -> None:
    @ag.remote
    def tidy(gate: Any) -> None:
        try:
            ag.get(gate.arrive.remote())
            while True:
                time.sleep(0.001)
        finally:
            count_run(tmp_path / "cleaned")

    gate = Gate.remote()
    ref = tidy.remote(gate)
    ag.get(gate.arrivals.remote(1), timeout=DEADLINE)
    ag.cancel(ref)
    assert is_cancelled(ref)
    assert runs(tmp_path / "cleaned") == 1


def test_task_may_swallow_the_interrupt_and_return() -> None:
    gate = Gate.remote()
    ref = stubborn.remote(gate)
    ag.get(gate.arrivals.remote(1), timeout=DEADLINE)
    ag.cancel(ref)
    assert ag.get(ref, timeout=DEADLINE) == "swallowed"


@pytest.mark.parametrize("task", [busy, asleep, stubborn], ids=["steps", "sleep", "stubborn"])
def test_force_ends_a_running_task_whatever_it_does(task: Any) -> None:
    gate = Gate.remote()
    ref = task.remote(gate)
    ag.get(gate.arrivals.remote(1), timeout=DEADLINE)
    ag.cancel(ref, force=True)
    assert is_cancelled(ref)


def test_task_that_is_blocked_in_get_is_interrupted() -> None:
    gate = Gate.remote()

    @ag.remote
    def blocked() -> None:
        ag.get(gate.pass_through.remote())

    ref = blocked.remote()
    ag.get(gate.arrivals.remote(1), timeout=DEADLINE)
    ag.cancel(ref)
    assert is_cancelled(ref)


def test_worker_goes_on_after_a_cancelled_task() -> None:
    for _ in range(3):
        gate = Gate.remote()
        ref = busy.remote(gate)
        ag.get(gate.arrivals.remote(1), timeout=DEADLINE)
        ag.cancel(ref)
        assert is_cancelled(ref)
    assert ag.get([one.remote() for _ in range(20)], timeout=DEADLINE) == [1] * 20


@pytest.mark.parametrize("force", [False, True])
def test_cancelled_task_gives_its_cpus_back(force: bool) -> None:
    gate = Gate.remote()
    ref = busy.options(num_cpus=2).remote(gate)
    ag.get(gate.arrivals.remote(1), timeout=DEADLINE)
    ag.cancel(ref, force=force)
    assert is_cancelled(ref)
    assert wait_until(lambda: ag.available_resources().get("CPU") == 2)


@pytest.mark.parametrize("force", [False, True])
def test_cancelled_task_is_not_retried(tmp_path: Path, force: bool) -> None:
    @ag.remote(max_retries=5, retry_exceptions=True)
    def note(gate: Any) -> None:
        count_run(tmp_path / "runs")
        ag.get(gate.arrive.remote())
        while True:
            time.sleep(0.001)

    gate = Gate.remote()
    ref = note.remote(gate)
    ag.get(gate.arrivals.remote(1), timeout=DEADLINE)
    ag.cancel(ref, force=force)
    assert is_cancelled(ref)
    ag.get([one.remote() for _ in range(4)], timeout=DEADLINE)
    assert runs(tmp_path / "runs") == 1


def test_cancel_of_a_finished_task_does_nothing() -> None:
    ref = one.remote()
    ag.get(ref)
    ag.cancel(ref)
    ag.cancel(ref, force=True)
    assert ag.get(ref) == 1


def test_cancel_of_a_put_object_does_nothing() -> None:
    ref = ag.put(1)
    result: Any = ag.cancel(ref)  # type: ignore[func-returns-value,unused-ignore]
    assert result is None
    assert ag.get(ref) == 1


def test_cancel_again_does_nothing() -> None:
    gate = Gate.remote()
    ref = behind.remote(gate, 1)
    for _ in range(3):
        ag.cancel(ref)
    assert is_cancelled(ref)
    ag.cancel(ref)
    assert is_cancelled(ref)


def test_dependent_of_a_cancelled_task_fails_as_cancelled() -> None:
    @ag.remote
    def after(_: Any) -> None: ...

    gate = Gate.remote()
    ref = behind.remote(gate, 1)
    dependent = after.remote(ref)
    ag.cancel(ref)
    assert is_cancelled(dependent)


def test_children_of_a_cancelled_task_are_cancelled_too() -> None:
    gate = Gate.remote()

    @ag.remote
    def parent() -> None:
        ag.get([busy.remote(gate), busy.remote(gate)])

    ref = parent.remote()
    ag.get(gate.arrivals.remote(2), timeout=DEADLINE)
    ag.cancel(ref)
    assert is_cancelled(ref)
    assert wait_until(lambda: ag.available_resources().get("CPU") == 2)


def test_children_run_on_without_recursive(tmp_path: Path) -> None:
    gate = Gate.remote()

    @ag.remote(num_cpus=0)
    def child() -> None:
        ag.get(gate.pass_through.remote())
        count_run(tmp_path / "child")

    @ag.remote
    def parent() -> None:
        ag.get(child.remote())

    ref = parent.remote()
    ag.get(gate.arrivals.remote(1), timeout=DEADLINE)
    ag.cancel(ref, recursive=False)
    assert is_cancelled(ref)
    gate.open.remote()
    assert wait_until(lambda: runs(tmp_path / "child") == 1)


def test_queued_call_of_an_actor_is_cancelled() -> None:
    @ag.remote
    class Log:
        def __init__(self) -> None:
            self.items: list[Any] = []

        def append(self, item: Any) -> None:
            self.items.append(item)

        def read(self) -> list[Any]:
            return self.items

    log, gate = Log.remote(), Gate.remote()
    first = log.append.remote(behind.remote(gate, 1))
    second = log.append.remote(2)
    ag.cancel(second)
    assert is_cancelled(second)
    gate.open.remote()
    ag.get(first, timeout=DEADLINE)
    assert ag.get(log.read.remote(), timeout=DEADLINE) == [1]


def test_calls_behind_a_cancelled_one_that_waited_for_its_argument_go_on() -> None:
    @ag.remote(num_cpus=0)
    class Echo:
        def say(self, value: Any) -> Any:
            return value

    gate = Gate.remote()
    echo = Echo.remote()
    waits = echo.say.remote(behind.remote(gate, "late"))
    next_one = echo.say.remote("next")
    ag.cancel(waits)
    assert is_cancelled(waits)
    assert ag.get(next_one, timeout=DEADLINE) == "next"
    ag.get(gate.open.remote())


def test_running_call_of_a_sync_actor_runs_on_and_its_result_is_dropped() -> None:
    @ag.remote
    class Watchful:
        def watch(self, gate: Any) -> str:
            ag.get(gate.arrive.remote())
            while not ag.get_runtime_context().is_canceled():
                time.sleep(0.001)
            self.seen = True
            return "dropped"

        def has_seen(self) -> bool:
            return self.seen

    gate, watchful = Gate.remote(), Watchful.remote()
    ref = watchful.watch.remote(gate)
    ag.get(gate.arrivals.remote(1), timeout=DEADLINE)
    ag.cancel(ref)
    assert is_cancelled(ref)
    assert ag.get(watchful.has_seen.remote(), timeout=DEADLINE)


def test_running_call_of_an_async_actor_is_cancelled_as_asyncio_does() -> None:
    @ag.remote
    class Waiter:
        def __init__(self) -> None:
            self.cancelled = False

        async def wait(self, gate: Any) -> None:
            try:
                await gate.arrive.remote()
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.cancelled = True
                raise

        async def was_cancelled(self) -> bool:
            return self.cancelled

    gate, waiter = Gate.remote(), Waiter.remote()
    ref = waiter.wait.remote(gate)
    ag.get(gate.arrivals.remote(1), timeout=DEADLINE)
    ag.cancel(ref)
    assert is_cancelled(ref)
    assert ag.get(waiter.was_cancelled.remote(), timeout=DEADLINE)


def test_storm_of_cancellations_leaves_the_grid_usable() -> None:
    refs = [one.remote() for _ in range(200)]
    for ref in refs[::2]:
        ag.cancel(ref)
    assert ag.get(refs[1::2], timeout=DEADLINE) == [1] * 100
    ready, rest = ag.wait(refs, num_returns=200, timeout=DEADLINE)
    assert (len(ready), rest) == (200, [])
