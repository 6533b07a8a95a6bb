"""Starts the interpreter that becomes the head, with nothing imported yet: the driver imports the rest meanwhile.

It may know what a grid is started with, and no other module of ours: whatever it imported would be waited for.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from actorgrid.engine.definitions import StartConfig

#: Environment variable that marks every process of a grid.
SESSION_VARIABLE: Final = "ACTORGRID_SESSION"
#: Run by the fresh interpreter: argv is [-c, descriptor, where actorgrid lies, padding that makes room for titles].
#: ``-c`` would import what is called like a module of ours from the working directory: that is taken from the path.
_COMMAND: Final = (
    "import sys; sys.path[:] = [sys.argv[2], *filter(None, sys.path)]; "
    "from actorgrid.runtime.boot import main; main(int(sys.argv[1]))"
)
_PADDING: Final = "-" * 160


class Spawned:
    """A head that has not been told yet what it is for."""

    def __init__(self, start: StartConfig, *, quiet: bool = False) -> None:
        """Start it. ``quiet``: it prints nothing, and keeps nothing of ours open. Raises OSError."""
        _open_standard_descriptors()
        self.session = os.urandom(16).hex()
        self.link, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with theirs:
            try:
                self.pid = _exec(theirs.fileno(), start.setup.env_vars, self.session, quiet=quiet)
            except BaseException:
                self.link.close()
                raise

    def abandon(self) -> None:
        """The driver cannot go on: there will be no grid."""
        self.link.close()
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)


def _exec(fd: int, env_vars: dict[str, str], session: str, *, quiet: bool) -> int:
    """Start a fresh interpreter with the user's flags; it gets ``fd`` and nothing else of ours. Returns its pid."""
    home = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    flags = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]  # noqa: SLF001  # as multiprocessing does
    for name, value in sys._xoptions.items():  # noqa: SLF001  # some of these are left out there
        option = name if value is True else f"{name}={value}"
        if option not in flags:
            flags += ["-X", option]
    target = 4 if fd == 3 else 3  # another number: only then is the copy inheritable
    argv = [sys.executable, *flags, "-c", _COMMAND, str(target), home, _PADDING]
    environment = {**os.environ, **env_vars, SESSION_VARIABLE: session}
    actions = [(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0), (os.POSIX_SPAWN_DUP2, fd, target)]
    if quiet:
        actions += [(os.POSIX_SPAWN_OPEN, output, os.devnull, os.O_WRONLY, 0) for output in (1, 2)]
    # A session of its own from the first moment on: a Ctrl-C on the terminal is for the program alone.
    try:
        return os.posix_spawn(sys.executable, argv, environment, file_actions=actions, setsid=True)
    except NotImplementedError:  # the system's C library cannot: it makes one itself, as soon as it runs
        return os.posix_spawn(sys.executable, argv, environment, file_actions=actions)


def _open_standard_descriptors() -> None:
    """Put /dev/null where descriptor 0, 1 or 2 is closed: a link or a segment there would be printed into."""
    for fd in range(3):
        try:
            os.fstat(fd)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest free one: fd
