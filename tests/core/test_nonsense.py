"""Messages that are well formed and make no sense: the machine refuses them whole, and goes on without their sender."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actorgrid.core import ids
from actorgrid.core import messages as m
from actorgrid.core.head.check import check
from actorgrid.core.messages import Kind
from actorgrid.exceptions import InternalError
from actorgrid.wire.codec import LENGTH, Decoder, FrameError, encode_frame, encode_message
from tests.core.script import Script
from tests.core.test_programs import programs
from tests.core.world import World

pytestmark = pytest.mark.search


class Garbled(World):
    """A world in which one message is damaged on its way. If the machine refuses it, its sender is expelled."""

    damage: Callable[[bytes], bytes] = bytes
    #: So many messages arrive as they are; -1: it has happened.
    before = 0
    refused = ""

    def _deliver(self, source: int, batch: list[Any]) -> None:
        count, self.before = self.before, self.before - len(batch)
        if not 0 <= count < len(batch):
            super()._deliver(source, batch)
            return
        super()._deliver(source, batch[:count])
        data = self.damage(encode_message(batch[count]))
        self.before = -1
        try:
            damaged = Decoder[Any](m.ToHead).feed(LENGTH.pack(len(data) + 1) + b"\x91" + data)
        except FrameError:
            damaged = []  # the shell knows what to do
        try:
            self.head.handle(source, damaged, self.now)
        except Exception as error:  # noqa: BLE001  # as the shell does
            self.refused = repr(error)
        check(self.head)
        if damaged and not self.refused:
            raise UnderstoodError  # as something else
        self._expel(source)

    def _expel(self, number: int) -> None:
        if number not in self.hosts:
            worker = self.workers[number]
            worker.outbox.clear()
            worker.client.outbox.clear()
            worker.sent = []  # nor does the shell look at what it leaves behind
            self.die(worker, -9)
        elif number != ids.DRIVER:
            self.hosts[number].outbox.clear()
            self.leave(number)
        else:
            raise UnderstoodError  # it is the one whose end is everybody's


class UnderstoodError(Exception):
    """The damaged message is a good one."""


@settings(max_examples=300, deadline=None)
@given(programs(), programs(), st.integers(0, 40), st.data())
def test_message_that_makes_no_sense_is_refused_and_leaves_nothing_behind(
    one: Script, other: Script, before: int, data: st.DataObject
) -> None:
    def flip(message: bytes) -> bytes:
        found = bytearray(message)
        for place in data.draw(st.lists(st.integers(0, 8 * len(found) - 1), min_size=1, max_size=2)):
            found[place // 8] ^= 1 << place % 8
        return bytes(found)

    world = Garbled(drivers=2, most=20)
    world.before, world.damage = before, flip
    try:
        world.run(one, lambda count: data.draw(st.integers(0, count - 1)), 60, other)
    except UnderstoodError:
        pass


def test_no_client_registers_what_is_not_a_call() -> None:
    world = World()
    for spec in (
        m.Spec(1, Kind.RESERVATION, "room"),
        m.Spec(1, Kind.TASK, "more than nothing", demand=(("CPU", 10_000), ("GPU", -1))),
    ):
        with pytest.raises(InternalError, match="nobody may register"):
            world.head.handle(ids.DRIVER, Decoder[Any](m.ToHead).feed(encode_frame([spec])), 0.0)
        check(world.head)
