"""The functions through which a process changes itself, and how each change is undone.

While somebody watches, a stand-in lies in the place of each: it says what is about to change, then calls the real one.
It pickles, compares and hashes as the real one does, and never becomes a method, as no builtin does.
"""

from __future__ import annotations

import os
import posix
import resource
import signal
import sys
import threading
from collections.abc import Callable, Iterable
from functools import partial
from types import ModuleType
from typing import Any, Final

#: Note(what, which, before): ``before()`` returns what is there now.
Note = Callable[[str, Any, Callable[[], Any]], None]
#: (what, which, before) of each thing that a call with these arguments changes.
Found = Iterable[tuple[str, Any, Callable[[], Any]]]
Changes = Callable[..., Found]

STANDARD: Final = range(3)
#: Nobody gets these back.
CREDENTIALS: Final = (
    "chroot", "initgroups", "setegid", "seteuid", "setgid", "setgroups", "setregid", "setresgid", "setresuid",
    "setreuid", "setuid",
)  # fmt: skip

#: Where ``signal`` finds what it does.
_signal: Final[Any] = sys.modules["_signal"]

# The real ones, whatever lies in their places later.
close, fstat, getcwd, chdir, umask = os.close, os.fstat, os.getcwd, os.chdir, os.umask
putenv, unsetenv = os.putenv, os.unsetenv
getpriority, setpriority = os.getpriority, os.setpriority
getlimit, setlimit = resource.getrlimit, resource.setrlimit
get_handler, set_handler, set_mask = _signal.getsignal, _signal.signal, _signal.pthread_sigmask
get_timer, set_timer = _signal.getitimer, _signal.setitimer
_variables: Final = os.environb


class Watched:
    """What stands for a function that changes something."""

    def __init__(self, real: Callable[..., Any], changes: Changes, note: Note) -> None:
        self.__name__, self.__qualname__, self.__module__ = real.__name__, real.__qualname__, real.__module__
        self.__doc__ = real.__doc__
        self.__wrapped__ = self.real = real
        self._changes = changes
        self._note = note

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Say what changes, then let it."""
        try:
            for change in self._changes(*args, **kwargs):
                self._note(*change)
        except Exception:  # noqa: BLE001, S110  # no such arguments: the real one says so
            pass
        return self.real(*args, **kwargs)

    def __reduce__(self) -> str:
        return self.__qualname__  # by name: on the other side it is whatever is called so there

    def __eq__(self, other: object) -> bool:
        return self.real == (other.real if isinstance(other, Watched) else other)

    def __hash__(self) -> int:
        return hash(self.real)

    def __repr__(self) -> str:
        return repr(self.real)


# ------------------------------------------------------------------------------------ what is there, and how to undo it


def _mask_of_files() -> int:
    mask = umask(0)
    umask(mask)
    return mask


def _file(fd: int) -> tuple[int, int] | None:
    """Return what a descriptor is open for; None: it is closed."""
    try:
        found = fstat(fd)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _variable(name: bytes | str, _value: object = b"") -> Found:
    key = os.fsencode(name)
    return [("environment", key, partial(_variables.get, key))]


def _standard(fds: Iterable[int]) -> Found:
    return [("standard descriptors", fd, partial(_file, fd)) for fd in fds if fd in STANDARD]


def _copy(fd: int, fd2: int, inheritable: bool = True) -> Found:
    del fd, inheritable
    return _standard((fd2,))


def _limit(which: int, limits: object = None) -> Found:
    return [] if limits is None else [("limits", which, partial(getlimit, which))]


def _mask_of_signals(*_: object) -> Found:
    main = threading.current_thread() is threading.main_thread()  # each thread has its own
    return [("signal mask", None, partial(set_mask, signal.SIG_BLOCK, ()))] if main else []


def _always(what: str, before: Callable[[], Any]) -> Changes:
    return lambda *_args, **_kwargs: [(what, None, before)]


def _put_back_variable(name: bytes, value: bytes | None) -> None:
    if value is None:
        _variables.pop(name, None)
        unsetenv(name)  # putenv() may have been called past os.environ
    else:
        _variables[name] = value
        putenv(name, value)


def _put_back_limit(which: int, limits: tuple[int, int]) -> None:
    if getlimit(which) != limits:
        setlimit(which, limits)


def _put_back_priority(_: None, priority: int) -> None:
    if getpriority(os.PRIO_PROCESS, 0) != priority:
        setpriority(os.PRIO_PROCESS, 0, priority)


def _put_back_file(fd: int, file: tuple[int, int] | None) -> None:
    if _file(fd) != file:
        raise OSError("nobody knows how")


def _never(which: Any, before: Any) -> None:
    raise OSError("nobody can", which, before)


#: How each is put back: called with which, and what was there before. Raises where that is not allowed.
PUT_BACK: Final[dict[str, Callable[[Any, Any], object]]] = {
    "timers": lambda which, times: set_timer(which, *times),
    "signal handlers": set_handler,
    "signal mask": lambda _, mask: set_mask(signal.SIG_SETMASK, mask),
    "environment": _put_back_variable,
    "folder": lambda _, folder: chdir(folder),
    "umask": lambda _, mask: umask(mask),
    "priority": _put_back_priority,
    "limits": _put_back_limit,
    "standard descriptors": _put_back_file,
    "credentials": _never,
}

#: The order in which things are put back: no timer is to ring when its handler is gone.
ORDER: Final = {what: place for place, what in enumerate(PUT_BACK)}

_priority: Final = _always("priority", partial(getpriority, os.PRIO_PROCESS, 0))
_folder: Final = _always("folder", getcwd)

#: (where a function lies, its name, what it changes).
_TABLE: Final[list[tuple[tuple[ModuleType, ...], str, Changes]]] = [
    ((os, posix), "chdir", _folder),
    ((os, posix), "fchdir", _folder),
    ((os, posix), "umask", _always("umask", _mask_of_files)),
    ((os, posix), "nice", _priority),
    ((os, posix), "setpriority", _priority),
    ((os, posix), "putenv", _variable),
    ((os, posix), "unsetenv", _variable),
    ((os, posix), "close", lambda fd: _standard((fd,))),
    ((os, posix), "closerange", lambda first, end: _standard(fd for fd in STANDARD if first <= fd < end)),
    ((os, posix), "dup2", _copy),
    ((resource,), "setrlimit", _limit),
    ((resource,), "prlimit", lambda _, which, limits=None: _limit(which, limits)),
    ((_signal,), "signal", lambda number, _: [("signal handlers", int(number), partial(get_handler, number))]),
    ((_signal,), "pthread_sigmask", _mask_of_signals),
    ((signal, _signal), "alarm", lambda _: [("timers", signal.ITIMER_REAL, partial(get_timer, signal.ITIMER_REAL))]),
    ((signal, _signal), "setitimer", lambda which, *_: [("timers", which, partial(get_timer, which))]),
    *(((os, posix), name, _always("credentials", lambda: None)) for name in CREDENTIALS),
]


def install(note: Note) -> Callable[[], None]:
    """Put the stand-ins in their places. Returns what takes them away again."""
    placed: list[tuple[ModuleType, str, Watched]] = []
    for owners, name, changes in _TABLE:
        real = vars(owners[-1]).get(name)
        if real is None:
            continue  # another system
        stand_in = Watched(real, changes, note)
        for owner in owners:
            if vars(owner).get(name) is real:
                setattr(owner, name, stand_in)
                placed.append((owner, name, stand_in))

    def remove() -> None:
        for owner, name, stand_in in placed:
            if vars(owner).get(name) is stand_in:
                setattr(owner, name, stand_in.real)

    return remove
