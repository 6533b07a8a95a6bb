"""The head's shell: one loop on bare epoll that feeds the head machine and carries out what it decides.

::

     driver link ──┐                                   ┌── driver link (results, output)
     task links  ──┼─▶ messages ─▶ Head.handle ─▶ turn ┼── task links (runs), control links (replies)
     launcher    ──┤               (core/head)         ├── launcher (spawn, kill)
     output pipes ─┘                                   └── output, forwarded to the driver as it comes

It runs no user code and unpickles no user data. It never blocks on a send: what a socket does not take waits, results
for that client wait in the machine, and its output pipes are not read, which slows down who writes. Each link is read
once per turn and at most ``READ_SIZE`` bytes, so none starves the others. The garbage collector is off: records hold no
cycles (a test asserts it).
"""

from __future__ import annotations

import contextlib
import gc
import os
import select
import signal
import socket
import time
import traceback
from collections.abc import Callable
from typing import Any, Final

from actorgrid.core import ids
from actorgrid.core import messages as m
from actorgrid.core.head import effects as e
from actorgrid.core.head.machine import Head, HeadConfig
from actorgrid.core.head.records import Peer
from actorgrid.core.messages import FromLauncher
from actorgrid.core.resources import demand
from actorgrid.runtime import lifetime, memory_watch, tracker
from actorgrid.runtime.config import BootConfig
from actorgrid.runtime.crew import Crew
from actorgrid.runtime.door import close_door
from actorgrid.runtime.drivers import Drivers
from actorgrid.runtime.links import CONGESTED, Link
from actorgrid.runtime.segments import SegmentTable
from actorgrid.runtime.spill_link import SpillLink

#: Seconds that the launcher has for burying the workers: less than a driver that shuts down has for us.
BURIAL: Final = 3.0
#: Descriptors that the head needs for itself, and for each worker (two links, output, a segment).
OWN_DESCRIPTORS: Final = 16
PER_WORKER: Final = 4
IN, OUT, HUP = select.EPOLLIN, select.EPOLLOUT, select.EPOLLHUP | select.EPOLLERR


