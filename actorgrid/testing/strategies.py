"""Hypothesis strategies: programs, fault plans, schedules."""

from __future__ import annotations

from typing import Final

from hypothesis import strategies as st

from actorgrid.sim import Faults, Schedule
from actorgrid.testing.programs import Act

_OFTEN: Final = ("task", "call", "get")
_KINDS: Final = (
    *_OFTEN, *_OFTEN, *_OFTEN, "put", "wait", "actor", "drop", "cancel", "kill", "lose", "large", "raise"
)  # fmt: skip


def acts(depth: int = 2) -> st.SearchStrategy[Act]:
    """Return a strategy for single acts; bodies nest to ``depth``."""
    body = programs(depth - 1) if depth > 0 else st.just(())
    return st.builds(Act, st.sampled_from(_KINDS), st.integers(0, 3), st.integers(0, 2), st.booleans(), body)


def programs(depth: int = 2, longest: int = 10) -> st.SearchStrategy[tuple[Act, ...]]:
    """Return a strategy for programs (see ``actorgrid.testing.programs``) of at most ``longest`` acts a body."""
    first = st.sampled_from(((), (Act("actor"),), (Act("actor", number=1), Act("actor", flag=True))))
    return st.builds(lambda start, rest: (*start, *rest), first, st.lists(acts(depth), max_size=longest))


def faults(most_kills: int = 2) -> st.SearchStrategy[Faults]:
    """Return a strategy for fault plans."""
    return st.builds(
        Faults,
        kill=st.integers(0, most_kills),
        actors=st.booleans(),
        spawn_errors=st.integers(0, 1),
        store_full=st.integers(0, 1),
    )


def schedules(longest: int = 50) -> st.SearchStrategy[Schedule]:
    """Return a strategy for schedules: a few deviations among the first ``longest`` decisions."""
    deviations = st.dictionaries(st.integers(0, longest), st.integers(1, 4), max_size=5)
    return deviations.map(lambda chosen: Schedule(0, tuple(sorted(chosen.items()))))
