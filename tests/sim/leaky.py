"""A module of helpers that keep something in every way there is: subject of ``test_isolation``."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable

seen: list[int] = []
counter = 0
numbers = itertools.count(1)


def note(n: int) -> int:
    seen.append(n)
    return len(seen)


def number() -> int:
    return next(numbers)


def remember(n: int, known: list[int] = []) -> int:  # noqa: B006  # the subject
    known.append(n)
    return len(known)


class Total:
    count = 0

    def __init__(self) -> None:
        self.value = 0

    def hit(self) -> int:
        self.value += 1
        return self.value

    def append(self, n: int) -> int:
        seen.append(n)
        return len(seen)

    @classmethod
    def count_one(cls) -> int:
        cls.count += 1
        return cls.count


class Slotted:
    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0

    def hit(self) -> int:
        self.value += 1
        return self.value


def make_step() -> Callable[[], int]:
    value = 0

    def step() -> int:
        nonlocal value
        value += 1
        return value

    return step


total = Total()
slotted = Slotted()
hit_total = total.hit
step = make_step()
note_one = functools.partial(note, 1)
table = {"note": note}


@functools.wraps(note)
def wrapped(n: int) -> int:
    return note(n)


def clear() -> None:
    global counter, numbers  # noqa: PLW0603  # the subject
    seen.clear()
    counter = total.value = slotted.value = Total.count = 0
    numbers = itertools.count(1)
    (remember.__defaults__ or ())[0].clear()
    for cell in step.__closure__ or ():
        cell.cell_contents = 0
