"""What attackers of the running system have found: calls from odd places, processes that do odd things."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import functools
import gc
import os
import pickle
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import actorgrid as ag
from actorgrid.testing.waiting import wait_until
from tests.contract.tools import DEADLINE, Gate, hold


@ag.remote
def echo(value: Any = None) -> Any:
    return value


@ag.remote
class Actor:
    def __init__(self, value: Any = None) -> None:
        self.value = value

    def get(self) -> Any:
        return self.value

    def sleep(self, gate: Any) -> str:
        ag.get(gate.pass_through.remote(), timeout=DEADLINE)
        return "slept"

    def leave(self) -> None:
        ag.actor.exit_actor()

    def exit(self) -> None:
        sys.exit(3)


# ------------------------------------------------------------------------------------- calls that can never wake


@pytest.mark.usefixtures("grid")
def test_get_in_a_callback_of_a_future_is_a_runtime_error_and_no_hang() -> None:
    caught: list[BaseException] = []
    over = threading.Event()
    gate, pending = Gate.remote(), Gate.remote()

    def callback(_: Any) -> None:
        try:
            ag.get(pending.pass_through.remote())
        except BaseException as error:  # noqa: BLE001 - whatever it is, the test tells
            caught.append(error)
        over.set()

    gate.pass_through.remote().future().add_done_callback(callback)
    gate.open.remote()
    assert over.wait(DEADLINE)
    assert isinstance(caught[0], RuntimeError)
    assert ag.get(echo.remote(2), timeout=DEADLINE) == 2


@pytest.mark.usefixtures("grid")
def test_callback_may_submit_put_and_poll() -> None:
    results: list[Any] = []
    gate, over = Gate.remote(), threading.Event()

    def callback(_: Any) -> None:
        ref = echo.remote(ag.put(3))
        ag.wait([ref], timeout=0)
        results.append(ref)
        over.set()

    gate.pass_through.remote().future().add_done_callback(callback)
    gate.open.remote()
    assert over.wait(DEADLINE)
    assert ag.get(results.pop(), timeout=DEADLINE) == 3


@pytest.fixture
def eager_collector() -> Iterator[None]:
    """Have the garbage collector run all the time."""
    usual = gc.get_threshold()
    gc.set_threshold(5)
    yield
    gc.set_threshold(*usual)
    gc.collect()


class Cycle:
    """Is finalized by the garbage collector, wherever that happens to run."""

    def __init__(self, last_words: Callable[[], Any]) -> None:
        self.me = self
        self.last_words = last_words

    def __del__(self) -> None:
        self.last_words()


@pytest.mark.usefixtures("grid", "eager_collector")
def test_finalizer_that_waits_never_hangs() -> None:
    def wait() -> None:
        try:
            said.append(ag.get(echo.remote(1), timeout=DEADLINE))
        except RuntimeError as error:
            said.append(error)

    said: list[Any] = []
    for number in range(200):
        Cycle(wait)
        assert ag.get(echo.remote([number]), timeout=DEADLINE) == [number]
    assert said


@pytest.mark.usefixtures("grid", "eager_collector")
def test_finalizer_that_stores_large_values_never_hangs() -> None:
    def store() -> None:
        try:
            ag.put(b"x" * 300_000)
        except (RuntimeError, ag.exceptions.ObjectStoreFullError):
            pass
        said.append(1)

    said: list[int] = []
    for number in range(300):
        Cycle(store)
        ag.put(bytes([number % 256]) * 300_000)
    assert said


@pytest.mark.usefixtures("grid", "eager_collector")
def test_finalizers_that_submit_keep_the_order_of_what_is_said() -> None:
    refs: list[Any] = []

    stored = [ag.put(number) for number in range(1000)]  # not in the cycles: there it might be finalized first

    def submit(number: int) -> None:
        refs.append(echo.remote(stored[number]))

    for number in range(1000):
        Cycle(functools.partial(submit, number))
    gc.collect()
    assert sorted(ag.get(refs, timeout=DEADLINE)) == list(range(1000))


@pytest.mark.usefixtures("grid")
def test_last_words_of_an_actor_may_use_the_grid(tmp_path: Path) -> None:
    path = tmp_path / "said"

    @ag.remote
    class Talker:
        def work(self) -> int:
            return 1

        def __ray_shutdown__(self) -> None:
            path.write_text(str(ag.get(echo.remote(7), timeout=DEADLINE)))

    talker = Talker.remote()
    ag.get(talker.work.remote(), timeout=DEADLINE)
    del talker
    assert wait_until(lambda: path.exists() and path.read_text() == "7", DEADLINE)


# ------------------------------------------------------------------------------------- odd things that tasks do


@pytest.mark.processes("a simulated process cannot fork; the simulator refuses it")
@pytest.mark.usefixtures("grid")
def test_child_that_a_task_forks_may_return_and_only_the_parent_answers() -> None:
    @ag.remote
    def fork(number: int) -> tuple[int, bool]:
        pid = os.fork()
        if pid:
            os.waitpid(pid, 0)
        return number, pid == 0

    results = ag.get([fork.remote(number) for number in range(6)], timeout=DEADLINE)
    assert results == [(number, False) for number in range(6)]


@pytest.mark.processes("a simulated process cannot fork; the simulator refuses it")
@pytest.mark.usefixtures("grid")
def test_child_that_a_task_forks_may_raise_and_only_the_parent_answers() -> None:
    @ag.remote
    def fork() -> int:
        pid = os.fork()
        if not pid:
            raise ValueError("in the child")
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    assert ag.get(fork.remote(), timeout=DEADLINE) == 1


@pytest.mark.processes("simulated processes share the descriptors of one real one")
@pytest.mark.usefixtures("grid")
def test_bytes_written_to_the_descriptors_of_a_worker_cost_that_worker_only() -> None:
    @ag.remote(max_retries=0)
    def write() -> None:
        for link in Path("/proc/self/fd").iterdir():
            try:
                if str(link.readlink()).startswith("socket:"):
                    os.write(int(link.name), b"\x05\x00\x00\x00garbage")
            except OSError:
                pass
        time.sleep(DEADLINE)

    with pytest.raises(ag.exceptions.WorkerCrashedError):
        ag.get(write.remote(), timeout=DEADLINE)
    assert ag.get([echo.remote(number) for number in range(20)], timeout=DEADLINE) == list(range(20))


@pytest.mark.processes("simulated processes share the descriptors of one real one")
@pytest.mark.usefixtures("grid")
@pytest.mark.parametrize("descriptors", [True, False])
def test_task_that_closes_its_output_after_printing_is_an_ordinary_task(descriptors: bool) -> None:
    @ag.remote(max_retries=0, max_calls=1)
    def close() -> int:
        sys.stdout.write("some text")
        if descriptors:
            os.close(1)
            os.close(2)
        else:
            sys.stdout.close()
            sys.stderr.close()
        return 1

    assert ag.get(close.remote(), timeout=DEADLINE) == 1


# ------------------------------------------------------------------------------------- actors whose calls overlap


@pytest.mark.usefixtures("grid")
def test_exit_actor_in_a_threaded_actor_lets_running_calls_finish() -> None:
    gate = Gate.remote()
    actor = Actor.options(max_concurrency=3).remote()
    running = actor.sleep.remote(gate)
    ag.get(gate.arrivals.remote(1), timeout=DEADLINE)
    leaving = actor.leave.remote()
    ag.wait([leaving], timeout=0.1)  # time to end too early
    ag.get(gate.open.remote(), timeout=DEADLINE)
    assert ag.get(running, timeout=DEADLINE) == "slept"
    with pytest.raises(ag.exceptions.ActorDiedError):
        ag.get(leaving, timeout=DEADLINE)


@pytest.mark.usefixtures("grid")
@pytest.mark.parametrize("concurrency", [1, 3])
def test_sys_exit_in_a_method_is_the_death_of_the_actor(concurrency: int) -> None:
    actor = Actor.options(max_concurrency=concurrency).remote()
    with pytest.raises(ag.exceptions.ActorDiedError, match="code 3"):
        ag.get(actor.exit.remote(), timeout=DEADLINE)


@pytest.mark.usefixtures("grid")
def test_sys_exit_in_an_async_method_is_the_death_of_the_actor() -> None:
    @ag.remote
    class Async:
        async def exit(self) -> None:
            sys.exit(3)

    actor = Async.remote()
    with pytest.raises(ag.exceptions.ActorDiedError, match="code 3"):
        ag.get(actor.exit.remote(), timeout=DEADLINE)


# ------------------------------------------------------------------------------------- handles of another grid


def test_handle_of_an_earlier_grid_never_reaches_an_actor_of_this_one(fresh_grid: Callable[..., Any]) -> None:
    fresh_grid(num_cpus=1)
    old = Actor.remote("old")
    assert ag.get(old.get.remote(), timeout=DEADLINE) == "old"
    fresh_grid(num_cpus=1)
    new = Actor.remote("new")
    assert ag.get(new.get.remote(), timeout=DEADLINE) == "new"
    with pytest.raises(ag.exceptions.ActorHandleNotFoundError):
        old.get.remote()
    with pytest.raises(TypeError, match="another session"):
        echo.remote([old])
    with pytest.raises(TypeError, match="another session"):
        ag.put({"handle": old})


@ag.remote
def unpickle_and_get(data: bytes) -> Any:
    return ag.get(pickle.loads(data))


def test_pickled_reference_is_good_in_its_own_session_alone(fresh_grid: Callable[..., Any], tmp_path: Path) -> None:
    fresh_grid(num_cpus=1)
    ref = ag.put(5)
    (tmp_path / "ref").write_bytes(pickle.dumps({"ref": ref}))
    alone = pickle.dumps(ref)
    assert ag.get(pickle.loads((tmp_path / "ref").read_bytes())["ref"]) == 5
    assert ag.get(unpickle_and_get.remote(alone), timeout=DEADLINE) == 5
    fresh_grid(num_cpus=1)
    mine = ag.put(6)
    with pytest.raises(ValueError, match="belongs to a grid that this process is not part of"):
        pickle.loads((tmp_path / "ref").read_bytes())
    with pytest.raises(ValueError, match="belongs to a grid that this process is not part of"):
        ag.get(unpickle_and_get.remote(alone), timeout=DEADLINE)
    for use in (ag.get, echo.remote, lambda ref: ag.wait([ref]), ag.cancel):
        with pytest.raises(ValueError, match="another session"):
            use(ref)
    with pytest.raises(TypeError, match="another session"):
        echo.remote([ref])
    assert ag.get(mine) == 6


# ------------------------------------------------------------------------------------- resources


def test_demand_that_an_actor_keeps_from_fitting_does_not_hold_up_others(fresh_grid: Callable[..., Any]) -> None:
    fresh_grid(num_cpus=2)
    holder = hold(num_cpus=1)
    large = echo.options(num_cpus=2).remote("large")
    assert ag.get([echo.remote(number) for number in range(100)], timeout=DEADLINE) == list(range(100))
    ag.kill(holder)
    assert ag.get(large, timeout=DEADLINE) == "large"


def test_demand_that_a_blocked_task_keeps_from_fitting_does_not_hold_up_those_it_waits_for(
    fresh_grid: Callable[..., Any],
) -> None:
    fresh_grid(num_cpus=2, resources={"special": 1})
    gate = Gate.remote()

    @ag.remote(resources={"special": 1})
    def special() -> str:
        return "special"

    @ag.remote(resources={"special": 1})
    def holds_it(gate: Any) -> int:
        ag.get(gate.pass_through.remote(), timeout=DEADLINE)
        return sum(ag.get(echo.remote(1), timeout=DEADLINE) for _ in range(100))

    @ag.remote
    def wants_it() -> Any:
        return ag.get(special.remote(), timeout=DEADLINE)

    first = holds_it.remote(gate)
    ag.get(gate.arrivals.remote(1), timeout=DEADLINE)
    second = wants_it.remote()
    ag.wait([second], timeout=0.1)  # time to take what is not free
    ag.get(gate.open.remote(), timeout=DEADLINE)
    assert ag.get([first, second], timeout=DEADLINE) == [100, "special"]
