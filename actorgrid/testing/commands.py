"""Command lines under test: started with captured output, watched, and gone at the end with all they started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import psutil

from actorgrid.testing import marks
from actorgrid.testing.processes import DEADLINE, ProcessHandle
from actorgrid.testing.waiting import wait_until

#: How long the processes of a command that has ended may take to end, too (seconds).
PROMPT: Final = 5.0
#: What the first word stands for.
_WORDS: Final = {"actorgrid": [sys.executable, "-m", "actorgrid"], "python": [sys.executable]}


class Command:
    """A command line that runs in a process, and a session, of its own."""

    def __init__(
        self, folder: Path, *words: str | os.PathLike[str], cwd: str | os.PathLike[str] | None = None,
        env: Mapping[str, str] | None = None, stdin: str = "",
    ) -> None:  # fmt: skip
        """Start it. Its output goes to files in ``folder``; ``stdin`` is what it can read.

        "actorgrid" and "python" as the first word mean those of the running interpreter. ``env`` is added to the
        environment. Raises ValueError without words, OSError if the program cannot be started.
        """
        if not words:
            raise ValueError("popen() needs a command line: popen('actorgrid', 'demo')")
        first, *rest = [os.fspath(word) for word in words]
        self.words = [*_WORDS.get(first, [first]), *rest]
        self._mark = marks.new_mark()
        self._out, self._err, given = (folder / name for name in ("stdout", "stderr", "stdin"))
        given.write_text(stdin, encoding="utf-8")
        environment = {**os.environ, **(env or {})}
        marks.put(self._mark, environment)
        with given.open("rb") as read, self._out.open("wb") as out, self._err.open("wb") as err:
            self._popen = subprocess.Popen(  # noqa: S603  # to run what the test says is the point
                self.words, stdin=read, stdout=out, stderr=err, cwd=cwd, env=environment, start_new_session=True
            )

    # -- what it says

    @property
    def out(self) -> str:
        """Its standard output so far."""
        return self._out.read_text(encoding="utf-8", errors="replace")

    @property
    def err(self) -> str:
        """Its standard error so far."""
        return self._err.read_text(encoding="utf-8", errors="replace")

    def wait_for(self, text: str, seconds: float = DEADLINE) -> None:
        """Wait until it has printed ``text``, on either output.

        Raises AssertionError, with all that it has printed, if it ends without or has not after ``seconds``.
        """

        def said() -> bool:
            return text in self.out or text in self.err

        wait_until(lambda: said() or not self.alive, seconds)
        if not said():
            raise AssertionError(f"waited for {text!r}: {self.story()}")

    def story(self) -> str:
        """Return what it is, how it is, and all that it has printed."""
        how = "runs" if self.alive else f"has ended with exit code {self._popen.returncode}"
        return f"{' '.join(self.words)!r} {how}\n--- stdout\n{self.out}\n--- stderr\n{self.err}"

    # -- its life

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._popen.pid

    @property
    def alive(self) -> bool:
        """Whether it has not ended."""
        return self._popen.poll() is None

    def wait(self, seconds: float = DEADLINE) -> int:
        """Wait for its end; return its exit code, minus the signal if one killed it.

        Raises AssertionError, with all that it has printed, if it has not ended after ``seconds``.
        """
        try:
            return self._popen.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"no end within {seconds} s: {self.story()}") from None

    def succeeds(self, seconds: float = DEADLINE) -> str:
        """Wait for its end and return its standard output. Raises AssertionError unless its exit code is 0."""
        if self.wait(seconds) != 0:
            raise AssertionError(self.story())
        return self.out

    def send_signal(self, number: int) -> None:
        """Send it a signal; nothing happens if it has ended."""
        self._popen.send_signal(number)

    def kill(self) -> None:
        """Send it SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Send it SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def interrupt(self) -> None:
        """Send SIGINT to its process group, as a terminal does on Ctrl-C."""
        if self.alive:
            os.killpg(self.pid, signal.SIGINT)

    # -- what it started

    @property
    def others(self) -> list[ProcessHandle]:
        """The living processes that it has started, however indirectly, by process id."""
        found = marks.marked(self._mark)
        if self.alive:
            found |= marks.descendants(psutil.Process(self.pid))
        handles = [ProcessHandle(process) for process in sorted(found, key=lambda process: process.pid)]
        return [handle for handle in handles if handle.pid != self.pid and handle.alive]

    def close(self, seconds: float = PROMPT) -> None:
        """See that it is gone, and all that it has started.

        What is not gone after ``seconds`` is killed, and AssertionError says what it was.
        """
        gone = wait_until(lambda: not self.alive and not self.others, seconds)
        left = "" if gone else f"{self.others}; {self.story()}"
        wait_until(self._killed, DEADLINE)
        if not gone:
            raise AssertionError(f"still running after {seconds} s, now killed: {left}")

    def _killed(self) -> bool:
        """Kill what lives, and return whether that was nothing: what dies may have started something meanwhile."""
        others = self.others
        for process in others:
            process.kill()
            process.wait()  # one that is dying has no environment any more, and so no mark, but is there
        self.kill()
        return not self.alive and not others
