"""Who dies with whom, and what processes are called: the few system calls that Python does not wrap.

Linux only in effect; elsewhere each function does nothing, and the end of a stream is what tells.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import select
import signal
import sys
import time
from collections.abc import Callable, Iterable
from typing import Final

from actorgrid.core.signals import describe

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_NAME: Final = 15
_PR_SET_CHILD_SUBREAPER: Final = 36

#: How long the processes that outlive their worker's group are hunted at the end (seconds).
HUNT: Final = 0.5

#: What programs and terminals send for purposes of their own; it would end or stop a process that takes no notice.
STRAY: Final = ("HUP", "USR1", "USR2", "PIPE", "ALRM", "VTALRM", "PROF", "IO", "TSTP", "TTIN", "TTOU")

_libc: Final = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when ``parent`` (its parent now) ends; exit if that has happened already.

    The signal is tied to the parent's *thread*: the parent must be single-threaded or outlive its threads.
    """
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(0)


def go_on_without_parent() -> None:
    """Have the kernel wake this process, should it be stopped, when its parent ends: it has to see to the end itself.

    A signal that killed would be the end of what this process would still bury, and would come as soon as the parent's
    *thread* that made it ends, too. This one does no harm at any time.
    """
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGCONT, 0, 0, 0)


def become_subreaper() -> None:
    """Orphaned descendants become our children instead of init's."""
    if _libc is not None:
        _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


_ignored: Final[list[signal.Signals]] = []


def ignore_stray_signals() -> None:
    """Head and launcher have nothing to do with any signal but the one that ends them."""
    for name in STRAY:
        number = getattr(signal, f"SIG{name}", None)
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, signal.SIG_IGN)
            _ignored.append(number)


def take_stray_signals() -> None:
    """A worker, and what it starts, is a program as any other: undo ``ignore_stray_signals``."""
    while _ignored:
        signal.signal(_ignored.pop(), signal.SIG_DFL)


def watch_process(pid: int) -> int | None:
    """Return a descriptor that becomes readable when ``pid`` ends, None if the system has no such thing."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return None


def wait_for_end(pid: int, seconds: float) -> bool:
    """Wait so long for ``pid`` to end. Returns whether it did, True if the system cannot tell."""
    watch = watch_process(pid)
    if watch is None:
        return True
    try:
        poll = select.poll()  # not select(): this program may have a thousand files open
        poll.register(watch, select.POLLIN)
        return bool(poll.poll(seconds * 1000))
    finally:
        os.close(watch)


def how_child_ended(pid: int, seconds: float) -> str:
    """Return how a child has ended, or ends within so long; it is still to be buried."""
    wait_for_end(pid, seconds)
    with contextlib.suppress(ChildProcessError):
        info = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if info is not None:
            return describe(info.si_status if info.si_code == os.CLD_EXITED else -info.si_status)
    return "died"


def end_child(pid: int, seconds: float) -> int:
    """Let a child that has been told to end do so, also if it is stopped; kill it if it has not in time.

    Returns its status, as ``waitpid`` does. Raises ChildProcessError if somebody else has waited for it.
    """
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)
    if not wait_for_end(pid, seconds):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return os.waitpid(pid, 0)[1]


def signal_group(pid: int, number: int) -> None:
    """Send a signal to the process group of ``pid``, if it still exists."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def kill_groups(leaders: Iterable[int], is_spared: Callable[[int], bool]) -> None:
    """Kill the process groups of these, one process after the other where there is one who ``is_spared``."""
    members: dict[int, list[int]] = {leader: [] for leader in leaders}
    for name in os.listdir("/proc") if members and _libc is not None else ():
        with contextlib.suppress(ValueError, OSError, KeyError):
            members[os.getpgid(int(name))].append(int(name))
    for leader, pids in members.items():
        victims = [pid for pid in pids if not is_spared(pid)]
        if len(victims) == len(pids):
            signal_group(leader, signal.SIGKILL)
        else:
            for pid in victims:
                _kill_member(pid, leader)


def _kill_member(pid: int, leader: int) -> None:
    """Kill a process, if it is of that group, and not another one that has got its number."""
    with contextlib.suppress(OSError):
        fd = os.pidfd_open(pid)
        try:
            if os.getpgid(pid) == leader:
                signal.pidfd_send_signal(fd, signal.SIGKILL)
        finally:
            os.close(fd)


def children_of(pid: int, thread: int = 0) -> list[int]:
    """Return the process ids of the direct children of a single-threaded process, or of one thread of another one."""
    try:
        with open(f"/proc/{pid}/task/{thread or pid}/children", encoding="ascii") as file:
            return [int(word) for word in file.read().split()]
    except OSError:
        return []


def children_of_threads(pid: int) -> list[int]:
    """Return the process ids of the direct children of any process."""
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return []
    return [child for thread in threads for child in children_of(pid, int(thread))]


def threads_here() -> int:
    """Return how many threads this process has; 1 where the system does not tell."""
    try:
        return len(os.listdir("/proc/self/task"))
    except OSError:
        return 1


def bury_children(is_spared: Callable[[int], bool]) -> None:
    """Kill whatever descends from this process, a subreaper, and wait for it, for ``HUNT`` seconds at most.

    Who ``is_spared`` ends by itself, and is not waited for.

    All that has ended is taken before one looks again: a thousand children would be listed and killed a thousand times.
    """
    until = time.monotonic() + HUNT
    while time.monotonic() < until:
        children = children_of(os.getpid())
        victims = [pid for pid in children if not is_spared(pid)]
        if children and not victims:
            return
        for pid in victims:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return


def raise_descriptor_limit() -> int:
    """Let this process open as many files as it may ever; return how many that is."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
    return soft if soft != resource.RLIM_INFINITY else sys.maxsize


class Title:
    """The text that ``ps`` and ``top`` show for this process.

    It lies where the kernel put the command line; the head is started with a long dummy argument to make room.
    """

    def __init__(self) -> None:
        """Find the place. Writes nothing yet."""
        self._text = ""
        self._room: ctypes.Array[ctypes.c_char] | None = None
        try:
            with open("/proc/self/stat", "rb") as file:
                fields = file.read().rpartition(b") ")[2].split()
            start, end = int(fields[45]), int(fields[46])  # arg_start and arg_end, proc(5) fields 48 and 49
        except (OSError, IndexError, ValueError):
            return
        if 0 < start < end:
            self._room = (ctypes.c_char * (end - start)).from_address(start)

    def set(self, text: str) -> None:
        """Show ``text``, cut to what fits."""
        if text == self._text:
            return
        self._text = text
        data = text.encode(errors="replace")
        if self._room is not None:
            size = len(self._room)
            ctypes.memmove(self._room, data[: size - 1].ljust(size, b"\0"), size)
        if _libc is not None:
            _libc.prctl(_PR_SET_NAME, ctypes.c_char_p(data[:15]), 0, 0, 0)
