"""Named actors, namespaces, get_if_exists, detached actors."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import pytest

import actorgrid as ag
from actorgrid.testing.waiting import wait_until
from tests.contract.mortals import behind
from tests.contract.tools import DEADLINE, Gate


@ag.remote
class Counter:
    def __init__(self, start: int = 0) -> None:
        self.value = start

    def add(self) -> int:
        self.value += 1
        return self.value


@ag.remote
class Holder:
    """Makes an actor and hands its handle over."""

    def make(self, name: str) -> None:
        self.counter = Counter.options(name=name).remote()

    def hand_over(self) -> Any:
        counter = self.counter
        del self.counter
        return counter


def exists(name: str, namespace: str | None = None) -> bool:
    try:
        ag.get_actor(name, namespace)
    except ValueError:
        return False
    return True


@pytest.mark.usefixtures("grid")
class TestNames:
    def test_named_actor_is_found(self) -> None:
        counter = Counter.options(name="found").remote(5)
        assert ag.get(ag.get_actor("found").add.remote()) == 6
        assert ag.get_actor("found") == counter

    def test_named_actor_is_found_before_its_constructor_has_run(self) -> None:
        gate = Gate.remote()
        counter = Counter.options(name="soon").remote(behind.remote(gate, 10))
        found = ag.get_actor("soon")
        refs = [found.add.remote(), counter.add.remote()]
        ag.get(gate.open.remote(), timeout=DEADLINE)
        assert sorted(ag.get(refs, timeout=DEADLINE)) == [11, 12]

    def test_named_actor_is_found_by_a_task(self) -> None:
        counter = Counter.options(name="task").remote(1)

        @ag.remote
        def find() -> int:
            return int(ag.get(ag.get_actor("task").add.remote()))

        assert ag.get(find.remote(), timeout=DEADLINE) == 2
        assert ag.get(counter.add.remote()) == 3

    def test_name_taken_by_a_living_actor_is_refused(self) -> None:
        counter = Counter.options(name="taken").remote()
        with pytest.raises(ag.exceptions.ActorAlreadyExistsError, match="taken") as caught:
            Counter.options(name="taken").remote()
        assert isinstance(caught.value, ValueError)
        assert ag.get(counter.add.remote()) == 1

    def test_name_is_free_again_after_a_kill(self) -> None:
        counter = Counter.options(name="again").remote()
        ag.get(counter.add.remote())
        ag.kill(counter)
        assert wait_until(lambda: not exists("again"))
        counter = Counter.options(name="again").remote()
        assert ag.get(counter.add.remote()) == 1

    def test_name_is_gone_with_the_last_handle(self) -> None:
        counter = Counter.options(name="gone").remote()
        ag.get(counter.add.remote())
        del counter
        gc.collect()
        assert wait_until(lambda: not exists("gone"))

    def test_handle_from_get_actor_does_not_keep_the_actor_alive(self) -> None:
        counter = Counter.options(name="weak").remote()
        weak = ag.get_actor("weak")
        ag.get(weak.add.remote())
        del counter
        gc.collect()
        assert wait_until(lambda: not exists("weak"))
        with pytest.raises(ag.exceptions.ActorDiedError):
            ag.get(weak.add.remote(), timeout=DEADLINE)

    def test_handle_that_is_held_after_one_from_get_actor_is_counted(self) -> None:
        holder = Holder.remote()
        ag.get(holder.make.remote("both"), timeout=DEADLINE)
        weak = ag.get_actor("both")
        counter = ag.get(holder.hand_over.remote(), timeout=DEADLINE)
        assert ag.get([weak.add.remote(), counter.add.remote()], timeout=DEADLINE) == [1, 2]
        del counter
        gc.collect()
        assert wait_until(lambda: not exists("both"))

    def test_handle_from_get_actor_can_be_handed_on_when_no_other_is_left(self) -> None:
        counter = Counter.options(name="handed on", lifetime="detached").remote()
        weak = ag.get_actor("handed on")
        del counter
        gc.collect()
        (again,) = ag.get(ag.put([weak]))
        assert ag.get(again.add.remote(), timeout=DEADLINE) == 1
        ag.kill(weak)

    def test_handle_from_get_actor_keeps_nothing_alive_wherever_it_was_sent(self) -> None:
        counter = Counter.options(name="sent", num_cpus=0).remote()

        @ag.remote
        def find(handle: Any) -> tuple[Any, Any]:
            ag.get(handle.add.remote())
            return handle, ag.get_actor("sent")

        here = ag.get_actor("sent")
        sent, found = ag.get(find.remote(here), timeout=DEADLINE)
        (stored,) = ag.get(ag.put([here]))
        assert ag.get([each.add.remote() for each in (here, sent, found, stored)]) == [2, 3, 4, 5]
        del counter
        gc.collect()
        assert wait_until(lambda: not exists("sent"))
        for each in (here, sent, found, stored):
            with pytest.raises(ag.exceptions.ActorDiedError):
                ag.get(each.add.remote(), timeout=DEADLINE)

    def test_get_if_exists_creates_and_then_finds(self) -> None:
        options: Any = Counter.options(name="one", get_if_exists=True)
        first = options.remote(10)
        second = options.remote(20)
        assert first == second
        assert ag.get([first.add.remote(), second.add.remote()]) == [11, 12]

    def test_get_if_exists_from_many_tasks_gives_one_actor(self) -> None:
        @ag.remote
        def use() -> int:
            counter: Any = Counter.options(name="race", get_if_exists=True, lifetime="detached").remote()
            return int(ag.get(counter.add.remote()))

        assert sorted(ag.get([use.remote() for _ in range(8)], timeout=DEADLINE)) == list(range(1, 9))
        ag.kill(ag.get_actor("race"))

    def test_same_name_in_two_namespaces(self) -> None:
        a = Counter.options(name="n", namespace="a").remote(1)
        b = Counter.options(name="n", namespace="b").remote(2)
        assert ag.get([ag.get_actor("n", "a").add.remote(), ag.get_actor("n", namespace="b").add.remote()]) == [2, 3]
        assert a != b

    def test_actor_of_another_namespace_is_not_found_by_name_alone(self) -> None:
        counter = Counter.options(name="elsewhere", namespace="far").remote()
        assert not exists("elsewhere")
        assert exists("elsewhere", "far")
        assert ag.get(counter.add.remote()) == 1

    def test_detached_actor_outlives_its_handles(self) -> None:
        counter = Counter.options(name="stays", lifetime="detached").remote()
        ag.get(counter.add.remote())
        del counter
        gc.collect()
        assert ag.get(ag.get_actor("stays").add.remote(), timeout=DEADLINE) == 2
        ag.kill(ag.get_actor("stays"))
        assert wait_until(lambda: not exists("stays"))

    def test_detached_actor_outlives_the_task_that_made_it(self) -> None:
        @ag.remote
        def create() -> None:
            ag.get(Counter.options(name="child", lifetime="detached").remote(4).add.remote())

        ag.get(create.remote(), timeout=DEADLINE)
        found = ag.get_actor("child")
        assert ag.get(found.add.remote(), timeout=DEADLINE) == 6
        ag.kill(found)

    def test_name_can_be_read_inside(self) -> None:
        @ag.remote
        class Named:
            def name(self) -> Any:
                return ag.get_runtime_context().get_actor_name()

        assert ag.get(Named.options(name="me").remote().name.remote(), timeout=DEADLINE) == "me"


def test_namespace_of_init_is_the_default(fresh_grid: Callable[..., Any]) -> None:
    fresh_grid(num_cpus=1, namespace="mine")
    counter = Counter.options(name="n").remote()
    assert ag.get_runtime_context().namespace == "mine"
    assert ag.get_actor("n", "mine") == counter


def test_tasks_and_actors_are_in_the_namespace_of_their_driver(fresh_grid: Callable[..., Any]) -> None:
    fresh_grid(num_cpus=1, namespace="mine")

    @ag.remote
    def namespace() -> str:
        return str(ag.get_runtime_context().namespace)

    assert ag.get(namespace.remote()) == "mine"


def test_grids_without_a_namespace_get_one_each(fresh_grid: Callable[..., Any]) -> None:
    fresh_grid(num_cpus=1)
    first = ag.get_runtime_context().namespace
    fresh_grid(num_cpus=1)
    assert first
    assert ag.get_runtime_context().namespace not in {"", first}
