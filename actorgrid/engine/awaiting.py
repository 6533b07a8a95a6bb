"""What the coroutines of an event loop await, for whoever wants to know after a while.

There is one timer for each loop, and only while something is awaited. What is said when a wait has lasted is asked for
and shown behind the loop's back: nothing here may hold it up.
"""

from __future__ import annotations

from time import monotonic  # by name: user code may replace that of the module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from actorgrid.engine.refs import Entry

    #: Explain(seconds, entry, others): say what an object is awaited for, and how many others are, too.
    Explain = Callable[[float, Entry, int], None]


class Awaiting:
    """The futures of one event loop. Everything happens in its thread."""

    def __init__(self, explain: Explain, patience: float) -> None:
        """``explain`` is called once for whatever is awaited longer than ``patience`` seconds."""
        self._explain = explain
        self.patience = patience
        #: Future -> the object, and since when it is awaited. The oldest come first.
        self.pending: dict[asyncio.Future[Any], tuple[Entry, float]] = {}
        #: Since when those are awaited of which something was said last.
        self._told = 0.0
        #: What looks at them next, and when.
        self._timer: asyncio.TimerHandle | None = None
        self._due = float("inf")

    def add(self, future: asyncio.Future[Any], entry: Entry) -> None:
        """Somebody awaits an object."""
        now = monotonic()
        self.pending[future] = entry, now
        if now + self.first() < self._due:
            self._arm(future.get_loop(), now, now + self.first())

    def over(self, future: asyncio.Future[Any]) -> None:
        """It exists."""
        self.pending.pop(future, None)

    def first(self) -> float:
        """Return after how many seconds something is to be done about a wait."""
        return self.patience

    def _arm(self, loop: asyncio.AbstractEventLoop, now: float, due: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._due = due
        self._timer = loop.call_later(max(due - now, 0.0), self._wake, loop)

    def _wake(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer, self._due = None, float("inf")
        self.pending = {future: since for future, since in self.pending.items() if not future.done()}
        now = monotonic()
        due = self.look(now)
        if due is not None:
            self._arm(loop, now, due)

    def look(self, now: float) -> float | None:
        """Do what is due. Returns when to look again, None if there is nothing to wait for."""
        overdue = [
            (entry, since) for entry, since in self.pending.values() if self._told < since <= now - self.patience
        ]
        if overdue:
            self._told = overdue[-1][1]
            self._explain(self.patience, overdue[0][0], len(overdue) - 1)
        return next((since + self.patience for _, since in self.pending.values() if since > self._told), None)
