"""Tasks that go wrong, one for each way. Every system runs the same functions.

The ids are those of the catalogue in ``tests/faults``; a letter is a variant.
"""

from __future__ import annotations

import ctypes
import email.message
import multiprocessing
import os
import resource
import signal
import sys
import threading
import time
import urllib.error
from collections.abc import Callable
from typing import Any

# --------------------------------------------------------------------------------------------------------- the tasks


def innocent(number: int) -> int:
    time.sleep(0.02)
    return number * number


def leave(status: int) -> None:
    os._exit(status)


def leave_in_c() -> None:
    ctypes.CDLL(None).exit(0)


def end_by(number: int) -> None:
    os.kill(os.getpid(), number)
    time.sleep(60)


def read_address_0() -> None:
    ctypes.string_at(0)


def leave_from_a_thread() -> None:
    threading.Thread(target=os._exit, args=(9,), daemon=True).start()
    time.sleep(60)


def leave_a_child() -> None:
    if not os.fork():
        time.sleep(25)
        os._exit(0)
    os.kill(os.getpid(), signal.SIGKILL)


def take(*values: Any) -> int:
    return len(values)


def give(make: Callable[..., Any], *args: Any) -> Any:
    return make(*args)


def fail(make: Callable[..., BaseException], *args: Any) -> None:
    raise make(*args)


def fail_with_http_error() -> None:
    raise urllib.error.HTTPError("http://localhost/", 404, "Not Found", email.message.Message(), None)


def fail_in_a_circle() -> None:
    first, second = ValueError("first"), KeyError("second")
    first.__cause__, second.__cause__ = second, first
    raise first


def fail_as_a_group() -> None:
    raise ExceptionGroup("all", [ValueError(number) for number in range(3)])


def exit_in_python() -> None:
    sys.exit(7)


def exceed_the_address_space() -> int:
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (1 << 30, hard))
    try:
        return len(bytearray(1 << 33))
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def open_until_it_fails() -> int:
    try:
        while True:
            OPENED.append(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        return len(OPENED)


OPENED: list[int] = []


def close_everything() -> None:
    os.closerange(3, 1024)
    time.sleep(60)


def use_a_pool() -> list[int]:
    with multiprocessing.get_context("fork").Pool(2) as pool:
        return pool.map(abs, [-1, -2])


# ------------------------------------------------------------------------------------------------ values that resist


class OnPickle:
    """Does something when it is pickled."""

    def __init__(self, act: Callable[..., Any], *args: Any) -> None:
        self.act, self.args = act, args

    def __reduce__(self) -> Any:
        self.act(*self.args)
        return int, ()


class OnUnpickle:
    """Does something when it is unpickled."""

    def __init__(self, act: Callable[..., Any], *args: Any) -> None:
        self.act, self.args = act, args

    def __reduce__(self) -> Any:
        return self.act, self.args


class LastWords:
    """Ends its process when it is finalized, anywhere but where it was made."""

    def __init__(self) -> None:
        self.home = os.getpid()

    def __del__(self) -> None:
        if os.getpid() != self.home:
            os._exit(4)


class OfMyOwn(BaseException):
    pass


class TwoArguments(Exception):  # noqa: N818  # part of a table of oddities
    def __init__(self, first: int, second: int) -> None:
        super().__init__(f"{first} and {second}")


class Mute(Exception):  # noqa: N818
    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


class Unreducible(Exception):  # noqa: N818
    def __reduce__(self) -> Any:
        raise RuntimeError("not me")


# --------------------------------------------------------------------------------------------------------- the table


def _generator() -> Any:
    return (letter for letter in "abc")


Call = tuple[Callable[..., Any], tuple[Any, ...]]

#: Id -> (what happens, the call; made anew for each run).
CASES: dict[str, tuple[str, Callable[[], Call]]] = {
    "WD01": ("task: `os._exit(3)`", lambda: (leave, (3,))),
    "WD02": ("task: segmentation fault", lambda: (read_address_0, ())),
    "WD02b": ("task: SIGKILL", lambda: (end_by, (signal.SIGKILL,))),
    "WD02c": ("task: SIGABRT", lambda: (end_by, (signal.SIGABRT,))),
    "WD05": ("thread of a task: `os._exit(9)`", lambda: (leave_from_a_thread, ())),
    "WD07": ("task forks a child, then SIGKILL", lambda: (leave_a_child, ())),
    "WD20": ("task: `exit(0)` of the C library", lambda: (leave_in_c, ())),
    "SE01": ("argument: a lock", lambda: (take, (threading.Lock(),))),
    "SE01b": ("argument: a generator", lambda: (take, (_generator(),))),
    "SE02": ("argument raises when pickled", lambda: (take, (OnPickle(int, "x"),))),
    "SE03": ("argument raises when unpickled", lambda: (take, (OnUnpickle(int, "x"),))),
    "SE04": ("argument: `sys.exit` when unpickled", lambda: (take, (OnUnpickle(sys.exit, 7),))),
    "SE05": ("argument: segmentation fault when unpickled", lambda: (take, (OnUnpickle(ctypes.string_at, 0),))),
    "SE06": ("result: a lock", lambda: (give, (threading.Lock,))),
    "SE06b": ("result raises when pickled", lambda: (give, (OnPickle, int, "x"))),
    "SE07": ("result raises when unpickled", lambda: (give, (OnUnpickle, int, "x"))),
    "SE07b": ("result: `sys.exit` when unpickled", lambda: (give, (OnUnpickle, sys.exit, 7))),
    "SE08": ("exception: `HTTPError`", lambda: (fail_with_http_error, ())),
    "SE08b": ("exception with two arguments", lambda: (fail, (TwoArguments, 1, 2))),
    "SE10": ("exception: `str()` raises", lambda: (fail, (Mute,))),
    "SE10b": ("exception cannot be pickled", lambda: (fail, (Unreducible,))),
    "SE11": ("exceptions that cause each other", lambda: (fail_in_a_circle, ())),
    "SE11b": ("group of exceptions", lambda: (fail_as_a_group, ())),
    "SE23": ("finalizer of an argument: `os._exit`", lambda: (take, (LastWords(),))),
    "UM01": ("task: `sys.exit(7)`", lambda: (exit_in_python, ())),
    "UM01b": ("task raises KeyboardInterrupt", lambda: (fail, (KeyboardInterrupt,))),
    "UM01c": ("task raises GeneratorExit", lambda: (fail, (GeneratorExit,))),
    "UM01d": ("task raises its own BaseException", lambda: (fail, (OfMyOwn,))),
    "UM02": ("task closes every descriptor", lambda: (close_everything, ())),
    "MS08": ("task exceeds its address space", lambda: (exceed_the_address_space, ())),
    "FD02": ("task opens every descriptor and keeps them", lambda: (open_until_it_fails, ())),
    "FT10": ("task uses a `multiprocessing.Pool`", lambda: (use_a_pool, ())),
}
