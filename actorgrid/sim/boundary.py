"""Where simulated code ends: what is simulated, what is refused, and what goes through unseen.

``boundary()`` is the list, one line for each thing that a program may touch. What is refused raises SimulationError in
the user's code, at the call. What cannot be seen from within Python is said to be "real": whoever uses it makes a run
depend on it, and ``explore`` finds that out by running schedules twice, if what comes of it is passed to another
process or decides what happens.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Final, Literal, NamedTuple

from actorgrid.exceptions import SimulationError
from actorgrid.sim.files import EVENTS, Told


class Row(NamedTuple):
    """One line of the boundary."""

    what: str
    how: Literal["simulated", "refused", "checked", "real"]
    note: str = ""


_ROWS: Final = (
    Row("time.time, monotonic, perf_counter, clock_gettime, their _ns forms, time.sleep", "simulated", "virtual time"),
    Row(
        "the same names in your modules, from before the run: imported by name, in default arguments, closures, "
        "partials, fields of dataclasses, classes, instances, dicts (also default_factory) and lists",
        "simulated",
        "while a run lasts, three levels deep",
    ),
    Row("the same names deeper in your modules, or in objects of other classes", "real", "look them up when called"),
    Row("the same names taken by installed packages", "real", "if imported before the first run; else simulated"),
    Row(
        "datetime.datetime.now, utcnow, today; datetime.date.today; of classes derived from these, too",
        "simulated",
        "virtual time, also for installed packages; not for a now that a package has kept as a function",
    ),
    Row("sched.scheduler, timeit", "simulated", "virtual time"),
    Row("time.localtime, gmtime, strftime, ctime, asctime without an argument", "simulated", "virtual time"),
    Row("time.process_time, thread_time, os.times", "simulated", "virtual time: computing takes none"),
    Row(
        "select.select, selectors.SelectSelector",
        "simulated",
        "looks, waits its timeout in virtual time, and looks again; refused without one",
    ),
    Row("select.poll, select.epoll, selectors that use them", "refused", "they would wait in real time"),
    Row("asyncio timers, loops and asyncio.run", "simulated", "virtual time; CPython's own order of callbacks"),
    Row(
        "calls that reach an asynchronous actor, and results that any event loop awaits, while others there can go on",
        "simulated",
        "between any two callbacks, in no time",
    ),
    Row(
        "in asyncio: create_subprocess_exec and _shell, open_connection, start_server, other connections, servers and "
        "pipes, loop.sock_*, add_reader, add_writer, add_signal_handler, getaddrinfo, getnameinfo",
        "refused",
        "they lead out of the simulation",
    ),
    Row("threading: Thread, Lock, RLock, Condition, Event, Semaphore, Barrier, Timer", "simulated", "fibers"),
    Row(
        "the order of threads of one process",
        "simulated",
        "a choice where they begin, call, or have waited, in threaded actors, too; nobody comes in between elsewhere",
    ),
    Row(
        "Lock, RLock, SimpleQueue in your modules",
        "simulated",
        "one for each process; those from before the run while it lasts, three levels deep, if nobody holds them",
    ),
    Row(
        "Condition, Event, Semaphore, Barrier, Queue in your modules",
        "simulated",
        "as these, but one for all simulated processes: real ones have one each",
    ),
    Row("locks in installed packages", "real", "a simulated thread that waits for one stops everything"),
    Row("queue.Queue, queue.SimpleQueue, concurrent.futures.ThreadPoolExecutor", "simulated", "fibers"),
    Row("a ThreadPoolExecutor made before the run", "real", "its threads are real: make it where you use it"),
    Row("threading.local", "real", "shared by all simulated threads of all processes"),
    Row("threading.get_ident, get_native_id of a thread that simulated code has started", "simulated", "a number"),
    Row("threading.get_native_id of a process's main thread", "simulated", "the process id, as on Linux"),
    Row(
        "threading.get_ident of a process's main thread, LogRecord.thread, Thread.native_id",
        "real",
        "those of the one real thread: the same in all simulated processes, and another in the next program run",
    ),
    Row("random.*, random.Random()", "simulated", "follows the seed, for each process apart"),
    Row("os.urandom, os.getrandom, secrets, uuid.uuid4, random.SystemRandom", "simulated", "follows the seed"),
    Row("names of temporary files", "simulated", "follow the seed; the files are real"),
    Row("uuid.uuid1", "refused", "it holds the machine's address"),
    Row("numpy.random: its functions, default_rng()", "simulated", "follow the seed, for each process apart"),
    Row("functions of numpy.random that are kept elsewhere", "simulated", "follow the seed, one generator for all"),
    Row("os.getpid, os.getppid", "simulated", "every process has the parent 1"),
    Row("os.getpgid, os.getpgrp, os.getsid", "simulated", "all processes are of the program's group"),
    Row("os.setpgid, os.setpgrp, os.setsid", "refused", "all processes are of one group"),
    Row("os.getloadavg", "simulated", "zeros"),
    Row("sys.setswitchinterval", "simulated", "accepted and without effect"),
    Row("os.nice, setpriority, sched_setaffinity, sched_setscheduler, sched_setparam", "refused", "of one process"),
    Row("os.kill, os._exit, sys.exit, signal.raise_signal of a simulated process", "simulated"),
    Row("os.kill, signal.raise_signal of the main program; os.abort, os.killpg", "refused"),
    Row("os.wait, os.waitpid, ...", "simulated", "a simulated process has no children"),
    Row("os.environ", "simulated", "each process has its own; a run leaves no trace in the real one"),
    Row("os.putenv, os.unsetenv", "simulated", "without effect, but for the program itself under init(engine='sim')"),
    Row("os.fork, os.forkpty, multiprocessing with each of its start methods", "refused"),
    Row("multiprocessing.shared_memory", "refused", "arrays in put() are shared without copies"),
    Row("locks and queues of multiprocessing's start methods spawn and forkserver", "refused", "they have names"),
    Row("subprocess, os.system, os.exec*, os.posix_spawn", "refused"),
    Row("sockets: connect, bind, sending to an address, name look-ups", "refused"),
    Row("_thread.start_new_thread, start_joinable_thread", "refused", "use threading.Thread"),
    Row("signal.signal", "real", "accepted and without effect: no signal but SIGKILL reaches a simulated process"),
    Row(
        "signal.alarm, setitimer, pause, sigwait, sigwaitinfo, sigtimedwait, pthread_kill, pthread_sigmask, "
        "set_wakeup_fd, siginterrupt",
        "refused",
        "signals belong to the one real process",
    ),
    Row("files and folders", "real", "all processes see the same ones, as on real processes"),
    Row(
        "two processes that open, rename, remove, list or look at one file or folder, and one of them changes it",
        "checked",
        "unless one had to wait for the other, who comes first is a choice: before each such call others may go on",
    ),
    Row(
        "... and what they read and write through what is open already, or through C code",
        "real",
        "nobody sees that: a search of a program whose processes meet at a file is not called exhaustive",
    ),
    Row(
        "fcntl.flock, fcntl.lockf",
        "simulated",
        "between simulated processes; the locks of a dead one are free; lockf through two descriptors of one process "
        "on one file is refused",
    ),
    Row("fcntl.fcntl(F_SETLK, F_SETLKW, F_GETLK and their F_OFD_ forms), os.lockf", "refused", "use fcntl.lockf"),
    Row("os.listdir, os.scandir", "real", "their order is the file system's"),
    Row("pipes, socketpairs", "real", "a simulated thread that waits for one stops everything"),
    Row(
        "os.chdir, os.umask",
        "real",
        "all simulated processes share one working directory and one mask, but for those with a working_dir",
    ),
    Row(
        "runtime_env: working_dir, py_modules",
        "simulated",
        "working directory, sys.path and sys.modules change with the process that runs; a module that the program has "
        "loaded from there is everybody's",
    ),
    Row(
        "os.uname, cpu_count, getlogin, getpriority, sysconf, statvfs, shutil.disk_usage, resource",
        "real",
        "those of the machine and of the one real process",
    ),
    Row("locale.setlocale", "real", "one for all simulated processes, and it stays after the run"),
    Row(
        "sys.getallocatedblocks, sys.getrefcount, gc.get_count, gc.get_stats, tracemalloc, sys._current_frames",
        "real",
        "those of the one interpreter",
    ),
    Row(
        "module globals, also those that the run adds; class attributes; default arguments and attributes of "
        "functions, also of remote ones and of remote classes' methods; variables of closures",
        "checked",
        "SharedStateLeak if a process runs code that refers to what another one has changed: plain data, containers of "
        "it and instances of your classes, in your modules, three levels deep",
    ),
    Row(
        "globals whose names are made up when the program runs, or that are added to another module",
        "real",
        "shared: code does not show which they are",
    ),
    Row(
        "what simulated workers did to these",
        "simulated",
        "undone after the run: each begins with modules as the program has them; what the main program did stays",
    ),
    Row("state that only C code or an installed package keeps", "real", "shared by all simulated processes"),
    Row("classes and functions defined in functions or in __main__", "simulated", "each process has its own copy"),
    Row("arguments and results", "simulated", "pickled, as on real processes"),
    Row(
        "the order of sets of strings",
        "real",
        "goes by PYTHONHASHSEED: a schedule remembers it, the command line sets it to 0; actorgrid_hash_seed of pytest",
    ),
    Row(
        "id(), default hash(), sets of plain objects",
        "real",
        "addresses differ; schedules that are run twice tell, but for those in texts: 0x7f..., as in the default repr",
    ),
    Row("hash(None) before Python 3.12, hash of a NaN", "real", "an address: it differs from process to process"),
    Row(
        "asyncio.Future() made by hand, asyncio.gather() in a set",
        "real",
        "hashed by address: use loop.create_future()",
    ),
    Row("hash of references, handles, futures and tasks of asyncio", "simulated", "their number: sets have one order"),
    Row("the garbage collector", "simulated", "off while a schedule runs, and run between two"),
    Row("warnings shown once, import side effects, lru_cache", "real", "once per interpreter, not per process"),
    Row("sys.argv, sys.path, logging handlers, atexit", "real", "one interpreter"),
    Row(
        "LogRecord.relativeCreated",
        "real",
        "counts from the real time at which logging was imported, which virtual time may precede: use created",
    ),
    Row("standard output and error", "real", "not prefixed with the process"),
    Row("descriptors 0, 1 and 2", "refused", "closing them would close them for all"),
    Row("C extensions that wait or use threads", "real", "nothing else runs meanwhile"),
    Row(
        "clocks and randomness that C code asks for: numpy.datetime64('now') and ('today'), ssl.RAND_bytes, random() "
        "and datetime('now') of SQLite, _random.Random() without a seed, ctypes",
        "real",
        "time.time(), secrets and random are the simulated ones",
    ),
    Row("times of files, /dev/urandom, mmap", "real", "they belong to files"),
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
    """Lets simulated code do what it may: hooks cannot be removed, so there is one, and it asks whether such runs."""

    def __init__(self) -> None:
        self._simulated: list[Callable[[], bool]] = []
        #: One at the most, and the same for all worlds.
        self._touched: list[Told] = []
        self._installed = False
        self._hook = _hook(self._simulated, self._touched)

    def open(self, simulated: Callable[[], bool], touched: Told) -> None:
        """A world begins; ``simulated()`` says whether code of it runs now, ``touched`` is told of files."""
        if not self._installed:
            self._installed = True
            sys.addaudithook(self._hook)
        self._simulated.append(simulated)
        self._touched[:] = [touched]

    def close(self, simulated: Callable[[], bool]) -> None:
        """A world ends."""
        self._simulated.remove(simulated)
        if not self._simulated:
            self._touched.clear()


def _hook(worlds: list[Callable[[], bool]], touched: list[Told]) -> Callable[[str, tuple[Any, ...]], None]:
    """Return the audit hook, for as long as the interpreter lives; ``worlds``: whose code is refused things.

    ``touched``: who is told of files.

    A function: of a bound method the interpreter asks at every event whether it is to be traced, which raises each
    time. Even ``id()`` is an event.
    """

    def hook(
        event: str, args: tuple[Any, ...], known: frozenset[str] = _REFUSED | EVENTS, files: frozenset[str] = EVENTS
    ) -> None:
        # ``known``: at the interpreter's end the module has lost its globals, and hooks are called on.
        if event not in known:
            return
        if event in files:
            for tell in touched:
                tell(event, args)
        elif any(simulated() for simulated in worlds):
            shown = f"{args[0]!r:.60}" if args else ""
            raise SimulationError(
                f"the simulator cannot run {event}({shown}): other processes and machines are outside of the "
                "simulation. Put it behind an interface and give the simulation another implementation"
            )

    return hook


gate: Final = _Gate()
