"""The program's side of a compiled graph: executions, their results, the end. Hosts say how values travel."""

from __future__ import annotations

import os
import threading
import weakref
from collections import deque
from collections.abc import Callable
from typing import Any, Final, NoReturn

from actorgrid.dag.compiling import Limits, Plan
from actorgrid.dag.plan import Taken
from actorgrid.dag.refs import CompiledDAGFuture, CompiledDAGRef
from actorgrid.engine.current import current
from actorgrid.engine.interrupts import protected
from actorgrid.exceptions import (
    ActorDiedError,
    ActorError,
    HeadDiedError,
    RayCgraphCapacityExceeded,
    RayChannelError,
    RayChannelTimeoutError,
    TaskError,
)

_ABSTRACT: Final = "a host must define this"
_OVER: Final = "this compiled graph was torn down"


class Execution:
    """One execution that is under way, or whose results are not all taken."""

    __slots__ = ("coming", "done", "found", "slot", "wanted")

    def __init__(self, slot: int, outputs: int) -> None:
        self.slot = slot
        #: What the host waits for.
        self.coming: Any = None
        #: Step to its result, of those that have come.
        self.found: dict[int, Any] = {}
        #: The outputs that somebody may still ask for.
        self.wanted = set(range(outputs))
        #: All results have come.
        self.done = False


class Output:
    """One result of one execution: what a reference holds."""

    __slots__ = ("execution", "graph", "number")

    def __init__(self, graph: CompiledDAG, execution: Execution, number: int) -> None:
        self.graph = graph
        self.execution = execution
        self.number = number

    def clock(self) -> float:
        """See ``Result``."""
        return self.graph._clock()  # noqa: SLF001  # a class of this module

    def wait(self, timeout: float | None) -> Callable[[], Any]:
        """See ``Result``."""
        self.graph._wait(self.execution, timeout)  # noqa: SLF001  # a class of this module
        return lambda: self.graph._value(self.execution, self.number)  # noqa: SLF001  # as above

    async def arrival(self) -> None:
        """See ``Result``."""
        await self.graph._arrival(self.execution)  # noqa: SLF001  # as above

    def drop(self) -> None:
        """See ``Result``."""
        execution = self.execution
        execution.wanted.discard(self.number)
        if not execution.wanted:
            if execution.done:
                execution.found.clear()
            self.graph._kept.discard(execution)  # noqa: SLF001  # as above


