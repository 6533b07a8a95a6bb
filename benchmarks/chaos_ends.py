"""Programs whose head, driver or process group is killed: how long until nothing is left? See ``chaos.py``."""

from __future__ import annotations

import os
import signal
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import chaos_memory
from chaos_program import LIMIT, Program

#: A grid with much going on: busy and blocked tasks, an actor, programs below tasks, large objects, all kinds of waits.
BUSY = """
import asyncio, gc, os, subprocess, sys, threading, time
import actorgrid as ag

@ag.remote(num_cpus=0)
class Actor:
    def hold(self, value):
        self.value = value

@ag.remote(num_cpus=0)
def start(seconds):
    subprocess.Popen([sys.executable, "-c", f"import time; time.sleep({seconds})"])
    time.sleep(seconds)

def say(word):
    os.write(1, f"{word} {time.monotonic()}\\n".encode())

def hears(word, call):
    try:
        call()
    except ag.exceptions.HeadDiedError:
        say(word)

async def awaits(ref):
    await ref

ag.init(num_cpus=4)
actor = Actor.remote()
ag.get(actor.hold.remote(bytes(10_000_000)))
kept = [ag.put(bytes(1_000_000)) for _ in range(10)]
refs = [start.remote(600) for _ in range(2)] + [ag.remote(time.sleep).remote(600) for _ in range(8)]
ag.get([ag.remote(num_cpus=0)(os.getpid).remote() for _ in range(4)])
waits = {
    "wait": lambda: ag.wait(refs),
    "future": lambda: refs[0].future().result(),
    "await": lambda: asyncio.run(awaits(refs[1])),
}
threads = [threading.Thread(target=hears, args=each, daemon=True) for each in waits.items()]
for thread in threads:
    thread.start()
say("ready")
hears("get", lambda: ag.get(refs))
hears("later", lambda: ag.get(ag.remote(num_cpus=0)(os.getpid).remote()))
for thread in threads:
    thread.join()
del actor, kept, refs, waits, threads, thread
gc.collect()
say("dropped")
time.sleep(600)
"""
#: Whoever of ``BUSY`` waits when the head dies, or calls afterwards.
WAITS = ("get", "wait", "future", "await", "later")

#: What is to be done, found beforehand.
KILLS: dict[str, Callable[[Program], Callable[[], None]]] = {
    "head": lambda program: partial(os.kill, program.head(), signal.SIGKILL),
    "driver": lambda program: program.process.kill,
    "group of the driver": lambda program: partial(os.killpg, program.process.pid, signal.SIGKILL),
}


def times_of(seconds: list[float]) -> dict[str, Any]:
    """Return the columns of a row that are times."""
    return {"trials": len(seconds), "p50, ms": statistics.median(seconds) * 1e3, "p100, ms": max(seconds) * 1e3}


def ends(trials: int) -> dict[str, dict[str, Any]]:
    """``kill -9`` of each kind: time from the kill until no process is left but, perhaps, the driver."""
    rows: dict[str, dict[str, Any]] = {}
    told: list[tuple[float, float]] = []
    for name, find in KILLS.items():
        times, left, memory, own = [], 0, 0, 0
        for _ in range(trials):
            program = Program(BUSY)
            segments, kill, head = program.segments(), find(program), name == "head"
            assert segments
            killed = time.monotonic()  # the same clock in all processes
            kill()
            times.append(program.seconds_until(program.alone))
            if head:
                told.append(_told(program, killed))
                own = max(own, sum(chaos_memory.held([program.process.pid]).values()))
            memory += chaos_memory.left(segments, {program.process.pid} if head else ())
            left += len(program.close())
        rows[name] = {**times_of(times), "left behind": left, "bytes left": memory}
        if name == "head":
            rows[name]["most bytes in the driver"] = own
            rows["head: get raises HeadDiedError"] = times_of([first for first, _ in told])
            rows["head: all waits and a later call raise it"] = times_of([last for _, last in told])
    return rows


def _told(program: Program, killed: float) -> tuple[float, float]:
    """Return after how many seconds ``get``, and the last of all, has raised. Its values are dropped by then."""
    program.hear("dropped")
    said = {first: float(rest) - killed for first, _, rest in (line.partition(" ") for line in program.lines())}
    return said.get("get", LIMIT), max(said.get(word, LIMIT) for word in WAITS)
