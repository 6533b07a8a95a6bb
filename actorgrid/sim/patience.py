"""How many events a search gives a run to end, and what it does when a run has not.

One schedule that goes on for ever costs as much as thousands of others. So a run that takes much longer than every one
that has ended is stopped; then it goes on once more, dully, which is fair to all, for as long as there is any patience.
What does not end then never will, and it is told, and shrunk, by its first events.
"""

from __future__ import annotations

import dataclasses
from typing import Final

from actorgrid.exceptions import LivelockError
from actorgrid.sim.choices import Forced
from actorgrid.sim.runner import Program, Run

#: A run that has not ended after so many events goes on for ever; so many are enough to tell its story, and are given
#: to every run.
MOST: Final = 50_000
LEAST: Final = 2_000
#: ... or so many times as long as the longest that has ended.
TIMES: Final = 50


class Patience:
    """The patience of one search."""

    def __init__(self, most: int | None) -> None:
        """``most``: what the caller wants; then that many events are given to every run."""
        self.most = MOST if most is None else most
        #: What is given to the next run.
        self.events = self.most
        self._learns = most is None
        self._longest = 0

    def saw(self, run: Run) -> None:
        """One more run is over."""
        if self._learns and not run.failed and run.events >= self._longest:
            self._longest = run.events
            self.events = min(self.most, max(LEAST, TIMES * self._longest))

    def given(self, program: Program) -> Program:
        """Return the program with as many events as it gets now."""
        return _within(program, self.events)

    def judged(self, program: Program, run: Run) -> tuple[Program, Run]:
        """Return the run, and the program that it is one of: a longer run if ``run`` was only slow, else a shorter."""
        if not isinstance(run.error, LivelockError):
            return program, run
        if program.max_events < self.most:
            patient = _within(program, self.most)
            longer = _again(patient, run)
            if not isinstance(longer.error, LivelockError):
                self._learns, self.events = False, self.most
                return patient, longer
        brief = _within(program, min(LEAST, program.max_events))
        return brief, _again(brief, run)


def _within(program: Program, events: int) -> Program:
    return program if program.max_events == events else dataclasses.replace(program, max_events=events)


def _again(program: Program, run: Run) -> Run:
    return program.run(Forced(dict(run.schedule.deviations)), run.schedule.seed)
