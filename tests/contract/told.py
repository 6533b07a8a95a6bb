"""What the tests of states use: tasks and an actor to be told of."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

from typing import Any

import actorgrid as ag
from actorgrid.util import state


@ag.remote
def identity(value: Any) -> Any:
    return value


@ag.remote
def waiting(gate: Any) -> None:
    ag.get(gate.pass_through.remote("waiting"))


@ag.remote
class Counter:
    def increase(self) -> int:
        return 1

    def where(self) -> tuple[str, str]:
        context = ag.get_runtime_context()
        return context.get_actor_id() or "", context.get_worker_id()


def task_of(ref: Any) -> Any:
    """Return the state of the task that makes an object."""
    found = state.get_task(ref.hex()[:48])
    assert found is not None
    return found


@ag.remote(num_cpus=0)
class hold_back:  # noqa: N801  # a name of its own to filter by
    def __init__(self, *_: Any) -> None: ...
