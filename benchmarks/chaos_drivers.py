"""Many drivers call one actor of a persistent grid while the workers around it are killed. See ``chaos.py``."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psutil
from chaos_killer import Killer

import actorgrid as ag
from actorgrid.testing import wait_until

CPUS = 4
DRIVERS = 8
#: Nothing takes longer that does not hang (seconds).
LIMIT = 600.0

#: A driver: so many calls of the actor, two hundred under way at a time, and a task for every tenth of them.
PROGRAM = """
import json, sys, time
import actorgrid as ag

address, me, calls = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])

@ag.remote(max_retries=-1)
def work(number):
    time.sleep(0.005)
    return number

ag.init(address=address, namespace="chaos", log_to_driver=False)
counter = ag.get_actor("counter")
print("ready", flush=True)
sys.stdin.readline()
answers, tasks, pending = [], [], []
for first in range(0, calls, 100):
    tasks += [work.remote(number) for number in range(first, first + 100, 10)]
    pending.append([counter.add.remote(me, number) for number in range(first, first + 100)])
    if len(pending) > 1:
        answers += ag.get(pending.pop(0))
for refs in pending:
    answers += ag.get(refs)
wrong = sum(found != number for found, number in zip(ag.get(tasks), range(0, calls, 10), strict=True))
told = [number for number, _ in answers]
counts = [count for _, count in answers]
print(json.dumps({
    "lost": calls - len(answers), "out of order": int(told != list(range(calls)) or counts != sorted(set(counts))),
    "tasks": len(tasks), "wrong tasks": wrong,
}), flush=True)
"""


@ag.remote(num_cpus=0)
class Counter:
    """Counts, and looks whether each caller's calls come once and in order."""

    def __init__(self) -> None:
        self.count = self.wrong = 0
        self.next: dict[int, int] = {}

    def add(self, caller: int, number: int) -> tuple[int, int]:
        self.wrong += number != self.next.get(caller, 0)
        self.next[caller] = number + 1
        self.count += 1
        return number, self.count

    def told(self) -> tuple[int, int]:
        return self.count, self.wrong


@contextmanager
def persistent_grid() -> Iterator[tuple[str, psutil.Process]]:
    """Return address and head of a persistent grid; nothing of it may be left."""
    with tempfile.TemporaryDirectory() as folder:
        address = f"{folder}/door/grid.sock"
        start = [sys.executable, "-m", "actorgrid", "start", "--num-cpus", str(CPUS), "--address", address]
        said = subprocess.run(start, check=True, capture_output=True, text=True).stdout
        head = psutil.Process(int(said.split("(pid ")[1].split(")")[0]))
        processes = [head, *head.children(recursive=True)]
        try:
            yield address, head
        finally:
            ag.shutdown()
            subprocess.run(
                [sys.executable, "-m", "actorgrid", "stop", "--address", address], check=True, stdout=subprocess.DEVNULL
            )
            assert wait_until(lambda: not any(process.is_running() for process in processes), 10)


def drivers(number: int, calls: int, seed: int, *, every: float) -> dict[str, Any]:
    """Return what became of ``number * calls`` calls of one actor, under kills of everybody's other workers."""
    with persistent_grid() as (address, head):
        ag.init(address=address, namespace="chaos", log_to_driver=False)
        counter: Any = Counter.options(name="counter").remote()
        ag.get(counter.told.remote())
        (launcher,) = head.children()
        spared = {each.pid for each in launcher.children() if "Counter" in " ".join(each.cmdline())}
        assert len(spared) == 1
        programs = [
            subprocess.Popen(
                [sys.executable, "-c", PROGRAM, address, str(me), str(calls)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            )
            for me in range(number)
        ]  # fmt: skip
        for program in programs:
            assert program.stdout is not None
            assert program.stdout.readline() == "ready\n"
        began = time.monotonic()
        with Killer(every, seed, launcher.pid, spared) as killer:
            said = _outcomes(programs, began + LIMIT)
        took = time.monotonic() - began
        count, wrong = ag.get(counter.told.remote(), timeout=60)
        free = wait_until(lambda: ag.available_resources().get("CPU") == CPUS, 30)
    ended = [each for each in said if each]
    row = {name: sum(each[name] for each in ended) for name in ("lost", "out of order", "tasks", "wrong tasks")}
    row["out of order"] += wrong
    return {
        "one counter": {
            "drivers": number, "calls": number * calls, "counted": count, **row, "hangs": number - len(ended),
            "kills": killer.kills, "calls per second": number * calls / took, "CPUs free afterwards": int(free) * CPUS,
        }
    }  # fmt: skip


def _outcomes(programs: list[subprocess.Popen[str]], until: float) -> list[dict[str, int]]:
    """Let all of them begin; return what each has found, {} for one that fails or does not end in time."""
    for program in programs:
        assert program.stdin is not None
        program.stdin.write("go\n")
        program.stdin.flush()
    found: list[dict[str, int]] = []
    for program in programs:
        try:
            out, _ = program.communicate(timeout=max(0.0, until - time.monotonic()))
            found.append(json.loads(out) if program.returncode == 0 else {})
        except subprocess.TimeoutExpired:
            program.kill()
            program.communicate()
            found.append({})
    return found


def broken(row: dict[str, Any]) -> Iterator[str]:
    """Say which promises these figures break."""
    for what in ("lost", "out of order", "wrong tasks", "hangs"):
        if row[what]:
            yield f"{row[what]} {what}"
    if row["counted"] != row["calls"]:
        yield f"{row['counted']} counted of {row['calls']} calls"
    if row["CPUs free afterwards"] != CPUS:
        yield "CPUs are still taken"
