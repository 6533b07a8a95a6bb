"""Compiled graphs on real processes: who dies, who is interrupted, what is left."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import _thread
import gc
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import actorgrid as ag
from actorgrid.dag import InputNode, MultiOutputNode
from actorgrid.engine.current import current
from actorgrid.exceptions import ActorDiedError, HeadDiedError, RayChannelError, ResourceLimitError
from actorgrid.testing.waiting import wait_until
from tests.contract.tools import DEADLINE, Gate
from tests.proc.helpers import Driver

if TYPE_CHECKING:
    from actorgrid.testing import RealGrid

Drive = Callable[..., Driver]

OPEN = Path("/proc/self/fd")


def get(ref: Any) -> Any:
    return ag.get(ref, timeout=DEADLINE)


@ag.remote(num_cpus=0)
class Stage:
    def echo(self, value: Any) -> Any:
        return value

    def pid(self, value: Any) -> int:
        return os.getpid()

    def descriptors(self) -> int:
        return descriptors()

    def wait_at(self, value: Any, gate: Any) -> Any:
        ag.get(gate.pass_through.remote(value))
        return value

    def fork(self, value: Any) -> Any:
        return value, os.fork() == 0

    def exit(self, value: Any) -> None:
        sys.exit(value)

    def leave(self, value: Any) -> None:
        ag.actor.exit_actor()


def compiled(*methods: str, **options: Any) -> tuple[Any, list[Any]]:
    """Return a compiled graph that calls each of these methods of an actor of its own, and the actors."""
    stages = [Stage.remote() for _ in methods]
    with InputNode() as value:
        node: Any = value
        for stage, method in zip(stages, methods, strict=True):
            node = getattr(stage, method).bind(node)
    return node.experimental_compile(**options), stages


def descriptors() -> int:
    return len(list(OPEN.iterdir()))


def test_steps_run_in_the_processes_of_their_actors(grid: RealGrid) -> None:
    first, second = Stage.remote(), Stage.remote()
    pids = [get(first.pid.remote(0)), get(second.pid.remote(0))]
    with InputNode() as value:
        graph = MultiOutputNode([first.pid.bind(value), second.pid.bind(value)]).experimental_compile()
    assert get(graph.execute(0)) == pids
    graph.teardown()


def test_nothing_is_left_open(grid: RealGrid) -> None:
    first, second = Stage.remote(), Stage.remote()
    before: list[list[int]] = []
    for _ in range(4):
        before.append([descriptors(), get(first.descriptors.remote()), get(second.descriptors.remote())])
        with InputNode() as value:
            graph = second.echo.bind(first.echo.bind(value)).experimental_compile()
        assert get(graph.execute(1)) == 1
        graph.teardown()
        del graph
    assert before[-1] == before[1]


def test_memory_of_a_graph_keeps_its_size_and_is_not_inherited(grid: RealGrid) -> None:
    graph, _ = compiled("echo")
    with pytest.raises(PermissionError):
        os.ftruncate(graph._memory_fd, 0)
    assert not any(os.get_inheritable(fd) for fd in graph._fds)
    graph.teardown()


def test_a_method_that_forks_goes_on_alone(grid: RealGrid) -> None:
    graph, _ = compiled("fork")
    assert [get(graph.execute(value)) for value in range(3)] == [(0, False), (1, False), (2, False)]
    graph.teardown()


def test_a_child_that_the_program_forks_takes_nothing_along(grid: RealGrid) -> None:
    graph, _ = compiled("echo")
    pid = os.fork()
    if pid == 0:
        del graph
        gc.collect()
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    assert get(graph.execute(1)) == 1
    graph.teardown()


@pytest.mark.parametrize("method", ["exit", "leave"])
def test_an_actor_that_leaves_is_told(grid: RealGrid, method: str) -> None:
    graph, _ = compiled("echo", method)
    with pytest.raises(ActorDiedError, match="Stage"):
        get(graph.execute(3))
    graph.teardown()


def test_a_thread_that_waits_is_told_of_teardown(grid: RealGrid) -> None:
    gate, stage = Gate.remote(), Stage.remote()
    with InputNode() as value:
        graph = stage.wait_at.bind(value, gate).experimental_compile()
    ref = graph.execute(1)
    get(gate.arrivals.remote(1))
    raised: list[BaseException] = []

    def wait() -> None:
        try:
            get(ref)
        except RayChannelError as error:
            raised.append(error)

    waiting = threading.Thread(target=wait)
    waiting.start()
    assert wait_until(lambda: graph._leader != 0)
    tearing = threading.Thread(target=graph.teardown)
    tearing.start()
    waiting.join(DEADLINE)
    assert [str(error) for error in raised] == ["this compiled graph was torn down"]
    get(gate.open.remote())  # until then the actor is in its method, and teardown waits for it
    tearing.join(DEADLINE)
    assert not tearing.is_alive()
    assert get(stage.echo.remote(1)) == 1


def test_who_waits_long_says_for_what(grid: RealGrid, monkeypatch: pytest.MonkeyPatch) -> None:
    gate, stage = Gate.remote(), Stage.remote()
    with InputNode() as value:
        graph = stage.wait_at.bind(value, gate).experimental_compile()
    said: list[str] = []

    def say(text: str) -> None:
        said.append(text)
        gate.open.remote()

    monkeypatch.setattr(current(), "stall_warning", 0.02)
    monkeypatch.setattr(current(), "print_error", say)
    assert get(graph.execute(1)) == 1
    assert len(said) == 1
    assert repr(stage) in said[0]
    graph.teardown()


def test_an_interrupted_compilation_lets_the_actors_go(grid: RealGrid, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = Stage.remote(), Stage.remote()
    with InputNode() as value:
        node = second.echo.bind(first.echo.bind(value))
    began: list[Any] = []

    def interrupted(ref: Any, callback: Any) -> None:
        began.append(ref)
        if len(began) == 1:  # the first actor has begun, the other one has not
            raise KeyboardInterrupt

    monkeypatch.setattr(current(), "on_ready", interrupted)
    with pytest.raises(KeyboardInterrupt):
        node.experimental_compile()
    monkeypatch.undo()
    assert get([first.echo.remote(1), second.echo.remote(2)]) == [1, 2]


def test_the_end_of_the_grid_is_told(grid: RealGrid) -> None:
    gate, stage = Gate.remote(), Stage.remote()
    with InputNode() as value:
        graph = stage.wait_at.bind(value, gate).experimental_compile()
    ref = graph.execute(1)
    get(gate.arrivals.remote(1))
    threading.Thread(target=ag.shutdown).start()
    with pytest.raises(HeadDiedError):
        get(ref)
    graph.teardown()


def test_a_worker_that_has_compiled_and_dies_lets_the_actors_go(grid: RealGrid) -> None:
    stage = Stage.remote()

    @ag.remote(num_cpus=0, max_retries=0)
    def work(stage: Any) -> None:
        with InputNode() as value:
            graph = stage.echo.bind(value).experimental_compile()
        assert ag.get(graph.execute(1)) == 1
        os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(ag.exceptions.WorkerCrashedError):
        get(work.remote(stage))
    assert get(stage.echo.remote(2)) == 2


def test_a_threaded_actor_does_other_calls_meanwhile(grid: RealGrid) -> None:
    stage = Stage.options(max_concurrency=2).remote()
    with InputNode() as value:
        graph = stage.echo.bind(value).experimental_compile()
    assert get(stage.echo.remote("ordinary")) == "ordinary"
    assert get(graph.execute("compiled")) == "compiled"
    graph.teardown()


def can_open(opened: list[int]) -> bool:
    try:
        opened.append(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        return False
    return True


@pytest.mark.parametrize("left", range(6))
def test_what_the_system_refuses_is_said_and_nothing_is_left(grid: RealGrid, left: int) -> None:
    stage = Stage.remote()
    get(stage.echo.remote(1))
    with InputNode() as value:
        graph = stage.echo.bind(value)
    graph.experimental_compile().teardown()  # it has imported what it needs
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(int(each.name) for each in OPEN.iterdir()) + 10, hard))
    fillers: list[int] = []
    try:
        while can_open(fillers):
            pass
        for _ in range(left):
            os.close(fillers.pop())
        with pytest.raises(ResourceLimitError, match="ulimit -n"):
            graph.experimental_compile()
        assert [can_open(fillers) for _ in range(left + 1)] == [True] * left + [False]  # as many are free as before
    finally:
        for fd in fillers:
            os.close(fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    compiled_graph = graph.experimental_compile()
    assert get(compiled_graph.execute(1)) == 1
    compiled_graph.teardown()


PIPELINE = """
import os, signal, sys, threading, time
import actorgrid as ag
from actorgrid.dag import InputNode

