"""Being called back: what a process asks for that has not come yet, and when its code runs for it.

This file may not know who asks, nor what an event loop is.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from actorgrid.core.client import Entry
from actorgrid.core.stream import Inflow
from actorgrid.engine.control import LocalEngine
from actorgrid.engine.generators import ObjectRefGenerator
from actorgrid.engine.refs import ObjectRef
from actorgrid.sim.onlookers import Holds

if TYPE_CHECKING:
    from actorgrid.sim.fibers import Fiber
    from actorgrid.sim.world import World

#: What those are called that only put something into the queue of an event loop (``engine.refs``, ``generators``).
QUEUES: Final = "from_any_thread"


class CallingBack(LocalEngine):
    """The part of a simulated process that calls back."""

    world: World
    #: Objects whose existence this process has observed.
    noticed: set[Any]
    #: How many have asked to be called back with what there is not yet.
    called_back = 0

    @abstractmethod
    def is_there(self, oid: int) -> bool:
        """Return whether the value of an object has come."""

    @abstractmethod
    def share(self) -> None:
        """From now on more than one line of execution of this process may run."""

    @abstractmethod
    def touch_memory(self, fiber: Fiber) -> None:
        """Note that what this fiber does may change the memory of this process."""

    def look_for(self, oid: int) -> None:
        """Note that somebody sees whether an object exists, and whether this process has been told."""
        self.world.touch(("object", self.client.number, oid), writes=False)
        self.world.touch(("made", oid), writes=False)

    def on_ready(self, ref: ObjectRef[Any], callback: Callable[[ObjectRef[Any]], None]) -> None:
        """See ``Engine``. Whoever asks sees whether it is called at once, and of several what is called first."""
        self.world.onlookers.need(Holds.TASKS)
        entry = ref._entry  # noqa: SLF001  # our own
        self.look_for(entry.oid)
        if self.is_there(entry.oid):
            self.noticed.add(entry.oid)
        super().on_ready(ref, callback)

    def on_item(self, generator: ObjectRefGenerator[Any], callback: Callable[[], None]) -> None:
        """See ``Engine`` and ``on_ready``."""
        self.world.onlookers.need(Holds.TASKS)
        self.look_for(self.stream(generator).oid)
        super().on_item(generator, callback)

    def _call_back_later(self, entry: Entry, ref: ObjectRef[Any], callback: Callable[[ObjectRef[Any]], None]) -> bool:
        def call_back(ref: ObjectRef[Any]) -> None:
            self._is_called_back(callback)
            self.noticed.add(entry.oid)
            callback(ref)

        self.share()
        later = super()._call_back_later(entry, ref, call_back)
        self.called_back += later
        return later

    def _call_back_with_item(self, stream: Inflow, callback: Callable[[], None]) -> bool:
        def call_back() -> None:
            self._is_called_back(callback)
            callback()

        self.share()
        later = super()._call_back_with_item(stream, call_back)
        self.called_back += later
        return later

    def _is_called_back(self, callback: Callable[..., None]) -> None:
        """This is about to be called, in a fiber of its own."""
        world, fiber = self.world, self.world.fibers.current
        self.called_back -= 1
        if fiber is not None and not (_queues(callback) and world.onlookers.holds.turns):
            self.touch_memory(fiber)


def _queues(callback: Callable[..., None]) -> bool:
    """Return whether this only puts something into the queue of an event loop: somebody awaits the object."""
    return getattr(callback, "__name__", "") == QUEUES and callback.__module__.startswith("actorgrid.engine.")
