"""Which engine the calling process uses.

One engine per process. ``api`` asks ``current()``; ``init`` and a worker's start ``install`` one. After ``os.fork``
the child has none that works: links and locks belong to the parent, so every call says so instead of hanging.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from actorgrid.engine.definitions import StartConfig
    from actorgrid.engine.protocol import Engine

_engine: Engine | None = None
_forked = False
_starter: Callable[[], Engine] | None = None
#: Starts the engine of whatever grid the program asks for, while it runs inside a simulation.
_host: Callable[[StartConfig], Engine] | None = None


#: Starts a grid of real processes.
_processes: Callable[[StartConfig], Engine] | None = None
#: This process belongs to a grid, and is not to start another one.
_owned = False


def set_processes(start: Callable[[StartConfig], Engine]) -> None:
    """Set what starts a grid of real processes: ``api`` knows, and the simulator, which may not, asks."""
    global _processes  # noqa: PLW0603  # see install
    _processes = start


def belongs_to_a_grid() -> None:
    """Note that this process, and what is forked of it until it has an engine, is part of a grid."""
    global _owned  # noqa: PLW0603  # see install
    _owned = True


def _check_not_ending() -> None:
    if sys.is_finalizing() or not threading.main_thread().is_alive():
        raise RuntimeError(
            "this program is shutting down: it starts no grid any more, and the one that it had has ended. An exit "
            "handler may use that if it was registered after init(), and nobody has called shutdown()"
        )


def check_may_start() -> None:
    """Raise RuntimeError in a process of a grid: it would do so in each of its own grid's processes, without end."""
    if _owned:
        raise RuntimeError(
            "a process of a grid cannot start a grid of its own. Probably it is importing a module, in order to run "
            "something that is defined there, which starts one at its top level: put that below "
            "`if __name__ == '__main__':`. A task uses the grid that it runs in"
        )


def start_processes(config: StartConfig) -> Engine:
    """Start a grid of real processes. Raises RuntimeError in a process of one, and in one that is about to end."""
    _check_not_ending()
    check_may_start()
    assert _processes is not None, "set when actorgrid.api.session is imported"
    return _processes(config)


def host() -> Callable[[StartConfig], Engine] | None:
    """Return what starts grids in the simulation that the calling code runs in, None outside."""
    return _host


def set_host(start: Callable[[StartConfig], Engine] | None) -> None:
    """Enter (or, with None, leave) a simulation."""
    global _host  # noqa: PLW0603  # see install
    _host = start


def installed() -> Engine | None:
    """Return this process's engine, or None."""
    return _engine


def install(engine: Engine | None) -> None:
    """Make ``engine`` this process's engine."""
    global _engine, _forked  # noqa: PLW0603  # one engine per process is what this module is for
    _engine = engine
    _forked = False


def set_starter(starter: Callable[[], Engine]) -> None:
    """Set what ``current`` calls when there is no engine yet (``init`` with defaults)."""
    global _starter  # noqa: PLW0603  # see install
    _starter = starter


def current() -> Engine:
    """Return the engine, starting one with defaults if there is none. Raises RuntimeError in a forked child."""
    if _engine is not None:
        return _engine
    _check_not_forked()
    if _starter is None:
        message = "no engine is installed; call actorgrid.init()"
        raise RuntimeError(message)
    if _host is None:
        _check_not_ending()  # before anything is imported for it: that may fail by now
    return _starter()


def existing() -> Engine | None:
    """Return the engine, None if there is none: none is started. Raises RuntimeError in a forked child."""
    if _engine is None:
        _check_not_forked()
    return _engine


def _check_not_forked() -> None:
    if _forked:
        raise RuntimeError(
            "this process was forked from a process that uses actorgrid: the grid belongs to the parent. "
            "Call actorgrid.init() here to start a grid of its own, or submit from the parent."
        )


def _after_fork_in_child() -> None:
    global _engine, _forked, _owned  # noqa: PLW0603  # see install
    if _engine is not None:
        _owned = False
        _engine = None
        _forked = True


os.register_at_fork(after_in_child=_after_fork_in_child)
