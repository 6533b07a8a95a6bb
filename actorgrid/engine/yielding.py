"""Running generators: each item goes out as it comes, and whoever is too far ahead of its reader waits.

Shared by real workers and simulated ones. A call that was cancelled ends where it next yields, whatever kind it is: its
generator is closed, so that ``finally`` clauses run.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

from actorgrid.core import messages as m
from actorgrid.core.messages import Value
from actorgrid.core.worker import Running, WorkerMachine
from actorgrid.engine import execution
from actorgrid.engine.control import LocalEngine
from actorgrid.engine.generators import DynamicObjectRefGenerator
from actorgrid.engine.interrupts import protected
from actorgrid.engine.refs import ObjectRef
from actorgrid.engine.waits import Sleeper

if TYPE_CHECKING:
    import asyncio

    from actorgrid.core.client import Awaited
    from actorgrid.engine.worker_side import WorkerSide

_END: Final = object()
Values = tuple[Value, ...]


class YieldingEngine(LocalEngine):
    """Streams, from the side that makes the items. The host sets ``machine`` and ``stalled``."""

    machine: WorkerMachine
    #: What waits in a yield, by task.
    stalled: dict[int, Sleeper]

    def item(self, running: Running, value: Value) -> bool:
        """Send an item. Returns whether its generator must wait for its reader now."""
        flow = running.outflow
        return flow is not None and self._enter_item(running, value)

    @protected
    def _enter_item(self, running: Running, value: Value) -> bool:
        flow, run, client = running.outflow, running.run, self.client
        assert flow is not None
        with self.lock:
            client.outbox.append(m.Yield(run.task, run.attempt, flow.at, value))
            flow.at += 1
            if client.dropped:
                client.collect()
            self.send_item()
            return flow.full and not running.cancelled

    def send_item(self) -> None:
        """Have an item on its way soon, whatever its generator does next. Called with the lock held."""
        self.send(force=False)

    @protected
    def fill(self, running: Running, waiter: Sleeper) -> Callable[[], None] | None:
        """``waiter`` is to wait for the reader; returns what to call when it goes on, None if it need not wait."""
        task = running.run.task

        def resume() -> None:
            self.stalled.pop(task, None)
            if on is not None:
                on()

        with self.lock:
            if running.cancelled or running.outflow is None or not running.outflow.full:
                return None
            self.stalled[task] = waiter
            on = self.blocking(m.Blocked(0, m.YIELD), waiter)
            self.send(force=True)
            return resume

    @protected
    def flow_on(self, resume: Callable[[], None]) -> None:
        """It goes on."""
        with self.lock:
            resume()

    def credited(self, message: m.Credit) -> None:
        """The reader has taken items. Called with the lock held."""
        running = self.machine.credit(message)
        if running is not None:
            self.let_flow(running)

    def let_flow(self, running: Running) -> None:
        """End its wait for the reader, if it waits. Called with the lock held."""
        waiter = self.stalled.get(running.run.task)
        if waiter is not None and not waiter.open:
            waiter.release()

    def stall(self, running: Running) -> None:
        """Wait for the reader. Raises DeadlockError if it never will read."""
        waiter = self.waiter(1, eager=True)
        resume = self.fill(running, waiter)
        if resume is None:
            return
        try:
            waiter.wait(None)
        finally:
            self.flow_on(resume)
        if waiter.error is not None:
            raise waiter.error


def performed(engine: WorkerSide, running: Running, result: Any) -> Values | Awaitable[Values]:
    """Run the generator that a call has returned to its end. Returns the values of the call, or what gives them."""
    if engine.actor_spec is not None and engine.actor_spec.is_async:
        return _run_on_loop(engine, running, result)
    items = _iterator(running, result)
    if running.spec.yields == m.DYNAMIC:
        return _dynamic(engine, running, items)
    return _run(engine, running, items)


def _iterator(running: Running, result: Any) -> Iterator[Any]:
    if isinstance(result, Iterator):
        return result
    raise TypeError(
        f"{running.spec.name} is to yield items one by one and has returned {type(result).__name__}: only generators do"
    )


def _run(engine: WorkerSide, running: Running, items: Iterator[Any]) -> Values:
    index = 0
    try:
        for item in items:
            if running.outflow is not None:
                name = f"{running.spec.name}, item {index}"
                if engine.item(running, engine.store_result(item, name)):
                    engine.stall(running)
            if running.cancelled:
                return execution.cancelled(running)
            index += 1
            item = None  # noqa: PLW2901  # what was sent need not stay while the next one is made
        return (execution.NONE_VALUE,)
    finally:
        getattr(items, "close", lambda: None)()


async def _run_on_loop(engine: WorkerSide, running: Running, result: Any) -> Values:
    """Do the same in an asynchronous actor: other calls go on while this one waits for its reader."""
    is_async = isinstance(result, AsyncIterator)
    items: Any = result if is_async else _iterator(running, result)
    dynamic = running.spec.yields == m.DYNAMIC
    running.kept = kept = deque[ObjectRef[Any]]()
    index = 0
    try:
        while (item := await anext(items, _END) if is_async else next(items, _END)) is not _END:
            if dynamic:
                kept.append(engine.put(item))
            else:
                await _send_on_loop(engine, running, item, index)
            if running.cancelled:
                return execution.cancelled(running)
            index += 1
            item = None
    except Exception as error:
        if not dynamic or running.cancelled or execution.may_retry(running, error):
            raise
        kept.append(_broken(engine, running, error))
    finally:
        if is_async:
            await getattr(items, "aclose", _nothing)()
        else:
            getattr(items, "close", lambda: None)()
    return (_list_of(engine, running, kept) if dynamic else execution.NONE_VALUE,)


async def _send_on_loop(engine: WorkerSide, running: Running, item: Any, index: int) -> None:
    if running.outflow is not None:
        value = engine.store_result(item, f"{running.spec.name}, item {index}")
        if engine.item(running, value):
            await _stall_on_loop(engine, running)


async def _nothing() -> None: ...


async def _stall_on_loop(engine: WorkerSide, running: Running) -> None:
    waiter = _Turn()
    resume = engine.fill(running, waiter)
    if resume is None:
        return
    try:
        await waiter.future
    finally:
        engine.flow_on(resume)
    if waiter.error is not None:
        raise waiter.error


class _Turn:
    """What a coroutine waits on, as a thread does on a ``Sleeper``."""

    def __init__(self) -> None:
        from asyncio import get_running_loop  # whoever awaits has it

        self.open = False
        self.error: BaseException | None = None
        self.loop = get_running_loop()
        self.future: asyncio.Future[None] = self.loop.create_future()

    def arrived(self, entry: Awaited) -> None:
        """Nothing arrives: it is released."""

    def release(self) -> None:
        """Let the coroutine go on."""
        self.open = True
        self.loop.call_soon_threadsafe(self._settle)

    def _settle(self) -> None:
        if not self.future.done():
            self.future.set_result(None)

    def wait(self, timeout: float | None) -> bool:
        """Return whether it was released: a coroutine does not sleep here."""
        del timeout
        return self.open


def _dynamic(engine: WorkerSide, running: Running, items: Iterator[Any]) -> Values:
    """Store every item and return the list of their references; what is raised is the last of them (Ray's rule)."""
    running.kept = kept = deque[ObjectRef[Any]]()
    try:
        for item in items:
            kept.append(engine.put(item))
            if running.cancelled:
                return execution.cancelled(running)
    except Exception as error:
        if running.cancelled or execution.may_retry(running, error):
            raise
        kept.append(_broken(engine, running, error))
    finally:
        getattr(items, "close", lambda: None)()
    return (_list_of(engine, running, kept),)


def _list_of(engine: WorkerSide, running: Running, kept: deque[ObjectRef[Any]]) -> Value:
    return engine.store_result(DynamicObjectRefGenerator(kept), running.spec.name)


def _broken(engine: WorkerSide, running: Running, error: Exception) -> ObjectRef[Any]:
    """Return a reference to an object that stands for ``error``."""
    return engine.put_value(execution.failure(running, error)[-1])
