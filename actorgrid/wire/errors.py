"""Exceptions of user code to bytes and back.

An exception is pickled where it was raised, and unpickled there to see that it survives: what breaks on the way would
otherwise break where nobody can tell any more what was raised. If it does not survive as it is (a constructor with
other parameters than ``args``, an attribute that cannot be pickled), it is taken apart and rebuilt without running its
constructor. The traceback travels beside it, as text.
"""

from __future__ import annotations

import sys
import traceback
import types
from pickle import dumps, loads  # by name: user code may replace those of the module
from typing import Any, Final

import msgspec

from actorgrid.anatomy import allocate, get_state, set_state
from actorgrid.exceptions import (
    ActorGridError,
    TaskCancelledError,
    TaskError,
    UnserializableException,
    is_a,
)
from actorgrid.wire import by_value, custom
from actorgrid.wire.text import MEMBER_LIMIT, name_of, safe_repr, shorten
from actorgrid.wire.unpicklable import explain_unpicklable, problem_of

#: A remote traceback, and any text that stands in for a value, is cut in its middle beyond this many characters.
TEXT_LIMIT: Final = 64 << 10
#: An exception that pickles to more (bytes) is sent with its long parts cut.
LARGEST_ERROR: Final = 1 << 20
#: Of a deeper traceback only the last frames are shown.
_FRAME_LIMIT: Final = 200
#: Frames of this package on top of a traceback are how the user's function was called: no news.
_PACKAGE: Final = __file__.rpartition("/wire/")[0] + "/"


_TRACEBACK: Final[Any] = vars(BaseException)["__traceback__"]
#: Made while it can be made.
_NOTHING: Final = dumps(ActorGridError("an exception that cannot be sent: see the remote traceback"))


class _Packed(msgspec.Struct, array_like=True):
    function_name: str
    traceback_str: str
    pid: int
    cause: bytes


def pack_exception(error: BaseException, function_name: str, pid: int) -> bytes:
    """Return ``error``, raised by ``function_name`` in process ``pid``, as bytes for ``unpack_exception``.

    Runs where it was raised, and never raises, whatever the methods of the exception do. An error that has come out
    of another task keeps its innermost cause; its story is part of the traceback. What cannot be pickled, or is too
    large, is replaced by text; a note on the exception says what and why.
    """
    told = format_error(error)
    try:
        cause = error.cause if is_a(error, TaskError) else error
        if _is_cancellation(cause):
            cause = TaskCancelledError(None, f"{function_name} was interrupted")
        told, data = _packed(cause, told)
    except BaseException:  # noqa: BLE001  # the methods of user classes, or modules that user code has unloaded
        data = _last_resort(error)
    return msgspec.msgpack.encode(_Packed(function_name, told, pid, data))


def _packed(cause: BaseException, told: str) -> tuple[str, bytes]:
    """Return what is told of an exception, with what was changed in it, and the exception."""
    data = _dumps(_portable(cause))
    if len(data) > LARGEST_ERROR:
        data = _dumps(_shortened(cause, len(data)))
    arrives = loads(data)  # noqa: S301  # what this process has just made
    known = getattr(cause, "__notes__", ())
    return "\n".join([told, *(note for note in getattr(arrives, "__notes__", ()) if note not in known)]), data


def _last_resort(error: BaseException) -> bytes:
    try:
        return dumps(ActorGridError(safe_repr(error)))
    except BaseException:  # noqa: BLE001  # our own modules are gone
        return _NOTHING


