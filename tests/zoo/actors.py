"""The zoo, part C: programs whose bug is how actors hear of things and wait for each other."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import asyncio
import time
from typing import Any

import actorgrid as ag
from tests.zoo.locks import Lock
from tests.zoo.shared_state import Cell, finish

# ---------------------------------------------------------------------------------------------------------- causal


@ag.remote
class Relay:
    def __init__(self, onward: Any) -> None:
        self.onward = onward

    def send(self, message: str) -> None:
        ag.get(self.onward.send.remote(message))


@ag.remote
class Sink:
    def __init__(self) -> None:
        self.seen: list[str] = []

    def send(self, message: str) -> None:
        self.seen.append(message)

    @ag.method(readonly=True)
    def order(self) -> list[str]:
        return self.seen


def causal(hops: int = 1) -> None:
    sink = Sink.remote()
    relay: Any = sink
    for _ in range(hops):
        relay = Relay.remote(relay)
    direct = sink.send.remote("first")
    relayed = relay.send.remote("second")
    ag.get([direct, relayed])
    assert ag.get(sink.order.remote()) == ["first", "second"], "what was sent first came second"


def causal_fixed(hops: int = 1) -> None:
    sink = Sink.remote()
    relay: Any = sink
    for _ in range(hops):
        relay = Relay.remote(relay)
    ag.get(sink.send.remote("first"))
    ag.get(relay.send.remote("second"))
    assert ag.get(sink.order.remote()) == ["first", "second"]


# ----------------------------------------------------------------------------------------------------- stale cache


@ag.remote
def read_through(cache: Any, store: Any) -> None:
    if ag.get(cache.get.remote()) is None:
        ag.get(cache.set.remote(ag.get(store.get.remote())))


@ag.remote
def write_and_invalidate(cache: Any, store: Any) -> None:
    ag.get(store.set.remote("new"))
    ag.get(cache.set.remote(None))


@ag.remote
def write_both(cache: Any, store: Any) -> None:
    ag.get(store.set.remote("new"))
    ag.get(cache.set.remote("new"))


@ag.remote
def read_through_carefully(cache: Any, store: Any) -> None:
    if ag.get(cache.get.remote()) is None:
        ag.get(cache.compare_and_set.remote(None, ag.get(store.get.remote())))


def stale_cache(readers: int = 1) -> None:
    """Of one reader 10 orders of calls, C(5, 2); of two 534, without reduction."""
    cache, store = Cell.remote(None), Cell.remote("old")
    finish([*(read_through.remote(cache, store) for _ in range(readers)), write_and_invalidate.remote(cache, store)])
    assert ag.get(cache.get.remote()) in (None, "new"), "the cache holds the old value for ever"


def stale_cache_fixed(readers: int = 1) -> None:
    cache, store = Cell.remote(None), Cell.remote("old")
    finish([*(read_through_carefully.remote(cache, store) for _ in range(readers)), write_both.remote(cache, store)])
    assert ag.get(cache.get.remote()) == "new"


# ------------------------------------------------------------------------------------------- waiting for each other


@ag.remote
class Peer:
    """Calls back to whoever calls it."""

    def __init__(self) -> None:
        self.other: Any = None

    def meet(self, other: Any) -> None:
        self.other = other

    def ask(self) -> int:
        return int(ag.get(self.other.answer.remote()))

    def answer(self) -> int:
        return 1


def behavioural_deadlock() -> None:
    a, b = Peer.remote(), Peer.remote()
    ag.get([a.meet.remote(b), b.meet.remote(a)])
    ag.get([a.ask.remote(), b.ask.remote()])


def behavioural_deadlock_fixed() -> None:
    a, b = Peer.options(max_concurrency=2).remote(), Peer.options(max_concurrency=2).remote()
    ag.get([a.meet.remote(b), b.meet.remote(a)])
    ag.get([a.ask.remote(), b.ask.remote()])


@ag.remote
class Counter:
    """An asynchronous actor that waits in the middle of an update."""

    def __init__(self, other: Any) -> None:
        self.other = other
        self.value = 0

    async def add(self) -> None:
        value = self.value
        await self.other.get.remote()
        self.value = value + 1

    async def add_at_once(self) -> None:
        await self.other.get.remote()
        self.value += 1

    async def get(self) -> int:
        return self.value


def await_interleave() -> None:
    counter = Counter.remote(Cell.remote())
    ag.get([counter.add.remote(), counter.add.remote()])
    assert ag.get(counter.get.remote()) == 2, "an update was lost while the actor waited"


def await_interleave_fixed() -> None:
    counter = Counter.remote(Cell.remote())
    ag.get([counter.add_at_once.remote(), counter.add_at_once.remote()])
    assert ag.get(counter.get.remote()) == 2


@ag.remote
class Dozer:
    """Waits in the middle of an update for nothing but the next turn of its event loop."""

    def __init__(self) -> None:
        self.value = 0

    async def add(self) -> None:
        value = self.value
        await asyncio.sleep(0)
        self.value = value + 1

    async def add_at_once(self) -> None:
        await asyncio.sleep(0)
        self.value += 1

    async def get(self) -> int:
        return self.value


def turn_interleave() -> None:
    dozer = Dozer.remote()
    ag.get([dozer.add.remote(), dozer.add.remote()])
    assert ag.get(dozer.get.remote()) == 2, "an update was lost between two turns of the event loop"


def turn_interleave_fixed() -> None:
    dozer = Dozer.remote()
    ag.get([dozer.add_at_once.remote(), dozer.add_at_once.remote()])
    assert ag.get(dozer.get.remote()) == 2


# ------------------------------------------------------------------------------------------------------------ time


def impatient() -> None:
    """A reply that may come late: the timeout is long enough on any sane machine."""
    cell = Cell.remote(1)
    assert ag.get(cell.get.remote(), timeout=0.5) == 1


def impatient_fixed() -> None:
    cell = Cell.remote(1)
    assert ag.get(cell.get.remote()) == 1


@ag.remote
def first_or_last(name: str) -> str:
    return name


def wait_order() -> None:
    """Takes the first result for the first submission's."""
    ready, _ = ag.wait([first_or_last.remote("one"), first_or_last.remote("two")], num_returns=1)
    assert ag.get(ready[0]) == "one", "the first result is not that of the first submission"


