"""Locks on files between simulated processes: ``fcntl.flock`` and ``fcntl.lockf``.

The kernel keeps them, as ever: it sees when a file is closed, which nobody tells us. But all simulated processes are
one real process, so nobody may wait in the kernel. A fiber that finds a file locked parks; as soon as the kernel would
give it the lock it may be chosen to have it. The locks of ``lockf`` belong to a process, and the kernel would let the
whole simulation have them; in their place it is asked for locks of open files, which it keeps apart.

This file may not know who decides what happens next.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from actorgrid.exceptions import SimulationError
from actorgrid.sim import replaced
from actorgrid.sim.choices import Event
from actorgrid.sim.footprint import ALL
from actorgrid.sim.onlookers import Holds

if TYPE_CHECKING:
    from actorgrid.sim.fibers import Fiber
    from actorgrid.sim.worker import Worker
    from actorgrid.sim.world import World

#: Of Linux: what sets a lock of an open file. None where there is no such thing.
_OF_OPEN_FILE: Final[int | None] = getattr(fcntl, "F_OFD_SETLK", None)
#: ``struct flock``: type, whence, start, length, process.
_FLOCK: Final = struct.Struct("hhqqi4x")
_BUSY: Final = frozenset({errno.EAGAIN, errno.EACCES})
#: Commands of ``fcntl.fcntl`` that lock, or ask who does.
COMMANDS: Final = {
    getattr(fcntl, name): name
    for name in ("F_GETLK", "F_SETLK", "F_SETLKW", "F_OFD_GETLK", "F_OFD_SETLK", "F_OFD_SETLKW")
    if hasattr(fcntl, name)
}


class _Wanted(NamedTuple):
    """A lock that a fiber waits for."""

    what: str
    nth: int
    take: Callable[[], bool]
    drop: Callable[[], object]


class FileLocks:
    """The locks on files of one world."""

    def __init__(self, world: World) -> None:
        self._world = world
        #: Two processes have come to the lock of one file: whatever happens from now on may close it, unseen.
        self.used = False
        #: File -> the process that came to its lock first.
        self._first: dict[tuple[int, int], Worker | None] = {}
        self._wanted: dict[Fiber, _Wanted] = {}
        #: Descriptor -> the process that last locked its file with it (None: the program), and which file that was.
        self._lockers: dict[int, tuple[Worker | None, tuple[int, int]]] = {}
        self._count = 0

    # -- what simulated code calls

    def flock(self, fd: Any, operation: int) -> None:
        """See ``fcntl.flock``."""
        real, number = replaced.real(fcntl, "flock"), _number(fd)
        take = partial(_got, real, number, operation | fcntl.LOCK_NB)
        self._lock("fcntl.flock", number, operation, take, partial(real, number, fcntl.LOCK_UN))

    def lockf(self, fd: Any, cmd: int, length: int = 0, start: int = 0, whence: int = 0) -> None:
        """See ``fcntl.lockf``."""
        if _OF_OPEN_FILE is None:
            raise SimulationError("the simulator cannot run fcntl.lockf on this system: use fcntl.flock")
        kinds = {fcntl.LOCK_UN: fcntl.F_UNLCK, fcntl.LOCK_SH: fcntl.F_RDLCK, fcntl.LOCK_EX: fcntl.F_WRLCK}
        kind = kinds.get(cmd & ~fcntl.LOCK_NB)
        if kind is None:
            raise ValueError("unrecognized lockf argument")
        number = _number(fd)

        def ask(kind: int) -> Any:
            real = replaced.real(fcntl, "fcntl")
            return real(number, _OF_OPEN_FILE, _FLOCK.pack(kind, whence, start, length, 0))

        self._lock("fcntl.lockf", number, cmd, partial(self._is_mine, number, ask, kind), partial(ask, fcntl.F_UNLCK))

    def fcntl(self, fd: Any, cmd: int, arg: Any = 0) -> Any:
        """See ``fcntl.fcntl``: what locks is refused."""
        if cmd in COMMANDS:
            raise SimulationError(f"the simulator cannot run fcntl.fcntl(..., {COMMANDS[cmd]}): use fcntl.lockf")
        return replaced.real(fcntl, "fcntl")(fd, cmd, arg)

    # -- what may happen

    def events(self) -> list[Event]:
        """Return who may have the lock that it waits for."""
        self._bury()
        events = []
        for fiber, wanted in self._wanted.items():
            if fiber.parked and not fiber.dead and wanted.take():
                wanted.drop()  # it is asked for once more when that is chosen
                label = f"{fiber.name} gets the lock of {wanted.what}"
                events.append(Event("lock", fiber.name, wanted.nth, label, partial(self._give, fiber), fiber.chain))
        return events

    @property
    def waited_for(self) -> bool:
        """Whether anybody waits."""
        return bool(self._wanted)

    def close(self) -> None:
        """The world is over: no process of it has a lock any more. The program keeps what it has."""
        self._wanted.clear()
        self._bury(everybody=True)

    # -- how

    def _lock(self, what: str, fd: int, operation: int, take: Callable[[], bool], drop: Callable[[], object]) -> None:
        world = self._world
        fiber = world.fibers.current
        assert fiber is not None
        locker = getattr(fiber.home, "worker", None)
        self._meets(locker, fd, f"calls {what}")
        if operation & fcntl.LOCK_UN:
            drop()
            return
        self._bury()
        if not take():
            if operation & fcntl.LOCK_NB:
                raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
            self._count += 1
            self._wanted[fiber] = wanted = _Wanted(what, self._count, take, drop)
            try:
                world.waits.wait(f"{what}()", None, lambda: self._wanted.get(fiber) is not wanted)
            finally:
                self._wanted.pop(fiber, None)
        self._lockers[fd] = locker, _file(fd)
        self._meets(locker, fd, "has locked a file")

    def _meets(self, locker: Worker | None, fd: int, label: str) -> None:
        """Processes may meet here: then others can tell who comes first, and how long a lock is kept."""
        world = self._world
        if self._first.setdefault(_file(fd), locker) is not locker:
            self.used = True
            world.onlookers.need(Holds.ALL)
        world.onlookers.step_aside(label)
        if self.used:
            world.touch(ALL)

    def _give(self, fiber: Fiber) -> None:
        if self._wanted[fiber].take():
            del self._wanted[fiber]
            self._world.fibers.wake(fiber)

    def _is_mine(self, fd: int, ask: Callable[[int], Any], kind: int) -> bool:
        if _got(ask, kind):
            return True
        home: Any = self._world.fibers.current.home if self._world.fibers.current is not None else None
        mine, file = getattr(home, "worker", None), _file(fd)
        for other, (locker, locked) in self._lockers.items():
            if other != fd and locker is mine and locked == file == _file(other):
                raise SimulationError(
                    "the simulator cannot run fcntl.lockf on a file that its process has locked through another "
                    "descriptor, which is still open"
                )
        return False

    def _bury(self, *, everybody: bool = False) -> None:
        """What is dead has closed its files, whatever is still there of them here."""
        for fd, (locker, file) in list(self._lockers.items()):
            if locker is not None and (everybody or not (locker.engine.alive and locker.grid.open)):
                del self._lockers[fd]
                if _file(fd) == file:
                    replaced.real(fcntl, "flock")(fd, fcntl.LOCK_UN)
                    if _OF_OPEN_FILE is not None:
                        replaced.real(fcntl, "fcntl")(fd, _OF_OPEN_FILE, _FLOCK.pack(fcntl.F_UNLCK, 0, 0, 0, 0))


def _number(fd: Any) -> int:
    return fd if isinstance(fd, int) else int(fd.fileno())


def _file(fd: int) -> tuple[int, int]:
    """Return which file a descriptor is of; (0, 0) if of none."""
    try:
        known = os.fstat(fd)
    except OSError:
        return 0, 0
    return known.st_dev, known.st_ino


def _got(ask: Callable[..., Any], *args: Any) -> bool:
    """Return whether the kernel gave what it was asked for."""
    try:
        ask(*args)
    except OSError as error:
        if error.errno in _BUSY:
            return False
        raise
    return True
