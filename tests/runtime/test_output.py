"""Worker output as the driver shows it."""

from __future__ import annotations

import io
import os
import queue

import pytest

from actorgrid.runtime.backlog import Backlog
from actorgrid.runtime.output import LONGEST, MARK, NAMES, MarkedStream, Printer


def shown(*pieces: tuple[int, bytes]) -> list[str]:
    stream = io.StringIO()
    printer = Printer(lambda: stream)
    for pid, data in pieces:
        printer.feed(pid, data)
    printer.finish()
    return stream.getvalue().splitlines()


def mark(name: str) -> bytes:
    return f"{MARK}{name}\n".encode()


def test_lines_carry_the_name_that_was_marked() -> None:
    assert shown((7, mark("f") + b"one\ntwo\n" + mark("g") + b"three\n")) == [
        "(f pid=7) one",
        "(f pid=7) two",
        "(g pid=7) three",
    ]


def test_lines_cut_anywhere_are_put_together_per_process() -> None:
    assert shown((1, mark("f") + b"he"), (2, b"other\n"), (1, b"llo\n")) == ["(worker pid=2) other", "(f pid=1) hello"]


def test_line_without_an_end_is_shown_at_the_end() -> None:
    assert shown((1, b"last words")) == ["(worker pid=1) last words"]


def test_mark_in_the_middle_of_a_line_ends_it() -> None:
    assert shown((1, b"no newline" + mark("f") + b"next\n")) == ["(worker pid=1) no newline", "(f pid=1) next"]


def test_bytes_that_are_not_text_are_escaped() -> None:
    assert shown((1, b"\xff\n")) == ["(worker pid=1) \\xff"]


def test_name_in_the_prefix_does_nothing_to_the_terminal_and_the_text_after_it_what_it_likes() -> None:
    assert shown((1, mark("red\x1b[31m\ttext\r") + b"\x1b[32mgreen\n")) == [
        "(red\\x1b[31m\\ttext\\r pid=1) \x1b[32mgreen"
    ]


def test_printing_on_a_closed_stream_is_no_error() -> None:
    stream = io.StringIO()
    stream.close()
    Printer(lambda: stream).feed(1, b"x\n")


def test_stream_marks_only_when_the_name_changes() -> None:
    read, write = os.pipe()
    names = iter(["f", "f", "g"])
    MarkedStream.marked = ""
    stream = MarkedStream(write, lambda: next(names))
    for text in ("1\n", "2\n", "3\n"):
        stream.write(text)
    stream.close()
    os.close(write)
    data = os.read(read, 1000)
    os.close(read)
    assert data == mark("f") + b"1\n2\n" + mark("g") + b"3\n"


def test_backlog_of_what_nobody_reads_asks_to_hold_and_goes_on_when_it_is_read() -> None:
    read, write = os.pipe()
    told: queue.SimpleQueue[bool] = queue.SimpleQueue()
    backlog = Backlog(told.put)
    text = b"".join(b"%07d\n" % number for number in range(300_000))
    backlog.write(write, text)
    assert told.get(timeout=10) is True
    got = b""
    while len(got) < len(text):
        got += os.read(read, 1 << 16)
    assert told.get(timeout=10) is False
    assert got == text
    os.close(read)
    os.close(write)


def test_backlog_of_what_nobody_will_ever_read_is_dropped() -> None:
    read, write = os.pipe()
    backlog = Backlog(lambda _: None)
    backlog.write(write, bytes(500_000))
    backlog.finish()
    assert not backlog._data
    os.close(read)
    backlog.write(write, b"more")
    backlog.finish()
    assert not backlog._data
    os.close(write)


def test_long_line_is_shown_piece_by_piece_and_all_of_it() -> None:
    shown = io.StringIO()
    printer = Printer(lambda: shown)
    for _ in range(2000):
        printer.feed(1, b"x" * 10_000)  # quadratic work would take minutes
        assert sum(map(len, printer._rest[1])) <= LONGEST
    printer.feed(1, b"end\nnext")
    printer.finish()
    *pieces, last, after = shown.getvalue().splitlines()
    assert all(piece == "(worker pid=1) " + "x" * LONGEST for piece in pieces)
    assert last.endswith("xend")
    assert shown.getvalue().count("x") - shown.getvalue().count("next") == 20_000_000
    assert after == "(worker pid=1) next"


@pytest.mark.parametrize("left", range(0, len(MARK) + 8, 3))
def test_name_that_is_marked_where_a_long_line_is_cut_is_still_a_name(left: int) -> None:
    shown = io.StringIO()
    printer = Printer(lambda: shown)
    printer.feed(1, b"x" * (LONGEST - left))
    printer.feed(1, f"{MARK}other".encode())
    printer.feed(1, b"\nhello\n")
    assert "".join(shown.getvalue().splitlines()).count("x") == LONGEST - left
    assert shown.getvalue().splitlines()[-1] == "(other pid=1) hello"


def test_names_of_processes_long_gone_are_forgotten() -> None:
    printer = Printer(io.StringIO)
    for pid in range(NAMES + 10):
        printer.feed(pid, f"{MARK}name\nhello\n".encode())
    assert len(printer._names) == NAMES
    assert NAMES + 9 in printer._names
