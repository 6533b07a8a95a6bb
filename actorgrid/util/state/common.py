"""What the state functions return: dataclasses with Ray's field names that also work as dictionaries.

A field says in its metadata which column of the head it is made of, whether it can be filtered by, and whether it is
only filled in with ``detail=True`` (else it is None).
"""

# ruff: noqa: RUF009  # column() makes a field

from __future__ import annotations

from collections.abc import ItemsView, Iterator, KeysView, ValuesView
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Final

#: Digits of the ids of tasks, actors, and of everything else.
TASK_DIGITS: Final = 48
ACTOR_DIGITS: Final = 32
GROUP_DIGITS: Final = 36
DIGITS: Final = 56
#: The head knows it.
WIRED: Final = "wired"


def column(
    *, detail: bool = False, filterable: bool = True, digits: int = 0, wire: str = "", local: Any = WIRED
) -> Any:
    """Describe a field: ``wire`` is the head's column if its name differs; ``digits``: it is an id of so many digits.

    ``local``: the head does not know it, it is always this (or "node": the id of the machine).
    """
    metadata = {"detail": detail, "filterable": filterable, "digits": digits, "wire": wire, "local": local}
    return field(default=None, metadata=metadata)


class StateSchema:
    """What all states have in common."""

    def asdict(self) -> dict[str, Any]:
        """Return all fields."""
        return asdict(self)  # type: ignore[call-overload,no-any-return]  # every subclass is a dataclass

    def keys(self) -> KeysView[str]:
        """Return the names of the fields."""
        return self.asdict().keys()

    def values(self) -> ValuesView[Any]:
        """Return what is in the fields."""
        return self.asdict().values()

    def items(self) -> ItemsView[str, Any]:
        """Return names and values."""
        return self.asdict().items()

    def get(self, key: str, default: Any = None) -> Any:
        """Return a field, or ``default`` if there is none of this name."""
        return getattr(self, key, default) if key in self.columns() else default

    def __getitem__(self, key: str) -> Any:
        if key not in self.columns():
            raise KeyError(key)
        return getattr(self, key)

    def __setitem__(self, key: str, value: Any) -> None:
        if key not in self.columns():
            raise KeyError(key)
        setattr(self, key, value)

    def __contains__(self, key: object) -> bool:
        return key in self.columns()

    def __iter__(self) -> Iterator[str]:
        return iter(self.list_columns())

    def __len__(self) -> int:
        return len(self.list_columns())

    @classmethod
    def list_columns(cls, detail: bool = True) -> list[str]:
        """Return the names of the fields, without those that only ``detail=True`` fills in unless ``detail``."""
        return [each.name for each in fields(cls) if detail or not each.metadata["detail"]]  # type: ignore[arg-type]  # see asdict

    @classmethod
    def columns(cls) -> set[str]:
        """Return the names of all fields."""
        return set(cls.list_columns())

    @classmethod
    def detail_columns(cls) -> set[str]:
        """Return the names of the fields that ``detail=True`` fills in: all."""
        return cls.columns()

    @classmethod
    def base_columns(cls) -> set[str]:
        """Return the names of the fields that are filled in without."""
        return set(cls.list_columns(detail=False))

    @classmethod
    def filterable_columns(cls) -> set[str]:
        """Return the names that a filter may mention."""
        return {each.name for each in fields(cls) if each.metadata["filterable"]}  # type: ignore[arg-type]  # see asdict


@dataclass
class TaskState(StateSchema):
    """A task, an actor's construction, or a call of an actor: its attempt that runs, or that was the last."""

    task_id: str = column(digits=TASK_DIGITS)
    attempt_number: int = column()
    name: str = column()
    state: str = column()
    job_id: str = column(digits=8)
    actor_id: str | None = column(digits=ACTOR_DIGITS)
    type: str = column()
    func_or_class_name: str = column()
    parent_task_id: str | None = column(digits=TASK_DIGITS)
    node_id: str | None = column(wire="worker_id", local="node")
    worker_id: str | None = column(digits=DIGITS)
    worker_pid: int | None = column()
    error_type: str | None = column()
    language: str | None = column(detail=True, local="PYTHON")
    required_resources: dict[str, float] | None = column(detail=True, filterable=False)
    runtime_env_info: dict[str, Any] | None = column(detail=True, filterable=False, local={})
    placement_group_id: str | None = column(detail=True, digits=GROUP_DIGITS)
    events: list[dict[str, Any]] | None = column(detail=True, filterable=False, wire="creation_time_ms")
    profiling_data: dict[str, Any] | None = column(detail=True, filterable=False, local={})
    creation_time_ms: int | None = column(detail=True, filterable=False)
    start_time_ms: int | None = column(detail=True, filterable=False)
    end_time_ms: int | None = column(detail=True, filterable=False)
    task_log_info: dict[str, Any] | None = column(detail=True, filterable=False, local={})
    error_message: str | None = column(detail=True, filterable=False, wire="error")
    is_debugger_paused: bool | None = column(detail=True, local=False)
    call_site: str | None = column(detail=True, filterable=False, local=None)


