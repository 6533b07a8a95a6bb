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
from collections.abc import Callable, Iterator
from typing import Any, Final, TextIO

from actorgrid.core.texts import visible
from actorgrid.runtime.backlog import Backlog

#: Starts a mark; ends with a newline. Unlikely in real output, and harmless if it occurs: the line is taken as a name.
MARK: Final = "\x1eactorgrid::"
#: Of a line that is longer (bytes) so much is shown at a time: it is not kept until it ends.
LONGEST: Final = 1 << 20
#: No mark with its name is longer (bytes).
MARKED: Final = 1024
#: The names of so many processes are remembered.
NAMES: Final = 4096


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
        #: Pid -> the pieces of its last line, which has no newline yet; and how long they are together.
        self._rest: dict[int, list[bytes]] = {}
        self._sizes: dict[int, int] = {}
        self._names: dict[int, str] = {}

    def feed(self, pid: int, data: bytes) -> None:
        """Print the lines that ``data`` completes."""
        first, *lines = data.split(b"\n")
        self._rest.setdefault(pid, []).append(first)
        self._sizes[pid] = size = self._sizes.get(pid, 0) + len(first)
        if lines:
            lines.insert(0, b"".join(self._rest.pop(pid)))
            self._keep(pid, lines.pop())
            self._print(pid, lines)
        elif size > LONGEST:
            pieces = list(_cut(b"".join(self._rest.pop(pid))))
            self._keep(pid, pieces.pop())
            self._print(pid, pieces)

    def _keep(self, pid: int, rest: bytes) -> None:
        """Keep a line without an end."""
        self._sizes[pid] = len(rest)
        if rest:
            self._rest[pid] = [rest]

    def finish(self) -> None:
        """Print what never got its newline."""
        for pid, rest in list(self._rest.items()):
            self._print(pid, [b"".join(rest)])
        self._rest.clear()
        self._sizes.clear()
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
                self._name(pid, name.decode(errors="replace"))
            else:
                shown.append(self._prefixed(pid, line))
        if shown:
            self.say("".join(shown))

    def _name(self, pid: int, name: str) -> None:
        """Note who writes; of the processes that were heard of longest ago nothing is remembered.

        Whatever a task prints may look like a mark.
        """
        self._names.pop(pid, None)
        self._names[pid] = visible(name)
        if len(self._names) > NAMES:
            del self._names[next(iter(self._names))]

    def _prefixed(self, pid: int, line: bytes) -> str:
        return f"({self._names.get(pid, 'worker')} pid={pid}) {line.decode(errors='backslashreplace')}\n"


def _cut(line: bytes) -> Iterator[bytes]:
    """Yield the pieces of a line that has not ended, none longer than ``LONGEST``; a mark and its name stay whole."""
    mark = MARK.encode()
    at = 0
    while len(line) - at > LONGEST:
        end = at + LONGEST
        begun = line.rfind(mark[:1], end - MARKED, end)
        if begun > at and line.startswith(mark, begun):
            end = begun
        yield line[at:end]
        at = end
    yield line[at:]
