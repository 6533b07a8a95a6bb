"""A stateful service: a named actor that tasks find by its name, and that comes back after a crash.

With ``get_if_exists`` everybody may ask for it first; with ``max_restarts`` it starts again, empty, after a death.
"""

from __future__ import annotations

import os
from typing import Any

import actorgrid as ag


class Cache:
    def __init__(self) -> None:
        self.values: dict[str, int] = {}

    def add(self, key: str, value: int) -> int:
        self.values[key] = self.values.get(key, 0) + value
        return self.values[key]

    def pid(self) -> int:
        return os.getpid()

    def crash(self) -> None:
        os._exit(1)  # as a bug in C code would


RemoteCache = ag.remote(max_restarts=1)(Cache)


def service() -> Any:
    """Return the one cache, whoever asks first; it lives as long as somebody holds such a handle."""
    return RemoteCache.options(name="cache", get_if_exists=True).remote()


@ag.remote
def visit(page: str) -> None:
    """A task that finds the service by its name."""
    ag.get(ag.get_actor("cache").add.remote(page, 1))


def main() -> None:
    """Use it, crash it, use it again."""
    cache = service()
    ag.get([visit.remote("home") for _ in range(20)])
    before, old = ag.get([cache.add.remote("home", 0), service().pid.remote()])
    try:
        ag.get(cache.crash.remote())
    except ag.exceptions.ActorUnavailableError as error:
        print(f"crashed: {error}")
    after, new = ag.get([cache.add.remote("home", 0), cache.pid.remote()])
    print(f"visits before the crash: {before}, after it: {after}")
    assert (before, after) == (20, 0)
    assert old != new


if __name__ == "__main__":
    main()
