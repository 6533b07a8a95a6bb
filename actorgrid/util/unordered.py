"""Results as they come: ``as_completed`` and ``map_unordered``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from actorgrid.api.actor import ActorMethod
from actorgrid.api.basics import get, wait
from actorgrid.api.remote_function import TaskCaller
from actorgrid.engine.refs import ObjectRef


def _check(number: object, name: str) -> None:
    if isinstance(number, bool) or not isinstance(number, int):
        raise TypeError(f"{name} must be an int, not {type(number).__name__}")
    if number < 1:
        raise ValueError(f"{name} must be at least 1: {number}")


def _check_wait(options: dict[str, Any]) -> None:
    if "num_returns" in options:
        raise ValueError("'num_returns' cannot be given: results come one by one; 'chunk_size' says how many at once")
    unknown = [name for name in options if name not in {"timeout", "fetch_local"}]
    if unknown:
        raise TypeError(f"wait() takes no argument {unknown[0]!r}; here it takes 'timeout' and 'fetch_local'")


def as_completed(
    refs: Sequence[ObjectRef[Any]], *, chunk_size: int = 10, yield_obj_refs: bool = False, **wait_kwargs: Any
) -> Iterator[Any]:
    """Yield the values of ``refs`` (or, with ``yield_obj_refs``, the references) as they come to exist.

    It waits for ``chunk_size`` of them at a time, which is faster than for one. ``timeout`` (seconds) bounds each of
    these waits: TimeoutError if nothing has come meanwhile. A value that is an error is raised in its turn. Raises
    ValueError and TypeError at once for arguments that make no sense.
    """
    _check(chunk_size, "chunk_size")
    _check_wait(wait_kwargs)
    left = list(refs)
    strangers: list[object] = [ref for ref in left if not isinstance(ref, ObjectRef)]  # type: ignore[redundant-expr]  # callers err
    if strangers:
        raise TypeError(f"as_completed() takes references, not {type(strangers[0]).__name__}")
    return _as_completed(left, chunk_size, wait_kwargs, refs_wanted=yield_obj_refs)


def _as_completed(
    left: list[ObjectRef[Any]], chunk_size: int, options: dict[str, Any], *, refs_wanted: bool
) -> Iterator[Any]:
    while left:
        ready, left = _next(left, chunk_size, options)
        while ready:
            ref = ready.pop(0)
            yield ref if refs_wanted else get(ref)


def _next(
    left: list[ObjectRef[Any]], chunk_size: int, options: dict[str, Any]
) -> tuple[list[ObjectRef[Any]], list[ObjectRef[Any]]]:
    ready, rest = wait(left, num_returns=min(chunk_size, len(left)), **options)
    if not ready:
        raise TimeoutError(f"none of {len(left)} results has come within {options['timeout']} s")
    return ready, rest


def map_unordered(
    fn: TaskCaller[..., Any] | ActorMethod,
    items: Iterable[Any],
    *,
    backpressure_size: int | None = 100,
    chunk_size: int = 10,
    yield_obj_refs: bool = False,
    **wait_kwargs: Any,
) -> Iterator[Any]:
    """Call ``fn.remote(item)`` for each item and yield what comes of it (or the references), whichever comes first.

    At most ``backpressure_size`` calls are under way at a time (None: any number); items are taken as calls are made,
    so they may be endless. The other arguments are those of ``as_completed``. Raises ValueError, TypeError.
    """
    if not hasattr(fn, "remote"):
        raise TypeError(f"map_unordered() takes a remote function, not {fn!r:.100}: decorate it with @actorgrid.remote")
    _check(chunk_size, "chunk_size")
    _check_wait(wait_kwargs)
    if backpressure_size is not None:
        _check(backpressure_size, "backpressure_size")
        if backpressure_size < chunk_size:
            raise ValueError(f"backpressure_size ({backpressure_size}) must not be below chunk_size ({chunk_size})")
    return _map_unordered(fn, iter(items), backpressure_size, chunk_size, wait_kwargs, refs_wanted=yield_obj_refs)


def _map_unordered(
    fn: Any, items: Iterator[Any], most: int | None, chunk_size: int, options: dict[str, Any], *, refs_wanted: bool
) -> Iterator[Any]:
    left: list[ObjectRef[Any]] = []
    while True:
        more = items if most is None else islice(items, max(0, most - len(left)))
        left += [fn.remote(item) for item in more]
        if not left:
            return
        ready, left = _next(left, chunk_size, options)
        while ready:
            ref = ready.pop(0)
            yield ref if refs_wanted else get(ref)
