"""Names of modules and classes that mean something else while a world is open, and how they are put in place and back.

A schedule takes a few milliseconds, and a test process holds thousands of names: so stand-ins are made once and know
nothing of any world, and where the user's modules have their own names for what is replaced is looked up once for all
schedules of a search.
"""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, Final, NamedTuple

_LIBRARY: Final = tuple(sysconfig.get_paths()[name] for name in ("stdlib", "platstdlib", "purelib", "platlib"))


class Replaced(NamedTuple):
    """A name, what is there without us, and what stands for it."""

    owner: Any
    name: str
    real: Any
    stand_in: Any


class Scenery:
    """Every replacement there is; in place while somebody needs it."""

    def __init__(self, build: Callable[[], list[Replaced]]) -> None:
        """``build`` returns what is to be replaced, as things are now."""
        self._build = build
        self._names: list[Replaced] = []
        #: What of ``sys.modules`` the list depends on.
        self._built_for: object = None
        self._aliases: list[Replaced] = []
        self._users = 0
        self._searches = 0
        #: How many modules there were when the aliases were looked up; 0: they are to be looked up.
        self._modules = 0
        self._own: tuple[int, list[ModuleType]] = 0, []

    def put_up(self) -> None:
        """Put every replacement in place, unless they are."""
        if not self._users:
            self._renew()
            for owner, name, _, stand_in in self._names:
                setattr(owner, name, stand_in)
            if not self._searches or self._modules != len(sys.modules):
                self._modules = len(sys.modules)
                self._aliases = list(self._find_aliases())
            for owner, name, _, stand_in in self._aliases:
                setattr(owner, name, stand_in)
        self._users += 1

    def take_down(self) -> None:
        """Put everything back when nobody needs it any more."""
        self._users -= 1
        if not self._users:
            for owner, name, real, _ in [*self._aliases, *self._names]:
                setattr(owner, name, real)

    @contextmanager
    def for_many(self) -> Iterator[None]:
        """Look up once what the user's modules call by names of their own: only the program under test runs meanwhile.

        What that binds anew it binds to stand-ins.
        """
        if not self._searches:
            self._modules = 0
        self._searches += 1
        try:
            yield
        finally:
            self._searches -= 1

    def _renew(self) -> None:
        """Make stand-ins anew if they stand for what is not there any more, or if there is more."""
        built_for = "uuid" in sys.modules
        if built_for != self._built_for or any(vars(owner)[name] is not real for owner, name, real, _ in self._names):
            self._names = self._build()
            self._built_for = built_for
            self._modules = 0

    def _find_aliases(self) -> Iterator[Replaced]:
        """Yield what the user's modules have imported by name (``from time import sleep``)."""
        # Not by id(), which is an event that the audit hook of ``boundary`` hears. Functions and classes can be hashed.
        stand_ins = {each.real: each.stand_in for each in self._names}
        kinds = {type(real) for real in stand_ins}
        for module in self._own_modules():
            for name, value in list(vars(module).items()):
                if type(value) in kinds and value in stand_ins:
                    yield Replaced(module, name, value, stand_ins[value])

    def _own_modules(self) -> list[ModuleType]:
        """Return the modules that belong neither to Python nor to an installed package, nor to this one."""
        count = len(sys.modules)
        if self._own[0] != count:
            self._own = count, [module for module in list(sys.modules.values()) if _is_users(module)]
        return self._own[1]


def _is_users(module: Any) -> bool:
    file = getattr(module, "__file__", None)
    name = getattr(module, "__name__", "")
    if name == "__main__":
        return True
    return isinstance(file, str) and name.partition(".")[0] != "actorgrid" and not file.startswith(_LIBRARY)
