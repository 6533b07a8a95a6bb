"""Hypothesis strategies: programs, fault plans, schedules."""

from __future__ import annotations

from hypothesis import strategies as st

from actorgrid.sim import Faults, Schedule
from actorgrid.sim.faults import KILL_POINTS
from actorgrid.testing.programs import KINDS, STARTS, Act


def acts(depth: int = 2) -> st.SearchStrategy[Act]:
    """Return a strategy for single acts; bodies nest to ``depth``."""
    body = programs(depth - 1) if depth > 0 else st.just(())
    return st.builds(Act, st.sampled_from(KINDS), st.integers(0, 3), st.integers(0, 2), st.booleans(), body)


def programs(depth: int = 2, longest: int = 10, shortest: int = 0) -> st.SearchStrategy[tuple[Act, ...]]:
    """Return a strategy for programs (see ``actorgrid.testing.programs``) of at most ``longest`` acts a body.

    ``shortest``: and so many at least in that of the program itself. Random programs are short otherwise.
    """
    return st.builds(
        lambda start, rest: (*start, *rest),
        st.sampled_from(STARTS),
        st.lists(acts(depth), min_size=shortest, max_size=longest),
    )


def faults(most_kills: int = 2, *, ends: bool = False) -> st.SearchStrategy[Faults]:
    """Return a strategy for fault plans. ``ends``: also the driver or the head may die, which ends the program."""
    points = st.one_of(st.just(KILL_POINTS), st.frozensets(st.sampled_from(sorted(KILL_POINTS)), min_size=1))
    return st.builds(
        Faults,
        kill=st.integers(0, most_kills),
        actors=st.booleans(),
        kill_points=points,
        clock_jumps=st.integers(0, 1),
        spawn_errors=st.integers(0, 1),
        store_full=st.integers(0, 1),
        spill_errors=st.integers(0, 2),
        low_memory=st.integers(0, 2),
        head=st.booleans() if ends else st.just(False),
        driver=st.booleans() if ends else st.just(False),
    )


def schedules(longest: int = 50, plans: st.SearchStrategy[Faults] | None = None) -> st.SearchStrategy[Schedule]:
    """Return a strategy for schedules: a few deviations among the first ``longest`` decisions, and what may break."""
    deviations = st.dictionaries(st.integers(0, longest), st.integers(1, 4), max_size=5)
    return st.builds(
        lambda chosen, plan: Schedule(0, tuple(sorted(chosen.items())), plan.settings()),
        deviations,
        st.just(Faults()) if plans is None else plans,
    )
