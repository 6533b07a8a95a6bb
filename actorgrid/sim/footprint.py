"""Footprints: what a step of a run touched, from which follows which steps commute.

A step is an event and all that follows from it until the grid is quiet again: an actor starts a call, the call's end
wakes a task, the task goes on. So it is not enough to compare the actors at which two calls start. Everything that
steps could share has a token here; a step that reads or writes one leaves it in its footprint, and two steps commute
if neither writes what the other touches.

Tokens: the path of an actor or task (its memory), "driver", ("object", client, id) (that a process has been told of an
object), ("failed", client) (that it was told of an error), ("made", id) and ("failed", id) (that an object exists at
all, and is an error), ("pending", client) (calls counted for ``max_pending_calls``), "names", "holders" (who keeps
actors with names there), "cpus" (work waits for resources), "store", "clock", ("gauge", name, tags), ("history", n),
and ALL.

This file may not know what an event is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

#: Token -> WRITTEN, or OPEN, or both, or neither.
Footprint = dict[Any, int]
WRITTEN: Final = 1
#: It was touched in a way that others may come before. (Not: the one fiber of a process goes on, or a call of an actor
#: that runs one at a time. Whoever comes later had to wait for that anyway.)
OPEN: Final = 2
#: Whatever touches this commutes with nothing.
ALL: Final = "*"


@dataclass(frozen=True)
class StepDone:
    """What came of a step."""

    footprint: Footprint
    #: What its code has gone on with: objects, items, freed processes, that it had gone on itself.
    seen: list[Any]
    #: What it has made for others to go on with, and with how many things it had gone on by then.
    made: list[tuple[Any, int]]
    #: What it has touched since it went on with so many things, and not with the next.
    touched: dict[int, Footprint]

    def touched_behind(self, index: int) -> Footprint:
        """Return what it has touched since it went on with ``seen[index]``."""
        found: Footprint = {}
        for count, part in self.touched.items():
            if count > index:
                widen(found, part)
        return found


def touch(footprint: Footprint, token: Any, *, writes: bool, is_open: bool = True) -> None:
    """Add a token."""
    footprint[token] = footprint.get(token, 0) | (WRITTEN if writes else 0) | (OPEN if is_open else 0)


def widen(footprint: Footprint, other: Footprint) -> None:
    """Add everything that ``other`` touches."""
    for token, how in other.items():
        footprint[token] = footprint.get(token, 0) | how


def conflict(one: Footprint, other: Footprint) -> bool:
    """Return whether the order of two steps with these footprints may matter."""
    if ALL in one or ALL in other:
        return True
    if len(one) > len(other):
        one, other = other, one
    return any(token in other and (how | other[token]) & WRITTEN for token, how in one.items())


def race(one: Footprint, other: Footprint) -> bool:
    """Return whether steps with these footprints conflict over something that either could have come to first."""
    if ALL in one or ALL in other:
        return True
    return any(
        token in other and (how | other[token]) & WRITTEN and how & other[token] & OPEN for token, how in one.items()
    )
