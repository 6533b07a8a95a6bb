"""``remote``: functions become remote functions, classes become actor classes."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, ParamSpec, Protocol, TypeVar, overload

from actorgrid.api.actor import ActorClass
from actorgrid.api.remote_function import RemoteFunction

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class Decorator(Protocol):
    """What ``remote(option=value)`` returns."""

    @overload
    def __call__(self, thing: type[T], /) -> ActorClass[T]: ...  # type: ignore[overload-overlap]  # classes come first
    @overload
    def __call__(self, thing: Callable[P, R], /) -> RemoteFunction[P, R]: ...


@overload
def remote(thing: type[T], /) -> ActorClass[T]: ...  # type: ignore[overload-overlap]  # a class is callable, too
@overload
def remote(thing: Callable[P, R], /) -> RemoteFunction[P, R]: ...
@overload
def remote(*, num_returns: int | str | None, **options: Any) -> Callable[[Callable[..., Any]], Any]: ...
@overload
def remote(**options: Any) -> Decorator: ...


def remote(*things: Any, **options: Any) -> Any:
    """Make a remote function of a function, or an actor class of a class.

    Use it as a decorator, ``@remote`` or ``@remote(num_cpus=2)``, or as a function. Raises ValueError for unknown
    options, bad values and ``async def`` functions, TypeError for wrong types, AssertionError for a wrong use.
    """
    if things:
        assert len(things) == 1 and not options, "use @remote or @remote(option=value), not a mixture"  # noqa: PT018
        assert callable(things[0]), f"@remote takes a function or a class, not {things[0]!r:.100}"
        return _wrap(things[0], {})
    assert options, "@remote() needs options; without any it is written @remote"
    return lambda thing: _wrap(thing, options)


def _wrap(thing: Any, options: dict[str, Any]) -> Any:
    if isinstance(thing, type):
        return ActorClass(thing, options)
    if inspect.isroutine(getattr(thing, "stands_for", thing)):  # what the simulator has in its place is no routine
        return RemoteFunction(thing, options)
    raise TypeError(f"The @remote decorator must be applied to either a function or a class, not to {thing!r:.100}.")
