"""The zoo: every planted bug is found and shrunk to its known minimum; every fix holds under every schedule tried."""

from __future__ import annotations

import linecache
from collections.abc import Callable, Iterable

import pytest

from actorgrid import sim
from tests.zoo import shared_state
from tests.zoo.catalogue import ZOO, Animal

pytestmark = pytest.mark.search

#: Programs with more classes are counted in the slow suite.
MANY = 60


def each(animals: Iterable[Animal], runs: Callable[[Animal], int] = lambda _: 0) -> pytest.MarkDecorator:
    """Return what runs a test once for each animal; ``runs`` says how many runs that takes."""
    marked = [
        pytest.param(animal, marks=[pytest.mark.slow] if animal.slow or runs(animal) > MANY else [])
        for animal in animals
    ]
    return pytest.mark.parametrize("animal", marked, ids=str)


def classes(animal: Animal) -> int:
    """Return how many classes of schedules there are; 0: unknown."""
    return animal.classes[0] if animal.classes else 0


def fixed_classes(animal: Animal) -> int:
    """Return the same of the program without the bug."""
    return animal.fixed_classes or 0


def accidents(run: sim.Run) -> int:
    """Return how many of the deviations of a run are faults."""
    taken = [choice for choice in run.record if choice.value]
    return sum(choice.kind == "kill" or choice.label.startswith(("kill ", "the wall clock ")) for choice in taken)


@each(ZOO)
def test_bug_is_found_shrunk_to_its_minimum_and_replayed_from_one_line(animal: Animal) -> None:
    found = sim.explore(animal.buggy, *animal.args, runs=2500, faults=animal.faults)
    assert found.failures, f"not found: {found}"
    failure = found.failures[0]
    assert isinstance(failure.run.error, animal.error), failure.report
    most = max(animal.deviations, animal.stuck)
    assert animal.deviations <= len(failure.schedule.deviations) <= most, failure.report
    assert accidents(failure.run) == animal.accidents, failure.report
    if animal.error is AssertionError:  # what is to blame is the animal's own line
        file, _, line = failure.run.identity[1].rpartition(":")
        assert linecache.getline(file, int(line)).strip().startswith("assert "), failure.report
    again = sim.replay(failure.schedule.dumps(), animal.buggy, *animal.args)
    assert again.identity == failure.run.identity
    assert again.digest == failure.run.digest


@pytest.mark.slow
def test_bug_among_a_hundred_tasks_is_found_and_replayed() -> None:
    """Shrinking ends before the single deviation that would do: a hundred possibilities are left at each decision."""
    found = sim.explore(shared_state.reorder, 100, runs=2500)
    failure = found.failures[0]
    assert len(failure.schedule.deviations) <= 5
    again = sim.replay(failure.schedule.dumps(), shared_state.reorder, 100)
    assert again.identity == failure.run.identity


@each(animal for animal in ZOO if not 0 < fixed_classes(animal) <= MANY)
def test_fix_holds(animal: Animal) -> None:
    found = sim.explore(animal.fixed, *animal.args, runs=20, faults=animal.faults)
    assert not found.failures, found.failures[0].report


@pytest.mark.slow
@each(animal for animal in ZOO if not 0 < fixed_classes(animal) <= MANY)
def test_fix_holds_at_length(animal: Animal) -> None:
    found = sim.explore(animal.fixed, *animal.args, runs=500, faults=animal.faults)
    assert not found.failures, found.failures[0].report


@each((animal for animal in ZOO if fixed_classes(animal)), runs=fixed_classes)
def test_fix_is_proved(animal: Animal) -> None:
    proof = sim.prove(animal.fixed, *animal.args, faults=animal.faults)
    assert proof.complete
    assert (proof.classes, proof.failing) == (animal.fixed_classes, 0)


@each((animal for animal in ZOO if classes(animal)), runs=classes)
def test_every_schedule_is_counted(animal: Animal) -> None:
    proof = sim.prove(animal.buggy, *animal.args, faults=animal.faults)
    assert proof.complete
    assert (proof.classes, proof.failing) == animal.classes


@pytest.mark.slow
@each(animal for animal in ZOO if 0 < classes(animal) <= MANY)
def test_reduction_loses_no_way_to_fail(animal: Animal) -> None:
    reduced = sim.prove(animal.buggy, *animal.args, faults=animal.faults)
    naive = sim.prove(animal.buggy, *animal.args, faults=animal.faults, reduction="none", max_schedules=1500)
    assert {run.identity for run in naive.failures} <= {run.identity for run in reduced.failures}
    assert reduced.classes <= naive.classes
