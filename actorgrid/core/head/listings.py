"""What can be told of tasks, actors, workers and objects: a table of columns for each kind of record.

A column's name leads to what finds it in a record. Names, and states, are those of Ray's state API; ids are the
integers of the wire, times those of the head: whoever asks knows how to write them. ``inventory`` says which records
there are.
"""

# ruff: noqa: ARG005  # every entry of a table is called alike

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from actorgrid.core.head.past import Over, name_of
from actorgrid.core.head.records import Actor, Object, Task, Worker
from actorgrid.core.ids import client_of
from actorgrid.core.messages import YIELD, FailureKind, Kind, Spec, Status, failure_kind
from actorgrid.core.resources import amounts
from actorgrid.core.states import ActorState, ReservationState, TaskState

if TYPE_CHECKING:
    from actorgrid.core.head.machine import Head

#: A record, and what finds a column in it.
Record = Any
Find = Callable[["Head", Record], Any]
Columns = dict[str, Find]

TYPES: Final = {Kind.TASK: "NORMAL_TASK", Kind.ACTOR: "ACTOR_CREATION_TASK", Kind.METHOD: "ACTOR_TASK"}
_OVER: Final = {TaskState.FINISHED: "FINISHED", TaskState.FAILED: "FAILED", TaskState.CANCELLED: "FAILED"}
_ERRORS: Final = {
    FailureKind.WORKER_CRASHED: "WORKER_DIED",
    FailureKind.CANCELLED: "TASK_CANCELLED",
    FailureKind.TIMED_OUT: "TASK_TIMED_OUT",
    FailureKind.INFEASIBLE: "TASK_UNSCHEDULABLE_ERROR",
    FailureKind.OUT_OF_DISK: "OUT_OF_DISK_ERROR",
}
_WAITS: Final = {"get": "RUNNING_IN_RAY_GET", "wait": "RUNNING_IN_RAY_WAIT"}


# --------------------------------------------------------------------------------------------------------- tasks


def _creates(task: Task) -> bool:
    """Return whether it is the constructor, which has returned, of an actor that may need it again."""
    return task.spec.kind is Kind.ACTOR and task.state is TaskState.ASSIGNED and task.worker is None


def _worker_of(task: Task) -> Worker | None:
    return task.actor.worker if _creates(task) and task.actor is not None else task.worker


def _number(worker: Worker | None) -> int:
    return 0 if worker is None else worker.number


def task_state(head: Head, task: Task) -> str:
    """Return the state of a task that is not over."""
    del head
    if _creates(task):
        return "FINISHED"
    if task.state is TaskState.WAITING:
        return "PENDING_ARGS_AVAIL" if task.missing else "PENDING_ACTOR_TASK_ORDERING_OR_CONCURRENCY"
    waiting = task.actor is not None and task.spec.kind is Kind.METHOD and task.actor.state is ActorState.ALIVE
    if task.worker is None:
        return "PENDING_ACTOR_TASK_ORDERING_OR_CONCURRENCY" if waiting else "PENDING_NODE_ASSIGNMENT"
    if task.waits is not None and task.waits.call != YIELD:
        return _WAITS.get(task.waits.call, "RUNNING")
    if _has_begun(task, task.worker):
        return "RUNNING"
    return "PENDING_ACTOR_TASK_ORDERING_OR_CONCURRENCY" if waiting else "SUBMITTED_TO_WORKER"


def _has_begun(task: Task, worker: Worker) -> bool:
    """Return whether the worker runs it, as far as the head can tell: it is among the first that it has."""
    if not worker.pid:
        return False
    most = task.actor.concurrency if task.actor is not None and task.actor.state is ActorState.ALIVE else 1
    return any(other is task for other in islice(worker.assigned.values(), most))


def _actor_of(ident: int, kind: Kind, actor: int) -> int:
    return ident if kind is Kind.ACTOR else actor


def _group_of(spec: Spec) -> int:
    """Return the placement group that was asked for, 0 if none was."""
    return spec.placement.group if spec.placement is not None else 0


def _pid(head: Head, number: int) -> int | None:
    """Return the process id of a worker, dead or alive; None if it is forgotten."""
    worker = head.workers.table.get(number)
    if worker is not None:
        return worker.pid or None
    return next((over.pid for over in reversed(head.past.workers) if over.number == number), None)


def _error(head: Head, task: int) -> list[Any] | None:
    """Return why a task failed, encoded: [status, data, names of those that did not run for its sake]."""
    value = head.past.errors.get(task)
    return None if value is None else [int(value.status), value.data, list(value.not_run)]


