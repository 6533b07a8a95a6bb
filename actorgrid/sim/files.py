"""Files at which simulated processes meet: all that they share, and so what the order of calls does not show.

Whatever opens, lists, makes, renames or removes a file is seen by the audit hook (see ``boundary``). If two of them do
so with one file, one of them changes it, and neither had to wait for the other, it matters who comes first: then tasks
start when they are chosen and whoever is about to touch a file may be slow (``Holds.FILES``). What happens between two
such moments, through what is open already, nobody sees: no search of such a program is said to be exhaustive.

This file may not know how anything is held back.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from os.path import abspath, basename, dirname
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from actorgrid.core import messages as m
from actorgrid.sim.onlookers import Holds

if TYPE_CHECKING:
    from actorgrid.core.worker import Running
    from actorgrid.sim.calls import Call
    from actorgrid.sim.world import World

_READS: Final = 1
_CHANGES: Final = 2
_EITHER: Final = _READS | _CHANGES
_CHANGING: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
#: Events that change what some arguments name, and the folders in which that lies: which arguments, and which of the
#: others is the open folder that each is relative to (0: none is).
_MAKERS: Final[dict[str, tuple[tuple[int, int], ...]]] = {
    "os.rename": ((0, 2), (1, 3)), "os.link": ((0, 2), (1, 3)), "os.symlink": ((1, 2),), "os.remove": ((0, 1),),
    "os.rmdir": ((0, 1),), "os.mkdir": ((0, 2),), "os.chmod": ((0, 2),), "os.utime": ((0, 3),),
    "os.truncate": ((0, 0),), "sqlite3.connect": ((0, 0),),
}  # fmt: skip
#: What the audit hook tells of.
EVENTS: Final = frozenset({"open", "os.listdir", "os.scandir", *_MAKERS})
#: What belongs to Python and to the machine: read once by whoever comes first, and code.
_OTHERS: Final = tuple({*(f"{each}/" for each in (sys.prefix, sys.base_prefix)), "/usr/", "/etc/", "/proc/", "/sys/"})
_CODE: Final = (".py", ".pyc", ".so")


class _Touch(NamedTuple):
    """What a task, an actor or the program has done with a file: in which call, and how many it had made by then."""

    how: int
    call: str
    made: int


class Files:
    """Who has touched which file in one run, and what each knows to be over."""

    def __init__(self, world: World) -> None:
        self._world = world
        #: A file that two met at, "" if there is none.
        self.met = ""
        #: Path (of what is in a folder: with a slash) -> task or actor ("": the program) -> the last of each kind.
        self.touches: dict[str, dict[tuple[str, int], _Touch]] = {}
        #: Task or actor -> calls that were over before it did what it does now.
        self._known: dict[str, set[str]] = {}
        #: Object -> what whoever gets it knows then; call -> what it knows from the beginning.
        self._of_objects: dict[int, set[str]] = {}
        self._of_calls: dict[int, set[str]] = {}

    # -- what is touched

    def touched(self, event: str, args: tuple[Any, ...]) -> None:
        """Simulated code is about to do this. It may wait here while others go on."""
        if sys._getframe(3).f_code.co_filename.startswith("<frozen importlib"):  # noqa: SLF001  # once per interpreter
            return
        if event == "open":
            changes = bool(args[2] & _CHANGING)
            self._touch(args[0], _CHANGES if changes else _READS, inside=bool(args[2] & os.O_CREAT))
        elif event in _MAKERS:
            for path, folder in _MAKERS[event]:
                self._touch(_below(args[folder], args[path]) if folder else args[path], _CHANGES, inside=True)
        else:
            self._touch(args[0] or ".", _READS, lists=True)

    def looks(self, real: Callable[..., Any], path: Any, *args: Any, **kwargs: Any) -> Any:
        """Look at a file as ``real`` does (``os.stat``, ``os.access``): no hook is told of that."""
        self._touch(path, _READS)
        return real(path, *args, **kwargs)

    def _touch(self, what: Any, how: int, *, inside: bool = False, lists: bool = False) -> None:
        path = _path(what)
        if path is None:
            return
        world = self._world
        world.onlookers.touches_a_file(f"touches {basename(path)}")  # noqa: PTH119  # see _path
        if lists:
            self._note(path + "/", _READS, _CHANGES)
            return
        self._note(path, how, _EITHER if how == _CHANGES else _CHANGES)
        if inside:  # two that make files in one folder do not care; who lists it does
            self._note(dirname(path) + "/", _CHANGES, _READS)  # noqa: PTH120  # see _path

    def _note(self, path: str, how: int, against: int) -> None:
        world = self._world
        # In a folder it is those who list it whom others come before: for the reduction they are the writers.
        world.touch(("file", path), writes=(how == _CHANGES) != path.endswith("/"))
        fiber = world.fibers.current
        home = fiber.home if fiber is not None else None
        running: Running | None = home.running() if home is not None else None
        call: Call | None = home.grid.calls[running.run.task] if home is not None and running is not None else None
        who = _who(call)
        seen = self.touches.setdefault(path, {})
        for (other, what), touch in seen.items():
            if other != who and what & against and not self._is_over(touch, who, call):
                self.met = self.met or path
                world.onlookers.need(Holds.FILES)
        made = running.children if running is not None else home.made() if home is not None else 0
        seen[who, how] = _Touch(how, call.path if call is not None else "", made)

    def _is_over(self, touch: _Touch, who: str, call: Call | None) -> bool:
        """Return whether that was over before ``who``, in ``call``, could come to the file: it had to wait for it."""
        if touch.call in self._known.get(who, ()):
            return True
        if call is None or (touch.call and not call.path.startswith(f"{touch.call}.")):
            return False
        first = call.path[len(touch.call) :].lstrip(".").partition(".")[0]
        return first.isdecimal() and int(first) >= touch.made

    # -- what is over

    def say(self, batch: list[Any], calls: dict[int, Call]) -> None:
        """Words to the head: what becomes known to whom by them."""
        if not self.touches:
            return
        for message in batch:
            kind = type(message)
            if kind is m.Submit or kind is m.CreateActor:
                known = self._known.get(_who(calls.get(message.parent)))
                if known:
                    self._of_calls[message.task] = set(known)
            elif kind is m.Done:
                call = calls[message.task]
                known = {call.path, *self._known.get(_who(call), ())}
                for oid in range(message.task, message.task + len(message.values)):
                    self._of_objects[oid] = known

    def starts(self, running: Running, call: Call) -> None:
        """A call starts: it knows what whoever submitted it knew, and what its arguments say."""
        if self.touches:
            run = running.run
            self._learns(_who(call), self._of_calls.get(run.task, ()), *(self._of_objects.get(o, ()) for o in run.oids))

    def gets(self, call: Call | None, oids: list[int]) -> None:
        """Whoever runs this call, or the program, sees these objects."""
        if self.touches:
            self._learns(_who(call), *(self._of_objects.get(oid, ()) for oid in oids))

    def _learns(self, who: str, *known: Any) -> None:
        self._known.setdefault(who, set()).update(*known)


def why_not(met: str) -> str:
    """Return what to say of a search in which processes ``met`` at a file: why it is not exhaustive."""
    return f"; processes meet at {met}, and not every order of that can be tried" if met else ""


def _who(call: Call | None) -> str:
    """Return the task, or the actor, that a call runs in; "" for the program."""
    if call is None:
        return ""
    return call.actor.path if call.actor is not None else call.path


def _below(folder: int, what: Any) -> Any:
    """Return the path of something that is relative to an open folder, if that is one (-1: it is not)."""
    return Path(f"/proc/self/fd/{folder}").readlink() / os.fsdecode(what) if folder >= 0 else what


def _path(what: Any) -> str | None:
    """Return the path that an audit event names, None if it is nobody's business."""
    if isinstance(what, int) or what == ":memory:":
        return None
    try:
        path = abspath(os.fsdecode(what))  # noqa: PTH100  # at every open: Path takes ten times as long
    except (TypeError, ValueError):
        return None
    return None if path.startswith(_OTHERS) or path.endswith(_CODE) else path


#: For the audit hook: what is told of each event, while a world is open.
Told = Callable[[str, tuple[Any, ...]], None]
