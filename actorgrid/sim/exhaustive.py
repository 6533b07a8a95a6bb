"""Every run there is: depth-first search over the tree of choices, with sleep sets.

Two runs that differ only in the order of calls that do not depend on each other (different actors, or ``readonly``
methods of one) are the same run; sleep sets (Godefroid 1996) see to it that only one of them is completed. ``classes``
counts the completed ones, ``blocked`` those that were given up because all that they could do had been done.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from actorgrid.exceptions import NondeterminismError
from actorgrid.sim.choices import Event
from actorgrid.sim.runner import Run


class Blocked(BaseException):
    """Everything that this run could go on to do has been explored."""


@dataclass
class _Node:
    """A decision on the path that is being explored."""

    #: What may happen, as plain data; None for a draw.
    events: list[Event] | None
    bound: int
    chosen: int
    #: Events that need not be explored from here: key -> event.
    sleep: dict[Any, Event] = field(default_factory=dict)
    #: Choices that are done.
    done: list[int] = field(default_factory=list)


class DepthFirst:
    """The policy: follows the path to the newest branch, then goes on with what is dullest and awake."""

    sees_all = True

    def __init__(self, *, reduce: bool) -> None:
        self._reduce = reduce
        self._path: list[_Node] = []
        self._depth = 0

    def begin(self) -> None:
        """A run starts."""
        self._depth = 0

    def choose(self, events: Sequence[Event]) -> int:
        """See ``Policy``."""
        return self._node(events, len(events)).chosen

    def draw(self, kind: str, bound: int) -> int:
        """See ``Policy``."""
        del kind
        return self._node(None, bound).chosen

    def _node(self, events: Sequence[Event] | None, bound: int) -> _Node:
        depth = self._depth
        self._depth += 1
        if depth < len(self._path):
            node = self._path[depth]
            if node.bound != bound:
                raise NondeterminismError(
                    f"after the same {depth} choices there were {node.bound} possibilities, and now {bound}"
                )
            return node
        plain = None if events is None else [event.plain() for event in events]
        node = _Node(plain, bound, 0, self._asleep())
        awake = self._awake(node)
        if not awake:
            raise Blocked
        node.chosen = awake[0]
        self._path.append(node)
        return node

    def _asleep(self) -> dict[Any, Event]:
        """Return the sleep set of a new node: its parent's, and what the parent did before, if independent."""
        if not self._path or not self._reduce:
            return {}
        parent = self._path[-1]
        if parent.events is None:
            return dict(parent.sleep)
        taken = parent.events[parent.chosen]
        before = {parent.events[index].key: parent.events[index] for index in parent.done}
        return {key: event for key, event in {**parent.sleep, **before}.items() if not event.depends(taken)}

    @staticmethod
    def _awake(node: _Node) -> list[int]:
        """Return the choices of a node that are neither done nor asleep."""
        if node.events is None:
            return [index for index in range(node.bound) if index not in node.done]
        return [
            index for index, event in enumerate(node.events) if index not in node.done and event.key not in node.sleep
        ]

    def advance(self) -> bool:
        """Turn to the newest branch that is left. Returns False if there is none."""
        while self._path:
            node = self._path[-1]
            node.done.append(node.chosen)
            awake = self._awake(node)
            if awake:
                node.chosen = awake[0]
                return True
            self._path.pop()
        return False


@dataclass
class Proof:
    """What came of trying everything."""

    #: Whether everything was tried.
    complete: bool = False
    #: Runs that ended, each standing for all that differ from it in nothing that matters.
    classes: int = 0
    blocked: int = 0
    failures: list[Run] = field(default_factory=list)
    #: How many of the classes failed.
    failing: int = 0

    def __str__(self) -> str:
        how = "every schedule" if self.complete else "not every schedule"
        verdict = f"{self.failing} of them fail" if self.failing else "none fails"
        return f"{how}: {self.classes} classes, {verdict} ({self.blocked} runs were cut short)"


def explore_all(run: Callable[[DepthFirst], Run], *, reduce: bool, most: int, keep: int) -> Proof:
    """Run everything, at most ``most`` runs; ``keep`` failures at the most are kept."""
    proof = Proof()
    policy = DepthFirst(reduce=reduce)
    for _ in range(most):
        policy.begin()
        result = run(policy)
        if isinstance(result.error, Blocked):
            proof.blocked += 1
        else:
            proof.classes += 1
            if result.failed:
                proof.failing += 1
                if len(proof.failures) < keep:
                    proof.failures.append(result)
        if not policy.advance():
            proof.complete = True
            return proof
    return proof
