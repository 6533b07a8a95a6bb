"""Idle workers: which of them may run what, and which goes when another one is needed.

A worker is set up for a runtime environment when it gets its first task, and stays so: what user code has imported or
set cannot be taken back. So it runs tasks of that one setup alone. A fresh worker, which has had no task, may run any.
Workers that are set up stay while they are idle, as all do; where a task needs another setup and the pool is full, the
one that has been idle longest makes room.

What a setup says is opaque here: bytes that are equal or not. This file may not know which task is next.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from actorgrid.core.head.machine import Head
    from actorgrid.core.head.records import Worker

#: So many workers may stay idle while one with another setup is started, or as many as the pool keeps.
SPARE: Final = 2


class Idle:
    """The workers that have nothing to do, the longest idle first."""

    __slots__ = ("_leaver", "_order", "_setups", "head")

    # Invariant: all(w.state is IDLE and not w.assigned for w in self)
    # Invariant: every worker of ``_order`` is in the group of its setup, and no group is empty

    def __init__(self, head: Head) -> None:
        self.head = head
        self._order: dict[Worker, None] = {}
        #: The same workers by setup; None: fresh ones.
        self._setups: dict[bytes | None, dict[Worker, None]] = {}
        #: The worker that makes room for one with another setup; 0: there is none.
        self._leaver = 0

    def __len__(self) -> int:
        return len(self._order)

    def __iter__(self) -> Iterator[Worker]:
        return iter(self._order)

    def __contains__(self, worker: object) -> bool:
        return worker in self._order

    def groups(self) -> dict[bytes | None, list[Worker]]:
        """Return the workers by setup (for ``check`` and tests)."""
        return {setup: list(group) for setup, group in self._setups.items()}

    def add(self, worker: Worker) -> None:
        """``worker`` has nothing to do from now on."""
        self._order[worker] = None
        group = self._setups.get(worker.setup)
        if group is None:
            group = self._setups[worker.setup] = {}
        group[worker] = None

    def discard(self, worker: Worker) -> None:
        """``worker`` leaves, or is dead; perhaps it was not idle."""
        if worker in self._order:
            del self._order[worker]
            group = self._setups[worker.setup]
            del group[worker]
            if not group:
                del self._setups[worker.setup]

    def oldest(self) -> Worker:
        """Return the worker that has been idle longest."""
        return next(iter(self._order))

    def serves(self, setup: bytes) -> bool:
        """Return whether one of them may run a task with this setup."""
        return setup in self._setups or None in self._setups

    def take(self, setup: bytes) -> Worker | None:
        """Take out the worker that should run a task with this setup: the newest that has it, else a fresh one."""
        key: bytes | None = setup
        group = self._setups.get(setup)
        if group is None:
            key, group = None, self._setups.get(None)
            if group is None:
                return None
        worker = group.popitem()[0]
        if not group:
            del self._setups[key]
        del self._order[worker]
        return worker

    # -- room for another setup

    def may_start_another(self) -> bool:
        """No worker here has the setup that is needed: return whether one can be started now.

        If not, one that is idle leaves, unless another one does so already: its place is free when it is gone.
        """
        workers = self.head.workers
        if workers.may_spawn():
            if len(self) >= max(workers.keep, SPARE):
                workers.leave(self.oldest(), "idle, and another runtime environment was needed")
            return True
        if self._order and self._leaver not in workers.table:
            worker = self.oldest()
            self._leaver = worker.number
            workers.leave(worker, "another runtime environment needed its place")
        return False
