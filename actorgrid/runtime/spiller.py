"""The process that owns the spill file: it copies objects between shared memory and the disk, one at a time.

::

    head ── SpillOut, SpillIn (with the segment's descriptor), SpillFree ──▶ spiller ── pread, pwrite ──▶ file
         ◀── Written, Emptied, Restored, SpillFailed ─────────────────────────

The head decides what is copied, when, and to where in the file (``core.head.spilling``); it never touches the disk,
which may be slow. The launcher forks this process when the first object must go.

There is one file, without a name (O_TMPFILE, or unlinked before anything is in it): it vanishes with its last
descriptor, whoever dies in what order, and no other user can open it. The head holds a descriptor, too, and hands it to
the next process of this kind, should this one die. Parts that are free again are given back (punched).

Every object carries a CRC-32 of what was written (2 GB/s here, five times as fast as BLAKE2b: it guards against
accidents, not against somebody who may write to our file, who could as well write to our memory).
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import mmap
import os
import secrets
import socket
import sys
import zlib
from pathlib import Path
from typing import Any, Final

from actorgrid.core import messages as m
from actorgrid.core.extents import pages, reserved
from actorgrid.core.messages import Extent, ToSpiller
from actorgrid.runtime import lifetime
from actorgrid.runtime.arenas import READ_WRITE
from actorgrid.runtime.links import Link

#: Bytes that are summed up and written, or read, at once: they stay in the processor's cache in between.
CHUNK: Final = 1 << 20
_PUNCH: Final = 0x01 | 0x02  # FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE
_libc: Final = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


class DamagedError(Exception):
    """What is in the file is not what was written there."""


def open_nameless(directory: str) -> int:
    """Return the descriptor of a file in ``directory`` that nobody else can open. Raises OSError.

    What of the directory does not exist is made for that moment, and goes again: the file does not need it.
    """
    missing = []
    path = Path(directory)
    while not path.exists():
        missing.append(path)
        path = path.parent
    for path in reversed(missing):
        path.mkdir(mode=0o700, exist_ok=True)
    try:
        return _open_nameless(directory)
    finally:
        for path in missing:
            with contextlib.suppress(OSError):  # somebody else has put something there
                path.rmdir()


def _open_nameless(directory: str) -> int:
    flags = os.O_RDWR | os.O_CLOEXEC
    try:
        return os.open(directory, flags | os.O_TMPFILE, 0o600)
    except (AttributeError, OSError) as error:  # a file system, or a system, without such files
        if isinstance(error, OSError) and error.errno not in (errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT):
            raise
    path = os.path.join(directory, f".actorgrid-{secrets.token_hex(16)}")
    fd = os.open(path, flags | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    os.unlink(path)
    return fd


class SpillFile:
    """The file: places in it are the head's affair."""

    def __init__(self, directory: str, fd: int) -> None:
        self.directory = directory
        self.fd = fd

    def write(self, memory: memoryview, offset: int) -> int:
        """Write ``memory`` there and return its checksum. Raises OSError; then the place holds nothing."""
        checksum = 0
        try:
            for start in range(0, len(memory), CHUNK):
                part = memory[start : start + CHUNK]
                checksum = zlib.crc32(part, checksum)
                at = offset + start
                while part:
                    count = os.pwrite(self.fd, part, at)
                    at += count
                    part = part[count:]
        except OSError:
            self.free(offset, len(memory))
            raise
        return checksum

    def read(self, memory: memoryview, offset: int, checksum: int) -> None:
        """Fill ``memory`` with what was written there. Raises OSError, DamagedError."""
        found = 0
        for start in range(0, len(memory), CHUNK):
            part, at = memory[start : start + CHUNK], offset + start
            got = 0
            while got < len(part):
                count = os.preadv(self.fd, [part[got:]], at + got)
                if not count:
                    raise DamagedError(f"it ends at byte {at + got}, {len(memory)} bytes from {offset} on were written")
                got += count
            found = zlib.crc32(part, found)
        if found != checksum:
            raise DamagedError(
                f"{len(memory)} bytes from {offset} on have the checksum {found:08x}, written was {checksum:08x}"
            )

    def free(self, offset: int, size: int) -> None:
        """Give the place back to the file system, if it can take it; otherwise what comes next overwrites it."""
        if _libc is not None:
            _libc.fallocate(self.fd, _PUNCH, ctypes.c_long(offset), ctypes.c_long(size))


