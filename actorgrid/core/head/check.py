"""Every invariant of the head, executable. Tests call ``check`` after every event; production never does.

Each function states the invariants of one kind of record, most of them as they stand beside the fields in
``records.py``. A violation raises AssertionError with what the head remembers of the record.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from actorgrid.core.extents import reserved
from actorgrid.core.head.groups import group_of
from actorgrid.core.head.past import MOST
from actorgrid.core.head.records import Actor, Held, Object, Place, Shape, Task, Worker
from actorgrid.core.messages import Kind, Made
from actorgrid.core.resources import GPU, UNIT, Pool
from actorgrid.core.states import (
    PLACE_FINAL,
    TASK_FINAL,
    ActorState,
    PlaceState,
    ReservationState,
    StreamState,
    TaskState,
    WorkerState,
)

if TYPE_CHECKING:
    from actorgrid.core.head.journals import Journal
    from actorgrid.core.head.machine import Head


def check(head: Head) -> None:
    """Raise AssertionError if anything in ``head`` contradicts anything else."""
    check_resources(head)
    check_reservations(head)
    check_holders(head)
    check_pins(head)
    check_objects(head)
    check_tasks(head)
    check_ready(head)
    check_workers(head)
    check_actors(head)
    check_memory(head)
    check_places(head)
    check_streams(head)
    check_specs(head)
    check_memories(head)


def _require(head: Head, truth: bool, ident: int, text: str) -> None:
    if not truth:
        story = "\n  ".join(head.story(ident)) or "no story"
        raise AssertionError(f"{text} (id {ident})\n  {story}")


def check_specs(head: Head) -> None:
    """Each spec counts the calls that need it: those that are not over, and those that may run again."""
    pending = Counter(task.spec for task in head.tasks.table.values())
    for held in head.objects.table.values():
        if isinstance(held, Actor) and held.journal is not None:
            pending.update(entry.spec for entry in held.journal.entries)
    known = [spec for peer in head.peers.values() for spec in peer.specs.values()]
    for spec in {id(spec): spec for spec in (*known, *pending)}.values():
        count = pending[spec]
        _require(head, spec.pending == count, spec.spec.spec, f"{spec.pending} calls counted, {count} there")


def check_resources(head: Head) -> None:
    """What is free, what is set aside, and what workers hold and do not lend, is all there is: in every pool."""
    groups = head.reservations.table.values()
    bundles = [pool for group in groups for pool in group.pools]
    pools = [head.ready.pool, *bundles]
    for worker in head.workers.table.values():
        running = worker.state in (WorkerState.BUSY, WorkerState.LEAVING) and not worker.lent and worker.actor is None
        _require(head, running or not worker.passing, worker.number, "what does not run passes nothing on")
        _require(head, worker.passing or worker.state is not WorkerState.BUSY or not worker.held, worker.number, "held")
        known = not worker.held or any(worker.pool is pool for pool in pools)
        _require(head, known, worker.number, "what it holds is of no pool")
        _require(head, bool(worker.held) or not (worker.lent or worker.devices), worker.number, "a part of nothing")
    for pool in pools:
        _check_pool(head, pool, bundles if pool is head.ready.pool else [])


def _check_pool(head: Head, pool: Pool, parts: list[Pool]) -> None:
    """Check the books of a pool, of which ``parts`` were split off."""
    taken, passing = Counter[str](), Counter[str]()
    devices, passing_devices = Counter[int](), Counter[int]()
    for part in parts:
        taken.update(part.capacity)
        devices.update(dict(part.parts))
    for worker in head.workers.table.values():
        if worker.pool is not pool:
            continue
        taken.update(dict(worker.held))
        taken.subtract(dict(worker.lent))
        devices.update(dict(worker.devices))
        if worker.passing:
            passing.update(dict(worker.held))
            passing_devices.update(dict(worker.devices))
    for name, capacity in pool.capacity.items():
        free = pool.free[name]
        _require(head, free + taken[name] == capacity, 0, f"{name}: {free} free, {taken[name]} held")
        coming = pool.passing[name]
        _require(head, coming == passing[name], 0, f"{name}: {coming} are said to come back, {passing[name]} do")
    _require(head, (pool.devices is None) == (GPU not in pool.capacity), 0, "devices")
    if pool.devices is not None:
        free = sum(pool.devices.free.values())
        _require(head, free == pool.free[GPU], 0, f"{free} of devices free, {pool.free[GPU]} counted")
        for device, units in pool.devices.free.items():
            _require(head, 0 <= units <= UNIT, 0, f"device {device}: {units} free")
            whole = units + devices[device]
            _require(head, 0 < whole <= UNIT, 0, f"device {device}: {units} free, {devices[device]} held")
            coming = pool.devices.passing[device]
            _require(head, coming == passing_devices[device], 0, f"device {device}: {coming} said to come back")


def check_reservations(head: Head) -> None:
    """Placement groups, their names, what runs in them and what stands for them in the queue agree."""
    waiting = 0
    for ident, group in head.reservations.table.items():
        placed = group.state is ReservationState.PLACED
        waiting += group.task is not None
        _require(head, group.ident == ident and group.state is not ReservationState.REMOVED, ident, "a removed group")
        _require(head, bool(group.pools) == placed and (group.task is None) == placed, ident, f"{group.state}")
        _require(head, not (placed and (group.askers or group.parked)), ident, "somebody still waits for it")
        if group.task is not None:
            _require(head, head.tasks.table.get(ident) is group.task, ident, "what stands for it is gone")
        for number, task in group.tasks.items():
            there = head.tasks.table.get(number) is task and task.spec.reservation is group
            _require(head, there, ident, f"task {number} is not in it")
            inside = task.worker is None or not task.worker.held or task.worker.pool in group.pools
            _require(head, inside, number, "it holds what is not of its group")
        for actor in group.actors.values():
            _require(head, actor.death is None, ident, "a dead actor in it")
    _require(head, waiting == head.reservations.waiting, 0, f"{waiting} groups wait, {head.reservations.waiting} said")
    for task in head.tasks.table.values():
        group_of_task = task.spec.reservation
        if group_of_task is not None and task.spec.kind is Kind.TASK:
            known = group_of_task.tasks.get(task.message.task) is task
            _require(head, known, task.message.task, "its group does not know it")
    named = {group.key: group for group in head.reservations.table.values() if group.key is not None}
    _require(head, named == head.reservations.names, 0, "names of groups")
    for shape in head.reservations.claims.values():
        _require(head, shape.waiting > 0, 0, "bundles that no group waits for")


def check_holders(head: Head) -> None:
    """Holders and what clients hold agree both ways."""
    for ident, held in head.objects.table.items():
        _require(head, held.ident == ident, ident, "a record under another id")
        _require(head, bool(held.holder) == bool(held.grants), ident, "a holder without grants")
        _require(head, held.others is None or all(held.others.values()), ident, "an empty grant")
        _require(head, bool(held.holder) or not held.others, ident, "others without a first holder")
        for number in holders(held):
            peer = head.peers.get(number)
            _require(head, peer is not None and ident in peer.held, ident, f"client {number} does not know it holds it")
    for peer in head.peers.values():
        for ident in peer.held:
            found = head.objects.table.get(ident)
            _require(head, found is not None and peer.number in holders(found), ident, f"client {peer.number} holds it")


def holders(held: Held) -> list[int]:
    """Return the clients that hold something."""
    return ([held.holder] if held.holder else []) + list(held.others or ())


def check_pins(head: Head) -> None:
    """Pins count the records that mention an id: tasks that are not over, stored values, code."""
    pins: Counter[int] = Counter()
    for task in head.tasks.table.values():
        pins.update(task.message.deps)
        pins.update(task.message.refs)
        pins.update(_submitted(task.made))
    for held in head.objects.table.values():
        if isinstance(held, Object) and held.value is not None:
            pins.update(held.value.refs)
        if isinstance(held, Actor) and held.journal is not None:
            pins.update(_journal(held.journal))
    for code in head.library.codes.values():
        pins.update(code.value.refs)
    for ident, held in head.objects.table.items():
        _require(head, held.pins == pins[ident], ident, f"{held.pins} pins, {pins[ident]} mentions")
    for ident in pins:
        _require(head, ident in head.objects.table, ident, "something mentions what is gone")


def _submitted(made: dict[int, Made] | None) -> list[int]:
    return [oid for each in (made or {}).values() for oid in range(each.ident, each.ident + each.count)]


def _journal(journal: Journal) -> list[int]:
    """Return what a journal holds: a saved state, and whatever its calls need in order to run again."""
    held = [journal.state] if journal.state else []
    for entry in journal.entries:
        held += [*entry.message.deps, *entry.message.refs, *_submitted(entry.made)]
    return held


def check_objects(head: Head) -> None:
    """An object is promised or stored; nothing stays that nobody wants."""
    for ident, held in head.objects.table.items():
        if not isinstance(held, Object):
            continue
        stored = held.value is not None or head.vigils.makes(ident)
        _require(head, (held.task is None) == stored, ident, "neither promised nor stored, or both")
        _require(head, bool(holders(held)) or held.pins > 0, ident, "an object that nobody wants")
        if held.task is not None:
            _require(head, held.task.message.task in head.tasks.table, ident, "promised by a task that is over")
        for task in held.waiters or ():
            waits = task.state is TaskState.WAITING or task.state in TASK_FINAL
            _require(head, waits, ident, "waited for by a task that does not wait")


def check_tasks(head: Head) -> None:
    """Each task is where its state says."""
    for ident, task in head.tasks.table.items():
        _require(head, task.message.task == ident, ident, "a task under another id")
        _require(head, task.state not in TASK_FINAL, ident, "a task that is over is still here")
        placed = task.worker is not None
        running = task.state in (TaskState.ASSIGNED, TaskState.BLOCKED)
        resting = task.spec.kind is Kind.ACTOR and task.state is TaskState.ASSIGNED and not placed
        _require(head, placed == running or resting, ident, f"{task.state} with worker {task.worker}")
        _require(head, (task.blocked > 0) == (task.state is TaskState.BLOCKED), ident, f"blocked {task.blocked} times")
        if task.worker is not None:
            _require(head, task.worker.assigned.get(ident) is task, ident, "its worker does not have it")
        if task.state is not TaskState.WAITING:
            _require(head, task.missing == 0, ident, "it runs without its arguments")
        for number, child in (task.children or {}).items():
            _require(head, child.parent is task and number in head.tasks.table, ident, "a child that is not its own")


def check_streams(head: Head) -> None:
    """Streams and their readers agree, and whatever waits to be read has something to be read."""
    for ident, task in head.tasks.table.items():
        stream = task.stream
        if stream is None:
            continue
        reader = head.peers.get(task.client)
        read = reader is not None and reader.streams.get(ident) is task
        _require(head, read == (stream.state is not StreamState.DISMISSED), ident, f"{stream.state}, and read: {read}")
        _require(head, stream.state is not StreamState.OVER, ident, "a stream that is over is still here")
        _require(head, stream.at <= stream.count, ident, f"{stream.at} of {stream.count} items yielded")
        _require(head, stream.taken <= stream.count, ident, f"{stream.taken} of {stream.count} items taken")
        if stream.state is StreamState.FULL:
            _require(head, stream.full and task.worker is not None, ident, "it waits for nothing")
    full = sum(t.stream is not None and t.stream.state is StreamState.FULL for t in head.tasks.table.values())
    _require(head, full == head.streams.waiting, 0, f"{full} streams wait, {head.streams.waiting} counted")
    for number, peer in head.peers.items():
        for ident, task in peer.streams.items():
            _require(head, head.tasks.table.get(ident) is task, ident, f"client {number} reads what is over")


def check_ready(head: Head) -> None:
    """Queues and their counts agree."""
    for shape in _shapes(head):
        queued = [task for queue in shape.queues.values() for task in queue if task.state is TaskState.READY]
        counts = f"{shape.demand}: {len(queued)} queued, {shape.waiting} counted"
        _require(head, len(queued) == shape.waiting, 0, counts)
        _require(head, (shape in shape.home) == (shape.waiting > 0), 0, f"{shape.demand}: activity")
        _require(head, shape.keys == sorted(shape.queues), 0, f"{shape.demand}: keys")
    for ident, task in head.tasks.table.items():
        if task.state is TaskState.READY and task.spec.kind is not Kind.METHOD:
            queue = task.spec.shape.queues.get((task.spec.spec.priority, -task.depth), ())
            _require(head, any(other is task for other in queue), ident, "ready, but in no queue")


def _shapes(head: Head) -> list[Shape]:
    groups = head.reservations.table.values()
    inside = [shape for group in groups for shape in group.shapes.values()]
    return [*head.ready.shapes.values(), *head.reservations.claims.values(), *inside]


def check_workers(head: Head) -> None:
    """Each worker has what its state says."""
    for number, worker in head.workers.table.items():
        itself = worker.number == number and worker.peer.worker is worker
        _require(head, itself, number, "a worker under another number")
        _require(head, head.peers.get(number) is worker.peer, number, "a worker that is no peer")
        _check_worker(head, worker)
    for worker in head.dispatch.idle:
        _require(head, worker.state is WorkerState.IDLE, worker.number, f"idle and {worker.state}")
    groups = head.dispatch.idle.groups()
    known = sorted(worker.number for group in groups.values() for worker in group)
    _require(head, known == sorted(worker.number for worker in head.dispatch.idle), 0, "idle, but with no setup")
    for setup, group in groups.items():
        _require(head, bool(group) and all(worker.setup == setup for worker in group), 0, "idle with another setup")
    leaving = sum(worker.state is WorkerState.LEAVING for worker in head.workers.table.values())
    _require(head, leaving == head.workers.leaving, 0, f"{leaving} leave, {head.workers.leaving} counted")


def _check_worker(head: Head, worker: Worker) -> None:
    number, state = worker.number, worker.state
    _require(head, state is not WorkerState.DEAD, number, "a dead worker in the pool")
    if state is WorkerState.IDLE:
        idle = not worker.assigned and not worker.held and worker in head.dispatch.idle
        _require(head, idle, number, "idle, but not free")
    if state in (WorkerState.BUSY, WorkerState.BLOCKED):
        _require(head, bool(worker.assigned), number, f"{state} with nothing to do")
        same = all(task.spec.shape is worker.shape for task in worker.assigned.values())
        _require(head, same, number, "tasks of several shapes")
    _require(head, (state is WorkerState.ACTOR) <= (worker.actor is not None), number, "an actor's worker without one")
    for ident, task in worker.assigned.items():
        known = task.worker is worker and head.tasks.table.get(ident) is task
        _require(head, known, ident, f"worker {number} has a task that is elsewhere")
        same = task.spec.kind is Kind.METHOD or task.spec.shape.setup == worker.setup
        _require(head, same, ident, f"worker {number} is set up for something else")
    for spec in worker.specs:
        _require(head, worker in spec.taught, number, "it was taught what does not know it")


def check_memories(head: Head) -> None:
    """What is remembered, and what was measured, is bounded."""
    past, metrics = head.past, head.metrics
    _require(head, past.room <= past.burst, 0, "more room to remember than there may be")
    _require(head, len(past.errors) <= MOST, 0, "too many errors remembered")
    _require(head, metrics.count == sum(map(len, metrics.series.values())), 0, "series of metrics miscounted")


def check_actors(head: Head) -> None:
    """Actors, their calls and their workers agree."""
    calls: Counter[int] = Counter()
    for task in head.tasks.table.values():
        if task.actor is not None and task.spec.kind is Kind.METHOD:
            calls[task.actor.ident] += 1
            _check_call(head, task)
    placed = 0
    for ident, held in head.objects.table.items():
        if not isinstance(held, Actor):
            continue
        _require(head, held.calls == calls[ident], ident, f"{held.calls} calls counted, {calls[ident]} there")
        _require(head, (held.death is not None) == (held.state is ActorState.DEAD), ident, "half dead")
        _require(head, (head.actors.alive.get(ident) is held) == (held.death is None), ident, "dead and listed alive")
        placed += held.worker is not None
        if held.worker is not None:
            _require(head, held.worker.actor is held, ident, "its worker is another's")
            calls_there = [task for task in held.worker.assigned.values() if task.spec.kind is Kind.METHOD]
            flying = sum(len(task.message.args) for task in calls_there) if held.fifo else 0
            _require(head, held.flying == flying, ident, f"{held.flying} bytes counted in flight, {flying} are")
            _check_groups(head, held, calls_there)
        if held.state is ActorState.ALIVE and held.worker is not None:
            waiting = [task.replayed is not None for task in (*calls_there, *held.queue)]
            _require(head, waiting == sorted(waiting, reverse=True), ident, "a new call before one that runs again")
        if held.state is ActorState.DEAD:
            _require(head, held.journal is None, ident, "dead with a journal")
            _require(head, not held.queue and not held.lines and held.worker is None, ident, "dead with calls")
    _require(head, placed == head.actors.placed_count, 0, f"{placed} placed, {head.actors.placed_count} counted")


def _check_groups(head: Head, actor: Actor, there: list[Task]) -> None:
    """What is counted and parked of each group is so, and nothing is parked for which there is a place."""
    for name, group in (actor.groups or {}).items():
        sent = sum(group_of(actor, task) is group for task in there)
        _require(head, group.sent == sent, actor.ident, f"{group.sent} calls of group {name!r} counted, {sent} are")
        served = head.stage is not None or actor.state is not ActorState.ALIVE
        _require(head, served or not group.parked or sent >= group.limit, actor.ident, f"group {name!r} is held up")


def _check_call(head: Head, task: Task) -> None:
    actor, ident = task.actor, task.message.task
    assert actor is not None
    if task.state is TaskState.READY:
        parked = (other for group in (actor.groups or {}).values() for other in group.parked)
        there = any(other is task for other in (*actor.queue, *parked))
        _require(head, there, ident, "a ready call outside of the queue")
    for client, line in actor.lines.items():
        _require(head, bool(line) and line[0].missing > 0, ident, f"the line of client {client} waits for nothing")


def check_memory(head: Head) -> None:
    """Leases and extents add up."""
    memory = head.memory
    leased = sum(peer.leased for peer in head.peers.values())
    _require(head, memory.leased == leased + memory.orphaned, 0, f"{memory.leased} leased, {leased}+{memory.orphaned}")
    live: Counter[int] = Counter()
    for segment in memory.segments.values():
        owner = head.peers.get(segment.owner)
        for extent in segment.extents.values():
            live[owner.number if owner is not None else 0] += extent.size
    for peer in head.peers.values():
        counts = f"{peer.live_bytes} bytes live, {live[peer.number]} found"
        _require(head, peer.live_bytes == live[peer.number], peer.number, counts)
    _require(head, memory.orphaned == live[0], 0, f"{memory.orphaned} orphaned, {live[0]} found")


def check_places(head: Head) -> None:
    """Each object in shared memory is where its place says, and nobody may read what is not in memory."""
    spilling = head.spilling
    places = dict(spilling.jobs)
    for ident, held in head.objects.table.items():
        if isinstance(held, Object) and held.place is not None:
            value = held.value
            same = held.place.ident == ident and value is not None and value.extent == held.place.extent
            _require(head, same, ident, "its place is another's")
            _check_place(head, held.place)
            places[-ident] = held.place
    known = {id(place): place for place in places.values()}.values()
    coming = sum(reserved(place.extent.size) for place in known if place.counted)
    _require(head, spilling.coming == coming, 0, f"{spilling.coming} bytes are said to be coming, {coming} are")
    on_disk = sum(reserved(place.extent.size) for place in known if place.offset >= 0)
    _require(head, spilling.spilled_bytes == on_disk, 0, f"{spilling.spilled_bytes} bytes on disk, {on_disk} known")
    wanted = sum(request.size for request in head.room.queue.values())
    _require(head, head.room.wanted == wanted, 0, f"{head.room.wanted} bytes wanted, {wanted} asked for")
    _require(head, head.memory.leased <= head.memory.budget, 0, "more is leased than there is")
    alive = {place.ident for place in known}
    for ident in [*spilling.used, *spilling.asked]:
        _require(head, ident in alive, ident, "an object that is gone may be spilled")


def _check_place(head: Head, place: Place) -> None:
    ident, state, spilling = place.ident, place.state, head.spilling
    segment = head.memory.segments[place.extent.segment]
    on_disk = state in (PlaceState.SPILLED, PlaceState.WANTED)
    where = segment.spilled if on_disk else segment.extents
    _require(head, state not in PLACE_FINAL, ident, "an object in a place that is gone")
    _require(head, where.get(place.extent.offset) == place.extent, ident, f"{state}, but not there")
    in_memory = state in (PlaceState.ARENA, PlaceState.RECALLED)
    _require(head, in_memory == (place.offset < 0), ident, f"{state} at {place.offset} of the file")
    _require(head, in_memory or not place.told, ident, f"{state}, and clients may read it")
    copied = state in (PlaceState.SPILLING, PlaceState.EMPTYING, PlaceState.RESTORING)
    _require(head, copied == (spilling.jobs.get(place.job) is place), ident, f"{state} with copy {place.job}")
    _require(head, (ident in spilling.asked) == (state is PlaceState.RECALLED or bool(place.kept)), ident, "asked")
    usable = state is PlaceState.ARENA and not place.kept
    _require(head, (ident in spilling.used) == usable, ident, "used")
    waits = any(request.place is place for request in head.room.queue.values())
    _require(head, waits == (state is PlaceState.WANTED), ident, f"{state}, in the line for room: {waits}")
