"""What the workloads run: plain functions and a class, importable by the workers of every system."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Any


def noop(*_: Any) -> None:
    """Nothing."""


def increment(value: int) -> int:
    """Return one more."""
    return value + 1


def add(one: int, other: int) -> int:
    """Return the sum."""
    return one + other


def total(*values: int) -> int:
    """Return the sum of all arguments."""
    return sum(values)


def count_up(most: int) -> Iterator[int]:
    """Yield so many numbers."""
    yield from range(most)


def total_of_list(values: Sequence[int]) -> int:
    """Return the sum of a list, for systems whose tasks take lists of futures."""
    return sum(values)


def length(array: Any) -> int:
    """Touch nothing but the length."""
    return len(array)


def make_array(count: int) -> Any:
    """Return an array of ``count`` doubles."""
    import numpy as np

    return np.ones(count)


def monte_carlo(samples: int, seed: int) -> float:
    """Estimate pi."""
    draw = random.Random(seed).random
    return 4.0 * sum(draw() ** 2 + draw() ** 2 <= 1.0 for _ in range(samples)) / samples


class Counter:
    """An actor."""

    def __init__(self) -> None:
        self.value = 0

    def increment(self) -> int:
        """Return one more than the last time."""
        self.value += 1
        return self.value

    def echo(self, value: Any) -> Any:
        """Return the argument."""
        return value
