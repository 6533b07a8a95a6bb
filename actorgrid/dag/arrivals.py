"""A thread that waits for results, so that event loops need not: one for each graph that is executed from one."""

from __future__ import annotations

import queue
import threading
import weakref
from collections.abc import Awaitable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from actorgrid.dag.compiled import CompiledDAG, Execution

_Errand = tuple[Any, "Future[None]"]


class Arrivals:
    """Waits for executions, one after another, in the order in which somebody awaits them."""

    def __init__(self, graph: CompiledDAG) -> None:
        """Start the thread. It keeps the graph alive only while it waits for something."""
        # A SimpleQueue, because what ends the thread may be a finalizer that has interrupted a ``put``.
        self._errands: queue.SimpleQueue[_Errand | None] = queue.SimpleQueue()
        self._thread = threading.Thread(
            target=_serve, args=(self._errands, weakref.ref(graph)), name="actorgrid-arrivals", daemon=True
        )
        self._thread.start()

    def of(self, execution: Execution) -> Awaitable[None]:
        """Return what is over when the execution's results have come, or never will. For a running event loop."""
        import asyncio  # whoever awaits has it

        future: Future[None] = Future()
        future.set_running_or_notify_cancel()
        self._errands.put((execution, future))
        return asyncio.wrap_future(future)

    def leave(self) -> None:
        """Have the thread end."""
        self._errands.put(None)

    def end(self) -> None:
        """Have it end, and wait for that."""
        self.leave()
        if threading.current_thread() is not self._thread:
            self._thread.join()


def _serve(errands: queue.SimpleQueue[_Errand | None], graph: weakref.ref[CompiledDAG]) -> None:
    while (errand := errands.get()) is not None:
        execution, future = errand
        there = graph()
        try:
            if there is not None:
                there._wait(execution, None)  # noqa: SLF001  # our own class
        except BaseException:  # noqa: BLE001, S110  # it is raised where the value is taken
            pass
        del there
        future.set_result(None)
        del errand, execution, future
