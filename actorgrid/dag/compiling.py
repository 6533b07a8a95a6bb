"""From a graph to a plan: what can be compiled, and what each process does."""

from __future__ import annotations

from typing import Any, NamedTuple

from actorgrid.dag.channels import MOST_INFLIGHT
from actorgrid.dag.graph import Node, Role, nodes_in, ordered
from actorgrid.dag.inputs import GraphInput, input_of
from actorgrid.dag.plan import INPUT, Given, Source, Step, Taken

# Nodes are looked into here as nowhere else: this is the one place that must know all kinds of them.
# ruff: noqa: SLF001


class Limits(NamedTuple):
    """The options of ``experimental_compile``, checked."""

    submit_timeout: float
    buffer_size: int
    enable_asyncio: bool
    inflight: int
    buffered: int

    @classmethod
    def checked(
        cls, *, submit_timeout: Any, buffer_size: Any, enable_asyncio: Any, inflight: Any, buffered: Any
    ) -> Limits:
        """Return the options with defaults in the places of None. Raises TypeError, ValueError."""
        if not isinstance(enable_asyncio, bool):
            raise TypeError(f"enable_asyncio must be a bool, not {type(enable_asyncio).__name__}")
        if submit_timeout is not None and (
            isinstance(submit_timeout, bool) or not isinstance(submit_timeout, (int, float))
        ):
            raise TypeError(f"_submit_timeout must be a number of seconds or None, not {type(submit_timeout).__name__}")
        if submit_timeout is not None and not submit_timeout >= 0:
            raise ValueError(f"_submit_timeout must not be negative: {submit_timeout}")
        return cls(
            10.0 if submit_timeout is None else float(submit_timeout),
            _count("_buffer_size_bytes", buffer_size, 64 << 20, 1 << 40),
            enable_asyncio,
            _count("_max_inflight_executions", inflight, 10, MOST_INFLIGHT),
            _count("_max_buffered_results", buffered, 1000, 1 << 40),
        )


def _count(name: str, value: object, default: int, most: int) -> int:
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an int or None, not {type(value).__name__}")
    if not 1 <= value <= most:
        raise ValueError(f"{name} must be from 1 to {most}: {value}")
    return value


class Plan:
    """A graph that can be compiled."""

    def __init__(self, root: Node) -> None:
        """Raises ValueError if ``root`` is not the end of such a graph."""
        order = ordered(root)
        if input_of(order) is None:
            raise ValueError("a compiled graph begins with an InputNode: without it, nothing would start an execution")
        #: One handle for each actor.
        self.actors: list[Any] = []
        #: The steps, each after those that it needs, and their nodes.
        self.steps: list[Step] = []
        self.nodes: list[Any] = []
        #: What is taken of the input, by the nodes that stand for it.
        self._inputs: dict[Any, int] = {}
        self._numbers: dict[Any, int] = {}
        for node in order:
            self._add(node)
        ends: list[Any] = list(root._bound_args) if root._role is Role.OUTPUTS else [root]
        self.has_many = root._role is Role.OUTPUTS
        self.outputs = [self._output(end) for end in ends]
        self._most = _most_arguments(list(self._inputs))

    def _add(self, node: Any) -> None:
        role = node._role
        if role is Role.FUNCTION:
            raise ValueError(
                f"{node!r} cannot be part of a compiled graph, whose steps are methods of actors that are there: a "
                "task has no process of its own. Make it a method"
            )
        if role is Role.ACTOR:
            raise ValueError(
                f"{node!r} cannot be part of a compiled graph, whose actors must be there: make it with .remote() and "
                "bind the methods of its handle"
            )
        if role is Role.METHOD:
            self._add_step(node)

    def _add_step(self, node: Any) -> None:
        if node._num_returns < 1:
            raise ValueError(
                f"{node!r} has no single result (num_returns), and a step of a compiled graph must have one"
            )
        options = node._caller._call.options
        if options.timeout or options.run_timeout or options.retry_exceptions:
            raise ValueError(
                f"{node!r} has a timeout, or is to be called again after an exception, and a step of a compiled graph "
                "can have neither: give get() a timeout, and execute the graph again"
            )
        args = tuple(self._source(node, value) for value in node._bound_args)
        kwargs = {name: self._source(node, value) for name, value in node._bound_kwargs.items()}
        if node._actor not in self.actors:
            self.actors.append(node._actor)
        number = self._numbers[node] = len(self.steps) + 1
        actor = self.actors.index(node._actor)
        step = Step(number, actor, node._method, node._name, args, kwargs, node._num_returns)
        if not step.needs():
            raise ValueError(
                f"{node!r} is given neither the input nor another step's result: nothing would tell its actor when to "
                "call it. Give it one of them"
            )
        self.steps.append(step)
        self.nodes.append(node)

    def _source(self, node: Node, value: Any) -> Source:
        if not isinstance(value, Node):
            if any(True for _ in nodes_in(value)):
                raise ValueError(
                    f"{node!r} is given a container with a step in it; in a compiled graph a step must be an argument "
                    "itself"
                )
            return Given(value)
        role = value._role
        if role in {Role.INPUT, Role.PART_OF_INPUT}:
            return Taken(INPUT, self._inputs.setdefault(value, len(self._inputs)))
        if role is Role.OUTPUTS:
            raise ValueError("a MultiOutputNode is the end of a graph, and cannot be an argument")
        return self._taken(value)

    def _taken(self, node: Any) -> Taken:
        if node._role is Role.ONE_OF_MANY:
            return Taken(self._numbers[node._node], node._index)
        return Taken(self._numbers[node], None)

    def _output(self, node: Any) -> Taken:
        if node._role not in {Role.METHOD, Role.ONE_OF_MANY}:
            raise ValueError(f"a compiled graph ends with methods of actors, not with {node!r}")
        return self._taken(node)

    def inputs(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
        """Return what is taken of the input of one execution.

        Raises TypeError, ValueError for arguments that no step takes, and what looking it up raises.
        """
        given = GraphInput(args, kwargs, wanted=True)
        only_one = len(args) == 1 and not kwargs  # parts are those of that argument
        if self._most is not None and len(args) > self._most and not only_one:
            raise ValueError(
                f"the graph takes {self._most} positional argument{'s' * (self._most != 1)}, and execute() was given "
                f"{len(args)}"
            )
        return [node._make({}, given) for node in self._inputs]


def _most_arguments(inputs: list[Any]) -> int | None:
    """Return how many positional arguments a graph takes of which these nodes are the input; None: any number."""
    if any(node._role is Role.INPUT for node in inputs):
        return None
    numbers = [node._key for node in inputs if not isinstance(node._key, str)]
    if not all(isinstance(number, int) and number >= 0 for number in numbers):
        return None
    return max(numbers, default=-1) + 1