class Spiller:
    """The state of the process."""

    def __init__(self, end: socket.socket, directory: str) -> None:
        self.link: Link[Any] = Link(end, ToSpiller)
        self.directory = directory
        self.file: SpillFile | None = None

    def run(self) -> None:
        """Serve the head until it goes."""
        while (batch := self.link.receive()) is not None:
            for order in batch:
                self.obey(order)

    def obey(self, order: Any) -> None:
        """Do one thing and say so."""
        if isinstance(order, m.SpillFile):
            self.file = SpillFile(order.path, self._claim())
        elif isinstance(order, m.SpillFree):
            if self.file is not None:
                self.file.free(order.offset, order.size)
        else:
            segment = self._claim()
            try:
                self._copy(order, segment)
            finally:
                os.close(segment)

    def _claim(self) -> int:
        if not (claimed := self.link.claim()):
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))  # this process is replaced: the next one has room
        return claimed[0]

    def _copy(self, order: m.SpillOut | m.SpillIn, segment: int) -> None:
        size = order.extent.size
        try:
            # It is unmapped with the last reference, not before: the traceback of an error has views of it.
            memory = _mapped(segment, order.extent)
            if isinstance(order, m.SpillOut):
                checksum = self._open_file().write(memoryview(memory)[:size], order.offset)
                self.link.send([m.Written(order.job, checksum)])  # before anything of it is gone from memory
                memory.madvise(mmap.MADV_REMOVE, 0, len(memory))
                self.link.send([m.Emptied(order.job)])
            elif self.file is None:
                raise DamagedError("it is gone")
            else:
                self.file.read(memoryview(memory)[:size], order.offset, order.checksum)
                self.link.send([m.Restored(order.job)])
        except (OSError, DamagedError) as error:
            self.link.send([m.SpillFailed(order.job, self._told(order, error))])

    def _open_file(self) -> SpillFile:
        if self.file is None:
            self.file = SpillFile(self.directory, open_nameless(self.directory))
            self.link.send([m.SpillFile(self.directory)], [self.file.fd])
        return self.file

    def _told(self, order: m.SpillOut | m.SpillIn, error: Exception) -> str:
        where = f"the spill file (without a name) in {self.directory}"
        if isinstance(order, m.SpillIn):
            return f"{where} cannot be read: {error}" if isinstance(error, OSError) else f"{where} is damaged: {error}"
        free = "unknown"
        with contextlib.suppress(OSError):
            there = os.statvfs(self.directory)
            free = f"{there.f_bavail * there.f_frsize} bytes"
        reason = error.strerror if isinstance(error, OSError) else str(error)
        size = reserved(order.extent.size)
        return f"{where} takes no more: {reason}; needed are {size} bytes at {order.offset}, free on that disk: {free}"


def _mapped(segment: int, extent: Extent) -> mmap.mmap:
    """Return the pages of an extent, which owns them alone."""
    start, end = pages(extent)
    if start != extent.offset or end - start != reserved(extent.size):
        raise OSError(errno.EINVAL, f"{extent} shares its pages")
    return mmap.mmap(segment, end - start, prot=READ_WRITE, offset=start)


def work(directory: str, end: socket.socket) -> None:
    """Be that process: what the launcher calls in a fork."""
    lifetime.Title().set("actorgrid: spiller")
    Spiller(end, directory).run()
