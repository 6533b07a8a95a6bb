"""Graphs of calls, written down once and run many times: the names of ``ray.dag``.

``bind`` in the place of ``remote`` notes a call instead of making it; ``execute`` makes the calls of a whole graph, and
``experimental_compile`` turns a graph of actor methods into a pipeline whose values go from process to process through
shared memory, past the head.

::

    nodes.py     what users have: steps, input and output, ``execute``, ``experimental_compile``
    pipeline.py  the program's side of a compiled graph, on real processes
    arrivals.py  its thread for event loops
    ordinary.py  the program's side over ordinary calls, where there is no shared memory
    compiled.py  what both have in common: executions, results, the end
    loop.py      an actor's side
    compiling.py what can be compiled, and who does what
    plan.py      ... as plain data
    channels.py  what the processes have between them: shared memory and pipes
    refs.py      references to the results of a compiled graph
    inputs.py    what a graph is executed with
    graph.py     what a graph looks like: nodes, their order, the nodes among arguments

Names are imported when they are first used.
"""

from __future__ import annotations

TYPE_CHECKING = False  # as in the package itself
if TYPE_CHECKING:
    from typing import Any

    from actorgrid.dag.compiled import CompiledDAG
    from actorgrid.dag.inputs import DAGInputData
    from actorgrid.dag.nodes import (
        ClassMethodNode,
        ClassNode,
        DAGNode,
        FunctionNode,
        InputAttributeNode,
        InputNode,
        MultiOutputNode,
    )
    from actorgrid.dag.refs import CompiledDAGFuture, CompiledDAGRef

__all__ = [
    "ClassMethodNode",
    "ClassNode",
    "CompiledDAG",
    "CompiledDAGFuture",
    "CompiledDAGRef",
    "DAGInputData",
    "DAGNode",
    "FunctionNode",
    "InputAttributeNode",
    "InputNode",
    "MultiOutputNode",
]

#: Module -> the public names that it defines.
_HOMES = {
    "compiled": ("CompiledDAG",),
    "inputs": ("DAGInputData",),
    "nodes": (
        "ClassMethodNode", "ClassNode", "DAGNode", "FunctionNode", "InputAttributeNode", "InputNode", "MultiOutputNode",
    ),
    "refs": ("CompiledDAGFuture", "CompiledDAGRef"),
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