@ag.remote(num_cpus=0)
class Stage:
    def echo(self, value):
        return value
    def sleep(self, value):
        open("started", "w").close()
        time.sleep(600)

ag.init(num_cpus=1)
first, second = Stage.remote(), Stage.remote()
with InputNode() as value:
    graph = second.echo.bind(first.echo.bind(value)).experimental_compile()
for value in range(3):
    assert ag.get(graph.execute(value)) == value
large = graph.execute(bytes(5_000_000))
"""


@pytest.mark.parametrize(
    "ending", ["", "os._exit(0)", "os.kill(os.getpid(), signal.SIGKILL)", "ag.shutdown()", "1 / 0"]
)
def test_however_the_program_ends_nothing_is_left(drive: Drive, ending: str) -> None:
    driver = drive(PIPELINE + f"print('ready:', flush=True)\n{ending}\n")
    driver.wait_for("ready")
    driver.leaves_nothing()


def test_a_program_that_is_killed_while_an_actor_works_leaves_nothing(drive: Drive) -> None:
    driver = drive(
        PIPELINE
        + """
third = Stage.remote()
with InputNode() as value:
    sleepy = third.sleep.bind(value).experimental_compile()
ref = sleepy.execute(1)
while not os.path.exists("started"):
    time.sleep(0.001)
