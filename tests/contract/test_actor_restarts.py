"""How actors die, and how they come back."""

from __future__ import annotations

import gc
import os
import signal
from pathlib import Path
from typing import Any

import psutil
import pytest

import actorgrid as ag
from tests.contract.tools import DEADLINE, Gate, count_run, kill_this_process, runs
from tests.leaks import wait_until

pytestmark = pytest.mark.usefixtures("grid")


@ag.remote
class Mortal:
    def __init__(self, births: Path | None = None) -> None:
        self.value = 0
        if births is not None:
            count_run(births)

    def add(self) -> int:
        self.value += 1
        return self.value

    def echo(self, value: Any) -> Any:
        return value

    def pid(self) -> int:
        return os.getpid()

    def die(self) -> None:
        kill_this_process()

    def exit(self, status: int) -> None:
        os._exit(status)

    def die_until(self, path: Path, attempt: int) -> int:
        if count_run(path) < attempt:
            kill_this_process()
        return runs(path)

    def fail_until(self, path: Path, attempt: int) -> int:
        if count_run(path) < attempt:
            raise KeyError("again")
        return runs(path)

    def leave(self) -> None:
        ag.actor.exit_actor()


@ag.remote
class Stillborn:
    def __init__(self) -> None:
        raise ValueError("no life")

    def work(self) -> int:
        return 1


@ag.remote(num_cpus=0)
def behind(gate: Any, value: Any) -> Any:
    ag.get(gate.pass_through.remote())
    return value


def dies(ref: Any) -> Any:
    """Return the ActorDiedError that ``get`` raises."""
    with pytest.raises(ag.exceptions.ActorDiedError) as caught:
        ag.get(ref, timeout=DEADLINE)
    return caught.value


def eventually(call: Any) -> Any:
    """Return the result of a call to an actor that may be restarting."""
    result: list[Any] = []

    def answered() -> bool:
        try:
            result.append(ag.get(call(), timeout=DEADLINE))
        except ag.exceptions.ActorUnavailableError:
            return False
        return True

    assert wait_until(answered, DEADLINE)
    return result[0]


def test_death_fails_running_queued_and_later_calls() -> None:
    mortal = Mortal.remote()
    running, queued = mortal.die.remote(), mortal.add.remote()
    dies(running)
    dies(queued)
    dies(mortal.add.remote())


def test_death_from_outside_fails_later_calls() -> None:
    mortal = Mortal.remote()
    os.kill(ag.get(mortal.pid.remote()), signal.SIGKILL)
    dies(mortal.add.remote())


def test_death_message_names_pid_signal_and_call() -> None:
    mortal = Mortal.remote()
    pid = ag.get(mortal.pid.remote())
    text = str(dies(mortal.die.remote()))
    assert str(pid) in text
    assert "SIGKILL" in text
    assert "die" in text


def test_death_message_names_the_exit_code() -> None:
    assert "37" in str(dies(Mortal.remote().exit.remote(37)))


def test_results_from_before_the_death_stay() -> None:
    mortal = Mortal.remote()
    ref = mortal.add.remote()
    dies(mortal.die.remote())
    assert ag.get(ref) == 1


def test_kill_ends_an_actor() -> None:
    mortal = Mortal.remote()
    pid = ag.get(mortal.pid.remote())
    ag.kill(mortal)
    dies(mortal.add.remote())
    assert wait_until(lambda: not psutil.pid_exists(pid))


def test_kill_ends_an_actor_in_the_middle_of_a_call() -> None:
    gate = Gate.remote()

    @ag.remote
    class Busy:
        def work(self) -> None:
            ag.get(gate.pass_through.remote())

    busy = Busy.remote()
    ref = busy.work.remote()
    ag.get(gate.arrivals.remote(1), timeout=DEADLINE)
    ag.kill(busy)
    dies(ref)


def test_kill_of_a_dead_actor_does_nothing() -> None:
    mortal = Mortal.remote()
    ag.kill(mortal)
    ag.kill(mortal)
    dies(mortal.add.remote())


