"""How actors die."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import atexit
import contextlib
import gc
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import psutil
import pytest

import actorgrid as ag
from actorgrid.testing.waiting import wait_until
from tests.contract.mortals import Mortal, behind, dies, eventually, is_dead
from tests.contract.tools import DEADLINE, Gate, count_run, runs

pytestmark = pytest.mark.usefixtures("grid")


ONE_INTERPRETER = "exit handlers of a simulated process are those of the interpreter, which goes on"


@ag.remote
class Stillborn:
    def __init__(self) -> None:
        raise ValueError("no life")

    def work(self) -> int:
        return 1


def test_death_fails_running_queued_and_later_calls() -> None:
    mortal = Mortal.remote()
    running, queued = mortal.die.remote(), mortal.add.remote()
    dies(running)
    dies(queued)
    dies(mortal.add.remote())


@pytest.mark.parametrize("options", [{}, {"max_concurrency": 2}, {"allow_out_of_order_execution": True}])
def test_death_fails_calls_that_wait_for_their_arguments(options: dict[str, Any]) -> None:
    mortal, gate = Mortal.options(**options).remote(), Gate.remote()
    late = behind.remote(gate, 1)
    calls = [mortal.echo.remote(late), mortal.echo.remote(late)]
    ag.kill(mortal)
    for call in calls:
        dies(call)
    gate.open.remote()
    assert ag.get(late, timeout=DEADLINE) == 1


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
    assert wait_until(lambda: is_dead(mortal))


def test_call_made_after_a_kill_that_restarts_is_for_the_next_process() -> None:
    mortal = Mortal.options(max_restarts=1).remote()
    pid = ag.get(mortal.pid.remote())
    ag.kill(mortal, no_restart=False)
    assert ag.get(mortal.pid.remote(), timeout=DEADLINE) != pid


def test_kill_of_an_actor_that_has_not_begun_is_charged() -> None:
    mortal = Mortal.options(max_restarts=1).remote()
    ag.kill(mortal, no_restart=False)
    assert ag.get(mortal.add.remote(), timeout=DEADLINE) == 1
    ag.kill(mortal, no_restart=False)
    dies(mortal.add.remote())


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
    assert wait_until(lambda: is_dead(mortal))


def last_words(path: Path) -> None:
    """Note which process says them, and where: a thread that is not the main one may not do everything."""
    with path.open("a", encoding="ascii") as file:
        file.write(f"{os.getpid()} {threading.current_thread() is threading.main_thread()}\n")


@ag.remote
class Parting:
    def __init__(self, path: Path) -> None:
        atexit.register(last_words, path)
        atexit.register(sys.stdout.flush)

    def pid(self) -> int:
        return os.getpid()

    def register_one_that_fails(self) -> None:
        atexit.register(lambda: 1 / 0)


@ag.remote
class PartingAsync:
    def __init__(self, path: Path) -> None:
        atexit.register(last_words, path)

    async def pid(self) -> int:
        return os.getpid()

    async def register_one_that_fails(self) -> None:
        atexit.register(lambda: 1 / 0)


@pytest.mark.processes(ONE_INTERPRETER)
@pytest.mark.parametrize("end", ["del", "terminate", "del while it works", "another handler fails"])
@pytest.mark.parametrize("made", [Parting, PartingAsync, Parting.options(max_concurrency=4)])
def test_exit_handlers_of_an_actor_run_once_in_its_process_when_it_ends_by_itself(
    made: Any, end: str, tmp_path: Path
) -> None:
    actor = made.remote(tmp_path / "said")
    pid = ag.get(actor.pid.remote(), timeout=DEADLINE)
    if end == "another handler fails":
        ag.get(actor.register_one_that_fails.remote(), timeout=DEADLINE)
    last = actor.pid.remote()
    if end == "terminate":
        actor.__ray_terminate__.remote()
    elif end != "del while it works":
        assert ag.get(last, timeout=DEADLINE) == pid
    if end != "terminate":
        del actor
        gc.collect()
    assert wait_until(lambda: not psutil.pid_exists(pid), DEADLINE)
    assert ag.get(last, timeout=DEADLINE) == pid
    who, main = (tmp_path / "said").read_text(encoding="ascii").split()
    assert int(who) == pid
    assert main == "True"


@ag.remote(max_concurrency=4)
class Threads:
    def __init__(self) -> None:
        self.over = threading.Event()

    def pid(self) -> int:
        return os.getpid()

    def wait(self) -> str:
        self.over.wait()
        return "waited"

    def leave_beside(self) -> None:
        thread = threading.Thread(target=ag.actor.exit_actor)
        thread.start()
        thread.join()

    def leave_and_go_on(self) -> str:
        with contextlib.suppress(SystemExit):
            ag.actor.exit_actor()
        self.over.set()
        return "went on"


@pytest.mark.processes("a thread of a simulated process that is over is not run to its end")
def test_threaded_actor_may_be_ended_from_any_thread() -> None:
    actor: Any = Threads.remote()
    pid = ag.get(actor.pid.remote(), timeout=DEADLINE)
    actor.leave_beside.remote()
    assert wait_until(lambda: not psutil.pid_exists(pid), DEADLINE)


def test_threaded_actor_ends_though_its_call_has_caught_what_ends_it() -> None:
    actor: Any = Threads.remote()
    pid = ag.get(actor.pid.remote(), timeout=DEADLINE)
    actor.leave_and_go_on.remote()
    assert wait_until(lambda: not psutil.pid_exists(pid), DEADLINE)


def test_calls_of_a_threaded_actor_that_run_are_over_before_it_ends() -> None:
    actor: Any = Threads.remote()
    waits = actor.wait.remote()
    leaves = actor.leave_and_go_on.remote()
    assert ag.get([waits, leaves], timeout=DEADLINE) == ["waited", "went on"]


@pytest.mark.processes(ONE_INTERPRETER)
def test_exit_handlers_of_an_actor_that_is_killed_do_not_run(tmp_path: Path) -> None:
    actor = Parting.remote(tmp_path / "said")
    pid = ag.get(actor.pid.remote(), timeout=DEADLINE)
    ag.kill(actor)
    assert wait_until(lambda: not psutil.pid_exists(pid), DEADLINE)
    assert not (tmp_path / "said").exists()


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


def test_pending_calls_count_though_their_references_are_gone_and_though_they_return_nothing() -> None:
    gate = Gate.remote()
    limited = Mortal.options(max_pending_calls=2).remote()
    limited.echo.remote(behind.remote(gate, 1))
    limited.echo.options(num_returns=0).remote(behind.remote(gate, 2))
    with pytest.raises(ag.exceptions.PendingCallsLimitExceeded):
        limited.echo.options(num_returns=0).remote(3)
    gate.open.remote()

    def has_room() -> bool:
        try:
            return bool(ag.get(limited.echo.remote(4), timeout=DEADLINE) == 4)
        except ag.exceptions.PendingCallsLimitExceeded:
            return False

    assert wait_until(has_room)
