"""Turns of event loops: what a call, or a result, finds that comes between two of them.

An event loop that is woken runs until nobody in it can go on. That hides what happens if something comes in between:
after ``await asyncio.sleep(0)``, say, or after a future is done and before who waits for it goes on. It can be told
only if somebody's turn has put somebody else at the end of the loop's queue, before or behind what comes now: to an
actor's loop a call, to every loop a result that somebody there awaits, or the word of a thread. A run in which that
happens ``needs`` turns to be held back (see ``onlookers``); then each of them is an event ("turn"). Turns take no time,
as all computing here.

For who looks at footprints there are two things: the queue, the end of which turns and what comes contend for, and the
memory that turns change: an actor's, in which nothing else runs, or that of a process.

This file may not know what an event loop is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from actorgrid.sim.choices import Event
from actorgrid.sim.course import FAIR

if TYPE_CHECKING:
    from actorgrid.sim.fibers import Fiber
    from actorgrid.sim.world import World


def memory_of(queue: str) -> tuple[str, str]:
    """Return the footprint's token for what the turns of an actor's loop change; ``queue``: the actor's path."""
    return "loop", queue


def tokens_of(where: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return what any turn that takes place there touches, at the least: memory, and the end of a queue."""
    return where, *where[1:]


class Turns:
    """The turns that may happen next in one world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.waiting: dict[Fiber, Event] = {}
        #: Fibers whose loop has nothing to do.
        self._resting: set[Fiber] = set()
        #: How many turns each loop has had: that of an actor in all its lives.
        self._taken: Counter[str] = Counter()
        #: The last turn that each fiber has taken.
        self._last: dict[Fiber, Any] = {}
        #: How many loops the fibers of each name have made.
        self._made: Counter[str] = Counter()
        #: How many turns have happened since anything else has.
        self._in_a_row = 0

    def name(self) -> tuple[str, str]:
        """Return what the queue of a loop that is made now is called in every run, and whose it is, in words."""
        fiber = self._world.fibers.current
        owner = fiber.name if fiber is not None else "nobody"
        self._made[owner] += 1
        return f"loop {self._made[owner]} of {owner}", owner

    def take(self, queue: str, title: str, memory: tuple[Any, ...] = ()) -> None:
        """Park the calling fiber, which runs the loop with this queue, until its turn comes.

        ``memory``: the token of what its turns change, if that is not only theirs.
        """
        world = self._world
        fiber = world.fibers.current
        assert fiber is not None
        self._taken[queue] += 1
        nth, where = self._taken[queue], (*memory_of(queue), *memory)
        event = Event("turn", where, nth, f"{title} takes turn {nth}", partial(self._go_on, fiber))
        policy = world.choices.policy
        policy.born(event.key, readonly=False)
        if world.footprint is not None and fiber in self._last:
            policy.fed(event.key, [self._last[fiber]])
        self.waiting[fiber] = event
        try:
            while self.waiting.get(fiber) is event:
                world.fibers.park("its turn")
        finally:
            self.waiting.pop(fiber, None)
        self._last[fiber] = *where, nth
        world.makes(self._last[fiber])

    @contextmanager
    def resting(self, fiber: Fiber | None) -> Iterator[None]:
        """While the block lasts this fiber, which runs a loop, has nothing to do: what wakes it queues something."""
        if fiber is None or not self._world.onlookers.holds.turns:
            yield
            return
        self._resting.add(fiber)
        try:
            yield
        finally:
            self._resting.discard(fiber)

    def rests(self, fiber: Fiber) -> bool:
        """Return whether this fiber, which is to go on, runs none of the program's code yet."""
        return fiber in self.waiting or fiber in self._resting

    def _go_on(self, fiber: Fiber) -> None:
        del self.waiting[fiber]
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
        return [event for fiber, event in self.waiting.items() if fiber.parked and not fiber.dead]
