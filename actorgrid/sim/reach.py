"""What code refers to that lies in modules: the variables that all simulated processes share.

Followed are the names that a function mentions, and from there functions, classes with their methods and bases,
modules of the program (``helpers.note``), instances of its classes, partials, bound methods and what decorators wrap.
So a name counts although the code may mean another thing of that name: rather one alarm too many.
"""

from __future__ import annotations

import functools
import itertools
import sys
from collections import deque
from collections.abc import Callable
from enum import EnumType
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any, Final

from actorgrid.engine.definitions import ActorDefinition, FunctionDefinition
from actorgrid.sim.mentions import names_in, variables_in
from actorgrid.sim.places import NOT_THEIRS

PLAIN: Final = (int, float, str, bytes, bool, complex, type(None))
CONTAINERS: Final = (dict, list, tuple, set, frozenset, deque, bytearray)
#: A kind of place: what a function keeps as its attributes.
ATTRIBUTES: Final = "attributes of the function"
#: What is read where there is no variable of that name.
_MISSING: Final = "<no such variable>"
_theirs: dict[str, bool] = {}


class Place:
    """A variable that several simulated processes can see: what it is called, and what is there now."""

    __slots__ = ("key", "kind", "module", "name", "read", "write")

    def __init__(
        self, holder: Any, kind: str, module: str, name: str, read: Callable[[], Any], write: Callable[[Any], Any]
    ) -> None:
        self.key = id(holder), name
        self.kind = kind
        self.module = module
        self.name = name
        self.read = read
        self.write = write


def is_users(module: str) -> bool:
    """Return whether a module, by its name, belongs to the program: not to Python, an installed package, or to us."""
    known = _theirs.get(module)
    if known is None:
        file = getattr(sys.modules.get(module), "__file__", None)
        known = isinstance(file, str) and not file.startswith(NOT_THEIRS)
        if module in sys.modules:
            _theirs[module] = known
    return known


def has_state(value: Any) -> bool:
    """Return whether a value is an instance of one of the program's own classes."""
    return is_users(type(value).__module__) and not isinstance(value, type | ModuleType | FunctionType)


