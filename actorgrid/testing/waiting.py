"""Waiting for a condition: what tests do instead of sleeping."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

#: Pauses between two looks double from the first of these to the second (seconds).
FIRST_PAUSE: Final = 0.001
LONGEST_PAUSE: Final = 0.05


def wait_until(condition: Callable[[], object], seconds: float = 20.0) -> bool:
    """Look until ``condition()`` is true; return whether it became so within ``seconds``.

    In simulated code the seconds are virtual.
    """
    end = time.monotonic() + seconds
    pause = FIRST_PAUSE
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE)
    return True
