"""OR: order, and errors that pass through many tasks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import actorgrid as ag
from tests.faults.catalogue import Case, Elsewhere, fate, get, run

# ------------------------------------------------------------------------------------------------- what the tasks do


def fail() -> None:
    raise KeyError("the root")


@ag.remote
def follow(*values: Any) -> int:
    return len(values)


@ag.remote(num_cpus=0)
class Notebook:
    def __init__(self) -> None:
        self.written: list[int] = []

    def write(self, number: int) -> None:
        self.written.append(number)

    def read(self) -> list[int]:
        return self.written


# ------------------------------------------------------------------------------------------- how it is brought about


def calls_in_order(count: int) -> Any:
    def inject(folder: Path) -> bool:
        del folder
        notebook: Any = Notebook.remote()  # type: ignore[attr-defined]  # mypy does not see the decorator
        for number in range(count):
            notebook.write.remote(number)
        return bool(get(notebook.read.remote()) == list(range(count)))

    return inject


def names_the_root(ref: Any) -> bool:
    error = fate(ref)
    return isinstance(error, KeyError) and "the root" in str(error) and "fail" in str(error)


def many_dependants(folder: Path) -> bool:
    del folder
    root = run(fail)
    return all([names_the_root(ref) for ref in [follow.remote(root, number) for number in range(1000)]])  # noqa: C419


def diamond(folder: Path) -> bool:
    del folder
    layer = [run(fail)]
    for _ in range(20):
        layer = [follow.remote(*layer) for _ in range(20)]
    return names_the_root(follow.remote(*layer))


def chain(length: int) -> Any:
    def inject(folder: Path) -> bool:
        del folder
        ref = run(fail)
        for _ in range(length):
            ref = follow.remote(ref)
        return names_the_root(ref)

    return inject


#: References to what lies in between are gone before it fails: that nobody asked for it is said.
UNREAD = r"Unhandled error .*|\w+\(\) did not run[,:] .*|Traceback .*|  File .*|    raise KeyError.*|KeyError: .*"

CASES = [
    Case("OR01", "10000 calls of an actor are in order", calls_in_order(10_000)),
    Case("OR01b", "100000 calls of an actor are in order", calls_in_order(100_000), slow=True),
    Case("OR07-fan", "root of 1000 tasks fails", many_dependants),
    Case("OR07-diamond", "root of 20 layers fails", diamond, stderr=UNREAD),
    Case("OR07-chain", "root of a chain of 10000 fails", chain(10_000), stderr=UNREAD),
]  # fmt: skip

ELSEWHERE = [
    Elsewhere("OR05", "messages in any order", "tests/core/test_programs.py::"
              "test_every_program_ends_and_leaves_nothing"),
]  # fmt: skip
