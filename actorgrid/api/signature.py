"""The caller's side check of arguments: a wrong call fails where it is written, not in a worker."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from typing import Any


class Signature:
    """Which arguments a callable takes.

    Invariant: a call without keywords and with ``low <= len(args) <= high`` positional arguments is right.
    Callers test that themselves, since ``Signature.bind`` costs 2 microseconds, and call ``check`` otherwise.
    """

    __slots__ = ("_places", "_required", "_signature", "high", "low")

    def __init__(self, signature: inspect.Signature | None) -> None:
        self._signature = signature
        self.low, self.high = (0, sys.maxsize) if signature is None else _bounds(signature)
        #: What may be given by keyword -> how many positional arguments leave it free.
        self._places: dict[str, int] = {}
        self._required: list[tuple[str, int]] = []
        for place, parameter in enumerate(signature.parameters.values() if signature else ()):
            if parameter.kind in {parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY}:
                free = sys.maxsize if parameter.kind is parameter.KEYWORD_ONLY else place
                self._places[parameter.name] = free
                if parameter.default is parameter.empty:
                    self._required.append((parameter.name, free))

    @property
    def signature(self) -> inspect.Signature | None:
        """The signature itself; None if it is not known."""
        return self._signature

    def check(self, args: tuple[Any, ...], kwargs: dict[str, Any], name: str) -> None:
        """Raise TypeError, which says ``name``, if a call with these arguments is wrong."""
        if self._signature is not None and not self._is_plainly_right(len(args), kwargs):
            try:
                self._signature.bind(*args, **kwargs)
            except TypeError as error:
                raise TypeError(f"{name}(): {error}") from None

    def _is_plainly_right(self, given: int, kwargs: dict[str, Any]) -> bool:
        """Return whether the call is right for reasons that are quick to see; False says nothing."""
        places = self._places
        if given > self.high or len(places) != len(self._signature.parameters):  # type: ignore[union-attr]
            return False
        for name in kwargs:
            if places.get(name, -1) < given:
                return False
        for name, free in self._required:
            if free >= given and name not in kwargs:
                return False
        return True


def _bounds(signature: inspect.Signature) -> tuple[int, int]:
    low = high = 0
    must = False
    for parameter in signature.parameters.values():
        required = parameter.default is parameter.empty
        if parameter.kind is parameter.VAR_POSITIONAL:
            high = sys.maxsize
        elif parameter.kind is parameter.KEYWORD_ONLY:
            must = must or required
        elif parameter.kind is not parameter.VAR_KEYWORD:
            high += 1
            low += required
    return (high + 1 if must else low), high  # with a keyword that must be given, no call without keywords is right


def of_callable(function: Callable[..., Any]) -> Signature:
    """Return the signature of a function, or of a class's constructor; one that allows all if it is not known."""
    try:
        return Signature(inspect.signature(function))
    except (TypeError, ValueError):
        return Signature(None)


def of_method(cls: type[Any], name: str) -> Signature:
    """Return the signature of method ``name`` of ``cls``, without ``self``."""
    member = inspect.getattr_static(cls, name)
    if isinstance(member, (staticmethod, classmethod)):
        return of_callable(getattr(cls, name))
    signature = of_callable(getattr(cls, name)).signature
    if signature is None:
        return Signature(None)
    parameters = list(signature.parameters.values())
    if parameters and parameters[0].kind in {parameters[0].POSITIONAL_ONLY, parameters[0].POSITIONAL_OR_KEYWORD}:
        del parameters[0]
    return Signature(signature.replace(parameters=parameters))
