"""A module of helpers that keep something in every way there is: subject of ``test_isolation``."""

from __future__ import annotations

import functools
import itertools
import sys
from collections.abc import Callable

import actorgrid as ag

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


def attributed() -> int:
    attributed.calls = getattr(attributed, "calls", 0) + 1  # type: ignore[attr-defined]  # the subject
    return int(attributed.calls)  # type: ignore[attr-defined]  # see above


def hit_attribute() -> int:
    return attributed()


def add_by_name() -> int:
    globals()["added"] = globals().get("added", 0) + 1
    return int(globals()["added"])


def add_by_setattr() -> int:
    module = sys.modules[__name__]
    setattr(module, "added", getattr(module, "added", 0) + 1)  # noqa: B010  # the subject
    return int(getattr(module, "added"))  # noqa: B009  # see above


def add_by_statement() -> int:
    global added  # noqa: PLW0603  # the subject
    try:
        added += 1  # type: ignore[name-defined]  # see above
    except NameError:
        added = 1  # type: ignore[name-defined]  # see above
    return int(added)  # type: ignore[name-defined]  # see above


def read_what_is_added() -> int:
    try:
        return int(added)  # type: ignore[name-defined]  # see above
    except NameError:
        return 0


def remember_itself(n: int = 1, *, known: list[int] = []) -> int:  # noqa: B006  # the subject
    known.append(n)
    return len(known)


@ag.remote
class Remembering:
    """Its class goes by value; its methods, which the handle shows, are those of the module."""

    def note(self, n: int, known: list[int] = []) -> int:  # noqa: B006  # the subject
        known.append(n)
        return len(known)


def clear() -> None:
    global counter, numbers  # noqa: PLW0603  # the subject
    globals().pop("added", None)
    vars(attributed).clear()
    (remember_itself.__kwdefaults__ or {})["known"].clear()
    seen.clear()
    counter = total.value = slotted.value = Total.count = 0
    numbers = itertools.count(1)
    (remember.__defaults__ or ())[0].clear()
    for cell in step.__closure__ or ():
        cell.cell_contents = 0
