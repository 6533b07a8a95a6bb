"""ProcessEngine: what drivers and workers share: the reader thread, the store, callbacks.

One thread at a time reads what the head sends and feeds the client machine: the reader thread, or a thread that waits
(``runtime.ear`` has the rules). Other threads that wait sleep on locks, which it opens. Callbacks of futures, and
whatever else is not about values, run on the reader thread, after the lock is released.
"""

from __future__ import annotations

import contextlib
import errno
import math
import os
import socket
import sys
import threading
import traceback
import weakref
from collections import deque
from collections.abc import Callable
from functools import partial
from time import monotonic  # by name: user code may replace that of the module
from typing import TYPE_CHECKING, Any, Final

from actorgrid.core import messages as m
from actorgrid.engine.awaiting import Awaiting
from actorgrid.engine.control import LocalEngine
from actorgrid.engine.interrupts import protected
from actorgrid.engine.refs import Entry as Named
from actorgrid.engine.serialize import Pickled
from actorgrid.engine.unread import UnreadErrors
from actorgrid.engine.waiting import stalled
from actorgrid.engine.waits import BlockingWaiter, Sleeper
from actorgrid.exceptions import ActorGridError, HeadDiedError
from actorgrid.runtime.ear import Ear, LeadingWaiter
from actorgrid.runtime.links import Link
from actorgrid.runtime.store import Store

if TYPE_CHECKING:
    import asyncio

#: How long a call waits before it says for what (seconds), unless ``ACTORGRID_STALL_WARN`` says otherwise.
STALL: Final = 30.0
#: What a system call says of a descriptor that is not what it was.
_CLOSED: Final = frozenset({errno.EBADF, errno.ENOTSOCK})
_CUT: Final = (
    "this program has closed the descriptors of its grid (os.closerange, say), so the grid has ended. "
    "Call actorgrid.init() to start a new grid."
)
#: How long an error waits for what was printed before it (seconds).
SPEECH: Final = 1.0
#: How long a generator may have to wait for the news that its reader has taken an item (seconds).
MOMENT: Final = 0.001
#: How long what need not be said at once may wait for other words (seconds).
GATHER: Final = 0.1
#: How soon a head that has taken nothing is tried again (seconds).
AGAIN: Final = 0.02


def stall_warning() -> float | None:
    """Return after how many seconds a call that still waits says for what; None: never."""
    try:
        seconds = float(os.environ.get("ACTORGRID_STALL_WARN", STALL))
    except ValueError:
        return STALL
    return seconds if 0 < seconds < math.inf else None


