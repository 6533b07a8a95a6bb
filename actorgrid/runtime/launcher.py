"""The launcher: forks workers, waits for them, and kills what is left.

It is forked from the head before the head has any loop, and stays single-threaded for good: a process that forks must
not have other threads, which may hold locks that the child would find locked for ever. It imports what workers need
once, so that a fork is ready to work after a few milliseconds.

It is a subreaper and nobody's death kills it: when the head's end of the link closes, it kills every worker's process
group and what else descends from it, then it exits. If it is stopped, the kernel wakes it for that.
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import mmap
import os
import select
import signal
import socket
import struct
import sys
import traceback
from collections.abc import Callable, Iterator
from typing import Any, Final

import actorgrid
from actorgrid.core import messages as m
from actorgrid.core.messages import ToLauncher
from actorgrid.engine.current import belongs_to_a_grid
from actorgrid.runtime import lifetime, tracker
from actorgrid.runtime.config import BootConfig
from actorgrid.runtime.door import close_door
from actorgrid.runtime.links import Link, pair
from actorgrid.runtime.undertaker import Undertaker

#: Shared with each worker: [current task (8 bytes)][length of unsent frame body (4)][body ...]. See ``runtime.outbox``.
SHARED_SIZE: Final = 256 << 10
SHARED_HEAD: Final = struct.Struct("<QI")
#: After so long without an order there is time for what later workers need (milliseconds).
WARM_AFTER: Final = 100

WorkerMain = Callable[[BootConfig, int, socket.socket, socket.socket, mmap.mmap], None]


class _Child:
    """One worker process."""

    __slots__ = ("condemned", "number", "pid", "shared", "stopped")

    def __init__(self, number: int, pid: int, shared: mmap.mmap) -> None:
        self.number = number
        self.pid = pid
        self.shared = shared
        #: It is to be killed, if it runs this task once it stands still; 0: it is not.
        self.condemned = 0
        #: Somebody else has stopped it.
        self.stopped = False


class Launcher:
    """The state of the launcher process."""

    def __init__(self, end: socket.socket, config: BootConfig, tracked: int = -1) -> None:
        """``tracked``: when something comes there, a resource tracker is needed; -1: none is, or there is one."""
        self.link: Link[Any] = Link(end, ToLauncher)
        self.config = config
        self.tracked = tracked
        self.pid = os.getpid()
        self.by_pid: dict[int, _Child] = {}
        self.by_number: dict[int, _Child] = {}
        self.undertaker = Undertaker(self.by_pid)
        self.wakeup_read, self.wakeup_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self.head_watch = select.poll()
        self.head_watch.register(self.link.fileno(), 0)  # POLLHUP is always told

    def run(self) -> Callable[[], None] | None:
        """Serve the head until it goes. Returns None, or in a forked worker what to run there."""
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self.wakeup_write, warn_on_full_buffer=False)
        poll = select.poll()
        if self.tracked >= 0:  # before all others: who has said something there may be dead already
            poll.register(self.tracked, select.POLLIN)
        poll.register(self.link.fileno(), select.POLLIN)
        poll.register(self.wakeup_read, select.POLLIN)
        patience: int | None = WARM_AFTER
        warming = warm_up()
        while True:
            events = poll.poll(patience)
            if not events:
                patience = next(warming, None)
            for fd, mask in events:
                if fd == self.wakeup_read:
                    with contextlib.suppress(BlockingIOError):
                        os.read(self.wakeup_read, 4096)
                    self.reap()
                    continue
                if fd == self.tracked:
                    poll.unregister(fd)
                    self.tracked, self.undertaker.tracker = -1, tracker.start(fd)
                    continue
                batch = None if mask & select.POLLHUP else self.link.receive()
                for message in batch or ():
                    if isinstance(message, m.Spawn) and self.head_has_gone():
                        batch = None
                        break
                    child = self.obey(message)
                    if child is not None:
                        return child
                if batch is None:
                    self.bury()
                    return None

    def head_has_gone(self) -> bool:
        """Say whether there is nobody to fork workers for: a thousand may have been ordered, some milliseconds each."""
        return any(mask & select.POLLHUP for _, mask in self.head_watch.poll(0))

    def obey(self, message: Any) -> Callable[[], None] | None:
        """Do what the head says. Returns what a forked worker must run, None in the launcher."""
        if isinstance(message, m.Spawn):
            return self.spawn(message)
        if isinstance(message, m.SpawnSpiller):
            return self.spawn_spiller()
        if isinstance(message, m.KillProcess):
            child = self.by_number.get(message.worker)
            if child is not None and message.task:
                self.condemn(child, message.task)
            elif child is not None:
                self.undertaker.signal([child.pid], message.signal)
        else:
            self.bury()
            os._exit(0)
        return None

    def tell(self, message: Any) -> None:
        """Tell the head. If it has gone, the end of the link says so next, and there are workers to bury: no error."""
        with contextlib.suppress(OSError):
            self.link.send([message])

    # -- birth

    def spawn(self, message: m.Spawn) -> Callable[[], None] | None:
        """Fork a worker with the descriptors that came along."""
        claimed = self.link.claim(3)
        if not claimed:
            self.tell(m.SpawnFailed(message.worker, self._refused(OSError(errno.EMFILE, os.strerror(errno.EMFILE)))))
            return None
        task_fd, control_fd, output_fd = claimed
        shared = mmap.mmap(-1, SHARED_SIZE)
        threads = lifetime.threads_here()
        if threads != 1:
            self.tell(m.SpawnFailed(message.worker, f"a preloaded module started {threads - 1} threads"))
            self._close(task_fd, control_fd, output_fd)
            return None
        try:
            pid = os.fork()
        except OSError as error:
            self.tell(m.SpawnFailed(message.worker, self._refused(error)))
            self._close(task_fd, control_fd, output_fd)
            return None
        if pid == 0:
            return self._in_child(message.worker, task_fd, control_fd, output_fd, shared)
        self._close(task_fd, control_fd, output_fd)
        with contextlib.suppress(OSError):
            os.setpgid(pid, pid)  # the child does it too: whoever comes first
        child = _Child(message.worker, pid, shared)
        self.by_pid[pid] = self.by_number[message.worker] = child
        self.tell(m.Spawned(message.worker, pid))
        return None

    @staticmethod
    def _refused(error: OSError) -> str:
        from actorgrid.runtime import limits  # only where something is refused

        return limits.told(error, "the launcher of the grid")

    def spawn_spiller(self) -> Callable[[], None] | None:
        """Fork the process that owns the spill file. If that fails, its link says so, and ends."""
        claimed = self.link.claim()
        if not claimed:
            return None  # its other end was closed with it: that says so
        link = claimed[0]
        try:
            pid = os.fork()
        except OSError as error:
            pid = -1
            with contextlib.suppress(OSError), socket.socket(fileno=os.dup(link)) as end:
                reason = f"objects cannot go to the disk, or come back: {self._refused(error)}"
                Link(end, m.ToSpiller).send([m.NoSpiller(reason)])
        if pid:
            self.undertaker.spiller = pid
            self._close(link)
            return None
        lifetime.die_with_parent(self.pid)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._close(self.wakeup_read, self.wakeup_write, self.tracked)
        self.link.close()
        end, directory = socket.socket(fileno=link), self.config.spill_directory

        def work() -> None:
            from actorgrid.runtime.spiller import work as spiller_main  # most grids never need it

            spiller_main(directory, end)

        return work

    def _in_child(
        self, number: int, task_fd: int, control_fd: int, output_fd: int, shared: mmap.mmap
    ) -> Callable[[], None]:
        os.setpgid(0, 0)
        lifetime.become_subreaper()
        lifetime.die_with_parent(self.pid)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._close(self.wakeup_read, self.wakeup_write, self.tracked)
        self.link.close()  # with the descriptors of workers that are still to be forked
        self.by_pid.clear()
        self.by_number.clear()
        os.dup2(output_fd, 1)
        os.dup2(output_fd, 2)
        os.close(output_fd)
        task, control = socket.socket(fileno=task_fd), socket.socket(fileno=control_fd)
        config = self.config

        def work() -> None:
            from actorgrid.runtime.worker import work as worker_main  # imported before the fork

            worker_main(config, number, task, control, shared)

        return work

    @staticmethod
    def _close(*fds: int) -> None:
        for fd in fds:
            if fd >= 0:
                os.close(fd)

    # -- death

    def condemn(self, child: _Child, task: int) -> None:
        """Have a worker killed if it runs ``task``: that is read while it stands still, so that nobody else is hit."""
        child.condemned = task
        if child.stopped:
            self._judge(child)
        else:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child.pid, signal.SIGSTOP)

    def _judge(self, child: _Child) -> None:
        task, child.condemned = child.condemned, 0
        if SHARED_HEAD.unpack_from(child.shared)[0] == task:
            self.undertaker.signal([child.pid], signal.SIGKILL)
            return
        if not child.stopped:
            os.kill(child.pid, signal.SIGCONT)
        self.tell(m.Spared(child.number, task))

    def _stopped(self, child: _Child, *, stopped: bool) -> None:
        if stopped and child.condemned:
            self._judge(child)
        elif stopped is not child.stopped:
            child.stopped = stopped
            self.tell(m.Stopped(child.number, stopped))

    def reap(self) -> None:
        """Report every worker that ended, or was stopped; kill what the dead left behind in their groups."""
        while True:
            try:
                info = os.waitid(os.P_ALL, 0, os.WEXITED | os.WSTOPPED | os.WCONTINUED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if info is None:
                return
            if info.si_code in (os.CLD_STOPPED, os.CLD_CONTINUED):
                os.waitid(os.P_PID, info.si_pid, os.WSTOPPED | os.WCONTINUED | os.WNOHANG)
                child = self.by_pid.get(info.si_pid)
                if child is not None:
                    self._stopped(child, stopped=info.si_code == os.CLD_STOPPED)
                continue
            self.undertaker.has_died(info.si_pid)
            child = self.by_pid.pop(info.si_pid, None)
            os.waitpid(info.si_pid, 0)
            if info.si_pid == self.undertaker.tracker:
                self.undertaker.tracker = 0
            if child is not None:
                self.undertaker.sweep()
                del self.by_number[child.number]
                status = info.si_status if info.si_code == os.CLD_EXITED else -info.si_status
                current, length = SHARED_HEAD.unpack_from(child.shared)
                body = child.shared[SHARED_HEAD.size : SHARED_HEAD.size + length]
                self.tell(m.Exited(child.number, child.pid, status, current, body))

    def bury(self) -> None:
        """The head is gone: nobody comes in any more; kill every worker's group, and what else descends from us."""
        if self.config.door:
            close_door(self.config.door, self.config.door_inode)
        signal.set_wakeup_fd(-1)
        self.undertaker.bury(self.by_pid)
        if self.tracked >= 0:
            tracker.start_if_needed(self.tracked)


