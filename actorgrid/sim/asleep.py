"""Sleep sets (Godefroid 1996): what need not be done from a node because all that it leads to has been seen.

From the node where it was done, step ``e`` left a footprint ``F(e)``. If ``t`` is taken there instead and they commute,
``e`` sleeps on below: ``t; e`` is ``e; t``. It wakes as soon as a step is taken that does not commute with it.

There ``e`` may do more than it did. Where some code waits for both, what it does then, ``J``, is a part of ``t`` in
``e; t``, and of ``e`` in ``t; e``. Of ``t; x; e`` nothing is new as long as ``x`` commutes with ``J`` or with ``t``: it
is ``e; x; t`` then, which has ``J`` behind ``x``, too. But if ``x`` needs ``t``, or something between them that does,
``e; t; x`` is all there is behind ``e``, and has ``J`` before it. Then ``e`` wakes.

This file may not know how runs are made.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from actorgrid.sim.footprint import Footprint, conflict, race, widen


@dataclass
class Explored:
    """A step from a node, and everything below it."""

    footprint: Footprint = field(default_factory=dict)
    #: Every event that happened below, and what code did then that had waited for this step, too.
    below: dict[Any, Footprint] = field(default_factory=dict)


@dataclass(frozen=True)
class Taken:
    """A step that is taken while others sleep."""

    key: Any
    number: int
    footprint: Footprint
    #: The steps without which it would not be what it is (bits); -1: any, for all that is known.
    needs: int


@dataclass(frozen=True)
class _Joint:
    """What a sleeping step would do more, because another one was taken since (``J`` and ``t`` above)."""

    footprint: Footprint
    #: What was touched by that one and by what has happened since that needs it, and the numbers of these (bits).
    since: Footprint
    steps: int

    def needed_by(self, taken: Taken) -> bool:
        return bool(taken.needs & self.steps) or conflict(self.since, taken.footprint)

    def behind(self, taken: Taken) -> _Joint:
        since = {**self.since}
        widen(since, taken.footprint)
        return replace(self, since=since, steps=self.steps | 1 << taken.number)


@dataclass(frozen=True)
class Asleep:
    """A step that sleeps."""

    explored: Explored
    joints: tuple[_Joint, ...] = ()

    def behind(self, taken: Taken) -> Asleep | None:
        """Return it as it sleeps on behind another step; None: it wakes."""
        more = self.explored.below.get(taken.key)
        if more is None or conflict(self.explored.footprint, taken.footprint):
            return None  # what it would do there is not known, or they do not commute
        joints = list(self._behind(taken))
        if any(joint is None for joint in joints):
            return None
        if more:
            joints.append(_Joint(more, taken.footprint, 1 << taken.number))
        return Asleep(self.explored, tuple(joint for joint in joints if joint is not None))

    def _behind(self, taken: Taken) -> Iterator[_Joint | None]:
        for joint in self.joints:
            if not joint.needed_by(taken):
                yield joint
            else:
                yield None if race(joint.footprint, taken.footprint) else joint.behind(taken)
