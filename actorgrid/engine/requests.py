"""Requests: what a client asks the head and waits for, above all for objects that may be on disk.

An object that the head has recalled is *away*: it exists, but whoever wants to read it must fetch it first. A pin, set
before the fetch and kept by the view that is made then, holds it in memory for as long as anything is built on it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from actorgrid.core import messages as m
from actorgrid.core.client import Entry
from actorgrid.core.ids import render
from actorgrid.engine.base import EngineBase
from actorgrid.engine.interrupts import protected
from actorgrid.exceptions import (
    ActorGridError,
    GetTimeoutError,
    ObjectLostError,
    ObjectStoreFullError,
    OutOfDiskError,
    ResourceLimitError,
)


class RequestingEngine(EngineBase):
    """Questions with answers."""

    def _ask(self, message: Any, *, take: Callable[[m.Answer], None] | None = None) -> m.Answer:
        """Send a message with a request number and wait for its answer.

        ``take`` gets the answer first, with the lock held, and also if the wait for it was interrupted: what the head
        counts as given must be counted here, too.
        """
        answer = self._ask_within(message, None, take=take)
        assert answer is not None
        return answer

    def _ask_within(
        self, message: Any, timeout: float | None, *, take: Callable[[m.Answer], None] | None = None
    ) -> m.Answer | None:
        """Do the same for ``timeout`` seconds at most; None: there was no answer yet."""
        self.check_may_wait("this call")
        waiter = self.waiter(1, eager=True)
        answers: list[m.Answer] = []

        def arrived(answer: m.Answer) -> None:
            if take is not None:
                take(answer)
            answers.append(answer)
            waiter.release()

        self._send_request(message, arrived)
        if not waiter.wait(timeout) and not answers:
            return None
        if self.client.dead is not None and answers[0].error == "dead":
            raise self.client.dead
        return answers[0]

    @protected
    def _send_request(self, message: Any, arrived: Any) -> None:
        client = self.client
        with self.lock:
            if client.dead is not None:
                raise client.dead
            message.request = client.request(arrived)
            if isinstance(message, m.CreateActor):
                message.task = client.take_ids(1)
            elif isinstance(message, m.Reserve):
                message.group = client.take_ids(1)
            client.collect()
            client.outbox.append(message)
            self.send(force=True)

    def query(self, what: str, body: dict[str, Any] | None = None, *, may_fail: bool = False) -> m.Answer:
        """Ask the head and wait for its answer. Raises RuntimeError for an error unless ``may_fail``."""
        self.saw_chance()
        answer = self._ask(m.Query(0, what, body or {}))
        if answer.error and not may_fail:
            raise RuntimeError(f"query {what!r}: {answer.error}")
        return answer

    @protected
    def _tell(self, message: Any) -> None:
        with self.lock:
            if self.client.dead is not None:
                raise self.client.dead
            self.client.outbox.append(message)
            self.send(force=True)

    # -- objects that are away

    def fetch(self, entry: Entry, timeout: float | None) -> None:
        """See ``EngineBase``."""
        answer, entry.fault = entry.fault, None
        if answer is None:
            answer = self._ask_within(m.Fetch(0, entry.oid), timeout)
        if answer is None:
            raise GetTimeoutError(f"get() timed out after {timeout} s: ObjectRef({entry.hex()}) comes back from disk")
        if answer.error:
            raise self.refusal(answer)
        with self.lock:
            entry.away = False  # the pin has kept it in memory since the head answered

    def fetch_then(self, entry: Entry, then: Callable[[], None]) -> None:
        """Run ``then`` soon, without the lock, once the object is in memory or cannot be; it is pinned until then.

        Called with the lock held. What reads the object inside ``then`` gets the error if there is one.
        """

        def arrived(answer: m.Answer) -> None:
            if answer.error:
                entry.fault = answer
            else:
                entry.away = False
            self.schedule(lambda: self._run_pinned(entry, then))

        entry.pins += 1
        if entry.away:
            self._send_request(m.Fetch(0, entry.oid), arrived)
        else:
            self.schedule(lambda: self._run_pinned(entry, then))

    def _run_pinned(self, entry: Entry, then: Callable[[], None]) -> None:
        try:
            then()
        finally:
            entry.fault = None
            self._unpin(entry)

    @protected
    def _unpin(self, entry: Entry) -> None:
        with self.lock:
            recalled = entry.recalled
            self.client.unpin(entry)
            if recalled and self.client.dead is None:
                self.send(force=True)

    def refusal(self, answer: m.Answer) -> ActorGridError:
        """Return the error for a request of memory, or for an object, that the head has refused."""
        kind, text = answer.body.get("kind"), answer.error
        if answer.error == "dead" and self.client.dead is not None:
            text = str(self.client.dead)
        if kind == m.FailureKind.OUT_OF_DISK:
            return OutOfDiskError(text)
        if kind == m.FailureKind.RESOURCE_LIMIT:
            return ResourceLimitError(text)
        if kind == m.FailureKind.OBJECT_LOST:
            return ObjectLostError(message=text)
        pins = answer.body.get("pins", ())
        told = [f"\n  ObjectRef({render(oid, self.session, 56)}): {size} bytes, {who}" for oid, size, who in pins]
        if told:
            text += f". In use are:{''.join(told)}\nDrop arrays and values that were read, or raise object_store_memory"
        return ObjectStoreFullError(text)
