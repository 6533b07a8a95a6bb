"""What a fiber waits on. It may not know what the objects are that it waits for: it counts those that are there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actorgrid.core.client import Awaited, failed

if TYPE_CHECKING:
    from actorgrid.sim.fibers import Fiber
    from actorgrid.sim.world import World


class SimWaiter:
    """What a fiber waits on until ``need`` of its objects exist, or (``eager``) one of them is an error."""

    __slots__ = ("eager", "error", "fiber", "left", "need", "open", "why", "world")

    def __init__(self, world: World, need: int, *, eager: bool, why: str) -> None:
        self.world = world
        self.need = self.left = need
        self.eager = eager
        self.open = False
        self.error: BaseException | None = None
        self.why = why
        self.fiber: Fiber | None = None

    def arrived(self, entry: Awaited) -> None:
        """One of the objects exists now."""
        self.left -= 1
        if not self.open and (self.left <= 0 or (self.eager and entry.value is not None and failed(entry.value))):
            self.release()

    def release(self) -> None:
        """Let the fiber go on."""
        self.open = True
        if self.fiber is None:
            return
        if self.eager:
            self.world.fibers.wake(self.fiber)
        else:
            self.world.notice(self.fiber, self.need)

    def wait(self, timeout: float | None) -> bool:
        """Park until released or until ``timeout`` virtual seconds have passed. Returns whether it was released."""
        world = self.world
        if not self.open:
            self.fiber = world.fibers.current
            world.waits.wait(self.why, timeout, lambda: self.open)
            self.fiber = None
            world.takes_turn("goes on")
        return self.open
