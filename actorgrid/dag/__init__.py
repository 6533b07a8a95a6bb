"""Graphs of calls, written down once and run many times: the names of ``ray.dag``.

``bind`` in the place of ``remote`` notes a call instead of making it; ``execute`` makes the calls of a whole graph.

::

    graph.py     what a graph looks like: nodes, their order, the nodes among arguments
    nodes.py     what can be a node, and what executing it does

Names are imported when they are first used.
"""

from __future__ import annotations

TYPE_CHECKING = False  # as in the package itself
if TYPE_CHECKING:
    from typing import Any

    from actorgrid.dag.nodes import (
        ClassMethodNode,
        ClassNode,
        DAGInputData,
        DAGNode,
        FunctionNode,
        InputAttributeNode,
        InputNode,
        MultiOutputNode,
    )

__all__ = [
    "ClassMethodNode",
    "ClassNode",
    "DAGInputData",
    "DAGNode",
    "FunctionNode",
    "InputAttributeNode",
    "InputNode",
    "MultiOutputNode",
]

#: Module -> the public names that it defines.
_HOMES = {
    "nodes": (
        "ClassMethodNode", "ClassNode", "DAGInputData", "DAGNode", "FunctionNode", "InputAttributeNode", "InputNode",
        "MultiOutputNode",
    ),
}  # fmt: skip


if not TYPE_CHECKING:  # else type checkers would take any name for a public one

    def __getattr__(name: str) -> Any:
        from importlib import import_module

        for home, names in _HOMES.items():
            if name in names:
                value = globals()[name] = getattr(import_module(f"{__name__}.{home}"), name)
                return value
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
