"""Shared memory on the real machine: lifetimes, rights, and what is given back."""

from __future__ import annotations

import fcntl
import gc
import os
import pickle
import signal
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from actorgrid.core.messages import Extent
from actorgrid.runtime import arenas
from actorgrid.runtime.arenas import ArenaReader, ArenaWriter, make_segment
from actorgrid.runtime.segments import SegmentTable
from actorgrid.wire import layout

MIB = 1 << 20


def mapped() -> int:
    """How many segments this process maps."""
    return Path("/proc/self/maps").read_text().count("memfd:actorgrid")


def open_files() -> int:
    entries = list(Path("/proc/self/fd").iterdir())
    return sum("memfd:actorgrid" in str(entry.readlink()) for entry in entries if entry.is_symlink())


def in_child(work: Callable[[], None]) -> int:
    """Run ``work`` in a forked child; return how it ended (waitpid's exit code)."""
    pid = os.fork()
    if not pid:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


class Grid:
    """A writer, its owner and a reader, joined without links."""

    def __init__(self, *, shared: bool = False, retire: bool = False) -> None:
        self.table = SegmentTable()
        self.reader = ArenaReader()
        self.retired: list[int] = []
        self.writer = ArenaWriter(
            self.table.add,
            count(1).__next__,
            reader=self.reader if shared else None,
            retire=self.retired.append if retire else None,
        )

    def write(self, value: object) -> Extent:
        buffers: list[pickle.PickleBuffer] = []
        stream = pickle.dumps(value, protocol=5, buffer_callback=buffers.append)
        return self.writer.write(stream, [buffer.raw() for buffer in buffers])

    def view(self, extent: Extent, on_release: Callable[[], None] | None = None) -> memoryview:
        if extent.segment not in self.reader:
            fd = self.table.reader_descriptor(extent.segment)
            self.reader.attach(extent.segment, self.table.size(extent.segment), fd)
        return self.reader.view(extent, on_release)

    def read(self, extent: Extent, on_release: Callable[[], None] | None = None) -> Any:
        stream, buffers = layout.parse(self.view(extent, on_release))
        return pickle.loads(stream, buffers=buffers)

    def resident(self) -> int:
        """Bytes of physical memory behind all segments."""
        return sum(os.fstat(self.table.descriptor(number)).st_blocks for number in self.table._segments) * 512

    def close(self) -> None:
        self.writer.close()
        self.table.close()
        self.reader.close()


@pytest.fixture
def grid() -> Iterator[Grid]:
    before = sorted(Path("/dev/shm").iterdir())
    grid = Grid()
    yield grid
    grid.close()
    gc.collect()
    assert (mapped(), open_files()) == (0, 0), "every mapping and descriptor is gone"
    assert sorted(Path("/dev/shm").iterdir()) == before


# --------------------------------------------------------------------------------------------- writing and reading


def test_round_trip_is_zero_copy_and_read_only(grid: Grid) -> None:
    value: dict[str, Any] = {"a": np.arange(100_000.0), "b": np.ones((3, 5)), "c": "text"}
    extent = grid.write(value)
    back = grid.read(extent)
    assert np.array_equal(back["a"], value["a"])
    assert back["c"] == "text"
    grid.writer.memory(extent)[-1] ^= 0xFF
    assert not np.array_equal(back["b"], value["b"]), "the same memory"
    for array in (back["a"], back["b"]):
        assert not array.flags.writeable
        assert array.ctypes.data % 64 == 0
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1
        with pytest.raises(ValueError, match="WRITEABLE"):
            array.flags.writeable = True


@pytest.mark.parametrize("on_release", [None, lambda: None])
@pytest.mark.parametrize("shared", [False, True])
def test_views_are_exact_and_read_only(on_release: Callable[[], None] | None, *, shared: bool) -> None:
    grid = Grid(shared=shared)
    extents = [grid.writer.allocate(size) for size in (1, 5000, 200_001)]
    for extent in extents:
        grid.writer.memory(extent)[:] = bytes([extent.size % 251]) * extent.size
    for extent in extents:
        view = grid.view(extent, on_release)
        assert (view.readonly, view.format, view.itemsize, len(view)) == (True, "B", 1, extent.size)
        assert bytes(view) == bytes([extent.size % 251]) * extent.size
        with pytest.raises(TypeError, match="read-only"):
            view[0] = 1
    grid.close()


