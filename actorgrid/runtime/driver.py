"""The driver's engine: starts the head, talks to it over one socket pair, ends it.

The user's process never forks and never runs a loop of ours: the head is a fresh interpreter that gets one end of a
pair. When the driver goes, in whatever way, the head sees it (a pidfd, or the end of the stream) and takes everything
with it.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import sys
import threading
import weakref
from typing import Final

from actorgrid.core import ids
from actorgrid.core import messages as m
from actorgrid.core.messages import ToClient
from actorgrid.core.signals import describe
from actorgrid.engine.definitions import Setup, StartConfig
from actorgrid.engine.interrupts import Interrupts, protected
from actorgrid.exceptions import HeadDiedError
from actorgrid.runtime import lifetime, machine, surroundings, tracker
from actorgrid.runtime.config import BootConfig
from actorgrid.runtime.links import Link
from actorgrid.runtime.output import Printer
from actorgrid.runtime.process import ProcessEngine
from actorgrid.runtime.spawn import Spawned

#: How long an orderly end may take before the head is killed (seconds).
PATIENCE: Final = 5.0


class DriverEngine(ProcessEngine):
    """The engine of the process that called ``init``."""

    def __init__(self, start: StartConfig, head: Spawned) -> None:
        """Make ``head``, whose interpreter is starting, the head of a grid."""
        capacity = machine.capacity(start)
        namespace = start.namespace if start.namespace is not None else os.urandom(8).hex()
        self._become(start, ids.DRIVER, head.session, capacity, namespace, head.link, head.pid)
        config = BootConfig.of(start, self.session, capacity, namespace, self._surroundings)
        shared = tracker.program.open()
        config.tracker = len(shared)
        config.send(head.link)
        tracker.send(head.link, shared)
        for fd in shared[1:]:
            os.close(fd)
        self._begin()

    def _become(
        self, start: StartConfig, number: int, session: str, capacity: dict[str, float], namespace: str,
        link: socket.socket, head_pid: int,
    ) -> None:  # fmt: skip
        """Be client ``number`` of the grid at the other end of ``link``."""
        super().__init__(number, session, capacity, namespace, Link(link, ToClient))
        self.setup, self.plain = start.setup, Setup(start.setup.env_vars)
        self._surroundings = surroundings.look_around()
        self._version = 0
        #: ``sys.path`` as the workers have it.
        self._path = list(sys.path)
        self.labels, self.node_name = dict(start.labels), start.node_name
        self.limit_pending(start.max_pending_tasks, refuses=start.refuse_pending_tasks)
        self.head_pid = head_pid
        self.printer = Printer(hold=lambda hold: self.tell_quietly(m.HoldOutput(hold)))
        #: Process groups of the workers, in case head and launcher die together.
        self.groups: dict[int, None] = {}
        self.reason = ""
        self._outside[m.Output] = lambda message: self.printer.feed(message.pid, message.data)
        self._outside[m.GridDied] = self._grid_died
        self._outside[m.Group] = self._group
        self._outside[m.Notice] = lambda message: self.printer.say(f"{message.text}\n")
        self._ended = threading.Event()
        self._reaped: int | None = None

    def _begin(self) -> None:
        self.interrupts = Interrupts(self.ear.give_back_here)
        self.interrupts.install()
        _drivers.add(self)
        self._thread.start()

    def refresh_environment(self) -> None:
        """Send ``sys.path`` and the like again if they changed since the last time."""
        now = surroundings.look_around()
        if now != self._surroundings:
            self._surroundings = now
            self._version += 1
            self.tell_quietly(m.Environment(self._version, surroundings.encode(now)))

    def _path_changed(self) -> None:
        """Whatever is sent next may need modules that are found only now. Called with the lock held."""
        self._path = list(sys.path)
        self._surroundings = surroundings.look_around()
        self._version += 1
        self.client.outbox.insert(0, m.Environment(self._version, surroundings.encode(self._surroundings)))

    # -- links

    @protected
    def send(self, *, force: bool) -> None:
        """See ``EngineBase``."""
        if self.sending:  # a finalizer or a signal handler, in the middle of the lines below
            self.urgent = self.urgent or force
            return
        client = self.client
        self.sending = True
        try:
            if sys.path != self._path:
                self._path_changed()
            moves = self._moves()
            while moves and client.outbox and (force or client.unanswered < 2):
                moves = self._moves()
                batch, client.outbox = client.outbox, []
                client.unanswered += 1
                moves = self.link.offer(batch, ack_wanted=client.unanswered == 2) and moves
                force, self.urgent = self.urgent, False
            if not moves:  # the head is stopped, say: the caller goes on, and can be interrupted where it waits
                self.try_again()
        except OSError as error:
            self.cut(error)  # a dead head is noticed by the reader thread, with its cause
        finally:
            self.sending = False

    def _moves(self) -> bool:
        """Send what waits, and the segments that were announced. Returns whether the head takes what is sent."""
        link = self.link
        moves = not link.pending_bytes or link.push()
        while self.segments:
            segment, size, fd = self.segments.popleft()
            moves = link.offer([m.NewSegment(segment, size)], [fd])
        return moves

    # -- the end

    def _grid_died(self, message: m.GridDied) -> None:
        self.reason = message.message

    def _group(self, message: m.Group) -> None:
        if message.alive:
            self.groups[message.pid] = None
        else:
            self.groups.pop(message.pid, None)

    def lost(self, reason: str) -> None:
        """The link ended: by our own shutdown, or because the head died."""
        self.printer.finish()
        if not self.ending:
            how = self._how_head_ended()
            why = reason or self.reason or f"the head process (pid {self.head_pid}) {how}"
            self.end_waits(HeadDiedError(f"{why}. Call actorgrid.init() to start a new grid."))
            self._let_go_of_memory()
        self._ended.set()

    def _let_go_of_memory(self) -> None:
        """There is no grid any more: keep of its memory only where something lies that this program can still read."""
        with self.lock:
            values = [entry.value for entry in self.client.entries.values()]
        extents = [value.extent for value in values if value is not None]
        self.arenas.keep({extent.segment for extent in extents if extent is not None})

    def sweep(self) -> None:
        """Kill what workers may have left: head and launcher may have died together."""
        lifetime.kill_groups(self.groups, tracker.is_of_loky)

    def _how_head_ended(self) -> str:
        self.sweep()
        self._head_ends()
        return describe(self._reaped) if self._reaped is not None else "closed its link"

    def _head_ends(self, patience: float = PATIENCE) -> bool:
        """Wait for the head to end: its link closes a moment before. Returns whether it did in time."""
        lifetime.wait_for_end(self.head_pid, patience)
        self._reap(block=False)
        return self._reaped is not None

    def _reap(self, *, block: bool) -> None:
        try:
            pid, status = os.waitpid(self.head_pid, 0 if block else os.WNOHANG)
        except ChildProcessError:
            self._reaped = 0  # somebody else's wait() took it
            return
        if pid:
            self._reaped = os.waitstatus_to_exitcode(status)

    def print_error(self, text: str) -> None:
        """See ``ProcessEngine``; in turn with what the workers print."""
        if text:
            self.printer.say(text)

    def shutdown(self) -> None:
        """See ``Engine``."""
        if self.ending or self.pid != os.getpid():
            return
        self.ending = True
        self.interrupts.uninstall()
        self._wake_head()
        with self.lock:
            self.client.collect()
        self.say_unread()
        self.tell_quietly(m.Bye())
        self._give_up_start()
        late = False
        if not self.descriptors_are_others:  # else nothing can be said, and the head has seen the end of the stream
            late = not self.is_reader() and not self._ended.wait(PATIENCE)
            if late or self.is_reader() or self.client.dead is not None:
                with contextlib.suppress(OSError):
                    self.link.socket.shutdown(socket.SHUT_RDWR)  # a head that did not hear Bye sees the end
        self._bury_head(0.0 if late else PATIENCE)
        self.end_waits(HeadDiedError("the grid was shut down"))
        if self.descriptors_are_others:
            self.link.socket.detach()
        else:
            if threading.current_thread() is not self._thread:
                self._thread.join(PATIENCE)
            self._close_descriptors()
        _drivers.discard(self)

    def _wake_head(self) -> None:
        """Whoever has stopped the head cannot keep it from ending, nor this process from telling it to."""
        if self._reaped is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):  # this program may have become somebody else
                os.kill(self.head_pid, signal.SIGCONT)

    def _give_up_start(self) -> None:
        """A head that has said nothing yet, and for which nothing has run, need not import the rest before it ends.

        The launcher is in its group; what that has forked goes with it.
        """
        if self._reaped is not None or self.client.has_heard:
            return
        poll = select.poll()
        poll.register(self.link.socket, select.POLLIN)
        if not poll.poll(0):  # else what it has said has not been read yet: something may have run
            lifetime.signal_group(self.head_pid, signal.SIGKILL)

    def _bury_head(self, patience: float) -> None:
        """The head has heard that this is the end: wait for its own, and kill it if it does not come."""
        if self._reaped is None and not self._head_ends(patience):
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.head_pid, signal.SIGKILL)
            self._reap(block=True)
            self.sweep()

    def _close_descriptors(self) -> None:
        self.link.close()
        self.ear.close()
        self.arenas.close()
        tracker.program.close()
        wake_fd, self._wake_fd = self._wake_fd, -1
        os.close(wake_fd)


_drivers: weakref.WeakSet[DriverEngine] = weakref.WeakSet()


def _forked() -> None:
    """In a child that the user's program forked: our copies of the descriptors go, the parent's grid stays as it is."""
    for engine in list(_drivers):
        engine.ending = engine.forked = True
        engine.client.dead = RuntimeError("this process was forked from the driver: its grid belongs to the parent")
        engine.client.outbox.clear()
        engine.lock = threading.RLock()
        engine.link.socket.close()
        engine.ear.close()
        os.close(engine._wake_fd)  # noqa: SLF001  # our own engine
        engine._wake_fd = -1  # noqa: SLF001  # our own engine
    _drivers.clear()


os.register_at_fork(after_in_child=_forked)
