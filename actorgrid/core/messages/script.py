"""How a recorded run is to be played on real processes: for ``core.head.stage``."""

from __future__ import annotations

from typing import Final

from msgspec import field

from actorgrid.core.messages.base import Struct

#: The victim of a recorded death that is no path: the head itself.
HEAD: Final = "head"


class Kill(Struct):
    """A recorded death: of the process of task or actor ``victim`` (a path), or of the head.

    ``point``: "blocked" (while it waited), "before_reply" (``call`` is the one whose result it took along), "send" (it
    took along the submission of ``call``), "restart" (before the constructor ran again). ``started``, ``finished``: how
    many calls each actor (by path) had when it happened; ``said``: how many each call that ran in the process had made,
    and for the head's death the program itself ("") and every call.
    """

    victim: str
    point: str = "blocked"
    call: str = ""
    started: dict[str, int] = field(default_factory=dict)
    finished: dict[str, int] = field(default_factory=dict)
    said: dict[str, int] = field(default_factory=dict)


class Script(Struct):
    """A recorded run, for ``core.head.stage``: the calls that each actor starts, in order, and who dies when."""

    orders: dict[str, list[str]] = field(default_factory=dict)
    kills: list[Kill] = field(default_factory=list)
