"""``Queue``: a first-in, first-out queue that tasks, actors and the program share. The names of ``ray.util.queue``.

An asynchronous actor keeps the items: whoever waits for a place or an item does so in a coroutine there, and holds up
nobody. Gets, puts and what does not wait have places of their own (concurrency groups), so that no number of waiting
gets keeps a put out. What a process has taken is gone with it if it dies.

**Who gives up.** Whoever is interrupted says so (``give_up``): its call then takes and puts nothing, and what it has
taken goes back to its place. Such a word overtakes no earlier call of its process, and no later one overtakes it. The
cancellation that follows it comes by another way, and may come while the call takes something: whatever takes makes
sure first that its answer counts (``settle``). No interrupt comes between a call and the note that it was made
(``_begin``), and none between its answer and what is made of it. Whoever is interrupted later has had the item.
"""

from __future__ import annotations

import asyncio
import queue
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping
from itertools import count
from typing import Any, Final

from actorgrid.api.actor import ActorClass, method
from actorgrid.api.basics import cancel, get, kill, wait
from actorgrid.engine.current import current
from actorgrid.engine.interrupts import breathing
from actorgrid.exceptions import ActorDiedError
from actorgrid.util.giving_up import surely

__all__ = ["Empty", "Full", "Queue"]

#: An item, and its place in the order of all.
_Numbered = tuple[int, Any]
#: So many calls may wait. They cost a coroutine each.
_WAITING: Final = 1_000_000


class Empty(queue.Empty):
    """There is no item (in time)."""


class Full(queue.Full):
    """There is no place (in time)."""


class _Keeper:
    """The actor: it keeps the items."""

    # Invariant: not (self._items and self._getters)
    # Invariant: not (self._room() and self._putters)

    def __init__(self, maxsize: int) -> None:
        self._most = maxsize
        self._items: deque[_Numbered] = deque()
        self._numbers = count(1)
        #: Who waits, by call.
        self._getters: OrderedDict[int, asyncio.Future[_Numbered | None]] = OrderedDict()
        self._putters: OrderedDict[int, tuple[asyncio.Future[None], Any]] = OrderedDict()
        #: The latest calls that were given up: it may be said twice, and no item is put back twice.
        self._given_up: deque[int] = deque(maxlen=1024)

    def _room(self) -> bool:
        return self._most <= 0 or len(self._items) < self._most

    def _add(self, numbered: _Numbered) -> None:
        """Put an item in its place, or hand it to the first one that waits for any."""
        if self._getters:
            self._getters.popitem(last=False)[1].set_result(numbered)
            return
        index = len(self._items)
        while index and self._items[index - 1][0] > numbered[0]:
            index -= 1
        self._items.insert(index, numbered)

    def _add_new(self, item: Any) -> None:
        self._add((next(self._numbers), item))

    def _take(self) -> Any:
        """Take the oldest item. The first one that waits for room has it now."""
        _, item = self._items.popleft()
        if self._putters and self._room():
            _, (future, another) = self._putters.popitem(last=False)
            self._add_new(another)
            future.set_result(None)
        return item

    @method(concurrency_group="now")
    async def qsize(self) -> int:
        return len(self._items)

    @method(concurrency_group="put")
    async def put(self, item: Any, timeout: float | None) -> None:  # noqa: ASYNC109  # it is the caller's
        if self._room():
            self._add_new(item)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        call = current().context().task
        self._putters[call] = future, item
        try:
            await asyncio.wait({future}, timeout=timeout)
        finally:
            self._putters.pop(call, None)
        if not future.done():
            raise Full(f"no place for an item within {timeout} s")

    async def get(self, timeout: float | None) -> Any:  # noqa: ASYNC109  # it is the caller's
        if self._items:
            return self._take() if current().settle() else None
        future: asyncio.Future[_Numbered | None] = asyncio.get_running_loop().create_future()
        call = current().context().task
        self._getters[call] = future
        wanted = False
        try:
            await asyncio.wait({future}, timeout=timeout)
            wanted = current().settle()  # else nobody would hear the answer
        finally:
            self._getters.pop(call, None)
            if not wanted and future.done() and (back := future.result()):
                self._add(back)
        if not future.done():
            raise Empty(f"no item within {timeout} s")
        found = future.result()
        return None if found is None else found[1]

    @method(concurrency_group="now")
    async def put_nowait(self, items: list[Any]) -> bool:
        """Put all of them or none; return whether there was room."""
        if 0 < self._most < len(self._items) + len(items):
            return False
        for item in items:
            self._add_new(item)
        return True

    @method(concurrency_group="now")
    async def get_nowait(self, number: int) -> list[Any] | None:
        """Return so many items; None, and take none, if there are fewer."""
        if len(self._items) < number or not current().settle():
            return None
        return [self._take() for _ in range(number)]

    @method(concurrency_group="now")
    async def give_up(self, answer: list[Any], *, many: bool | None) -> None:
        """Nobody wants the answer (a reference, in a list) of a call any more: it waits no longer.

        ``many``: if it has taken something already, whether that is a list of items, or one; None: it was to put one.
        """
        call = answer[0]._entry.oid  # noqa: SLF001  # a call has the number of its answer
        if call in self._putters:
            self._putters.pop(call)[0].set_result(None)
        elif call in self._getters:
            self._getters.pop(call).set_result(None)
        elif many is not None and call not in self._given_up:
            self._given_up.append(call)
            try:
                found = await answer[0]
            except BaseException:  # noqa: BLE001  # then it has got nothing: it was cancelled, say
                return
            for item in (found or []) if many else [found]:
                self._add((0, item))


