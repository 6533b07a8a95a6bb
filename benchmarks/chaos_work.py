"""What the grids of ``chaos.py`` do. Every worker imports this: it needs little."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import actorgrid as ag

WORK = 0.005
#: Items of a stream.
ITEMS = 20


class Ledger:
    """A file to which every execution adds its number: what is in it has happened, whoever died afterwards."""

    def __init__(self, path: str) -> None:
        self.path = path

    def add(self, number: int) -> None:
        fd = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(fd, b"%d\n" % number)  # one write in append mode is never torn
        os.close(fd)

    def counts(self) -> Counter[int]:
        return Counter(int(line) for line in Path(self.path).read_text(encoding="ascii").split())


@ag.remote(max_retries=-1)
def work(ledger: Ledger, number: int) -> int:
    time.sleep(WORK)
    ledger.add(number)
    return number


@ag.remote(max_retries=-1)
def stream(number: int) -> Iterator[int]:
    """Yield the numbers of the items of stream ``number``."""
    for item in range(number * ITEMS, (number + 1) * ITEMS):
        time.sleep(WORK)
        yield item


@ag.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)
class Worker:
    def work(self, ledger: Ledger, number: int) -> int:
        time.sleep(WORK)
        ledger.add(number)
        return number


@ag.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)
class Tally:
    """Counts from ``first`` in steps: several of them, called in turn, give each call its number."""

    def __init__(self, first: int, step: int) -> None:
        self.next, self.step = first, step

    def __actorgrid_save__(self) -> tuple[int, int]:
        return self.next, self.step

    def __actorgrid_restore__(self, state: tuple[int, int]) -> None:
        self.next, self.step = state

    def add(self) -> int:
        number, self.next = self.next, self.next + self.step
        return number

    def work(self) -> int:
        time.sleep(WORK)
        return self.add()
