"""Names that users give: lists, errors, prefixes of output and terminals show them as they are."""

from __future__ import annotations

import re
from typing import Any, Final

#: What moves the cursor, ends the line, colours what follows, or turns its direction round.
_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def text(name: str, value: Any) -> str:
    """Check a text without control characters. Raises TypeError, ValueError."""
    if not isinstance(value, str):
        raise TypeError(f"option {name!r} must be a str, not {type(value).__name__}: {value!r:.100}")
    if _CONTROLS.search(value) is not None:
        raise ValueError(f"option {name!r} must not have control characters, which act on terminals: {value!r:.100}")
    return value


def visible(shown: str) -> str:
    """Return a text with its control characters spelled out, for a terminal: functions may be called anything."""
    return _CONTROLS.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), shown)


def not_empty(name: str, value: Any) -> str:
    """Check a name that may not be empty. Raises TypeError, ValueError."""
    if not text(name, value):
        raise ValueError(f"option {name!r} must not be an empty string")
    return str(value)
