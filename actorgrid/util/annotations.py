"""What marks an interface in programs for Ray: ``PublicAPI``, ``DeveloperAPI``, ``Deprecated``."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any, TypeVar, overload

from actorgrid.api.deprecation import RayDeprecationWarning

__all__ = ["Deprecated", "DeveloperAPI", "PublicAPI", "RayDeprecationWarning"]

T = TypeVar("T", bound=Callable[..., Any])


@overload
def PublicAPI(obj: T, /) -> T: ...
@overload
def PublicAPI(*, stability: str = ..., api_group: str = ...) -> Callable[[T], T]: ...
def PublicAPI(obj: Any = None, /, *, stability: str = "stable", api_group: str = "Others") -> Any:  # noqa: N802  # its name
    """Mark a class or function as part of a public interface; it stays what it is.

    ``stability``: "stable", "beta" or "alpha". Raises ValueError for another one.
    """
    del api_group
    if stability not in {"stable", "beta", "alpha"}:
        raise ValueError(f"stability is 'stable', 'beta' or 'alpha', not {stability!r}")
    return _unchanged if obj is None else obj


@overload
def DeveloperAPI(obj: T, /) -> T: ...
@overload
def DeveloperAPI() -> Callable[[T], T]: ...
def DeveloperAPI(obj: Any = None, /) -> Any:  # noqa: N802  # its name
    """Mark a class or function as one for those who build on the library; it stays what it is."""
    return _unchanged if obj is None else obj


@overload
def Deprecated(obj: T, /) -> T: ...
@overload
def Deprecated(*, message: str = ..., warning: bool = ...) -> Callable[[T], T]: ...
def Deprecated(obj: Any = None, /, *, message: str = "", warning: bool = False) -> Any:  # noqa: N802  # its name
    """Mark a class or function as one that will go; with ``warning`` each use of it gives a RayDeprecationWarning."""

    def mark(marked: Any) -> Any:
        return _warning(marked, message) if warning else marked

    return mark if obj is None else mark(obj)


def _unchanged(obj: Any) -> Any:
    return obj


def _warning(marked: Any, message: str, name: str = "") -> Any:
    text = f"{name or marked.__name__} is deprecated. {message}".strip()
    is_class = isinstance(marked, type)
    if is_class and marked.__init__ is object.__init__ and marked.__new__ is not object.__new__:
        marked.__new__ = staticmethod(_warning(marked.__new__, message, marked.__name__))  # it takes the arguments
        return marked
    called = marked.__init__ if is_class else marked

    @functools.wraps(called)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        warnings.warn(text, RayDeprecationWarning, stacklevel=2)
        return called(*args, **kwargs)

    if is_class:  # it stays the same class
        marked.__init__ = wrapper
    return marked if is_class else wrapper
