"""A simulated grid in which every message is on its way until the world lets it arrive: the level of links.

There are two links from the head to each worker and one back, one pair to the driver, and one pair to the launcher.
Each is first in, first out; between links there is no order. So the machines are tried under every order of messages
that real pipes could bring about, and under deaths between any two of them.
"""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any

from actorgrid.core import ids
from actorgrid.core import messages as m
from actorgrid.sim.choices import Event
from actorgrid.sim.grid import Grid

if TYPE_CHECKING:
    from actorgrid.engine.definitions import StartConfig
    from actorgrid.sim.worker import Worker
    from actorgrid.sim.world import World


class Link:
    """What is on its way from one process to another."""

    __slots__ = ("count", "name", "queue")

    def __init__(self, name: str) -> None:
        self.name = name
        #: When it was sent, and the message.
        self.queue: deque[tuple[int, Any]] = deque()
        #: How many messages have arrived.
        self.count = 0


class Links(Grid):
    """A grid whose messages take their time."""

    def __init__(self, world: World, start: StartConfig) -> None:
        super().__init__(world, start)
        self._sent = 0
        self._links: dict[tuple[str, int], Link] = {}

    def _send(self, kind: str, number: int, batch: list[Any]) -> None:
        link = self._links.get((kind, number))
        if link is None:
            name = "driver" if number == ids.DRIVER else f"worker {number}" if number else "launcher"
            link = self._links[kind, number] = Link(f"{name} to head" if kind == "up" else f"head to {name} ({kind})")
        for message in batch:
            self._sent += 1
            link.queue.append((self._sent, message))

    # -- what the machines say goes on its way instead of arriving

    def pump(self) -> bool:
        """Put what everybody says on its way."""
        while self.talking:
            host = next(iter(self.talking))
            del self.talking[host]
            if self.open and host.alive:
                self._send("up", host.client.number, host.speak())
        return False

    def assign(self, worker: Worker, batch: list[Any]) -> None:
        """See ``Grid``."""
        self._send("tasks", worker.number, batch)

    def reply(self, number: int, batch: list[Any]) -> None:
        """See ``Grid``."""
        self._send("replies", number, batch)

    def report(self, message: m.Spawned | m.SpawnFailed | m.Exited | m.Spared) -> None:
        """See ``Grid``."""
        self._send("up", 0, [message])

    def signal(self, number: int, signal: int, task: int = 0) -> None:
        """See ``Grid``."""
        self._send("orders", 0, [m.KillProcess(number, signal, task)])

    def bury(self, worker: Worker, last: list[Any], death: m.Exited) -> None:
        """See ``Grid``. What it had sent is still on its way, what it was sent is lost."""
        self._send("up", worker.number, last)
        for kind in ("tasks", "replies"):
            self._links.pop((kind, worker.number), None)
        self.report(death)

    # -- arrivals

    def deliveries(self) -> list[Event]:
        """Return the messages of which any may arrive next, in the order in which they were sent."""
        if not self.open:
            return []
        waiting = sorted((link.queue[0][0], key) for key, link in self._links.items() if link.queue)
        return [self._arrival(key, self._links[key]) for _, key in waiting]

    def _arrival(self, key: tuple[str, int], link: Link) -> Event:
        label = f"{link.name}: {type(link.queue[0][1]).__name__}"
        return Event("link", link.name, link.count, label, partial(self._arrive, key, link))

    def _arrive(self, key: tuple[str, int], link: Link) -> None:
        kind, number = key
        _, message = link.queue.popleft()
        link.count += 1
        if isinstance(message, m.KillProcess):
            super().signal(message.worker, message.signal, message.task)
        elif isinstance(message, m.Exited):
            self._empty(message.worker)
            super().report(message)
        elif isinstance(message, m.Spawned | m.SpawnFailed | m.Spared):
            super().report(message)
        elif kind == "up":
            self.to_head(number, [message])
        elif kind == "replies":
            super().reply(number, [message])
        else:
            worker = self.workers.get(number)
            if worker is not None and worker.engine.alive:
                super().assign(worker, [message])

    def _empty(self, number: int) -> None:
        """The head reads what a dead worker had sent before it takes note of the death."""
        link = self._links.pop(("up", number), None)
        if link is not None and link.queue:
            self.to_head(number, [message for _, message in link.queue])
