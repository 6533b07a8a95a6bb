"""Questions that the head answers at once, from what it knows, without changing anything."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from actorgrid.core.head.inventory import counted, listed, ran
from actorgrid.core.head.records import Object
from actorgrid.core.messages import Answer, Query
from actorgrid.core.resources import UNIT

if TYPE_CHECKING:
    from actorgrid.core.head.machine import Head
    from actorgrid.core.head.records import Peer


def _get_actor(head: Head, body: dict[str, Any]) -> dict[str, Any] | None:
    actor = head.actors.names.get((body["namespace"], body["name"]))
    return None if actor is None else {"actor": actor.ident, "handle": actor.handle}


def _available(head: Head, body: dict[str, Any]) -> dict[str, Any]:
    del body
    free = dict(head.ready.pool.free)
    free["object_store_memory"] = (head.memory.budget - head.memory.leased) * UNIT
    return {name: units for name, units in free.items() if units > 0}


def _stats(head: Head, body: dict[str, Any]) -> dict[str, Any]:
    """Counts for tests and curious people."""
    del body
    objects = sum(isinstance(held, Object) for held in head.objects.table.values())
    return {
        "tasks": len(head.tasks.table),
        "submitted": head.tasks.count,
        "objects": objects,
        "actors": len(head.objects.table) - objects,
        "workers": len(head.workers.table),
        "spawned": head.workers.spawned,
        "idle": len(head.dispatch.idle),
        "leased": head.memory.leased,
        "live": sum(peer.live_bytes for peer in head.peers.values()) + head.memory.orphaned,
        "spilled": head.spilling.spilled_bytes,
        "segments": len(head.memory.segments),
        "codes": len(head.library.codes),
        "pids": {str(worker.number): worker.pid for worker in head.workers.table.values()},
    }


def _actors(head: Head, body: dict[str, Any]) -> dict[str, Any]:
    """Named actors: a list of (namespace, name)."""
    del body
    return {"names": [list(key) for key in head.actors.names]}


def _group(head: Head, body: dict[str, Any]) -> dict[str, Any] | None:
    """The placement group of a name."""
    group = head.reservations.names.get((body["namespace"], body["name"]))
    return None if group is None else head.reservations.tell(group)


def _groups(head: Head, body: dict[str, Any]) -> dict[str, Any]:
    """Every placement group: a list."""
    del body
    return {"groups": [head.reservations.tell(group) for group in head.reservations.table.values()]}


def _kind(head: Head, body: dict[str, Any]) -> dict[str, Any]:
    """What makes an object: a ``Kind``, or -1 if nothing does any more."""
    held = head.objects.table.get(body["oid"])
    return {"kind": int(held.task.spec.kind) if isinstance(held, Object) and held.task is not None else -1}


def _missing(head: Head, body: dict[str, Any]) -> dict[str, Any] | None:
    """What of a recorded run has not come to pass: a list of sentences; and how often something was said."""
    del body
    return (
        None
        if head.stage is None
        else {
            "missing": head.stage.missing(),
            "turns": head.stage.turns,
        }
    )


def _metrics(head: Head, body: dict[str, Any]) -> dict[str, Any]:
    """What programs have measured."""
    del body
    return head.metrics.told()


_ANSWERS: dict[str, Callable[[Head, dict[str, Any]], dict[str, Any] | None]] = {
    "get_actor": _get_actor,
    "available": _available,
    "group": _group,
    "groups": _groups,
    "kind": _kind,
    "stats": _stats,
    "named_actors": _actors,
    "missing": _missing,
    "list": listed,
    "count": counted,
    "ran": ran,
    "metrics": _metrics,
}


def answer(head: Head, peer: Peer, query: Query) -> Answer:
    """Return the answer to ``query``."""
    del peer
    find = _ANSWERS.get(query.what)
    if find is None:
        return Answer(query.request, error=f"unknown query {query.what!r}")
    body = find(head, query.body)
    return Answer(query.request, error="absent") if body is None else Answer(query.request, body)
