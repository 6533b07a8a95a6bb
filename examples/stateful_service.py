"""A stateful service: a named actor that many tasks find by its name, and that comes back after a crash.

``get_if_exists`` makes it safe for everybody to ask for it; ``max_restarts`` starts it again, empty, if its process
dies, and ``max_task_retries`` repeats the call that was lost.
"""

from __future__ import annotations

import os
from typing import Any

import actorgrid as ag


class Cache:
    """A key-value store."""

    def __init__(self) -> None:
        self.values: dict[str, int] = {}

    def add(self, key: str, value: int) -> int:
        """Add to a value and return the sum."""
        self.values[key] = self.values.get(key, 0) + value
        return self.values[key]

    def crash(self) -> None:
        """Die as a bug in C code would make it die."""
        os._exit(1)


def service() -> Any:
    """Return the one cache, whoever asks first."""
    options = {"name": "cache", "get_if_exists": True, "max_restarts": 1, "max_task_retries": 0}
    return ag.remote(Cache).options(**options).remote()


@ag.remote
def visit(page: str) -> int:
    """A task that uses the service."""
    return int(ag.get(service().add.remote(page, 1)))


def main() -> None:
    """Use it, crash it, use it again."""
    keep = service()  # the service lives as long as somebody holds a handle
    ag.get([visit.remote("home") for _ in range(20)])
    before = ag.get(keep.add.remote("home", 0))
    try:
        ag.get(keep.crash.remote())
    except ag.exceptions.ActorUnavailableError as error:
        print(f"crashed: {error}")
    after = ag.get(keep.add.remote("home", 0))
    print(f"visits before the crash: {before}, after it: {after}")
    assert (before, after) == (20, 0)


if __name__ == "__main__":
    main()
