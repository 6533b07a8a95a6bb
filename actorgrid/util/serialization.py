"""Values that cannot be pickled: which of their members it is, and what to do about it."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from typing import Any, Final, TextIO, TypeVar

from actorgrid.engine.serialize import collecting
from actorgrid.wire import custom
from actorgrid.wire.text import safe_repr
from actorgrid.wire.unpicklable import Found, Search, problem_of, text_of

T = TypeVar("T")

#: Classes whose values pickle writes itself, without asking anybody.
_NATIVE: Final = frozenset(
    {
        bool, bytearray, bytes, dict, float, frozenset, int, list, set, str, tuple, type, type(None),
        types.BuiltinFunctionType, types.FunctionType,
    }
)  # fmt: skip


class FailureTuple:
    """A value that cannot be pickled. ``parent`` is what has it; None: it is what was inspected.

    ``path`` has the names of the variables, attributes and indices that lead to it; the first is what the value that
    was inspected was called by the caller, if he did. ``name`` is the last of them, "" if there is none.
    """

    __slots__ = ("obj", "parent", "path")

    def __init__(self, obj: Any, path: tuple[str, ...], parent: Any) -> None:
        self.obj = obj
        self.path = path
        self.parent = parent

    @property
    def name(self) -> str:
        """What it is called where it is (Ray had this before there was ``path``)."""
        return self.path[-1] if self.path else ""

    def __repr__(self) -> str:
        return f"FailureTuple({' -> '.join(self.path)} [obj={safe_repr(self.obj)}, parent={safe_repr(self.parent)}])"


def inspect_serializability(
    base_obj: Any, name: str | None = None, depth: int = 3, print_file: TextIO | None = None
) -> tuple[bool, set[FailureTuple]]:
    """Find what in a value cannot be pickled, and print it, with the path that leads there.

    Searched are closures, global variables and default values of functions, attributes, items of containers, ``depth``
    levels deep. ``name`` is what the value is called in what is printed, to ``print_file`` (default: standard output).
    Returns whether the value can be pickled, and the innermost values that cannot. Raises TypeError and ValueError for
    a bad ``depth``.
    """
    if isinstance(depth, bool) or not isinstance(depth, int):
        raise TypeError(f"'depth' must be an int, not {type(depth).__name__}: {depth!r:.100}")
    if depth < 0:
        raise ValueError(f"'depth' must not be negative: {depth}")
    root = name or getattr(base_obj, "__qualname__", None) or safe_repr(base_obj)
    found = _search(base_obj, root, depth)
    lines = [f"{each.path}: {text_of(each.problem)}" for each in found]
    verdict = f"{root} cannot be pickled:" if found else f"{root} can be pickled."
    (sys.stdout if print_file is None else print_file).write("\n  ".join([verdict, *lines]) + "\n")
    start = () if name is None else (name,)
    return not found, {FailureTuple(each.value, (*start, *map(_name, each.ends)), each.parent) for each in found}


def _search(value: Any, root: str, depth: int) -> list[Found]:
    found: list[Found] = []
    outer, collecting.refs = collecting.refs, []  # references that are pickled here go nowhere
    try:
        for each in Search(depth).find(value, root):
            found.append(each)  # noqa: PERF402  # what was found stays when the search ends early
    except Exception:  # noqa: BLE001, S110  # the methods of user classes
        pass
    finally:
        problem = None if found else problem_of(value)
        collecting.refs = outer
    return found if problem is None else [Found(value, root, (), None, problem)]


def _name(end: str) -> str:
    """Return what a value is called where it is: a variable, an attribute, an index."""
    return end.rpartition(".")[2] if end.startswith(".") else end


def register_serializer(cls: type[T], *, serializer: Callable[[T], Any], deserializer: Callable[[Any], T]) -> None:
    """Send values of exactly this class as what ``serializer`` makes of them; ``deserializer`` makes them again.

    Known in the calling process alone, as in Ray: a task that is to return such values registers it, too (or a
    ``worker_process_setup_hook`` does for all). Where they arrive nothing need be known: ``deserializer`` comes along.
    The program's own ``pickle`` and ``copy`` take no notice. Raises TypeError for what is no class, for a class that
    pickle does not ask about, and for what cannot be called.
    """
    _check_class(cls)
    for what, function in (("serializer", serializer), ("deserializer", deserializer)):
        if not callable(function):
            raise TypeError(f"'{what}' must be a function, not {type(function).__name__}: {function!r:.100}")
    custom.register(cls, serializer, deserializer)


def deregister_serializer(cls: type[Any]) -> None:
    """Pickle values of this class as ever. Nothing happens if nothing is registered. Raises TypeError: no class."""
    _check_class(cls)
    custom.deregister(cls)


def _check_class(cls: Any) -> None:
    if not isinstance(cls, type):
        raise TypeError(f"a serializer is for a class, not {type(cls).__name__}: {cls!r:.100}")
    if cls in _NATIVE or issubclass(cls, type):
        raise TypeError(f"a serializer for {cls.__name__} would have no effect: pickle writes these itself")
