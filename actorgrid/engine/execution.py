"""Running one call: arguments in, user code, values out.

Everything that can go wrong with user data is caught here and becomes a value: an argument that does not unpickle, an
exception, a result that does not pickle or has the wrong length. Only the end of the process is somebody else's.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterable, Iterator
from types import GeneratorType
from typing import TYPE_CHECKING, Any

from actorgrid.core import messages as m
from actorgrid.core.messages import Failure, FailureKind, Status, Value
from actorgrid.core.stream import streams
from actorgrid.core.worker import Running
from actorgrid.engine.serialize import NONE, loads
from actorgrid.engine.setups import SetupFailed
from actorgrid.exceptions import ObjectStoreFullError, is_a
from actorgrid.wire.codec import encode_failure
from actorgrid.wire.errors import format_error, pack_exception

if TYPE_CHECKING:
    from actorgrid.engine.worker_side import WorkerSide

#: The value of a call that has nothing to say.
NONE_VALUE = Value(Status.OK, NONE)
_NOTHING: tuple[tuple[()], dict[str, Any]] = ((), {})


def arguments(engine: WorkerSide, run: m.Run) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return (args, kwargs) of a call: unpickled, with the values of its references in their places."""
    if not run.deps:
        return loads(run.args) if run.args else _NOTHING
    values = dict(zip(run.slots, zip(run.deps, run.oids, strict=True), strict=True))
    values.pop(m.STATE, None)
    whole = values.pop(-1, None)
    args, kwargs = argument(engine, *whole) if whole else loads(run.args) if run.args else _NOTHING
    if values:
        positional = list(args)
        for slot, (value, oid) in values.items():
            if isinstance(slot, int):
                positional[slot] = argument(engine, value, oid)
            else:
                kwargs[slot] = argument(engine, value, oid)
        args = tuple(positional)
    return args, kwargs


def argument(engine: WorkerSide, value: Value, oid: int) -> Any:
    """Return one resolved argument; what is mapped from shared memory pins the object."""
    if value.status is not Status.OK:
        raise engine.error_of(value)  # it was lost after the call had got it
    if value.extent is None:
        return loads(value.data)
    return loads(engine.pinned(oid, value.extent))


def results(engine: WorkerSide, running: Running, result: Any) -> tuple[Value, ...]:
    """Return the values of a call that returned ``result``; those of a generator are its result already."""
    if running.spec.yields:
        made: tuple[Value, ...] = result
        return made
    count = running.spec.num_returns
    if count == 1 and type(result) is not GeneratorType:
        return (NONE_VALUE,) if result is None else (engine.store_result(result, running.spec.name),)
    if count == 0:
        return ()
    if isinstance(result, Iterator):
        return _yielded(engine, running, result, count)
    if not isinstance(result, Iterable):
        raise TypeError(f"Task returned an object of type {type(result).__name__!r}, but num_returns={count}.")
    items = list(result)
    if len(items) != count:
        raise ValueError(f"Task returned {len(items)} objects, but num_returns={count}.")
    values: list[Value] = []
    try:
        for index, item in enumerate(items):
            values.append(engine.store_result(item, f"{running.spec.name}[{index}]"))
    except BaseException:  # one of them cannot be sent, or somebody wants none of them any more
        engine.take_back(values)
        raise
    return tuple(values)


def _yielded(engine: WorkerSide, running: Running, items: Iterator[Any], count: int) -> tuple[Value, ...]:
    """Return the values of a generator that is to yield ``count`` items: what it raises stands for those that lack."""
    values: list[Value] = []
    total = 0
    try:
        for item in items:
            if total < count:
                values.append(engine.store_result(item, f"{running.spec.name}[{total}]"))
            total += 1
        if total != count:
            raise ValueError(f"Task returned {total} objects, but num_returns={count}.")
    except BaseException as error:
        if not isinstance(error, Exception) or len(values) in (0, count) or may_retry(running, error):
            engine.take_back(values)
            raise
        values += failure(running, error)[: count - len(values)]
    return tuple(values)


def failure(running: Running, error: BaseException) -> tuple[Value, ...]:
    """Return the values of a call that raised ``error``."""
    count = max(running.spec.num_returns, 1)
    name = running.spec.name
    if is_a(error, ObjectStoreFullError):
        text = f"{name}: {error}"
        return (Value(Status.FAILURE, encode_failure(Failure(FailureKind.STORE_FULL, text, name=name))),) * count
    if is_a(error, SetupFailed):
        return (_not_set_up(error.__cause__ or error, name),) * count
    value = Value(Status.ERROR, pack_exception(error, name, os.getpid()))
    if streams(running.spec):  # it is the last item; the stream itself has come to its end
        return NONE_VALUE, value
    return (value,) * count


def _not_set_up(why: BaseException, name: str) -> Value:
    pid = os.getpid()
    text = f"process {pid} could not be set up with the runtime environment of {name}\n{format_error(why)}"
    cause = pack_exception(why, "the setup", pid)
    return Value(Status.FAILURE, encode_failure(Failure(FailureKind.SETUP_FAILED, text, pid, name=name, cause=cause)))


def cancelled(running: Running) -> tuple[Value, ...]:
    """Return the values of a call that was cancelled."""
    text = f"{running.spec.name} was cancelled"
    value = Value(Status.FAILURE, encode_failure(Failure(FailureKind.CANCELLED, text, name=running.spec.name)))
    return (value,) * max(running.spec.num_returns, 1)


def may_retry(running: Running, error: BaseException) -> bool:
    """Return whether ``retry_exceptions`` covers ``error``."""
    blob = running.spec.retry_exceptions
    if not blob:
        return False
    try:
        wanted = loads(blob) if blob[0] == 0x80 else pickle.loads(blob)  # noqa: S301  # the caller's own option
        if wanted is True:
            return is_a(error, Exception)
        cause = getattr(error, "cause", None)
        return isinstance(error, tuple(wanted)) or isinstance(cause, tuple(wanted))
    except BaseException:  # noqa: BLE001  # the methods of user classes: whatever they say, it is not yes
        return False
