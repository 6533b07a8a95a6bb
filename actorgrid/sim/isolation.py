"""Module globals that simulated processes share and real ones would not: who changed one, and who comes to read it.

All simulated processes run in one interpreter, so a function that lies in a module finds there what another process has
put. On real processes each has its own copy. Nobody is told of a change; so whenever another process gets its turn,
what the program's code refers to is compared with what it was, and a change is laid to the process that ran. When a
process then runs code that refers to it, the two worlds part, and SharedStateLeak says so.

What is looked at: see ``reach``. It is plain data, containers of it, and instances of the program's classes: in module
globals, also those that are not there as yet, class attributes, default arguments and attributes of functions, and
variables that functions of a module share.
"""

from __future__ import annotations

import functools
import itertools
from collections import deque
from collections.abc import Callable
from types import FunctionType, MethodType
from typing import Any, Final

from actorgrid.exceptions import SharedStateLeak
from actorgrid.sim.reach import ATTRIBUTES, CONTAINERS, PLAIN, Place, Reach, has_state
from actorgrid.sim.snapshots import fresh, snapshot

#: How deep into containers and instances, and how many elements of one, are compared.
DEPTH: Final = 3
MOST: Final = 200
_CONTAINERS: Final = (list, tuple, set, frozenset, deque)
#: What is code, if it is an argument of a call.
_CALLED: Final = (FunctionType, MethodType, functools.partial, type)
#: Who runs if no worker does.
MAIN: Final = "the main program"

_harmless: Final[set[tuple[str, str]]] = set()


def share(module: str, name: str) -> None:
    """Declare that it does no harm if simulated processes share this global: a cache of what never changes, say.

    ``name``: also ``Class.attribute``, as the error has it.
    """
    _harmless.add((module, name))


class Watch:
    """A variable that the program's code refers to."""

    __slots__ = ("_first", "_undo", "is_plain", "of_worker", "place", "print", "read", "value", "writer")

    def __init__(self, place: Place) -> None:
        self.place, self.read = place, place.read
        self.value = place.read()
        self.is_plain = type(self.value) in PLAIN
        self.print = fingerprint(self.value)
        #: The process that changed it last; whether one has that is not the main program.
        self.writer: Any = None
        self.of_worker = False
        self._first, self._undo = fresh(self.value), snapshot(self.value)

    def has_changed(self) -> bool:
        """Return whether it is another one than when it was asked last."""
        value = self.read()
        if value is self.value and self.is_plain:
            return False
        self.value, self.is_plain = value, type(value) in PLAIN
        now = fingerprint(value)
        changed = bool(now != self.print)
        self.print = now
        return changed

    def changed_by(self, writer: Any) -> None:
        """Note who did."""
        self.writer = writer
        self.of_worker = self.of_worker or writer is not MAIN

    def put_back(self) -> None:
        """Have it be what it was in the beginning."""
        self._undo()
        self.place.write(self._first)


