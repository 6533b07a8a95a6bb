"""What ``execute`` was given, and what the input nodes of a graph stand for then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from actorgrid.dag.graph import Node, Role


class DAGInputData:
    """What an InputNode stands for when ``execute`` is given several arguments: ``data[0]``, ``data["name"]``."""

    def __init__(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        self._args = args
        self._kwargs = dict(kwargs)

    def __getitem__(self, key: int | str) -> Any:
        try:
            return self._kwargs[key] if isinstance(key, str) else self._args[key]
        except (IndexError, KeyError):
            kind = f"keyword argument {key!r}" if isinstance(key, str) else f"argument number {key}"
            raise ValueError(f"the graph takes {kind}, which execute() was not given") from None


class GraphInput:
    """The arguments of one execution, checked against the graph."""

    __slots__ = ("args", "kwargs")

    def __init__(self, args: tuple[Any, ...], kwargs: dict[str, Any], *, wanted: bool) -> None:
        """``wanted``: the graph has an InputNode. Raises TypeError if there is none and arguments, or vice versa."""
        if wanted and not (args or kwargs):
            raise TypeError("the graph begins with an InputNode: execute() must be given what it stands for")
        if (args or kwargs) and not wanted:
            raise TypeError("the graph has no InputNode: execute() takes no arguments")
        self.args = args
        self.kwargs = kwargs

    def whole(self) -> Any:
        """Return what the InputNode itself stands for."""
        if len(self.args) == 1 and not self.kwargs:
            return self.args[0]
        return DAGInputData(self.args, self.kwargs)

    def part(self, key: Any, *, is_attribute: bool) -> Any:
        """Return what ``input[key]`` or ``input.key`` stands for. Raises what looking it up raises."""
        whole = self.whole()
        if isinstance(whole, DAGInputData):
            return whole[key]
        return getattr(whole, key) if is_attribute else whole[key]


def input_of(order: Sequence[Node]) -> Node | None:
    """Return the InputNode of a graph, None if it has none. Raises ValueError if there are several."""
    inputs = [node for node in order if node._role is Role.INPUT]  # noqa: SLF001  # our own class
    if len(inputs) > 1:
        raise ValueError(f"a graph has one InputNode, and this one has {len(inputs)}")
    return inputs[0] if inputs else None
