"""Globals of a module: simulated processes share them, real ones do not, and whoever relies on that is told."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import actorgrid as ag
from actorgrid import sim
from actorgrid.exceptions import SharedStateLeak
from actorgrid.sim import isolation
from tests.zoo.shared_state import Cell

seen: list[int] = []
nested: dict[str, list[int]] = {"seen": []}
count = 0
cache: dict[int, int] = {}
settings = {"retries": 3}


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    global count  # noqa: PLW0603  # the subject
    yield
    seen.clear()
    nested["seen"].clear()
    cache.clear()
    isolation._harmless.clear()
    count = 0


def note(n: int) -> int:
    seen.append(n)
    return len(seen)


def note_inside(n: int) -> int:
    nested["seen"].append(n)
    return len(nested["seen"])


def step(n: int) -> int:
    global count  # noqa: PLW0603  # the subject
    count += n
    return count


def remember(n: int) -> int:
    return cache.setdefault(n, n * n)


@ag.remote
def append(n: int) -> int:
    return note(n)


@ag.remote
def append_nested(n: int) -> int:
    return note_inside(n)


@ag.remote
def increase(n: int) -> int:
    return step(n)


@ag.remote
def append_to_its_own(n: int) -> int:
    seen.append(n)
    return len(seen)


@ag.remote
def square(n: int) -> int:
    return remember(n)


@ag.remote
def read_settings() -> int:
    return settings["retries"]


@ag.remote
class Counting:
    def hit(self) -> int:
        seen.append(1)
        return len(seen)


def two_at_once(task: Any, *args: Any) -> Any:
    return ag.get([task.remote(*args), task.remote(*args)])


@pytest.mark.parametrize(
    ("task", "args", "name"),
    [(append, (1,), "seen"), (append_nested, (1,), "nested"), (increase, (1,), "count"), (square, (3,), "cache")],
)
def test_global_that_two_tasks_change_is_a_leak(task: Any, args: tuple[Any, ...], name: str) -> None:
    error = sim.run(two_at_once, task, *args).error
    assert isinstance(error, SharedStateLeak)
    assert f"refers to the global tests.sim.test_isolation.{name}," in str(error) or f".{name}," in str(error)


def test_global_that_two_actors_change_is_a_leak() -> None:
    def program() -> None:
        one, other = Counting.remote(), Counting.remote()
        ag.get([one.hit.remote(), other.hit.remote()])

    assert isinstance(sim.run(program).error, SharedStateLeak)


def test_global_that_the_program_changes_after_its_tasks_have_started_is_a_leak() -> None:
    def program() -> None:
        ag.get(append.remote(1))
        seen.append(5)
        ag.get(Cell.remote().get.remote())
        ag.get(append.remote(1))

    assert isinstance(sim.run(program).error, SharedStateLeak)


def test_globals_of_the_task_itself_travel_with_it_as_on_real_processes() -> None:
    assert sim.run(two_at_once, append_to_its_own, 1).value == [1, 1]
    assert seen == []


def test_actor_may_keep_a_global_to_itself() -> None:
    def program() -> int:
        actor = Counting.remote()
        return int(ag.get([actor.hit.remote() for _ in range(3)])[-1])

    run = sim.run(program)
    assert run.error is None
    assert run.value == 3


def test_global_that_nobody_changes_may_be_read_by_all() -> None:
    assert sim.run(two_at_once, read_settings).error is None


def test_global_that_was_declared_harmless_may_be_shared() -> None:
    sim.share(remember.__module__, "cache")
    assert sim.run(two_at_once, square, 3).value == [9, 9]


def test_leak_cannot_be_swallowed_by_the_program() -> None:
    def program() -> None:
        for ref in [append.remote(1), append.remote(1)]:
            try:
                ag.get(ref)
            except ag.exceptions.ActorGridError:
                pass

    assert isinstance(sim.run(program).error, SharedStateLeak)
