"""Where the program's modules hold a clock or a lock under a name of their own, from before the run.

``from time import sleep`` is one way; a default argument, a variable of a closure, an attribute of a class or of an
object that lies in a module, a partial, a field of a dataclass, a table of functions are others. What is found there is
replaced while a world is open. Deeper nobody looks.
"""

from __future__ import annotations

import _queue
import _thread
import dataclasses
import functools
import sys
import sysconfig
import threading
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import BuiltinMethodType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, Final

from actorgrid.sim.locks import SimLock, SimpleQueue, SimRLock
from actorgrid.sim.standins import ClassMethod

if TYPE_CHECKING:
    from actorgrid.sim.world import World

_LIBRARY: Final = tuple(sysconfig.get_paths()[name] for name in ("stdlib", "platstdlib", "purelib", "platlib"))
#: How deep into what lies in a module, and how many elements of a container, are looked at.
DEPTH: Final = 3
MOST: Final = 200
#: The kinds of lock that there are, and what is one to simulated code.
_LOCKS: Final[Mapping[type, Callable[..., Any]]] = {
    _thread.LockType: SimLock, type(_thread.RLock()): SimRLock, _queue.SimpleQueue: SimpleQueue,
}  # fmt: skip
#: Modules of Python's that keep a clock under a name of their own.
_KEEPERS: Final = ("sched", "timeit")
#: Special names of classes under which a clock may lie.
_SPECIAL: Final = ("__init__", "__dataclass_fields__")
#: What the standard library builds on locks.
_BUILT: Final = ("threading", "queue")
_seen: list[Any] = [0, []]
#: The places among the names of modules, and inside of what they name; the modules' sizes when they were searched.
_named: list[Any] = [(), []]
_found: list[Any] = [(), []]
_steady: list[bool] = [False]
#: The lock of a module (by identity) -> it, and what stands for it in every run.
_locks: Final[dict[int, tuple[Any, Any]]] = {}


@contextmanager
def steady() -> Iterator[None]:
    """While the block lasts only the simulated program gives other values to the names of modules."""
    _named[0] = ()
    before, _steady[0] = _steady[0], True
    try:
        yield
    finally:
        _steady[0] = before


def user_modules() -> list[ModuleType]:
    """Return the modules that belong neither to Python nor to an installed package, nor to this one."""
    if _seen[0] != len(sys.modules):
        _seen[:] = len(sys.modules), [module for module in list(sys.modules.values()) if _is_users(module)]
    found: list[ModuleType] = _seen[1]
    return found


def _is_users(module: Any) -> bool:
    file = getattr(module, "__file__", None)
    name = getattr(module, "__name__", "")
    if name == "__main__" or name in _KEEPERS:
        return True
    return isinstance(file, str) and name.partition(".")[0] != "actorgrid" and not file.startswith(_LIBRARY)


def _is(value: Any, kinds: Any) -> bool:
    """Return what ``isinstance`` does of what the value really is: its ``__class__`` is user code, and may raise."""
    return issubclass(type(value), kinds)


class Place:
    """Something that holds a value: here an item of a dictionary."""

    __slots__ = ("holder", "name")

    def __init__(self, holder: Any, name: Any) -> None:
        self.holder = holder
        self.name = name

    def get(self) -> Any:
        """Return what it holds, None if that is gone."""
        return self.holder.get(self.name)

    def put(self, value: Any) -> None:
        """Have it hold something else."""
        self.holder[self.name] = value


class _InList(Place):
    __slots__ = ()

    def get(self) -> Any:
        return self.holder[self.name] if self.name < len(self.holder) else None


class _InClass(Place):
    """An attribute of a class."""

    __slots__ = ()

    def get(self) -> Any:
        return vars(self.holder).get(self.name)

    def put(self, value: Any) -> None:
        setattr(self.holder, self.name, value)


class _Slot(Place):
    """An attribute of an object that has its attributes elsewhere than in a dictionary."""

    __slots__ = ()

    def get(self) -> Any:
        try:
            return getattr(self.holder, self.name, None)
        except ValueError:  # a variable of a closure that has no value
            return None

    def put(self, value: Any) -> None:
        setattr(self.holder, self.name, value)


class _Default(Place):
    """A default argument of a function."""

    __slots__ = ()

    def get(self) -> Any:
        defaults = self.holder.__defaults__ or ()
        return defaults[self.name] if self.name < len(defaults) else None

    def put(self, value: Any) -> None:
        defaults = list(self.holder.__defaults__ or ())
        defaults[self.name] = value
        self.holder.__defaults__ = tuple(defaults)


class _InPartial(Place):
    """The function of a partial (number 0), or one of its arguments."""

    __slots__ = ()

    def get(self) -> Any:
        parts = (self.holder.func, *self.holder.args)
        return parts[self.name] if self.name < len(parts) else None

    def put(self, value: Any) -> None:
        partial = self.holder
        parts = [partial.func, *partial.args]
        parts[self.name] = value
        partial.__setstate__((parts[0], tuple(parts[1:]), partial.keywords, vars(partial)))


