"""The processes of a grid, for tests that want to see and to kill them."""

from __future__ import annotations

import gc
import os
import signal
from typing import Any, Final

import psutil

import actorgrid
from actorgrid.engine import current
from actorgrid.exceptions import ActorGridError
from actorgrid.testing.waiting import wait_until

#: How long something may take that must happen (seconds): far more than a busy machine needs.
DEADLINE: Final = 30.0
#: How long what is about to end may take (seconds).
PATIENCE: Final = 5.0
#: Logical CPUs of a grid that says nothing else: two tasks at a time, on any machine.
CPUS: Final = 2
_OURS: Final = "actorgrid: "
_WORKER: Final = "actorgrid: worker"


def title_of(process: psutil.Process) -> str:
    """Return what ``ps`` shows for a process, "" if it has gone."""
    try:
        return " ".join(process.cmdline()).strip()
    except psutil.Error:
        return ""


class ProcessHandle:
    """A process. It stays the same one: if its id is given to another process, this one is dead."""

    def __init__(self, process: psutil.Process | int) -> None:
        """Take hold of a process. Raises psutil.NoSuchProcess if there is none with this id."""
        self._process = psutil.Process(process) if isinstance(process, int) else process
        self._last_title = title_of(self._process)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it lives. A zombie does not."""
        try:
            return self._process.is_running() and self._process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return False

    @property
    def title(self) -> str:
        """What ``ps`` shows for it; of a dead one, what was seen last."""
        self._last_title = title_of(self._process) or self._last_title
        return self._last_title

    @property
    def runs(self) -> str:
        """The name of the task or method that a worker runs or ran last; "" before its first, and for others."""
        return self.title.removeprefix(_WORKER).strip() if self.title.startswith(_WORKER) else ""

    def send_signal(self, number: int) -> None:
        """Send it a signal; nothing happens if it has gone."""
        try:
            self._process.send_signal(number)
        except psutil.NoSuchProcess:
            pass

    def kill(self) -> None:
        """Send SIGKILL. It is dead a moment later: see ``wait``."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def wait(self, seconds: float = DEADLINE) -> None:
        """Wait until it is dead. Raises TimeoutError if it lives on for ``seconds``."""
        if not wait_until(lambda: not self.alive, seconds):
            raise TimeoutError(f"{self!r} has not ended within {seconds} s")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ProcessHandle) and self._process == other._process

    def __hash__(self) -> int:
        return hash(self._process)

    def __repr__(self) -> str:
        dead = "" if self.alive else ", dead"
        return f"<process {self.pid}{dead}: {self.title}>"


def running_head() -> int | None:
    """Return the process id of the head of the grid that this program has started, None if there is none."""
    pid = getattr(current.installed(), "head_pid", None)
    return pid if isinstance(pid, int) else None


def launcher_of(head: int) -> ProcessHandle | None:
    """Return the launcher of a head, None if it has none (yet, or any more)."""
    try:
        children = psutil.Process(head).children()
    except psutil.Error:
        return None
    return next((ProcessHandle(child) for child in children if title_of(child) == f"{_OURS}launcher"), None)


def workers_of(launcher: ProcessHandle) -> list[ProcessHandle]:
    """Return the workers that a launcher has forked and that live, oldest first.

    Orphans of user code are children of the launcher, too: those lead no process group, or have another title.
    """
    try:
        children = psutil.Process(launcher.pid).children()
    except psutil.Error:
        return []
    found = [child for child in children if title_of(child).startswith(_OURS) and _leads_group(child.pid)]
    handles = [ProcessHandle(child) for child in sorted(found, key=lambda child: (child.create_time(), child.pid))]
    return [handle for handle in handles if handle.alive]


def _leads_group(pid: int) -> bool:
    try:
        return os.getpgid(pid) == pid
    except OSError:
        return False


class RealGrid:
    """The grid of real processes that this program runs: what the fixtures ``grid`` and ``session_grid`` give."""

    def __init__(self) -> None:
        self._launchers: dict[int, ProcessHandle] = {}

    @property
    def head(self) -> ProcessHandle:
        """The head process. Raises RuntimeError if no grid of real processes runs."""
        pid = running_head()
        if pid is None:
            raise RuntimeError("no grid of real processes runs: call actorgrid.init()")
        try:
            return ProcessHandle(pid)
        except psutil.NoSuchProcess:
            raise RuntimeError(f"the head process (pid {pid}) is dead, and so is its grid") from None

    @property
    def launcher(self) -> ProcessHandle:
        """The launcher, parent of all workers. Raises RuntimeError if the grid is dead."""
        head = self.head
        if head.pid not in self._launchers:
            # A head that has just been started forks its launcher in a moment.
            wait_until(lambda: launcher_of(head.pid) is not None or not head.alive, DEADLINE)
            found = launcher_of(head.pid)
            if found is None:
                raise RuntimeError(f"{head!r} has no launcher")
            self._launchers[head.pid] = found
        return self._launchers[head.pid]

    @property
    def workers(self) -> list[ProcessHandle]:
        """The workers that live now, oldest first. Raises RuntimeError if the grid is dead."""
        return workers_of(self.launcher)

    def worker(self, runs: str, seconds: float = DEADLINE) -> ProcessHandle:
        """Wait for a worker that runs (or ran last) the task or method of this name, and return it.

        Raises TimeoutError, naming the workers there are, if none does within ``seconds``.
        """
        found: list[ProcessHandle] = []

        def look() -> list[ProcessHandle]:
            found[:] = [worker for worker in self.workers if worker.runs == runs]
            return found

        if not wait_until(look, seconds):
            raise TimeoutError(f"no worker runs {runs!r}; there are {self.workers}")
        return found[0]

    @property
    def alive(self) -> bool:
        """Whether a grid runs, with its head and its launcher."""
        try:
            return self.head.alive and self.launcher.alive
        except RuntimeError:
            return False

    def __repr__(self) -> str:
        if not self.alive:
            return "<no living grid>"
        return f"<grid: head {self.head.pid}, launcher {self.launcher.pid}, workers {self.workers}>"


class SessionGrid:
    """One grid for many tests: replaced when it does not live, or when the last test has left work behind."""

    def __init__(self, patience: float = PATIENCE, **options: Any) -> None:
        """``options`` are those of ``init``; work of the last test has ``patience`` seconds to end. Starts nothing."""
        self._patience = patience
        self._options = {"num_cpus": CPUS} | options
        self._engine: Any = None
        self._processes = RealGrid()

    def use(self) -> RealGrid:
        """Return the grid, alive and idle; started, or started again, if need be."""
        if not self._usable():
            actorgrid.shutdown()
            actorgrid.init(engine="process", **self._options)
            self._engine = current.installed()
        return self._processes

    def _usable(self) -> bool:
        if self._engine is None or current.installed() is not self._engine or not self._processes.alive:
            return False
        try:
            return wait_until(self._idle, self._patience)
        except (ActorGridError, RuntimeError):  # it died while we asked
            return False

    @staticmethod
    def _idle() -> bool:
        gc.collect()  # tracebacks of caught errors are cycles that hold references
        free, all_there_is = actorgrid.available_resources(), actorgrid.cluster_resources()
        return all(free.get(name) == amount for name, amount in all_there_is.items() if name != "object_store_memory")

    def end(self) -> None:
        """End the grid, if it still runs."""
        if self._engine is not None and current.installed() is self._engine:
            actorgrid.shutdown()
        self._engine = None
