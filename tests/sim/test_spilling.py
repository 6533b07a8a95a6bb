"""Objects that go to disk and come back, under any order of messages, with workers that die meanwhile."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

from typing import Any

import pytest

import actorgrid as ag
from actorgrid import sim
from actorgrid.engine.current import installed

pytestmark = pytest.mark.search

SIZE = 200_000
#: Room for four of them.
STORE = 4 * (SIZE + 8192)


@ag.remote(max_retries=3)
def make(number: int) -> bytes:
    return bytes([number]) * SIZE


@ag.remote(max_retries=3)
def use(value: bytes) -> int:
    return value[0]


@ag.remote(max_retries=3)
def use_all(refs: list[Any]) -> list[int]:
    return [ag.get(ref)[0] for ref in refs]


def eight_in_room_for_four() -> None:
    ag.init(num_cpus=2, object_store_memory=STORE)
    refs = [ag.put(bytes([number]) * SIZE) for number in range(4)]
    refs += [make.remote(number) for number in range(4, 8)]
    calls = [use.remote(ref) for ref in refs]
    box = use_all.remote(refs)
    assert ag.get(calls) == list(range(8))
    engine: Any = installed()
    assert engine.query("stats").body["spilled"]
    assert ag.get(box) == list(range(8))
    assert [ag.get(ref)[-1] for ref in refs] == list(range(8))


def five_in_room_for_four() -> tuple[int, int]:
    ag.init(num_cpus=2, object_store_memory=STORE)
    engine: Any = installed()
    refs = [ag.put(bytes([number]) * SIZE) for number in range(4)]
    before = engine.query("stats").body["spilled"]
    refs.append(ag.put(bytes(SIZE)))
    return before, engine.query("stats").body["spilled"]


def test_no_more_leaves_memory_than_is_needed() -> None:
    before, after = sim.run(five_in_room_for_four, checks=True).value
    assert before == 0
    assert SIZE < after < 2 * SIZE


@pytest.mark.parametrize("level", ["calls", "links"])
@pytest.mark.parametrize("kill", [0, 2])
def test_values_are_right_under_any_order(level: Any, kill: int) -> None:
    found = sim.explore(eight_in_room_for_four, runs=12, level=level, faults=sim.Faults(kill=kill), checks=True)
    assert not found.failures, found.failures[0].error


def test_one_schedule_gives_one_run() -> None:
    first, second = (sim.run(eight_in_room_for_four, seed=5) for _ in range(2))
    assert first.digest == second.digest
