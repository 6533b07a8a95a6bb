"""H>L and L>H: processes that are to start or to end, and what has become of them."""

from __future__ import annotations

from actorgrid.core.messages.base import Struct


class Spawn(Struct, tag=90):
    """Fork a worker; its links and its output pipe ride on this frame (task, control, output)."""

    worker: int
    title: str = ""


class KillProcess(Struct, tag=91):
    """Signal a worker's process group; with a ``task`` only if that one's user code runs in it (else: ``Spared``)."""

    worker: int
    signal: int
    task: int = 0


class Spawned(Struct, tag=92):
    """The worker has this process id."""

    worker: int
    pid: int


class Exited(Struct, tag=93):
    """The worker's process is gone. ``current``: the task whose user code was running, 0 if none.

    ``outbox`` is a frame body that the worker had finished but not sent: it lies in memory shared with the launcher.
    """

    worker: int
    pid: int
    #: Exit code if >= 0, minus the signal number if negative.
    status: int
    current: int = 0
    outbox: bytes = b""
    #: The system has killed something for want of memory meanwhile (noted by the head's shell).
    oom: bool = False


class SpawnFailed(Struct, tag=94):
    """The fork failed (limits of the machine)."""

    worker: int
    message: str


class Stopped(Struct, tag=95):
    """The worker's process was stopped (or continued) by a signal."""

    worker: int
    stopped: bool


class Spared(Struct, tag=97):
    """The worker was not killed: it does not run that task's code, not yet or no longer."""

    worker: int
    task: int


class Quit(Struct, tag=96):
    """Kill every worker's group and exit."""


class LinkLost(Struct, tag=98):
    """The worker's end of a link is closed. The shell of the head says so; a death, if it is one, is reported soon."""

    worker: int


class SpawnSpiller(Struct, tag=109):
    """Fork the process that reads and writes the spill file; its link rides on this frame."""
