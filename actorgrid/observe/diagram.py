"""The state diagrams of the docs, drawn from the transition tables.

Run ``python -m actorgrid.observe.diagram > docs/reference/states.md`` after a change of a table.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from actorgrid.core import states

#: (state, input) -> next state, of any of the machines.
Table = Mapping[Any, StrEnum]


def mermaid(table: Table, first: StrEnum, final: tuple[StrEnum, ...]) -> str:
    """Return a transition table as a Mermaid state diagram; inputs with the same effect share an arrow."""
    arrows: dict[tuple[str, str], list[str]] = {}
    for (before, given), after in table.items():
        arrows.setdefault((before, after), []).append(given)
    lines = ["stateDiagram-v2", f"    [*] --> {first}"]
    lines += [f"    {before} --> {after}: {', '.join(given)}" for (before, after), given in arrows.items()]
    lines += [f"    {state} --> [*]" for state in final]
    return "\n".join(lines)


def page() -> str:
    """Return the page with all diagrams."""
    s = states
    origin = "Drawn from the tables in `actorgrid/core/states.py` by `python -m actorgrid.observe.diagram`."
    parts = ["# States", "", origin]
    machines: list[tuple[str, Table, StrEnum, tuple[StrEnum, ...]]] = [
        ("A task, or a call of an actor", s.TASK, s.TaskState.WAITING, s.TASK_FINAL),
        ("An actor", s.ACTOR, s.ActorState.PENDING, s.ACTOR_FINAL),
        ("A worker process", s.WORKER, s.WorkerState.IDLE, s.WORKER_FINAL),
        ("A placement group", s.RESERVATION, s.ReservationState.WAITING, s.RESERVATION_FINAL),
        ("A stream: what a generator yields", s.STREAM, s.StreamState.OPEN, s.STREAM_FINAL),
        ("The place of an object in shared memory", s.PLACE, s.PlaceState.ARENA, s.PLACE_FINAL),
    ]
    for title, table, first, final in machines:
        parts += ["", f"## {title}", "", "```mermaid", mermaid(table, first, final), "```"]
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    print(page(), end="")  # noqa: T201  # the point of running it
