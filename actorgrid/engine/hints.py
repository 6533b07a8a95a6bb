"""Hints at what somebody may have meant."""

from __future__ import annotations

from collections.abc import Iterable


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a hint at the name that looks most like ``name``, with a blank before it; "" if none does."""
    import difflib  # for mistakes alone

    near = difflib.get_close_matches(name, known, n=1, cutoff=0.7)
    return f" Did you mean {near[0]!r}?" if near else ""
