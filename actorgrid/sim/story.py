"""The story of a run: what happened, step by step, for whoever reads a report. Nobody who asks for none pays for one.

It may not decide anything: it is told what the world has done.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from actorgrid.sim.choices import Choices, Event
    from actorgrid.sim.clock import Clock
    from actorgrid.sim.grid import Grid


class Step(NamedTuple):
    """Something that happened: when, its kind, to which actor, what, the line that called it, who, a digest of what."""

    when: float
    kind: str
    where: str
    what: str
    site: str = ""
    caller: str = ""
    given: str = ""


class Story:
    """The steps so far, and what is known of them."""

    def __init__(self, clock: Clock, choices: Choices) -> None:
        self._clock = clock
        self._choices = choices
        self.steps: list[Step] = []
        #: Which step came of which decision.
        self.decided: dict[int, int] = {}
        #: Where the program made each call: (client, parent, nth) -> file and line.
        self.sites: dict[tuple[int, int, int], str] = {}

    def tell(self, step: Step, *, decided: bool = True) -> None:
        """Add a step. ``decided``: the last decision led to it."""
        if decided:
            self.decided[len(self.steps)] = self._choices.count - 1
        self.steps.append(step)

    def happened(self, kind: str, label: str, site: str = "") -> None:
        """Tell of something that is so because the last decision was that it should."""
        self.tell(Step(self._clock.now, kind, "", label, site))

    def chosen(self, event: Event, grid: Grid | None, *, decided: bool) -> None:
        """Tell of the event that is next. ``decided``: there were others."""
        now = self._clock.now
        if event.kind != "call" or grid is None:
            self.tell(Step(now, event.kind, "", event.label), decided=decided)
            return
        parent = grid.by_path.get(event.what.rpartition(".")[0])
        caller = parent.label if parent is not None else "main"
        call, actor = grid.by_path[event.what], grid.by_path[event.where]
        self.tell(Step(now, event.kind, actor.label, event.label, call.site, caller, call.given), decided=decided)
