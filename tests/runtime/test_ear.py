"""Who reads the link: the reader thread, or a thread that waits; never nobody."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

import pytest

import actorgrid as ag
from actorgrid.engine.current import installed
from actorgrid.runtime.ear import Ear, LeadingWaiter
from actorgrid.runtime.process import ProcessEngine
from actorgrid.testing.waiting import wait_until


class Line:
    """A link, an ear on it, and a reader that opens ``waiter`` when a byte comes."""

    def __init__(self) -> None:
        self.ours, self.theirs = socket.socketpair()
        self.wake = os.eventfd(0, os.EFD_NONBLOCK)
        self.cut: list[OSError] = []
        self.ear = Ear(self.ours.fileno(), self.wake, self.cut.append)
        self.waiter = self.wait_for()

    def wait_for(self) -> LeadingWaiter:
        return LeadingWaiter(1, eager=True, ear=self.ear, read=self.read)

    def read(self) -> bool:
        with self.ear.reading:
            data = self.ours.recv(1, socket.MSG_DONTWAIT)
        if data == b"!":
            self.waiter.release()
        return bool(data)

    def reader_hears(self) -> bool:
        """Whether the reader thread would be woken now."""
        return self.ours.fileno() in self.ear.listen(0)


@pytest.fixture
def line() -> Iterator[Line]:
    line = Line()
    yield line
    line.ear.close()
    line.ours.close()
    line.theirs.close()
    os.close(line.wake)


def test_a_thread_that_waits_reads_the_link_itself(line: Line) -> None:
    line.theirs.send(b"-!")
    assert line.waiter.wait(10)
    assert line.ear.leader is None


def test_the_reader_is_not_woken_while_another_thread_reads(line: Line) -> None:
    assert line.ear.take_over(line.waiter)
    line.theirs.send(b"!")
    assert not line.reader_hears()
    line.ear.give_back(line.waiter)
    assert line.reader_hears()


def test_the_reader_hears_again_after_a_wait_that_timed_out(line: Line) -> None:
    assert not line.waiter.wait(0.01)
    line.theirs.send(b"!")
    assert line.reader_hears()


def test_a_second_thread_does_not_read(line: Line) -> None:
    assert line.ear.take_over(line.waiter)
    other: list[bool] = []
    thread = threading.Thread(target=lambda: other.append(line.ear.take_over(line.wait_for())))
    thread.start()
    thread.join()
    assert other == [False]
    assert line.ear.leader is line.waiter
    line.ear.give_back(line.waiter)


def test_a_thread_that_polls_is_released_by_another_thread(line: Line) -> None:
    done: list[bool] = []

    def wait() -> None:
        line.waiter = line.wait_for()
        done.append(line.waiter.wait(10))

    first = line.waiter
    thread = threading.Thread(target=wait)
    thread.start()
    assert wait_until(lambda: line.waiter is not first and line.ear.leader is line.waiter)
    line.waiter.release()
    thread.join()
    assert done == [True]
    assert line.ear.leader is None


def test_who_takes_over_waits_for_the_frame_that_the_reader_has_in_hand(line: Line) -> None:
    line.ear.reading.acquire()
    taken = threading.Event()

    def take() -> None:
        waiter = line.wait_for()
        line.ear.take_over(waiter)
        taken.set()
        line.ear.give_back(waiter)

    thread = threading.Thread(target=take)
    thread.start()
    assert wait_until(lambda: line.ear.leader is not None)
    assert not taken.is_set()
    line.ear.reading.release()
    thread.join()
    assert taken.is_set()


def test_end_of_the_stream_goes_to_the_reader(line: Line) -> None:
    line.theirs.close()
    assert not line.waiter.wait(0.01)  # it neither spins nor takes the end for its value
    assert line.reader_hears()


# -- with a grid


@ag.remote
def echo(value: int, seconds: float = 0.0) -> int:
    time.sleep(seconds)
    return value


@ag.remote
def held(path: Path) -> int:
    """Return when there is such a file."""
    assert wait_until(path.exists, 60)
    return 1


def once_it_waits(engine: ProcessEngine, act: Callable[[], object]) -> threading.Thread:
    """Have another thread do something once somebody waits in ``get``."""

    def watch() -> None:
        if wait_until(lambda: engine.ear.leader is not None):
            act()

    thread = threading.Thread(target=watch)
    thread.start()
    return thread


def alarm() -> None:
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGALRM)


@pytest.fixture
def engine() -> Iterator[ProcessEngine]:
    ag.init(num_cpus=2)
    engine = installed()
    assert isinstance(engine, ProcessEngine)
    ag.get([echo.remote(0), echo.remote(1)])
    yield engine
    ag.shutdown()


def test_many_threads_wait_at_once_and_each_gets_its_value(engine: ProcessEngine) -> None:
    got: dict[int, int] = {}

    def ask(number: int) -> None:
        for step in range(20):
            value = number * 100 + step
            assert ag.get(echo.remote(value), timeout=30) == value
        got[number] = number

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got) == list(range(8))
    assert engine.ear.leader is None


def test_callbacks_run_on_the_reader_thread_also_while_another_thread_reads(engine: ProcessEngine) -> None:
    where: list[str] = []
    future = echo.remote(1).future()
    future.add_done_callback(lambda _: where.append(threading.current_thread().name))
    ag.get(echo.remote(2, 0.2))  # time to run it here
    assert wait_until(lambda: where)
    assert where == ["actorgrid-reader"]


def test_get_in_a_signal_handler_that_interrupts_get(engine: ProcessEngine, tmp_path: Path) -> None:
    heard: list[int] = []

    def handler(number: int, frame: FrameType | None) -> None:
        heard.append(ag.get(echo.remote(7), timeout=10))
        (tmp_path / "go").touch()

    before = signal.signal(signal.SIGALRM, handler)
    try:
        thread = once_it_waits(engine, alarm)
        assert ag.get(held.remote(tmp_path / "go"), timeout=30) == 1
        thread.join()
    finally:
        signal.signal(signal.SIGALRM, before)
    assert heard == [7]
    assert engine.ear.leader is None


def test_handler_that_raises_out_of_get_leaves_the_reader_listening(engine: ProcessEngine, tmp_path: Path) -> None:
    def handler(number: int, frame: FrameType | None) -> None:
        raise LookupError("alarm")

    before = signal.signal(signal.SIGALRM, handler)
    try:
        thread = once_it_waits(engine, alarm)
        with pytest.raises(LookupError, match="alarm"):
            ag.get(held.remote(tmp_path / "go"), timeout=30)
        thread.join()
    finally:
        signal.signal(signal.SIGALRM, before)
    assert engine.ear.leader is None
    assert ag.get(echo.remote(2), timeout=10) == 2


def test_shutdown_from_another_thread_ends_a_wait(engine: ProcessEngine, tmp_path: Path) -> None:
    thread = once_it_waits(engine, ag.shutdown)
    with pytest.raises(ag.exceptions.HeadDiedError):
        ag.get(held.remote(tmp_path / "go"), timeout=30)
    thread.join()


def test_get_in_a_child_that_a_task_forked_leaves_the_worker_hearing(engine: ProcessEngine) -> None:
    @ag.remote
    def fork_and_wait() -> int:
        inner = echo.remote(1, 0.1)
        pid = os.fork()
        if not pid:
            try:
                ag.get(inner, timeout=0.05)
            finally:
                os._exit(0)
        os.waitpid(pid, 0)
        return ag.get(inner, timeout=10) + ag.get(echo.remote(2), timeout=10)

    assert ag.get(fork_and_wait.remote(), timeout=20) == 3
