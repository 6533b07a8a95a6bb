"""``ActorGridExecutor``: the interface of ``concurrent.futures``, on a grid."""

from __future__ import annotations

import queue
import threading
import types
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from functools import partial
from itertools import islice
from time import monotonic  # by name: user code may replace that of the module
from typing import Any, ClassVar, Final, ParamSpec, TypeVar

from actorgrid.api.basics import cancel, get
from actorgrid.api.remote_function import RemoteFunction
from actorgrid.api.session import finish_first, init, is_initialized, shutdown
from actorgrid.engine.current import current, installed
from actorgrid.engine.refs import ObjectRef
from actorgrid.exceptions import TaskCancelledError, TaskError

P = ParamSpec("P")
T = TypeVar("T")

#: Functions that an executor has made remote: code that is exported once.
_REMEMBERED = 1024


def _call(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return function(*args, **kwargs)


def _call_each(function: Callable[..., Any], chunk: list[tuple[Any, ...]]) -> list[Any]:
    return [function(*args) for args in chunk]


class RemoteTraceback(Exception):  # noqa: N818  # what the standard library calls it
    """Where a call failed, as text: the cause of the exception that it raised."""

    def __str__(self) -> str:
        return f"\n{self.args[0]}"


def as_raised(error: BaseException) -> BaseException:
    """Return the exception that user code raised, as executors of the standard library hand it over; others as is."""
    if not isinstance(error, TaskError) or not isinstance(error.cause, BaseException):
        return error
    raised = error.cause
    raised.__cause__ = RemoteTraceback(error.traceback_str)
    return raised


class _TaskFuture(Future[T]):
    """The future of a task. Cancelling it stops the task, also one that runs."""

    def __init__(self, begin: Callable[[], ObjectRef[Any]]) -> None:
        """``begin`` starts the task."""
        super().__init__()
        self._begin: Callable[[], ObjectRef[Any]] | None = begin
        self.ref: ObjectRef[Any] | None = None
        self._deciding = threading.RLock()

    def begin(self) -> ObjectRef[Any]:
        """Start the task, once. What it was called with is kept no longer."""
        begin, self._begin = self._begin, None
        assert begin is not None
        self.ref = begin()
        return self.ref

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

    def settle(self, ref: ObjectRef[Any], *, may_be_cancelled: bool) -> None:
        """The task is over: take its result, unless nobody wants it any more."""
        value: Any = None
        error: BaseException | None = None
        try:
            value = get(ref)
        except BaseException as raised:  # noqa: BLE001  # whatever the call raised goes to whoever waits
            error = as_raised(raised)
        with self._deciding:
            if may_be_cancelled and isinstance(error, TaskCancelledError):
                super().cancel()
                self.set_running_or_notify_cancel()
            if self.cancelled():
                return
            self.set_running_or_notify_cancel()
        if error is None:
            self.set_result(value)
        else:
            self.set_exception(error)


class _Calls:
    """The calls of one executor, which may be gone before them.

    Their results come in a thread of its own, since callbacks of futures may do anything.
    """

    def __init__(self, max_workers: int | None, *, waited_for: bool) -> None:
        """``waited_for``: a program that ends waits for them."""
        self._max_workers = max_workers
        self._waited_for = waited_for
        self._engine = current()
        self._lock = threading.Lock()
        #: Why no more calls are taken, as the end of a sentence; empty while they are.
        self._down = ""
        self._drops = False
        #: Calls for which there is no place yet, and those under way.
        self._waiting: deque[_TaskFuture[Any]] = deque()
        self._running: dict[ObjectRef[Any], _TaskFuture[Any]] = {}
        #: References of calls that are over; None: look whether all is over.
        self._over: queue.SimpleQueue[ObjectRef[Any] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        #: Called by that thread when all is over; without any call there is none.
        self.at_end: Callable[[], object] | None = None

    def enter(self, future: _TaskFuture[T]) -> Future[T]:
        """Take a call. Raises RuntimeError if no more are taken."""
        with self._lock:
            if self._down:
                raise RuntimeError(f"cannot schedule new futures after {self._down}")
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, name="actorgrid-executor", daemon=True)
                self._thread.start()
                _serving.add(self)
            if self._max_workers is not None and len(self._running) >= self._max_workers:
                self._waiting.append(future)
                return future
            ref = self._begin(future)
        current().on_ready(ref, self._over.put)
        return future

    def close(self, why: str = "shutdown") -> None:
        """Take no more calls. A finalizer may call this: it waits for nothing."""
        self._down = self._down or why
        self._over.put(None)

    def drop(self) -> None:
        """Cancel what has not begun. What the grid has not given to a worker is the head's to tell."""
        with self._lock:
            self._drops = True
            waiting, given = list(self._waiting), list(self._running)
        for future in waiting:
            future.cancel()
        for ref in given:
            current().cancel(ref, force=False, recursive=False, waiting=True)

    def stop(self) -> None:
        """Cancel what is not over."""
        with self._lock:
            left = [*self._waiting, *self._running.values()]
        for future in left:
            future.cancel()

    def join(self) -> None:
        """Wait until all calls are over."""
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def finish(self) -> None:
        """The program ends: wait for what is under way, if that is wanted and its grid is still there."""
        self.close("interpreter shutdown")
        if self._waited_for and self._engine is installed():
            self.join()

    def _begin(self, future: _TaskFuture[Any]) -> ObjectRef[Any]:
        ref = future.begin()
        self._running[ref] = future
        return ref

    def _serve(self) -> None:
        while True:
            ref = self._over.get()
            if ref is not None:
                self._take(ref)
                del ref  # nothing is kept while the next one is waited for
            with self._lock:
                if self._down and not self._running and not self._waiting:
                    break
        if self.at_end is not None:
            self.at_end()

    def _take(self, ref: ObjectRef[Any]) -> None:
        with self._lock:
            future = self._running.pop(ref)
            following = self._next()
        if following is not None:
            current().on_ready(following, self._over.put)
        future.settle(ref, may_be_cancelled=self._drops)

    def _next(self) -> ObjectRef[Any] | None:
        while self._waiting:
            future = self._waiting.popleft()
            if not future.cancelled():
                try:
                    return self._begin(future)
                except BaseException as error:  # noqa: BLE001  # its arguments cannot be pickled, say
                    future.set_exception(error)
        return None


#: What is under way when the program ends is waited for, as with the executors of the standard library.
_serving: Final[weakref.WeakSet[_Calls]] = weakref.WeakSet()


def _finish_all() -> None:
    for calls in list(_serving):
        calls.finish()


finish_first(_finish_all)


class ActorGridExecutor(Executor):
    """Runs calls as tasks. ``with`` waits for all of them at the end, as with the executors of the standard library.

    A worker that dies costs the call that it ran, which is tried again (``max_retries=0``: is not); the executor is
    never "broken". Exceptions arrive as instances of their own class.
    """

    #: Whether a program that ends waits for the calls.
    _waited_for: ClassVar[bool] = True

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
        self._owns_grid = not is_initialized()
        if self._owns_grid:
            init()
        self._calls = _Calls(max_workers, waited_for=self._waited_for)
        weakref.finalize(self, self._calls.close).atexit = False

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Start ``fn(*args, **kwargs)`` as a task.

        Raises RuntimeError after ``shutdown``, TypeError for what cannot be pickled.
        """
        # A function that captures nothing is the same each time; whatever else is pickled as it is now.
        if type(fn) is types.FunctionType and fn.__closure__ is None:
            remote = self._known(fn)
            return self._calls.enter(_TaskFuture(lambda: remote.remote(*args, **kwargs)))
        return self._calls.enter(_TaskFuture(lambda: self._call.remote(fn, args, kwargs)))

    def _known(self, fn: types.FunctionType) -> RemoteFunction[..., Any]:
        known = self._remote.get(fn)
        if known is None:
            if len(self._remote) >= _REMEMBERED:
                self._remote.clear()
            known = self._remote[fn] = RemoteFunction(fn, self._options)
        return known

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
            begun = (self._calls.enter(_TaskFuture(partial(self._call_each.remote, fn, chunk))) for chunk in chunks)
        ahead: deque[Future[Any]] = deque(begun if buffersize is None else islice(begun, buffersize))
        return _results(ahead, begun, deadline, whole=chunksize > 1)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # the library's
        """Take no more calls. ``cancel_futures``: cancel what has not begun. ``wait``: return when all are over."""
        if cancel_futures:
            self._calls.drop()
        self._calls.close()
        if not wait:
            return
        self._calls.join()
        if self._owns_grid:
            self._owns_grid = False
            shutdown()

    def terminate_workers(self) -> None:
        """Take no more calls, and stop those that are not over. The processes stay: they are the grid's."""
        self._calls.close()
        self._calls.stop()


class BackgroundExecutor(ActorGridExecutor):
    """One whose calls end with the program, as those of pools of processes do: for ``Pool`` and joblib."""

    _waited_for = False

    def when_over(self, call: Callable[[], object]) -> None:
        """Have ``call`` called when it takes no more calls and all are over, also if it was dropped, in its thread.

        If it has had no calls nothing is called.
        """
        self._calls.at_end = call


def _results(
    ahead: deque[Future[Any]], begun: Iterator[Future[Any]], deadline: float | None, *, whole: bool
) -> Iterator[Any]:
    try:
        while ahead:
            if whole:
                chunk = _result(ahead, begun, deadline)
                chunk.reverse()
                while chunk:
                    yield chunk.pop()
            else:
                yield _result(ahead, begun, deadline)
    finally:
        for future in ahead:
            future.cancel()


def _result(ahead: deque[Future[Any]], begun: Iterator[Future[Any]], deadline: float | None) -> Any:
    """Return the next result. What a function returns it keeps no longer: the reader alone has it."""
    future = ahead.popleft()
    try:
        result = future.result(None if deadline is None else max(0.0, deadline - monotonic()))
    except BaseException:  # it has not come in time, or whoever waits for it is interrupted: nobody will read it
        future.cancel()
        raise
    finally:
        del future  # an error that it raises keeps this frame
    ahead.extend(islice(begun, 1))
    return result
