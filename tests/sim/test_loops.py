"""A result may come between two turns of an event loop of a task or of the main program; no reduction loses that."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import asyncio
import gc
import random
from collections.abc import Callable
from typing import Any

import pytest

import actorgrid as ag
from actorgrid import sim
from tests.sim.test_onlookers import outcomes
from tests.thinning import one_in
from tests.zoo.shared_state import Cell

pytestmark = pytest.mark.search

REDUCTIONS = ["none", "sleep", "dpor"]


@ag.remote
class Log:
    def __init__(self) -> None:
        self.said: list[Any] = []

    def put(self, what: Any) -> int:
        self.said.append(what)
        return len(self.said)

    def get(self) -> list[Any]:
        return self.said


async def count_until(ref: Any, turns: int) -> int:
    """Return how many turns somebody else has taken when the result comes."""
    taken = 0

    async def turn() -> None:
        nonlocal taken
        for _ in range(turns):
            await asyncio.sleep(0)
            taken += 1

    async def wait() -> int:
        await ref
        return taken

    return (await asyncio.gather(wait(), turn()))[0]


def in_main() -> Any:
    return asyncio.run(count_until(Cell.remote().get.remote(), 3))


@ag.remote
def counts() -> Any:
    return in_main()


def in_task() -> Any:
    return ag.get(counts.remote())


@ag.remote
class Counts:
    def count(self) -> Any:
        return in_main()


def in_synchronous_actor() -> Any:
    return ag.get(Counts.remote().count.remote())


@ag.remote
class CountsFirst:
    def __init__(self) -> None:
        self.counted = in_main()

    def get(self) -> Any:
        return self.counted


def in_constructor() -> Any:
    return ag.get(CountsFirst.remote().get.remote())


# ---------------------------------------------------------------------------------------------- who pays, who does not


def test_loop_to_which_nothing_can_come_has_the_schedules_that_it_had() -> None:
    async def main() -> None:
        await asyncio.gather(*(asyncio.sleep(0) for _ in range(3)))
        await Cell.remote().get.remote()
        await asyncio.gather(*(asyncio.sleep(0) for _ in range(3)))

    assert not sim.run(main).needs.turns


def test_loop_whose_coroutines_wait_for_results_only_has_the_schedules_that_it_had() -> None:
    async def main() -> list[Any]:
        return list(await asyncio.gather(*(Cell.remote(value).get.remote() for value in range(3))))

    run = sim.run(main)
    assert run.value == [0, 1, 2]
    assert not run.needs.turns


def test_dull_run_is_the_same_whether_turns_are_held_back_or_not() -> None:
    held = sim.run(in_main, schedule=sim.Schedule(settings={"holds": 5}))
    assert held.value == sim.run(in_main).value
    assert not held.schedule.deviations


# -------------------------------------------------------------------------------------------------- nothing is missed


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("program", [in_main, in_task, in_synchronous_actor, in_constructor])
def test_result_comes_while_others_there_go_on(program: Callable[[], Any], reduction: str) -> None:
    assert outcomes(program, reduction=reduction) == {"1", "2", "3"}


def test_bug_that_needs_a_result_to_come_between_two_turns_is_found() -> None:
    async def main() -> None:
        assert await count_until(Cell.remote().get.remote(), 3) == 3

    assert sim.explore(main, runs=200).failures
    assert sim.prove(main).failures


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_two_results_come_in_the_order_of_the_actor_and_wake_in_it(reduction: str) -> None:
    async def main() -> list[int]:
        log, seen = Log.remote(), []
        refs = [log.put.remote(number) for number in range(2)]

        async def wait(number: int, turns: int) -> None:
            for _ in range(turns):
                await asyncio.sleep(0)
            await refs[number]
            seen.append(number)

        await asyncio.gather(wait(0, 2), wait(1, 0))
        return seen

    assert outcomes(main, reduction=reduction) == {"[0, 1]", "[1, 0]"}


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_item_of_a_stream_comes_while_others_there_go_on(reduction: str) -> None:
    async def main() -> int:
        taken, stream = 0, Streams.remote().items.options(num_returns="streaming").remote()

        async def read() -> int:
            async for _ in stream:
                return taken
            raise AssertionError

        async def turn() -> None:
            nonlocal taken
            for _ in range(3):
                await asyncio.sleep(0)
                taken += 1

        return (await asyncio.gather(read(), turn()))[0]

    assert outcomes(main, reduction=reduction) == {"0", "1", "2", "3"}


@ag.remote
class Streams:
    def items(self) -> Any:
        yield 1


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_thread_has_its_say_while_others_there_go_on(reduction: str) -> None:
    async def main() -> list[int]:
        Cell.remote()  # a grid is there
        seen: list[int] = []

        async def turn() -> None:
            for _ in range(3):
                await asyncio.sleep(0)
            seen.append(1)

        await asyncio.gather(asyncio.to_thread(seen.append, 0), turn())
        return seen

    assert outcomes(main, reduction=reduction) == {"[0, 1]", "[1, 0]"}


# --------------------------------------------------------------------------------------------- what nobody asked for


@ag.remote(max_retries=0)
def fails() -> None:
    raise LookupError("as told")


def test_error_of_a_future_that_nobody_asked_for_is_told_in_asyncios_words(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        await asyncio.wait([fails.remote().as_future()])
        gc.collect()

    sim.run(main)
    assert [each.getMessage().partition("\n")[0] for each in caplog.records] == ["Future exception was never retrieved"]


def test_nothing_is_told_of_what_is_left_when_the_world_is_over(caplog: pytest.LogCaptureFixture) -> None:
    kept: list[Any] = []

    async def main() -> None:
        kept.append(fails.remote().as_future())
        await asyncio.wait(kept)
        kept.append(asyncio.ensure_future(asyncio.sleep(0, fails.remote())))

    sim.run(main)
    kept.clear()
    gc.collect()
    assert not caplog.records


def test_nothing_is_told_of_what_is_left_when_a_run_is_given_up(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> list[Any]:
        cells = [Cell.remote(value) for value in range(2)]
        failed = fails.remote().as_future()
        await asyncio.gather(*(cell.get.remote() for cell in cells))
        await asyncio.sleep(0)
        return list(await asyncio.gather(failed, return_exceptions=True))

    proof = sim.prove(main)
    assert proof.blocked
    gc.collect()
    assert not caplog.records


# ------------------------------------------------------------------------- who is called back, and looks whether he is


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_future_may_be_done_when_it_is_made_or_not(reduction: str) -> None:
    def program() -> bool:
        ref = Cell.remote().get.remote()
        ag.get(Cell.remote().get.remote())
        return bool(ref.future().done())

    assert outcomes(program, reduction=reduction) == {"True", "False"}


@ag.remote
def one() -> int:
    return 1


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_future_of_a_task_may_be_done_when_it_is_made_or_not(reduction: str) -> None:
    def program() -> bool:
        ref = one.remote()
        ag.get(Cell.remote().get.remote())
        return bool(ref.future().done())

    assert outcomes(program, reduction=reduction) == {"True", "False"}


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_callback_comes_at_once_or_later(reduction: str) -> None:
    def program() -> int:
        told: list[Any] = []
        ref = Cell.remote().get.remote()
        ag.get(Cell.remote().get.remote())
        ref._on_completed(told.append)
        at_once = len(told)
        ag.get(ref)
        return at_once

    assert outcomes(program, reduction=reduction) == {"0", "1"}


# ---------------------------------------------------------------------------------------------------- random programs


async def play(me: int, acts: str, logs: list[Any], seen: list[Any], event: asyncio.Event) -> None:
    """Do one thing after the other, and note that."""
    late = None
    for act in acts:
        if act == "s":
            await asyncio.sleep(0)
        elif act in "rR":
            seen.append(await logs[-(act == "R")].put.remote(me))
        elif act == "l":
            late = logs[0].put.remote(me)
        elif act == "w" and late is not None:
            seen.append(await late)
        elif act == "d" and late is not None:
            seen.append(late.future().done())
        elif act == "e":
            event.set()
        elif act == "E":
            await asyncio.wait([asyncio.ensure_future(event.wait())], timeout=1)
        elif act == "c":
            await asyncio.create_task(asyncio.sleep(0))
        elif act == "t":
            await asyncio.to_thread(seen.append, "thread")
        seen.append(me)


def played(acts: list[str], count: int) -> Any:
    logs = [Log.remote() for _ in range(count)]
    seen: list[Any] = []

    async def main() -> None:
        event = asyncio.Event()
        await asyncio.gather(*(play(me, each, logs, seen, event) for me, each in enumerate(acts)))

    asyncio.run(main())
    return seen, ag.get([log.get.remote() for log in logs])


@ag.remote
def plays(acts: list[str], count: int) -> Any:
    return played(acts, count)


def drawn_program(acts: list[str], count: int, by_task: bool) -> Any:
    return ag.get(plays.remote(acts, count)) if by_task else played(acts, count)


def drawn(seed: int) -> tuple[list[str], int, bool]:
    rng = random.Random(seed)
    alphabet = rng.choice(["ssrRlwd", "ssrRlwdteEc"])
    acts = ["".join(rng.choice(alphabet) for _ in range(rng.randint(1, 3))) for _ in range(rng.randint(1, 3))]
    return acts, rng.randint(1, 2), rng.random() < 0.5


@pytest.mark.parametrize("seed", one_in(20, range(60)))
def test_reductions_lose_nothing_of_drawn_programs(seed: int) -> None:
    args = drawn(seed)
    everything = outcomes(drawn_program, *args, reduction="none", most=400)
    for reduction in REDUCTIONS[1:]:
        found = outcomes(drawn_program, *args, reduction=reduction, most=400)
        assert None in (everything, found) or found == everything, reduction
