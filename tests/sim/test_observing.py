"""Lists, measurements, timelines and logs in the simulator: what can be seen is explored, and the same in every run."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

import actorgrid as ag
from actorgrid import sim
from actorgrid.exceptions import RayError
from actorgrid.util import metrics, state

level = metrics.Gauge("level")
runs = metrics.Counter("runs")


@ag.remote
class Setter:
    def set(self, value: float) -> None:
        level.set(value)


@ag.remote
def counted() -> None:
    runs.inc()
    time.sleep(10.0)
    runs.inc()


@ag.remote
def nothing() -> None:
    """Nothing."""


def outcomes(program: Callable[[], Any], faults: sim.Faults | None = None) -> set[Any]:
    """Return everything that the program can return."""
    seen: set[Any] = set()
    proof = sim.prove(lambda: seen.add(program()), faults=faults or sim.Faults())
    assert proof.complete
    assert not proof.failures, proof.failures[0].error
    return seen


def measured(name: str) -> float:
    return sum(reading.value for reading in metrics.collect() if reading.name == name)


def test_gauge_that_two_actors_set_is_what_either_of_them_set() -> None:
    def program() -> float:
        actors = [Setter.remote(), Setter.remote()]
        ag.get([actor.set.remote(value) for value, actor in enumerate(actors, 1)])
        return measured("level")

    assert outcomes(program) == {1.0, 2.0}


def test_counter_tells_how_often_a_call_ran_that_was_tried_again() -> None:
    def program() -> tuple[bool, float]:
        ref = counted.options(max_retries=1).remote()
        try:
            ag.get(ref)
        except RayError:
            return False, measured("runs")
        return True, measured("runs")

    assert outcomes(program) == {(True, 2.0)}
    found = outcomes(program, sim.Faults(kill=1, kill_points=frozenset({"before_reply"})))
    assert found == {(True, 2.0), (True, 4.0)}


def test_virtual_time_is_what_lists_and_timelines_tell() -> None:
    def program() -> tuple[Any, ...]:
        ag.get(counted.remote())
        (task,) = state.list_tasks(detail=True)
        (bar,) = [event for event in ag.timeline() or () if event["ph"] == "X"]
        return task.end_time_ms - task.start_time_ms, bar["dur"]  # type: ignore[operator]  # both are there

    ((listed, drawn),) = outcomes(program)
    assert (listed, round(drawn / 1e6)) == (10_000, 10)


def test_lists_are_the_same_in_every_run_with_the_same_schedule() -> None:
    def program() -> str:
        ag.get([nothing.remote() for _ in range(3)])
        return repr(state.list_tasks(detail=True)) + repr(state.list_workers(detail=True)) + repr(metrics.collect())

    assert sim.run(program, seed=3).value == sim.run(program, seed=3).value


def test_logging_of_a_program_that_forgets_to_end_its_grid_ends_with_its_run() -> None:
    before = list(logging.getLogger().handlers)

    def program() -> int:
        ag.init(logging_config=ag.LoggingConfig(encoding="JSON"))
        return len(logging.getLogger().handlers)

    assert sim.run(program).value == len(before) + 1
    assert logging.getLogger().handlers == before
