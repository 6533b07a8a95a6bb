"""H>C: answers, values that are ready, output, and what the head wants of a client."""

from __future__ import annotations

from typing import Any

from msgspec import field

from actorgrid.core.messages.base import Extent, Struct, Value


class Ready(Struct, tag=50):
    """The object exists. Grants ``value.refs``. ``away``: it must be fetched before it is read."""

    oid: int
    value: Value
    away: bool = False


class Answer(Struct, tag=51):
    """The answer to a Query, CreateActor or LeaseRequest. ``error`` is "" or says what is wrong."""

    request: int
    body: dict[str, Any] = field(default_factory=dict)
    error: str = ""


class Segment(Struct, tag=52):
    """A segment that a later message mentions; its descriptor rides on this frame.

    Size 0: there is none, for the head may have no more, and nobody can read what lies there.
    """

    segment: int
    size: int


class Freed(Struct, tag=53):
    """Extents that this client wrote are unused again. ``cold``: their bytes are not part of its lease any more."""

    extents: tuple[Extent, ...]
    cold: bool = False


class Output(Struct, tag=54):
    """What a worker wrote to its standard output and error."""

    pid: int
    data: bytes


class GridDied(Struct, tag=55):
    """The grid ends, and why; the last message on this link."""

    message: str


class Group(Struct, tag=57):
    """To the driver: a worker's process group exists, or is gone. If all else dies, the driver sweeps the rest."""

    pid: int
    alive: bool


class Notice(Struct, tag=56):
    """Something a person should read (printed on the driver's standard error)."""

    text: str


class Unread(Struct, tag=58):
    """The error of a call of this client, or of its driver's job, whose results nobody referred to any more."""

    value: Value


class Item(Struct, tag=59):
    """The next item of a stream that this client reads. Grants ``oid`` and the refs of its value.

    ``value`` is None if it does not fit the link just now: it follows in a ``Ready``. ``away``: as there.
    """

    task: int
    oid: int
    value: Value | None
    away: bool = False


class Recall(Struct, tag=63):
    """Forget the place of this object unless something reads it; answered with ``Recalled`` and the same ``number``."""

    oid: int
    number: int


class Squeeze(Struct, tag=64):
    """Memory is short: give back what is leased and not used."""
