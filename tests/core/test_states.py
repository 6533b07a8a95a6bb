"""The transition tables: total, reachable, and drawn in the docs as they are."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Any

import pytest

from actorgrid.core import states as s
from actorgrid.observe.diagram import page

MACHINES: dict[str, tuple[type[enum.StrEnum], type[enum.StrEnum], Any, Any, tuple[Any, ...]]] = {
    "task": (s.TaskState, s.TaskInput, s.TASK, s.IMPOSSIBLE_TASK, s.TASK_FINAL),
    "actor": (s.ActorState, s.ActorInput, s.ACTOR, s.IMPOSSIBLE_ACTOR, s.ACTOR_FINAL),
    "worker": (s.WorkerState, s.WorkerInput, s.WORKER, s.IMPOSSIBLE_WORKER, s.WORKER_FINAL),
    "reservation": (
        s.ReservationState,
        s.ReservationInput,
        s.RESERVATION,
        s.IMPOSSIBLE_RESERVATION,
        s.RESERVATION_FINAL,
    ),
    "stream": (s.StreamState, s.StreamInput, s.STREAM, s.IMPOSSIBLE_STREAM, s.STREAM_FINAL),
    "place": (s.PlaceState, s.PlaceInput, s.PLACE, s.IMPOSSIBLE_PLACE, s.PLACE_FINAL),
}


@pytest.mark.parametrize("name", MACHINES)
def test_every_pair_is_a_transition_or_impossible_for_a_reason(name: str) -> None:
    states, inputs, table, impossible, _ = MACHINES[name]
    pairs = {(state, given) for state in states for given in inputs}
    assert set(table) | set(impossible) == pairs
    assert not set(table) & set(impossible)
    assert all(impossible.values())


@pytest.mark.parametrize("name", MACHINES)
def test_every_state_is_reached_from_the_first(name: str) -> None:
    states, _, table, _, _ = MACHINES[name]
    reached = {next(iter(states))}
    while more := {after for (before, _), after in table.items() if before in reached} - reached:
        reached |= more
    assert reached == set(states)


@pytest.mark.parametrize("name", MACHINES)
def test_every_state_reaches_an_end(name: str) -> None:
    states, _, table, _, final = MACHINES[name]
    ending = set(final)
    while more := {before for (before, _), after in table.items() if after in ending} - ending:
        ending |= more
    assert ending == set(states)


@pytest.mark.parametrize("name", MACHINES)
def test_nothing_leaves_an_end(name: str) -> None:
    _, _, table, _, final = MACHINES[name]
    assert not [pair for pair in table if pair[0] in final]


def test_diagrams_in_the_docs_are_those_of_the_tables() -> None:
    docs = Path(__file__).parents[2] / "docs" / "reference" / "states.md"
    assert docs.read_text() == page(), "run: python -m actorgrid.observe.diagram > docs/reference/states.md"