@dataclass
class ActorState(StateSchema):
    """An actor, through all its incarnations."""

    actor_id: str = column(digits=ACTOR_DIGITS)
    class_name: str = column()
    state: str = column()
    job_id: str = column(digits=8)
    name: str | None = column()
    node_id: str | None = column(wire="worker_id", local="node")
    pid: int | None = column()
    ray_namespace: str | None = column()
    serialized_runtime_env: str | None = column(detail=True, filterable=False, local="{}")
    required_resources: dict[str, float] | None = column(detail=True, filterable=False)
    death_cause: dict[str, Any] | None = column(detail=True, filterable=False, wire="why")
    is_detached: bool | None = column(detail=True)
    placement_group_id: str | None = column(detail=True, digits=GROUP_DIGITS)
    repr_name: str | None = column(detail=True)
    num_restarts: int = column(detail=True)
    num_restarts_due_to_lineage_reconstruction: int = column(detail=True, filterable=False, local=0)
    num_restarts_due_to_node_preemption: int = column(detail=True, filterable=False, local=0)
    call_site: str | None = column(detail=True, filterable=False, local=None)


@dataclass
class ObjectState(StateSchema):
    """A reference to an object: there is one of these for each process that has any."""

    object_id: str = column(digits=DIGITS)
    object_size: int = column()
    task_status: str = column()
    attempt_number: int = column()
    reference_type: str = column()
    call_site: str = column(local="disabled")
    type: str = column()
    pid: int = column()
    ip: str = column(local="127.0.0.1")


@dataclass
class WorkerState(StateSchema):
    """A process of the grid: a driver or a worker."""

    worker_id: str = column(digits=DIGITS)
    is_alive: bool = column()
    worker_type: str = column()
    exit_type: str | None = column()
    node_id: str = column(local="node")
    ip: str = column(local="127.0.0.1")
    pid: int = column()
    exit_detail: str | None = column(detail=True, filterable=False)
    worker_launch_time_ms: int | None = column(detail=True, filterable=False)
    worker_launched_time_ms: int | None = column(detail=True, filterable=False)
    start_time_ms: int | None = column(detail=True, filterable=False)
    end_time_ms: int | None = column(detail=True, filterable=False)
    debugger_port: int | None = column(detail=True, local=None)
    num_paused_threads: int | None = column(detail=True, local=None)


@dataclass
class PlacementGroupState(StateSchema):
    """A placement group that has not been removed."""

    placement_group_id: str = column(digits=GROUP_DIGITS)
    name: str = column()
    creator_job_id: str = column(digits=8)
    state: str = column()
    bundles: list[dict[str, float]] | None = column(detail=True, filterable=False)
    is_detached: bool | None = column(detail=True)
    stats: dict[str, Any] | None = column(detail=True, filterable=False, local={})
    topology_strategy: dict[str, str] | None = column(detail=True, filterable=False, local={})
    topology_assignments: dict[str, str] | None = column(detail=True, filterable=False, local={})


@dataclass
class NodeState(StateSchema):
    """This machine."""

    node_id: str = column()
    node_ip: str = column()
    is_head_node: bool = column()
    state: str = column()
    state_message: str | None = column(filterable=False)
    node_name: str = column()
    resources_total: dict[str, float] = column(filterable=False)
    labels: dict[str, str] = column(filterable=False)


@dataclass
class JobState(StateSchema):
    """A driver."""

    job_id: str = column(digits=8)
    submission_id: str | None = column(filterable=False, local=None)
    entrypoint: str = column(filterable=False, local="")
    type: str = column()
    status: str = column()
    message: str | None = column(filterable=False, local=None)
    error_type: str | None = column(filterable=False, local=None)
    driver_info: dict[str, Any] | None = column(filterable=False, wire="pid")
    start_time: int | None = column(detail=True, filterable=False, wire="start_time_ms")
    end_time: int | None = column(detail=True, filterable=False, wire="end_time_ms")
    driver_agent_http_address: str | None = column(detail=True, filterable=False, local=None)
    driver_node_id: str | None = column(detail=True, filterable=False, local=None)
    driver_exit_code: int | None = column(detail=True, filterable=False, local=None)
