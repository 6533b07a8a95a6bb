"""Threaded actors: the main thread reads the task link, a pool of threads runs the calls."""

from __future__ import annotations

import contextlib
import socket
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
        #: How many calls run.
        self.busy = 0
        self.lock = threading.Lock()

    def run(self) -> NoReturn:
        """Serve calls until told to leave."""
        worker = self.worker
        worker.drain = lambda: None
        worker.interrupt_running = lambda _: None  # a thread is only told (``is_canceled``), as in Ray
        self._start_calls()
        while not worker.machine.leaving:
            batch = worker.link.receive()
            if batch is None:
                if worker.way_out.exiting or worker.way_out.status is not None:
                    break
                import os  # only at the very end

                os._exit(1)
            worker.take(batch)
            self._start_calls()
        if worker.way_out.status is None:  # else what runs is ended with its process
            self.pool.shutdown(wait=True)
        worker.way_out.depart()

    def exit_process(self, error: SystemExit) -> None:
        """``sys.exit`` in a call: the main thread ends the process."""
        self.worker.way_out.note_exit(error)
        self._wake_main_thread()

    def leave(self) -> None:
        """``exit_actor()`` was called, by a call or by anything else. Calls that run finish first (as in Ray)."""
        with self.lock:
            self._leave_if_idle()

    def _leave_if_idle(self) -> None:
        """Have the main thread, which reads the link, see its end: the last words are for it to say."""
        if self.worker.way_out.exiting and not self.busy:
            self._wake_main_thread()

    def _wake_main_thread(self) -> None:
        with contextlib.suppress(OSError):  # user code has closed it: then it sees that
            self.worker.link.socket.shutdown(socket.SHUT_RD)

    def _start_calls(self) -> None:
        engine = self.worker.engine
        while not self.worker.way_out.exiting and self.worker.way_out.status is None:
            with engine.lock:
                running = self.worker.machine.start()
            if running is None:
                return
            with self.lock:
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
        if not self.worker.way_out.ends_actor(error):  # else the head answers this call
            running_now.reset(token)
            self.call_over(running, result, error, began)
            error = None  # its traceback holds this frame: a cycle would keep alive whatever the call's frames refer to
            self._start_calls()
            self.worker.push()
        with self.lock:
            self.busy -= 1
            self._leave_if_idle()
