"""What a ``Pool`` hands out: results that are to come, all of a call's at once or one by one."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from multiprocessing import TimeoutError  # noqa: A004  # it is what programs catch
from typing import Any, NamedTuple

from actorgrid.util.executor import as_raised
from actorgrid.wire.errors import unpack_exception


class Raised(NamedTuple):
    """What a process sends in the place of a value: the error that the call has raised, as ``pack_exception`` packs."""

    packed: bytes


class _Error(NamedTuple):
    """What stands in the place of a value here."""

    error: BaseException


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
        """It is over when all are, also if one has failed, as in the standard library: nothing runs on unseen."""
        with self._lock:
            self._left -= 1
            if self._error is None:
                self._error = _error_of(future)
            if self._left:
                return
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


class _Chunk(NamedTuple):
    """A chunk that was begun, and how many results it gives."""

    future: Future[list[Any]]
    size: int

    def results(self) -> list[Any]:
        """Return what has come of it. Whatever took the whole chunk is the error of each of its values."""
        error = _error_of(self.future)
        return self.future.result() if error is None else [_Error(error)] * self.size


class IMapIterator:
    """Results one by one. Items are taken, and chunks begun, only some way ahead of what was read."""

    def __init__(
        self, chunks: Iterator[list[Any]], begin: Callable[[list[Any]], Future[list[Any]]], ahead: int, *,
        ordered: bool,
    ) -> None:  # fmt: skip
        """Not for users."""
        self._chunks: Iterator[list[Any]] | None = chunks
        self._begin = begin
        self._ahead = ahead
        self._ordered = ordered
        #: Guards the taking of items, which readers and ``finish`` do. (An iterable may ask for the results itself.)
        self._lock = threading.RLock()
        self._begun: deque[_Chunk] = deque()
        self._done: queue.SimpleQueue[_Chunk] = queue.SimpleQueue()
        #: How many chunks were begun and not read.
        self._count = 0
        #: How many are begun and not over.
        self._running = 0
        self._ended = threading.Condition()
        self._items: deque[Any] = deque()
        #: What taking an item raised, to be raised once all results before it were read.
        self._broken: Exception | None = None
        #: Where it is, as long as there are items to take.
        self._taking: set[IMapIterator] = set()
        for _ in range(ahead):
            self._begin_one()

    def take_when_joined(self, taking: set[IMapIterator]) -> None:
        """Be in ``taking`` until all items are taken."""
        with self._lock:
            self._taking = taking
            if self._chunks is not None:
                taking.add(self)

    def _begin_one(self) -> bool:
        """Begin a chunk. Returns False if there are no more."""
        with self._lock:
            if self._chunks is None:
                return False
            try:
                items = next(self._chunks, None)
            except Exception as error:  # noqa: BLE001  # whatever it is
                self._broken, items = error, None
            if items is None:
                self._chunks = None
                self._taking.discard(self)
                return False
            self._enter(_Chunk(self._submit(items), len(items)))
            return True

    def _submit(self, items: list[Any]) -> Future[list[Any]]:
        try:
            return self._begin(items)
        except Exception as error:  # noqa: BLE001  # they cannot be pickled, say: an error in their place
            future: Future[list[Any]] = Future()
            future.set_exception(error)
            return future

    def _enter(self, chunk: _Chunk) -> None:
        self._count += 1
        with self._ended:
            self._running += 1
        if self._ordered:
            self._begun.append(chunk)

        def over(_: Future[list[Any]]) -> None:
            if not self._ordered:
                self._done.put(chunk)
            with self._ended:
                self._running -= 1
                self._ended.notify_all()

        chunk.future.add_done_callback(over)

    def finish(self) -> None:
        """Begin all that is left, as chunks end; their results are kept for the reader."""
        more = True
        while more:
            with self._ended:
                self._ended.wait_for(lambda: self._running < self._ahead)
            more = self._begin_one()

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
            chunk = self._wait(timeout)
            with self._lock:
                self._count -= 1
                self._begin_one()
            self._items.extend(chunk.results())
        item = self._items.popleft()
        if isinstance(item, Raised):
            raise as_raised(unpack_exception(item.packed))
        if isinstance(item, _Error):
            raise item.error
        return item

    def _wait(self, timeout: float | None) -> _Chunk:
        if not self._ordered:
            try:
                return self._done.get(timeout=timeout)
            except queue.Empty:
                raise TimeoutError from None
        there = threading.Event()
        self._begun[0].future.add_done_callback(lambda _: there.set())
        if not there.wait(timeout):
            raise TimeoutError
        return self._begun.popleft()
