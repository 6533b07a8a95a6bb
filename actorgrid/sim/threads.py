"""Threads of simulated code: what it starts as a thread is a fiber of its process."""

from __future__ import annotations

import concurrent.futures
import logging
import re
import sys
import threading
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, cast

from actorgrid.sim.fibers import Fiber, WorldOver

if TYPE_CHECKING:
    from actorgrid.sim.world import World

#: Names that Python gives.
_NUMBERED: Final = re.compile(r"^(Thread|ThreadPoolExecutor|asyncio)-?\d+(_\d+)?\s*")


def _is_news(record: logging.LogRecord) -> bool:
    """Return whether a thread of a pool has more to say than that its world is over, which ends it."""
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, WorldOver)


logging.getLogger("concurrent.futures").addFilter(_is_news)


class SimFuture(concurrent.futures.Future[Any]):
    """A future whose place in a set does not depend on its address: ``concurrent.futures.wait`` returns sets."""

    number = 0

    def __hash__(self) -> int:
        return self.number


SimFuture.__name__ = concurrent.futures.Future.__name__  # what it says of itself


class SimThread(threading.Thread):
    """A thread whose place in a set does not depend on its address: pools keep theirs in one."""

    number = 0

    def __hash__(self) -> int:
        return self.number


SimThread.__name__ = threading.Thread.__name__  # see above


class Threads:
    """The simulated threads of one world."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._done: dict[threading.Thread, bool] = {}
        self._joining: dict[threading.Thread, list[Fiber]] = {}
        self._real_ident = threading.get_ident()
        #: How many futures and threads there have been.
        self._futures = self._threads = 0
        #: How many threads each fiber has started, by its name.
        self._started: Counter[str] = Counter()

    def ident(self) -> int:
        """Return what ``threading.get_ident`` says."""
        fiber = self.world.fibers.current
        return self._real_ident if fiber is None or not fiber.ident else fiber.ident

    def native_ident(self) -> int:
        """Return what ``threading.get_native_id`` says; 0 for a process's main thread, whose identifier is its own."""
        fiber = self.world.fibers.current
        return 0 if fiber is None else fiber.ident

    def future(self, future: Any, real: Callable[..., None]) -> None:
        """See ``concurrent.futures.Future.__init__``."""
        real(future)
        if type(future) is concurrent.futures.Future:
            self._futures += 1
            future.__class__ = SimFuture
            cast("SimFuture", future).number = self._futures

    def make(self, real: Callable[..., None], thread: threading.Thread, *args: Any, **kwargs: Any) -> None:
        """See ``threading.Thread.__init__``."""
        if type(thread) is threading.Thread:
            self._threads += 1
            thread.__class__ = SimThread
            cast("SimThread", thread).number = self._threads
        real(thread, *args, **kwargs)

    def start(self, thread: threading.Thread) -> None:
        """See ``threading.Thread.start``."""
        if thread in self._done:
            raise RuntimeError("threads can only be started once")
        self._done[thread] = False
        world, here = self.world, self.world.fibers.current
        assert here is not None
        if here.home is None:
            world.shared = True
        else:
            here.home.share()
        name = self._name(thread, here)
        fiber = world.fibers.spawn(here.home, name, world.chain(name), lambda: self._live(thread, fiber))
        fiber.ident = world.new_ident()
        thread._ident = fiber.ident  # type: ignore[attr-defined]  # noqa: SLF001  # as Thread._bootstrap does
        thread._started.set()  # type: ignore[attr-defined]  # noqa: SLF001  # see above

    def _name(self, thread: threading.Thread, parent: Fiber) -> str:
        """Return what a thread is called in every run: Python numbers those without a name as long as it lives."""
        self._started[parent.name] += 1
        kind = _NUMBERED.sub("", thread.name).strip("()")
        return f"thread {self._started[parent.name]} of {parent.name}" + (f" ({kind})" if kind else "")

    def _live(self, thread: threading.Thread, fiber: Fiber) -> None:
        threading._active[fiber.ident] = thread  # type: ignore[attr-defined]  # noqa: SLF001  # see above
        try:
            self.world.takes_turn("begins")
            thread.run()
        except (WorldOver, SystemExit):
            pass
        except BaseException:  # noqa: BLE001  # as a real thread: shown, and nobody else's business
            threading.excepthook(threading.ExceptHookArgs([*sys.exc_info(), thread]))
        finally:
            threading._active.pop(fiber.ident, None)  # type: ignore[attr-defined]  # noqa: SLF001  # see above
            self._done[thread] = True
            for waiting in self._joining.pop(thread, ()):
                self.world.fibers.wake(waiting)

    def join(self, thread: threading.Thread, timeout: float | None, real: Callable[..., None]) -> None:
        """See ``threading.Thread.join``."""
        if thread not in self._done:
            real(thread, timeout)
            return
        fiber = self.world.fibers.current
        if not self._done[thread] and fiber is not None:
            self._joining.setdefault(thread, []).append(fiber)
            self.world.waits.wait(f"thread {thread.name}", timeout, lambda: self._done[thread])
            self.world.takes_turn("goes on")

    def sleep(self, seconds: float) -> None:
        """See ``time.sleep``."""
        self.world.waits.sleep(seconds)
        self.world.takes_turn("goes on")

    def is_alive(self, thread: threading.Thread, real: Callable[..., bool]) -> bool:
        """See ``threading.Thread.is_alive``."""
        return not self._done[thread] if thread in self._done else real(thread)

    def bury(self) -> None:
        """The world is over: let the interpreter, which waits for threads at its end, take these for ended."""
        pools = sys.modules.get("concurrent.futures.thread")
        for thread in self._done:
            if pools is not None:
                pools._threads_queues.pop(thread, None)  # noqa: SLF001  # which it joins at exit
            if hasattr(thread, "_is_stopped"):  # before CPython 3.13, which waits for real threads only
                thread._is_stopped = True  # noqa: SLF001  # as Thread._stop
