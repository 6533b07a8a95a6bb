"""Ray's programming model — remote functions, object references, actors — for one machine, on plain processes.

The map of the house; each line may use the lines below it::

    cli/            the ``actorgrid`` command
    actor.py        the names of ``ray.actor``
    runtime_env.py  the names of ``ray.runtime_env``; types, cloudpickle and others are alike
    util/           the names of ``ray.util``, and interfaces of other libraries
    api/            what users call: remote functions, actors, get, put, wait, init
    dag/            graphs of calls, and pipelines of actors over shared memory
    runtime/        how it really runs: driver, head, launcher, workers, pipes, shared memory
    sim/            the same without processes: one thread, virtual time, every schedule and every crash
    engine/         the protocol between ``api`` and whatever runs the program; references
    observe/        what can be seen of a running grid
    wire/           how bytes look: frames, payloads, exceptions
    core/           what happens: pure state machines of head, client and worker
    exceptions.py   every exception; the tree is drawn at its top
    anatomy.py      what exceptions of any class are made of

Names are imported when they are first used: ``import actorgrid`` alone costs next to nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False  # type checkers take it for true; importing typing would cost more than all the rest
if TYPE_CHECKING:
    from typing import Any

    from actorgrid import actor, dag, exceptions, runtime_env, sim, util
    from actorgrid import cloudpickle as cloudpickle
    from actorgrid import experimental as experimental
    from actorgrid import job_config as job_config
    from actorgrid import remote_function as remote_function
    from actorgrid import runtime_context as runtime_context
    from actorgrid import types as types
    from actorgrid.api.actor import method
    from actorgrid.api.basics import cancel, explain, get, get_actor, get_gpu_ids, kill, put, wait
    from actorgrid.api.context import RuntimeContext, get_runtime_context
    from actorgrid.api.decorators import remote
    from actorgrid.api.grid_context import GridContext
    from actorgrid.api.handle import ActorHandle
    from actorgrid.api.identifiers import ActorClassID as ActorClassID
    from actorgrid.api.identifiers import ActorID as ActorID
    from actorgrid.api.identifiers import FunctionID as FunctionID
    from actorgrid.api.identifiers import JobID as JobID
    from actorgrid.api.identifiers import NodeID as NodeID
    from actorgrid.api.identifiers import PlacementGroupID as PlacementGroupID
    from actorgrid.api.identifiers import TaskID as TaskID
    from actorgrid.api.identifiers import UniqueID as UniqueID
    from actorgrid.api.identifiers import WorkerID as WorkerID
    from actorgrid.api.logs import LoggingConfig
    from actorgrid.api.observing import timeline
    from actorgrid.api.remote_function import RemoteFunction
    from actorgrid.api.session import (
        available_resources,
        cluster_resources,
        init,
        is_initialized,
        nodes,
        shutdown,
    )
    from actorgrid.engine.generators import DynamicObjectRefGenerator, ObjectRefGenerator
    from actorgrid.engine.refs import ObjectID, ObjectRef

__version__ = "0.1.0"

__all__ = [
    "ActorHandle",
    "DynamicObjectRefGenerator",
    "GridContext",
    "LoggingConfig",
    "ObjectID",
    "ObjectRef",
    "ObjectRefGenerator",
    "RemoteFunction",
    "RuntimeContext",
    "__version__",
    "actor",
    "available_resources",
    "cancel",
    "cluster_resources",
    "dag",
    "exceptions",
    "explain",
    "get",
    "get_actor",
    "get_gpu_ids",
    "get_runtime_context",
    "init",
    "is_initialized",
    "kill",
    "method",
    "nodes",
    "put",
    "remote",
    "runtime_env",
    "shutdown",
    "sim",
    "timeline",
    "util",
    "wait",
]

#: Module -> the public names that it defines. A test holds this against the imports above.
_HOMES = {
    "api.actor": ("method",),
    "api.basics": ("cancel", "explain", "get", "get_actor", "get_gpu_ids", "kill", "put", "wait"),
    "api.context": ("RuntimeContext", "get_runtime_context"),
    "api.decorators": ("remote",),
    "api.grid_context": ("GridContext",),
    "api.handle": ("ActorHandle",),
    "api.logs": ("LoggingConfig",),
    "api.observing": ("timeline",),
    "api.remote_function": ("RemoteFunction",),
    "api.session": ("available_resources", "cluster_resources", "init", "is_initialized", "nodes", "shutdown"),
    "engine.generators": ("DynamicObjectRefGenerator", "ObjectRefGenerator"),
    "engine.refs": ("ObjectID", "ObjectRef"),
}  # fmt: skip
_SUBMODULES = ("actor", "dag", "exceptions", "runtime_env", "sim", "util")
#: Modules that are there and that ``import *`` does not bring: their names are others', too.
_BESIDE = ("cloudpickle", "experimental", "job_config", "remote_function", "runtime_context", "types")


if not TYPE_CHECKING:  # else type checkers would take any name for a public one

    def __getattr__(name: str) -> Any:
        from importlib import import_module

        if name in _SUBMODULES or name in _BESIDE:
            return import_module(f"{__name__}.{name}")
        for home, names in _HOMES.items():
            if name in names:
                value = globals()[name] = getattr(import_module(f"{__name__}.{home}"), name)
                return value
        if not name.startswith("__"):
            return import_module(f"{__name__}.api.absent").stand_in(__name__, name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