def test_the_writers_process_reads_through_the_mapping_it_has() -> None:
    grid = Grid(shared=True)
    extent = grid.write(np.ones(100_000))
    array = grid.read(extent)
    assert mapped() == 1
    assert np.sum(array) == 100_000
    grid.close()
    assert np.sum(array) == 100_000
    del array
    assert mapped() == 0


def test_extents_outside_and_segments_unknown_are_refused(grid: Grid) -> None:
    extent = grid.writer.allocate(100)
    grid.view(extent)
    size = grid.table.size(extent.segment)
    wrong = [(size - 10, 11), (size, 1), (-1, 5), (0, 0), (5, -2), (0, size + 1)]
    for offset, length in wrong:
        with pytest.raises(ValueError, match="outside"):
            grid.reader.view(Extent(extent.segment, offset, length), lambda: None)
    with pytest.raises(KeyError):
        grid.reader.view(Extent(99, 0, 1), None)


def test_a_reader_does_not_trust_the_size(grid: Grid) -> None:
    fd = make_segment(2 * MIB)
    with pytest.raises(ValueError, match="greater than file size"):
        grid.reader.attach(7, 4 * MIB, fd)
    assert 7 not in grid.reader
    assert open_files() == 0


def test_attaching_twice_maps_once(grid: Grid) -> None:
    extent = grid.writer.allocate(100)
    for _ in range(3):
        grid.reader.attach(extent.segment, grid.table.size(1), grid.table.reader_descriptor(1))
    assert mapped() == 2, "the writer's and the reader's"


def test_a_failed_write_takes_its_memory_back(grid: Grid) -> None:
    strided = memoryview(bytearray(200_000))[::2]
    with pytest.raises(TypeError):
        grid.writer.write(b"\x80.", [strided])
    assert grid.writer.used_bytes == 0


