"""What programs measure: the sums over all processes, dead or alive, of counters and histograms, the newest of gauges.

A process says what has come since it last spoke, so nothing is lost here when it dies, and nothing counts twice: its
messages are numbered. The first description of a metric counts for everybody.

This file may not know who measures what.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from actorgrid.core.messages import Measured, Metric, MetricKind, Notice, Sample

if TYPE_CHECKING:
    from actorgrid.core.head.machine import Head
    from actorgrid.core.head.records import Peer

#: So many series (a metric under one set of tags) there may be in all.
MOST: Final = 10_000

Tags = tuple[tuple[str, str], ...]


class Metrics:
    """Everything that was measured."""

    __slots__ = ("_complained", "count", "head", "metrics", "series")

    # Invariant: self.count == sum(map(len, self.series.values())) <= MOST

    def __init__(self, head: Head) -> None:
        self.head = head
        self.metrics: dict[str, Metric] = {}
        self.series: dict[str, dict[Tags, Sample]] = {}
        self.count = 0
        #: What a person was told of already.
        self._complained: dict[str, None] = {}

    def measured(self, peer: Peer, message: Measured) -> None:
        """A process says what it has measured."""
        peer.measured = message.number
        for metric in message.metrics:
            known = self.metrics.setdefault(metric.name, metric)
            if (known.kind, known.boundaries) != (metric.kind, metric.boundaries):
                self._complain(
                    metric.name,
                    f"the metric {metric.name!r} is a {_described(known)} in one process and a {_described(metric)} in "
                    "another: what the latter measures is dropped",
                )
        for sample in message.samples:
            self._add(sample)

    def _add(self, sample: Sample) -> None:
        metric = self.metrics.get(sample.name)
        buckets = len(metric.boundaries) + 1 if metric is not None and metric.kind is MetricKind.HISTOGRAM else 0
        if metric is None or sample.kind is not metric.kind or len(sample.counts) != buckets:
            return
        series = self.series.setdefault(sample.name, {})
        known = series.get(sample.tags)
        if known is None:
            self._enter(series, sample)
        elif sample.kind is MetricKind.GAUGE:
            known.amount = sample.amount
        else:
            known.amount += sample.amount
            known.counts = [old + new for old, new in zip(known.counts, sample.counts, strict=True)]

    def _enter(self, series: dict[Tags, Sample], sample: Sample) -> None:
        if self.count >= MOST:
            text = (
                f"more than {MOST} sets of tags are in use in all metrics: new ones, as of {sample.name!r}, are dropped"
            )
            self._complain("", text)
            return
        self.count += 1
        series[sample.tags] = sample

    def _complain(self, about: str, text: str) -> None:
        """Tell a person, once."""
        if about not in self._complained:
            self._complained[about] = None
            self.head.tell(Notice(f"actorgrid: {text}"))

    def told(self) -> dict[str, Any]:
        """Return every metric: [name, kind, description, boundaries, [[tags, amount, counts] of each series]]."""
        return {
            "metrics": [
                [name, int(metric.kind), metric.description, list(metric.boundaries),
                 [[list(sample.tags), sample.amount, sample.counts] for sample in self.series.get(name, {}).values()]]
                for name, metric in self.metrics.items()
            ]
        }  # fmt: skip


def _described(metric: Metric) -> str:
    buckets = f" with the boundaries {list(metric.boundaries)}" if metric.kind is MetricKind.HISTOGRAM else ""
    return metric.kind.name.lower() + buckets
