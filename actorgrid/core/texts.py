"""Names as terminals are shown them: functions and classes may be called anything, and actors say anything."""

from __future__ import annotations

import re
from typing import Final

#: What moves the cursor, ends the line, colours what follows, or turns its direction round.
CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
#: Besides, the halves of characters: no terminal and no message can have them.
_SPELLED: Final = re.compile(CONTROLS.pattern[:-1] + r"\ud800-\udfff]")


def visible(name: str) -> str:
    """Return a name with its control characters spelled out, as ``repr`` does."""
    return _SPELLED.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), name)