def test_threads_write_and_recycle_at_once(grid: Grid) -> None:
    failures: list[BaseException] = []

    def work(fill: int) -> None:
        try:
            for turn in range(60):
                data = bytes([fill]) * (150_000 + turn * 977)
                extent = grid.writer.write(b"\x80.", [memoryview(data)])
                assert bytes(layout.parse(grid.writer.memory(extent))[1][0]) == data
                grid.writer.recycle([extent])
        except BaseException as error:  # noqa: BLE001  # looked at below
            failures.append(error)

    threads = [threading.Thread(target=work, args=(fill,)) for fill in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    grid.writer._allocator.check()


# ---------------------------------------------------------------------------------------------------- segments


def test_few_segments_for_much_memory(grid: Grid) -> None:
    extents = [grid.writer.allocate(30 * MIB) for _ in range(200)]
    assert len({extent.segment for extent in extents}) < 25
    assert grid.resident() == 0, "nothing costs memory before it is touched"
    assert grid.writer.allocate(3 << 30).size == 3 << 30


def test_segments_cannot_change_their_size(grid: Grid) -> None:
    fd = grid.table.descriptor(grid.writer.allocate(100).segment)
    for size in (0, 1 << 30):
        with pytest.raises(PermissionError):
            os.ftruncate(fd, size)


def test_a_readers_descriptor_cannot_write(grid: Grid) -> None:
    fd = grid.table.reader_descriptor(grid.writer.allocate(100).segment)
    with pytest.raises(OSError, match="Permission denied"):
        arenas.Mapping(fd, 4096, arenas.READ_WRITE)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.write(fd, b"x")
    assert fcntl.fcntl(fd, fcntl.F_GETFD) & fcntl.FD_CLOEXEC
    os.close(fd)


def test_the_owner_takes_only_segments_that_cannot_betray_readers(grid: Grid) -> None:
    unsealed = os.memfd_create("actorgrid", os.MFD_ALLOW_SEALING)
    os.ftruncate(unsealed, MIB)
    for fd, size in ((unsealed, MIB), (os.open("/dev/null", os.O_RDWR), 0), (make_segment(MIB), 2 * MIB)):
        with pytest.raises(ValueError, match="unsealed"):
            grid.table.add(5, size, fd)
    grid.table.add(5, MIB, make_segment(MIB))
    with pytest.raises(ValueError, match="known"):
        grid.table.add(5, MIB, make_segment(MIB))
    grid.table.drop(5)
    with pytest.raises(KeyError):
        grid.table.size(5)


def test_if_the_announcement_fails_nothing_is_left(grid: Grid) -> None:
    def refuse(segment: int, size: int, fd: int) -> None:
        os.close(fd)
        raise BrokenPipeError

    writer = ArenaWriter(refuse, count(1).__next__)
    with pytest.raises(BrokenPipeError):
        writer.allocate(100)
    assert (mapped(), open_files()) == (0, 0)


# ----------------------------------------------------------------------------------------------- giving back


def test_recycled_memory_is_used_again(grid: Grid) -> None:
    first = grid.write(np.ones(1_000_000))
    grid.writer.recycle([first])
    resident = grid.resident()
    assert grid.writer.idle_warm >= first.size
    assert grid.write(np.zeros(1_000_000)) == first
    assert grid.resident() == resident


def test_trim_gives_physical_memory_back(grid: Grid) -> None:
    extents = [grid.write(np.ones(MIB // 8 * 5)) for _ in range(6)]
    full = grid.resident()
    assert full >= 30 * MIB
    grid.writer.recycle(extents[:4])
    kept = grid.read(extents[5])
    assert grid.writer.trim(6 * MIB) == full - grid.resident()
    assert grid.writer.idle_warm <= 6 * MIB
    assert grid.resident() <= 17 * MIB
    grid.writer.trim(0)
    assert grid.writer.idle_warm == 0
    assert grid.resident() == grid.writer.used_bytes
    assert np.sum(kept) == MIB // 8 * 5, "what is in use stays"
    assert grid.writer.trim(0) == 0


def test_trim_retires_empty_segments() -> None:
    grid = Grid(shared=True, retire=True)
    small, large = grid.write(np.ones(1000)), grid.write(np.ones(20 * MIB))
    array = grid.read(large)
    grid.writer.recycle([large])
    grid.writer.trim(1 << 30)
    assert grid.retired == [], "warm memory is kept for reuse"
    grid.writer.trim(0)
    assert grid.retired == [large.segment]
    assert large.segment not in grid.reader
    grid.table.drop(large.segment)
    assert array.shape == (20 * MIB,), "a view may outlive even this"
    del array
    assert mapped() == 1
    grid.writer.recycle([small])
    grid.writer.trim(0)
    assert grid.write(np.ones(1000)).segment == 3
    grid.close()


def test_the_owner_punches_what_a_dead_writer_left(grid: Grid) -> None:
    kept, gone = grid.write(np.ones(MIB)), grid.write(np.ones(MIB))
    before = grid.resident()
    grid.table.punch(gone)
    assert before - grid.resident() == (gone.size + 4095) // 4096 * 4096
    assert np.sum(grid.read(kept)) == MIB
    assert not any(grid.view(gone))
    small = grid.write([1, 2])
    grid.table.punch(small)
    assert grid.read(small) == [1, 2], "pages shared with others stay"


# -------------------------------------------------------------------------------------------------------- pins


def test_a_pin_lasts_as_long_as_anything_made_from_the_view(grid: Grid) -> None:
    released: deque[int] = deque()
    extent = grid.write({"x": np.arange(50_000), "y": np.arange(50_000)})
    value = grid.read(extent, lambda: released.append(1))
    row = value["x"].reshape(500, 100)[7]
    view = memoryview(value["y"])[3:4]
    del value
    assert not released
    del row
    assert not released
    del view
    assert list(released) == [1]


def test_pins_are_counted_exactly(grid: Grid) -> None:
    released: deque[int] = deque()
    extent = grid.write(np.arange(10_000))
    held = []
    for number in range(1000):
        array = grid.read(extent, partial(released.append, number))
        held.append(array)
    del array
    assert not released
    for number in range(0, 1000, 2):
        held[number] = None
    assert sorted(released) == list(range(0, 1000, 2))
    held.clear()
    assert sorted(released) == list(range(1000))


@pytest.mark.parametrize("make", [lambda view: view, partial(np.frombuffer, dtype="u1")], ids=["view", "array"])
def test_a_finalizer_in_a_dead_cycle_still_reads_good_memory(make: Callable[[memoryview], Any], grid: Grid) -> None:
    seen: list[tuple[bytes, int]] = []
    rescued: list[Any] = []
    released: deque[int] = deque()

    class Holder:
        def __init__(self, data: Any, *, rescue: bool) -> None:
            self.data = data
            self.rescue = rescue
            self.me = self

        def __del__(self) -> None:
            seen.append((bytes(self.data[:2]), len(released)))
            if self.rescue:
                rescued.append(self.data)

    extent = grid.writer.allocate(10_000)
    grid.writer.memory(extent)[:] = b"!" * 10_000
    for rescue in (False, True):
        Holder(make(grid.view(extent, partial(released.append, 1))), rescue=rescue)
    grid.reader.detach(extent.segment)
    gc.collect()
    assert seen == [(b"!!", 0)] * 2, "both ran before any release"
    assert len(released) == 1, "the view that came back keeps its pin"
    assert bytes(rescued[0]) == b"!" * 10_000
    rescued.clear()
    assert len(released) == 2


def test_views_outlive_detaching_and_closing(grid: Grid) -> None:
    released: deque[int] = deque()
    array = grid.read(grid.write(np.arange(1000)), lambda: released.append(1))
    memory = grid.writer.memory(grid.writer.allocate(10))
    grid.reader.detach(1)
    grid.reader.detach(1)
    grid.writer.close()
    grid.writer.close()
    grid.table.close()
    gc.collect()
    memory[:] = b"0123456789"
    assert np.sum(array) == 499_500
    assert mapped() == 2
    del array, memory
    assert list(released) == [1]
    assert mapped() == 0


def test_views_leave_no_types_behind(grid: Grid) -> None:
    extent = grid.writer.allocate(1 << 20)
    grid.view(extent)
    gc.collect()
    before = len(gc.get_objects())
    for size in range(1, 5000):
        grid.view(Extent(extent.segment, extent.offset, size), lambda: None)
    assert len(gc.get_objects()) < before + 50


# --------------------------------------------------------------------------------------------------- processes


def test_a_child_reads_what_the_parent_writes(grid: Grid) -> None:
    first = grid.write(np.arange(100_000))

    def child() -> None:
        assert np.sum(grid.read(first)) == 4_999_950_000

    assert in_child(child) == 0


def test_data_outlives_a_killed_writer(grid: Grid) -> None:
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if not pid:
        try:

            def announce(segment: int, size: int, fd: int) -> None:
                socket.send_fds(theirs, [b"%d %d" % (segment, size)], [fd])
                os.close(fd)

            writer = ArenaWriter(announce, count(40).__next__)
            extent = writer.write(b"\x80.", [np.full(100_000, 7.0).data.cast("B")])
            theirs.send(b"%d %d %d" % (extent.segment, extent.offset, extent.size))
            signal.pause()
        finally:
            os._exit(1)
    theirs.close()
    with ours:
        announced, fds, _, _ = socket.recv_fds(ours, 100, 1)
        segment, size = map(int, announced.split())
        extent = Extent(*map(int, ours.recv(100).split()))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    grid.table.add(segment, size, fds[0])
    buffers = layout.parse(grid.view(extent))[1]
    assert np.sum(np.frombuffer(buffers[0])) == 700_000.0
    before = grid.resident()
    grid.table.punch(extent)
    assert grid.resident() < before
