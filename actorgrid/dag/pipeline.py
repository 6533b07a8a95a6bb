"""A compiled graph on real processes: its actors do their steps in a loop, and values go through shared memory.

The call that an actor's loop is tells how it ends: if the actor dies, everybody who waits for a result is woken, and
the other actors are told to stop. (``channels`` has what lies between the processes, ``loop`` the actors' side.)

Rules for this file

* Whoever waits polls, outside of any protected function, so that Ctrl-C is raised at once; a token is read, and noted
  together with the bytes that it speaks of, inside of one.
* Descriptors are closed when nobody leads, and under the lock: nobody polls or writes what is another's by then.
"""

from __future__ import annotations

import contextlib
import os
import select
import weakref
from collections.abc import Callable, Iterator
from time import monotonic  # by name: user code may replace that of the module
from typing import Any, Final
from uuid import uuid4

from actorgrid.core import ids
from actorgrid.core import messages as m
from actorgrid.dag import loop
from actorgrid.dag.arrivals import Arrivals
from actorgrid.dag.channels import (
    ERROR,
    STOP_TOKEN,
    TOKEN_SIZE,
    VALUE,
    Descriptor,
    Memory,
    Shape,
    describe,
    make_pipe,
    pack_token,
    unpack_token,
)
from actorgrid.dag.compiled import CompiledDAG, Execution
from actorgrid.dag.compiling import Limits, Plan
from actorgrid.dag.plan import INPUT, PROGRAM, Part, channels
from actorgrid.engine.interrupts import protected
from actorgrid.engine.serialize import Pickled, loads
from actorgrid.engine.waits import BlockingWaiter, in_glances
from actorgrid.exceptions import ActorGridError, RayChannelTimeoutError, ResourceLimitError
from actorgrid.runtime.arenas import make_segment
from actorgrid.wire.errors import unpack_exception

#: The longest single sleep (milliseconds): what poll() takes fits a C int.
_LONGEST: Final = 1e9
#: After so long (seconds) a wait is not a brief one.
_BRIEF: Final = 0.01
#: What those read who ask what an actor does.
_NAMES: Final = {
    loop.prepare: "the beginning of a compiled graph",
    loop.run: "its part of a compiled graph, until teardown()",
    loop.forget: "the end of a compiled graph",
}


