from __future__ import annotations

import asyncio
import functools
import pickle
import threading
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actorgrid.exceptions import (
    ActorGridError,
    SerializationError,
    TaskCancelledError,
    TaskError,
    UnserializableException,
)
from actorgrid.wire import errors
from actorgrid.wire.errors import pack_exception, unpack_exception
from actorgrid.wire.unpicklable import explain_unpicklable


def raised(error: BaseException) -> BaseException:
    try:
        raise error
    except BaseException as caught:  # noqa: BLE001
        return caught


def trip(error: BaseException, name: str = "f") -> TaskError:
    result = unpack_exception(pack_exception(raised(error), name, 7))
    assert isinstance(result, TaskError)
    return result


class TwoArguments(Exception):  # noqa: N818
    def __init__(self, a: int, b: int) -> None:
        super().__init__(f"{a} and {b}")
        self.a = a
        self.b = b


class Defaulted(Exception):  # noqa: N818
    def __init__(self, code: int, hint: str = "none") -> None:
        super().__init__(f"code {code}, hint {hint}")


class KeywordOnly(OSError):  # noqa: N818
    def __init__(self, *, code: int) -> None:
        super().__init__(5, "Input/output error")
        self.code = code


class Worded(Exception):  # noqa: N818
    def __init__(self, *, message: str) -> None:
        super().__init__("nothing that the constructor could take")
        self.message = message


class Holder(Exception):  # noqa: N818
    def __init__(self, value: Any) -> None:
        super().__init__("holds", value)
        self.value = value
        self.fine = [1, 2]


class Rude(Exception):  # noqa: N818
    def __str__(self) -> str:
        raise SystemExit(1)

    __repr__ = __str__

    def __reduce__(self) -> Any:
        raise KeyboardInterrupt


class Group(ExceptionGroup[Exception]):
    def derive(self, excs: Any) -> Group:  # type: ignore[override]
        return Group(self.message, excs)


def test_round_trip() -> None:
    error = trip(ValueError("boom"))
    assert isinstance(error, ValueError)
    assert str(error.cause) == "boom"
    assert (error.function_name, error.pid) == ("f", 7)
    assert "in raised" in str(error)
    assert "test_errors.py" in str(error)
    assert str(error).endswith("ValueError: boom")


def test_constructors_with_other_parameters() -> None:
    error = trip(TwoArguments(1, 2))
    assert isinstance(error, TwoArguments)
    assert (error.a, error.b, str(error.cause)) == (1, 2, "1 and 2")
    assert str(trip(Defaulted(3)).cause) == "code 3, hint none"
    worded = trip(Worded(message="what went wrong"))
    assert isinstance(worded, Worded)
    assert worded.message == "what went wrong"
    other = trip(KeywordOnly(code=9))
    assert isinstance(other, KeywordOnly)
    assert (other.code, other.errno, other.strerror) == (9, 5, "Input/output error")


def test_unpicklable_members_become_text() -> None:
    error = trip(Holder(threading.Lock()))
    assert isinstance(error, Holder)
    assert error.fine == [1, 2]
    assert "lock" in error.value
    assert "lock" in error.cause.args[1]
    group = trip(ExceptionGroup("two", [ValueError(1), Holder(threading.Lock())]))
    assert isinstance(group, ExceptionGroup)
    assert [type(inner) for inner in group.exceptions] == [ValueError, Holder]


def test_groups() -> None:
    error = trip(Group("two", [ValueError(1), TwoArguments(3, 4)]))
    assert isinstance(error, Group)
    assert error.message == "two"
    inner = error.exceptions[1]
    assert isinstance(inner, TwoArguments)
    assert inner.b == 4
    assert [type(part) for part in error.split(ValueError)] == [Group, Group]


def test_classes_that_cannot_be_imported_come_by_value() -> None:
    class Local(Exception):  # noqa: N818
        def __init__(self, *, x: int) -> None:
            self.x = x

    error = trip(Local(x=3))
    assert isinstance(error, Local)
    assert error.x == 3


def test_rude_exceptions() -> None:
    error = trip(Rude())
    assert isinstance(error, TaskError)
    assert "Rude" in str(error)


class Loses(Exception):  # noqa: N818
    def __reduce__(self) -> Any:
        return str, ("not an exception",)


class Breaks(Exception):  # noqa: N818
    here = True

    def __init__(self) -> None:
        super().__init__()
        if not Breaks.here:
            raise RuntimeError("only in the worker")


def test_what_pickles_into_something_else() -> None:
    assert isinstance(trip(Loses("x")), Loses)


def test_what_cannot_be_unpickled_here(monkeypatch: pytest.MonkeyPatch) -> None:
    data = pack_exception(raised(Breaks()), "f", 7)
    monkeypatch.setattr(Breaks, "here", False)
    error = unpack_exception(data)
    assert isinstance(error, TaskError)
    assert isinstance(error, UnserializableException)
    assert "in raised" in str(error)
    assert "in raised" in str(error.cause)


@given(st.binary(max_size=60))
def test_unpack_never_raises(data: bytes) -> None:
    assert isinstance(unpack_exception(data), TaskError)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), asyncio.CancelledError()])
def test_interrupts_are_cancellations(error: BaseException) -> None:
    assert isinstance(trip(error), TaskCancelledError)


def test_chains_and_notes_are_told() -> None:
    def chained() -> None:
        try:
            dict[str, int]()["key"]
        except KeyError as first:
            first.add_note("a note")
            raise ValueError("second") from first

    with pytest.raises(ValueError, match="second") as caught:
        chained()
    text = str(unpack_exception(pack_exception(caught.value, "f", 1)))
    for part in ("KeyError: 'key'", "a note", "direct cause", "ValueError: second", "in chained"):
        assert part in text


