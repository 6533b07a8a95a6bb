"""Where simulated code ends: what is simulated, what is refused, and what goes through unseen.

``boundary()`` is the list, one line for each thing that a program may touch. What is refused raises SimulationError in
the user's code, at the call. What cannot be seen from within Python is said to be "real": whoever uses it makes a run
depend on it, and ``explore`` finds that out by running schedules twice.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Final, Literal, NamedTuple

from actorgrid.exceptions import SimulationError


class Row(NamedTuple):
    """One line of the boundary."""

    what: str
    how: Literal["simulated", "refused", "checked", "real"]
    note: str = ""


_ROWS: Final = (
    Row("time.time, monotonic, perf_counter, their _ns forms, time.sleep", "simulated", "virtual time"),
    Row("from time import ..., from datetime import ... in your modules", "simulated", "while a run lasts"),
    Row("the same names taken by installed packages", "real", "they keep the functions that they imported"),
    Row("datetime.datetime.now, utcnow, today; datetime.date.today", "simulated", "virtual time"),
    Row("time.localtime, gmtime, strftime, ctime without an argument", "simulated", "virtual time"),
    Row("time.process_time, thread_time", "simulated", "virtual time: computing takes none"),
    Row("asyncio timers, loops and asyncio.run", "simulated", "virtual time; CPython's own order of callbacks"),
    Row("threading: Thread, Lock, RLock, Condition, Event, Semaphore, Barrier, Timer", "simulated", "fibers"),
    Row("locks made before the run began", "real", "a simulated thread that waits for one stops everything"),
    Row("locks that a module makes while it is imported", "real", "they stay when the run is over"),
    Row("queue.Queue, queue.SimpleQueue, concurrent.futures.ThreadPoolExecutor", "simulated", "fibers"),
    Row("threading.local", "real", "shared by all simulated threads of all processes"),
    Row("random.*, random.Random()", "simulated", "follows the seed, for each process apart"),
    Row("os.urandom, secrets, uuid.uuid4, random.SystemRandom", "simulated", "follows the seed"),
    Row("uuid.uuid1", "refused", "it holds the machine's address"),
    Row("numpy.random (the hidden generator)", "simulated", "follows the seed, one for all processes"),
    Row("numpy.random.default_rng()", "real", "give it a seed"),
    Row("os.getpid", "simulated"),
    Row("os.kill, os._exit, sys.exit of a simulated process", "simulated"),
    Row("os.environ", "simulated", "each process has its own"),
    Row("os.fork, os.forkpty, multiprocessing", "refused"),
    Row("subprocess, os.system, os.exec*, os.posix_spawn", "refused"),
    Row("sockets: connect, bind, sending to an address, name look-ups", "refused"),
    Row("_thread.start_new_thread", "refused", "use threading.Thread"),
    Row("signal.signal", "real", "accepted and without effect: no signal but SIGKILL reaches a simulated process"),
    Row("signal.alarm, signal.setitimer", "refused"),
    Row("files and folders", "real", "all processes see the same ones, as on real processes"),
    Row("os.listdir, os.scandir", "real", "their order is the file system's"),
    Row("os.chdir", "real", "all simulated processes share one working directory"),
    Row("module globals", "checked", "SharedStateLeak if one process changes what the code of another refers to"),
    Row("class attributes", "real", "shared by all simulated processes: keep state in actors"),
    Row("classes and functions defined in functions or in __main__", "simulated", "each process has its own copy"),
    Row("arguments and results", "simulated", "pickled, as on real processes"),
    Row("the order of sets of strings", "real", "set PYTHONHASHSEED: it differs from process to process"),
    Row("id(), default hash(), sets of plain objects", "real", "addresses differ; schedules that are run twice tell"),
    Row("hash of references and handles", "simulated", "their number"),
    Row("the garbage collector", "simulated", "off while a schedule runs, and run between two"),
    Row("warnings shown once, import side effects, lru_cache", "real", "once per interpreter, not per process"),
    Row("sys.argv, sys.path, logging handlers, atexit", "real", "one interpreter"),
    Row("standard output and error", "real", "not prefixed with the process"),
    Row("descriptors 0, 1 and 2", "refused", "closing them would close them for all"),
    Row("C extensions that wait or use threads", "real", "nothing else runs meanwhile"),
    Row("code that never calls and never waits", "real", "it cannot be stopped"),
    Row("@method(readonly=True)", "checked", "a method that changes its actor is an error"),
)

#: Audit events that are refused to simulated code.
_REFUSED: Final = frozenset(
    {
        "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.system", "subprocess.Popen", "socket.bind",
        "socket.connect", "socket.getaddrinfo", "socket.gethostbyaddr", "socket.gethostbyname", "socket.getnameinfo",
        "socket.sendmsg", "socket.sendto",
    }
)  # fmt: skip


def boundary() -> tuple[Row, ...]:
    """Return what is simulated, refused, checked, and real."""
    return _ROWS


def page() -> str:
    """Return ``docs/reference/boundary.md``."""
    rows = [f"| {row.what} | {row.how} | {row.note} |" for row in _ROWS]
    head = ["# The boundary of a simulation", "", "What a simulated program touches, and what it finds there.", ""]
    return "\n".join([*head, "| What | How | |", "|---|---|---|", *rows, ""])


class _Gate:
    """The audit hook: hooks cannot be removed, so there is one, and it asks whether simulated code runs."""

    def __init__(self) -> None:
        self._simulated: list[Callable[[], bool]] = []
        self._installed = False

    def open(self, simulated: Callable[[], bool]) -> None:
        """A world begins; ``simulated()`` says whether code of it runs now."""
        if not self._installed:
            self._installed = True
            sys.addaudithook(self._hook)
        self._simulated.append(simulated)

    def close(self, simulated: Callable[[], bool]) -> None:
        """A world ends."""
        self._simulated.remove(simulated)

    def _hook(self, event: str, args: tuple[Any, ...]) -> None:
        if event in _REFUSED and any(simulated() for simulated in self._simulated):
            shown = f"{args[0]!r:.60}" if args else ""
            raise SimulationError(
                f"the simulator cannot run {event}({shown}): other processes and machines are outside of the "
                "simulation. Put it behind an interface and give the simulation another implementation"
            )


gate: Final = _Gate()
