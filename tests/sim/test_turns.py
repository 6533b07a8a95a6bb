"""A call may come between any two turns of an event loop, where that can be told; and no reduction loses any of it."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import actorgrid as ag
from actorgrid import sim
from actorgrid.exceptions import LivelockError
from actorgrid.sim.onlookers import Holds
from tests.sim.test_onlookers import outcomes
from tests.zoo import actors, shared_state
from tests.zoo.shared_state import Cell

pytestmark = pytest.mark.search

REDUCTIONS = ["sleep", "dpor"]


async def nothing() -> None: ...


@ag.remote
class Waiting:
    """Waits in the middle of an update, in many ways: for what is over at once."""

    def __init__(self, cell: Any) -> None:
        self.value = 0
        self.cell = cell
        self.opened = asyncio.Event()

    async def add(self, how: str) -> int:
        value = self.value
        await getattr(self, how)()
        self.value = value + 1
        return self.value

    async def sleep(self) -> None:
        await asyncio.sleep(0)

    async def nap(self) -> None:
        await asyncio.sleep(0.001)

    async def task(self) -> None:
        await asyncio.create_task(nothing())

    async def gather(self) -> None:
        await asyncio.gather(nothing(), nothing())

    async def patience(self) -> None:
        await asyncio.wait_for(asyncio.sleep(0), 5)  # from 3.12 on, what does not wait is not waited for

    async def thread(self) -> None:
        await asyncio.to_thread(lambda: None)

    async def queue(self) -> None:
        queue: asyncio.Queue[int] = asyncio.Queue()
        asyncio.get_running_loop().call_soon(queue.put_nowait, 1)
        await queue.get()

    async def other(self) -> None:
        await self.cell.get.remote()

    async def own_future(self) -> None:
        future = asyncio.get_running_loop().create_future()
        future.set_result(None)
        await future

    async def open(self) -> bool:
        self.opened.set()
        await asyncio.sleep(0)
        return self.opened.is_set()

    async def close(self) -> None:
        self.opened.clear()

    async def pass_it(self) -> int:
        await self.opened.wait()
        return self.value

    async def set(self, value: int) -> None:
        self.value = value

    async def spin(self) -> int:
        while not self.value:  # noqa: ASYNC110  # it is what this is about
            await asyncio.sleep(0)
        return self.value

    async def get(self) -> int:
        return self.value


def add_twice(how: str) -> Any:
    waiting = Waiting.remote(Cell.remote())
    ag.get([waiting.add.remote(how) for _ in range(2)])
    return ag.get(waiting.get.remote())


def open_and_close() -> Any:
    waiting = Waiting.remote(None)
    return ag.get([waiting.open.remote(), waiting.close.remote()])[0]


def pass_and_set() -> Any:
    waiting = Waiting.remote(None)
    passed = waiting.pass_it.remote()
    ag.get([waiting.open.remote(), waiting.set.remote(7)])
    return ag.get(passed)


# ---------------------------------------------------------------------------------------------- who pays, who does not


def test_loop_that_never_puts_anybody_into_its_queue_has_the_schedules_that_it_had() -> None:
    assert not sim.run(actors.await_interleave).needs.turns
    assert not sim.run(add_twice, "other").needs.turns
    assert not sim.run(add_twice, "own_future").needs.turns
    assert not sim.run(add_twice, "nap").needs.turns
    assert not sim.run(shared_state.account).needs.turns


def test_first_turn_that_can_be_told_makes_the_search_begin_again_with_turns_held_back() -> None:
    assert sim.run(add_twice, "sleep").needs.turns
    found = sim.explore(lambda: add_twice("sleep") == 2 or pytest.fail("lost"), runs=20)
    schedule = found.failures[0].schedule
    assert schedule.settings == {"holds": 4, "python": "{}.{}".format(*sys.version_info)}
    assert len(schedule.deviations) == 1


def test_dull_run_is_the_same_whether_turns_are_held_back_or_not() -> None:
    for program in (lambda: add_twice("gather"), open_and_close, pass_and_set):
        held = sim.run(program, schedule=sim.Schedule(settings={"holds": 4}))
        assert held.value == sim.run(program).value
        assert not held.schedule.deviations


def test_what_is_held_back_adds_up() -> None:
    assert Holds.TASKS.joined(Holds.TURNS) == Holds.TASKS | Holds.TURNS
    assert (Holds.TASKS | Holds.TURNS).joined(Holds.ALL) == Holds.ALL | Holds.TURNS
    assert (Holds.TASKS | Holds.TURNS).joined(Holds.ALL | Holds.THREADS) == Holds.ALL | Holds.TURNS | Holds.THREADS
    assert (Holds.TASKS | Holds.TURNS).covers(Holds.TURNS)
    assert not (Holds.TASKS | Holds.TURNS).covers(Holds.THREADS)
    assert not Holds.TURNS.covers(Holds.TASKS)
    assert not Holds.ALL.covers(Holds.TURNS)


# ------------------------------------------------------------------------------------------------- nothing is missed


@pytest.mark.parametrize("reduction", ["none", *REDUCTIONS])
@pytest.mark.parametrize("how", ["sleep", "nap", "task", "gather", "patience", "thread", "queue", "other"])
def test_update_is_lost_whatever_the_actor_waits_for(how: str, reduction: str) -> None:
    assert outcomes(lambda: add_twice(how), reduction=reduction) == {"1", "2"}


@pytest.mark.parametrize("reduction", ["none", *REDUCTIONS])
def test_nothing_comes_between_where_an_actor_does_not_wait(reduction: str) -> None:
    assert outcomes(lambda: add_twice("own_future"), reduction=reduction) == {"2"}


@pytest.mark.parametrize("reduction", ["none", *REDUCTIONS])
@pytest.mark.parametrize(("program", "everything"), [(open_and_close, {"True", "False"}), (pass_and_set, {"0", "7"})])
def test_call_comes_between_a_deed_and_who_waits_for_it(
    program: Callable[[], Any], everything: set[str], reduction: str
) -> None:
    assert outcomes(program, reduction=reduction) == everything


def test_loop_that_turns_until_others_have_done_something_lets_them() -> None:
    def program() -> Any:
        waiting = Waiting.remote(None)
        spun = waiting.spin.remote()
        waiting.set.remote(3)
        return ag.get(spun)

    for holds in (0, 4):
        assert sim.run(program, schedule=sim.Schedule(settings={"holds": holds})).value == 3


def test_loop_that_turns_for_ever_is_told() -> None:
    result = sim.run(lambda: ag.get(Waiting.remote(None).spin.remote()), max_events=50)
    assert isinstance(result.error, LivelockError)


def test_loop_of_the_main_program_that_turns_until_something_has_come_lets_it() -> None:
    async def main() -> Any:
        future = asyncio.ensure_future(Cell.remote(5).get.remote().as_future())
        while not future.done():  # noqa: ASYNC110  # see above
            await asyncio.sleep(0)
        return future.result()

    assert sim.run(main).value == 5


@pytest.mark.parametrize("reduction", ["none", "dpor"])
def test_single_place_is_taken_by_the_next_call_when_it_is_free(reduction: str) -> None:
    def program() -> Any:
        waiting = Waiting.options(max_concurrency=1).remote(None)
        ag.get([waiting.add.remote("sleep") for _ in range(2)])
        return ag.get(waiting.get.remote())

    assert outcomes(program, reduction=reduction) == {"2"}


def test_turns_are_choices_where_messages_of_the_runtime_are_too() -> None:
    found = sim.explore(lambda: add_twice("sleep") == 2 or pytest.fail("lost"), runs=200, level="links")
    assert found.failures


# ---------------------------------------------------------------------------------------------------- random programs


@ag.remote
class Drawn:
    """Does what it is told: each call one thing after the other."""

    def __init__(self, cell: Any) -> None:
        self.cell = cell
        self.seen: list[int] = []
        self.event = asyncio.Event()

    async def do(self, me: int, acts: str) -> None:
        for act in acts:
            if act == "s":
                await asyncio.sleep(0)
            elif act == "t":
                await asyncio.create_task(nothing())
            elif act == "r":
                await self.cell.get.remote()
            elif act == "e":
                self.event.set()
            elif act == "w" and len(self.seen) < 2:
                await asyncio.wait([asyncio.ensure_future(self.event.wait())], timeout=1)
            self.seen.append(me)

    @ag.method(readonly=True)
    async def look(self, times: int) -> list[int]:
        found = []
        for _ in range(times):
            found.append(len(self.seen))
            await asyncio.sleep(0)
        return found

    async def all(self) -> list[int]:
        return self.seen


@ag.remote
def do_it(drawn: Any, me: int, acts: str) -> None:
    ag.get(drawn.do.remote(me, acts))


def drawn_program(acts: list[str], looks: int, by_task: bool) -> Any:
    drawn = Drawn.remote(Cell.remote(1))
    refs = [(do_it.remote if by_task and not me else _call)(drawn, me, each) for me, each in enumerate(acts)]
    looked = drawn.look.remote(looks) if looks else None
    ag.get(refs)
    return ag.get(drawn.all.remote()), ag.get(looked) if looked is not None else None


def _call(drawn: Any, me: int, acts: str) -> Any:
    return drawn.do.remote(me, acts)


def compared(acts: list[str], looks: int, by_task: bool) -> bool:
    """See that every reduction finds what there is; return False, with nothing seen, if not everything can be tried."""
    everything = outcomes(drawn_program, acts, looks, by_task, reduction="none", most=1500)
    if everything is None:
        return False
    for reduction in REDUCTIONS:
        assert outcomes(drawn_program, acts, looks, by_task, reduction=reduction) == everything
    return True


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_cancellation_comes_between_two_turns(reduction: str) -> None:
    def program() -> Any:
        drawn = Drawn.remote(Cell.remote(1))
        refs = [drawn.do.remote(me, "s") for me in range(2)]
        ag.cancel(refs[0])
        try:
            ended = ag.get(refs[0])
        except ag.exceptions.TaskCancelledError:
            ended = "cancelled"
        ag.get(refs[1])
        return ended, ag.get(drawn.all.remote())

    found = outcomes(program, reduction=reduction)
    assert found == {
        repr(each)
        for each in [(None, [0, 1]), (None, [1, 0]), ("cancelled", [1]), ("cancelled", [0, 1]), ("cancelled", [1, 0])]
    }


@pytest.mark.parametrize("reduction", [*REDUCTIONS, "none"])
def test_call_that_is_cancelled_in_the_queue_of_its_loop_does_its_deed(reduction: str) -> None:
    """It never waits: nothing but the cancellation says that it matters when its turn comes."""

    def program() -> Any:
        drawn = Drawn.remote(Cell.remote(1))
        ref = drawn.do.remote(0, "e")
        ag.cancel(ref)
        try:
            ended = ag.get(ref)
        except ag.exceptions.TaskCancelledError:
            ended = "cancelled"
        return ended, ag.get(drawn.all.remote())

    found = outcomes(program, reduction=reduction)
    assert found == {repr(each) for each in [(None, [0]), ("cancelled", []), ("cancelled", [0])]}


ACTS = st.lists(st.text("strew", min_size=1, max_size=3), min_size=1, max_size=3)
PROGRAMS = (ACTS, st.integers(0, 2), st.booleans())


@pytest.mark.parametrize(
    ("acts", "looks", "by_task"),
    [(["ss", "s"], 0, True), (["s", "s"], 1, False), (["rs", "s"], 0, True), (["e", "w"], 0, False), (["s"], 2, True)],
)
def test_reductions_lose_nothing_of_a_drawn_program(acts: list[str], looks: int, by_task: bool) -> None:
    assert compared(acts, looks, by_task)


@pytest.mark.slow
@given(*PROGRAMS)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_reductions_lose_nothing_of_many_drawn_programs(acts: list[str], looks: int, by_task: bool) -> None:
    assume(compared(acts, looks, by_task))
