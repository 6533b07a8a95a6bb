"""What is built on top of the core: the names of ``ray.util``, and interfaces that other libraries have made known.

Names and submodules are imported when they are first used.
"""

from __future__ import annotations

TYPE_CHECKING = False  # as in the package itself
if TYPE_CHECKING:
    from typing import Any

    from actorgrid.util import accelerators, collective, metrics, queue, scheduling_strategies, state
    from actorgrid.util.actor_pool import ActorPool
    from actorgrid.util.coordination import Barrier, Event, Lock, Semaphore, Variable
    from actorgrid.util.debug import disable_log_once_globally, enable_periodic_logging, log_once
    from actorgrid.util.executor import ActorGridExecutor
    from actorgrid.util.machine import get_node_ip_address
    from actorgrid.util.names import list_named_actors
    from actorgrid.util.placement_group import (
        get_current_placement_group,
        get_placement_group,
        placement_group,
        placement_group_table,
        remove_placement_group,
    )
    from actorgrid.util.serialization import deregister_serializer, inspect_serializability, register_serializer
    from actorgrid.util.unordered import as_completed, map_unordered

__all__ = [
    "ActorGridExecutor",
    "ActorPool",
    "Barrier",
    "Event",
    "Lock",
    "Semaphore",
    "Variable",
    "accelerators",
    "as_completed",
    "collective",
    "deregister_serializer",
    "disable_log_once_globally",
    "enable_periodic_logging",
    "get_current_placement_group",
    "get_node_ip_address",
    "get_placement_group",
    "inspect_serializability",
    "list_named_actors",
    "log_once",
    "map_unordered",
    "metrics",
    "placement_group",
    "placement_group_table",
    "queue",
    "register_serializer",
    "remove_placement_group",
    "scheduling_strategies",
    "state",
]

#: Module -> the public names that it defines.
_HOMES = {
    "actor_pool": ("ActorPool",),
    "coordination": ("Barrier", "Event", "Lock", "Semaphore", "Variable"),
    "debug": ("disable_log_once_globally", "enable_periodic_logging", "log_once"),
    "executor": ("ActorGridExecutor",),
    "machine": ("get_node_ip_address",),
    "names": ("list_named_actors",),
    "placement_group": (
        "get_current_placement_group", "get_placement_group", "placement_group", "placement_group_table",
        "remove_placement_group",
    ),
    "serialization": ("deregister_serializer", "inspect_serializability", "register_serializer"),
    "unordered": ("as_completed", "map_unordered"),
}  # fmt: skip
_SUBMODULES = ("accelerators", "collective", "metrics", "queue", "scheduling_strategies", "state")
#: Modules that are there and that ``import *`` does not bring, and where they are.
_BESIDE = {
    "actor_pool": "actor_pool", "annotations": "annotations", "check_serialize": "serialization", "debug": "debug",
    "helpers": "unordered",
}  # fmt: skip


if not TYPE_CHECKING:  # else type checkers would take any name for a public one
    del annotations  # of __future__: there is a module of this name

    def __getattr__(name: str) -> Any:
        from importlib import import_module

        if name in _SUBMODULES or name in _BESIDE:
            return import_module(f"{__name__}.{_BESIDE.get(name, name)}")
        for home, names in _HOMES.items():
            if name in names:
                module = import_module(f"{__name__}.{home}")
                if home in names:  # the import has put the module in its place
                    globals()[home] = getattr(module, home)
                value = globals()[name] = getattr(module, name)
                return value
        if not name.startswith("_"):
            return import_module("actorgrid.api.absent").stand_in(__name__, name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
