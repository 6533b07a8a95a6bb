"""Ray's own."""

from __future__ import annotations

from typing import Any

import ray.util


def __getattr__(name: str) -> Any:
    return getattr(ray.util, name)
