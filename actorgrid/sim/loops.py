"""Event loops of a simulated program: asyncio's own loop on virtual time.

The loop is CPython's, with its FIFO order of callbacks: nothing is explored that asyncio cannot do. Only the waiting is
ours: where a real loop sleeps in ``select`` the fiber parks. So it does between two callbacks where that can be told
(see ``turns``): what comes then stands at the end of the queue.
"""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from actorgrid.sim.fibers import WorldOver
from actorgrid.sim.onlookers import Holds
from actorgrid.sim.refusals import RefusingLoop

if TYPE_CHECKING:
    from actorgrid.sim.fibers import Fiber
    from actorgrid.sim.worker import Worker
    from actorgrid.sim.world import World


#: Whose callbacks only make a future done, or cancel: whoever waits for it goes on in a callback of its own.
_PLUMBING: Final = frozenset(
    {
        "actorgrid.engine.generators", "actorgrid.engine.refs", "asyncio.futures", "asyncio.taskgroups",
        "asyncio.tasks", "asyncio.timeouts", "actorgrid.sim.async_actor",
    }
)  # fmt: skip
#: After so many callbacks in a row that nothing could come between, others have their chance.
_PATIENCE: Final = 1000


def _is_plumbing(handle: Any) -> bool:
    """Return whether this callback runs none of the program's code."""
    callback = handle._callback  # noqa: SLF001  # asyncio's
    if getattr(callback, "__module__", "") not in _PLUMBING:
        return False
    return not asyncio.isfuture(getattr(callback, "__self__", None))  # a step of a task that is written in Python


class _Queue(deque[Any]):
    """The callbacks that a loop is to run; it is told of each that comes and of each that is next."""

    def __init__(self, loop: SimLoop) -> None:
        super().__init__()
        self._loop = loop

    def append(self, handle: Any) -> None:
        """Add one at the end."""
        super().append(handle)
        self._loop.queued(handle)

    def popleft(self) -> Any:
        """Return the next one, when its turn has come."""
        self._loop.next(self[0])
        return super().popleft()


