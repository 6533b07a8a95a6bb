"""The allocator of a process that writes shared memory: which bytes of its segments are used.

Theory of operation

* A segment is a range of bytes that a *hole* (free, as long as possible) or an extent in use covers, end to end.
* A hole consists of *pieces*, warm or cold by turns. Warm bytes were touched and still own physical memory; cold bytes
  own none. Copying into warm pages runs five to ten times faster than into cold ones, where every page faults; so an
  allocation takes the best fitting warm piece, and only if there is none the best fitting hole. Among equal fits the
  piece freed last wins: its lines may still be in the cache.
* Warm free memory is memory that nobody else can use. ``cool`` turns the least recently used of it cold.
* Extents of 64 KiB and more lie on pages that they share with nobody, so that those pages can be given back. Smaller
  ones are packed on cache lines.

Rules for this file

* Cold pieces start and end on a page; all that follows about page edges rests on that.
* Every operation costs O(log n) in extents, amortised: neighbours come from dicts keyed by edge, best fits from a trie.
"""

from __future__ import annotations

import heapq
from typing import Final

from actorgrid.core.messages import Extent
from actorgrid.core.sortedints import SortedInts

LINE: Final = 64
PAGE: Final = 4096
#: From this reserved size on an extent owns its pages.
LARGE: Final = 64 << 10
#: No segment has more bytes: sizes and offsets in lines are keys of ``SortedInts``.
MAX_SEGMENT: Final = (1 << 50) - PAGE


def align(value: int, to: int) -> int:
    """Return the least multiple of ``to`` (a power of two) that is >= ``value``."""
    return (value + to - 1) & -to


def reserved(size: int) -> int:
    """Return how many bytes from its offset on an extent of ``size`` bytes owns."""
    lines = align(size, LINE)
    return lines if lines < LARGE else align(size, PAGE)


def pages(extent: Extent) -> tuple[int, int]:
    """Return the range (start, end) of the whole pages that belong to ``extent`` alone; empty if start >= end."""
    return align(extent.offset, PAGE), (extent.offset + reserved(extent.size)) & -PAGE


class _Run:
    """Free bytes [start, end) of a segment: a hole or a piece of one."""

    __slots__ = ("end", "live", "segment", "stamp", "start", "warm")

    def __init__(self, segment: _Segment, start: int, end: int, stamp: int = 0, *, warm: bool = False) -> None:
        self.segment = segment
        self.start = start
        self.end = end
        #: When this memory was freed last.
        self.stamp = stamp
        self.warm = warm
        self.live = True

    def key(self) -> int:
        """Return the greatest reserved size that fits here; a multiple of LINE.

        Counted in whole pages once a large extent fits; below that in lines, held under LARGE.
        """
        whole = (self.end & -PAGE) - align(self.start, PAGE)
        return whole if whole >= LARGE else min(self.end - self.start, LARGE - LINE)


