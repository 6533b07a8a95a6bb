"""What exceptions of any class are made of, and how to make one of it without running what user code says of them."""

from __future__ import annotations

import types
from typing import Any, TypeVar

E = TypeVar("E", bound=BaseException)


def allocate(cls: type[E], arguments: tuple[Any, ...] = ()) -> E:
    """Return a new instance of an exception class without running any constructor of user code.

    ``arguments`` are for classes whose builtin ``__new__`` needs some (exception groups). Raises TypeError.
    """
    for base in cls.__mro__:
        # Only the ``__new__`` of the builtin class that lays the instance out is safe; the others raise TypeError.
        if base.__module__ == "builtins" and "__new__" in vars(base) and base is not object:
            try:
                return vars(base)["__new__"](cls, *arguments)  # type: ignore[no-any-return]
            except TypeError:
                continue
    raise TypeError(f"cannot make an instance of {cls.__name__}")


_SLOTS = (types.MemberDescriptorType, types.GetSetDescriptorType)


def get_state(error: BaseException) -> dict[str, Any]:
    """Return the attributes of ``error``: its dictionary, its slots, and builtin fields such as ``errno``."""
    state: dict[str, Any] = {}
    for base in type(error).__mro__:
        for name, member in vars(base).items():
            if isinstance(member, _SLOTS) and _is_state(name):
                try:
                    state[name] = member.__get__(error, type(error))
                except AttributeError:
                    pass  # not set
    state.update((name, value) for name, value in vars(error).items() if _is_state(name))
    return state


def set_state(error: BaseException, state: dict[str, Any]) -> None:
    """Give ``error`` the attributes that ``get_state`` took from another, past any ``__setattr__`` of user code."""
    for name, value in state.items():
        member = next((vars(base)[name] for base in type(error).__mro__ if name in vars(base)), None)
        if isinstance(member, _SLOTS):
            try:
                member.__set__(error, value)
            except (AttributeError, TypeError, ValueError):
                pass  # read-only: ``__new__`` has seen to it
        else:
            vars(error)[name] = value


def _is_state(name: str) -> bool:
    return name not in {"args", "_told"} and not name.startswith("__")
