"""Values as bytes: round trips, places, and input that lies."""

from __future__ import annotations

import pickle
import struct
from typing import cast

import numpy as np
import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from actorgrid.wire import layout

streams = st.binary(max_size=200).map(lambda body: b"\x80" + body)
parts = st.lists(st.binary(max_size=300), max_size=6)


def views(buffers: list[bytes]) -> list[memoryview]:
    return [memoryview(buffer) for buffer in buffers]


@given(streams, parts)
def test_round_trip(stream: bytes, buffers: list[bytes]) -> None:
    data = layout.to_bytes(stream, views(buffers))
    assert len(data) == layout.size_of(stream, views(buffers))
    target = bytearray(len(data))
    layout.write(memoryview(target), stream, views(buffers))
    assert target == data
    for source in (data, memoryview(data), memoryview(target)):
        found, found_buffers = layout.parse(source)
        assert bytes(found) == stream
        assert [bytes(view) for view in found_buffers] == buffers
        assert all(view.readonly for view in found_buffers)


@given(streams, parts)
def test_buffers_start_on_a_line(stream: bytes, buffers: list[bytes]) -> None:
    memory = np.zeros(layout.size_of(stream, views(buffers)) + 64, dtype="u1")
    start = -memory.ctypes.data % 64
    target = memory.data[start : start + layout.size_of(stream, views(buffers))]
    layout.write(target, stream, views(buffers))
    for view in layout.parse(target)[1]:
        assert not len(view) or np.frombuffer(view, dtype="u1").ctypes.data % 64 == 0


def test_a_value_without_buffers_is_its_pickle() -> None:
    stream = pickle.dumps({"a": 1}, protocol=5)
    assert layout.to_bytes(stream, []) is stream
    assert layout.size_of(stream, []) == len(stream)
    assert layout.parse(stream) == (stream, [])


def test_large_buffers_and_formats() -> None:
    array = np.arange(3_000_001, dtype="f8").reshape(-1, 1)  # more than one chunk
    buffers: list[pickle.PickleBuffer] = []
    stream = pickle.dumps([array, array[:5]], protocol=5, buffer_callback=buffers.append)
    raw = [buffer.raw() for buffer in buffers]
    target = bytearray(layout.size_of(stream, raw))
    layout.write(memoryview(target), stream, raw)
    assert bytes(target) == layout.to_bytes(stream, raw)
    found, found_buffers = layout.parse(memoryview(target))
    back, head = pickle.loads(found, buffers=found_buffers)
    assert np.array_equal(back, array)
    assert np.array_equal(head, array[:5])
    assert not back.flags.writeable
    direct = bytearray(layout.size_of(b"\x80", [array.data]))
    layout.write(cast("memoryview", memoryview(direct).cast("c")), b"\x80", [array.data])
    assert bytes(layout.parse(bytes(direct))[1][0]) == array.tobytes()


def test_a_target_of_the_wrong_size_is_refused() -> None:
    for buffers in ([], [memoryview(b"abc")]):
        for off in (-1, 1):
            target = bytearray(layout.size_of(b"\x80.", buffers) + off)
            with pytest.raises(ValueError, match="does not go into"):
                layout.write(memoryview(target), b"\x80.", buffers)


@given(streams, parts, st.data())
def test_every_cut_is_noticed(stream: bytes, buffers: list[bytes], data: st.DataObject) -> None:
    whole = layout.to_bytes(stream, views([*buffers, b"end"]))
    cut = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(ValueError, match="value"):
        layout.parse(whole[:cut])
    with pytest.raises(ValueError, match="value"):
        layout.parse(whole + b"x")


@given(st.binary(max_size=400), st.integers(0, 2**32 - 1), st.lists(st.integers(0, 2**64 - 1), max_size=8))
def test_malformed_input_never_reads_outside(noise: bytes, count: int, sizes: list[int]) -> None:
    lie = struct.pack("<B3xI", layout.BUFFERS, count) + struct.pack(f"<{len(sizes)}Q", *sizes)
    honest_count = struct.pack("<B3xI", layout.BUFFERS, len(sizes) - 1 if sizes else 0) + lie[8:]
    for data in (noise, lie + noise, honest_count + noise, bytes([layout.BUFFERS]) + noise):
        try:
            stream, buffers = layout.parse(data)
        except ValueError:
            continue
        assert len(stream) + sum(len(view) for view in buffers) <= len(data)


@given(streams, parts, st.integers(0, 9), st.integers(0, 7))
def test_size_that_was_damaged_never_leads_outside(stream: bytes, buffers: list[bytes], word: int, bit: int) -> None:
    data = bytearray(layout.to_bytes(stream, views([*buffers, b"end"])))
    data[8 + 8 * (word % (len(buffers) + 2))] ^= 1 << bit
    try:
        found, found_buffers = layout.parse(bytes(data))
    except ValueError:
        reject()  # most are noticed: those that are not are the subject
    assert len(found) + sum(len(view) for view in found_buffers) <= len(data)


@pytest.mark.parametrize(
    "data", [b"", b"\x00", b"\x02abc", b"\x01", b"\x01\0\0\0\0\0\0\0", b"\x01\0\0\0\xff\xff\xff\xff"]
)
def test_what_is_no_value(data: bytes) -> None:
    with pytest.raises(ValueError, match="value"):
        layout.parse(data)
