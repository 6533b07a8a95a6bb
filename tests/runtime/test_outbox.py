"""The shared outbox: what is finished survives the process, and what was sent twice is recognised."""

from __future__ import annotations

import mmap
import socket
import threading
from collections.abc import Iterator

import pytest

from actorgrid.core import messages as m
from actorgrid.core.messages import Status, ToHead, Value
from actorgrid.runtime.launcher import SHARED_HEAD
from actorgrid.runtime.links import Link, pair
from actorgrid.runtime.outbox import Outbox

SIZE = 4096


class Ends:
    """A worker's outbox, and what the launcher and the head see of it."""

    def __init__(self) -> None:
        self.memory = mmap.mmap(-1, SIZE)
        ours, theirs = pair()
        theirs.setblocking(False)
        self.sockets: tuple[socket.socket, ...] = (ours, theirs)
        self.outbox = Outbox(self.memory, ours)
        self.head: Link[m.Done] = Link(theirs, ToHead)

    def leftover(self) -> tuple[int, list[m.Done]]:
        """Return (current task, messages) as the launcher reads them after a death."""
        current, length = SHARED_HEAD.unpack_from(self.memory)
        body = self.memory[SHARED_HEAD.size : SHARED_HEAD.size + length]
        return current, self.head.decode_body(body) if body else []


@pytest.fixture
def ends() -> Iterator[Ends]:
    made = Ends()
    yield made
    for end in made.sockets:
        end.close()


def done(task: int, data: bytes = b"x") -> m.Done:
    return m.Done(task, 0, (Value(Status.OK, data),))


def test_unsent_results_can_be_read_by_the_launcher(ends: Ends) -> None:
    ends.outbox.set_current(3)
    ends.outbox.add(done(1))
    ends.outbox.add(done(2))
    assert ends.leftover() == (3, [done(1), done(2)])


def test_socket_that_does_not_block_gets_frames_whole(ends: Ends) -> None:
    ours = ends.sockets[0]
    ours.setblocking(False)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
    sent = [done(number, bytes(3000)) for number in range(100)]

    def work() -> None:
        for message in sent:
            ends.outbox.add(message)
        ends.outbox.flush()
        ours.shutdown(socket.SHUT_WR)

    worker = threading.Thread(target=work)
    worker.start()
    ends.head.socket.settimeout(20)
    received: list[m.Done] = []
    while (batch := ends.head.receive()) is not None:
        received += batch
    worker.join()
    assert received == sent


def test_flush_sends_one_frame_and_leaves_nothing(ends: Ends) -> None:
    ends.outbox.add(done(1))
    ends.outbox.add(done(2))
    ends.outbox.flush()
    assert ends.head.receive() == [done(1), done(2)]
    assert ends.leftover() == (0, [])


def test_flush_of_an_empty_outbox_sends_nothing(ends: Ends) -> None:
    ends.outbox.flush()
    with pytest.raises(BlockingIOError):
        ends.head.receive()


def test_full_outbox_sends_what_it_has_and_takes_the_next(ends: Ends) -> None:
    for task in range(1, 20):
        ends.outbox.add(done(task, b"y" * 500))
    ends.outbox.flush()
    received: list[m.Done] = []
    while len(received) < 19:
        received += ends.head.receive() or []
    assert [message.task for message in received] == list(range(1, 20))


def test_message_larger_than_the_outbox_goes_straight_after_the_rest(ends: Ends) -> None:
    ends.outbox.add(done(1))
    ends.outbox.add(done(2, b"z" * (2 * SIZE)))
    received: list[m.Done] = []
    while len(received) < 2:
        received += ends.head.receive() or []
    assert [message.task for message in received] == [1, 2]
    assert ends.leftover() == (0, [])


def test_frame_that_asks_for_an_answer_says_so(ends: Ends) -> None:
    ends.outbox.add(done(1))
    ends.outbox.flush(ack_wanted=True)
    assert ends.head.receive() == [done(1)]
    assert ends.head.decoder.ack_wanted
