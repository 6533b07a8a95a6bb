"""SE: arguments, results and exceptions that resist."""

from __future__ import annotations

import ctypes
import email.message
import itertools
import os
import sys
import threading
import urllib.error
from pathlib import Path
from typing import Any

import actorgrid as ag
from actorgrid.exceptions import SerializationError, TaskCancelledError, TaskError, TaskTimeoutError, WorkerCrashedError
from actorgrid.testing.waiting import wait_until
from tests.faults.catalogue import LIMIT, Case, Elsewhere, Gives, Raises, died, error_of, fate, get, numpy, raised, run

# ------------------------------------------------------------------------------------------------ values that resist


class OnPickle:
    """Does something when it is pickled."""

    def __init__(self, act: Any, *args: Any) -> None:
        self.act = act, args

    def __reduce__(self) -> Any:
        act, args = self.act
        act(*args)
        return int, ()


class OnUnpickle:
    """Does something when it is unpickled."""

    def __init__(self, act: Any, *args: Any) -> None:
        self.act = act, args

    def __reduce__(self) -> Any:
        return self.act


class OnUnpickleElsewhere:
    """Does something when it is unpickled in the process ``pid``."""

    def __init__(self, pid: int, act: Any, *args: Any) -> None:
        self.parts = pid, act, args

    def __reduce__(self) -> Any:
        return _unless, self.parts


def _unless(pid: int, act: Any, args: tuple[Any, ...]) -> Any:
    return act(*args) if os.getpid() == pid else None


class LastWords:
    """Ends its process when it is finalized, anywhere but in the process that made it."""

    def __init__(self, status: int) -> None:
        self.home, self.status = os.getpid(), status

    def __del__(self) -> None:
        if os.getpid() != self.home:
            os._exit(self.status)


class Odd:
    """Every method that a careless runtime might call raises."""

    __hash__ = None  # type: ignore[assignment]  # that is what is odd about it

    def __init__(self, value: int) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("do not compare me")

    def __bool__(self) -> bool:
        raise RuntimeError("do not ask me")

    def __len__(self) -> int:
        return -1  # noqa: PLE0303  # that is what is odd about it

    def __repr__(self) -> str:
        raise RuntimeError("do not show me")

    def __iter__(self) -> Any:
        raise RuntimeError("do not walk me")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise RuntimeError("do not look at me")


class Changing:
    """Is another class after it was pickled."""

    def __reduce__(self) -> Any:
        return list, ((1, 2),)


def liar(said: Any) -> Any:
    """Return what says that it is of the class that ``said()`` returns, and is pickled as a number."""

    class Liar:
        def __reduce__(self) -> Any:
            return int, (7,)

        @property  # type: ignore[misc]  # that is the lie
        def __class__(self) -> Any:
            return said()

    return Liar()


class Config:
    """Holds what cannot be pickled."""

    def __init__(self) -> None:
        self.lock = threading.Lock()


class Mute(Exception):  # noqa: N818  # part of a table of oddities
    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


class Huge(Exception):  # noqa: N818
    def __str__(self) -> str:
        return "x" * (1 << 26)

    __repr__ = __str__


class Endless(Exception):  # noqa: N818
    def __str__(self) -> str:
        for _ in itertools.count():
            pass
        return ""


