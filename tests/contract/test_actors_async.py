"""Actors that run many calls at a time: on an event loop, or on threads."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import asyncio
import contextlib
import io
import threading
from collections.abc import Callable
from typing import Any

import pytest

import actorgrid as ag
from tests.contract.tools import DEADLINE, Gate

pytestmark = pytest.mark.usefixtures("grid")


@ag.remote
def echo(value: Any) -> Any:
    return value


@ag.remote
class Hall:
    """Remembers how many were inside at once."""

    def __init__(self) -> None:
        self.inside = 0
        self.most = 0
        self.free = asyncio.Event()
        self.changed = asyncio.Condition()

    async def stay(self) -> None:
        self.inside += 1
        async with self.changed:
            self.changed.notify_all()
        await self.free.wait()

    async def visit(self) -> None:
        self.inside += 1
        self.most = max(self.most, self.inside)
        for _ in range(5):
            await asyncio.sleep(0)
        self.inside -= 1

    async def crowd(self, size: int) -> int:
        async with self.changed:
            await self.changed.wait_for(lambda: self.inside >= size)
        self.free.set()
        return self.inside

    def most_inside(self) -> int:
        return self.most


@ag.remote
class Fetcher:
    async def get(self, box: list[Any]) -> Any:
        return await box[0]

    async def gather(self, box: list[Any]) -> list[Any]:
        return list(await asyncio.gather(*box))

    async def run(self, value: int) -> Any:
        return await echo.remote(value)

    async def fail(self) -> None:
        await asyncio.sleep(0)
        raise LookupError("in a coroutine")

    def plain(self) -> str:
        return threading.current_thread().name

    async def thread(self) -> str:
        return threading.current_thread().name


@ag.remote(max_concurrency=3)
class Threads:
    def __init__(self) -> None:
        self.barrier = threading.Barrier(3)

    def meet(self) -> int:
        self.barrier.wait(DEADLINE)
        return threading.get_ident()


def test_calls_of_an_async_actor_run_together() -> None:
    hall = Hall.remote()
    stays = [hall.stay.remote() for _ in range(100)]
    assert ag.get(hall.crowd.remote(100), timeout=DEADLINE) == 100
    ag.get(stays, timeout=DEADLINE)


def test_max_concurrency_bounds_an_async_actor() -> None:
    hall = Hall.options(max_concurrency=4).remote()
    ag.get([hall.visit.remote() for _ in range(50)], timeout=DEADLINE)
    assert ag.get(hall.most_inside.remote(), timeout=DEADLINE) <= 4
    stays = [hall.stay.remote() for _ in range(3)]
    assert ag.get(hall.crowd.remote(3), timeout=DEADLINE) == 3  # all four are there at once
    ag.get(stays, timeout=DEADLINE)


def test_async_actor_runs_1000_calls_at_a_time_by_default() -> None:
    hall = Hall.remote()
    stays = [hall.stay.remote() for _ in range(999)]
    assert ag.get(hall.crowd.remote(999), timeout=DEADLINE) == 999
    ag.get(stays, timeout=DEADLINE)


def test_async_actor_runs_no_more_than_1000_calls_at_a_time_by_default() -> None:
    @ag.remote
    class Room:
        def __init__(self) -> None:
            self.inside = self.most = 0
            self.full = asyncio.Event()

        async def enter(self) -> None:
            self.inside += 1
            self.most = max(self.most, self.inside)
            if self.inside == 1000:
                self.full.set()
            await self.full.wait()
            self.inside -= 1

        async def most_inside(self) -> int:
            return self.most

    room = Room.remote()
    ag.get([room.enter.remote() for _ in range(1500)], timeout=DEADLINE)
    assert ag.get(room.most_inside.remote(), timeout=DEADLINE) == 1000


def test_plain_method_of_an_async_actor_runs_on_its_loop() -> None:
    fetcher = Fetcher.remote()
    plain, thread = ag.get([fetcher.plain.remote(), fetcher.thread.remote()])
    assert plain == thread


def test_async_method_awaits_a_reference() -> None:
    assert ag.get(Fetcher.remote().get.remote([echo.remote(4)]), timeout=DEADLINE) == 4


def test_async_method_gathers_references() -> None:
    refs = [echo.remote(i) for i in range(20)]
    assert ag.get(Fetcher.remote().gather.remote(refs), timeout=DEADLINE) == list(range(20))


def test_async_method_starts_and_awaits_a_task() -> None:
    assert ag.get(Fetcher.remote().run.remote(6), timeout=DEADLINE) == 6


def test_reference_that_a_plain_method_of_an_async_actor_returns_is_its_result() -> None:
    @ag.remote
    class Agent:
        async def idle(self) -> None: ...

        def start(self, value: int) -> Any:
            return echo.remote(value)

    started = ag.get(Agent.remote().start.remote(5), timeout=DEADLINE)
    assert ag.get(started, timeout=DEADLINE) == 5


class Yields:
    """Its plain methods give their values one by one."""

    async def nothing(self) -> None: ...

    @ag.method(num_returns=2)
    def two(self) -> Any:
        yield 1
        yield 2

    @ag.method(num_returns=2)
    def made(self) -> Any:
        return (each for each in (3, 4))

    @ag.method(num_returns=2, concurrency_group="apart")
    def apart(self) -> Any:
        yield 5
        yield 6


@pytest.mark.parametrize(("method", "values"), [("two", [1, 2]), ("made", [3, 4]), ("apart", [5, 6])])
def test_generator_that_a_plain_method_of_an_async_actor_returns_gives_its_values(
    method: str, values: list[int]
) -> None:
    actor = ag.remote(concurrency_groups={"apart": 1})(Yields).remote()
    assert ag.get(getattr(actor, method).remote()) == values


def test_coroutine_that_a_plain_method_of_an_async_actor_returns_is_awaited() -> None:
    def logged(method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            return method(*args)

        return call

    @ag.remote
    class Agent:
        async def idle(self) -> None: ...

        @logged
        async def work(self, value: int) -> int:
            await asyncio.sleep(0)
            return value

    assert ag.get(Agent.remote().work.remote(6), timeout=DEADLINE) == 6


def test_async_method_that_waits_does_not_hold_up_others() -> None:
    gate = Gate.remote()
    fetcher = Fetcher.remote()
    waiting = fetcher.get.remote([gate.pass_through.remote()])
    assert ag.get(fetcher.run.remote(1), timeout=DEADLINE) == 1
    assert ag.wait([waiting], timeout=0) == ([], [waiting])
    gate.open.remote()
    assert ag.get(waiting, timeout=DEADLINE) is None


def test_results_that_fill_the_way_to_the_head_arrive_whole() -> None:
    @ag.remote
    class Chorus:
        def __init__(self) -> None:
            self.free = asyncio.Event()

        async def say(self, last: bool) -> bytes:
            if last:
                self.free.set()
            await self.free.wait()
            return b"x" * 5000

    chorus = Chorus.remote()  # all of them answer in one turn of its loop: more than a socket takes at once
    said = [chorus.say.remote(number == 599) for number in range(600)]
    assert ag.get(said, timeout=DEADLINE) == [b"x" * 5000] * 600


def test_async_call_with_an_unresolved_dependency_does_not_hold_up_others() -> None:
    gate = Gate.remote()
    fetcher = Fetcher.remote()

    @ag.remote(num_cpus=0)
    def later() -> list[Any]:
        ag.get(gate.pass_through.remote())
        return [ag.put("later")]

    waiting = fetcher.get.remote(later.remote())
    assert ag.get(fetcher.run.remote(1), timeout=DEADLINE) == 1
    gate.open.remote()
    assert ag.get(waiting, timeout=DEADLINE) == "later"


def test_exception_in_an_async_method() -> None:
    fetcher = Fetcher.remote()
    with pytest.raises(LookupError, match="in a coroutine") as caught:
        ag.get(fetcher.fail.remote(), timeout=DEADLINE)
    assert isinstance(caught.value, ag.exceptions.RayTaskError)
    assert ag.get(fetcher.run.remote(1), timeout=DEADLINE) == 1


def test_async_actor_calls_itself() -> None:
    @ag.remote
    class Recursive:
        async def count(self, me: Any, n: int) -> int:
            return 0 if n == 0 else 1 + int(await me.count.remote(me, n - 1))

    recursive = Recursive.remote()
    assert ag.get(recursive.count.remote(recursive, 10), timeout=DEADLINE) == 10
    ag.kill(recursive)  # it holds a handle to itself no more, but let that be another test's subject


def test_context_of_an_async_call_is_its_own() -> None:
    @ag.remote
    class Who:
        async def task(self) -> tuple[str, str]:
            before = ag.get_runtime_context().get_task_id()
            await asyncio.sleep(0)
            return str(before), str(ag.get_runtime_context().get_task_id())

    who = Who.remote()
    ids = ag.get([who.task.remote() for _ in range(10)], timeout=DEADLINE)
    assert all(before == after for before, after in ids)
    assert len({before for before, _ in ids}) == 10


def test_calls_of_a_threaded_actor_run_together() -> None:
    threads = Threads.remote()
    assert len(set(ag.get([threads.meet.remote() for _ in range(3)], timeout=DEADLINE))) == 3


def test_threads_of_an_actor_are_used_again() -> None:
    threads = Threads.remote()
    idents = ag.get([threads.meet.remote() for _ in range(9)], timeout=DEADLINE)
    assert len(set(idents)) == 3


def test_threaded_actor_gets_references_in_its_threads() -> None:
    @ag.remote(max_concurrency=4)
    class Getter:
        def get(self, box: list[Any]) -> Any:
            return ag.get(box[0])

    getter, gate = Getter.remote(), Gate.remote()
    waiting = [getter.get.remote([gate.pass_through.remote()]) for _ in range(3)]
    assert ag.get(getter.get.remote([ag.put(1)]), timeout=DEADLINE) == 1
    gate.open.remote()
    assert ag.get(waiting, timeout=DEADLINE) == [None] * 3


def test_exception_in_a_threaded_actor() -> None:
    @ag.remote(max_concurrency=2)
    class Fails:
        def fail(self) -> None:
            raise KeyError("in a thread")

        def work(self) -> int:
            return 1

    fails = Fails.remote()
    with pytest.raises(KeyError, match="in a thread"):
        ag.get(fails.fail.remote(), timeout=DEADLINE)
    assert ag.get(fails.work.remote(), timeout=DEADLINE) == 1


def test_constructor_and_methods_of_a_plain_actor_run_on_the_main_thread() -> None:
    @ag.remote
    class Main:
        def __init__(self) -> None:
            self.built_on_main = threading.current_thread() is threading.main_thread()

        def on_main(self) -> tuple[bool, bool]:
            return self.built_on_main, threading.current_thread() is threading.main_thread()

    assert ag.get(Main.remote().on_main.remote(), timeout=DEADLINE) == (True, True)


@ag.remote
class Impatient:
    """Waits where it should await, and hears what its process says about that."""

    async def get(self, gate: Any) -> str:
        with contextlib.redirect_stderr(io.StringIO()) as heard:
            ag.get(gate.arrive.remote("get"))
        return heard.getvalue()

    async def wait(self, gate: Any) -> str:
        with contextlib.redirect_stderr(io.StringIO()) as heard:
            ag.wait([gate.arrive.remote("wait")])
        return heard.getvalue()

    async def get_what_is_there(self) -> str:
        with contextlib.redirect_stderr(io.StringIO()) as heard:
            ag.get(ag.put(1))
        return heard.getvalue()

    async def get_in_a_thread(self, gate: Any) -> str:
        with contextlib.redirect_stderr(io.StringIO()) as heard:
            await asyncio.to_thread(ag.get, gate.arrive.remote("thread"))
        return heard.getvalue()


def test_event_loop_that_is_held_up_is_said_once() -> None:
    gate, impatient = Gate.remote(), Impatient.remote()
    said = [ag.get(call.remote(gate), timeout=DEADLINE) for call in (impatient.get, impatient.get, impatient.wait)]
    assert "get() in an async actor holds up its event loop" in said[0]
    assert said[1:] == ["", ""]


def test_wait_that_holds_up_an_event_loop_is_said_too() -> None:
    assert "wait() in an async actor" in ag.get(Impatient.remote().wait.remote(Gate.remote()), timeout=DEADLINE)


def test_event_loop_that_is_not_held_up_is_no_news() -> None:
    impatient = Impatient.remote()
    assert ag.get(impatient.get_what_is_there.remote(), timeout=DEADLINE) == ""
    assert ag.get(impatient.get_in_a_thread.remote(Gate.remote()), timeout=DEADLINE) == ""


def test_a_variable_keeps_that_to_itself() -> None:
    env = {"env_vars": {"ACTORGRID_WARN_BLOCKING_GET_INSIDE_ASYNC": "0"}}
    impatient = Impatient.options(runtime_env=env).remote()
    assert ag.get(impatient.get.remote(Gate.remote()), timeout=DEADLINE) == ""
