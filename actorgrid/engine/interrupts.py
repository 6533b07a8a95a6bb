"""Ctrl-C and SIGTERM without torn state.

An exception raised by a signal handler between two steps of our bookkeeping would leave a message half sent or a lock
held. So our handlers (that of SIGINT is installed only over Python's own, trio's idea) look at the stack that they
interrupt: if a function marked ``@protected`` is on it, the exception is put off, and raised where the outermost such
function returns to. Marking a function costs nothing when it runs: only its code object is remembered.

Why it is not simply tried again a moment later: CPython runs signal handlers when a function is entered, when a loop
goes round and when a blocking call comes back. In a loop around ``put`` nearly all of that is inside protected
functions, so that another try is another draw with odds close to nothing, for ever.

How it is raised there: the frame to which the outermost protected function returns is traced, for one instruction.
The bound is thus that function itself, and a protected function never blocks for long: waiting happens outside.
Finalizers are no place to raise anything, for Python would print and forget it: their callers are.
"""

from __future__ import annotations

import signal
import sys
import threading
import weakref
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any, Final, TypeVar

from actorgrid.core.signals import Terminated

F = TypeVar("F", bound=Callable[..., Any])
Held = Callable[[CodeType], bool]

#: A signal is ending this program.
_terminated = False
_protected: Final[set[CodeType]] = set()
_breathing: Final[set[CodeType]] = set()
_IMPORTLIB: Final = "<frozen importlib._bootstrap>"
_FINALIZE: Final = weakref.finalize.__call__.__code__


def protected(function: F) -> F:
    """Mark ``function``: what a signal handler has to raise is not raised in it or in what it calls."""
    _protected.add(function.__code__)
    return function


def breathing(function: F) -> F:
    """Mark ``function`` as protected but where it, or what it calls, says ``breathe``: it copies much, or waits."""
    _breathing.add(function.__code__)
    return protected(function)


def is_protected(code: CodeType) -> bool:
    """Return whether this is our bookkeeping."""
    return code in _protected


def is_untouchable(code: CodeType) -> bool:
    """Return whether this is our bookkeeping, or an import.

    An import that is cut in half leaves submodules behind that their package does not know of, and whoever imports it
    next in this process, another task perhaps, gets a NameError.
    """
    return code in _protected or is_import(code)


def is_import(code: CodeType) -> bool:
    """Return whether this is what imports modules."""
    return code.co_filename == _IMPORTLIB


def _outermost(frame: FrameType | None, held: Held) -> FrameType | None:
    """Return the outermost function that is ``held``, of those on the stack that ends in ``frame``."""
    found = None
    while frame is not None:
        if held(frame.f_code):
            found = frame
        frame = frame.f_back
    return found


def is_under(frame: FrameType | None, held: Held) -> bool:
    """Return whether a function that is ``held`` is on the stack that ends in ``frame``."""
    return _outermost(frame, held) is not None


class _Landing:
    """What is to be raised as soon as the main thread has left its protected functions."""

    def __init__(self) -> None:
        #: What raises it; None: nothing is to be raised.
        self.throw: Callable[[], None] | None = None
        #: It ends the program: no later one takes its place.
        self._final = False
        self._held: Held = is_protected

    def expect(self, frame: FrameType, throw: Callable[[], None], held: Held, *, final: bool) -> None:
        """Call ``throw`` in this thread, the main one, once the ``held`` functions on this stack have returned."""
        self._held = held
        outermost = _outermost(frame, self._closed)
        beyond = None if outermost is None else outermost.f_back
        if beyond is None:
            return  # a finalizer that nobody has called: the interpreter goes down
        if self.throw is None or not self._final:
            self.throw, self._final = throw, final
        if sys.gettrace() in (None, self._enter):
            beyond.f_trace, beyond.f_trace_opcodes = self._land, True
            sys.settrace(self._enter)  # from 3.12 on only now it is asked whether anybody wants opcodes
        else:  # a debugger or a coverage tool, which what a trace function raises would end
            sys.setprofile(self._look)

    def breathe(self, frame: FrameType) -> None:
        """Call ``throw`` now if whatever is held on this stack allows it."""
        if _outermost(frame, lambda code: self._closed(code) and code not in _breathing) is None:
            self.now()

    def _closed(self, code: CodeType) -> bool:
        return self._held(code) or code.co_name == "__del__" or code is _FINALIZE

    def forget(self) -> None:
        """Nothing is to be raised."""
        self.throw = None
        if sys.gettrace() == self._enter:
            sys.settrace(None)
        if sys.getprofile() == self._look:
            sys.setprofile(None)

    def _enter(self, frame: FrameType, event: str, argument: object) -> None:
        """Another function is called before: it is not traced."""

    def _land(self, frame: FrameType, event: str, argument: object) -> None:
        del event, argument
        frame.f_trace, frame.f_trace_opcodes = None, False
        self.now()

    def _look(self, frame: FrameType, event: str, argument: object) -> None:
        del event, argument
        if _outermost(frame, self._closed) is None:
            self.now()

    def now(self, *, only_final: bool = False) -> None:
        """Call it; ``only_final``: if it ends the program, else it is forgotten."""
        throw = self.throw
        self.forget()
        if throw is not None and (self._final or not only_final):
            throw()


