"""What the tests of the boundary use: code that runs inside of a simulation."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import actorgrid as ag
from actorgrid import sim

HOUR = 3600.0


@ag.remote
def run_there(code: Callable[[], Any]) -> Any:
    return code()


def simulated(code: Callable[[], Any], seed: int = 0) -> Any:
    """Return what ``code`` returns inside of a simulation. Raises what it raises."""
    result = sim.run(code, seed=seed)
    if result.error is not None:
        raise result.error
    return result.value
