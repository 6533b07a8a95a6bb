"""Programs for the world without processes, drawn from a seed: some hundred a second, each of a dozen calls or more.

Hypothesis shrinks better, but draws mostly tiny programs, and ten times slower. What fails here is made smaller by
``smallest``: fewer steps, fewer faults, and at every pick the first of what could happen.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import chain, repeat
from typing import Any

from tests.core.script import Script, Step
from tests.core.world import World


@dataclass(frozen=True)
class Case:
    """A program, perhaps another driver's beside it, the world that it runs in, and what happens there."""

    program: Script
    other: Script = ()
    #: So many events are picked; what comes then happens in its order.
    steps: int = 0
    #: Before which of them the other driver leaves; None: it stays to the end.
    leaves: int | None = None
    #: What the world has: see ``World``.
    options: dict[str, Any] = field(default_factory=dict)
    picks: tuple[int, ...] = ()


class Author:
    """Makes up programs."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        #: It has made up a stream.
        self.streams = False

    def _step(self, what: str, most_b: int = 0, script: Script = (), n: int = 1) -> Step:
        return Step(what, self.rng.randrange(4), self.rng.randrange(most_b + 1), script, n)

    def _end(self) -> Script:
        return self.rng.choice([(), (), (Step("raise"),), (Step("retry"),), (Step("crash"),)])

    def _returns(self) -> int:
        return self.rng.choice([1, 1, 2, 3, 0])

    def _some(self, makers: list[Callable[[], Step]], least: int, most: int) -> Script:
        return tuple(self.rng.choice(makers)() for _ in range(self.rng.randint(least, most)))

    def _put(self) -> Step:
        return self._step("put", 1)

    def _get(self) -> Step:
        return self._step("get")

    def _drop(self) -> Step:
        return self._step("drop")

    def _cancel(self) -> Step:
        return self._step("cancel", 3)

    def _call(self) -> Step:
        return self._step("call", 7, self._end(), self._returns())

    def _stream(self) -> Step:
        self.streams = True
        yields = self._some([lambda: self._step("yield", 1), lambda: self._step("yield", 1), self._put], 0, 6)
        return self._step("stream", 7, yields + self._end())

    def _read(self) -> Step:
        return self._step(self.rng.choice(["next", "drain", "leave", "halt"]), 1)

    def _task(self, depth: int) -> Step:
        return self._step("task", 7, self._body(depth - 1), self._returns())

    def _body(self, depth: int) -> Script:
        makers = [self._put, self._get, self._drop, self._call]
        if depth:
            makers += [lambda: self._task(depth), self._stream, self._read, self._cancel]
        return self._some(makers, 0, 4) + self._end()

    def program(self) -> Script:
        """Return what a driver does."""
        tasks = [lambda: self._task(3)] * 3
        calls = [lambda: self._step("actor", 2), self._call, self._call, self._stream, self._read]
        ends = [lambda: self._step("kill", 1), lambda: self._step("lose"), self._cancel]
        return self._some([*tasks, *calls, *ends, self._put, self._get, self._drop], 3, 24)


def drawn(seed: int) -> Case:
    """Return the case of a seed."""
    rng = random.Random(seed)
    author = Author(rng)
    program, drivers = author.program(), rng.choice([1, 1, 2])
    steps = rng.choice([0, 50, 150, 400])
    options: dict[str, Any] = {
        "cpus": rng.choice([1, 2, 3]), "most": rng.choice([500, 500, 4]), "drivers": drivers,
        "deaths": rng.choice([0, 0, 1, 3, 8]), "jams": rng.choice([0, 0, 2, 5]),
        "nuisances": rng.choice([0, 0, 2, 5]), "famines": rng.choice([0, 0, 0, 2, 6]),
    }  # fmt: skip
    other, leaves = (author.program(), rng.choice([None, rng.randint(0, steps)])) if drivers > 1 else ((), None)
    if author.streams:
        options["most"] = 500  # each waits for its reader in a process, for ever if nobody reads on
    picks = tuple(rng.randrange(1 << 16) for _ in range(2 * steps))
    return Case(program, other, steps, leaves, options, picks)


def play(case: Case, judge: Callable[[World, Any], None]) -> None:
    """Run a case, and have ``judge`` look at what is left when only the first driver is there, whose body it gets."""
    world = World(**case.options)
    picks = chain(case.picks, repeat(0))
    main = world.run(case.program, lambda count: next(picks) % count, case.steps, case.other, case.leaves)
    if len(world.hosts) > 1:
        world.leave(max(world.hosts))
        world.drain()
    judge(world, main)


def smallest(case: Case, fails: Callable[[Case], bool], most: int = 1000) -> Case:
    """Return a case that ``fails``, as this one does, of which nothing more can be left out (in ``most`` tries)."""
    tries = 0
    smaller = True
    while smaller:
        smaller = False
        for other in _smaller(case):
            tries += 1
            if tries > most:
                return case
            if fails(other):
                case, smaller = other, True
                break
    return case


def _smaller(case: Case) -> Iterator[Case]:
    if case.options.get("drivers", 1) > 1:
        yield replace(case, other=(), leaves=None, options=case.options | {"drivers": 1})
    for name in ("deaths", "jams", "nuisances", "famines"):
        for count in range(case.options.get(name, 0)):
            yield replace(case, options=case.options | {name: count})
    for steps in {0, case.steps // 2, case.steps - 1} - {case.steps, -1}:
        leaves = None if case.leaves is None else min(case.leaves, steps)
        yield replace(case, steps=steps, leaves=leaves)
    yield from (replace(case, program=program) for program in _simpler(case.program))
    yield from (replace(case, other=program) for program in _simpler(case.other))
    picks = case.picks
    if picks and not picks[-1]:
        used = max((place for place, pick in enumerate(picks, 1) if pick), default=0)
        yield replace(case, picks=picks[:used])
    length = len(picks)
    while length:  # halves, quarters, ..., single ones
        for start in range(0, len(picks), length):
            if any(picks[start : start + length]):
                yield replace(case, picks=(*picks[:start], *(0,) * length, *picks[start + length :])[: len(picks)])
        length //= 2


def _simpler(script: Script) -> Iterator[Script]:
    for index, step in enumerate(script):
        before, after = script[:index], script[index + 1 :]
        yield before + after
        for inner in _simpler(step.script):
            yield (*before, replace(step, script=inner), *after)
        for a in range(step.a):
            yield (*before, replace(step, a=a), *after)
        for b in range(step.b):
            yield (*before, replace(step, b=b), *after)
        if step.n != 1:
            yield (*before, replace(step, n=1), *after)
