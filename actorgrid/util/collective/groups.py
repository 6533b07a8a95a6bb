"""A member's side of a group: which groups this process belongs to, and how it meets the others."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, Final

from actorgrid.api.basics import get
from actorgrid.engine.current import current
from actorgrid.exceptions import ActorDiedError
from actorgrid.util.collective import rooms
from actorgrid.util.collective.arrays import looks, packed, unpacked

if TYPE_CHECKING:
    from actorgrid.util.collective.arrays import Array


class Group:
    """This process's membership in a group."""

    def __init__(self, name: str, size: int, rank: int, patience: float | None) -> None:
        """Join. ``patience``: seconds that a call waits for the others. Raises ValueError."""
        self.name = name
        self.size = size
        self.rank = rank
        self._patience = patience
        self._rooms: Any = rooms.rooms()
        self._room: int = get(self._rooms.join.remote(name, size, rank, current().process()))
        self._turn = 0

    def check_rank(self, rank: object, what: str) -> int:
        """Return ``rank`` if there is such a member. Raises TypeError, ValueError."""
        if isinstance(rank, bool) or not isinstance(rank, int):
            raise TypeError(f"{what} must be an int, not {type(rank).__name__}")
        if not 0 <= rank < self.size:
            raise ValueError(f"{what} must be from 0 to {self.size - 1}: {rank}")
        return rank

    def meet(self, name: str, arrays: list[Array], *details: Any, brings: list[Array] | None = None) -> list[list[Any]]:
        """Wait until all members call the same with arrays alike; return what each brings, by rank, packed.

        ``arrays``: what must be alike; ``brings``: what the others may want of it, all unless told otherwise.
        """
        mine = [packed(array) for array in (arrays if brings is None else brings)]
        turn, self._turn = self._turn, self._turn + 1
        what = (name, *details, *looks(arrays))
        answer = get(self._rooms.meet.remote(self._room, turn, self.rank, what, mine, self._patience))
        brought: list[list[Any]] = self._checked(answer)
        return brought

    def send(self, array: Array, target: int) -> None:
        """Leave an array for a member."""
        self._checked(get(self._rooms.send.remote(self._room, self.rank, target, packed(array), looks([array]))))

    def receive(self, array: Array, source: int) -> Array:
        """Take what a member has sent, which must look like ``array``; wait for it."""
        answer = get(self._rooms.receive.remote(self._room, source, self.rank, self._patience))
        found, look = self._checked(answer)
        if look != looks([array]):
            raise ValueError(f"rank {source} has sent {look[0]}, and recv() was given {looks([array])[0]} to put it in")
        return unpacked([found], array)[0]

    def _checked(self, answer: rooms.Answer) -> Any:
        how, rest = answer
        if how == rooms.OK:
            return rest
        again = "Every member that is left must call destroy_collective_group() before the group can be made again."
        if how == rooms.DIED:
            raise ActorDiedError(f"rank {rest} of the collective group {self.name!r} has died. {again}")
        if how == rooms.LEFT:
            raise RuntimeError(f"rank {rest} has destroyed the collective group {self.name!r}. {again}")
        if how == rooms.LATE:
            who = f"ranks {', '.join(map(str, rest))} of" if len(rest) > 1 else f"rank {rest[0]} of"
            raise TimeoutError(f"{who} the collective group {self.name!r} did not come in time. {again}")
        raise ValueError(f"the members of the collective group {self.name!r} disagree: {rest}. {again}")

    def leave(self) -> None:
        """Be a member no more."""
        get(self._rooms.leave.remote(self.name, self._room, self.rank))


#: The groups of each process; in a simulation there are many in one.
_groups: Final[weakref.WeakKeyDictionary[Any, dict[str, Group]]] = weakref.WeakKeyDictionary()


def mine() -> dict[str, Group]:
    """Return the groups that this process has joined, by name."""
    return _groups.setdefault(current(), {})


def find(name: str) -> Group | None:
    """Return this process's membership in a group, and join it if this actor was made a member; None if it is none."""
    joined = mine()
    group = joined.get(name)
    actor = current().context().actor
    if group is None and actor:
        told = get(rooms.rooms().declared.remote(name, actor))
        if told is not None:
            size, rank, patience = told
            group = joined[name] = Group(name, size, rank, patience)
    return group


def member(name: str) -> Group:
    """Return this process's membership in a group. Raises TypeError, RuntimeError."""
    check_name(name)
    group = find(name)
    if group is None:
        raise RuntimeError(
            f"this process is no member of the collective group {name!r}: call init_collective_group() here, or "
            "create_collective_group() where its actors are made"
        )
    return group


def check_name(name: object) -> None:
    """Raise TypeError or ValueError unless ``name`` can be a group's."""
    if not isinstance(name, str):
        raise TypeError(f"group_name must be a str, not {type(name).__name__}")
    if not name:
        raise ValueError("group_name must not be empty")
