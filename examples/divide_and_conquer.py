"""Divide and conquer: a merge sort whose tasks start tasks and wait for them.

A task that waits lends its CPU to others, so nesting needs no more CPUs than there are, and cannot deadlock.
"""

from __future__ import annotations

import heapq
import random

import actorgrid as ag

SMALL = 20_000


@ag.remote
def merge_sort(numbers: list[float]) -> list[float]:
    """Sort by halves; small lists are sorted on the spot."""
    if len(numbers) <= SMALL:
        return sorted(numbers)
    middle = len(numbers) // 2
    halves = [merge_sort.remote(numbers[:middle]), merge_sort.remote(numbers[middle:])]
    return list(heapq.merge(*ag.get(halves)))


def main() -> None:
    """Sort a hundred thousand numbers."""
    draw = random.Random(7)
    numbers = [draw.random() for _ in range(100_000)]
    ordered = ag.get(merge_sort.remote(numbers))
    print(f"sorted {len(ordered):,} numbers, from {ordered[0]:.6f} to {ordered[-1]:.6f}")
    assert ordered == sorted(numbers)


if __name__ == "__main__":
    main()
