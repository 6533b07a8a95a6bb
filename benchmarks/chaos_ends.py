"""Programs that are killed and interrupted: how long until nothing of them is left? See ``chaos.py``."""

from __future__ import annotations

import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from actorgrid.testing import marks
from actorgrid.testing.processes import title_of

#: Longer than anything takes that ends (seconds).
LIMIT = 20.0

#: A grid with much going on: busy and blocked tasks, an actor, programs below tasks, large objects.
BUSY = """
import os, subprocess, sys, time
import actorgrid as ag

@ag.remote(num_cpus=0)
class Actor:
    def hold(self, value):
        self.value = value

@ag.remote(num_cpus=0)
def start(seconds):
    subprocess.Popen([sys.executable, "-c", f"import time; time.sleep({seconds})"])
    time.sleep(seconds)

ag.init(num_cpus=4)
actor = Actor.remote()
ag.get(actor.hold.remote(bytes(10_000_000)))
kept = [ag.put(bytes(1_000_000)) for _ in range(10)]
refs = [start.remote(600) for _ in range(2)] + [ag.remote(time.sleep).remote(600) for _ in range(8)]
ag.get([ag.remote(num_cpus=0)(os.getpid).remote() for _ in range(4)])
print("ready", flush=True)
try:
    ag.get(refs)
except ag.exceptions.HeadDiedError:
    print("told", flush=True)
time.sleep(600)
"""

#: A program that is in every part of the interface all the time.
MIXED = """
import signal, time
import actorgrid as ag

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs inherit that it is ignored

@ag.remote
def add(a, b):
    return a + b

@ag.remote(num_cpus=0)
class Counter:
    value = 0
    def add(self, number):
        self.value += number
        return self.value

ag.init(num_cpus=2)
counter = Counter.remote()
ag.get(counter.add.remote(1))
large, turn = bytes(300_000), 0
print("ready", flush=True)
while True:
    refs = [add.remote(number, ag.put(1)) for number in range(50)]
    ready, rest = ag.wait(refs, num_returns=10, timeout=1)
    ag.get(rest)
    ag.get([counter.add.remote(1) for _ in range(50)])
    for _ in range(turn % 50 + 1):
        kept = ag.put(large)  # the one before goes
    ag.get(kept)
    turn += 7
    time.sleep(0.001)
"""


class Program:
    """A driver in a session of its own, marked, with folders of its own for what it might leave behind."""

    def __init__(self, source: str) -> None:
        self.mark = marks.new_mark()
        self._folder = tempfile.TemporaryDirectory()
        self.temporary = Path(self._folder.name) / "tmp"
        self.temporary.mkdir()
        environment = {**os.environ, "TMPDIR": str(self.temporary), "XDG_RUNTIME_DIR": str(self.temporary)}
        marks.put(self.mark, environment)
        self._names = _shared_memory()
        self._errors = Path(self._folder.name) / "errors"
        with self._errors.open("wb") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-c", source],
                stdout=subprocess.PIPE,
                stderr=errors,
                env=environment,
                start_new_session=True,
            )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == b"ready\n", self.errors()

    def errors(self) -> str:
        """What it has said on standard error."""
        return self._errors.read_text(errors="replace")

    def others(self) -> set[psutil.Process]:
        """What it has started and runs."""
        return {process for process in marks.marked(self.mark) if process.pid != self.process.pid}

    def seconds_until(self, condition: Callable[[], bool]) -> float:
        """Look, without a pause, until it is so. Returns ``LIMIT`` if it does not become so."""
        began = time.perf_counter()
        while not condition():
            if time.perf_counter() - began > LIMIT:
                return LIMIT
        return time.perf_counter() - began

    def close(self) -> list[str]:
        """End what is left of it; return the names that it left behind, and the processes."""
        left = [f"process {process.pid}" for process in self.others()]
        for process in self.others():
            try:
                process.kill()
            except psutil.Error:
                pass
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
        left += [str(path) for path in self.temporary.iterdir()]
        left += sorted(_shared_memory() - self._names)
        self._folder.cleanup()
        return left


def _shared_memory() -> set[str]:
    # Other programs of this machine come and go: only names that could be ours count.
    return {path.name for path in Path("/dev/shm").glob("*actorgrid*")}


def _head_of(program: Program) -> int:
    return next(process.pid for process in program.others() if title_of(process) == "actorgrid: head")


KILLS: dict[str, Callable[[Program], None]] = {
    "head": lambda program: os.kill(_head_of(program), signal.SIGKILL),
    "driver": lambda program: program.process.kill(),
    "group of the driver": lambda program: os.killpg(program.process.pid, signal.SIGKILL),
}


def _row(times: list[float], left: int) -> dict[str, Any]:
    return {
        "trials": len(times),
        "p50, ms": statistics.median(times) * 1e3,
        "p100, ms": max(times) * 1e3,
        "left behind": left,
    }


def ends(trials: int) -> dict[str, dict[str, Any]]:
    """``kill -9`` of each kind: time from the kill until no process is left but, perhaps, the driver."""
    rows = {}
    for name, kill in KILLS.items():
        times, left = [], 0
        for _ in range(trials):
            program = Program(BUSY)
            kill(program)
            times.append(program.seconds_until(lambda program=program: not program.others()))
            left += len(program.close())
        rows[name] = _row(times, left)
    return rows


def interrupts(trials: int, seed: int) -> dict[str, dict[str, Any]]:
    """Ctrl-C (SIGINT to the whole group) at random moments: time until the program has ended."""
    draw, times, left, noisy = random.Random(seed), [], 0, 0
    for _ in range(trials):
        program = Program(MIXED)
        time.sleep(draw.random() * 0.3)  # the random moment
        os.killpg(program.process.pid, signal.SIGINT)
        times.append(program.seconds_until(lambda program=program: program.process.poll() is not None))
        said = program.errors()
        noisy += said.count("Traceback (most recent call last)") != 1 or "Exception ignored" in said
        program.seconds_until(lambda program=program: not program.others())
        left += len(program.close())
    return {"Ctrl-C": {**_row(times, left), "other than one traceback": noisy}}
