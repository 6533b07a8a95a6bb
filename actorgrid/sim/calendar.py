"""``datetime.datetime.now`` and ``utcnow`` on virtual time.

``today`` of both classes needs nothing: it asks ``time.time``, by that name.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any


def now_of(wall: Callable[[], float]) -> Callable[..., Any]:
    """Return what stands for ``datetime.now``, which is told its class."""

    def now(cls: Any, tz: dt.tzinfo | None = None) -> Any:
        return cls.fromtimestamp(wall(), tz)

    return now


def utcnow_of(wall: Callable[[], float]) -> Callable[..., Any]:
    """Return what stands for ``datetime.utcnow``, which is told its class."""

    def utcnow(cls: Any) -> Any:
        return cls.fromtimestamp(wall(), dt.UTC).replace(tzinfo=None)

    return utcnow
