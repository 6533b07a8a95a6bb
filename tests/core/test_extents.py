"""The allocator against a model that knows of every line only whether it is used, warm or cold."""

from __future__ import annotations

import random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from actorgrid.core.extents import LARGE, LINE, PAGE, ExtentAllocator, align, pages, reserved
from actorgrid.core.messages import Extent

pytestmark = pytest.mark.search

COLD, WARM, USED = "cWU"

sizes = st.one_of(
    st.integers(1, 3 * PAGE),
    st.integers(LARGE - 3 * LINE, LARGE + 2 * PAGE),
    st.integers(LARGE, 8 * LARGE),
    st.sampled_from([1, LINE, PAGE, LARGE - LINE, LARGE, 2 * LARGE]),
)


def _fits(free: list[bool], need: int) -> bool:
    """Return whether ``need`` bytes fit among lines of which those in ``free`` may be taken, on a page if large."""
    lines, step = need // LINE, 1 if need < LARGE else PAGE // LINE
    run = 0
    for at, is_free in enumerate(free):
        run = run + 1 if is_free else 0
        start = align(at + 1 - run, step)
        if run and at + 1 - start >= lines:
            return True
    return False


class Model(RuleBasedStateMachine):
    """What a line is, is all the model knows; everything else follows."""

    def __init__(self) -> None:
        super().__init__()
        self.allocator = ExtentAllocator()
        self.lines: dict[int, list[str]] = {}
        self.extents: list[Extent] = []
        self.numbers = 0

    def _fill(self, segment: int, start: int, end: int, state: str) -> None:
        assert start % LINE == end % LINE == 0
        self.lines[segment][start // LINE : end // LINE] = state * ((end - start) // LINE)

    @rule()
    @precondition(lambda self: len(self.lines) < 4)
    def add_segment(self) -> None:
        self.numbers += 1
        size = (32 + 16 * (self.numbers % 3)) * PAGE
        self.allocator.add_segment(self.numbers, size)
        self.lines[self.numbers] = [COLD] * (size // LINE)

    @rule(size=sizes)
    def allocate(self, size: int) -> None:
        need = reserved(size)
        warm_fit = any(_fits([line == WARM for line in lines], need) for lines in self.lines.values())
        fit = any(_fits([line != USED for line in lines], need) for lines in self.lines.values())
        extent = self.allocator.allocate(size)
        assert (extent is not None) is fit
        if extent is None:
            return
        assert extent.size == size
        assert extent.offset % (PAGE if need >= LARGE else LINE) == 0
        start, end = extent.offset, extent.offset + need
        lines = self.lines[extent.segment]
        taken = lines[start // LINE : end // LINE]
        assert len(taken) == need // LINE
        assert USED not in taken
        assert not warm_fit or COLD not in taken
        for edge in (start, end):  # A page that is touched is warm altogether.
            for at in range(edge // PAGE * PAGE // LINE, align(edge, PAGE) // LINE):
                lines[at] = WARM if lines[at] == COLD else lines[at]
        self._fill(extent.segment, start, end, USED)
        self.extents.append(extent)

    @rule(data=st.data())
    @precondition(lambda self: self.extents)
    def free(self, data: st.DataObject) -> None:
        extent = self.extents.pop(data.draw(st.integers(0, len(self.extents) - 1)))
        self.allocator.free(extent)
        self._fill(extent.segment, extent.offset, extent.offset + reserved(extent.size), WARM)
        with pytest.raises(ValueError, match="not in use"):
            self.allocator.free(extent)

    @rule(limit=st.integers(0, 40 * PAGE))
    def cool(self, limit: int) -> None:
        before = self.allocator.idle_warm
        cooled = self.allocator.cool(limit)
        for extent in cooled:
            start, end = extent.offset, extent.offset + extent.size
            assert start % PAGE == end % PAGE == 0 < extent.size
            assert set(self.lines[extent.segment][start // LINE : end // LINE]) == {WARM}
            self._fill(extent.segment, start, end, COLD)
        total = sum(extent.size for extent in cooled)
        assert self.allocator.idle_warm == before - total
        assert total < max(before - limit, 0) + PAGE, "no more than asked for, but for a page"
        if self.allocator.idle_warm > limit:
            per_page = PAGE // LINE
            for lines in self.lines.values():
                whole = [set(lines[at : at + per_page]) for at in range(0, len(lines), per_page)]
                assert {WARM} not in whole, "a whole warm page was left"

    @rule()
    def remove_empty(self) -> None:
        empty = self.allocator.empty_segments()
        assert sorted(empty) == [number for number, lines in self.lines.items() if set(lines) == {COLD}]
        for number in empty[1:]:
            self.allocator.remove_segment(number)
            del self.lines[number]

    @rule()
    def remove_vacant(self) -> None:
        for number, lines in list(self.lines.items()):
            if USED in lines:
                with pytest.raises(ValueError, match="in use"):
                    self.allocator.remove_segment(number)
            elif len(self.lines) > 2:
                self.allocator.remove_segment(number)
                del self.lines[number]

    @invariant()
    def agrees(self) -> None:
        self.allocator.check()
        assert self.allocator.idle_warm == LINE * sum(lines.count(WARM) for lines in self.lines.values())
        assert self.allocator.used_bytes == LINE * sum(lines.count(USED) for lines in self.lines.values())


TestModel = Model.TestCase
TestModel.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)


def make(*sizes: int) -> ExtentAllocator:
    allocator = ExtentAllocator()
    for number, size in enumerate(sizes, 1):
        allocator.add_segment(number, size)
    return allocator


def take(allocator: ExtentAllocator, size: int) -> Extent:
    extent = allocator.allocate(size)
    assert extent is not None
    return extent


def test_the_memory_freed_last_is_used_first() -> None:
    allocator = make(64 * LARGE)
    extents = [take(allocator, LARGE) for _ in range(8)]
    for number in (5, 1, 3):  # never neighbours
        allocator.free(extents[number])
    assert [take(allocator, LARGE) for _ in range(3)] == [extents[3], extents[1], extents[5]]


def test_warm_memory_wins_over_a_tighter_cold_fit() -> None:
    allocator = make(LARGE, 32 * LARGE)
    big = take(allocator, 20 * LARGE)
    allocator.free(big)
    assert take(allocator, LARGE).segment == big.segment


def test_a_large_object_may_span_warm_and_cold_memory() -> None:
    allocator = make(4 * LARGE)
    allocator.free(take(allocator, LARGE))
    assert take(allocator, 4 * LARGE) == Extent(1, 0, 4 * LARGE)
    assert allocator.allocate(1) is None


def test_an_extent_of_the_same_size_goes_to_the_same_place() -> None:
    allocator = make(1 << 30)
    first = take(allocator, 100_000_000)
    for _ in range(3):
        allocator.free(first)
        assert take(allocator, 100_000_000) == first
    assert allocator.idle_warm == 0
    assert allocator.used_bytes == align(100_000_000, PAGE)


def test_cooling_takes_the_oldest_first_and_no_more_than_needed() -> None:
    allocator = make(64 * LARGE)
    extents = [take(allocator, LARGE) for _ in range(8)]
    for number in (5, 1, 3):
        allocator.free(extents[number])
    assert allocator.cool(3 * LARGE) == []
    assert allocator.cool(3 * LARGE // 2) == [extents[5], Extent(1, extents[1].offset + LARGE // 2, LARGE // 2)]
    assert allocator.cool(0) == [Extent(1, extents[1].offset, LARGE // 2), extents[3]]
    assert allocator.idle_warm == 0
    allocator.check()


def test_a_page_that_an_extent_touches_cannot_be_cooled() -> None:
    allocator = make(64 * PAGE)
    first, second = take(allocator, PAGE + LINE), take(allocator, PAGE)
    allocator.free(first)
    assert allocator.cool(0) == [Extent(1, 0, PAGE)]
    assert allocator.idle_warm == LINE + PAGE - LINE
    allocator.free(second)
    assert allocator.cool(0) == [Extent(1, PAGE, 2 * PAGE)]
    assert allocator.empty_segments() == [1]


def test_an_emptied_segment_shows_up_only_when_cold() -> None:
    allocator = make(LARGE, LARGE)
    assert allocator.empty_segments() == [1, 2]
    extent = take(allocator, LARGE)
    other = 3 - extent.segment
    assert allocator.empty_segments() == [other]
    allocator.free(extent)
    assert allocator.empty_segments() == [other]
    allocator.cool(0)
    assert sorted(allocator.empty_segments()) == [1, 2]
    allocator.remove_segment(1)
    allocator.remove_segment(2)
    assert allocator.allocate(1) is None


@pytest.mark.parametrize("size", [0, -PAGE, 100, PAGE + 1])
def test_bad_segments(size: int) -> None:
    with pytest.raises(ValueError, match="bytes"):
        make(size)
    with pytest.raises(ValueError, match="known"):
        make(PAGE).add_segment(1, PAGE)


def test_bad_sizes_and_extents() -> None:
    allocator = make(PAGE)
    for size in (0, -1):
        with pytest.raises(ValueError, match="cannot allocate"):
            allocator.allocate(size)
    extent = take(allocator, 100)
    for wrong in (Extent(1, 0, 101), Extent(1, 64, 100), Extent(2, 0, 100)):
        with pytest.raises(ValueError, match="not in use"):
            allocator.free(wrong)
    allocator.free(extent)


def test_pages_of_an_extent() -> None:
    assert pages(Extent(1, PAGE, LARGE + 1)) == (PAGE, PAGE + LARGE + PAGE)
    assert pages(Extent(1, LINE, 2 * PAGE)) == (PAGE, 2 * PAGE)
    start, end = pages(Extent(1, LINE, LINE))
    assert start >= end


def test_churn_leaves_nothing_behind() -> None:
    rng = random.Random(7)
    allocator = make(256 << 20)
    extents: list[Extent] = []
    for step in range(20_000):
        if extents and rng.random() < 0.5:
            allocator.free(extents.pop(rng.randrange(len(extents))))
        elif (extent := allocator.allocate(rng.choice([300, 5000, LARGE, 200_000, 1 << 20]))) is not None:
            extents.append(extent)
        if step % 500 == 0:
            allocator.cool(8 << 20)
            allocator.check()
    for extent in extents:
        allocator.free(extent)
    allocator.cool(0)
    allocator.check()
    assert (allocator.idle_warm, allocator.used_bytes) == (0, 0)
    assert len(allocator._age) <= 64
    assert len(allocator._holes._runs) == 1
    assert not allocator._warm._runs
