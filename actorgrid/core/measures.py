"""What a process has measured and not said yet.

There is one message at a time, and it lies in the outbox from the moment something is measured: until it is sent, what
is measured goes into it. So it leaves with the next words to the head, the result of the call that measures at the
latest, and a program that measures a million times sends no more for it than one that measures once.

This file may not know when anything is sent.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Any

from actorgrid.core.messages import Measured, Metric, MetricKind, Sample

if TYPE_CHECKING:
    from actorgrid.core.client import Client

Tags = tuple[tuple[str, str], ...]


class Measures:
    """The measurements of one process. The host calls it with its lock held."""

    __slots__ = ("_client", "_message", "_metrics", "_named", "_number", "_outbox", "_samples")

    def __init__(self, client: Client) -> None:
        self._client = client
        self._number = 0
        #: The metrics that this process has, and those of them that were described to the head.
        self._named: dict[str, Metric] = {}
        self._metrics: dict[str, Metric] = {}
        self._message = Measured(0)
        #: The list that the message lies in: once that is not the client's outbox any more, it was sent.
        self._outbox: list[Any] | None = None
        self._samples: dict[tuple[str, Tags], Sample] = {}

    def describe(self, metric: Metric) -> None:
        """Take note of a metric. Raises ValueError if there was another one of that name."""
        known = self._named.setdefault(metric.name, metric)
        if known is not metric and (known.kind, known.boundaries) != (metric.kind, metric.boundaries):
            raise ValueError(
                f"there is a metric {metric.name!r} already, a {known.kind.name.lower()}: another one needs another "
                "name, and the same one the same boundaries"
            )

    def record(self, metric: Metric, tags: Tags, value: float) -> bool:
        """Note a measurement. Returns whether there is something new in the outbox.

        Raises ValueError for a metric that was another one under the same name.
        """
        self.describe(metric)
        opened = self._open()
        sample = self._samples.get((metric.name, tags))
        if sample is None:
            sample = self._begin(metric, tags)
        if metric.kind is MetricKind.GAUGE:
            sample.amount = value
        else:
            sample.amount += value
            if metric.kind is MetricKind.HISTOGRAM:
                sample.counts[bisect_left(metric.boundaries, value)] += 1
        return opened

    def _open(self) -> bool:
        """Have a message in the outbox. Returns whether there was none."""
        outbox = self._client.outbox
        if self._outbox is outbox:
            return False
        self._number += 1
        self._message = Measured(self._number)
        self._samples.clear()
        self._outbox = outbox
        outbox.append(self._message)
        return True

    def _begin(self, metric: Metric, tags: Tags) -> Sample:
        if metric.name not in self._metrics:
            self._metrics[metric.name] = metric
            self._message.metrics.append(metric)
        counts = [0] * (len(metric.boundaries) + 1) if metric.kind is MetricKind.HISTOGRAM else []
        sample = self._samples[metric.name, tags] = Sample(metric.name, metric.kind, tags, 0.0, counts)
        self._message.samples.append(sample)
        return sample