class _Selector:
    """Waits for nothing but time and ``_write_to_self``."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.fiber: Fiber | None = None
        self.signalled = False
        #: How many callbacks have run since the loop last had nothing to do.
        self.busy = 0

    def select(self, timeout: float | None) -> list[Any]:
        """Park until somebody wakes the loop or ``timeout`` virtual seconds have passed."""
        if not self.signalled and (timeout is None or timeout > 0):
            self.busy = 0
            self.fiber = self.world.fibers.current
            with self.world.turns.resting(self.fiber):
                self.world.waits.wait("its event loop", timeout, lambda: self.signalled)
            self.fiber = None
        self.signalled = False
        return []

    def signal(self) -> None:
        """End the wait, or the next one."""
        self.signalled = True
        if self.fiber is not None:
            self.world.fibers.wake(self.fiber)


class SimTask(asyncio.Task[Any]):
    """A task whose place in a set does not depend on its address: ``asyncio.wait`` returns sets."""

    def __init__(self, coro: Any, *, number: int, **kwargs: Any) -> None:
        self._number = number
        super().__init__(coro, **kwargs)

    def __hash__(self) -> int:
        return self._number


class SimFuture(asyncio.Future[Any]):
    """A future whose place in a set does not depend on its address."""

    def __init__(self, *, number: int, **kwargs: Any) -> None:
        self._number = number
        super().__init__(**kwargs)

    def __hash__(self) -> int:
        return self._number


for _ours, _asyncios in ((SimTask, asyncio.Task), (SimFuture, asyncio.Future)):
    _ours.__name__ = _asyncios.__name__  # what they say of themselves


class SimLoop(RefusingLoop):
    """An event loop on virtual time without sockets."""

    #: It serves an actor's calls, which may come at any time.
    _serves = False
    #: What runs it now, and whether that is in the program's code.
    _fiber: Fiber | None = None
    _runs_code = False

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world
        #: What its queue is called in every run, and who waits for turns of it.
        self.queue, self._title = world.turns.name()
        self._ready = _Queue(self)
        #: What plumbing of the queue some turn has put there.
        self._of_turns: set[Any] = set()
        self._selector = _Selector(world)
        self._clock_resolution = 1e-9
        self._made = 0
        world.surroundings.loops.append(self)

    def time(self) -> float:
        """Return the virtual time."""
        return self._world.clock.now

    def run_until_complete(self, future: Any) -> Any:
        """See ``asyncio.AbstractEventLoop.run_until_complete``. What is to tidy up after the end does not begin."""
        if self._world.over:
            if inspect.iscoroutine(future):
                future.close()
            self._world.check_over()
        return super().run_until_complete(future)

    def run_forever(self) -> None:
        """See ``asyncio.AbstractEventLoop.run_forever``."""
        self._fiber = self._world.fibers.current
        try:
            super().run_forever()
        finally:
            self._fiber, self._runs_code = None, False

    # -- turns

    def serve(self, worker: Worker) -> None:
        """From now on it runs the calls of this actor."""
        self.queue, self._title, self._serves = worker.path, worker.title, True

    def queued(self, handle: Any) -> None:
        """This was added to the queue: what comes now will be behind it."""
        onlookers = self._world.onlookers
        if onlookers.holds.turns:
            self._world.touch(self.queue)
        elif onlookers.needs.turns:
            pass
        elif _is_plumbing(handle):
            if self._runs_code and self._world.fibers.current is self._fiber:
                self._of_turns.add(handle)
        elif self._can_be_told():
            onlookers.need(Holds.TURNS)

    def _can_be_told(self) -> bool:
        """Return whether something else may have come before what was added just now."""
        fiber = self._world.fibers.current
        if fiber is None or fiber.home is None:
            return False
        by_turn = self._runs_code and fiber is self._fiber
        if self._serves:
            return by_turn or (bool(fiber.ident) and self._fiber is not None and fiber.home is self._fiber.home)
        return by_turn and bool(fiber.home.expects())

    def next(self, handle: Any) -> None:
        """Wait for the turn of this callback, the next one."""
        world, selector = self._world, self._selector
        # What it puts into the queue counts as its own if it is the program's code, or if such code has put it there.
        self._runs_code = handle in self._of_turns
        self._of_turns.discard(handle)
        selector.busy += 1
        if handle.cancelled() or _is_plumbing(handle):
            return
        world.endless.does()
        home = self._fiber.home if self._fiber is not None else None
        if world.onlookers.holds.turns:
            memory = () if self._serves or home is None else (home.memory,)
            world.turns.take(self.queue, f"the event loop of {self._title}", memory)
        elif selector.busy % _PATIENCE == 0:
            world.waits.wait("its event loop", 0.0, lambda: False)
        if home is not None and home.has_threads():
            world.onlookers.need(Holds.TURNS)  # this one is a thread like them
        self._runs_code = True

    def create_future(self) -> asyncio.Future[Any]:
        """See ``asyncio.AbstractEventLoop.create_future``."""
        self._made += 1
        return SimFuture(number=self._made, loop=self)

    def create_task(self, coro: Any, *, name: Any = None, **kwargs: Any) -> Any:
        """See ``asyncio.AbstractEventLoop.create_task``."""
        if self.get_task_factory() is not None:
            return super().create_task(coro, name=name, **kwargs)
        self._check_closed()  # type: ignore[attr-defined]  # BaseEventLoop's
        self._made += 1
        # Not asyncio's own name: it counts the tasks that the interpreter has ever made.
        return SimTask(coro, number=self._made, loop=self, name=name or f"Task-{self._made}", **kwargs)

    def _process_events(self, events: Any) -> None:
        del events
        self._runs_code = False  # what is added next are timers that are due

    def _write_to_self(self) -> None:
        self._selector.signal()

    def call_exception_handler(self, context: Any) -> None:
        """Say what nobody asked for; not when the world ends, and with it everything that was under way."""
        if not self._world.ends and not isinstance(context.get("exception"), WorldOver):
            super().call_exception_handler(context)

    def close(self) -> None:
        """See ``asyncio.AbstractEventLoop.close``. Nobody complains of what was not done because the run has ended."""
        if self._world.ends:
            for task in asyncio.all_tasks(self):
                task._log_destroy_pending = False  # type: ignore[attr-defined]  # noqa: SLF001  # there is no other way
                coroutine = task.get_coro()
                if inspect.iscoroutine(coroutine) and inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED:
                    coroutine.close()
        super().close()

    def bury(self) -> None:
        """Close it although its process died in the middle of something."""
        if not self.is_closed():
            self._thread_id = None
            self.close()
