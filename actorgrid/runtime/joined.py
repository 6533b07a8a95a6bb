"""The engine of a driver that has joined a persistent grid.

It is one of several: it shares resources, named detached actors and nothing else with the others. What its workers are
to look like (``sys.path``, working directory, arguments) goes along with every call, as it was when the driver joined;
they work for this driver alone. When it leaves, or dies, what is its own ends, and the grid stays.
"""

from __future__ import annotations

import os
import select
import sys

import msgspec

import actorgrid
from actorgrid.engine.definitions import Setup, StartConfig
from actorgrid.runtime import door, lifetime, surroundings
from actorgrid.runtime.driver import DriverEngine


class JoinedEngine(DriverEngine):
    """The engine of a process that called ``init(address=...)``."""

    def __init__(self, start: StartConfig) -> None:
        """Join. Raises ConnectionError and PermissionError (see ``door.knock``)."""
        hello = door.Hello("join", actorgrid.__version__, log_to_driver=start.log_to_driver)
        link, welcome = door.knock(start.address, hello)
        namespace = start.namespace if start.namespace is not None else os.urandom(8).hex()
        self._become(start, welcome.number, welcome.session, welcome.capacity, namespace, link, welcome.head_pid)
        around = surroundings.encode(self._surroundings)
        self.labels, self.node_name = welcome.labels, welcome.node_name
        self._head_watch = lifetime.watch_process(welcome.head_pid)
        self.plain = Setup()
        self.setup = msgspec.structs.replace(
            start.setup, job=welcome.number, namespace=namespace, surroundings=around, logging=start.logging,
            max_pending_tasks=start.max_pending_tasks, refuse_pending_tasks=start.refuse_pending_tasks,
        )  # fmt: skip
        self._begin()

    def refresh_environment(self) -> None:
        """What workers look like was settled when the driver joined."""

    def _path_changed(self) -> None:
        """See ``refresh_environment``."""
        self._path = list(sys.path)

    def _how_head_ended(self) -> str:
        if not self._head_is_dead():
            return "has closed this driver's link"
        self.sweep()
        return "is dead"

    def _head_is_dead(self) -> bool:
        """Return whether the head's process has ended, and not just the link to it: others may go on."""
        if self._head_watch is None:
            return False
        poll = select.poll()
        poll.register(self._head_watch, select.POLLIN)
        return bool(poll.poll(1000))

    def _close_descriptors(self) -> None:
        super()._close_descriptors()
        if self._head_watch is not None:
            os.close(self._head_watch)

    def _wake_head(self) -> None:
        """The head is no child of this process."""

    def _give_up_start(self) -> None:
        """The head is not ours."""

    def _bury_head(self, patience: float) -> None:
        """The head stays; it has closed the link by now, or does so soon."""
        self._ended.wait(patience)
