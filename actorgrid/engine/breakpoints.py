"""``breakpoint()`` in a process that has no terminal: an error that says so, and where it works instead."""

from __future__ import annotations

import os
import sys
from typing import Any, Final

#: Why workers cannot be debugged where they are, and where they can.
NO_TERMINAL: Final = (
    "workers have no terminal; with init(engine='sim') everything runs in this process, and so does pdb"
)
#: Python's own variable: "0" passes breakpoints over, and a name is what is called instead of pdb.
VARIABLE: Final = "PYTHONBREAKPOINT"


def install() -> None:
    """Let ``breakpoint()`` say that it cannot be done here, unless somebody has put something in its place."""
    if sys.breakpointhook is sys.__breakpointhook__:
        sys.breakpointhook = _refuse


def _refuse(*args: Any, **kwargs: Any) -> Any:
    if os.environ.get(VARIABLE, "") in {"", "pdb.set_trace"}:
        raise NotImplementedError(
            f"breakpoint() cannot stop here: {NO_TERMINAL} ({VARIABLE}=0 passes over all of them)"
        )
    return sys.__breakpointhook__(*args, **kwargs)  # noqa: T100  # not ours: the program's
