"""Where in the user's program something happens: the frames of a stack that are not ours."""

from __future__ import annotations

import sys
import sysconfig
from os.path import basename
from pathlib import Path
from types import FrameType
from typing import Final

import actorgrid

#: How the names of files begin that are nobody's program: this package, Python, what is installed beside it.
NOT_THEIRS: Final = (
    str(Path(actorgrid.__file__).parent),
    *(sysconfig.get_paths()[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")),
)
HERE: Final = str(Path(__file__).parent)
#: Frames that a report shows of one stack.
MOST: Final = 3


def _place(frame: FrameType) -> str:
    return f"{basename(frame.f_code.co_filename)}:{frame.f_lineno}"  # noqa: PTH119  # for each call: Path takes its time


def call_site() -> str:
    """Return file and line of the innermost frame of the user's program, or else of whatever is not ours."""
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001  # inspect.currentframe, without the import
    outside: FrameType | None = None
    while frame is not None and frame.f_code.co_filename.startswith(NOT_THEIRS):
        if outside is None and not frame.f_code.co_filename.startswith(NOT_THEIRS[0]):
            outside = frame
        frame = frame.f_back
    frame = frame or outside
    return "" if frame is None else _place(frame)


def user_site() -> str:
    """Return file and line of the user's program if it is what led here, and not something that the runtime does."""
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001  # see call_site
    while frame is not None and frame.f_code.co_filename.startswith(NOT_THEIRS):
        if frame.f_code.co_filename.startswith(NOT_THEIRS[0]) and not frame.f_code.co_filename.startswith(HERE):
            return ""
        frame = frame.f_back
    return "" if frame is None else _place(frame)


def places_of(frame: FrameType | None) -> str:
    """Return the innermost places of the user's code on a stack, the innermost first; "" if there is none."""
    found: list[str] = []
    while frame is not None and len(found) < MOST:
        code = frame.f_code
        if code.co_name != "<module>" and not code.co_filename.startswith(NOT_THEIRS):
            found.append(f"{_place(frame)} in {code.co_name}")
        frame = frame.f_back
    return ", called at ".join(found)
