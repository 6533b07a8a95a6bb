"""Whether a method that is marked ``readonly=True`` leaves its actor as it was.

It is looked at from each moment the method goes on to the next at which it waits: what happens meanwhile others do.
What cannot be pickled (a lock, a file, a lambda) counts as changed if it is another object.

This file may not know who runs methods.
"""

from __future__ import annotations

import io
import operator
import pickle
import types
import warnings
from collections.abc import Awaitable, Callable, Generator
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from actorgrid.exceptions import SimulationError
from actorgrid.sim.reach import PLAIN

if TYPE_CHECKING:
    from actorgrid.sim.fibers import Fiber

T = TypeVar("T")

_PLAIN: Final = frozenset(PLAIN)
#: Packages whose objects are means, not state: a lock that is held across a wait is no change.
_MEANS: Final = frozenset(
    {"actorgrid", "asyncio", "_asyncio", "concurrent", "contextvars", "_contextvars", "greenlet", "logging", "socket",
     "_thread", "threading", "weakref", "_weakref"}
)  # fmt: skip
_CODE: Final = (type, types.FunctionType, types.BuiltinFunctionType, types.MethodType, types.ModuleType)


def _same(kind: str, key: int) -> None:
    """Stand for an object that is compared by identity, or a reference or handle, by what it names."""


class _Print(pickle.Pickler):
    """Pickles what can be, and the identity of everything else."""

    def __init__(self, file: io.BytesIO, kept: list[Any]) -> None:
        super().__init__(file, protocol=5)
        self._kept = kept

    def reducer_override(self, obj: Any) -> Any:
        """See ``pickle.Pickler``."""
        if obj is _same:
            return NotImplemented
        kind = type(obj)
        if isinstance(obj, _CODE) or kind.__module__.partition(".")[0] in _MEANS:
            return self._identity(obj)
        try:
            reduced = obj.__reduce_ex__(5)
        except Exception:  # noqa: BLE001  # whatever keeps it from being pickled
            return self._identity(obj)
        return reduced if isinstance(reduced, tuple) else self._identity(obj)

    def _identity(self, obj: Any) -> Any:
        ours = type(obj).__module__.startswith("actorgrid.")  # references and handles hash by what they name
        self._kept.append(obj)  # its identity is its own as long as it lives
        return _same, (type(obj).__qualname__, hash(obj) if ours else id(obj))


class Watch:
    """Looks at one call of a readonly method."""

    def __init__(self, name: str, instance: Any, slots: list[str]) -> None:
        """``slots``: see ``slots_of``."""
        self._name = name
        self._instance = instance
        self._slots = slots
        #: What the actor was like: its attributes, if none of them can change in itself, or else their print.
        self._plain: dict[str, Any] | None = None
        self._before: bytes | None = None
        self._kept: list[Any] = []
        self._changed = False

    def begin(self) -> None:
        """The method goes on."""
        state = self._state()
        is_plain = _PLAIN.issuperset(map(type, state.values()))
        self._plain, self._before = (state, None) if is_plain else (None, self._print(state))

    def end(self) -> None:
        """The method waits, or is over."""
        if not self._changed:
            state = self._state()
            if self._plain is None:
                self._changed = self._before != self._print(state)
            elif not _are_same(self._plain, state):  # equal ones will do, too
                self._changed = self._print(self._plain) != self._print(state)

    def verdict(self) -> SimulationError | None:
        """Return what the call ends with if it changed its actor."""
        if not self._changed:
            return None
        return SimulationError(f"{self._name} is marked readonly=True and changed its actor")

    def _state(self) -> dict[str, Any]:
        attributes = getattr(self._instance, "__dict__", {})
        if not self._slots:
            return dict(attributes)
        return {name: getattr(self._instance, name, None) for name in self._slots} | attributes

    def _print(self, state: dict[str, Any]) -> bytes | None:
        file = io.BytesIO()
        try:
            _Print(file, self._kept).dump(state)
        except Exception as error:  # noqa: BLE001  # a __getstate__ that fails, a list that is too deep
            warnings.warn(f"{self._name} is taken at its word to be readonly: {error!r}", RuntimeWarning, stacklevel=2)
            return None
        return file.getvalue()

    def look_at(self, fiber: Fiber | None, step: Callable[[], T]) -> T:
        """Look at a step that ``fiber`` runs; when it parks in the middle of that, others have their turn."""
        self.begin()
        outer = None
        if fiber is not None:
            outer, fiber.watch = fiber.watch, self
        try:
            return step()
        finally:
            if fiber is not None:
                fiber.watch = outer
            self.end()


class Watched:
    """An awaitable whose every step is looked at."""

    def __init__(self, awaitable: Awaitable[Any], watch: Watch, fiber: Callable[[], Fiber | None]) -> None:
        self._awaitable = awaitable
        self._watch = watch
        self._fiber = fiber

    def __await__(self) -> Generator[Any, Any, Any]:
        """Await it."""
        steps: Any = self._awaitable.__await__()
        error: BaseException | None = None
        while True:
            try:
                step = partial(steps.send, None) if error is None else partial(steps.throw, error)
                waits_for = self._watch.look_at(self._fiber(), step)
            except StopIteration as over:
                return over.value
            error = None
            try:
                yield waits_for
            except GeneratorExit:
                steps.close()
                raise
            except BaseException as thrown:  # noqa: BLE001  # a cancellation: it is for what is awaited
                error = thrown


def _are_same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Return whether two dictionaries hold the same objects under the same names, in the same order."""
    return list(one) == list(other) and all(map(operator.is_, one.values(), other.values()))


def slots_of(cls: type) -> list[str]:
    """Return the names of the attributes that instances of a class do not keep in a dictionary."""
    slots = [name for kind in cls.__mro__ for name in _names(vars(kind).get("__slots__", ()))]
    return [name for name in slots if name not in {"__dict__", "__weakref__"}]


def _names(slots: Any) -> tuple[str, ...]:
    return (slots,) if isinstance(slots, str) else tuple(slots)
