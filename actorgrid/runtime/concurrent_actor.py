"""What asynchronous and threaded actors have in common: calls that overlap.

A call takes one of ``limit`` places when it starts and gives it back when it is over; the result goes into the outbox
at once and is sent when nothing else is being finished.
"""

from __future__ import annotations

from time import perf_counter  # by name: user code may replace that of the module
from typing import TYPE_CHECKING, Any

from actorgrid.core import messages as m
from actorgrid.engine import execution
from actorgrid.engine.interrupts import protected
from actorgrid.exceptions import is_a

if TYPE_CHECKING:
    from actorgrid.core.worker import Running
    from actorgrid.runtime.worker import Worker


class ConcurrentActor:
    """Base of the two: bookkeeping of overlapping calls."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker

    def call_over(self, running: Running, result: Any, error: BaseException | None, began: float) -> None:
        """Put the outcome of a call into the outbox."""
        if self.worker.way_out.forked:
            self.worker.way_out.end_of_fork(error)
        if error is not None and is_a(error, SystemExit):
            self.exit_process(error)
            return
        engine = self.worker.engine
        retry = False
        try:
            if error is None:
                values = execution.results(engine, running, result)
            else:
                values, retry = self._failed(running, error)
        except BaseException as broken:  # noqa: BLE001  # the result does not pickle, say
            # Not kept under another name: its traceback holds this frame, and so whatever the result refers to.
            values, retry = self._failed(running, broken)
        self._enter(running, values, int((perf_counter() - began) * 1e6), retry=retry)

    def exit_process(self, error: SystemExit) -> None:
        """``sys.exit`` in a call."""
        self.worker.way_out.exit_process(error)

    def _failed(self, running: Running, error: BaseException) -> tuple[tuple[m.Value, ...], bool]:
        if running.cancelled:
            return execution.cancelled(running), False
        return execution.failure(running, error), execution.may_retry(running, error)

    @protected
    def _enter(self, running: Running, values: tuple[m.Value, ...], micros: int, *, retry: bool) -> None:
        worker, run = self.worker, running.run
        engine = worker.engine
        for stream in worker.aftermath.streams:
            if stream.dirty:
                stream.finish()
        if running.cancelled:
            engine.take_back(values)
            values = execution.cancelled(running)
        with engine.lock:
            worker.machine.finished(running)
            engine.client.outbox.append(m.Done(run.task, run.attempt, values, micros, retry))
            if run.deps or run.refs:
                engine.let_go(run)
            engine.pack()
        running.given = None
        with engine.lock:
            if engine.client.dropped:
                engine.client.collect()
                engine.pack()
