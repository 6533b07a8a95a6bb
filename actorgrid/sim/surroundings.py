"""What of the interpreter a world has in its hands, since all simulated processes share it, and how that is put back.

``SimHost.enter`` gives each process its own; here is what the program had, and what would outlive the world.

This file may not know what a process is, nor when a world ends.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, WeakSet, WeakValueDictionary

from cloudpickle import cloudpickle

from actorgrid.engine import current
from actorgrid.sim.homes import Homes
from actorgrid.wire import custom

if TYPE_CHECKING:
    from actorgrid.engine.calls import PreparedCall
    from actorgrid.sim.locks import OnePerProcess
    from actorgrid.sim.loops import SimLoop


#: What cloudpickle knows of classes that are not in any module: their names by class, and the classes by name.
Trackers = tuple[WeakKeyDictionary[type[Any], str], WeakValueDictionary[str, type[Any]]]


def new_trackers() -> Trackers:
    """Return what a process begins with."""
    return WeakKeyDictionary(), WeakValueDictionary()


def track(trackers: Trackers) -> None:
    """Have cloudpickle look and write into these."""
    cloudpickle._DYNAMIC_CLASS_TRACKER_BY_CLASS, cloudpickle._DYNAMIC_CLASS_TRACKER_BY_ID = trackers  # noqa: SLF001  # the one place where it keeps them


class Surroundings:
    """What is around the processes of one world."""

    def __init__(self) -> None:
        #: The program's environment variables.
        self.environment: dict[Any, Any] = os.environ._data  # type: ignore[attr-defined]  # noqa: SLF001  # see SimHost.enter
        #: Where processes with folders and modules of their own find these.
        self.homes, self.serializers = Homes(), custom.current
        #: The interpreter's own record of classes defined in functions (see ``SimHost.enter``), and the program's.
        self._real_trackers: Trackers | None = None
        self.trackers = new_trackers()
        #: Event loops that were made, to be closed at the end.
        self.loops: list[SimLoop] = []
        #: What may outlive this world in the program's modules, and is not to keep it alive: locks, prepared calls.
        self.locks: WeakSet[OnePerProcess[Any]] = WeakSet()
        self.prepared: WeakSet[PreparedCall] = WeakSet()

    def begin(self) -> None:
        """The program begins. It knows no class that was sent: how it draws a name for one is the same in every run."""
        self._real_trackers = cloudpickle._DYNAMIC_CLASS_TRACKER_BY_CLASS, cloudpickle._DYNAMIC_CLASS_TRACKER_BY_ID  # noqa: SLF001  # see track
        track(self.trackers)

    def put_back(self) -> None:
        """The world is over: everything is as the program had it."""
        self.homes.close()
        custom.use(self.serializers)
        os.environ._data = self.environment  # type: ignore[attr-defined]  # noqa: SLF001  # see SimHost.enter
        for loop in self.loops:
            loop.bury()
        if self._real_trackers is not None:
            track(self._real_trackers)
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
