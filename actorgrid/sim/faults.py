"""What may break in a simulated run: plain data, and how it is written into a schedule.

This file may not know how anything breaks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

#: What is a choice: the order of calls, or of all messages on all links.
Level = Literal["calls", "links"]
KILL_POINTS: Final = frozenset({"blocked", "send", "before_reply", "restart"})


@dataclass(frozen=True)
class Faults:
    """What may break in a run, and how often. Where and when is for the search to choose.

    A slow machine needs no fault: that time passes although others could go on is always a choice.
    """

    #: How many worker processes may die of SIGKILL.
    kill: int = 0
    #: Also the processes of actors, not only those of tasks.
    actors: bool = True
    #: Where they may die: "blocked" (while everything waits), "send" (a call, a value or an item that it has just made
    #: never leaves), "before_reply" (a call's body ran, its result never leaves), "restart" (a constructor is to run
    #: again).
    kill_points: frozenset[str] = KILL_POINTS
    #: How often the wall clock may jump.
    clock_jumps: int = 0
    #: How often a new worker process may fail to start (fork: out of memory, too many processes).
    spawn_errors: int = 0
    #: How often a large value may find the object store full.
    store_full: int = 0
    #: How often a copy of an object to the disk or back may fail: the disk is full, what is read is not what was
    #: written, or the process that copies dies.
    spill_errors: int = 0
    #: How often memory may run short while something runs: the head kills a worker, or the system does.
    low_memory: int = 0
    #: The head may die: whoever waits gets HeadDiedError, and everything else ends.
    head: bool = False
    #: The driver may die. The run ends there, and is no failure; what it left must come to rest.
    driver: bool = False

    def __post_init__(self) -> None:
        """Raise ValueError for a kill point that there is not."""
        unknown = sorted(self.kill_points - KILL_POINTS)
        if unknown:
            raise ValueError(f"there is no kill point {unknown[0]!r}; there are {', '.join(sorted(KILL_POINTS))}")

    def settings(self) -> dict[str, Any]:
        """Return what differs from no faults at all, as plain data."""
        plain = {
            "kill": self.kill, "actors": self.actors, "points": sorted(self.kill_points), "jumps": self.clock_jumps,
            "spawn": self.spawn_errors, "store": self.store_full, "spill": self.spill_errors,
            "memory": self.low_memory, "head": self.head, "driver": self.driver,
        }  # fmt: skip
        return {name: value for name, value in plain.items() if value != _NOTHING[name]}

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Faults:
        """Return what ``settings`` made plain data of. Raises ValueError."""
        of = {**_NOTHING, **settings}
        return cls(
            of["kill"], of["actors"], frozenset(of["points"]), of["jumps"], of["spawn"], of["store"],
            of["spill"], of["memory"], of["head"], of["driver"],
        )  # fmt: skip


_NOTHING: Final[dict[str, Any]] = {
    "kill": 0, "actors": True, "points": sorted(KILL_POINTS), "jumps": 0, "spawn": 0, "store": 0, "spill": 0,
    "memory": 0, "head": False, "driver": False,
}  # fmt: skip
