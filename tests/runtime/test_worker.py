"""The main thread of a worker and its reader thread: who reads the task link, and who runs what was read."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

from actorgrid.core import messages as m
from actorgrid.core.worker import WorkerMachine
from actorgrid.runtime.worker import Worker


def idle_worker() -> Any:
    """Return a worker without processes and links, whose main thread is about to go to sleep."""
    worker: Any = object.__new__(Worker)
    worker.engine = SimpleNamespace(lock=threading.RLock())
    worker.outbox = SimpleNamespace(flush=lambda: None)
    worker.machine = WorkerMachine()
    worker.reading = False
    return worker


def test_main_thread_does_not_sleep_on_what_the_reader_thread_has_taken_just_before() -> None:
    # Found by a million tasks, of which one was never run: a nudge came between the last look and the sleep.
    worker = idle_worker()
    worker.machine.queue.append(m.Run(1, 0, 1, b""))
    assert not worker.settle()
    assert not worker.reading, "the reader thread may take more meanwhile"


def test_main_thread_that_has_nothing_to_run_reads_the_link_alone() -> None:
    worker = idle_worker()
    assert worker.settle()
    assert worker.reading
