"""``init(max_pending_tasks=)``: submitting waits instead of growing without bound."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import actorgrid as ag
from actorgrid.exceptions import PendingCallsLimitExceeded
from tests.contract.tools import DEADLINE, Gate, count_run, runs

Start = Callable[..., Any]


@ag.remote
def echo(value: Any) -> Any:
    return value


@ag.remote(num_cpus=0)
def behind(gate: Any) -> None:
    ag.get(gate.pass_through.remote())


@ag.remote(num_returns=0)
def count(path: Path) -> None:
    count_run(path)


@ag.remote
def spread(number: int) -> int:
    return sum(ag.get([echo.remote(1) for _ in range(number)]))


def pending() -> int:
    """Return how many tasks the head has that are not over."""
    from actorgrid.engine.current import current

    return int(current().query("stats").body["tasks"])


def test_more_tasks_than_may_be_pending_all_run(fresh_grid: Start) -> None:
    fresh_grid(num_cpus=2, max_pending_tasks=10)
    assert ag.get([echo.remote(number) for number in range(200)], timeout=DEADLINE) == list(range(200))


def test_there_are_never_more_than_that(fresh_grid: Start) -> None:
    fresh_grid(num_cpus=2, max_pending_tasks=10)
    seen = []
    refs = []
    for number in range(100):
        refs.append(echo.remote(number))
        seen.append(pending())
    assert max(seen) <= 10
    assert len(ag.get(refs, timeout=DEADLINE)) == 100


def test_tasks_whose_references_are_dropped_count_until_they_are_over(fresh_grid: Start) -> None:
    fresh_grid(num_cpus=2, max_pending_tasks=5)
    for number in range(100):
        echo.remote(number)
        assert pending() <= 5


def test_tasks_without_a_result_count_too(fresh_grid: Start, tmp_path: Path) -> None:
    fresh_grid(num_cpus=1, max_pending_tasks=5)
    for _ in range(30):
        count.remote(tmp_path / "runs")
        assert pending() <= 5
    assert ag.get(echo.remote(1), timeout=DEADLINE) == 1
    assert runs(tmp_path / "runs") >= 25


def test_task_that_submits_too_many_lends_its_cpu_while_it_waits(fresh_grid: Start) -> None:
    fresh_grid(num_cpus=1, max_pending_tasks=3)
    assert ag.get(spread.remote(20), timeout=DEADLINE) == 20


def test_tasks_that_failed_make_room(fresh_grid: Start) -> None:
    fresh_grid(num_cpus=2, max_pending_tasks=3)

    @ag.remote
    def fail() -> None:
        raise ValueError

    refs = [fail.remote() for _ in range(20)]
    for ref in refs:
        with pytest.raises(ValueError):  # its message is empty
            ag.get(ref, timeout=DEADLINE)


def test_actor_calls_are_not_counted(fresh_grid: Start) -> None:
    fresh_grid(num_cpus=2, max_pending_tasks=2, on_max_pending="raise")
    gate = Gate.remote()
    refs = [behind.remote(gate), behind.remote(gate)]
    gate.open.remote()
    ag.get(refs, timeout=DEADLINE)


def test_one_too_many_raises_if_asked_to(fresh_grid: Start) -> None:
    fresh_grid(num_cpus=2, max_pending_tasks=2, on_max_pending="raise")
    gate = Gate.remote()
    refs = [behind.remote(gate), behind.remote(gate)]
    with pytest.raises(PendingCallsLimitExceeded, match=r"2 tasks of this process are not over.*max_pending_tasks=2"):
        behind.remote(gate)
    gate.open.remote()
    ag.get(refs, timeout=DEADLINE)
    assert ag.get(echo.remote(1), timeout=DEADLINE) == 1


def test_event_loop_is_not_held_up_but_told(fresh_grid: Start) -> None:
    fresh_grid(num_cpus=2, max_pending_tasks=2)
    gate = Gate.remote()

    async def program() -> None:
        refs = [behind.remote(gate), behind.remote(gate)]
        with pytest.raises(PendingCallsLimitExceeded, match="an event loop cannot wait here"):
            behind.remote(gate)
        gate.open.remote()
        await asyncio.gather(*refs)

    asyncio.run(program())


@pytest.mark.parametrize(("options", "error"), [
    ({"max_pending_tasks": 0}, ValueError),
    ({"max_pending_tasks": 1.5}, TypeError),
    ({"on_max_pending": "explode"}, ValueError),
])  # fmt: skip
def test_bad_values_are_refused(no_grid: None, options: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error, match=next(iter(options))):
        ag.init(**options)
