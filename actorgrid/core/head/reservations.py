"""Placement groups: resources that are set aside together, and whatever runs with them.

A group that waits for its room is a task of kind RESERVATION in the queue of ready tasks: it has its place in the
order, nobody who comes later starves it, and when all of its bundles fit it is served, without a worker. From then on
each bundle is a pool of its own (``resources.Pool.split``), and the shapes of the tasks that run in the group take
from those. Until then these tasks are parked, so that they are in nobody's way.

Removing a group is decided here, at once and for good: its tasks and actors end with a typed error, their processes
are killed, and what was set aside is everybody's again.

This file may not know who runs next.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from actorgrid.core.head.records import Actor, Object, Shape, SpecRecord, Task, Worker
from actorgrid.core.messages import Answer, AwaitReserved, Kind, Reserve, Spec, Submit, Unreserve, Value
from actorgrid.core.messages import FailureKind as Failed
from actorgrid.core.resources import GPU, Demand, Pool, of, total
from actorgrid.core.states import RESERVATION, ReservationInput, ReservationState, TaskInput, TaskState, WorkerInput

if TYPE_CHECKING:
    from actorgrid.core.head.machine import Head
    from actorgrid.core.head.records import Peer


class Reservation:
    """A placement group."""

    __slots__ = (
        "actors", "askers", "bundles", "creator", "ident", "job", "key", "message", "owner", "parked", "pools",
        "shapes", "state", "task", "tasks",
    )  # fmt: skip

    # Invariant: bool(self.pools) == (self.state is ReservationState.PLACED)
    # Invariant: (self.task is not None) == (self.state is ReservationState.WAITING)

    def __init__(self, message: Reserve) -> None:
        self.ident = message.group
        self.message = message
        self.bundles = message.bundles
        self.state: ReservationState = ReservationState.WAITING
        #: (namespace, name), if it has a name.
        self.key = (message.namespace, message.name) if message.name else None
        #: The driver with which it ends, or the detached actor; 0: none.
        self.job = 0
        self.owner = 0
        #: The driver for which it was made, even so (for people).
        self.creator = 0
        #: What stands for it in the queue, while it waits.
        self.task: Task | None = None
        #: What is set aside, by bundle, once it is.
        self.pools: list[Pool] = []
        #: The shapes of what runs in it, by (bundle, demand, setup); those with waiting tasks, until it is placed.
        self.shapes: dict[tuple[int, Demand, bytes], Shape] = {}
        self.parked: dict[Shape, None] = {}
        #: Tasks in it that are not over, and actors that are not dead.
        self.tasks: dict[int, Task] = {}
        self.actors: dict[int, Actor] = {}
        #: (object, who asked for it, its value) of those that wait until it is placed.
        self.askers: list[tuple[int, int, Value]] = []

    @property
    def told(self) -> str:
        """What it is called."""
        return f"placement group {self.message.name}" if self.message.name else "its placement group"


class Share:
    """What a group has set aside, or one bundle of it."""

    __slots__ = ("bundle", "group")

    def __init__(self, group: Reservation, bundle: int) -> None:
        """``bundle``: its number, -1: any."""
        self.group = group
        self.bundle = bundle

    @property
    def ground(self) -> object:
        """See ``Source``."""
        return self.group

    @property
    def pools(self) -> Sequence[Pool]:
        """See ``Source``."""
        pools = self.group.pools
        return pools if self.bundle < 0 else pools[self.bundle : self.bundle + 1]

    def fits(self, wanted: Demand) -> bool:
        """See ``Source``."""
        return any(pool.fits(wanted) for pool in self.pools)

    def will_fit(self, wanted: Demand) -> bool:
        """See ``Source``."""
        return any(pool.will_fit(wanted) for pool in self.pools)

    def take(self, wanted: Demand) -> Pool:
        """See ``Source``: of the first bundle in which it fits."""
        return next((pool for pool in self.pools if pool.fits(wanted)), self.pools[0]).take(wanted)


class Claim:
    """What placement groups with certain bundles need of what nobody has set aside."""

    __slots__ = ("bundles", "pool", "sizes")

    def __init__(self, pool: Pool, bundles: tuple[Demand, ...]) -> None:
        self.pool = pool
        self.bundles = bundles
        self.sizes = [of(GPU, bundle) for bundle in bundles]

    @property
    def ground(self) -> object:
        """See ``Source``."""
        return self.pool

    @property
    def pools(self) -> Sequence[Pool]:
        """See ``Source``."""
        return (self.pool,)

    def fits(self, wanted: Demand) -> bool:
        """See ``Source``."""
        return self.pool.covers(wanted, self.sizes)

    def will_fit(self, wanted: Demand) -> bool:
        """See ``Source``."""
        return self.pool.will_cover(wanted, self.sizes)

    def take(self, wanted: Demand) -> Pool:
        """See ``Source``; ``Pool.split`` does it."""
        raise AssertionError(wanted)


class Reservations:
    """The placement groups that there are."""

    __slots__ = ("claims", "head", "names", "table", "waiting")

    def __init__(self, head: Head) -> None:
        self.head = head
        self.table: dict[int, Reservation] = {}
        self.names: dict[tuple[str, str], Reservation] = {}
        #: The shapes of those that wait, by their bundles.
        self.claims: dict[tuple[Demand, ...], Shape] = {}
        #: How many wait.
        self.waiting = 0

    def step(self, group: Reservation, given: ReservationInput) -> None:
        """Move a group along its table."""
        state = RESERVATION.get((group.state, given))
        if state is None:
            raise self.head.impossible(f"reservation {group.ident}", group.state, given)
        self.head.note(group.ident, group.state, given)
        group.state = state

    # -- making one

    def reserve(self, peer: Peer, message: Reserve) -> None:
        """A client makes a placement group."""
        peer.last_id = message.group
        group = Reservation(message)
        if group.key in self.names:
            self.head.reply(peer, Answer(message.request, error="exists"))
            return
        parent = self.head.tasks.table.get(message.parent)
        source = parent if parent is not None and parent.actor is None else peer
        group.creator = source.creator
        if not message.detached:
            group.job = source.job
            actor = peer.worker.actor if peer.worker is not None else None
            group.owner = actor.ident if actor is not None and not group.job else 0
        if message.request:
            self.head.reply(peer, Answer(message.request))
        if group.job and group.job not in self.head.drivers:
            return  # on its way while its driver left
        self.table[group.ident] = group
        if group.key is not None:
            self.names[group.key] = group
        self._queue(peer, group, parent.depth + 1 if parent is not None else 0)

    def _queue(self, peer: Peer, group: Reservation, depth: int) -> None:
        shape = self.claims.get(group.bundles)
        ready, wanted = self.head.ready, total(group.bundles)
        if shape is None:
            claim = Claim(ready.pool, group.bundles)
            shape = self.claims[group.bundles] = Shape(wanted, claim, ready.active, claims=True)
        spec = Spec(0, Kind.RESERVATION, group.told, demand=wanted, num_returns=0)
        record = SpecRecord(spec, None, shape)
        tasks = self.head.tasks
        tasks.count += 1  # not admitted as others are: nobody may cancel it, repeat it, or miss it in a recording
        group.task = task = tasks.table[group.ident] = Task(Submit(group.ident, 0), record, peer.number, tasks.count)
        record.pending = 1
        task.job, task.depth = group.job, depth
        task.state = TaskState.READY
        self.waiting += 1
        ready.push(task)

    def place(self, task: Task) -> None:
        """Everything that a group needs is free, and its turn has come."""
        group = self.table[task.message.task]
        self.step(group, ReservationInput.PLACE)
        group.pools = self.head.ready.pool.split(group.bundles)
        active = self.head.ready.active
        for shape in group.shapes.values():
            shape.home = active
        active.update(group.parked)
        group.parked.clear()
        self.head.step_task(task, TaskInput.ASSIGN)
        self.head.step_task(task, TaskInput.RETURN)
        self._leave_queue(group, task)
        askers, group.askers = group.askers, []
        for oid, asker, value in askers:
            self.head.objects.fulfil(oid, value, 0, asker)

    def _leave_queue(self, group: Reservation, task: Task) -> None:
        group.task = None
        self.waiting -= 1
        self.head.tasks.end(task, (), 0)
        if not task.spec.shape.waiting:
            del self.claims[group.bundles]

    def await_placed(self, peer: Peer, message: AwaitReserved) -> None:
        """A client wants to know when a group has its resources."""
        self.head.memory.vouch(peer, message.value)
        peer.last_id = message.oid
        group = self.table.get(message.group)
        made = Object(message.oid, group.task if group is not None else None)
        self.head.objects.grant_first(peer, made)
        if group is None:
            self.head.memory.discard(message.value)
            self.head.objects.fulfil(message.oid, self._failure("its placement group"), 0, peer.number)
        elif group.task is not None:
            group.askers.append((message.oid, peer.number, message.value))
        else:
            self.head.objects.fulfil(message.oid, message.value, 0, peer.number)

    # -- what runs in it

    def find(self, spec: Spec) -> Reservation | None:
        """Return the placement group that calls of ``spec`` run in; None: in none. One that is gone is REMOVED."""
        if spec.placement is None or not spec.placement.group:
            return None
        group = self.table.get(spec.placement.group)
        if group is None:
            group = Reservation(Reserve(spec.placement.group, spec.placement.bundles, ""))
            self.step(group, ReservationInput.REMOVE)
        return group

    def shape(self, group: Reservation, spec: Spec) -> Shape:
        """Return the shape of calls that run in ``group``."""
        assert spec.placement is not None
        key = (spec.placement.bundle, spec.demand, spec.setup)
        shape = group.shapes.get(key)
        if shape is None:
            home = self.head.ready.active if group.pools else group.parked
            shape = Shape(spec.demand, Share(group, spec.placement.bundle), home, spec.setup)
            if group.state is not ReservationState.REMOVED:
                group.shapes[key] = shape
        return shape

    def admits(self, task: Task) -> bool:
        """A task, or the creation of an actor, is to run in its group. Returns whether it may; if not it has ended."""
        group = task.spec.reservation
        assert group is not None
        if group.state is ReservationState.REMOVED:
            self._end(task, group)
            return False
        if task.actor is not None:
            group.actors[task.actor.ident] = task.actor
        else:
            group.tasks[task.message.task] = task
        return True

    # -- the end of one

    def unreserve(self, peer: Peer, message: Unreserve) -> None:
        """A client removes a group. One that is gone is gone."""
        del peer
        group = self.table.get(message.group)
        if group is not None:
            self.remove(group)

    def end_job(self, job: int) -> None:
        """The driver is gone with which these groups end."""
        for group in [group for group in self.table.values() if group.job == job]:
            self.remove(group)

    def end_owner(self, actor: Actor) -> None:
        """A detached actor is dead, and what it has set aside is not needed any more."""
        for group in [group for group in self.table.values() if group.owner == actor.ident]:
            self.remove(group)

    def remove(self, group: Reservation) -> None:
        """End whatever runs in a group, or waits for it, and give back what it holds."""
        if self.table.pop(group.ident, None) is None:
            return  # it has ended with another one, which a detached actor of this one had made, say
        if group.key is not None:
            del self.names[group.key]
        self.step(group, ReservationInput.REMOVE)
        task = group.task
        if task is not None:
            self.head.ready.left(task.spec.shape)
            self.head.step_task(task, TaskInput.FAIL)
            self._leave_queue(group, task)
        for oid, asker, value in group.askers:
            self.head.memory.discard(value)
            self.head.objects.fulfil(oid, self._failure(group.told), 0, asker)
        for each in list(group.tasks.values()):
            if each.message.task in group.tasks:  # else it ended with another one
                self._end(each, group)
        for actor in list(group.actors.values()):
            if actor.ident in group.actors:
                self._end_actor(actor, group)
        group.askers.clear()
        group.shapes.clear()
        pools, group.pools = group.pools, []
        self.head.ready.pool.join(pools)

    def _end(self, task: Task, group: Reservation) -> None:
        worker = task.worker
        if task.actor is not None:
            self._end_actor(task.actor, group)
        elif worker is not None:
            self._stop(worker, group)
        else:
            self.head.tasks.drop(task, self._failure(group.told, task, "did not run"))

    def _end_actor(self, actor: Actor, group: Reservation) -> None:
        text = f"{actor.spec.spec.name} ended: {group.told} was removed"
        self.head.actors.die(actor, text, kind=Failed.ACTOR_GROUP_REMOVED)

    def _stop(self, worker: Worker, group: Reservation) -> None:
        """End the tasks of a worker, all of which are of one group, and its process."""
        assigned, worker.assigned = worker.assigned, {}
        first = next(iter(assigned.values()))  # the others wait for it
        for task in assigned.values():
            how = f"was stopped (process {worker.pid} was killed)" if task is first else "did not run"
            self.head.tasks.fail(task, self._failure(group.told, task, how))
        self.head.dispatch.vacate(worker)
        self.head.workers.kill(worker, "was killed because its placement group was removed")
        self.head.workers.step(worker, WorkerInput.LEAVE)

    def _failure(self, told: str, task: Task | None = None, how: str = "") -> Value:
        text = f"{told} was removed" if task is None else f"{task.spec.spec.name} {how}: {told} was removed"
        return self.head.failure(Failed.GROUP_REMOVED, text, task=task)

    # -- what can be asked

    def tell(self, group: Reservation) -> dict[str, Any]:
        """Return what there is to be told of a group, for ``placement_group_table``."""
        return {
            "group": group.ident,
            "name": group.message.name,
            "bundles": [list(map(list, bundle)) for bundle in group.bundles],
            "free": [[[name, units] for name, units in pool.free.items()] for pool in group.pools],
            "strategy": group.message.strategy,
            "state": group.state.value,
        }
