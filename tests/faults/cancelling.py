"""CA: calls that are cancelled, or run out of time."""

from __future__ import annotations

import ctypes
import gc
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import actorgrid as ag
from actorgrid.exceptions import GetTimeoutError, TaskCancelledError, TaskTimeoutError
from actorgrid.testing.waiting import wait_until
from tests.faults.catalogue import LIMIT, Case, Elsewhere, Raises, error_of, fate, get, note, notes, numpy, run
from tests.faults.oracle import alive

# ------------------------------------------------------------------------------------------------- what the tasks do


def loop(path: Path) -> None:
    note(path, os.getpid())
    while True:
        pass


def sleep(path: Path) -> None:
    note(path, os.getpid())
    time.sleep(600)


def hold_the_interpreter(path: Path) -> None:
    note(path, os.getpid())
    ctypes.PyDLL(None).sleep(600)


def catch_everything(path: Path) -> None:
    note(path, os.getpid())
    while True:
        try:
            threading.Event().wait()
        except BaseException:  # noqa: BLE001  # that is what is tested
            pass


def nest(path: Path, depth: int) -> Any:
    note(path, os.getpid())
    if depth:
        return ag.get(ag.remote(num_cpus=0)(nest).remote(path, depth - 1))
    program = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    note(path, program.pid)
    try:
        return threading.Event().wait()
    finally:
        program.wait()  # whoever cancels by force ends it


class SlowToUnpickle:
    """Takes its time, in small pieces."""

    def __reduce__(self) -> Any:
        return _slowly, ()


def _slowly() -> int:
    return sum(len(str(number)) for number in range(20_000))


def echo(value: Any) -> Any:
    return value


# ------------------------------------------------------------------------------------------- how it is brought about


def cancelled(task: Any, *, force: bool) -> Any:
    """Cancel a task that runs; with ``force`` its process is gone, too."""

    def inject(folder: Path) -> Any:
        path = folder / "pid"
        ref = run(task, path)
        assert wait_until(lambda: notes(path), LIMIT)
        ag.cancel(ref, force=force)
        error = fate(ref)
        assert isinstance(error, TaskCancelledError), repr(error)
        assert task.__name__ in str(error), error
        return not force or wait_until(lambda: not alive(int(notes(path)[0])), LIMIT)

    return inject


def cancelled_at_any_time(folder: Path) -> bool:
    """Cancel while arguments are unpickled and results are sent: each has its value or its error, nothing is torn."""
    del folder
    array = numpy().arange(50_000)
    refs = [run(echo, [number, array, SlowToUnpickle()]) for number in range(60)]
    for ref in refs[::2]:
        ag.wait([ref], timeout=0.002)  # a little further each time
        ag.cancel(ref)
    for number, ref in enumerate(refs):
        try:
            value = get(ref)
        except TaskCancelledError:
            assert number % 2 == 0, "a task was cancelled that nobody meant"
        else:
            assert value[0] == number
            assert value[1].sum() == array.sum()
    return True


def cancelled_with_all_below(folder: Path) -> bool:
    """Four nested tasks and the program that the last one started: by force, all of them go."""
    path = folder / "pids"
    ref = run(nest, path, 3)
    assert wait_until(lambda: len(notes(path)) == 5, LIMIT)
    ag.cancel(ref, force=True, recursive=True)
    error = fate(ref)
    assert isinstance(error, TaskCancelledError), repr(error)
    return wait_until(lambda: not any(alive(int(pid)) for pid in notes(path)), LIMIT)


def out_of_time(task: Any, **options: float) -> Any:
    return lambda folder: run(task, folder / "pid", **options)


def get_in_vain(folder: Path) -> bool:
    """Waits that end without a value leave nothing behind in this process."""
    ref = run(sleep, folder / "pid")
    entry: Any = ref._entry
    gc.collect()
    waiters, objects = len(entry.waiters or ()), len(gc.get_objects())
    for number in range(10_000):
        assert isinstance(error_of(lambda: ag.get(ref, timeout=0)), GetTimeoutError)
        if number % 10 == 0:
            assert ag.wait([ref], timeout=0) == ([], [ref])
    for _ in range(20):
        assert isinstance(error_of(lambda: ag.get([ref], timeout=0.001)), GetTimeoutError)
        assert ag.wait([ref], timeout=0.001) == ([], [ref])
    assert len(entry.waiters or ()) == waiters
    gc.collect()
    assert len(gc.get_objects()) - objects < 1000  # of 11,000 waits
    ag.cancel(ref, force=True)
    return isinstance(fate(ref), TaskCancelledError)


def late(task: str) -> Raises:
    return Raises(TaskTimeoutError, (rf"\b{task}\b", r"0\.3 s", "was stopped|killed"))


CASES = [
    Case("CA02-sleep", "sleeping task is cancelled", cancelled(sleep, force=False)),
    Case("CA02-loop", "looping task is cancelled", cancelled(loop, force=False)),
    *(Case(f"CA02-force-{task.__name__}", f"{task.__name__} is cancelled by force", cancelled(task, force=True))
      for task in (sleep, loop, hold_the_interpreter, catch_everything)),
    Case("CA04", "cancelled while arguments and results travel", cancelled_at_any_time),
    Case("CA05", "cancelled with nested tasks and a program", cancelled_with_all_below),
    *(Case(f"CA07-{task.__name__}", f"{task.__name__} has run out of time",
           out_of_time(task, run_timeout=0.3), late(task.__name__))
      for task in (sleep, loop, hold_the_interpreter, catch_everything)),
    Case("CA07-all", "has run out of time in all", out_of_time(hold_the_interpreter, timeout=0.3),
         late("hold_the_interpreter")),
    Case("CA08", "get in vain", get_in_vain),
]  # fmt: skip

CANCEL = "tests/contract/test_cancel.py::test_"
ELSEWHERE = [
    Elsewhere("CA01", "queued", CANCEL + "queued_task_never_runs"),
    Elsewhere("CA01", "dependency", CANCEL + "task_that_waits_for_an_argument_never_runs"),
    Elsewhere("CA01", "finished", CANCEL + "cancel_of_a_finished_task_does_nothing"),
    Elsewhere("CA01", "twice", CANCEL + "cancel_again_does_nothing"),
    Elsewhere("CA05", "children", CANCEL + "children_of_a_cancelled_task_are_cancelled_too"),
    Elsewhere("CA07", "queue", "tests/contract/test_timeouts.py::"
              "test_run_timeout_does_not_count_the_time_in_the_queue"),
]  # fmt: skip
