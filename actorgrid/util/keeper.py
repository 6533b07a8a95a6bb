"""The actor behind ``coordination``: it keeps what processes wait for together, and learns who has died.

One per namespace, made when it is first needed. Whoever waits does so in a coroutine here, so that it holds up nobody;
releases have places of their own (a concurrency group), so that no number of waiting calls keeps them out.

It may not look at the values that it keeps: they are references.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from threading import BrokenBarrierError
from typing import Any, Final

from actorgrid.api.actor import ActorClass, method
from actorgrid.engine.current import current
from actorgrid.util.names import KEEPER

#: What is told to whoever has got no permit.
_NONE: Final = (False, False, 0)
#: So many calls may wait. They cost a coroutine each.
_WAITING: Final = 1_000_000


def _told(key: str) -> str:
    """Return what a person calls the thing that is kept under ``key``: its kind, and its name."""
    kind, _, name = key.partition(":")
    return f"{kind} {name!r}"


class _Permits:
    """A semaphore: who has how many of its permits, and who waits for one."""

    def __init__(self, limit: int) -> None:
        self.limit = self.free = limit
        self.holders: Counter[int] = Counter()
        self.waiting: deque[tuple[asyncio.Future[bool], int]] = deque()
        #: Somebody has died holding a permit, and nobody was told.
        self.abandoned = False
        #: How often a permit was had.
        self.tokens = 0

    def answer(self) -> tuple[bool, bool, int]:
        """Return what whoever has a permit now is told: that it has, ``abandoned``, and its token."""
        self.tokens += 1
        abandoned, self.abandoned = self.abandoned, False
        return True, abandoned, self.tokens

    def give(self, process: int) -> None:
        """``process`` gives a permit back, or has lost it: the first one that waits has it now."""
        self.holders[process] -= 1
        if self.holders[process] <= 0:
            del self.holders[process]
        while self.waiting:
            future, heir = self.waiting.popleft()
            if not future.done():
                self.holders[heir] += 1
                future.set_result(True)
                return
        self.free += 1

    def bury(self, process: int) -> None:
        """``process`` is dead: it waits for nothing any more, and what it had goes to the next ones."""
        for future, who in self.waiting:
            if who == process and not future.done():
                future.set_result(False)
        for _ in range(self.holders[process]):
            self.abandoned = True
            self.give(process)


class _Meeting:
    """A barrier: who has come, by process."""

    def __init__(self, parties: int) -> None:
        self.parties = parties
        self.broken = False
        self.here: list[tuple[asyncio.Future[int], int]] = []

    def end(self, error: BaseException | None) -> None:
        """Let everybody go: with their numbers, or with an error."""
        here, self.here = self.here, []
        for index, (future, _) in enumerate(here):
            if future.done():
                continue
            if error is None:
                future.set_result(index)
            else:
                future.set_exception(error)


class Keeper:
    """See the module."""

    def __init__(self) -> None:
        self._permits: dict[str, _Permits] = {}
        self._events: dict[str, asyncio.Event] = {}
        self._values: dict[str, list[Any]] = {}
        self._set: dict[str, asyncio.Event] = {}
        self._meetings: dict[str, _Meeting] = {}
        self._watched: dict[int, asyncio.Task[None]] = {}

    # -- the dead

    def _watch(self, process: int) -> None:
        if process not in self._watched:
            self._watched[process] = asyncio.ensure_future(self._bury(process))

    async def _bury(self, process: int) -> None:
        await current().end_of(process)
        del self._watched[process]
        for permits in self._permits.values():
            permits.bury(process)
        for meeting in self._meetings.values():
            if any(who == process for _, who in meeting.here):
                self._break(meeting, "a process that waited has died")

    # -- locks and semaphores

    def _named(self, name: str, limit: int) -> _Permits:
        permits = self._permits.setdefault(name, _Permits(limit))
        if permits.limit != limit:
            raise ValueError(
                f"{_told(name)} has {permits.limit} permits, not {limit}: all who use it must say the same"
            )
        return permits

    async def acquire(
        self,
        name: str,
        limit: int,
        process: int,
        timeout: float | None,  # noqa: ASYNC109  # it is the caller's
    ) -> tuple[bool, bool, int]:
        """Take a permit within ``timeout`` seconds (0: now; None: some time).

        Return whether there was one, whether a holder has died since the last one was taken, and a number that grows
        from holder to holder.
        """
        permits = self._named(name, limit)
        self._watch(process)
        if permits.free:
            permits.free -= 1
            permits.holders[process] += 1
        elif timeout == 0:
            return _NONE
        else:
            future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
            permits.waiting.append((future, process))
            if not await self._waited(future, timeout, permits, process):
                return _NONE
        return permits.answer()

    async def _waited(
        self,
        future: asyncio.Future[bool],
        timeout: float | None,  # noqa: ASYNC109  # it is the caller's
        permits: _Permits,
        process: int,
    ) -> bool:
        try:
            await asyncio.wait({future}, timeout=timeout)
        except asyncio.CancelledError:  # the call was cancelled, perhaps just after it got what it wanted
            if future.done() and future.result():
                permits.give(process)
            future.cancel()
            raise
        if future.done():
            return future.result()
        future.cancel()
        return False

    @method(concurrency_group="release")
    async def release(self, name: str, process: int) -> None:
        """Give a permit back. Raises RuntimeError if this process has none."""
        permits = self._permits.get(name)
        if permits is None or not permits.holders[process]:
            raise RuntimeError(f"{_told(name)} is released by a process that does not hold it")
        permits.give(process)

    @method(concurrency_group="release")
    async def free(self, name: str, limit: int) -> int:
        """Return how many permits nobody has."""
        return self._named(name, limit).free

    # -- events

    def _event(self, name: str) -> asyncio.Event:
        return self._events.setdefault(name, asyncio.Event())

    @method(concurrency_group="release")
    async def set_event(self, name: str, *, to: bool) -> None:
        """Set or clear an event."""
        event = self._event(name)
        event.set() if to else event.clear()

    @method(concurrency_group="release")
    async def is_set(self, name: str) -> bool:
        """Return whether an event is set."""
        return self._event(name).is_set()

    async def wait_event(self, name: str, timeout: float | None) -> bool:  # noqa: ASYNC109  # it is the caller's
        """Wait until an event is set; return whether it is."""
        return await _within(self._event(name), timeout)

    # -- variables

    @method(concurrency_group="release")
    async def set_value(self, name: str, value: list[Any]) -> None:
        """Keep a value (a reference in a list); an empty list: forget it."""
        there = self._set.setdefault(name, asyncio.Event())
        self._values[name] = value
        if value:
            there.set()
        else:
            there.clear()

    async def value(self, name: str, timeout: float | None) -> list[Any]:  # noqa: ASYNC109  # it is the caller's
        """Return the value (a reference in a list), once there is one; an empty list if there is none in time."""
        there = self._set.setdefault(name, asyncio.Event())
        return self._values[name] if await _within(there, timeout) else []

    # -- barriers

    def _meeting(self, name: str, parties: int) -> _Meeting:
        meeting = self._meetings.setdefault(name, _Meeting(parties))
        if meeting.parties != parties:
            raise ValueError(f"{_told(name)} is for {meeting.parties} parties, not {parties}: all must say the same")
        return meeting

    async def meet(
        self,
        name: str,
        parties: int,
        process: int,
        timeout: float | None,  # noqa: ASYNC109  # it is the caller's
    ) -> int:
        """Wait until all have come; return the number in which this one did. Raises BrokenBarrierError."""
        meeting = self._meeting(name, parties)
        if meeting.broken:
            raise BrokenBarrierError(f"the {_told(name)} is broken")
        self._watch(process)
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        meeting.here.append((future, process))
        if len(meeting.here) == parties:
            meeting.end(None)
        await asyncio.wait({future}, timeout=timeout)
        if not future.done():
            self._break(meeting, f"not everybody has come within {timeout} s")
        return future.result()

    def _break(self, meeting: _Meeting, why: str) -> None:
        meeting.broken = True
        meeting.end(BrokenBarrierError(why))

    @method(concurrency_group="release")
    async def look(self, name: str, parties: int) -> tuple[int, bool]:
        """Return how many wait at a barrier, and whether it is broken."""
        meeting = self._meeting(name, parties)
        return len(meeting.here), meeting.broken

    @method(concurrency_group="release")
    async def break_up(self, name: str, parties: int, *, again: bool) -> None:
        """Break a barrier; ``again``: make it whole for the next ones."""
        meeting = self._meeting(name, parties)
        self._break(meeting, "it was aborted" if not again else "it was reset")
        meeting.broken = not again


async def _within(event: asyncio.Event, timeout: float | None) -> bool:  # noqa: ASYNC109  # it is the caller's
    try:
        await asyncio.wait_for(event.wait(), timeout)
    except TimeoutError:
        pass
    return event.is_set()


_KEEPER: Final = ActorClass(Keeper, {"concurrency_groups": {"release": 100_000}})


def keeper() -> Any:
    """Return the handle of this namespace's keeper."""
    return _KEEPER.options(
        name=KEEPER, get_if_exists=True, lifetime="detached", num_cpus=0, max_concurrency=_WAITING
    ).remote()
