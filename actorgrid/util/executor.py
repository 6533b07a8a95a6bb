"""``ActorGridExecutor``: the interface of ``concurrent.futures``, on a grid."""

from __future__ import annotations

import queue
import threading
import types
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from functools import partial
from itertools import islice
from time import monotonic  # by name: user code may replace that of the module
from typing import Any, ParamSpec, TypeVar

from actorgrid.api.basics import cancel, get
from actorgrid.api.remote_function import RemoteFunction
from actorgrid.api.session import init, is_initialized, shutdown
from actorgrid.engine.current import current
from actorgrid.engine.refs import ObjectRef

P = ParamSpec("P")
T = TypeVar("T")

#: Functions that an executor has made remote: code that is exported once.
_REMEMBERED = 1024


def _call(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return function(*args, **kwargs)


def _call_each(function: Callable[..., Any], chunk: list[tuple[Any, ...]]) -> list[Any]:
    return [function(*args) for args in chunk]


class _TaskFuture(Future[T]):
    """The future of a task. Cancelling it stops the task, also one that runs."""

    def __init__(self, begin: Callable[[], ObjectRef[Any]]) -> None:
        super().__init__()
        #: Starts the task.
        self.begin = begin
        self.ref: ObjectRef[Any] | None = None
        self._deciding = threading.RLock()

    def cancel(self) -> bool:
        """Stop the task, if it is not over. Return whether it was not."""
        with self._deciding:
            if self.cancelled():
                return True
            if not super().cancel():
                return False
            self.set_running_or_notify_cancel()  # whoever waits for it is told
        if self.ref is not None:
            cancel(self.ref)
        return True

    def settle(self, ref: ObjectRef[Any]) -> None:
        """The task is over: take its result, unless nobody wants it any more."""
        value: Any = None
        error: BaseException | None = None
        try:
            value = get(ref)
        except BaseException as raised:  # noqa: BLE001  # whatever the call raised goes to whoever waits
            error = raised
        with self._deciding:
            if self.cancelled():
                return
            self.set_running_or_notify_cancel()
        if error is None:
            self.set_result(value)
        else:
            self.set_exception(error)


class ActorGridExecutor(Executor):
    """Runs calls as tasks. ``with`` waits for all of them at the end, as with the executors of the standard library.

    A worker that dies costs the call that it ran, which is tried again (``max_retries=0``: is not); the executor is
    never "broken". Exceptions arrive as instances of their own class.
    """

    def __init__(self, max_workers: int | None = None, **options: Any) -> None:
        """``max_workers``: how many calls may be under way; None: as many as the grid has room for.

        ``options`` are those of a task (``num_cpus=``, ``max_retries=``, ``timeout=``, …). Starts a grid if there is
        none, and ends that one in ``shutdown``. Raises ValueError, TypeError.
        """
        if max_workers is not None and (isinstance(max_workers, bool) or not isinstance(max_workers, int)):
            raise TypeError(f"max_workers must be an int, not {type(max_workers).__name__}")
        if max_workers is not None and max_workers < 1:
            raise ValueError("max_workers must be greater than 0")
        self._options = options
        self._call = RemoteFunction(_call, options)
        self._call_each = RemoteFunction(_call_each, options)
        self._remote: dict[types.FunctionType, RemoteFunction[..., Any]] = {}
        self._max_workers = max_workers
        self._owns_grid = not is_initialized()
        if self._owns_grid:
            init()
        self._lock = threading.Lock()
        self._down = False
        #: Calls for which there is no place yet, and those under way.
        self._waiting: deque[_TaskFuture[Any]] = deque()
        self._running: dict[ObjectRef[Any], _TaskFuture[Any]] = {}
        #: References of calls that are over; None: look whether all is over.
        self._over: queue.SimpleQueue[ObjectRef[Any] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    # -- calls

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Start ``fn(*args, **kwargs)`` as a task.

        Raises RuntimeError after ``shutdown``, TypeError for what cannot be pickled.
        """
        # A function that captures nothing is the same each time; whatever else is pickled as it is now.
        if type(fn) is types.FunctionType and fn.__closure__ is None:
            remote = self._known(fn)
            return self._enter(_TaskFuture(lambda: remote.remote(*args, **kwargs)))
        return self._enter(_TaskFuture(lambda: self._call.remote(fn, args, kwargs)))

    def _known(self, fn: types.FunctionType) -> RemoteFunction[..., Any]:
        known = self._remote.get(fn)
        if known is None:
            if len(self._remote) >= _REMEMBERED:
                self._remote.clear()
            known = self._remote[fn] = RemoteFunction(fn, self._options)
        return known

    def _enter(self, future: _TaskFuture[T]) -> Future[T]:
        with self._lock:
            if self._down:
                raise RuntimeError("cannot schedule new futures after shutdown")
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, name="actorgrid-executor", daemon=True)
                self._thread.start()
            if self._max_workers is not None and len(self._running) >= self._max_workers:
                self._waiting.append(future)
                return future
            ref = self._begin(future)
        current().on_ready(ref, self._over.put)
        return future

    def _begin(self, future: _TaskFuture[Any]) -> ObjectRef[Any]:
        ref = future.begin()
        future.ref = ref
        self._running[ref] = future
        return ref

    def map(
        self, fn: Callable[..., T], *iterables: Iterable[Any], timeout: float | None = None, chunksize: int = 1,
        buffersize: int | None = None,
    ) -> Iterator[T]:  # fmt: skip
        """As the built-in ``map``, in parallel and in order; ``chunksize`` items make one task.

        ``buffersize``: how many tasks are started ahead of what was read; None: all of them at once. Raises
        TimeoutError if the next result is not there ``timeout`` seconds after this call.
        """
        if chunksize < 1:
            raise ValueError("chunksize must be >= 1.")
        if buffersize is not None and buffersize < 1:
            raise ValueError("buffersize must be None or > 0")
        deadline = None if timeout is None else monotonic() + timeout
        calls = zip(*iterables, strict=False)
        if chunksize == 1:
            begun = (self.submit(fn, *args) for args in calls)
        else:
            chunks = iter(lambda: list(islice(calls, chunksize)), [])
            begun = (self._enter(_TaskFuture(partial(self._call_each.remote, fn, chunk))) for chunk in chunks)
        ahead: deque[Future[Any]] = deque(begun if buffersize is None else islice(begun, buffersize))
        return self._results(ahead, begun, deadline, whole=chunksize > 1)

    def _results(
        self, ahead: deque[Future[Any]], begun: Iterator[Future[Any]], deadline: float | None, *, whole: bool
    ) -> Iterator[Any]:
        try:
            while ahead:
                future = ahead.popleft()
                result = future.result(None if deadline is None else max(0.0, deadline - monotonic()))
                ahead.extend(islice(begun, 1))
                if whole:
                    yield from result
                else:
                    yield result
        finally:
            for future in ahead:
                future.cancel()

    # -- results: in a thread of their own, since callbacks of futures may do anything

    def _serve(self) -> None:
        while True:
            ref = self._over.get()
            if ref is not None:
                with self._lock:
                    future = self._running.pop(ref)
                    following = self._next()
                if following is not None:
                    current().on_ready(following, self._over.put)
                future.settle(ref)
            with self._lock:
                if self._down and not self._running and not self._waiting:
                    return

    def _next(self) -> ObjectRef[Any] | None:
        while self._waiting:
            future = self._waiting.popleft()
            if not future.cancelled():
                try:
                    return self._begin(future)
                except BaseException as error:  # noqa: BLE001  # its arguments cannot be pickled, say
                    future.set_exception(error)
        return None

    # -- the end

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # the library's
        """Take no more calls. ``cancel_futures``: stop what is not over. ``wait``: return when all is."""
        with self._lock:
            self._down = True
            left = [*self._waiting, *self._running.values()]
            thread = self._thread
        if cancel_futures:
            for future in left:
                future.cancel()
        self._over.put(None)
        if not wait:
            return
        if thread is not None and thread is not threading.current_thread():
            thread.join()
        if self._owns_grid:
            self._owns_grid = False
            shutdown()
