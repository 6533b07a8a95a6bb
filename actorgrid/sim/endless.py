"""Programs that do not end: how much one may do is counted, events and the calls that wait for nothing.

This file may not know what an event is, nor what the calls do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from actorgrid.exceptions import LivelockError
from actorgrid.sim.fibers import PATIENCE, WorldOver
from actorgrid.sim.places import call_site

if TYPE_CHECKING:
    from actorgrid.sim.world import World

#: So many calls may a program make for each event that is allowed.
DEEDS: Final = 10


class Endless:
    """How far the program of one world has gone, and how far it may."""

    def __init__(self, world: World, most: int) -> None:
        """``most``: events."""
        self._world = world
        self.most = most
        #: Events that have happened; calls of the program, those that no event comes of among them.
        self.events = self._deeds = 0
        self._most_deeds = DEEDS * most
        self._told = 0
        #: What the program was told, if it does not end.
        self.error: LivelockError | None = None

    def happens(self) -> None:
        """One more event happens. Raises LivelockError if that are too many."""
        self.events += 1
        if self.events > self.most:
            waits = self._world.describe_waits()
            self._tell(f"the program has not ended after {self.most} events: {waits}")

    def does(self) -> None:
        """The program makes a call. Raises LivelockError if that are too many."""
        self._deeds += 1
        if self._deeds > self._most_deeds and (fiber := self._world.fibers.current) is not None:
            where = f"{fiber.name} is at {call_site()}"
            self._tell(
                f"the program has not ended after {self._most_deeds} calls, most of which wait for nothing: {where}"
            )

    def _tell(self, why: str) -> None:
        """Raise LivelockError; one that swallows it and goes on gets what ``except Exception`` does not catch."""
        self._told += 1
        self.error = self.error or LivelockError(why)
        error = WorldOver() if self._told > PATIENCE else self.error
        self._world.abort(error)
        raise error
