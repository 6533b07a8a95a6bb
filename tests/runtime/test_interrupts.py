"""A KeyboardInterrupt at any opcode of submit, get, wait, release, and of reading a stream tears nothing.

The interrupt is raised by our own SIGINT handler, called between two bytecode instructions of the operation: once per
instruction, until the operation ends before its turn comes. Afterwards the grid must work, and nothing may be left.
"""

from __future__ import annotations

import dis
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import pytest

import actorgrid as ag
from actorgrid.engine.current import installed
from actorgrid.engine.local import CallingEngine
from actorgrid.testing.waiting import wait_until
from actorgrid.util import queue


@pytest.fixture(scope="module")
def engine() -> Iterator[Any]:
    ag.init(num_cpus=2)
    yield installed()
    ag.shutdown()


@ag.remote
def echo(value: int) -> int:
    return value


class Injector:
    """Delivers SIGINT before the ``at``-th instruction executed under it in this thread, of those ``where`` counts."""

    def __init__(self, at: int, where: Callable[[FrameType], bool]) -> None:
        self.left = at
        self.where = where
        self.fired = False

    def __call__(self, frame: FrameType, event: str, argument: object) -> Any:
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        if event == "opcode" and not self.fired and self.where(frame):
            self.left -= 1
            if self.left < 0:
                self.fired = True
                signal.raise_signal(signal.SIGINT)
        return self


def interrupted_at(
    at: int, operation: Callable[[], object], where: Callable[[FrameType], bool] = lambda _: True
) -> bool:
    """Run ``operation`` with an interrupt before its ``at``-th instruction. Returns whether it got that far."""
    injector = Injector(at, where)
    delivered = threading.Event()
    sys._getframe().f_trace_opcodes = True  # from 3.12 on, settrace() asks whether anybody wants opcodes
    try:
        sys.settrace(injector)
        try:
            operation()
        finally:
            sys.settrace(None)
        if injector.fired:
            delivered.wait(5)  # it was put off: it comes as soon as it may
            pytest.fail("the interrupt was swallowed")
    except KeyboardInterrupt:
        pass
    return injector.fired


def submit_one() -> None:
    echo.remote(1)


def release_one() -> None:
    ref = ag.put(b"x")
    del ref


def put_a_large_value() -> None:
    ag.put(b"x" * 200_000)


def get_two() -> None:
    assert ag.get([echo.remote(1), echo.remote(2)]) == [1, 2]


def wait_one() -> None:
    ready, _ = ag.wait([echo.remote(1)], timeout=10)
    assert len(ready) == 1


@ag.remote
def count(most: int) -> Iterator[int]:
    yield from range(most)


def read_a_stream() -> None:
    assert [ag.get(ref) for ref in count.remote(2)] == [0, 1]


def close_a_stream() -> None:
    generator = count.remote(2)
    next(generator)
    generator.close()


def in_queue(frame: FrameType) -> bool:
    """Return whether this is code of the queue, before it returns: what it has returned is its caller's."""
    code = frame.f_code
    return code.co_filename == queue.__file__ and not dis.opname[code.co_code[frame.f_lasti]].startswith("RETURN")


def in_submission(frame: FrameType | None) -> bool:
    """Return whether a call is being submitted here."""
    while frame is not None and frame.f_code is not CallingEngine.call.__code__:
        frame = frame.f_back
    return frame is not None


@pytest.mark.parametrize("call", ["get", "get_nowait"])
@pytest.mark.parametrize(("where", "step"), [(in_queue, 1), (in_submission, 5)])
def test_interrupt_at_any_opcode_of_a_get_of_a_queue_costs_no_item(
    engine: Any, call: str, where: Callable[[FrameType], bool], step: int
) -> None:
    del engine
    items = queue.Queue()
    taken: list[int] = []
    puts = at = 0

    def take() -> None:
        taken.append(getattr(items, call)())

    more = True
    while more:
        items.put_nowait_batch([puts, puts + 1, puts + 2])
        puts += 3
        more = any(interrupted_at(at, take, where) for _ in range(3))
        there = wait_until(lambda most=puts: items.size() + len(taken) == most)  # type: ignore[misc]  # no parameter
        assert there, f"an interrupt at opcode {at} has cost an item"
        at += step
    assert at > 15, "the operation was hardly traced"
    assert sorted([*taken, *items.get_nowait_batch(items.size())]) == list(range(puts))


def left_behind(engine: Any) -> tuple[int, int, int]:
    stats = engine.query("stats").body
    writer = engine.arenas._writer
    return stats["tasks"], stats["objects"], writer.used_bytes if writer is not None else 0


@pytest.mark.parametrize(
    "operation",
    [
        submit_one,
        pytest.param(get_two, marks=pytest.mark.slow),
        wait_one,
        release_one,
        pytest.param(put_a_large_value, marks=pytest.mark.slow),
        close_a_stream,
        pytest.param(read_a_stream, marks=pytest.mark.slow),
    ],
)
def test_interrupt_at_every_opcode_leaves_the_grid_whole(engine: Any, operation: Callable[[], object]) -> None:
    operation()
    at = 0
    # From 3.13 on, code may be instrumented only when it is entered the next time: one run without an event is no end.
    while any(interrupted_at(at, operation) for _ in range(3)):
        assert ag.get(echo.remote(at), timeout=10) == at
        at += 1
    assert at > 50, "the operation was hardly traced"
    # What the interrupted calls left behind is given up with the next words to the head, and tasks whose references
    # are gone still run to their end.
    clean = wait_until(lambda: left_behind(engine) == (0, 0, 0))
    assert clean, f"tasks, objects, bytes of shared memory: {left_behind(engine)}"


def test_grid_after_one_that_another_thread_has_ended_handles_interrupts(engine: Any) -> None:
    ag.shutdown()
    ag.init(num_cpus=1)
    first = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=ag.shutdown)
    thread.start()
    thread.join()
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    ag.init(num_cpus=2)
    assert signal.getsignal(signal.SIGINT) not in (first, signal.default_int_handler)


def test_interrupt_while_get_waits_is_raised_at_once(engine: Any) -> None:
    del engine
    gate = ag.remote(lambda: threading.Event().wait(60)).remote()
    main = threading.main_thread().ident
    assert main is not None
    now: Any = installed()  # a test before this one may have ended the first grid

    def press() -> None:
        if wait_until(lambda: now.ear.leader is not None):
            signal.pthread_kill(main, signal.SIGINT)

    presser = threading.Thread(target=press)
    presser.start()
    with pytest.raises(KeyboardInterrupt):
        ag.get(gate, timeout=30)
    presser.join()
    ag.cancel(gate, force=True)
    assert ag.get(echo.remote(7)) == 7
