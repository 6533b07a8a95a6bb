"""Starting and stopping a grid that no program owns: ``actorgrid start`` and ``actorgrid stop``."""

from __future__ import annotations

import os
import socket
from typing import Any, Final

import actorgrid
from actorgrid.core.messages import GridDied, Notice, ToClient
from actorgrid.engine.definitions import StartConfig
from actorgrid.exceptions import GridSystemError
from actorgrid.runtime import devices, door, lifetime, machine, surroundings
from actorgrid.runtime.config import BootConfig
from actorgrid.runtime.links import Link
from actorgrid.runtime.spawn import Spawned

#: Seconds that a grid has to end.
PATIENCE: Final = 10.0


def start(config: StartConfig) -> int:
    """Start a grid behind the door at ``config.address``; return its head's process id.

    Raises FileExistsError if one runs there, PermissionError (see ``door.check_folder``), OSError, GridSystemError.
    """
    devices.check(config.num_gpus)
    with door.open_door(config.address) as entrance:
        inode = os.stat(config.address).st_ino
        try:
            return _start_behind(entrance, inode, config)
        except BaseException:
            door.close_door(config.address, inode)
            raise


def _start_behind(entrance: socket.socket, inode: int, config: StartConfig) -> int:
    head = Spawned(config, quiet=True)
    try:
        capacity = machine.capacity(config)
        boot = BootConfig.of(config, head.session, capacity, config.namespace or "", surroundings.look_around())
        boot.driver_pid, boot.door, boot.door_inode = 0, config.address, inode
        boot.send(head.link)
        socket.send_fds(head.link, [b"d"], [entrance.fileno()])
        _wait_until_open(head.link)
    except BaseException:
        head.abandon()
        raise
    head.link.close()
    return head.pid


def _wait_until_open(end: socket.socket) -> None:
    """Wait for the head to say that it serves. Raises GridSystemError with its last words, or if it had none."""
    link: Link[Any] = Link(end, ToClient)
    while (batch := link.receive()) is not None:
        for message in batch:
            if isinstance(message, GridDied):
                raise GridSystemError(message.message)
            if isinstance(message, Notice):
                return
    raise GridSystemError("the grid's head died while it started")


def stop(address: str) -> int:
    """End the grid behind a door, and wait for that; return its head's process id. Raises ConnectionError."""
    link, welcome = door.knock(address, door.Hello("stop", actorgrid.__version__))
    link.close()
    if not lifetime.wait_for_end(welcome.head_pid, PATIENCE):
        raise ConnectionError(f"the grid's head (pid {welcome.head_pid}) has not ended after {PATIENCE:g} s")
    return welcome.head_pid
