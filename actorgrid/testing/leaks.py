"""What may not be left behind: processes, threads, descriptors, shared memory, temporary files of ours.

The checker looks before and after, and says what is there now and was not then. It waits for what is about to end, and
it kills nothing: who finds a leak wants to look at it.

Not counted: what a grid that runs before and after keeps for itself (its pool of workers, its memory), Python's own
resource tracker, and what lies in /dev/shm or the folder for temporary files and belongs to another program.
"""

from __future__ import annotations

import gc
import os
import re
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from actorgrid.testing import marks
from actorgrid.testing.processes import PATIENCE, ProcessHandle, launcher_of, running_head, title_of, workers_of
from actorgrid.testing.waiting import wait_until

SHARED_MEMORY: Final = Path("/dev/shm")  # noqa: S108  # it is looked at, nothing is made there
#: Processes that Python starts once and keeps until the program ends.
_KEPT: Final = ("multiprocessing.resource_tracker", "multiprocessing.forkserver")
_MEMFD: Final = "/memfd:"
#: Names of files in which joblib and loky write whose they are: nothing else tells it of a file that is not open.
_OWNED: Final = re.compile(r"(?:joblib_memmapping_folder_|sem\.loky-)(\d+)[-_]")

#: The mark of everything that this process starts. Drawn here: inside of a simulation randomness is not ours.
_mark: Final = marks.new_mark()


def _processes() -> set[psutil.Process]:
    found = marks.descendants(psutil.Process()) | marks.marked(_mark)
    return {process for process in found if not any(name in title_of(process) for name in _KEPT)}


def _descriptors() -> dict[int, str]:
    found = {}
    for entry in Path("/proc/self/fd").iterdir():
        try:
            found[int(entry.name)] = str(entry.readlink())
        except OSError:
            pass  # the one that lists this folder
    tracker = sys.modules.get("multiprocessing.resource_tracker")
    if tracker is not None:
        found.pop(tracker._resource_tracker._fd, None)  # noqa: SLF001  # there is no other way to know it
    return found


def _mapped() -> dict[tuple[str, str], int]:
    """Return the shared memory mapped here: (name, inode) -> bytes."""
    found: dict[tuple[str, str], int] = {}
    programs = set()
    for line in Path("/proc/self/maps").read_text(errors="replace").splitlines():
        fields = line.split(maxsplit=5)
        if len(fields) < 6 or not fields[5].startswith((_MEMFD, f"{SHARED_MEMORY}/")):
            continue
        key = fields[5], fields[4]
        start, _, end = fields[0].partition("-")
        found[key] = found.get(key, 0) + int(end, 16) - int(start, 16)
        if "x" in fields[1]:  # libffi and the like keep machine code in such files
            programs.add(key)
    return {key: size for key, size in found.items() if key not in programs}


def _files() -> set[str]:
    """Return the files in shared memory, and the temporary ones of ours, that belong to this user."""
    found = set()
    temporary = {tempfile.gettempdir(), os.environ.get("XDG_RUNTIME_DIR", "")} - {""}
    for folder, prefix in [(str(SHARED_MEMORY), ""), *((folder, "actorgrid-") for folder in sorted(temporary))]:
        try:
            found |= {
                entry.path
                for entry in os.scandir(folder)
                if entry.name.startswith(prefix) and entry.stat(follow_symlinks=False).st_uid == os.getuid()
            }
        except OSError:
            pass  # there is no such folder, or a file has just gone
    return found


def _others_use(path: str, ours: set[psutil.Process]) -> bool:
    """Return whether a process that is none of ours is named in this path, or has it, or what is below it, open."""
    mine = {process.pid for process in ours} | {os.getpid()}
    owner = _OWNED.match(Path(path).name)
    if owner is not None and int(owner[1]) not in mine and psutil.pid_exists(int(owner[1])):
        return True
    for pid in psutil.pids():
        if pid not in mine:
            folder = Path("/proc", str(pid))
            try:
                if path in (folder / "maps").read_text(errors="replace"):
                    return True
                if any(str(entry.readlink()).startswith(path) for entry in (folder / "fd").iterdir()):
                    return True
            except OSError:
                pass  # gone, or another user's
    try:  # sockets in a folder: once our processes have ended, whoever listens there is somebody else
        return not ours and f" {path}/" in Path("/proc/net/unix").read_text(errors="replace")
    except OSError:
        return False


