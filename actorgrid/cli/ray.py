"""``actorgrid ray``: a program that was written for Ray, run as it is."""

from __future__ import annotations

import importlib.util
import os
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

#: Where the processes that a program starts by itself find ``ray``.
STAND_IN: Final = Path(__file__).with_name("stand_in")


def run_program(program: str, arguments: Sequence[str], *, module: bool = False) -> int:
    """Run a Python file as the main program, with ``ray`` for actorgrid; return an exit status: 2 if there is none.

    ``module``: ``program`` is the name of a module, or of a package with a ``__main__``, found as ``python -m`` does.
    """
    path = Path(program)
    if not module and not path.is_file():
        print(f"actorgrid: there is no file {program!r}", file=sys.stderr)
        return 2
    importlib.import_module("actorgrid.as_ray")
    # For the processes that the program starts by itself: ``multiprocessing`` hands on the path, others the variable.
    paths = filter(None, (str(STAND_IN), os.environ.get("PYTHONPATH")))
    os.environ["PYTHONPATH"] = os.pathsep.join(paths)
    sys.argv = [program, *arguments]
    sys.path[:0] = [os.getcwd() if module else str(path.parent.resolve()), str(STAND_IN)]
    if not module:
        runpy.run_path(program, run_name="__main__")
    elif _is_there(program):
        runpy.run_module(program, run_name="__main__", alter_sys=True)
    else:
        print(f"actorgrid: there is no module {program!r}", file=sys.stderr)
        return 2
    return 0


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ModuleNotFoundError, ValueError):  # what should hold it is not there, or no package
        return False
