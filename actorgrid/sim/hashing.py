"""How strings hash in this process: it decides the order of sets of strings, and is settled when Python starts.

A schedule remembers a hash seed other than 0. Where strings hash at random nobody knows the seed, and a failure that
hangs on a set of strings cannot be promised to come again: the report says so.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Mapping
from typing import Any, Final

VARIABLE: Final = "PYTHONHASHSEED"


def hash_seed() -> int | None:
    """Return the seed that strings are hashed with here, None if it is a random one."""
    if not sys.flags.hash_randomization:
        return 0
    given = "" if sys.flags.ignore_environment else os.environ.get(VARIABLE, "")
    return int(given) if given.isdigit() else None


#: Asked once: the program may change its environment, and not how strings hash.
HERE: Final = hash_seed()


def settings() -> dict[str, Any]:
    """Return what a schedule must remember of it."""
    return {"hash": HERE} if HERE else {}


def seed_of(settings_of_schedule: Mapping[str, Any]) -> int:
    """Return the hash seed that a schedule was found under; 0 also if it was a random one."""
    return int(settings_of_schedule.get("hash", 0))


def warn_of_others(settings_of_schedule: Mapping[str, Any]) -> None:
    """Warn if a schedule was found where strings are known to hash otherwise than here."""
    found = seed_of(settings_of_schedule)
    if found and found != HERE:
        here = "a random seed" if HERE is None else f"{VARIABLE}={HERE}"
        warnings.warn(
            f"this schedule was found under {VARIABLE}={found}, and this is {here}: if the order of a set of strings "
            f"matters, start Python with {VARIABLE}={found} to replay it",
            stacklevel=3,
        )