_KEEPER: Final = ActorClass(_Keeper, {"concurrency_groups": {"put": _WAITING, "now": 100_000}})


def _as_it_is(answer: Any) -> Any:
    return answer


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
        options = {"num_cpus": 0, "max_concurrency": _WAITING, **(actor_options or {})}
        self.actor: Any = _KEEPER.options(**options).remote(maxsize)

    @property
    def _there(self) -> Any:
        """The actor. Raises ActorDiedError if ``shutdown`` was called here."""
        if self.actor is None:
            raise ActorDiedError("the queue was shut down")
        return self.actor

    def __len__(self) -> int:
        return self.size()

    def size(self) -> int:
        """Return how many items there are at this moment."""
        return int(get(self._there.qsize.remote()))

    def qsize(self) -> int:
        """Return how many items there are at this moment."""
        return self.size()

    def empty(self) -> bool:
        """Return whether there is no item at this moment."""
        return not self.size()

    def full(self) -> bool:
        """Return whether there is no room at this moment."""
        return 0 < self.maxsize <= self.size()

    @breathing
    def _begin(self, begun: list[Any], name: str, args: tuple[Any, ...]) -> None:
        """Call a method of the actor, and note its answer: what interrupts this finds both or neither."""
        begun.append(getattr(self._there, name).remote(*args))

    def _wait(self, name: str, *args: Any, many: bool | None = None, then: Callable[[Any], Any] = _as_it_is) -> Any:
        """Call a method of the actor and return what ``then`` makes of its answer.

        See ``give_up`` there for what ``many`` means. What is done here is given up if it is interrupted, and what
        comes behind it is not.
        """
        begun: list[Any] = []
        try:
            self._begin(begun, name, args)
            return then(get(begun[0]))
        except (Empty, Full):
            raise
        except BaseException:
            self._give_up(begun, many=many)
            raise

    async def _wait_async(
        self, name: str, *args: Any, many: bool | None = None, then: Callable[[Any], Any] = _as_it_is
    ) -> Any:
        begun: list[Any] = []
        try:
            self._begin(begun, name, args)
            return then(await begun[0])
        except (Empty, Full):
            raise
        except BaseException:
            self._give_up(begun, many=many)
            raise

    def _give_up(self, begun: list[Any], *, many: bool | None) -> None:
        """Nobody wants the answer any more of the call that was begun, if one was."""
        if begun:
            surely(lambda: self._there.give_up.remote(begun, many=many))
            surely(lambda: cancel(begun[0]))  # if it has not begun to run

    # -- in

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:  # the library's
        """Put an item in, once there is room. Raises Full after ``timeout`` seconds, or at once without ``block``."""
        if not block:
            self._put_now([item])
        else:
            self._wait("put", item, _seconds(timeout))

    async def put_async(self, item: Any, block: bool = True, timeout: float | None = None) -> None:  # noqa: ASYNC109  # the library's
        """``put`` for event loops."""
        if not block:
            _check_room(await self._there.put_nowait.remote([item]), 1)
        else:
            await self._wait_async("put", item, _seconds(timeout))

    def put_nowait(self, item: Any) -> None:
        """Put an item in. Raises Full."""
        self._put_now([item])

    def put_nowait_batch(self, items: Iterable[Any]) -> None:
        """Put all of the items in, in one message. Raises Full, and puts none in, if there is no room for all."""
        if not isinstance(items, Iterable):
            raise TypeError("Argument 'items' must be an Iterable")
        self._put_now(list(items))

    def _put_now(self, items: list[Any]) -> None:
        _check_room(get(self._there.put_nowait.remote(items)), len(items))

    # -- out

    def get(self, block: bool = True, timeout: float | None = None) -> Any:  # the library's
        """Take the oldest item, once there is one. Raises Empty after ``timeout`` seconds, or at once without block."""
        if not block:
            return self.get_nowait()
        return self._wait("get", _seconds(timeout), many=False)

    async def get_async(self, block: bool = True, timeout: float | None = None) -> Any:  # noqa: ASYNC109  # the library's
        """``get`` for event loops."""
        if not block:
            return await self._wait_async("get_nowait", 1, many=True, then=_only)
        return await self._wait_async("get", _seconds(timeout), many=False)

    def get_nowait(self) -> Any:
        """Take the oldest item. Raises Empty."""
        return self._wait("get_nowait", 1, many=True, then=_only)

    def get_nowait_batch(self, num_items: int) -> list[Any]:
        """Take the oldest ``num_items`` items, in one message. Raises Empty, and takes none, if there are fewer."""
        if isinstance(num_items, bool) or not isinstance(num_items, int):
            raise TypeError("Argument 'num_items' must be an int")
        if num_items < 0:
            raise ValueError("'num_items' must be nonnegative")
        items: list[Any] = self._wait("get_nowait", num_items, many=True, then=lambda found: _taken(found, num_items))
        return items

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


def _only(items: list[Any] | None) -> Any:
    return _taken(items, 1)[0]


def _taken(items: list[Any] | None, count: int) -> list[Any]:
    if items is None:
        raise Empty("the queue is empty" if count == 1 else f"there are fewer than {count} items")
    return items
