"""Folders and modules of runtime environments: each process finds its own, although there is one interpreter.

While a process with such an environment runs, the working directory, ``sys.path`` and ``sys.modules`` are what it would
have alone; they are put back when another one goes on. So two environments may have modules of the same name, and
nothing of them is left when the world ends. Without such environments nothing here is ever called.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Final

from actorgrid.engine.definitions import Setup
from actorgrid.engine.setups import Finder, belongs, is_loaded

#: What is loaded once for all: our own package, and Python's.
_COMMON: Final = frozenset({*sys.stdlib_module_names, *sys.builtin_module_names, __name__.partition(".")[0]})


class Home:
    """What one process has: its folder, what it imports from there, and which of that it has loaded."""

    def __init__(self, setup: Setup) -> None:
        """Raises OSError if there is no such folder."""
        self.folder = self.at = setup.working_dir
        self.finder = Finder(setup.py_modules)
        found = _modules_in(self.folder) if self.folder else {}
        #: The names of its own modules, and where they lie. One that is loaded from there already is everybody's.
        self.names = {name: place for name, place in (found | self.finder.places).items() if not is_loaded(name, place)}
        #: Those that it has loaded, while another process runs.
        self.modules: dict[str, ModuleType] = {}


class Homes:
    """Who is at home now. One for each world."""

    def __init__(self) -> None:
        self.here: Home | None = None
        self._used = False
        #: The working directory of whoever has no home, and modules of theirs that are called like those of ``here``.
        self._outside = ""
        self._hidden: dict[str, ModuleType] = {}

    def go(self, home: Home | None) -> None:
        """A process with this home, or without one, goes on."""
        self._used = True
        if self.here is not None:
            self._leave(self.here)
        self.here = home
        if home is None:
            return
        if home.folder:
            self._outside = _where()
            _move(home.at)
            sys.path.insert(0, home.folder)
        sys.meta_path.insert(0, home.finder)
        self._hidden = _taken_out(home)
        sys.modules.update(home.modules)

    def _leave(self, home: Home) -> None:
        home.modules = _taken_out(home)
        sys.modules.update(self._hidden)
        sys.meta_path.remove(home.finder)
        if home.folder:
            if home.folder in sys.path:
                sys.path.remove(home.folder)
            home.at = _where()  # it may have gone elsewhere
            _move(self._outside)

    def close(self) -> None:
        """The world ends."""
        if self._used:
            self.go(None)
            importlib.invalidate_caches()


def _where() -> str:
    try:
        return str(Path.cwd())
    except OSError:
        return ""


def _move(folder: str) -> None:
    """Make ``folder`` the working directory; if it is gone, a real process that is there would not notice either."""
    with contextlib.suppress(OSError):
        os.chdir(folder)


def _modules_in(folder: str) -> dict[str, str]:
    """Return the names of what can be imported from ``folder``, and where that is. Raises OSError."""
    with os.scandir(folder) as entries:
        names = [entry.name.removesuffix(".py") for entry in entries if entry.name.endswith(".py") or entry.is_dir()]
    return {name: folder for name in sorted(names) if name.isidentifier() and name not in _COMMON}


def _taken_out(home: Home) -> dict[str, ModuleType]:
    """Take out of ``sys.modules`` what is called like something of ``home``."""
    if not home.names:
        return {}
    return {key: sys.modules.pop(key) for key in [key for key in sys.modules if belongs(key, home.names)]}