def test_kill_does_not_restart() -> None:
    mortal = Mortal.options(max_restarts=3).remote()
    ag.get(mortal.add.remote())
    ag.kill(mortal)
    dies(mortal.add.remote())


def test_kill_with_no_restart_false_restarts() -> None:
    mortal = Mortal.options(max_restarts=1).remote()
    pid = ag.get(mortal.pid.remote())
    ag.kill(mortal, no_restart=False)
    assert wait_until(lambda: not psutil.pid_exists(pid))
    assert eventually(mortal.pid.remote) != pid
    ag.kill(mortal, no_restart=False)
    assert wait_until(lambda: _is_dead(mortal))


def _is_dead(mortal: Any) -> bool:
    try:
        ag.get(mortal.add.remote(), timeout=DEADLINE)
    except ag.exceptions.ActorDiedError:
        return True
    except ag.exceptions.ActorUnavailableError:
        pass
    return False


def test_restart_makes_running_and_queued_calls_unavailable_and_state_anew() -> None:
    mortal, gate = Mortal.options(max_restarts=1).remote(), Gate.remote()
    ag.get([mortal.add.remote(), mortal.add.remote()])
    held = mortal.echo.remote(behind.remote(gate, 1))
    refs = [mortal.die.remote(), mortal.add.remote()]
    gate.open.remote()
    assert ag.get(held, timeout=DEADLINE) == 1
    for ref in refs:
        with pytest.raises(ag.exceptions.ActorUnavailableError):
            ag.get(ref, timeout=DEADLINE)
    assert eventually(mortal.add.remote) == 1


def test_restart_runs_the_constructor_with_the_same_arguments(tmp_path: Path) -> None:
    mortal = Mortal.options(max_restarts=1).remote(births=tmp_path / "births")
    with pytest.raises(ag.exceptions.ActorUnavailableError):
        ag.get(mortal.die.remote(), timeout=DEADLINE)
    assert eventually(mortal.add.remote) == 1
    assert runs(tmp_path / "births") == 2


def test_restarts_are_used_up() -> None:
    mortal = Mortal.options(max_restarts=1).remote()
    with pytest.raises(ag.exceptions.ActorUnavailableError):
        ag.get(mortal.die.remote(), timeout=DEADLINE)
    eventually(mortal.add.remote)
    dies(mortal.die.remote())
    dies(mortal.add.remote())


def test_max_restarts_minus_1_restarts_any_number_of_times(tmp_path: Path) -> None:
    mortal = Mortal.options(max_restarts=-1).remote(births=tmp_path / "births")
    for _ in range(4):
        eventually(mortal.add.remote)
        with pytest.raises(ag.exceptions.ActorUnavailableError):
            ag.get(mortal.die.remote(), timeout=DEADLINE)
    eventually(mortal.add.remote)
    assert runs(tmp_path / "births") == 5


def test_max_task_retries_repeats_the_call_on_the_new_incarnation(tmp_path: Path) -> None:
    mortal = Mortal.options(max_restarts=2, max_task_retries=2).remote()
    refs = [mortal.die_until.remote(tmp_path / "runs", 2), mortal.add.remote()]
    assert ag.get(refs, timeout=DEADLINE) == [2, 1]


def test_deadly_call_with_max_task_retries_uses_up_the_restarts(tmp_path: Path) -> None:
    mortal = Mortal.options(max_restarts=1, max_task_retries=1).remote()
    dies(mortal.die_until.remote(tmp_path / "runs", 99))
    assert runs(tmp_path / "runs") == 2
    dies(mortal.add.remote())


def test_call_is_not_repeated_by_default(tmp_path: Path) -> None:
    mortal = Mortal.options(max_restarts=-1).remote()
    with pytest.raises(ag.exceptions.ActorUnavailableError):
        ag.get(mortal.die_until.remote(tmp_path / "runs", 2), timeout=DEADLINE)
    eventually(mortal.add.remote)
    assert runs(tmp_path / "runs") == 1


