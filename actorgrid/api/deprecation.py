"""The warning of what is deprecated here as it is on Ray."""

from __future__ import annotations


class RayDeprecationWarning(DeprecationWarning):
    """Something is used that will go: in Ray, and so here."""
