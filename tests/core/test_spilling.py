"""Random puts, reads and drops of several clients against a small store, with a disk that is slow, full, or dies.

What is checked after every event: the head's invariants; that nothing leaves memory, or is overwritten, while somebody
reads it; that whoever reads finds what was put. In the end: every request was answered, and everything is freed.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actorgrid.core import messages as m
from actorgrid.core.client import Client, Entry
from actorgrid.core.extents import reserved
from actorgrid.core.head.check import check
from actorgrid.core.head.effects import PunchExtent, Spill
from actorgrid.core.head.machine import Head, HeadConfig
from actorgrid.core.messages import Extent, FailureKind, Status, Value
from actorgrid.core.resources import demand
from actorgrid.wire.codec import Decoder, encode_frame
from tests.thinning import one_in

pytestmark = pytest.mark.search

UNIT = 64 << 10
BUDGET = 8 * UNIT
SIZES = (UNIT, 2 * UNIT, 3 * UNIT)
DAMAGE = -1


class Process:
    """A client that puts and reads: what ``runtime.store`` and ``engine.base`` do around the machine."""

    def __init__(self, world: World, number: int) -> None:
        self.world = world
        self.client = Client(number, self, str, lambda _: ())
        self.segment = self.client.take_ids(1)
        self.offset = 0
        self.client.outbox.append(m.NewSegment(self.segment, 1 << 40))
        self.inbox: deque[list[Any]] = deque()
        self.outbox: deque[list[Any]] = deque()
        self.refs: list[Entry] = []
        #: (entry, what it must contain) of everything that is read now.
        self.views: list[tuple[Entry, int]] = []
        self.pending = 0

    def wake(self) -> None:
        """Dropped references are collected at the next turn anyway."""

    def send(self) -> None:
        self.client.collect()
        if self.client.outbox:
            self.outbox.append(self.client.outbox)
            self.client.outbox = []

    def put(self, size: int) -> None:
        self.pending += 1
        request = self.client.request(partial(self._granted, size))
        self.client.outbox.append(m.LeaseRequest(request, reserved(size)))

    def _granted(self, size: int, answer: m.Answer) -> None:
        self.pending -= 1
        if answer.error:
            self.world.refused.append(answer)
            return
        more = answer.body["granted"] - reserved(size)
        if more:
            self.client.outbox.append(m.LeaseReturn(more))
        extent = Extent(self.segment, self.offset, size)
        self.offset += reserved(size)
        oid = self.client.take_ids(1)
        self.world.memory[extent.segment, extent.offset] = self.world.content[oid] = oid
        entry = self.client.own(oid, Value(Status.OK, b"", extent))
        entry.refs += 1
        self.refs.append(entry)
        self.client.outbox.append(m.Put(oid, Value(Status.OK, b"", extent)))

    def read(self, entry: Entry) -> None:
        """Read an object: at once, or after a fetch."""
        entry.pins += 1
        entry.refs += 1
        if entry.value is None or entry.value.status is not Status.OK:
            assert entry.value is None or entry.oid in self.world.damaged
            entry.unpin()
        elif not entry.away:
            self._look(entry)
        else:
            self.pending += 1
            request = self.client.request(partial(self._fetched, entry))
            self.client.outbox.append(m.Fetch(request, entry.oid))

    def _fetched(self, entry: Entry, answer: m.Answer) -> None:
        self.pending -= 1
        if answer.error:
            self.world.refused.append(answer)
            if answer.body["kind"] == FailureKind.OBJECT_LOST:
                assert entry.oid in self.world.damaged, answer.error
            entry.unpin()
        else:
            entry.away = False
            self._look(entry)

    def _look(self, entry: Entry) -> None:
        value = entry.value
        assert value is not None
        assert value.extent is not None
        assert self.world.memory.get((value.extent.segment, value.extent.offset)) == entry.oid, "read the wrong bytes"
        self.views.append((entry, entry.oid))

    def smuggled(self, oid: int) -> None:
        """Learn of an object that another client keeps for ever."""
        if oid not in self.client.entries:
            entry = self.client.granted(oid)
            entry.seen = 0
            entry.refs += 1
            entry.known = True
            self.refs.append(entry)
            self.client.outbox.append(m.Subscribe((oid,)))

    def hear(self, batch: list[Any]) -> None:
        for message in batch:
            if isinstance(message, m.Ready):
                self.client.ready(message)
            elif isinstance(message, m.Answer):
                self.client.answered(message)
            elif isinstance(message, m.Recall):
                self.client.recall(message)
            elif isinstance(message, m.Freed):
                for extent in message.extents:
                    self.world.memory[extent.segment, extent.offset] = None  # its writer fills it again
                    if not message.cold:
                        self.client.outbox.append(m.LeaseReturn(reserved(extent.size)))


class World:
    """A head, clients, and the process that copies; all of them as slow as the schedule likes."""

    def __init__(self, clients: int) -> None:
        self.head = Head(HeadConfig(demand({"CPU": 1}), BUDGET, 0, 4, spills=True, store_patience=5.0))
        self.now = 0.0
        self.memory: dict[tuple[int, int], int | None] = {}
        self.disk: dict[int, int | None] = {}
        self.content: dict[int, int] = {}
        self.damaged: set[int] = set()
        self.refused: list[m.Answer] = []
        self.kept: list[int] = []
        self.orders: deque[Any] = deque()
        self.halfway = False
        self.deaths = 0
        self.full = False
        self.due = False
        numbers = [1, *(self.head.add_driver().number for _ in range(clients - 1))]
        self.processes = [Process(self, number) for number in numbers]

    # -- the head

    def heard(self) -> None:
        """The head has heard something; as on real links, it may hear more before it acts."""
        check(self.head)
        self.due = True

    def turn(self) -> None:
        self.due = False
        self.head.turn(self.now)
        check(self.head)
        effects, self.head.effects = self.head.effects, []
        for effect in effects:
            if isinstance(effect, Spill):
                self.orders.append(effect.order)
            elif isinstance(effect, PunchExtent):
                self._empty(effect.extent)
        dirty, self.head.dirty = self.head.dirty, []
        for peer in dirty:
            batch, peer.outbox = peer.outbox, []
            process = next(process for process in self.processes if process.client.number == peer.number)
            process.inbox.append(Decoder[Any](m.ToClient).feed(encode_frame(batch)))
        for process in self.processes:
            for entry, content in process.views:
                assert entry.value is not None
                assert entry.value.extent is not None
                where = entry.value.extent.segment, entry.value.extent.offset
                assert self.memory[where] == content, "it was taken from under a reader"

    def deliver(self, process: Process) -> None:
        batch = Decoder[Any](m.ToHead).feed(encode_frame(process.outbox.popleft()))
        for message in batch:
            self.head.handle(process.client.number, [message], self.now)
            self.heard()

    # -- the process that copies

    def _empty(self, extent: Extent) -> None:
        for process in self.processes:
            for entry, _ in process.views:
                assert entry.value is not None
                assert entry.value.extent != extent, "emptied while somebody reads it"
        self.memory[extent.segment, extent.offset] = None

    def _say(self, message: Any) -> None:
        self.head.hear_spiller(message, self.now)
        self.heard()

    def copy(self) -> None:
        """Take the next step of the first order."""
        order = self.orders[0]
        if isinstance(order, m.SpillFree):
            self.orders.popleft()
            self.disk.pop(order.offset, None)
            return
        where = order.extent.segment, order.extent.offset
        if isinstance(order, m.SpillIn):
            self.orders.popleft()
            self.memory[where] = found = self.disk[order.offset]
            damaged = found != order.checksum
            self._say(m.SpillFailed(order.job, "damaged") if damaged else m.Restored(order.job))
        elif self.halfway:
            self.orders.popleft()
            self.halfway = False
            self._empty(order.extent)
            self._say(m.Emptied(order.job))
        elif self.full:
            self.orders.popleft()
            self._say(m.SpillFailed(order.job, "disk full"))
        else:
            found = self.disk[order.offset] = self.memory[where]
            self.halfway = True
            self._say(m.Written(order.job, found or 0))

    def die(self) -> None:
        """The process that copies dies; what it was ordered and has not done is lost, the file is not."""
        self.deaths -= 1
        self.halfway = False
        for order in self.orders:
            if isinstance(order, m.SpillFree):
                self.disk.pop(order.offset, None)
        self.orders.clear()
        self._say(None)

    def damage(self) -> None:
        for offset, content in self.disk.items():
            if content not in (None, DAMAGE):
                self.damaged.add(content)
                self.disk[offset] = DAMAGE
                return

    # -- what can happen

    def enabled(self) -> list[Callable[[], object]]:
        can: list[Callable[[], object]] = [self.turn] if self.due else []
        for process in self.processes:
            if process.outbox:
                can.append(partial(self.deliver, process))
            if process.inbox:
                can.append(partial(_hear, process))
            if process.client.outbox or process.client.dropped:
                can.append(process.send)
        if self.orders:
            can.append(self.copy)
        return can

    def drain(self) -> None:
        """Let everything happen until nothing can, however late."""
        for _ in range(20_000):
            can = self.enabled()
            if can:
                can[0]()
            elif len(self.head.alarms):
                self.now = max(self.now, self.head.alarms.next() or 0.0)
                self.turn()
            else:
                return
        raise AssertionError("the world does not come to rest")


def _hear(process: Process) -> None:
    process.hear(process.inbox.popleft())


def act(world: World, draw: Callable[[int], int]) -> None:
    """Have somebody do something."""
    process = world.processes[draw(len(world.processes))]
    what = draw(10)
    if what < 3:
        process.put(SIZES[draw(len(SIZES))])
    elif what < 6 and process.refs:
        process.read(process.refs[draw(len(process.refs))])
    elif what == 6 and process.views:
        process.views.pop(draw(len(process.views)))[0].unpin()
    elif what == 7 and process.refs:
        entry = process.refs[draw(len(process.refs))]
        if entry.oid not in world.kept:
            process.refs.remove(entry)
            entry.drop()
    elif what == 8 and process.refs:
        entry = process.refs[draw(len(process.refs))]
        if entry.seen and entry.oid in world.head.objects.table:
            world.kept.append(entry.oid)
            world.processes[draw(len(world.processes))].smuggled(entry.oid)
    else:
        world.now += 0.3
        world.turn()


def fault(world: World, draw: Callable[[int], int]) -> None:
    """Have the disk, or the process that copies, fail."""
    if draw(2) and world.deaths and (world.orders or world.head.spilling.jobs):
        world.die()
    elif draw(2):
        world.full = not world.full
    else:
        world.damage()


def play(world: World, picks: list[int], *, faults: bool) -> None:
    """Let ``picks`` say what happens, then let everything be read, given up and freed."""
    numbers = iter(picks)

    def draw(count: int) -> int:
        return next(numbers, 0) % count

    for _ in range(len(picks) // 4):
        can = world.enabled()
        kind = draw(8)
        if kind < 5 and can:
            can[draw(len(can))]()
        elif kind == 5 and faults and draw(3) == 0:
            fault(world, draw)
        else:
            act(world, draw)
    world.full = False
    world.drain()
    for process in world.processes:
        assert not process.pending, "a request was never answered"
    look_away(world)
    read_all(world)
    for process in world.processes:
        for entry in process.refs:
            entry.drop()
    world.drain()
    nothing_is_left(world)


def look_away(world: World) -> None:
    """Let nobody read anything any more."""
    for process in world.processes:
        while process.views:
            process.views.pop()[0].unpin()
    world.drain()


def read_all(world: World) -> None:
    """What is there can be read, one after the other, wherever it is."""
    for process in world.processes:
        for entry in process.refs:
            refused = len(world.refused)
            process.read(entry)
            world.drain()
            assert len(world.refused) == refused or entry.oid in world.damaged, world.refused[-1]
            look_away(world)


def nothing_is_left(world: World) -> None:
    """Every byte is free, in memory and on disk."""
    head = world.head
    assert not head.objects.table
    assert not head.spilling.spilled_bytes
    assert not head.spilling.coming
    assert not head.memory.leased
    assert not any(segment.extents or segment.spilled for segment in head.memory.segments.values())
    assert not world.disk


schedules = st.lists(st.integers(0, 1 << 16), min_size=40, max_size=1200)
ample = settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))


@ample
@given(st.integers(1, 3), schedules)
def test_whatever_clients_do_values_are_right_and_everything_is_freed(clients: int, picks: list[int]) -> None:
    play(World(clients), picks, faults=False)


@ample
@given(st.integers(1, 3), schedules, st.integers(0, 2))
def test_the_same_with_a_disk_that_is_full_or_damaged_and_a_process_that_dies(
    clients: int, picks: list[int], deaths: int
) -> None:
    world = World(clients)
    world.deaths = deaths
    play(world, picks, faults=True)


@pytest.mark.parametrize("seed", one_in(3, range(24)))
def test_long_runs(seed: int) -> None:
    choose = random.Random(seed)
    world = World(choose.randint(1, 3))
    world.deaths = choose.randint(0, 4) if seed % 2 else 0
    play(world, [choose.randint(0, 1 << 16) for _ in range(4000)], faults=bool(seed % 2))
