"""A result may arrive between any two instructions of a wait: no wait is for what it has missed.

Between one instruction and the next of the thread that waits, the reader thread hears of the result: once for each
instruction of what looks at objects and then waits, until the wait sleeps before its turn comes.
"""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import asyncio
import inspect
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import count
from types import CodeType, FrameType, FunctionType
from typing import Any

import pytest

import actorgrid as ag
from actorgrid.engine import local, reading, waiting
from actorgrid.engine.current import installed
from actorgrid.testing.waiting import wait_until
from tests.contract.tools import DEADLINE

#: What looks at objects and then waits.
MODULES = (local, reading, waiting)
FILES = {module.__file__ for module in MODULES}


@pytest.fixture(scope="module")
def doors() -> Iterator[Any]:
    ag.init(num_cpus=1, max_pending_tasks=1)
    yield Doors.remote()
    ag.shutdown()


@ag.remote(num_cpus=0)
class Doors:
    """Doors with numbers: whoever passes waits until his is open."""

    def __init__(self) -> None:
        self.doors: dict[int, asyncio.Event] = {}

    def _door(self, number: int) -> asyncio.Event:
        return self.doors.setdefault(number, asyncio.Event())

    async def open(self, number: int) -> None:
        self._door(number).set()

    async def pass_through(self, number: int) -> None:
        await self._door(number).wait()

    async def stream(self, number: int) -> AsyncIterator[int]:
        await self._door(number).wait()
        yield number


@ag.remote
def behind(doors: Any, number: int) -> None:
    ag.get(doors.pass_through.remote(number))


@dataclass
class Case:
    """A wait for what arrives when doors are opened: ``first`` in the midst of it, the others as soon as they can."""

    wait: Callable[[], object]
    first: Any
    numbers: list[int]


class Arrival:
    """Calls ``let`` before the ``at``-th instruction of ``FILES`` that is executed without the engine's lock."""

    def __init__(self, at: int, let: Callable[[], None], lock: Any) -> None:
        self.left = at
        self.let = let
        self.lock = lock
        self.fired = False

    def reached(self) -> None:
        """One more instruction is about to be executed."""
        if not self.fired and not self.lock._is_owned():
            self.left -= 1
            if self.left < 0:
                self.fired = True
                self.let()


@cache
def all_code() -> list[CodeType]:
    """Return the code of ``FILES``."""
    things = [thing for module in MODULES for thing in vars(module).values()]
    things += [thing for cls in things if isinstance(cls, type) for thing in vars(cls).values()]
    functions = [inspect.unwrap(thing) for thing in things if isinstance(thing, FunctionType)]
    found = [function.__code__ for function in functions if function.__code__.co_filename in FILES]
    for code in found:  # it grows
        found += [each for each in code.co_consts if isinstance(each, CodeType)]
    return found


@contextmanager
def traced(reached: Callable[[], None]) -> Iterator[None]:
    """Call ``reached`` before each instruction of ``FILES`` that this thread executes inside."""
    if sys.version_info < (3, 12):
        with traced_before_monitoring(reached):
            yield
        return
    watch, thread = sys.monitoring, threading.get_ident()
    watch.use_tool_id(watch.DEBUGGER_ID, "arrivals")
    here = lambda code, offset: reached() if threading.get_ident() == thread else None  # noqa: E731
    watch.register_callback(watch.DEBUGGER_ID, watch.events.INSTRUCTION, here)
    for code in all_code():
        watch.set_local_events(watch.DEBUGGER_ID, code, watch.events.INSTRUCTION)
    try:
        yield
    finally:
        for code in all_code():
            watch.set_local_events(watch.DEBUGGER_ID, code, 0)
        watch.free_tool_id(watch.DEBUGGER_ID)


@contextmanager
def traced_before_monitoring(reached: Callable[[], None]) -> Iterator[None]:
    """Do the same where ``sys.monitoring`` is missing; where it is there, opcodes are not told reliably this way."""

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        del argument
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        if event == "opcode" and frame.f_code.co_filename in FILES:
            reached()
        return trace

    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(None)


def arrives_before(at: int, case: Case, doors: Any) -> bool:
    """Have something arrive before that instruction of a wait. Returns False if the wait sleeps before it."""

    def open_all() -> None:
        for number in case.numbers:
            doors.open.remote(number)

    def let() -> None:
        opener = threading.Thread(target=open_all)  # this one is in the midst of something
        opener.start()
        opener.join(DEADLINE)
        wait_until(lambda: case.first._entry.value is not None)

    def wait() -> None:
        with traced(arrival.reached):
            case.wait()

    engine: Any = installed()
    ear = engine.ear
    arrival = Arrival(at, let, engine.lock)
    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    wait_until(lambda: arrival.fired or ear.leader is not None)
    in_time = arrival.fired
    open_all()
    thread.join(DEADLINE)
    assert not thread.is_alive(), f"it waits for ever for what arrived before instruction {at}"
    return in_time


def wait_for_one(doors: Any, number: int) -> Case:
    ref = doors.pass_through.remote(number)
    return Case(lambda: ag.wait([ref]), ref, [number])


def wait_for_two(doors: Any, number: int) -> Case:
    refs = [doors.pass_through.remote(number), doors.pass_through.remote(number + 1)]
    return Case(lambda: ag.wait(refs, num_returns=2), refs[0], [number, number + 1])


def get_two(doors: Any, number: int) -> Case:
    refs = [doors.pass_through.remote(number), doors.pass_through.remote(number + 1)]
    return Case(lambda: ag.get(refs), refs[0], [number, number + 1])


def read_a_stream(doors: Any, number: int) -> Case:
    generator = doors.stream.remote(number)
    return Case(lambda: next(generator), generator, [number])


def submit_without_room(doors: Any, number: int) -> Case:
    ref = behind.remote(doors, number)
    return Case(lambda: behind.remote(doors, number), ref, [number])


@pytest.mark.parametrize("case", [wait_for_one, wait_for_two, get_two, read_a_stream, submit_without_room])
def test_what_arrives_before_any_instruction_of_a_wait_ends_it(doors: Any, case: Callable[[Any, int], Case]) -> None:
    numbers = count(1_000_000 * id(case), 2)
    at = 0
    while arrives_before(at, case(doors, next(numbers)), doors):
        at += 1
    assert at > 20, "the operation was hardly traced"
