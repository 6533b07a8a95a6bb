"""What some programs can tell is held back for them, and only for them; and no reduction loses any of it."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import actorgrid as ag
from actorgrid import sim
from actorgrid.core.head.records import Actor
from actorgrid.sim.exhaustive import Blocked, prove_program
from actorgrid.sim.onlookers import Holds
from actorgrid.sim.runner import Program, Run, quiet_collector
from tests.zoo import shared_state
from tests.zoo.shared_state import Cell

pytestmark = pytest.mark.search

REDUCTIONS = ["sleep", "dpor"]


def outcomes(program: Callable[..., Any], *args: Any, reduction: str, most: int = 3000) -> set[str] | None:
    """Return everything that the program can end with, None if it has more schedules than are tried here."""
    found: set[str] = set()

    def told(run: Run) -> None:
        if not isinstance(run.error, Blocked):
            found.add(repr(run.value) if run.error is None else repr(run.identity))

    with quiet_collector():
        what = Program(program, args)
        proof = prove_program(what, seed=0, reduction=reduction, most=most, keep=0, told=told)
    return found if proof.complete else None


@ag.remote
def one() -> int:
    return 1


def value_of(ref: Any, timeout: float | None = None) -> Any:
    try:
        return ag.get(ref, timeout=timeout)
    except ag.exceptions.ActorGridError as error:
        return type(error).__name__


# ------------------------------------------------------------------------------------------- who pays, and who does not


def impatient() -> Any:
    return value_of(one.remote(), 1)


def test_program_without_onlookers_has_the_schedules_that_it_had() -> None:
    assert sim.run(shared_state.account).needs is Holds.NOTHING
    assert sim.prove(shared_state.account, reduction="none").classes == 6


def test_first_schedule_with_a_timeout_makes_the_search_begin_again_with_starts_held_back() -> None:
    assert sim.run(impatient).needs is Holds.TASKS
    found = sim.explore(lambda: impatient() == "GetTimeoutError" and pytest.fail("late"), runs=20)
    assert found.failures
    assert found.failures[0].schedule.settings == {"holds": 1}
    assert len(found.failures[0].schedule.deviations) == 1


def test_schedule_remembers_what_was_held_back() -> None:
    def program() -> None:
        assert impatient() == 1

    failure = sim.explore(program, runs=20).failures[0]
    again = sim.replay(failure.schedule.dumps(), program)
    assert (again.identity, again.digest) == (failure.run.identity, failure.run.digest)
    assert sim.run(program, schedule=sim.Schedule(0, failure.schedule.deviations)).error is None


def test_dull_run_is_the_same_whether_anything_is_held_back_or_not() -> None:
    def program() -> Any:
        cell = Cell.remote()
        ref = one.remote()
        ag.cancel(ref)
        ag.kill(cell)
        return value_of(ref), value_of(cell.get.remote())

    quick = sim.run(program)
    held = sim.run(program, schedule=sim.Schedule(settings={"holds": 2}))
    assert quick.value == held.value


# ------------------------------------------------------------------------------------------------ nothing is lost


def cancel_and_sleep() -> Any:
    """What the cancellation prevented is not seen to race with the sleep alone."""
    ref = one.remote()
    ag.cancel(ref)
    time.sleep(1)
    return value_of(ref)


@pytest.mark.parametrize("reduction", ["none", *REDUCTIONS])
def test_what_a_cancellation_prevented_is_tried_all_the_same(reduction: str) -> None:
    assert outcomes(cancel_and_sleep, reduction=reduction) == {"1", "'TaskCancelledError'"}


@ag.remote
def act(script: list[tuple[str, int]], cells: list[Any], given: list[Any]) -> list[Any]:
    """Do one thing after the other and return what was seen."""
    seen: list[Any] = []
    for what, index in script:
        cell = cells[index % len(cells)]
        if what == "add":
            seen.append(value_of(cell.add.remote(1)))
        elif what == "throw":
            cell.add.remote(5)  # nobody waits for it
        elif what == "kill":
            ag.kill(cell)
        elif what == "cancel":
            ag.cancel(given[0])
        elif what == "hurry":
            seen.append(value_of(given[0], 1))
        elif what == "look":
            seen.append(value_of(given[0], 0))
        elif what == "given":
            seen.append(value_of(given[0]))
        elif what == "time":
            seen.append(time.monotonic())
        elif what == "sleep":
            time.sleep(1 + index)
    return seen


def random_program(scripts: list[list[tuple[str, int]]], prey: list[tuple[str, int]]) -> list[Any]:
    cells = [Cell.remote(), Cell.remote()]
    given = [act.remote(prey, cells, [])]
    seen = ag.get([act.remote(script, cells, given) for script in scripts])
    ends = [value_of(given[0]), *(value_of(cell.get.remote()) for cell in cells)]
    return [*in_order([each for script in seen for each in script]), *ends]


def in_order(seen: list[Any]) -> list[Any]:
    """Return what was seen, with times by their order only."""
    times = sorted(each for each in seen if isinstance(each, float))
    return [f"time {times.index(each)}" if isinstance(each, float) else each for each in seen]


PREY = ("add", "throw", "time")
ACTS = ("add", "throw", "kill", "cancel", "hurry", "look", "given", "time", "sleep")


def scripts_of(acts: tuple[str, ...], most: int) -> Any:
    return st.lists(st.tuples(st.sampled_from(acts), st.integers(0, 1)), min_size=1, max_size=most)


PROGRAMS = {"scripts": st.lists(scripts_of(ACTS, 2), min_size=1, max_size=2), "prey": scripts_of(PREY, 2)}


def compared(scripts: Any, prey: Any, most: int) -> bool:
    """See that every reduction finds what there is; return False, with nothing seen, if not everything can be tried."""
    everything = outcomes(random_program, scripts, prey, reduction="none", most=most)
    if everything is None:
        return False
    for reduction in REDUCTIONS:
        assert outcomes(random_program, scripts, prey, reduction=reduction, most=most) == everything
    return True


@pytest.mark.parametrize("scripts", [[[("look", 1)]], [[("throw", 0), ("hurry", 1)]]])
def test_look_at_what_another_process_made_before_races_with_the_making(scripts: list[list[tuple[str, int]]]) -> None:
    assert compared(scripts, [("throw", 1)], 1000)


@settings(max_examples=2, deadline=None, suppress_health_check=list(HealthCheck))
@given(**PROGRAMS)
def test_reduction_sees_every_outcome_of_random_programs(scripts: Any, prey: Any) -> None:
    assume(compared(scripts, prey, 300))


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(**PROGRAMS)
def test_reduction_sees_every_outcome_of_many_random_programs(scripts: Any, prey: Any) -> None:
    assume(compared(scripts, prey, 1500))


# ------------------------------------------------------------------------------------------- what is kept, and how long


@ag.remote
def bad() -> None:
    raise ValueError("as it should")


def test_first_error_of_several_that_is_survived_keeps_nothing_alive() -> None:
    with sim.world(checks=True) as world:

        @ag.remote
        class Patient:
            def survives(self) -> bool:
                try:
                    ag.get([one.remote(), bad.remote()])
                except ValueError:
                    return True
                return False

        patient = Patient.remote()
        assert ag.get(patient.survives.remote())
        sim.settle()
        assert world.grid is not None
        # The actor itself is all that is left: nobody has the two results any more.
        assert [type(held) for held in world.grid.head.objects.table.values()] == [Actor]
        needed = [world.onlookers.needs]
        world.onlookers.ended(None)
        assert [*needed, world.onlookers.needs] == [Holds.NOTHING, Holds.TASKS]


# ---------------------------------------------------------------------------------------------- who may have come back


@ag.remote(max_restarts=1)
class Counts:
    """Has forgotten what it counted when it comes back."""

    def __init__(self) -> None:
        self.value = 0

    def add(self) -> int:
        self.value += 1
        return self.value


def counted(ref: Any) -> Any:
    value = value_of(ref)
    return value if isinstance(value, int) else "lost"


@ag.remote
def adds(counts: Any) -> Any:
    return counted(counts.add.remote())


@ag.remote
class AddsFirst:
    def __init__(self, counts: Any) -> None:
        self.added = counted(counts.add.remote())

    def get(self) -> Any:
        return self.added


def called_twice() -> Any:
    counts = Counts.remote()
    return tuple(counted(ref) for ref in [counts.add.remote() for _ in range(2)])


def called_by_task_too() -> Any:
    counts = Counts.remote()
    refs = counts.add.remote(), adds.options(max_retries=0).remote(counts)
    return tuple(counted(ref) for ref in refs)


def called_by_constructor_too() -> Any:
    counts = Counts.remote()
    ref, other = counts.add.remote(), AddsFirst.remote(counts)
    return counted(ref), counted(other.get.remote())


@pytest.mark.parametrize("reduction", ["none", *REDUCTIONS])
@pytest.mark.parametrize("program", [called_twice, called_by_task_too, called_by_constructor_too])
def test_actor_may_die_and_come_back_between_two_calls(program: Callable[..., Any], reduction: str) -> None:
    found: set[Any] = set()
    proof = sim.prove(lambda: found.add(program()), reduction=reduction, faults=sim.Faults(kill=1))
    assert proof.complete
    assert found >= {(1, 2), (1, "lost"), ("lost", "lost"), ("lost", 1), (1, 1)}


def test_actor_that_dies_for_good_has_the_schedules_that_it_had() -> None:
    def program() -> Any:
        counts = Counts.options(max_restarts=0).remote()
        return tuple(counted(ref) for ref in [counts.add.remote() for _ in range(2)])

    assert sim.prove(program, faults=sim.Faults(kill=1), reduction="none").classes == 6


# --------------------------------------------------------------------------------------------- whose limit is reached


@pytest.mark.parametrize("reduction", ["none", *REDUCTIONS])
def test_call_before_may_be_over_or_not_when_their_number_is_limited(reduction: str) -> None:
    def program() -> Any:
        cell = Cell.options(max_pending_calls=1).remote()
        cell.set.remote(5)
        ag.get(one.remote())
        try:
            return ag.get(cell.get.remote())
        except ag.exceptions.PendingCallsLimitExceeded:
            return "too many"

    assert outcomes(program, reduction=reduction) == {"5", "'too many'"}
