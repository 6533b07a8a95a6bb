"""``Queue``: a first-in, first-out queue that tasks, actors and the program share. The names of ``ray.util.queue``.

It is an asynchronous actor around ``asyncio.Queue``: whoever waits for a place or an item does so there, and holds up
nobody. What a process has taken is gone with it if it dies.
"""

from __future__ import annotations

import asyncio
import queue
from collections.abc import Iterable, Mapping
from typing import Any

from actorgrid.api.actor import ActorClass
from actorgrid.api.basics import get, kill, wait
from actorgrid.exceptions import ActorDiedError

__all__ = ["Empty", "Full", "Queue"]


class Empty(queue.Empty):
    """There is no item (in time)."""


class Full(queue.Full):
    """There is no place (in time)."""


class _Keeper:
    """The actor: it keeps the items."""

    def __init__(self, maxsize: int) -> None:
        self._items: asyncio.Queue[Any] = asyncio.Queue(maxsize)

    async def qsize(self) -> int:
        return self._items.qsize()

    async def put(self, item: Any, timeout: float | None) -> None:  # noqa: ASYNC109  # it is the caller's
        try:
            await asyncio.wait_for(self._items.put(item), timeout)
        except TimeoutError:
            raise Full(f"no place for an item within {timeout} s") from None

    async def get(self, timeout: float | None) -> Any:  # noqa: ASYNC109  # it is the caller's
        try:
            return await asyncio.wait_for(self._items.get(), timeout)
        except TimeoutError:
            raise Empty(f"no item within {timeout} s") from None

    async def put_nowait(self, items: list[Any]) -> bool:
        """Put all of them or none; return whether there was room."""
        most = self._items.maxsize
        if most > 0 and self._items.qsize() + len(items) > most:
            return False
        for item in items:
            self._items.put_nowait(item)
        return True

    async def get_nowait(self, count: int) -> list[Any] | None:
        """Return so many items; None, and take none, if there are fewer."""
        if self._items.qsize() < count:
            return None
        return [self._items.get_nowait() for _ in range(count)]


class Queue:
    """A queue that any number of processes share. It can be sent to tasks and actors; it ends with its last handle."""

    def __init__(self, maxsize: int = 0, actor_options: Mapping[str, Any] | None = None) -> None:
        """``maxsize``: how many items there is room for; 0 or less: any number.

        ``actor_options``: options of the actor that keeps the items, a ``name`` for instance. It takes no CPU unless
        they say so.
        """
        if isinstance(maxsize, bool) or not isinstance(maxsize, int):
            raise TypeError(f"maxsize must be an int, not {type(maxsize).__name__}")
        self.maxsize = maxsize
        options = {"num_cpus": 0, **(actor_options or {})}
        self.actor: Any = ActorClass(_Keeper, {}).options(**options).remote(maxsize)

    def __len__(self) -> int:
        return self.size()

    def size(self) -> int:
        """Return how many items there are at this moment."""
        return int(get(self.actor.qsize.remote()))

    def qsize(self) -> int:
        """Return how many items there are at this moment."""
        return self.size()

    def empty(self) -> bool:
        """Return whether there is no item at this moment."""
        return not self.size()

    def full(self) -> bool:
        """Return whether there is no room at this moment."""
        return 0 < self.maxsize <= self.size()

    # -- in

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:  # the library's
        """Put an item in, once there is room. Raises Full after ``timeout`` seconds, or at once without ``block``."""
        if not block:
            self._put_now([item])
        else:
            get(self.actor.put.remote(item, _seconds(timeout)))

    async def put_async(self, item: Any, block: bool = True, timeout: float | None = None) -> None:  # noqa: ASYNC109  # the library's
        """``put`` for event loops."""
        if not block:
            _check_room(await self.actor.put_nowait.remote([item]), 1)
        else:
            await self.actor.put.remote(item, _seconds(timeout))

    def put_nowait(self, item: Any) -> None:
        """Put an item in. Raises Full."""
        self._put_now([item])

    def put_nowait_batch(self, items: Iterable[Any]) -> None:
        """Put all of the items in, in one message. Raises Full, and puts none in, if there is no room for all."""
        if not isinstance(items, Iterable):
            raise TypeError("Argument 'items' must be an Iterable")
        self._put_now(list(items))

    def _put_now(self, items: list[Any]) -> None:
        _check_room(get(self.actor.put_nowait.remote(items)), len(items))

    # -- out

    def get(self, block: bool = True, timeout: float | None = None) -> Any:  # the library's
        """Take the oldest item, once there is one. Raises Empty after ``timeout`` seconds, or at once without block."""
        if not block:
            return self.get_nowait()
        return get(self.actor.get.remote(_seconds(timeout)))

    async def get_async(self, block: bool = True, timeout: float | None = None) -> Any:  # noqa: ASYNC109  # the library's
        """``get`` for event loops."""
        if not block:
            return _taken(await self.actor.get_nowait.remote(1), 1)[0]
        return await self.actor.get.remote(_seconds(timeout))

    def get_nowait(self) -> Any:
        """Take the oldest item. Raises Empty."""
        return self.get_nowait_batch(1)[0]

    def get_nowait_batch(self, num_items: int) -> list[Any]:
        """Take the oldest ``num_items`` items, in one message. Raises Empty, and takes none, if there are fewer."""
        if isinstance(num_items, bool) or not isinstance(num_items, int):
            raise TypeError("Argument 'num_items' must be an int")
        if num_items < 0:
            raise ValueError("'num_items' must be nonnegative")
        return _taken(get(self.actor.get_nowait.remote(num_items)), num_items)

    # -- the end

    def shutdown(self, force: bool = False, grace_period_s: float = 5) -> None:  # Ray's
        """End the queue: its calls under way come to their end first, for ``grace_period_s`` seconds at most.

        ``force``: at once. Whoever uses it afterwards gets ActorDiedError.
        """
        actor, self.actor = self.actor, None
        if actor is None:
            return
        if not force:
            try:
                wait([actor.__ray_terminate__.remote()], timeout=grace_period_s)
            except ActorDiedError:
                return
        kill(actor, no_restart=True)


def _seconds(timeout: float | None) -> float | None:
    if timeout is not None and timeout < 0:
        raise ValueError("'timeout' must be a non-negative number")
    return timeout


def _check_room(there_was: bool, count: int) -> None:  # an answer
    if not there_was:
        raise Full("the queue is full" if count == 1 else f"there is no room for {count} items")


def _taken(items: list[Any] | None, count: int) -> list[Any]:
    if items is None:
        raise Empty("the queue is empty" if count == 1 else f"there are fewer than {count} items")
    return items
