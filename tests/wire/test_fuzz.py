"""Frames from whoever writes anything into a link: an error of ours at once, however the reads cut it, and no more.

No more: nothing runs, nothing is waited for that cannot come, and no memory is taken for what was only promised.
"""

from __future__ import annotations

import math
import os
import pickle
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actorgrid.core import messages as m
from actorgrid.exceptions import InternalError
from actorgrid.wire.codec import ACK_WANTED, LENGTH, MAX_FRAME, Decoder, FrameError, encode_frame
from tests.wire.strategies import UNIONS, classes, values

every_union = pytest.mark.parametrize("union", UNIONS.values(), ids=UNIONS)
cuts = st.lists(st.integers(0, 400), max_size=8)


def pieces(stream: bytes, at: list[int]) -> Iterator[bytes]:
    """Cut ``stream`` at these places: what the reads return."""
    edges = sorted({0, len(stream), *(cut for cut in at if cut < len(stream))})
    return (stream[start:end] for start, end in pairwise(edges))


def heard(decoder: Decoder[Any], stream: bytes, at: list[int]) -> tuple[list[Any], bool]:
    """Return the messages in front of what is no frame, and whether there was such a thing."""
    found: list[Any] = []
    for piece in pieces(stream, at):
        try:
            found += decoder.feed(piece)
        except FrameError as error:
            return found + error.before, True
    return found, False


def frame(body: bytes) -> bytes:
    return LENGTH.pack(len(body)) + body


def same(one: list[Any], other: list[Any]) -> bool:
    """Compare messages, in which a number that is none is like itself."""
    return msgspec.msgpack.encode(one) == msgspec.msgpack.encode(other)


# ------------------------------------------------------------------------------------------------------ any bytes


@every_union
@given(stream=st.binary(max_size=200), at=cuts)
def test_any_bytes_are_messages_or_a_bad_frame_whatever_the_reads_are(union: Any, stream: bytes, at: list[int]) -> None:
    whole, cut = heard(Decoder(union), stream, []), heard(Decoder(union), stream, at)
    assert same(whole[0], cut[0])
    assert whole[1] == cut[1]


@every_union
@given(body=st.binary(min_size=1, max_size=200), tag=st.integers(0, 127), at=cuts)
def test_any_body_is_messages_or_a_bad_frame(union: Any, body: bytes, tag: int, at: list[int]) -> None:
    for start in (b"", b"\x91", b"\x91\x93", bytes([0x91, 0x94, tag])):
        heard(Decoder(union), frame(start + body), at)


@every_union
def test_every_message_that_may_arrive_arrives_as_it_was(union: Any) -> None:
    @settings(max_examples=20, deadline=None)
    @given(batch=st.lists(st.one_of(*map(values, classes(union))), max_size=4), at=cuts)
    def check(batch: list[Any], at: list[int]) -> None:
        found, bad = heard(Decoder(union), encode_frame(batch) + encode_frame(batch, ack_wanted=True), at)
        assert not bad
        assert same(found, batch + batch)

    check()


MESSAGES = [(union, message) for union in UNIONS.values() for message in classes(union)]


@pytest.mark.parametrize(("union", "message"), MESSAGES, ids=lambda each: getattr(each, "__name__", ""))
def test_damaged_message_is_another_message_or_a_bad_frame(union: Any, message: type[Any]) -> None:
    @settings(max_examples=25, deadline=None)
    @given(one=values(message), data=st.data())
    def check(one: Any, data: st.DataObject) -> None:
        good = encode_frame([one])
        place = data.draw(st.integers(0, len(good) - 1))
        damages: list[Callable[[], bytes]] = [
            lambda: good[:place] + good,  # cut, and said again
            lambda: good[:place] + bytes([good[place] ^ 1 << data.draw(st.integers(0, 7))]) + good[place + 1 :],
            lambda: good[:place] + good[place:] * 2,
            lambda: good[:place] + data.draw(st.binary(min_size=1, max_size=9)) + good[place:],
            lambda: frame(good[4 : 5 + place]),  # whole, says the length
        ]
        stream = good + data.draw(st.sampled_from(damages))() + good
        at = data.draw(cuts)
        found, bad = heard(Decoder(union), stream, at)
        assert same(found[:1], [one])
        assert (found, bad) == heard(Decoder(union), stream, []) or any(map(has_nan, found))

    check()


def has_nan(thing: Any) -> bool:
    if isinstance(thing, float):
        return math.isnan(thing)
    inside = msgspec.structs.astuple(thing) if isinstance(thing, msgspec.Struct) else thing
    inside = list(inside.values()) if isinstance(inside, dict) else inside
    return isinstance(inside, list | tuple) and any(map(has_nan, inside))


# ---------------------------------------------------------------------------------------------- after a bad frame


def test_good_frames_before_a_bad_one_are_not_lost_with_it() -> None:
    with pytest.raises(FrameError) as caught:
        Decoder[Any](m.ToHead).feed(encode_frame([m.Resumed(1), m.Resumed(2)]) + frame(b"what?"))
    assert caught.value.before == [m.Resumed(1), m.Resumed(2)]


@given(good=st.lists(st.integers(0, 3), max_size=3), rest=st.binary(max_size=60), at=cuts)
def test_nothing_after_a_bad_frame_is_a_message(good: list[int], rest: bytes, at: list[int]) -> None:
    decoder: Decoder[Any] = Decoder(m.ToHead)
    frames = [encode_frame([m.Resumed(number)]) for number in good]
    with pytest.raises(FrameError):
        decoder.feed(b"".join(frames) + frame(b"what?"))
    for piece in [*pieces(rest, at), *frames, encode_frame([m.Bye()])]:
        with pytest.raises(FrameError) as caught:
            decoder.feed(piece)
        assert caught.value.before == []


