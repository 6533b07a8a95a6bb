"""What runs, waits, lives and has been: the names of ``ray.util.state``, answered by the head of the running grid.

The answer is never late: everything that the calling process has submitted, put or dropped before the call is in it.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final, TypeVar

from actorgrid.api.absent import Absent, stand_in
from actorgrid.api.context import get_runtime_context
from actorgrid.engine.generators import ObjectRefGenerator
from actorgrid.engine.protocol import Waitable
from actorgrid.engine.refs import ObjectRef
from actorgrid.util.state.asking import (
    MAKES,
    MOST,
    TIMEOUT,
    Filter,
    Nothing,
    Question,
    check_address,
    check_filters,
    check_limit,
    nodes,
)
from actorgrid.util.state.common import (
    TASK_DIGITS,
    ActorState,
    JobState,
    NodeState,
    ObjectState,
    PlacementGroupState,
    StateSchema,
    TaskState,
    WorkerState,
)

__all__ = [
    "get_actor",
    "get_job",
    "get_node",
    "get_objects",
    "get_placement_group",
    "get_task",
    "get_worker",
    "list_actors",
    "list_jobs",
    "list_nodes",
    "list_objects",
    "list_placement_groups",
    "list_tasks",
    "list_workers",
    "summarize_actors",
    "summarize_objects",
    "summarize_tasks",
]

S = TypeVar("S", bound=StateSchema)
_OF: Final[dict[type[StateSchema], str]] = {
    TaskState: "tasks",
    ActorState: "actors",
    ObjectState: "objects",
    WorkerState: "workers",
    JobState: "jobs",
    PlacementGroupState: "placement_groups",
}
_MEBI: Final = 1 << 20


if not TYPE_CHECKING:  # else type checkers would take any name for one that there is

    def __getattr__(name: str) -> Absent:
        return stand_in(__name__, name)


def _listed(
    cls: type[S], filters: list[Filter] | None, limit: int, timeout: float, *, detail: bool, address: str | None
) -> list[S]:
    check_address(address)
    checked, most = check_filters(cls, filters), check_limit(limit)
    try:
        return [cls(**row) for row in Question(cls, _OF[cls]).ask(checked, most, timeout, detail=detail)]
    except Nothing:
        return []


# The parameters of these functions are Ray's, also where there is nothing to do about them here: no answer is missing
# (``raise_on_missing_output``), and none is put together from several (``_explain``).


def list_tasks(
    address: str | None = None, filters: list[Filter] | None = None, limit: int = 100, timeout: float = TIMEOUT,
    detail: bool = False, raise_on_missing_output: bool = True, _explain: bool = False,
) -> list[TaskState]:  # fmt: skip
    """Return tasks, constructions of actors and calls of actors: first those that are not over, then the newest others.

    ``filters``: (column, "=" or "!=", value), all of which must hold; the case of text does not matter. At most
    ``limit`` (up to 10000) come back. Columns that take more room are None unless ``detail``. Raises ValueError and
    TypeError for a bad filter or limit, RuntimeError without a grid, GetTimeoutError after ``timeout`` seconds.
    """
    del raise_on_missing_output, _explain
    return _listed(TaskState, filters, limit, timeout, detail=detail, address=address)


def list_actors(
    address: str | None = None, filters: list[Filter] | None = None, limit: int = 100, timeout: float = TIMEOUT,
    detail: bool = False, raise_on_missing_output: bool = True, _explain: bool = False,
) -> list[ActorState]:  # fmt: skip
    """Return actors: first those that are not dead, in the order of their creation, then the last that died.

    See ``list_tasks`` for parameters and errors.
    """
    del raise_on_missing_output, _explain
    return _listed(ActorState, filters, limit, timeout, detail=detail, address=address)


def list_objects(
    address: str | None = None, filters: list[Filter] | None = None, limit: int = 100, timeout: float = TIMEOUT,
    detail: bool = False, raise_on_missing_output: bool = True, _explain: bool = False,
) -> list[ObjectState]:  # fmt: skip
    """Return objects that somebody refers to: a row for each process that does. See ``list_tasks``."""
    del raise_on_missing_output, _explain
    return _listed(ObjectState, filters, limit, timeout, detail=detail, address=address)


def list_workers(
    address: str | None = None, filters: list[Filter] | None = None, limit: int = 100, timeout: float = TIMEOUT,
    detail: bool = False, raise_on_missing_output: bool = True, _explain: bool = False,
) -> list[WorkerState]:  # fmt: skip
    """Return the driver and the workers, then the last workers that ended, and why. See ``list_tasks``."""
    del raise_on_missing_output, _explain
    return _listed(WorkerState, filters, limit, timeout, detail=detail, address=address)


def list_jobs(
    address: str | None = None, filters: list[Filter] | None = None, limit: int = 100, timeout: float = TIMEOUT,
    detail: bool = False, raise_on_missing_output: bool = True, _explain: bool = False,
) -> list[JobState]:  # fmt: skip
    """Return the drivers of this grid, then those that have left it. See ``list_tasks``."""
    del raise_on_missing_output, _explain
    jobs = _listed(JobState, filters, limit, timeout, detail=detail, address=address)
    here = get_runtime_context().get_job_id()
    for job in jobs:
        job.entrypoint = " ".join(sys.argv) if job.job_id == here else ""  # workers have that of their driver
    return jobs


def list_placement_groups(
    address: str | None = None, filters: list[Filter] | None = None, limit: int = 100, timeout: float = TIMEOUT,
    detail: bool = False, raise_on_missing_output: bool = True, _explain: bool = False,
) -> list[PlacementGroupState]:  # fmt: skip
    """Return the placement groups that there are, oldest first; not those that were removed. See ``list_tasks``."""
    del raise_on_missing_output, _explain
    return _listed(PlacementGroupState, filters, limit, timeout, detail=detail, address=address)


def list_nodes(
    address: str | None = None, filters: list[Filter] | None = None, limit: int = 100, timeout: float = TIMEOUT,
    detail: bool = False, raise_on_missing_output: bool = True, _explain: bool = False,
) -> list[NodeState]:  # fmt: skip
    """Return this machine, if the filters let it pass. See ``list_tasks``."""
    del raise_on_missing_output, _explain, timeout, detail
    check_address(address)
    checked, most = check_filters(NodeState, filters), check_limit(limit)
    return nodes(checked)[:most]


# ------------------------------------------------------------------------------------------------------------- one


def _one(cls: type[S], column: str, ident: Any, address: str | None, timeout: float, how: str = "=") -> S | None:
    if not isinstance(ident, str):
        raise TypeError(f"an id is a text of hex digits, not {type(ident).__name__}: {ident!r:.100}")
    check_address(address)
    rows = Question(cls, _OF[cls]).ask([(column, how, ident)], 1, timeout, detail=True)
    return cls(**rows[0]) if rows else None


def get_task(
    id: str | Waitable, address: str | None = None, timeout: float = TIMEOUT, _explain: bool = False,  # noqa: A002  # Ray's name
) -> TaskState | None:  # fmt: skip
    """Return the task with this id, with all details; None if there is none, or the head has forgotten it.

    A reference does as well: one to a result of a call, or a generator (the items of a generator tell nothing).
    """
    del _explain
    if isinstance(id, ObjectRefGenerator):
        id = id.completed()  # noqa: A001  # Ray's name
    ident = id.hex()[:TASK_DIGITS] if isinstance(id, ObjectRef) else id
    return _one(TaskState, "task_id", ident, address, timeout, how=MAKES)


def get_actor(
    id: str, address: str | None = None, timeout: float = TIMEOUT, _explain: bool = False,  # noqa: A002  # Ray's name
) -> ActorState | None:  # fmt: skip
    """Return the actor with this id, with all details; None if there is none, or the head has forgotten it."""
    del _explain
    return _one(ActorState, "actor_id", id, address, timeout)


def get_worker(
    id: str, address: str | None = None, timeout: float = TIMEOUT, _explain: bool = False,  # noqa: A002  # Ray's name
) -> WorkerState | None:  # fmt: skip
    """Return the worker with this id, with all details; None if there is none, or the head has forgotten it."""
    del _explain
    return _one(WorkerState, "worker_id", id, address, timeout)


def get_job(
    id: str, address: str | None = None, timeout: float = TIMEOUT, _explain: bool = False,  # noqa: A002  # Ray's name
) -> JobState | None:  # fmt: skip
    """Return the driver with this job id, with all details; None if there is none."""
    del _explain
    found = list_jobs(address, [("job_id", "=", id)], timeout=timeout, detail=True)
    return found[0] if found else None


def get_placement_group(
    id: str, address: str | None = None, timeout: float = TIMEOUT, _explain: bool = False,  # noqa: A002  # Ray's name
) -> PlacementGroupState | None:  # fmt: skip
    """Return a placement group, None if there is none with this id."""
    del _explain
    return _one(PlacementGroupState, "placement_group_id", id, address, timeout)


def get_node(
    id: str, address: str | None = None, timeout: float = TIMEOUT, _explain: bool = False,  # noqa: A002  # Ray's name
) -> NodeState | None:  # fmt: skip
    """Return this machine if that is its id, else None."""
    del _explain
    found = list_nodes(address, [("node_id", "=", id)], timeout=timeout)
    return found[0] if found else None


def get_objects(
    id: str, address: str | None = None, timeout: float = TIMEOUT, _explain: bool = False,  # noqa: A002  # Ray's name
) -> list[ObjectState]:  # fmt: skip
    """Return the references to the object with this id: one row for each process that has any."""
    del _explain
    return _listed(ObjectState, [("object_id", "=", id)], MOST, timeout, detail=True, address=address)


# ------------------------------------------------------------------------------------------------------- summaries


def summarize_tasks(
    address: str | None = None, timeout: float = TIMEOUT, raise_on_missing_output: bool = True, _explain: bool = False
) -> dict[str, Any]:
    """Return how many tasks there are by function and state: ``["cluster"]["summary"][name]["state_counts"][state]``.

    Of those that are over these are counted that the head remembers (``ACTORGRID_TASK_EVENTS``), and those of a flood,
    of which it remembers nothing else.
    """
    del raise_on_missing_output, _explain
    check_address(address)
    summary: dict[str, dict[str, Any]] = {}
    totals = {"NORMAL_TASK": 0, "ACTOR_TASK": 0, "ACTOR_CREATION_TASK": 0}
    for name, kind, state, count in Question(TaskState, "tasks").count(
        ["func_or_class_name", "type", "state"], [], timeout
    ):
        one = summary.setdefault(name, {"func_or_class_name": name, "type": kind, "state_counts": {}})
        one["state_counts"][state] = one["state_counts"].get(state, 0) + count
        totals[kind] += count
    return {
        "cluster": {
            "summary": summary,
            "total_tasks": totals["NORMAL_TASK"],
            "total_actor_tasks": totals["ACTOR_TASK"],
            "total_actor_scheduled": totals["ACTOR_CREATION_TASK"],
            "summary_by": "func_name",
        }
    }


def summarize_actors(
    address: str | None = None, timeout: float = TIMEOUT, raise_on_missing_output: bool = True, _explain: bool = False
) -> dict[str, Any]:
    """Return how many actors there are by class and state: ``["cluster"]["summary"][class]["state_counts"][state]``."""
    del raise_on_missing_output, _explain
    check_address(address)
    summary: dict[str, dict[str, Any]] = {}
    total = 0
    for name, state, count in Question(ActorState, "actors").count(["class_name", "state"], [], timeout):
        summary.setdefault(name, {"class_name": name, "state_counts": {}})["state_counts"][state] = count
        total += count
    return {"cluster": {"summary": summary, "total_actors": total, "summary_by": "class"}}


def summarize_objects(
    address: str | None = None, timeout: float = TIMEOUT, raise_on_missing_output: bool = True, _explain: bool = False
) -> dict[str, Any]:
    """Return how many objects there are and how large they are, all under "disabled": call sites are not recorded."""
    del raise_on_missing_output, _explain
    check_address(address)
    columns = ["object_id", "object_size", "task_status", "attempt_number", "reference_type", "pid"]
    ids: dict[int, int] = {}
    pids: dict[int, None] = {}
    states: dict[str, int] = {}
    attempts: dict[str, int] = {}
    kinds: dict[str, int] = {}
    for ident, size, state, attempt, kind, pid, count in Question(ObjectState, "objects").count(columns, [], timeout):
        ids[ident] = max(size, 0)
        pids[pid] = None
        states[state] = states.get(state, 0) + count
        attempts[str(attempt)] = attempts.get(str(attempt), 0) + count
        kinds[kind] = kinds.get(kind, 0) + count
    size_mb = sum(ids.values()) / _MEBI
    summary = {
        "total_objects": len(ids),
        "total_size_mb": size_mb,
        "total_num_workers": len(pids),
        "total_num_nodes": 1,
        "task_state_counts": states,
        "task_attempt_number_counts": attempts,
        "ref_type_counts": kinds,
    }
    return {
        "cluster": {
            "summary": {"disabled": summary} if ids else {},
            "total_objects": len(ids),
            "total_size_mb": size_mb,
            "callsite_enabled": False,
            "summary_by": "callsite",
        }
    }
