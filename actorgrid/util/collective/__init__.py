"""Collective operations: what a group of processes does with arrays together. The names of ``ray.util.collective``.

Each member calls the same function; each call waits for those of the others. Arrays are numpy's, or torch's on the CPU;
results are written into those that the caller gives. They go through shared memory: each member writes its own once,
and maps those of the others.

Every wait ends: if a member dies, the others get ActorDiedError; if one does not come, TimeoutError; and if they do not
call the same with arrays alike, ValueError. After that the group is over: its members call
``destroy_collective_group``, and may make a new one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from actorgrid.api.absent import Absent, stand_in
from actorgrid.api.basics import get
from actorgrid.api.handle import ActorHandle
from actorgrid.util.collective import rooms
from actorgrid.util.collective.arrays import array_of, arrays_of, looks, reduced, unpacked
from actorgrid.util.collective.groups import Group, check_name, find, member, mine
from actorgrid.util.collective.types import Backend, ReduceOp

__all__ = [
    "Backend",
    "ReduceOp",
    "allgather",
    "allreduce",
    "barrier",
    "broadcast",
    "create_collective_group",
    "destroy_collective_group",
    "get_collective_group_size",
    "get_rank",
    "gloo_available",
    "init_collective_group",
    "is_backend_available",
    "is_group_initialized",
    "nccl_available",
    "recv",
    "reduce",
    "reducescatter",
    "send",
]


if not TYPE_CHECKING:  # else type checkers would take any name for one that there is

    def __getattr__(name: str) -> Absent:
        return stand_in(__name__, name)


# ---------------------------------------------------------------------------------------------------------- groups


def is_backend_available(backend: str) -> bool:
    """Return whether a group may have this backend: a member of ``Backend``, or the name of one in any case.

    Raises TypeError for what is no text.
    """
    try:
        Backend.of(backend)
    except ValueError:
        return False
    return True


def gloo_available() -> bool:
    """Return True."""
    return is_backend_available("gloo")


def nccl_available() -> bool:
    """Return False: arrays go through the memory of this machine, and not from GPU to GPU."""
    return is_backend_available("nccl")


def init_collective_group(
    world_size: int, rank: int, backend: str = "shm", group_name: str = "default", gloo_timeout: int | None = 30_000
) -> None:
    """Make this process member ``rank`` of a group of ``world_size``; each of the others does the same.

    It does not wait for the others: the first operation does. ``gloo_timeout``: how long operations wait for the other
    members (milliseconds; None: for ever); the name is Ray's. Raises TypeError, ValueError (also if the rank is taken,
    or others say another size), RuntimeError if this process is a member already.
    """
    Backend.of(backend)
    _check_size(world_size)
    _check_rank(rank, world_size)
    check_name(group_name)
    patience = _seconds(gloo_timeout)
    if group_name in mine():
        raise RuntimeError(f"this process is a member of the collective group {group_name!r} already")
    mine()[group_name] = Group(group_name, world_size, rank, patience)


def create_collective_group(
    actors: Sequence[ActorHandle[Any]],
    world_size: int,
    ranks: Sequence[int],
    backend: str = "shm",
    group_name: str = "default",
    gloo_timeout: int | None = 30_000,
) -> None:
    """Make a group of actors from outside: ``actors[i]`` has rank ``ranks[i]``. Each joins with its first operation.

    Raises TypeError, ValueError, RuntimeError if there is a group of this name.
    """
    Backend.of(backend)
    _check_size(world_size)
    check_name(group_name)
    members = list(actors)
    for actor in members:
        if not isinstance(actor, ActorHandle):
            raise TypeError(f"a collective group is made of actor handles, not of {type(actor).__name__}")
    if not len(members) == len(ranks) == world_size:
        raise ValueError(
            f"world_size is {world_size}, and there are {len(members)} actors and {len(ranks)} ranks: "
            "each actor has a rank of its own"
        )
    for rank in ranks:
        _check_rank(rank, world_size)
    numbers = [actor._actor_id.ident for actor in members]  # noqa: SLF001  # our own class
    if len(set(ranks)) != world_size or len(set(numbers)) != world_size:
        raise ValueError("each actor has a rank of its own: one of them, or one of the ranks, is there twice")
    ranks_of = dict(zip(numbers, ranks, strict=True))
    if not get(rooms.rooms().declare.remote(group_name, world_size, _seconds(gloo_timeout), ranks_of)):
        raise RuntimeError(f"there is a collective group {group_name!r} already")


def destroy_collective_group(group_name: str = "default") -> None:
    """End this process's membership, or what ``create_collective_group`` has made. Whoever waits gets RuntimeError."""
    check_name(group_name)
    group = mine().pop(group_name, None)
    if group is not None:
        group.leave()
    else:
        get(rooms.rooms().leave.remote(group_name, 0, 0))


def is_group_initialized(group_name: str = "default") -> bool:
    """Return whether this process is a member of the group."""
    check_name(group_name)
    return find(group_name) is not None


def get_rank(group_name: str = "default") -> int:
    """Return this process's rank in the group; -1 if it is no member."""
    check_name(group_name)
    group = find(group_name)
    return -1 if group is None else group.rank


