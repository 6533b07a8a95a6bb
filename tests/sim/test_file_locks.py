"""``fcntl.flock`` and ``fcntl.lockf`` between simulated processes: they exclude, and nobody waits in the kernel."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import actorgrid as ag
from actorgrid import sim
from actorgrid.exceptions import DeadlockError, SimulationError

# Who is killed closes nothing.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

#: What takes a lock, and names it.
BOTH: list[Callable[[Any, int], object]] = [fcntl.flock, fcntl.lockf]


@ag.remote(max_retries=0)
def count(kind: int, lock: str, counter: str) -> None:
    with Path(lock).open("w") as held:  # closing it gives the lock back
        (fcntl.flock, fcntl.lockf)[kind](held, fcntl.LOCK_EX)
        value = int(Path(counter).read_text())
        time.sleep(0.1)
        Path(counter).write_text(str(value + 1))


def counted(kind: int, folder: Path) -> None:
    counter = folder / "counter"
    counter.write_text("0")
    ag.get([count.remote(kind, str(folder / "lock"), str(counter)) for _ in range(2)])
    assert counter.read_text() == "2"


@pytest.mark.parametrize("kind", [0, 1])
def test_locked_counter_loses_nothing_in_any_schedule(kind: int, tmp_path: Path) -> None:
    found = sim.explore(counted, kind, tmp_path, runs=100)
    found.check()
    assert found.distinct > 1, "who comes first is a choice"


@ag.remote(max_retries=0)
def attempt(kind: int, lock: str, name: str) -> str:
    with Path(lock).open("w") as held:
        try:
            (fcntl.flock, fcntl.lockf)[kind](held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return "busy"
        time.sleep(1)
        return name


@pytest.mark.parametrize("kind", [0, 1])
def test_either_is_the_one_that_finds_it_locked(kind: int, tmp_path: Path) -> None:
    def attempts() -> list[str]:
        return ag.get([attempt.remote(kind, str(tmp_path / "lock"), name) for name in "ab"])

    seen: set[tuple[str, ...]] = set()

    def program() -> None:
        seen.add(tuple(attempts()))

    assert sim.prove(program, max_schedules=3000).failures == []
    assert seen == {("a", "busy"), ("busy", "b"), ("a", "b")}


@ag.remote(max_restarts=0)
class Holder:
    def take(self, kind: int, lock: str, shared: bool = False) -> int:
        self.file = Path(lock).open("r+")  # noqa: SIM115  # it is kept
        (fcntl.flock, fcntl.lockf)[kind](self.file, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        return os.getpid()

    def release(self) -> None:
        self.file.close()


def touched(folder: Path) -> str:
    (folder / "lock").write_text("")
    return str(folder / "lock")


@pytest.mark.parametrize("kind", [0, 1])
def test_who_waits_has_the_lock_once_its_holder_is_dead(kind: int, tmp_path: Path) -> None:
    lock = touched(tmp_path)

    def program() -> bool:
        first, second = Holder.remote(), Holder.remote()
        ag.get(first.take.remote(kind, lock))
        waits = second.take.remote(kind, lock)
        assert ag.wait([waits], timeout=10)[0] == []
        ag.kill(first)
        return bool(ag.get(waits))

    assert sim.run(program).value is True
    with (tmp_path / "lock").open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the run has left nothing locked


@pytest.mark.parametrize("kind", [0, 1])
def test_shared_locks_go_together_and_closing_the_last_lets_a_writer_in(kind: int, tmp_path: Path) -> None:
    lock = touched(tmp_path)

    def program() -> None:
        readers = [Holder.remote() for _ in range(2)]
        ag.get([reader.take.remote(kind, lock, shared=True) for reader in readers])
        written = Holder.remote().take.remote(kind, lock)
        for reader in readers:
            assert ag.wait([written], timeout=10)[0] == []
            ag.get(reader.release.remote())
        ag.get(written)

    assert sim.run(program).error is None


@pytest.mark.parametrize("kind", [0, 1])
def test_two_files_locked_in_both_orders_are_a_deadlock(kind: int, tmp_path: Path) -> None:
    @ag.remote(max_retries=0)
    def both(*names: str) -> None:
        with Path(names[0]).open("w") as one, Path(names[1]).open("w") as other:
            (fcntl.flock, fcntl.lockf)[kind](one, fcntl.LOCK_EX)
            time.sleep(1)
            (fcntl.flock, fcntl.lockf)[kind](other, fcntl.LOCK_EX)

    def program() -> None:
        a, b = str(tmp_path / "a"), str(tmp_path / "b")
        ag.get([both.remote(a, b), both.remote(b, a)])

    run = sim.run(program)
    assert isinstance(run.error, DeadlockError)
    assert f"fcntl.{BOTH[kind].__name__}()" in run.waits


def test_range_of_a_file_is_locked_and_given_back(tmp_path: Path) -> None:
    lock = touched(tmp_path)

    @ag.remote(max_retries=0)
    def take(start: int) -> str:
        with Path(lock).open("r+") as file:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, start)
            except BlockingIOError:
                return "busy"
        return "free"

    def program() -> None:
        with Path(lock).open("r+") as file:
            fcntl.lockf(file, fcntl.LOCK_EX, 1, 5)
            assert ag.get([take.remote(4), take.remote(5)]) == ["free", "busy"]
            fcntl.lockf(file, fcntl.LOCK_UN, 1, 5)
            assert ag.get(take.remote(5)) == "free"

    assert sim.run(program).error is None


def test_lock_that_others_than_simulated_processes_hold_is_waited_for_in_vain(tmp_path: Path) -> None:
    lock = touched(tmp_path)

    def program() -> None:
        with Path(lock).open("r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)

    with Path(lock).open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert isinstance(sim.run(program).error, DeadlockError)


@pytest.mark.parametrize("code", ["fcntl", "os.lockf", "twice"])
def test_other_ways_are_refused(code: str, tmp_path: Path) -> None:
    lock = touched(tmp_path)

    def program() -> None:
        with Path(lock).open("r+") as file, Path(lock).open("r+") as again:
            if code == "fcntl":
                fcntl.fcntl(file, fcntl.F_SETLKW, b"")
            elif code == "os.lockf":
                os.lockf(file.fileno(), os.F_LOCK, 0)
            else:
                fcntl.lockf(file, fcntl.LOCK_EX)
                fcntl.lockf(again, fcntl.LOCK_EX)

    error = sim.run(program).error
    assert isinstance(error, SimulationError)
    assert "lockf" in str(error)


def test_other_uses_of_fcntl_go_through(tmp_path: Path) -> None:
    lock = touched(tmp_path)

    def program() -> int:
        with Path(lock).open("r+") as file:
            return fcntl.fcntl(file, fcntl.F_GETFD)

    assert sim.run(program).value == fcntl.FD_CLOEXEC
