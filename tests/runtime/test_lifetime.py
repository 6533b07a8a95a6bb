"""Children that are told to end: those that do, those that are stopped, those that will not."""

from __future__ import annotations

import os
import signal
import sys

import pytest

from actorgrid.runtime import lifetime

#: Ends when its standard input does.
OBEDIENT = "import sys; sys.stdin.read(); sys.exit(3)"
#: Stops as soon as somebody lets it go on.
STUBBORN = """
import os, signal
signal.signal(signal.SIGCONT, lambda *_: os.kill(os.getpid(), signal.SIGSTOP))
os.write(1, b"r")
while True:
    signal.pause()
"""


def child(program: str) -> tuple[int, int, int]:
    """Start a program; return its process id, where it is told to end, and where it says that it is ready."""
    told, tell = os.pipe()
    hear, said = os.pipe()
    actions = [(os.POSIX_SPAWN_DUP2, told, 0), (os.POSIX_SPAWN_DUP2, said, 1)]
    pid = os.posix_spawn(sys.executable, [sys.executable, "-c", program], os.environ, file_actions=actions)
    os.close(told)
    os.close(said)
    return pid, tell, hear


def stop(pid: int) -> None:
    os.kill(pid, signal.SIGSTOP)
    os.waitid(os.P_PID, pid, os.WSTOPPED)


@pytest.mark.parametrize("stopped", [False, True])
def test_child_that_has_been_told_to_end_does_so_though_it_was_stopped(*, stopped: bool) -> None:
    pid, tell, hear = child(OBEDIENT)
    if stopped:
        stop(pid)
    os.close(tell)
    os.close(hear)
    assert os.waitstatus_to_exitcode(lifetime.end_child(pid, 20.0)) == 3


def test_child_that_stops_again_and_again_is_killed() -> None:
    pid, tell, hear = child(STUBBORN)
    assert os.read(hear, 1) == b"r"
    stop(pid)
    assert os.waitstatus_to_exitcode(lifetime.end_child(pid, 0.1)) == -signal.SIGKILL
    os.close(tell)
    os.close(hear)
