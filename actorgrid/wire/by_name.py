"""Pickling by value of what pickle knows by name alone, which leads nowhere where the name is one of ``__main__``.

These are caches of functions (``functools.cache``) and what annotations are made of, ``NewType`` and its kind: a
function whose arguments are annotated with them takes them along. cloudpickle leaves all of them to pickle, but for
``TypeVar``. Before Python 3.12 cached properties have a lock, too. What a cache or a property keeps stays behind.
"""

from __future__ import annotations

import contextlib
import functools
import sys
import typing
from collections.abc import Callable
from typing import Any, Final

Reduce = Callable[[Any], Any]

#: What ``functools.lru_cache`` makes of a function.
CACHE: Final[type[Any]] = type(functools.cache(len))


def reducers(is_importable: Callable[[Any], bool]) -> dict[type[Any], Reduce]:
    """Return how each of them is pickled; ``is_importable`` says what can be found by its name elsewhere."""

    def unless_importable(reduce: Reduce) -> Reduce:
        return lambda value: value.__reduce__() if is_importable(value) else reduce(value)

    found: dict[type[Any], Reduce] = {
        CACHE: _reduce_cache,
        typing.NewType: lambda made: _reduce_type(made, tp=made.__supertype__),
        typing.TypeVarTuple: _reduce_type,
        typing.ParamSpec: lambda made: _reduce_type(
            made, bound=made.__bound__, covariant=made.__covariant__, contravariant=made.__contravariant__
        ),
    }
    if sys.version_info >= (3, 12):
        found[typing.TypeAliasType] = lambda made: _reduce_type(
            made, value=_value_of(made), type_params=made.__type_params__
        )
    found = {kind: unless_importable(reduce) for kind, reduce in found.items()}
    if sys.version_info < (3, 12):
        found[functools.cached_property] = _reduce_property
    return found


def _reduce_type(made: Any, **options: Any) -> Any:
    if getattr(made, "has_default", bool)():  # from Python 3.13 on
        options["default"] = made.__default__
    return _make_type, (type(made), made.__name__, made.__module__, options)


def _value_of(alias: Any) -> Any:
    """Return what an alias stands for; its name if it means itself, or something that only type checkers find."""
    try:
        return alias.__name__ if _means(alias.__value__, [alias]) else alias.__value__
    except Exception:  # noqa: BLE001  # it is evaluated here: whatever that raises
        return alias.__name__


def _means(part: Any, aliases: list[Any]) -> bool:
    if type(part) is type(aliases[0]):
        return part is aliases[0] or (part not in aliases and _means(part.__value__, [*aliases, part]))
    return any(_means(each, aliases) for each in typing.get_args(part))


def _make_type(kind: Any, name: str, module: str, options: dict[str, Any]) -> Any:
    made = kind(name, **options)
    with contextlib.suppress(AttributeError):  # some have none of their own
        made.__module__ = module
    return made


def _reduce_cache(cache: Any) -> Any:
    parameters = cache.cache_parameters()
    return _empty_cache, (parameters["maxsize"], parameters["typed"]), cache.__wrapped__, None, None, _fill


def _empty_cache(maxsize: int | None, typed: bool) -> Any:  # a stored one
    """Make the cache of a function that does not exist yet: one that calls itself refers to its cache."""
    return functools.lru_cache(maxsize, typed)(functools.partial(len))


def _fill(cache: Any, function: Callable[..., Any]) -> None:
    cache.__wrapped__.__setstate__((function, (), {}, None))
    functools.update_wrapper(cache, function)


def _reduce_property(made: Any) -> Any:
    return functools.cached_property, (made.func,), {"attrname": made.attrname, "__doc__": made.__doc__}
