"""What a grid is started with: sent by the driver, read by the head, inherited by the launcher and the workers."""

from __future__ import annotations

import os
import socket
import struct

import msgspec

from actorgrid.core.messages import Script
from actorgrid.runtime.surroundings import Surroundings


class BootConfig(msgspec.Struct):
    """Everything the processes of a grid need to know before the first message."""

    session: str
    driver_pid: int
    capacity: dict[str, float]
    store_budget: int
    keep_workers: int
    max_workers: int
    namespace: str
    preload: list[str]
    log_to_driver: bool
    env_vars: dict[str, str]
    surroundings: Surroundings
    restart_intensity: int
    restart_period: float
    stopped_limit: float
    #: Of the pauses between retries.
    seed: int
    script: Script | None = None
    #: Where objects go that memory cannot hold; empty: nowhere.
    spill_directory: str = ""
    #: Seconds that a request for memory may wait.
    store_patience: float = 10.0
    #: Unfinished tasks that a process may have, 0: any number; and whether one more is an error, or waits.
    max_pending_tasks: int = 0
    refuse_pending_tasks: bool = False
    #: How often memory is looked at while something runs (seconds; 0: never), and the share that is too much.
    memory_interval: float = 0.25
    memory_threshold: float = 0.95
    #: Seconds that an actor's process has for its last words when its last handle is gone.
    farewell: float = 30.0
    #: Bytes of its own beyond which a worker is replaced once its task is over; 0: any number.
    max_worker_memory: int = 0
    #: Labels of this machine.
    labels: dict[str, str] = {}  # msgspec copies mutable defaults per instance
    #: What its GPUs are called, by number, and the environment variables that say which of them a process may use.
    device_names: list[str] = []
    device_variables: list[str] = []

    def send(self, link: socket.socket) -> None:
        """Send this as the first bytes of a head's link."""
        data = msgspec.msgpack.encode(self)
        link.sendall(_LENGTH.pack(len(data)) + data)

    @classmethod
    def receive(cls, link: socket.socket) -> BootConfig:
        """Read what ``send`` has sent. If the driver has gone meanwhile, so does this process."""
        (length,) = _LENGTH.unpack(_exactly(link, _LENGTH.size))
        return msgspec.msgpack.decode(_exactly(link, length), type=cls)


_LENGTH = struct.Struct("<I")


def _exactly(link: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = link.recv(count - len(data))
        if not more:
            os._exit(0)
        data += more
    return data
