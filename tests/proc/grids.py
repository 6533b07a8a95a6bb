"""Persistent grids, and programs that join them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

import actorgrid as ag
from actorgrid.testing.waiting import wait_until

#: Nothing here takes longer (seconds).
LIMIT = 30


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "actorgrid", *arguments], capture_output=True, text=True, timeout=LIMIT, check=False
    )


class Grid:
    """A persistent grid with two CPUs, and programs that join it."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.address = str(folder / "door" / "grid.sock")
        done = command("start", "--num-cpus", "2", "--address", self.address, *options)
        assert (done.returncode, done.stderr) == (0, "")
        self.head = psutil.Process(int(done.stdout.split("(pid ")[1].split(")")[0]))
        self.processes = [self.head, *self.head.children(recursive=True)]

    def program(self, code: str, *, cwd: Path | None = None) -> subprocess.Popen[str]:
        """Start a program that has joined the grid before its first line."""
        begin = f"import actorgrid as ag, os, sys, time\nag.init(address={self.address!r}, namespace='tests')\n"
        return subprocess.Popen(
            [sys.executable, "-c", begin + code], cwd=cwd or self.folder, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def says(self, code: str, *, cwd: Path | None = None) -> str:
        """Run such a program to its end; return what it prints."""
        out, err = self.program(code, cwd=cwd).communicate(timeout=LIMIT)
        assert err == ""
        return out

    def join(self, **options: Any) -> None:
        """Join with this process."""
        ag.init(address=self.address, **{"namespace": "tests"} | options)

    def is_gone(self) -> bool:
        """Return whether nothing is left of it."""
        return not Path(self.address).exists() and not any(process.is_running() for process in self.processes)

    def descriptors_beside_workers(self) -> int:
        """Return how many descriptors the head has for anything but its workers, three of each of them."""
        (launcher,) = self.head.children()
        return self.head.num_fds() - 3 * len(launcher.children())


def running(folder: Path) -> Iterator[Grid]:
    """Give a grid, end it, and see that nothing of it is left."""
    made = Grid(folder)
    yield made
    ag.shutdown()
    if made.head.is_running():
        done = command("stop", "--address", made.address)
        assert (done.returncode, done.stderr) == (0, "")
    assert wait_until(made.is_gone)
