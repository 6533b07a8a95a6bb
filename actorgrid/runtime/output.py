"""Output of workers, as the driver shows it: whole lines, in order, each with who wrote it.

A worker's descriptors 1 and 2 share one pipe. Python's streams in a worker put a mark into it whenever the name of
what runs there has changed since the last line (``::name``); the driver takes the marks out again. Whatever else is
written to the descriptors, by C code or a child process, goes under the last name.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Callable
from typing import Any, Final, TextIO

from actorgrid.runtime.backlog import Backlog

#: Starts a mark; ends with a newline. Unlikely in real output, and harmless if it occurs: the line is taken as a name.
MARK: Final = "\x1eactorgrid::"


class MarkedStream(io.TextIOWrapper):
    """A worker's stdout or stderr: line-buffered, marks the name of what writes."""

    def __init__(self, fd: int, name: Callable[[], str]) -> None:
        super().__init__(
            os.fdopen(fd, "wb", closefd=False), encoding="utf-8", errors="backslashreplace", line_buffering=True
        )
        self._name = name
        self.dirty = False

    #: The last name marked, shared by both streams.
    marked = ""
    #: User code has closed one of them.
    shut = False

    def write(self, text: str) -> int:
        """Write ``text``, after a mark if the name has changed."""
        self.dirty = True
        name = self._name()
        if name != MarkedStream.marked and text:
            MarkedStream.marked = name
            super().write(f"{MARK}{name}\n")
        return super().write(text)

    def close(self) -> None:
        """Close the stream; the descriptor stays open."""
        MarkedStream.shut = True
        super().close()

    def detach(self) -> Any:
        """Give away what is below: this stream is of no more use."""
        MarkedStream.shut = True
        return super().detach()

    def finish(self) -> None:
        """Push out a line without an end, if there is one."""
        if self.dirty:
            self.dirty = False
            with contextlib.suppress(OSError, ValueError):  # user code may have closed the stream or its descriptor
                self.flush()


class Printer:
    """The driver's side: pieces of bytes in, prefixed lines out."""

    def __init__(
        self, stream: Callable[[], TextIO | None] = lambda: sys.stderr, hold: Callable[[bool], None] = lambda _: None
    ) -> None:
        """``hold``: see ``Backlog``."""
        self._stream = stream
        self._backlog = Backlog(hold)
        #: Pid -> the pieces of its last line, which has no newline yet.
        self._rest: dict[int, list[bytes]] = {}
        self._names: dict[int, str] = {}

    def feed(self, pid: int, data: bytes) -> None:
        """Print the lines that ``data`` completes."""
        first, *lines = data.split(b"\n")
        self._rest.setdefault(pid, []).append(first)
        if lines:  # joined once: a line of many megabytes comes in many pieces
            lines.insert(0, b"".join(self._rest.pop(pid)))
            if rest := lines.pop():
                self._rest[pid] = [rest]
            self._print(pid, lines)

    def finish(self) -> None:
        """Print what never got its newline."""
        for pid, rest in list(self._rest.items()):
            self._print(pid, [b"".join(rest)])
        self._rest.clear()
        self._backlog.finish()

    def say(self, text: str) -> None:
        """Show ``text``. Whoever has put another stream in the place of standard error may make this wait."""
        stream = self._stream()
        try:
            if stream is None:
                return
            real = sys.__stderr__
            if real is not None and stream is real:
                self._backlog.write(real.fileno(), text.encode(real.encoding, "backslashreplace"))
            else:
                stream.write(text)
                stream.flush()
        except Exception:  # noqa: BLE001, S110  # the user closed it, or put something strange there
            pass

    def _print(self, pid: int, lines: list[bytes]) -> None:
        mark = MARK.encode()
        shown: list[str] = []
        for line in lines:
            before, found, name = line.partition(mark)
            if found:
                if before:
                    shown.append(self._prefixed(pid, before))
                self._names[pid] = name.decode(errors="replace")
            else:
                shown.append(self._prefixed(pid, line))
        if shown:
            self.say("".join(shown))

    def _prefixed(self, pid: int, line: bytes) -> str:
        return f"({self._names.get(pid, 'worker')} pid={pid}) {line.decode(errors='backslashreplace')}\n"
