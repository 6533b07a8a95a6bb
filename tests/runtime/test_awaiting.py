"""One timer for what an event loop awaits: it rings for the first that is due, and never for nothing."""

from __future__ import annotations

import asyncio
from typing import Any

from actorgrid.engine.awaiting import Awaiting


class Shelf:
    """An event loop whose timers are set, and rung by hand."""

    def __init__(self) -> None:
        self.timers: list[float] = []

    def call_later(self, delay: float, callback: Any, *args: Any) -> Any:
        del callback, args
        self.timers.append(delay)
        return self

    def cancel(self) -> None:
        self.timers.pop()


class Future(asyncio.Future[Any]):
    """A future on that loop."""

    shelf: Shelf

    def get_loop(self) -> Any:
        """Return the loop."""
        return self.shelf


def awaited(shelf: Shelf, loop: asyncio.AbstractEventLoop) -> Any:
    future = Future(loop=loop)
    future.shelf = shelf
    return future


def test_what_is_awaited_for_long_is_told_once_with_how_many_others() -> None:
    loop, shelf = asyncio.new_event_loop(), Shelf()
    told: list[tuple[float, Any, int]] = []
    awaiting = Awaiting(lambda *what: told.append(what), 30.0)
    try:
        futures = [awaited(shelf, loop) for _ in range(3)]
        for number, future in enumerate(futures):
            awaiting.add(future, number)  # type: ignore[arg-type]  # any object will do
        assert len(shelf.timers) == 1
        start = next(since for _, since in awaiting.pending.values())
        assert awaiting.look(start + 1) is not None
        assert told == []
        assert awaiting.look(start + 60) is None
        assert told == [(30.0, 0, 2)]
        assert awaiting.look(start + 90) is None
        assert len(told) == 1
        for future in futures:
            awaiting.over(future)
        assert awaiting.look(start + 120) is None
    finally:
        loop.close()
