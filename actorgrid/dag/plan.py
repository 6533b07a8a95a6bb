"""Who does what in a compiled graph: plain data, made from a graph that was checked, and sent to the actors."""

from __future__ import annotations

from typing import Any, NamedTuple

from actorgrid.dag.channels import Descriptor, Shape

#: The number of the step that is the input, and of the process that executes the graph.
INPUT = 0
PROGRAM = -1


class Given(NamedTuple):
    """An argument that is the same in each execution."""

    value: Any


class Taken(NamedTuple):
    """An argument that a step makes; ``which``: which of its results, None: it has one."""

    step: int
    which: int | None


Source = Given | Taken


class Step(NamedTuple):
    """One call of a method."""

    number: int
    #: Which of the graph's actors does it.
    actor: int
    method: str
    #: Class and method, for those who read errors.
    name: str
    args: tuple[Source, ...]
    kwargs: dict[str, Source]
    num_returns: int

    def needs(self) -> list[int]:
        """Return the steps whose results it is given, each once, in the order of its arguments."""
        sources = [*self.args, *self.kwargs.values()]
        return list(dict.fromkeys(source.step for source in sources if isinstance(source, Taken)))


class Channel(NamedTuple):
    """A pipe: the results of a step (0: the input) go to one process that wants them."""

    step: int
    reader: int


class Part(NamedTuple):
    """What one actor does, and what it needs for it."""

    #: The number of the process that executes the graph.
    creator: int
    steps: tuple[Step, ...]
    shape: Shape
    memory: Descriptor
    #: Step of another process -> the pipe from which to hear of its results.
    hears: dict[int, Descriptor]
    #: Step of this one -> the pipes of those who want its results.
    tells: dict[int, tuple[Descriptor, ...]]


def channels(steps: list[Step], outputs: list[Taken]) -> list[Channel]:
    """Return the pipes that a graph needs."""
    homes = {step.number: step.actor for step in steps} | {INPUT: PROGRAM}
    wanted = [Channel(need, step.actor) for step in steps for need in step.needs() if homes[need] != step.actor]
    wanted += [Channel(output.step, PROGRAM) for output in outputs]
    return list(dict.fromkeys(wanted))