class Isolation:
    """What the processes of one world do to each other's globals."""

    def __init__(self) -> None:
        self._watches: dict[Any, Watch] = {}
        #: Those that are compared; and attributes of functions that have none but decorators' marks. As few functions
        #: have any, these are only counted, all at once, as long as none are added.
        self._compared: list[Watch] = []
        #: One of them has been changed by somebody.
        self._is_changed = False
        self._bare: list[Watch] = []
        self._attributes: list[dict[str, Any]] = []
        self._count = 0
        #: What code refers to, by its identity; the code is kept, or another one might get its identity.
        self._known: dict[int, tuple[Any, list[Watch]]] = {}
        #: The same of code that was sent, by its digest: what its copies share is the same for all of them.
        self._of_sent: dict[bytes, list[Watch]] = {}
        #: What each process runs, in words, and what that refers to.
        self._runs: dict[Any, dict[int, tuple[str, list[Watch]]]] = {}
        self._running: Any = MAIN
        #: The first leak that was found: the program may have swallowed it.
        self.leak: SharedStateLeak | None = None

    def program(self, function: Callable[..., Any]) -> None:
        """The main program begins: what the tasks refer to that it mentions is watched from now on, too."""
        reach = Reach(function)
        self._runs[MAIN] = {0: (MAIN, self._watched(reach.places))}
        for remote in reach.remotes:
            self._refers(remote, id(remote))

    def enters(self, home: Any) -> SharedStateLeak | None:
        """Code of ``home`` is about to run: see what others have changed. Return the leak if it will find that."""
        process = _process(home)
        if process is self._running:
            return None
        before, self._running = self._running, process
        self._note_changes(before)
        if self._is_changed and self.leak is None:
            for what, watches in self._runs.get(process, {}).values():
                if self._is_leak(process, watches, what):
                    return self.leak
        return None

    def _note_changes(self, writer: Any) -> None:
        if sum(map(len, self._attributes)) != self._count:
            self._compared += self._bare
            self._bare, self._attributes, self._count = [], [], 0
        for watch in self._compared:
            # Asked whenever another process goes on; most are numbers and texts that nobody changes.
            if (watch.read() is not watch.value or not watch.is_plain) and watch.has_changed():
                watch.changed_by(writer)
                self._is_changed = True

    def ends(self) -> None:
        """Nothing of the program goes on but what its processes do when they are ended."""
        self._note_changes(self._running)
        self._running = None

    def put_back(self) -> None:
        """The processes are gone, and with them what they did to variables of modules.

        What the main program did stays: its process is the one that goes on.
        """
        self._note_changes(self._running)
        for watch in self._watches.values():
            if watch.of_worker:
                watch.put_back()

    def calls(self, home: Any, target: Any, what: str, digest: bytes, *, alone: bool = False) -> None:
        """A process begins a call of ``target``. Raises SharedStateLeak if it will find what another one left.

        ``digest``: that of the code which was sent, b"" for a method. ``alone``: it runs nothing else meanwhile.
        """
        process = _process(home)
        ident = id(target)
        watches = self._refers(target, ident, digest)
        runs = self._runs.setdefault(process, {})
        if alone:
            runs.clear()
        runs[ident] = what, watches
        if self._is_changed and self._is_leak(process, watches, what):
            assert self.leak is not None
            raise self.leak

    def given(self, home: Any, values: tuple[Any, ...]) -> None:
        """The call that begins has these arguments: functions and objects that it may call. Raises SharedStateLeak."""
        process = _process(home)
        for value in values:
            if type(value) in PLAIN:
                continue
            target = value if isinstance(value, _CALLED) else type(value) if has_state(value) else None
            if target is not None:
                ident = id(target)
                watches, what = self._refers(target, ident), getattr(target, "__qualname__", "a function")
                self._runs.setdefault(process, {})[ident] = what, watches
                if self._is_changed and self._is_leak(process, watches, what):
                    assert self.leak is not None
                    raise self.leak

    def _refers(self, target: Any, ident: int, digest: bytes = b"") -> list[Watch]:
        """Return what ``target`` refers to. ``ident``: its identity, which is dear: asking for it is audited."""
        known = self._known.get(ident)
        if known is None:
            watches = self._of_sent.get(digest)
            if watches is None:
                watches = self._watched(Reach(target).places)
                if digest:
                    self._of_sent[digest] = watches
            known = self._known[ident] = target, watches
        return known[1]

    def _watched(self, places: list[Place]) -> list[Watch]:
        found = []
        for place in places:
            if (place.module, place.name) not in _harmless:
                watch = self._watches.get(place.key)
                if watch is None:
                    watch = self._watches[place.key] = Watch(place)
                    self._compare(watch)
                found.append(watch)
        return found

    def _compare(self, watch: Watch) -> None:
        if watch.place.kind == ATTRIBUTES and all(name.startswith("__") for name in watch.value):
            self._bare.append(watch)
            self._attributes.append(watch.value)
            self._count += len(watch.value)
        else:
            self._compared.append(watch)

    def _is_leak(self, process: Any, watches: list[Watch], what: str) -> bool:
        for watch in watches:
            if watch.writer is not None and watch.writer is not process:
                place = watch.place
                self.leak = self.leak or SharedStateLeak(
                    f"{what} refers to the {place.kind} {place.module}.{place.name}, which another simulated process "
                    "has changed; on real processes it would not see that. Pass it as an argument or keep it in an "
                    f"actor; if sharing it does no harm, say actorgrid.sim.share({place.module!r}, {place.name!r})"
                )
                return True
        return False


def _process(home: Any) -> Any:
    return MAIN if getattr(home, "worker", None) is None else home


def fingerprint(value: Any, depth: int = DEPTH) -> Any:
    """Return something that differs after a change of plain data; of anything else its identity."""
    if type(value) in PLAIN:
        return value
    parts: Any = None
    if depth and isinstance(value, dict) and len(value) <= MOST:
        parts = [(fingerprint(key, depth - 1), fingerprint(held, depth - 1)) for key, held in value.items()]
    elif depth and type(value) in _CONTAINERS and len(value) <= MOST:
        parts = [fingerprint(held, depth - 1) for held in value]
    elif isinstance(value, CONTAINERS):
        parts = len(value)
    elif depth:
        parts = _inside(value, depth)
    return id(value), parts


def _inside(value: Any, depth: int) -> Any:
    """Return what of an object may change."""
    match value:
        case MethodType():
            return fingerprint(value.__self__, depth)
        case functools.partial():
            return [fingerprint(part, depth - 1) for part in (value.func, *value.args)]
        case itertools.count():
            return repr(value)
        case _ if has_state(value):
            return [(name, fingerprint(held, depth - 1)) for name, held in _attributes(value)]
        case _ if type(value).__module__ in {"array", "numpy"} and getattr(value, "nbytes", MOST) < MOST * 8:
            return value.tobytes()
        case _:
            return None


def _attributes(value: Any) -> list[tuple[str, Any]]:
    found = list(getattr(value, "__dict__", {}).items())
    for base in type(value).__mro__:
        slots = vars(base).get("__slots__", ())
        found += [(name, getattr(value, name, None)) for name in ([slots] if isinstance(slots, str) else slots)]
    return found
