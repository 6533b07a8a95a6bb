"""Histories: who did what, from when to when, and what came of it; and models of what it should mean.

A history is plain data that many simulated tasks may write: pickled, it is a reference to itself, so that the closures
of tasks can carry it. Its order is the order of the calls of ``record``, not that of a clock.
"""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from actorgrid.core.ids import DRIVER
from actorgrid.engine import current
from actorgrid.exceptions import NotLinearizable
from actorgrid.sim.host import SimHost
from actorgrid.sim.linearizability import UNKNOWN, Linearization, Model, Operation, Stuck, linearize
from actorgrid.sim.onlookers import Holds
from actorgrid.sim.standins import simulating

if TYPE_CHECKING:
    from actorgrid.sim.world import World

#: Those that were made in a simulated run, by number - 1: the n-th of each run is pickled in the same way.
_of_runs: Final[weakref.WeakKeyDictionary[World, list[History]]] = weakref.WeakKeyDictionary()
#: All others, by number.
_histories: Final[weakref.WeakValueDictionary[int, History]] = weakref.WeakValueDictionary()
_numbers: Final = itertools.count(1)
#: Operations that a report shows.
SHOWN: Final = 12


class Record:
    """An operation that is being recorded: set ``value`` to what it returned."""

    def __init__(self, operation: Operation) -> None:
        self.operation = operation
        self.value: Any = None
        self.dropped = False

    def failed(self) -> None:
        """It certainly did not happen."""
        self.dropped = True


class History:
    """What clients did."""

    def __init__(self) -> None:
        self.operations: list[Operation] = []
        self._position = 0
        world = simulating()
        self._is_of_a_run = world is not None
        if world is not None:
            siblings = _of_runs.setdefault(world, [])
            siblings.append(self)
            self._number = len(siblings)
        else:
            self._number = next(_numbers)
            _histories[self._number] = self

    @contextmanager
    def record(self, client: Any, op: str, *args: Any) -> Iterator[Record]:
        """Record the block as operation ``op`` of ``client``.

        Left normally it has happened and returned ``value``. Left by an exception, or never (its process was killed),
        it may or may not have happened, at any time after it began.
        """
        arg = None if not args else args[0] if len(args) == 1 else args
        operation = Operation(client, op, arg, self._tick())
        self.operations.append(operation)
        record = Record(operation)
        try:
            yield record
        finally:
            if record.dropped:
                self.operations.remove(operation)
        if not record.dropped:
            operation.ended, operation.out = self._tick(), record.value

    def _tick(self) -> int:
        engine: object = current.installed()
        if isinstance(engine, SimHost):
            engine.world.touch(("history", self._number))
            if engine.client.number != DRIVER:  # whether one began before another ended: as good as a clock
                engine.world.onlookers.need(Holds.TASKS)
        self._position += 1
        return self._position

    def check(self, model: Model, partition: Callable[[str, Any], Hashable] | None = None) -> Linearization:
        """Return an order that explains the history. Raises NotLinearizable with the story if there is none."""
        parts: dict[Hashable, list[Operation]] = {}
        for operation in self.operations:
            parts.setdefault((partition or model.partition)(operation.op, operation.arg), []).append(operation)
        order: list[Operation] = []
        for part, operations in parts.items():
            result = linearize(operations, model)
            if isinstance(result, Stuck):
                raise NotLinearizable(_story(result, part))
            order += result.order
        return Linearization(tuple(order))

    def __reduce__(self) -> tuple[Any, ...]:
        return _find, (self._number, self._is_of_a_run)


def _find(number: int, is_of_a_run: bool) -> History:  # called by a pickle
    world = simulating()
    if is_of_a_run:
        history = dict(enumerate(_of_runs.get(world, []) if world is not None else [], 1)).get(number)
    else:
        history = _histories.get(number)
    if history is None:
        raise ValueError("a History lives in one interpreter: it can be used in simulations, and not on real processes")
    return history


def _story(stuck: Stuck, part: Hashable) -> str:
    about = "" if part is None else f" of {part!r}"
    lines = [f"no order of the operations{about} explains their results. The longest that does ends so:"]
    done = stuck.done[-SHOWN:]
    if len(done) < len(stuck.done):
        lines.append(f"  ... {len(stuck.done) - len(done)} operations before")
    lines += [f"  {operation}" for operation in done]
    lines += [f"then the state is {stuck.state!r}, and none of these can be next:"]
    lines += [f"  {operation}" for operation in stuck.next]
    return "\n".join(lines)


# ---------------------------------------------------------------------------------------------------- ready models


class Register(Model):
    """``read() -> value``, ``write(value)``, ``cas((old, new)) -> bool``; starts as ``initial``."""

    def __init__(self, initial: Any = None) -> None:
        self.initial = initial

    def init(self) -> Any:
        """See ``Model``."""
        return self.initial

    def step(self, state: Any, op: str, arg: Any, out: Any) -> tuple[bool, Any]:
        """See ``Model``."""
        if op == "write":
            return True, arg
        if op == "read":
            return out is UNKNOWN or out == state, state
        old, new = arg
        swapped = state == old
        return out is UNKNOWN or bool(out) == swapped, new if swapped else state


class Counter(Model):
    """``add(n)``, ``get() -> sum``."""

    def init(self) -> Any:
        """See ``Model``."""
        return 0

    def step(self, state: Any, op: str, arg: Any, out: Any) -> tuple[bool, Any]:
        """See ``Model``."""
        if op == "add":
            return True, state + arg
        return out is UNKNOWN or out == state, state


class Queue(Model):
    """``put(item)``, ``get() -> item`` (None: empty), first in, first out."""

    def init(self) -> Any:
        """See ``Model``."""
        return ()

    def step(self, state: Any, op: str, arg: Any, out: Any) -> tuple[bool, Any]:
        """See ``Model``."""
        if op == "put":
            return True, (*state, arg)
        first = state[0] if state else None
        return out is UNKNOWN or out == first, state[1:]


class Mutex(Model):
    """``acquire()`` and ``release()`` of one lock."""

    def init(self) -> Any:
        """See ``Model``."""
        return False

    def step(self, state: Any, op: str, arg: Any, out: Any) -> tuple[bool, Any]:
        """See ``Model``."""
        del arg, out
        return (not state, True) if op == "acquire" else (state, False)


class KeyValue(Register):
    """``read(key) -> value``, ``write((key, value))``: a register for each key, checked key by key."""

    def step(self, state: Any, op: str, arg: Any, out: Any) -> tuple[bool, Any]:
        """See ``Model``."""
        return super().step(state, op, arg[1] if op == "write" else None, out)

    def partition(self, op: str, arg: Any) -> Hashable:
        """See ``Model``."""
        key: Hashable = arg[0] if op == "write" else arg
        return key
