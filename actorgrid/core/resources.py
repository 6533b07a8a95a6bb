"""Resources: exact amounts, and the pools they are taken from.

Amounts are integers in units of 1/10000, so that ten thirds of a CPU never add up to 0.9999. A *demand* is a tuple of
(name, amount) pairs sorted by name without zeros; equal demands are one object after ``intern``, so that tasks of the
same shape wait in one queue.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

UNIT: Final = 10_000
CPU: Final = "CPU"

Demand = tuple[tuple[str, int], ...]


def demand(amounts: Mapping[str, float]) -> Demand:
    """Return ``amounts`` (resource name to amount) as a demand. Amounts are rounded to 1/10000."""
    return tuple(sorted((name, units) for name, value in amounts.items() if (units := round(value * UNIT))))


def amounts(units: Iterable[tuple[str, int]]) -> dict[str, float]:
    """Return resource names to amounts as people write them."""
    return {name: value / UNIT for name, value in units}


class Pool:
    """Capacity and what is free of it.

    ``free`` may dip below zero for CPU: a task that resumes after a blocked ``get`` runs at once.
    ``passing`` is the part that comes back by itself: what tasks hold that run and do not wait for others.
    """

    __slots__ = ("capacity", "free", "passing")

    # Invariant: all(self.free[name] <= self.capacity[name] for name in self.capacity)

    def __init__(self, capacity: Demand) -> None:
        """Make a pool with everything free."""
        self.capacity = dict(capacity)
        self.free = dict(capacity)
        self.passing = dict.fromkeys(self.capacity, 0)

    def feasible(self, wanted: Demand) -> bool:
        """Return whether ``wanted`` fits when everything is free."""
        capacity = self.capacity
        return all(capacity.get(name, 0) >= units for name, units in wanted)

    def fits(self, wanted: Demand) -> bool:
        """Return whether ``wanted`` fits now."""
        free = self.free
        for name, units in wanted:
            if free.get(name, 0) < units:
                return False
        return True

    def will_fit(self, wanted: Demand) -> bool:
        """Return whether ``wanted`` fits once the tasks that run now are over, whatever else happens."""
        free, passing = self.free, self.passing
        return all(free.get(name, 0) + passing.get(name, 0) >= units for name, units in wanted)

    def pass_on(self, held: Demand, sign: int) -> None:
        """What a task holds will come back by itself from now on (``sign`` 1), or no longer (-1)."""
        passing = self.passing
        for name, units in held:
            passing[name] += sign * units

    def take(self, wanted: Demand) -> None:
        """Take ``wanted``, which must be feasible."""
        free = self.free
        for name, units in wanted:
            free[name] -= units

    def give(self, wanted: Demand) -> None:
        """Give ``wanted`` back."""
        free = self.free
        for name, units in wanted:
            free[name] += units


def cpus_of(wanted: Demand) -> Demand:
    """Return the CPU part of a demand: what a task lends out while it is blocked."""
    return tuple(pair for pair in wanted if pair[0] == CPU)
