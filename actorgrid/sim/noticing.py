"""What a process has noticed: which of the objects that exist are seen to exist is a choice.

Here a value comes to a process as soon as there is one. On real processes it is on its way for a while, so a ``wait``
that does not wait may see less; but what a process has once had cannot be gone. A future is what it is: others see it,
too (``concurrent.futures.wait``, callbacks), so its ``done()`` may only look before it has come.

This file may not know how values come.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from actorgrid.core.stream import Inflow
from actorgrid.engine.generators import ObjectRefGenerator
from actorgrid.engine.refs import Entry, ObjectRef
from actorgrid.sim.callbacks import CallingBack
from actorgrid.sim.onlookers import Holds

if TYPE_CHECKING:
    from actorgrid.core import messages as m
    from actorgrid.engine.protocol import Waitable


class Noticing(CallingBack):
    """The part of a simulated process that looks at what is there."""

    @abstractmethod
    def repeats(self) -> bool:
        """Return whether the calling code runs again and must do what it did before."""

    def is_there(self, oid: int) -> bool:
        """Return whether the value of an object has come; nobody here keeps one that has and is let go of."""
        entry = self.client.entries.get(oid)
        return entry is None or entry.value is not None

    def put_value(self, value: m.Value) -> ObjectRef[Any]:
        """See ``LocalEngine``. Who has made an object knows that it is there."""
        ref = super().put_value(value)
        self.noticed.add(ref._entry.oid)  # noqa: SLF001  # our own
        return ref

    def wait(self, refs: Sequence[Waitable], num_returns: int, timeout: float | None) -> tuple[list[Any], list[Any]]:
        """See ``Engine``. If more are ready than asked for, which of them come first is explored."""
        self.world.endless.does()
        if timeout is not None:
            self.world.onlookers.need(Holds.TASKS)
        ready, rest = super().wait(refs, num_returns, timeout)
        if self.repeats():
            return ready, rest  # it saw the first ones the first time, or it would not run again
        for ref in refs:
            self.look_for(ref._entry.oid)  # noqa: SLF001  # our own
        there = [ref for ref in refs if ref._entry.value is not None]  # type: ignore[union-attr]  # noqa: SLF001  # our own
        seen = [ref for ref in there if _what(ref) in self.noticed]
        fresh = [ref for ref in there if _what(ref) not in self.noticed]
        if timeout == 0 and len(there) <= num_returns:
            hidden = self.world.draw("ready", len(fresh) + 1, "wait(timeout=0) sees less")
            ready = seen + fresh[: len(fresh) - hidden]
        elif len(there) > num_returns:
            ready = seen[:num_returns]
            while len(ready) < num_returns:
                index = self.world.draw("ready", len(fresh), "wait() sees another one first")
                ready.append(fresh.pop(index))
        self.noticed.update(_what(ref) for ref in ready)
        chosen = {id(ref) for ref in ready}
        if any(id(ref) not in chosen for ref in refs[:num_returns]):
            self.saw_chance()
        return [ref for ref in refs if id(ref) in chosen], [ref for ref in refs if id(ref) not in chosen]

    def next_item(self, generator: ObjectRefGenerator[Any], timeout: float | None) -> ObjectRef[Any] | None:
        """See ``Engine``."""
        ref = super().next_item(generator, timeout)
        if self.world.footprint is not None:
            stream = self.stream(generator)
            self.world.seen.append(stream.oid if stream.over else ("item", stream.oid, stream.taken - 1))
        return ref

    def sees_item(self, generator: ObjectRefGenerator[Any]) -> bool:
        """See ``Engine``. An item that is there may not have come yet."""
        self.world.onlookers.need(Holds.TASKS)
        self.look_for(self.stream(generator).oid)
        what = _what(generator)
        if not super().sees_item(generator) and not self.is_reader():
            self.world.waits.wait("next_ready()", 0.0, lambda: False)  # others may go on before it looks
        if not super().sees_item(generator):
            return False
        if what not in self.noticed and self.world.draw("ready", 2, "next_ready() sees less"):
            return False
        self.noticed.add(what)
        return True

    def lets_come(self, entry: Entry) -> bool:
        """See ``Engine``. Others may go on before somebody looks, or not."""
        self.world.endless.does()
        self.world.onlookers.need(Holds.TASKS)
        self.look_for(entry.oid)
        if self.is_reader() or self.world.draw("ready", 2, "done() looks before others go on"):
            return False
        self.world.waits.wait("done()", 0.0, lambda: False)
        return True


def _what(ref: Waitable) -> Any:
    """Return what somebody sees who sees that ``ref`` is ready: of a stream, its next item."""
    stream = ref._entry  # noqa: SLF001  # our own
    return (stream.oid, stream.taken) if isinstance(stream, Inflow) else stream.oid
