"""What of the interpreter a world has in its hands, since all simulated processes share it, and how that is put back.

``SimHost.enter`` gives each process its own; here is what the program had, and what would outlive the world.

This file may not know what a process is, nor when a world ends.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from cloudpickle import cloudpickle as by_value

from actorgrid.engine import current
from actorgrid.sim.homes import Homes
from actorgrid.wire import custom

if TYPE_CHECKING:
    from actorgrid.engine.calls import PreparedCall
    from actorgrid.sim.async_actor import SimLoop
    from actorgrid.sim.locks import OnePerProcess


class Surroundings:
    """What is around the processes of one world."""

    def __init__(self) -> None:
        #: The program's environment variables.
        self.environment: dict[Any, Any] = os.environ._data  # type: ignore[attr-defined]  # noqa: SLF001  # see SimHost.enter
        #: Where processes with folders and modules of their own find these.
        self.homes, self.serializers = Homes(), custom.current
        #: The interpreter's own record of classes that go by value (see ``SimHost.enter``): the program's.
        self.classes: tuple[Any, Any] = (
            by_value._DYNAMIC_CLASS_TRACKER_BY_CLASS,  # noqa: SLF001  # see track_classes
            by_value._DYNAMIC_CLASS_TRACKER_BY_ID,  # noqa: SLF001  # see track_classes
        )
        #: Event loops that were made, to be closed at the end.
        self.loops: list[SimLoop] = []
        #: What may outlive this world in the program's modules, and is not to keep it alive: locks, prepared calls.
        self.locks: WeakSet[OnePerProcess[Any]] = WeakSet()
        self.prepared: WeakSet[PreparedCall] = WeakSet()

    def put_back(self) -> None:
        """The world is over: everything is as the program had it."""
        self.homes.close()
        custom.use(self.serializers)
        os.environ._data = self.environment  # type: ignore[attr-defined]  # noqa: SLF001  # see SimHost.enter
        for loop in self.loops:
            loop.bury()
        track_classes(self.classes)
        current.install(None)
        if "actorgrid.engine.logs" in sys.modules:  # the program may not have shut its grid down
            sys.modules["actorgrid.engine.logs"].restore()
        self._let_go()

    def _let_go(self) -> None:
        """Have nothing that outlives the world keep it: what it consists of is garbage when the run is over."""
        for lock in self.locks:
            lock.world_ends()
        for prepared in self.prepared:
            prepared.engine = None


def track_classes(trackers: tuple[Any, Any]) -> None:
    """Have cloudpickle keep its maps between classes and their identifiers there."""
    by_value._DYNAMIC_CLASS_TRACKER_BY_CLASS, by_value._DYNAMIC_CLASS_TRACKER_BY_ID = trackers  # noqa: SLF001  # the one place where it keeps them
