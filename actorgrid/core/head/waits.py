"""Who waits for whom, and whether that can ever end.

A call that waits says for what (``Blocked``). From that, the queues of actors and the demands of tasks follows what
every call that is not over needs before it can go on: all of some other calls, or some of them. A call is *stuck* if
that can never be: the stuck calls are the greatest set in which each needs more calls outside of it than there are.
(A deadlock of the AND-OR model: Knapp, "Deadlock detection in distributed databases", ACM Computing Surveys 1987.)

It is looked for when a call blocks, from that call: whoever closes a circle by blocking finds it. If part of it is a
stream that waits to be read, that one runs on, beyond its bound, and nobody is stuck. Only what the head can prove
counts: a call that runs, has a deadline, waits with a timeout, or waits for what an idle actor holds may go on.

This file may not know how a call is told.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from actorgrid.core.head import groups
from actorgrid.core.head.records import Actor, Object, Task
from actorgrid.core.messages import AWAIT, YIELD, Blocked, Deadlock, Kind
from actorgrid.core.resources import Pool
from actorgrid.core.states import ActorState, StreamState, TaskState

if TYPE_CHECKING:
    from actorgrid.core.head.machine import Head

#: A search that meets more calls than this gives up: nothing is proved.
MOST_CALLS: Final = 10_000


class Need(NamedTuple):
    """What a call needs before it can go on: ``many`` of ``calls``. ``why`` is the middle of a sentence."""

    many: int
    calls: list[Task]
    why: str


#: It may go on as things are.
NOTHING: Final = Need(0, [], "")


class Waits:
    """The graph of waiting calls; it keeps nothing, the records say all."""

    __slots__ = ("head",)

    def __init__(self, head: Head) -> None:
        self.head = head

    def blocked(self, task: Task, message: Blocked) -> None:
        """``task`` waits from now on."""
        task.waits = message
        proves = self.head.config.prove_deadlocks
        if message.finite or task.worker is None or not (proves or self.head.streams.waiting):
            return
        circle = self.circle(task)
        while (stream := next((call for call, _ in circle if is_full(call)), None)) is not None:
            self.head.streams.lift(stream)  # without a bound it would not be in the circle
            circle = self.circle(task)
        if circle and proves:
            self.head.note(message.task, task.state, "it waits in a circle")
            self.head.reply(task.worker.peer, Deadlock(message.task, self.told(circle)))

    def circle(self, task: Task) -> list[tuple[Task, Need]]:
        """Return a chain of calls of which each waits for the next, and the last for one of the chain; [] if none."""
        needs = self._reachable(task)
        stuck = _stuck(needs)
        if task not in stuck:
            return []
        chain: dict[Task, Need] = {}
        here = task
        while here not in chain:
            chain[here] = needs[here]
            here = next(call for call in needs[here].calls if call in stuck)
        return list(chain.items())

    @staticmethod
    def told(circle: list[tuple[Task, Need]]) -> str:
        """Return a circle as a sentence."""
        parts = [f"{task.spec.spec.name} {need.why} {_names(need.calls)}" for task, need in circle]
        return "these calls wait for each other and none can ever go on: " + "; ".join(parts)

    def _reachable(self, first: Task) -> dict[Task, Need]:
        needs: dict[Task, Need] = {}
        ahead = [first]
        while ahead:
            task = ahead.pop()
            if task in needs:
                continue
            if len(needs) >= MOST_CALLS:
                return {first: NOTHING}
            need = needs[task] = self.need(task)
            ahead += need.calls
        return needs

    def need(self, task: Task) -> Need:
        """Return what ``task`` needs before it can go on."""
        if task.limits is not None:
            return NOTHING  # it ends by itself
        if task.waits is not None:
            return self._reader(task) if task.waits.call == YIELD else self._objects(task.waits)
        if task.state is TaskState.WAITING:
            return self._arguments(task)
        actor = task.actor
        if actor is not None and task.spec.kind is Kind.METHOD:
            return self._turn(actor, task)
        if task.state is TaskState.READY:
            return self._room(task)
        return NOTHING

    def _makers(self, oids: tuple[int, ...]) -> tuple[list[Task], int]:
        """Return the calls that will make these objects, and how many of the objects nobody will make, or exist."""
        table = self.head.objects.table
        makers: list[Task] = []
        for oid in oids:
            held = table.get(oid)
            if isinstance(held, Object) and held.task is not None:
                makers.append(held.task)
        return makers, len(oids) - len(makers)

    def _objects(self, message: Blocked) -> Need:
        makers, others = self._makers(message.oids)
        count = len(makers) if not message.need else message.need - others
        if message.finite or count <= 0:
            return NOTHING
        return Need(count, makers, "awaits" if message.call == AWAIT else f"waits in {message.call}() for")

    @staticmethod
    def _reader(task: Task) -> Need:
        """Return what a stream needs that waits to be read: the call that reads it, if nobody else can.

        One that waits for the stream itself is about to read what is on its way.
        """
        reader = task.parent
        if reader is None or reader.waits is None or not is_full(task):
            return NOTHING
        if task.message.task in reader.waits.oids or reader.waits.finite:
            return NOTHING
        if reader.actor is not None and not reader.actor.fifo:
            return NOTHING
        return Need(1, [reader], "waits for its items to be read by")

    def _arguments(self, task: Task) -> Need:
        makers, _ = self._makers(task.message.deps)
        if makers:
            return Need(len(makers), makers, "needs an argument from")
        line = task.actor.lines.get(task.client) if task.actor is not None else None
        if line and line[0] is not task:
            return Need(1, [line[0]], "comes after an earlier call of its caller,")
        return NOTHING

    def _turn(self, actor: Actor, task: Task) -> Need:
        """Return what a call of an actor needs: that the actor exists, and has a place for one more call."""
        if actor.state is not ActorState.ALIVE:
            return Need(1, [actor.creation], "waits for its actor,") if actor.creation is not None else NOTHING
        if actor.worker is None:
            return NOTHING
        rivals = groups.rivals(actor, task)
        return NOTHING if rivals is None else Need(1, rivals, "waits for its turn behind")

    def _room(self, task: Task) -> Need:
        """Return what a task needs whose resources are taken, if they are all taken by tasks that wait."""
        shape, group = task.spec.shape, task.spec.reservation
        if group is not None and group.task is not None:
            return Need(1, [group.task], "waits for")
        pools, demand = shape.source.pools, shape.demand
        if shape.source.will_fit(demand) or self._set_aside(pools):
            return NOTHING
        lacking = [name for name, units in demand if any(pool.free.get(name, 0) < units for pool in pools)]
        holders: list[Task] = []
        for worker in self.head.workers.table.values():
            if worker.held and worker.pool in pools and any(name in lacking for name, _ in worker.held):
                if not worker.assigned or (worker.actor is not None and not worker.actor.fifo):
                    return NOTHING  # an actor that does nothing may be let go, and of several calls one may go on
                holders.append(next(iter(worker.assigned.values())))  # it runs: the others wait for it
        return Need(1, holders, f"waits for {', '.join(lacking)} held by") if holders else NOTHING

    def _set_aside(self, pools: Sequence[Pool]) -> bool:
        """Return whether placement groups hold some of these, which anybody may remove at any time."""
        return self.head.ready.pool in pools and any(group.pools for group in self.head.reservations.table.values())


def is_full(task: Task) -> bool:
    """Return whether a call is a stream that waits for its reader."""
    return task.stream is not None and task.stream.state is StreamState.FULL


def _stuck(needs: dict[Task, Need]) -> dict[Task, None]:
    """Return the calls that can never go on."""
    stuck = dict.fromkeys(needs)
    while True:
        free = [task for task in stuck if sum(call not in stuck for call in needs[task].calls) >= needs[task].many]
        if not free:
            return stuck
        for task in free:
            del stuck[task]


def _names(tasks: list[Task]) -> str:
    names = [task.spec.spec.name for task in tasks[:3]]
    return ", ".join(names) + (f" and {len(tasks) - 3} more" if len(tasks) > 3 else "")
