"""A driver that is a program of its own, watched from outside: what it says, what it leaves. See ``chaos.py``."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import chaos_memory
import psutil

from actorgrid.testing import marks
from actorgrid.testing.processes import title_of

#: Longer than anything takes that ends (seconds).
LIMIT = 20.0


class Program:
    """A driver in a session of its own, marked, with folders of its own for what it might leave behind."""

    def __init__(self, source: str) -> None:
        """Start it, and wait until it says that it is ready."""
        self.mark = marks.new_mark()
        self._folder = tempfile.TemporaryDirectory()
        self.temporary = Path(self._folder.name) / "tmp"
        self.temporary.mkdir()
        environment = {**os.environ, "TMPDIR": str(self.temporary), "XDG_RUNTIME_DIR": str(self.temporary)}
        marks.put(self.mark, environment)
        self._names = _shared_memory()
        self._errors = Path(self._folder.name) / "errors"
        with self._errors.open("wb") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-c", source],
                stdout=subprocess.PIPE,
                stderr=errors,
                env=environment,
                start_new_session=True,
            )
        self._said = b""
        assert self.hear("ready") is not None, self.errors()

    def errors(self) -> str:
        """What it has said on standard error."""
        return self._errors.read_text(errors="replace")

    def lines(self) -> list[str]:
        """What it has said by now, whole lines."""
        self._listen(0.0)
        return self._said.decode().split("\n")[:-1]

    def hear(self, word: str, seconds: float = LIMIT) -> str | None:
        """Wait for a line that begins with ``word``; return what comes behind, None if it is not said in time."""
        until, ended = time.monotonic() + seconds, False
        while True:
            for line in self._said.decode().split("\n")[:-1]:
                first, _, rest = line.partition(" ")
                if first == word:
                    return rest
            if ended or time.monotonic() > until:
                return None
            ended = not self._listen(max(0.0, until - time.monotonic()))

    def _listen(self, seconds: float) -> bool:
        """Take what it says next; return whether it said something."""
        assert self.process.stdout is not None
        if not select.select([self.process.stdout], [], [], seconds)[0]:
            return False
        said = os.read(self.process.stdout.fileno(), 1 << 16)
        self._said += said
        return bool(said)

    def others(self) -> set[psutil.Process]:
        """What it has started and runs."""
        return {process for process in marks.marked(self.mark) if process.pid != self.process.pid}

    def ended(self) -> bool:
        """Whether it has ended itself."""
        return self.process.poll() is not None

    def alone(self) -> bool:
        """Whether nothing that it has started runs."""
        return not self.others()

    def head(self) -> int:
        """The process id of the head of its grid."""
        return next(process.pid for process in self.others() if title_of(process) == "actorgrid: head")

    def segments(self) -> set[int]:
        """The shared memory of its grid: inodes."""
        return set(chaos_memory.held([self.process.pid, *(process.pid for process in self.others())]))

    def seconds_until(self, condition: Callable[[], bool]) -> float:
        """Look, without a pause, until it is so. Returns ``LIMIT`` if it does not become so."""
        began = time.perf_counter()
        while not condition():
            if time.perf_counter() - began > LIMIT:
                return LIMIT
        return time.perf_counter() - began

    def close(self) -> list[str]:
        """End what is left of it; return the names that it left behind, and the processes."""
        left = [f"process {process.pid}" for process in self.others()]
        for process in self.others():
            try:
                process.kill()
            except psutil.Error:
                pass
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
        left += [str(path) for path in self.temporary.iterdir()]
        left += sorted(_shared_memory() - self._names)
        self._folder.cleanup()
        return left


def _shared_memory() -> set[str]:
    # Other programs of this machine come and go: only names that could be ours count.
    return {path.name for path in Path("/dev/shm").glob("*actorgrid*")}
