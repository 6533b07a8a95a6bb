"""Resources: exact amounts, and the pools they are taken from.

Amounts are integers in units of 1/10000, so that ten thirds of a CPU never add up to 0.9999. A *demand* is a tuple of
(name, amount) pairs sorted by name without zeros; equal demands are one object after ``intern``, so that tasks of the
same shape wait in one queue.

Most resources are mere numbers. GPUs are not: whoever has one must know which, so a pool also keeps account of devices.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Protocol

UNIT: Final = 10_000
CPU: Final = "CPU"
GPU: Final = "GPU"

Demand = tuple[tuple[str, int], ...]
#: Devices, or parts of them: (number of the device, units of it).
Parts = tuple[tuple[int, int], ...]


def demand(amounts: Mapping[str, float]) -> Demand:
    """Return ``amounts`` (resource name to amount) as a demand. Amounts are rounded to 1/10000."""
    return tuple(sorted((name, units) for name, value in amounts.items() if (units := round(value * UNIT))))


def amounts(units: Iterable[tuple[str, int]]) -> dict[str, float]:
    """Return resource names to amounts as people write them."""
    return {name: value / UNIT for name, value in units}


def total(demands: Iterable[Demand]) -> Demand:
    """Return the sum of ``demands``."""
    sums: dict[str, int] = {}
    for each in demands:
        for name, units in each:
            sums[name] = sums.get(name, 0) + units
    return tuple(sorted(sums.items()))


def of(name: str, wanted: Demand) -> int:
    """Return how many units of one resource a demand has."""
    return next((units for each, units in wanted if each == name), 0)


def covers(capacity: Demand, wanted: Demand) -> bool:
    """Return whether ``wanted`` is a part of ``capacity``."""
    have = dict(capacity)
    return all(have.get(name, 0) >= units for name, units in wanted)


def cpus_of(wanted: Demand) -> Demand:
    """Return the CPU part of a demand: what a task lends out while it is blocked."""
    return tuple(pair for pair in wanted if pair[0] == CPU)


class Devices:
    """Which devices are free. A demand of less than one is a part of one; beyond that, devices are taken whole."""

    __slots__ = ("free", "passing")

    # Invariant: all(0 <= units <= UNIT for units in self.free.values())

    def __init__(self, parts: Iterable[tuple[int, int]]) -> None:
        """``parts``: what there is, by device."""
        self.free = dict(parts)
        #: As in ``Pool``.
        self.passing = dict.fromkeys(self.free, 0)

    def pick(self, units: int) -> Parts | None:
        """Return which devices a demand of ``units`` would get now, None if there are none."""
        return _pick(self.free, units)

    def take(self, units: int) -> Parts:
        """Take what ``pick`` returns, which must be something."""
        parts = _pick(self.free, units)
        assert parts is not None
        for device, part in parts:
            self.free[device] -= part
        return parts

    def give(self, parts: Parts) -> None:
        """Give devices back."""
        for device, part in parts:
            self.free[device] += part

    def pass_on(self, parts: Parts, sign: int) -> None:
        """As ``Pool.pass_on``."""
        for device, part in parts:
            self.passing[device] += sign * part

    def coming(self) -> dict[int, int]:
        """Return what will be free, by device, once the tasks that run now are over."""
        return {device: units + self.passing[device] for device, units in self.free.items()}


def numbered(units: int) -> Parts:
    """Return ``units`` of a resource as devices: as many whole ones as there are, and the rest of one."""
    whole, rest = divmod(units, UNIT)
    return tuple((device, UNIT) for device in range(whole)) + (((whole, rest),) if rest else ())


def spread(free: Mapping[int, int], sizes: Sequence[int]) -> list[Parts] | None:
    """Return which devices several demands would get together, in their order; None if they do not fit.

    The largest goes first, and a part goes where it leaves the least: no device is broken into without need.
    """
    left = dict(free)
    found: dict[int, Parts] = {}
    for index in sorted(range(len(sizes)), key=lambda index: -sizes[index]):
        parts = _pick(left, sizes[index])
        if parts is None:
            return None
        found[index] = parts
        for device, part in parts:
            left[device] -= part
    return [found[index] for index in range(len(sizes))]


def _pick(free: Mapping[int, int], units: int) -> Parts | None:
    whole, part = divmod(units, UNIT)
    taken = [device for device, left in free.items() if left >= UNIT][:whole]
    if len(taken) < whole:
        return None
    found = tuple((device, UNIT) for device in taken)
    if not part:
        return found
    fitting = [(left, device) for device, left in free.items() if left >= part and device not in taken]
    return (*found, (min(fitting)[1], part)) if fitting else None


class Source(Protocol):
    """What the tasks of a shape take their resources from."""

    @property
    def ground(self) -> object:
        """What tells whether two sources compete: they do if they have the same."""

    @property
    def pools(self) -> Sequence[Pool]:
        """The pools that it may take from."""

    def fits(self, wanted: Demand) -> bool:
        """Return whether ``wanted`` fits now."""

    def will_fit(self, wanted: Demand) -> bool:
        """Return whether ``wanted`` fits once the tasks that run now are over, whatever else happens."""

    def take(self, wanted: Demand) -> Pool:
        """Take ``wanted``, devices apart, and return the pool that it was taken from."""


class Pool:
    """Capacity and what is free of it.

    ``free`` may dip below zero for CPU: a task that resumes after a blocked ``get`` runs at once.
    ``passing`` is the part that comes back by itself: what tasks hold that run and do not wait for others.
    """

    __slots__ = ("capacity", "devices", "free", "parts", "passing")

    # Invariant: all(self.free[name] <= self.capacity[name] for name in self.capacity)
    # Invariant: self.devices is None or sum(self.devices.free.values()) == self.free[GPU]

    def __init__(self, capacity: Demand, parts: Parts | None = None) -> None:
        """Make a pool with everything free. ``parts``: which devices its GPUs are; None: all that there are."""
        self.capacity = dict(capacity)
        self.free = dict(capacity)
        self.passing = dict.fromkeys(self.capacity, 0)
        #: The devices of its GPUs.
        self.parts = numbered(self.capacity.get(GPU, 0)) if parts is None else parts
        self.devices = Devices(self.parts) if self.parts else None

    @property
    def ground(self) -> object:
        """See ``Source``."""
        return self

    @property
    def pools(self) -> Sequence[Pool]:
        """See ``Source``."""
        return (self,)

    def feasible(self, wanted: Demand, sizes: Sequence[int] = ()) -> bool:
        """Return whether ``wanted`` fits when everything is free. ``sizes``: its GPUs, if they go to several."""
        capacity = self.capacity
        if not all(capacity.get(name, 0) >= units for name, units in wanted):
            return False
        return spread(dict(self.parts), sizes or (of(GPU, wanted),)) is not None

    def fits(self, wanted: Demand) -> bool:
        """Return whether ``wanted`` fits now."""
        free = self.free
        for name, units in wanted:
            if free.get(name, 0) < units:
                return False
        return self.devices is None or self.devices.pick(of(GPU, wanted)) is not None

    def will_fit(self, wanted: Demand) -> bool:
        """Return whether ``wanted`` fits once the tasks that run now are over, whatever else happens."""
        return self.will_cover(wanted, (of(GPU, wanted),))

    def covers(self, wanted: Demand, sizes: Sequence[int]) -> bool:
        """Return whether several demands fit now: ``wanted`` together, of which their GPUs are ``sizes``."""
        free = self.free
        if not all(free.get(name, 0) >= units for name, units in wanted):
            return False
        return self.devices is None or spread(self.devices.free, sizes) is not None

    def will_cover(self, wanted: Demand, sizes: Sequence[int]) -> bool:
        """Return the same for the time when the tasks that run now are over."""
        free, passing = self.free, self.passing
        if not all(free.get(name, 0) + passing.get(name, 0) >= units for name, units in wanted):
            return False
        return self.devices is None or spread(self.devices.coming(), sizes) is not None

    def pass_on(self, held: Demand, sign: int, devices: Parts = ()) -> None:
        """What a task holds will come back by itself from now on (``sign`` 1), or no longer (-1)."""
        passing = self.passing
        for name, units in held:
            passing[name] += sign * units
        if devices and self.devices is not None:
            self.devices.pass_on(devices, sign)

    def take(self, wanted: Demand) -> Pool:
        """Take ``wanted``, which must be feasible, devices apart. Returns itself."""
        free = self.free
        for name, units in wanted:
            free[name] -= units
        return self

    def give(self, held: Demand, devices: Parts = ()) -> None:
        """Give ``held`` back."""
        free = self.free
        for name, units in held:
            free[name] += units
        if devices and self.devices is not None:
            self.devices.give(devices)

    def split(self, bundles: Sequence[Demand]) -> list[Pool]:
        """Take every one of ``bundles``, which must fit, and return each as a pool of its own."""
        sizes = [of(GPU, bundle) for bundle in bundles]
        parts: list[Parts] = [()] * len(bundles)
        if self.devices is not None:
            chosen = spread(self.devices.free, sizes)
            assert chosen is not None
            parts = chosen
            for each in parts:
                for device, units in each:
                    self.devices.free[device] -= units
        self.take(total(bundles))
        return [Pool(bundle, part) for bundle, part in zip(bundles, parts, strict=True)]

    def join(self, pools: Sequence[Pool]) -> None:
        """Take back what was split off, of which nothing may be in use any more."""
        for pool in pools:
            self.give(tuple(pool.capacity.items()), pool.parts)


#: The pool of what holds nothing.
NOWHERE: Final = Pool(())
