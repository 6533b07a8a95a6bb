"""What makes a worker look like the driver: ``sys.path``, ``sys.argv``, the working directory, warning filters."""

from __future__ import annotations

import contextlib
import os
import pickle
import sys
import time
import warnings

import msgspec

from actorgrid.engine.definitions import Setup
from actorgrid.engine.setups import Finder, belongs, is_loaded


class Surroundings(msgspec.Struct):
    """What code that is imported or run can see of the process it is in."""

    path: list[str]
    argv: list[str]
    cwd: str
    #: Pickled ``warnings.filters``.
    filters: bytes = b""

    def apply(self, folder: str = "") -> None:
        """Make this process look like that. ``folder``: it has one of its own, in which it stays."""
        sys.path[:] = [folder, *self.path] if folder else self.path
        sys.argv[:] = self.argv
        with contextlib.suppress(OSError):
            if not folder and os.getcwd() != self.cwd:
                os.chdir(self.cwd)
        if self.filters:
            try:
                warnings.filters[:] = pickle.loads(self.filters)  # type: ignore[index]  # noqa: S301  # the driver's own
            except Exception:  # noqa: BLE001  # a category that cannot be imported here: Python's defaults stay
                return
            warnings._filters_mutated()  # type: ignore[attr-defined]  # noqa: SLF001  # as warnings.py does itself


def look_around() -> Surroundings:
    """Return the surroundings of this process. The script's folder is made absolute."""
    first = [os.path.abspath(sys.path[0])] if sys.path else []
    try:
        filters = pickle.dumps(list(warnings.filters))
    except Exception:  # noqa: BLE001  # a filter on a class that cannot be pickled: workers keep the defaults
        filters = b""
    try:
        cwd = os.getcwd()
    except FileNotFoundError:
        cwd = "/"
    return Surroundings(first + sys.path[1:], list(sys.argv), cwd, filters)


def settle_in(setup: Setup) -> None:
    """Take over the variables, the folder and the modules of a runtime environment. Raises OSError."""
    if setup.surroundings:
        decode(setup.surroundings).apply(setup.working_dir)
    os.environ.update(setup.env_vars)
    if "TZ" in setup.env_vars:
        time.tzset()
    if setup.working_dir:
        os.chdir(setup.working_dir)
        sys.path.insert(0, setup.working_dir)
    if setup.py_modules:
        finder = Finder(setup.py_modules)
        elsewhere = {name: place for name, place in finder.places.items() if not is_loaded(name, place)}
        for name in [name for name in sys.modules if belongs(name, elsewhere)]:
            del sys.modules[name]  # preloaded
        sys.meta_path.insert(0, finder)


def encode(surroundings: Surroundings) -> bytes:
    """Return ``surroundings`` as bytes that the head passes on unseen."""
    return msgspec.msgpack.encode(surroundings)


def decode(blob: bytes) -> Surroundings:
    """Return what ``encode`` was given."""
    return msgspec.msgpack.decode(blob, type=Surroundings)
