"""The drivers of a grid, as its head's shell sees them: their links, who comes and goes, and what is printed for whom.

A grid of its own has one driver, from the start, and ends with it. A persistent one has a door, through which drivers
come; one that leaves takes what is its own along, and the grid stays.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import time
from typing import TYPE_CHECKING, Any, Final

import actorgrid
from actorgrid.core import messages as m
from actorgrid.core.messages import ToHead
from actorgrid.runtime import door, hearing, lifetime
from actorgrid.runtime.links import Link
from actorgrid.runtime.lobby import Lobby

if TYPE_CHECKING:
    from actorgrid.runtime.head import HeadProcess

#: Seconds that a driver has for what is said to it at the very end.
LAST_WORDS: Final = 0.5


class Driver:
    """One driver: its link, and what becomes readable when its process ends."""

    __slots__ = ("held", "link", "listens", "number", "watch")

    def __init__(self, number: int, link: Link[Any], watch: int, *, listens: bool = True) -> None:
        """``listens``: it wants to see what workers print."""
        self.number = number
        self.link = link
        self.watch = watch
        self.listens = listens
        #: It has more to print than it can.
        self.held = False


class Drivers:
    """Every driver of a grid."""

    def __init__(self, shell: HeadProcess) -> None:
        self.shell = shell
        self.table: dict[int, Driver] = {}
        self.lobby = Lobby(shell, self._admit)

    def add(self, number: int, end: socket.socket, watch: int, *, listens: bool = True) -> Driver:
        """Serve a driver that the machine knows as client ``number``. ``watch`` is -1 if there is no such thing."""
        end.setblocking(False)
        driver = self.table[number] = Driver(number, Link(end, ToHead), watch, listens=listens)
        self.shell.listen(end.fileno(), lambda _: self._heard(driver))
        if watch >= 0:
            self.shell.listen(watch, lambda _: self._gone(driver))
        return driver

    # -- the door

    def _admit(self, end: socket.socket, pid: int, hello: door.Hello) -> None:
        if hello.version != actorgrid.__version__:
            refused = f"it runs actorgrid {actorgrid.__version__}, and you have {hello.version}"
            self._answer(end, door.Welcome(refused))
        elif hello.wants == "stop":
            self._answer(end, door.Welcome(head_pid=os.getpid()))
            self.shell.stop("the grid was stopped (actorgrid stop)")
        elif hello.wants != "join":
            self._answer(end, door.Welcome(f"it does not know what {hello.wants!r} is"))
        else:
            peer = self.shell.head.add_driver(pid, time.monotonic())
            config = self.shell.config
            welcome = door.Welcome(
                "", peer.number, os.getpid(), config.session, config.capacity, config.labels, config.node_name
            )
            watch = lifetime.watch_process(pid) if pid > 0 else None
            with contextlib.suppress(OSError):  # it has gone again: the end of its link says so
                end.sendall(door.pack(welcome))
            self.add(peer.number, end, -1 if watch is None else watch, listens=hello.log_to_driver)

    @staticmethod
    def _answer(end: socket.socket, welcome: door.Welcome) -> None:
        with contextlib.suppress(OSError), end:
            end.sendall(door.pack(welcome))

    # -- what they say

    def _heard(self, driver: Driver) -> None:
        try:
            batch, wrong = hearing.read(driver.link)
        except BlockingIOError:
            return
        if batch:
            if any(type(message) is m.Bye for message in batch):
                self.shell.crew.drain_output()
            wrong = self._take(driver, batch) or wrong
            if driver.number not in self.shell.head.drivers:
                self._close(driver)
                return
        if wrong:
            self._show_out(driver, wrong)
        elif batch is None:
            self._gone(driver)

    def _take(self, driver: Driver, batch: list[Any]) -> str:
        head, segments, alone = self.shell.head, self.shell.segments, not self.shell.config.door
        return hearing.take(head, segments, driver.number, driver.link, batch, alone=alone)

    def _show_out(self, driver: Driver, wrong: str) -> None:
        """What it says is no longer understood; that is its own end, and nobody else's."""
        reason = (
            f"this program {wrong}: either it has written to a descriptor that is not its own, or actorgrid has a bug"
        )
        if not self.shell.config.door:
            self.shell.stop(reason)
        else:
            self.shell.post(driver.link, [m.GridDied(f"the grid listens to this program no longer: {reason}")])
            self._gone(driver)

    def _gone(self, driver: Driver) -> None:
        """Its process has ended, or its link."""
        if not self.shell.config.door:
            self.shell.stop("")
        elif driver.number in self.table:
            self.shell.head.leave(driver.number)
            self._close(driver)

    def _close(self, driver: Driver) -> None:
        """Say what is still to be said, and end the link: its other end waits for that."""
        if not self.shell.config.door:
            return  # the head is about to stop, and says more
        del self.table[driver.number]
        self.shell.deafen(driver.link)
        driver.link.flush()
        driver.link.close()
        if driver.watch >= 0:
            self.shell.deafen_descriptor(driver.watch)
            os.close(driver.watch)
        self.shell.crew.unmute()

    def acknowledge(self) -> None:
        """Answer the frames whose senders want to know that they have arrived."""
        for driver in self.table.values():
            if driver.link.decoder.ack_wanted:
                driver.link.decoder.ack_wanted = False
                self.shell.post_to(driver.link, [], driver.number)

    # -- output

    def audience(self, job: int) -> list[Driver]:
        """Return whom the output of a process concerns that works for ``job`` (0: for nobody in particular)."""
        if job in self.table:
            return [self.table[job]]
        return list(self.table.values()) if not self.shell.config.door else []

    def show(self, job: int, output: m.Output) -> None:
        """Print what such a process has written."""
        for driver in self.audience(job):
            if driver.listens:
                self.shell.head.reply(self.shell.head.peers[driver.number], output)

    def can_take(self, job: int, most: int) -> bool:
        """Return whether those can take more."""
        return not any(each.held or each.link.pending_bytes > most for each in self.audience(job))

    def hold(self, number: int, *, held: bool) -> None:
        """A driver has more to print than it can, or can again."""
        if number in self.table:
            self.table[number].held = held

    # -- the end

    def last_words(self, reason: str) -> None:
        """Tell every driver why the grid ends; wait for none of them long."""
        for number, driver in self.table.items():
            peer = self.shell.head.peers.get(number)
            waiting = peer.outbox if peer is not None else []
            last: list[Any] = [message for message in waiting if isinstance(message, m.Output)]
            if reason:
                last.append(m.GridDied(reason))
            with contextlib.suppress(Exception):
                driver.link.socket.settimeout(LAST_WORDS)
                while not driver.link.flush():
                    if not select.select([], [driver.link.socket], [], LAST_WORDS)[1]:
                        break
                if last:
                    driver.link.send(last)
