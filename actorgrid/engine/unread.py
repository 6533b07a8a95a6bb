"""Errors that nobody asked for: said aloud when the last reference to them goes (as Ray does).

A call whose result is dropped may fail in silence, and a program that hangs or answers wrongly for its sake gives no
hint. What ``get``, ``await`` or a callback raised, or what another call got as an argument, has been noticed; the rest
ends up here. Cancelled calls and calls of actors that died are no news.

This file may not know where the text is printed.
"""

from __future__ import annotations

import os
from collections import deque
from typing import Final

from actorgrid.core import messages as m
from actorgrid.core.messages import FailureKind
from actorgrid.wire.codec import decode_failure
from actorgrid.wire.errors import describe_packed, told_of

#: Set to 1, nothing is said.
VARIABLE: Final = "ACTORGRID_IGNORE_UNHANDLED_ERRORS"
#: A process says at most this many; after them it says that there are more.
MOST: Final = 100


class UnreadErrors:
    """Says each error once, and not too many of them."""

    __slots__ = ("_last", "_left")

    def __init__(self) -> None:
        self._left = MOST
        self._last = b""

    def take(self, values: deque[m.Value]) -> str:
        """Empty ``values`` and return the lines to be printed, "" for none."""
        said = []
        while values:
            value = values.popleft()
            text = "" if value.data == self._last or not self._left else _describe(value)
            self._last = value.data  # a call with several results fails with one error
            if text:
                self._left -= 1
                said.append(f"Unhandled error (suppress with {VARIABLE}=1): {text}\n")
                if not self._left:
                    said.append(f"{MOST} unhandled errors were shown by this process; it shows no more\n")
        return "" if os.environ.get(VARIABLE) == "1" else "".join(said)


def _describe(value: m.Value) -> str:
    if value.status is m.Status.ERROR:
        return describe_packed(value.data, value.not_run)
    failure = decode_failure(value.data)
    if failure.kind is not FailureKind.WORKER_CRASHED:
        return ""
    return f"{failure.message}\n{told_of(value.not_run)}" if value.not_run else failure.message
