"""What the head's shell makes of what is no message, or makes no sense: a sentence about its sender, or the end."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from actorgrid.core import messages as m
from actorgrid.core.head.check import check
from actorgrid.core.messages import ToClient, ToHead
from actorgrid.runtime import hearing
from actorgrid.runtime.links import LOST, Link, pair
from actorgrid.runtime.segments import SegmentTable
from actorgrid.wire.codec import encode_frame
from tests.core.world import World


class Wire:
    """A machine with a worker, and a link to it."""

    def __init__(self, ours: Link[Any], theirs: Link[Any]) -> None:
        self.ours, self.theirs = ours, theirs
        self.head = World(cpus=1).head
        self.segments = SegmentTable()
        (self.worker,) = self.head.workers.table

    def take(self, *batch: Any, alone: bool = False) -> str:
        return hearing.take(self.head, self.segments, self.worker, self.ours, list(batch), alone=alone)

    def leftover(self, body: bytes) -> str:
        return hearing.take_leftover(self.head, self.worker, self.ours, body)


@pytest.fixture
def wire() -> Iterator[Wire]:
    ours, theirs = pair()
    ours.setblocking(False)
    made = Wire(Link(ours, ToHead), Link(theirs, ToClient))
    yield made
    check(made.head)
    made.ours.close()
    made.theirs.close()


UNKNOWN = m.Submit(1 << 50, 5)


def test_good_messages_in_front_of_bad_bytes_are_heard_with_what_is_wrong(wire: Wire) -> None:
    wire.theirs.socket.sendall(encode_frame([m.Resumed(1)]) + b"\x01\0\0\0?")
    batch, wrong = hearing.read(wire.ours)
    assert batch == [m.Resumed(1)]
    assert wrong.startswith("sent what is no message (malformed frame: ")


def test_segment_whose_descriptor_found_no_place_here_is_one_that_nobody_can_be_shown(wire: Wire) -> None:
    wire.ours.fds.append(LOST)
    assert not wire.take(m.NewSegment(7, 1 << 21))
    with pytest.raises(OSError, match="no place"):
        wire.segments.reader_descriptor(7)
    with pytest.raises(OSError, match="no place"):
        wire.segments.punch(m.Extent(7, 0, 1 << 20))
    wire.segments.drop(7)
    assert "came without its descriptor" in wire.take(m.NewSegment(8, 1 << 21))


def test_descriptors_that_come_with_nothing_are_wrong_when_they_are_too_many(wire: Wire) -> None:
    for number in range(hearing.UNCLAIMED + 1):
        wire.theirs.post([m.Resumed(number)], [os.dup(0)])
    said = [hearing.read(wire.ours)[1] for _ in range(hearing.UNCLAIMED + 1)]
    assert said == [""] * hearing.UNCLAIMED + ["sent descriptors that it never mentioned"]


def test_what_makes_no_sense_is_told_with_its_error_and_place(wire: Wire) -> None:
    assert wire.take(m.Resumed(1)) == ""
    wrong = wire.take(UNKNOWN)
    assert wrong.startswith("said what makes no sense (KeyError: 5; tasks.py, line ")


def test_what_makes_no_sense_is_told_in_few_words(wire: Wire) -> None:
    wrong = wire.take(m.Spec(1, m.Kind.RESERVATION, "x" * 100_000))
    assert len(wrong) < 300


def test_segment_needs_its_descriptor(wire: Wire) -> None:
    assert "segment 7 came without its descriptor" in wire.take(m.NewSegment(7, 1 << 21))


def test_where_there_is_nobody_to_go_on_for_the_error_is_raised(wire: Wire) -> None:
    with pytest.raises(KeyError):
        wire.take(UNKNOWN, alone=True)


def test_message_that_leaves_what_cannot_be_is_the_end(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    def half(number: int, batch: list[Any], now: float) -> None:
        wire.head.memory.leased += 1  # to nobody
        raise KeyError(number)

    with monkeypatch.context() as patch:
        patch.setattr(wire.head, "handle", half)
        with pytest.raises(AssertionError):
            wire.take(UNKNOWN)
    wire.head.memory.leased -= 1


@pytest.mark.parametrize(
    ("batch", "wrong"),
    [
        ([m.Resumed(1)], ""),
        ([UNKNOWN], "KeyError: 5"),
        ([m.NewSegment(7, 1 << 21)], "a segment is never announced there"),
    ],
)
def test_leftover_of_a_dead_worker_is_looked_at_as_closely(wire: Wire, batch: list[Any], wrong: str) -> None:
    assert wrong in wire.leftover(encode_frame(batch)[4:])


def test_torn_leftover_of_a_dead_worker_is_nothing_to_talk_about(wire: Wire) -> None:
    assert wire.leftover(encode_frame([UNKNOWN])[4:-1]) == ""
