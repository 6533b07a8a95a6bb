"""``initializer``: it runs once in each process of a pool, and what it does stays there.

These processes run nothing else, and end with the pool, closed or dropped, when its calls are over. A function of
``__main__`` comes anew with each chunk, by value, and with global names of its own: it is given those that the
initializer has used or set in that process.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from functools import partial
from types import CellType, FunctionType, MethodType
from typing import Any, Final, NamedTuple

from actorgrid.api.basics import get, put
from actorgrid.api.environments import check_runtime_env
from actorgrid.api.remote_function import is_importable
from actorgrid.engine.current import current
from actorgrid.engine.refs import ObjectRef
from actorgrid.engine.setups import OWNER, Owner

#: Under this name a process keeps the global names of its initializer; there is one pool at most in each.
_LEFT: Final = "what an initializer has left"


class Initial(NamedTuple):
    """What goes along with each chunk of a pool that has an initializer."""

    #: Of (initializer, initargs, anchor): a process asks for them once.
    made: ObjectRef[tuple[Callable[..., Any], tuple[Any, ...], Any]]
    #: A function that has the global names of the initializer, if that goes by value (else None), and does nothing.
    #: Where it arrives, whatever has come by value with it from the same module has these, wherever it is in the chunk.
    anchor: Any


class Owned:
    """The processes of one pool."""

    def __init__(self, initializer: Callable[..., Any], initargs: tuple[Any, ...], options: dict[str, Any]) -> None:
        """Add to the options of the pool's tasks that they run in these. Raises TypeError, ValueError."""
        env = check_runtime_env("runtime_env", options.get("runtime_env") or {})
        options["runtime_env"] = {**env, OWNER: Owner(uuid.uuid4().hex)}
        self._engine = current()
        self._setup = self._engine.setup_for(options["runtime_env"])
        anchor = _anchor(initializer)
        self.initial = Initial(put((initializer, initargs, anchor)), anchor)

    def release(self) -> None:
        """No more calls come: the processes may go."""
        self._engine.unneeded(self._setup)


def set_up(initial: Initial | None) -> None:
    """Run the initializer if this process has not yet, and give the names that it has left to what came here."""
    if initial is None:
        return
    engine = current()
    left: dict[str, Any] | None = engine.belongings.get(_LEFT)
    if left is None:
        initializer, initargs, anchor = get(initial.made)
        initializer(*initargs)
        engine.keep_changes()
        left = engine.belongings[_LEFT] = anchor.__globals__ if anchor is not None else {}
    if initial.anchor is not None:
        initial.anchor.__globals__.update({name: value for name, value in left.items() if not name.startswith("__")})


def _anchor(initializer: object) -> FunctionType | None:
    """Return a function with the global names of what is called when ``initializer`` is; None: others import it."""
    due, seen = [initializer], set[int]()
    while due:
        each = due.pop(0)
        if id(each) in seen:
            continue
        seen.add(id(each))
        if isinstance(each, FunctionType) and not is_importable(each, each.__module__, each.__qualname__):
            return FunctionType(_nothing.__code__, each.__globals__, "anchor")
        due += _parts(each)
    return None


def _nothing() -> None: ...


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
