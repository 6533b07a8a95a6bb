"""A proof leaves out schedules that differ in nothing that matters. That nothing is lost is held against trying all."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import actorgrid as ag
from actorgrid import sim
from actorgrid.sim.exhaustive import DepthFirst, explore_all
from actorgrid.sim.runner import Program, Run, quiet_collector
from tests.zoo import actors
from tests.zoo.shared_state import Cell, finish

pytestmark = pytest.mark.search

REDUCTIONS = ["sleep", "dpor"]
MOST = 200


def outcomes(program: Callable[..., Any], *args: Any, reduction: str, most: int = MOST) -> set[str] | None:
    """Return everything that the program can end with, None if it has more schedules than are tried here."""
    found: set[str] = set()
    what = Program(program, args)

    def run(policy: DepthFirst) -> Run:
        one = what.run(policy)
        if type(one.error).__name__ != "Blocked":
            found.add(repr(one.value) if one.error is None else repr(one.identity))
        return one

    with quiet_collector():
        proof = explore_all(run, reduction=reduction, most=most, keep=0)
    return found if proof.complete else None


# ------------------------------------------------------------------------- steps that commute only at the first look


@ag.remote
def read_then_kill(cell: Any, victim: Any) -> None:
    ag.get(cell.get.remote())
    ag.kill(victim)


@ag.remote
def read(cell: Any) -> Any:
    return ag.get(cell.get.remote())


def kill_against_call() -> None:
    """The end of a call at one actor lets a task go on that kills another."""
    cell, victim = Cell.remote(), Cell.remote()
    ag.get(victim.get.remote())
    ag.get([read_then_kill.remote(cell, victim), read.remote(victim)])


@ag.remote
def make_named(cell: Any) -> Any:
    ag.get(cell.get.remote())
    named = Cell.options(name="it").remote()
    ag.get(named.get.remote())
    return named


@ag.remote
def find_named(cell: Any) -> None:
    ag.get(cell.get.remote())
    ag.get_actor("it")


def name_against_look_up() -> None:
    """Two actors that have nothing to do with each other, and the one list of names."""
    one, other = Cell.remote(), Cell.remote()
    ag.get([make_named.remote(one), find_named.remote(other)])


@ag.remote
def add_one(cell: Any) -> Any:
    return ag.get(cell.add.remote(1))


@ag.remote
def both(one: Any, other: Any, cell: Any) -> Any:
    ag.get([one[0], other[0]])
    return ag.get(cell.add.remote(1))


def joint_wake_up() -> list[Any]:
    """Whichever of two independent calls ends last wakes a task that a third call races with."""
    a, b, shared = Cell.remote(), Cell.remote(), Cell.remote()
    ag.get([cell.get.remote() for cell in (a, b, shared)])
    refs = [a.set.remote(1), b.set.remote(1)]
    return finish([both.remote([refs[0]], [refs[1]], shared), read.remote(shared)])


@ag.remote
def poll(ref: list[Any], cell: Any) -> int:
    ag.get(cell.get.remote())
    return len(ag.wait(ref, timeout=0)[0])


def poll_against_end() -> list[Any]:
    """A task that looks whether something has ended, and the end of it."""
    a, b = Cell.remote(), Cell.remote()
    ref = a.get.remote()
    return finish([poll.remote([ref], b), read.remote(a)])


def history_against_history() -> None:
    """Real-time order matters to who checks a history: of calls at different actors, too."""
    history, cells = sim.History(), [Cell.remote(), Cell.remote()]

    @ag.remote
    def client(index: int) -> None:
        with history.record(index, "read"):
            ag.get(cells[index].get.remote())

    ag.get([client.remote(0), client.remote(1)])
    first, second = history.operations
    assert not (first.ended is not None and first.ended < second.began), "one after the other"


TRICKY: list[tuple[Callable[..., Any], int]] = [
    (kill_against_call, 2),
    (name_against_look_up, 2),
    (joint_wake_up, 2),
    (poll_against_end, 2),
    (history_against_history, 1),
    (actors.await_interleave, 2),
]


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize(("program", "count"), TRICKY)
def test_reduction_sees_every_outcome_of(program: Callable[..., Any], count: int, reduction: str) -> None:
    everything = outcomes(program, reduction="none")
    assert everything is not None
    assert len(everything) == count
    assert outcomes(program, reduction=reduction) == everything


# ------------------------------------------------------------------------------------------------- random programs


@ag.remote
class Mixed:
    """An asynchronous actor that waits in the middle of an update."""

    def __init__(self, cell: Any) -> None:
        self.cell = cell
        self.value = 0

    async def slow_add(self) -> int:
        value = self.value
        await self.cell.get.remote()
        self.value = value + 1
        return self.value

    async def value_now(self) -> int:
        return self.value


@ag.remote
def script(acts: list[tuple[str, int]], cells: list[Any], mixed: Any, given: list[Any]) -> list[Any]:
    """Do one thing after the other and return what was seen."""
    seen: list[Any] = []
    for act, index in acts:
        cell = cells[index % len(cells)]
        if act == "read":
            seen.append(ag.get(cell.get.remote()))
        elif act == "write":
            ag.get(cell.set.remote(len(seen) + 10 * index))
        elif act == "add":
            seen.append(ag.get(cell.add.remote(1)))
        elif act == "throw":
            cell.add.remote(5)  # nobody waits for it
        elif act == "both":
            seen.append(ag.get([each.add.remote(1) for each in cells]))
        elif act == "mixed":
            seen.append(ag.get(mixed.slow_add.remote()))
        elif act == "look":
            seen.append(ag.get(mixed.value_now.remote()))
        elif act == "poll":
            seen.append(len(ag.wait(given, timeout=0)[0]))
        elif act == "given":
            seen.append(ag.get(given[0]))
        elif act == "pass":
            seen.append(ag.get(cell.set.remote(given[0])))
    return seen


def random_program(scripts: list[list[tuple[str, int]]]) -> list[Any]:
    cells = [Cell.remote(), Cell.remote()]
    mixed = Mixed.remote(cells[0])
    given = [cells[1].add.remote(100)]
    return list(ag.get([script.remote(acts, cells, mixed, given) for acts in scripts]))


ACTS = ("read", "write", "add", "throw", "both", "mixed", "look", "poll", "given", "pass")
SCRIPTS = st.lists(
    st.lists(st.tuples(st.sampled_from(ACTS), st.integers(0, 1)), min_size=1, max_size=2), min_size=2, max_size=3
)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize(
    "scripts",
    [
        [[("add", 0)], [("add", 1), ("throw", 0)]],
        [[("read", 0), ("both", 1)], [("given", 0), ("read", 0)]],
    ],
)
def test_call_of_one_task_is_not_held_back_by_what_another_had_to_wait_for(
    scripts: list[list[tuple[str, int]]], reduction: str
) -> None:
    everything = outcomes(random_program, scripts, reduction="none")
    assert everything is not None
    assert len(everything) == 4
    assert outcomes(random_program, scripts, reduction=reduction) == everything


@pytest.mark.parametrize("reduction", REDUCTIONS)
@settings(max_examples=2, deadline=None, suppress_health_check=list(HealthCheck))
@given(scripts=SCRIPTS)
def test_reduction_sees_every_outcome_of_random_programs(reduction: str, scripts: list[list[tuple[str, int]]]) -> None:
    everything = outcomes(random_program, scripts, reduction="none")
    assume(everything is not None)
    assert outcomes(random_program, scripts, reduction=reduction) == everything


@pytest.mark.slow
@pytest.mark.parametrize("reduction", REDUCTIONS)
@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(scripts=SCRIPTS)
def test_reduction_sees_every_outcome_of_many_random_programs(
    reduction: str, scripts: list[list[tuple[str, int]]]
) -> None:
    everything = outcomes(random_program, scripts, reduction="none", most=2000)
    assume(everything is not None)
    assert outcomes(random_program, scripts, reduction=reduction, most=2000) == everything


def test_dpor_begins_fewer_schedules_than_sleep_sets() -> None:
    def readers() -> None:
        cell = Cell.remote()
        finish([add_one.remote(cell), *(read.remote(cell) for _ in range(4))])

    proofs = {reduction: sim.prove(readers, reduction=reduction) for reduction in REDUCTIONS}
    assert {proof.classes for proof in proofs.values()} == {16}
    assert proofs["dpor"].blocked < proofs["sleep"].blocked
