"""What an object waits for, in words: the answer to ``explain(ref)``, and to whoever has waited for long.

One sentence per call, from the object back to what everything waits for in the end. Nothing is changed, and nothing is
kept for the sake of this: the records say all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from actorgrid.core.head import attempts
from actorgrid.core.head.records import Actor, Object, Task, Worker
from actorgrid.core.head.waits import is_full
from actorgrid.core.messages import AWAIT, YIELD, Blocked, Kind, Status
from actorgrid.core.resources import UNIT, Pool, amounts, of, total
from actorgrid.core.states import ActorState, TaskState

if TYPE_CHECKING:
    from actorgrid.core.head.machine import Head

#: So many calls are told of, and the last one of a longer chain if it is found within so many steps.
DEEPEST: Final = 12
FURTHEST: Final = 1000
#: Who has said something since so long ago is not asked whether it is there, and who is asked has so long to answer.
SILENCE: Final = 1.0


def chain(head: Head, oid: int) -> list[Task]:
    """Return the calls that object ``oid`` waits for, from the one that makes it to those that wait for nobody.

    Of more than ``DEEPEST`` calls these are the first ones, and the one at the end of the next.
    """
    held = head.objects.table.get(oid)
    found: dict[Task, None] = {}
    ahead = [held.task] if isinstance(held, Object) and held.task is not None else []
    while ahead:
        task = ahead.pop(0)
        if task in found:
            continue
        if len(found) == DEEPEST:
            return [*found, _end(head, task)]
        found[task] = None
        ahead += _needed(head, task)
    return list(found)


def _end(head: Head, task: Task) -> Task:
    """Return a call that ``task`` waits for in the end."""
    seen = {task: None}
    for _ in range(FURTHEST):
        further = [each for each in _needed(head, task) if each not in seen]
        if not further:
            break
        task = further[0]
        seen[task] = None
    return task


def _needed(head: Head, task: Task) -> list[Task]:
    return head.waits.need(task).calls if task.limits is None else []


def explain(head: Head, oid: int) -> list[str]:
    """Return what object ``oid`` waits for, a sentence per call; the first one is about the object itself."""
    held = head.objects.table.get(oid)
    if isinstance(held, Actor):
        return [f"the actor {held.spec.spec.name} is {held.state}"]
    if not isinstance(held, Object):
        return ["the object is gone: no counted reference to it is left"]
    if held.value is not None:
        return ["the object exists" if held.value.status is Status.OK else "the object exists: it is an error"]
    if held.task is None:
        return ["the object will exist when a process has ended"]
    told = [f"{task.spec.spec.name} {_about(head, task)}{_before(task)}" for task in chain(head, oid)]
    return [*told[:DEEPEST], "...", told[-1]] if len(told) > DEEPEST else told


def _about(head: Head, task: Task) -> str:
    """Return what is to be said of one call, without its name."""
    if task.waits is not None and (task.waits.call != YIELD or is_full(task)):  # else it has been told to go on
        return _waiting(head, task, task.waits)
    if task.state is TaskState.WAITING:
        need = head.waits.need(task)
        return f"has not started: it {need.why} {_names(need.calls)}" if need.calls else "has not started"
    if task.actor is not None and task.spec.kind is Kind.METHOD:
        return _call(head, task.actor, task)
    if task.state is TaskState.READY:
        return _ready(head, task)
    if task.state is TaskState.RESTING:
        return f"{attempts.told(task)} and is tried again in a moment"
    return _with_worker(head, task)


def _before(task: Task) -> str:
    """Return what has become of earlier attempts."""
    failed = attempts.told(task)
    return f"; it {failed}" if failed and task.state is not TaskState.RESTING else ""


def _waiting(head: Head, task: Task, waits: Blocked) -> str:
    process = _process(task.worker)
    if waits.call == YIELD and task.stream is not None:
        return f"waits{process} until some of its {task.stream.count - task.stream.taken} unread items are read"
    if waits.call == AWAIT:
        return f"awaits{process} {_names(head.waits.need(task).calls) or 'what has a time limit, or is on its way'}"
    return f"waits in {waits.call}(){process} for {_names(head.waits.need(task).calls) or 'objects on their way'}"


def _call(head: Head, actor: Actor, task: Task) -> str:
    if actor.state is not ActorState.ALIVE:
        return f"has not started: its actor {actor.spec.spec.name} is {actor.state}"
    need = head.waits.need(task)
    if need.calls:
        return f"has not started: it {need.why} {_names(need.calls)}"
    return _with_worker(head, task) if task.worker is not None else "has not started: its actor is busy"


def _ready(head: Head, task: Task) -> str:
    source, demand, group = task.spec.shape.source, task.spec.shape.demand, task.spec.reservation
    wanted = ", ".join(f"{value:g} {name}" for name, value in amounts(demand).items())
    if group is not None and group.task is not None:
        return f"has not started: it waits for {group.told}"
    if source.fits(demand):
        return "has not started: it could, and waits for a worker process" + (
            "" if head.workers.may_spawn() else f" (there are {head.workers.limit}, the most there may be)"
        )
    pools = source.pools
    lacking = [name for name, units in demand if any(pool.free.get(name, 0) < units for pool in pools)]
    names = lacking or [name for name, _ in demand]  # devices: there is enough of them, but in pieces
    free = ", ".join(f"{sum(pool.free.get(name, 0) for pool in pools) / UNIT:g} {name}" for name in names)
    where = (f" in {group.told}" if group is not None else "") + ("" if lacking else ", in pieces")
    holders = [_holder(worker) for worker in head.workers.table.values() if _holds(worker, pools, names)]
    if head.ready.pool in pools:
        holders += _groups(head, names)
    return f"has not started: it waits for {wanted} ({free} free{where}); held by {_some(holders) or 'nobody'}"


def _groups(head: Head, names: list[str]) -> list[str]:
    """Return which placement groups hold any of these resources."""
    there = [each for each in head.reservations.table.values() if each.pools]
    rich = [each for each in there if any(of(name, total(each.bundles)) for name in names)]
    told = [each.told for each in rich if each.message.name]
    nameless = len(rich) - len(told)
    several = f"{nameless} placement groups" if nameless > 1 else "a placement group"
    return [*told, several] if nameless else told


def _holds(worker: Worker, pools: Sequence[Pool], names: list[str]) -> bool:
    return not worker.lent and worker.pool in pools and any(name in names for name, _ in worker.held)


def _holder(worker: Worker) -> str:
    where = f"pid {worker.pid}" if worker.pid else "its process starts"
    if worker.actor is not None:
        return f"actor {worker.actor.spec.spec.name} ({where})"
    names = [task.spec.spec.name for task in worker.assigned.values()][:1]
    return f"{names[0] if names else 'a worker'} ({where})"


def _with_worker(head: Head, task: Task) -> str:
    worker = task.worker
    assert worker is not None
    if not worker.pid:
        return "is with a process that is starting"
    process = _process(worker)
    first = next(iter(worker.assigned.values()))
    if first is not task and worker.actor is None:
        return f"is next{process}, behind {first.spec.spec.name}"
    seconds = f"{head.now - task.since:.1f} s"
    if is_absent(worker, head.now):
        else_ = "" if worker.spoke else ", or has not started yet"
        why = f"it runs code in C that keeps the interpreter to itself{else_}"
        return f"has been{process} for {seconds}, which does not answer: {why}"
    if not worker.spoke:
        return f"has been with process {worker.pid}, which starts or runs it, for {seconds}"
    return f"{'was cancelled and runs on' if task.cancelled else 'runs'}{process}, for {seconds} so far"


def is_absent(worker: Worker, now: float) -> bool:
    """Return whether a worker was asked whether it is there, and has not answered for long."""
    return bool(worker.knocked) and now - worker.knocked >= SILENCE


def _process(worker: Worker | None) -> str:
    if worker is None:
        return ""
    return f" in process {worker.pid}" + (", which a signal has stopped" if worker.stopped else "")


def _names(tasks: list[Task]) -> str:
    return _some([task.spec.spec.name for task in tasks])


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
