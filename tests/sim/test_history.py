"""Linearizability: the checker against brute force, and in simulations."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import itertools
import pickle
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import actorgrid as ag
from actorgrid import sim
from actorgrid.sim.linearizability import UNKNOWN, Linearization, Model, Operation, linearize

pytestmark = pytest.mark.search

OPERATIONS: dict[type[Model], list[tuple[str, Any, list[Any]]]] = {
    sim.Register: [
        ("write", 1, [None]), ("write", 2, [None]), ("read", None, [None, 1, 2]), ("cas", (1, 2), [True, False])
    ],
    sim.Counter: [("add", 1, [None]), ("get", None, [0, 1, 2])],
    sim.Queue: [("put", 1, [None]), ("put", 2, [None]), ("get", None, [None, 1, 2])],
    sim.Mutex: [("acquire", None, [None]), ("release", None, [None])],
}  # fmt: skip


@st.composite
def histories(draw: st.DrawFn, model: type[Model]) -> list[Operation]:
    """Return a few operations that overlap somehow; some never end."""
    count = draw(st.integers(1, 5))
    moments = iter(draw(st.permutations(range(2 * count))))
    operations = []
    for client in range(count):
        op, arg, outs = draw(st.sampled_from(OPERATIONS[model]))
        began, ended = sorted((next(moments), next(moments)))
        pending = draw(st.integers(0, 4)) == 0
        out = UNKNOWN if pending else draw(st.sampled_from(outs))
        operations.append(Operation(client, op, arg, began, None if pending else ended, out))
    return operations


def explained(order: tuple[Operation, ...], model: Model) -> bool:
    """Return whether the model allows this order."""
    state = model.init()
    for operation in order:
        allowed, state = model.step(state, operation.op, operation.arg, operation.out)
        if not allowed:
            return False
    return True


def respects_time(order: tuple[Operation, ...]) -> bool:
    """Return whether nothing stands before what had ended when it began."""
    return not any(
        later.ended is not None and later.ended < earlier.began for earlier, later in itertools.combinations(order, 2)
    )


def by_brute_force(operations: list[Operation], model: Model) -> bool:
    """Return whether some order, with pending operations in it or not, explains everything."""
    ended = [operation for operation in operations if operation.ended is not None]
    pending = [operation for operation in operations if operation.ended is None]
    return any(
        respects_time(order) and explained(order, model)
        for size in range(len(pending) + 1)
        for some in itertools.combinations(pending, size)
        for order in itertools.permutations([*ended, *some])
    )


@pytest.mark.parametrize("model", OPERATIONS, ids=lambda model: model.__name__)
def test_checker_agrees_with_brute_force(model: type[Model]) -> None:
    @settings(max_examples=400, deadline=None, derandomize=True)
    @given(histories(model))
    def agrees(operations: list[Operation]) -> None:
        result = linearize(operations, model())
        assert isinstance(result, Linearization) == by_brute_force(operations, model())
        if isinstance(result, Linearization):
            assert respects_time(result.order)
            assert explained(result.order, model())

    agrees()


def sequential(*steps: tuple[str, Any, Any]) -> sim.History:
    """Return the history of one client."""
    history = sim.History()
    for op, arg, out in steps:
        with history.record(0, op, *([] if arg is None else [arg])) as record:
            record.value = out
    return history


def test_stale_read_is_told_with_what_was_before() -> None:
    history = sequential(("write", 1, None), ("write", 2, None), ("read", None, 1))
    with pytest.raises(sim.NotLinearizable) as caught:
        history.check(sim.Register())
    told = str(caught.value)
    assert "client 0: write(2)" in told
    assert "the state is 2" in told
    assert "read() -> 1" in told


def test_operation_left_by_an_exception_may_or_may_not_have_happened() -> None:
    for seen in (None, 1):
        history = sim.History()
        with pytest.raises(OSError, match="lost"), history.record("a", "write", 1):
            raise OSError("lost")
        with history.record("b", "read") as record:
            record.value = seen
        assert history.check(sim.Register()).order


def test_operation_that_certainly_failed_is_not_in_the_history() -> None:
    history = sim.History()
    with history.record("a", "write", 1) as record:
        record.failed()
    with history.record("b", "read") as record:
        record.value = 1
    with pytest.raises(sim.NotLinearizable):
        history.check(sim.Register())


def test_keys_are_checked_one_by_one() -> None:
    history = sequential(("write", ("x", 1), None), ("write", ("y", 2), None), ("read", "x", 1), ("read", "y", 2))
    assert len(history.check(sim.KeyValue()).order) == 4
    history = sequential(("write", ("x", 1), None), ("read", "y", 1))
    with pytest.raises(sim.NotLinearizable, match="'y'"):
        history.check(sim.KeyValue())


def test_long_history_is_checked() -> None:
    rng, history, value = random.Random(1), sim.History(), None
    open_: list[Any] = []
    for step in range(1000):
        context = history.record(step % 5, "write" if rng.random() < 0.5 else "read", step)
        record = context.__enter__()
        if record.operation.op == "write":
            value = step
        record.value = value
        open_.append(context)
        if len(open_) == 5:
            open_.pop(0).__exit__(None, None, None)
    for context in open_:
        context.__exit__(None, None, None)
    assert len(history.check(sim.Register()).order) == 1000


def test_history_is_itself_after_pickling_here_and_refused_elsewhere() -> None:
    history = sim.History()
    data = pickle.dumps(history)
    assert pickle.loads(data) is history
    del history
    with pytest.raises(ValueError, match="one interpreter"):
        pickle.loads(data)


@ag.remote
class Cell:
    def __init__(self) -> None:
        self.value: int | None = None

    def read(self) -> int | None:
        return self.value

    def write(self, value: int) -> None:
        self.value = value


@ag.remote
def use(client: int, cell: Any, history: sim.History) -> None:
    with history.record(client, "write", client):
        ag.get(cell.write.remote(client))
    with history.record(client, "read") as record:
        record.value = ag.get(cell.read.remote())


def register(restarts: int) -> None:
    history, cell = sim.History(), Cell.options(max_restarts=restarts, max_task_retries=restarts).remote()
    ag.wait([use.remote(client, cell, history) for client in range(2)], num_returns=2)
    history.check(sim.Register())


@pytest.mark.slow
def test_register_actor_is_linearizable_under_every_schedule_and_death() -> None:
    proof = sim.prove(register, 0, faults=sim.Faults(kill=1))
    assert proof.complete
    assert not proof.failures


def test_register_that_forgets_what_it_has_acknowledged_is_found() -> None:
    found = sim.explore(register, 1, runs=500, faults=sim.Faults(kill=1, actors=True))
    assert isinstance(found.failures[0].run.error, sim.NotLinearizable)