class HeadProcess:
    """The head process."""

    def __init__(
        self, launcher: socket.socket, launcher_pid: int, config: BootConfig, *, driver: socket.socket | None = None,
        entrance: socket.socket | None = None,
    ) -> None:  # fmt: skip
        """``driver`` is the link of the one driver, or ``entrance`` the socket through which drivers come and go."""
        gc.disable()
        self.config = config
        room = (lifetime.raise_descriptor_limit() - OWN_DESCRIPTORS) // PER_WORKER
        limit = max(1, min(config.max_workers, room))
        keep = min(config.keep_workers, limit)
        self.head = Head(
            HeadConfig(
                demand(config.capacity), config.store_budget, keep, limit, script=config.script, seed=config.seed,
                intensity=config.restart_intensity, period=config.restart_period, stopped_limit=config.stopped_limit,
                spills=bool(config.spill_directory), store_patience=config.store_patience,
                farewell=config.farewell, memory_interval=config.memory_interval,
                memory_threshold=config.memory_threshold, persistent=bool(config.door),
                task_events=config.task_events, driver_pid=config.driver_pid,
                began=time.monotonic(), epoch=time.time() - time.monotonic(),
            )
        )  # fmt: skip
        launcher.setblocking(False)
        self.launcher: Link[Any] = Link(launcher, FromLauncher)
        self.launcher_pid = launcher_pid
        self.crew = Crew(self)
        self.segments = SegmentTable()
        self.spiller = SpillLink(self)
        self.epoll = select.epoll()
        self.handlers: dict[int, Callable[[int], None]] = {}
        self.drivers = Drivers(self)
        self.listen(self.launcher.fileno(), self._from_launcher)
        #: It dies at the end of this turn.
        self.doomed = False
        #: Links with unsent bytes, by descriptor.
        self.unsent: dict[int, tuple[Link[Any], int]] = {}
        self.running = True
        if driver is not None:
            watch = lifetime.watch_process(config.driver_pid)
            self.drivers.add(ids.DRIVER, driver, -1 if watch is None else watch)
        if entrance is not None:
            self.drivers.lobby.open(entrance)

    def listen(self, fd: int, handler: Callable[[int], None]) -> None:
        """Have ``handler`` called with the mask of what happens there."""
        self.handlers[fd] = handler
        self.epoll.register(fd, IN)

    def deafen_descriptor(self, fd: int) -> None:
        """Hear no more of a descriptor."""
        if self.handlers.pop(fd, None) is not None:
            with contextlib.suppress(OSError):
                self.epoll.unregister(fd)

    def rest(self, fd: int) -> None:
        """Hear nothing of a descriptor until it is woken."""
        self.epoll.modify(fd, 0)

    def wake(self, fd: int) -> None:
        """Hear of it again, unless it is heard no more at all."""
        if fd in self.handlers:
            self.epoll.modify(fd, IN)

    def post(self, link: Link[Any], batch: list[Any], fds: list[int] | None = None) -> None:
        """Send to a process that is no client. ``fds`` are closed once sent."""
        self.post_to(link, batch, 0, fds)

    def deafen(self, link: Link[Any]) -> None:
        """Hear, and send, no more on a link that is to be closed."""
        self.unsent.pop(link.fileno(), None)
        self.deafen_descriptor(link.fileno())

    # -- the loop

    def run(self) -> None:
        """Serve until the driver leaves or something that cannot go on happens."""
        try:
            self.head.workers.prestart(min(self.head.workers.keep, 16))
            self.flush()
            while self.running:
                self.turn()
        except BaseException:  # noqa: BLE001  # whatever it is, nobody may be left waiting
            self.stop("the head failed; this is a bug in actorgrid, please report it:\n" + traceback.format_exc())

    def turn(self) -> None:
        """Wait for something, handle it, send what it led to."""
        deadline = self.head.next_deadline()
        if self.drivers.lobby.waiting:
            deadline = self.drivers.lobby.until(deadline)
        timeout = -1.0 if deadline is None else max(0.0, deadline - time.monotonic())
        if self.spiller.stillborn:
            timeout = 0.0
            self.spiller.turn()
        if self.crew.stillborn:
            timeout = 0.0
            self.crew.report_stillborn()
        for fd, mask in self.epoll.poll(timeout):
            handler = self.handlers.get(fd)
            if handler is None:
                continue
            if mask & OUT:
                self._writable(fd)
            if mask & (IN | HUP):
                handler(mask)
        if self.running:
            self.head.turn(time.monotonic())
            self.flush()

    # -- reading

    def _read(self, link: Link[Any]) -> list[Any] | None:
        try:
            return link.receive()
        except BlockingIOError:
            return []

    def _from_launcher(self, mask: int) -> None:
        del mask
        batch = self._read(self.launcher)
        if batch is None:
            self.stop(self._how_launcher_ended())
            return
        for message in batch:
            self.crew.launched(message)

    def _how_launcher_ended(self) -> str:
        how = f"the launcher process {lifetime.how_child_ended(self.launcher_pid, 1.0)}"
        modules = ", ".join(map(repr, self.config.preload))
        if modules and not any(worker.pid for worker in self.crew.table.values()):
            return f"{how} before it had started a worker: look at what init(preload=) imports, {modules}"
        return f"{how}; every worker went with it"

    # -- sending

    def flush(self) -> None:
        """Carry out effects, then send every outbox."""
        head = self.head
        while head.effects:
            effects, head.effects = head.effects, []
            for effect in effects:
                self._carry_out(effect)
        if head.busy:
            busy, head.busy = head.busy, []
            for worker in busy:
                batch, worker.outbox = worker.outbox, []
                shell = self.crew.table.get(worker.number)
                if shell is not None:
                    self.post_to(shell.task, batch, worker.number)
        if head.dirty:
            dirty, head.dirty = head.dirty, []
            for peer in dirty:
                batch, peer.outbox = peer.outbox, []
                self._reply(peer, batch)
        self.drivers.acknowledge()
        self.crew.acknowledge()
        if self.doomed:
            os.kill(os.getpid(), signal.SIGKILL)

    def _reply(self, peer: Peer, batch: list[object]) -> None:
        driver = self.drivers.table.get(peer.number)
        if driver is not None:
            driver.link.decoder.ack_wanted = False
            self.post_to(driver.link, batch, peer.number)
        else:
            shell = self.crew.table.get(peer.number)
            if shell is not None:
                shell.task.decoder.ack_wanted = False
                self.post_to(shell.control, batch, peer.number)

    def post_to(self, link: Link[Any], batch: list[Any], number: int, fds: list[int] | None = None) -> None:
        """Send to client ``number`` (0: to no client). ``fds`` are closed once sent."""
        if not link.post(batch, fds):
            fd = link.fileno()
            if fd not in self.unsent:
                self.unsent[fd] = (link, number)
                if fd in self.handlers:
                    self.epoll.modify(fd, IN | OUT)
                else:
                    self.handlers[fd] = lambda _: None
                    self.epoll.register(fd, OUT)
            peer = self.head.peers.get(number)
            if peer is not None and link.pending_bytes > CONGESTED:
                peer.congested = True

    def _writable(self, fd: int) -> None:
        entry = self.unsent.get(fd)
        if entry is None:
            return
        link, number = entry
        if link.flush():
            del self.unsent[fd]
            self.epoll.modify(fd, IN)
        peer = self.head.peers.get(number)
        if peer is not None and peer.congested and link.pending_bytes < CONGESTED // 2:
            self.head.objects.drained(peer)
        if number in self.drivers.table and link.pending_bytes < CONGESTED // 2:
            self.crew.unmute()

    def _look_at_memory(self) -> None:
        used, limit = memory_watch.usage()
        large = used >= self.head.config.memory_threshold * limit
        pids = ((worker.number, worker.pid) for worker in self.crew.table.values())
        self.head.pressure.seen(used, limit, memory_watch.residents(pids) if large else {})

    # -- effects

    def _carry_out(self, effect: e.Effect) -> None:
        if isinstance(effect, e.SpawnWorker):
            self.crew.spawn(effect.number)
        elif isinstance(effect, e.SignalWorker):
            self.post_to(self.launcher, [m.KillProcess(effect.number, effect.signal, effect.task)], 0)
        elif isinstance(effect, e.CloseWorker):
            self.crew.close(effect.number)
        elif isinstance(effect, e.ShowSegment):
            self._show(effect)
        elif isinstance(effect, e.PunchExtent):
            with contextlib.suppress(OSError):  # it needs a descriptor and address space; then the pages stay
                self.segments.punch(effect.extent)
        elif isinstance(effect, e.DropSegment):
            self.segments.drop(effect.segment)
        elif isinstance(effect, e.Spill):
            self.spiller.order(effect.order)
        elif isinstance(effect, e.LookAtMemory):
            self._look_at_memory()
        elif isinstance(effect, e.MuteOutput):
            self.drivers.hold(effect.number, held=effect.mute)
            self.crew.unmute()
        elif isinstance(effect, e.Die):
            self.doomed = True
        else:
            self.stop(effect.reason)

    def _show(self, effect: e.ShowSegment) -> None:
        segment, fds = effect.segment, list[int]()
        driver = self.drivers.table.get(effect.number)
        if driver is not None:
            link = driver.link
        else:
            worker = self.crew.table.get(effect.number)
            if worker is None:
                return
            link = worker.control if effect.reply_link else worker.task
        try:
            fds.append(self.segments.reader_descriptor(segment.segment))  # read-only: readers cannot write
        except OSError:  # too many open files: whoever wants what lies there is told
            segment = m.Segment(segment.segment, 0)
        self.post_to(link, [segment], effect.number, fds)

    # -- the end

    def stop(self, reason: str) -> None:
        """End the grid: last words to the drivers, then every process, then this one."""
        if not self.running:
            return
        self.running = False
        with contextlib.suppress(Exception):
            self.crew.drain_output()
            self.drivers.last_words(reason)
        if self.config.door:
            close_door(self.config.door, self.config.door_inode)
        self.launcher.socket.close()
        if lifetime.end_child(
            self.launcher_pid, BURIAL
        ):  # it did not bury the workers: the kernel has killed them, but not what they started
            self.crew.kill()
            lifetime.bury_children(lambda pid: tracker.is_one(pid) or tracker.is_of_loky(pid))
        os._exit(0)
