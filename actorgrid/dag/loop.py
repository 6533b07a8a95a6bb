"""An actor's side of a compiled graph: a call that does its steps again and again, until it is told that it is over.

Values are copied out of shared memory before they are unpickled, so what a method keeps of its arguments stays as it
is; arrays are read-only, as they are in ordinary calls. From step to step of the same actor a value goes as it is.

An error that a method raises takes the place of its result: whoever would have been given that hands it on.
"""

from __future__ import annotations

import os
import threading
from typing import Any, Final

from actorgrid.core import ids
from actorgrid.dag.channels import (
    ERROR,
    ROOM_FOR_ERRORS,
    STOP,
    STOP_TOKEN,
    TOKEN_SIZE,
    VALUE,
    Memory,
    pack_token,
    unpack_token,
)
from actorgrid.dag.plan import Given, Part, Source, Step
from actorgrid.engine.current import current
from actorgrid.engine.refs import ObjectRef
from actorgrid.engine.serialize import Pickled, dumps, loads
from actorgrid.exceptions import ActorGridError
from actorgrid.wire.errors import pack_exception


class _Over(BaseException):
    """There is nothing more to do."""


class _Failed:
    """What stands for a result: an error, packed."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data


class Loop:
    """The steps of one actor in one graph."""

    def __init__(self, instance: Any, part: Part) -> None:
        """Open what it needs. Raises OSError; AttributeError if there is no such method."""
        self._part = part
        self._methods = {step.number: getattr(instance, step.method) for step in part.steps}
        self._steps = [(_resolved(step), step.needs()) for step in part.steps]
        self._slot = 0
        self._pid = os.getpid()
        #: Guards the descriptors: whoever writes must know that they are still ours.
        self._lock = threading.Lock()
        self._fds: list[int] = []
        try:
            memory = self._open(part.memory)
            self._memory = Memory(memory, part.shape)
            self._hears = {step: self._open(pipe) for step, pipe in part.hears.items()}
            self._tells = {step: [self._open(pipe) for pipe in pipes] for step, pipes in part.tells.items()}
        except BaseException:
            self.close()
            raise
        self._watch = self._watch_creator(part.creator)

    def _open(self, descriptor: Any) -> int:
        fd: int = descriptor.open()
        self._fds.append(fd)
        return fd

    def _watch_creator(self, creator: int) -> Any:
        """A process that has made a graph may die without a word; the driver's death ends us anyway."""
        if creator == ids.DRIVER:
            return None
        engine = current()
        ref = engine.end_of(creator)
        engine.on_ready(ref, lambda _: self.stop())
        return ref

    def stop(self) -> None:
        """Have it end before its next step. From any thread."""
        with self._lock:
            if self._fds:
                self._memory.end()
                for fd in self._hears.values():
                    os.write(fd, STOP_TOKEN)

    def run(self) -> None:
        """Do the steps until it is over."""
        try:
            while True:
                self._execute()
        except _Over:
            pass
        finally:
            self.close()
            self._memory.close()

    def close(self) -> None:
        """Let go of the descriptors."""
        with self._lock:
            for fd in self._fds:
                os.close(fd)
            self._fds.clear()

    # -- one execution

    def _execute(self) -> None:
        heard: dict[int, Any] = {}
        for step, needs in self._steps:
            failed: _Failed | None = None
            for need in needs:  # all of them, also after one has failed: each token belongs to one execution
                if need not in heard:
                    heard[need] = self._hear(need)
                if failed is None and isinstance(heard[need], _Failed):
                    failed = heard[need]
            result = self._call(step, heard) if failed is None else failed
            if os.getpid() != self._pid:
                raise _Over  # a child that the method has forked came back from it: its parent goes on alone
            heard[step.number] = self._tell(step, result)

    def _hear(self, step: int) -> Any:
        slot, kind, size = unpack_token(os.read(self._hears[step], TOKEN_SIZE))
        if kind == STOP or self._memory.over:
            raise _Over
        self._slot = slot
        data = self._memory.read(step, slot, size)
        if kind == ERROR:
            return _Failed(data)
        try:
            return loads(data)
        except (Exception, SystemExit) as error:  # noqa: BLE001  # a value that exits must not end who is given it
            return _Failed(pack_exception(error, "a step of a compiled graph", os.getpid()))

    def _call(self, step: Step, heard: dict[int, Any]) -> Any:
        try:
            args = [_argument(source, heard) for source in step.args]
            kwargs = {name: _argument(source, heard) for name, source in step.kwargs.items()}
            result = self._methods[step.number](*args, **kwargs)
            return result if step.num_returns == 1 else _several(result, step.num_returns)
        except SystemExit:  # it ends the process, as ever
            raise
        except BaseException as error:  # noqa: BLE001  # whatever user code raises is its result
            return _Failed(pack_exception(error, step.name, os.getpid()))

    def _tell(self, step: Step, result: Any) -> Any:
        """Tell those who want it; return the result, or what stands for it if it cannot be sent."""
        pipes = self._tells.get(step.number)
        if not pipes:
            return result
        memory, slot = self._memory, self._slot
        kind, size = VALUE, 0
        if not isinstance(result, _Failed):
            try:
                pickled = sendable(result, f"the result of {step.name}", self._part.shape.limit)
            except (Exception, SystemExit) as error:  # noqa: BLE001  # it does not pickle, say
                result = _Failed(pack_exception(error, step.name, os.getpid()))
            else:
                memory.write(step.number, slot, pickled)
                size = pickled.size
        if isinstance(result, _Failed):
            data = _fitting(result.data, step.name)
            memory.write_bytes(step.number, slot, data)
            kind, size = ERROR, len(data)
        token = pack_token(slot, kind, size)
        for fd in pipes:
            os.write(fd, token)
        return result


