"""Tasks that start tasks: a task that waits lends its CPUs to others."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

from typing import Any

import pytest

import actorgrid as ag
from actorgrid.testing.waiting import wait_until
from tests.contract.tools import DEADLINE, Gate

pytestmark = pytest.mark.usefixtures("grid")


@ag.remote
def leaf(x: int) -> int:
    return x


@ag.remote
def deep(n: int) -> int:
    return 0 if n == 0 else 1 + ag.get(deep.remote(n - 1))


@ag.remote
def fibonacci(n: int) -> int:
    return n if n < 2 else sum(ag.get([fibonacci.remote(n - 1), fibonacci.remote(n - 2)]))


@ag.remote(num_cpus=2)
def whole_grid(n: int) -> int:
    return 0 if n == 0 else 1 + ag.get(whole_grid.remote(n - 1))


def test_task_gets_the_result_of_another_task() -> None:
    assert ag.get(deep.remote(1), timeout=DEADLINE) == 1


def test_nesting_deeper_than_there_are_cpus() -> None:
    assert ag.get(deep.remote(12), timeout=DEADLINE) == 12


def test_tree_of_tasks() -> None:
    assert ag.get(fibonacci.remote(6), timeout=DEADLINE) == 8


def test_blocked_task_lends_all_its_cpus() -> None:
    assert ag.get(whole_grid.remote(4), timeout=DEADLINE) == 4


def test_many_tasks_that_each_wait_for_another() -> None:
    @ag.remote
    def outer(x: int) -> int:
        return ag.get(leaf.remote(x))

    assert ag.get([outer.remote(i) for i in range(40)], timeout=DEADLINE) == list(range(40))


def test_blocked_wait_lends_its_cpus() -> None:
    @ag.remote(num_cpus=2)
    def outer() -> int:
        ref = leaf.options(num_cpus=2).remote(5)
        ready, _ = ag.wait([ref], timeout=DEADLINE)
        return ag.get(ready[0])

    assert ag.get(outer.remote(), timeout=DEADLINE) == 5


def test_all_cpus_are_back_after_nested_tasks() -> None:
    ag.get(deep.remote(6), timeout=DEADLINE)
    assert wait_until(lambda: ag.available_resources().get("CPU") == 2)


def test_task_returns_a_reference_without_waiting_for_it() -> None:
    @ag.remote
    def start() -> Any:
        return [leaf.remote(3)]

    (inner,) = ag.get(start.remote(), timeout=DEADLINE)
    assert ag.get(inner, timeout=DEADLINE) == 3


def test_task_outlives_the_one_that_started_it() -> None:
    gate = Gate.remote()

    @ag.remote
    def child() -> int:
        ag.get(gate.pass_through.remote())
        return 9

    @ag.remote
    def parent() -> Any:
        return [child.remote()]

    (ref,) = ag.get(parent.remote(), timeout=DEADLINE)
    ag.get(gate.arrivals.remote(1), timeout=DEADLINE)
    gate.open.remote()
    assert ag.get(ref, timeout=DEADLINE) == 9


def test_task_puts_an_object_and_returns_its_reference() -> None:
    @ag.remote
    def store() -> Any:
        return [ag.put("kept")]

    (ref,) = ag.get(store.remote())
    assert ag.get(ref) == "kept"


def test_reference_through_several_tasks() -> None:
    @ag.remote
    def hand_on(box: list[Any]) -> Any:
        return box

    box = [ag.put(11)]
    for _ in range(3):
        box = ag.get(hand_on.remote(box))
    assert ag.get(box[0]) == 11


def test_error_of_a_nested_task_arrives_as_the_class_of_its_cause() -> None:
    @ag.remote
    def inner() -> None:
        raise ZeroDivisionError("deep down")

    @ag.remote
    def outer() -> None:
        ag.get(inner.remote())

    with pytest.raises(ZeroDivisionError, match="deep down") as caught:
        ag.get(outer.remote(), timeout=DEADLINE)
    assert isinstance(caught.value, ag.exceptions.RayTaskError)
    assert type(caught.value.cause) is ZeroDivisionError


def test_nested_task_waits_for_a_dependency_of_the_driver() -> None:
    gate = Gate.remote()

    @ag.remote(num_cpus=0)
    def slow() -> int:
        ag.get(gate.pass_through.remote())
        return 4

    @ag.remote
    def outer(box: list[Any]) -> int:
        return ag.get(leaf.remote(box[0]))

    ref = outer.remote([slow.remote()])
    ag.get(gate.arrivals.remote(1), timeout=DEADLINE)
    gate.open.remote()
    assert ag.get(ref, timeout=DEADLINE) == 4


def test_task_that_was_sent_ahead_to_the_worker_of_the_one_that_waits_for_it_runs_elsewhere() -> None:
    @ag.remote
    def tree(depth: int) -> int:
        if depth == 0:
            return 1
        return sum(ag.get([tree.remote(depth - 1) for _ in range(3)]))

    @ag.remote
    def quick() -> int:
        return 1

    for _ in range(5):  # many quick tasks make the grid send ahead; then the same workers wait
        refs = [quick.remote() for _ in range(200)] + [tree.remote(3)] + [quick.remote() for _ in range(200)]
        assert sum(ag.get(refs, timeout=60)) == 427


@ag.remote(num_cpus=0)
def pass_through(gate: Any) -> int:
    ag.get(gate.pass_through.remote())
    return 7


@ag.remote(num_cpus=0)
def read(refs: list[Any], gate: Any) -> Any:
    ag.get(gate.arrive.remote())
    return ag.get(refs[0])


def test_many_tasks_may_wait_for_one_object() -> None:
    gate = Gate.remote()
    awaited = pass_through.remote(gate)
    readers = [read.remote([awaited], gate) for _ in range(4)]
    ag.get(gate.arrivals.remote(5))
    gate.open.remote()
    assert ag.get(readers, timeout=DEADLINE) == [7] * 4
