"""``Pool``: the interface of ``multiprocessing.Pool``, on a grid.

What runs here are tasks: they may use the grid themselves, a process that dies costs the chunk that it ran, which is
tried again, and nothing hangs. Where a program depends on which process does what, it will see a difference: any
worker of the grid may do anything. A pool with an ``initializer`` has processes of its own (``initializing``).
"""

from __future__ import annotations

import multiprocessing
import operator
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from itertools import islice
from multiprocessing import TimeoutError  # noqa: A004  # it is what programs catch
from types import TracebackType
from typing import Any, NoReturn, Self, SupportsIndex

from actorgrid.api.session import cluster_resources, init, is_initialized
from actorgrid.util.executor import BackgroundExecutor
from actorgrid.util.multiprocessing.initializing import Initial, Owned, set_up
from actorgrid.util.multiprocessing.results import AsyncResult, IMapIterator, Raised
from actorgrid.wire.errors import pack_exception

__all__ = ["AsyncResult", "Pool", "TimeoutError"]


def _run(initial: Initial | None, function: Callable[..., Any], chunk: list[Any], star: int) -> list[Any]:
    """Call ``function`` for each item of a chunk; ``star``: 0 with it, 1 with what it holds, 2 as (args, kwargs)."""
    set_up(initial)
    if star == 0:
        return [function(item) for item in chunk]
    if star == 1:
        return [function(*item) for item in chunk]
    return [function(*args, **kwargs) for args, kwargs in chunk]


def _run_each(initial: Initial | None, function: Callable[..., Any], chunk: list[Any]) -> list[Any]:
    """Call ``function`` with each item of a chunk; an error takes the place of one value, and costs no other."""
    set_up(initial)
    return [_result(function, item) for item in chunk]


def _result(function: Callable[..., Any], item: Any) -> Any:
    try:
        return function(item)
    except Exception as error:  # noqa: BLE001  # whatever user code raises
        return Raised(pack_exception(error, getattr(function, "__qualname__", repr(function)), os.getpid()))