def _resolved(step: Step) -> Step:
    """Return a step with values in the places of references, as a call would have it. Raises what ``get`` raises."""
    args = tuple(_value(source) for source in step.args)
    return step._replace(args=args, kwargs={name: _value(source) for name, source in step.kwargs.items()})


def _value(source: Source) -> Source:
    if isinstance(source, Given) and isinstance(source.value, ObjectRef):
        return Given(current().get([source.value], None)[0])
    return source


def _argument(source: Source, heard: dict[int, Any]) -> Any:
    if isinstance(source, Given):
        return source.value
    value = heard[source.step]
    return value if source.which is None else value[source.which]


def _several(result: Any, count: int) -> list[Any]:
    items = list(result)
    if len(items) != count:
        raise ValueError(f"Task returned {len(items)} objects, but num_returns={count}.")
    return items


def _fitting(data: bytes, name: str) -> bytes:
    """Return a packed error that fits."""
    if len(data) <= ROOM_FOR_ERRORS:
        return data
    return pack_exception(ActorGridError(f"an error of {len(data)} bytes was raised"), name, os.getpid())


def sendable(value: Any, what: str, limit: int) -> Pickled:
    """Return the pickled form of a value. Raises TypeError, and ValueError if it is larger than ``limit``."""
    pickled = dumps(value, what)
    if pickled.refs:
        raise TypeError(
            f"{what} contains a reference or a handle, which cannot go through a compiled graph: it goes past the "
            "head, which counts them. Send the value, or use an ordinary call"
        )
    if pickled.size > limit:
        raise ValueError(
            f"{what} has {pickled.size} bytes, and this graph was compiled for values of {limit} at most: say "
            f"experimental_compile(_buffer_size_bytes={pickled.size})"
        )
    return pickled


# ------------------------------------------------------------------------------------- what an actor is called with


#: The graphs of this process whose loop is about to begin.
_prepared: Final[dict[str, Loop]] = {}


def prepare(instance: Any, graph: str, part: Part) -> None:
    """Get ready for a graph. Raises ValueError for an asynchronous actor, OSError if the system refuses."""
    spec: Any = getattr(current(), "actor_spec", None)
    if spec is not None and spec.is_async:
        raise ValueError(
            f"{type(instance).__name__} has 'async def' methods: an event loop cannot do the steps of a compiled graph"
        )
    _prepared[graph] = Loop(instance, part)


def run(instance: Any, graph: str) -> None:
    """Do the steps of a graph until it is over."""
    del instance
    _prepared.pop(graph).run()


def forget(instance: Any, graph: str) -> None:
    """The graph was not compiled, because another actor could not get ready."""
    del instance
    loop = _prepared.pop(graph, None)
    if loop is not None:
        loop.close()
