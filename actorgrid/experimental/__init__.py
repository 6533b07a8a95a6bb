"""The names of ``ray.experimental`` that mean something on one machine."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from actorgrid.api.absent import stand_in
from actorgrid.api.session import nodes
from actorgrid.engine.refs import ObjectRef
from actorgrid.util.state import get_objects

__all__ = ["get_local_object_locations", "get_object_locations"]


if not TYPE_CHECKING:  # else type checkers would take any name for one that there is

    def __getattr__(name: str) -> Any:
        if name == "tqdm_ray":  # ``import ray`` brings it along there
            return import_module(f"{__name__}.{name}")
        return stand_in(__name__, name)


def get_object_locations(
    obj_refs: Sequence[ObjectRef[Any]], timeout_ms: int = -1
) -> dict[ObjectRef[Any], dict[str, Any]]:
    """Return where objects are: for each, "node_ids" (this machine's, [] as long as it is not made) and "object_size".

    Sizes are bytes, pickled; None while it is unknown. ``timeout_ms``: -1 for any time. Raises TypeError for what is no
    reference, GetTimeoutError.
    """
    refs: object = obj_refs
    if not (isinstance(refs, Sequence) and all(isinstance(ref, ObjectRef) for ref in refs)):
        raise TypeError(f"a list of references is wanted: {obj_refs!r:.100}")
    here = nodes()[0]["NodeID"]
    found: dict[ObjectRef[Any], dict[str, Any]] = {}
    for ref in obj_refs:
        rows = get_objects(ref.hex(), timeout=timeout_ms / 1000 if timeout_ms >= 0 else 1e6)
        size = next((row.object_size for row in rows if row.object_size >= 0), None)
        found[ref] = {"node_ids": [here] if size is not None else [], "object_size": size, "did_spill": False}
    return found


def get_local_object_locations(obj_refs: Sequence[ObjectRef[Any]]) -> dict[ObjectRef[Any], dict[str, Any]]:
    """Return the same: there is one machine."""
    return get_object_locations(obj_refs)
