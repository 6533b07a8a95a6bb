"""``initializer``: it runs once in each process of a pool, and what it does stays there.

These processes run nothing else, and end with the pool, closed or dropped, when its calls are over. A function of
``__main__`` comes anew with each chunk, by value, and with global names of its own: it is given those that the
initializer has used or set in that process.
"""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from types import CellType, FunctionType, MethodType
from typing import Any, Final, NamedTuple

from actorgrid.api.basics import get, put
from actorgrid.api.environments import check_runtime_env
from actorgrid.engine.current import current
from actorgrid.engine.refs import ObjectRef
from actorgrid.engine.setups import OWNER, Owner

#: Under this name a process keeps the global names of its initializer; there is one pool at most in each.
_LEFT: Final = "what an initializer has left"


class Initial(NamedTuple):
    """What goes along with each chunk of a pool that has an initializer."""

    #: Of (initializer, initargs): a process asks for them once.
    made: ObjectRef[tuple[Callable[..., Any], tuple[Any, ...]]]


class Owned:
    """The processes of one pool."""

    def __init__(self, initializer: Callable[..., Any], initargs: tuple[Any, ...], options: dict[str, Any]) -> None:
        """Add to the options of the pool's tasks that they run in these. Raises TypeError, ValueError."""
        env = check_runtime_env("runtime_env", options.get("runtime_env") or {})
        options["runtime_env"] = {**env, OWNER: Owner(uuid.uuid4().hex)}
        self._engine = current()
        self._setup = self._engine.setup_for(options["runtime_env"])
        self.initial = Initial(put((initializer, initargs)))

    def release(self) -> None:
        """No more calls come: the processes may go."""
        self._engine.unneeded(self._setup)


def set_up(initial: Initial | None, function: object) -> None:
    """Run the initializer if this process has not yet, and give ``function`` the names that it has left."""
    if initial is None:
        return
    engine = current()
    left: dict[str, Any] | None = engine.belongings.get(_LEFT)
    if left is None:
        initializer, initargs = get(initial.made)
        initializer(*initargs)
        engine.keep_changes()
        left = engine.belongings[_LEFT] = next(_namespaces(initializer), {})
    for names in _namespaces(function):
        if names.get("__name__") == left.get("__name__"):
            names.update({name: value for name, value in left.items() if not name.startswith("__")})


def _namespaces(called: object) -> Iterator[dict[str, Any]]:
    """Return the global names of what came here by value and is called when ``called`` is, its own first."""
    due, seen = [called], set[int]()
    while due:
        each = due.pop(0)
        if id(each) in seen:
            continue
        seen.add(id(each))
        if isinstance(each, FunctionType):
            names = each.__globals__
            if id(names) not in seen and not _is_of_a_module(names):
                seen.add(id(names))
                yield names
        due += _parts(each)


def _is_of_a_module(names: dict[str, Any]) -> bool:
    module = sys.modules.get(names.get("__name__", ""))
    return module is not None and module.__dict__ is names


def _parts(called: object) -> list[Any]:
    """Return what ``called`` may call that came with it."""
    if isinstance(called, FunctionType):
        return [each for each in map(_content, called.__closure__ or ()) if isinstance(each, _KINDS)]
    if isinstance(called, partial):
        given = (*called.args, *called.keywords.values())
        return [called.func, *(each for each in given if isinstance(each, _KINDS))]
    if isinstance(called, MethodType):
        return [called.__func__]
    name = "__init__" if isinstance(called, type) else "__call__"
    found = getattr(called if isinstance(called, type) else type(called), name, None)
    return [found] if isinstance(found, FunctionType) else []


#: What a function may have from the one around it in order to call it.
_KINDS: Final = (FunctionType, MethodType, partial)


def _content(cell: CellType) -> object:
    try:
        return cell.cell_contents
    except ValueError:  # nothing yet
        return None
