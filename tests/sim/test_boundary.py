"""Where simulated code ends: what it finds in place of the real thing, and what is refused to it."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import asyncio
import concurrent.futures
import datetime as dt
import gc
import importlib
import os
import queue
import random
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from time import sleep as nap
from typing import Any

import pytest

import actorgrid as ag
from actorgrid import sim
from actorgrid.exceptions import SimulationError
from actorgrid.sim.clock import EPOCH
from actorgrid.sim.threads import SimLock, SimRLock

HOUR = 3600.0


@ag.remote
def run_there(code: Callable[[], Any]) -> Any:
    return code()


def simulated(code: Callable[[], Any], seed: int = 0) -> Any:
    """Return what ``code`` returns inside of a simulation. Raises what it raises."""
    result = sim.run(code, seed=seed)
    if result.error is not None:
        raise result.error
    return result.value


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


# ------------------------------------------------------------------------------------------------------ randomness

SOURCES: list[Callable[[], Any]] = [
    lambda: random.random(),  # noqa: PLW0108  # looked up when it is called
    lambda: random.randint(0, 1 << 60),
    lambda: random.Random().random(),
    lambda: random.SystemRandom().random(),
    lambda: uuid.uuid4().hex,
    lambda: secrets.token_hex(8),
    lambda: os.urandom(8),
]


@pytest.mark.parametrize("source", SOURCES)
def test_randomness_follows_the_seed_for_each_process_apart(source: Callable[[], Any]) -> None:
    def program() -> tuple[Any, ...]:
        return (source(), *ag.get([run_there.remote(source) for _ in range(2)]))

    first, again, other = simulated(program, 1), simulated(program, 1), simulated(program, 2)
    assert first == again
    assert first != other
    assert len(set(first)) == 3


def test_real_randomness_is_untouched_by_a_run() -> None:
    random.seed(5)
    expected = random.random()
    random.seed(5)
    simulated(lambda: [random.seed(1), random.random()])
    assert random.random() == expected


def test_hidden_generator_of_numpy_follows_the_seed() -> None:
    numpy = pytest.importorskip("numpy")
    state = numpy.random.get_state()[1].tolist()
    assert simulated(numpy.random.random, 3) == simulated(numpy.random.random, 3)
    assert numpy.random.get_state()[1].tolist() == state


# ------------------------------------------------------------------------------------------------------- processes


def test_process_ids_and_environments_are_those_of_simulated_processes() -> None:
    def program() -> tuple[int, int, str | None]:
        def escape() -> int:
            os.environ["ESCAPED"] = "yes"
            return os.getpid()

        return os.getpid(), ag.get(run_there.remote(escape)), os.environ.get("ESCAPED")

    here, there, escaped = simulated(program)
    assert (here, escaped) == (1000, None)
    assert there > 1000
    assert "ESCAPED" not in os.environ


@pytest.mark.parametrize(
    "end", [lambda: os.kill(os.getpid(), signal.SIGKILL), lambda: os._exit(3), lambda: sys.exit(3)]
)
def test_simulated_process_ends_and_the_real_one_goes_on(end: Callable[[], Any]) -> None:
    def program() -> None:
        ag.get(run_there.options(max_retries=0).remote(end))

    with pytest.raises(ag.exceptions.WorkerCrashedError):
        simulated(program)


def test_signal_to_a_process_that_is_not_simulated_is_refused() -> None:
    real = os.getppid()
    with pytest.raises(ProcessLookupError):
        simulated(lambda: os.kill(real, 0))


REFUSED: dict[str, Callable[[], Any]] = {
    "fork": os.fork,
    "subprocess": lambda: subprocess.run(["true"], check=True),
    "system": lambda: os.system("true"),
    "posix_spawn": lambda: os.posix_spawn("/bin/true", ["true"], {}),
    "exec": lambda: os.execv("/bin/true", ["true"]),
    "connect": lambda: socket.create_connection(("127.0.0.1", 9)),
    "bind": lambda: socket.socket().bind(("127.0.0.1", 0)),
    "getaddrinfo": lambda: socket.getaddrinfo("localhost", 80),
    "sendto": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"", ("127.0.0.1", 9)),
    "alarm": lambda: signal.alarm(1),
    "uuid1": lambda: uuid.uuid1(),  # noqa: PLW0108  # looked up when it is called
    "close": lambda: os.close(1),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_what_cannot_be_simulated_is_refused_at_the_call(name: str) -> None:
    with pytest.raises(SimulationError, match="simulator cannot run"):
        simulated(REFUSED[name])
    with pytest.raises(SimulationError, match="simulator cannot run"):
        simulated(lambda: ag.get(run_there.remote(REFUSED[name])))
    gc.collect()  # its sockets, while the warning is ignored


def test_lock_that_a_module_makes_while_it_is_imported_is_real(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "makes_locks.py").write_text(
        "import threading\nlock, rlock, condition = threading.Lock(), threading.RLock(), threading.Condition()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)

    def program() -> Any:
        module = importlib.import_module("makes_locks")
        return [*map(type, (module.lock, module.rlock, module.condition._lock, threading.Lock(), threading.RLock()))]

    try:
        kinds = simulated(program)
    finally:
        sys.modules.pop("makes_locks", None)
    assert kinds == [type(threading.Lock()), *[type(threading.RLock())] * 2, SimLock, SimRLock]


def test_name_imported_under_an_alias_between_two_searches_is_virtual_in_the_second() -> None:
    module: Any = sys.modules[__name__]

    def program() -> float:
        began = time.monotonic()
        module.late(HOUR)
        return time.monotonic() - began

    simulated(lambda: None)
    module.late = time.sleep
    try:
        assert simulated(program) == pytest.approx(HOUR, abs=1)
        assert module.late is time.sleep
    finally:
        del module.late


def test_stand_ins_stand_for_what_is_there_when_a_run_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    simulated(lambda: None)
    told: list[float] = []
    monkeypatch.setattr(time, "sleep", told.append)
    simulated(lambda: time.sleep(HOUR))
    assert told == []
    time.sleep(1)
    assert told == [1]


def test_signal_handlers_are_accepted_and_without_effect() -> None:
    before = signal.getsignal(signal.SIGUSR1)
    simulated(lambda: signal.signal(signal.SIGUSR1, lambda *_: None))
    assert signal.getsignal(signal.SIGUSR1) is before


# ------------------------------------------------------------------------------------------------------- isolation


def test_arguments_and_results_are_copies() -> None:
    def program() -> bool:
        mine: list[int] = []

        def change() -> list[int]:
            mine.append(1)
            return mine

        return bool(ag.get(run_there.remote(change)) == [1] and mine == [])

    assert simulated(program)


def test_class_defined_in_a_function_is_another_class_in_each_process() -> None:
    def program() -> list[int]:
        class Local:
            count = 0

        def bump() -> int:
            Local.count += 1
            return Local.count

        return [*ag.get([run_there.remote(bump) for _ in range(2)]), Local.count]

    assert simulated(program) == [1, 1, 0]


def test_simulation_inside_of_a_simulation_is_refused() -> None:
    def program() -> None:
        ag.get(run_there.remote(lambda: 1))
        sim.run(lambda: None)

    with pytest.raises(SimulationError, match="simulation of its own"):
        simulated(program)


def test_real_processes_work_after_a_simulation() -> None:
    simulated(lambda: ag.get(run_there.remote(lambda: 1)))
    with ag.init(num_cpus=1):
        assert ag.get(run_there.remote(os.getpid)) != os.getpid()
