"""The spill file by itself, and the process that owns it, in this one: a directory, a segment, a pair of links."""

from __future__ import annotations

import errno
import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from actorgrid.core import messages as m
from actorgrid.core.extents import reserved
from actorgrid.core.messages import Extent
from actorgrid.runtime.arenas import make_segment
from actorgrid.runtime.links import Link, pair
from actorgrid.runtime.spiller import CHUNK, DamagedError, Spiller, SpillFile, open_nameless

SIZE = 2 * CHUNK + 12_345
DATA = os.urandom(SIZE)


@pytest.fixture
def file(tmp_path: Path) -> Iterator[SpillFile]:
    fd = open_nameless(str(tmp_path))
    yield SpillFile(str(tmp_path), fd)
    os.close(fd)


def test_what_was_written_is_read(file: SpillFile) -> None:
    checksum = file.write(memoryview(DATA), 1 << 30)
    found = bytearray(SIZE)
    file.read(memoryview(found), 1 << 30, checksum)
    assert bytes(found) == DATA


@pytest.mark.parametrize("where", [0, CHUNK - 1, CHUNK, SIZE - 1])
def test_one_changed_bit_is_seen(file: SpillFile, where: int) -> None:
    checksum = file.write(memoryview(DATA), 0)
    os.pwrite(file.fd, bytes([DATA[where] ^ 1]), where)
    with pytest.raises(DamagedError, match="checksum"):
        file.read(memoryview(bytearray(SIZE)), 0, checksum)


@pytest.mark.parametrize("length", [0, 1, CHUNK, SIZE - 1])
def test_file_that_ends_early_is_seen(file: SpillFile, length: int) -> None:
    checksum = file.write(memoryview(DATA), 0)
    os.ftruncate(file.fd, length)
    with pytest.raises(DamagedError, match=f"ends at byte {length}"):
        file.read(memoryview(bytearray(SIZE)), 0, checksum)


def test_freed_place_takes_no_room_on_disk(file: SpillFile) -> None:
    file.write(memoryview(DATA), 0)
    assert os.fstat(file.fd).st_blocks
    file.free(0, reserved(SIZE))
    assert os.fstat(file.fd).st_blocks == 0


def test_write_that_fails_half_way_leaves_nothing(file: SpillFile, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.pwrite

    def fills_up(fd: int, data: Any, offset: int) -> int:
        if offset >= CHUNK:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(fd, data[: CHUNK // 3], offset)  # and never takes all at once

    monkeypatch.setattr(os, "pwrite", fills_up)
    with pytest.raises(OSError, match="No space left"):
        file.write(memoryview(DATA), 0)
    assert os.fstat(file.fd).st_blocks == 0


@pytest.mark.parametrize("supported", [True, False])
def test_file_has_no_name_and_belongs_to_its_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, supported: bool
) -> None:
    if not supported:
        monkeypatch.delattr(os, "O_TMPFILE")
    fd = open_nameless(str(tmp_path))
    there = os.fstat(fd)
    assert (there.st_nlink, stat.S_IMODE(there.st_mode)) == (0, 0o600)
    assert not os.get_inheritable(fd)
    assert list(tmp_path.iterdir()) == []
    os.close(fd)


def test_directories_that_did_not_exist_go_again(tmp_path: Path) -> None:
    fd = open_nameless(str(tmp_path / "a" / "b"))
    os.write(fd, b"still a file")
    assert list(tmp_path.iterdir()) == []
    os.close(fd)


def test_directory_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OSError, match="file"):
        open_nameless(str(tmp_path / "file" / "inside"))


class Peer:
    """The head's end of a spiller that runs in a thread."""

    def __init__(self, directory: str) -> None:
        ours, theirs = pair()
        self.link: Link[Any] = Link(ours, m.FromSpiller)
        self.spiller = Spiller(theirs, directory)
        self.thread = threading.Thread(target=self.spiller.run)
        self.thread.start()
        self.segment = make_segment(4 << 20)
        self.heard: list[Any] = []

    def order(self, order: Any) -> None:
        fds = [] if isinstance(order, m.SpillFree) else [self.segment]
        self.link.send([order], fds)

    def answer(self) -> Any:
        while not self.heard:
            self.heard += self.link.receive() or []
        return self.heard.pop(0)

    def close(self) -> None:
        self.link.close()
        self.thread.join()
        self.spiller.link.close()
        os.close(self.segment)
        if self.spiller.file is not None:
            os.close(self.spiller.file.fd)


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[Peer]:
    made = Peer(str(tmp_path))
    yield made
    made.close()


def test_object_leaves_memory_and_comes_back(peer: Peer) -> None:
    extent = Extent(1, 4096, SIZE)
    os.pwrite(peer.segment, DATA, extent.offset)
    peer.order(m.SpillOut(7, extent, 8192))
    assert isinstance(peer.answer(), m.SpillFile)
    written = peer.answer()
    assert isinstance(written, m.Written)
    assert isinstance(peer.answer(), m.Emptied)
    assert os.fstat(peer.segment).st_blocks == 0
    peer.order(m.SpillIn(8, extent, 8192, written.checksum))
    assert isinstance(peer.answer(), m.Restored)
    assert os.pread(peer.segment, SIZE, extent.offset) == DATA


def test_neighbours_in_memory_are_left_alone(peer: Peer) -> None:
    os.pwrite(peer.segment, b"a" * (4096 + reserved(SIZE) + 4096), 0)
    peer.order(m.SpillOut(7, Extent(1, 4096, SIZE), 0))
    for _ in range(3):
        peer.answer()
    assert os.pread(peer.segment, 4096, 0) == b"a" * 4096
    assert os.pread(peer.segment, 4096, 4096 + reserved(SIZE)) == b"a" * 4096


def test_failure_names_file_cause_need_and_room_and_leaves_memory_as_it_was(
    peer: Peer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    extent = Extent(1, 0, SIZE)
    os.pwrite(peer.segment, DATA, 0)
    monkeypatch.setattr(os, "pwrite", full)
    peer.order(m.SpillOut(7, extent, 0))
    assert isinstance(peer.answer(), m.SpillFile)
    failed = peer.answer()
    assert isinstance(failed, m.SpillFailed)
    assert str(tmp_path) in failed.message
    assert "No space left" in failed.message
    assert f"{reserved(SIZE)} bytes" in failed.message
    assert os.pread(peer.segment, SIZE, 0) == DATA


def test_process_goes_on_after_a_damaged_object(peer: Peer) -> None:
    extent = Extent(1, 0, SIZE)
    os.pwrite(peer.segment, DATA, 0)
    peer.order(m.SpillOut(7, extent, 0))
    checksum = [peer.answer() for _ in range(3)][1].checksum
    peer.order(m.SpillIn(8, extent, 0, checksum ^ 1))
    failed = peer.answer()
    assert isinstance(failed, m.SpillFailed)
    assert "is damaged" in failed.message
    peer.order(m.SpillIn(9, extent, 0, checksum))
    assert isinstance(peer.answer(), m.Restored)


def test_extent_that_shares_its_pages_is_refused(peer: Peer) -> None:
    peer.order(m.SpillOut(7, Extent(1, 64, 4096), 0))
    failed = peer.answer()
    assert isinstance(failed, m.SpillFailed)
    assert "shares its pages" in failed.message
