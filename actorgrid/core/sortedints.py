"""A sorted set of integers: what ``bisect`` on a list would be if insertion were not linear."""

from __future__ import annotations

from typing import Final

_BITS: Final = 11
_LEVELS: Final = 4
_MASK: Final = (1 << _BITS) - 1
#: Members are below this.
LIMIT: Final = 1 << (_BITS * _LEVELS)


class SortedInts:
    """A set of integers in [0, LIMIT) that knows neighbours: a trie of bitmaps, four levels deep."""

    __slots__ = ("_levels",)

    # Invariant: all(bitmap for level in self._levels for bitmap in level.values())

    def __init__(self) -> None:
        """Make an empty set."""
        #: ``_levels[i][prefix]`` has bit b set if a member starts with ``prefix << _BITS | b``, i levels up.
        self._levels: tuple[dict[int, int], ...] = tuple({} for _ in range(_LEVELS))

    def add(self, value: int) -> None:
        """Add ``value``."""
        for level in self._levels:
            prefix = value >> _BITS
            bitmap = level.get(prefix, 0)
            level[prefix] = bitmap | 1 << (value & _MASK)
            if bitmap:
                return
            value = prefix

    def remove(self, value: int) -> None:
        """Remove ``value``, which must be a member."""
        for level in self._levels:
            prefix = value >> _BITS
            bitmap = level[prefix] ^ 1 << (value & _MASK)
            if bitmap:
                level[prefix] = bitmap
                return
            del level[prefix]
            value = prefix

    def ceiling(self, value: int) -> int | None:
        """Return the least member >= ``value``, None if there is none."""
        levels = self._levels
        for height in range(_LEVELS):
            prefix, low = value >> _BITS, value & _MASK
            bitmap = levels[height].get(prefix, 0) >> low << low
            if bitmap:
                value = prefix << _BITS | (bitmap & -bitmap).bit_length() - 1
                for level in levels[:height][::-1]:
                    bitmap = level[value]
                    value = value << _BITS | (bitmap & -bitmap).bit_length() - 1
                return value
            value = prefix + 1
        return None

    def floor(self, value: int) -> int | None:
        """Return the greatest member <= ``value``, None if there is none."""
        levels = self._levels
        for height in range(_LEVELS):
            prefix = value >> _BITS
            bitmap = levels[height].get(prefix, 0) & (2 << (value & _MASK)) - 1
            if bitmap:
                value = prefix << _BITS | bitmap.bit_length() - 1
                for level in levels[:height][::-1]:
                    value = value << _BITS | level[value].bit_length() - 1
                return value
            if not prefix:
                return None
            value = prefix - 1
        return None
