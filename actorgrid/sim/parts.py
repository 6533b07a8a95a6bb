"""The parts of a running world, for tests that look at them: every state machine is open, and nothing else runs now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actorgrid.core.head.check import check
from actorgrid.exceptions import SimulationError

if TYPE_CHECKING:
    from actorgrid.core.client import Client
    from actorgrid.core.head.machine import Head
    from actorgrid.sim.engines import SimDriver
    from actorgrid.sim.grid import Grid
    from actorgrid.sim.worker import Worker


class Parts:
    """What a ``World`` shows of the grid that runs in it. To look at, not to change.

    Each of these raises SimulationError as long as no grid runs: ``init`` or the first call starts it.
    """

    grid: Grid | None

    def _running(self) -> Grid:
        if self.grid is None:
            raise SimulationError("no grid runs in this world: call actorgrid.init(), or submit something, first")
        return self.grid

    @property
    def head(self) -> Head:
        """The head machine: the task graph, objects, actors, resources (``core/head``)."""
        return self._running().head

    @property
    def workers(self) -> list[Worker]:
        """The worker processes that live, oldest first: ``title``, ``machine`` (``core/worker``), ``engine``."""
        return [worker for worker in self._running().workers.values() if worker.engine.alive]

    @property
    def drivers(self) -> list[SimDriver]:
        """The engines of the programs that use the grid: here that is one, the test itself."""
        return [self._running().driver]

    @property
    def clients(self) -> dict[int, Client]:
        """The client machine of every process, by client number: what it refers to and waits for (``core/client``)."""
        return {host.client.number: host.client for host in [*self.drivers, *(one.engine for one in self.workers)]}

    def check(self) -> None:
        """Verify every invariant of the head. Raises AssertionError for one that does not hold."""
        check(self.head)
