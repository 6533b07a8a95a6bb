"""Who reads what the head sends: the reader thread, or a thread that waits for it anyway.

A value that arrives at the reader thread wakes two threads: that one, and whoever waits for the value. So a thread that
is about to sleep takes the link over: the reader's epoll set forgets the link (one system call, and the reader sleeps
on), the thread polls and reads the link itself, and gives it back when it goes on. (Leader and followers: Schmidt and
others, "Leader/Followers", PLoP 2000.) Others that wait meanwhile sleep on locks, as ever.

Why Ctrl-C does not tear the stream, as it does where a waiting thread simply reads:

1. Reading a frame and handling its messages is one protected function: an interrupt in it is put off.
2. Polling is not protected: there the interrupt is raised at once, and nothing has been read.
3. The handler that raises it gives the link back first (``give_back_here``), so that no gap between two instructions
   of ours is one in which nobody listens.

Invariant: the link is in the epoll set with EPOLLIN, or ``leader`` is not None.
"""

from __future__ import annotations

import contextlib
import os
import select
import threading
from collections.abc import Callable
from time import monotonic  # by name: user code may replace that of the module
from typing import Final

from actorgrid.engine.interrupts import breathe, protected
from actorgrid.engine.waits import BlockingWaiter, at_a_time

#: The longest single sleep (seconds): what poll() takes fits a C int of milliseconds.
LONGEST: Final = 1e6


class Ear:
    """The link's descriptor, and whose turn it is to read it."""

    def __init__(self, link: int, wake: int, cut: Callable[[OSError], None]) -> None:
        """``wake`` is a descriptor that only the reader thread listens to besides.

        ``cut`` is called if the link cannot be listened to any more, because user code has closed its descriptor.
        """
        self._link = link
        self._cut = cut
        self._epoll = select.epoll()
        self._epoll.register(link, select.EPOLLIN)
        self._epoll.register(wake, select.EPOLLIN)
        #: The waiter whose thread reads the link now.
        self.leader: LeadingWaiter | None = None
        self._turn = threading.Lock()
        #: Held while a frame is read and handled. Whoever takes the link over waits for the frame in hand.
        self.reading = threading.Lock()
        self._nudge = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._poll = select.poll()
        self._poll.register(link, select.POLLIN)
        self._poll.register(self._nudge, select.POLLIN)

    def listen(self, timeout: float | None) -> list[int]:
        """Sleep until something can be read; return which descriptors. For the reader thread."""
        return [fd for fd, _ in self._epoll.poll(timeout)]

    # -- for threads that wait

    @protected
    def take_over(self, waiter: LeadingWaiter) -> bool:
        """Make the calling thread the reader. Returns False if some thread leads already, or nobody ever will."""
        if not self._turn.acquire(blocking=False):
            self.give_back_here()  # a signal handler that waits: the wait below it can no longer read
            return False
        self.leader = waiter
        try:
            self._epoll.modify(self._link, 0)
        except OSError as error:
            self.give_back(waiter)
            self._cut(error)
            return False
        with self.reading:  # what the reader thread has begun with may be what this thread waits for
            return True

    def led_by(self, waiter: LeadingWaiter) -> bool:
        """Return whether it is still ``waiter`` that reads the link."""
        return self.leader is waiter

    def poll(self, timeout: float) -> bool:
        """Sleep until the link can be read, or ``timeout`` seconds. For the leader. Returns whether it was the link."""
        link = False
        for fd, _ in self._poll.poll(min(timeout, LONGEST) * 1000):
            if fd == self._link:
                link = True
            else:
                with contextlib.suppress(OSError, ValueError):  # closed: the grid has ended meanwhile
                    os.eventfd_read(self._nudge)
        return link

    @protected
    def give_back(self, waiter: LeadingWaiter) -> None:
        """The reader thread listens again, if ``waiter`` leads."""
        if self.leader is waiter:
            self.leader = None
            with contextlib.suppress(OSError, ValueError):  # closed: the grid has ended meanwhile
                self._epoll.modify(self._link, select.EPOLLIN)
            self._turn.release()

    def give_back_here(self) -> None:
        """The calling thread does not read any more, if it did. For signal handlers."""
        leader = self.leader
        if leader is not None and leader.thread == threading.get_ident():
            self.give_back(leader)

    def nudge(self) -> None:
        """Have the leader look whether it still waits."""
        with contextlib.suppress(OSError, ValueError):
            os.eventfd_write(self._nudge, 1)

    def close(self) -> None:
        """Let the descriptors go."""
        self._epoll.close()
        nudge, self._nudge = self._nudge, -1
        if nudge >= 0:
            os.close(nudge)


class LeadingWaiter(BlockingWaiter):
    """A thread that reads the link itself while it waits, if nobody else does."""

    __slots__ = ("_ear", "_polls", "_read", "thread")

    def __init__(self, need: int, *, eager: bool, ear: Ear, read: Callable[[], bool]) -> None:
        """``read`` reads once from the link; it returns False when there will be no more."""
        super().__init__(need, eager=eager)
        self._ear = ear
        self._read = read
        self._polls = False
        self.thread = threading.get_ident()

    def release(self) -> None:
        """See ``Sleeper``."""
        super().release()
        if self._polls and threading.get_ident() != self.thread:
            self._ear.nudge()

    def wait(self, timeout: float | None) -> bool:
        """See ``Sleeper``."""
        if timeout is not None and timeout <= 0:
            return super().wait(timeout)
        deadline = None if timeout is None else monotonic() + timeout
        ear = self._ear
        self._polls = True
        try:
            if ear.take_over(self):
                left, most = timeout, at_a_time()
                while not self.open and ear.led_by(self):
                    if ear.poll(most if left is None else min(left, most)) and ear.led_by(self) and not self._read():
                        break
                    breathe()
                    if deadline is not None:
                        left = deadline - monotonic()
                        if left <= 0:
                            break
        finally:
            self._polls = False
            ear.give_back(self)
        return super().wait(None if deadline is None else max(0.0, deadline - monotonic()))
