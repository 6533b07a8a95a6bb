"""Exceptions of user code: their class, their traceback, and what cannot be pickled."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import actorgrid as ag
from actorgrid.testing.waiting import wait_until
from tests.contract.tools import DEADLINE

pytestmark = pytest.mark.usefixtures("grid")


class TwoArgumentsError(Exception):
    """Pickles by ``cls(*args)``, which fails: ``args`` has one item and the constructor wants two."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code
        self.reason = reason


class KeywordOnlyError(Exception):
    def __init__(self, *, code: int) -> None:
        super().__init__(code)
        self.code = code


class NoReprError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no str")

    __repr__ = __str__


class FinalError(Exception):
    def __init_subclass__(cls) -> None:
        raise TypeError("FinalError has no subclasses")


@ag.remote
def fail_with(error: BaseException) -> None:
    raise error


@ag.remote
def echo(value: Any) -> Any:
    return value


@ag.remote
def divide(a: int, b: int) -> float:
    return a / b


def caught_from(ref: Any) -> Any:
    """Return what ``get`` raises."""
    with pytest.raises(BaseException) as caught:  # whatever it is: the tests look at it
        ag.get(ref, timeout=DEADLINE)
    return caught.value


def test_error_is_caught_as_the_users_class() -> None:
    with pytest.raises(ZeroDivisionError):
        ag.get(divide.remote(1, 0))


def test_error_is_caught_as_a_task_error() -> None:
    with pytest.raises(ag.exceptions.RayTaskError):
        ag.get(divide.remote(1, 0))


def test_task_error_and_ray_task_error_are_one_class() -> None:
    assert ag.exceptions.TaskError is ag.exceptions.RayTaskError


def test_cause_is_the_users_exception() -> None:
    error = caught_from(fail_with.remote(ValueError("a", 2)))
    assert type(error.cause) is ValueError
    assert error.cause.args == ("a", 2)
    assert error.args == (error.cause,)


def test_attributes_of_the_users_exception_can_be_read() -> None:
    assert caught_from(fail_with.remote(OSError(2, "gone", "file"))).errno == 2


def test_message_names_function_process_file_and_line() -> None:
    @ag.remote
    def culprit() -> None:
        raise ValueError(os.getpid())

    error = caught_from(culprit.remote())
    text = str(error)
    assert "culprit" in text
    assert f"{error.cause.args[0]}" in text.replace(f"ValueError: {error.cause.args[0]}", "")
    line = culprit._function.__code__.co_firstlineno + 2
    assert "test_errors.py" in text
    assert f"line {line}" in text


def test_traceback_shows_the_inner_functions() -> None:
    def helper() -> None:
        raise KeyError("inner")

    @ag.remote
    def outer() -> None:
        helper()

    assert "helper" in str(caught_from(outer.remote()))


def test_error_passes_through_a_chain_of_dependent_tasks() -> None:
    ref: Any = divide.remote(1, 0)
    for _ in range(5):
        ref = echo.remote(ref)
    error = caught_from(ref)
    assert isinstance(error, ZeroDivisionError)
    assert type(error.cause) is ZeroDivisionError
    assert "divide" in str(error)


def test_error_of_an_argument_names_the_tasks_that_did_not_run_for_its_sake() -> None:
    failed = divide.remote(1, 0)
    never = echo.options(name="report").remote(echo.remote(failed))
    with pytest.raises(ZeroDivisionError) as caught:
        ag.get(never)
    assert "report() did not run, because echo() did not run: at least one of its input arguments" in str(caught.value)
    assert "divide() failed in process" in str(caught.value)


def test_error_at_the_root_of_a_long_chain_names_the_ends_of_the_chain() -> None:
    ref: ag.ObjectRef[Any] = divide.remote(1, 0)
    for index in range(100):
        ref = echo.options(name=f"step{index}").remote(ref)
    with pytest.raises(ZeroDivisionError) as caught:
        ag.get(ref)
    told = str(caught.value).splitlines()[1]
    assert told.startswith("step99() did not run, because step98() did not run, because")
    assert "because ..., because step3() did not run" in told
    assert "because step0() did not run: at least" in told
    assert "step50" not in told


