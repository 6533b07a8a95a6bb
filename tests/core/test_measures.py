"""Measurements: how a process gathers them until it speaks, and what the head makes of them."""

from __future__ import annotations

from typing import Any

import pytest

from actorgrid.core import messages as m
from actorgrid.core.client import Client
from actorgrid.core.head import metrics
from actorgrid.core.ids import DRIVER
from actorgrid.core.measures import Measures
from actorgrid.core.messages import Measured, Metric, MetricKind, Sample
from tests.core.bench import Bench

COUNTER = Metric("c", MetricKind.COUNTER)
GAUGE = Metric("g", MetricKind.GAUGE)
HISTOGRAM = Metric("h", MetricKind.HISTOGRAM, "", (1.0, 10.0))
A, B = (("who", "a"),), (("who", "b"),)


class Process:
    """A client whose outbox is emptied by hand."""

    def __init__(self) -> None:
        self.client = Client(DRIVER, self, str, lambda _: ())
        self.measures = Measures(self.client)

    def wake(self) -> None:
        """Nothing is dropped here."""

    def speak(self) -> list[Any]:
        batch, self.client.outbox = self.client.outbox, []
        return batch


def values(bench: Bench, name: str) -> dict[Any, Any]:
    """Return amount and counts of every series of a metric."""
    found = {told[0]: told[4] for told in bench.head.metrics.told()["metrics"]}
    return {tuple(map(tuple, tags)): (amount, counts) for tags, amount, counts in found.get(name, [])}


def test_what_is_measured_gathers_in_one_message_until_that_is_sent() -> None:
    process = Process()
    opened = [process.measures.record(COUNTER, tags, 1.0) for tags in (A, B, A)]
    assert opened == [True, False, False]
    (first,) = process.speak()
    assert first == Measured(1, [COUNTER], [Sample("c", COUNTER.kind, A, 2.0), Sample("c", COUNTER.kind, B, 1.0)])
    assert process.measures.record(COUNTER, A, 5.0)
    assert process.speak() == [Measured(2, [], [Sample("c", COUNTER.kind, A, 5.0)])]


def test_measurements_leave_before_what_is_said_after_them() -> None:
    process = Process()
    process.measures.record(COUNTER, (), 1.0)
    process.client.outbox.append("result")
    process.measures.record(COUNTER, (), 1.0)
    measured, result = process.speak()
    assert (measured.samples[0].amount, result) == (2.0, "result")


def test_gauge_is_what_it_was_last_and_histogram_counts_by_the_upper_ends() -> None:
    process = Process()
    for value in (5.0, 3.0):
        process.measures.record(GAUGE, (), value)
    for value in (0.5, 1.0, 1.1, 10.0, 11.0):
        process.measures.record(HISTOGRAM, (), value)
    gauge, histogram = process.speak()[0].samples
    assert gauge.amount == 3.0
    assert (histogram.amount, histogram.counts) == (23.6, [2, 2, 1])


@pytest.mark.parametrize("other", [Metric("c", MetricKind.GAUGE), Metric("c", MetricKind.HISTOGRAM, "", (1.0,))])
def test_name_stands_for_one_metric(other: Metric) -> None:
    process = Process()
    process.measures.record(COUNTER, (), 1.0)
    with pytest.raises(ValueError, match="there is a metric 'c' already, a counter"):
        process.measures.record(other, (), 1.0)
    assert process.measures.record(Metric("c", MetricKind.COUNTER, "described elsewhere"), (), 1.0) is False


def test_head_adds_up_what_all_processes_measure() -> None:
    bench = Bench()
    worker = bench.worker_of(bench.submit(bench.spec())).number
    for source, amount in ((DRIVER, 1.0), (worker, 2.0)):
        samples = [
            Sample("c", COUNTER.kind, A, amount),
            Sample("g", GAUGE.kind, (), amount),
            Sample("h", HISTOGRAM.kind, (), amount, [1, 0, 2]),
        ]
        bench.say(Measured(1, [COUNTER, GAUGE, HISTOGRAM], samples), source=source)
    assert values(bench, "c") == {A: (3.0, [])}
    assert values(bench, "g") == {(): (2.0, [])}
    assert values(bench, "h") == {(): (3.0, [2, 0, 4])}


def test_measurements_outlive_their_process() -> None:
    bench = Bench()
    worker = bench.worker_of(bench.submit(bench.spec())).number
    bench.say(Measured(1, [COUNTER], [Sample("c", COUNTER.kind, (), 2.0)]), source=worker)
    bench.head.hear_launcher(m.Exited(worker, 9, -9), 0.0)
    assert values(bench, "c") == {(): (2.0, [])}


def test_what_a_dead_process_had_said_twice_counts_once() -> None:
    bench = Bench()
    worker = bench.worker_of(bench.submit(bench.spec())).number
    said = [Measured(n, [COUNTER], [Sample("c", COUNTER.kind, (), 1.0)]) for n in (1, 2)]
    bench.say(said[0], source=worker)
    bench.head.handle_leftover(worker, said, 0.0)
    assert values(bench, "c") == {(): (2.0, [])}


def test_other_metric_of_the_same_name_is_dropped_and_somebody_is_told_once() -> None:
    bench = Bench()
    bench.say(Measured(1, [COUNTER], [Sample("c", COUNTER.kind, (), 1.0)]))
    other = Metric("c", MetricKind.HISTOGRAM, "", (2.0,))
    for number in (2, 3):
        bench.say(Measured(number, [other], [Sample("c", other.kind, (), 1.0, [1, 0])]))
    notices = [said.text for said in bench.driver.outbox if isinstance(said, m.Notice)]
    assert len(notices) == 1
    assert "'c' is a counter in one process and a histogram with the boundaries [2.0] in another" in notices[0]
    assert values(bench, "c") == {(): (1.0, [])}


@pytest.mark.parametrize(
    "sample",
    [Sample("stranger", MetricKind.COUNTER), Sample("h", HISTOGRAM.kind, (), 1.0, [1]), Sample("h", GAUGE.kind)],
)
def test_sample_that_fits_no_metric_is_dropped(sample: Sample) -> None:
    bench = Bench()
    bench.say(Measured(1, [HISTOGRAM], [sample]))
    assert values(bench, sample.name) == {}


def test_sets_of_tags_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "MOST", 2)
    bench = Bench()
    for number in range(1, 5):
        bench.say(Measured(number, [COUNTER], [Sample("c", COUNTER.kind, (("n", str(number)),), 1.0)]))
    bench.say(Measured(5, [], [Sample("c", COUNTER.kind, (("n", "1"),), 1.0)]))
    assert values(bench, "c") == {(("n", "1"),): (2.0, []), (("n", "2"),): (1.0, [])}
    assert (
        sum("more than 2 sets of tags" in said.text for said in bench.driver.outbox if isinstance(said, m.Notice)) == 1
    )
