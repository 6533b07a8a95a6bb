"""Collective operations and compiled graphs under many orders and deaths."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

from typing import Any

import pytest

import actorgrid as ag
from actorgrid import sim
from actorgrid.dag import InputNode, MultiOutputNode
from actorgrid.exceptions import ActorDiedError
from actorgrid.util import collective as col

np = pytest.importorskip("numpy")

pytestmark = pytest.mark.search


@ag.remote(num_cpus=0)
class Member:
    def work(self, rank: int, size: int, patience: int | None) -> Any:
        """Return what all have, twice; None if another one has died, or the actor at which they meet."""
        try:
            col.init_collective_group(size, rank, gloo_timeout=patience)
            array = np.array([10**rank])
            col.allreduce(array)
            once = int(array[0])
            col.broadcast(array, 1)
        except (ActorDiedError, TimeoutError):  # who meets at another actor than the others waits for them in vain
            return None
        return once, int(array[0])


def members(size: int, patience: int | None) -> list[Any]:
    """Have so many actors work together; return what those have found that live."""
    actors = [Member.remote() for _ in range(size)]
    found = []
    for ref in [actor.work.remote(rank, size, patience) for rank, actor in enumerate(actors)]:
        try:
            found.append(ag.get(ref))
        except ActorDiedError:
            found.append(None)
    return found


def all_live() -> None:
    assert members(2, None) == [(11, 11)] * 2


def some_die() -> None:
    assert set(members(2, 30_000)) <= {(11, 11), None}


@ag.remote(num_cpus=0)
class Stage:
    def __init__(self) -> None:
        self.count = 0

    def step(self, value: int) -> tuple[int, int]:
        self.count += 1
        return value, self.count

    def join(self, left: tuple[int, int], right: tuple[int, int]) -> list[int]:
        return [*left, *right]


def executed() -> Any:
    """Return a compiled graph of three actors, and the references of three executions."""
    left, right, end = Stage.remote(), Stage.remote(), Stage.remote()
    with InputNode() as value:
        step = left.step.bind(value)
        joined = end.join.bind(step, right.step.bind(value))
        graph = MultiOutputNode([joined, step]).experimental_compile()
    return graph, [graph.execute(number) for number in range(3)]


def in_order() -> None:
    _, refs = executed()
    for number, (joined, step) in enumerate(refs):
        assert ag.get(step) == (number, number + 1)
        assert ag.get(joined) == [number, number + 1] * 2


def in_order_or_dead() -> None:
    graph, refs = executed()
    try:
        for number, (joined, _) in enumerate(refs):
            assert ag.get(joined) == [number, number + 1] * 2
    except ActorDiedError:
        with pytest.raises(ActorDiedError):
            graph.execute(3)
    graph.teardown()


@pytest.mark.parametrize("program", [all_live, in_order])
def test_no_order_of_calls_changes_what_comes_of_it(program: Any) -> None:
    found = sim.explore(program, runs=60)
    assert not found.failures, found.failures[0].report


@pytest.mark.parametrize("program", [some_die, in_order_or_dead])
def test_deaths_end_every_wait(program: Any) -> None:
    found = sim.explore(program, runs=150, faults=sim.Faults(kill=1))
    assert not found.failures, found.failures[0].report
