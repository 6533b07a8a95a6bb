"""``actorgrid ray``: a program that was written for Ray, run as it is."""

from __future__ import annotations

import importlib
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path


def run_program(program: str, arguments: Sequence[str]) -> int:
    """Run a Python file as the main program, with ``ray`` for actorgrid; return an exit status: 2 if it is no file."""
    path = Path(program)
    if not path.is_file():
        print(f"actorgrid: there is no file {program!r}", file=sys.stderr)
        return 2
    importlib.import_module("actorgrid.as_ray")
    sys.argv = [program, *arguments]
    sys.path.insert(0, str(path.parent.resolve()))
    runpy.run_path(program, run_name="__main__")
    return 0
