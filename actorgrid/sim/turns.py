"""Turns of event loops: what a call finds that comes between two of them.

An asynchronous actor that is woken runs until nobody in it can go on. That hides what happens if another call comes in
between: after ``await asyncio.sleep(0)``, say, or after a future is done and before who waits for it goes on. It can be
told only if somebody's turn has put somebody else at the end of the loop's queue, before or behind a call that comes
now. A run in which that happens ``needs`` turns to be held back (see ``onlookers``); then each of them is an event
("turn"). Turns take no time, as all computing here.

For who looks at footprints there are two things: the queue, the end of which calls and turns contend for (its token is
the actor's path), and the actor's memory, which only turns change.

This file may not know what an event loop is.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from actorgrid.sim.choices import Event
from actorgrid.sim.course import FAIR

if TYPE_CHECKING:
    from actorgrid.sim.fibers import Fiber
    from actorgrid.sim.world import World


def memory_of(queue: str) -> tuple[str, str]:
    """Return the footprint's token for what the turns of an actor's loop change; ``queue``: the actor's path."""
    return "loop", queue


class Turns:
    """The turns that may happen next in one world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._waiting: dict[Fiber, Event] = {}
        #: How many turns each actor has had, in all its lives.
        self._taken: dict[str, int] = {}
        #: How many turns have happened since anything else has.
        self._in_a_row = 0

    def take(self, queue: str, title: str) -> None:
        """Park the calling fiber, the loop of the actor with this path, until its turn comes."""
        world = self._world
        fiber = world.fibers.current
        assert fiber is not None
        self._taken[queue] = nth = self._taken.get(queue, 0) + 1
        event = Event("turn", memory_of(queue), nth, f"{title} takes turn {nth}", partial(self._go_on, fiber))
        policy = world.choices.policy
        policy.born(event.key, readonly=False)
        if world.footprint is not None:
            policy.fed(event.key, [(*memory_of(queue), nth - 1)])
        self._waiting[fiber] = event
        try:
            while self._waiting.get(fiber) is event:
                world.fibers.park("its turn")
        finally:
            self._waiting.pop(fiber, None)
        world.made.append((*memory_of(queue), nth))

    def waits(self, fiber: Fiber) -> bool:
        """Return whether this fiber waits for its turn."""
        return fiber in self._waiting

    def _go_on(self, fiber: Fiber) -> None:
        del self._waiting[fiber]
        self._world.fibers.wake(fiber)

    def after(self, event: Event) -> None:
        """This happens next."""
        self._in_a_row = self._in_a_row + 1 if event.kind == "turn" else 0

    def come_first(self) -> bool:
        """Return whether they are what is dullest, and take no time: no timer fires, nobody polls, nothing breaks.

        Not always: a loop that turns until others have done something lets them.
        """
        return bool(self.events()) and self._in_a_row % FAIR != FAIR - 1

    def events(self) -> list[Event]:
        """Return the turns that may happen next."""
        return [event for fiber, event in self._waiting.items() if fiber.parked and not fiber.dead]
