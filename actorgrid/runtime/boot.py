"""The first code of a grid's processes: a fresh interpreter becomes the head, after forking the launcher."""

from __future__ import annotations

import os
import signal
import socket
import struct
import sys

import msgspec

from actorgrid.runtime import launcher, lifetime
from actorgrid.runtime.config import BootConfig

#: Run by the fresh interpreter: argv is [-c, descriptor, where actorgrid lies, padding that makes room for titles].
COMMAND = "import sys; sys.path.insert(0, sys.argv[2]); from actorgrid.runtime.boot import main; main(int(sys.argv[1]))"
_LENGTH = struct.Struct("<I")


def send_config(link: socket.socket, config: BootConfig) -> None:
    """Send the configuration as the first bytes of a head's link."""
    data = msgspec.msgpack.encode(config)
    link.sendall(_LENGTH.pack(len(data)) + data)


def _receive_config(link: socket.socket) -> BootConfig:
    def exactly(count: int) -> bytes:
        data = b""
        while len(data) < count:
            more = link.recv(count - len(data))
            if not more:
                os._exit(0)  # the driver went away while we started
            data += more
        return data

    (length,) = _LENGTH.unpack(exactly(4))
    return msgspec.msgpack.decode(exactly(length), type=BootConfig)


def main(fd: int) -> None:
    """Be the head."""
    link = socket.socket(fileno=fd)
    config = _receive_config(link)
    os.setsid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    lifetime.become_subreaper()  # of what a launcher that is killed leaves behind
    watch = lifetime.watch_process(config.driver_pid)
    sys.path[:] = config.surroundings.path
    end, launcher_pid = launcher.start(config, [fd] if watch is None else [fd, watch])
    lifetime.Title().set("actorgrid: head")
    from actorgrid.runtime.head import HeadProcess  # the launcher does not need it

    HeadProcess(link, end, launcher_pid, watch, config).run()