@dataclass(frozen=True)
class Snapshot:
    """What there is at a moment."""

    processes: set[psutil.Process]
    threads: set[threading.Thread]
    descriptors: dict[int, str]
    #: Shared memory mapped here: (name, inode) -> bytes.
    mapped: dict[tuple[str, str], int]
    #: Files in /dev/shm, and temporary files of ours.
    files: set[str]
    #: The head of the grid that runs, if one does.
    head: int | None

    @classmethod
    def take(cls) -> Snapshot:
        """Look. From now on every process that this one starts is marked, and is found even as an orphan."""
        marks.put(_mark, os.environ)
        return cls(_processes(), set(threading.enumerate()), _descriptors(), _mapped(), _files(), running_head())

    def leaked(self) -> list[str]:
        """Say what there is now and was not then, one line each; nothing if all is well."""
        now = Snapshot.take()
        kept = now._pool() if now.head is not None and now.head == self.head else set()  # noqa: SLF001  # our own
        return [
            *(_describe(process) for process in _in_order(now.processes - self.processes - kept)),
            *(f"thread {thread.name!r}" for thread in now.threads - self.threads),
            *self._opened(now),
            *(
                f"{size} bytes of shared memory mapped: {key[0]}"
                for key, size in now.mapped.items()
                if key not in self.mapped and not self._keeps(key[0], now)
            ),
            *(f"file {path}" for path in sorted(now.files - self.files) if not _others_use(path, now.processes)),
        ]

    def _opened(self, now: Snapshot) -> list[str]:
        # A number that was open and is now another file was closed by the test itself: only a surplus is a leak.
        before, after = (
            {fd: to for fd, to in one.descriptors.items() if not self._keeps(to, now)} for one in (self, now)
        )
        surplus = len(after) - len(before)
        opened = [f"{fd} -> {to}" for fd, to in after.items() if before.get(fd) != to]
        return [f"{surplus} descriptors more; opened since: {', '.join(opened)}"] if surplus > 0 else []

    def _keeps(self, name: str, now: Snapshot) -> bool:
        """Return whether this is memory of a grid that runs then and now."""
        return now.head is not None and now.head == self.head and name.startswith(f"{_MEMFD}actorgrid")

    def _pool(self) -> set[psutil.Process]:
        """Return the launcher of the grid that runs, which may only just have been forked, and its workers."""
        launcher = launcher_of(self.head) if self.head is not None else None
        if launcher is None:
            return set()
        pids = {launcher.pid, *(worker.pid for worker in workers_of(launcher))}
        return {process for process in self.processes if process.pid in pids}

    def check(self, seconds: float = PATIENCE) -> None:
        """Raise AssertionError, with everything in it, if something is left behind for ``seconds``."""
        if not self.leaked():
            return

        def clean() -> bool:
            gc.collect()  # tracebacks of caught errors are cycles that hold references
            return not self.leaked()

        if not wait_until(clean, seconds) and (left := self.leaked()):
            raise AssertionError(f"left behind, {seconds} s later:\n  " + "\n  ".join(left))


def _in_order(processes: set[psutil.Process]) -> list[psutil.Process]:
    return sorted(processes, key=lambda process: process.pid)


def _describe(process: psutil.Process) -> str:
    try:
        what = f"process {process.pid} ({process.status()}, child of {process.ppid()}, "
        return f"{what}{process.name()}): {ProcessHandle(process).title[:200]}"
    except psutil.Error:
        return f"process {process.pid}, which has ended while this was written"


@contextmanager
def no_leaks(seconds: float = PATIENCE) -> Iterator[None]:
    """Check that the block leaves nothing behind. Raises AssertionError, naming what is left after ``seconds``.

    A block that raises is not checked: the traceback keeps alive what its frames refer to.
    """
    before = Snapshot.take()
    yield
    before.check(seconds)