def unpack_exception(data: bytes, not_run: tuple[str, ...] = ()) -> BaseException:
    """Return what ``pack_exception`` packed as an instance of both ``TaskError`` and the class that was raised.

    ``not_run``: the error is that of an argument, and these tasks did not run for its sake, the last of them the one
    whose result was asked for; the message says so. Never raises: if the exception cannot be unpickled here, the cause
    is an ``UnserializableException`` and the remote traceback is still there.
    """
    try:
        packed = msgspec.msgpack.decode(data, type=_Packed)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        return TaskError("?", f"the error is damaged: {error}", UnserializableException())
    told = packed.traceback_str
    if not_run:
        told = f"{told_of(not_run)} What raised was:\n{told}"
    cause: Any
    try:
        cause = loads(packed.cause)  # noqa: S301  # the process that asked for a value unpickles it
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001  # the methods of user classes
        cause = UnserializableException(packed.traceback_str)
        cause.__cause__ = error
    if not isinstance(cause, BaseException):
        cause = UnserializableException(packed.traceback_str)
    return TaskError(packed.function_name, told, cause, pid=packed.pid).as_instanceof_cause()


def describe_packed(data: bytes, not_run: tuple[str, ...] = ()) -> str:
    """Return as text what ``unpack_exception`` would raise, without unpickling anything. Never raises."""
    try:
        packed = msgspec.msgpack.decode(data, type=_Packed)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        return f"the error is damaged: {error}"
    told = f"{told_of(not_run)} What raised was:\n" if not_run else ""
    return f"{packed.function_name}() failed in process {packed.pid}\n{told}{packed.traceback_str}"


def told_of(not_run: tuple[str, ...]) -> str:
    """Say that the last of these tasks did not run, and for want of what (see ``messages.Value.not_run``)."""
    # "f() did not run, because ... g() did not run: ..."
    chain = [name if name == "..." else f"{name}() did not run" for name in reversed(not_run)]
    return f"{', because '.join(chain)}: at least one of its input arguments could not be computed."


def _is_cancellation(error: BaseException) -> bool:
    cls = type(error)  # by name: this layer does not import asyncio
    return is_a(error, KeyboardInterrupt) or (cls.__module__, cls.__name__) == (
        "asyncio.exceptions",
        "CancelledError",
    )


# ----------------------------------------------------------------------------------------------------- the traceback


def format_error(error: BaseException) -> str:
    """Return the traceback of ``error`` as text, without frames of ours on its top. Never raises."""
    try:
        frames = error.__traceback__
        while frames is not None and frames.tb_frame.f_code.co_filename.startswith(_PACKAGE):
            frames = frames.tb_next
        told = traceback.TracebackException(type(error), error, frames, limit=-_FRAME_LIMIT, compact=True)
        if is_a(error, TaskError):  # how ``get`` raised what another task raised: no news either
            told.stack[:] = [frame for frame in told.stack if not frame.filename.startswith(_PACKAGE)]
        text = "".join(told.format()).rstrip("\n")
    except BaseException as problem:  # noqa: BLE001  # the methods of user classes
        return f"{_told_without(error)}{name_of(type(error))} (it cannot be formatted: {name_of(type(problem))})"
    left_out = _depth(frames) - _FRAME_LIMIT
    if left_out > 0:
        text = f"[{left_out} outer frames are left out]\n{text}"
    return shorten(text, TEXT_LIMIT)


def _told_without(error: BaseException) -> str:
    """Return where an exception was raised, without asking it for anything; "" if that cannot be told."""
    try:
        frames = traceback.format_tb(_TRACEBACK.__get__(error), limit=-_FRAME_LIMIT)
    except Exception:  # noqa: BLE001  # modules that user code has unloaded
        return ""
    return shorten("".join(["Traceback (most recent call last):\n", *frames]), TEXT_LIMIT)


def _depth(frames: types.TracebackType | None) -> int:
    depth = 0
    while frames is not None:
        depth += 1
        frames = frames.tb_next
    return depth


# --------------------------------------------------------------------------------------------------------- the cause


class _Parts:
    """Pickles into the exception that ``_restore`` makes of these arguments."""

    def __init__(self, *parts: Any) -> None:
        self.parts = parts

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, self.parts