class Pool:
    """See the module. ``with`` ends in ``terminate``, as in the standard library."""

    def __init__(
        self, processes: int | None = None, initializer: Callable[..., Any] | None = None,
        initargs: Iterable[Any] | None = None, maxtasksperchild: int | None = None, context: object = None,
        ray_address: str | None = None, ray_remote_args: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        """``processes``: how many chunks run at once (None: as many as the grid has CPUs).

        ``initializer(*initargs)`` runs in each process before its first chunk, and what it does there stays: these
        processes are the pool's own, and functions of ``__main__`` find the global names that it has set. After
        ``maxtasksperchild`` chunks a process is replaced. ``ray_remote_args`` are options of the tasks. ``context`` has
        no meaning here. Starts a grid with as many CPUs as ``processes`` if there is none, or joins the one at
        ``ray_address`` (see ``init``). Raises ValueError, TypeError, ConnectionError.
        """
        del context
        if processes is not None:
            processes = _at_least_one("number of processes", processes)
        if maxtasksperchild is not None:
            maxtasksperchild = _at_least_one("maxtasksperchild", maxtasksperchild)
        if initializer is not None and not callable(initializer):
            raise TypeError("initializer must be a callable")
        if not is_initialized():
            _start_grid(ray_address, processes)
        options = dict(ray_remote_args or {})
        if maxtasksperchild is not None:
            options["max_calls"] = maxtasksperchild
        #: A chunk with an error in it is called again, as a whole.
        self._retries = bool(options.get("retry_exceptions"))
        self._processes = processes or max(1, int(cluster_resources().get("CPU", 1)))
        owned = Owned(initializer, tuple(initargs or ()), options) if initializer is not None else None
        self._initial = owned.initial if owned is not None else None
        self._executor = BackgroundExecutor(self._processes, **options)
        if owned is not None:
            self._executor.when_over(owned.release)
        self._state = "RUN"
        #: Those that have items left to take: ``join`` waits for these, too.
        self._taking: set[IMapIterator] = set()

    # -- calls

    def _begin(self, function: Callable[..., Any], chunk: list[Any], star: int) -> Future[list[Any]]:
        return self._executor.submit(_run, self._initial, function, chunk, star)

    def _check(self) -> None:
        if self._state != "RUN":
            raise ValueError("Pool not running")

    def apply(
        self, func: Callable[..., Any], args: Sequence[Any] | None = (), kwds: Mapping[str, Any] | None = None, *,
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:  # fmt: skip
        """Return ``func(*args, **kwds)``. ``kwargs``: what Ray calls ``kwds``."""
        return self.apply_async(func, args, kwds, kwargs=kwargs).get()

    def apply_async(
        self, func: Callable[..., Any], args: Sequence[Any] | None = (), kwds: Mapping[str, Any] | None = None,
        callback: Callable[[Any], object] | None = None,
        error_callback: Callable[[BaseException], object] | None = None, *,
        kwargs: Mapping[str, Any] | None = None,
    ) -> AsyncResult:  # fmt: skip
        """Start ``func(*args, **kwds)``; one of the callbacks gets what comes of it, in a thread of its own.

        ``kwargs``: what Ray calls ``kwds``. Raises TypeError if both are given.
        """
        self._check()
        if kwds and kwargs:
            raise TypeError("kwds and kwargs are two names of the same: give one of them")
        future = self._begin(func, [(tuple(args or ()), dict(kwds or kwargs or {}))], 2)
        return AsyncResult([future], callback, error_callback, single=True)

    def map(self, func: Callable[[Any], Any], iterable: Iterable[Any], chunksize: int | None = None) -> list[Any]:
        """Return ``[func(x) for x in iterable]``."""
        return self.map_async(func, iterable, chunksize).get()  # type: ignore[no-any-return]  # a list it is

    def starmap(
        self, func: Callable[..., Any], iterable: Iterable[Iterable[Any]], chunksize: int | None = None
    ) -> list[Any]:
        """Return ``[func(*x) for x in iterable]``."""
        return self.starmap_async(func, iterable, chunksize).get()  # type: ignore[no-any-return]  # too

    def map_async(
        self, func: Callable[[Any], Any], iterable: Iterable[Any], chunksize: int | None = None,
        callback: Callable[[list[Any]], object] | None = None,
        error_callback: Callable[[BaseException], object] | None = None,
    ) -> AsyncResult:  # fmt: skip
        """``map`` that does not wait."""
        return self._map(func, iterable, chunksize, 0, callback, error_callback)

    def starmap_async(
        self, func: Callable[..., Any], iterable: Iterable[Iterable[Any]], chunksize: int | None = None,
        callback: Callable[[list[Any]], object] | None = None,
        error_callback: Callable[[BaseException], object] | None = None,
    ) -> AsyncResult:  # fmt: skip
        """``starmap`` that does not wait."""
        return self._map(func, iterable, chunksize, 1, callback, error_callback)

    def _map(
        self, func: Callable[..., Any], iterable: Iterable[Any], chunksize: int | None, star: int,
        callback: Callable[[Any], object] | None, error_callback: Callable[[BaseException], object] | None,
    ) -> AsyncResult:  # fmt: skip
        self._check()
        size = None if chunksize is None else _at_least_one("chunksize", chunksize)
        items = list(iterable)
        if size is None:  # the standard library's rule: four chunks for each process
            size = max(1, -(-len(items) // (4 * self._processes)))
        chunks = _chunks(iter(items), size)
        return AsyncResult([self._begin(func, chunk, star) for chunk in chunks], callback, error_callback, single=False)

    def imap(self, func: Callable[[Any], Any], iterable: Iterable[Any], chunksize: int = 1) -> IMapIterator:
        """Return an iterator over ``func(x)``, in order. Items are taken as results are read; ``join`` takes the rest.

        An error is raised in the place of its value, and iterating goes on. (With ``retry_exceptions`` a chunk is
        called again as a whole, and at last its error is that of each of its values.)
        """
        return self._imap(func, iterable, chunksize, ordered=True)

    def imap_unordered(self, func: Callable[[Any], Any], iterable: Iterable[Any], chunksize: int = 1) -> IMapIterator:
        """Return an iterator over ``func(x)``, whichever comes first."""
        return self._imap(func, iterable, chunksize, ordered=False)

    def _imap(
        self, func: Callable[[Any], Any], iterable: Iterable[Any], chunksize: int, *, ordered: bool
    ) -> IMapIterator:
        self._check()
        chunks = self._until_terminated(_chunks(iter(iterable), _at_least_one("chunksize", chunksize)))
        begin = partial(self._begin_each, func)
        made = IMapIterator(chunks, begin, 4 * self._processes, ordered=ordered)
        made.take_when_joined(self._taking)
        return made

    def _begin_each(self, function: Callable[..., Any], chunk: list[Any]) -> Future[list[Any]]:
        if len(chunk) == 1 or self._retries:
            return self._begin(function, chunk, 0)
        return self._executor.submit(_run_each, self._initial, function, chunk)

    def _until_terminated(self, chunks: Iterator[list[Any]]) -> Iterator[list[Any]]:
        for chunk in chunks:
            yield chunk
            if self._state == "TERMINATE":
                raise RuntimeError("the pool was terminated before all items were taken")

    # -- the end

    def close(self) -> None:
        """Take no more calls."""
        if self._state == "RUN":
            self._state = "CLOSE"

    def terminate(self) -> None:
        """Stop everything that is not over. Workers stay: they are the grid's, unless there is an ``initializer``."""
        self._state = "TERMINATE"
        self._taking.clear()
        self._executor.terminate_workers()

    def join(self) -> None:
        """Wait until all calls are over. Raises ValueError before ``close`` or ``terminate``.

        What ``imap`` has not taken yet is taken now, as in the standard library, whether it will be read or not: of an
        endless iterable there is no end, only ``terminate``.
        """
        if self._state == "RUN":
            raise ValueError("Pool is still running")
        for each in list(self._taking):
            each.finish()
        self._executor.shutdown(wait=True)

    def __reduce__(self) -> NoReturn:
        raise NotImplementedError("pool objects cannot be passed between processes or pickled")

    def __enter__(self) -> Self:
        self._check()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.terminate()


def _start_grid(address: str | None, processes: int | None) -> None:
    """Start a grid for a pool, or join one. The system shares the CPUs out among processes, however many."""
    joins = os.environ.get("ACTORGRID_ADDRESS") if address is None else address != "local"
    init(address, num_cpus=None if joins else processes)


def _at_least_one(name: str, value: SupportsIndex) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an int, not {type(value).__name__}: {value!r:.100}") from None
    if number < 1:
        raise ValueError(f"{name} must be at least 1, not {number}")
    return number


def _chunks(items: Iterator[Any], size: int) -> Iterator[list[Any]]:
    return iter(lambda: list(islice(items, size)), [])


#: The standard library's, for programs that take it from here.
cpu_count = multiprocessing.cpu_count