class SaysWhen(Exception):  # noqa: N818
    """Never ends, and says when it has begun."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.path = path

    def __str__(self) -> str:
        self.path.touch()
        for _ in itertools.count():
            pass
        return ""


class Unreducible(Exception):  # noqa: N818
    def __reduce__(self) -> Any:
        raise RuntimeError("not me")


class Exiting(Exception):  # noqa: N818
    def __reduce__(self) -> Any:
        sys.exit(5)


class OnlyThere(Exception):  # noqa: N818
    """Cannot be unpickled in the process ``pid``."""

    def __init__(self, pid: int) -> None:
        super().__init__("only there")
        self.pid = pid

    def __reduce__(self) -> Any:
        return _only_there, (self.pid,)


def _only_there(pid: int) -> OnlyThere:
    if os.getpid() == pid:
        sys.exit(6)
    return OnlyThere(pid)


class TwoArguments(Exception):  # noqa: N818
    def __init__(self, first: int, second: int) -> None:
        super().__init__(f"{first} and {second}")


# ------------------------------------------------------------------------------------------------- what the tasks do


def take(*values: Any) -> int:
    return len(values)


def echo(value: Any) -> Any:
    return value


def give(make: Any, *args: Any) -> Any:
    return make(*args)


def fail(make: Any, *args: Any) -> None:
    raise make(*args)


def fail_endlessly(path: Path) -> None:
    raise SaysWhen(path)


def fail_with_http_error() -> None:
    raise urllib.error.HTTPError("http://localhost/", 404, "Not Found", email.message.Message(), None)


def fail_in_a_circle() -> None:
    first, second = ValueError("first"), KeyError("second")
    first.__cause__, second.__cause__ = second, first
    first.add_note("noted")
    raise first


def fail_as_a_group() -> None:
    raise ExceptionGroup("all", [ValueError(number) for number in range(3)] + [ExceptionGroup("in", [KeyError(1)])])


def fail_deep_down(depth: int) -> None:
    sys.setrecursionlimit(depth + 1000)
    try:
        _down(depth)
    finally:
        sys.setrecursionlimit(1000)


def _down(depth: int) -> None:
    if not depth:
        raise ValueError("at the bottom")
    _down(depth - 1)


def change_in_place(array: Any) -> Any:
    array[0] = 1
    return array


# ------------------------------------------------------------------------------------------- how it is brought about


def refused_at_the_call(value: Any, path: str) -> Any:
    def inject(_: Path) -> Any:
        error = error_of(lambda: run(take, value()))  # the call itself raises, no get
        assert isinstance(error, SerializationError), repr(error)
        assert path in str(error), error
        return True

    return inject


def works(value: Any) -> Any:
    return lambda _: run(take, value())


def of_exec() -> Any:
    made: dict[str, Any] = {"__name__": "__main__"}
    exec("class Made:\n    x = 1", made)  # a class that no module has
    return made["Made"]()


def unpickled_here_only(act: Any, *args: Any) -> Any:
    return lambda _: run(give, OnUnpickleElsewhere, os.getpid(), act, *args)


def twice(folder: Path) -> bool:
    """The bad result is bad for each get, and the driver goes on."""
    del folder
    ref = run(give, OnUnpickleElsewhere, os.getpid(), sys.exit, 1)
    return type(fate(ref)) is type(fate(ref))


def unusual_values() -> list[Any]:
    np = numpy()
    base = np.arange(24.0).reshape(4, 6)
    readonly = np.arange(5)
    readonly.flags.writeable = False
    return [
        "\ud800 lone", {(1, (2, 3)), (4,)}, b"", bytearray(), memoryview(b"abcdef")[::2].tobytes(), frozenset({1}),
        np.zeros((0, 3)), np.asfortranarray(base), base[::2, ::-1], readonly, base.T, np.float32(1.5),
        np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]), np.array([{}, None, "x"], dtype=object),
        np.arange(200_000)[::3], np.zeros((300_000, 0)), np.datetime64("2026-11-25"), np.array("scalar"),
    ]  # fmt: skip


def round_trips(folder: Path) -> bool:
    del folder
    np = numpy()
    sent = unusual_values()
    back = get([run(echo, value) for value in sent])
    for value, other in zip(sent, back, strict=True):
        assert type(value) is type(other), value
        assert np.array_equal(value, other) if hasattr(value, "dtype") else value == other, value
    nan = get(run(echo, {float("nan"): 1}))
    return [key != key for key in nan] == [True]  # noqa: PLR0124  # that is what makes it one


def odd_values(folder: Path) -> bool:
    del folder
    back = get(run(echo, Odd(5)))
    kept = ag.get(ag.put(Odd(6)))
    inside = get(run(echo, {"odd": [Odd(7)]}))["odd"][0]
    return [object.__getattribute__(each, "value") for each in (back, kept, inside)] == [5, 6, 7]


#: What an object may say of its own class.
LIES = {
    "reference": lambda: ag.ObjectRef, "generator": lambda: ag.ObjectRefGenerator,
    "handle": lambda: ag.actor.ActorHandle, "list": lambda: list, "tuple": lambda: tuple,
    "error": lambda: ValueError, "nothing": lambda: 1 / 0,
}  # fmt: skip


def lie(said: Any) -> Any:
    """It is an ordinary value all the same, and refused as one where a reference is wanted."""

    def inject(folder: Path) -> Any:
        del folder
        thing = liar(said)
        real = ag.put(1)
        for call, error in (
            (lambda: ag.get(thing), ValueError), (lambda: ag.wait(thing), TypeError),
            (lambda: ag.wait([thing]), TypeError), (lambda: ag.cancel(thing), TypeError),
            (lambda: ag.explain(thing), TypeError), (lambda: ag.kill(thing), ValueError),
            (lambda: ag.get([real, thing]), TypeError),
        ):  # fmt: skip
            found = error_of(call)
            assert type(found) is error, repr(found)
            assert "Liar" in str(found), found
        assert real != thing
        return [ag.get(ag.put(thing)), get(run(echo, thing)), get(run(echo, [{"in": thing}]))]

    return inject


def changed_by_its_reader(folder: Path) -> bool:
    """Shared arrays are read-only: who writes gets an error, and nobody else's data changes."""
    del folder
    array = numpy().zeros(200_000)
    ref = ag.put(array)
    error = error_of(lambda: get(run(change_in_place, ref)))
    assert isinstance(error, ValueError), error
    assert "read-only" in str(error)
    mine = error_of(lambda: change_in_place(ag.get(ref)))
    assert isinstance(mine, ValueError), mine
    return not ag.get(ref).any()