def _error_type(head: Head, over: Over) -> str | None:
    """Return Ray's word for why a task failed, None if it has not or the head has forgotten."""
    value = head.past.errors.get(over.task)
    if value is None:
        return "TASK_CANCELLED" if over.state is TaskState.CANCELLED else None
    if value.status is Status.ERROR:
        return "TASK_EXECUTION_EXCEPTION"
    kind = failure_kind(value)
    return _ERRORS.get(kind, kind.upper())


def _over_state(over: Over) -> str:
    """Return the state of a task that is over; a constructor had returned, whatever became of its actor then."""
    if over.spec.kind is Kind.ACTOR and not over.worker and over.micros:
        return "FINISHED"
    return _OVER[over.state]


def _started(over: Over) -> float | None:
    return max(over.ended - over.micros / 1e6, over.born) if over.worker else None


TASKS: Final[Columns] = {
    "task_id": lambda head, task: task.message.task,
    "attempt_number": lambda head, task: task.tried,
    "name": lambda head, task: name_of(task.spec.spec),
    "state": task_state,
    "job_id": lambda head, task: task.creator,
    "actor_id": lambda head, task: _actor_of(task.message.task, task.spec.kind, task.message.actor),
    "type": lambda head, task: TYPES[task.spec.kind],
    "func_or_class_name": lambda head, task: task.spec.spec.function or name_of(task.spec.spec),
    "parent_task_id": lambda head, task: task.message.parent,
    "worker_id": lambda head, task: _number(_worker_of(task)),
    "worker_pid": lambda head, task: _pid(head, _number(_worker_of(task))),
    "error_type": lambda head, task: None,
    "error": lambda head, task: None,
    "required_resources": lambda head, task: amounts(task.spec.spec.demand),
    "placement_group_id": lambda head, task: _group_of(task.spec.spec),
    "creation_time_ms": lambda head, task: task.born,
    "start_time_ms": lambda head, task: task.since if _worker_of(task) is not None else None,
    "end_time_ms": lambda head, task: None,
}
OVER_TASKS: Final[Columns] = {
    "task_id": lambda head, over: over.task,
    "attempt_number": lambda head, over: over.attempt,
    "name": lambda head, over: name_of(over.spec),
    "state": lambda head, over: _over_state(over),
    "job_id": lambda head, over: over.job,
    "actor_id": lambda head, over: _actor_of(over.task, over.spec.kind, over.actor),
    "type": lambda head, over: TYPES[over.spec.kind],
    "func_or_class_name": lambda head, over: over.spec.function or name_of(over.spec),
    "parent_task_id": lambda head, over: over.parent,
    "worker_id": lambda head, over: over.worker,
    "worker_pid": lambda head, over: _pid(head, over.worker),
    "error_type": _error_type,
    "error": lambda head, over: _error(head, over.task),
    "required_resources": lambda head, over: amounts(over.spec.demand),
    "placement_group_id": lambda head, over: _group_of(over.spec),
    "creation_time_ms": lambda head, over: over.born,
    "start_time_ms": lambda head, over: _started(over),
    "end_time_ms": lambda head, over: over.ended,
}


# -------------------------------------------------------------------------------------------------------- actors


def actor_state(head: Head, actor: Actor) -> str:
    """Return the state of an actor that is not dead."""
    del head
    if actor.state is not ActorState.PENDING:
        return actor.state.upper()
    creation = actor.creation
    waits = creation is not None and creation.state is TaskState.WAITING
    return "DEPENDENCIES_UNREADY" if waits else "PENDING_CREATION"


ACTORS: Final[Columns] = {
    "actor_id": lambda head, actor: actor.ident,
    "class_name": lambda head, actor: actor.spec.spec.name,
    "state": actor_state,
    "job_id": lambda head, actor: actor.creator,
    "name": lambda head, actor: actor.key[1] if actor.key else "",
    "pid": lambda head, actor: actor.worker.pid if actor.worker is not None else 0,
    "worker_id": lambda head, actor: actor.worker.number if actor.worker is not None else 0,
    "ray_namespace": lambda head, actor: actor.key[0] if actor.key else None,
    "required_resources": lambda head, actor: amounts(actor.spec.spec.lifetime_demand),
    "placement_group_id": lambda head, actor: _group_of(actor.spec.spec),
    "why": lambda head, actor: None,
    "is_detached": lambda head, actor: actor.detached,
    "num_restarts": lambda head, actor: actor.incarnation,
    "repr_name": lambda head, actor: actor.shown,
}
OVER_ACTORS: Final[Columns] = {
    "actor_id": lambda head, over: over.ident,
    "class_name": lambda head, over: over.spec.name,
    "state": lambda head, over: "DEAD",
    "job_id": lambda head, over: over.job,
    "name": lambda head, over: over.key[1] if over.key else "",
    "pid": lambda head, over: over.pid,
    "worker_id": lambda head, over: over.worker,
    "ray_namespace": lambda head, over: over.key[0] if over.key else None,
    "required_resources": lambda head, over: amounts(over.spec.lifetime_demand),
    "placement_group_id": lambda head, over: _group_of(over.spec),
    "why": lambda head, over: over.why,
    "is_detached": lambda head, over: over.spec.detached,
    "num_restarts": lambda head, over: over.incarnation,
    "repr_name": lambda head, over: over.shown,
}


