"""Whether the processes that an explanation is about still answer.

A thread of every worker listens for the head, whatever its main thread does. Only C code that holds the interpreter's
lock keeps it from answering, and nobody but whoever asks can tell that from work. So nothing is asked until somebody
wants an explanation that is about a process that has long said nothing; the explanation then waits for its answer, and
says so if there is none. What does not answer is never killed for that.

This file may not know what an explanation says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actorgrid.core.head.explain import SILENCE, chain, explain, is_absent
from actorgrid.core.messages import Answer, Knock, Query

if TYPE_CHECKING:
    from actorgrid.core.head.machine import Head
    from actorgrid.core.head.records import Peer, Worker


class Knocks:
    """Explanations that wait for an answer."""

    __slots__ = ("_asked", "_last", "head")

    # Invariant: all(awaited for _, _, _, awaited in self._asked.values())

    def __init__(self, head: Head) -> None:
        self.head = head
        #: Number -> (who asked, the request, the object, workers that have not answered yet).
        self._asked: dict[int, tuple[int, int, int, dict[int, None]]] = {}
        self._last = 0

    def explain(self, peer: Peer, query: Query) -> None:
        """Answer what an object waits for, once it is known whether everybody is there whom that is about."""
        oid: int = query.body["oid"]
        silent = self._silent(oid, peer)
        for worker in silent:
            if not worker.knocked:
                worker.knocked = self.head.now
                self.head.reply(worker.peer, Knock())
        awaited = {worker.number: None for worker in silent if not is_absent(worker, self.head.now)}
        if not awaited:
            self._answer(peer, query.request, oid)
            return
        self._last += 1
        self._asked[self._last] = peer.number, query.request, oid, awaited
        self.head.alarms.set(self.head.now + SILENCE, self._enough, self._last)

    def _silent(self, oid: int, asker: Peer) -> list[Worker]:
        """Return the workers that run, and have long said nothing."""
        found: dict[Worker, None] = {}
        for task in chain(self.head, oid):
            worker = task.worker
            if worker is None or task.waits is not None or worker.stopped or not worker.pid:
                continue
            if worker.peer is not asker and self.head.now - max(worker.heard, task.since) >= SILENCE:
                found[worker] = None
        return list(found)

    def over(self, number: int) -> None:
        """A worker has answered, or is gone."""
        for ask, (_, _, _, awaited) in list(self._asked.items()):
            awaited.pop(number, None)
            if not awaited:
                self._enough(ask)

    def _enough(self, ask: int) -> None:
        entry = self._asked.pop(ask, None)
        if entry is not None and entry[0] in self.head.peers:
            self._answer(self.head.peers[entry[0]], entry[1], entry[2])

    def _answer(self, peer: Peer, request: int, oid: int) -> None:
        self.head.reply(peer, Answer(request, {"told": explain(self.head, oid)}))

    def present(self, peer: Peer, message: object) -> None:
        """A worker answers."""
        del message
        if peer.worker is not None:
            peer.worker.knocked = 0.0
        self.over(peer.number)
