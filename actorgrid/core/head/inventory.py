"""Lists of what there is, counts of it, and who ran when: the answers to the queries "list", "count" and "ran".

What there is comes first, in the order of its creation, then what is over, the newest first. Only the columns that a
filter names are looked up for every record. A list is made of the head as it is now, and nothing is kept for its sake.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from actorgrid.core.head import listings
from actorgrid.core.head.listings import Columns, Find, Reference
from actorgrid.core.head.past import Over
from actorgrid.core.head.records import Object
from actorgrid.core.messages import Kind

if TYPE_CHECKING:
    from actorgrid.core.head.machine import Head

#: Records of one kind, the columns that they have, and of an id that a filter asks for the only record there can be.
Part = tuple[Iterable[Any], Columns]


def _tasks(head: Head, only: int | None) -> Iterator[Part]:
    table = head.tasks.table
    found = table.values() if only is None else filter(None, [table.get(only)])
    yield (task for task in found if task.spec.kind is not Kind.RESERVATION), listings.TASKS
    yield map(Over._make, reversed(head.past.tasks)), listings.OVER_TASKS


def _actors(head: Head, only: int | None) -> Iterator[Part]:
    table = head.actors.alive
    yield (table.values() if only is None else filter(None, [table.get(only)])), listings.ACTORS
    yield reversed(head.past.actors), listings.OVER_ACTORS


def _workers(head: Head, only: int | None) -> Iterator[Part]:
    del only
    yield head.drivers.values(), listings.DRIVERS
    yield head.workers.table.values(), listings.WORKERS
    yield reversed(head.past.workers), listings.OVER_WORKERS


def _jobs(head: Head, only: int | None) -> Iterator[Part]:
    del only
    yield head.drivers.values(), listings.JOBS
    yield reversed(head.past.jobs), listings.OVER_JOBS


def _groups(head: Head, only: int | None) -> Iterator[Part]:
    del only
    yield head.reservations.table.values(), listings.GROUPS


def _objects(head: Head, only: int | None) -> Iterator[Part]:
    table = head.objects.table
    found = table.values() if only is None else filter(None, [table.get(only)])
    yield _references(head, (held for held in found if isinstance(held, Object))), listings.OBJECTS


def _references(head: Head, objects: Iterable[Object]) -> Iterator[Reference]:
    used: dict[int, None] | None = None
    for held in objects:
        for number in ([held.holder] if held.holder else []) + list(held.others or ()):
            yield held, number, "LOCAL_REFERENCE"
        if not held.holder:
            if used is None:  # only once, and only if anybody wants to know
                used = {oid: None for task in head.tasks.table.values() for oid in _named(task.message)}
            yield held, 0, "USED_BY_PENDING_TASK" if held.ident in used else "CAPTURED_IN_OBJECT"


def _named(message: Any) -> tuple[int, ...]:
    return (*message.deps, *message.refs)


#: What can be listed: its parts, and the column that identifies a record.
_KINDS: Final[dict[str, tuple[Callable[[Head, int | None], Iterator[Part]], str]]] = {
    "tasks": (_tasks, "task_id"),
    "actors": (_actors, "actor_id"),
    "workers": (_workers, "worker_id"),
    "jobs": (_jobs, "job_id"),
    "placement_groups": (_groups, "placement_group_id"),
    "objects": (_objects, "object_id"),
}


#: What finds a column, what it is to be (or not), and the verdicts on texts: many rows have the same ones.
Test = tuple[Any, Any, bool, dict[str, bool]]


def _passes(found: Any, wanted: Any, equal: bool, verdicts: dict[str, bool]) -> bool:
    """Return whether a column is what a filter asks for; the text of a value counts, not its case."""
    if not isinstance(found, str):
        return bool(found == wanted) is equal
    verdict = verdicts.get(found)
    if verdict is None:
        same = isinstance(wanted, str) and found.casefold() == wanted.casefold()
        verdict = verdicts[found] = same is equal
    return verdict


def _plain(head: Head, asked: tuple[str, str, Any]) -> tuple[str, str, Any]:
    """Return a filter that compares with "=" or "!=": what asks for the task that "makes" an object names the task."""
    name, how, value = asked
    return (name, "=", _maker(head, value)) if how == "makes" else (name, how, value)


def _maker(head: Head, oid: int) -> int:
    """Return the task whose result an object is; 0 if nobody knows of any."""
    held = head.objects.table.get(oid)
    if isinstance(held, Object) and held.task is not None:
        return held.task.message.task
    if oid in head.tasks.table:
        return oid
    over = map(Over._make, reversed(head.past.tasks))
    return next((each.task for each in over if each.task <= oid < each.task + max(each.spec.num_returns, 1)), 0)


def _matching(head: Head, body: dict[str, Any]) -> Iterator[tuple[Any, Columns]]:
    """Yield the records that pass every filter of ``body``, each with its columns."""
    parts, key = _KINDS[body["of"]]
    filters: list[tuple[str, str, Any]] = [_plain(head, each) for each in body["filters"]]
    only = next((value for name, how, value in filters if name == key and how == "="), None)
    for records, columns in parts(head, only):
        tests: list[Test] = [(columns[name], value, how == "=", {}) for name, how, value in filters]
        for record in records:
            for find, wanted, equal, verdicts in tests:
                if not _passes(find(head, record), wanted, equal, verdicts):
                    break
            else:
                yield record, columns


def listed(head: Head, body: dict[str, Any]) -> dict[str, Any]:
    """Return at most ``limit`` rows of the kind ``of``, with these ``columns``."""
    wanted: list[str] = body["columns"]
    found = islice(_matching(head, body), body["limit"])
    rows = [{name: columns[name](head, record) for name in wanted} for record, columns in found]
    return {"rows": rows, "epoch": head.config.epoch}


def counted(head: Head, body: dict[str, Any]) -> dict[str, Any]:
    """Return how many records of the kind ``of`` there are with each combination of ``columns``."""
    counts: dict[tuple[Any, ...], int] = {}
    finds: dict[int, list[Find]] = {}
    for record, columns in _matching(head, body):
        wanted = finds.get(id(columns)) or finds.setdefault(id(columns), [columns[name] for name in body["columns"]])
        key = tuple([find(head, record) for find in wanted])
        counts[key] = counts.get(key, 0) + 1
    if body["of"] == "tasks" and not body["filters"]:
        _add_counted(head, body["columns"], counts)
    return {"counts": [[*key, count] for key, count in counts.items()]}


def _add_counted(head: Head, columns: list[str], counts: dict[tuple[Any, ...], int]) -> None:
    """Count those in that have finished and are not remembered one by one, if the columns are known of them."""
    specs = (spec for peer in head.peers.values() for spec in peer.specs.values())
    for (function, name, kind), count in head.past.counted(specs).items():
        known = {"func_or_class_name": function, "name": name, "type": listings.TYPES[kind], "state": "FINISHED"}
        if not set(columns) <= set(known):
            return
        key = tuple(known[column] for column in columns)
        counts[key] = counts.get(key, 0) + count


def ran(head: Head, body: dict[str, Any]) -> dict[str, Any]:
    """Return what has run, in the order in which it ended, and what runs: one row per task.

    A row: task, name, kind, worker, its pid, attempt, when it was submitted, when it ended (or now), microseconds in
    user code, state, and whether others may have run in its process at the same time.
    """
    del body
    side_by_side = {over.ident: over.spec.max_concurrency > 1 for over in head.past.actors}
    side_by_side.update({ident: actor.concurrency > 1 for ident, actor in head.actors.alive.items()})
    pids = {over.number: over.pid for over in head.past.workers}
    pids.update({worker.number: worker.pid for worker in head.workers.table.values()})
    rows: list[list[Any]] = []
    for over in map(Over._make, head.past.tasks):
        if over.worker:
            state = listings.OVER_TASKS["state"](head, over)
            rows.append(
                [over.task, over.spec.name, int(over.spec.kind), over.worker, pids.get(over.worker, 0), over.attempt,
                 over.born, over.ended, over.micros, state, side_by_side.get(over.actor, False)]
            )  # fmt: skip
    for task in head.tasks.table.values():
        if task.worker is not None and listings.task_state(head, task).startswith("RUNNING"):
            spec, worker = task.spec.spec, task.worker
            micros = int((head.now - task.since) * 1e6)
            rows.append(
                [task.message.task, spec.name, int(spec.kind), worker.number, worker.pid, task.tried,
                 task.born, head.now, micros, "RUNNING", side_by_side.get(task.message.actor, False)]
            )  # fmt: skip
    return {"rows": rows, "epoch": head.config.epoch}