def get_collective_group_size(group_name: str = "default") -> int:
    """Return how many members the group has; -1 if this process is none."""
    check_name(group_name)
    group = find(group_name)
    return -1 if group is None else group.size


# ------------------------------------------------------------------------------------------------------ operations


def allreduce(tensor: Any, group_name: str = "default", op: ReduceOp = ReduceOp.SUM) -> None:
    """Replace the members' arrays by what they are together: their sum, say."""
    group, op = member(group_name), _operation(op)
    array = array_of(tensor, changes=True)
    brought = group.meet("allreduce", [array], op)
    array[...] = reduced(unpacked([each[0] for each in brought], array), op)


def reduce(tensor: Any, dst_rank: int = 0, group_name: str = "default", op: ReduceOp = ReduceOp.SUM) -> None:
    """Replace the array of member ``dst_rank`` by what all are together; the others keep theirs."""
    group, op = member(group_name), _operation(op)
    target = group.check_rank(dst_rank, "dst_rank")
    array = array_of(tensor, changes=group.rank == target)
    brought = group.meet("reduce", [array], op, target)
    if group.rank == target:
        array[...] = reduced(unpacked([each[0] for each in brought], array), op)


def broadcast(tensor: Any, src_rank: int = 0, group_name: str = "default") -> None:
    """Replace the members' arrays by that of member ``src_rank``."""
    group = member(group_name)
    source = group.check_rank(src_rank, "src_rank")
    gives = group.rank == source
    array = array_of(tensor, changes=not gives)
    brought = group.meet("broadcast", [array], source, brings=[array] if gives else [])
    if not gives:
        array[...] = unpacked(brought[source], array)[0]


def allgather(tensor_list: list[Any], tensor: Any, group_name: str = "default") -> None:
    """Put the arrays of all members, in the order of their ranks, into those of ``tensor_list``."""
    group = member(group_name)
    array = array_of(tensor)
    targets = arrays_of(tensor_list, group.size, "tensor_list", changes=True)
    _check_alike([array, *targets], "tensor and the members of tensor_list")
    brought = group.meet("allgather", [array])
    for target, found in zip(targets, unpacked([each[0] for each in brought], array), strict=True):
        target[...] = found


def reducescatter(
    tensor: Any, tensor_list: list[Any], group_name: str = "default", op: ReduceOp = ReduceOp.SUM
) -> None:
    """Put into ``tensor`` what the members' ``tensor_list[rank]`` are together, for this process's rank."""
    group, op = member(group_name), _operation(op)
    array = array_of(tensor, changes=True)
    parts = arrays_of(tensor_list, group.size, "tensor_list")
    _check_alike([array, *parts], "tensor and the members of tensor_list")
    brought = group.meet("reducescatter", parts, op)
    array[...] = reduced(unpacked([each[group.rank] for each in brought], array), op)


def barrier(group_name: str = "default") -> None:
    """Wait until all members are here."""
    member(group_name).meet("barrier", [])


def send(tensor: Any, dst_rank: int, group_name: str = "default") -> None:
    """Send an array, as it is now, to member ``dst_rank``, which takes it with ``recv``. It does not wait for that."""
    group = member(group_name)
    target = group.check_rank(dst_rank, "dst_rank")
    if target == group.rank:
        raise ValueError(f"dst_rank is this process's own rank: {target}")
    group.send(array_of(tensor), target)


def recv(tensor: Any, src_rank: int, group_name: str = "default") -> None:
    """Put the next array that member ``src_rank`` has sent into ``tensor``; wait for it.

    Raises ValueError if that has another shape or type.
    """
    group = member(group_name)
    source = group.check_rank(src_rank, "src_rank")
    if source == group.rank:
        raise ValueError(f"src_rank is this process's own rank: {source}")
    array = array_of(tensor, changes=True)
    array[...] = group.receive(array, source)


# ---------------------------------------------------------------------------------------------------------- checks


def _check_size(size: object) -> None:
    if isinstance(size, bool) or not isinstance(size, int):
        raise TypeError(f"world_size must be an int, not {type(size).__name__}")
    if size < 1:
        raise ValueError(f"world_size must be at least 1: {size}")


def _check_rank(rank: object, size: int) -> None:
    if isinstance(rank, bool) or not isinstance(rank, int):
        raise TypeError(f"rank must be an int, not {type(rank).__name__}")
    if not 0 <= rank < size:
        raise ValueError(f"rank must be from 0 to {size - 1}: {rank}")


def _seconds(milliseconds: object) -> float | None:
    if milliseconds is None:
        return None
    if isinstance(milliseconds, bool) or not isinstance(milliseconds, (int, float)):
        raise TypeError(f"gloo_timeout must be a number of milliseconds or None, not {type(milliseconds).__name__}")
    if not milliseconds > 0:
        raise ValueError(f"gloo_timeout must be positive: {milliseconds}")
    return milliseconds / 1000


def _operation(op: object) -> ReduceOp:
    if not isinstance(op, ReduceOp):
        raise TypeError(f"op must be a ReduceOp, not {type(op).__name__}")
    return op


def _check_alike(arrays: list[Any], what: str) -> None:
    if len(set(looks(arrays))) > 1:
        raise ValueError(f"{what} must be alike in shape and type: {', '.join(dict.fromkeys(looks(arrays)))}")
