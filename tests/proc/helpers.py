"""Driver scripts in processes of their own, and everything that they start.

Each driver gets a mark in its environment and folders of its own for temporary files and sockets: whatever it leaves
behind, anywhere, can be found and is its fault.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

import psutil

import actorgrid
from actorgrid.testing import marks
from actorgrid.testing.leaks import SHARED_MEMORY
from actorgrid.testing.waiting import wait_until

#: No test waits longer for something that must happen: far more than a busy machine needs.
DEADLINE = 30.0
#: What is promised within a second is given this long on a noisy machine.
PROMPT = 5.0

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class Driver:
    """A program that runs in a process, and a session, of its own."""

    def __init__(
        self,
        folder: Path,
        source: str,
        *,
        flags: Sequence[str] = (),
        args: Sequence[str] = (),
        env: dict[str, str] | None = None,
        how: str = "script",
    ) -> None:
        """Start ``source``: as a script, a module (``-m``), on the command line (``-c``) or on standard input."""
        self.folder = folder
        self.mark = marks.new_mark()
        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        self.program = folder / "driver_program.py"
        self.program.write_text(textwrap.dedent(source), encoding="utf-8")
        self._shared_memory = _shared_memory()
        self._out, self._err = folder / "stdout", folder / "stderr"
        command = {
            "script": [str(self.program)],
            "module": ["-m", "driver_program"],
            "command": ["-c", self.program.read_text(encoding="utf-8")],
            "stdin": ["-"],
        }[how]
        with (
            self._out.open("wb") as out,
            self._err.open("wb") as err,
            (self.program if how == "stdin" else Path(os.devnull)).open("rb") as stdin,
        ):
            self.process = subprocess.Popen(
                [sys.executable, *flags, *command, *args],
                stdin=stdin,
                stdout=out,
                stderr=err,
                cwd=folder,
                env={**os.environ, **self._environment(), **(env or {})},
                start_new_session=True,
            )

    def _environment(self) -> dict[str, str]:
        package = str(Path(actorgrid.__file__).parents[1])
        marked = dict(os.environ)
        marks.put(self.mark, marked)
        return {
            marks.MARKS: marked[marks.MARKS],
            "TMPDIR": str(self.temporary),
            "XDG_RUNTIME_DIR": str(self.temporary),
            "PYTHONPATH": os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")])),
        }

    # -- what it says

    @property
    def out(self) -> str:
        """Its standard output so far."""
        return self._out.read_text(encoding="utf-8", errors="replace")

    @property
    def err(self) -> str:
        """Its standard error so far, without colours."""
        return _COLOUR.sub("", self._err.read_text(encoding="utf-8", errors="replace"))

    def wait_for(self, line: str, seconds: float = DEADLINE) -> None:
        """Wait until it has printed a line that starts with ``line``."""
        wait_until(lambda: self._said(line) or self.process.poll() is not None, seconds)
        assert self._said(line), f"waited for {line!r}; {self._story()}"

    def said(self, start: str) -> str:
        """Wait for the line that starts with ``start:`` and return what follows."""
        self.wait_for(f"{start}:")
        return next(line for line in self.out.splitlines() if line.startswith(f"{start}:"))[len(start) + 1 :].strip()

    def _said(self, line: str) -> bool:
        # Only whole lines: the last one may still be on its way.
        return any(text.startswith(line) for text in self.out.split("\n")[:-1])

    def _story(self) -> str:
        return f"exit code {self.process.poll()}\n--- stdout\n{self.out}\n--- stderr\n{self.err}"

    # -- its end

    def wait(self, seconds: float = DEADLINE) -> int:
        """Wait for its end; return its exit code."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the driver does not end; {self._story()}") from None

    def succeeds(self) -> None:
        """Wait for its end and see that it was a good one."""
        assert self.wait() == 0, self._story()

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def interrupt(self) -> None:
        """Send SIGINT to all of its process group, as a terminal does on Ctrl-C."""
        os.killpg(self.process.pid, signal.SIGINT)

    # -- what it started

    def others(self) -> list[psutil.Process]:
        """Return the processes that it has started, directly or not."""
        found = [process for process in marks.marked(self.mark) if process.pid != self.process.pid]
        return sorted(found, key=lambda process: process.pid)

    def titled(self, title: str) -> list[psutil.Process]:
        """Return those of them whose title (the command line, for the system) starts with ``title``."""
        return [process for process in self.others() if title_of(process).startswith(title)]

    def one(self, title: str) -> psutil.Process:
        """Wait until there is one process of this title, and return it."""
        assert wait_until(lambda: len(self.titled(title)) == 1, DEADLINE), self.describe()
        return self.titled(title)[0]

    def memory(self) -> dict[tuple[int, int], int]:
        """Return the shared memory that it and its grid have open: (device, inode) -> bytes."""
        return _memory([self.process.pid, *(process.pid for process in self.others())])

    def describe(self) -> str:
        """What runs, for messages."""
        return f"{[(process.pid, title_of(process)) for process in self.others()]}; {self._story()}"

    def leaves_nothing(self) -> None:
        """See that the driver and all it started end promptly, and that nothing of theirs is left."""
        assert wait_until(lambda: self.process.poll() is not None, DEADLINE), f"it does not end: {self.describe()}"
        assert wait_until(lambda: not self.others(), PROMPT), f"still running: {self.describe()}"
        assert list(self.temporary.iterdir()) == []
        assert wait_until(lambda: not _shared_memory() - self._shared_memory, PROMPT), _shared_memory()

    def close(self) -> None:
        """Kill what is left, whatever the test has found."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for process in self.others():
            try:
                process.kill()
            except psutil.Error:
                pass


def memory_of_everybody() -> dict[tuple[int, int], int]:
    """Return the shared memory of grids that any process has open or mapped: (device, inode) -> bytes."""
    return _memory(psutil.pids())


def _memory(pids: Sequence[int]) -> dict[tuple[int, int], int]:
    found = {}
    for folder in (f"/proc/{pid}/{kind}" for pid in pids for kind in ("fd", "map_files")):
        try:
            links = list(Path(folder).iterdir())
        except OSError:
            continue  # it has gone, or is another user's
        for link in links:
            try:
                if str(link.readlink()).startswith("/memfd:actorgrid"):
                    told = link.stat()
                    found[told.st_dev, told.st_ino] = told.st_blocks * 512
            except OSError:
                pass  # closed meanwhile
    return found


def title_of(process: psutil.Process) -> str:
    """Return what ``ps`` shows for a process, "" if it has gone."""
    try:
        raw = Path(f"/proc/{process.pid}/cmdline").read_bytes()
    except OSError:
        return ""
    return raw.replace(b"\0", b" ").decode(errors="replace").strip()


def _shared_memory() -> set[str]:
    # Other programs of this machine come and go: only names that could be ours count.
    return {entry.name for entry in SHARED_MEMORY.iterdir() if re.search("actorgrid|psm_|mp-", entry.name)}
