"""What the head makes of what its clients send, whatever that is.

User code shares a process with a client's links, and may write into them. What comes then is no message, or a message
that makes no sense. Either costs its sender, who is never listened to again, and nobody else: as long as the machine
is what it should be (``check`` sees to that) the others go on with it, else the grid ends and says why.
"""

from __future__ import annotations

import time
import traceback
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final

from actorgrid.core import messages as m
from actorgrid.exceptions import InternalError
from actorgrid.wire.codec import FrameError

if TYPE_CHECKING:
    from actorgrid.core.head.machine import Head
    from actorgrid.runtime.links import Link
    from actorgrid.runtime.segments import SegmentTable

#: A descriptor comes with the frame that announces it; so many may wait for a frame that is not complete.
UNCLAIMED: Final = 16


def read(link: Link[Any]) -> tuple[list[Any] | None, str]:
    """Read once. Returns the messages (None: the link has ended), and what was wrong behind them, if anything was.

    That is the rest of a sentence: "this program …". Raises BlockingIOError.
    """
    try:
        batch = link.receive()
    except FrameError as error:
        return error.before, f"sent what is no message ({error})"
    if len(link.fds) > UNCLAIMED:
        return batch, "sent descriptors that it never mentioned"
    return batch, ""


def take(
    head: Head, segments: SegmentTable, number: int, link: Link[Any], batch: list[Any], *, alone: bool = False
) -> str:
    """Have the machine take what client ``number`` says. Returns what is wrong with it, as ``read`` does.

    Raises AssertionError if that has left something in the machine that cannot be, and what the machine raises if there
    is nobody to go on for (``alone``).
    """
    try:
        if m.NewSegment in map(type, batch):
            _adopt(segments, link, batch)
        head.handle(number, batch, time.monotonic())
    except Exception as error:
        if alone:
            raise
        return _refused(head, error)
    return ""


def take_leftover(head: Head, number: int, link: Link[Any], body: bytes) -> str:
    """Do the same with what a dead worker had finished and not sent. It lay in memory that any code may have spoilt."""
    try:
        batch = link.decode_body(body)
    except InternalError:  # torn by whatever ended the process
        return ""
    try:
        if m.NewSegment in map(type, batch):
            raise InternalError("a segment is never announced there")
        head.handle_leftover(number, batch, time.monotonic())
    except Exception as error:  # noqa: BLE001  # whatever it is
        return _refused(head, error)
    return ""


def _refused(head: Head, error: Exception) -> str:
    from actorgrid.core.head.check import check  # a file that no head needs but one that hears nonsense

    check(head)
    place = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{PurePath(place.filename).name}, line {place.lineno}"
    return f"said what makes no sense ({type(error).__name__}: {error!s:.200}; {where})"


def _adopt(segments: SegmentTable, link: Link[Any], batch: list[Any]) -> None:
    """Keep the descriptors of new segments, which came along."""
    for message in batch:
        if isinstance(message, m.NewSegment):
            try:
                claimed = link.claim()
            except LookupError as error:
                raise InternalError(f"segment {message.segment} came without its descriptor") from error
            if claimed:
                segments.add(message.segment, message.size, claimed[0])
            else:
                segments.miss(message.segment, message.size)
