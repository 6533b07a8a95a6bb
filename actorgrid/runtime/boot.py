"""The first code of a grid's processes: a fresh interpreter becomes the head, after forking the launcher.

Driver, head and launcher import what they need at the same time; what they are for is told by the driver at last.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys

from actorgrid.core import messages as m
from actorgrid.core.messages import ToHead
from actorgrid.runtime import launcher, lifetime, tracker
from actorgrid.runtime.config import BootConfig
from actorgrid.runtime.links import Link


def main(fd: int) -> None:
    """Be the head."""
    link = socket.socket(fileno=fd)
    if os.getsid(0) != os.getpid():
        os.setsid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    lifetime.ignore_stray_signals()
    lifetime.go_on_without_parent()
    lifetime.become_subreaper()  # of what a launcher that is killed leaves behind
    try:
        end, launcher_pid = launcher.start(fd)
    except OSError as error:
        from actorgrid.runtime import limits  # only where something is refused

        text = (
            f"the system allows no further process ({limits.told(error, 'the head of the grid')}): a grid needs five "
            "processes and threads at least, a thread of the program, a head, a launcher, and a worker with two. Raise "
            "the limit (ulimit -u, pids.max)"
        )
        Link(link, ToHead).send([m.GridDied(text)])
        os._exit(1)
    lifetime.Title().set("actorgrid: head")
    from actorgrid.runtime.head import HeadProcess  # the launcher does not need it

    config = BootConfig.receive(link)
    shared = tracker.receive(link, config.tracker)
    config.tracker = len(shared)
    entrance = receive_door(link) if config.door else None
    with contextlib.suppress(OSError):  # a launcher that is dead is noticed by the loop
        config.send(end)
        tracker.send(end, shared)
    for each in shared:
        os.close(each)
    sys.path[:] = config.surroundings.path
    if entrance is None:
        HeadProcess(end, launcher_pid, config, driver=link).run()
    else:
        os.chdir("/")  # whose folder that was need not keep it for us
        head = HeadProcess(end, launcher_pid, config, entrance=entrance)
        Link(link, ToHead).send([m.Notice("open")])  # whoever has started the grid need not wait any longer
        link.close()
        head.run()


def receive_door(link: socket.socket) -> socket.socket:
    """Return the socket through which drivers come, as whoever starts a persistent grid has opened it."""
    _, descriptors, _, _ = socket.recv_fds(link, 1, 1)
    if not descriptors:
        os._exit(0)
    return socket.socket(fileno=descriptors[0])
