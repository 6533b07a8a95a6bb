"""What a graph looks like: nodes that need other nodes, in an order in which each comes after what it needs.

A node knows its needs and how to make its result from theirs. Whoever runs a graph does so in the order of ``ordered``,
and keeps one result for each node: a node that two others need is made once. Nothing here recurses over the graph, so a
chain may be of any length.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Any, NoReturn


class Role(StrEnum):
    """What kind of step a node is."""

    FUNCTION = "function"
    ACTOR = "actor"
    METHOD = "method"
    ONE_OF_MANY = "one of many"
    INPUT = "input"
    PART_OF_INPUT = "part of input"
    OUTPUTS = "outputs"


class Node:
    """A step of a graph, as those see it that order and check graphs; ``nodes.DAGNode`` is what users have."""

    _role: Role

    def __init__(self, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None) -> None:
        """``args``, ``kwargs``: what the step is given; nodes among them, in lists, tuples and dicts too."""
        self._bound_args = args
        self._bound_kwargs = dict(kwargs or {})

    def _needs(self) -> Iterator[Node]:
        """Yield the nodes whose results this one needs."""
        yield from nodes_in((self._bound_args, self._bound_kwargs))

    def _make(self, results: Mapping[Node, Any], given: Any) -> Any:
        """Return the result, now that those of ``_needs`` are there. ``given``: the graph's input."""
        raise AssertionError("a node defines this", results, given)

    def _arguments(self, results: Mapping[Node, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments, with results in the places of nodes."""
        look = results.__getitem__
        args = tuple(replaced(each, look) for each in self._bound_args)
        return args, {name: replaced(each, look) for name, each in self._bound_kwargs.items()}

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"{self!r} is a step of a graph, not a value: it cannot be sent or pickled. Give it to another step's "
            "bind() itself, or in a list, tuple or dict"
        )


def ordered(root: Node) -> list[Node]:
    """Return ``root`` and all that it needs, each once, after what it needs itself."""
    order: list[Node] = []
    seen = {root}
    path = [(root, root._needs())]  # noqa: SLF001  # our own class
    while path:
        node, needs = path[-1]
        for need in needs:
            if need not in seen:
                seen.add(need)
                path.append((need, need._needs()))  # noqa: SLF001  # our own class
                break
        else:
            order.append(node)
            path.pop()
    return order


def nodes_in(value: Any) -> Iterator[Node]:
    """Yield the nodes that are ``value``, or in it: in lists, tuples and dicts, however deep."""
    if isinstance(value, Node):
        yield value
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from nodes_in(each)
    elif isinstance(value, dict):
        for each in value.values():
            yield from nodes_in(each)


def holds_nodes(values: Iterable[Any]) -> bool:
    """Return whether there are nodes among ``values``, or in them."""
    return any(True for value in values for _ in nodes_in(value))


def replaced(value: Any, look: Callable[[Node], Any]) -> Any:
    """Return ``value`` with ``look(node)`` in the place of each node; without nodes, ``value`` itself."""
    if isinstance(value, Node):
        return look(value)
    if not holds_nodes((value,)):
        return value
    if isinstance(value, list):
        return [replaced(each, look) for each in value]
    if isinstance(value, dict):
        return {key: replaced(each, look) for key, each in value.items()}
    items = [replaced(each, look) for each in value]
    return type(value)(*items) if hasattr(value, "_fields") else tuple(items)
