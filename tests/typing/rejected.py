"""What type checkers must reject: each ``ignore`` names the error of its line, and mypy reports
those that are not needed. Checked, never run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import actorgrid as ag
from actorgrid.actor import ActorProxy


@ag.remote
def add(a: int, b: int = 0) -> int:
    return a + b


class Counter:
    def add(self, by: int = 1) -> int:
        return by

    def count(self, most: int) -> Iterator[int]:
        yield from range(most)


class Marked:
    @ag.method
    def add(self, by: int = 1) -> int:
        return by


def marked(proxy: ActorProxy[Marked]) -> None:
    proxy.add.remote("x")  # type: ignore[call-overload]
    proxy.add.remote(1, 2)  # type: ignore[call-overload]


handle = ag.remote(Counter).remote()

add.remote("x")  # type: ignore[call-overload]
add.remote(1, c=3)  # type: ignore[call-overload]
add.remote()  # type: ignore[call-overload]
add.remote(1, 2, 3)  # type: ignore[call-overload]
add.options(num_cpus=2).remote("x")  # type: ignore[call-overload]
handle.call(Counter.add, by="x")  # type: ignore[call-overload]
handle.call(Counter.add, 1, 2)  # type: ignore[call-overload]
text: str = ag.get(add.remote(1))  # type: ignore[assignment]
ag.put()  # type: ignore[call-arg]
ag.kill(3)  # type: ignore[arg-type]
ag.cancel(add)  # type: ignore[arg-type]
ag.init(num_cpus="two")  # type: ignore[arg-type]
_ = ag.no_such_name  # type: ignore[attr-defined]
ag.JobID()  # type: ignore[misc]
ag.ActorID.nil()  # type: ignore[attr-defined]
job: ag.JobID = ag.get_runtime_context().get_job_id()  # type: ignore[assignment]


@ag.remote
def numbers(most: int) -> Iterator[int]:
    yield from range(most)


@ag.remote
def anything(value: int) -> Any:
    return value


anything.remote("x")  # type: ignore[call-overload]
handle.call(Counter.count, "x")  # type: ignore[call-overload]
numbers.remote("x")  # type: ignore[call-overload]
numbers.remote(numbers.remote(1))  # type: ignore[call-overload]
word: str = ag.get(next(numbers.remote(1)))  # type: ignore[assignment]
