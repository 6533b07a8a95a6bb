"""Where in the user's program something happens: the frames of a stack that are not ours."""

from __future__ import annotations

import sysconfig
from pathlib import Path
from types import FrameType
from typing import Final

import actorgrid

#: How the names of files begin that are nobody's program: this package, Python, what is installed beside it.
NOT_THEIRS: Final = (
    str(Path(actorgrid.__file__).parent),
    *(sysconfig.get_paths()[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")),
)
#: Frames that a report shows of one stack.
MOST: Final = 3


def places_of(frame: FrameType | None) -> str:
    """Return the innermost places of the user's code on a stack, the innermost first; "" if there is none."""
    found: list[str] = []
    while frame is not None and len(found) < MOST:
        code = frame.f_code
        if code.co_name != "<module>" and not code.co_filename.startswith(NOT_THEIRS):
            found.append(f"{Path(code.co_filename).name}:{frame.f_lineno} in {code.co_name}")
        frame = frame.f_back
    return ", called at ".join(found)
