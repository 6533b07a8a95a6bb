"""Which Python runs the program: asyncio's own functions take as many turns of a loop as its version has them take.

``asyncio.wait_for`` is another one since 3.12, for example. Where turns are choices, a schedule counts them.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping
from typing import Any, Final

HERE: Final = "{}.{}".format(*sys.version_info)


def settings(*, turns: bool) -> dict[str, Any]:
    """Return what a schedule must remember of it; ``turns``: those of event loops are choices."""
    return {"python": HERE} if turns else {}


def warn_of_others(settings_of_schedule: Mapping[str, Any]) -> None:
    """Warn if a schedule was found in another Python, and that may make a difference."""
    found = settings_of_schedule.get("python", HERE)
    if found != HERE:
        warnings.warn(
            f"this schedule was found in Python {found}, and this is {HERE}: turns of event loops are choices in it, "
            f"and asyncio may take another number of them here; if it replays as another run, use Python {found}",
            stacklevel=3,
        )
