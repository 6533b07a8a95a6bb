"""UM: what user code does to the process that runs it, and to the interface."""

from __future__ import annotations

import builtins
import json
import os
import pickle
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

import actorgrid as ag
from actorgrid.core import messages as m
from actorgrid.exceptions import GetTimeoutError, TaskCancelledError, WorkerCrashedError
from actorgrid.testing.waiting import wait_until
from actorgrid.wire.codec import LENGTH, encode_frame
from tests.faults.catalogue import CPUS, LIMIT, Case, Elsewhere, Gives, Raises, died, error_of, get, raised, run
from tests.faults.oracle import alive

# ------------------------------------------------------------------------------------------------- what the tasks do


class OfMyOwn(BaseException):
    """Neither an Exception nor one of Python's."""


def fail(error: BaseException) -> None:
    raise error


def leave(status: int) -> None:
    sys.exit(status)


def close_everything() -> int:
    os.closerange(3, 1024)
    return 1


def close_and_open() -> None:
    """What was the grid's is the task's own: whoever talks to the grid next talks to a file."""
    os.closerange(3, 1024)
    for _ in range(50):
        os.open("/dev/null", os.O_RDWR)
    threading.Event().wait()


def close_and_wait() -> None:
    os.closerange(3, 1024)
    threading.Event().wait()


def write_into_links(data: bytes, wait: bool) -> int:
    """Write where only the grid may: into every socket that the process has."""
    for link in Path("/proc/self/fd").iterdir():
        try:
            if str(link.readlink()).startswith("socket:"):
                os.write(int(link.name), data)
        except OSError:
            pass  # listed, and closed by now
    if wait:
        threading.Event().wait()
    return 1


def close_output() -> int:
    os.closerange(0, 3)
    return os.getpid()


def flood(lines: int) -> None:
    """Print, and end the process: what it has printed is shown before its death is reported."""
    for number in range(lines):
        print("line", number)  # noqa: T201  # that is what is tested
    sys.exit(3)


def write_one_line(size: int) -> None:
    print("x" * size)  # noqa: T201  # that is what is tested
    sys.exit(3)


def write_anything() -> None:
    os.write(1, bytes(range(256)) * 100)
    os.write(2, b"\x1b[31mred\x1b]0;title\x07\xff\xfe no newline")
    sys.exit(3)


def patch_the_library() -> int:
    """Replace what a runtime might look up at the moment it needs it."""

    def broken(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("patched")

    for module, name in PATCHED:
        setattr(module, name, broken)
    return os.getpid()


PATCHED: tuple[tuple[Any, str], ...] = (
    (pickle, "dumps"), (pickle, "loads"), (pickle, "Pickler"), (socket, "socket"), (socket, "create_connection"),
    (time, "time"), (time, "monotonic"), (time, "perf_counter"), (os, "fork"), (os, "read"), (os, "write"),
    (builtins, "open"), (builtins, "print"), (json, "dumps"), (threading, "Thread"),
)  # fmt: skip


@ag.remote(num_cpus=0)
class Victim:
    """An actor whose method replaces functions of the standard library."""

    def patch(self, names: list[str]) -> int:
        for name in names:
            module, _, function = name.rpartition(".")
            setattr(sys.modules[module], function, None)
        return 1

    def echo(self, value: Any) -> Any:
        return value


def leave_a_thread_running() -> int:
    threading.Thread(target=threading.Event().wait).start()
    return os.getpid()


def change_the_folder_and_the_environment(folder: Path) -> int:
    os.chdir(folder)
    os.environ["TMPDIR"] = "/nowhere"
    os.environ.pop("PATH", None)
    sys.path.clear()
    return os.getpid()


def soundness() -> list[Any]:
    """Return what every task should find as every other one does."""
    mask = os.umask(0)
    os.umask(mask)
    handlers = [repr(signal.getsignal(number)) for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE)]
    return [Path.cwd(), dict(os.environ), sys.path, mask, handlers]


def shut_down() -> Any:
    ag.shutdown()  # documented: inside a task it does nothing
    return ag.get(ag.put(ag.is_initialized()))


def ignore_signals() -> int:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    return os.getpid()


def echo(value: Any) -> Any:
    return value


# ------------------------------------------------------------------------------------------- how it is brought about


def patch_an_actor(*names: str) -> Any:
    def inject(folder: Path) -> Any:
        del folder
        actor: Any = Victim.remote()  # type: ignore[attr-defined]  # mypy does not see the decorator
        assert get(actor.patch.remote(list(names))) == 1
        large = bytes(300_000)
        return [get(actor.echo.remote(1)), get(actor.echo.remote(large)) == large]

    return inject


