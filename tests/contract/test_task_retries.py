"""What happens to a task whose worker dies, and to one whose exception is worth another attempt."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

import actorgrid as ag
from actorgrid.testing.waiting import wait_until
from tests.contract.tools import DEADLINE, count_run, kill_this_process, runs

pytestmark = pytest.mark.usefixtures("grid")


@ag.remote
def die_until(path: Path, attempt: int) -> int:
    if count_run(path) < attempt:
        kill_this_process()
    return runs(path)


@ag.remote
def fail_until(path: Path, attempt: int, error: Exception) -> int:
    if count_run(path) < attempt:
        raise error
    return runs(path)


@ag.remote(max_retries=0)
def exit_with(status: int) -> None:
    os._exit(status)


def test_task_is_run_again_after_its_workers_death(tmp_path: Path) -> None:
    assert ag.get(die_until.remote(tmp_path / "runs", 2), timeout=DEADLINE) == 2


def test_task_survives_three_deaths_by_default(tmp_path: Path) -> None:
    assert ag.get(die_until.remote(tmp_path / "runs", 4), timeout=DEADLINE) == 4


def test_fourth_death_is_the_last_by_default(tmp_path: Path) -> None:
    with pytest.raises(ag.exceptions.WorkerCrashedError):
        ag.get(die_until.remote(tmp_path / "runs", 99), timeout=DEADLINE)
    assert runs(tmp_path / "runs") == 4


def test_max_retries_0_means_one_attempt(tmp_path: Path) -> None:
    with pytest.raises(ag.exceptions.WorkerCrashedError):
        ag.get(die_until.options(max_retries=0).remote(tmp_path / "runs", 2), timeout=DEADLINE)
    assert runs(tmp_path / "runs") == 1


def test_max_retries_minus_1_means_any_number(tmp_path: Path) -> None:
    assert ag.get(die_until.options(max_retries=-1).remote(tmp_path / "runs", 6), timeout=DEADLINE) == 6


@pytest.mark.parametrize("force", [False, True])
def test_task_that_is_tried_for_ever_is_cancelled_at_once_wherever_it_is(tmp_path: Path, *, force: bool) -> None:
    ref = die_until.options(max_retries=-1).remote(tmp_path / "runs", sys.maxsize)
    assert wait_until(lambda: " times (" in str(ag.explain(ref)))
    ag.cancel(ref, force=force)
    with pytest.raises(ag.exceptions.TaskCancelledError):
        ag.get(ref, timeout=DEADLINE)
    ended = runs(tmp_path / "runs")
    assert ag.get(die_until.remote(tmp_path / "other", 1), timeout=DEADLINE) == 1
    assert runs(tmp_path / "runs") == ended


def test_exit_code_of_a_dead_worker_is_in_the_message() -> None:
    with pytest.raises(ag.exceptions.WorkerCrashedError, match=r"\b37\b"):
        ag.get(exit_with.remote(37), timeout=DEADLINE)


def test_clean_exit_in_a_task_is_a_death() -> None:
    with pytest.raises(ag.exceptions.WorkerCrashedError):
        ag.get(exit_with.remote(0), timeout=DEADLINE)


def test_signal_that_killed_a_worker_is_in_the_message(tmp_path: Path) -> None:
    with pytest.raises(ag.exceptions.WorkerCrashedError, match="SIGKILL"):
        ag.get(die_until.options(max_retries=0).remote(tmp_path / "runs", 2), timeout=DEADLINE)


def test_dead_workers_pid_and_function_are_in_the_message(tmp_path: Path) -> None:
    @ag.remote(max_retries=0)
    def fatal(path: Path) -> None:
        path.write_text(str(os.getpid()), encoding="ascii")
        kill_this_process()

    with pytest.raises(ag.exceptions.WorkerCrashedError) as caught:
        ag.get(fatal.remote(tmp_path / "pid"), timeout=DEADLINE)
    assert (tmp_path / "pid").read_text(encoding="ascii") in str(caught.value)
    assert "fatal" in str(caught.value)


def test_sys_exit_in_a_task_is_a_death(tmp_path: Path) -> None:
    @ag.remote(max_retries=1)
    def leave() -> None:
        count_run(tmp_path / "runs")
        sys.exit(3)

    with pytest.raises(ag.exceptions.WorkerCrashedError):
        ag.get(leave.remote(), timeout=DEADLINE)
    assert runs(tmp_path / "runs") == 2


def test_task_that_depends_on_a_crashed_one_fails_without_running(tmp_path: Path) -> None:
    @ag.remote
    def after(_: Any) -> None:
        count_run(tmp_path / "runs")

    with pytest.raises(ag.exceptions.WorkerCrashedError):
        ag.get(after.remote(exit_with.remote(3)), timeout=DEADLINE)
    assert runs(tmp_path / "runs") == 0


def test_other_tasks_do_not_notice_a_crash() -> None:
    @ag.remote
    def double(x: int) -> int:
        return 2 * x

    before = [double.remote(i) for i in range(30)]
    crash = exit_with.remote(3)
    after = [double.remote(i) for i in range(30)]
    assert ag.get(before + after, timeout=DEADLINE) == [2 * i for i in range(30)] * 2
    with pytest.raises(ag.exceptions.WorkerCrashedError):
        ag.get(crash, timeout=DEADLINE)


def test_innocent_tasks_are_not_charged_for_the_crash_of_another() -> None:
    @ag.remote(max_retries=0)
    def innocent(x: int) -> int:
        return x

    crashes, results = [], []
    for i in range(10):
        results += [innocent.remote(i) for _ in range(3)]
        crashes.append(exit_with.remote(1))
    assert ag.get(results, timeout=DEADLINE) == [i for i in range(10) for _ in range(3)]
    assert ag.wait(crashes, num_returns=10, timeout=DEADLINE)[1] == []


def test_finished_result_survives_the_crash_of_its_worker() -> None:
    @ag.remote
    def pid() -> int:
        return os.getpid()

    ref = pid.remote()
    ag.get(ref)
    for crash in [exit_with.remote(1) for _ in range(4)]:
        with pytest.raises(ag.exceptions.WorkerCrashedError):
            ag.get(crash, timeout=DEADLINE)
    assert ag.get(ref) > 0


def test_exception_is_not_retried_by_default(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        ag.get(fail_until.remote(tmp_path / "runs", 2, KeyError("once")))
    assert runs(tmp_path / "runs") == 1


def test_retry_exceptions_true_retries_any_exception(tmp_path: Path) -> None:
    ref = fail_until.options(retry_exceptions=True).remote(tmp_path / "runs", 3, KeyError())
    assert ag.get(ref, timeout=DEADLINE) == 3


def test_retry_exceptions_uses_the_budget_of_max_retries(tmp_path: Path) -> None:
    ref = fail_until.options(retry_exceptions=True, max_retries=2).remote(tmp_path / "runs", 99, KeyError("last"))
    with pytest.raises(KeyError, match="last"):
        ag.get(ref, timeout=DEADLINE)
    assert runs(tmp_path / "runs") == 3


def test_retry_exceptions_true_stops_after_four_attempts_by_default(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        ag.get(fail_until.options(retry_exceptions=True).remote(tmp_path / "runs", 99, KeyError()), timeout=DEADLINE)
    assert runs(tmp_path / "runs") == 4


def test_retry_exceptions_list_covers_subclasses(tmp_path: Path) -> None:
    ref = fail_until.options(retry_exceptions=[OSError, LookupError]).remote(tmp_path / "runs", 2, KeyError())
    assert ag.get(ref, timeout=DEADLINE) == 2


def test_retry_exceptions_list_leaves_other_exceptions_alone(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        ag.get(fail_until.options(retry_exceptions=[OSError]).remote(tmp_path / "runs", 2, ZeroDivisionError()))
    assert runs(tmp_path / "runs") == 1


class Quarrelsome(type):
    """Instances do not answer what belongs to them."""

    def __instancecheck__(cls, instance: object) -> bool:
        raise RuntimeError("no answer")


class Quarrel(Exception, metaclass=Quarrelsome):  # noqa: N818
    pass


def test_retry_exceptions_list_whose_class_raises_when_asked_covers_nothing(tmp_path: Path) -> None:
    path = tmp_path / "runs"
    with pytest.raises(ValueError, match="1"):
        ag.get(fail_until.options(retry_exceptions=[Quarrel]).remote(path, 2, ValueError(1)), timeout=DEADLINE)
    assert runs(path) == 1


def test_retry_exceptions_list_with_a_local_class(tmp_path: Path) -> None:
    class FlakyError(Exception):
        pass

    ref = fail_until.options(retry_exceptions=[FlakyError]).remote(tmp_path / "runs", 2, FlakyError())
    assert ag.get(ref, timeout=DEADLINE) == 2


def test_attempt_after_a_death_gets_the_same_arguments(tmp_path: Path) -> None:
    big = ag.put(b"x" * 300_000)

    @ag.remote
    def measure(data: bytes, *, path: Path) -> int:
        if count_run(path) == 1:
            kill_this_process()
        return len(data)

    assert ag.get(measure.remote(big, path=tmp_path / "runs"), timeout=DEADLINE) == 300_000
