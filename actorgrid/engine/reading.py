"""Reading streams: the next item, whether there is one, and the end of all interest.

This file may not know what makes the items.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from actorgrid.core.stream import Inflow
from actorgrid.engine.generators import ObjectRefGenerator
from actorgrid.engine.interrupts import protected
from actorgrid.engine.refs import Entry, ObjectRef
from actorgrid.engine.waiting import WaitingEngine, stranger
from actorgrid.engine.waits import CallbackWaiter


class ReadingEngine(WaitingEngine):
    """Streams, from the reader's side."""

    def next_item(self, generator: ObjectRefGenerator[Any], timeout: float | None) -> ObjectRef[Any] | None:
        """See ``Engine``."""
        stream = self.stream(generator)
        while True:
            ref = self._take(stream)
            if ref is not None or timeout == 0 or stream.over:
                return ref
            if self.client.dead is not None:
                raise self.client.dead
            self._wait_for(1, [stream], timeout, "next")

    def stream(self, generator: ObjectRefGenerator[Any]) -> Inflow:
        """Return what is behind a generator. Raises ValueError for one of another session."""
        stream: Any = generator._entry  # noqa: SLF001  # our own
        if not isinstance(stream, Inflow) or stream.client is not self.client:
            raise stranger(generator)
        return stream

    @protected
    def _take(self, stream: Inflow) -> ObjectRef[Any] | None:
        with self.lock:
            entry = stream.take()
            if entry is None:
                return None
            ref: ObjectRef[Any] = ObjectRef(entry)
            entry.refs -= 1  # what it counted for its place in the stream
            if self.client.untold:
                self.remind()
            elif stream.bounded:
                self.send(force=False)
            return ref

    def remind(self) -> None:
        """Have the head told in a moment of what was taken: this program may rest now. Called with the lock held."""
        self.client.rest()
        self.send(force=False)

    def lets_come(self, entry: Entry) -> bool:
        """See ``Engine``. It comes by itself."""
        del entry
        return False

    def sees_item(self, generator: ObjectRefGenerator[Any]) -> bool:
        """See ``Engine``."""
        return self.stream(generator).ready

    def on_item(self, generator: ObjectRefGenerator[Any], callback: Callable[[], None]) -> None:
        """See ``Engine``."""
        if not self._call_back_with_item(self.stream(generator), callback):
            callback()

    @protected
    def _call_back_with_item(self, stream: Inflow, callback: Callable[[], None]) -> bool:
        with self.lock:
            if stream.ready:
                return False
            if self.client.dead is not None:
                raise self.client.dead
            self.client.rest()
            self.client.watch([stream], CallbackWaiter(lambda: self.schedule(callback)))
            self.send(force=False)
            return True

    @protected
    def close_stream(self, generator: ObjectRefGenerator[Any]) -> None:
        """See ``Engine``."""
        stream = self.stream(generator)
        with self.lock:
            self.client.dismiss(stream, stop=True)
            self.client.collect()
            if self.client.dead is None:
                self.send(force=True)
