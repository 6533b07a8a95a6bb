"""Variables as they were before a run: what its processes did to them is put back when it is over.

A process that ends takes its globals with it, and the next one begins with those of the module. So a module must be
after a run what it was before, or a second schedule starts where the first one has left off.
"""

from __future__ import annotations

import ast
import copy
import functools
import itertools
from collections import OrderedDict, deque
from collections.abc import Callable
from types import MethodType
from typing import Any, Final

from actorgrid.sim.reach import CONTAINERS, PLAIN, has_state

#: How deep is looked, and how many elements of a container are kept.
DEPTH: Final = 3
MOST: Final = 10_000

#: Puts the contents of a value back.
Undo = Callable[[], None]


def _nothing() -> None: ...


def fresh(value: Any) -> Any:
    """Return what is to be put in the place of ``value`` later: itself, unless it can only go forward."""
    return _same_count(value) if type(value) is itertools.count else value


def _same_count(value: Any) -> Any:
    """Return another counter that stands where ``value`` does. What it shows of itself says where that is.

    Such a counter can no longer be copied from Python 3.14 on, and 3.12 warns of that.
    """
    try:
        stands = ast.literal_eval(repr(value).removeprefix("count"))
    except (ValueError, SyntaxError):  # it counts something else than numbers
        return value
    return itertools.count(*(stands if isinstance(stands, tuple) else (stands,)))


def snapshot(value: Any, depth: int = DEPTH) -> Undo:
    """Return what puts the contents of ``value`` back to what they are now."""
    if not depth or type(value) in PLAIN:
        return _nothing
    undo, inside = _of(value)
    below = [each for each in (snapshot(part, depth - 1) for part in inside) if each is not _nothing]
    if not below:
        return undo

    def undo_all() -> None:
        undo()
        for each in below:
            each()

    return undo_all


def _of(value: Any) -> tuple[Undo, list[Any]]:
    """Return what undoes changes of a value itself, and what lies in it."""
    if isinstance(value, CONTAINERS) and len(value) > MOST:
        return _nothing, []
    for kinds, make in _KINDS:
        if isinstance(value, kinds):
            return make(value)
    if has_state(value):
        return _instance(value)
    if type(value).__module__ in {"array", "numpy"} and hasattr(type(value), "__setitem__"):
        return _array(value)
    return _nothing, []


def _mapping(value: dict[Any, Any]) -> tuple[Undo, list[Any]]:
    items = dict(value)
    clear: Any = OrderedDict.clear if isinstance(value, OrderedDict) else dict.clear

    def undo() -> None:
        clear(value)
        for key, held in items.items():
            dict.__setitem__(value, key, held) if clear is dict.clear else OrderedDict.__setitem__(value, key, held)

    return undo, list(items.values())


def _sequence(value: Any) -> tuple[Undo, list[Any]]:
    items = list(value)

    def undo() -> None:
        value.clear()
        value.extend(items)

    return undo, [] if isinstance(value, bytearray) else items


def _set(value: set[Any]) -> tuple[Undo, list[Any]]:
    items = list(value)

    def undo() -> None:
        value.clear()
        value.update(items)

    return undo, []


def _array(value: Any) -> tuple[Undo, list[Any]]:
    if getattr(value, "nbytes", 0) > MOST:
        return _nothing, []
    kept = copy.copy(value)

    def undo() -> None:
        value[...] = kept

    def undo_flat() -> None:
        value[:] = kept

    return (undo_flat if type(value).__module__ == "array" else undo), []


def _instance(value: Any) -> tuple[Undo, list[Any]]:
    """Undo what happens to the attributes of an object, wherever it keeps them."""
    attributes: dict[str, Any] | None = getattr(value, "__dict__", None)
    before = dict(attributes) if attributes is not None else {}
    slots = {name: held for name in _slots_of(value) if (held := getattr(value, name, _missing)) is not _missing}

    def undo() -> None:
        if attributes is not None:
            attributes.clear()
            attributes.update(before)
        for name, held in slots.items():
            object.__setattr__(value, name, held)

    return undo, [*before.values(), *slots.values()]


#: What is looked at in values of these types.
_KINDS: Final[tuple[tuple[Any, Callable[[Any], tuple[Undo, list[Any]]]], ...]] = (
    (dict, _mapping),
    ((list, deque, bytearray), _sequence),
    (set, _set),
    ((tuple, frozenset), lambda value: (_nothing, list(value))),
    (MethodType, lambda value: (_nothing, [value.__self__])),
    (functools.partial, lambda value: (_nothing, [value.func, *value.args])),
)
_missing: Final = object()


def _slots_of(value: Any) -> list[str]:
    found: list[str] = []
    for base in type(value).__mro__:
        slots = vars(base).get("__slots__", ())
        found += [slots] if isinstance(slots, str) else slots
    return [name for name in found if name not in {"__dict__", "__weakref__"}]
