"""``explain``: what an object waits for; deadlocks that raise instead of waiting; waits that say what for."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import asyncio
import ctypes
import threading
from typing import Any

import pytest

import actorgrid as ag
from actorgrid.testing.waiting import wait_until
from actorgrid.util.state import list_tasks
from tests.contract.tools import DEADLINE, Gate

pytestmark = pytest.mark.usefixtures("grid")


@ag.remote(num_cpus=2)
def held(gate: Any) -> None:
    ag.get(gate.pass_through.remote())


@ag.remote
def after(value: Any) -> int:
    del value
    return 1


@ag.remote
class Selfish:
    def set(self, me: Any) -> None:
        self.me = me

    def outer(self) -> Any:
        return ag.get(self.me.inner.remote())

    def inner(self) -> int:
        return 1

    def patient(self) -> bool:
        ready, _ = ag.wait([self.me.inner.remote()], timeout=0.2)
        return bool(ready)


def test_explanation_tells_what_everything_waits_for_in_the_end() -> None:
    gate = Gate.remote()
    first = held.remote(gate)
    last = after.remote(first)
    assert wait_until(lambda: "held waits in get()" in ag.explain(last))
    assert ag.explain(last).splitlines()[0] == "after has not started: it needs an argument from held"
    ag.get(gate.open.remote())
    assert ag.get(last, timeout=DEADLINE) == 1
    assert ag.explain(last) == "the object exists"


def test_explanation_of_a_long_chain_has_its_end() -> None:
    gate = Gate.remote()
    last: Any = held.remote(gate)
    for _ in range(50):
        last = after.remote(last)
    assert wait_until(lambda: "Gate.pass_through" in ag.explain(last).splitlines()[-1])
    told = ag.explain(last).splitlines()
    assert told[0] == "after has not started: it needs an argument from after"
    assert told[-2] == "..."
    assert len(told) < 20
    ag.get(gate.open.remote())
    assert ag.get(last, timeout=DEADLINE) == 1


@pytest.mark.processes("a simulated process never keeps the interpreter to itself")
def test_task_that_is_stuck_in_c_code_is_said_to_be() -> None:
    @ag.remote(max_retries=0)
    def stuck() -> None:
        ctypes.PyDLL(None).sleep(600)  # unlike CDLL, it keeps the interpreter's lock

    ref = stuck.remote()
    assert wait_until(lambda: "does not answer: it runs code in C" in ag.explain(ref), DEADLINE)
    ag.cancel(ref, force=True)
    with pytest.raises(ag.exceptions.TaskCancelledError):
        ag.get(ref, timeout=DEADLINE)


def test_explain_takes_a_reference() -> None:
    with pytest.raises(TypeError, match="takes an ObjectRef, not int"):
        ag.explain(3)  # type: ignore[arg-type]  # the point


OVER = {"FINISHED", "FAILED"}
CIRCLES = "the simulator ends a program in which nothing can happen any more, and says who waits for whom"


@pytest.mark.processes(CIRCLES)
def test_actor_that_waits_for_itself_is_told_so_and_lives_on() -> None:
    actor = Selfish.remote()
    ag.get(actor.set.remote(actor))
    with pytest.raises(ag.exceptions.DeadlockError) as caught:
        ag.get(actor.outer.remote(), timeout=DEADLINE)
    assert "Selfish.inner waits for its turn behind Selfish.outer" in str(caught.value)
    assert ag.get(actor.inner.remote(), timeout=DEADLINE) == 1


@ag.remote(num_cpus=0, resources={"seat": 1})
def takes_a_seat() -> int:
    return 1


@ag.remote(num_cpus=0, resources={"seat": 1})
class Sitter:
    def waits_for_a_seat(self) -> int:
        return int(ag.get(takes_a_seat.remote()))

    def stands(self) -> int:
        return 2


@pytest.mark.processes(CIRCLES)
def test_actor_that_waits_for_what_it_holds_itself_is_told_so_and_lives_on(fresh_grid: Any) -> None:
    fresh_grid(num_cpus=2, resources={"seat": 1})
    sitter = Sitter.remote()
    with pytest.raises(
        ag.exceptions.DeadlockError, match=r"takes_a_seat waits for seat held by Sitter\.waits_for_a_seat"
    ):
        ag.get(sitter.waits_for_a_seat.remote(), timeout=DEADLINE)
    assert ag.get(sitter.stands.remote(), timeout=DEADLINE) == 2


@ag.remote(num_cpus=0)
class Pair:
    """One of two actors that call each other."""

    def meet(self, other: Any) -> None:
        self.other = other

    def pass_on(self, depth: int) -> Any:
        return ag.get(self.other.pass_on.remote(depth - 1)) if depth else 0


@pytest.mark.processes(CIRCLES)
@pytest.mark.parametrize("pause", [False, True])
def test_actor_that_waits_for_one_that_waits_for_it_is_told_so_and_both_live_on(pause: bool) -> None:
    one, two = Pair.remote(), Pair.remote()
    ag.get([one.meet.remote(two), two.meet.remote(one)], timeout=DEADLINE)
    assert ag.get(one.pass_on.remote(1), timeout=DEADLINE) == 0  # there, and not back
    ref = one.pass_on.remote(2)
    if pause:
        assert ag.wait([ref], timeout=DEADLINE) == ([ref], [])  # nobody has to ask for its value
    with pytest.raises(ag.exceptions.DeadlockError) as caught:
        ag.get(ref, timeout=DEADLINE)
    assert "Pair.pass_on waits for its turn behind Pair.pass_on" in str(caught.value)
    # What the first of them had called may be in a circle still, and a new call would get into that.
    assert wait_until(lambda: {task.state for task in list_tasks() if task.name == "Pair.pass_on"} <= OVER)
    assert ag.get(one.pass_on.remote(1), timeout=DEADLINE) == 0
    assert ag.get(two.pass_on.remote(1), timeout=DEADLINE) == 0


@ag.remote(num_cpus=0, max_concurrency=1)
class Coroutines:
    """An asynchronous actor with a place for one call at a time."""

    async def meet(self, other: Any) -> None:
        self.other = other

    async def leaf(self) -> int:
        return 1

    async def plain(self) -> Any:
        return await self.other.leaf.remote()

    async def nested(self) -> Any:
        async def helper() -> Any:
            return await self.other.leaf.remote()

        return await asyncio.create_task(helper())

    async def gathered(self) -> Any:
        return await asyncio.gather(self.other.leaf.remote(), self.other.leaf.remote())

    async def across(self, depth: int) -> Any:
        return await self.other.across.remote(depth - 1) if depth else 0

    async def patient(self) -> str:
        try:
            async with asyncio.timeout(1.5):
                await self.other.leaf.remote()
        except TimeoutError:
            return "late"
        return "never"

    async def waits_first(self) -> Any:
        await asyncio.sleep(0.1)
        return await self.other.leaf.remote()

    async def awaits(self, gate: Any) -> None:
        await gate.pass_through.remote()


@pytest.mark.processes(CIRCLES)
@pytest.mark.parametrize("how", ["plain", "nested", "gathered", "waits_first"])
def test_coroutine_that_awaits_its_own_actor_is_told_so_and_the_actor_lives_on(how: str) -> None:
    actor = Coroutines.remote()
    ag.get(actor.meet.remote(actor), timeout=DEADLINE)
    with pytest.raises(ag.exceptions.DeadlockError, match=f"Coroutines.{how} awaits Coroutines.leaf"):
        ag.get(getattr(actor, how).remote(), timeout=DEADLINE)
    assert ag.get(actor.leaf.remote(), timeout=DEADLINE) == 1


@pytest.mark.processes(CIRCLES)
def test_coroutines_of_two_actors_that_await_each_other_are_told_so() -> None:
    one, two = Coroutines.remote(), Coroutines.remote()
    ag.get([one.meet.remote(two), two.meet.remote(one)], timeout=DEADLINE)
    with pytest.raises(ag.exceptions.DeadlockError):
        ag.get(one.across.remote(5), timeout=DEADLINE)
    # What the first of them had called may be in a circle still, and a new call would get into that.
    assert wait_until(lambda: {task.state for task in list_tasks() if task.name == "Coroutines.across"} <= OVER)
    assert ag.get([one.across.remote(1), two.leaf.remote()], timeout=DEADLINE) == [0, 1]


def test_coroutine_with_a_time_limit_is_left_to_it() -> None:
    actor = Coroutines.remote()
    ag.get(actor.meet.remote(actor), timeout=DEADLINE)
    assert ag.get(actor.patient.remote(), timeout=DEADLINE) == "late"


@pytest.mark.processes("the simulator tells the head nothing of what is awaited")
def test_explanation_tells_what_a_coroutine_awaits() -> None:
    gate, actor = Gate.remote(), Coroutines.remote()
    ref = actor.awaits.remote(gate)
    assert wait_until(lambda: "Coroutines.awaits awaits in process" in ag.explain(ref), DEADLINE)
    assert "Gate.pass_through" in ag.explain(ref)
    ag.get(gate.open.remote())
    ag.get(ref, timeout=DEADLINE)


def test_wait_with_a_timeout_on_oneself_ends_by_itself() -> None:
    actor = Selfish.remote()
    ag.get(actor.set.remote(actor))
    assert ag.get(actor.patient.remote(), timeout=DEADLINE) is False


@pytest.mark.processes("nobody waits in virtual time: there is nobody to warn")
def test_call_that_waits_for_long_says_once_what_for(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], fresh_grid: Any
) -> None:
    monkeypatch.setenv("ACTORGRID_STALL_WARN", "0.2")
    fresh_grid(num_cpus=2)
    gate = Gate.remote()
    last = after.remote(held.remote(gate))
    with pytest.raises(ag.exceptions.GetTimeoutError):
        ag.get(last, timeout=1)
    ag.get(gate.open.remote())
    ag.get(last, timeout=DEADLINE)
    told = capfd.readouterr().err
    assert "get() has waited for 0.2 s for" in told
    assert "after has not started: it needs an argument from held" in told


@pytest.mark.processes("nobody waits in virtual time: there is nobody to warn")
@pytest.mark.parametrize("call", ["get", "wait"])
def test_call_that_waits_for_many_times_as_long_says_no_more_than_once_what_for(
    call: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], fresh_grid: Any
) -> None:
    monkeypatch.setenv("ACTORGRID_STALL_WARN", "0.1")
    fresh_grid(num_cpus=2)
    gate = Gate.remote()
    ref = held.remote(gate)
    if call == "get":
        with pytest.raises(ag.exceptions.GetTimeoutError):
            ag.get(ref, timeout=1)
    else:
        assert ag.wait([ref], timeout=1) == ([], [ref])
    told = capfd.readouterr().err  # of the task's own wait, too, which is another one
    assert told.count(f"{call}() has waited for 0.1 s for {ref.hex()}") == 1
    ag.get(gate.open.remote())
    ag.get(ref, timeout=DEADLINE)


@pytest.mark.processes("nobody waits in virtual time: there is nobody to warn")
@pytest.mark.parametrize("how", ["await", "future().result()"])
def test_other_ways_to_wait_for_long_say_once_what_for(
    how: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], fresh_grid: Any
) -> None:
    monkeypatch.setenv("ACTORGRID_STALL_WARN", "0.2")
    fresh_grid(num_cpus=2)
    gate = Gate.remote()
    ref = held.remote(gate)
    told: list[str] = []

    def is_told() -> bool:
        told.append(capfd.readouterr().err)
        return f"{how} has waited for 0.2 s for {ref.hex()}:" in "".join(told)

    async def wait_for_it() -> None:
        await ref

    def wait() -> None:
        if how == "await":
            asyncio.run(wait_for_it())
        else:
            ref.future().result()

    waiting = threading.Thread(target=wait)
    waiting.start()
    assert wait_until(is_told, DEADLINE)
    assert wait_until(lambda: is_told() and "\n  held " in "".join(told), DEADLINE)
    ag.get(gate.open.remote(), timeout=DEADLINE)
    waiting.join()
    is_told()
    assert "".join(told).count(f"{how} has waited") == 1
