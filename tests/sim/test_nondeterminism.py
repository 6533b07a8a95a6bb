"""What decides beside the simulator: the usual sources are closed, and the others are found out and named."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Callable, Iterator
from pathlib import Path
from traceback import format_exception
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import actorgrid as ag
from actorgrid import sim
from actorgrid.exceptions import NondeterminismError
from tests.zoo.shared_state import Cell, finish

QUICK = settings(deadline=None, database=None, derandomize=True, phases=[Phase.generate, Phase.shrink])


async def one(n: int) -> int:
    await asyncio.sleep(1)
    return n


async def waited_for() -> list[int]:
    done, _ = await asyncio.wait([asyncio.ensure_future(one(n)) for n in range(8)])
    return [task.result() for task in done]


async def futures_of_the_loop() -> list[int]:
    futures = [asyncio.get_running_loop().create_future() for _ in range(8)]
    for n, future in enumerate(futures):
        future.set_result(n)
    return [future.result() for future in set(futures)]


async def names_of_tasks() -> str:
    return asyncio.ensure_future(one(1)).get_name()


def futures_of_a_pool() -> list[int]:
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        return [future.result() for future in concurrent.futures.wait([pool.submit(abs, n) for n in range(8)]).done]


def futures_of_references() -> list[int]:
    return [future.result() for future in {ag.put(n).future() for n in range(8)}]


SETS: list[Callable[[], Any]] = [
    lambda: asyncio.run(waited_for()), lambda: asyncio.run(futures_of_the_loop()),
    lambda: asyncio.run(names_of_tasks()), futures_of_a_pool, futures_of_references,
    lambda: [ag.get(ref) for ref in {ag.put(n) for n in range(8)}],
]  # fmt: skip


@pytest.mark.parametrize("program", SETS)
def test_sets_of_what_is_waited_for_have_one_order(program: Callable[[], Any]) -> None:
    kept, found = [], []
    for _ in range(10):
        kept.append([object() for _ in range(37)])  # so that addresses differ
        result = sim.run(program)
        assert result.error is None
        found.append(result.value)
    assert all(value == found[0] for value in found)


@ag.remote
def put(cell: Any, value: int) -> None:
    ag.get(cell.set.remote(value))


class Unsteady:
    """Numbers in an order that nobody controls, but that is another one each time it matters."""

    def __init__(self, period: int) -> None:
        self.count = 0
        self.period = period

    def last_is(self) -> int:
        self.count += 1
        return int(self.count % self.period != 0)


def puts(order: Unsteady) -> None:
    cell = Cell.remote()
    last = order.last_is()
    finish([put.remote(cell, value) for value in (1 - last, last)])
    assert ag.get(cell.get.remote()) == 0


def test_counterexample_that_does_not_fail_again_is_told_as_what_it_is() -> None:
    with pytest.raises(NondeterminismError, match=r"differ at step 0: Cell\.set .* not given the same arguments"):
        sim.explore(puts, Unsteady(3), runs=50, check_every=0)


def from_outside() -> str:
    return Path("/proc/sys/kernel/random/uuid").read_text(encoding="ascii")  # what no simulator sees


@ag.remote
def gives() -> str:
    return from_outside()


@ag.remote
def gives_back(_: str) -> None: ...


@ag.remote
def gives_much() -> str:
    return from_outside() * 100_000


@ag.remote(num_returns="streaming")
def yields() -> Iterator[str]:
    yield from_outside()


def takes_an_argument() -> None:
    finish([put.remote(Cell.remote(), from_outside())])


LEAKS: dict[str, Callable[[], Any]] = {
    r"the result of gives": lambda: ag.get(gives.remote()),
    r"the result of gives_much": lambda: ag.get(gives_much.remote()),
    r"an item of yields": lambda: list(yields.remote()),
    r"what is given to put\(\)": lambda: finish([gives_back.remote(ag.put(from_outside()))]),
    r"not given the same arguments": takes_an_argument,
    r"an argument of gives_back": lambda: finish([gives_back.remote(from_outside())]),
}


@pytest.mark.parametrize("what", LEAKS)
@pytest.mark.parametrize("check", [lambda leak: sim.explore(leak, runs=5, check_every=1), sim.prove])
def test_value_that_differs_from_run_to_run_is_found_out_and_named(what: str, check: Callable[[Any], Any]) -> None:
    with pytest.raises(NondeterminismError, match=what):
        check(LEAKS[what])


class Anything:
    """Says no more of itself than where it lies."""


kept_elsewhere: list[Any] = []


@ag.remote
def fails_at_an_address() -> None:
    kept_elsewhere.append([object() for _ in range(37)])
    raise ValueError(f"no such {Anything()!r}")


def test_address_in_a_message_is_no_other_value() -> None:
    def program() -> None:
        with pytest.raises(ValueError, match="no such"):
            ag.get(fails_at_an_address.remote())

    assert sim.explore(program, runs=20, check_every=1).exhaustive


def test_nondeterminism_is_named_although_hypothesis_finds_it_first() -> None:
    failed: list[int] = []

    @QUICK
    @given(st.none())
    def fails_once(_: None) -> None:
        with sim.world():
            cell = Cell.remote()
            finish([put.remote(cell, value) for value in range(3)])
            value = ag.get(cell.get.remote())
            if value != 2 and not failed:
                failed.append(value)
                raise AssertionError

    with pytest.raises(NondeterminismError, match="one ends with AssertionError, the other with no error"):
        fails_once()


def test_other_possibilities_than_before_are_named_too() -> None:
    counts = [0]

    @QUICK
    @given(st.none())
    def varies(_: None) -> None:
        counts[0] += 1
        with sim.world():
            cell = Cell.remote()
            finish([put.remote(cell, value) for value in range(3 + counts[0] % 2)])

    with pytest.raises(Exception) as caught:  # Hypothesis wraps it, or raises its own on top of it
        varies()
    assert "NondeterminismError: two runs with the same choices differ" in "".join(format_exception(caught.value))


def test_proof_of_a_program_that_remembers_earlier_runs_is_refused() -> None:
    remembered: list[int] = []

    def program() -> None:
        cell = Cell.remote(0)
        if not remembered:
            ag.get(cell.get.remote())
        remembered.append(1)
        ag.get([cell.get.remote(), cell.get.remote()])

    with pytest.raises(NondeterminismError, match="two runs with the same choices differ"):
        sim.prove(program)