class _Segment:
    """One segment: extents in use, pieces and holes, all by their edges."""

    __slots__ = ("hole_ends", "hole_starts", "holes", "number", "piece_ends", "pieces", "size", "used", "warm")

    # Invariant: self.warm == sum(piece.end - piece.start for piece in self.pieces.values() if piece.warm)
    # Invariant: self.hole_starts holds start // LINE for each start in self.holes

    def __init__(self, number: int, size: int) -> None:
        self.number = number
        self.size = size
        #: Offset to the size that was asked for.
        self.used: dict[int, int] = {}
        self.pieces: dict[int, _Run] = {}
        self.piece_ends: dict[int, _Run] = {}
        self.holes: dict[int, _Run] = {}
        self.hole_ends: dict[int, _Run] = {}
        self.hole_starts = SortedInts()
        self.warm = 0

    def hole_of(self, offset: int) -> _Run:
        """Return the hole around a free byte."""
        start = self.hole_starts.floor(offset // LINE)
        assert start is not None
        return self.holes[start * LINE]


class _Fits:
    """Free runs by what fits into them; among equals the one added last comes first."""

    __slots__ = ("_keys", "_runs")

    def __init__(self) -> None:
        self._keys = SortedInts()
        self._runs: dict[int, dict[_Run, None]] = {}

    def add(self, run: _Run) -> None:
        key = run.key() // LINE
        same = self._runs.get(key)
        if same is None:
            self._runs[key] = {run: None}
            self._keys.add(key)
        else:
            same[run] = None

    def remove(self, run: _Run) -> None:
        key = run.key() // LINE
        same = self._runs[key]
        del same[run]
        if not same:
            del self._runs[key]
            self._keys.remove(key)

    def best(self, need: int) -> _Run | None:
        """Return the tightest run into which ``need`` reserved bytes fit."""
        key = self._keys.ceiling(need // LINE)
        return None if key is None else next(reversed(self._runs[key]))


class ExtentAllocator:
    """Allocates extents in the segments of one writer. Not safe for threads: the host holds a lock."""

    __slots__ = ("_age", "_clock", "_holes", "_segments", "_vacant", "_warm", "_warm_runs", "idle_warm", "used_bytes")

    # Invariant: self.idle_warm == sum(segment.warm for segment in self._segments.values())
    # Invariant: self._vacant.keys() == {number for number, segment in self._segments.items() if not segment.used}

    def __init__(self) -> None:
        """Make an allocator without segments."""
        self._segments: dict[int, _Segment] = {}
        self._vacant: dict[int, None] = {}
        self._holes = _Fits()
        self._warm = _Fits()
        #: (stamp, tie-break, piece), oldest first; dead pieces are skipped and now and then swept.
        self._age: list[tuple[int, int, _Run]] = []
        self._warm_runs = 0
        self._clock = 0
        #: Free bytes that own physical memory.
        self.idle_warm = 0
        #: Bytes reserved by extents in use.
        self.used_bytes = 0

    def add_segment(self, segment: int, size: int) -> None:
        """Add untouched memory: ``size`` bytes, a multiple of PAGE. Raises ValueError on a bad size or number."""
        if segment in self._segments:
            raise ValueError(f"segment {segment} is already known")
        if not 0 < size <= MAX_SEGMENT or size % PAGE:
            raise ValueError(f"a segment cannot have {size} bytes")
        added = self._segments[segment] = _Segment(segment, size)
        self._vacant[segment] = None
        self._add_hole(added, 0, size)
        self._add_piece(_Run(added, 0, size))

    def remove_segment(self, segment: int) -> None:
        """Forget a segment in which nothing is in use. Raises ValueError otherwise."""
        if segment not in self._vacant:
            raise ValueError(f"segment {segment} is unknown or in use")
        removed = self._segments.pop(segment)
        del self._vacant[segment]
        for hole in list(removed.holes.values()):
            self._drop_hole(hole)
        for piece in list(removed.pieces.values()):
            self._drop_piece(piece)

    def empty_segments(self) -> list[int]:
        """Return the segments that hold neither extents nor physical memory."""
        return [number for number in self._vacant if not self._segments[number].warm]

    def allocate(self, size: int) -> Extent | None:
        """Return ``size`` bytes, or None if they fit nowhere and a new segment is needed. Raises ValueError if <= 0."""
        if size <= 0:
            raise ValueError(f"cannot allocate {size} bytes")
        need = reserved(size)
        run = self._warm.best(need)
        if run is not None:
            hole = run.segment.hole_of(run.start)
        else:
            run = self._holes.best(need)
            if run is None:
                return None
            hole = run
        segment = run.segment
        start = run.start if need < LARGE else align(run.start, PAGE)
        # Up to the first page edge a hole is warm, so its first piece reaches at least to ``start``.
        self._carve_pieces(segment, run.start, start, start + need)
        self._carve_hole(hole, start, start + need)
        segment.used[start] = size
        self._vacant.pop(segment.number, None)
        self.used_bytes += need
        return Extent(segment.number, start, size)

    def free(self, extent: Extent) -> None:
        """Take back what ``allocate`` returned. Raises ValueError if it is not in use."""
        segment = self._segments.get(extent.segment)
        if segment is None or segment.used.get(extent.offset) != extent.size:
            raise ValueError(f"{extent} is not in use")
        del segment.used[extent.offset]
        if not segment.used:
            self._vacant[segment.number] = None
        start, end = extent.offset, extent.offset + reserved(extent.size)
        self.used_bytes -= end - start
        self._clock += 1
        self._merge_piece(_Run(segment, start, end, self._clock, warm=True))
        left, right = segment.hole_ends.get(start), segment.holes.get(end)
        if left is not None:
            self._drop_hole(left)
            start = left.start
        if right is not None:
            self._drop_hole(right)
            end = right.end
        self._add_hole(segment, start, end)

    def cool(self, limit: int) -> list[Extent]:
        """Mark least recently used free memory cold until ``idle_warm <= limit`` (bytes) and return it.

        The caller gives these pages back before it allocates again. Pages that an extent in use touches stay warm,
        so a little more than ``limit`` may remain.
        """
        cooled = []
        while self.idle_warm > limit and self._age:
            _, _, piece = heapq.heappop(self._age)
            start, end = align(piece.start, PAGE), piece.end & -PAGE
            # A piece without a whole page leaves the queue for good: if it ever grows, it does so as a new piece.
            if piece.live and start < end:
                start = max(start, end - align(self.idle_warm - limit, PAGE))
                cooled.append(self._cool_part(piece, start, end))
        return cooled

    def _cool_part(self, piece: _Run, start: int, end: int) -> Extent:
        self._drop_piece(piece)
        segment, stamp = piece.segment, piece.stamp
        if piece.start < start:
            self._add_piece(_Run(segment, piece.start, start, stamp, warm=True))
        if end < piece.end:
            self._add_piece(_Run(segment, end, piece.end, stamp, warm=True))
        self._merge_piece(_Run(segment, start, end))
        return Extent(segment.number, start, end - start)

    # --------------------------------------------------------------------------------------- pieces and holes

    def _carve_pieces(self, segment: _Segment, position: int, start: int, end: int) -> None:
        """Take [start, end) out of the pieces from ``position`` on."""
        while position < end:
            piece = segment.pieces[position]
            position = piece.end
            if position <= start:
                continue
            self._drop_piece(piece)
            if piece.start < start:
                self._add_piece(_Run(segment, piece.start, start, piece.stamp, warm=True))
            if position <= end:
                continue
            rest = end
            if not piece.warm and rest % PAGE:
                # The extent's last page is touched with it: the rest of that page is warm from now on.
                rest = align(end, PAGE)
                self._clock += 1
                self._merge_piece(_Run(segment, end, rest, self._clock, warm=True))
            if rest < position:
                self._add_piece(_Run(segment, rest, position, piece.stamp, warm=piece.warm))

    def _merge_piece(self, piece: _Run) -> None:
        """Add a piece, joined with the neighbours that are as warm as it is."""
        segment = piece.segment
        left, right = segment.piece_ends.get(piece.start), segment.pieces.get(piece.end)
        if left is not None and left.warm is piece.warm:
            self._drop_piece(left)
            piece.start = left.start
        if right is not None and right.warm is piece.warm:
            self._drop_piece(right)
            piece.end = right.end
        self._add_piece(piece)

    def _add_piece(self, piece: _Run) -> None:
        segment = piece.segment
        segment.pieces[piece.start] = segment.piece_ends[piece.end] = piece
        if not piece.warm:
            return
        size = piece.end - piece.start
        segment.warm += size
        self.idle_warm += size
        self._warm.add(piece)
        self._warm_runs += 1
        if len(self._age) > 2 * self._warm_runs + 64:
            self._age = [entry for entry in self._age if entry[2].live]
            heapq.heapify(self._age)
        self._clock += 1
        heapq.heappush(self._age, (piece.stamp, self._clock, piece))

    def _drop_piece(self, piece: _Run) -> None:
        segment = piece.segment
        del segment.pieces[piece.start], segment.piece_ends[piece.end]
        piece.live = False
        if piece.warm:
            size = piece.end - piece.start
            segment.warm -= size
            self.idle_warm -= size
            self._warm.remove(piece)
            self._warm_runs -= 1

    def _carve_hole(self, hole: _Run, start: int, end: int) -> None:
        self._drop_hole(hole)
        if hole.start < start:
            self._add_hole(hole.segment, hole.start, start)
        if end < hole.end:
            self._add_hole(hole.segment, end, hole.end)

    def _add_hole(self, segment: _Segment, start: int, end: int) -> None:
        hole = _Run(segment, start, end)
        segment.holes[start] = segment.hole_ends[end] = hole
        segment.hole_starts.add(start // LINE)
        self._holes.add(hole)

    def _drop_hole(self, hole: _Run) -> None:
        segment = hole.segment
        del segment.holes[hole.start], segment.hole_ends[hole.end]
        segment.hole_starts.remove(hole.start // LINE)
        self._holes.remove(hole)

    # ------------------------------------------------------------------------------------------------- checks

    def check(self) -> None:
        """Verify every invariant. Raises AssertionError. Costs O(n): for tests and simulation."""
        used = warm = 0
        for number, segment in self._segments.items():
            extents = [(at, at + reserved(size)) for at, size in segment.used.items()]
            holes = [(hole.start, hole.end) for hole in segment.holes.values()]
            _check_tiling(extents + holes, segment.size)
            assert all(end not in segment.holes for _, end in holes), "holes are not coalesced"
            assert {end: hole.start for end, hole in segment.hole_ends.items()} == {end: at for at, end in holes}
            _check_pieces(segment)
            assert (number in self._vacant) is (not segment.used)
            used += sum(end - at for at, end in extents)
            warm += segment.warm
        assert (used, warm) == (self.used_bytes, self.idle_warm)
        assert list(self._vacant.keys() - self._segments.keys()) == []


def _check_tiling(ranges: list[tuple[int, int]], size: int) -> None:
    position = 0
    for start, end in sorted(ranges):
        assert start == position < end, f"gap or overlap at {position}"
        assert start % LINE == 0
        position = end
    assert position == size


def _check_pieces(segment: _Segment) -> None:
    for hole in segment.holes.values():
        position, before = hole.start, None
        while position < hole.end:
            piece = segment.pieces[position]
            assert piece.live
            assert piece.segment is segment
            assert segment.piece_ends[piece.end] is piece
            assert piece.warm is not before, "pieces are not coalesced"
            assert piece.warm or piece.start % PAGE == piece.end % PAGE == 0, "a cold piece is not whole pages"
            position, before = piece.end, piece.warm
        assert position == hole.end
        assert segment.hole_of(hole.end - 1) is hole
    free = sum(piece.end - piece.start for piece in segment.pieces.values())
    assert free == sum(hole.end - hole.start for hole in segment.holes.values())
    assert segment.warm == sum(piece.end - piece.start for piece in segment.pieces.values() if piece.warm)
