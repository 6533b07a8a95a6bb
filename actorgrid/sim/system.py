"""What simulated code finds in place of the operating system: processes, signals, descriptors, programs to start."""

from __future__ import annotations

import _posixshmem  # type: ignore[import-not-found]  # it has no stubs
import _posixsubprocess
import _thread
import errno
import fcntl
import os
import posix
import select
import selectors
import signal
import sys
import threading
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NoReturn

from actorgrid.exceptions import SimulationError
from actorgrid.sim import replaced
from actorgrid.sim.host import SimHost

if TYPE_CHECKING:
    from actorgrid.sim.worker import Worker
    from actorgrid.sim.world import World

#: Standard input, output and error.
LAST_STANDARD: Final = 2
#: What the main program's process is called; and the parent of every process.
MAIN: Final = 1000
PARENT: Final = 1

#: Makes what stands for a function, given the system of a world.
Maker = Callable[["System"], Callable[..., Any]]
Gate = Callable[[Any, str, Maker], None]
Refusal = Callable[[Any, str, str], None]


def lay_out(gate: Gate, refuse: Refusal) -> None:
    """Put everything in place with these two: the same for all worlds."""

    def gate_both(module: Any, name: str, make: Maker) -> None:
        if module is os and hasattr(posix, name):
            gate(posix, name, make)
        gate(module, name, make)

    _processes(gate_both, refuse)
    _groups(gate_both, refuse)
    _signals(gate, refuse)
    _waiting(gate, refuse)
    for name in ("flock", "lockf", "fcntl"):
        gate(fcntl, name, _of_file_locks(name))
    refuse(os, "lockf", "use fcntl.lockf")
    for name in ("stat", "access"):
        real = replaced.real(os, name)
        gate(os, name, _looking(real))
        for able in (os.supports_dir_fd, os.supports_effective_ids, os.supports_fd, os.supports_follow_symlinks):
            if real in able:
                able.add(getattr(os, name))  # who asks whether it can do something means this


def _processes(gate: Gate, refuse: Refusal) -> None:
    gate(os, "getpid", lambda system: system.getpid)
    gate(os, "getppid", lambda _: lambda: PARENT)
    gate(os, "kill", lambda system: system.kill)
    gate(os, "_exit", lambda system: system.exit)
    gate(os, "times", lambda system: system.times)
    for name in ("wait", "waitpid", "waitid", "wait3", "wait4"):
        gate(os, name, lambda _: _no_children)
    for name in ("putenv", "unsetenv"):
        gate(os, name, _setting(replaced.real(os, name)))
    real_close = replaced.real(os, "close")
    gate(os, "close", lambda _: lambda fd: real_close(fd) if fd > LAST_STANDARD else _keep_open(fd))
    for name in ("fork", "forkpty"):
        refuse(os, name, "a simulated process cannot be copied")
    refuse(os, "abort", "it would end the one real process; use os.kill(os.getpid(), signal.SIGABRT)")
    refuse(_posixsubprocess, "fork_exec", "other processes are outside of the simulation")
    # The standard library makes the memory first, and starts the process that removes it after a death second.
    refuse(_posixshmem, "shm_open", "memory with a name outlives whoever is killed; use actorgrid.put()")
    for module, name in (
        (_thread, "start_new_thread"), (_thread, "start_new"), (_thread, "start_joinable_thread"),
        (threading, "_start_new_thread"), (threading, "_start_joinable_thread"),
    ):  # fmt: skip
        if hasattr(module, name):
            refuse(module, name, "use threading.Thread")


def _groups(gate: Gate, refuse: Refusal) -> None:
    """All simulated processes are of one group, that of the main program; how fast they run is nobody's choice."""
    gate(os, "getpgrp", lambda _: lambda: MAIN)
    for name in ("getpgid", "getsid"):
        gate(os, name, lambda system: system.group_of)
    gate(os, "getloadavg", lambda _: lambda: (0.0, 0.0, 0.0))
    gate(sys, "setswitchinterval", lambda _: lambda _seconds: None)
    for name in ("setpgid", "setpgrp", "setsid", "killpg"):
        refuse(os, name, "all simulated processes are of one group")
    for name in ("nice", "setpriority", "sched_setaffinity", "sched_setscheduler", "sched_setparam"):
        if hasattr(os, name):
            refuse(os, name, "it would change the one real process, and no simulated one runs faster for it")


