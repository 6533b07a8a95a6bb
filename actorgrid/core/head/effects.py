"""What the head asks its shell to do, apart from sending messages.

Messages wait in the outboxes of peers and workers (``Head.dirty`` lists those with something to send); everything
else is one of these, in order.
"""

from __future__ import annotations

from dataclasses import dataclass

from actorgrid.core.messages import Extent, Segment


@dataclass(frozen=True, slots=True)
class SpawnWorker:
    """Have a worker forked; it will be peer ``number``."""

    number: int


@dataclass(frozen=True, slots=True)
class SignalWorker:
    """Send ``signal`` to a worker's process group; with a ``task`` only if that one's user code runs in it."""

    number: int
    signal: int
    task: int = 0


@dataclass(frozen=True, slots=True)
class CloseWorker:
    """The worker is gone and everything it said is handled: close its links."""

    number: int


@dataclass(frozen=True, slots=True)
class ShowSegment:
    """Send a segment's descriptor before the messages that wait for the reply link (or else the task link)."""

    number: int
    segment: Segment
    reply_link: bool


@dataclass(frozen=True, slots=True)
class PunchExtent:
    """Give the pages of an extent back to the system: its writer is dead."""

    extent: Extent


@dataclass(frozen=True, slots=True)
class DropSegment:
    """Close the descriptor of a segment."""

    segment: int


@dataclass(frozen=True, slots=True)
class MuteOutput:
    """Leave what workers write in their pipes (``mute``), or read it again."""

    mute: bool


@dataclass(frozen=True, slots=True)
class Die:
    """Die without a word once everything is sent: a recorded run is played, and the head died there."""


@dataclass(frozen=True, slots=True)
class Stop:
    """End the grid; ``reason`` is empty for an orderly end."""

    reason: str


Effect = SpawnWorker | SignalWorker | CloseWorker | ShowSegment | PunchExtent | DropSegment | MuteOutput | Die | Stop
