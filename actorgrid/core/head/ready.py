"""Ready tasks and free resources: who runs next.

Order is (priority, deeper nesting first, submission). Deeper first is what keeps the pool small: with plain FIFO a
thousand outer tasks that each wait for an inner one would need a thousand and two processes; depth first they need
four. Tasks of equal demand and setup wait in one shape; a shape whose first task does not fit is passed over at most
``PATIENCE`` times, then nothing else that uses its resources starts before it, as long as the tasks that run now will
make room for it.

This file may not know what a worker is.
"""

from __future__ import annotations

from bisect import insort
from collections import deque
from collections.abc import Container
from typing import Final
from weakref import WeakValueDictionary

from actorgrid.core.head.records import Shape, Task
from actorgrid.core.resources import Demand, Pool
from actorgrid.core.states import TASK_READY

#: How many tasks may overtake one that does not fit.
PATIENCE: Final = 32


class Ready:
    """The queues of ready tasks, by shape."""

    __slots__ = ("active", "pool", "shapes")

    # Invariant: all(shape.waiting > 0 for shape in self.active)

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        #: The shapes that specs use, by demand and setup: environments may be many, one after the other.
        self.shapes: WeakValueDictionary[tuple[Demand, bytes], Shape] = WeakValueDictionary()
        #: Shapes with waiting tasks.
        self.active: dict[Shape, None] = {}

    def shape(self, demand: Demand, setup: bytes = b"") -> Shape:
        """Return the one shape of ``demand`` and ``setup``."""
        shape = self.shapes.get((demand, setup))
        if shape is None:
            shape = self.shapes[demand, setup] = Shape(demand, self.pool, self.active, setup)
        return shape

    def push(self, task: Task, *, front: bool = False) -> None:
        """Queue a ready task; ``front``: it was queued before and comes back."""
        shape = task.spec.shape
        key = (task.spec.spec.priority, -task.depth)
        queue = shape.queues.get(key)
        if queue is None:
            queue = shape.queues[key] = deque()
            insort(shape.keys, key)
        if front:
            queue.appendleft(task)
        else:
            queue.append(task)
        if not shape.waiting:
            shape.home[shape] = None
        shape.waiting += 1

    def first(self, shape: Shape) -> Task | None:
        """Return the first task of ``shape`` without taking it; drops those that were cancelled meanwhile."""
        while shape.keys:
            key = shape.keys[0]
            queue = shape.queues[key]
            while queue:
                task = queue[0]
                if task.state is TASK_READY:
                    return task
                queue.popleft()  # it left this queue by another door, which has counted it
            del shape.queues[key]
            del shape.keys[0]
        return None

    def pop(self, shape: Shape) -> Task | None:
        """Take the first task of ``shape``."""
        task = self.first(shape)
        if task is not None:
            shape.queues[shape.keys[0]].popleft()
            self.left(shape)
        return task

    def left(self, shape: Shape) -> None:
        """One waiting task less (taken, or no longer wanted)."""
        shape.waiting -= 1
        if not shape.waiting:
            shape.home.pop(shape, None)
            shape.passed_over = 0
            shape.queues.clear()
            shape.keys.clear()

    def choose(self, held_up: Container[bytes] = ()) -> Shape | None:
        """Return the shape whose first task should start now, None if nothing that waits fits.

        ``held_up``: setups for which there is no process just now.
        """
        if len(self.active) == 1:
            shape = next(iter(self.active))
            return shape if (shape.claims or shape.setup not in held_up) and shape.source.fits(shape.demand) else None
        reserved: list[Shape] = []
        overtaken: list[Shape] = []
        for shape in self._by_rank():
            if shape.setup in held_up and not shape.claims:
                continue
            if any(_compete(shape, other) for other in reserved):
                continue
            if shape.source.fits(shape.demand):
                for other in overtaken:
                    other.passed_over += 1
                shape.passed_over = 0
                return shape
            overtaken.append(shape)
            # What actors hold, or tasks that wait for others, may never come back: keeping the rest free for a demand
            # that needs it too would stop everything, perhaps the very tasks that those others wait for.
            if shape.passed_over >= PATIENCE and shape.source.will_fit(shape.demand):
                reserved.append(shape)
        return None

    def choose_claim(self) -> Shape | None:
        """Return the shape whose first placement group should get its room now: it needs no worker."""
        claims = (shape for shape in self._by_rank() if shape.claims and shape.source.fits(shape.demand))
        return next(claims, None)

    def _by_rank(self) -> list[Shape]:
        ranked: list[tuple[tuple[int, int], int, Shape]] = []
        for shape in list(self.active):
            task = self.first(shape)
            if task is not None:
                ranked.append((shape.keys[0], task.order, shape))
        ranked.sort(key=lambda entry: entry[:2])
        return [shape for _, _, shape in ranked]


def _compete(one: Shape, other: Shape) -> bool:
    names = {name for name, _ in one.demand}
    return one.source.ground is other.source.ground and any(name in names for name, _ in other.demand)
