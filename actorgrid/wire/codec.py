"""Frames: how messages look as bytes.

A frame is ``length (4 bytes, little endian) | body``; the body is one msgpack array of messages. The top bit of the
length asks for an acknowledgement: any frame in the other direction is one, an empty frame (length 0) is a bare one.
Encoding and decoding are msgspec's: the decoder for each direction knows which
messages may arrive there, checks every field's type and cannot run code.

What is no frame is refused as soon as that can be seen, by a length that none has or by the first byte of a body: the
rest of it may never come, and whoever waits for what is behind it would wait for ever. There is no way back into the
stream from there, so nothing that follows is a frame either.

The array header is always the 5-byte form (0xdd, count big endian), so that a body can be made by joining messages
that were encoded one by one: a worker collects its results in shared memory that way (see ``runtime.worker``).
"""

from __future__ import annotations

import struct
from typing import Any, Final, Generic, TypeVar

import msgspec

from actorgrid.core import messages
from actorgrid.exceptions import InternalError

T = TypeVar("T")

#: A frame's body is at most this long; anything larger travels in shared memory.
MAX_FRAME: Final = 256 << 20
LENGTH: Final = struct.Struct("<I")
#: Length of the frame and array header of a body that is joined from single messages: length, 0xdd, count.
JOINED: Final = struct.Struct(">BI")

encoder: Final = msgspec.msgpack.Encoder()
encode_message: Final = encoder.encode
failure_decoder: Final = msgspec.msgpack.Decoder(messages.Failure)


#: Set in the length of a frame whose sender waits for an answer of any kind before it sends more.
ACK_WANTED: Final = 1 << 31
EMPTY: Final = LENGTH.pack(0)
#: The first bytes that a body can have: those of msgpack's arrays.
OPENS: Final = bytes([*range(0x90, 0xA0), 0xDC, 0xDD])
#: What takes the place of the rest of a stream that has gone wrong: no frame is that long.
_BROKEN: Final = b"\xff\xff\xff\x7f"


class FrameError(InternalError):
    """What came is no frame, and nothing behind it will be. ``before``: the messages of the good frames before it."""

    def __init__(self, text: str, before: list[Any]) -> None:
        super().__init__(text)
        self.before = before


def encode_frame(batch: list[Any], *, ack_wanted: bool = False) -> bytes:
    """Return ``batch`` as one frame with its length in front."""
    body = encoder.encode(batch) if batch else b""
    return LENGTH.pack(len(body) | ACK_WANTED if ack_wanted else len(body)) + body


def encode_failure(failure: messages.Failure) -> bytes:
    """Return a failure as the bytes of a value."""
    return encoder.encode(failure)


def decode_failure(data: bytes) -> messages.Failure:
    """Return the failure in the bytes of a value."""
    return failure_decoder.decode(data)


class Decoder(Generic[T]):
    """Turns the bytes of one direction into batches of messages, however the reads cut them."""

    __slots__ = ("_buffer", "_decode", "ack_wanted", "frames")

    def __init__(self, union: Any) -> None:
        """``union`` is the union of the message classes that may arrive."""
        self._decode = msgspec.msgpack.Decoder(list[union]).decode
        self._buffer = bytearray()
        #: Number of frames seen, empty ones included.
        self.frames = 0
        #: A frame asked for an acknowledgement; whoever sends the next frame clears it.
        self.ack_wanted = False

    def feed(self, data: bytes) -> list[T]:
        """Return the messages of every frame that ``data`` completes. Raises FrameError, from then on always."""
        if self._buffer:
            self._buffer += data
            source: bytes | bytearray = self._buffer
        else:
            source = data
        messages_: list[T] = []
        at, end = 0, len(source)
        unpack = LENGTH.unpack_from
        try:
            while end - at >= 4:
                (length,) = unpack(source, at)
                if length & ACK_WANTED:
                    length ^= ACK_WANTED
                    self.ack_wanted = True
                if length > MAX_FRAME:
                    raise InternalError(f"frame of {length} bytes")
                if end - at - 4 < length:
                    if end - at > 4 and source[at + 4] not in OPENS:
                        raise InternalError(f"malformed frame: a body cannot start with {source[at + 4]:#x}")
                    break
                at += 4
                self.frames += 1
                if length:
                    messages_ += self.body(memoryview(source)[at : at + length])
                    at += length
        except InternalError as error:
            self._buffer = bytearray(_BROKEN)
            raise FrameError(str(error), messages_) from error
        self._keep(source, data, at)
        return messages_

    def _keep(self, source: bytes | bytearray, data: bytes, at: int) -> None:
        if source is data:
            if at < len(data):
                self._buffer += data[at:]
        else:
            del self._buffer[:at]

    def body(self, body: bytes | memoryview) -> list[T]:
        """Return the messages of one frame's body. Raises InternalError if it is malformed."""
        try:
            return self._decode(body)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            # A bare ValueError: text that is not UTF-8. A RecursionError: what is nested too deep.
            raise InternalError(f"malformed frame: {error}") from error