# ------------------------------------------------------------------------------------------- workers and drivers


DRIVERS: Final[Columns] = {
    "worker_id": lambda head, peer: peer.number,
    "is_alive": lambda head, peer: True,
    "worker_type": lambda head, peer: "DRIVER",
    "exit_type": lambda head, peer: None,
    "pid": lambda head, peer: peer.pid,
    "exit_detail": lambda head, peer: None,
    "worker_launch_time_ms": lambda head, peer: None,
    "worker_launched_time_ms": lambda head, peer: None,
    "start_time_ms": lambda head, peer: peer.born,
    "end_time_ms": lambda head, peer: None,
}
WORKERS: Final[Columns] = {
    "worker_id": lambda head, worker: worker.number,
    "is_alive": lambda head, worker: True,
    "worker_type": lambda head, worker: "WORKER",
    "exit_type": lambda head, worker: None,
    "pid": lambda head, worker: worker.pid,
    "exit_detail": lambda head, worker: None,
    "worker_launch_time_ms": lambda head, worker: worker.born,
    "worker_launched_time_ms": lambda head, worker: worker.launched,
    "start_time_ms": lambda head, worker: worker.launched,
    "end_time_ms": lambda head, worker: None,
}
OVER_WORKERS: Final[Columns] = {
    "worker_id": lambda head, over: over.number,
    "is_alive": lambda head, over: False,
    "worker_type": lambda head, over: "WORKER",
    "exit_type": lambda head, over: over.exit_type,
    "pid": lambda head, over: over.pid,
    "exit_detail": lambda head, over: over.how,
    "worker_launch_time_ms": lambda head, over: over.born,
    "worker_launched_time_ms": lambda head, over: over.launched,
    "start_time_ms": lambda head, over: over.launched,
    "end_time_ms": lambda head, over: over.ended,
}
JOBS: Final[Columns] = {
    "job_id": lambda head, peer: peer.number,
    "type": lambda head, peer: "DRIVER",
    "status": lambda head, peer: "RUNNING",
    "pid": lambda head, peer: peer.pid,
    "start_time_ms": lambda head, peer: peer.born,
    "end_time_ms": lambda head, peer: None,
}
OVER_JOBS: Final[Columns] = {
    "job_id": lambda head, over: over.number,
    "type": lambda head, over: "DRIVER",
    "status": lambda head, over: "SUCCEEDED",  # however it ended: of a driver nothing else is known (Ray's rule)
    "pid": lambda head, over: over.pid,
    "start_time_ms": lambda head, over: over.born,
    "end_time_ms": lambda head, over: over.ended,
}


GROUP_STATES: Final = {ReservationState.WAITING: "PENDING", ReservationState.PLACED: "CREATED"}
GROUPS: Final[Columns] = {
    "placement_group_id": lambda head, group: group.ident,
    "name": lambda head, group: group.message.name,
    "creator_job_id": lambda head, group: group.creator,
    "state": lambda head, group: GROUP_STATES.get(group.state, "REMOVED"),
    "bundles": lambda head, group: [amounts(bundle) for bundle in group.bundles],
    "is_detached": lambda head, group: group.message.detached,
}


# ------------------------------------------------------------------------------------------------------- objects

#: An object, a process that refers to it (0: only the head itself does), and how it is referred to.
Reference = tuple[Object, int, str]


def _size(held: Object) -> int:
    if held.value is None:
        return -1
    return held.value.extent.size if held.value.extent is not None else len(held.value.data)


def _process_of(head: Head, reference: Reference) -> int:
    held, number, _ = reference
    number = number or held.owner or client_of(held.ident)
    driver = head.drivers.get(number)
    return driver.pid if driver is not None else _pid(head, number) or 0


def _tries(head: Head, reference: Reference) -> int:
    """Return how often an object was to be made, that which makes it included."""
    return head.past.attempts.get(reference[0].ident, 0) + 1


OBJECTS: Final[Columns] = {
    "object_id": lambda head, ref: ref[0].ident,
    "object_size": lambda head, ref: _size(ref[0]),
    "task_status": lambda head, ref: "FINISHED" if ref[0].task is None else task_state(head, ref[0].task),
    "attempt_number": _tries,
    "reference_type": lambda head, ref: ref[2],
    "type": lambda head, ref: "DRIVER" if (ref[1] or client_of(ref[0].ident)) in head.drivers else "WORKER",
    "pid": _process_of,
}
