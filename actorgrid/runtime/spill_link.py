"""The head's end of the spiller: starts it when there is something to copy, and anew when it has died."""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING, Any

from actorgrid.core import messages as m
from actorgrid.core.messages import FromSpiller
from actorgrid.runtime import limits
from actorgrid.runtime.links import Link, pair

if TYPE_CHECKING:
    from actorgrid.runtime.head import HeadProcess


class SpillLink:
    """The link, and the descriptor of the file that outlives the process at the other end."""

    def __init__(self, host: HeadProcess) -> None:
        self.host = host
        self.link: Link[Any] | None = None
        self.file: tuple[int, str] | None = None
        #: Why it could not be started, or be given an object: the machine hears of it at the next turn.
        self.stillborn = ""

    def order(self, order: m.SpillOut | m.SpillIn | m.SpillFree) -> None:
        """Pass an order on, with the segment that it is about."""
        if isinstance(order, m.SpillFree):
            if self.link is not None:  # nobody else would give it back; it is overwritten in time
                self.host.post(self.link, [order])
            return
        if self.stillborn:
            return  # the machine will order it again
        try:
            if self.link is None:
                self._start()
            assert self.link is not None
            segment = os.dup(self.host.segments.descriptor(order.extent.segment))
        except OSError as error:  # too many open files
            self._give_up(f"objects cannot go to the disk, or come back: {limits.told(error, 'the head of the grid')}")
            return
        self.host.post(self.link, [order], [segment])

    def _start(self) -> None:
        ours, theirs = pair()
        ours.setblocking(False)
        self.link = Link(ours, FromSpiller)
        self.host.listen(ours.fileno(), self._event)
        self.host.post(self.host.launcher, [m.SpawnSpiller()], [theirs.detach()])
        if self.file is not None:
            fd, path = self.file
            self.host.post(self.link, [m.SpillFile(path)], [os.dup(fd)])

    def _event(self, mask: int) -> None:
        del mask
        link = self.link
        if link is None:
            return
        try:
            batch = link.receive()
        except BlockingIOError:
            return
        if batch is None:
            self._close()
            self.host.head.hear_spiller(None, time.monotonic())
            return
        for message in batch:
            if isinstance(message, m.SpillFile):
                if claimed := link.claim():
                    self.file = claimed[0], message.path
            elif isinstance(message, m.NoSpiller):  # the launcher says so in its place
                self._give_up(message.reason)
            else:
                self.host.head.hear_spiller(message, time.monotonic())

    def _give_up(self, reason: str) -> None:
        self.stillborn = reason
        self._close()

    def turn(self) -> None:
        """Tell the machine what it has not heard."""
        if self.stillborn:
            reason, self.stillborn = self.stillborn, ""
            self.host.head.hear_spiller(m.NoSpiller(reason), time.monotonic())

    def _close(self) -> None:
        if self.link is not None:
            link, self.link = self.link, None
            self.host.deafen(link)
            with contextlib.suppress(OSError):
                link.close()