def test_one_layer_however_many_tasks() -> None:
    error = trip(trip(trip(ValueError("deep"), "inner"), "middle"), "outer")
    assert type(error).__name__ == "TaskError(ValueError)"
    assert type(error.cause) is ValueError
    assert error.function_name == "outer"
    assert [name in str(error) for name in ("inner()", "middle()", "outer()")] == [True] * 3


def test_errors_of_arguments_say_so() -> None:
    data = pack_exception(raised(ValueError(1)), "f", 1)
    text = str(unpack_exception(data, ("parse", "report")))
    assert "f() failed in process 1" in text
    assert "report() did not run, because parse() did not run: at least one of its input arguments could not be" in text


def test_own_frames_on_top_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(errors, "_PACKAGE", __file__)
    assert "in raised" not in str(trip(ValueError(1)))


def test_long_texts_are_cut() -> None:
    data = pack_exception(raised(ValueError("x" * 1_000_000)), "f", 1)
    text = str(unpack_exception(data))
    assert len(text) < errors.TEXT_LIMIT + 1000
    assert "are left out" in text
    assert "in raised" in text


def test_surrogates() -> None:
    assert isinstance(trip(ValueError("\udc80")), ValueError)


def test_cycles() -> None:
    first, second = ValueError(1), ValueError(2)
    first.__cause__, second.__cause__ = second, first
    first.args = (first,)
    assert isinstance(trip(first), ValueError)


def deep(levels: int) -> BaseException:
    """Return an error whose traceback has ``levels`` frames more, as unwinding does."""
    error = raised(ValueError("deep"))

    def again() -> None:
        raise error

    for _ in range(levels):
        try:
            again()
        except ValueError:
            pass
    return error


def test_deep_tracebacks() -> None:
    error = unpack_exception(pack_exception(deep(100_000), "f", 1))
    assert isinstance(error, ValueError)
    assert "outer frames are left out" in str(error)


def test_endless_recursion() -> None:
    def recurse() -> None:
        recurse()

    with pytest.raises(RecursionError) as caught:
        recurse()
    assert isinstance(unpack_exception(pack_exception(caught.value, "f", 1)), RecursionError)


class Config:
    def __init__(self) -> None:
        self.fine = 1
        self.lock = threading.Lock()


class SlottedConfig:
    __slots__ = ("lock",)

    def __init__(self) -> None:
        self.lock = threading.Lock()


def closing_over(value: Any) -> Callable[[], Any]:
    return lambda: value


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (threading.Lock(), "args[0]"),
        (Config(), "args[0].lock"),
        (SlottedConfig(), "args[0].lock"),
        ([1, {"cfg": Config()}], "args[0][1]['cfg'].lock"),
        ({"a": (1, 2, Config())}, "args[0]['a'][2].lock"),
        (closing_over(Config()), "args[0].<closure>.value.lock"),
        (functools.partial(print, Config()), "args[0].args[0].lock"),
        (Holder(Config()), "args[0].value.lock"),
        (Config().__init__, "args[0].__self__.lock"),  # type: ignore[misc]
    ],
)
def test_explain(value: Any, path: str) -> None:
    text = explain_unpicklable(value, TypeError("outer"), "args[0]")
    assert text == f"{path}: cannot pickle '_thread.lock' object"


def test_explain_globals_and_defaults() -> None:
    namespace: dict[str, Any] = {"LOCK": threading.Lock(), "__name__": "__main__"}
    exec("def f():\n    return [LOCK for _ in ()]\ndef g(x=LOCK): pass", namespace)
    assert explain_unpicklable(namespace["f"], TypeError(), "f").startswith("f.<global>.LOCK: ")
    assert explain_unpicklable(namespace["g"], TypeError(), "g").startswith("g.<default>[0]: ")


def test_explain_is_bounded_and_falls_back() -> None:
    assert explain_unpicklable(1, TypeError("odd"), "x") == "x: odd"
    nested: Any = threading.Lock()
    for _ in range(50):
        nested = [nested]
    assert explain_unpicklable(nested, TypeError("odd"), "x").startswith("x[0][0]")
    loop: list[Any] = [threading.Lock()]
    loop.insert(0, loop)
    assert explain_unpicklable(loop, TypeError("odd"), "x").startswith("x[1]: ")
    assert explain_unpicklable(Rude(), Rude(), "x").startswith("x: ")


def test_serialization_error_survives() -> None:
    assert isinstance(trip(SerializationError("args[0]: no")), TypeError)
    assert isinstance(trip(SerializationError("args[0]: no")), ActorGridError)


def test_pickle_of_what_arrives() -> None:
    error = trip(TwoArguments(1, 2), "f")
    assert "TwoArguments" in str(error)
    assert isinstance(pickle.loads(pickle.dumps(trip(KeyError(1)))), KeyError)


class FightsBack(Exception):  # noqa: N818
    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)


class Nameless(type):
    def __getattribute__(cls, name: str) -> Any:
        raise RuntimeError(name)


def test_exception_whose_attributes_all_raise_still_says_where_it_was_raised() -> None:
    error = trip(FightsBack("x"))
    assert "in raised" in str(error)
    assert "FightsBack (it cannot be formatted: RuntimeError)" in str(error)


def test_exception_whose_class_has_no_attributes_still_arrives() -> None:
    cls = Nameless("Odd", (Exception,), {})
    assert "Odd" in str(trip(cls("x")))


def test_exception_arrives_though_nothing_can_be_pickled_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> bytes:
        raise ImportError("sys.modules is empty")

    monkeypatch.setattr(errors, "dumps", broken)
    monkeypatch.setattr(errors, "_dumps", broken)
    error = trip(ValueError("the message"))
    assert isinstance(error.cause, ActorGridError)
    assert "ValueError: the message" in str(error)
