"""Where the program's modules hold a clock or a lock under a name of their own, from before the run.

``from time import sleep`` is one way; a default argument, an attribute of a class or of an object that lies in a
module, a table of functions are others. What is found there is replaced while a world is open. Deeper nobody looks.
"""

from __future__ import annotations

import _queue
import _thread
import sys
import sysconfig
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import BuiltinMethodType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, Final

from actorgrid.sim.locks import SimLock, SimpleQueue, SimRLock

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
    if name == "__main__":
        return True
    return isinstance(file, str) and name.partition(".")[0] != "actorgrid" and not file.startswith(_LIBRARY)


def _is(value: Any, kinds: Any) -> bool:
    """Return what ``isinstance`` does of what the value really is: its ``__class__`` is user code, and may raise."""
    return issubclass(type(value), kinds)


class Place:
    """Something that holds a value: an item of a dictionary or list, an attribute of a class, a default argument."""

    __slots__ = ("holder", "name")

    def __init__(self, holder: Any, name: Any) -> None:
        self.holder = holder
        self.name = name

    def get(self) -> Any:
        """Return what it holds, None if that is gone."""
        holder = self.holder
        if _is(holder, FunctionType):
            defaults = holder.__defaults__ or ()
            return defaults[self.name] if self.name < len(defaults) else None
        if _is(holder, type):
            return vars(holder).get(self.name)
        if _is(holder, list):
            return holder[self.name] if self.name < len(holder) else None
        return holder.get(self.name)

    def put(self, value: Any) -> None:
        """Have it hold something else."""
        holder = self.holder
        if _is(holder, FunctionType):
            defaults = list(holder.__defaults__ or ())
            defaults[self.name] = value
            holder.__defaults__ = tuple(defaults)
        elif _is(holder, type):
            setattr(holder, self.name, value)
        else:
            holder[self.name] = value


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
        return self._stand_ins.get(id(value))

    def _may_be_replaced(self, value: Any) -> bool:
        if _is(value, staticmethod):
            value = value.__func__
        if _is(value, BuiltinMethodType) and type(value.__self__) in _LOCKS:
            return True
        return type(value) in _LOCKS or id(value) in self._stand_ins

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
                if id(value) in self._stand_ins or type(value) in _LOCKS:
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
        for holder, names in _holders_in(value):
            for name in names:
                place = Place(holder, name)
                held = place.get()
                if self._may_be_replaced(held):
                    yield place
                else:
                    yield from self._search(held, depth - 1, seen)


def _holders_in(value: Any) -> Iterator[tuple[Any, list[Any]]]:
    """Yield what ``value`` consists of that can hold something: the holder, and its names or indices."""
    if _is(value, FunctionType):
        if value.__defaults__:
            yield value, list(range(len(value.__defaults__)))
        if value.__kwdefaults__:
            yield value.__kwdefaults__, list(value.__kwdefaults__)
    elif _is(value, type):
        if _is_users(sys.modules.get(value.__module__)):
            yield value, [name for name in vars(value) if not name.startswith("__") or name == "__init__"]
    elif type(value) is dict:
        yield value, list(value)[:MOST]
    elif type(value) is list:
        yield value, list(range(min(len(value), MOST)))
    elif _is(value, threading.Thread):
        return  # its locks are the interpreter's
    elif type(value).__module__ in _BUILT or _is_users(sys.modules.get(type(value).__module__)):
        inside = getattr(value, "__dict__", None)
        if type(inside) is dict:
            yield inside, list(inside)


def _is_free(real: Any) -> bool:
    if isinstance(real, _queue.SimpleQueue):
        return real.empty()
    if not real.acquire(blocking=False):
        return False
    real.release()
    return True