def changed_after_the_call(folder: Path) -> list[Any]:
    del folder
    small, large = [1], numpy().zeros(100_000)
    refs = [run(echo, small), run(echo, large)]
    small.append(2)
    large[:] = 7
    first, second = get(refs)
    return [first, float(second.sum())]


def last_words(folder: Path) -> Any:
    """The finalizer of an argument ends the worker when the result is on its way: that comes, and once."""
    del folder
    return get([run(take, LastWords(4), max_retries=0) for _ in range(10)])


def endless_is_cancelled(folder: Path) -> Any:
    """Its text is asked for by the worker, after the task: force ends that, too."""
    ref = run(fail_endlessly, folder / "on", max_retries=0)
    assert wait_until((folder / "on").exists, LIMIT)
    ag.cancel(ref, force=True)
    return ref


FATAL = r"\(.* pid=\d+\) .*"


def failing(make: Any, *args: Any, **options: Any) -> Any:
    return lambda _: run(fail, make, *args, **options)


CASES = [
    Case("SE01-lock", "argument holds a lock", refused_at_the_call(lambda: {"cfg": Config()}, "args[0]['cfg'].lock")),
    Case("SE01-file", "argument is an open file", refused_at_the_call(lambda: sys.__stderr__, "args[0]")),
    Case("SE01-generator", "argument is a generator", refused_at_the_call(lambda: (x for x in "a"), "args[0]")),
    Case("SE01-lambda", "argument is a lambda", works(lambda: lambda x: x), Gives(1)),
    Case("SE01-exec", "argument is of a class made by exec", works(of_exec), Gives(1)),
    Case("SE02-raise", "argument raises when it is pickled",
         refused_at_the_call(lambda: OnPickle(int, "x"), "args[0]")),
    Case("SE02-exit", "argument exits when it is pickled", refused_at_the_call(lambda: OnPickle(sys.exit), "args[0]")),
    Case("SE02-result", "result raises when it is pickled", lambda _: run(give, OnPickle, int, "x"),
         raised(SerializationError, "give", "invalid literal")),
    Case("SE02-result-exit", "result exits when it is pickled", lambda _: run(give, OnPickle, sys.exit, 7),
         raised(SerializationError, "give")),
    Case("SE04-raise", "argument raises when it is unpickled", lambda _: run(take, OnUnpickle(int, "x")),
         raised(ValueError, "take", "invalid literal")),
    Case("SE04-exit", "argument exits when it is unpickled",
         lambda _: run(take, OnUnpickle(sys.exit, 7), max_retries=0), died(WorkerCrashedError, "code 7", "take")),
    Case("SE04-os-exit", "argument ends the worker when it is unpickled",
         lambda _: run(take, OnUnpickle(os._exit, 8), max_retries=1), died(WorkerCrashedError, "code 8", "take")),
    Case("SE05", "argument crashes the worker when it is unpickled",
         lambda _: run(take, OnUnpickle(ctypes.string_at, 0), max_retries=0),
         died(WorkerCrashedError, "SIGSEGV", "take"), FATAL),
    Case("SE07-raise", "result raises when it is unpickled", unpickled_here_only(int, "x"),
         Raises(SerializationError, (r"object \w+ cannot be unpickled", "ValueError: invalid literal"))),
    Case("SE07-exit", "result exits when it is unpickled", unpickled_here_only(sys.exit, 7),
         Raises(SerializationError, ("SystemExit",))),
    Case("SE07-again", "result exits when it is unpickled a second time", twice),
    Case("SE08", "HTTPError", lambda _: run(fail_with_http_error),
         raised(urllib.error.HTTPError, "fail_with_http_error", "404", "Not Found")),
    Case("SE08b", "exception with two arguments", failing(TwoArguments, 1, 2), raised(TwoArguments, "fail", "1 and 2")),
    Case("SE10-mute", "exception whose str raises", failing(Mute), raised(Mute, "fail")),
    Case("SE10-huge", "exception whose str is huge", failing(Huge), raised(Huge, "fail", "left out")),
    Case("SE10-endless", "exception whose str never ends", failing(Endless, run_timeout=0.2),
         Raises(TaskTimeoutError, (r"\bfail\b", "0.2 s"))),
    Case("SE10-forced", "exception whose str never ends is cancelled", endless_is_cancelled,
         Raises(TaskCancelledError, (r"\bfail_endlessly\b",))),
    Case("SE10-value", "value whose str never ends is nothing but a value",
         lambda _: [type(get(run(give, Endless))).__name__, get(run(take, Endless()))], Gives(["Endless", 1])),
    Case("SE10-reduce", "exception whose reduce raises", failing(Unreducible, 1), raised(Unreducible, "fail")),
    Case("SE10-exit", "exception whose reduce exits", failing(Exiting, 1), raised(Exiting, "fail")),
    Case("SE11-circle", "exceptions that cause each other", lambda _: run(fail_in_a_circle),
         raised(ValueError, "fail_in_a_circle", "first", "second", "noted")),
    Case("SE11-group", "group of exceptions", lambda _: run(fail_as_a_group),
         raised(ExceptionGroup, "fail_as_a_group", "KeyError")),
    Case("SE11-deep", "exception from 20000 frames below", lambda _: run(fail_deep_down, 20_000),
         raised(ValueError, "fail_deep_down", "at the bottom", "outer frames are left out")),
    Case("SE13", "odd methods are never called", odd_values),
    Case("SE13b", "argument is another class after pickling", lambda _: run(take, Changing()), Gives(1)),
    *(Case(f"SE13-{name}", f"argument says that its class is {name}", lie(said), Gives([7, 7, [{"in": 7}]]))
      for name, said in LIES.items()),
    Case("SE16", "unusual values and arrays", round_trips),
    Case("SE17", "shared array is written to", changed_by_its_reader),
    Case("SE22", "argument is changed after the call", changed_after_the_call, Gives([[1], 0.0])),
    Case("SE23", "finalizer of an argument ends the worker", last_words, Gives([1] * 10)),
    Case("SE07-error", "exception that cannot be unpickled here",
         lambda _: run(fail, OnlyThere, os.getpid()), raised(TaskError, "fail", "only there")),
]  # fmt: skip

ELSEWHERE = [
    Elsewhere("SE19", "function defined anew", "tests/proc/test_environment.py::"
              "test_function_defined_anew_is_the_one_that_runs"),
    Elsewhere("SE20", "missing module", "tests/proc/test_environment.py::"
              "test_missing_module_is_an_error_that_names_it"),
    Elsewhere("SE20", "module that only the driver has", "tests/proc/test_environment.py::"
              "test_module_that_a_worker_cannot_find_is_an_error_that_names_it_and_spares_the_worker"),
    Elsewhere("SE20", "folder and path changed", "tests/proc/test_environment.py::"
              "test_later_change_of_folder_and_path_reaches_running_workers"),
    Elsewhere("SE01", "closure", "tests/contract/test_errors.py::"
              "test_closure_that_cannot_be_pickled_is_a_type_error_at_the_call_that_names_it"),
]  # fmt: skip
