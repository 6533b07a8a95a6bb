"""The workers of a grid, as its head's shell sees them: their links, what they say and print, and what is left of it.

A worker's links exist before its process does, and its end of them goes to the launcher. What it has said before it
ended is heard before its end is. Its output is not read while the driver that it is for cannot take more: that slows
down who writes.

This file may not know what is decided about workers, nor who their drivers are.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from typing import TYPE_CHECKING, Any, Final

from actorgrid.core import messages as m
from actorgrid.core.messages import ToHead
from actorgrid.runtime import cgroups, hearing, lifetime, limits, tracker
from actorgrid.runtime.links import CONGESTED, Link, pair

if TYPE_CHECKING:
    from actorgrid.runtime.head import HeadProcess

#: Bytes that are read at once of what one worker prints.
OUTPUT_READ: Final = 64 << 10
#: Descriptors that the head needs to start a worker; it keeps half of them.
DESCRIPTORS: Final = 6


class Hand:
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


class Crew:
    """Every worker of a grid."""

    def __init__(self, shell: HeadProcess) -> None:
        self.shell = shell
        self.table: dict[int, Hand] = {}
        #: Output pipes that are not read until the driver has read more.
        self._muted: list[int] = []
        #: Workers that could not be started, and why.
        self.stillborn: list[m.SpawnFailed] = []
        #: Workers whose last frame asked for an acknowledgement.
        self._want_ack: list[Hand] = []
        #: How often the system has killed somebody here for want of memory.
        self._oom_kills = cgroups.oom_kills()

    # -- coming and going

    def spawn(self, number: int) -> None:
        """Make the links of a worker, and have it started."""
        with contextlib.ExitStack() as made:
            try:
                task, task_theirs = map(made.enter_context, pair())
                control, control_theirs = map(made.enter_context, pair())
                output, output_theirs = os.pipe2(os.O_CLOEXEC)
            except OSError as error:  # too many open files
                reason = f"{limits.told(error, 'the head of the grid')}, and a worker takes {DESCRIPTORS} to start"
                self.stillborn.append(m.SpawnFailed(number, reason))
                return
            made.pop_all()
        task.setblocking(False)
        control.setblocking(False)
        os.set_blocking(output, False)
        hand = self.table[number] = Hand(number, Link(task, ToHead), Link(control, ToHead), output)
        self.shell.listen(task.fileno(), lambda _: self._heard(hand))
        self.shell.listen(output, lambda _: self._output_event(hand))
        theirs = [task_theirs.detach(), control_theirs.detach(), output_theirs]
        self.shell.post(self.shell.launcher, [m.Spawn(number)], theirs)

    def close(self, number: int) -> None:
        """A worker is no more, or has never come to be: give back what it had here."""
        hand = self.table.pop(number, None)
        if hand is None:
            return
        self.shell.deafen(hand.task)
        self.shell.deafen(hand.control)
        hand.task.close()
        hand.control.close()
        if hand.output >= 0:
            self.shell.deafen_descriptor(hand.output)
            os.close(hand.output)

    def report_stillborn(self) -> None:
        """Tell the machine of those that could not be started."""
        failed, self.stillborn = self.stillborn, []
        for message in failed:
            self.shell.head.hear_launcher(message, time.monotonic())

    def launched(self, message: Any) -> None:
        """Hear what the launcher says of a worker."""
        hand = self.table.get(message.worker)
        if hand is None:
            return
        if isinstance(message, m.Spawned):
            hand.pid = message.pid
        elif isinstance(message, m.Exited):
            self._last_words(hand, message)
            if message.status == -signal.SIGKILL:
                before, self._oom_kills = self._oom_kills, cgroups.oom_kills()
                message.oom = self._oom_kills > before
        self.shell.head.hear_launcher(message, time.monotonic())

    def kill(self) -> None:
        """Kill the processes of all: nobody else has."""
        lifetime.kill_groups([hand.pid for hand in self.table.values() if hand.pid], tracker.is_of_loky)

    # -- what they say

    def _heard(self, hand: Hand) -> None:
        self._hear(hand)

    def _hear(self, hand: Hand, *, dead: bool = False) -> bool:
        """Read once from a worker's task link. Returns whether there may be more. ``dead``: it has ended by itself."""
        if hand.deaf:
            return False
        try:
            batch, wrong = hearing.read(hand.task)
        except BlockingIOError:
            return False
        if hand.task.decoder.ack_wanted:
            self._want_ack.append(hand)
        if batch:
            wrong = hearing.take(self.shell.head, self.shell.segments, hand.number, hand.task, batch) or wrong
        if wrong:
            self._condemn(hand, wrong, dead=dead)
            return False
        if batch is None:
            self.shell.deafen_descriptor(hand.task.fileno())
            self.shell.head.hear_launcher(m.LinkLost(hand.number), time.monotonic())
            return False
        return True

    def _condemn(self, hand: Hand, wrong: str, *, dead: bool) -> None:
        """Kill a worker that is no longer understood. It is worth a line: this may be a bug of ours."""
        hand.deaf = True
        self.shell.deafen_descriptor(hand.task.fileno())
        head = self.shell.head
        known = head.workers.table.get(hand.number)
        if known is not None and not dead:
            head.workers.kill(known, f"{wrong} and was killed")
        head.tell(m.Notice(f"actorgrid: worker {hand.pid} {wrong} and {'has ended' if dead else 'is killed'}"))

    def _last_words(self, hand: Hand, message: m.Exited) -> None:
        """Hear everything that a dead worker has said and written."""
        while self._hear(hand, dead=True):
            pass
        if message.outbox and not hand.deaf:
            wrong = hearing.take_leftover(self.shell.head, hand.number, hand.task, message.outbox)
            if wrong:
                self._condemn(hand, wrong, dead=True)
        while self._output(hand):
            pass

    def acknowledge(self) -> None:
        """Answer the frames whose senders want to know that they have arrived."""
        if self._want_ack:
            for hand in self._want_ack:
                if hand.task.decoder.ack_wanted and hand.number in self.table:
                    hand.task.decoder.ack_wanted = False
                    self.shell.post_to(hand.control, [], hand.number)
            self._want_ack.clear()

    # -- what they print

    def _output(self, hand: Hand) -> bool:
        """Forward a piece of a worker's output. Returns whether there may be more."""
        if hand.output < 0:
            return False
        try:
            data = os.read(hand.output, OUTPUT_READ)
        except BlockingIOError:
            return False
        if not data:
            self.shell.deafen_descriptor(hand.output)
            os.close(hand.output)
            hand.output = -1
            return False
        if self.shell.config.log_to_driver:
            self.shell.drivers.show(self._job_of(hand), m.Output(hand.pid, data))
        return True

    def _job_of(self, hand: Hand) -> int:
        """Return the driver for whom a worker works, 0: for nobody in particular."""
        known = self.shell.head.workers.table.get(hand.number)
        return known.peer.job if known is not None else 0

    def drain_output(self) -> None:
        """Forward what workers have written so far: somebody is about to leave."""
        with contextlib.suppress(OSError):
            for hand in list(self.table.values()):
                while self._output(hand):
                    pass

    def _output_event(self, hand: Hand) -> None:
        if hand.output >= 0 and not self.shell.drivers.can_take(self._job_of(hand), CONGESTED):
            self.shell.rest(hand.output)  # whoever writes waits until the driver has read
            self._muted.append(hand.output)
        else:
            self._output(hand)

    def unmute(self) -> None:
        """Read again what workers write; it is left where it is once more if its driver cannot take it."""
        muted, self._muted = self._muted, []
        for output in muted:
            self.shell.wake(output)
