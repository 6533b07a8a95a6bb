"""Saying that one gives up, while one is being interrupted."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from actorgrid.engine.interrupts import protected

__all__ = ["surely"]


@protected
def surely(say: Callable[[], object]) -> None:
    """Call ``say``, which sends a word that may be sent twice; without a grid nobody is left to hear it.

    An interrupt that comes meanwhile is raised when it has been said. (Our own wait until this function returns; those
    of a program's signal handlers do not.)
    """
    try:
        with contextlib.suppress(Exception):
            say()
    except BaseException:
        with contextlib.suppress(Exception):
            say()
        raise
