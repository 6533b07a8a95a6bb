"""``Pool``: the interface of ``multiprocessing.Pool``, on a grid.

What runs here are tasks: they may use the grid themselves, a process that dies costs the chunk that it ran, which is
tried again, and nothing hangs. Where a program depends on which process does what, it will see a difference: any
worker of the grid may do anything, and ``initializer`` runs in each before its first chunk.
"""

from __future__ import annotations

import multiprocessing
import queue
import threading
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from itertools import islice
from multiprocessing import TimeoutError  # noqa: A004  # it is what programs catch
from types import TracebackType
from typing import Any, Final, NamedTuple, NoReturn, Self

from actorgrid.api.session import cluster_resources, init, is_initialized
from actorgrid.engine.current import current
from actorgrid.util.executor import ActorGridExecutor

__all__ = ["AsyncResult", "Pool", "TimeoutError"]


class _Setup(NamedTuple):
    """What a process runs before its first chunk."""

    token: str
    initializer: Callable[..., Any] | None
    initargs: tuple[Any, ...]


#: (process, pool) pairs whose initializer has run.
_set_up: Final[set[tuple[int, str]]] = set()


def _run(setup: _Setup, function: Callable[..., Any], chunk: list[Any], star: int) -> list[Any]:
    """Call ``function`` for each item of a chunk; ``star``: 0 with it, 1 with what it holds, 2 as (args, kwargs)."""
    if setup.initializer is not None:
        key = current().process(), setup.token
        if key not in _set_up:
            setup.initializer(*setup.initargs)
            _set_up.add(key)
    if star == 0:
        return [function(item) for item in chunk]
    if star == 1:
        return [function(*item) for item in chunk]
    return [function(*args, **kwargs) for args, kwargs in chunk]


class AsyncResult:
    """What is to come of a call."""

    def __init__(
        self, futures: list[Future[list[Any]]], callback: Callable[[Any], object] | None,
        error_callback: Callable[[BaseException], object] | None, *, single: bool,
    ) -> None:  # fmt: skip
        """Not for users."""
        self._futures = futures
        self._single = single
        self._callbacks = callback, error_callback
        self._left = len(futures)
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._error: BaseException | None = None
        self._value: Any = None
        if not futures:
            self._finish()
        for future in futures:
            future.add_done_callback(self._done)

    def _done(self, future: Future[list[Any]]) -> None:
        with self._lock:
            self._left -= 1
            if self._over.is_set():
                return
            error = _error_of(future)
            if error is None and self._left:
                return
            self._error = error
        self._finish()

    def _finish(self) -> None:
        callback, error_callback = self._callbacks
        try:
            if self._error is None:
                found = [value for future in self._futures for value in future.result()]
                self._value = found[0] if self._single else found
                if callback is not None:
                    callback(self._value)
            elif error_callback is not None:
                error_callback(self._error)
        finally:
            self._over.set()  # only now, as in the standard library: who waits finds that the callback has run

    def get(self, timeout: float | None = None) -> Any:
        """Return the result, or raise what the call raised. Raises TimeoutError after ``timeout`` seconds."""
        if not self._over.wait(timeout):
            raise TimeoutError
        if self._error is not None:
            raise self._error
        return self._value

    def wait(self, timeout: float | None = None) -> None:
        """Wait until it is there, or ``timeout`` seconds."""
        self._over.wait(timeout)

    def ready(self) -> bool:
        """Return whether it is there."""
        return self._over.is_set()

    def successful(self) -> bool:
        """Return whether the call returned. Raises ValueError if it is not over."""
        if not self.ready():
            raise ValueError(f"{self!r} not ready")
        return self._error is None


def _error_of(future: Future[Any]) -> BaseException | None:
    if future.cancelled():
        return RuntimeError("the pool was terminated before this call was over")
    return future.exception()


class IMapIterator:
    """Results one by one. Items are taken, and chunks begun, only some way ahead of what was read."""

    def __init__(self, begun: Iterator[Future[list[Any]]], ahead: int, *, ordered: bool) -> None:
        """Not for users."""
        self._begun = begun
        self._ordered = ordered
        self._futures: deque[Future[list[Any]]] = deque()
        self._done: queue.SimpleQueue[Future[list[Any]]] = queue.SimpleQueue()
        self._count = 0
        self._items: deque[Any] = deque()
        #: What taking an item raised, to be raised once all results before it were read.
        self._broken: Exception | None = None
        self._begin(ahead)

    def _begin(self, count: int) -> None:
        try:
            for future in islice(self._begun, count):
                self._count += 1
                if self._ordered:
                    self._futures.append(future)
                else:
                    future.add_done_callback(self._done.put)
        except Exception as error:  # noqa: BLE001  # whatever it is
            self._broken = error

    def __iter__(self) -> IMapIterator:
        return self

    def __next__(self) -> Any:
        return self.next()

    def next(self, timeout: float | None = None) -> Any:
        """Return the next result.

        Raises StopIteration, what the call or taking the item raised, and TimeoutError after ``timeout`` seconds: it
        may be asked again.
        """
        while not self._items:
            if not self._count:
                broken, self._broken = self._broken, None
                raise broken or StopIteration
            future = self._wait(timeout)
            self._count -= 1
            self._begin(1)
            if (error := _error_of(future)) is not None:
                raise error
            self._items.extend(future.result())
        return self._items.popleft()

    def _wait(self, timeout: float | None) -> Future[list[Any]]:
        if not self._ordered:
            try:
                return self._done.get(timeout=timeout)
            except queue.Empty:
                raise TimeoutError from None
        future = self._futures[0]
        there = threading.Event()
        future.add_done_callback(lambda _: there.set())
        if not there.wait(timeout):
            raise TimeoutError
        return self._futures.popleft()


