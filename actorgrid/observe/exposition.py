"""Metrics as text that Prometheus and its relatives read (the text format, version 0.0.4)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import inf, isinf, isnan


@dataclass(frozen=True, slots=True)
class Reading:
    """What was measured of a metric under one set of tags, by all processes together.

    ``value`` is the sum of a counter, what a gauge was last, or the sum of what a histogram has seen; ``count`` and
    ``buckets`` are those of a histogram: how much it has seen, and how much of that was at most so large.
    """

    name: str
    kind: str
    description: str
    tags: Mapping[str, str]
    value: float
    count: int = 0
    buckets: Mapping[float, int] = field(default_factory=dict)


def exposition(readings: Iterable[Reading], prefix: str) -> str:
    """Return readings as text; those of one metric must stand together. ``prefix`` goes before every name."""
    lines: list[str] = []
    latest = ""
    for reading in readings:
        name = prefix + reading.name
        if reading.kind == "counter" and not name.endswith("_total"):
            name += "_total"
        if name != latest:
            latest = name
            lines += [f"# HELP {name} {_escaped(reading.description)}", f"# TYPE {name} {reading.kind}"]
        lines += _samples(name, reading)
    return "".join(f"{line}\n" for line in lines)


def _samples(name: str, reading: Reading) -> list[str]:
    if reading.kind != "histogram":
        return [f"{name}{_labels(reading.tags)} {_number(reading.value)}"]
    lines = [
        f"{name}_bucket{_labels({**reading.tags, 'le': _number(end)})} {count}"
        for end, count in {**reading.buckets, inf: reading.count}.items()
    ]
    tags = _labels(reading.tags)
    return [*lines, f"{name}_sum{tags} {_number(reading.value)}", f"{name}_count{tags} {reading.count}"]


def _labels(tags: Mapping[str, str]) -> str:
    told = ",".join(f'{name}="{_escaped(value, quoted=True)}"' for name, value in tags.items())
    return f"{{{told}}}" if told else ""


def _escaped(text: str, *, quoted: bool = False) -> str:
    text = text.replace("\\", "\\\\").replace("\n", "\\n")
    return text.replace('"', '\\"') if quoted else text


def _number(value: float) -> str:
    if isnan(value):
        return "NaN"
    return repr(float(value)) if not isinf(value) else "+Inf" if value > 0 else "-Inf"
