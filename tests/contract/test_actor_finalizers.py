"""What an actor leaves behind is finalized in its process when it ends by itself, and last words are said."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import atexit
import contextlib
import gc
import os
import sys
import threading
from pathlib import Path
from typing import Any

import psutil
import pytest

import actorgrid as ag
from actorgrid.testing.waiting import wait_until
from tests.contract.tools import DEADLINE

pytestmark = pytest.mark.usefixtures("grid")
of_a_process = pytest.mark.processes("the exit handlers and the garbage of a simulated process are the interpreter's")


class Connection:
    """What a finalizer has to close."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __del__(self) -> None:
        with self.path.open("a", encoding="ascii") as file:
            file.write(f"{os.getpid()}\n")


@ag.remote
class Plain:
    def __init__(self, path: Path, *, itself: bool = False, cycle: bool = False) -> None:
        self.path = path if itself else None
        self.connection = None if itself else Connection(path)
        self.me = self if cycle else None

    def __del__(self) -> None:
        if self.path is not None:
            Connection(self.path)

    def pid(self) -> int:
        return os.getpid()

    def leave(self) -> None:
        ag.actor.exit_actor()

    def exit(self) -> None:
        sys.exit(3)


@ag.remote
class Asynchronous:
    def __init__(self, path: Path, **_: bool) -> None:
        self.connection = Connection(path)

    async def pid(self) -> int:
        return os.getpid()

    async def leave(self) -> None:
        ag.actor.exit_actor()

    async def exit(self) -> None:
        sys.exit(3)


def finalized_by(made: Any, path: Path, end: str, **options: bool) -> None:
    """Assert that an actor of this kind finalizes once what it has, in its own process."""
    actor = made.remote(path, **options)
    pid = ag.get(actor.pid.remote(), timeout=DEADLINE)
    with contextlib.suppress(ag.exceptions.RayActorError):
        if end == "exit_actor":
            ag.get(actor.leave.remote(), timeout=DEADLINE)
        elif end == "sys.exit":
            ag.get(actor.exit.remote(), timeout=DEADLINE)
        elif end == "terminate":
            ag.get(actor.__ray_terminate__.remote(), timeout=DEADLINE)
    del actor
    gc.collect()
    assert wait_until(path.exists, DEADLINE)
    assert wait_until(lambda: not psutil.pid_exists(pid), DEADLINE)
    assert path.read_text(encoding="ascii") == f"{pid}\n"


@pytest.mark.parametrize("end", ["del", "exit_actor", "terminate", "sys.exit"])
@pytest.mark.parametrize("made", [Plain, Asynchronous, Plain.options(max_concurrency=4)])
def test_finalizers_of_what_an_actor_has_run_when_it_ends_by_itself(made: Any, end: str, tmp_path: Path) -> None:
    finalized_by(made, tmp_path / "closed", end)


@pytest.mark.parametrize("options", [{"itself": True}, pytest.param({"cycle": True}, marks=of_a_process)])
@pytest.mark.parametrize("end", ["del", "exit_actor"])
def test_finalizer_of_an_actor_itself_and_of_one_in_a_cycle(options: dict[str, bool], end: str, tmp_path: Path) -> None:
    finalized_by(Plain, tmp_path / "closed", end, **options)


@ag.remote
class Unlucky:
    def pid(self) -> int:
        return os.getpid()

    def __del__(self) -> None:
        raise ValueError("the finalizer fails")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # where it is this interpreter's
def test_finalizer_that_raises_does_not_hold_an_actor_up() -> None:
    actor = Unlucky.remote()
    pid = ag.get(actor.pid.remote(), timeout=DEADLINE)
    del actor
    gc.collect()
    assert wait_until(lambda: not psutil.pid_exists(pid), DEADLINE)


@ag.remote
class Host:
    def hold(self, path: Path) -> int:
        sys.held = Connection(path)
        return os.getpid()


@of_a_process
def test_finalizers_of_what_modules_of_a_worker_hold_do_not_run(tmp_path: Path) -> None:
    actor = Host.remote()
    pid = ag.get(actor.hold.remote(tmp_path / "closed"), timeout=DEADLINE)
    del actor
    gc.collect()
    assert wait_until(lambda: not psutil.pid_exists(pid), DEADLINE)
    assert not (tmp_path / "closed").exists()


def note(path: Path) -> None:
    """Note which process says this, and whether in its main thread."""
    with path.open("a", encoding="ascii") as file:
        file.write(f"{os.getpid()} {threading.current_thread() is threading.main_thread()}\n")


@ag.remote
class LastWords:
    def __init__(self, path: Path) -> None:
        self.path = path
        atexit.register(note, path)

    def __ray_shutdown__(self) -> None:
        note(self.path)

    def pid(self) -> int:
        return os.getpid()

    def exit(self) -> None:
        sys.exit(3)


@of_a_process
@pytest.mark.parametrize("concurrency", [1, 4])
def test_sys_exit_in_a_method_leaves_the_last_words_to_an_actor(concurrency: int, tmp_path: Path) -> None:
    actor = LastWords.options(max_concurrency=concurrency).remote(tmp_path / "said")
    pid = ag.get(actor.pid.remote(), timeout=DEADLINE)
    with pytest.raises(ag.exceptions.ActorDiedError):
        ag.get(actor.exit.remote(), timeout=DEADLINE)
    assert wait_until(lambda: not psutil.pid_exists(pid), DEADLINE)
    assert (tmp_path / "said").read_text(encoding="ascii") == f"{pid} True\n" * 2


@ag.remote(max_retries=0)
def leave_with_a_handler(path: Path) -> None:
    atexit.register(note, path)
    sys.exit(3)


@of_a_process
def test_sys_exit_in_a_task_runs_exit_handlers(tmp_path: Path) -> None:
    with pytest.raises(ag.exceptions.WorkerCrashedError):
        ag.get(leave_with_a_handler.remote(tmp_path / "said"), timeout=DEADLINE)
    assert wait_until((tmp_path / "said").exists, DEADLINE)
