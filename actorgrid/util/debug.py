"""Saying something once, wherever it is said from: ``log_once`` and what goes with it, as in ``ray.util.debug``."""

from __future__ import annotations

import time
from typing import Final

#: After so long everything may be said again, if that was asked for (seconds).
PERIOD: Final = 60.0


class _Said:
    def __init__(self) -> None:
        self.keys: set[str] = set()
        self.enabled = True
        self.periodic = False
        self.last = 0.0


_said: Final = _Said()


def log_once(key: str) -> bool:
    """Return whether this is the first call with ``key`` in this process: then say it, else not.

    After ``enable_periodic_logging()`` everything may be said again a minute after something was; the call that finds
    this out is answered with False, as Ray does.
    """
    if not _said.enabled:
        return False
    now = time.time()
    if key not in _said.keys:
        _said.keys.add(key)
        _said.last = now
        return True
    if _said.periodic and now - _said.last > PERIOD:
        _said.keys.clear()
        _said.last = now
    return False


def disable_log_once_globally() -> None:
    """Have ``log_once`` answer False from now on, in this process."""
    _said.enabled = False


def enable_periodic_logging() -> None:
    """Let what was said once be said again after a minute, in this process."""
    _said.periodic = True


def reset_log_once(key: str | None = None) -> None:
    """Let what was said once, with ``key`` or (None) whatever it was, be said again in this process."""
    if key is None:
        _said.keys.clear()
    else:
        _said.keys.discard(key)
