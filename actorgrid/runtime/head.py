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
from actorgrid.core.messages import FromLauncher, ToHead
from actorgrid.core.resources import demand
from actorgrid.runtime import cgroups, hearing, lifetime, memory_watch
from actorgrid.runtime.arenas import SegmentTable
from actorgrid.runtime.config import BootConfig
from actorgrid.runtime.door import close_door
from actorgrid.runtime.drivers import Drivers
from actorgrid.runtime.links import Link, pair
from actorgrid.runtime.spill_link import SpillLink

#: Bytes that may wait for a client before results for it wait in the machine instead.
CONGESTED: Final = 1 << 20
OUTPUT_READ: Final = 64 << 10
#: Seconds that the launcher has for burying the workers: less than a driver that shuts down has for us.
BURIAL: Final = 3.0
#: Descriptors that the head needs for itself, and for each worker (two links, output, a segment).
OWN_DESCRIPTORS: Final = 16
PER_WORKER: Final = 4
IN, OUT, HUP = select.EPOLLIN, select.EPOLLOUT, select.EPOLLHUP | select.EPOLLERR


class _Worker:
    """What the shell holds of one worker: two links and the output pipe."""

    __slots__ = ("control", "deaf", "number", "output", "pid", "task")

    def __init__(self, number: int, task: Link[Any], control: Link[Any], output: int) -> None:
        self.number = number
        self.task = task
        self.control = control
        self.output = output
        self.pid = 0
        #: What it says is not listened to: it is about to be killed for what it has said.
        self.deaf = False


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
        self.workers: dict[int, _Worker] = {}
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
        #: Output pipes that are not read until the driver has read more.
        self.muted: list[int] = []
        #: How often the system has killed somebody here for want of memory.
        self.oom_kills = cgroups.oom_kills()
        #: Workers that could not be started, and why.
        self.stillborn: list[m.SpawnFailed] = []
        #: Workers whose last frame asked for an acknowledgement.
        self.want_ack: list[_Worker] = []
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
        if self.stillborn:
            timeout = 0.0
            failed, self.stillborn = self.stillborn, []
            for message in failed:
                self.head.hear_launcher(message, time.monotonic())
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

    def _from_worker(self, worker: _Worker, *, dead: bool = False) -> bool:
        """Read once from a worker's task link. Returns whether there may be more. ``dead``: it has ended by itself."""
        if worker.deaf:
            return False
        try:
            batch, wrong = hearing.read(worker.task)
        except BlockingIOError:
            return False
        if worker.task.decoder.ack_wanted:
            self.want_ack.append(worker)
        if batch:
            wrong = hearing.take(self.head, self.segments, worker.number, worker.task, batch) or wrong
        if wrong:
            self._condemn(worker, wrong, dead=dead)
            return False
        if batch is None:
            self.deafen_descriptor(worker.task.fileno())
            self.head.hear_launcher(m.LinkLost(worker.number), time.monotonic())
            return False
        return True

    def _condemn(self, worker: _Worker, wrong: str, *, dead: bool) -> None:
        """Kill a worker that is no longer understood. It is worth a line: this may be a bug of ours."""
        worker.deaf = True
        self.deafen_descriptor(worker.task.fileno())
        known = self.head.workers.table.get(worker.number)
        if known is not None and not dead:
            self.head.workers.kill(known, f"{wrong} and was killed")
        self.head.tell(m.Notice(f"actorgrid: worker {worker.pid} {wrong} and {'has ended' if dead else 'is killed'}"))

    def _from_launcher(self, mask: int) -> None:
        del mask
        batch = self._read(self.launcher)
        if batch is None:
            self.stop(self._how_launcher_ended())
            return
        for message in batch:
            self._launched(message)

    def _how_launcher_ended(self) -> str:
        how = f"the launcher process {lifetime.how_child_ended(self.launcher_pid, 1.0)}"
        modules = ", ".join(map(repr, self.config.preload))
        if modules and not any(worker.pid for worker in self.workers.values()):
            return f"{how} before it had started a worker: look at what init(preload=) imports, {modules}"
        return f"{how}; every worker went with it"

    def _launched(self, message: Any) -> None:
        worker = self.workers.get(message.worker)
        if worker is None:
            return
        if isinstance(message, m.Spawned):
            worker.pid = message.pid
        elif isinstance(message, m.Exited):
            self._last_words(worker, message)
            if message.status == -signal.SIGKILL:
                before, self.oom_kills = self.oom_kills, cgroups.oom_kills()
                message.oom = self.oom_kills > before
        self.head.hear_launcher(message, time.monotonic())

    def _last_words(self, worker: _Worker, message: m.Exited) -> None:
        """Hear everything that a dead worker has said and written."""
        while self._from_worker(worker, dead=True):
            pass
        if message.outbox and not worker.deaf:
            wrong = hearing.take_leftover(self.head, worker.number, worker.task, message.outbox)
            if wrong:
                self._condemn(worker, wrong, dead=True)
        while self._output(worker):
            pass

    def _output(self, worker: _Worker) -> bool:
        """Forward a piece of a worker's output. Returns whether there may be more."""
        if worker.output < 0:
            return False
        try:
            data = os.read(worker.output, OUTPUT_READ)
        except BlockingIOError:
            return False
        if not data:
            self.deafen_descriptor(worker.output)
            os.close(worker.output)
            worker.output = -1
            return False
        if self.config.log_to_driver:
            for driver in self.drivers.audience(self._job_of(worker)):
                if driver.listens:
                    self.head.reply(self.head.peers[driver.number], m.Output(worker.pid, data))
        return True

    def _job_of(self, worker: _Worker) -> int:
        """Return the driver for whom a worker works, 0: for nobody in particular."""
        known = self.head.workers.table.get(worker.number)
        return known.peer.job if known is not None else 0

    def drain_output(self) -> None:
        """Forward what workers have written so far: somebody is about to leave."""
        with contextlib.suppress(OSError):
            for worker in list(self.workers.values()):
                while self._output(worker):
                    pass

    def _output_event(self, worker: _Worker) -> None:
        if worker.output >= 0 and not self.drivers.can_take(self._job_of(worker), CONGESTED):
            self.epoll.modify(worker.output, 0)  # whoever writes waits until the driver has read
            self.muted.append(worker.output)
        else:
            self._output(worker)

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
                shell = self.workers.get(worker.number)
                if shell is not None:
                    self.post_to(shell.task, batch, worker.number)
        if head.dirty:
            dirty, head.dirty = head.dirty, []
            for peer in dirty:
                batch, peer.outbox = peer.outbox, []
                self._reply(peer, batch)
        self._acknowledge()
        if self.doomed:
            os.kill(os.getpid(), signal.SIGKILL)

    def _reply(self, peer: Peer, batch: list[object]) -> None:
        driver = self.drivers.table.get(peer.number)
        if driver is not None:
            driver.link.decoder.ack_wanted = False
            self.post_to(driver.link, batch, peer.number)
        else:
            shell = self.workers.get(peer.number)
            if shell is not None:
                shell.task.decoder.ack_wanted = False
                self.post_to(shell.control, batch, peer.number)

    def _acknowledge(self) -> None:
        self.drivers.acknowledge()
        if self.want_ack:
            for shell in self.want_ack:
                if shell.task.decoder.ack_wanted and shell.number in self.workers:
                    shell.task.decoder.ack_wanted = False
                    self.post_to(shell.control, [], shell.number)
            self.want_ack.clear()

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
            self.unmute()

    def unmute(self) -> None:
        """Read again what workers write; it is left where it is once more if its driver cannot take it."""
        muted, self.muted = self.muted, []
        for output in muted:
            if output in self.handlers:
                self.epoll.modify(output, IN)

    def _look_at_memory(self) -> None:
        used, limit = memory_watch.usage()
        large = used >= self.head.config.memory_threshold * limit
        pids = ((worker.number, worker.pid) for worker in self.workers.values())
        self.head.pressure.seen(used, limit, memory_watch.residents(pids) if large else {})

    # -- effects

    def _carry_out(self, effect: e.Effect) -> None:
        if isinstance(effect, e.SpawnWorker):
            self._spawn(effect.number)
        elif isinstance(effect, e.SignalWorker):
            self.post_to(self.launcher, [m.KillProcess(effect.number, effect.signal, effect.task)], 0)
        elif isinstance(effect, e.CloseWorker):
            self._close(self.workers.pop(effect.number, None))
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
            self.unmute()
        elif isinstance(effect, e.Die):
            self.doomed = True
        else:
            self.stop(effect.reason)

    def _spawn(self, number: int) -> None:
        with contextlib.ExitStack() as made:
            try:
                task, task_theirs = map(made.enter_context, pair())
                control, control_theirs = map(made.enter_context, pair())
                output, output_theirs = os.pipe2(os.O_CLOEXEC)
            except OSError as error:  # too many open files
                self.stillborn.append(m.SpawnFailed(number, str(error)))
                return
            made.pop_all()
        task.setblocking(False)
        control.setblocking(False)
        os.set_blocking(output, False)
        worker = _Worker(number, Link(task, ToHead), Link(control, ToHead), output)
        self.workers[number] = worker
        self.listen(task.fileno(), lambda _: self._worker_event(worker))
        self.listen(output, lambda _: self._output_event(worker))
        theirs = [task_theirs.detach(), control_theirs.detach(), output_theirs]
        self.post_to(self.launcher, [m.Spawn(number)], 0, theirs)

    def _worker_event(self, worker: _Worker) -> None:
        self._from_worker(worker)

    def _close(self, worker: _Worker | None) -> None:
        if worker is None:
            return  # it never came to be
        for fd in (worker.task.fileno(), worker.control.fileno(), worker.output):
            self.unsent.pop(fd, None)
            if fd >= 0:
                self.deafen_descriptor(fd)
        worker.task.close()
        worker.control.close()
        if worker.output >= 0:
            os.close(worker.output)

    def _show(self, effect: e.ShowSegment) -> None:
        fd = self.segments.reader_descriptor(effect.segment.segment)  # read-only: readers cannot write
        driver = self.drivers.table.get(effect.number)
        if driver is not None:
            link = driver.link
        else:
            worker = self.workers.get(effect.number)
            if worker is None:
                os.close(fd)
                return
            link = worker.control if effect.reply_link else worker.task
        self.post_to(link, [effect.segment], effect.number, [fd])

    # -- the end

    def stop(self, reason: str) -> None:
        """End the grid: last words to the drivers, then every process, then this one."""
        if not self.running:
            return
        self.running = False
        with contextlib.suppress(Exception):
            for worker in list(self.workers.values()):
                while self._output(worker):
                    pass
            self.drivers.last_words(reason)
        if self.config.door:
            close_door(self.config.door, self.config.door_inode)
        self.launcher.socket.close()
        if lifetime.end_child(
            self.launcher_pid, BURIAL
        ):  # it did not bury the workers: the kernel has killed them, but not what they started
            for worker in self.workers.values():
                if worker.pid:
                    lifetime.signal_group(worker.pid, signal.SIGKILL)
            lifetime.bury_children()
        os._exit(0)