def replaced(function: Any, *args: Any) -> Any:
    """What was done to the worker cannot be undone: it answers and goes."""

    def inject(folder: Path) -> bool:
        del folder
        pid = get(run(function, *args, max_retries=0))
        return wait_until(lambda: not alive(pid), LIMIT)

    return inject


def restored(function: Any, *args: Any) -> Any:
    """What was done to the worker is undone, or does no harm: it answers and stays."""

    def inject(folder: Path) -> bool:
        del folder
        pid = get(run(function, *args, max_retries=0))
        found = get([run(soundness) for _ in range(4 * CPUS)])
        return alive(pid) and all(each == found[0] for each in found)

    return inject


def patch_a_worker(folder: Path) -> Any:
    """What a task replaces in modules stays; so those that want it so have a worker to themselves here."""
    own: dict[str, Any] = {"runtime_env": {"env_vars": {"FOLDER_OF_THE_CASE": str(folder)}}, "max_retries": 0}
    pid = get(run(patch_the_library, **own))
    large = bytes(300_000)
    same, back = get([run(os.getpid, **own), run(echo, large, **own)])
    return [same == pid, back == large]


def refused(error: type[BaseException], call: Any) -> Any:
    def inject(folder: Path) -> bool:
        del folder
        found = error_of(call)
        assert isinstance(found, error), repr(found)
        return True

    return inject


def empty_and_repeated(folder: Path) -> bool:
    del folder
    ref = ag.put(1)
    return ag.get([]) == [] and ag.get([ref, ref, ref]) == [1, 1, 1] and get(run(echo, [ref])) == [ref]


def no_time_at_all(folder: Path) -> bool:
    """A timeout of 0 asks; it gives a value that is there."""
    del folder
    pending = run(time.sleep, 600)
    late = error_of(lambda: ag.get(pending, timeout=0))
    ag.cancel(pending, force=True)
    assert isinstance(error_of(lambda: get(pending)), TaskCancelledError)
    return isinstance(late, GetTimeoutError) and ag.get(ag.put(1), timeout=0) == 1


def writes(data: bytes, *, wait: bool = True) -> Any:
    return lambda _: run(write_into_links, data, wait, max_retries=1)


def mute(cause: str) -> Raises:
    """A worker that is no longer understood: it is killed, its call runs once more and does the same."""
    return died(WorkerCrashedError, f"{cause} .*and was killed.*2 attempts", "write_into_links")


#: A query in which lists lie in lists.
DEEP = LENGTH.pack(2007) + b"\x91\x94\x0c\x01\xa0\x81\xa0" + b"\x91" * 1999 + b"\xc0"
NO_MESSAGE = r"actorgrid: worker \d+ sent what is no message \(.*\) and is killed"
NO_SENSE = r"actorgrid: worker \d+ said what makes no sense \(.*\) and is killed"
PRINTED = r"\(.* pid=\d+\) .*"


def failing(error: BaseException) -> Any:
    return lambda _: run(fail, error)


