"""Ctrl-C at random moments of a whole program: how long until the prompt is back? See ``chaos.py``."""

from __future__ import annotations

import os
import random
import signal
import time
from typing import Any

from chaos_ends import times_of
from chaos_program import Program

#: How far into the program a moment may be (seconds): its imports, and two or three grids.
SPAN = 1.2

#: A program that starts grids, is in every part of the interface, and ends them; it says what it does now.
MIXED = """
import os, signal, time

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs inherit that it is ignored
os.write(1, b"ready\\n")
os.write(1, b"import\\n")
import actorgrid as ag

@ag.remote
def add(a, b):
    return a + b

@ag.remote(num_cpus=0)
class Counter:
    value = 0
    def add(self, number):
        self.value += number
        return self.value

def work(turn):
    counter = Counter.remote()
    ag.get(counter.add.remote(1))
    for _ in range(3):
        refs = [add.remote(number, ag.put(1)) for number in range(50)]
        ready, rest = ag.wait(refs, num_returns=10, timeout=1)
        ag.get(rest)
        ag.get([counter.add.remote(1) for _ in range(50)])
        for _ in range(turn % 50 + 1):
            kept = ag.put(bytes(300_000))  # the one before goes
        ag.get(kept)
        time.sleep(0.001)

turn = 0
while True:
    os.write(1, b"init\\n")
    ag.init(num_cpus=2)
    os.write(1, b"work\\n")
    work(turn)
    os.write(1, b"shutdown\\n")
    ag.shutdown()
    turn += 7
"""


def interrupts(trials: int, seed: int) -> dict[str, dict[str, Any]]:
    """Ctrl-C (SIGINT to the whole group) at random moments: time until the program has ended, by what it did then."""
    draw, found = random.Random(seed), dict[str, list[tuple[float, int, bool, bool]]]()
    for _ in range(trials):
        program = Program(MIXED)
        time.sleep(draw.random() * SPAN)  # the random moment
        os.killpg(program.process.pid, signal.SIGINT)
        seconds = program.seconds_until(program.ended)
        program.seconds_until(program.alone)
        said, phase = program.errors(), program.lines()[-1]
        noisy = said.count("Traceback (most recent call last)") != 1 or "Exception ignored" in said
        found.setdefault(phase, []).append((seconds, len(program.close()), noisy, _of_head(said)))
    return {f"Ctrl-C during {phase}": _row(rows) for phase, rows in sorted(found.items())}


def _of_head(said: str) -> bool:
    """Return whether the head of a grid, whose whole program is one line, has been interrupted, too."""
    return '"<string>", line 1, in' in said or "Fatal Python error: init" in said


def _row(rows: list[tuple[float, int, bool, bool]]) -> dict[str, Any]:
    return {
        **times_of([row[0] for row in rows]),
        "left behind": sum(row[1] for row in rows),
        "other than one traceback": sum(row[2] for row in rows),
        "of these: the head, too": sum(row[2] and row[3] for row in rows),
    }
