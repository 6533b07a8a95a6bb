"""Actors that have a name."""

from __future__ import annotations

from typing import Final, Literal, overload

from actorgrid.engine.current import current

#: The actor behind ``coordination``, which nobody has named.
KEEPER: Final = "_actorgrid_keeper"
#: The actor behind ``collective``.
ROOMS: Final = "_actorgrid_rooms"


@overload
def list_named_actors(all_namespaces: Literal[False] = False) -> list[str]: ...  # Ray's signature
@overload
def list_named_actors(all_namespaces: Literal[True]) -> list[dict[str, str]]: ...  # Ray's signature
def list_named_actors(all_namespaces: bool = False) -> list[str] | list[dict[str, str]]:  # too
    """Return the names of the actors of this namespace that are alive, or are being started.

    With ``all_namespaces`` return ``{"name": …, "namespace": …}`` of those of every namespace.
    """
    engine = current()
    names = [(namespace, name) for namespace, name in engine.named_actors() if name not in {KEEPER, ROOMS}]
    if all_namespaces:
        return [{"name": name, "namespace": namespace} for namespace, name in names]
    here = engine.context().namespace
    return [name for namespace, name in names if namespace == here]
