"""Names of Ray's that mean nothing here: they can be imported, and say what they are as soon as they are used."""

from __future__ import annotations

from typing import Any, Final, NoReturn

from actorgrid.api.identifiers import DIGITS, WHY, kind
from actorgrid.engine.breakpoints import NO_TERMINAL

_CLUSTER: Final = "it is about clusters, and a grid is one machine"
_LANGUAGES: Final = "it is about other languages, and all workers run Python"
_LIBRARY: Final = "it is a library on top of Ray Core, and this is Ray Core"
_NO_FILES: Final = "what workers print goes to the program that started the grid, and to no files"
_DEVICES: Final = "arrays go through the memory of this machine, and not from GPU to GPU"
_INSIDE: Final = "it is about how Ray is built inside"
#: Name -> why it is not there.
ABSENT: Final = {
    **dict.fromkeys(DIGITS, WHY),
    **dict.fromkeys(("LOCAL_MODE", "SCRIPT_MODE", "WORKER_MODE", "widgets"), _INSIDE),
    "_common": _INSIDE,
    **dict.fromkeys(("_private", "internal"), f"{_INSIDE}; an object is freed when its last reference goes"),
    **dict.fromkeys(("data", "rllib", "serve", "train", "tune"), _LIBRARY),
    "ClientBuilder": "it connects to a cluster: join a grid on this machine with init(address=...)",
    "Language": _LANGUAGES,
    "_config": _INSIDE,
    "autoscaler": _CLUSTER,
    "client": "it connects to a cluster: join a grid on this machine with init(address=...)",
    "cpp_function": _LANGUAGES,
    "java_actor_class": _LANGUAGES,
    "java_function": _LANGUAGES,
    "experimental.internal_kv": f"{_INSIDE}: a util.Variable keeps a value under a name",
    **{
        f"util.collective.{name}_multigpu": _DEVICES
        for name in ["allgather", "allreduce", "broadcast", "recv", "reduce", "reducescatter", "send"]
    },
    "util.collective.synchronize": _DEVICES,
    "util.collective.get_group_handle": _INSIDE,
    "util.collective.register_collective_backend": _DEVICES,
    "util.ActorGroup": "Ray has given it up: use util.ActorPool, or a list of actors",
    "util.connect": "it connects to a cluster: join a grid on this machine with init(address=...)",
    "util.disconnect": "it leaves a cluster: shutdown() leaves a grid",
    "util.get_node_instance_id": _CLUSTER,
    "util.iter": "Ray has given it up: use util.map_unordered, or a generator that is a remote function",
    "util.pdb": NO_TERMINAL,
    "util.ray_debugpy": NO_TERMINAL,
    "util.state.StateApiClient": "the functions of util.state ask the grid themselves",
    "util.state.get_log": _NO_FILES,
    "util.state.list_cluster_events": _CLUSTER,
    "util.state.list_logs": _NO_FILES,
    "util.state.list_runtime_envs": "environments are folders and variables, and nothing is built for them",
    "workflow": _LIBRARY,
}


class Absent:
    """Stands for such a name."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __call__(self, *args: object, **kwargs: object) -> NoReturn:
        """Raise NotImplementedError."""
        raise NotImplementedError(f"actorgrid has no {self._name}: {ABSENT[self._name]}")

    def __getattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"actorgrid has no {self._name}.{name}: {ABSENT[self._name]}")

    def __repr__(self) -> str:
        return f"<{self._name}, which actorgrid does not have: {ABSENT[self._name]}>"


def stand_in(module: str, name: str) -> Any:
    """Return what stands for ``name`` in ``module``, one of actorgrid's. Raises AttributeError if nothing does."""
    known = f"{module}.{name}".removeprefix("actorgrid.")
    if known not in ABSENT:
        raise AttributeError(f"module {module!r} has no attribute {name!r}", name=name)
    return kind(known) if known in DIGITS else Absent(known)
