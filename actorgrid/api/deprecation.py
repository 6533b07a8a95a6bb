"""The warning of what is deprecated here as it is on Ray."""

from __future__ import annotations

import inspect
import warnings


class RayDeprecationWarning(DeprecationWarning):
    """Something is used that will go: in Ray, and so here."""


def warn(text: str, category: type[DeprecationWarning] = DeprecationWarning) -> None:
    """Warn the line of the program, or of a library, that leads here."""
    frame, depth = inspect.currentframe(), 0
    while frame is not None and frame.f_globals.get("__name__", "").startswith("actorgrid."):
        frame, depth = frame.f_back, depth + 1
    warnings.warn(text, category, stacklevel=depth + 1)
