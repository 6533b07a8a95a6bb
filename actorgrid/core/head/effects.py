"""What the head asks its shell to do, apart from sending messages.

Messages wait in the outboxes of peers and workers (``Head.dirty`` lists those with something to send); everything
else is one of these, in order.
"""

from __future__ import annotations

import msgspec

from actorgrid.core.messages import Extent, Segment, SpillFree, SpillIn, SpillOut


class SpawnWorker(msgspec.Struct, frozen=True):
    """Have a worker forked; it will be peer ``number``."""

    number: int


class SignalWorker(msgspec.Struct, frozen=True):
    """Send ``signal`` to a worker's process group; with a ``task`` only if that one's user code runs in it."""

    number: int
    signal: int
    task: int = 0


class CloseWorker(msgspec.Struct, frozen=True):
    """The worker is gone and everything it said is handled: close its links."""

    number: int


class ShowSegment(msgspec.Struct, frozen=True):
    """Send a segment's descriptor before the messages that wait for the reply link (or else the task link)."""

    number: int
    segment: Segment
    reply_link: bool


class PunchExtent(msgspec.Struct, frozen=True):
    """Give the pages of an extent back to the system: its writer is dead."""

    extent: Extent


class DropSegment(msgspec.Struct, frozen=True):
    """Close the descriptor of a segment."""

    segment: int


class MuteOutput(msgspec.Struct, frozen=True):
    """Leave what the workers of driver ``number`` write in their pipes (``mute``), or read it again."""

    number: int
    mute: bool


class LookAtMemory(msgspec.Struct, frozen=True):
    """Find out how much memory is in use, and say so with ``Head.pressure.seen``."""


class Die(msgspec.Struct, frozen=True):
    """Die without a word once everything is sent: a recorded run is played, and the head died there."""


class Stop(msgspec.Struct, frozen=True):
    """End the grid; ``reason`` is empty for an orderly end."""

    reason: str


class Spill(msgspec.Struct, frozen=True):
    """Tell the process that owns the spill file, which is started if there is none. It does one thing at a time."""

    order: SpillOut | SpillIn | SpillFree


Effect = (
    SpawnWorker
    | SignalWorker
    | CloseWorker
    | ShowSegment
    | PunchExtent
    | DropSegment
    | MuteOutput
    | LookAtMemory
    | Die
    | Stop
    | Spill
)
