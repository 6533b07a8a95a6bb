"""Threaded actors: the main thread reads the task link, a pool of threads runs the calls."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter  # by name: user code may replace that of the module
from typing import TYPE_CHECKING, Any, NoReturn

from actorgrid.engine.worker_side import running_now
from actorgrid.runtime.concurrent_actor import ConcurrentActor

if TYPE_CHECKING:
    from actorgrid.core.worker import Running
    from actorgrid.runtime.worker import Worker


class ThreadedActor(ConcurrentActor):
    """The life of a threaded actor, from its constructor's return to its end."""

    def __init__(self, worker: Worker, threads: int) -> None:
        super().__init__(worker)
        self.pool = ThreadPoolExecutor(threads, thread_name_prefix="actorgrid-call")
        #: How many calls run that have not called ``exit_actor``; whoever did waits for them.
        self.busy = 0
        self.over = threading.Condition()

    def run(self) -> NoReturn:
        """Serve calls until told to leave."""
        worker = self.worker
        worker.drain = lambda: None
        worker.interrupt_running = lambda _: None  # a thread is only told (``is_canceled``), as in Ray
        self._start_calls()
        while not worker.machine.leaving:
            batch = worker.link.receive()
            if batch is None:
                import os  # only at the very end

                os._exit(1)
            worker.take(batch)
            self._start_calls()
        self.pool.shutdown(wait=True)
        worker.way_out.depart()

    def _start_calls(self) -> None:
        engine = self.worker.engine
        while not self.worker.way_out.exiting:
            with engine.lock:
                running = self.worker.machine.start()
            if running is None:
                return
            with self.over:
                self.busy += 1
            self.pool.submit(self._call, running)

    def _call(self, running: Running) -> None:
        token = running_now.set(running)
        began = perf_counter()
        result: Any = None
        error: BaseException | None = None
        try:
            result = self.worker.engine.perform(running)
        except BaseException as raised:  # noqa: BLE001  # whatever user code raises is its result
            error = raised
        if self.worker.way_out.ends_actor(error):
            with self.over:
                self.busy -= 1
                self.over.wait_for(lambda: not self.busy)
            self.worker.way_out.depart()
        running_now.reset(token)
        self.call_over(running, result, error, began)
        error = None  # its traceback holds this frame: a cycle would keep alive whatever the call's frames refer to
        self._start_calls()
        self.worker.push()
        with self.over:
            self.busy -= 1
            self.over.notify_all()
