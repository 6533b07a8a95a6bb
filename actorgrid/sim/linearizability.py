"""Finding an order in which operations, one at a time, could have had the results that they had.

Wing and Gong's search (1993) with Lowe's memo (2017): operations are tried in any order that respects what had ended
before what began; a set of operations that leads to a state seen before is not tried again. The lists are Porcupine's.

This file knows nothing of actors: operations in, an order out.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Final


class _Unknown:
    """The result of an operation whose end nobody saw."""

    def __repr__(self) -> str:
        return "unknown"


UNKNOWN: Final = _Unknown()


@dataclass(eq=False)
class Operation:
    """What a client did. ``began`` and ``ended`` are positions in the history; ``ended`` is None if it never ended."""

    client: Any
    op: str
    arg: Any
    began: int
    ended: int | None = None
    out: Any = UNKNOWN

    def __str__(self) -> str:
        arg = "" if self.arg is None else repr(self.arg)
        out = "" if self.ended is None else f" -> {self.out!r}"
        return f"client {self.client}: {self.op}({arg}){out}" + ("  (never ended)" if self.ended is None else "")


class Model:
    """What the operations mean, one at a time. Subclass it; states must be hashable.

    ``step`` gets ``UNKNOWN`` as ``out`` of an operation whose end nobody saw: any result is right then.
    """

    def init(self) -> Any:
        """Return the state before the first operation."""
        return None

    def step(self, state: Any, op: str, arg: Any, out: Any) -> tuple[bool, Any]:
        """Return (whether ``op(arg)`` may return ``out`` in ``state``, the state after it)."""
        raise TypeError(f"{type(self).__name__} must define step(): {state!r}, {op!r}, {arg!r}, {out!r}")

    def partition(self, op: str, arg: Any) -> Hashable:
        """Return which independent part of the state ``op`` is about: parts are checked one by one."""
        del op, arg
        return None


@dataclass(frozen=True)
class Linearization:
    """An order that explains a history."""

    order: tuple[Operation, ...]


@dataclass(frozen=True)
class Stuck:
    """How far the best attempt came."""

    done: tuple[Operation, ...]
    state: Any
    #: Operations of which one had to be next, and none could be.
    next: tuple[Operation, ...]


class _Entry:
    """The beginning or the end of an operation, in a list from which it can be lifted and put back."""

    __slots__ = ("after", "before", "index", "operation", "partner")

    def __init__(self, operation: Operation, index: int) -> None:
        self.operation = operation
        self.index = index
        self.partner: _Entry | None = None
        self.before: _Entry | None = None
        self.after: _Entry | None = None

    def out(self) -> None:
        """Take it out."""
        if self.before is not None:
            self.before.after = self.after
        if self.after is not None:
            self.after.before = self.before

    def back(self) -> None:
        """Put it back where it was."""
        if self.before is not None:
            self.before.after = self
        if self.after is not None:
            self.after.before = self


def _entries(operations: Sequence[Operation]) -> _Entry:
    """Return the head of the list: a bare entry in front of the first."""
    timed: list[tuple[int, bool, _Entry]] = []
    for index, operation in enumerate(operations):
        begin = _Entry(operation, index)
        timed.append((operation.began, True, begin))
        if operation.ended is not None:
            end = _Entry(operation, index)
            begin.partner = end
            timed.append((operation.ended, False, end))
    timed.sort(key=lambda item: item[0])
    head = last = _Entry(operations[0], -1)
    for _, is_begin, entry in timed:
        if not is_begin:
            entry.index = -1
        last.after, entry.before = entry, last
        last = entry
    return head


def linearize(operations: Sequence[Operation], model: Model) -> Linearization | Stuck:
    """Return an order of the operations that ``model`` allows, or how far none comes."""
    if not operations:
        return Linearization(())
    search = _Search(operations, model)
    return search.run()


class _Search:
    """One search."""

    def __init__(self, operations: Sequence[Operation], model: Model) -> None:
        self._model = model
        self._head = _entries(operations)
        self._left = sum(operation.ended is not None for operation in operations)
        self._state = model.init()
        self._mask = 0
        self._seen: set[tuple[int, Any]] = set()
        self._stack: list[tuple[_Entry, Any]] = []
        self._best: Stuck | None = None

    def run(self) -> Linearization | Stuck:
        """Search until every operation that ended has its place."""
        entry = self._head.after
        while self._left:
            if entry is not None and entry.index >= 0:
                entry = self._head.after if self._take(entry) else entry.after
                continue
            self._remember()
            if not self._stack:
                assert self._best is not None
                return self._best
            entry = self._give_back()
        return Linearization(tuple(entry.operation for entry, _ in self._stack))

    def _take(self, entry: _Entry) -> bool:
        """Let an operation be next, if the model allows it and it leads somewhere new."""
        operation = entry.operation
        allowed, state = self._model.step(self._state, operation.op, operation.arg, operation.out)
        mask = self._mask | 1 << entry.index
        if not allowed or (mask, state) in self._seen:
            return False
        self._seen.add((mask, state))
        self._stack.append((entry, self._state))
        self._state, self._mask = state, mask
        entry.out()
        if entry.partner is not None:
            entry.partner.out()
            self._left -= 1
        return True

    def _give_back(self) -> _Entry | None:
        """Undo the last operation; return what to try instead."""
        entry, self._state = self._stack.pop()
        self._mask &= ~(1 << entry.index)
        if entry.partner is not None:
            entry.partner.back()
            self._left += 1
        entry.back()
        return entry.after

    def _remember(self) -> None:
        """Note how far this attempt came, if none came farther."""
        if self._best is not None and len(self._best.done) >= len(self._stack):
            return
        could: list[Operation] = []
        entry = self._head.after
        while entry is not None and entry.index >= 0:  # what began before the first end that is left
            could.append(entry.operation)
            entry = entry.after
        self._best = Stuck(tuple(entry.operation for entry, _ in self._stack), self._state, tuple(could))
