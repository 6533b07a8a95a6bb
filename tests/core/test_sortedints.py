"""The sorted set of integers against a sorted list."""

from __future__ import annotations

from bisect import bisect_left, bisect_right

from hypothesis import given
from hypothesis import strategies as st

from actorgrid.core.sortedints import LIMIT, SortedInts

members = st.one_of(st.integers(0, 70), st.integers(0, 1 << 23), st.integers(0, LIMIT - 1), st.just(LIMIT - 1))


@given(st.sets(members), st.sets(members), st.lists(members))
def test_neighbours(kept: set[int], removed: set[int], asked: list[int]) -> None:
    ints = SortedInts()
    for value in [*kept, *removed, *kept]:
        ints.add(value)
    for value in removed - kept:
        ints.remove(value)
    ordered = sorted(kept)
    for value in [*asked, *kept, *removed]:
        after, before = bisect_left(ordered, value), bisect_right(ordered, value)
        assert ints.ceiling(value) == (ordered[after] if after < len(ordered) else None)
        assert ints.floor(value) == (ordered[before - 1] if before else None)
    for value in kept:
        ints.remove(value)
    assert not any(ints._levels), "an empty set holds nothing"
