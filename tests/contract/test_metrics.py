"""``actorgrid.util.metrics``: what any process measures is added up, and nothing of a finished call is missing."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import math
import os
import signal
from pathlib import Path
from typing import Any

import pytest

import actorgrid as ag
from actorgrid.exceptions import WorkerCrashedError
from actorgrid.testing.waiting import wait_until
from actorgrid.util.metrics import Counter, Gauge, Histogram, Metric, Reading, collect, prometheus_text
from tests.contract.tools import DEADLINE, Gate

pytestmark = pytest.mark.usefixtures("grid")

done = Counter("done", "Calls that have returned.", tag_keys=("who",)).set_default_tags({"who": "somebody"})
level = Gauge("level")
sizes = Histogram("sizes", boundaries=[1, 10])


def value(name: str, **tags: str) -> float | None:
    """Return what was measured, None if nothing was."""
    found = [each.value for each in collect() if each.name == name and each.tags == tags]
    return found[0] if found else None


@ag.remote
def work(size: float) -> None:
    done.inc(tags={"who": "task"})
    level.set(size)
    sizes.observe(size)


@ag.remote
class Worker:
    def work(self, *metrics: Metric) -> None:
        done.inc(2, {"who": "actor"})
        for metric in metrics:
            assert isinstance(metric, Counter)
            metric.inc(3)


@ag.remote(max_retries=0)
def count_and_die(gate: Any) -> None:
    done.inc(5, {"who": "dead"})
    ag.get(gate.pass_through.remote())
    os.kill(os.getpid(), signal.SIGKILL)


@ag.remote
def count_and_wait(gate: Any) -> None:
    done.inc(5, {"who": "waiting"})
    ag.get(gate.pass_through.remote())


def test_result_that_is_there_has_its_measurements_there() -> None:
    ag.get([work.remote(size) for size in (0.5, 5, 50)], timeout=DEADLINE)
    assert value("done", who="task") == 3
    assert value("sizes") == 55.5
    assert value("level") in {0.5, 5, 50}


def test_what_the_program_itself_measures_is_there_at_once() -> None:
    done.inc(tags={"who": "driver"})
    done.inc(2.5, {"who": "driver"})
    level.set(3)
    level.set(-7)
    level.set(None)
    assert (value("done", who="driver"), value("level")) == (3.5, -7)


def test_tags_of_a_measurement_go_before_the_default_ones() -> None:
    done.inc(tags={"who": "me"})
    done.inc()
    assert (value("done", who="me"), value("done", who="somebody")) == (1, 1)


def test_histogram_tells_how_much_was_at_most_so_large() -> None:
    lengths = Histogram("lengths", "How long.", boundaries=[1, 10], tag_keys=("of",))
    for length in (1, 2, 10, 11):
        lengths.observe(length, {"of": "it"})
    (told,) = [each for each in collect() if each.name == "lengths"]
    assert told == Reading("lengths", "histogram", "How long.", {"of": "it"}, 24.0, 4, {1.0: 1, 10.0: 3})


def test_metric_travels_with_its_tags_and_is_the_same_elsewhere() -> None:
    mine = Counter("mine", tag_keys=("a", "b")).set_default_tags({"a": "1", "b": "2"})
    worker = Worker.remote()
    mine.inc()
    ag.get(worker.work.remote(mine), timeout=DEADLINE)
    assert value("mine", a="1", b="2") == 4
    assert value("done", who="actor") == 2


def test_measurements_of_a_dead_worker_stay() -> None:
    gate = Gate.remote()
    ref = count_and_die.remote(gate)
    ag.get(gate.arrivals.remote(1), timeout=DEADLINE)
    ag.get(gate.open.remote())
    with pytest.raises(WorkerCrashedError):
        ag.get(ref, timeout=DEADLINE)
    assert value("done", who="dead") == 5


def test_call_that_does_not_return_is_measured_meanwhile() -> None:
    gate = Gate.remote()
    ref = count_and_wait.remote(gate)
    assert wait_until(lambda: value("done", who="waiting") == 5)
    ag.get(gate.open.remote())
    ag.get(ref, timeout=DEADLINE)


@ag.remote
def busy(path: Path) -> None:
    done.inc(tags={"who": "busy"})
    while not path.exists():
        pass


@pytest.mark.processes("in the simulator a task that only computes keeps everything waiting")
def test_call_that_says_nothing_more_is_measured_all_the_same(tmp_path: Path) -> None:
    ref = busy.remote(tmp_path / "go")
    assert wait_until(lambda: value("done", who="busy") == 1)
    (tmp_path / "go").touch()
    ag.get(ref, timeout=DEADLINE)


@ag.remote(max_restarts=1, max_task_retries=1, checkpoint=10)
class Remembers:
    def __actorgrid_save__(self) -> None: ...

    def __actorgrid_restore__(self, state: None) -> None: ...

    def count(self) -> None:
        done.inc(tags={"who": "journal"})

    def where(self) -> int:
        return os.getpid()


def test_what_brings_an_actor_back_is_not_measured_again() -> None:
    actor = Remembers.remote()
    ag.get([actor.count.remote() for _ in range(3)], timeout=DEADLINE)
    ag.kill(actor, no_restart=False)
    ag.get(actor.where.remote(), timeout=DEADLINE)
    assert value("done", who="journal") == 3


def test_text_is_what_prometheus_reads() -> None:
    Counter("odd", 'back\\slash and\nnew "line"', ("path",)).inc(2, {"path": 'a\\b"c\nd'})
    Histogram("widths", boundaries=[1, 10]).observe(5)
    Gauge("cold").set(-math.inf)
    lines = prometheus_text(prefix="ray_").splitlines()
    assert [line for line in lines if "ray_odd" in line] == [
        '# HELP ray_odd_total back\\\\slash and\\nnew "line"',
        "# TYPE ray_odd_total counter",
        'ray_odd_total{path="a\\\\b\\"c\\nd"} 2.0',
    ]
    assert [line for line in lines if line.startswith("ray_widths")] == [
        'ray_widths_bucket{le="1.0"} 0',
        'ray_widths_bucket{le="10.0"} 1',
        'ray_widths_bucket{le="+Inf"} 1',
        "ray_widths_sum 5.0",
        "ray_widths_count 1",
    ]
    assert "ray_cold -Inf" in lines


def test_text_tells_of_tasks_and_actors_too() -> None:
    ag.get([work.options(name="told").remote(1) for _ in range(2)], timeout=DEADLINE)
    gate = Gate.remote()
    ag.get(gate.open.remote(), timeout=DEADLINE)
    lines = prometheus_text().splitlines()
    assert 'actorgrid_tasks{Name="told",State="FINISHED"} 2.0' in lines
    assert any(line.startswith('actorgrid_actors{Name="Gate",State="ALIVE"}') for line in lines)


def test_name_of_another_metric_is_refused() -> None:
    done.inc()
    with pytest.raises(ValueError, match="there is a metric 'done' already, a counter"):
        Gauge("done")


def test_name_of_another_metric_is_refused_though_neither_was_measured() -> None:
    first = Histogram("unmeasured", boundaries=[1.0])
    assert Histogram("unmeasured", boundaries=[1.0]).info == first.info
    for another in (lambda: Histogram("unmeasured", boundaries=[2.0]), lambda: Gauge("unmeasured")):
        with pytest.raises(ValueError, match="there is a metric 'unmeasured' already, a histogram"):
            another()


def test_without_a_grid_nothing_is_measured_and_nothing_can_be_read(no_grid: None) -> None:
    del no_grid
    done.inc()
    with pytest.raises(RuntimeError, match="has not been started"):
        collect()
    assert not ag.is_initialized()
