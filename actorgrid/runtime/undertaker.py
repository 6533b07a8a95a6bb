"""Who kills what is left of workers: their process groups, and whoever has left these.

Workers adopt what descends from them, and when they die the launcher does: what is its child then, and is none that it
has forked, is an orphan of a dead worker. Two kinds of processes are spared, for they clean up after others and end by
themselves when those have: the program's resource tracker, and loky's, of which each worker that uses joblib has one.

This file may not know what workers are for, nor how they come to be.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Container, Iterable

from actorgrid.runtime import lifetime, tracker


class Undertaker:
    """The launcher's."""

    def __init__(self, workers: Container[int]) -> None:
        """``workers``: the pids of those that have not been buried."""
        self._workers = workers
        #: The process that owns the spill file, the latest one, and the resource tracker; 0 or -1: there is none.
        self.spiller = self.tracker = 0

    def orphans(self, dead: int = 0) -> list[int]:
        """Return our children that are none of those we have forked; ``dead``: a worker that is still to be buried."""
        ours = {self.spiller, self.tracker, dead}
        return [pid for pid in lifetime.children_of(os.getpid()) if pid not in self._workers and pid not in ours]

    def has_died(self, pid: int) -> None:
        """One of our children is dead, and still to be buried: kill its group, before the pid can be used again."""
        if pid in self._workers and not any(tracker.is_of_loky(orphan) for orphan in self.orphans(pid)):
            lifetime.signal_group(pid, signal.SIGKILL)

    def signal(self, pids: Iterable[int], number: int) -> None:
        """Send the groups of workers a signal; of those that have somebody to clean up after them, only the workers.

        What else is left of them is swept one by one. If one dies meanwhile, its children are ours by the second look.
        """
        pids = list(pids)
        cleaned = {pid for pid in pids if any(map(tracker.is_of_loky, lifetime.children_of_threads(pid)))}
        is_one_dead = any(map(tracker.is_of_loky, self.orphans()))
        for pid in pids:
            if is_one_dead or pid in cleaned:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
            else:
                lifetime.signal_group(pid, number)

    def sweep(self) -> None:
        """Kill what the dead have left behind outside of their groups; what that has started comes to us as it dies."""
        while orphans := [pid for pid in self.orphans() if not tracker.is_of_loky(pid)]:
            for pid in orphans:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, 0)

    def bury(self, pids: Iterable[int]) -> None:
        """This is the end: kill the groups of these workers, and what else descends from us."""
        self.signal(pids, signal.SIGKILL)
        lifetime.bury_children(lambda pid: pid == self.tracker or tracker.is_of_loky(pid))
        for pid in lifetime.children_of(os.getpid()):
            if pid != self.tracker:
                lifetime.wait_for_end(pid, lifetime.HUNT)
