"""``actorgrid ray``: a program that was written for Ray, run as it is."""

from __future__ import annotations

import importlib
import os
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

#: Where the processes that a program starts by itself find ``ray``.
STAND_IN: Final = Path(__file__).with_name("stand_in")


def run_program(program: str, arguments: Sequence[str]) -> int:
    """Run a Python file as the main program, with ``ray`` for actorgrid; return an exit status: 2 if it is no file."""
    path = Path(program)
    if not path.is_file():
        print(f"actorgrid: there is no file {program!r}", file=sys.stderr)
        return 2
    importlib.import_module("actorgrid.as_ray")
    # For the processes that the program starts by itself: ``multiprocessing`` hands on the path, others the variable.
    paths = filter(None, (str(STAND_IN), os.environ.get("PYTHONPATH")))
    os.environ["PYTHONPATH"] = os.pathsep.join(paths)
    sys.argv = [program, *arguments]
    sys.path[:0] = [str(path.parent.resolve()), str(STAND_IN)]
    runpy.run_path(program, run_name="__main__")
    return 0
