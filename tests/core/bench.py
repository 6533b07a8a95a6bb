"""A head whose driver and workers are played by hand, for rules that need exact timing."""

from __future__ import annotations

from typing import Any

from actorgrid.core import messages as m
from actorgrid.core.head.check import check
from actorgrid.core.head.check_rest import check_rest
from actorgrid.core.head.machine import Head, HeadConfig
from actorgrid.core.head.records import Peer
from actorgrid.core.ids import DRIVER, first_id
from actorgrid.core.messages import Kind, Status, Value
from actorgrid.core.resources import demand

BUDGET = 1 << 20
OK = (Value(Status.OK, b"r"),)


class Bench:
    """A head with the driver's side played by hand."""

    def __init__(self, **capacity: float) -> None:
        self.head = Head(HeadConfig(demand(capacity or {"CPU": 2}), BUDGET, 2, 100))
        self.now = 0.0
        self.next = first_id(DRIVER)
        self.specs: dict[tuple[Any, ...], int] = {}
        self.say(m.Export(b"code", "f", Value(Status.OK, b"x")))

    def id(self) -> int:
        self.next += 1
        return self.next

    def say(self, *messages: Any, source: int = DRIVER) -> None:
        """Deliver messages from a client, then let the head take its turn."""
        for message in messages:
            self.head.handle(source, [message], self.now)
            check(self.head)
        self.head.turn(self.now)
        check(self.head)
        check_rest(self.head)

    def spec(self, name: str = "f", **options: Any) -> int:
        options.setdefault("demand", demand({"CPU": 1}))
        key = (name, *sorted(options.items()))
        if key not in self.specs:
            number = self.specs[key] = self.id()
            self.say(m.Spec(number, options.pop("kind", Kind.TASK), name, b"code", **options))
        return self.specs[key]

    def submit(self, spec: int, source: int = DRIVER, **fields: Any) -> int:
        task = self.id()
        self.say(m.Submit(task, spec, **fields), source=source)
        return task

    def done(self, task: int, values: tuple[Value, ...] = OK, micros: int = 5000, *, retry: bool = False) -> None:
        record = self.head.tasks.table[task]
        assert record.worker is not None
        self.say(m.Done(task, record.attempt, values, micros, retry), source=record.worker.number)

    def worker_of(self, task: int) -> Any:
        return self.head.tasks.table[task].worker

    @property
    def driver(self) -> Peer:
        """The first driver."""
        return self.head.drivers[DRIVER]

    def sent(self) -> list[Any]:
        """Take what waits for the driver."""
        batch, self.driver.outbox = self.driver.outbox, []
        self.head.dirty = [peer for peer in self.head.dirty if peer is not self.driver]
        return batch

    def send_all(self) -> None:
        """Let the links take whatever waits for them."""
        for worker in self.head.busy:
            worker.outbox.clear()
        for peer in self.head.dirty:
            peer.outbox.clear()
        self.head.busy.clear()
        self.head.dirty.clear()

    def die(self, worker: Any, current: int = 0, status: int = -9) -> None:
        self.head.hear_launcher(m.Exited(worker.number, 1, status, current), self.now)
        check(self.head)
        self.head.turn(self.now)
        check(self.head)
        check_rest(self.head)
