"""The books of the head: whatever is counted, or noted at both of two ends. See ``check``."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from actorgrid.core.extents import reserved
from actorgrid.core.head.past import MOST
from actorgrid.core.head.records import Actor, Held, Object, Place
from actorgrid.core.messages import Kind, Made
from actorgrid.core.resources import GPU, UNIT, Pool
from actorgrid.core.states import (
    PLACE_FINAL,
    PlaceState,
    ReservationState,
    WorkerState,
)

if TYPE_CHECKING:
    from actorgrid.core.head.journals import Journal
    from actorgrid.core.head.machine import Head


def require(head: Head, truth: bool, ident: int, text: str) -> None:
    """Raise AssertionError with what the head remembers of ``ident`` unless something is true."""
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
        for worker in spec.taught:
            require(head, spec in worker.specs, spec.spec.spec, f"worker {worker.number} does not know it")
        require(head, spec.pending > 0 or not spec.forgotten, spec.spec.spec, "forgotten and still here")
        require(head, spec.pending == count, spec.spec.spec, f"{spec.pending} calls counted, {count} there")
    uses = Counter(digest for peer in head.peers.values() for digest in peer.exports)
    uses.update(spec.code.digest for spec in {id(spec): spec for spec in (*known, *pending)}.values() if spec.code)
    for digest, code in head.library.codes.items():
        require(head, code.uses == uses[digest], 0, f"{code.name}: {code.uses} uses counted, {uses[digest]} there")


def check_resources(head: Head) -> None:
    """What is free, what is set aside, and what workers hold and do not lend, is all there is: in every pool."""
    groups = head.reservations.table.values()
    bundles = [pool for group in groups for pool in group.pools]
    pools = [head.ready.pool, *bundles]
    for worker in head.workers.table.values():
        running = worker.state in (WorkerState.BUSY, WorkerState.LEAVING) and not worker.lent and worker.actor is None
        require(head, running or not worker.passing, worker.number, "what does not run passes nothing on")
        require(head, worker.passing or worker.state is not WorkerState.BUSY or not worker.held, worker.number, "held")
        known = not worker.held or any(worker.pool is pool for pool in pools)
        require(head, known, worker.number, "what it holds is of no pool")
        require(head, bool(worker.held) or not (worker.lent or worker.devices), worker.number, "a part of nothing")
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
        require(head, free + taken[name] == capacity, 0, f"{name}: {free} free, {taken[name]} held")
        coming = pool.passing[name]
        require(head, coming == passing[name], 0, f"{name}: {coming} are said to come back, {passing[name]} do")
    require(head, (pool.devices is None) == (GPU not in pool.capacity), 0, "devices")
    if pool.devices is not None:
        free = sum(pool.devices.free.values())
        require(head, free == pool.free[GPU], 0, f"{free} of devices free, {pool.free[GPU]} counted")
        for device, units in pool.devices.free.items():
            require(head, 0 <= units <= UNIT, 0, f"device {device}: {units} free")
            whole = units + devices[device]
            require(head, 0 < whole <= UNIT, 0, f"device {device}: {units} free, {devices[device]} held")
            coming = pool.devices.passing[device]
            require(head, coming == passing_devices[device], 0, f"device {device}: {coming} said to come back")


def check_reservations(head: Head) -> None:
    """Placement groups, their names, what runs in them and what stands for them in the queue agree."""
    waiting = 0
    for ident, group in head.reservations.table.items():
        placed = group.state is ReservationState.PLACED
        waiting += group.task is not None
        require(head, group.ident == ident and group.state is not ReservationState.REMOVED, ident, "a removed group")
        require(head, bool(group.pools) == placed and (group.task is None) == placed, ident, f"{group.state}")
        require(head, not (placed and (group.askers or group.parked)), ident, "somebody still waits for it")
        if group.task is not None:
            require(head, head.tasks.table.get(ident) is group.task, ident, "what stands for it is gone")
        for number, task in group.tasks.items():
            there = head.tasks.table.get(number) is task and task.spec.reservation is group
            require(head, there, ident, f"task {number} is not in it")
            inside = task.worker is None or not task.worker.held or task.worker.pool in group.pools
            require(head, inside, number, "it holds what is not of its group")
        for actor in group.actors.values():
            require(head, actor.death is None, ident, "a dead actor in it")
    require(head, waiting == head.reservations.waiting, 0, f"{waiting} groups wait, {head.reservations.waiting} said")
    for task in head.tasks.table.values():
        group_of_task = task.spec.reservation
        if group_of_task is not None and task.spec.kind is Kind.TASK:
            known = group_of_task.tasks.get(task.message.task) is task
            require(head, known, task.message.task, "its group does not know it")
    named = {group.key: group for group in head.reservations.table.values() if group.key is not None}
    require(head, named == head.reservations.names, 0, "names of groups")
    for shape in head.reservations.claims.values():
        require(head, shape.waiting > 0, 0, "bundles that no group waits for")


def check_holders(head: Head) -> None:
    """Holders and what clients hold agree both ways."""
    for ident, held in head.objects.table.items():
        require(head, held.ident == ident, ident, "a record under another id")
        require(head, bool(held.holder) == bool(held.grants), ident, "a holder without grants")
        require(head, held.others is None or all(held.others.values()), ident, "an empty grant")
        require(head, bool(held.holder) or not held.others, ident, "others without a first holder")
        for number in holders(held):
            peer = head.peers.get(number)
            require(head, peer is not None and ident in peer.held, ident, f"client {number} does not know it holds it")
    for peer in head.peers.values():
        for ident in peer.held:
            found = head.objects.table.get(ident)
            require(head, found is not None and peer.number in holders(found), ident, f"client {peer.number} holds it")


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
        require(head, held.pins == pins[ident], ident, f"{held.pins} pins, {pins[ident]} mentions")
    for ident in pins:
        require(head, ident in head.objects.table, ident, "something mentions what is gone")


def _submitted(made: dict[int, Made] | None) -> list[int]:
    return [oid for each in (made or {}).values() for oid in range(each.ident, each.ident + each.count)]


def _journal(journal: Journal) -> list[int]:
    """Return what a journal holds: a saved state, and whatever its calls need in order to run again."""
    held = [journal.state] if journal.state else []
    for entry in journal.entries:
        held += [*entry.message.deps, *entry.message.refs, *_submitted(entry.made)]
    return held


def check_memories(head: Head) -> None:
    """What is remembered, and what was measured, is bounded."""
    past, metrics = head.past, head.metrics
    require(head, past.room <= past.burst, 0, "more room to remember than there may be")
    require(head, len(past.errors) <= MOST, 0, "too many errors remembered")
    require(head, metrics.count == sum(map(len, metrics.series.values())), 0, "series of metrics miscounted")


def check_memory(head: Head) -> None:
    """Leases and extents add up."""
    memory = head.memory
    leased = sum(peer.leased for peer in head.peers.values())
    require(head, memory.leased == leased + memory.orphaned, 0, f"{memory.leased} leased, {leased}+{memory.orphaned}")
    live: Counter[int] = Counter()
    for segment in memory.segments.values():
        owner = head.peers.get(segment.owner)
        used = owner is not None or segment.extents or segment.spilled
        require(head, bool(used), segment.segment, "a segment of which nothing is left")
        for extent in segment.extents.values():
            live[owner.number if owner is not None else 0] += extent.size
    for peer in head.peers.values():
        counts = f"{peer.live_bytes} bytes live, {live[peer.number]} found"
        require(head, peer.live_bytes == live[peer.number], peer.number, counts)
        for segment in (*peer.segments, *(peer.worker.segments if peer.worker is not None else ())):
            require(head, segment in memory.segments, peer.number, f"knows segment {segment}, which is gone")
    require(head, memory.orphaned == live[0], 0, f"{memory.orphaned} orphaned, {live[0]} found")


def check_places(head: Head) -> None:
    """Each object in shared memory is where its place says, and nobody may read what is not in memory."""
    spilling = head.spilling
    places = dict(spilling.jobs)
    for ident, held in head.objects.table.items():
        if isinstance(held, Object) and held.place is not None:
            value = held.value
            same = held.place.ident == ident and value is not None and value.extent == held.place.extent
            require(head, same, ident, "its place is another's")
            _check_place(head, held.place)
            places[-ident] = held.place
    known = {id(place): place for place in places.values()}.values()
    coming = sum(reserved(place.extent.size) for place in known if place.counted)
    require(head, spilling.coming == coming, 0, f"{spilling.coming} bytes are said to be coming, {coming} are")
    on_disk = sum(reserved(place.extent.size) for place in known if place.offset >= 0)
    require(head, spilling.spilled_bytes == on_disk, 0, f"{spilling.spilled_bytes} bytes on disk, {on_disk} known")
    for request in head.room.queue.values():
        require(head, bool(request.alarm) == head.alarms.is_set(request.alarm), 0, "its alarm will not ring")
        require(head, request.place is not None or request.client in head.peers, 0, "somebody gone waits for room")
        restores = request.place is None or request.place.state is PlaceState.WANTED
        require(head, restores, 0, "room for what nobody wants back")
    wanted = sum(request.size for request in head.room.queue.values())
    require(head, head.room.wanted == wanted, 0, f"{head.room.wanted} bytes wanted, {wanted} asked for")
    require(head, head.memory.leased <= head.memory.budget, 0, "more is leased than there is")
    alive = {place.ident for place in known}
    for ident in [*spilling.used, *spilling.asked]:
        require(head, ident in alive, ident, "an object that is gone may be spilled")


def _check_place(head: Head, place: Place) -> None:
    ident, state, spilling = place.ident, place.state, head.spilling
    segment = head.memory.segments[place.extent.segment]
    on_disk = state in (PlaceState.SPILLED, PlaceState.WANTED)
    where = segment.spilled if on_disk else segment.extents
    require(head, state not in PLACE_FINAL, ident, "an object in a place that is gone")
    require(head, where.get(place.extent.offset) == place.extent, ident, f"{state}, but not there")
    recalled = state is PlaceState.RECALLED
    require(head, recalled == bool(place.awaited), ident, f"{state}, and {len(place.awaited)} are to answer")
    in_memory = state in (PlaceState.ARENA, PlaceState.RECALLED)
    require(head, in_memory == (place.offset < 0), ident, f"{state} at {place.offset} of the file")
    require(head, in_memory or not place.told, ident, f"{state}, and clients may read it")
    copied = state in (PlaceState.SPILLING, PlaceState.EMPTYING, PlaceState.RESTORING)
    require(head, copied == (spilling.jobs.get(place.job) is place), ident, f"{state} with copy {place.job}")
    require(head, (ident in spilling.asked) == (state is PlaceState.RECALLED or bool(place.kept)), ident, "asked")
    usable = state is PlaceState.ARENA and not place.kept
    require(head, (ident in spilling.used) == usable, ident, "used")
    waits = any(request.place is place for request in head.room.queue.values())
    require(head, waits == (state is PlaceState.WANTED), ident, f"{state}, in the line for room: {waits}")
