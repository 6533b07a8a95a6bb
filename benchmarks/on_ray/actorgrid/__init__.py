"""Stands in for actorgrid where its contract suite is run on Ray itself: each name is Ray's."""

from __future__ import annotations

from typing import Any

import ray

from actorgrid import exceptions as exceptions

#: What ``init`` of actorgrid takes, and what does not matter here.
_IGNORED = {"preload", "engine"}


def init(**options: Any) -> Any:
    """Start Ray as the tests want their grid: nothing is printed, nothing is served."""
    for name in _IGNORED:
        options.pop(name, None)
    return ray.init(**{"include_dashboard": False, "logging_level": "ERROR"} | options)


def __getattr__(name: str) -> Any:
    return getattr(ray, name)
