"""The actor where the members of groups meet: it brings what each has to all, and learns who has died.

One per namespace, made when it is first needed. It never looks at an array: what it hands on are the bytes of small
ones, and references to objects in shared memory, which whoever needs them maps.

A *room* is one life of a group, from its first member's coming to its last member's end. As soon as a member leaves,
dies, or does not come in time, the room is closed: whoever waits there, or comes back to it, is told why, and who joins
the group from then on finds a new room.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from typing import Any, Final

from actorgrid.api.actor import ActorClass
from actorgrid.util.keeper import ended
from actorgrid.util.names import ROOMS

#: What a call is told: a word that says how it went, and what belongs to it.
Answer = tuple[str, Any]

OK: Final = "ok"
#: Rank that has died; rank that has left; ranks that have not come in time; text of what did not match.
DIED: Final = "died"
LEFT: Final = "left"
LATE: Final = "late"
MISMATCH: Final = "mismatch"

_WAITING: Final = 1_000_000
#: Seconds that whoever comes to a place that is taken waits: its member may be about to end, its handle just dropped.
ENDING: Final = 3.0


class _Meeting:
    """One operation: who has come with what."""

    def __init__(self, what: tuple[Any, ...], rank: int) -> None:
        self.what = what
        self.first = rank
        self.brought: dict[int, list[Any]] = {}
        self.over: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()


class _Letters:
    """What one member has sent to another one, or waits for."""

    def __init__(self) -> None:
        self.sent: deque[Any] = deque()
        self.wanted: deque[asyncio.Future[Answer]] = deque()


class _Room:
    """See the module."""

    def __init__(self, group: str, size: int) -> None:
        self.group = group
        self.size = size
        #: Rank to process, of those that are here.
        self.members: dict[int, int] = {}
        #: Ranks that were here and are not any more.
        self.gone: set[int] = set()
        #: Why nothing can happen here any more.
        self.closed: Answer | None = None
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.meetings: dict[int, _Meeting] = {}
        self.letters: dict[tuple[int, int], _Letters] = {}

    def close(self, why: Answer) -> Answer:
        """Nothing happens here any more; return what all are told."""
        if self.closed is None:
            self.closed = why
            self.ended.set_result(None)
            futures = [meeting.over for meeting in self.meetings.values()]
            for letters in self.letters.values():
                futures += letters.wanted
            for future in futures:
                if not future.done():
                    future.set_result(why)
            self.meetings.clear()
            self.letters.clear()
        return self.closed

    def missing(self, here: Mapping[int, Any]) -> list[int]:
        """Return the ranks that have not come."""
        return [rank for rank in range(self.size) if rank not in here]


class Rooms:
    """See the module."""

    def __init__(self) -> None:
        self._rooms: dict[int, _Room] = {}
        self._made = 0
        #: Group to the room that one may join.
        self._open: dict[str, int] = {}
        #: Group to its size, its patience (seconds), and the rank of each actor, for those that were made from outside.
        self._declared: dict[str, tuple[int, float | None, dict[int, int]]] = {}
        self._watched: dict[int, asyncio.Task[None]] = {}

    # -- who belongs to what

    async def declare(self, group: str, size: int, patience: float | None, ranks: dict[int, int]) -> bool:
        """Note which actors are a group; return False if the name is taken."""
        if group in self._declared or group in self._open:
            return False
        self._declared[group] = size, patience, ranks
        return True

    async def declared(self, group: str, actor: int) -> tuple[int, int, float | None] | None:
        """Return (size, rank, patience) of an actor that was declared a member; None if it was not."""
        size, patience, ranks = self._declared.get(group, (0, None, {}))
        return (size, ranks[actor], patience) if actor in ranks else None

    async def join(self, group: str, size: int, rank: int, process: int) -> int:
        """Come in; return the number of the room.

        Raises ValueError if the size is another or the rank is taken, and stays so for ``ENDING`` seconds.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + ENDING
        while taken := self._taken(group, size, rank):
            if loop.time() >= end:
                raise ValueError(taken)
            await asyncio.wait({self._rooms[self._open[group]].ended}, timeout=end - loop.time())
        number = self._open.get(group, 0)
        if not number:
            self._made = number = self._made + 1
            self._rooms[number] = _Room(group, size)
            self._open[group] = number
        self._rooms[number].members[rank] = process
        if process not in self._watched:
            self._watched[process] = asyncio.ensure_future(self._bury(process))
        return number

    def _taken(self, group: str, size: int, rank: int) -> str:
        """Return why nobody may come in as this, "" if somebody may."""
        room = self._rooms.get(self._open.get(group, 0))
        if room is not None and room.size != size:
            return f"the collective group {group!r} has {room.size} members, not {size}: all must say the same"
        if room is not None and rank in room.members:
            return f"the collective group {group!r} has another member of rank {rank}"
        return ""

    async def leave(self, group: str, number: int, rank: int) -> None:
        """A member does not want to be one any more (``number`` 0: it never was); the group is not declared, either."""
        self._declared.pop(group, None)
        if number in self._rooms:
            self._lose(number, rank, LEFT)

    async def _bury(self, process: int) -> None:
        await ended(process)
        del self._watched[process]
        for number, room in list(self._rooms.items()):
            for rank in [rank for rank, who in room.members.items() if who == process]:
                self._lose(number, rank, DIED)

    def _lose(self, number: int, rank: int, how: str) -> None:
        room = self._rooms[number]
        room.members.pop(rank, None)
        self._shut(number, (how, rank))
        if not room.members:
            del self._rooms[number]

    def _shut(self, number: int, why: Answer) -> Answer:
        room = self._rooms[number]
        if self._open.get(room.group) == number:
            del self._open[room.group]
        return room.close(why)

    # -- what they do there

    async def meet(
        self, number: int, turn: int, rank: int, what: tuple[Any, ...], brings: list[Any], patience: float | None
    ) -> Answer:
        """Wait for the other members' calls number ``turn``; return what each has brought, by rank.

        ``what`` must be the same for all.
        """
        room = self._rooms[number]
        if room.closed is not None:
            return room.closed
        meeting = room.meetings.setdefault(turn, _Meeting(what, rank))
        if meeting.what != what:
            text = f"rank {meeting.first} calls {_shown(meeting.what)} where rank {rank} calls {_shown(what)}"
            return self._shut(number, (MISMATCH, text))
        meeting.brought[rank] = brings
        if len(meeting.brought) == room.size:
            del room.meetings[turn]
            meeting.over.set_result((OK, [meeting.brought[each] for each in range(room.size)]))
        return await self._told(number, meeting.over, patience, meeting.brought)

    async def _told(
        self, number: int, future: asyncio.Future[Answer], patience: float | None, here: Mapping[int, Any]
    ) -> Answer:
        await asyncio.wait({future}, timeout=patience)
        if future.done():
            return future.result()
        return self._shut(number, (LATE, self._rooms[number].missing(here)))  # its members are here: one of them asks

    async def send(self, number: int, source: int, target: int, brings: Any, what: tuple[Any, ...]) -> Answer:
        """Leave something for a member, which may come for it later."""
        room = self._rooms[number]
        if room.closed is not None:
            return room.closed
        letters = room.letters.setdefault((source, target), _Letters())
        answer = (OK, (brings, what))
        while letters.wanted:
            future = letters.wanted.popleft()
            if not future.done():
                future.set_result(answer)
                return OK, None
        letters.sent.append(answer)
        return OK, None

    async def receive(self, number: int, source: int, target: int, patience: float | None) -> Answer:
        """Take what a member has left for another one; wait for it."""
        room = self._rooms[number]
        if room.closed is not None:
            return room.closed
        letters = room.letters.setdefault((source, target), _Letters())
        if letters.sent:
            answer: Answer = letters.sent.popleft()
            return answer
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        letters.wanted.append(future)
        here = dict.fromkeys(set(range(room.size)) - {source})
        return await self._told(number, future, patience, here)


def _shown(what: tuple[Any, ...]) -> str:
    name, *details = what
    return f"{name}({', '.join(str(detail) for detail in details)})"


_ROOMS: Final = ActorClass(Rooms, {})


def rooms() -> Any:
    """Return the handle of this namespace's actor."""
    return _ROOMS.options(
        name=ROOMS, get_if_exists=True, lifetime="detached", num_cpus=0, max_concurrency=_WAITING
    ).remote()
