"""What the calls of an asynchronous actor await: the head is told once that has lasted for a moment.

So ``explain`` can say it, and the head can find calls that await each other in a circle. A call awaits an object if its
coroutine can go on in no other way: it awaits that very future, or a ``gather`` of such futures. One that has set a
timer goes on by itself (``asyncio.timeout``), so that its wait proves nothing.
"""

from __future__ import annotations

import asyncio
from contextvars import Context
from functools import partial
from time import monotonic  # by name: user code may replace that of the module
from typing import TYPE_CHECKING, Any, Final

from actorgrid.engine.awaiting import Awaiting
from actorgrid.engine.worker_side import running_now
from actorgrid.exceptions import DeadlockError

if TYPE_CHECKING:
    from actorgrid.runtime.worker_engine import WorkerEngine

#: A wait is told to the head when it has lasted so long (seconds).
MOMENT: Final = 0.5
Future = asyncio.Future[Any]


def new_loop() -> asyncio.AbstractEventLoop:
    """Return an event loop that notes until when the calls that run on it have set timers."""
    try:
        import uvloop  # not everywhere

        base: Any = uvloop.Loop
    except ImportError:  # pragma: no cover - uvloop is a dependency where it exists
        base = asyncio.SelectorEventLoop

    class Loop(base):  # type: ignore[misc]  # one of two
        """An event loop of an actor."""

        def call_later(self, delay: float, callback: Any, *args: Any, context: Any = None) -> Any:
            """See ``asyncio.AbstractEventLoop``."""
            _note(monotonic() + delay)
            return super().call_later(delay, callback, *args, context=context)

        def call_at(self, when: float, callback: Any, *args: Any, context: Any = None) -> Any:
            """See ``asyncio.AbstractEventLoop``."""
            _note(monotonic() + when - self.time())
            return super().call_at(when, callback, *args, context=context)

    loop: asyncio.AbstractEventLoop = Loop()
    return loop


def _note(until: float) -> None:
    running = running_now.get()
    if running is not None and running.until < until:
        running.until = until


class AwaitingCalls(Awaiting):
    """The futures of an actor's event loop, and the calls that await them."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, engine: WorkerEngine, tasks: dict[int, asyncio.Task[None]]
    ) -> None:
        """``tasks``: those that run calls, by call."""
        super().__init__(partial(engine.say_stalled, "await"), engine.stall_warning or float("inf"))
        self.loop = loop
        self._engine = engine
        self._tasks = tasks
        #: Calls whose wait the head knows of, and one of the futures that each awaits.
        self._waits: dict[int, Future] = {}

    def _arm(self, loop: asyncio.AbstractEventLoop, now: float, due: float) -> None:
        Context().run(super()._arm, loop, now, due)  # it is no timer of the call that awaits

    def first(self) -> float:
        """See ``Awaiting``."""
        return min(MOMENT, self.patience)

    def look(self, now: float) -> float | None:
        """See ``Awaiting``."""
        for task, runner in self._tasks.items():
            if task not in self._waits:
                self._look_at(task, runner, now)
        due = super().look(now)
        young = next((since + MOMENT for _, since in self.pending.values() if since > now - MOMENT), None)
        return min((when for when in (due, young) if when is not None and when < float("inf")), default=None)

    def _look_at(self, task: int, runner: asyncio.Task[None], now: float) -> None:
        awaited = _leaves(runner)
        if not awaited or any(future not in self.pending for future in awaited):
            return
        found = [self.pending[future] for future in awaited]
        if all(since <= now - MOMENT for _, since in found):
            self._waits[task] = awaited[0]
            waiter: Any = getattr(runner, "_fut_waiter", None)
            waiter.add_done_callback(lambda _: self._over(task))
            self._engine.awaits(task, tuple(entry.oid for entry, _ in found), now)

    def _over(self, task: int) -> None:
        self._waits.pop(task, None)
        self._engine.goes_on(task)

    def deadlock(self, task: int, text: str) -> None:
        """What a call awaits will never be. Called in any thread."""
        future = self._waits.get(task)
        if future is not None:
            future.get_loop().call_soon_threadsafe(_refuse, future, text)


def _leaves(waiter: Any) -> list[Future]:
    """Return what a future waits for in the end: a task for what it awaits, ``gather`` for several at once."""
    children: list[Any] | None = getattr(waiter, "_children", None)
    if children is not None:
        return [leaf for child in children if not child.done() for leaf in _leaves(child)]
    inner = getattr(waiter, "_fut_waiter", None)
    return [waiter] if inner is None else _leaves(inner)


def _refuse(future: Future, text: str) -> None:
    if not future.done():
        future.set_exception(DeadlockError(text))
