"""Failures told plainly: with as little held back as will do (see ``onlookers``).

A search that has seen one schedule in which turns of event loops matter, say, makes all the others with turns as
choices. What it finds then often needs none: the same order of calls fails without, and its story is shorter.

This file may not know what can be held back, nor how failures become small.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict, deque
from collections.abc import Sequence
from typing import Final, NamedTuple

from actorgrid.sim.choices import Event, Forced, Policy
from actorgrid.sim.onlookers import Holds
from actorgrid.sim.runner import Program, Run

#: What may be left of what is held back: nothing, or all without this or that.
LEFT: Final = (Holds.NOTHING, ~Holds.FILES, ~Holds.TURNS, ~Holds.THREADS, ~Holds.CALLS)


class Following(Policy):
    """The policy that has things happen in the order of another run, as far as they can happen at all."""

    def __init__(self, run: Run) -> None:
        """``run`` was made with its details."""
        self._places: dict[tuple[str, str], deque[int]] = defaultdict(deque)
        for place, step in enumerate(run.story):
            self._places[step.kind, step.what].append(place)
        self._drawn: dict[str, deque[int]] = defaultdict(deque)
        for choice in run.record:
            self._drawn[choice.kind].append(choice.value)

    def choose(self, events: Sequence[Event]) -> int:
        """See ``Policy``."""
        places = [self._places.get((event.kind, event.label)) for event in events]
        known = [(place[0], index) for index, place in enumerate(places) if place]
        if not known:
            return 0
        _, index = min(known)
        self._places[events[index].kind, events[index].label].popleft()
        return index

    def draw(self, kind: str, bound: int) -> int:
        """See ``Policy``."""
        values = self._drawn.get(kind)
        return min(values.popleft(), bound - 1) if values else 0


class Plain(NamedTuple):
    """A failure, the program that it is one of, and how many runs it took to find it."""

    program: Program
    run: Run
    replays: int = 0


def plainer(program: Program, run: Run) -> Plain:
    """Return the same failure with less held back, if there is such a run, or else this one."""
    if not program.holds:
        return Plain(program, run)
    told = program.run(Forced(dict(run.schedule.deviations)), run.schedule.seed, details=True)
    best, replays = Plain(program, run), 1
    for left in LEFT:
        holds = best.program.holds & left
        if holds != best.program.holds:
            simpler = dataclasses.replace(program, holds=holds)
            found = simpler.run(Following(told), run.schedule.seed)
            replays += 1
            if found.identity == run.identity:
                best = Plain(simpler, found)
    return best._replace(replays=replays)
