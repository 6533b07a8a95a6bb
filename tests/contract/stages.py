"""What the tests of compiled graphs use: actors that are steps."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import actorgrid as ag
from actorgrid.dag import InputNode
from tests.contract.tools import DEADLINE, kill_this_process


def get(ref: Any) -> Any:
    return ag.get(ref, timeout=DEADLINE)


@ag.remote(num_cpus=0)
class Stage:
    """One step of a pipeline."""

    def __init__(self, by: int = 0) -> None:
        self.by = by
        self.seen: list[Any] = []

    def add(self, value: int) -> int:
        return value + self.by

    def sum(self, left: int, right: int) -> int:
        return left + right

    def echo(self, value: Any, *, extra: Any = None) -> Any:
        return value if extra is None else (value, extra)

    def keep(self, value: Any) -> Any:
        self.seen.append(value)
        return len(self.seen)

    def kept(self) -> list[Any]:
        return self.seen

    def fail_on(self, value: Any, bad: Any) -> Any:
        if value == bad:
            raise KeyError(value)
        return value

    @ag.method(num_returns=2)
    def divide(self, value: int) -> tuple[int, int]:
        return divmod(value, 10)

    def wait_at(self, value: Any, gate: Any) -> Any:
        ag.get(gate.pass_through.remote(value))
        return value

    def die_on(self, value: Any, bad: Any) -> Any:
        if value == bad:
            kill_this_process()
        return value

    def reference(self, value: Any) -> Any:
        return [ag.put(value)]

    def make(self, size: int) -> bytes:
        return bytes(size)

    def stream(self, value: Any) -> Iterator[Any]:
        yield value


@ag.remote(num_cpus=0)
class AsyncStage:
    async def echo(self, value: Any) -> Any:
        return value


def compiling() -> Iterator[Callable[..., Any]]:
    """Give a function that compiles a graph, and tear down what it has made."""
    made: list[Any] = []

    def compile_graph(graph: Any, **options: Any) -> Any:
        made.append(graph.experimental_compile(**options))
        return made[-1]

    yield compile_graph
    for each in made:
        each.teardown()


def pipeline(compiled: Callable[..., Any], *stages: Any, **options: Any) -> Any:
    """Return a compiled graph that calls ``add`` of each."""
    with InputNode() as value:
        node: Any = value
        for stage in stages:
            node = stage.add.bind(node)
    return compiled(node, **options)