class PipelinedDAG(CompiledDAG):
    """See the module."""

    _clock = staticmethod(monotonic)

    def __init__(self, plan: Plan, limits: Limits) -> None:
        super().__init__(plan, limits)
        self._pid = os.getpid()
        self._loops: list[Any] = []
        self._fds: list[int] = []
        self._arrivals: Arrivals | None = None
        try:
            self._open()
            self._start()
        except BaseException:
            self._over = True
            self._close()
            raise

    # ---------------------------------------------------------------------------------------------------- to start

    def _open(self) -> None:
        """Make memory and pipes. Raises ResourceLimitError."""
        plan, limits = self._plan, self._limits
        self._shape = Shape(len(plan.steps) + 1, limits.inflight, limits.buffer_size)
        try:
            self._alarm = self._keep(os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC))
            self._memory_fd = self._keep(make_segment(self._shape.size))
            self._memory = Memory(self._memory_fd, self._shape)
            self._pipes = {channel: self._keep(make_pipe()) for channel in channels(plan.steps, plan.outputs)}
        except OSError as error:
            raise ResourceLimitError(
                f"the system refuses what a compiled graph needs ({error}): a descriptor for each step and each "
                "process that wants its result, /proc, and address space. Raise the limits (ulimit -n, ulimit -v)"
            ) from error
        self._starts = [fd for channel, fd in self._pipes.items() if channel.step == INPUT]
        self._ends = {channel.step: fd for channel, fd in self._pipes.items() if channel.reader == PROGRAM}
        self._pollers = {step: self._poller(fd) for step, fd in self._ends.items()}

    def _keep(self, fd: int) -> int:
        self._fds.append(fd)
        return fd

    def _poller(self, fd: int) -> select.poll:
        poller = select.poll()
        poller.register(fd, select.POLLIN)
        poller.register(self._alarm, select.POLLIN)
        return poller

    def _part(self, number: int) -> Part:
        """Return what an actor is to do."""
        steps = tuple(step for step in self._plan.steps if step.actor == number)
        hears = {channel.step: describe(fd) for channel, fd in self._pipes.items() if channel.reader == number}
        tells: dict[int, tuple[Descriptor, ...]] = {}
        for step in steps:
            fds = [fd for channel, fd in self._pipes.items() if channel.step == step.number]
            tells[step.number] = tuple(describe(fd) for fd in fds)
        return Part(self._engine.process(), steps, self._shape, describe(self._memory_fd), hears, tells)

    def _start(self) -> None:
        """Have all actors get ready, then begin. Raises ActorDiedError, and what an actor says against it."""
        graph = uuid4().hex
        actors = self._plan.actors
        me = weakref.ref(self)
        try:
            parts = [(actor, self._part(number)) for number, actor in enumerate(actors)]
            self._engine.get([_call(actor, loop.prepare, graph, part) for actor, part in parts], None)
            for actor in actors:
                ref = _call(actor, loop.run, graph)
                self._loops.append(ref)
                self._engine.on_ready(ref, lambda ref, actor=actor: _ended(me, actor, ref))
        except BaseException:
            self._stop()
            for actor in actors:
                self._engine.on_ready(_call(actor, loop.forget, graph), _heed)
            raise

    # ------------------------------------------------------------------------------------------------- executions

    def _prepare(self, inputs: list[Any]) -> Pickled:
        return loop.sendable(inputs, "the input of a compiled graph", self._limits.buffer_size)

    def _begin(self, execution: Execution, prepared: Pickled) -> None:
        self._memory.write(INPUT, execution.slot, prepared)
        token = pack_token(execution.slot, VALUE, prepared.size)
        for fd in self._starts:
            os.write(fd, token)

    def _receive(self, execution: Execution, step: int, timeout: float | None) -> None:
        events = self._poll(step, timeout)
        self._check()
        if not events:
            raise RayChannelTimeoutError(f"the result has not come within {timeout:.3g} s")
        self._take(execution, step)

    def _poll(self, step: int, timeout: float | None) -> Any:
        """Sleep until there is a result or an alarm, or ``timeout`` seconds; after a while, say once for what."""
        poll, patience = self._pollers[step].poll, self._engine.stall_warning
        brief = _BRIEF if timeout is None else min(timeout, _BRIEF)
        events = poll(brief * 1000)
        if events or brief == timeout:
            return events
        left = None if timeout is None else timeout - brief
        with self._lending():
            if patience is not None and (left is None or left > patience):
                events = in_glances(self._sleep_on(poll), patience)
                if events:
                    return events
                self._say_for_what(patience)
                left = None if left is None else left - patience
            return in_glances(self._sleep_on(poll), left)

    @staticmethod
    def _sleep_on(poll: Callable[[float], Any]) -> Callable[[float], Any]:
        return lambda seconds: poll(min(seconds * 1000, _LONGEST))

    def _await_change(self, timeout: float | None) -> bool:
        return in_glances(self._changed.wait, timeout)

    def _say_for_what(self, patience: float) -> None:
        told = "".join(f"  {actor!r}\n" for actor in self._plan.actors)
        self._engine.print_error(f"actorgrid: get() has waited for {patience:g} s for a compiled graph of\n{told}")

    @contextlib.contextmanager
    def _lending(self) -> Iterator[None]:
        """While a task waits, its CPUs are for others, as in any ``get``: a step may need one."""
        engine = self._engine
        if engine.process() == ids.DRIVER:
            yield
            return
        oids = tuple(ref._entry.oid for ref in self._loops)  # noqa: SLF001  # our own class
        with engine.lock:
            resume = engine.blocking(m.Blocked(0, "get", oids, finite=True), BlockingWaiter(1, eager=False))
            engine.send(force=True)
        try:
            yield
        finally:
            with engine.lock:
                if resume is not None:
                    resume()

    @protected
    def _take(self, execution: Execution, step: int) -> None:
        slot, kind, size = unpack_token(os.read(self._ends[step], TOKEN_SIZE))
        execution.found[step] = kind, self._memory.read(step, slot, size)

    def _load(self, found: Any) -> Any:
        kind, data = found
        if kind == ERROR:
            raise unpack_exception(data)
        return loads(data)

    async def _arrival(self, execution: Execution) -> None:
        with self._lock:
            if self._arrivals is None:
                self._arrivals = Arrivals(self)
        await self._arrivals.of(execution)

    # -------------------------------------------------------------------------------------------------- the end

    @protected
    def _stop(self) -> None:
        """Wake whoever waits here, and have the actors leave their loops."""
        with self._lock:
            if not self._fds or os.getpid() != self._pid:
                return
            os.eventfd_write(self._alarm, 1)
            self._memory.end()
            for channel, fd in self._pipes.items():
                if channel.reader != PROGRAM:
                    os.write(fd, STOP_TOKEN)

    def _loop_ended(self, actor: Any, error: BaseException | None) -> None:
        """An actor has left its loop: because it is over, or for a reason of its own."""
        with self._lock:
            if self._failure is None:
                self._failed(error, actor)
                self._stop()

    def _end(self, *, kill_actors: bool) -> None:
        self._stop()
        with contextlib.suppress(ActorGridError):  # the grid may be gone
            for actor in self._plan.actors if kill_actors else ():
                self._engine.kill(actor._actor_id, no_restart=True)  # noqa: SLF001  # our own class
            self._engine.wait(self._loops, len(self._loops), None)
        if self._arrivals is not None:
            self._arrivals.end()
        with self._lock:
            while self._leader:
                self._await_change(None)
            self._close()

    @protected
    def _close(self) -> None:
        """Let memory and descriptors go."""
        with self._lock:
            fds, self._fds = self._fds, []
            for fd in fds:
                os.close(fd)
            if "_memory" in vars(self):
                self._memory.close()

    @protected
    def __del__(self) -> None:
        """Nobody can use it any more, so nobody waits for it: the actors go on with other things."""
        try:
            self._over = True
            self._stop()
            if self._arrivals is not None:
                self._arrivals.leave()
            self._close()
        except Exception:  # noqa: BLE001, S110  # the interpreter is going down
            pass


def _call(actor: Any, function: Any, *args: Any) -> Any:
    return actor.__ray_call__.options(max_task_retries=0, name=_NAMES[function]).remote(function, *args)


def _ended(graph: weakref.ref[PipelinedDAG], actor: Any, ref: Any) -> None:
    """The call that was an actor's loop is over. On the thread that hears the head."""
    error = _heed(ref)
    there = graph()
    if there is not None:
        there._loop_ended(actor, error)  # noqa: SLF001  # a class of this module


def _heed(ref: Any) -> BaseException | None:
    """Return what a call of ours has raised, None if it has not; it is no error that nobody asks for."""
    try:
        ref._entry.engine.value(ref)  # noqa: SLF001  # our own class
    except BaseException as raised:  # noqa: BLE001  # it is handed on
        return raised
    return None
