"""Runs programs that were written for Ray as they are: once this module is imported, ``import ray`` is actorgrid.

    import actorgrid.as_ray  # before anything imports ray
    import ray               # is actorgrid, and ray.util is actorgrid.util

or, for a program that is not to be touched, ``actorgrid ray program.py``. Workers see the same, whatever they import.
What actorgrid does not have, such as ``ray.data``, is no module; Ray itself is not found while this one is there.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Final

#: Packages beside Ray Core: what they do is not ours.
_LIBRARIES: Final = frozenset(
    {"air", "autoscaler", "dashboard", "data", "llm", "rllib", "serve", "train", "tune", "workflow"}
)


#: Packages and modules that have Ray's names.
_PUBLIC: Final = frozenset(
    {
        "", "actor", "cloudpickle", "dag", "exceptions", "experimental", "job_config", "remote_function",
        "runtime_context", "runtime_env", "types", "util",
    }
)  # fmt: skip


#: Modules of Ray's whose public names are defined elsewhere here: name -> what they are made of.
_ELSEWHERE: Final[dict[str, tuple[tuple[str, str], ...]]] = {
    "_raylet": tuple(
        ("", name)
        for name in (
            "DynamicObjectRefGenerator", "ObjectRef", "ObjectRefGenerator", "ObjectID", "ActorClassID", "ActorID",
            "FunctionID", "JobID", "NodeID", "PlacementGroupID", "TaskID", "UniqueID", "WorkerID",
        )
    ),
    "dag.class_node": (("dag", "ClassMethodNode"), ("dag", "ClassNode")),
    "dag.compiled_dag_node": (("dag", "CompiledDAG"),),
    "dag.dag_node": (("dag", "DAGNode"),),
    "dag.function_node": (("dag", "FunctionNode"),),
    "dag.input_node": (("dag", "DAGInputData"), ("dag", "InputAttributeNode"), ("dag", "InputNode")),
    "dag.output_node": (("dag", "MultiOutputNode"),),
    "experimental.compiled_dag_ref": (("dag", "CompiledDAGFuture"), ("dag", "CompiledDAGRef")),
    "experimental.locations": (
        ("experimental", "get_local_object_locations"), ("experimental", "get_object_locations"),
    ),
    "runtime_env.runtime_env": (("runtime_env", "RuntimeEnv"), ("runtime_env", "RuntimeEnvConfig")),
    "util.actor_group": (("util", "ActorGroup"),),
    "util.check_serialize": (("util.serialization", "FailureTuple"), ("util", "inspect_serializability")),
    "util.helpers": (("util", "as_completed"), ("util", "map_unordered")),
}  # fmt: skip
#: Modules of Ray's that have the names of the packages that they are in.
_AGAIN: Final = frozenset({"util.accelerators.accelerators", "util.collective.collective", "util.state.api"})


class _Collection(Loader):
    """Makes a module of names that are defined elsewhere."""

    def __init__(self, names: tuple[tuple[str, str], ...]) -> None:
        self._names = names

    def exec_module(self, module: ModuleType) -> None:
        """Fill the module."""
        for home, name in self._names:
            setattr(module, name, getattr(importlib.import_module(_ours(home)), name))


class _Alias(Loader):
    """Gives a module of actorgrid out as one of Ray's."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module
        self._spec = module.__spec__

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Return the module that there is already."""
        del spec
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        """Undo what the import system wrote into it: the module goes on under its own name."""
        module.__spec__ = self._spec


class _Finder(MetaPathFinder):
    """Finds ``ray`` and what is below it."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return where a module is. Raises ModuleNotFoundError for one of Ray's that has no counterpart."""
        del path, target
        top, _, rest = fullname.partition(".")
        if top != "ray":
            return None
        if rest in _ELSEWHERE:
            return ModuleSpec(fullname, _Collection(_ELSEWHERE[rest]))
        ours = _ours(rest.rpartition(".")[0] if rest in _AGAIN else rest)
        if not _is_public(rest) or importlib.util.find_spec(ours) is None:
            raise ModuleNotFoundError(_missing(fullname, rest), name=fullname)
        return ModuleSpec(fullname, _Alias(importlib.import_module(ours)), is_package=True)


def _ours(name: str) -> str:
    return f"actorgrid.{name}" if name else "actorgrid"


def _is_public(name: str) -> bool:
    """Return whether this may be a module of Ray's interface, and none of ours that happens to be called the same."""
    parts = name.split(".")
    return parts[0] in _PUBLIC and not any(part.startswith("_") for part in parts)


def _missing(fullname: str, rest: str) -> str:
    first = rest.partition(".")[0]
    if first in _LIBRARIES:
        return f"there is no {fullname}: actorgrid is Ray Core for one machine, without ray.{first}"
    from actorgrid.api.absent import ABSENT  # only now

    why = ABSENT.get(rest) or ABSENT.get(first)
    return f"there is no {fullname} in actorgrid" + (f": {why}" if why else "")


def _install() -> None:
    ray = sys.modules.get("ray")
    if ray is not None:
        where = getattr(ray, "__file__", None)
        raise ImportError(
            f"ray is imported already (from {where}): import actorgrid.as_ray before anything that uses it"
        )
    sys.meta_path.insert(0, _Finder())


_install()
