"""What a signal handler has to raise while our bookkeeping is on the stack is raised where that returns to: no later.

No grid here: the protected functions are those of the tests, and the signals come exactly where the tests say.
"""

from __future__ import annotations

import contextlib
import gc
import signal
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from functools import partial
from types import FrameType
from typing import Any

import pytest

from actorgrid.engine.interrupts import Interrupts, breathe, breathing, exit_on_signal, protected
from actorgrid.engine.serialize import dumps
from actorgrid.wire.unpicklable import problem_of


@pytest.fixture(autouse=True)
def handled() -> Iterator[list[str]]:
    """Our handlers of SIGINT and SIGTERM; what they let go of is noted."""
    let_go: list[str] = []
    interrupts = Interrupts(lambda: let_go.append("let go"))
    interrupts.install()
    before = signal.signal(signal.SIGTERM, exit_on_signal)
    yield let_go
    signal.signal(signal.SIGTERM, before)
    interrupts.uninstall()
    assert sys.gettrace() is None
    assert sys.getprofile() is None


done: list[str] = []


@pytest.fixture(autouse=True)
def _afresh() -> None:
    done.clear()


@protected
def bookkeeping(number: int = signal.SIGINT) -> None:
    signal.raise_signal(number)
    for _ in range(100):  # enough places at which the interpreter might raise something
        len(done)
    done.append("bookkeeping")


@protected
def outer(number: int = signal.SIGINT) -> None:
    bookkeeping(number)
    done.append("outer")


def go_beyond(step: Callable[[], object]) -> None:
    step()
    done.append("beyond")


def test_interrupt_comes_when_the_outermost_protected_function_has_returned() -> None:
    with pytest.raises(KeyboardInterrupt):
        go_beyond(outer)
    assert done == ["bookkeeping", "outer"]


def test_interrupt_outside_comes_at_once(handled: list[str]) -> None:
    with pytest.raises(KeyboardInterrupt):
        go_beyond(partial(signal.raise_signal, signal.SIGINT))
    assert done == []
    assert handled == ["let go"]


def test_what_only_unwinding_would_undo_is_undone_first(handled: list[str]) -> None:
    with pytest.raises(KeyboardInterrupt):
        outer()
    assert handled == ["let go"]


def test_many_interrupts_in_protected_code_are_one() -> None:
    @protected
    def hammered() -> None:
        for _ in range(20):
            bookkeeping()

    with pytest.raises(KeyboardInterrupt):
        hammered()
    assert done == ["bookkeeping"] * 20
    done.append("beyond")  # and nothing comes afterwards


def test_loop_that_does_nothing_else_is_left() -> None:
    # Wherever it goes round, is called or returns, it is in protected code, but for one instruction.
    @protected
    def busy() -> None:
        done.append("round")
        if len(done) == 3:
            signal.raise_signal(signal.SIGINT)

    def go_round() -> None:
        while len(done) < 10_000:
            busy()

    with pytest.raises(KeyboardInterrupt):
        go_round()
    assert done == ["round"] * 3


def test_exception_of_the_protected_function_does_not_hide_the_interrupt() -> None:
    @protected
    def fails() -> None:
        signal.raise_signal(signal.SIGINT)
        raise ValueError

    with pytest.raises(KeyboardInterrupt), contextlib.suppress(ValueError):
        fails()


class Counted:
    def __init__(self, number: int = signal.SIGINT) -> None:
        self.number = number

    @protected
    def __del__(self) -> None:
        bookkeeping(self.number)


class OfUser(Counted):
    """A finalizer of the user's, with ours in it: Python would print and forget what is raised here."""

    def __del__(self) -> None:
        bookkeeping(self.number)
        done.append("finalizer")


@pytest.fixture
def unraisable(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    seen: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", seen.append)
    return seen


@pytest.mark.parametrize(("number", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)])
@pytest.mark.parametrize("kind", [Counted, OfUser])
def test_signal_in_a_finalizer_is_not_swallowed(
    unraisable: list[Any], kind: Callable[[int], object], number: int, error: type[BaseException]
) -> None:
    thing = [kind(number)]
    with pytest.raises(error):
        go_beyond(thing.clear)
    assert "beyond" not in done
    assert not unraisable


def test_interrupt_in_a_finalizer_that_the_collector_runs_is_not_swallowed(unraisable: list[Any]) -> None:
    cycle: list[Any] = [Counted()]
    cycle.append(cycle)
    del cycle
    with pytest.raises(KeyboardInterrupt):
        go_beyond(gc.collect)
    assert done == ["bookkeeping"]
    assert not unraisable


