"""What drivers and workers share in the world without processes: a client, its links, and the memory that it writes."""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from actorgrid.core import messages as m
from actorgrid.core.client import Client, Entry
from actorgrid.core.extents import reserved
from actorgrid.core.head.objects import TINY
from actorgrid.core.messages import Extent, Kind, Status, Value
from actorgrid.wire.codec import Decoder
from tests.core.script import GROUPS, ONE_CPU

if TYPE_CHECKING:
    from tests.core.world import World


class Weight(enum.IntEnum):
    """How much room a value needs."""

    LIGHT = 0
    #: Links that are full do not carry it.
    HEAVY = 1
    #: It lies in shared memory.
    SHARED = 2


class Local:
    """A reference as user code holds it."""

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        entry.refs += 1

    def drop(self) -> None:
        self.entry.drop()


class Process:
    """What drivers and workers share: a client and a program counter per body."""

    def __init__(self, world: World, number: int) -> None:
        self.world = world
        self.number = number
        self.client = Client(number, self, str, lambda _: ())
        self.inbox: deque[list[Any]] = deque()
        self.outbox: deque[list[Any]] = deque()
        #: The frame that it sent last.
        self.sent: list[Any] = []
        self.specs: dict[tuple[Any, ...], int] = {}
        self.decode: Callable[[bytes], list[Any]] = Decoder(m.ToClient).feed
        #: The segment that it writes, 0 before the first time, and where the next value goes.
        self.segment = self.offset = 0
        #: The segments of others that it has got, over the reply link and over the task link.
        self.shown: dict[bool, set[int]] = {True: set(), False: set()}

    def wake(self) -> None:
        """Dropped references are collected at the next turn anyway."""

    def say(self, message: Any) -> None:
        """Put a message into the outbox."""
        self.client.outbox.append(message)

    def send(self) -> None:
        """Collect what was dropped and send everything as one frame."""
        self.client.collect()
        if self.client.outbox:
            self.sent, self.client.outbox = self.client.outbox, []
            self.outbox.append(self.sent)

    def hear(self, message: Any) -> None:
        """Handle a reply."""
        if isinstance(message, m.Ready):
            self.client.ready(message)
            self._look_at_new(message.oid)
        elif isinstance(message, m.Item):
            self.client.item(message)
            self._look_at_new(message.oid)
        elif isinstance(message, m.Answer):
            self.client.answered(message)
        elif isinstance(message, m.Freed):
            for extent in message.extents:
                self.world.shared.free(extent)
                self.say(m.LeaseReturn(reserved(extent.size)))

    def hand_back(self) -> tuple[int, ...]:
        """Something waits here: return the ids of tasks that go back meanwhile."""
        return ()

    # -- memory

    def store(self, text: bytes, weight: int, refs: tuple[int, ...] = ()) -> Value:
        """Return a value that says ``text``, up to its first colon."""
        if weight != Weight.SHARED:
            return Value(Status.OK, b"%s:%s" % (text, b"." * (2 * TINY if weight else 1)), None, refs)
        if not self.segment:
            self.segment = self.client.take_ids(1)
            self.outbox.append([m.NewSegment(self.segment, 1 << 40)])
        size = len(text) + 1
        self.say(m.LeaseRequest(self.client.request(partial(self._leased, reserved(size))), reserved(size)))
        extent = Extent(self.segment, self.offset, size)
        self.offset += reserved(size)
        self.world.shared.write(extent, text + b":")
        return Value(Status.OK, b"", extent, refs)

    def _leased(self, asked: int, answer: m.Answer) -> None:
        assert not answer.error, answer.error
        if answer.body["granted"] > asked:
            self.say(m.LeaseReturn(answer.body["granted"] - asked))

    def _look_at_new(self, oid: int) -> None:
        entry = self.client.entries.get(oid)
        if entry is not None:  # else it was let go meanwhile, and its memory with it
            self.look(entry.value, reply_link=True)

    def look(self, value: Value | None, *, reply_link: bool | None = None) -> None:
        """Read a value: its bytes are there, and its segment came before it, over the same link."""
        if value is None or value.extent is None:
            return
        segment = value.extent.segment
        links = (True, False) if reply_link is None else (reply_link,)
        assert segment == self.segment or any(segment in self.shown[link] for link in links), "a segment is missing"
        self.world.shared.read(value.extent)

    def spec(
        self,
        kind: Kind,
        retries: int,
        restarts: int = 0,
        concurrency: int = 1,
        limits: tuple[float, float] = (0, 0),
        checkpoint: int = 0,
        grouped: bool = False,
        yields: int = 0,
        setup: bytes = b"",
        returns: int = 1,
    ) -> int:
        """Return the number of a spec, registering it the first time."""
        key = (kind, retries, restarts, concurrency, limits, checkpoint, grouped, yields, setup, returns)
        if key not in self.specs:
            number = self.specs[key] = self.client.take_ids(1)
            digest = b"" if kind is Kind.METHOD else b"code"
            if digest:
                self.say(m.Export(digest, "code", Value(Status.OK, b"x")))
            self.say(
                m.Spec(
                    number, kind, f"{kind.name}{retries}", digest, ONE_CPU if kind is not Kind.METHOD else (),
                    max_retries=retries, max_restarts=restarts, max_concurrency=concurrency,
                    num_returns=0 if kind is Kind.ACTOR else returns, timeout=limits[0], run_timeout=limits[1],
                    checkpoint_calls=checkpoint, groups=GROUPS if grouped and kind is Kind.ACTOR else (),
                    group="g" if grouped and kind is Kind.METHOD else "", yields=yields, setup=setup,
                )
            )  # fmt: skip
        return self.specs[key]