CASES = [
    Case("UM01-exit", "sys.exit", lambda _: run(leave, 7, max_retries=0), died(WorkerCrashedError, "code 7", "leave")),
    Case("UM01-interrupt", "raises KeyboardInterrupt", failing(KeyboardInterrupt()),
         Raises(TaskCancelledError, (r"\bfail\b",))),
    Case("UM01-generator", "raises GeneratorExit", failing(GeneratorExit()), raised(GeneratorExit, "fail")),
    Case("UM01-own", "raises a BaseException of its own", failing(OfMyOwn("mine")), raised(OfMyOwn, "fail", "mine")),
    Case("UM01-stop", "raises StopIteration", failing(StopIteration(1)), raised(StopIteration, "fail")),
    # It ends before anybody misses it: its result lies in memory that the launcher reads when the worker has gone.
    Case("UM02", "closes all descriptors", lambda _: run(close_everything, max_retries=1), Gives(1)),
    Case("UM02-waits", "closes all descriptors and goes on", lambda _: run(close_and_wait, max_retries=1),
         died(WorkerCrashedError, "closed its link to the grid and was killed.*2 attempts", "close_and_wait")),
    Case("UM02-opens", "closes all descriptors and opens others", lambda _: run(close_and_open, max_retries=1),
         died(WorkerCrashedError, "closed its links? to the grid .*2 attempts", "close_and_open")),
    Case("UM02-output", "closes its output", replaced(close_output)),
    Case("UM04-lines", "prints 100000 lines", lambda _: run(flood, 100_000, max_retries=0),
         died(WorkerCrashedError, "code 3", "flood"), PRINTED),
    Case("UM04-long", "prints a line of 20 MB", lambda _: run(write_one_line, 20 << 20, max_retries=0),
         died(WorkerCrashedError, "code 3", "write_one_line"), f"{PRINTED}|x*", slow=True),
    Case("UM04-bytes", "prints bytes that are no text", lambda _: run(write_anything, max_retries=0),
         died(WorkerCrashedError, "code 3", "write_anything"), r"(?s).*"),
    Case("UM05-text", "prints into its links", writes(b"Traceback (most recent call last):\n"),
         mute("sent what is no message"), NO_MESSAGE),
    Case("UM05-frame", "writes a frame of nothing into its links", writes(b"\x05\0\0\0\xff\xff\xff\xff\xff"),
         mute("sent what is no message"), NO_MESSAGE),
    Case("UM05-length", "promises a frame and does not write it", writes(b"\xff\xff\xff\x0f\0"),
         mute("sent what is no message"), NO_MESSAGE),
    Case("UM05-byte", "writes one byte into its links and returns", writes(b"\x01", wait=False),
         mute("sent what is no message"), NO_MESSAGE),
    Case("UM05-deep", "writes what is nested too deep", writes(DEEP),
         mute("sent what is no message"), NO_MESSAGE),
    Case("UM05-sense", "says what makes no sense", writes(encode_frame([m.Submit(1 << 60, 1 << 60)])),
         mute("said what makes no sense"), NO_SENSE),
    Case("UM07", "replaces functions of the standard library", patch_a_worker, Gives([True, True])),
    Case("UM07-time", "replaces the clock of its actor",
         patch_an_actor("time.time", "time.monotonic", "time.perf_counter", "time.sleep"), Gives([1, True])),
    Case("UM07-pickle", "replaces pickle in its actor", patch_an_actor("pickle.dumps", "pickle.loads"),
         Gives([1, True])),
    Case("UM07-os", "replaces functions of os in its actor",
         patch_an_actor("os.fork", "os.read", "os.write"), Gives([1, True])),
    Case("UM07-builtins", "replaces builtins in its actor",
         patch_an_actor("builtins.open", "builtins.print", "json.dumps", "socket.socket"), Gives([1, True])),
    Case("UM08-thread", "leaves a thread running", restored(leave_a_thread_running)),
    Case("UM08-signals", "ignores every signal it can", restored(ignore_signals)),
    Case("UM09", "changes folder and environment", lambda folder: restored(
        change_the_folder_and_the_environment, folder)(folder)),
    Case("UM10", "shuts down in a task", lambda _: run(shut_down)),
    Case("UM14-value", "get of a value", refused(ValueError, lambda: ag.get(7))),
    Case("UM14-nan", "timeout that is no number", refused(ValueError, lambda: ag.get(ag.put(1), timeout=float("nan")))),
    Case("UM14-negative", "negative timeout is none", lambda _: ag.get(run(echo, 1), timeout=-1.5), Gives(1)),
    Case("UM14-zero", "timeout of zero", no_time_at_all),
    Case("UM14-empty", "empty and repeated references", empty_and_repeated),
]  # fmt: skip

ELSEWHERE = [
    Elsewhere("UM04", "nobody reads what is printed", "tests/proc/test_attacks.py::"
              "test_calls_go_on_though_nobody_reads_what_is_printed"),
    Elsewhere("UM05", "writes into its links", "tests/contract/test_attacks.py::"
              "test_bytes_written_to_the_descriptors_of_a_worker_cost_that_worker_only"),
    Elsewhere("UM08", "keeps memory", "tests/proc/test_memory.py::"
              "test_worker_that_has_grown_is_replaced_between_two_tasks_free_of_charge"),
    Elsewhere("UM10", "init in a task", "tests/proc/test_environment.py::"
              "test_init_in_a_task_joins_the_grid_of_its_driver_if_it_may"),
    Elsewhere("UM13", "wrong number of arguments", "tests/contract/test_arguments_checks.py::"
              "test_wrong_number_of_arguments_is_a_type_error_at_the_call"),
    Elsewhere("UM04", "every line arrives", "tests/proc/test_output.py::"
              "test_every_one_of_a_hundred_thousand_lines_is_shown_in_its_order"),
    Elsewhere("UM17", "script, -m, -c and standard input", "tests/proc/test_environment.py::"
              "test_functions_and_classes_of_the_main_program"),
    Elsewhere("UM17", "zipapp", "tests/proc/test_environment.py::"
              "test_program_in_an_archive_has_its_functions_classes_and_modules_in_workers"),
    Elsewhere("UM17", "no main guard", "tests/proc/test_environment.py::"
              "test_program_without_a_main_guard_is_not_run_again"),
]  # fmt: skip
