"""What a grid is started with: sent by the driver, read by the head, inherited by the launcher and the workers."""

from __future__ import annotations

import os
import socket
import struct
from typing import Final

import msgspec

from actorgrid.core.messages import Script
from actorgrid.engine.definitions import LogSettings, StartConfig
from actorgrid.runtime import devices, machine
from actorgrid.runtime.surroundings import Surroundings

#: What workers log with: imported once, before they fork.
LOGS: Final = "actorgrid.engine.logs"


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
    #: So many tasks are remembered once they are over; 0: none.
    task_events: int = 10_000
    #: How workers log; None: as Python does.
    logging: LogSettings | None = None
    #: Of a persistent grid: the path of its socket, and the inode that it has there; "": one driver, from the start.
    door: str = ""
    door_inode: int = 0
    #: How many descriptors follow with which processes speak to Python's resource tracker.
    tracker: int = 0
    #: Labels of this machine, and what it is called ("": as the system calls it).
    labels: dict[str, str] = {}  # msgspec copies mutable defaults per instance
    node_name: str = ""
    #: What its GPUs are called, by number, and the environment variables that say which of them a process may use.
    device_names: list[str] = []
    device_variables: list[str] = []

    @classmethod
    def of(
        cls, start: StartConfig, session: str, capacity: dict[str, float], namespace: str, around: Surroundings
    ) -> BootConfig:
        """Return what a grid needs to know that ``init`` was asked for as ``start``, by this process."""
        cpus, gpus = int(capacity.get("CPU", 1.0)), capacity.get("GPU", 0.0)
        return cls(
            session=session, driver_pid=os.getpid(), capacity=capacity,
            store_budget=int(capacity["object_store_memory"]), keep_workers=max(1, cpus),
            max_workers=start.max_workers or max(256, 32 * cpus), namespace=namespace,
            preload=[*start.preload, *([LOGS] if start.logging is not None else [])],
            log_to_driver=start.log_to_driver, env_vars=start.setup.env_vars,
            surroundings=around, script=start.script, restart_intensity=start.restart_intensity,
            restart_period=start.restart_period, stopped_limit=start.stopped_limit, seed=int.from_bytes(os.urandom(7)),
            spill_directory=machine.spill_directory(start), store_patience=start.store_patience,
            max_pending_tasks=start.max_pending_tasks, refuse_pending_tasks=start.refuse_pending_tasks,
            memory_interval=start.memory_interval, memory_threshold=start.memory_threshold,
            max_worker_memory=start.max_worker_memory, farewell=start.farewell, task_events=start.task_events,
            logging=start.logging, labels=dict(start.labels), node_name=start.node_name,
            device_names=devices.names(gpus), device_variables=devices.variables(gpus),
        )  # fmt: skip

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