_landing: Final = _Landing()
#: What only unwinding would undo, and is undone for certain before a signal handler raises anything.
_before: Final[list[Callable[[], None]]] = []


def raise_beyond(
    frame: FrameType | None, throw: Callable[[], None], held: Held = is_protected, *, final: bool = False
) -> None:
    """Call ``throw`` from a signal handler that has interrupted ``frame``: now, or beyond what is ``held`` there.

    It raises, or finds that it need not any more. Of several the latest counts, or the one that is ``final``.
    """
    if frame is not None and _outermost(frame, held) is not None:
        _landing.expect(frame, throw, held, final=final)
    else:
        _landing.forget()
        throw()


def breathe() -> None:
    """Raise what was put off, if nothing but ``breathing`` functions protects the caller: it tears nothing here."""
    if _landing.throw is not None and threading.current_thread() is threading.main_thread():
        _landing.breathe(sys._getframe())  # noqa: SLF001  # as everybody does


def _let_go() -> None:
    """Undo what must be undone. Raises what ends the program, if that came meanwhile; any other would be one too many.

    Where a trace function raises nothing else can land, and what could not would come up at some later time.
    """
    for undo in _before:
        undo()
    _landing.now(only_final=True)


def _interrupt() -> None:
    _let_go()
    raise KeyboardInterrupt


def is_hurried() -> bool:
    """Return whether a signal ends this program (SIGTERM or Ctrl-C): nobody is to wait for work that still runs."""
    return _terminated or issubclass(getattr(sys, "last_type", object), KeyboardInterrupt)


def exit_on_signal(number: int, frame: FrameType | None) -> None:
    """End the program by an exception, so that its exit handlers run. A handler of signals."""

    def leave() -> None:
        global _terminated  # noqa: PLW0603  # of the process
        _terminated = True
        _let_go()
        raise Terminated(number)

    raise_beyond(frame, leave, final=True)


class Interrupts:
    """The SIGINT handler of a driver."""

    def __init__(self, let_go: Callable[[], None]) -> None:
        """``let_go`` is called before an exception is raised: what only unwinding would undo is undone for certain."""
        self._let_go = let_go
        #: The grid has ended: there is nothing to protect.
        self._over = False

    def install(self) -> None:
        """Put our handler over Python's default one; leave any other alone, and threads other than the main one."""
        _before.append(self._let_go)
        if threading.current_thread() is not threading.main_thread():
            return
        there = signal.getsignal(signal.SIGINT)
        # An earlier grid's handler is left over if another thread than the main one has ended that grid.
        if there is signal.default_int_handler or isinstance(getattr(there, "__self__", None), Interrupts):
            signal.signal(signal.SIGINT, self.handle)

    def uninstall(self) -> None:
        """Put Python's handler back if ours is still there; outside the main thread, make ours behave as Python's."""
        self._over = True
        if self._let_go in _before:
            _before.remove(self._let_go)
        main = threading.current_thread() is threading.main_thread()
        if main and signal.getsignal(signal.SIGINT) == self.handle:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Raise KeyboardInterrupt, here or beyond our bookkeeping."""
        del number
        if self._over:
            raise KeyboardInterrupt
        raise_beyond(frame, _interrupt)