print("ready:", flush=True)
ag.get(ref)
"""
    )
    driver.wait_for("ready")
    driver.process.kill()
    driver.leaves_nothing()


def test_ctrl_c_is_raised_in_get_and_the_result_can_still_be_had(drive: Drive) -> None:
    driver = drive(
        PIPELINE
        + """
assert ag.get(large) == bytes(5_000_000)
signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGINT))
done = 0
for number in range(100):
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.0002 * (number % 20 + 1))
        while True:
            sent, done = done, done + 1
            found = ag.get(graph.execute(sent))
            assert found == sent, (found, sent)
    except KeyboardInterrupt:
        pass
print("values:", ag.get([graph.execute(value) for value in range(5)]))
graph.teardown()
print("echo:", ag.get(second.echo.remote(1)))
"""
    )
    assert driver.wait() == 0, driver.err
    assert driver.said("values") == "[0, 1, 2, 3, 4]"
    assert driver.said("echo") == "1"


@pytest.mark.parametrize("follows", [False, True], ids=["reads", "follows"])
def test_main_thread_that_waits_is_interrupted_by_another_one(grid: RealGrid, follows: bool) -> None:
    del grid
    gate, stage = Gate.remote(), Stage.remote()
    with InputNode() as value:
        graph = stage.wait_at.bind(value, gate).experimental_compile()
    first, second = graph.execute(1), graph.execute(2)
    get(gate.arrivals.remote(1))  # from here on nothing happens
    leader = threading.Thread(target=lambda: get(first))
    if follows:
        leader.start()
        assert wait_until(lambda: graph._leader == leader.ident)
    began = time.monotonic()

    def wait() -> None:
        threading.Timer(0.3, _thread.interrupt_main).start()  # as a rule the wait has begun by then
        get(second)

    with pytest.raises(KeyboardInterrupt):
        wait()
    assert time.monotonic() < began + DEADLINE, "the wait ended by itself"
    get(gate.open.remote())
    if follows:
        leader.join()
    assert get(second) == 2
    graph.teardown()
