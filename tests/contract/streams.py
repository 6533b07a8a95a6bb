"""What the tests of streams use: generators of every kind, and how they are read."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

# ruff: noqa: UP028
# ... because Ray sends into what a generator yields from, and a range has no ``send``.

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import actorgrid as ag
from tests.contract.tools import DEADLINE, count_run

BOUND = "_generator_backpressure_num_objects"


@ag.remote
def count(most: int) -> Iterator[int]:
    for number in range(most):
        yield number


@ag.remote
def fails_at(most: int) -> Iterator[int]:
    for number in range(most):
        yield number
    raise ValueError(most)


@ag.remote
def noted(path: Path, most: int = 1000) -> Iterator[int]:
    """Note each item in a file before it goes out, and the end in another."""
    try:
        for _ in range(most):
            yield count_run(path)
    finally:
        count_run(path.with_suffix(".closed"))


@ag.remote
def gated(gate: Any, most: int = 2) -> Iterator[int]:
    """Pass the gate before the last item."""
    for number in range(most - 1):
        yield number
    ag.get(gate.pass_through.remote())
    yield most - 1


class Numbers:
    """Every kind of generator method."""

    def __init__(self) -> None:
        self.closed = 0

    def sync(self, most: int) -> Iterator[int]:
        try:
            for number in range(most):
                yield number
        finally:
            self.closed += 1

    def fails(self, most: int) -> Iterator[int]:
        for number in range(most):
            yield number
        raise ValueError(most)

    def times_closed(self) -> int:
        return self.closed


@ag.remote(num_cpus=0)
class AsyncNumbers(Numbers):
    async def asynchronous(self, most: int) -> AsyncIterator[int]:
        try:
            for number in range(most):
                await asyncio.sleep(0)
                yield number
        finally:
            self.closed += 1

    async def asynchronous_fails(self, most: int) -> AsyncIterator[int]:
        for number in range(most):
            yield number
        raise ValueError(most)

    async def answer(self) -> int:
        return 42


KINDS: dict[str, Callable[[], Any]] = {
    "task": lambda: count.remote,
    "method": lambda: ag.remote(num_cpus=0)(Numbers).remote().sync.remote,
    "threaded": lambda: ag.remote(num_cpus=0, max_concurrency=3)(Numbers).remote().sync.remote,
    "of an async actor": lambda: AsyncNumbers.remote().sync.remote,
    "async": lambda: AsyncNumbers.remote().asynchronous.remote,
}


def values(generator: Any) -> list[Any]:
    """Read to the end; errors are listed by class."""
    read: list[Any] = []
    for ref in generator:
        try:
            read.append(ag.get(ref, timeout=DEADLINE))
        except ag.exceptions.RayError as error:
            read.append(type(getattr(error, "cause", None) or error))
    return read
