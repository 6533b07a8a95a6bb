"""Where simulated code ends: what it finds in place of the real thing, and what is refused to it."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import _thread
import asyncio
import concurrent.futures
import datetime as dt
import gc
import multiprocessing
import multiprocessing.shared_memory
import os
import queue
import random
import secrets
import select
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path
from time import sleep as nap
from typing import Any

import pytest

import actorgrid as ag
from actorgrid import sim
from actorgrid.exceptions import SimulationError
from actorgrid.sim.clock import EPOCH

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


# ------------------------------------------------------------------------------------------------------ randomness

SOURCES: list[Callable[[], Any]] = [
    lambda: random.random(),  # noqa: PLW0108  # looked up when it is called
    lambda: random.randint(0, 1 << 60),
    lambda: random.Random().random(),
    lambda: random.SystemRandom().random(),
    lambda: uuid.uuid4().hex,
    lambda: secrets.token_hex(8),
    lambda: os.urandom(8),
    lambda: os.getrandom(8),
    lambda: Path(tempfile.mktemp()).name,  # the name is the point
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


@pytest.mark.parametrize("source", ["random", "standard_normal", "default_rng"])
def test_numbers_of_numpy_follow_the_seed_for_each_process_apart(source: str) -> None:
    numpy = pytest.importorskip("numpy")

    def draw(count: int) -> list[float]:
        function = getattr(numpy.random, source)
        return [float(function() if source != "default_rng" else function().random()) for _ in range(count)]

    def program(count: int) -> list[Any]:
        others = ag.get([run_there.remote(partial(draw, count)), run_there.remote(partial(draw, 1))])
        return [draw(1), *others]

    first, again, other, longer = (
        simulated(partial(program, count), seed) for seed, count in ((1, 1), (1, 1), (2, 1), (1, 5))
    )
    assert first == again
    assert first != other
    assert len({numbers[0] for numbers in first}) == 3
    assert longer[2] == first[2], "what one process draws is nothing to another"


def test_numbers_of_numpy_follow_the_seed_in_the_run_that_imports_it() -> None:
    pytest.importorskip("numpy")
    code = (
        "from actorgrid import sim\n"
        "def program():\n"
        "    import numpy\n"
        "    return numpy.random.random(), numpy.random.default_rng().random()\n"
        "runs = [sim.run(program, seed=seed) for seed in (1, 1, 2)]\n"
        "assert runs[0].value == runs[1].value != runs[2].value, runs\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


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
    "end",
    [
        lambda: os.kill(os.getpid(), signal.SIGKILL),
        lambda: signal.raise_signal(signal.SIGKILL),
        lambda: os._exit(3),
        lambda: sys.exit(3),
    ],
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


_STARTS = "_start_joinable_thread" if hasattr(threading, "_start_joinable_thread") else "_start_new_thread"
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
    "pause": lambda: signal.pause(),  # noqa: PLW0108  # looked up when it is called
    "sigtimedwait": lambda: signal.sigtimedwait([signal.SIGUSR1], 0.1),
    "sigwait": lambda: signal.sigwait([signal.SIGUSR1]),
    "pthread_kill": lambda: signal.pthread_kill(threading.main_thread().ident or 0, 0),
    "pthread_sigmask": lambda: signal.pthread_sigmask(signal.SIG_BLOCK, []),
    "killpg": lambda: os.killpg(os.getpgrp(), 0),
    "abort": lambda: os.abort(),  # noqa: PLW0108  # see above
    "poll": lambda: select.poll().poll(100),
    "epoll": lambda: select.epoll().poll(0.1),
    "selectors": lambda: selectors.DefaultSelector().select(0.1),
    "select for ever": lambda: select.select([], [], []),
    "low-level thread": lambda: _thread.start_new_thread(print, ()),
    "lowest-level thread": lambda: getattr(threading, _STARTS)(print, ()),
    "spawned process": lambda: multiprocessing.get_context("spawn").Process(target=print).start(),
    "forked process": lambda: multiprocessing.get_context("fork").Process(target=print).start(),
    "fork server": lambda: multiprocessing.get_context("forkserver").Process(target=print).start(),
    "named shared memory": lambda: multiprocessing.shared_memory.SharedMemory(create=True, size=10),
    "named lock": lambda: multiprocessing.get_context("spawn").Lock(),
    "uuid1": lambda: uuid.uuid1(),  # noqa: PLW0108  # looked up when it is called
    "close": lambda: os.close(1),
}

#: The same with asyncio: each is called with the loop and a socket.
REFUSED_LOOPS: dict[str, Callable[[Any, Any], Any]] = {
    "subprocess": lambda _, __: asyncio.create_subprocess_exec("true"),
    "shell": lambda _, __: asyncio.create_subprocess_shell("true"),
    "connection": lambda _, __: asyncio.open_connection("127.0.0.1", 9),
    "server": lambda _, __: asyncio.start_server(print, "127.0.0.1", 0),
    "unix connection": lambda _, __: asyncio.open_unix_connection("/nowhere"),
    "datagrams": lambda loop, _: loop.create_datagram_endpoint(asyncio.DatagramProtocol, ("127.0.0.1", 0)),
    "reader": lambda loop, one: loop.add_reader(one, print),
    "writer": lambda loop, one: loop.add_writer(one, print),
    "signal": lambda loop, _: loop.add_signal_handler(signal.SIGUSR1, print),
    "send": lambda loop, one: loop.sock_sendall(one, b"x"),
    "receive": lambda loop, one: loop.sock_recv(one, 1),
    "pipe": lambda loop, one: loop.connect_read_pipe(asyncio.Protocol, one),
    "look-up": lambda loop, _: loop.getaddrinfo("localhost", 80),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_what_cannot_be_simulated_is_refused_at_the_call_and_leaves_nothing(name: str) -> None:
    before = set(Path("/dev/shm").iterdir())
    with pytest.raises(SimulationError, match="simulator cannot run"):
        simulated(REFUSED[name])
    with pytest.raises(SimulationError, match="simulator cannot run"):
        simulated(lambda: ag.get(run_there.remote(REFUSED[name])))
    gc.collect()  # its sockets, while the warning is ignored
    made = set(Path("/dev/shm").iterdir()) - before
    assert not [path for path in made if path.name.startswith(("psm_", "sem."))]


@pytest.mark.parametrize("name", REFUSED_LOOPS)
def test_what_an_event_loop_cannot_do_is_refused_at_the_call(name: str) -> None:
    async def main() -> None:
        one, other = socket.socketpair()
        with one, other:
            awaitable = REFUSED_LOOPS[name](asyncio.get_running_loop(), one)
            if awaitable is not None:
                await awaitable

    where = f"simulator cannot run loop.* called at {Path(__file__).name}:"
    with pytest.raises(SimulationError, match=where):
        simulated(lambda: asyncio.run(main()))


def test_threads_of_an_event_loop_end_in_silence_with_their_world(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> int:
        loop = asyncio.get_running_loop()
        return await asyncio.to_thread(lambda: 1) + await loop.run_in_executor(None, lambda: 2)

    @ag.remote
    class Caller:
        async def call(self) -> int:
            return await main()

    assert simulated(lambda: ag.get(Caller.remote().call.remote())) == 3
    assert not caplog.records


def test_signal_to_the_main_program_is_refused() -> None:
    for code in (lambda: os.kill(os.getpid(), signal.SIGWINCH), lambda: signal.raise_signal(signal.SIGWINCH)):
        with pytest.raises(SimulationError, match="signals do not reach the main program"):
            simulated(code)


def test_simulated_process_has_a_parent_and_no_children() -> None:
    assert simulated(lambda: (os.getppid(), ag.get(run_there.remote(os.getppid)))) == (1, 1)
    for wait in (lambda: os.wait(), lambda: os.waitpid(-1, os.WNOHANG)):  # noqa: PLW0108  # see above
        with pytest.raises(ChildProcessError, match="no children"):
            simulated(wait)


def test_environment_of_the_real_process_is_untouched() -> None:
    before = os.environ.get("ACTORGRID_ESCAPE")
    simulated(lambda: os.environ.update(ACTORGRID_ESCAPE="yes"))
    simulated(lambda: os.putenv("ACTORGRID_ESCAPE", "yes"))
    assert os.environ.get("ACTORGRID_ESCAPE") == before
    shown = subprocess.run(["/usr/bin/env"], capture_output=True, text=True, check=True).stdout
    assert "ACTORGRID_ESCAPE" not in shown


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


def in_a_world() -> None:
    with sim.world():
        pass


@pytest.mark.parametrize("inner", [lambda: sim.run(int), lambda: sim.explore(int), lambda: sim.prove(int), in_a_world])
@pytest.mark.parametrize("grid_runs", [False, True])
def test_simulation_inside_of_a_simulation_is_refused(inner: Callable[[], Any], grid_runs: bool) -> None:
    def program() -> None:
        if grid_runs:
            ag.get(run_there.remote(lambda: 1))
        inner()

    with pytest.raises(SimulationError, match="simulation of its own"):
        simulated(program)


def test_real_processes_work_after_a_simulation() -> None:
    simulated(lambda: ag.get(run_there.remote(lambda: 1)))
    with ag.init(num_cpus=1):
        assert ag.get(run_there.remote(os.getpid)) != os.getpid()


class Disguised:
    """Says something else about its class, and fails to."""

    @property  # type: ignore[misc]  # some proxies do so
    def __class__(self) -> type:
        raise RuntimeError("no class today")


DISGUISED = [Disguised()]


def test_object_whose_class_cannot_be_asked_for_is_in_nobodys_way() -> None:
    assert simulated(lambda: 1) == 1


def test_world_that_cannot_be_opened_leaves_everything_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> None:
        raise RuntimeError("not today")

    before = time.sleep, time.monotonic, threading.Lock, os.getpid
    monkeypatch.setattr("actorgrid.sim.holders.Replacements.install", fail)
    with pytest.raises(RuntimeError, match="not today"):
        sim.run(lambda: None)
    monkeypatch.undo()
    assert (time.sleep, time.monotonic, threading.Lock, os.getpid) == before
    assert sim.run(lambda: 3).value == 3
