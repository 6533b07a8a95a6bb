"""Which member of a value cannot be pickled: a search, and what is said about what it finds."""

from __future__ import annotations

import functools
import types
from collections.abc import Iterator
from pickle import PickleBuffer
from typing import Any, Final, NamedTuple

from actorgrid.core.signals import Terminated
from actorgrid.wire import by_value, custom
from actorgrid.wire.text import MEMBER_LIMIT, safe_repr, shorten

#: Bounds of the search: values tried, and how deep it looks.
_TRIES: Final = 500
_LEVELS: Final = 12


def explain_unpicklable(value: Any, error: BaseException, root: str) -> str:
    """Say which member of ``value`` cannot be pickled: ``args[0].cfg.lock: cannot pickle '_thread.lock' object``.

    ``error`` is what pickling ``value`` raised; ``root`` is how the caller calls ``value``. Never raises.
    """
    try:
        found = next(Search().find(value, root), None)
    except BaseException:  # noqa: BLE001  # the methods of user classes
        found = None
    return f"{root}: {text_of(error)}" if found is None else f"{found.path}: {text_of(found.problem)}"


def text_of(error: BaseException) -> str:
    """Return what an exception says, shortened. Never raises."""
    try:
        return shorten(str(error), MEMBER_LIMIT) or type(error).__name__
    except BaseException:  # noqa: BLE001  # the methods of user classes
        return type(error).__name__


class Found(NamedTuple):
    """A value that cannot be pickled although everything in it can: what it is called, whose it is, what is wrong."""

    value: Any
    path: str
    #: The steps of the path behind its root, and what has the last one; () and None: it is the value that was searched.
    ends: tuple[str, ...]
    parent: Any
    problem: BaseException


class Search:
    """A depth-first search for the innermost values that cannot be pickled."""

    def __init__(self, levels: int = _LEVELS) -> None:
        self.levels = levels
        self.tries = _TRIES
        self.seen: dict[int, Any] = {}  # the values are kept, so that their ids stay theirs
        #: Those of them that cannot be pickled, and about which all is said.
        self.told: dict[int, None] = {}

    def find(self, value: Any, path: str, ends: tuple[str, ...] = (), parent: Any = None) -> Iterator[Found]:
        """Yield them one by one. Methods of ``value`` may raise anything."""
        if id(value) in self.seen or self.tries <= 0:
            return
        self.seen[id(value)] = value
        self.tries -= 1
        problem = problem_of(value)
        if problem is None:
            return
        inside = False
        if len(ends) < self.levels and not _refuses(value):
            for name, child in _inside(value):
                inside = inside or id(child) in self.told
                for found in self.find(child, path + name, (*ends, name), value):
                    inside = True
                    yield found
        self.told[id(value)] = None
        if not inside:
            yield Found(value, path, ends, parent, problem)


def _refuses(value: Any) -> bool:
    """Return whether it is ``value`` itself that says no, and not something in it."""
    own = type(value) in custom.current or any("__reduce__" in vars(cls) for cls in type(value).__mro__[:-1])
    if isinstance(value, type) or not own:
        return False
    try:
        custom.current[type(value)](value) if type(value) in custom.current else value.__reduce__()
    except (KeyboardInterrupt, Terminated):
        raise
    except BaseException:  # noqa: BLE001  # the methods of user classes
        return True
    return False


def problem_of(value: Any) -> BaseException | None:
    """Return what pickling ``value`` raises; None: it can be pickled."""
    try:
        by_value.dumps(value, _drop)
    except (KeyboardInterrupt, Terminated):
        raise
    except BaseException as error:  # noqa: BLE001  # the methods of user classes may raise even SystemExit
        return error
    return None


def _drop(buffer: PickleBuffer) -> None:
    buffer.release()


def _inside(value: Any) -> list[tuple[str, Any]]:
    """Return what is in ``value``: what a registered serializer makes of it, else its members."""
    reducer = custom.current.get(type(value))
    return _members(value) if reducer is None else [(".<serialized>", reducer(value)[1][0])]


def _members(value: Any) -> list[tuple[str, Any]]:
    """Return what pickling ``value`` pickles too, each with the end of its path."""
    if isinstance(value, dict):
        keys = [(f"<key {_name(key)}>", key) for key in value]
        return [(f"[{_name(key)}]", item) for key, item in value.items()] + keys
    if isinstance(value, (list, tuple, set, frozenset)):
        return [(f"[{index}]", item) for index, item in enumerate(value)]
    if isinstance(value, (functools.partial, types.MethodType)):
        names = ("func", "args", "keywords", "__self__", "__func__")
        return [(f".{name}", getattr(value, name)) for name in names if name in dir(type(value))]
    if isinstance(value, types.FunctionType):
        return _members_of_function(value)
    found = [(f".{name}", item) for name, item in getattr(value, "__dict__", {}).items()]
    if isinstance(value, type):
        return [(name, item) for name, item in found if not isinstance(item, (types.GetSetDescriptorType, classmethod))]
    if isinstance(value, BaseException):
        found.append((".args", value.args))
    slots = [name for cls in type(value).__mro__ for name in _slots(cls) if hasattr(value, name)]
    return found + [(f".{name}", getattr(value, name)) for name in slots]


def _slots(cls: type[Any]) -> list[str]:
    names = vars(cls).get("__slots__", ())
    return [name for name in ((names,) if isinstance(names, str) else names) if not name.startswith("__")]


def _members_of_function(function: types.FunctionType) -> list[tuple[str, Any]]:
    code = function.__code__
    found: list[tuple[str, Any]] = []
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=False):
        try:
            found.append((f".<closure>.{name}", cell.cell_contents))
        except ValueError:
            pass  # an empty cell
    found += [(f".<global>.{name}", item) for name, item in _globals_of(function, code).items()]
    found += [(f".<default>[{index}]", item) for index, item in enumerate(function.__defaults__ or ())]
    found += [(f".<default>.{name}", item) for name, item in (function.__kwdefaults__ or {}).items()]
    return found + [(f".{name}", item) for name, item in vars(function).items()]


def _globals_of(function: types.FunctionType, code: types.CodeType) -> dict[str, Any]:
    used = {name: function.__globals__[name] for name in code.co_names if name in function.__globals__}
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            used.update(_globals_of(function, constant))
    return used


def _name(key: Any) -> str:
    return safe_repr(key)[:60]
