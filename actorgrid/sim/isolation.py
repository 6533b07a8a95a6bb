"""Module globals that simulated processes share and real ones would not: who changed one, and who comes to read it.

All simulated processes run in one interpreter, so a function that lies in a module finds there what another process has
put. On real processes each has its own copy. Nobody is told of a change; so after every turn of a fiber what the
program's functions refer to is compared with what it was, and a change is laid to the process that ran. When a call
then begins, in another process, whose code refers to it, the two worlds part, and SharedStateLeak says so.

What is looked at: the globals that a task's or an actor's code mentions, and those of the functions it calls, if
they are plain data or containers of it. Attributes of classes are not.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterator
from types import CodeType, FunctionType
from typing import Any, Final

from actorgrid.exceptions import SharedStateLeak
from actorgrid.sim.places import NOT_THEIRS

#: How deep into containers, and how many elements of one, are compared.
DEPTH: Final = 3
MOST: Final = 200
_PLAIN: Final = (int, float, str, bytes, bool, complex, type(None))
_CONTAINERS: Final = (list, tuple, set, frozenset, deque)

#: A module's dictionary (by identity) and a name in it.
Key = tuple[int, str]
#: What code refers to, for ever: the code does not change.
_mentioned: dict[CodeType, frozenset[str]] = {}
_harmless: Final[set[tuple[str, str]]] = set()


def share(module: str, name: str) -> None:
    """Declare that it does no harm if simulated processes share this global: a cache of what never changes, say."""
    _harmless.add((module, name))


class Watch:
    """A global that the program's code refers to."""

    __slots__ = ("name", "namespace", "print", "writer")

    def __init__(self, namespace: dict[str, Any], name: str) -> None:
        self.namespace = namespace
        self.name = name
        self.print = fingerprint(namespace.get(name))
        #: The process that changed it last.
        self.writer: Any = None


class Isolation:
    """What the processes of one world do to each other's globals."""

    def __init__(self) -> None:
        self._watches: dict[Key, Watch] = {}
        self._names: dict[int, list[tuple[dict[str, Any], str]]] = {}
        self._running: Any = None
        #: The first leak that was found: the program may have swallowed it.
        self.leak: SharedStateLeak | None = None

    def enters(self, home: Any) -> None:
        """Code of another process is about to run: see what the one before has changed."""
        for watch in self._watches.values():
            now = fingerprint(watch.namespace.get(watch.name))
            if now != watch.print:
                watch.print = now
                watch.writer = self._running
        self._running = home

    def calls(self, home: Any, target: Any, what: str) -> None:
        """A process begins a call of ``target``. Raises SharedStateLeak if it will find what another one left."""
        names = self._names.get(id(target))
        if names is None:
            names = self._names[id(target)] = list(_globals_of(target, set()))
        for namespace, name in names:
            watch = self._watches.get((id(namespace), name))
            if watch is None:
                self._watches[id(namespace), name] = Watch(namespace, name)
            elif watch.writer is not None and watch.writer is not home:
                module = namespace.get("__name__", "?")
                self.leak = SharedStateLeak(
                    f"{what} refers to the global {module}.{name}, which another simulated process has changed; on "
                    "real processes it would not see that. Pass it as an argument or keep it in an actor; if sharing "
                    f"it does no harm, say actorgrid.sim.share({module!r}, {name!r})"
                )
                raise self.leak


def fingerprint(value: Any, depth: int = DEPTH) -> Any:
    """Return something that differs after a change of plain data; of anything else its identity."""
    kind = type(value)
    if kind in _PLAIN:
        return value
    if depth and isinstance(value, dict) and len(value) <= MOST:
        return id(value), [(fingerprint(key, depth - 1), fingerprint(held, depth - 1)) for key, held in value.items()]
    if depth and kind in _CONTAINERS and len(value) <= MOST:
        return id(value), [fingerprint(held, depth - 1) for held in value]
    return id(value), len(value) if isinstance(value, dict | list | set | deque | bytearray) else 0


def _globals_of(target: Any, seen: set[int]) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield the globals that a function or class, and what it calls, refer to: of modules, not of private copies."""
    if id(target) in seen:
        return
    seen.add(id(target))
    if isinstance(target, type):
        for base in target.__mro__[:-1]:
            for member in vars(base).values():
                if isinstance(member, FunctionType | staticmethod | classmethod):
                    yield from _globals_of(getattr(member, "__func__", member), seen)
        return
    if not isinstance(target, FunctionType):
        return
    namespace = target.__globals__
    module = sys.modules.get(str(namespace.get("__name__")))
    # What was pickled by value, as a task's own function is, has globals of its own in every process.
    is_shared = module is not None and vars(module) is namespace
    for name in sorted(_names_in(target.__code__)):
        if name not in namespace or (namespace.get("__name__"), name) in _harmless:
            continue
        value = namespace[name]
        if isinstance(value, FunctionType) and not value.__code__.co_filename.startswith(NOT_THEIRS):
            yield from _globals_of(value, seen)
        elif not is_shared:
            continue
        elif type(value) in _PLAIN or isinstance(value, dict | list | tuple | set | frozenset | deque | bytearray):
            yield namespace, name


def _names_in(code: CodeType) -> frozenset[str]:
    known = _mentioned.get(code)
    if known is None:
        inner = [_names_in(constant) for constant in code.co_consts if isinstance(constant, CodeType)]
        known = _mentioned[code] = frozenset(code.co_names).union(*inner)
    return known
