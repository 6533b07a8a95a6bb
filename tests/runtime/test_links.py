"""Links: frames however the reads cut them, descriptors with the frame that announces them, sends that never block."""

from __future__ import annotations

import contextlib
import os
import resource
import select
import threading
from collections.abc import Iterator
from typing import Any, TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actorgrid.core import messages as m
from actorgrid.core.messages import ToClient, ToHead
from actorgrid.exceptions import InternalError
from actorgrid.runtime import links
from actorgrid.runtime.links import Link, pair
from actorgrid.wire.codec import LENGTH, Decoder, encode_frame

Ends: TypeAlias = tuple[Link[Any], Link[Any]]


@pytest.fixture
def link() -> Iterator[tuple[Link[Any], Link[Any]]]:
    ours, theirs = pair()
    ours.setblocking(False)
    theirs.setblocking(False)
    one, two = Link[Any](ours, ToClient), Link[Any](theirs, ToHead)
    yield one, two
    one.close()
    two.close()


@given(st.lists(st.lists(st.integers(0, 2**60), max_size=3), max_size=5), st.integers(1, 9))
def test_frames_survive_any_cut(batches: list[list[int]], step: int) -> None:
    frames = [[m.Resumed(task) for task in batch] for batch in batches]
    stream = b"".join(encode_frame(frame) for frame in frames)
    decoder: Decoder[m.Resumed] = Decoder(ToHead)
    seen: list[m.Resumed] = []
    for at in range(0, len(stream), step):
        seen += decoder.feed(stream[at : at + step])
    assert seen == [message for frame in frames for message in frame]
    assert decoder.frames == len(frames)


def test_message_of_the_wrong_direction_is_refused() -> None:
    decoder: Decoder[Any] = Decoder(ToHead)
    with pytest.raises(InternalError, match="malformed"):
        decoder.feed(encode_frame([m.GridDied("not for the head")]))


def test_field_of_the_wrong_type_is_refused() -> None:
    decoder: Decoder[Any] = Decoder(ToHead)
    with pytest.raises(InternalError, match="malformed"):
        decoder.feed(encode_frame([m.Resumed("seven")]))  # type: ignore[arg-type]  # what a broken peer might send


def test_frame_longer_than_any_real_one_is_refused() -> None:
    decoder: Decoder[Any] = Decoder(ToHead)
    with pytest.raises(InternalError, match="frame of"):
        decoder.feed(LENGTH.pack(2**31 - 1))


def test_descriptor_rides_on_its_frame(link: Ends) -> None:
    one, two = link
    read, write = os.pipe()
    one.post([m.NewSegment(1, 10)], [write])  # closes our copy
    assert two.receive() == [m.NewSegment(1, 10)]
    received = two.fds.popleft()
    os.write(received, b"through")
    os.close(received)
    assert os.read(read, 10) == b"through"
    assert os.read(read, 10) == b""
    os.close(read)


def test_post_never_blocks_and_loses_nothing(link: Ends) -> None:
    one, two = link
    sent = 0
    while one.post([m.Put(sent + 1, m.Value(m.Status.OK, b"x" * 10_000))]):
        sent += 1
    for _ in range(20):
        one.post([m.Put(sent + 2, m.Value(m.Status.OK, b"y" * 10_000))])
        sent += 1
    sent += 1
    assert one.pending_bytes > 0
    received: list[m.Put] = []
    while len(received) < sent:
        one.flush()
        received += two.receive() or []
    assert [message.oid for message in received] == list(range(1, sent + 1))
    assert one.pending_bytes == 0


def test_offer_waits_for_a_peer_that_reads_and_goes_on_without_one_that_does_not(
    link: Ends,
) -> None:
    one, two = link
    large = m.Put(1, m.Value(m.Status.OK, b"x" * 10_000_000))
    assert not one.offer([large])
    assert not one.offer([m.Resumed(2)])  # it waits behind the other
    received: list[Any] = []

    def read() -> None:
        while len(received) < 3:
            select.select([two], [], [])
            received.extend(two.receive() or [])

    reader = threading.Thread(target=read)
    reader.start()
    assert one.push(30.0)
    assert one.offer([m.Resumed(3)])
    reader.join()
    assert received == [large, m.Resumed(2), m.Resumed(3)]
    assert one.pending_bytes == 0


def test_descriptor_that_is_offered_waits_for_its_frame(link: Ends) -> None:
    one, two = link
    assert not one.offer([m.Put(1, m.Value(m.Status.OK, b"x" * 1_000_000))])
    read, write = os.pipe()
    assert not one.offer([m.NewSegment(1, 10)], [write])  # closes our copy
    received: list[Any] = []
    while len(received) < 2:
        one.push()
        received += two.receive() or []
    received_end = two.fds.popleft()
    os.write(received_end, b"through")
    os.close(received_end)
    assert os.read(read, 10) == b"through"
    os.close(read)


def test_offer_to_a_peer_that_is_gone_raises_whatever_waits(link: Ends) -> None:
    one, two = link
    assert not one.offer([m.Put(1, m.Value(m.Status.OK, b"x" * 1_000_000))])
    two.close()
    with pytest.raises(OSError):
        one.push(30.0)
    with pytest.raises(OSError):
        one.push()


def test_end_of_the_stream_is_none(link: Ends) -> None:
    one, two = link
    one.socket.close()
    assert two.receive() is None


@contextlib.contextmanager
def room_for_descriptors(room: int) -> Iterator[None]:
    """As if all but one (or none) were taken."""
    free = os.dup(0)
    os.close(free)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free + room, hard))  # ``free`` is the lowest that is
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class TestClaims:
    def test_descriptor_for_which_there_is_no_place_is_missing_and_its_message_comes(self, link: Ends) -> None:
        one, two = link
        one.post([m.NewSegment(1, 10)], [os.dup(0)])
        with room_for_descriptors(0):
            assert two.receive() == [m.NewSegment(1, 10)]
        assert two.claim() == []

    def test_next_frame_keeps_its_descriptor_when_that_of_a_frame_in_parts_found_no_place(
        self, link: Ends, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        one, two = link
        mine, other = os.memfd_create("mine"), os.memfd_create("other")
        one.post([m.NewSegment(1, 10)], [mine])
        one.post([m.NewSegment(2, 10)], [os.dup(other)])
        with room_for_descriptors(0), monkeypatch.context() as patch:
            patch.setattr(links, "READ_SIZE", 4)
            assert two.receive() == []
        assert two.receive() == [m.NewSegment(1, 10), m.NewSegment(2, 10)]
        assert two.claim() == []
        (got,) = two.claim()
        assert os.path.sameopenfile(got, other)
        os.close(got)
        os.close(other)

    def test_descriptors_of_a_frame_are_all_there_or_none(self, link: Ends) -> None:
        one, two = link
        for number in (1, 2):
            one.post([m.Resumed(number)], [os.dup(0), os.dup(0), os.dup(0)])
        with room_for_descriptors(1):
            two.receive()
        (kept,) = [fd for fd in two.fds if fd != links.LOST]
        two.receive()
        assert two.claim(3) == []
        with pytest.raises(OSError):
            os.fstat(kept)
        claimed = two.claim(3)
        assert len(claimed) == 3
        for fd in claimed:
            os.close(fd)

    def test_descriptors_that_never_came_cannot_be_claimed(self, link: Ends) -> None:
        one, two = link
        one.post([m.NewSegment(1, 10)], [os.dup(0)])
        two.receive()
        with pytest.raises(LookupError, match="3 descriptors should have come, and 1 did"):
            two.claim(3)
