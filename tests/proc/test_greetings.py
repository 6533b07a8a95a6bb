"""Who comes through the door of a persistent grid and says anything at all; and what joins and then says anything."""

from __future__ import annotations

import contextlib
import os
import random
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import actorgrid as ag
from actorgrid.api import session
from actorgrid.core import messages as m
from actorgrid.exceptions import HeadDiedError
from actorgrid.runtime import door
from actorgrid.testing.waiting import wait_until
from actorgrid.wire.codec import LENGTH, encode_frame
from tests.proc.grids import LIMIT, Grid, command

JOIN = door.pack(door.Hello("join", ag.__version__))
LENGTHS = (0, 1, door.LONGEST_HELLO, door.LONGEST_HELLO + 1, 2**31 - 1, 2**31, 2**32 - 1)


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Grid]:
    """Return a grid that outlives everything that is said here."""
    made = Grid(tmp_path_factory.mktemp("grid"))
    yield made
    assert made.head.is_running()
    assert command("stop", "--address", made.address).returncode == 0
    assert wait_until(made.is_gone)


@pytest.fixture
def joined(grid: Grid) -> Iterator[Grid]:
    """Return it while this process is one of its drivers, who must not notice anything."""
    grid.join()
    yield grid
    assert ag.get(ag.remote(lambda: "goes on").remote(), timeout=LIMIT) == "goes on"
    ag.shutdown()


# ---------------------------------------------------------------------------------------------------- by themselves


@given(data=st.binary(max_size=100), length=st.sampled_from(LENGTHS) | st.integers(0, 100))
def test_any_bytes_are_a_greeting_or_the_beginning_of_one_or_refused(data: bytes, length: int) -> None:
    for said in (data, length.to_bytes(4, "little") + data):
        with contextlib.suppress(ValueError):
            assert isinstance(door.unpack(said, door.Hello, door.LONGEST_HELLO), door.Hello | None)


@pytest.mark.parametrize("inner", [b"\x91", b"\x81\xa1a"], ids=["lists", "mappings"])
def test_greeting_in_which_something_lies_too_deep_is_none(inner: bytes) -> None:
    body = b"\x81\xa1x" + inner * 1300 + b"\xc0"
    with pytest.raises(ValueError, match="no greeting"):
        door.unpack(len(body).to_bytes(4, "little") + body, door.Hello, door.LONGEST_HELLO)


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n", b"\x05\0\0\0hello", b"\x01\0\0\0\x91"])
def test_whatever_else_listens_there_is_no_grid(tmp_path: Path, answer: bytes) -> None:
    tmp_path.chmod(0o700)
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(tmp_path / "grid.sock"))
        other.listen()
        other.settimeout(LIMIT)
        with pytest.raises(ConnectionError, match="is no grid: it answers something else"), _answering(other, answer):
            ag.init(address=str(tmp_path / "grid.sock"))


@contextlib.contextmanager
def _answering(entrance: socket.socket, answer: bytes) -> Iterator[None]:
    import threading

    def serve() -> None:
        end, _ = entrance.accept()
        with end:
            end.recv(door.LONGEST_HELLO)
            end.sendall(answer)
            with contextlib.suppress(ConnectionResetError):
                end.recv(1)  # it has heard, and goes

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        thread.join()


# ------------------------------------------------------------------------------------------------------- to a grid


def flipped(draw: random.Random, data: bytes) -> bytes:
    found = bytearray(data)
    for _ in range(draw.choice((1, 1, 2, 5))):
        found[draw.randrange(len(found))] ^= 1 << draw.randrange(8)
    return bytes(found)


#: Ways to greet. Each gives what is said.
GREETINGS: tuple[Callable[[random.Random], bytes], ...] = (
    lambda draw: draw.randbytes(draw.randrange(200)),
    lambda draw: draw.choice(LENGTHS).to_bytes(4, "little") + draw.randbytes(draw.randrange(9000)),
    lambda draw: flipped(draw, JOIN),
    lambda draw: JOIN[: draw.randrange(len(JOIN))],
    lambda draw: JOIN + draw.randbytes(draw.randrange(1, 50)),
    lambda draw: JOIN * 2,
    lambda draw: door.pack(door.Hello(draw.choice(("", "leave", "x" * 3000)), ag.__version__)),
    lambda draw: door.pack(door.Hello("join", "0.0.0")),
    lambda draw: (4000).to_bytes(4, "little") + b"\x81\xa1x" + b"\x91" * 3996 + b"\xc0",
    lambda draw: JOIN,
)


def greet(grid: Grid, draw: random.Random) -> None:
    """Come in, say something in some pieces, perhaps with a descriptor; go, perhaps before there is an answer."""
    words, end = draw.choice(GREETINGS)(draw), socket.socket(socket.AF_UNIX)
    with end, contextlib.suppress(ConnectionResetError, BrokenPipeError):  # it has heard enough
        end.settimeout(LIMIT)
        end.connect(grid.address)
        while words:
            size = draw.choice((1, 3, 4, 5, 20, 5000))
            fds = [0] if draw.random() < 0.1 else []
            socket.send_fds(end, [words[:size]], fds)
            words = words[size:]
        if draw.random() < 0.8:
            end.shutdown(socket.SHUT_WR)
            while end.recv(4096):
                pass


