"""What a look sees: a value that is there may be on its way still, and one that was had cannot be gone."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent import futures
from typing import Any

import pytest

import actorgrid as ag
from actorgrid.sim.choices import Dull
from actorgrid.sim.runner import Program
from tests.sim.test_reduction_of_ends import outcome, outcomes


@ag.remote
def one() -> int:
    return 1


@ag.remote
class Alone:
    def get(self) -> int:
        return 1


def every_outcome(program: Callable[..., Any]) -> set[str]:
    """Return what a program can end with."""
    found, complete = outcomes(Program(program, ()), "dpor", 100)
    assert complete
    return found


def seen(ref: Any) -> tuple[int, bool]:
    """Return what two looks see."""
    return len(ag.wait([ref], timeout=0)[0]), ref.future().done()


def put() -> Any:
    return ag.put(1)


def got() -> Any:
    ref = one.remote()
    ag.get(ref)
    return ref


def got_with_another() -> Any:
    ref = one.remote()
    ag.get([ref, one.remote()])
    return ref


def waited_for() -> Any:
    ref = one.remote()
    ag.wait([ref])
    return ref


def failed() -> Any:
    ref = ag.remote(lambda: 1 / 0).remote()
    with pytest.raises(ZeroDivisionError):
        ag.get(ref)
    return ref


def awaited() -> Any:
    ref = one.remote()

    async def main() -> None:
        await ref

    asyncio.run(main())
    return ref


def had_of_a_future() -> Any:
    ref = one.remote()
    ref.future().result()
    return ref


@pytest.mark.parametrize("had", [put, got, got_with_another, waited_for, failed, awaited, had_of_a_future])
def test_what_a_process_has_had_is_seen_by_every_look(had: Callable[[], Any]) -> None:
    assert every_outcome(lambda: seen(had())) == {"(1, True)"}


def test_first_of_two_that_are_there_is_seen_first() -> None:
    def program() -> int:
        refs = [one.remote(), one.remote()]
        ag.get(refs)
        return refs.index(ag.wait(refs)[0][0])

    assert every_outcome(program) == {"0"}


def test_future_is_done_or_not_when_it_is_looked_at() -> None:
    assert every_outcome(lambda: one.remote().future().done()) == {"True", "False"}


def test_future_of_what_was_killed_may_not_know_yet() -> None:
    def program() -> bool:
        actor = Alone.remote()
        ref = actor.get.remote()
        ag.kill(actor)
        return bool(ref.future().done())

    assert every_outcome(program) == {"True", "False"}


def waited_for_by_the_library(future: Any) -> Any:
    futures.wait([future])
    return future


@pytest.mark.parametrize("wait", [waited_for_by_the_library, lambda future: next(futures.as_completed([future]))])
def test_future_that_the_library_says_is_done_is_done(wait: Callable[[Any], Any]) -> None:
    assert every_outcome(lambda: wait(one.remote().future()).done()) == {"True"}


def test_loop_that_looks_at_a_future_with_a_callback_lets_it_come() -> None:
    def program() -> list[int]:
        called: list[int] = []
        future = one.remote().future()
        future.add_done_callback(lambda each: called.append(each.result()))
        while not future.done():
            pass
        return called

    assert outcome(Program(program, ()).run(Dull())) == "[1]"


def test_future_that_is_done_stays_so() -> None:
    def program() -> bool:
        future = one.remote().future()
        before = future.done()
        return future.done() or not before

    assert every_outcome(program) == {"True"}


def test_event_loop_may_wait_for_a_future() -> None:
    async def main() -> int:
        return await asyncio.wrap_future(one.remote().future())

    assert every_outcome(lambda: asyncio.run(main())) == {"1"}
