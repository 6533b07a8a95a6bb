"""Streams under every schedule and every crash: what is read is always a beginning of the same sequence."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

import actorgrid as ag
from actorgrid import sim
from actorgrid.exceptions import ActorDiedError, DeadlockError, RayError, TaskCancelledError, WorkerCrashedError
from tests.zoo.shared_state import Cell

BOUND = "_generator_backpressure_num_objects"
EVERYWHERE = sim.Faults(kill=1, kill_points=frozenset({"send", "before_reply", "blocked"}))
TWICE = sim.Faults(kill=2, kill_points=frozenset({"send", "before_reply", "blocked"}))


def read(generator: Any) -> tuple[Any, ...]:
    """Return the values in their order; errors by class."""
    values: list[Any] = []
    for ref in generator:
        try:
            values.append(ag.get(ref))
        except RayError as error:
            values.append(type(error))
    return tuple(values)


def outcomes(program: Callable[[], Any], faults: sim.Faults | None = None) -> set[Any]:
    """Return everything that the program can return."""
    seen: set[Any] = set()
    proof = sim.prove(lambda: seen.add(program()), faults=faults or sim.Faults())
    assert proof.complete
    assert not proof.failures, proof.failures[0].error
    return seen


@ag.remote(max_retries=2)
def letters(text: str) -> Iterator[str]:
    yield from text


@ag.remote(max_restarts=2, max_task_retries=2)
class Speller:
    def spell(self, text: str) -> Iterator[str]:
        yield from text

    def hello(self) -> str:
        return "hello"


@ag.remote(max_restarts=2, max_task_retries=2)
class AsyncSpeller:
    async def spell(self, text: str) -> AsyncIterator[str]:
        for letter in text:
            yield letter


@pytest.mark.parametrize("bound", [1, 2, -1])
@pytest.mark.parametrize(
    "start",
    [
        lambda bound: letters.options(**{BOUND: bound}).remote("abc"),
        lambda bound: Speller.remote().spell.options(**{BOUND: bound}).remote("abc"),
        lambda bound: AsyncSpeller.remote().spell.options(**{BOUND: bound}).remote("abc"),
    ],
    ids=["task", "method", "async"],
)
def test_wherever_its_process_dies_every_item_is_read_once(start: Callable[[int], Any], bound: int) -> None:
    assert outcomes(lambda: read(start(bound)), EVERYWHERE) == {("a", "b", "c")}


def test_two_deaths_make_no_difference_either() -> None:
    assert outcomes(lambda: read(letters.options(**{BOUND: 1}).remote("ab")), TWICE) == {("a", "b")}


def test_without_retries_what_is_read_is_a_beginning_and_then_the_error() -> None:
    seen = outcomes(lambda: read(letters.options(max_retries=0, **{BOUND: 1}).remote("abc")), EVERYWHERE)
    whole = ("a", "b", "c")
    assert whole in seen
    assert seen == {whole, *((*whole[:count], WorkerCrashedError) for count in range(4))}


def test_an_actor_that_is_not_restarted_leaves_a_beginning() -> None:
    def program() -> tuple[Any, ...]:
        speller = Speller.options(max_restarts=0, max_task_retries=0).remote()
        return read(speller.spell.remote("ab"))

    seen = outcomes(program, EVERYWHERE)
    assert ("a", "b") in seen
    assert all(values[: len(values) - 1] == ("a", "b")[: len(values) - 1] for values in seen)
    assert {values[-1] for values in seen} == {"b", ActorDiedError}


@ag.remote(max_retries=1)
def pays(cell: Any) -> Iterator[int]:
    for number in range(2):
        ag.get(cell.add.remote(1))
        yield number


def test_a_generator_that_runs_again_does_again_what_it_did() -> None:
    def program() -> tuple[Any, int]:
        cell = Cell.remote()
        values = read(pays.remote(cell))
        sim.settle()
        return values, sim.peek(cell).value

    seen = outcomes(program, sim.Faults(kill=1, actors=False, kill_points=frozenset({"send", "before_reply"})))
    assert {values for values, _ in seen} == {(0, 1)}
    assert {paid for _, paid in seen} == {2, 3, 4}


def test_who_looks_for_an_item_may_be_too_early_or_not() -> None:
    def program() -> bool:
        return letters.remote("a").next_ready()

    assert outcomes(program) == {True, False}


def test_what_was_seen_to_be_ready_stays_ready() -> None:
    def program() -> bool:
        generator = letters.remote("a")
        return not generator.next_ready() or generator.next_ready()

    assert outcomes(program) == {True}


def test_readers_of_two_streams_see_either_first() -> None:
    def program() -> str:
        ready, _ = ag.wait([letters.remote("a"), letters.remote("b")])
        value: str = ag.get(next(ready[0]))
        return value

    assert outcomes(program) == {"a", "b"}


def test_a_stream_that_is_dropped_ends_wherever_it_is() -> None:
    @ag.remote
    def endless(cell: Any) -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            cell.add.remote(1)

    def program() -> int:
        cell = Cell.remote()
        generator = endless.options(**{BOUND: 2}).remote(cell)
        next(generator)
        del generator
        sim.settle()
        value: int = sim.peek(cell).value
        return value

    assert outcomes(program) == {1}


def test_a_stream_is_cancelled_wherever_it_is() -> None:
    def program() -> tuple[Any, ...]:
        generator = letters.options(**{BOUND: -1}).remote("abc")
        ag.cancel(generator)
        return read(generator)

    whole = ("a", "b", "c")
    assert outcomes(program) == {whole, *((*whole[:count], TaskCancelledError) for count in range(4))}


def test_reader_that_waits_behind_the_stream_it_does_not_read_is_found() -> None:
    def program() -> None:
        speller = Speller.remote()
        generator = speller.spell.options(**{BOUND: 1}).remote("abc")
        ag.get(speller.hello.remote())
        del generator

    proof = sim.prove(program)
    assert isinstance(proof.failures[0].error, DeadlockError)


def test_every_order_of_messages_gives_the_same_items() -> None:
    seen: set[Any] = set()

    def program() -> None:
        seen.add(read(letters.options(**{BOUND: 1}).remote("ab")))

    found = sim.explore(program, level="links", runs=200, faults=sim.Faults(kill=1), checks=True)
    assert not found.failures
    assert seen == {("a", "b")}
