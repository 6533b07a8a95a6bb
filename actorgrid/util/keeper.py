"""The actor behind ``coordination``: it keeps what processes wait for together, and learns who has died.

One per namespace, made when it is first needed. Whoever waits does so in a coroutine here, so that it holds up nobody;
releases have places of their own (a concurrency group), so that no number of waiting calls keeps them out.

**Who gives up.** A call that waits can be cancelled, and whoever has made it may be interrupted just when it is
answered. Only the one that asks knows whether it has heard the answer; so every acquire has a ticket, and who has not
heard sends ``withdraw`` with it, at any time: the ticket waits no more, its permit goes to the next one, and an acquire
that comes after its withdrawal gets nothing. (Calls of one process may start here in any order.) If the process dies
instead, the keeper itself withdraws all that it had.

**What is forgotten.** A name is kept for as long as somebody has it, waits for it, or must still be told something.

It may not look at the values that it keeps: they are references.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Iterator
from itertools import count
from threading import BrokenBarrierError
from typing import Any, Final, TypeVar

from actorgrid.api.actor import ActorClass, method
from actorgrid.engine.current import current
from actorgrid.util.names import KEEPER

T = TypeVar("T")
#: Who asks for a permit: a process, and the number that it has given to this call.
Ticket = tuple[int, int]
#: What it is told: whether it has a permit, whether somebody has died with one before, and a number that grows.
Answer = tuple[bool, bool, int]

#: What is told to whoever has got no permit.
_NONE: Final[Answer] = (False, False, 0)
_INTERRUPTED: Final = "one that waited was interrupted"
#: So many calls may wait. They cost a coroutine each.
_WAITING: Final = 1_000_000
#: So many withdrawals are remembered whose call has not come (yet).
_MOST_EARLY: Final = 1024


def told(key: str) -> str:
    """Return what a person calls the thing that is kept under ``key``: its kind, and its name."""
    kind, _, name = key.partition(":")
    return f"{kind} {name!r}"


async def ended(process: int) -> None:
    """Return when a process has ended.

    Not ``await``: that would say after a while for what it waits, and it is no trouble that a process lives on.
    """
    loop = asyncio.get_running_loop()
    over = loop.create_future()

    def settle() -> None:
        if not over.done():
            over.set_result(None)

    def tell(_: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has closed
            loop.call_soon_threadsafe(settle)

    engine = current()
    ref = engine.end_of(process)
    engine.on_ready(ref, tell)
    await over


class _Permits:
    """A semaphore: who has its permits, and who waits for one."""

    # Invariant: self.free >= 0 and (not self.free or not self.waiting)

    def __init__(self, limit: int, tokens: Iterator[int]) -> None:
        self.limit = limit
        #: Who has one, and whether it was told that somebody has died.
        self.holders: dict[Ticket, bool] = {}
        self.waiting: OrderedDict[Ticket, asyncio.Future[Answer]] = OrderedDict()
        #: Somebody has died holding a permit, and nobody was told.
        self.abandoned = False
        self._tokens = tokens

    @property
    def free(self) -> int:
        """How many permits nobody has."""
        return self.limit - len(self.holders)

    def have(self, ticket: Ticket) -> Answer:
        """``ticket`` has a permit from now on; return what it is told."""
        abandoned, self.abandoned = self.abandoned, False
        self.holders[ticket] = abandoned
        return True, abandoned, next(self._tokens)

    def give(self, ticket: Ticket) -> bool:
        """Give on the permit of ``ticket``: the first one that waits has it now. Return whether it had any."""
        if self.holders.pop(ticket, None) is None:
            return False
        if self.waiting:
            heir, future = self.waiting.popitem(last=False)
            future.set_result(self.have(heir))
        return True

    def withdraw(self, ticket: Ticket, *, heard: bool) -> bool:
        """``ticket`` waits no more, and has no permit. Return whether it did.

        ``heard``: it knew that it had one. If it did not, what it was told of the dead is for the next one.
        """
        future = self.waiting.pop(ticket, None)
        if future is not None:
            future.set_result(_NONE)
            return True
        if self.holders.get(ticket) and not heard:
            self.abandoned = True  # the next one is to be told
        return self.give(ticket)

    def bury(self, process: int) -> None:
        """``process`` is dead: it waits for nothing any more, and what it had goes to the next ones."""
        for ticket in [ticket for ticket in self.waiting if ticket[0] == process]:
            self.withdraw(ticket, heard=False)
        for ticket in [ticket for ticket in self.holders if ticket[0] == process]:
            self.abandoned = True
            self.give(ticket)


class _Cell:
    """What is set and cleared, an event or a variable, and who waits until it is set, by call."""

    def __init__(self) -> None:
        #: Empty: it is not set.
        self.value: list[Any] = []
        self.waiting: dict[int, asyncio.Future[list[Any]]] = {}

    def set(self, value: list[Any]) -> None:
        """Set or clear it. Whoever waits has seen this value, even if the next one comes before it runs."""
        self.value = value
        if value:
            for future in self.waiting.values():
                future.set_result(value)
            self.waiting.clear()


class _Meeting:
    """A barrier: who has come, by call, and from where. Each gets its number, or why the barrier has broken."""

    def __init__(self, parties: int) -> None:
        self.parties = parties
        self.broken = False
        self.here: dict[int, tuple[asyncio.Future[int | str], int]] = {}

    def end(self, why: str = "") -> None:
        """Let everybody go: with their numbers, or with the reason why not."""
        here, self.here = self.here, {}
        for index, (future, _) in enumerate(here.values()):
            future.set_result(why or index)

    def break_(self, why: str) -> None:
        """Nobody meets here, until it is reset."""
        self.broken = True
        self.end(why)


class Keeper:
    """See the module."""

    def __init__(self) -> None:
        self._permits: dict[str, _Permits] = {}
        self._cells: dict[str, _Cell] = {}
        self._meetings: dict[str, _Meeting] = {}
        self._watched: dict[int, asyncio.Task[None]] = {}
        #: Of all names: it grows although a name is forgotten meanwhile.
        self._tokens = count(1)
        #: Tickets that were withdrawn before they came. The oldest go when there are too many: most never come.
        self._early: dict[Ticket, None] = {}

    # -- the dead

    def _watch(self, process: int) -> None:
        if process not in self._watched:
            self._watched[process] = asyncio.ensure_future(self._bury(process))

    async def _bury(self, process: int) -> None:
        await ended(process)
        del self._watched[process]
        for name, permits in list(self._permits.items()):
            permits.bury(process)
            self._tidy(name)
        for meeting in self._meetings.values():
            if any(who == process for _, who in meeting.here.values()):
                meeting.break_("a process that waited has died")

    # -- locks and semaphores

    def _known(self, name: str, limit: int) -> _Permits | None:
        permits = self._permits.get(name)
        if permits is not None and permits.limit != limit:
            raise ValueError(f"{told(name)} has {permits.limit} permits, not {limit}: all who use it must say the same")
        return permits

    def _tidy(self, name: str) -> None:
        permits = self._permits.get(name)
        if permits is not None and not permits.holders and not permits.abandoned:
            del self._permits[name]

    async def acquire(self, name: str, limit: int, ticket: Ticket, timeout: float | None) -> Answer:  # noqa: ASYNC109  # the caller's
        """Take a permit within ``timeout`` seconds (0: now; None: some time).

        Return whether there was one, whether a holder has died since the last one was taken, and a number that grows
        from holder to holder.
        """
        permits = self._known(name, limit)
        if ticket in self._early:
            del self._early[ticket]
            return _NONE
        self._watch(ticket[0])
        if permits is None:
            permits = self._permits[name] = _Permits(limit, self._tokens)
        if permits.free:
            return permits.have(ticket)
        if timeout == 0:
            return _NONE
        future = permits.waiting[ticket] = asyncio.get_running_loop().create_future()
        answer = _NONE
        try:
            answer = await _within(future, timeout, _NONE)
        finally:
            if not answer[0]:  # in vain, or the call was cancelled, perhaps just when its turn came
                permits.withdraw(ticket, heard=False)
                self._tidy(name)
        return answer

    @method(concurrency_group="release")
    async def release(self, name: str, ticket: Ticket) -> bool:
        """Give a permit back. Return whether there was any."""
        permits = self._permits.get(name)
        had = permits is not None and permits.give(ticket)
        self._tidy(name)
        return had

    @method(concurrency_group="release")
    async def withdraw(self, name: str, ticket: Ticket, *, heard: bool) -> None:
        """Whoever has asked with ``ticket`` has given up. ``heard``: after it was told that it had a permit."""
        permits = self._permits.get(name)
        found = permits is not None and permits.withdraw(ticket, heard=heard)
        if not found and not heard:
            self._early[ticket] = None
            if len(self._early) > _MOST_EARLY:
                del self._early[next(iter(self._early))]
        self._tidy(name)

    @method(concurrency_group="release")
    async def free(self, name: str, limit: int) -> int:
        """Return how many permits nobody has."""
        permits = self._known(name, limit)
        return limit if permits is None else permits.free

    # -- events and variables

    @method(concurrency_group="release")
    async def set_cell(self, name: str, value: list[Any]) -> None:
        """Keep a value (a reference in a list); an empty list: forget it."""
        cell = self._cells.get(name)
        if cell is None:
            cell = self._cells[name] = _Cell()
        cell.set(value)
        self._tidy_cell(name)

    def _tidy_cell(self, name: str) -> None:
        cell = self._cells.get(name)
        if cell is not None and not cell.value and not cell.waiting:
            del self._cells[name]

    @method(concurrency_group="release")
    async def is_set(self, name: str) -> bool:
        """Return whether there is a value."""
        return name in self._cells and bool(self._cells[name].value)

    async def wait_cell(self, name: str, timeout: float | None) -> list[Any]:  # noqa: ASYNC109  # it is the caller's
        """Return the value (a reference in a list), once there is one; an empty list if there is none in time."""
        cell = self._cells.get(name)
        if cell is not None and cell.value:
            return cell.value
        if timeout == 0:
            return []
        if cell is None:
            cell = self._cells[name] = _Cell()
        future: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
        call = current().context().task
        cell.waiting[call] = future
        try:
            return await _within(future, timeout, [])
        finally:
            cell.waiting.pop(call, None)
            self._tidy_cell(name)

    # -- barriers

    def _meeting(self, name: str, parties: int) -> _Meeting:
        meeting = self._meetings.get(name) or _Meeting(parties)
        if meeting.parties != parties:
            raise ValueError(f"{told(name)} is for {meeting.parties} parties, not {parties}: all must say the same")
        return meeting

    def _keep(self, name: str, meeting: _Meeting) -> None:
        """Keep a meeting that has changed, if it is not as good as new."""
        if meeting.here or meeting.broken:
            self._meetings[name] = meeting
        else:
            self._meetings.pop(name, None)

    async def meet(self, name: str, parties: int, process: int, timeout: float | None) -> int:  # noqa: ASYNC109  # the caller's
        """Wait until all have come; return the number in which this one did. Raises BrokenBarrierError.

        If it is cancelled, or the others do not come in time, that breaks the barrier for all.
        """
        meeting = self._meeting(name, parties)
        if meeting.broken:
            raise BrokenBarrierError(f"the {told(name)} is broken")
        self._watch(process)
        future: asyncio.Future[int | str] = asyncio.get_running_loop().create_future()
        meeting.here[current().context().task] = future, process
        if len(meeting.here) == parties:
            meeting.end()
        self._keep(name, meeting)
        why = _INTERRUPTED
        try:
            await asyncio.wait({future}, timeout=timeout)
            why = f"not everybody has come within {timeout} s"
        finally:
            if not future.done():
                meeting.break_(why)
        result = future.result()
        if isinstance(result, str):
            raise BrokenBarrierError(result)
        return result

    @method(concurrency_group="release")
    async def look(self, name: str, parties: int) -> tuple[int, bool]:
        """Return how many wait at a barrier, and whether it is broken."""
        meeting = self._meeting(name, parties)
        return len(meeting.here), meeting.broken

    @method(concurrency_group="release")
    async def break_up(self, name: str, parties: int, *, again: bool) -> None:
        """Break a barrier; ``again``: make it whole for the next ones."""
        meeting = self._meeting(name, parties)
        meeting.break_("it was reset" if again else "it was aborted")
        meeting.broken = not again
        self._keep(name, meeting)

    # -- whoever waits for any of these

    @method(concurrency_group="release")
    async def give_up(self, name: str, answer: list[Any]) -> None:
        """Nobody wants the answer (a reference, in a list) of a call that waits any more: for a barrier, it breaks."""
        call = answer[0]._entry.oid  # noqa: SLF001  # a call has the number of its answer
        cell, meeting = self._cells.get(name), self._meetings.get(name)
        if cell is not None and call in cell.waiting:
            cell.waiting.pop(call).set_result([])
            self._tidy_cell(name)
        if meeting is not None and call in meeting.here:
            meeting.here.pop(call)[0].set_result(-1)  # an error that nobody asks for would be said aloud
            meeting.break_(_INTERRUPTED)


async def _within(future: asyncio.Future[T], timeout: float | None, otherwise: T) -> T:  # noqa: ASYNC109  # the caller's
    """Return the result of ``future``, or ``otherwise`` after ``timeout`` seconds."""
    await asyncio.wait({future}, timeout=timeout)
    return future.result() if future.done() else otherwise


_KEEPER: Final = ActorClass(Keeper, {"concurrency_groups": {"release": 100_000}})


def keeper() -> Any:
    """Return the handle of this namespace's keeper."""
    return _KEEPER.options(
        name=KEEPER, get_if_exists=True, lifetime="detached", num_cpus=0, max_concurrency=_WAITING
    ).remote()