class Pool:
    """See the module. ``with`` ends in ``terminate``, as in the standard library."""

    def __init__(
        self, processes: int | None = None, initializer: Callable[..., Any] | None = None,
        initargs: Iterable[Any] | None = None, maxtasksperchild: int | None = None, context: object = None,
        ray_address: str | None = None, ray_remote_args: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        """``processes``: how many chunks run at once (None: as many as the grid has CPUs).

        ``initializer(*initargs)`` runs in each process before its first chunk. After ``maxtasksperchild`` chunks a
        process is replaced. ``ray_remote_args`` are options of the tasks. ``context`` has no meaning here. Starts a
        grid if there is none, or joins the one at ``ray_address`` (see ``init``). Raises ValueError, TypeError,
        ConnectionError.
        """
        del context
        if processes is not None and processes < 1:
            raise ValueError("Number of processes must be at least 1")
        if maxtasksperchild is not None and maxtasksperchild <= 0:
            raise ValueError("maxtasksperchild must be a positive int or None")
        if initializer is not None and not callable(initializer):
            raise TypeError("initializer must be a callable")
        if not is_initialized():
            init(ray_address)
        options = dict(ray_remote_args or {})
        if maxtasksperchild is not None:
            options["max_calls"] = maxtasksperchild
        self._processes = processes or max(1, int(cluster_resources().get("CPU", 1)))
        self._setup = _Setup(uuid.uuid4().hex, initializer, tuple(initargs or ()))
        self._executor = ActorGridExecutor(self._processes, **options)
        self._state = "RUN"

    # -- calls

    def _begin(self, function: Callable[..., Any], chunk: list[Any], star: int) -> Future[list[Any]]:
        return self._executor.submit(_run, self._setup, function, chunk, star)

    def _check(self) -> None:
        if self._state != "RUN":
            raise ValueError("Pool not running")

    def apply(self, func: Callable[..., Any], args: Sequence[Any] = (), kwds: Mapping[str, Any] | None = None) -> Any:
        """Return ``func(*args, **kwds)``."""
        return self.apply_async(func, args, kwds).get()

    def apply_async(
        self, func: Callable[..., Any], args: Sequence[Any] = (), kwds: Mapping[str, Any] | None = None,
        callback: Callable[[Any], object] | None = None,
        error_callback: Callable[[BaseException], object] | None = None,
    ) -> AsyncResult:  # fmt: skip
        """Start ``func(*args, **kwds)``; one of the callbacks gets what comes of it, in a thread of its own."""
        self._check()
        future = self._begin(func, [(tuple(args), dict(kwds or {}))], 2)
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
        items = list(iterable)
        if chunksize is None:  # the standard library's rule: four chunks for each process
            chunksize = max(1, -(-len(items) // (4 * self._processes)))
        chunks = _chunks(iter(items), chunksize)
        return AsyncResult([self._begin(func, chunk, star) for chunk in chunks], callback, error_callback, single=False)

    def imap(self, func: Callable[[Any], Any], iterable: Iterable[Any], chunksize: int = 1) -> IMapIterator:
        """Return an iterator over ``func(x)``, in order. Items are taken as results are read."""
        return self._imap(func, iterable, chunksize, ordered=True)

    def imap_unordered(self, func: Callable[[Any], Any], iterable: Iterable[Any], chunksize: int = 1) -> IMapIterator:
        """Return an iterator over ``func(x)``, whichever comes first."""
        return self._imap(func, iterable, chunksize, ordered=False)

    def _imap(
        self, func: Callable[[Any], Any], iterable: Iterable[Any], chunksize: int, *, ordered: bool
    ) -> IMapIterator:
        self._check()
        if chunksize < 1:
            raise ValueError(f"Chunksize must be 1+, not {chunksize}")
        begun = (self._begin(func, chunk, 0) for chunk in _chunks(iter(iterable), chunksize))
        return IMapIterator(begun, 4 * self._processes, ordered=ordered)

    # -- the end

    def close(self) -> None:
        """Take no more calls."""
        if self._state == "RUN":
            self._state = "CLOSE"

    def terminate(self) -> None:
        """Stop everything that is not over. The workers stay: they are the grid's."""
        self._state = "TERMINATE"
        self._executor.terminate_workers()

    def join(self) -> None:
        """Wait until all calls are over. Raises ValueError before ``close`` or ``terminate``."""
        if self._state == "RUN":
            raise ValueError("Pool is still running")
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


def _chunks(items: Iterator[Any], size: int) -> Iterator[list[Any]]:
    return iter(lambda: list(islice(items, size)), [])


#: The standard library's, for programs that take it from here.
cpu_count = multiprocessing.cpu_count
