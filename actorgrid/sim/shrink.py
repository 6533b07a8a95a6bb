"""Shrinking: the shortest story that still ends in the same failure.

Smaller means: fewer deviations from the dull run; then fewer of them faults; then lower values at earlier decisions.
Passes are repeated until none helps: a single deviation alone, without a run of them, without each, moved towards the
front (what came before them is gone), with lower values, and at last with two replaced by one somewhere else. A pass
goes on where it had success, as delta debugging does (Zeller and Hildebrandt, 2002): what was tried before that place
has not helped, and seldom helps now.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from actorgrid.sim.choices import Forced
from actorgrid.sim.runner import Program, Run

#: How often a failure is run, at most: so often, or so often for each of the deviations that it begins with.
MOST_RUNS: Final = 500
MOST_FOR_EACH: Final = 8
FARTHEST: Final = 4
#: So many deviations are many.
MANY: Final = 8

Deviations = dict[int, int]


def weight(run: Run) -> tuple[int, int, int, int, int]:
    """Return how bad a counterexample is: what shrinking makes small."""
    taken = [choice for choice in run.record if choice.value]
    kills = sum(choice.kind == "kill" or choice.label.startswith("kill ") for choice in taken)
    return len(taken), kills, run.events, sum(choice.value for choice in taken), sum(choice.at for choice in taken)


class Shrinker:
    """Shrinks one failure."""

    def __init__(self, program: Program, run: Run, most_runs: int | None = None) -> None:
        """``run`` failed."""
        self._program = program
        self.best = run
        self._identity = run.identity
        self._tried: set[tuple[tuple[int, int], ...]] = set()
        many = MOST_FOR_EACH * len(run.schedule.deviations)
        self._most_runs = most_runs if most_runs is not None else max(MOST_RUNS, many)
        self.runs = 0

    def shrink(self) -> Run:
        """Return the best run that was found."""
        improved = True
        self._try({})
        while improved and self.runs < self._most_runs:
            improved = False
            # To try each of many by itself costs more than to halve them.
            many = len(self.best.schedule.deviations) > MANY
            for candidates in (_without, _alone, _moved, _lowered) if many else (_alone, _without, _moved, _lowered):
                improved = self._pass(candidates) or improved
            if not improved and len(self.best.schedule.deviations) > 1:
                improved = self._pass(self._elsewhere)
        return self.best

    def _elsewhere(self, deviations: Deviations) -> Iterator[Deviations]:
        """With two deviations replaced by one, anywhere and of any value: the way out of a local minimum."""
        items = sorted(deviations.items())
        bounds = [(choice.at, choice.bound) for choice in self.best.record]
        for left in range(len(items)):
            for right in range(left + 1, len(items)):
                rest = {at: value for index, (at, value) in enumerate(items) if index not in {left, right}}
                for at, bound in bounds:
                    for value in range(1, bound):
                        if at not in rest:
                            yield {**rest, at: value}

    def _pass(self, candidates: Callable[[Deviations], Iterator[Deviations]]) -> bool:
        """Try candidates, and after a success those of what is left, from there on. Returns whether there was one."""
        improved, place = False, 0
        while True:
            found = self._round(candidates(dict(self.best.schedule.deviations)), place)
            if found is None:
                return improved
            improved, place = True, found

    def _round(self, candidates: Iterator[Deviations], place: int) -> int | None:
        """Try each candidate once, from ``place`` on. Returns the place of the first that is smaller, None for none."""
        skipped: list[Deviations] = []
        for index, deviations in enumerate(candidates):
            if index < place:
                skipped.append(deviations)
            elif self.runs >= self._most_runs:
                return None
            elif self._try(deviations):
                return index
        for index, deviations in enumerate(skipped):
            if self.runs >= self._most_runs:
                return None
            if self._try(deviations):
                return index
        return None

    def _try(self, deviations: Deviations) -> bool:
        key = tuple(sorted(deviations.items()))
        if key in self._tried:
            return False
        self._tried.add(key)
        self.runs += 1
        run = self._program.run(Forced(deviations), self.best.schedule.seed)
        if run.identity != self._identity or weight(run) >= weight(self.best):
            return False
        self.best = run
        return True


def _alone(deviations: Deviations) -> Iterator[Deviations]:
    """Each deviation by itself."""
    if len(deviations) > 1:
        for at, value in deviations.items():
            yield {at: value}


def _without(deviations: Deviations) -> Iterator[Deviations]:
    """Without a run of deviations: half of them, a quarter, ..., each."""
    items = sorted(deviations.items())
    size = len(items) // 2
    while size:
        for start in range(0, len(items), size):
            rest = dict(items[:start] + items[start + size :])
            if rest:
                yield rest
        size //= 2


def _moved(deviations: Deviations) -> Iterator[Deviations]:
    """With a tail of the deviations moved towards the front, and without the one before them."""
    items = sorted(deviations.items())
    for start in range(len(items)):
        for by in range(1, FARTHEST + 1):
            moved = [(at - by, value) for at, value in items[start:]]
            if moved[0][0] < 0:
                continue
            if start and moved[0][0] > items[start - 1][0]:
                yield dict(items[:start] + moved)
            if start:
                yield dict(items[: start - 1] + moved)
            else:
                yield dict(moved)


def _lowered(deviations: Deviations) -> Iterator[Deviations]:
    """With one value lower, or one deviation earlier."""
    for at, value in sorted(deviations.items()):
        for lower in range(1, value):
            yield {**deviations, at: lower}
        for earlier in range(at):
            if earlier not in deviations:
                yield {(earlier if key == at else key): old for key, old in deviations.items()}
