"""Locks by name under many orders and deaths."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import actorgrid as ag
from actorgrid import sim
from actorgrid.util import Lock
from actorgrid.util.queue import Queue

pytestmark = pytest.mark.search


@ag.remote(num_cpus=0)
class Pair:
    """Two numbers that are equal unless somebody has died between two steps. It minds tokens, if it gets any."""

    def __init__(self) -> None:
        self.values = [0, 0]
        self.token = 0

    def get(self) -> list[int]:
        return self.values

    def set(self, index: int, value: int, token: int) -> None:
        if token >= self.token:
            self.token = token
            self.values[index] = value


def step(pair: Any, token: int) -> None:
    """Count both numbers up, one after the other."""
    for index in range(2):
        value = ag.get(pair.get.remote())[index]
        ag.get(pair.set.remote(index, value + 1, token))


@ag.remote(num_cpus=0, max_retries=0)
def count(pair: Any, *, careful: bool, tokens: bool) -> None:
    with Lock("pair") as lock:
        token = lock.token if tokens else 0
        if lock.abandoned and careful:  # the one before has left it half done, perhaps
            ag.get(pair.set.remote(0, ag.get(pair.get.remote())[0], token))  # from here on the dead one comes too late
            values = ag.get(pair.get.remote())
            ag.get([pair.set.remote(index, max(values), token) for index in range(2)])
        step(pair, token)


@ag.remote(num_cpus=0)
def count_without(pair: Any) -> None:
    step(pair, 0)


def with_locks() -> None:
    pair = Pair.remote()
    ag.get([count.remote(pair, careful=True, tokens=False) for _ in range(2)])
    assert ag.get(pair.get.remote()) == [2, 2]


def without_locks() -> None:
    pair = Pair.remote()
    ag.get([count_without.remote(pair) for _ in range(2)])
    assert ag.get(pair.get.remote()) == [2, 2]


def with_deaths(*, careful: bool, tokens: bool) -> None:
    pair = Pair.remote()
    ag.wait([count.remote(pair, careful=careful, tokens=tokens) for _ in range(2)], num_returns=2)
    with Lock("pair") as lock:
        if lock.abandoned:
            return
        values = ag.get(pair.get.remote())
        assert values[0] == values[1], values


#: Of tasks alone: the pair and the keeper live.
DEATHS = sim.Faults(kill=1, actors=False)


def test_nothing_is_counted_twice_under_a_lock() -> None:
    found = sim.explore(with_locks, runs=60)
    assert not found.failures, found.failures[0].report


def test_without_it_something_is() -> None:
    assert sim.explore(without_locks, runs=200).failures


def test_who_minds_that_a_holder_has_died_finds_no_half_done_work() -> None:
    found = sim.explore(with_deaths, careful=True, tokens=True, runs=60, faults=DEATHS)
    assert not found.failures, found.failures[0].report


def test_who_does_not_mind_finds_some() -> None:
    assert sim.explore(with_deaths, careful=False, tokens=True, runs=300, faults=DEATHS).failures


@pytest.mark.slow
def test_without_tokens_what_the_dead_have_set_in_motion_comes_too_late() -> None:
    assert sim.explore(with_deaths, careful=True, tokens=False, runs=1000, faults=DEATHS).failures


# -- whoever gives up leaves nothing behind


@ag.remote(num_cpus=0, max_retries=0)
def use() -> None:
    with Lock("shared"):
        pass


@ag.remote(num_cpus=0)
class User:
    """Uses a lock for a while, many times at once."""

    async def use(self) -> None:
        async with Lock("shared"):
            await asyncio.sleep(0.001)

    async def use_or_give_up(self) -> bool:
        try:
            await asyncio.wait_for(Lock("shared").acquire_async(), 0.001)
        except TimeoutError:
            return False
        await Lock("shared").release_async()
        return True


def nobody_has_it() -> None:
    """The lock is free, and nobody has died with it: in the simulator an idle worker ends."""
    lock = Lock("shared")
    lock.acquire()
    assert not lock.abandoned


def a_task_is_cancelled() -> None:
    refs = [use.remote() for _ in range(2)]
    ag.cancel(refs[1])
    ag.wait(refs, num_returns=2)
    nobody_has_it()


def a_task_is_cancelled_twice() -> None:
    refs = [use.remote() for _ in range(2)]
    ag.cancel(refs[1])
    ag.cancel(refs[1])
    ag.wait(refs, num_returns=2)
    nobody_has_it()


def a_task_takes_too_long() -> None:
    refs = [use.options(run_timeout=0.001).remote() for _ in range(2)]
    ag.wait(refs, num_returns=2)
    Lock("shared").acquire()  # abandoned, perhaps: one that does not stop within a second is killed


def a_call_is_cancelled() -> None:
    user = User.remote()
    refs = [user.use.remote() for _ in range(2)]
    ag.cancel(refs[1])
    ag.wait(refs, num_returns=2)
    nobody_has_it()


def a_coroutine_gives_up() -> None:
    user = User.remote()
    ag.get([user.use_or_give_up.remote() for _ in range(3)])
    nobody_has_it()


@pytest.mark.parametrize(
    "program",
    [
        a_task_is_cancelled,
        a_task_is_cancelled_twice,
        a_task_takes_too_long,
        a_call_is_cancelled,
        a_coroutine_gives_up,
    ],
)
def test_a_lock_is_free_when_those_who_wanted_it_are_gone_however_they_went(program: Any) -> None:
    found = sim.explore(program, runs=100)
    assert not found.failures, found.failures[0].report


@ag.remote(num_cpus=0)
class Taker:
    """Takes from a queue, and says what it has got."""

    def __init__(self, items: Queue) -> None:
        self.items = items
        self.taken: list[Any] = []

    async def take(self) -> None:
        self.taken.append(await self.items.get_async())

    async def take_or_give_up(self) -> None:
        try:
            self.taken.append(await asyncio.wait_for(self.items.get_async(), 0.001))
        except TimeoutError:
            pass

    async def all(self) -> list[Any]:
        return self.taken


def a_get_is_cancelled() -> None:
    items = Queue()
    taker = Taker.remote(items)
    ref = taker.take.remote()
    items.put(1)
    ag.cancel(ref)
    ag.wait([ref])
    assert ag.get(taker.all.remote()) or items.get()


def a_get_is_given_up() -> None:
    items = Queue()
    taker = Taker.remote(items)
    ref = taker.take_or_give_up.remote()
    items.put(1)
    ag.wait([ref])
    assert ag.get(taker.all.remote()) or items.get()


@pytest.mark.parametrize("program", [a_get_is_cancelled, a_get_is_given_up])
def test_an_item_is_there_if_whoever_was_to_take_it_does_not(program: Any) -> None:
    found = sim.explore(program, runs=100)
    assert not found.failures, found.failures[0].report