def test_max_task_retries_of_the_call_wins_over_the_actors(tmp_path: Path) -> None:
    mortal = Mortal.options(max_restarts=-1).remote()
    call = mortal.die_until.options(max_task_retries=1)
    assert ag.get(call.remote(tmp_path / "runs", 2), timeout=DEADLINE) == 2


def test_exceptions_of_a_method_are_retried_on_request(tmp_path: Path) -> None:
    call = Mortal.remote().fail_until.options(max_task_retries=3, retry_exceptions=True)
    assert ag.get(call.remote(tmp_path / "runs", 3), timeout=DEADLINE) == 3


def test_exit_actor_ends_the_actor_for_good() -> None:
    mortal = Mortal.options(max_restarts=3).remote()
    pid = ag.get(mortal.pid.remote())
    dies(mortal.leave.remote())
    dies(mortal.add.remote())
    assert wait_until(lambda: not psutil.pid_exists(pid))


def test_exit_actor_lets_earlier_calls_finish() -> None:
    mortal = Mortal.remote()
    refs = [mortal.add.remote() for _ in range(5)]
    mortal.leave.remote()
    assert ag.get(refs, timeout=DEADLINE) == [1, 2, 3, 4, 5]


def test_terminate_ends_the_actor_after_its_calls() -> None:
    mortal = Mortal.options(max_restarts=3).remote()
    ref = mortal.add.remote()
    mortal.__ray_terminate__.remote()
    assert ag.get(ref, timeout=DEADLINE) == 1
    assert wait_until(lambda: _is_dead(mortal))


def test_process_ends_with_the_last_handle() -> None:
    mortal = Mortal.remote()
    pid = ag.get(mortal.pid.remote())
    del mortal
    gc.collect()
    assert wait_until(lambda: not psutil.pid_exists(pid))


def test_process_ends_when_the_object_that_holds_the_last_handle_is_gone() -> None:
    mortal: Any = Mortal.remote()
    pid = ag.get(mortal.pid.remote())
    box = ag.put([mortal])
    del mortal
    gc.collect()
    assert ag.get(ag.get(box)[0].pid.remote(), timeout=DEADLINE) == pid
    del box
    assert wait_until(lambda: gc.collect() >= 0 and not psutil.pid_exists(pid))


def test_failed_constructor_fails_every_call() -> None:
    stillborn = Stillborn.remote()
    for _ in range(2):
        error = dies(stillborn.work.remote())
        assert error.actor_init_failed
        assert not isinstance(error, ValueError)
        assert "no life" in str(error)


def test_failed_constructor_fails_calls_made_before() -> None:
    stillborn = Stillborn.remote()
    refs = [stillborn.work.remote() for _ in range(10)]
    assert all(dies(ref).actor_init_failed for ref in refs)


def test_failed_constructor_is_not_retried(tmp_path: Path) -> None:
    @ag.remote(max_restarts=3)
    class Counted:
        def __init__(self) -> None:
            count_run(tmp_path / "runs")
            raise ValueError

        def work(self) -> None: ...

    dies(Counted.remote().work.remote())
    assert runs(tmp_path / "runs") == 1


def test_constructor_whose_argument_failed_is_a_dead_actor() -> None:
    @ag.remote
    def fail() -> Any:
        raise KeyError("argument")

    assert "argument" in str(dies(Mortal.remote(fail.remote()).add.remote()))


def test_dead_actor_gives_its_cpu_back() -> None:
    mortal = Mortal.options(num_cpus=2).remote()
    dies(mortal.die.remote())
    assert wait_until(lambda: ag.available_resources().get("CPU") == 2)


def test_max_pending_calls_refuses_one_more_at_the_call() -> None:
    gate = Gate.remote()
    limited = Mortal.options(max_pending_calls=2).remote()
    refs = [limited.echo.remote(behind.remote(gate, i)) for i in range(2)]
    with pytest.raises(ag.exceptions.PendingCallsLimitExceeded):
        limited.echo.remote(2)
    gate.open.remote()
    assert ag.get(refs, timeout=DEADLINE) == [0, 1]
    assert ag.get(limited.echo.remote(3), timeout=DEADLINE) == 3
