"""What processes pass to each other in a run: a checksum of all arguments, results and other values, pickled.

Two runs with the same choices in one process must agree in it. It is no part of a run's digest: that is equal in every
Python, and pickles are not (an error has its traceback in it, and the standard library pickles itself in other ways).

This file may not know what a value means.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final
from zlib import crc32

from actorgrid.core import messages as m

#: Of an object that says no more of itself than where it lies: it lies elsewhere in each run, and rarely matters.
_ADDRESS: Final = re.compile(rb"0x[0-9a-f]{6,16}\b")


def plain(data: bytes) -> bytes:
    """Return a pickle without the addresses that texts in it show: those of the default ``repr``."""
    return _ADDRESS.sub(b"", data) if b"0x" in data else data


def _of_call(message: Any) -> tuple[bytes, ...]:
    return (message.args,)


def _of_results(message: Any) -> tuple[bytes, ...]:
    return tuple([value.data for value in message.values])


def _of_value(message: Any) -> tuple[bytes, ...]:
    return (message.value.data,)


#: Words to the head that carry values: what there is of these in the message itself.
_CARRIED: Final[dict[type, Callable[[Any], tuple[bytes, ...]]]] = {
    m.Submit: _of_call, m.CreateActor: _of_call, m.Done: _of_results, m.Put: _of_value, m.Yield: _of_value,
}  # fmt: skip


class Payloads:
    """The values of one run."""

    __slots__ = ("checksum", "record")

    def __init__(self) -> None:
        #: Of everything so far, one after the other.
        self.checksum = 0
        #: Each value in words, and the checksum with it, if asked for.
        self.record: list[tuple[str, int]] | None = None

    def say(self, batch: list[Any], calls: Mapping[int, Any]) -> None:
        """Note what words to the head carry. ``calls``: what is known of each submission."""
        checksum = self.checksum
        for message in batch:
            carried = _CARRIED.get(type(message))
            if carried is not None:
                for data in carried(message):
                    checksum = crc32(plain(data) if data.find(b"0x") >= 0 else data, checksum)
                if self.record is not None:
                    self.record.append((_in_words(message, calls), checksum))
        self.checksum = checksum

    def store(self, data: bytearray) -> None:
        """Note a value that lies in shared memory; the words that tell of it follow."""
        self.checksum = crc32(data, self.checksum)


def _in_words(message: Any, calls: Mapping[int, Any]) -> str:
    kind = type(message)
    if kind is m.Put:
        return "what is given to put()"
    what = "the result" if kind is m.Done else "an item" if kind is m.Yield else "an argument"
    return f"{what} of {calls[message.task]}"


def different(first: list[tuple[str, int]], second: list[tuple[str, int]]) -> str:
    """Return the first value in which two records differ, in words, "" if there is none."""
    for (what, one), (_, other) in zip(first, second, strict=False):
        if one != other:
            return f"differ: {what} is not the same in both"
    return ""