def test_error_passes_through_a_chain_of_any_length() -> None:
    ref: ag.ObjectRef[Any] = divide.remote(1, 0)
    for _ in range(2000):
        ref = echo.remote(ref)
    with pytest.raises(ZeroDivisionError):
        ag.get(ref, timeout=60)
    assert ag.get(echo.remote(1), timeout=60) == 1


def test_dependent_task_of_a_failed_one_does_not_run() -> None:
    @ag.remote(num_cpus=0)
    class Seen:
        def __init__(self) -> None:
            self.count = 0

        def note(self) -> None:
            self.count += 1

        def read(self) -> int:
            return self.count

    @ag.remote
    def after(_: Any, seen: Any) -> None:
        ag.get(seen.note.remote())

    seen = Seen.remote()
    assert isinstance(caught_from(after.remote(divide.remote(1, 0), seen)), ZeroDivisionError)
    assert ag.get(seen.read.remote()) == 0


def test_get_raises_the_error_every_time() -> None:
    ref = divide.remote(1, 0)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            ag.get(ref)


@pytest.mark.parametrize(
    "error",
    [
        Exception("plain"),
        BaseException("base"),
        StopIteration(3),
        GeneratorExit(),
        AssertionError("no"),
        UnicodeDecodeError("utf-8", b"x", 0, 1, "bad"),
        ModuleNotFoundError("nope", name="nope"),
        TimeoutError("slow"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_exception_of_any_builtin_class_arrives(error: BaseException) -> None:
    arrived = caught_from(fail_with.remote(error))
    assert isinstance(arrived, ag.exceptions.RayTaskError)
    assert type(arrived.cause) is type(error)
    assert arrived.cause.args == error.args


def test_exception_group_is_caught_with_except_star() -> None:
    seen: list[Any] = []
    try:
        ag.get(fail_with.remote(ExceptionGroup("both", [ValueError(1), KeyError(2)])))
    except* ValueError as group:
        seen.append(group)
    except* KeyError as group:
        seen.append(group)
    assert len(seen) == 2


def test_exception_whose_constructor_takes_other_arguments_arrives_as_its_class() -> None:
    @ag.remote
    def refuse() -> None:
        raise TwoArgumentsError(404, "not here")

    error = caught_from(refuse.remote())
    assert isinstance(error, TwoArgumentsError)
    assert (error.code, error.reason) == (404, "not here")


def test_exception_with_keyword_only_arguments_arrives_as_its_class() -> None:
    @ag.remote
    def refuse() -> None:
        raise KeywordOnlyError(code=7)

    error = caught_from(refuse.remote())
    assert isinstance(error, KeywordOnlyError)
    assert error.code == 7


def test_exception_of_a_local_class_arrives_as_its_class() -> None:
    class LocalError(Exception):
        pass

    @ag.remote
    def refuse() -> None:
        raise LocalError("here")

    assert isinstance(caught_from(refuse.remote()), LocalError)


def test_exception_without_a_usable_str_or_repr_arrives() -> None:
    @ag.remote
    def refuse() -> None:
        raise NoReprError

    assert isinstance(caught_from(refuse.remote()), NoReprError)


class FightsBack(Exception):  # noqa: N818
    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)


def test_exception_whose_attributes_all_raise_arrives_and_says_where() -> None:
    @ag.remote(max_retries=0)
    def fight() -> None:
        raise FightsBack

    with pytest.raises(ag.exceptions.TaskError, match=r"(?s)in fight.*FightsBack"):
        ag.get(fight.remote())


def test_exception_of_a_class_that_cannot_be_subclassed_is_a_plain_task_error() -> None:
    @ag.remote
    def refuse() -> None:
        raise FinalError("end")

    error = caught_from(refuse.remote())
    assert isinstance(error, ag.exceptions.RayTaskError)
    assert type(error.cause) is FinalError


def test_exception_that_cannot_be_pickled_is_a_task_error_with_its_text() -> None:
    @ag.remote
    def refuse() -> None:
        raise ValueError("locked", threading.Lock())

    error = caught_from(refuse.remote())
    assert isinstance(error, ag.exceptions.RayTaskError)
    assert "locked" in str(error)


def test_keyboard_interrupt_in_a_task_does_not_interrupt_the_driver() -> None:
    error = caught_from(fail_with.remote(KeyboardInterrupt()))
    assert isinstance(error, ag.exceptions.RayError)
    assert not isinstance(error, KeyboardInterrupt)


def test_notes_and_context_are_shown() -> None:
    @ag.remote
    def annotated() -> None:
        try:
            raise KeyError("first")
        except KeyError as error:
            second = ValueError("second")
            second.add_note("read this")
            raise second from error

    text = str(caught_from(annotated.remote()))
    assert "read this" in text
    assert "first" in text


def test_notes_are_those_of_the_cause() -> None:
    @ag.remote
    def annotated() -> None:
        error = ValueError("noted")
        error.add_note("read this")
        raise error

    error = caught_from(annotated.remote())
    assert error.cause.__notes__ == ["read this"]
    assert not hasattr(error, "__notes__")


def test_exception_with_a_cycle_of_causes_arrives() -> None:
    @ag.remote
    def circular() -> None:
        a, b = ValueError("a"), KeyError("b")
        a.__cause__, b.__cause__ = b, a
        raise a

    assert isinstance(caught_from(circular.remote()), ValueError)


def test_argument_that_cannot_be_pickled_is_a_type_error_at_the_call_that_names_its_path() -> None:
    with pytest.raises(TypeError) as caught:
        echo.remote({"config": {"lock": threading.Lock()}})
    assert "lock" in str(caught.value)
    assert "config" in str(caught.value)


def test_closure_that_cannot_be_pickled_is_a_type_error_at_the_call_that_names_it() -> None:
    guard = threading.Lock()

    @ag.remote
    def locked() -> None:
        with guard:
            pass

    with pytest.raises(TypeError, match="guard"):
        locked.remote()


def test_put_of_what_cannot_be_pickled_is_a_type_error() -> None:
    with pytest.raises(TypeError):
        ag.put([threading.Lock()])


def test_result_that_cannot_be_pickled_is_a_type_error_of_the_task_that_names_its_path() -> None:
    @ag.remote
    def locked() -> Any:
        return {"answer": [1, threading.Lock()]}

    error = caught_from(locked.remote())
    assert isinstance(error, TypeError)
    assert "locked" in str(error)
    assert "answer" in str(error)


class ExplodesOnArrival:
    def __reduce__(self) -> Any:
        return int, ("not a number",)


def test_argument_that_cannot_be_unpickled_is_an_error_of_the_task() -> None:
    error = caught_from(echo.remote(ExplodesOnArrival()))
    assert isinstance(error, ag.exceptions.RayError)
    assert "not a number" in str(error)


def test_result_that_cannot_be_unpickled_is_an_error_of_that_get() -> None:
    @ag.remote
    def bomb() -> Any:
        return ExplodesOnArrival()

    error = caught_from(bomb.remote())
    assert "not a number" in str(error)
    assert ag.get(echo.remote(1)) == 1


def test_next_task_runs_after_a_failed_one() -> None:
    for _ in range(5):
        caught_from(divide.remote(1, 0))
    assert ag.get(divide.remote(4, 2)) == 2


@pytest.fixture
def collector_comes_back() -> Iterator[None]:
    """On the simulator, a task that turns the collector off turns ours off."""
    yield
    gc.enable()


class Probe:
    """Writes a file when it goes."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __del__(self) -> None:
        self.path.write_text("gone", encoding="ascii")


@ag.remote
def fail(path: Path) -> None:
    gc.disable()
    local = Probe(path)
    raise ValueError(repr(local))


class Failing:
    def fail(self, path: Path) -> None:
        gc.disable()
        local = Probe(path)
        raise ValueError(repr(local))


class FailingAsync:
    async def fail(self, path: Path) -> None:
        gc.disable()
        local = Probe(path)
        raise ValueError(repr(local))


@pytest.mark.usefixtures("collector_comes_back")
@pytest.mark.parametrize(("cls", "concurrency"), [(Failing, 1), (Failing, 3), (FailingAsync, 3)])
def test_locals_of_a_failed_call_go_without_the_help_of_the_garbage_collector(
    cls: type, concurrency: int, tmp_path: Path
) -> None:
    actor: Any = ag.remote(cls).options(max_concurrency=concurrency).remote()
    path = tmp_path / "probe"
    with pytest.raises(ValueError, match="Probe"):
        ag.get(actor.fail.remote(path), timeout=DEADLINE)
    assert wait_until(path.exists)


@pytest.mark.usefixtures("collector_comes_back")
def test_locals_of_a_failed_task_go_without_the_help_of_the_garbage_collector(tmp_path: Path) -> None:
    path = tmp_path / "probe"
    with pytest.raises(ValueError, match="Probe"):
        ag.get(fail.remote(path), timeout=DEADLINE)
    assert wait_until(path.exists)


class ReportError(Exception):
    def __init__(self, code: int, output: str) -> None:
        super().__init__(code, output)
        self.code = code
        self.output = output


def test_exception_larger_than_a_frame_keeps_its_class_and_the_ends_of_its_text(grid: None) -> None:
    @ag.remote
    def fails() -> None:
        raise ReportError(3, "first words " + "x" * 3_000_000 + " last words")

    with pytest.raises(ReportError) as caught:
        ag.get(fails.remote())
    assert isinstance(caught.value, ag.exceptions.TaskError)
    cause = caught.value.cause
    assert cause.code == 3
    assert cause.output.startswith("first words")
    assert cause.output.endswith("last words")
    assert "too large to send (" in cause.__notes__[0]


def test_exception_that_cannot_be_pickled_says_what_of_it_could_not(grid: None) -> None:
    class WeirdError(Exception):
        pass

    @ag.remote
    def fails() -> None:
        error = WeirdError("weird text")
        error.inner = {"l": [threading.Lock()]}
        raise error

    with pytest.raises(ag.exceptions.TaskError, match="weird text") as caught:
        ag.get(fails.remote())
    assert "sent as text: inner['l'][0]: cannot pickle '_thread.lock' object" in str(caught.value)


DEBUGGER = "a simulated process runs in the terminal of its program, where the debugger works"


@ag.remote
def stop() -> str:
    breakpoint()  # noqa: T100  # the point
    return "went on"


@pytest.mark.processes(DEBUGGER)
def test_breakpoint_says_that_there_is_no_terminal_and_where_there_is_one() -> None:
    with pytest.raises(NotImplementedError, match=r"workers have no terminal; with init\(engine='sim'\)"):
        ag.get(stop.options(max_retries=0).remote(), timeout=DEADLINE)


@pytest.mark.processes(DEBUGGER)
def test_breakpoints_can_be_passed_over() -> None:
    passing = stop.options(runtime_env={"env_vars": {"PYTHONBREAKPOINT": "0"}})
    assert ag.get(passing.remote(), timeout=DEADLINE) == "went on"


@pytest.mark.processes(DEBUGGER)
def test_another_debugger_may_take_the_place_of_pythons() -> None:
    with pytest.raises(LookupError, match="called"):
        ag.get(stop.options(runtime_env={"env_vars": {"PYTHONBREAKPOINT": f"{__name__}.debug"}}).remote())


def debug() -> None:
    raise LookupError("called")
