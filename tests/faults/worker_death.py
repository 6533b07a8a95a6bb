"""WD: workers that die."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import actorgrid as ag
from actorgrid.exceptions import ActorDiedError, ActorUnavailableError, WorkerCrashedError
from actorgrid.runtime import lifetime
from actorgrid.testing.processes import RealGrid
from actorgrid.testing.waiting import wait_until
from tests.faults.catalogue import LIMIT, Case, Elsewhere, Gives, died, error_of, fate, get, note, notes, run
from tests.faults.oracle import alive

# ------------------------------------------------------------------------------------------------- what the tasks do


def leave(status: int) -> None:
    os._exit(status)


def leave_in_c(status: int) -> None:
    ctypes.CDLL(None).exit(status)


def read_address_0() -> None:
    ctypes.string_at(0)


def overflow_the_stack() -> None:
    sys.setrecursionlimit(10**8)
    nested: Any = ()
    for _ in range(10**6):
        nested = (nested,)
    hash(nested)


def end_by(number: int) -> None:
    os.kill(os.getpid(), number)
    signal.pause()


def leave_from_a_thread(status: int) -> None:
    threading.Thread(target=os._exit, args=(status,), daemon=True).start()
    threading.Event().wait()


def leave_a_child_and_die(path: Path) -> None:
    child = os.fork()
    if not child:
        signal.pause()
    note(path, child)
    os.kill(os.getpid(), signal.SIGKILL)


def note_and_work(path: Path, number: int) -> int:
    note(path, f"{number} {os.getpid()}")
    time.sleep(0.01)  # work, and no wait
    return number


def stop_once(path: Path) -> str:
    if not notes(path):
        note(path)
        os.kill(os.getpid(), signal.SIGSTOP)
    return "ran"


@ag.remote(num_cpus=0)
class Mortal:
    """Dies when it is told to."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def die_once(self, path: Path) -> list[str]:
        note(path)
        if len(notes(path)) < 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return self.say("died once")

    def die(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def say(self, word: str) -> list[str]:
        self.calls.append(word)
        return self.calls


@ag.remote(num_cpus=0, max_restarts=-1)
class Stillborn:
    """Dies in its constructor."""

    def __init__(self) -> None:
        os._exit(3)

    def ping(self) -> None:
        pass


# ------------------------------------------------------------------------------------------- how it is brought about


def mortal(**options: Any) -> Any:
    return Mortal.options(**options).remote()  # type: ignore[attr-defined]  # mypy does not see the decorator


def kill_one_of_many(folder: Path) -> bool:
    ledger = folder / "ledger"
    refs = [run(note_and_work, ledger, number) for number in range(60)]
    assert wait_until(lambda: notes(ledger), LIMIT)
    os.kill(int(notes(ledger)[-1].split()[1]), signal.SIGKILL)
    assert get(refs) == list(range(60))
    runs = len(notes(ledger))
    assert 60 <= runs <= 61, f"{runs - 60} tasks ran again for one death"
    return True


def leave_a_child(folder: Path) -> bool:
    path = folder / "child"
    error = error_of(lambda: get(run(leave_a_child_and_die, path, max_retries=0)))
    assert isinstance(error, WorkerCrashedError), error
    assert "SIGKILL" in str(error)
    return wait_until(lambda: not alive(int(notes(path)[0])), LIMIT)


def poison_among_the_innocent(folder: Path) -> bool:
    del folder
    innocent = [run(abs, -number, max_retries=0) for number in range(50)]
    poison = [run(leave, 1, max_retries=1) for _ in range(4)]
    innocent += [run(abs, -number, max_retries=0) for number in range(50, 100)]
    assert get(innocent) == list(range(100))
    return all(isinstance(fate(ref), WorkerCrashedError) for ref in poison)


def call_again_in_order(folder: Path) -> Any:
    actor = mortal(max_restarts=1, max_task_retries=2)
    refs = [actor.die_once.remote(folder / "deaths"), actor.say.remote("second"), actor.say.remote("third")]
    return get(refs)[-1]


def crash_loop(folder: Path) -> Any:
    del folder
    actor: Any = Stillborn.remote()  # type: ignore[attr-defined]  # mypy does not see the decorator

    def stays_dead() -> bool:
        return isinstance(error_of(lambda: get(actor.ping.remote())), ActorDiedError)

    assert wait_until(stays_dead, LIMIT)
    return actor.ping.remote()


def many_deaths(count: int) -> bool:
    launcher = RealGrid().launcher.pid
    refs = [run(leave, 1, max_retries=0) for _ in range(count)]
    assert all(isinstance(fate(ref), WorkerCrashedError) for ref in refs)
    # Between a death and the launcher's next turn a look may find a zombie, but none stays one.
    return wait_until(lambda: not any(map(_is_zombie, lifetime.children_of(launcher))), LIMIT)


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return False


def one_attempt(folder: Path) -> bool:
    ledger = folder / "ledger"
    error = error_of(lambda: get(run(_note_and_leave, ledger, max_retries=0)))
    assert isinstance(error, WorkerCrashedError), error
    return len(notes(ledger)) == 1


def _note_and_leave(path: Path) -> None:
    note(path)
    os._exit(1)


FATAL = r"\(.* pid=\d+\) .*"  # what faulthandler prints of a fatal signal comes from the worker, and says so
STOPPED = r"actorgrid: a signal has stopped worker \d+ \(it runs stop_once\); .*"


def _crash(function: Any, *args: Any, **options: Any) -> Any:
    return lambda _: run(function, *args, **{"max_retries": 0, **options})


CASES = [
    Case("WD01", "exits with code 3", _crash(leave, 3), died(WorkerCrashedError, "exited with code 3", "leave")),
    Case("WD01b", "exits with code 3 at each of 3 attempts", _crash(leave, 3, max_retries=2),
         died(WorkerCrashedError, r"3 attempts: .*attempt 1.*attempt 2.*attempt 3.* after \d", "leave")),
    Case("WD02", "reads address 0", _crash(read_address_0),
         died(WorkerCrashedError, "SIGSEGV", "read_address_0"), FATAL),
    Case("WD02b", "overflows the C stack", _crash(overflow_the_stack),
         died(WorkerCrashedError, "SIGSEGV", "overflow_the_stack"), FATAL),
    *(Case(f"WD02-{name}", f"is ended by {name}", _crash(end_by, signal.Signals[name]),
           died(WorkerCrashedError, name, "end_by"), FATAL)
      for name in ("SIGKILL", "SIGABRT", "SIGBUS", "SIGFPE", "SIGTERM", "SIGXCPU")),
    Case("WD04", "one of 60 tasks is killed", kill_one_of_many),
    Case("WD05", "exits from a thread", _crash(leave_from_a_thread, 9),
         died(WorkerCrashedError, "exited with code 9", "leave_from_a_thread")),
    Case("WD07", "forks a child and is killed", leave_a_child),
    Case("WD13", "poison among 100 innocent tasks", poison_among_the_innocent),
    Case("WD14", "stops itself", lambda folder: run(stop_once, folder / "once"), Gives("ran"), STOPPED),
    Case("WD17", "actor dies in a call", lambda _: mortal().die.remote(), died(ActorDiedError, "SIGKILL", "die")),
    Case("WD17b", "actor that restarts dies in a call", lambda _: mortal(max_restarts=1).die.remote(),
         died(ActorUnavailableError, "may have been executed", "die")),
    Case("WD17c", "call is repeated before the later ones", call_again_in_order,
         Gives(["died once", "second", "third"])),
    Case("WD19", "constructor dies at once for ever", crash_loop,
         died(ActorDiedError, "restart_intensity=3", "Stillborn")),
    Case("WD20", "exits with code 0 from C", _crash(leave_in_c, 0),
         died(WorkerCrashedError, "exited with code 0", "leave_in_c")),
    Case("WD22", "40 deaths leave no zombie", lambda _: many_deaths(40)),
    Case("WD22b", "1000 deaths leave no zombie", lambda _: many_deaths(1000), slow=True),
    Case("OR08", "at most one attempt", one_attempt),
]  # fmt: skip

ELSEWHERE = [
    Elsewhere("WD14", "goes on in time", "tests/proc/test_stopped.py::"
              "test_stopped_worker_that_is_let_go_on_in_time_finishes_what_it_was_doing"),
    Elsewhere("WD13", "finished result", "tests/contract/test_task_retries.py::"
              "test_finished_result_survives_the_crash_of_its_worker"),
    Elsewhere("WD17", "queue of a dead actor", "tests/contract/test_actor_deaths.py::"
              "test_death_fails_running_queued_and_later_calls"),
]  # fmt: skip
