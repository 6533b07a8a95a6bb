"""Python's resource tracker: a program and its workers have one, as a program and the children of multiprocessing do.

The tracker is a process that removes named shared memory, and the like, which nobody has removed when all who might
are gone. One of a worker's own would not do: killed with the worker it removes nothing, and if it outlived the worker
it would remove what others still use, even what the worker has only looked at.

It is started when somebody has something to be tracked. Until then it is a pipe, of which everybody has the end that is
written to, and the launcher the other one: when something comes, that is what it starts the tracker with.

This file may not know what is tracked.
"""

from __future__ import annotations

import importlib.util
import os
import select
import signal
import socket
import stat
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import ModuleType

#: The module whose one object speaks to the tracker, and finds out with the first word whether there is one.
MODULE: Final = "multiprocessing.resource_tracker"
_MAIN: Final = f"from {MODULE} import main; main({{}})"


def _speaker() -> Any:
    """Return the object that speaks to the tracker in this process; None if nobody has imported it.

    Its ``_fd`` is set where multiprocessing starts a child, too.
    """
    return getattr(sys.modules.get(MODULE), "_resource_tracker", None)


class _End:
    """The end of a pipe that is written to, as long as nobody closes it behind our back (``os.closerange``, say)."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._file = os.fstat(fd).st_dev, os.fstat(fd).st_ino

    def is_open(self) -> bool:
        """Return whether the descriptor is still what it was."""
        try:
            now = os.fstat(self.fd)
        except OSError:
            return False
        return (now.st_dev, now.st_ino) == self._file

    def close(self) -> None:
        """Close it, if it is still ours."""
        if self.is_open():
            os.close(self.fd)


class _Finder:
    """Gives the tracker to the module as soon as that is imported: a finder and a loader of the import system."""

    def __init__(self, end: _End) -> None:
        self.end = end
        self._loader: Any = None

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Find that one module, as it would be found without this."""
        del path, target
        if name != MODULE or self not in sys.meta_path:
            return None
        sys.meta_path.remove(self)
        spec: Any = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            self._loader, spec.loader = spec.loader, self
        found: ModuleSpec | None = spec
        return found

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """See ``Loader``."""
        made: ModuleType | None = self._loader.create_module(spec)
        return made

    def exec_module(self, module: ModuleType) -> None:
        """See ``Loader``."""
        assert module.__spec__ is not None
        module.__spec__.loader = module.__loader__ = self._loader
        self._loader.exec_module(module)
        if self.end.is_open():
            module._resource_tracker._fd = self.end.fd  # noqa: SLF001  # see _speaker


def adopt(fd: int) -> None:
    """From now on what this process, and its children, have to be tracked is said to ``fd``."""
    speaker = _speaker()
    if speaker is None:
        sys.meta_path.insert(0, _Finder(_End(fd)))
    elif speaker._fd is None:  # noqa: SLF001  # see _speaker
        speaker._fd = fd  # noqa: SLF001  # see _speaker


def _is_heard(fd: int) -> bool:
    """Return whether this is a pipe whose other end somebody has: a descriptor may be another's by now."""
    try:
        is_pipe = stat.S_ISFIFO(os.fstat(fd).st_mode)
    except OSError:
        return False
    poll = select.poll()
    poll.register(fd, 0)
    return is_pipe and not poll.poll(0)


class Share:
    """What the program gives its grids, one after the other."""

    def __init__(self) -> None:
        #: Our end of the pipe; None: there is none, or the program's own tracker is used.
        self._end: _End | None = None

    def open(self) -> list[int]:
        """Return the descriptors that the launcher is to have: the end to write to, and a new pipe's other one.

        None if there can be none. What ``close`` was not called for, because the last grid died, is closed.
        """
        self.close()
        speaker = _speaker()
        known = None if speaker is None else speaker._fd  # noqa: SLF001  # see _speaker
        if known is not None:
            return [known] if _is_heard(known) else []
        try:
            read, write = os.pipe()
        except OSError:
            return []  # whatever else needs a descriptor will say so
        self._end = _End(write)
        adopt(write)
        return [write, read]

    def close(self) -> None:
        """The grid has ended. A tracker that this program may need lives on, as others of Python's do."""
        end, speaker = self._end, _speaker()
        if end is None:
            return
        speaks = speaker is not None and speaker._fd == end.fd  # noqa: SLF001  # see _speaker
        is_heard = _is_heard(end.fd)
        if speaks and is_heard and end.is_open():
            return
        self._end = None
        sys.meta_path[:] = [each for each in sys.meta_path if not isinstance(each, _Finder)]
        if speaks and (end.is_open() or not is_heard):  # else it has found that out, and started its own
            speaker._fd = None  # noqa: SLF001  # see _speaker
        end.close()


#: A program has one grid at a time.
program: Final = Share()


def send(link: socket.socket, descriptors: list[int]) -> None:
    """Send what ``receive`` takes, to a process that knows how many these are."""
    if descriptors:
        socket.send_fds(link, [b"t"], descriptors)


def receive(link: socket.socket, count: int) -> list[int]:
    """Return the descriptors that ``send`` has sent; none if they could not be taken."""
    if not count:
        return []
    _, descriptors, _, _ = socket.recv_fds(link, 1, count)
    if len(descriptors) != count:
        for fd in descriptors:
            os.close(fd)
        return []
    return list(descriptors)


def start(read: int) -> int:
    """Start the tracker that hears what comes to ``read``, in a session of its own; that descriptor is its now.

    Returns its pid, 0 if there is no process to be had: who speaks to it finds out, and starts one.
    """
    from actorgrid.runtime.spawn import SESSION_VARIABLE  # most grids never need it

    target = 4 if read == 3 else 3  # another number: only then is the copy inheritable
    # It needs nothing but the standard library, and is none of the grid's processes: it may outlive that.
    environment = {name: value for name, value in os.environ.items() if name != SESSION_VARIABLE}
    command = [sys.executable, "-I", "-S", "-c", _MAIN.format(target)]
    try:
        return os.posix_spawn(
            sys.executable, command, environment, file_actions=[(os.POSIX_SPAWN_DUP2, read, target)], setsid=True,
            setsigmask=[signal.SIGINT, signal.SIGTERM],
        )  # fmt: skip
    except OSError:
        return 0
    finally:
        os.close(read)


def start_if_needed(read: int) -> None:
    """Start it if something has come there that nobody has heard: the launcher goes."""
    poll = select.poll()
    poll.register(read, select.POLLIN)
    if any(mask & select.POLLIN for _, mask in poll.poll(0)):
        start(read)


def is_one(pid: int) -> bool:
    """Return whether a process is a tracker that ``start`` has started: it ends by itself when all others have.

    Who has started it knows before this does: for a moment a new process has no command line.
    """
    try:
        return MODULE.encode() in _command_line(pid) and os.getsid(pid) == pid
    except OSError:
        return False


def is_of_loky(pid: int) -> bool:
    """Return whether a process is the tracker of loky, and so of joblib: each process that uses these has one.

    It removes what only that process, and those it has started, use; so it may, when they are gone.
    """
    return b"loky.backend.resource_tracker" in _command_line(pid)


def _command_line(pid: int) -> bytes:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read()
    except OSError:
        return b""