class CompiledDAG:
    """A graph of actor methods that is ready to run, again and again, until ``teardown``."""

    def __init__(self, plan: Plan, limits: Limits) -> None:
        """Not for users: see ``experimental_compile``. Raises ValueError if an actor is part of another graph."""
        self._engine: Any = current()
        self._plan = plan
        self._limits = limits
        self._id = os.urandom(16).hex()
        #: It was torn down.
        self._over = False
        #: Why nothing can come any more: makes the error.
        self._failure: Callable[[], BaseException] | None = None
        #: Guards what follows. A signal handler may come back to it.
        self._lock = threading.RLock()
        self._free = list(range(limits.inflight))
        self._inflight: deque[Execution] = deque()
        #: Executions whose results have come, and are wanted.
        self._kept: set[Execution] = set()
        #: The thread that waits for results, which come in the order of their executions; 0: none.
        self._leader = 0
        #: ... is another one, or none.
        self._changed = threading.Condition(self._lock)
        _check_free(self)
        _graphs.add(self)

    # ------------------------------------------------------------------------------------------ what a host adds

    #: Seconds, from any point on, as the host counts them.
    _clock: Callable[[], float]

    def _prepare(self, inputs: list[Any]) -> Any:
        """Return the input of an execution in the host's form. Raises TypeError, ValueError."""
        raise AssertionError(_ABSTRACT, inputs)

    def _begin(self, execution: Execution, prepared: Any) -> None:
        """Start an execution. Called with the lock held."""
        raise AssertionError(_ABSTRACT, execution, prepared)

    def _receive(self, execution: Execution, step: int, timeout: float | None) -> None:
        """Wait for a result of the oldest execution, and put it into ``found``.

        Raises RayChannelTimeoutError, and ``_failure`` if there is one.
        """
        raise AssertionError(_ABSTRACT, execution, step, timeout)

    def _load(self, found: Any) -> Any:
        """Return the value of what ``_receive`` has found, or raise its error."""
        raise AssertionError(_ABSTRACT, found)

    async def _arrival(self, execution: Execution) -> None:
        """Wait in an event loop until the results have come, or never will."""
        raise AssertionError(_ABSTRACT, execution)

    def _end(self, *, kill_actors: bool) -> None:
        """Let the actors go, and whatever else is held."""
        raise AssertionError(_ABSTRACT, kill_actors)

    # -------------------------------------------------------------------------------------------------------- names

    def get_id(self) -> str:
        """Return an identifier of this graph, which no other has."""
        return self._id

    def visualize(self, *args: object, **kwargs: object) -> NoReturn:
        """Raise NotImplementedError: there is nothing here that draws."""
        raise NotImplementedError(
            "actorgrid has no CompiledDAG.visualize: a graph is the program that has built it, and repr() of a step "
            "names it"
        )

    # ------------------------------------------------------------------------------------------------- executions

    def execute(self, *args: Any, **kwargs: Any) -> Any:
        """Start an execution with this input; return a reference to its result, or a list of them, for ``get``.

        Raises RayCgraphCapacityExceeded if as many are under way as there may be: ``get`` some results first.
        ActorDiedError, RayChannelError once one of the actors has died, or the graph was torn down; TypeError and
        ValueError for an input that cannot be sent; RayChannelTimeoutError if an earlier execution whose results nobody
        wants does not end within ``_submit_timeout``.
        """
        if self._limits.enable_asyncio:
            raise ValueError("this graph was compiled with enable_asyncio=True: use execute_async()")
        refs = self._execute(args, kwargs)
        return refs if self._plan.has_many else refs[0]

    async def execute_async(self, *args: Any, **kwargs: Any) -> Any:
        """``execute`` for event loops: return a future to await, or a list of them. Needs ``enable_asyncio=True``."""
        if not self._limits.enable_asyncio:
            raise ValueError("execute_async() needs experimental_compile(enable_asyncio=True)")
        futures = [CompiledDAGFuture(ref) for ref in self._execute(args, kwargs)]
        return futures if self._plan.has_many else futures[0]

    def _execute(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[CompiledDAGRef]:
        self._check()
        prepared = self._prepare(self._plan.inputs(args, kwargs))
        while (refs := self._submit(prepared)) is None:
            self._make_room()
        return refs

    @protected
    def _submit(self, prepared: Any) -> list[CompiledDAGRef] | None:
        """Start an execution and return its references; None if as many are under way as may be."""
        with self._lock:
            self._check()
            if not self._free:
                return None
            # The one that was used last: its memory is there already.
            execution = Execution(self._free[-1], len(self._plan.outputs))
            self._begin(execution, prepared)
            self._free.pop()
            self._inflight.append(execution)
            return [CompiledDAGRef(Output(self, execution, number)) for number in range(len(self._plan.outputs))]

    def _make_room(self) -> None:
        """Wait for the oldest execution if nobody will ever ask for its results. Raises RayCgraphCapacityExceeded."""
        with self._lock:
            if len(self._inflight) < self._limits.inflight:
                return
            oldest = self._inflight[0]
        if oldest.wanted:
            raise RayCgraphCapacityExceeded(
                f"{self._limits.inflight} executions of this graph are under way, and no more may be: get the result "
                "of the oldest one first, or compile it with a larger _max_inflight_executions"
            )
        self._wait(oldest, self._limits.submit_timeout)

    # ---------------------------------------------------------------------------------------------------- results

    def _check(self) -> None:
        """Raise the reason why nothing can come any more, if there is one."""
        if self._failure is not None:
            raise self._failure()

    def _wait(self, execution: Execution, timeout: float | None) -> None:
        """Wait until all results of an execution have come. Raises RayChannelTimeoutError, and ``_failure``."""
        if self._leader == threading.get_ident():
            raise RuntimeError(
                "a finalizer or signal handler that has interrupted get() cannot wait for the same graph"
            )
        if not execution.done and timeout != 0:
            self._engine.check_may_wait("get()")
        deadline = None if timeout is None else self._clock() + timeout
        while not execution.done:
            left = self._left(deadline)
            try:
                if not self._lead():
                    self._follow(execution, left)
                elif not execution.done:
                    self._advance(execution, deadline)
            finally:
                self._give_way()

    def _left(self, deadline: float | None) -> float | None:
        return None if deadline is None else max(0.0, deadline - self._clock())

    @protected
    def _lead(self) -> bool:
        """Make the calling thread the one that waits for results. Returns False if there is one."""
        with self._lock:
            if self._leader:
                return False
            self._leader = threading.get_ident()
            return True

    @protected
    def _give_way(self) -> None:
        """Let another thread lead, if the calling one does."""
        with self._lock:
            if self._leader == threading.get_ident():
                self._leader = 0
                self._changed.notify_all()

    def _follow(self, execution: Execution, timeout: float | None) -> None:
        """Wait until the leading thread has done what it waits for. Raises RayChannelTimeoutError."""
        with self._lock:
            if self._leader and not execution.done and not self._await_change(timeout):
                raise RayChannelTimeoutError("the result has not come in time")

    def _await_change(self, timeout: float | None) -> bool:
        """Wait until another thread has done something. Returns whether it has."""
        return self._changed.wait(timeout)

    def _advance(self, execution: Execution, deadline: float | None) -> None:
        """Take the results of the oldest execution. For the leading thread."""
        self._check()
        oldest = self._inflight[0]
        if oldest is not execution and oldest.wanted and len(self._kept) >= self._limits.buffered:
            raise RayCgraphCapacityExceeded(
                f"{len(self._kept)} results that were not asked for have come before the one that was, and no more may "
                "be kept: get them first, or compile the graph with a larger _max_buffered_results"
            )
        for step in dict.fromkeys(output.step for output in self._plan.outputs):
            if step not in oldest.found:
                self._receive(oldest, step, self._left(deadline))
        self._arrived(oldest)

    @protected
    def _arrived(self, execution: Execution) -> None:
        with self._lock:
            self._inflight.popleft()
            self._free.append(execution.slot)
            execution.done = True
            if execution.wanted:
                self._kept.add(execution)
            else:
                execution.found.clear()

    def _value(self, execution: Execution, number: int) -> Any:
        output: Taken = self._plan.outputs[number]
        value = self._load(execution.found[output.step])
        return value if output.which is None else value[output.which]

    # -------------------------------------------------------------------------------------------------- the end

    def _failed(self, error: BaseException | None, actor: Any) -> None:
        """An actor does not work for the graph any more: from here on everybody is told."""
        if isinstance(error, HeadDiedError):
            text = str(error)
            self._failure = lambda: HeadDiedError(text)
            return
        cause: BaseException | None = error.cause if isinstance(error, TaskError) else error
        told = str(error) if isinstance(error, ActorError) else f"it has left its part of the graph ({cause!r})"
        ident = actor._actor_id.hex()  # noqa: SLF001  # our own class
        text = f"{actor!r} does not work for its compiled graph any more: {told}. Call teardown()"
        self._failure = lambda: ActorDiedError(actor_id=ident, error_msg=text)

    def teardown(self, kill_actors: bool = False) -> None:
        """End it: the actors are free for other calls when this returns, or dead with ``kill_actors``.

        It waits for the methods that run at this moment. Results that have not come never will: ``get`` raises
        RayChannelError. Safe to call twice.
        """
        if self._leader == threading.get_ident():
            raise RuntimeError("a finalizer or signal handler that has interrupted get() cannot tear the graph down")
        with self._lock:
            self._over = True
            self._failure = lambda: RayChannelError(_OVER)
        self._end(kill_actors=kill_actors)


#: The graphs that are there, of all engines that this process has had.
_graphs: Final[weakref.WeakSet[CompiledDAG]] = weakref.WeakSet()


def _check_free(graph: CompiledDAG) -> None:
    """Raise ValueError if an actor of this graph works for another one: it can do one thing at a time."""
    for other in list(_graphs):
        if other._engine is not graph._engine or other._over:  # noqa: SLF001  # a class of this module
            continue
        for actor in graph._plan.actors:  # noqa: SLF001  # as above
            if actor in other._plan.actors:  # noqa: SLF001  # as above
                raise ValueError(f"{actor!r} is part of another compiled graph: call that one's teardown() first")