def wait_order_fixed() -> None:
    ready, rest = ag.wait([first_or_last.remote("one"), first_or_last.remote("two")], num_returns=1)
    assert sorted(finish([*ready, *rest])) == ["one", "two"]


# ------------------------------------------------------------------------------------------------------- trying again


@ag.remote
def take_both(first: Any, second: Any, tries: int) -> bool:
    """Take two cells, or none; wait and try again if that does not work. Returns whether it did."""
    for _ in range(tries):
        if ag.get(first.compare_and_set.remote(0, 1)):
            if ag.get(second.compare_and_set.remote(0, 1)):
                ag.get([second.set.remote(0), first.set.remote(0)])
                return True
            ag.get(first.set.remote(0))
        time.sleep(1)
    return False


@ag.remote
def take_turns(lock: Any) -> bool:
    ag.get(lock.acquire.remote())
    ag.get(lock.release.remote())
    return True


def livelock_backoff(tries: int = 2) -> None:
    """Both take one, see that the other is taken, step back, wait for as long: and so on for ever."""
    a, b = Cell.remote(), Cell.remote()
    done = finish([take_both.remote(a, b, tries), take_both.remote(b, a, tries)])
    assert any(done), "each stood in the way of the other, again and again"


def livelock_backoff_fixed(tries: int = 2) -> None:
    lock = Lock.remote()
    done = finish([take_turns.remote(lock) for _ in range(tries)])
    assert any(done)
