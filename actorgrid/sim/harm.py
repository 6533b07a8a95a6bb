"""What breaks in one run: the events that the search may choose, the draws of what breaks on the way, and the record.

This file may not know what a schedule is, nor what else may happen; ``faults`` says how often what may break at all.
"""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from actorgrid.core.messages import HEAD, Kill
from actorgrid.core.signals import SIGKILL
from actorgrid.sim.choices import Event
from actorgrid.sim.faults import Faults

if TYPE_CHECKING:
    from actorgrid.sim.grid import Grid
    from actorgrid.sim.worker import Worker
    from actorgrid.sim.world import World

#: How far a wall clock jumps (seconds).
HOUR: Final = 3600
#: What can break on the way: which count of ``Faults`` limits it.
_LIMITS: Final = {"spawn": "spawn_errors", "store": "store_full", "spill": "spill_errors"}


class Harm:
    """What may still break in a world, and what has."""

    __slots__ = ("_happened", "_odd", "deaths", "faults", "nothing", "world")

    def __init__(self, world: World, faults: Faults) -> None:
        self.world = world
        self.faults = faults
        #: Most worlds have no faults, and are asked for them at every step.
        self.nothing = faults == Faults()
        #: How often what has happened: "kill", "jump", "memory", "driver", and what ``breaks``.
        self._happened: Counter[str] = Counter()
        #: What was odd since ``settle`` began, and to whom; None before that.
        self._odd: set[tuple[str, Any]] | None = None
        #: The deaths of processes, as ``core.head.stage`` plays them again.
        self.deaths: list[Kill] = []

    def events(self) -> list[Event]:
        """Return what may break now, beside something else that may happen."""
        faults, grid = self.faults, self.world.grid
        if self.nothing or self.world.choices.calm:
            return []
        events = self._kills(grid) if grid is not None and self.may_kill("blocked") else []
        if grid is not None and grid.open:
            if self._happened["memory"] < faults.low_memory:
                events += self._shortages(grid)
            if faults.head:
                events.append(Event("kill", "head", "", "kill the head", self._kill_head))
            if faults.driver and not self._happened["driver"]:
                events.append(Event("kill", "driver", "", "kill the driver", self._kill_driver))
        if self._happened["jump"] < faults.clock_jumps:
            events += [
                Event("jump", "", str(by), f"the wall clock jumps by {by} s", partial(self._jump, by))
                for by in (-HOUR, HOUR)
            ]
        return events

    def may_kill(self, point: str) -> bool:
        """Return whether a process may be killed at such a point now."""
        if self.nothing:
            return False
        faults = self.faults
        return self._happened["kill"] < faults.kill and point in faults.kill_points and not self.world.choices.calm

    def breaks(self, kind: str, *ways: str) -> int:
        """Return which of ``ways`` something breaks here in, from 1, or 0: the search decides, within ``faults``."""
        if self._happened[kind] >= getattr(self.faults, _LIMITS[kind]):
            return 0
        way = self.world.draw(kind, len(ways) + 1, " or ".join(ways))
        if way:
            self._broke(kind)
            self.world.happened(kind, ways[way - 1])
        return way

    def settles(self) -> None:
        """The program waits until everything has come to rest: what would not end by itself has to from now on."""
        self._odd = set() if self._odd is None else self._odd

    def is_odd(self, label: str) -> bool:
        """Return whether something odd happens here: the search decides. On the way to rest: once to each."""
        fiber = self.world.fibers.current
        whom = label, fiber.home.memory if fiber is not None and fiber.home is not None else "driver"
        if self._odd is not None and whom in self._odd:
            return False
        odd = bool(self.world.draw("buggify", 2, label))
        if odd and self._odd is not None:
            self._odd.add(whom)
        return odd

    def _broke(self, kind: str) -> None:
        self._happened[kind] += 1
        self.world.promises.broke(self.world.clock.now)

    def killed(self, label: str, victim: Worker, point: str = "blocked", call: str = "") -> None:
        """The process of a task or actor is being killed."""
        self._broke("kill")
        assert self.world.grid is not None
        calls, count = self.world.grid.calls, self.world.grid.said
        said = {calls[task].path: count[task] for task in victim.machine.running if count.get(task)}
        self._record(victim.path, point, call, said)
        if label:
            self.world.happened("kill", label)

    def _record(self, whom: str, point: str, call: str, said: dict[str, int]) -> None:
        started = {where: len(order) for where, order in self.world.course.orders.items()}
        self.deaths.append(Kill(whom, point, call, started, dict(self.world.course.finished), said))

    def _kill_head(self) -> None:
        grid = self.world.grid
        assert grid is not None
        said = {grid.calls[task].path if task else "": count for task, count in grid.said.items()}
        self._record(HEAD, "blocked", "", said)
        grid.lost()

    def _kill_driver(self) -> None:
        """The program's process dies: nothing of it happens any more, and the head ends what was its."""
        self._broke("driver")
        assert self.world.grid is not None
        self.world.grid.close()
        self.world.end_driver()

    def _jump(self, by: int) -> None:
        self._broke("jump")
        self.world.clock.jump += by

    def _kills(self, grid: Grid) -> list[Event]:
        return [
            Event("kill", worker.title, "", f"kill {worker.title}", partial(self._kill, worker))
            for worker in self._victims(grid)
        ]

    def _kill(self, worker: Worker) -> None:
        self.killed("", worker)
        assert self.world.grid is not None
        self.world.grid.died(worker, -SIGKILL)

    def _shortages(self, grid: Grid) -> list[Event]:
        """Return what may come of it when memory runs short: the head chooses whom to kill, or the system does."""
        victims = self._victims(grid)
        events = []
        for worker in victims:
            label = f"the system kills {worker.title} for its memory"
            events.append(Event("memory", worker.title, "", label, partial(self._starve, worker)))
        if victims:
            events.append(Event("memory", "", "", "memory runs short", partial(self._starve, None)))
        return events

    def _starve(self, worker: Worker | None) -> None:
        self._broke("memory")
        grid = self.world.grid
        assert grid is not None
        if worker is None:
            grid.memory_runs_short()
        else:
            grid.died(worker, -SIGKILL, oom=True)

    def _victims(self, grid: Grid) -> list[Worker]:
        return [worker for worker in grid.workers.values() if worker.engine.alive and self._killable(worker)]

    def _killable(self, worker: Worker) -> bool:
        if worker.machine.actor is not None:
            return self.faults.actors and worker.engine.actor_spec is not None
        return bool(worker.machine.running)
