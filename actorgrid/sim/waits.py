"""Who waits in a world, for what and until when: fibers park here, and go on when it is over or when it is too late.

This file may not know who decides what happens next, nor what calls and processes there are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from actorgrid.sim.choices import Event
from actorgrid.sim.places import places_of

if TYPE_CHECKING:
    from actorgrid.sim.clock import Clock, Timer
    from actorgrid.sim.fibers import Fiber, Fibers


class Waits:
    """What the fibers of one world wait for."""

    def __init__(self, fibers: Fibers, clock: Clock) -> None:
        self._fibers = fibers
        self._clock = clock
        #: Fibers that looked, saw nothing, and go on when everything else has had a chance.
        self.polling: dict[Fiber, None] = {}
        #: Fibers whose wait() is over and that have not seen it.
        self.noticing: dict[Fiber, None] = {}
        #: What each parked fiber waits for: the call and the objects.
        self.objects: dict[Fiber, tuple[str, tuple[int, ...]]] = {}

    def wait(self, why: str, timeout: float | None, over: Callable[[], bool]) -> None:
        """Park the calling fiber until ``over()`` or until ``timeout`` virtual seconds have passed.

        It may be woken for nothing: by what a finalizer, which ran in the middle of this, had waited for.
        """
        fiber = self._fibers.current
        if fiber is None:
            raise RuntimeError("a finalizer that runs between two steps of the simulation cannot wait")
        timer: Timer | None = None
        due = self._clock.now + (timeout or 0.0)
        if timeout is not None:
            if timeout <= 0:
                self.polling[fiber] = None
            else:
                timer = self._clock.at(due, lambda: self._fibers.wake(fiber), f"{fiber.name}: {why} times out")
        try:
            while not over():
                self._fibers.park(why)
                if timeout is not None and (timeout <= 0 or self._clock.now >= due):
                    break
        finally:
            if timer is not None:
                timer.cancel()
            self.polling.pop(fiber, None)
            self.noticing.pop(fiber, None)
            self.objects.pop(fiber, None)

    def sleep(self, seconds: float) -> None:
        """Let virtual time pass for the calling fiber."""
        self.wait("sleep()", max(seconds, 0.0), lambda: False)

    def is_enough(self, fiber: Fiber) -> None:
        """Enough of what a fiber waits for is there: it goes on when it is chosen to see that."""
        self.noticing[fiber] = None

    # -- what may happen

    def notices(self) -> list[Event]:
        """Return who may see that enough is there."""
        return [self._notice(fiber) for fiber in self.noticing if fiber.parked]

    @staticmethod
    def notice_of(fiber: Fiber) -> tuple[Any, ...]:
        """Return the key of the event in which this fiber sees that enough is there."""
        return Event("notice", fiber.name, "", "", lambda: None).key

    def _notice(self, fiber: Fiber) -> Event:
        label = f"{fiber.name} sees what is ready"

        def see() -> None:
            self.noticing.pop(fiber, None)
            self._fibers.wake(fiber)

        return Event("notice", fiber.name, "", label, see, fiber.chain)

    def polls(self) -> list[Event]:
        """Return who may look again."""
        events = []
        for fiber in self.polling:
            if fiber.parked:
                what = f"{fiber.name} looks again"
                events.append(Event("poll", fiber.name, what, what, partial(self._fibers.wake, fiber)))
        return events

    def describe(self, calls: Mapping[int, Any], *, stacks: bool = False) -> str:
        """Return who waits for what; ``calls``: by the objects that they make; ``stacks``: and the lines that do."""
        said = []
        for fiber in self._fibers.alive:
            if fiber.parked:
                call, oids = self.objects.get(fiber, (fiber.parked, ()))
                named = [str(calls[oid]) if oid in calls else f"{oid:x}" for oid in oids]
                what = f"{fiber.name} waits in {call}" + (f" for {', '.join(named)}" if named else "")
                places = places_of(fiber.frame()) if stacks else ""
                said.append(f"{what}, at {places}" if places else what)
        return "; ".join(said) or "nobody waits"