def test_interrupt_in_what_weakref_finalize_calls_is_not_swallowed(unraisable: list[Any]) -> None:
    things = [Plain()]
    weakref.finalize(things[0], bookkeeping)
    with pytest.raises(KeyboardInterrupt):
        go_beyond(things.clear)
    assert done == ["bookkeeping"]
    assert not unraisable


class Plain:
    pass


def test_termination_ends_the_program_by_an_exception_with_the_signal_as_its_code() -> None:
    with pytest.raises(SystemExit) as caught:
        outer(signal.SIGTERM)
    assert caught.value.code == signal.SIGTERM


@pytest.mark.parametrize("numbers", [(signal.SIGTERM, signal.SIGINT), (signal.SIGINT, signal.SIGTERM)])
def test_interrupt_does_not_take_the_place_of_a_termination(numbers: tuple[int, int]) -> None:
    @protected
    def both() -> None:
        for number in numbers:
            bookkeeping(number)

    with pytest.raises(SystemExit):
        both()
    with pytest.raises(KeyboardInterrupt):  # the next one is a new one
        bookkeeping()


@pytest.mark.parametrize(("number", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)])
def test_signal_that_comes_while_an_interrupt_is_about_to_be_raised(number: int, error: type[BaseException]) -> None:
    numbers = [number]

    @protected
    def let_go() -> None:
        if numbers:
            signal.raise_signal(numbers.pop())

    interrupts = Interrupts(let_go)
    interrupts.install()
    with pytest.raises(error):
        outer()
    interrupts.uninstall()
    copied()  # nothing comes afterwards


@breathing
def copied() -> None:
    breathe()


# ------------------------------------------------------------------------------------------ beside other people's tools


class Tool:
    """A debugger or a coverage tool."""

    def __init__(self) -> None:
        self.lines = 0

    def __call__(self, frame: FrameType, event: str, argument: object) -> Any:
        self.lines += event == "line"
        return self


@pytest.fixture
def tool() -> Iterator[Tool]:
    tool = Tool()
    sys.settrace(tool)
    yield tool
    assert sys.gettrace() is tool, "it sees no more of the program"
    sys.settrace(None)


def test_interrupt_comes_and_a_debugger_goes_on(tool: Tool) -> None:
    with pytest.raises(KeyboardInterrupt):
        go_beyond(outer)
    assert done == ["bookkeeping", "outer"]
    seen = tool.lines
    bookkeeping_of_others()
    assert tool.lines > seen


def bookkeeping_of_others() -> None:
    done.append("others")


# --------------------------------------------------------------------------------------------------------- breathing


def test_long_copy_is_interrupted_between_two_parts() -> None:
    @breathing
    def copy() -> None:
        for part in range(10):
            if part == 3:
                signal.raise_signal(signal.SIGINT)
            breathe()
            done.append("part")

    with pytest.raises(KeyboardInterrupt):
        copy()
    assert done == ["part"] * 3


def test_what_breathes_inside_of_what_does_not_is_protected_as_ever() -> None:
    @breathing
    def copy() -> None:
        signal.raise_signal(signal.SIGINT)
        breathe()
        done.append("copied")

    @protected
    def whole() -> None:
        copy()
        done.append("whole")

    with pytest.raises(KeyboardInterrupt):
        whole()
    assert done == ["copied", "whole"]


def test_finalizer_that_waits_in_the_middle_of_a_copy_does_not_swallow_the_interrupt(unraisable: list[Any]) -> None:
    class Waits:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGINT)
            breathe()
            done.append("finalizer")

    @breathing
    def copy() -> None:
        thing = Waits()
        del thing
        done.append("copied")

    with pytest.raises(KeyboardInterrupt):
        copy()
    assert done == ["finalizer", "copied"]
    assert not unraisable


def test_other_threads_breathe_without_a_signal_that_is_not_theirs() -> None:
    @breathing
    def copy() -> None:
        signal.raise_signal(signal.SIGINT)
        thread = threading.Thread(target=go_beyond, args=(breathe,))
        thread.start()
        thread.join()

    with pytest.raises(KeyboardInterrupt):
        copy()
    assert done == ["beyond"]


# ------------------------------------------------------------------------------------------------ around user's methods


class Interrupted:
    def __init__(self, number: int) -> None:
        self.number = number

    def __reduce__(self) -> Any:
        signal.raise_signal(self.number)
        return Interrupted, (0,)


@pytest.mark.parametrize(("number", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)])
def test_signal_while_a_value_is_pickled_is_no_failure_of_its_methods(number: int, error: type[BaseException]) -> None:
    with pytest.raises(error):
        dumps(Interrupted(number), "the value")


@pytest.mark.parametrize(("number", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)])
def test_signal_while_it_is_found_out_why_a_value_cannot_be_pickled(number: int, error: type[BaseException]) -> None:
    with pytest.raises(error):
        problem_of(Interrupted(number))