def _portable(error: BaseException) -> Any:
    """Return what pickles into ``error``, or into something as near to it as can be."""
    if _survives(error):
        return error
    arguments: tuple[Any, ...]
    said: list[str] = []
    of_group: tuple[str, ...] = ()
    if isinstance(error, BaseExceptionGroup):
        of_group = ("message", "exceptions")  # which its arguments are
        arguments = (error.message, [_portable(inner) for inner in error.exceptions])
    else:
        arguments = tuple(_member(value, f"args[{index}]", said) for index, value in enumerate(error.args))
    state = {name: _member(value, name, said) for name, value in get_state(error).items() if name not in of_group}
    notes = [*(_member(note) for note in getattr(error, "__notes__", ())), *said]
    parts = _Parts(type(error), arguments, state, notes)
    if type(_round_trip(parts)) is type(error):
        return parts
    return ActorGridError(safe_repr(error))


def _restore(cls: type[BaseException], arguments: tuple[Any, ...], state: dict[str, Any], notes: list[Any]) -> Any:
    error = allocate(cls, arguments if issubclass(cls, BaseExceptionGroup) else ())
    BaseException.__setattr__(error, "args", arguments)
    set_state(error, state)
    if notes:
        vars(error)["__notes__"] = notes
    return error


def _survives(error: BaseException) -> bool:
    copy = _round_trip(error)
    if type(copy) is not type(error):
        return False
    if type(error).__reduce__ is not BaseException.__reduce__:
        return True
    # The constructor was run again, with ``args``: one that makes ``args`` of other parameters makes a mess of them.
    try:
        return len(copy.args) == len(error.args) and str(copy) == str(error)
    except BaseException:  # noqa: BLE001  # the methods of user classes
        return True  # str() fails on both sides: as faithful as can be


def _shortened(error: BaseException, size: int) -> Any:
    """Return what pickles into ``error`` with its long parts cut."""
    inner = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    arguments = (
        (error.message, [_shortened(each, 0) for each in inner])
        if isinstance(error, BaseExceptionGroup)
        else tuple(_short(value) for value in error.args)
    )
    state = {name: _short(value) for name, value in get_state(error).items() if name not in {"message", "exceptions"}}
    notes = [_short(note) for note in getattr(error, "__notes__", ())]
    cut = [f"this exception was too large to send ({size} bytes): its long parts were cut"] if size else []
    return _Parts(type(error), arguments, state, [*notes, *cut])


def _short(value: Any) -> Any:
    if isinstance(value, str):
        return shorten(value, MEMBER_LIMIT)
    if isinstance(value, bytes):
        return value[:MEMBER_LIMIT]
    value = _member(value)
    return value if len(_dumps(value)) <= MEMBER_LIMIT else safe_repr(value)


def _member(value: Any, path: str = "", said: list[str] | None = None) -> Any:
    """Return ``value`` if it can be pickled and unpickled, else its repr; ``said`` gets the reason."""
    if isinstance(value, (str, int, float, bytes, bool, type(None))):
        return value
    if type(_round_trip(value)) is type(value):
        return value
    problem = problem_of(value) if said is not None else None
    if problem is not None and said is not None:
        said.append(f"sent as text: {explain_unpicklable(value, problem, path)}")
    return safe_repr(value)


def _round_trip(value: Any) -> Any:
    """Return ``value`` pickled and unpickled; None if that fails. It never raises."""
    try:
        return loads(_dumps(value))  # noqa: S301  # what this process has just made
    except BaseException:  # noqa: BLE001  # the methods of user classes
        return None


def _dumps(value: Any) -> bytes:
    try:
        data = custom.dumps(value)
        if b"__main__" not in data and not _by_value_somewhere(data):
            return data
    except Exception:  # noqa: BLE001, S110  # whatever the C pickler cannot do, cloudpickle tries
        pass
    return by_value.dumps(value)


def _by_value_somewhere(data: bytes) -> bool:
    cloudpickle = sys.modules.get("cloudpickle")
    return cloudpickle is not None and any(
        name.encode() in data for name in cloudpickle.list_registry_pickle_by_value()
    )