@pytest.mark.parametrize("seed", [pytest.param(seed, marks=pytest.mark.slow if seed else ()) for seed in range(10)])
def test_four_hundred_odd_greetings_cost_the_grid_nothing(joined: Grid, seed: int) -> None:
    assert joined.says("print(ag.get(ag.put(1)))") == "1\n"
    before = joined.descriptors_beside_workers()
    draw = random.Random(seed)
    for _ in range(400):
        greet(joined, draw)
    assert joined.says("print(ag.get(ag.remote(abs).remote(-1)))") == "1\n"
    assert wait_until(lambda: joined.descriptors_beside_workers() <= before, LIMIT)


def test_what_nobody_knows_how_to_do_is_refused(joined: Grid) -> None:
    with pytest.raises(ConnectionError, match="refuses: it does not know what 'dance' is"):
        door.knock(joined.address, door.Hello("dance", ag.__version__))


# --------------------------------------------------------------------------------------------- from one that is in


VALUE = m.Value(m.Status.OK, b"\x80")
#: Each is a message that makes no sense, whoever says it.
NONSENSE: dict[str, Any] = {
    "spec whose code nobody has": m.Spec(1, m.Kind.TASK, "f", b"unknown"),
    "call of what was never registered": m.Submit(77, 5),
    "actor of a class that was never registered": m.CreateActor(77, 5),
    "segment without its descriptor": m.NewSegment(77, 1 << 21),
    "call that is a placement group": m.Spec(1, m.Kind.RESERVATION, "f"),
    "call that makes room": m.Spec(1, m.Kind.TASK, "f", demand=(("CPU", -10_000),)),
}


def frame(body: bytes) -> bytes:
    return LENGTH.pack(len(body)) + body


def told(link: socket.socket) -> bytes:
    link.settimeout(LIMIT)
    heard = b""
    with contextlib.suppress(ConnectionResetError):  # there was more than anybody wanted to read
        while more := link.recv(4096):
            heard += more
    return heard


@pytest.mark.parametrize("message", NONSENSE.values(), ids=NONSENSE)
def test_driver_that_says_what_makes_no_sense_ends_alone_and_is_told(joined: Grid, message: Any) -> None:
    link, _ = door.knock(joined.address, door.Hello("join", ag.__version__))
    with link:
        link.sendall(encode_frame([message]))
        assert b"this program said what makes no sense (" in told(link)


def test_driver_that_sends_what_is_no_message_is_told(joined: Grid) -> None:
    link, _ = door.knock(joined.address, door.Hello("join", ag.__version__))
    with link:
        link.sendall(b"Traceback (most recent call last):\n")
        assert b"this program sent what is no message (frame of " in told(link)


def test_driver_that_sends_descriptors_that_it_never_mentions_ends_alone(joined: Grid) -> None:
    before = joined.descriptors_beside_workers()
    link, _ = door.knock(joined.address, door.Hello("join", ag.__version__))
    with link:
        with contextlib.suppress(BrokenPipeError):  # it has had enough of them
            for _ in range(100):
                socket.send_fds(link, [encode_frame([m.HoldOutput(hold=False)])], [0, 1])
        assert b"this program sent descriptors that it never mentioned" in told(link)
    assert wait_until(lambda: joined.descriptors_beside_workers() <= before, LIMIT)


@pytest.mark.parametrize("seed", [pytest.param(seed, marks=pytest.mark.slow if seed else ()) for seed in range(10)])
def test_drivers_that_join_and_say_anything_cost_the_others_nothing(joined: Grid, seed: int) -> None:
    before = joined.descriptors_beside_workers()
    draw = random.Random(seed)
    good = encode_frame([m.Put(1, VALUE), m.Release((1,)), m.Query(1, "resources"), m.LeaseReturn(0)])
    for _ in range(40):
        link, _ = door.knock(joined.address, door.Hello("join", ag.__version__))
        with link, contextlib.suppress(BrokenPipeError, ConnectionResetError):
            noise = draw.randbytes(draw.randrange(1, 100))
            link.sendall(draw.choice((good + noise, noise + good, frame(b"\x91\x92" + noise + b"\xc1"), good[:-3])))
            link.shutdown(socket.SHUT_WR)
            told(link)
    assert wait_until(lambda: joined.descriptors_beside_workers() <= before, LIMIT)


WRITES = """
import socket, stat
for fd in range(3, 100):
    try:
        peer = stat.S_ISSOCK(os.fstat(fd).st_mode)
    except OSError:
        continue
    if peer: os.write(fd, b'garbage')
try:
    ag.get(ag.remote(abs).remote(-1))
except ag.exceptions.HeadDiedError as error:
    print(error)
"""


def test_program_that_writes_into_its_link_learns_why_it_was_shown_out(joined: Grid) -> None:
    said = joined.says(WRITES)
    assert "the grid listens to this program no longer: this program sent what is no message" in said


def test_program_that_writes_into_the_link_of_its_own_grid_learns_why_that_ended() -> None:
    ag.init(num_cpus=1)
    try:
        ref = ag.remote(lambda: os.read(os.pipe()[0], 1)).remote()
        engine: Any = session.running()  # its link, as a stray write finds it
        os.write(engine.link.fileno(), b"garbage")
        with pytest.raises(HeadDiedError, match=r"this program sent what is no message .*not its own"):
            ag.get(ref, timeout=LIMIT)
    finally:
        ag.shutdown()
