"""Names that users give: lists, errors, prefixes of output and terminals show them as they are."""

from __future__ import annotations

from typing import Any

from actorgrid.core.texts import CONTROLS


def text(name: str, value: Any) -> str:
    """Check a text without control characters. Raises TypeError, ValueError."""
    if not isinstance(value, str):
        raise TypeError(f"option {name!r} must be a str, not {type(value).__name__}: {value!r:.100}")
    if CONTROLS.search(value) is not None:
        raise ValueError(f"option {name!r} must not have control characters, which act on terminals: {value!r:.100}")
    return value


def not_empty(name: str, value: Any) -> str:
    """Check a name that may not be empty. Raises TypeError, ValueError."""
    if not text(name, value):
        raise ValueError(f"option {name!r} must not be an empty string")
    return str(value)
