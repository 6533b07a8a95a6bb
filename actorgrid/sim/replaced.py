"""The names of Python's modules and classes under which something else lies while a world is open.

They are the same for all worlds: the first one replaces them and the last one puts the real things back. Many runs in
a row hold them from the first to the last: a hundred names are set twice, not twice for every run.

This file may not know what stands for what, nor what a world is.
"""

from __future__ import annotations

import _thread
import ctypes
import gc
import operator
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from actorgrid.sim.standins import StandIn, stand_in_for

_Key = tuple[Any, str]


class _Names:
    """What is replaced now, in this interpreter."""

    def __init__(self) -> None:
        #: Worlds that are open, and loops that open one after the other.
        self.holders = 0
        #: (module or class, name) -> what is real, and what lies there now.
        self.places: dict[_Key, tuple[Any, Any]] = {}
        #: Real thing -> what stands for it, by identity, for modules that have imported it under a name of their own.
        self.stand_ins: dict[int, Any] = {}
        #: (module or class, name) -> the stand-in, and what lies there for it.
        self.gates: dict[_Key, tuple[StandIn, Any]] = {}
        self.lock: Final = _thread.allocate_lock()
        #: Everything that is to be replaced is: what was to be. None: not yet.
        self.laid: object = None
        #: The same places as columns: dictionaries of modules and classes, names, what lies there. None: to be made.
        self._columns: tuple[list[Any], list[str], list[Any]] | None = None

    def put(self, owner: Any, name: str, installed: Any) -> None:
        """Have ``installed`` lie under the name."""
        lies = vars(owner)[name]
        if lies is not installed:
            real, _ = self.places.get((owner, name), (lies, None))
            self.places[owner, name] = real, installed
            self._columns = None
            self.stand_ins[id(lies)] = installed
            _lay(owner, name, installed)

    def mend(self) -> None:
        """Undo what somebody has done to the names."""
        if not self.are_whole():
            for (owner, name), (_, installed) in self.places.items():
                if vars(owner).get(name) is not installed:
                    _lay(owner, name, installed)

    def are_whole(self) -> bool:
        """Return whether everything lies where it was put: asked around every run, so no loop of ours looks."""
        if self._columns is None:
            owners = [vars(owner) for owner, _ in self.places]
            names = [name for _, name in self.places]
            self._columns = owners, names, [installed for _, installed in self.places.values()]
        owners, names, installed = self._columns
        try:
            return all(map(operator.is_, map(operator.getitem, owners, names), installed))
        except KeyError:  # one is gone
            return False

    def put_back(self) -> None:
        """Put back what is real, but where somebody else has put something between two runs."""
        for (owner, name), (real, installed) in reversed(self.places.items()):
            if vars(owner).get(name) is installed:
                _lay(owner, name, real)
        self.places.clear()
        self._columns = self.laid = None
        self.gates.clear()
        self.stand_ins.clear()


def _lay(owner: Any, name: str, value: Any) -> None:
    """Set a name of a module or class, even of a class written in C, which does not let Python code do that.

    Such a class could only be replaced as a whole; but then its instances are no longer of the class that has its name,
    so they cannot be pickled, and whoever has imported the class before has another one.
    """
    try:
        setattr(owner, name, value)
    except TypeError:
        (names,) = gc.get_referents(vars(owner))  # the dictionary behind the read-only view of it
        names[name] = value
        ctypes.pythonapi.PyType_Modified(ctypes.py_object(owner))  # the interpreter remembers what it has looked up


_names: Final = _Names()
#: See ``_Names``: for reading only.
stand_ins: Final = _names.stand_ins


def hold() -> None:
    """Keep from now on what is replaced, until as many calls of ``release`` have come."""
    with _names.lock:
        _names.holders += 1


def release() -> None:
    """A world is over: undo what its program did to the names, or, after the last one, what was done at all."""
    with _names.lock:
        _names.mend()
        _names.holders -= 1
        if not _names.holders:
            _names.put_back()


@contextmanager
def held() -> Iterator[None]:
    """While the block lasts, worlds that open and close leave the names as they are."""
    hold()
    try:
        yield
    finally:
        with _names.lock:
            _names.holders -= 1
            if not _names.holders:
                _names.put_back()


def lay_out(what: object, put: Callable[[], None]) -> None:
    """Have ``put`` replace everything, unless a world before this one did, and it lies there. ``what`` tells it apart.

    Call it while names are held (``hold``).
    """
    if _names.laid != what or not _names.are_whole():
        put()
        _names.laid = what


def replace(owner: Any, name: str, installed: Any) -> None:
    """Have ``installed`` lie under a name of a module or class, whoever asks."""
    with _names.lock:
        _names.put(owner, name, installed)


def gate(owner: Any, name: str) -> StandIn:
    """Have a stand-in lie under a name, and return it: whose code asks decides what it does."""
    known = _names.gates.get((owner, name))
    if known is None or vars(owner)[name] is not known[1]:
        known = _names.gates[owner, name] = stand_in_for(owner, name)
        replace(owner, name, known[1])
    return known[0]


def real(owner: Any, name: str) -> Any:
    """Return what is real under a name, replaced or not."""
    lies = vars(owner)[name]
    place = _names.places.get((owner, name))
    return place[0] if place is not None and lies is place[1] else lies