def test_error_is_one_of_ours_and_says_that_it_is_about_a_frame() -> None:
    with pytest.raises(InternalError, match="malformed frame: "):
        Decoder[Any](m.ToHead).feed(frame(b"what?"))


# ------------------------------------------------------------------------------------------------ what only promises


@pytest.mark.parametrize("length", [MAX_FRAME + 1, 2**31 - 1, ACK_WANTED | MAX_FRAME + 1, 2**32 - 1])
def test_length_that_no_frame_has_is_refused_before_anything_of_it_is_there(length: int) -> None:
    with pytest.raises(FrameError, match=f"frame of {length & ~ACK_WANTED} bytes"):
        Decoder[Any](m.ToHead).feed(LENGTH.pack(length))


@pytest.mark.parametrize("first", sorted(set(range(256)) - {*range(0x90, 0xA0), 0xDC, 0xDD}))
def test_what_cannot_become_a_frame_is_refused_at_once_and_not_waited_for(first: int) -> None:
    decoder: Decoder[Any] = Decoder(m.ToHead)
    assert decoder.feed(LENGTH.pack(MAX_FRAME)) == []
    with pytest.raises(FrameError, match="malformed frame"):
        decoder.feed(bytes([first]))


@pytest.mark.parametrize("text", ["garbage\n", "GET / HTTP/1.1\r\n\r\n", "Traceback (most recent call last):\n"])
def test_text_that_is_printed_into_a_link_is_refused_at_once(text: str) -> None:
    with pytest.raises(FrameError):
        Decoder[Any](m.ToHead).feed(text.encode())


@pytest.mark.parametrize("size", [1, 2, 3])
def test_too_few_bytes_for_a_length_are_refused_with_the_next_frame(size: int) -> None:
    decoder: Decoder[Any] = Decoder(m.ToHead)
    assert decoder.feed(b"\x01\x02\x03"[:size]) == []
    with pytest.raises(FrameError):
        decoder.feed(encode_frame([m.Resumed(7)]))


MOST = b"\xff\xff\xff\xff"
#: A query whose body is a mapping with one value, which follows.
QUERY = b"\x91\x94\x0c\x01\xa1a\x81\xa1a"


@pytest.mark.parametrize(
    "body",
    [
        b"\xdd" + MOST,
        b"\xdd\x0f\xff\xff\xff\x92\x09\x01",
        b"\x91\x92\x06\xdd" + MOST,
        b"\x91\x94\x0c\x01\xa1a\xdf" + MOST,
        b"\x91\x94\x0c\x01\xdb" + MOST,
        QUERY + b"\xdd" + MOST,
        QUERY + b"\xc6" + MOST,
        QUERY + b"\xc9" + MOST + b"\x01",
    ],
    ids=["messages", "fewer messages", "numbers", "pairs", "letters", "anything", "bytes", "a kind of its own"],
)
def test_no_memory_is_taken_for_what_was_only_promised(body: bytes) -> None:
    decoder: Decoder[Any] = Decoder(m.ToHead)
    tracemalloc.start()
    try:
        with pytest.raises(FrameError):
            decoder.feed(frame(body))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 1 << 20


#: How deep is too deep is the interpreter's affair: 1,000 for CPython 3.11, some thousands for later ones.
TOO_DEEP = 100_000


@pytest.mark.parametrize("inner", [b"\x91", b"\x81\xa1a"], ids=["lists", "mappings"])
@pytest.mark.parametrize("start", [QUERY, b"\x91\x95\x0c\x01\xa1a\x80"], ids=["in a field", "in a field of the future"])
def test_what_lies_too_deep_is_a_bad_frame(start: bytes, inner: bytes) -> None:
    with pytest.raises(FrameError, match="malformed frame"):
        Decoder[Any](m.ToHead).feed(frame(start + inner * TOO_DEEP + b"\xc0"))


# -------------------------------------------------------------------------------------------------- what would run

ran: list[str] = []


class Evil:
    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return ran.append, ("evil",)


@every_union
def test_pickle_is_no_frame_and_is_not_run(union: Any) -> None:
    evil = pickle.dumps(Evil())
    for stream in (evil, frame(evil), frame(b"\x91" + evil), frame(b"\x91\xc4" + bytes([len(evil)]) + evil)):
        decoder: Decoder[Any] = Decoder(union)
        assert heard(decoder, stream + bytes(1 << 16), [len(stream)]) == ([], True)  # should the rest be waited for
    assert not ran


def test_what_only_its_reader_may_unpickle_stays_as_it_is() -> None:
    put = m.Put(1, m.Value(m.Status.OK, pickle.dumps(Evil())))
    assert Decoder[Any](m.ToHead).feed(encode_frame([put])) == [put]
    assert not ran


@pytest.mark.slow
@every_union
def test_a_hundred_thousand_random_bodies_cost_no_memory(union: Any) -> None:
    noise = os.urandom(1 << 20)

    def hear(first: int, end: int) -> None:
        for number in range(first, end):
            start = number * 7 % (len(noise) - 64)
            heard(Decoder(union), frame(b"\x91\x92" + noise[start : start + 1 + number % 60]), [5])

    hear(0, 5_000)
    before = sys.getallocatedblocks()
    hear(5_000, 100_000)
    assert sys.getallocatedblocks() - before < 1000