def _signals(gate: Gate, refuse: Refusal) -> None:
    gate(signal, "signal", lambda _: lambda number, _handler: signal.getsignal(number))
    gate(signal, "raise_signal", lambda system: lambda number: system.kill(system.getpid(), number))
    for name in (
        "alarm", "setitimer", "pause", "sigwait", "sigwaitinfo", "sigtimedwait", "pthread_kill", "pthread_sigmask",
        "set_wakeup_fd", "siginterrupt", "pidfd_send_signal",
    ):  # fmt: skip
        refuse(signal, name, "signals belong to the one real process")


def _waiting(gate: Gate, refuse: Refusal) -> None:
    why = "it would wait in real time; use select.select with a timeout, or asyncio"
    refuse(select, "poll", why)
    refuse(select, "epoll", why)
    refuse(selectors.PollSelector, "_selector_cls", why)
    refuse(selectors.EpollSelector, "_selector_cls", why)
    real = replaced.real(select, "select")
    gate(selectors.SelectSelector, "_select", lambda system: system.select(real))
    gate(select, "select", lambda system: system.select(real))


def _of_file_locks(name: str) -> Maker:
    return lambda system: getattr(system.world.file_locks, name)


def _looking(real: Callable[..., Any]) -> Maker:
    return lambda system: partial(system.world.files.looks, real)


def _setting(real: Callable[..., None]) -> Maker:
    return lambda system: partial(system.set_variable, real)


class System:
    """The operating system of one world."""

    def __init__(self, world: World) -> None:
        self.world = world

    def times(self) -> os.times_result:
        """See ``os.times``."""
        return os.times_result((0.0, 0.0, 0.0, 0.0, self.world.clock.monotonic()))

    def group_of(self, pid: int) -> int:
        """See ``os.getpgid``."""
        if pid not in (0, MAIN) and self._target(pid) is None:
            raise ProcessLookupError(errno.ESRCH, "no simulated process has this id", pid)
        return MAIN

    def select(self, real: Callable[..., Any]) -> Callable[..., Any]:
        """Return what stands for ``select.select``."""

        def wait(readable: Any, writable: Any, others: Any, timeout: float | None = None) -> Any:
            """Look at once, and again when the virtual time is over: nobody outside of this process is waited for."""
            ready = real(readable, writable, others, 0)
            if any(ready) or timeout == 0:
                return ready
            if timeout is None:
                raise SimulationError("the simulator cannot run select.select: without a timeout it waits for ever")
            self.world.waits.sleep(timeout)
            return real(readable, writable, others, 0)

        return wait

    def _home(self) -> SimHost | None:
        fiber = self.world.fibers.current
        home = fiber.home if fiber is not None else None
        return home if isinstance(home, SimHost) else None

    def share(self) -> None:
        """The process whose code runs does more than one thing at a time from now on."""
        home = self._home()
        if home is not None:
            home.share()

    def getpid(self) -> int:
        """See ``os.getpid``."""
        home = self._home()
        return home.pid if home is not None else MAIN

    def set_variable(self, real: Callable[..., None], *arguments: Any) -> None:
        """``os.environ`` says so whenever it changes: only a program of its own may start others, who see it."""
        if self.world.loud and self.getpid() == MAIN:
            real(*arguments)

    def _target(self, pid: int) -> Worker | None:
        grid = self.world.grid
        return grid.process(pid) if grid is not None else None

    def kill(self, pid: int, number: int) -> None:
        """Signal a simulated process."""
        if pid == MAIN and number:
            raise SimulationError(
                f"the simulator cannot run os.kill({pid}, ...): signals do not reach the main program"
            )
        target = self._target(pid)
        if target is None or not target.engine.alive:
            raise ProcessLookupError(errno.ESRCH, "no simulated process has this id", pid)
        home = self._home()
        if number and home is not None and home is not target.engine:
            home.act("kills a process", target.victim)
        if number and target.engine.alive:
            target.grid.died(target, -number)

    def exit(self, status: int) -> NoReturn:
        """End the simulated process."""
        home = self._home()
        target = self._target(home.pid) if home is not None else None
        if target is not None:
            target.grid.died(target, status)
        sys.exit(status)


def _keep_open(fd: int) -> NoReturn:
    raise SimulationError(f"the simulator cannot run os.close({fd}): all simulated processes share it")


def _no_children(*_args: Any, **_kwargs: Any) -> NoReturn:
    raise ChildProcessError(errno.ECHILD, "a simulated process has no children")