class Reach:
    """What can be reached from some code. ``places``: in order; ``remotes``: what other processes may run for it."""

    def __init__(self, target: Any) -> None:
        self.places: list[Place] = []
        self.remotes: list[Any] = []
        self._seen: set[Any] = set()
        self._keys: set[tuple[int, str]] = set()
        self.follow(target)

    def follow(self, value: Any, names: frozenset[str] = frozenset(), *, is_private: bool = True) -> None:
        """See where ``value`` leads. ``names``: what the code that refers to it mentions besides.

        ``is_private``: it is not reached through a module, so what belongs to itself is of one process alone.
        """
        if isinstance(value, ModuleType):
            if is_users(value.__name__) and self._is_new((id(value), id(names))):
                self._names(vars(value), names & vars(value).keys(), names)
        elif not self._is_new(id(value)):
            return
        elif isinstance(value, FunctionType):
            code = value.__code__  # once: asking for it is audited
            if not code.co_filename.startswith(NOT_THEIRS):
                self._function(value, code, is_private=is_private)
            elif hasattr(value, "__wrapped__"):  # of a library's decorator
                self.follow(value.__wrapped__, is_private=is_private)
        else:
            self._object(value, names, is_private=is_private)

    def _is_new(self, ident: Any) -> bool:
        if ident in self._seen:
            return False
        self._seen.add(ident)
        return True

    def _object(self, value: Any, names: frozenset[str], *, is_private: bool) -> None:
        if isinstance(value, type):
            self._class(value)
        elif type(value).__module__.startswith("actorgrid."):
            definition = getattr(value, "_definition", None)
            if isinstance(definition, FunctionDefinition):
                self.remotes.append(definition.function)
            elif isinstance(definition, ActorDefinition):
                self.remotes.append(definition.cls)
        else:
            for part in _parts_of(value):
                self.follow(part, names, is_private=is_private)

    def _class(self, cls: type) -> None:
        for base in cls.__mro__:
            if isinstance(base, EnumType) or (not is_users(base.__module__) and base is not cls):
                continue
            for name, member in list(vars(base).items()):
                if isinstance(member, FunctionType | staticmethod | classmethod | property | MethodType):
                    self.follow(member, is_private=not _is_importable(base))
                elif not name.startswith("__") and is_watched(member) and _is_importable(base):
                    named = f"{base.__qualname__}.{name}"
                    read, write = functools.partial(vars(base).get, name), functools.partial(setattr, base, name)
                    self._place(base, "class attribute", base.__module__, named, read, write)

    def _function(self, function: FunctionType, code: CodeType, *, is_private: bool) -> None:
        # A class that goes by value may have methods that do not: its handle, which has its name, shows them.
        is_private = is_private and not _is_importable(function)
        names = names_in(code)
        self._names(function.__globals__, names, names)
        self._names_to_come(function.__globals__, code)
        named, module = function.__qualname__, function.__module__
        for variable, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
            held = _content(cell)
            if not is_private and is_watched(held):
                write = functools.partial(setattr, cell, "cell_contents")
                self._place(cell, "variable", module, f"{named}.{variable}", functools.partial(_content, cell), write)
            self.follow(held, names, is_private=is_private)
        if not is_private:
            for default in (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()):
                if isinstance(default, CONTAINERS) and not isinstance(default, tuple | frozenset):
                    self._place(default, "default argument", module, named, functools.partial(_same, default), _same)
            self._place(vars(function), ATTRIBUTES, module, named, functools.partial(vars, function), _same)

    def _names_to_come(self, namespace: dict[str, Any], code: CodeType) -> None:
        """See which variables of a module code means that are not there, as yet."""
        if _is_of_module(namespace):
            for name in sorted(variables_in(code) - namespace.keys()):
                read = functools.partial(namespace.get, name, _MISSING)
                self._place(
                    namespace, "global", namespace["__name__"], name, read, functools.partial(_assign, namespace, name)
                )

    def _names(self, namespace: dict[str, Any], names: frozenset[str], all_names: frozenset[str]) -> None:
        """See where some names in the dictionary of a module, or of a private copy of it, lead."""
        module = str(namespace.get("__name__"))
        # What was pickled by value, as a task's own function is, has globals of its own in every process.
        is_shared = _is_of_module(namespace)
        for name in sorted(names):
            if name not in namespace:
                if name in sys.modules:  # the function imports it itself
                    self.follow(sys.modules[name], all_names)
                continue
            value = namespace[name]
            if is_shared and is_watched(value):
                read, write = functools.partial(namespace.get, name), functools.partial(namespace.__setitem__, name)
                self._place(namespace, "global", module, name, read, write)
            if type(value) not in PLAIN:
                self.follow(value, all_names, is_private=not is_shared)

    def _place(
        self, holder: Any, kind: str, module: str, name: str, read: Callable[[], Any], write: Callable[[Any], Any]
    ) -> None:
        place = Place(holder, kind, module, name, read, write)
        if place.key not in self._keys:
            self._keys.add(place.key)
            self.places.append(place)


def is_watched(value: Any) -> bool:
    """Return whether a change of such a value can be seen."""
    return (
        isinstance(value, (*PLAIN, *CONTAINERS, itertools.count, functools.partial, MethodType))
        or type(value).__module__ in {"array", "numpy"}
        or has_state(value)
    )


def _parts_of(value: Any) -> list[Any]:
    """Return the functions and objects that calling or using a value leads to."""
    match value:
        case functools.partial():
            return [value.func, *value.args, *value.keywords.values()]
        case MethodType():
            return [value.__func__, value.__self__]
        case property():
            return [value.fget, value.fset, value.fdel]
        case dict():  # a table of functions
            return [held for held in list(value.values()) if isinstance(held, FunctionType | MethodType)]
        case _ if isinstance(value, staticmethod | classmethod) or hasattr(type(value), "cache_info"):
            return [value.__wrapped__]
        case _:
            held = [type(value), *getattr(value, "__dict__", {}).values()] if has_state(value) else []
            return [part for part in held if isinstance(part, type | FunctionType | MethodType) or has_state(part)]


def _is_of_module(namespace: dict[str, Any]) -> bool:
    """Return whether a dictionary is that of a module, and not a private copy of it."""
    module = sys.modules.get(str(namespace.get("__name__")))
    return module is not None and getattr(module, "__dict__", None) is namespace


def _is_importable(thing: Any) -> bool:
    """Return whether all processes find this very class or function in its module."""
    found: Any = sys.modules.get(thing.__module__)
    for part in thing.__qualname__.split("."):
        found = getattr(found, part, None)
    return found is thing


def _assign(namespace: dict[str, Any], name: str, value: Any) -> None:
    if value is _MISSING:
        namespace.pop(name, None)
    else:
        namespace[name] = value


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not yet assigned
        return None


def _same(value: Any) -> Any:
    return value
