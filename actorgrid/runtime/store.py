"""This process's part of the object store: what it writes, what it has mapped, and its lease.

A writer holds a lease of bytes, granted ahead, and allocates from it without asking. Extents that the head says are
unused stay warm for the next value; beyond ``keep`` bytes they go back to the system and the lease shrinks with them.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Container, Iterable
from typing import TYPE_CHECKING, Any, Final

from actorgrid.core import messages as m
from actorgrid.core.extents import reserved
from actorgrid.engine.interrupts import breathing
from actorgrid.exceptions import ObjectStoreFullError
from actorgrid.runtime import limits
from actorgrid.runtime.arenas import ArenaReader, ArenaWriter

if TYPE_CHECKING:
    from actorgrid.engine.serialize import Pickled
    from actorgrid.runtime.links import Link
    from actorgrid.runtime.process import ProcessEngine

MOST_KEPT: Final = 512 << 20


class Store:
    """Shared memory of one process."""

    def __init__(self, engine: ProcessEngine, budget: int) -> None:
        """``budget`` is the whole grid's, in bytes."""
        self._engine = engine
        self.reader = ArenaReader()
        self._writer: ArenaWriter | None = None
        #: Segments that could not be mapped, and why.
        self._refused: dict[int, OSError] = {}
        self._keep = min(budget // 8, MOST_KEPT)
        #: Leased bytes that no extent uses.
        self._spare = 0
        #: How often extents came back.
        self._frees = 0
        self._lock = threading.RLock()  # a signal handler may come back to it

    @breathing
    def write(self, pickled: Pickled) -> m.Extent:
        """Put a payload into shared memory. Raises ObjectStoreFullError."""
        size = reserved(pickled.size)
        self._lease(size)
        try:
            return self._arena().write(pickled.data, pickled.buffers)
        except BaseException as error:
            with self._lock:
                self._spare += size
            if isinstance(error, OSError):
                why = limits.told(error, "this process")
                raise ObjectStoreFullError(f"no shared memory for {size} bytes: {why}") from error
            raise

    def attach(self, message: m.Segment, link: Link[Any]) -> None:
        """Map a segment that the head shows us. If the system refuses, whoever wants what lies there is told."""
        try:
            if not message.size:
                raise OSError(errno.ENFILE, "the head of the grid has no descriptor left to pass on (ulimit -n)")
            if not (claimed := link.claim()):
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))  # the kernel dropped the descriptor
            self.reader.attach(message.segment, message.size, claimed[0])
        except OSError as error:
            self._refused[message.segment] = error

    @property
    def starved(self) -> bool:
        """Whether the system has refused to map a segment here: there are no descriptors left, say."""
        return bool(self._refused)

    def view(self, extent: m.Extent, on_release: Callable[[], None]) -> memoryview:
        """Return a read-only view of an object that pins it. Raises OSError if its segment could not be mapped."""
        if self._refused and extent.segment in self._refused:
            on_release()
            error = self._refused[extent.segment]
            why = limits.told(error, "this process")
            raise OSError(error.errno, f"a segment of shared memory cannot be mapped: {why}")
        return self.reader.view(extent, on_release)

    def freed(self, extents: Iterable[m.Extent], *, cold: bool = False) -> None:
        """The head says that nobody uses these any more; ``cold``: they are not part of our lease any more, either.

        Not called under the engine's lock.
        """
        extents = tuple(extents)
        size = sum(reserved(extent.size) for extent in extents)
        writer = self._arena()
        writer.recycle(extents)
        surplus = 0
        with self._lock:
            self._frees += 1
            if not cold:
                self._spare += size
            if self._spare > self._keep:
                surplus, self._spare = self._spare - self._keep, self._keep
        if cold:
            writer.trim(self._spare)
        if surplus:
            writer.trim(self._keep)
            self._engine.tell_quietly(m.LeaseReturn(surplus))

    def squeeze(self) -> None:
        """Memory is short: give back what is leased and not used. Not called under the engine's lock."""
        with self._lock:
            surplus, self._spare = self._spare, 0
        if surplus:
            self._arena().trim(0)
            self._engine.tell_quietly(m.LeaseReturn(surplus))

    def _lease(self, size: int) -> None:
        while not self._take(size):
            frees = self._frees
            answer = self._engine._ask(m.LeaseRequest(0, size), take=self._granted)  # noqa: SLF001  # one door for all requests
            if (
                answer.error and self._frees == frees
            ):  # else something was freed while we asked: here, or given back, or both
                raise self._engine.refusal(answer)

    def _granted(self, answer: m.Answer) -> None:
        """What is leased is there for whoever comes first: for the next value if the one that asked was interrupted."""
        if not answer.error:
            with self._lock:
                self._spare += answer.body["granted"]

    def _take(self, size: int) -> bool:
        with self._lock:
            if self._spare < size:
                return False
            self._spare -= size
            return True

    def _arena(self) -> ArenaWriter:
        if self._writer is None:
            engine = self._engine
            writer = ArenaWriter(engine.announce, engine.next_id, reader=self.reader)
            with self._lock:
                if self._writer is None:
                    self._writer = writer
        return self._writer

    def keep(self, segments: Container[int]) -> None:
        """Nothing will be written any more, and nothing be read that does not lie in these; views stay valid."""
        self.reader.keep(segments)
        if self._writer is not None:
            self._writer.close()

    def close(self) -> None:
        """Let go of everything; views stay valid."""
        self.reader.close()
        if self._writer is not None:
            self._writer.close()
