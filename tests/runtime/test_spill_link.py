"""The head's end of the spiller, when the machine has no descriptor left for it."""

from __future__ import annotations

import errno
import os
import re
import socket
from collections.abc import Callable
from typing import Any

import pytest

from actorgrid.core import messages as m
from actorgrid.core.messages import Extent
from actorgrid.runtime import spill_link
from actorgrid.runtime.links import Link
from actorgrid.runtime.spill_link import SpillLink


class FakeHead:
    def __init__(self) -> None:
        self.heard: list[Any] = []

    def hear_spiller(self, message: Any, now: float) -> None:
        del now
        self.heard.append(message)


class FakeHost:
    def __init__(self) -> None:
        self.head = FakeHead()
        self.posted: list[Any] = []
        self.launcher = None
        self.segments = self
        #: The other end of a link that was made.
        self.given: list[int] = []
        self.happens: Callable[[], None] = lambda: None

    def post(self, link: Any, batch: list[Any], fds: list[int] | None = None) -> None:
        self.posted += batch
        if link is self.launcher:
            self.given += fds or ()
        else:
            for fd in fds or ():
                os.close(fd)

    def listen(self, fd: int, handler: Callable[[int], None]) -> None:
        self.happens = lambda: handler(fd)

    def deafen(self, link: Any) -> None: ...

    def descriptor(self, segment: int) -> int:
        return 0 if segment else -1


def refuse(*_: object) -> Any:
    raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


def test_machine_hears_of_a_process_that_cannot_be_started_at_the_next_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    host = FakeHost()
    link = SpillLink(host)  # type: ignore[arg-type]  # all that it asks of its host here
    monkeypatch.setattr(spill_link, "pair", refuse)
    order = m.SpillOut(1, Extent(1, 0, 1 << 16), 0)
    link.order(order)
    link.order(order)
    assert link.stillborn
    assert not host.head.heard
    link.turn()
    (told,) = host.head.heard
    assert re.search("Too many open files: the head .* may have [0-9]+ descriptors, and all are taken", told.reason)
    assert not link.stillborn
    assert not host.posted


def test_machine_hears_that_the_launcher_cannot_start_that_process() -> None:
    host = FakeHost()
    link = SpillLink(host)  # type: ignore[arg-type]  # as above
    link.order(m.SpillOut(1, Extent(1, 0, 1 << 16), 0))
    with socket.socket(fileno=host.given.pop()) as theirs:
        Link(theirs, m.ToSpiller).send([m.NoSpiller("no processes")])
    host.happens()
    link.turn()
    assert host.head.heard == [m.NoSpiller("no processes")]


def test_nothing_is_started_only_to_free_what_is_on_disk() -> None:
    host = FakeHost()
    SpillLink(host).order(m.SpillFree(0, 1 << 16))  # type: ignore[arg-type]  # as above
    assert not host.posted
