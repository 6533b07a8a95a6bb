"""What all messages are made of: the base class, values, failures and places in shared memory."""

from __future__ import annotations

import enum
from typing import Final

import msgspec


class Status(enum.IntEnum):
    """What the payload of a value is."""

    OK = 0  # the pickled value
    ERROR = 1  # a pickled exception: user code raised
    FAILURE = 2  # a Failure, encoded: the grid says why there is no value


#: Under a name of its own: looking it up takes longer than what it is compared with (see ``Kind``).
OK: Final = Status.OK


class FailureKind(enum.StrEnum):
    """Why the grid, not the user's code, has no value to give."""

    WORKER_CRASHED = "worker_crashed"
    ACTOR_DIED = "actor_died"
    ACTOR_UNAVAILABLE = "actor_unavailable"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed_out"
    OBJECT_LOST = "object_lost"
    STORE_FULL = "store_full"
    INFEASIBLE = "infeasible"
    TOO_MANY_WORKERS = "too_many_workers"
    INTERNAL = "internal"
    OUT_OF_DISK = "out_of_disk"
    OUT_OF_MEMORY = "out_of_memory"
    RESOURCE_LIMIT = "resource_limit"
    REPLAY = "replay"
    SETUP_FAILED = "setup_failed"
    GROUP_REMOVED = "group_removed"
    ACTOR_GROUP_REMOVED = "actor_group_removed"


class Struct(msgspec.Struct, array_like=True, gc=False):
    """Base of all that travels: compact, typed, and outside the garbage collector (records hold no cycles)."""


class Extent(Struct):
    """A place in shared memory: ``size`` bytes at ``offset`` of ``segment``."""

    segment: int
    offset: int
    size: int


class Failure(Struct):
    """A system error in plain data; clients turn it into the exception of its kind."""

    kind: FailureKind
    message: str
    pid: int = 0
    #: Exit code if >= 0, minus the signal number if negative, None if it does not apply.
    status: int | None = None
    name: str = ""
    actor: int = 0
    task: int = 0
    #: The actor's constructor raised (``ActorDiedError.actor_init_failed``).
    init_failed: bool = False
    #: The pickled exception behind it, if user code raised one.
    cause: bytes = b""


class Value(Struct):
    """A result, an argument, or a put object: its status and where its bytes are."""

    status: Status
    data: bytes = b""
    extent: Extent | None = None
    refs: tuple[int, ...] = ()
    #: The names of the tasks that did not run because this, the failure of an argument, came instead of a value; the
    #: one that got it first comes first. Of a long chain, some in the middle are left out.
    not_run: tuple[str, ...] = ()


_failure = msgspec.msgpack.Decoder(Failure)


def failure_kind(value: Value) -> FailureKind:
    """Return why there is no value. ``value`` stands for a failure of the grid."""
    return _failure.decode(value.data).kind
