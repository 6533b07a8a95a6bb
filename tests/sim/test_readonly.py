"""``@method(readonly=True)`` is verified: of synchronous, threaded and asynchronous actors, whatever they hold."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

import actorgrid as ag
from actorgrid import sim
from tests.zoo.shared_state import Cell

CHANGED = "is marked readonly=True and changed its actor"


@ag.remote
class Liar:
    def __init__(self) -> None:
        self.reads = 0
        self.lock = threading.Lock()  # cannot be pickled: the rest is compared all the same
        self.key: Any = lambda: 0
        self.names: dict[str, list[int]] = {"a": [1]}

    @ag.method(readonly=True)
    def read(self) -> int:
        self.reads += 1
        return self.reads

    @ag.method(readonly=True)
    def append(self) -> None:
        self.names["a"].append(2)

    @ag.method(readonly=True)
    def replace(self) -> None:
        self.key = lambda: 1

    @ag.method(readonly=True)
    def sort(self) -> list[str]:
        with self.lock:
            return sorted(self.names, key=lambda _: int(self.key()))


@ag.remote
class Slotted:
    __slots__ = ("__weakref__", "n")

    def __init__(self) -> None:
        self.n = 0

    @ag.method(readonly=True)
    def read(self) -> int:
        self.n += 1
        return self.n


@ag.remote
class Async:
    def __init__(self, other: Any) -> None:
        self.other = other
        self.n = 0
        self.lock = asyncio.Lock()

    @ag.method(readonly=True)
    async def at_once(self) -> None:
        self.n += 1

    @ag.method(readonly=True)
    async def late(self) -> None:
        await self.other.get.remote()
        self.n += 1

    @ag.method(readonly=True)
    async def child(self) -> None:
        await asyncio.gather(self._add(), asyncio.sleep(1))

    @ag.method(readonly=True)
    async def when_cancelled(self) -> None:
        try:
            await asyncio.wait_for(asyncio.sleep(10), 1)
        except TimeoutError:
            self.n += 1

    async def _add(self) -> None:
        self.n += 1

    @ag.method(readonly=True)
    async def honest(self) -> int:
        async with self.lock:
            before = self.n
            await self.other.get.remote()
            await asyncio.gather(asyncio.sleep(1), asyncio.sleep(2))
            return before

    async def write(self) -> None:
        self.n += 1


@ag.remote(max_concurrency=3)
class Threaded:
    def __init__(self, other: Any) -> None:
        self.other = other
        self.n = 0

    @ag.method(readonly=True)
    def honest(self) -> int:
        return int(ag.get(self.other.get.remote()))

    @ag.method(readonly=True)
    def late(self) -> None:
        ag.get(self.other.get.remote())
        self.n += 1

    def write(self) -> None:
        self.n += 1


@pytest.mark.parametrize(
    "call",
    [
        lambda: Liar.remote().read,
        lambda: Liar.remote().append,
        lambda: Liar.remote().replace,
        lambda: Slotted.remote().read,
        lambda: Async.remote(Cell.remote()).at_once,
        lambda: Async.remote(Cell.remote()).late,
        lambda: Async.remote(Cell.remote()).child,
        lambda: Async.remote(Cell.remote()).when_cancelled,
        lambda: Threaded.remote(Cell.remote()).late,
    ],
)
def test_readonly_method_that_writes_is_an_error(call: Callable[[], Any]) -> None:
    def program() -> None:
        ag.get(call().remote())

    assert CHANGED in str(sim.run(program).error)


@pytest.mark.parametrize("cls", [Async, Threaded])
def test_what_others_write_meanwhile_is_not_its_doing(cls: Any) -> None:
    def program() -> None:
        actor = cls.remote(Cell.remote())
        ag.get([actor.honest.remote(), actor.write.remote(), actor.honest.remote()])

    found = sim.explore(program, runs=60)
    assert found.failures == []
    assert found.distinct > 2


def test_state_that_cannot_be_pickled_is_no_change() -> None:
    def program() -> Any:
        return ag.get(Liar.remote().sort.remote())

    assert sim.run(program).value == ["a"]


def test_state_that_cannot_be_looked_at_is_said() -> None:
    @ag.remote
    class Deep:
        def __init__(self) -> None:
            self.list: list[Any] = []
            for _ in range(100_000):
                self.list = [self.list]

        @ag.method(readonly=True)
        def read(self) -> None: ...

    with pytest.warns(RuntimeWarning, match="taken at its word"):
        assert sim.run(lambda: ag.get(Deep.remote().read.remote())).error is None