def get_ready(link: socket.socket) -> tuple[BootConfig, int]:
    """Import what every worker needs; by then the head may know what for.

    Returns that, and what comes of whom the resource tracker is to be started for, -1 if it need not be.
    """
    import cloudpickle  # noqa: F401  # most programs define something in __main__

    import actorgrid.runtime.worker  # noqa: F401  # before the fork, once

    config = BootConfig.receive(link)
    sys.path[:] = config.surroundings.path
    write, read, *_ = [*tracker.receive(link, config.tracker), -1, -1]
    if write >= 0:
        tracker.adopt(write)  # and so do all that are forked from here
    return config, read


def preload(config: BootConfig) -> None:
    """Import what the user wants, with BLAS and OpenMP held to one thread so that no thread is started here.

    What workers import by themselves may have as many as their tasks have CPUs.
    """
    held = [name for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS") if name not in os.environ]
    if config.preload:
        for name in held:
            os.environ[name] = "1"
    for module in config.preload:
        try:
            importlib.import_module(module)
        except Exception as error:  # noqa: BLE001  # a worker that needs it will say so itself
            print(f"actorgrid: preload of {module!r} failed: {error!r}", file=sys.stderr)
    if config.preload:
        for name in held:
            os.environ.pop(name, None)


def warm_up() -> Iterator[int]:
    """Import all that tasks may name, so that workers forked from now on need not.

    Yields, after each piece, how long to wait for orders before the next one (milliseconds): whoever ends the grid now
    waits for one piece at most. The simulator is left out: it takes as long as all the others, and no task needs it.
    """
    for name in actorgrid.__all__:
        if name != "sim":
            getattr(actorgrid, name)
            yield 0


def start(driver: int) -> tuple[socket.socket, int]:
    """Fork the launcher. Returns (the head's end, its pid). ``driver`` is the head's link, which only it may keep."""
    ours, theirs = pair()
    pid = os.fork()
    if pid:
        theirs.close()
        return ours, pid
    ours.close()
    os.close(driver)
    code = 1
    try:
        lifetime.go_on_without_parent()
        lifetime.become_subreaper()
        belongs_to_a_grid()
        lifetime.Title().set("actorgrid: launcher")
        config, tracked = get_ready(theirs)
        preload(config)
        work = Launcher(theirs, config, tracked).run()
        if work is not None:
            work()
        code = 0
    except OSError:
        pass  # a link that is closed at one of its ends: whoever is at the other one will say so
    except Exception:  # noqa: BLE001  # a bug of ours: the process ends, but not without a word
        with contextlib.suppress(Exception):
            traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)
