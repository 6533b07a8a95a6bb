"""Waiting for values: ``get``, ``wait``, callbacks, and what a waiting call is told.

This file may not know how objects come to be: by calls, or by ``put``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from actorgrid.core import messages as m
from actorgrid.core.client import Awaited, Entry, failed
from actorgrid.engine.interrupts import protected
from actorgrid.engine.protocol import Waitable
from actorgrid.engine.refs import Entry as Named
from actorgrid.engine.refs import ObjectRef
from actorgrid.engine.requests import RequestingEngine
from actorgrid.engine.waits import CallbackWaiter, Sleeper
from actorgrid.exceptions import ActorGridError, GetTimeoutError

if TYPE_CHECKING:
    import asyncio

    from actorgrid.engine.awaiting import Awaiting

#: So many of the objects that a call waits for the head is told of.
MOST_TOLD: Final = 64


class WaitingEngine(RequestingEngine):
    """Values that may not be there yet."""

    def get(self, refs: Sequence[ObjectRef[Any]], timeout: float | None) -> list[Any]:
        """See ``Engine``."""
        entries = [self._entry(ref) for ref in refs]
        pending = [entry for entry in entries if entry.value is None]
        if timeout is not None:
            timeout = self.within(timeout)
        try:
            if pending:
                self._await(pending, entries, timeout)
            return [self.load(entry, timeout) for entry in entries]
        except ActorGridError as error:
            late = isinstance(error, GetTimeoutError)
            if pending or late:
                self.saw_chance()  # of several errors the first to be seen, or a value that was not there in time
            if not late:
                for entry in entries:
                    entry.read = True  # one error stands for all
                self.let_speak()
            raise

    def _entry(self, ref: ObjectRef[Any]) -> Entry:
        entry: Any = ref._entry  # noqa: SLF001  # our own reference
        if not isinstance(entry, Entry) or entry.client is not self.client:
            raise stranger(ref)
        return entry

    def _await(self, pending: list[Entry], entries: list[Entry], timeout: float | None) -> None:
        several = len(entries) > 1
        if several:
            self._raise_early(entries)
        if timeout != 0:
            self.check_may_wait("get()")
            if self.client.streams:
                self._let_run(pending)
        waiter = self.waiter(len(pending), eager=True)
        resume = self._watch(pending, waiter, m.Blocked(0, "get", finite=timeout is not None))
        try:
            arrived = self._sleep(pending, waiter, timeout, "get")
        except BaseException:
            self._unwatch(pending, waiter, resume)
            raise
        if resume is not None or not arrived or waiter.error is not None:
            self._unwatch(() if arrived and waiter.error is None else pending, waiter, resume)
        if waiter.error is not None:
            raise waiter.error
        if self.client.dead is not None and any(entry.value is None for entry in pending):
            self._raise_early(entries)
            raise self.client.dead
        if not arrived:
            raise self._timed_out(pending, timeout)
        if several:
            self._raise_early(entries)

    def _raise_early(self, entries: list[Entry]) -> None:
        """Raise the error of whichever object failed, if others do not exist yet: nobody waits for these any more."""
        if any(entry.value is None for entry in entries):
            for entry in entries:
                if entry.value is not None and failed(entry.value):
                    self.load(entry)

    @staticmethod
    def _timed_out(pending: list[Entry], timeout: float | None) -> GetTimeoutError:
        missing = [entry for entry in pending if entry.value is None]
        shown = ", ".join(f"ObjectRef({entry.hex()})" for entry in missing[:3])
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        return GetTimeoutError(f"get() timed out after {timeout} s waiting for {shown}{more}")

    def _sleep(self, pending: Sequence[Awaited], waiter: Sleeper, timeout: float | None, call: str) -> bool:
        """Wait; after a while, say once for what."""
        patience = self.stall_warning
        if patience is None or (timeout is not None and timeout <= patience):
            return waiter.wait(timeout)
        if waiter.wait(patience):
            return True
        for entry in [entry for entry in pending if entry.value is None][:1]:
            self.print_error(stalled(f"{call}()", patience, entry, 0, self._explain(entry)))
        return waiter.wait(None if timeout is None else timeout - patience)

    def _let_run(self, pending: Sequence[Awaited]) -> None:
        """Streams whose end is waited for need not wait for their reader."""
        for entry in pending if self.client.streams else ():
            stream = self.client.streams.get(entry.oid)
            if stream is not None and stream is not entry:
                with self.lock:
                    stream.lift()

    @protected
    def _watch(self, pending: Sequence[Awaited], waiter: Sleeper, blocked: m.Blocked) -> Callable[[], None] | None:
        client = self.client
        with self.lock:
            if client.dead is not None:
                raise client.dead
            missing = [entry for entry in pending if entry.value is None]
            if client.untold:
                client.rest()
            client.watch(missing, waiter)
            if len(missing) < len(pending):
                for entry in pending:
                    if entry.value is not None:
                        waiter.arrived(entry)
            if waiter.open:
                resume = None
            else:
                blocked.oids = tuple([entry.oid for entry in pending[:MOST_TOLD]])
                blocked.finite = blocked.finite or (blocked.need > 0 and len(pending) > MOST_TOLD)
                resume = self.blocking(blocked, waiter)
            if client.dropped:
                client.collect()
            self.send(force=True)
            return resume

    @protected
    def _unwatch(self, pending: Sequence[Awaited], waiter: Sleeper, resume: Callable[[], None] | None) -> None:
        if pending or resume is not None:
            with self.lock:
                self.client.unwatch(list(pending), waiter)
                if resume is not None:
                    resume()

    def wait(self, refs: Sequence[Waitable], num_returns: int, timeout: float | None) -> tuple[list[Any], list[Any]]:
        """See ``Engine``."""
        entries: list[Any] = [ref._entry for ref in refs]  # noqa: SLF001  # our own references
        client = self.client
        timeout = self.within(timeout)
        for ref, entry in zip(refs, entries, strict=True):
            if entry.client is not client:
                raise stranger(ref)
        missing, pending = num_returns, []
        for entry in entries:  # one look at each: what arrives from here on is pending, and counts
            if entry.value is None:
                pending.append(entry)
            else:
                missing -= 1
                if not missing:
                    break
        else:
            self._wait_for(missing, pending, timeout)
        ready, rest = _split(refs, entries, num_returns)
        if ready != refs[:num_returns]:
            self.saw_chance()  # some were passed over that will be ready another time
        return ready, rest

    def _wait_for(self, missing: int, pending: Sequence[Awaited], timeout: float | None, call: str = "wait") -> None:
        """Wait until ``missing`` of these exist, those that do already among them.

        ``0 < missing <= len(pending)``: else nothing would end it.
        """
        if timeout != 0:
            self.check_may_wait(f"{call}()")
            self._let_run(pending)
        waiter = self.waiter(missing, eager=False)
        resume = self._watch(pending, waiter, m.Blocked(0, call, need=missing, finite=timeout is not None))
        try:
            self._sleep(pending, waiter, timeout, call)
        finally:
            self._unwatch(pending, waiter, resume)
        if waiter.error is not None:
            raise waiter.error
        if self.client.dead is not None:
            raise self.client.dead

    def explain(self, ref: ObjectRef[Any]) -> list[str]:
        """See ``Engine``."""
        return self._explain(self._entry(ref))

    def _explain(self, entry: Awaited) -> list[str]:
        """Return what an object waits for. A host that can ask the head says more."""
        return ["the object exists" if entry.value is not None else "the object does not exist yet"]

    def awaiting(self, loop: asyncio.AbstractEventLoop) -> Awaiting | None:
        """See ``Engine``. A host that has time to spend says more."""
        del loop
        return None

    def say_stalled(self, call: str, seconds: float, entry: Named, others: int) -> None:
        """See ``Engine``. A host that can ask the head says more."""

    def on_ready(self, ref: ObjectRef[Any], callback: Callable[[ObjectRef[Any]], None]) -> None:
        """See ``Engine``."""
        entry = self._entry(ref)
        if self.forked and self.client.dead is not None:
            raise self.client.dead
        here = entry.value is not None and not entry.away
        if here or not self._call_back_later(entry, ref, callback):
            callback(ref)

    @protected
    def _call_back_later(self, entry: Entry, ref: ObjectRef[Any], callback: Callable[[ObjectRef[Any]], None]) -> bool:
        with self.lock:
            if entry.value is not None and not entry.away:
                return False
            if self.client.dead is not None:
                raise self.client.dead
            self.saw_chance()
            then = partial(callback, ref)
            if entry.value is not None:
                self.fetch_then(entry, then)
                return True
            self._let_run([entry])
            self.client.rest()
            self.client.watch([entry], CallbackWaiter(partial(self.fetch_then, entry, then)))
            self.send(force=False)
            return True


def stalled(call: str, seconds: float, entry: Awaited | Named, others: int, told: list[str]) -> str:
    """Return what is said of a call that has waited for so long; ``told`` explains why."""
    more = f", and for {others} more" if others else ""
    lines = "".join(f"  {line}\n" for line in told)
    return f"actorgrid: {call} has waited for {seconds:g} s for {entry.hex()}{more}:\n{lines}"


def stranger(ref: object) -> ValueError:
    """Return the error for a reference that another grid has made."""
    return ValueError(f"{ref!r} belongs to another session: the grid that made it has ended or is another process's")


def _split(refs: Sequence[Waitable], entries: list[Entry], num_returns: int) -> tuple[list[Any], list[Any]]:
    """Return the first ``num_returns`` references whose objects exist, and the others."""
    ready: list[Waitable] = []
    rest: list[Waitable] = []
    for index, entry in enumerate(entries):
        if entry.value is None:
            rest.append(refs[index])
        else:
            ready.append(refs[index])
            if len(ready) == num_returns:
                rest += refs[index + 1 :]
                break
    return ready, rest