class Replacements:
    """What one world has replaced."""

    def __init__(self, world: World, stand_ins: Mapping[int, Any]) -> None:
        """``stand_ins``: real thing (by identity) -> what stands for it."""
        self._world = world
        self._stand_ins = stand_ins
        self._replaced: list[tuple[Place, Any, Any]] = []

    def install(self) -> None:
        """Replace what is found."""
        shape = [(id(module), len(vars(module))) for module in user_modules()]
        if not _steady[0] or _named[0] != shape:
            _named[:] = shape, list(self._search_names())
        if _found[0] != shape:
            _found[:] = shape, list(self._search_inside())
        for place in (*_named[1], *_found[1]):
            self._replace(place, place.get())

    def remove(self) -> None:
        """Put everything back, but for what has been replaced by others meanwhile."""
        for place, real, stand_in in reversed(self._replaced):
            if place.get() is stand_in:
                place.put(real)
        self._replaced.clear()

    def _replace(self, place: Place, value: Any) -> None:
        stand_in = self._stand_in(value)
        if stand_in is not None:
            place.put(stand_in)
            self._replaced.append((place, value, stand_in))

    def _stand_in(self, value: Any) -> Any:
        if _is(value, staticmethod):
            inner = self._stand_in(value.__func__)
            return staticmethod(inner) if inner is not None else None
        if type(value) in _LOCKS:
            return self._lock(value)
        if _is(value, BuiltinMethodType) and type(value.__self__) in _LOCKS:  # as Condition keeps
            lock = self._lock(value.__self__)
            return getattr(lock, value.__name__) if lock is not None else None
        return _class_method(value) or self._stand_ins.get(id(value))

    def _may_be_replaced(self, value: Any) -> bool:
        if _is(value, staticmethod):
            value = value.__func__
        if _is(value, BuiltinMethodType) and type(value.__self__) in _LOCKS:
            return True
        return type(value) in _LOCKS or id(value) in self._stand_ins or _class_method(value) is not None

    def _lock(self, real: Any) -> Any:
        """Return what stands for a lock or queue, None if it is in use: real code waits for it then."""
        known = _locks.get(id(real))
        if known is None or known[0] is not real:
            stand_in = _LOCKS[type(real)](self._world)
            stand_in._real = real  # noqa: SLF001  # outside of simulated code it goes on to be that
            known = _locks[id(real)] = real, stand_in
        return known[1] if _is_free(real) else None

    def _search_names(self) -> Iterator[Place]:
        for module in user_modules():
            namespace = vars(module)
            for name, value in list(namespace.items()):
                if id(value) in self._stand_ins or type(value) in _LOCKS or _class_method(value) is not None:
                    yield Place(namespace, name)

    def _search_inside(self) -> Iterator[Place]:
        seen: set[int] = set()
        for module in user_modules():
            for value in list(vars(module).values()):
                yield from self._search(value, DEPTH, seen)

    def _search(self, value: Any, depth: int, seen: set[int]) -> Iterator[Place]:
        if not depth or id(value) in seen or _is(value, str | bytes | int | float | ModuleType):
            return
        seen.add(id(value))
        for place in _places_in(value):
            held = place.get()
            if self._may_be_replaced(held):
                yield place
            else:
                yield from self._search(held, depth - 1, seen)


def _class_method(value: Any) -> ClassMethod | None:
    """Return what stands for ``datetime.now``, if this is that, of whatever class: each look makes a new object."""
    if not _is(value, BuiltinMethodType) or not _is(value.__self__, type):
        return None
    found = getattr(value.__self__, value.__name__, None)
    return found if type(found) is ClassMethod else None


def _places_in(value: Any) -> Iterator[Place]:
    """Yield where ``value`` can hold something."""
    kind = type(value)
    if _is(value, FunctionType):
        yield from (_Default(value, index) for index in range(len(value.__defaults__ or ())))
        yield from (Place(value.__kwdefaults__, name) for name in value.__kwdefaults__ or ())
        yield from (_Slot(cell, "cell_contents") for cell in value.__closure__ or ())
    elif _is(value, type):
        if _is_users(sys.modules.get(value.__module__)):
            yield from (
                _InClass(value, name) for name in list(vars(value)) if not name.startswith("__") or name in _SPECIAL
            )
    elif kind in (dict, defaultdict, OrderedDict):
        if kind is defaultdict:
            yield _Slot(value, "default_factory")
        yield from (Place(value, name) for name in list(value)[:MOST])
    elif kind is list:
        yield from (_InList(value, index) for index in range(min(len(value), MOST)))
    elif kind is functools.partial:
        yield from (_InPartial(value, index) for index in range(1 + len(value.args)))
        yield from (Place(value.keywords, name) for name in value.keywords)
    elif kind is dataclasses.Field:
        yield from (_Slot(value, name) for name in ("default", "default_factory"))
    else:
        yield from _places_in_object(value)


def _places_in_object(value: Any) -> Iterator[Place]:
    if _is(value, threading.Thread):
        return  # its locks are the interpreter's
    if type(value).__module__ in _BUILT or _is_users(sys.modules.get(type(value).__module__)):
        inside = getattr(value, "__dict__", None)
        if type(inside) is dict:
            yield from (Place(inside, name) for name in list(inside))


def _is_free(real: Any) -> bool:
    if isinstance(real, _queue.SimpleQueue):
        return real.empty()
    if not real.acquire(blocking=False):
        return False
    real.release()
    return True
