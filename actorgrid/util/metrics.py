"""Counters, gauges and histograms: the names of ``ray.util.metrics``, and what reads them.

Whatever a process of the grid measures is added up in the head: no port, no agent. It travels with the next words of
its process, the result of the call that measures at the latest: once the result is there, so is the measurement.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise
from math import isfinite, isnan
from numbers import Real
from typing import Any, ClassVar, Final, Self

from actorgrid.api.options import seconds
from actorgrid.api.session import running
from actorgrid.core import messages as m
from actorgrid.core.messages import MetricKind
from actorgrid.engine.current import installed
from actorgrid.observe.exposition import Reading, exposition

__all__ = ["Counter", "Gauge", "Histogram", "Metric", "Reading", "collect", "prometheus_text"]

_NAME: Final = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_TAG: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
#: How long the functions that read wait for the head (seconds).
TIMEOUT: Final = 30.0


class Metric:
    """What the three kinds have in common. Measuring without a grid does nothing."""

    _kind: ClassVar[MetricKind]
    _boundaries: tuple[float, ...] = ()

    def __init__(self, name: str, description: str = "", tag_keys: tuple[str, ...] | None = None) -> None:
        """Describe a metric: ``tag_keys`` are the names of the tags that every measurement must have values for.

        Processes that use the same name measure the same metric. Raises ValueError for a name, or a tag's, that is not
        made of letters, digits and underscores, and for the name of another metric of this process (without a grid:
        when it is measured), TypeError for anything but texts.
        """
        for text in (name, description):
            _check_text(text)
        if not _NAME.fullmatch(name):
            raise ValueError(
                f"a metric's name is made of letters, digits, '_' and ':', and starts with no digit: {name!r:.100}"
            )
        self._name = name
        self._description = description
        self._tag_keys = _checked_keys(tag_keys)
        self._default_tags: dict[str, str] = {}
        self._metric = m.Metric(name, self._kind, description, self._boundaries)
        engine = installed()
        if engine is not None:
            engine.describe(self._metric)

    def set_default_tags(self, default_tags: Mapping[str, str]) -> Self:
        """Set the tags of measurements that do not give them; returns the metric. Raises ValueError, TypeError."""
        self._check_tags(default_tags)
        self._default_tags = dict(default_tags)
        return self

    @property
    def info(self) -> dict[str, Any]:
        """Name, description, tag keys and default tags."""
        return {
            "name": self._name,
            "description": self._description,
            "tag_keys": self._tag_keys,
            "default_tags": self._default_tags,
        }

    def _check_tags(self, tags: Mapping[str, str]) -> None:
        for key, value in tags.items():
            if key not in self._tag_keys:
                raise ValueError(f"the metric {self._name!r} has no tag {key!r:.100}; it has {list(self._tag_keys)}")
            if not isinstance(value, str):
                raise TypeError(f"the value of a tag is a text, not {type(value).__name__}: {key!r}: {value!r:.100}")

    def _tags(self, given: Mapping[str, str] | None) -> tuple[tuple[str, str], ...]:
        """Return the tags of a measurement, in the order of the keys. Raises ValueError if there are too few."""
        if given:
            self._check_tags(given)
        tags = {**self._default_tags, **(given or {})}
        missing = [key for key in self._tag_keys if key not in tags]
        if missing:
            raise ValueError(
                f"Missing value for tag key(s): {','.join(missing)}. ({self._name!r} has no default for them.)"
            )
        return tuple((key, tags[key]) for key in self._tag_keys)

    def _record(self, value: Any, tags: Mapping[str, str] | None) -> None:
        complete = self._tags(tags)
        engine = installed()
        if engine is not None:
            engine.measure(self._metric, complete, float(value))

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, (type(self), self._arguments(), self._default_tags)

    def _arguments(self) -> tuple[Any, ...]:
        return self._name, self._description, self._tag_keys

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._name!r}, tag_keys={self._tag_keys!r})"


class Counter(Metric):
    """Something that only grows: the sum over all processes."""

    _kind = MetricKind.COUNTER

    def inc(self, value: float = 1.0, tags: Mapping[str, str] | None = None) -> None:
        """Add ``value``. Raises TypeError if it is no number, ValueError if it is not above 0, or for bad tags."""
        if not _number(value) > 0 or not isfinite(value):
            raise ValueError(f"value must be >0, got {value}")
        self._record(value, tags)


class Gauge(Metric):
    """Something that goes up and down: what any process has set last."""

    _kind = MetricKind.GAUGE

    def set(self, value: float | None, tags: Mapping[str, str] | None = None) -> None:
        """Set it; None does nothing. Raises TypeError if it is no number, ValueError for bad tags."""
        if value is not None:
            self._record(_number(value), tags)


class Histogram(Metric):
    """How large things are: how many of them fall into each bucket, and their sum, over all processes."""

    _kind = MetricKind.HISTOGRAM

    def __init__(
        self,
        name: str,
        description: str = "",
        boundaries: Sequence[float] | None = None,
        tag_keys: tuple[str, ...] | None = None,
    ) -> None:
        """Describe a histogram: ``boundaries`` are the upper ends of its buckets, positive, each above the last.

        Raises ValueError for other boundaries, or none; see ``Metric`` for the rest.
        """
        self.boundaries = list(boundaries) if boundaries is not None else []
        if not self.boundaries:
            raise ValueError(
                "a Histogram needs boundaries, the upper ends of its buckets: Histogram('name', boundaries=[1.0, 2.0])"
            )
        ends = [0.0, *map(_number, self.boundaries)]
        if not all(low < high for low, high in pairwise(ends)) or not isfinite(ends[-1]):
            raise ValueError(
                f"the boundaries of a Histogram are positive numbers, each above the last: {self.boundaries!r:.200}"
            )
        self._boundaries = tuple(ends[1:])
        super().__init__(name, description, tag_keys)

    def observe(self, value: float, tags: Mapping[str, str] | None = None) -> None:
        """Count ``value`` in. Raises TypeError if it is no number, ValueError for NaN and bad tags."""
        if isnan(_number(value)):
            raise ValueError("value must be a number, got NaN")
        self._record(value, tags)

    @property
    def info(self) -> dict[str, Any]:
        """As for every metric, and the boundaries."""
        return {**super().info, "boundaries": self.boundaries}

    def _arguments(self) -> tuple[Any, ...]:
        return self._name, self._description, self.boundaries, self._tag_keys


def _rebuilt(cls: type[Metric], arguments: tuple[Any, ...], default_tags: dict[str, str]) -> Metric:
    return cls(*arguments).set_default_tags(default_tags)


def _check_text(text: Any) -> None:
    if not isinstance(text, str):
        raise TypeError(f"name and description of a metric are texts, not {type(text).__name__}: {text!r:.100}")


def _number(value: Any) -> float:
    if not isinstance(value, Real):
        raise TypeError(f"value must be int or float, got {type(value).__name__}")
    return float(value)


def _checked_keys(tag_keys: Any) -> tuple[str, ...]:
    if tag_keys is None:
        return ()
    if not isinstance(tag_keys, tuple):
        raise TypeError(f"tag_keys must be a tuple, not {type(tag_keys).__name__}")
    for key in tag_keys:
        if not isinstance(key, str):
            raise TypeError(f"tag_keys must be texts, not {type(key).__name__}: {key!r:.100}")
        if not _TAG.fullmatch(key) or key == "le":
            raise ValueError(
                f"a tag's name is made of letters, digits and '_', starts with no digit, and is not 'le': {key!r:.100}"
            )
    if len(set(tag_keys)) < len(tag_keys):
        raise ValueError(f"tag_keys must differ: {tag_keys!r:.200}")
    return tag_keys


# --------------------------------------------------------------------------------------------------------- reading


def collect(timeout: float = TIMEOUT) -> list[Reading]:
    """Return what all processes have measured so far: one ``Reading`` per metric and set of tags.

    Not in Ray. What a finished call has measured is in it, and what the caller has. Raises RuntimeError without a grid,
    GetTimeoutError.
    """
    found: list[Reading] = []
    for name, kind, description, boundaries, series in running().inspect("metrics", {}, seconds("timeout", timeout))[
        "metrics"
    ]:
        for tags, amount, counts in series:
            buckets = dict(zip(boundaries, accumulate(counts), strict=False))
            found.append(
                Reading(name, MetricKind(kind).name.lower(), description, dict(tags), amount, sum(counts), buckets)
            )
    return found


def prometheus_text(prefix: str = "actorgrid_", timeout: float = TIMEOUT) -> str:
    """Return what ``collect`` returns, and how many tasks and actors there are, as Prometheus reads it.

    Not in Ray. Names get ``prefix`` ("ray_" makes them Ray's), counters the suffix ``_total``. Raises as ``collect``.
    """
    if prefix and not _NAME.fullmatch(prefix):
        raise ValueError(f"'prefix' must be the beginning of a metric's name: {prefix!r:.100}")
    readings = collect(timeout)
    taken = {reading.name for reading in readings}
    return exposition([*readings, *(reading for reading in _of_the_grid(timeout) if reading.name not in taken)], prefix)


def _of_the_grid(timeout: float) -> list[Reading]:
    """Return Ray's own metrics of tasks and actors, as far as the head remembers them."""
    engine = running()
    told = {
        "tasks": ("name", "Tasks by name and state, those that are over as long as they are remembered."),
        "actors": ("class_name", "Actors by class and state, dead ones as long as they are remembered."),
    }
    found: list[Reading] = []
    for of, (column, description) in told.items():
        counts = engine.inspect("count", {"of": of, "filters": [], "columns": [column, "state"]}, timeout)["counts"]
        found += [Reading(of, "gauge", description, {"Name": name, "State": state}, n) for name, state, n in counts]
    return found
