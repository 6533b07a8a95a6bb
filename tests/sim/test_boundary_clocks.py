"""What simulated code finds in place of clocks, threads and locks."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import asyncio
import concurrent.futures
import datetime as dt
import os
import queue
import select
import threading
import time
from collections.abc import Callable
from datetime import datetime
from time import sleep as nap
from typing import Any

import pytest

import actorgrid as ag
from actorgrid.sim.clock import EPOCH
from tests.sim.inside import HOUR, run_there, simulated

# ------------------------------------------------------------------------------------------------------------ time

CLOCKS: list[Callable[[], float]] = [
    lambda: time.time() - EPOCH,
    lambda: time.monotonic(),  # noqa: PLW0108  # looked up when it is called
    lambda: time.perf_counter(),  # noqa: PLW0108  # see above
    lambda: time.time_ns() / 1e9 - EPOCH,
    lambda: time.monotonic_ns() / 1e9,
    lambda: time.perf_counter_ns() / 1e9,
    lambda: datetime.now(dt.UTC).timestamp() - EPOCH,
    lambda: dt.datetime.now(dt.UTC).timestamp() - EPOCH,
    lambda: datetime.fromtimestamp(time.time(), dt.UTC).timestamp() - EPOCH,
    lambda: time.mktime(time.localtime()) - EPOCH,
    lambda: time.clock_gettime(time.CLOCK_MONOTONIC),
    lambda: time.clock_gettime_ns(time.CLOCK_REALTIME) / 1e9 - EPOCH,
    lambda: time.mktime(time.strptime(time.asctime())) - EPOCH,
    lambda: os.times().elapsed,
]


@pytest.mark.parametrize("clock", CLOCKS)
def test_hour_of_sleep_shows_on_every_clock_and_nowhere_else(clock: Callable[[], float]) -> None:
    def program() -> float:
        began = clock()
        time.sleep(HOUR)
        return clock() - began

    assert simulated(program) == pytest.approx(HOUR, abs=1.1)


def test_names_imported_by_the_users_module_are_virtual_as_well() -> None:
    def program() -> float:
        began = time.monotonic()
        nap(HOUR)
        return time.monotonic() - began

    assert simulated(program) == pytest.approx(HOUR, abs=1)


def by_default(now: Callable[[], float] = time.monotonic) -> float:
    return now()


def by_keyword(*, now: Callable[[], float] = time.monotonic) -> float:
    return now()


class Timed:
    clock: Callable[..., float] = time.monotonic
    same = staticmethod(time.monotonic)

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self.now = now

    def read(self, now: Callable[[], float] = time.monotonic) -> float:
        return now()


TIMED = Timed()

TABLE = {"now": time.monotonic}

LIST = [time.monotonic]

HELD: dict[str, Callable[[], float]] = {
    "default argument": lambda: by_default(),  # noqa: PLW0108  # looked up when it is called
    "keyword": lambda: by_keyword(),  # noqa: PLW0108  # see above
    "class": lambda: Timed.clock(),  # noqa: PLW0108  # see above
    "class, by an instance": lambda: Timed().clock(),  # see above
    "static": lambda: Timed.same(),  # noqa: PLW0108  # see above
    "instance": lambda: TIMED.now(),  # noqa: PLW0108  # see above
    "constructor": lambda: Timed().now(),  # see above
    "method": lambda: TIMED.read(),  # noqa: PLW0108  # see above
    "dict": lambda: TABLE["now"](),  # noqa: PLW0108  # see above
    "list": lambda: LIST[0](),  # noqa: PLW0108  # see above
}


@pytest.mark.parametrize("place", HELD)
def test_clock_that_a_module_holds_somewhere_is_virtual(place: str) -> None:
    def program() -> float:
        began = HELD[place]()
        time.sleep(HOUR)
        return HELD[place]() - began

    assert simulated(program) == pytest.approx(HOUR, abs=1)
    assert simulated(program) == pytest.approx(HOUR, abs=1)
    assert HELD[place]() == pytest.approx(time.monotonic(), abs=60)
    assert TABLE["now"] is LIST[0] is Timed.clock is TIMED.now is time.monotonic


def test_select_waits_virtually() -> None:
    def program() -> float:
        began = time.monotonic()
        assert select.select([], [], [], HOUR) == ([], [], [])
        reader, writer = os.pipe()
        os.write(writer, b"x")
        assert select.select([reader], [], [], HOUR) == ([reader], [], [])
        os.close(reader)
        os.close(writer)
        return time.monotonic() - began

    assert simulated(program) == pytest.approx(HOUR, abs=1)


def test_date_of_today_is_the_virtual_one() -> None:
    assert simulated(lambda: dt.date.today().year) == 2026  # noqa: DTZ011  # the point
    assert simulated(lambda: isinstance(dt.datetime.now(), datetime))  # noqa: DTZ005  # the point


@pytest.mark.parametrize("name", ["time", "monotonic", "sleep", "perf_counter"])
def test_real_clock_is_back_after_the_run(name: str) -> None:
    before = getattr(time, name)
    simulated(lambda: time.sleep(1))
    assert getattr(time, name) is before
    assert dt.datetime is datetime


def test_timeout_of_get_is_virtual() -> None:
    def program() -> float:
        began = time.monotonic()
        with pytest.raises(ag.exceptions.GetTimeoutError):
            ag.get(run_there.remote(lambda: time.sleep(HOUR)), timeout=60)
        return time.monotonic() - began

    assert simulated(program) == pytest.approx(60, abs=1)


def test_asyncio_sleeps_and_times_out_virtually() -> None:
    async def main() -> float:
        began = time.monotonic()
        await asyncio.sleep(HOUR)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.sleep(HOUR), 60)
        return time.monotonic() - began

    assert simulated(lambda: asyncio.run(main())) == pytest.approx(HOUR + 60, abs=1)


# --------------------------------------------------------------------------------------------------------- threads


def test_thread_is_a_fiber_of_its_process() -> None:
    def program() -> list[int]:
        seen: list[int] = []

        def look() -> None:
            time.sleep(1)
            seen.append(os.getpid())

        threads = [threading.Thread(target=look) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not any(thread.is_alive() for thread in threads)
        return seen

    assert simulated(program) == [1000, 1000, 1000]
    assert simulated(lambda: ag.get(run_there.remote(program))) != [1000, 1000, 1000]


def test_lock_that_is_held_across_a_wait_does_not_stop_the_world() -> None:
    def program() -> list[str]:
        lock, said = threading.Lock(), list[str]()

        def hold(name: str) -> None:
            with lock:
                time.sleep(1)
                said.append(name)

        threads = [threading.Thread(target=hold, args=(name,)) for name in "ab"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return said

    assert simulated(program) == ["a", "b"]


LOCK, RLOCK, CONDITION, SEMAPHORE = threading.Lock(), threading.RLock(), threading.Condition(), threading.Semaphore()

ITEMS: queue.Queue[str] = queue.Queue()


class Guarded:
    lock = threading.Lock()

    def __init__(self) -> None:
        self.mine = threading.Lock()


def guarding(lock: Any) -> Callable[[], Any]:
    return lambda: lock


GUARDED = Guarded()

CLOSED = guarding(threading.Lock())

LOCKS: dict[str, Callable[[], Any]] = {
    "Lock": lambda: LOCK,
    "RLock": lambda: RLOCK,
    "Condition": lambda: CONDITION,
    "Semaphore": lambda: SEMAPHORE,
    "of a class": lambda: Guarded.lock,
    "of an instance": lambda: GUARDED.mine,
    "of a closure": lambda: CLOSED(),  # noqa: PLW0108  # looked up when it is called
}


@pytest.mark.parametrize("name", LOCKS)
def test_lock_of_a_module_from_before_the_run_does_not_stop_the_world(name: str) -> None:
    real = LOCKS[name]()

    def hold() -> None:
        with LOCKS[name]():
            time.sleep(HOUR)

    def program() -> float:
        began = time.monotonic()
        threads = [threading.Thread(target=hold) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        ag.get([run_there.remote(lambda: hold_of_module(name)) for _ in range(2)])
        return time.monotonic() - began

    others = 2 if name == "Semaphore" else 1  # each process has a lock of its own, but what is built on one
    for _ in range(2):
        assert simulated(program) == pytest.approx((2 + others) * HOUR, abs=1)
    assert LOCKS[name]() is real
    with real:
        pass


def hold_of_module(name: str) -> None:
    with LOCKS[name]():
        time.sleep(HOUR)


def test_queue_of_a_module_from_before_the_run_waits_virtually() -> None:
    def program() -> str:
        threading.Timer(60, lambda: ITEMS.put("late")).start()
        return ITEMS.get()

    assert simulated(program) == "late"


@pytest.mark.parametrize("make", [threading.Condition, threading.Event, lambda: threading.Barrier(1)])
def test_primitives_of_threading_wait_virtually(make: Callable[[], Any]) -> None:
    def program() -> float:
        began, thing = time.monotonic(), make()
        if isinstance(thing, threading.Barrier):
            thing.wait()
            time.sleep(60)
        elif isinstance(thing, threading.Event):
            assert not thing.wait(60)
        else:
            with thing:
                assert not thing.wait(60)
        return time.monotonic() - began

    assert simulated(program) == pytest.approx(60, abs=1)


def test_semaphore_and_timer_wait_virtually() -> None:
    def program() -> float:
        began, semaphore = time.monotonic(), threading.Semaphore(0)
        threading.Timer(60, semaphore.release).start()
        assert semaphore.acquire(timeout=HOUR)
        return time.monotonic() - began

    assert simulated(program) == pytest.approx(60, abs=1)


@pytest.mark.parametrize("make", [lambda: queue.Queue(), lambda: queue.SimpleQueue()])  # noqa: PLW0108  # as above
def test_queues_wait_virtually(make: Callable[[], Any]) -> None:
    def program() -> str:
        items = make()
        threading.Timer(60, lambda: items.put("late")).start()
        with pytest.raises(queue.Empty):
            items.get(timeout=30)
        return str(items.get())

    assert simulated(program) == "late"


def test_pool_of_threads_runs() -> None:
    def program() -> list[int]:
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            return list(pool.map(lambda n: n * n, range(5)))

    before = threading.active_count()
    assert simulated(program) == [0, 1, 4, 9, 16]
    assert threading.active_count() == before
