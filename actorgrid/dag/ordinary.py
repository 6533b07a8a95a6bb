"""A compiled graph where there is no memory to share, under the simulator: its steps are ordinary calls.

What comes of it is the same. (The actors can do other calls meanwhile, and a value that goes from step to step of one
actor is a copy.)
"""

from __future__ import annotations

import contextlib
import os
import time
from typing import Any

from actorgrid.dag.compiled import CompiledDAG, Execution
from actorgrid.dag.compiling import Limits, Plan
from actorgrid.dag.loop import sendable
from actorgrid.dag.plan import INPUT, Given, Source
from actorgrid.exceptions import ActorError, ActorGridError, HeadDiedError, RayChannelTimeoutError, TaskError
from actorgrid.wire.errors import pack_exception, unpack_exception


class _Raised:
    """What stands for a result: the error that a step has raised."""

    __slots__ = ("error",)

    def __init__(self, error: Exception) -> None:
        self.error = error


class OrdinaryDAG(CompiledDAG):
    """See the module."""

    @staticmethod
    def _clock() -> float:
        return time.monotonic()  # looked up now: the simulator puts its own there

    def __init__(self, plan: Plan, limits: Limits) -> None:
        super().__init__(plan, limits)
        self._calls = [node._caller.options(max_task_retries=0) for node in plan.nodes]  # noqa: SLF001  # our own class

    def _prepare(self, inputs: list[Any]) -> Any:
        sendable(inputs, "the input of a compiled graph", self._limits.buffer_size)
        return inputs

    def _begin(self, execution: Execution, prepared: Any) -> None:
        made: dict[int, Any] = {INPUT: prepared}

        def argument(source: Source) -> Any:
            if isinstance(source, Given):
                return source.value
            found = made[source.step]
            return found if source.which is None else found[source.which]

        for step, call in zip(self._plan.steps, self._calls, strict=True):
            kwargs = {name: argument(source) for name, source in step.kwargs.items()}
            made[step.number] = call.remote(*map(argument, step.args), **kwargs)
        execution.coming = {output.step: made[output.step] for output in self._plan.outputs}

    def _receive(self, execution: Execution, step: int, timeout: float | None) -> None:
        refs = execution.coming[step]
        many = refs if isinstance(refs, list) else [refs]
        if not self._engine.wait(many[:1], 1, timeout)[0]:
            raise RayChannelTimeoutError(f"the result has not come within {timeout} s")
        name = self._plan.steps[step - 1].name
        try:
            values = self._engine.get(many, None)
            try:
                sendable(values if many is refs else values[0], f"the result of {name}", self._limits.buffer_size)
            except (TypeError, ValueError) as error:  # where there is memory, it is the step that is told
                raise unpack_exception(pack_exception(error, name, os.getpid())) from None
        except Exception as error:  # noqa: BLE001  # whatever user code raises
            if isinstance(error, (ActorError, HeadDiedError)) and not isinstance(error, TaskError):
                self._failed(error, self._plan.actors[self._plan.steps[step - 1].actor])
                self._check()
            execution.found[step] = _Raised(error)
        else:
            execution.found[step] = values if many is refs else values[0]
        del execution.coming[step]

    def _load(self, found: Any) -> Any:
        if isinstance(found, _Raised):
            raise found.error
        return found

    async def _arrival(self, execution: Execution) -> None:
        for refs in list((execution.coming or {}).values()):
            with contextlib.suppress(Exception):  # it is raised where the value is taken
                await (refs[0] if isinstance(refs, list) else refs)

    def _end(self, *, kill_actors: bool) -> None:
        with contextlib.suppress(ActorGridError):  # the grid may be gone
            for actor in self._plan.actors if kill_actors else ():
                self._engine.kill(actor._actor_id, no_restart=True)  # noqa: SLF001  # our own class
