"""What is simulated: the program that a function stands for, with arguments that it takes.

This file may not know how a program is run.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Final

from actorgrid.engine.hints import did_you_mean

#: The attribute of a simulated test that has its body.
_BODY: Final = "__actorgrid_body__"


def set_body(made: Callable[..., Any], body: Callable[..., Any]) -> None:
    """``made``, a test, searches the schedules of ``body``: who is given the one is to simulate the other."""
    setattr(made, _BODY, body)


def body_of(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the program: of a simulated test its body, since the whole search would be a single run otherwise."""
    body = getattr(function, _BODY, function)
    if body is not function and inspect.ismethod(function):
        return body.__get__(function.__self__)  # type: ignore[no-any-return]  # it is the method
    return body


def program_of(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], asked: Callable[..., Any]
) -> Callable[..., Any]:
    """Return ``body_of(function)``. Raises TypeError if it does not take these arguments.

    ``asked``: what got them, which hands on all that it does not know: it may have been meant.
    """
    if not callable(function):
        raise TypeError(f"{asked.__name__}() needs a function to simulate, not {function!r}")
    body = body_of(function)
    try:
        signature = inspect.signature(body)
    except (TypeError, ValueError):  # of a builtin
        return body
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        known = inspect.signature(asked).parameters
        hints = "".join(did_you_mean(name, known) for name in kwargs if name not in signature.parameters)
        raise TypeError(f"{name_of(body)}(): {error}.{hints}") from None
    return body


def name_of(function: Callable[..., Any]) -> str:
    """Return what to call a program."""
    return str(getattr(function, "__name__", None) or repr(function))


def told(function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
    """Return a program and its arguments, as one would write the call; "..." for what cannot be written shortly."""
    return ", ".join([name_of(function), *map(_written, args), *(f"{key}={_written(kwargs[key])}" for key in kwargs)])


#: The longest argument that is shown.
_LONGEST: Final = 60


def _written(value: Any) -> str:
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001  # user code, and only a text
        return "..."
    return "..." if len(text) > _LONGEST or "<" in text or "\n" in text else text
