"""Where simulated code ends: what it finds in place of the real thing, and what is refused to it."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import _thread
import asyncio
import gc
import multiprocessing
import multiprocessing.shared_memory
import os
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
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import actorgrid as ag
from actorgrid import sim
from actorgrid.exceptions import SimulationError
from tests.sim.inside import run_there, simulated

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
