"""A process's part of the object store: its lease."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest

from actorgrid.core import messages as m
from actorgrid.runtime.store import Store


class Engine:
    """Asks the head, and is interrupted while it waits: before the answer came or after."""

    def __init__(self, *, after: bool) -> None:
        self.after = after
        self.asked = 0
        self.pending: list[Callable[[], None]] = []

    def _ask(self, message: m.LeaseRequest, take: Callable[[m.Answer], None]) -> m.Answer:
        self.asked += message.size
        answer = m.Answer(1, {"granted": message.size})
        if self.after:
            take(answer)
        else:
            self.pending.append(lambda: take(answer))
        raise KeyboardInterrupt


def test_segment_that_the_head_cannot_show_is_refused_to_whoever_reads_it() -> None:
    store = Store(cast("Any", Engine(after=False)), 1 << 20)
    store.attach(m.Segment(7, 0), cast("Any", None))
    released: list[int] = []
    with pytest.raises(OSError, match="the head of the grid has no descriptor left"):
        store.view(m.Extent(7, 0, 100), lambda: released.append(1))
    assert released == [1]


@pytest.mark.parametrize("after", [False, True])
def test_lease_that_nobody_waits_for_any_more_is_spare(after: bool) -> None:
    engine = Engine(after=after)
    store = Store(cast("Any", engine), 1 << 20)
    with pytest.raises(KeyboardInterrupt):
        store._lease(4096)  # what a write does first
    for answer in engine.pending:
        answer()
    store._lease(4096)
    assert engine.asked == 4096
