"""How one serialized value lies in bytes, in a message or in shared memory.

A value is a pickle stream and n out-of-band buffers. Without buffers it is the bare stream, which starts with the
PROTO opcode 0x80. With buffers it is::

    0x01 0 0 0 | n (4 bytes) | size of the stream (8) | sizes of the buffers (8 each) | stream | buffer | buffer ...

Integers are little endian. Each buffer starts at a multiple of 64 from the start of the value, so that arrays in shared
memory are aligned as numpy's own are. Bytes between the parts have no meaning (in recycled memory they are old data).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Final

ALIGNMENT: Final = 64
PICKLE: Final = 0x80
BUFFERS: Final = 0x01

_HEAD: Final = struct.Struct("<B3xI")
_WORD: Final = 8
#: A copy holds the interpreter lock: about a millisecond for this many bytes, then other threads get their turn.
_CHUNK: Final = 8 << 20

Bytes = bytes | memoryview


def size_of(pickled: Bytes, buffers: Sequence[memoryview]) -> int:
    """Return how many bytes the value takes."""
    return _edges(len(pickled), [buffer.nbytes for buffer in buffers])[-1][1] if buffers else len(pickled)


def write(
    target: memoryview, pickled: Bytes, buffers: Sequence[memoryview], pause: Callable[[], None] = lambda: None
) -> None:
    """Write the value to ``target``: writable, contiguous, ``size_of(pickled, buffers)`` bytes.

    Each buffer (C-contiguous) is copied once, at the speed of memcpy. ``pause()`` is called every few milliseconds, and
    may raise. Raises ValueError if ``target`` has another size.
    """
    size = size_of(pickled, buffers)
    if target.nbytes != size:
        raise ValueError(f"a value of {size} bytes does not go into {target.nbytes}")
    target = target.cast("B")
    if not buffers:
        _copy(target, 0, pickled, pause)
        return
    header, edges = _header(pickled, buffers)
    target[: len(header)] = header
    for (start, _), part in zip(edges, [pickled, *buffers], strict=True):
        _copy(target, start, part, pause)


def _copy(target: memoryview, start: int, part: Bytes, pause: Callable[[], None]) -> None:
    source = memoryview(part).cast("B")  # equal formats on both sides, else the copy goes item by item
    for at in range(0, len(source), _CHUNK):
        chunk = source[at : at + _CHUNK]
        target[start + at : start + at + len(chunk)] = chunk
        pause()


def to_bytes(pickled: bytes, buffers: Sequence[memoryview]) -> bytes:
    """Return the value as bytes; equal values give equal bytes."""
    if not buffers:
        return pickled
    header, edges = _header(pickled, buffers)
    parts: list[Bytes] = [header, pickled]
    for (before, after), buffer in zip(pairwise(edges), buffers, strict=True):
        parts += (bytes(after[0] - before[1]), buffer)
    return b"".join(parts)


def parse(view: Bytes) -> tuple[Bytes, list[memoryview]]:
    """Return the pickle stream and read-only views of the buffers; nothing is copied.

    Raises ValueError unless ``view`` is one whole value. Whether the stream is a good pickle is not looked at.
    """
    first = view[0] if len(view) else None
    if first == PICKLE:
        return view, []
    if first != BUFFERS:
        raise ValueError(f"a value cannot start with {first!r}")
    whole = memoryview(view).toreadonly()
    sizes = _sizes(whole)
    edges = _edges(sizes[0], sizes[1:])
    if edges[-1][1] != len(whole):
        raise ValueError(f"a value of {edges[-1][1]} bytes, in {len(whole)} bytes")
    start, end = edges[0]
    return whole[start:end], [whole[start:end] for start, end in edges[1:]]


def _sizes(whole: memoryview) -> tuple[int, ...]:
    """Return the sizes that the header tells."""
    if len(whole) < _HEAD.size:
        raise ValueError("a value ends in its header")
    (_, count) = _HEAD.unpack_from(whole)
    if not count or len(whole) < _HEAD.size + _WORD * (count + 1):
        raise ValueError(f"a value of {len(whole)} bytes cannot hold {count} buffers")
    return struct.unpack_from(f"<{count + 1}Q", whole, _HEAD.size)


def _edges(stream: int, sizes: Sequence[int]) -> list[tuple[int, int]]:
    """Return where the stream and the buffers start and end."""
    start = _HEAD.size + _WORD * (len(sizes) + 1)
    end = start + stream
    edges = [(start, end)]
    for size in sizes:
        start = (end + ALIGNMENT - 1) & -ALIGNMENT
        end = start + size
        edges.append((start, end))
    return edges


def _header(pickled: Bytes, buffers: Sequence[memoryview]) -> tuple[bytes, list[tuple[int, int]]]:
    sizes = [buffer.nbytes for buffer in buffers]
    header = _HEAD.pack(BUFFERS, len(sizes)) + struct.pack(f"<{len(sizes) + 1}Q", len(pickled), *sizes)
    return header, _edges(len(pickled), sizes)
