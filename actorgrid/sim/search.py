"""Search: which runs to try, in which order.

The portfolio takes turns between policies, because each of them has programs that it is blind to: on 24 planted bugs
the rotation found all in every trial, no single policy did (``docs/explanation``). Iterative delay bounding is the
systematic one: all runs with one deviation, then all with two, and so on.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterator
from typing import Final

from actorgrid.sim.choices import Dull, Forced, Policy
from actorgrid.sim.policies import Delays, PartialOrder, Priorities, RandomWalk, Uniform
from actorgrid.sim.runner import Run

RATES: Final = (0.05, 0.1, 0.2, 0.4)
DEPTH: Final = 3
#: Deviation sets that are remembered to be tried; the rest of a program this large is left to chance.
MOST_PENDING: Final = 100_000

#: What the portfolio does in turn. The second "bounding" is a random walk where sets of deviations are many.
ROTATION: Final = ("bounding", "walk", "pos", "pct", "bounding", "delay", "urw")
#: Where no more sets than these are left to be tried, every third run tries one.
FEW: Final = 400

#: A search is asked for a policy, and told what came of it.
Answer = Callable[[Run], None]
#: Makes the policy of one run.
Maker = Callable[[random.Random, int, dict[str, int]], Policy]


class DelayBounding:
    """Every set of deviations, the small ones first. Ends when there are no more."""

    def __init__(self, limit: int | None = None, rng: random.Random | None = None) -> None:
        """``limit``: the largest number of deviations. ``rng`` draws among sets of one size; without it: in order."""
        #: Sets as large as the one that was tried last, and those that are larger by one.
        self._pending: deque[dict[int, int]] = deque([{}])
        self._larger: deque[dict[int, int]] = deque()
        self._limit = limit
        self._rng = rng

    @property
    def near(self) -> bool:
        """Whether the sets of this size will soon all have been tried, and those of the next one are not too many."""
        return len(self._pending) + len(self._larger) <= FEW

    def next(self) -> tuple[Policy, Answer] | None:
        """Return what to run next, None if everything was tried."""
        if not self._pending:
            self._pending, self._larger = self._larger, self._pending
            if not self._pending:
                return None
        if self._rng is not None:
            self._pending.rotate(self._rng.randrange(len(self._pending)))
        deviations = self._pending.popleft()
        return Forced(deviations), lambda run: self._learn(deviations, run)

    def _learn(self, deviations: dict[int, int], run: Run) -> None:
        if self._limit is not None and len(deviations) >= self._limit:
            return
        last = max(deviations, default=-1)
        for choice in run.record:
            if choice.at > last:
                for value in range(1, choice.bound):
                    if len(self._pending) + len(self._larger) >= MOST_PENDING:
                        return
                    self._larger.append({**deviations, choice.at: value})


class Portfolio:
    """Several policies in turn."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)  # noqa: S311  # not cryptography
        # Of many sets of one size a few will do: in any order but theirs these are found soon.
        self._bounding = DelayBounding(rng=random.Random(seed))  # noqa: S311  # not cryptography
        self._turn = 0
        self._length = 20
        self._lengths: dict[str, int] = {}

    def next(self) -> tuple[Policy, Answer] | None:
        """Return what to run next; None if every run there is was tried."""
        turn = self._turn % len(ROTATION)
        self._turn += 1
        rng = random.Random(self._rng.getrandbits(64))  # noqa: S311  # not cryptography
        kind = ROTATION[turn]
        if kind == "bounding" and (turn == 0 or self._bounding.near):
            following = self._bounding.next()
            if following is None:
                return None
            policy, learn = following

            def learn_both(run: Run) -> None:
                learn(run)
                self._learn(run)

            return policy, learn_both
        return self._random(kind, rng), self._learn

    def _random(self, kind: str, rng: random.Random) -> Policy:
        if kind == "pos":
            return PartialOrder(rng)
        if kind == "pct":
            return Priorities(rng, DEPTH, self._length)
        if kind == "delay":
            return Delays(rng, rng.choice(RATES))
        if kind == "urw":
            return Uniform(rng, self._lengths)
        return RandomWalk(rng)

    def _learn(self, run: Run) -> None:
        self._length = max(run.decisions, 1)
        if run.lengths:
            self._lengths = run.lengths


class Single:
    """One policy, again and again with other random numbers."""

    def __init__(self, make: Maker, seed: int) -> None:
        """``make`` gets a source of random numbers, and how long the run before was: in all, and each chain of it."""
        self._make = make
        self._rng = random.Random(seed)  # noqa: S311  # not cryptography
        self._length = 20
        self._lengths: dict[str, int] = {}

    def next(self) -> tuple[Policy, Answer]:
        """Return what to run next."""
        rng = random.Random(self._rng.getrandbits(64))  # noqa: S311  # not cryptography
        return self._make(rng, self._length, self._lengths), self._learn

    def _learn(self, run: Run) -> None:
        self._length = max(run.decisions, 1)
        self._lengths = run.lengths or self._lengths


Search = DelayBounding | Portfolio | Single


def search_named(name: str, seed: int) -> Search:
    """Return the search called ``name``. Raises ValueError.

    "portfolio", "idb" (iterative delay bounding), "random", "pos", "pct:DEPTH", "delay:RATE", "urw", "dull".
    """
    kind, _, number = name.partition(":")
    if kind == "portfolio":
        return Portfolio(seed)
    if kind == "idb":
        return DelayBounding(int(number) if number else None)
    makers: dict[str, Maker] = {
        "dull": lambda _rng, _length, _lengths: Dull(),
        "random": lambda rng, _length, _lengths: RandomWalk(rng),
        "pos": lambda rng, _length, _lengths: PartialOrder(rng),
        "pct": lambda rng, length, _lengths: Priorities(rng, int(number or DEPTH), length),
        "delay": lambda rng, _length, _lengths: Delays(rng, float(number or 0.1)),
        "urw": lambda rng, _length, lengths: Uniform(rng, lengths),
    }
    if kind in {"dfs", "dpor"}:
        reduction = "dpor" if kind == "dpor" else "none"
        raise ValueError(f"policy {name!r} would try every schedule: call prove(..., reduction={reduction!r})")
    if kind not in makers:
        raise ValueError(f"there is no policy {name!r}; there are portfolio, idb, {', '.join(makers)}")
    return Single(makers[kind], seed)


def policy_named(name: str, seed: int) -> Policy:
    """Return the policy of the first run of the search called ``name``. Raises ValueError."""
    following = search_named(name, seed).next()
    assert following is not None  # the dull run is always there
    return following[0]


def policies(search: Search, most: int) -> Iterator[tuple[Policy, Answer]]:
    """Yield what to run, at most ``most`` times."""
    for _ in range(most):
        following = search.next()
        if following is None:
            return
        yield following
