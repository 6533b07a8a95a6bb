"""What the tests of locks, events and barriers use: processes that meet, and a look at who keeps the names."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable
from typing import Any

import pytest

import actorgrid as ag
from actorgrid.testing.waiting import wait_until
from actorgrid.util import Lock, Semaphore
from tests.contract.tools import DEADLINE, kill_this_process


def get(ref: Any) -> Any:
    return ag.get(ref, timeout=DEADLINE)


@ag.remote(num_cpus=0)
class Process:
    """Does what it is told, in a process of its own."""

    def do(self, function: Any, *args: Any) -> Any:
        return function(*args)

    def die(self) -> None:
        kill_this_process()


def elsewhere(function: Any, *args: Any) -> Any:
    """Call a function in another process, which stays."""
    process = Process.remote()
    kept.append(process)
    return get(process.do.remote(function, *args))


kept: list[Any] = []


def at_the_keeper(look: Any) -> Any:
    """Return what ``look`` finds in the keeper."""
    return get(Lock()._keeper.__ray_call__.remote(look))


def waits(key: str) -> bool:
    """Return whether somebody waits for what is kept under ``key``."""

    def look(keeper: Any) -> bool:
        for kept in (keeper._permits, keeper._cells, keeper._meetings):
            found = kept.get(key)
            if found is not None:
                return bool(found.here if kept is keeper._meetings else found.waiting)
        return False

    return bool(at_the_keeper(look))


def names(part: str) -> list[str]:
    """Return the names that the keeper knows and that have ``part`` in them."""

    def look(keeper: Any) -> list[str]:
        return [key for key in [*keeper._permits, *keeper._cells, *keeper._meetings] if part in key]

    return list(at_the_keeper(look))


async def given_up(waiting: Any, key: str) -> None:
    """Give something up in an event loop, once it waits."""
    task = asyncio.ensure_future(waiting)
    assert await asyncio.to_thread(wait_until, lambda: waits(key))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def interrupted(waiting: Callable[[], object], key: str) -> None:
    """Press Ctrl-C once the calling code waits."""
    main = threading.get_ident()

    def press() -> None:
        if wait_until(lambda: waits(key)):
            signal.pthread_kill(main, signal.SIGINT)

    presser = threading.Thread(target=press)
    presser.start()
    with pytest.raises(KeyboardInterrupt):
        waiting()
    presser.join()


def end(ref: Any) -> None:
    """See that a call comes to a bad end."""
    with pytest.raises(ag.exceptions.RayError):
        get(ref)


@ag.remote(num_cpus=0)
def wait_at(thing: Any) -> Any:
    """Wait for a thing of whatever kind."""
    return thing.acquire() if isinstance(thing, Semaphore) else thing.wait()


ctrl_c = pytest.mark.processes("a simulated program has no terminal")
