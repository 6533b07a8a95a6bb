"""Ray's exceptions under actorgrid's names. One that Ray does not have is one that nobody raises."""

from __future__ import annotations

from typing import Any

import ray.exceptions

_ALIASES = {
    "ActorGridError": "RayError", "TaskError": "RayTaskError", "ActorError": "RayActorError",
    "GridSystemError": "RaySystemError",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    found = getattr(ray.exceptions, _ALIASES.get(name, name), None)
    if found is None:
        found = globals()[name] = type(name, (Exception,), {})
    return found