class ProcessEngine(LocalEngine):
    """An engine in a process of its own, with a link from the head."""

    name = "process"
    #: What those hear who wait when user code has closed the descriptors.
    cut_text = _CUT

    def __init__(self, number: int, session: str, capacity: dict[str, float], namespace: str, link: Link[Any]) -> None:
        """``link`` is where the head's replies arrive."""
        super().__init__(number, session, capacity, namespace)
        self.link = link
        self.pid = os.getpid()
        self.arenas = Store(self, int(capacity.get("object_store_memory", 0)))
        self._wake_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.ear = Ear(link.fileno(), self._wake_fd, self.cut)
        #: The reader thread has been woken and has not looked yet.
        self._awake = False
        #: When the head is to be told of items that were taken; 0: there is nothing to tell.
        self._rest_at = 0.0
        #: When what waits for other words is to go without them; 0: nothing waits.
        self._speak_at = 0.0
        #: ``send`` is on the stack; a finalizer or a signal handler that calls us meanwhile must not send.
        self.sending = False
        #: ... and wanted its words to go at once.
        self.urgent = False
        #: Segments (number, size, descriptor) that the head has not been told of.
        self.segments: deque[tuple[int, int, int]] = deque()
        self._callbacks: deque[Callable[[], None]] = deque()
        self._thread = threading.Thread(target=self._serve, name="actorgrid-reader", daemon=True)
        self._handlers: dict[type, Callable[[Any], None]] = {
            m.Ready: self.client.ready,
            m.Item: self.client.item,
            m.Answer: self.client.answered,
            m.Segment: self._segment,
            m.Recall: self.recall,
        }
        #: Messages that are handled without the lock, by the reader thread.
        self._outside: dict[type, Callable[[Any], None]] = {}
        #: Such messages that were read and not handled yet, in their order.
        self._later: deque[Any] = deque()
        self.ending = False
        #: User code has closed our descriptors: their numbers may be those of its files now.
        self.descriptors_are_others = False
        self.stall_warning = stall_warning()
        self._loops: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Awaiting] = weakref.WeakKeyDictionary()
        self._unread = UnreadErrors()
        self._outside[m.Unread] = lambda message: self.client.unread.append(message.value)

    # -- what EngineBase asks of a host

    @protected
    def wake(self) -> None:
        """Have the reader thread look around. Safe anywhere, also in ``__del__`` and signal handlers."""
        if not self._awake and self._wake_fd >= 0:
            self._awake = True
            with contextlib.suppress(OSError):
                os.eventfd_write(self._wake_fd, 1)

    def waiter(self, need: int, *, eager: bool) -> Sleeper:
        """See ``EngineBase``."""
        if self.pid != os.getpid():  # a child that user code forked shares the epoll set of its parent
            return BlockingWaiter(need, eager=eager)
        return LeadingWaiter(need, eager=eager, ear=self.ear, read=self._read_here)

    def write_extent(self, pickled: Pickled) -> m.Extent:
        """See ``EngineBase``."""
        if self.lock._is_owned():  # type: ignore[attr-defined]  # noqa: SLF001  # as threading.Condition does
            raise RuntimeError("a finalizer or signal handler that interrupted actorgrid cannot store a large value")
        return self.arenas.write(pickled)

    def free_extents(self, extents: tuple[m.Extent, ...]) -> None:
        """See ``EngineBase``."""
        self.arenas.freed(extents)

    def map_extent(self, extent: m.Extent, on_release: Callable[[], None]) -> memoryview:
        """See ``EngineBase``."""
        return self.arenas.view(extent, on_release)

    def schedule(self, callback: Callable[[], None]) -> None:
        """Run ``callback`` on the reader thread, soon."""
        self._callbacks.append(callback)
        if threading.current_thread() is not self._thread:
            self.wake()

    def awaiting(self, loop: asyncio.AbstractEventLoop) -> Awaiting | None:
        """See ``Engine``."""
        if self.stall_warning is None:
            return None
        found = self._loops.get(loop)
        if found is None:
            found = self._loops[loop] = Awaiting(partial(self.say_stalled, "await"), self.stall_warning)
        return found

    def say_stalled(self, call: str, seconds: float, entry: Named, others: int) -> None:
        """See ``Engine``. Whoever waits need not wait for the answer, too."""

        def arrived(answer: m.Answer) -> None:
            if not answer.error:
                text = stalled(call, seconds, entry, others, answer.body["told"])
                self.schedule(lambda: self.print_error(text))

        with contextlib.suppress(ActorGridError):
            self._send_request(m.Query(0, "explain", {"oid": entry.oid}), arrived)

    def next_id(self) -> int:
        """Return a fresh id (segments share the ids of objects)."""
        with self.lock:
            return self.client.take_ids(1)

    @protected
    def announce(self, segment: int, size: int, fd: int) -> None:
        """Hand a new segment to the head, before anything mentions it."""
        with self.lock:
            self.segments.append((segment, size, fd))
            self.send(force=True)

    def send_segments(self, link: Link[Any]) -> None:
        """Send what ``announce`` noted. Raises OSError. Called with the lock held."""
        while self.segments:
            segment, size, fd = self.segments.popleft()
            try:
                link.send([m.NewSegment(segment, size)], [fd])
            finally:
                os.close(fd)

    # -- the reader thread

    def is_reader(self) -> bool:
        """See ``EngineBase``."""
        return threading.get_ident() == self._thread.ident

    def _serve(self) -> None:
        listen, patient_until = self.ear.listen, 0.0
        try:
            while True:
                patience = self.patience()
                found = listen(self._nap(patience))
                if patience is not None and (not found or monotonic() >= patient_until):
                    self.patience_is_over()
                    patient_until = monotonic() + patience
                if self._rest_at and monotonic() >= self._rest_at:
                    self._rest()
                if self._speak_at and monotonic() >= self._speak_at:
                    self._speak()
                for fd in found:
                    if fd == self._wake_fd:
                        self._woken()
                    elif not self._read():
                        self._afterwards()
                        self.lost("")
                        return
                    else:
                        self._afterwards()
        except BaseException:  # noqa: BLE001  # nobody may be left waiting for a thread that is gone
            self.lost(
                "the thread that reads from the head failed; this is a bug in actorgrid:\n" + traceback.format_exc()
            )

    def remind(self) -> None:
        """See ``ReadingEngine``: whoever takes many items in a row is not to stop for each."""
        if not self._rest_at:
            self._rest_at = monotonic() + MOMENT
            self.wake()

    @protected
    def _rest(self) -> None:
        self._rest_at = 0.0
        with self.lock:
            if self.client.dead is None:
                self.client.rest()
                self.send(force=False)

    def _nap(self, patience: float | None) -> float | None:
        """Return how long the reader may sleep, all things considered."""
        if self._rest_at:
            return min(patience or MOMENT, MOMENT)
        if self._speak_at:
            left = max(self._speak_at - monotonic(), 0.0)
            return left if patience is None else min(left, patience)
        return patience

    def soon(self) -> None:
        """See ``EngineBase``."""
        if not self._speak_at:
            self._speak_at = monotonic() + GATHER
            self.wake()

    def try_again(self) -> None:
        """Have the reader thread send what the head does not take just now."""
        self._speak_at = monotonic() + AGAIN
        self.wake()

    @protected
    def _speak(self) -> None:
        self._speak_at = 0.0
        with self.lock:
            if self.client.dead is None and (self.client.outbox or self.link.pending_bytes):
                self.send(force=True)

    def patience(self) -> float | None:
        """Return how long the reader may sleep (seconds), None for ever."""
        return None

    def patience_is_over(self) -> None:
        """Called by the reader thread every so often as ``patience`` says, or a moment later."""

    def _woken(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._wake_fd)
        self._awake = False  # before looking: what is dropped from here on wakes again
        with self.lock:
            if self.client.dead is None and self.client.dropped:
                self.client.collect()
                self.send(force=True)
        self._afterwards()

    @protected
    def _read_here(self) -> bool:
        """Read once, on a thread that waits; what is not for it goes to the reader thread."""
        more = self._read()
        if self._later or self._callbacks or self.client.unread:
            self.wake()
        return more

    def _read(self) -> bool:
        """Read once and handle what came. Returns False at the end of the stream."""
        with self.ear.reading:
            try:
                batch = self.link.receive(socket.MSG_DONTWAIT)
            except BlockingIOError:
                return True  # another thread was faster
            except OSError as error:
                self.cut(error)
                return False
            if batch is None:
                return False
            self._heard(batch)
            return True

    def cut(self, error: OSError) -> None:
        """The link does not work. If that is because user code has closed its descriptor, nobody else will say so."""
        if error.errno in _CLOSED and not self.ending:
            self.descriptors_are_others = True
            self.end_waits(HeadDiedError(self.cut_text))

    def _heard(self, batch: list[Any]) -> None:
        for message in batch:
            if type(message) is m.Freed:  # first: an answer in this batch may say "full" where these make room
                self.arenas.freed(message.extents, cold=message.cold)
            elif type(message) is m.Squeeze:
                self.arenas.squeeze()
        handlers = self._handlers
        with self.lock:
            client = self.client
            client.heard()
            for message in batch:
                handler = handlers.get(type(message))
                if handler is None:
                    self._later.append(message)
                else:
                    handler(message)
            if client.dropped:
                client.collect()
            self.send(force=False)  # an answer lets go what waited for one

    def _afterwards(self) -> None:
        """Do what is for the reader thread alone."""
        while self._later:
            message = self._later[0]
            outside = self._outside.get(type(message))
            if outside is not None:
                outside(message)
            self._later.popleft()  # only now: ``let_speak`` waits for it
        if self.client.unread:
            self.say_unread()
        if self._callbacks:
            self._run_callbacks()

    def let_speak(self) -> None:
        """See ``EngineBase``: wait for the reader thread, but not for a standard error that nobody reads."""
        if self._later and not self.is_reader():
            said = threading.Event()
            self.schedule(said.set)
            said.wait(SPEECH)

    def say_unread(self) -> None:
        """Say which errors nobody has asked for. Called without the lock."""
        self.print_error(self._unread.take(self.client.unread))

    def print_error(self, text: str) -> None:
        """See ``EngineBase``."""
        sys.stderr.write(text)

    def _run_callbacks(self) -> None:
        while self._callbacks:
            callback = self._callbacks.popleft()
            try:
                callback()
            except BaseException:  # noqa: BLE001  # a user's callback: show it, go on
                traceback.print_exc(file=sys.stderr)

    def _segment(self, message: m.Segment) -> None:
        self.arenas.attach(message, self.link)

    def recall(self, message: m.Recall) -> None:
        """The head wants an object out of memory. Called with the lock held."""
        self.client.recall(message)
        self.send(force=True)

    def lost(self, reason: str) -> None:
        """The head is gone: end every wait."""
        raise AssertionError("a host must define this", reason)

    def end_waits(self, error: ActorGridError) -> None:
        """Let everybody who waits see ``error``."""
        with self.lock:
            for waiter in self.client.die(error):
                waiter.release()
        self._run_callbacks()
