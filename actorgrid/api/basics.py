"""get, put, wait, cancel, kill, get_actor: argument checks, then the engine."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from typing import Any, TypeGuard, TypeVar, overload

from actorgrid.api.handle import ActorHandle, rebuild
from actorgrid.api.texts import not_empty
from actorgrid.dag.refs import CompiledDAGRef, get_all
from actorgrid.engine.current import current, existing
from actorgrid.engine.generators import ObjectRefGenerator
from actorgrid.engine.protocol import Engine, Waitable
from actorgrid.engine.refs import ObjectRef
from actorgrid.exceptions import ActorHandleNotFoundError

T = TypeVar("T")
W = TypeVar("W", bound=Waitable)


def _is_ref(thing: object) -> TypeGuard[ObjectRef[Any]]:
    """Return whether this is a reference, whatever it says of its own ``__class__``."""
    return issubclass(type(thing), ObjectRef)


def _is_generator(thing: object) -> TypeGuard[ObjectRefGenerator[Any]]:
    return issubclass(type(thing), ObjectRefGenerator)


def _seconds(timeout: Any) -> float:
    if type(timeout) is not float and type(timeout) is not int:
        import numbers  # of other libraries

        if isinstance(timeout, bool) or not isinstance(timeout, numbers.Real):
            raise TypeError(f"timeout must be a number of seconds or None, not {type(timeout).__name__}")
        timeout = float(timeout)
    if timeout != timeout:  # noqa: PLR0124  # the test for NaN
        raise ValueError("timeout must not be NaN")
    return timeout  # type: ignore[no-any-return]  # a number it is


def _count(num_returns: Any) -> int:
    try:
        if isinstance(num_returns, bool):
            raise TypeError
        return operator.index(num_returns)
    except TypeError:
        raise TypeError(f"num_returns must be an int, not {type(num_returns).__name__}") from None


def _hint(thing: object) -> str:
    """Return what to do about a thing that is no reference, with a blank before it; "" if nothing can be said."""
    if hasattr(type(thing), "remote"):
        return " Call it with .remote() and get what that returns."
    if issubclass(type(thing), (tuple, set, Iterator)):
        return " Make it a list: get(list(...))."
    return ""


def _engine_of_references() -> Engine:
    """Return the engine of this process: it starts none, for what a reference is to would not be there.

    Raises ValueError if there is none.
    """
    engine = existing()
    if engine is None:
        raise ValueError("this reference belongs to another session: the grid of its object has ended")
    return engine


@overload
def get(object_refs: ObjectRef[T], *, timeout: float | None = None) -> T: ...
@overload
def get(object_refs: Sequence[ObjectRef[T]], *, timeout: float | None = None) -> list[T]: ...
@overload
def get(object_refs: Any, *, timeout: float | None = None, _use_object_store: bool = False) -> Any: ...


def get(object_refs: Any, *, timeout: float | None = None, _use_object_store: bool = False) -> Any:
    """Wait for an object, or a list of objects, and return the value or the list of values.

    An ObjectRefGenerator is returned unchanged: iterate over it. References to results of compiled graphs
    (``CompiledDAGRef``) are good for one ``get``, which raises RayChannelTimeoutError after ``timeout`` seconds.

    ``timeout`` is in seconds: 0 does not wait, None and negative numbers wait for ever. Raises what the task raised
    (as an instance of the same class and of ``TaskError``), a system error such as WorkerCrashedError,
    GetTimeoutError, ValueError if ``object_refs`` is neither a reference nor a list (a tuple, say), and TypeError if
    the list holds anything else than references.
    """
    if timeout is not None:
        timeout = _seconds(timeout)
        if timeout < 0:
            timeout = None
    kind = type(object_refs)  # not isinstance, here and below: it asks what a thing says of its own class
    if issubclass(kind, ObjectRef):
        return _engine_of_references().get((object_refs,), timeout)[0]
    if issubclass(kind, ObjectRefGenerator):
        return object_refs
    if issubclass(kind, CompiledDAGRef):
        return object_refs._get(timeout)  # noqa: SLF001  # our own class
    if not issubclass(kind, list):
        raise ValueError(  # noqa: TRY004  # Ray's type
            f"Invalid type of object refs, {type(object_refs)}, is given. "
            f"'object_refs' must either be an ObjectRef or a list of ObjectRefs.{_hint(object_refs)}"
        )
    if object_refs and issubclass(type(object_refs[0]), CompiledDAGRef):
        return get_all(object_refs, timeout)
    if not all(issubclass(each, ObjectRef) for each in set(map(type, object_refs))):  # of ten thousand, one kind
        ref = next(each for each in object_refs if not _is_ref(each))
        raise TypeError(
            f"Attempting to call `get` on the value {ref!r:.100}, which is not an ObjectRef but a {type(ref)}."
            f"{' get() takes a flat list.' if issubclass(type(ref), (list, tuple)) else _hint(ref)}"
        )
    return _engine_of_references().get(object_refs, timeout) if object_refs else []


def put(value: T, *, _owner: Any = None, _tensor_transport: Any = None) -> ObjectRef[T]:
    """Store ``value`` as it is now and return a reference to it.

    Raises TypeError if it is a reference already or cannot be pickled, ObjectStoreFullError.
    """
    if _is_ref(value):
        raise TypeError("Calling 'put' on an ObjectRef is not allowed. Use the reference itself.")
    if _owner is not None or _tensor_transport is not None:
        raise ValueError("'_owner' and '_tensor_transport' are not supported")
    return current().put(value)


@overload
def wait(
    ray_waitables: list[ObjectRef[T]],
    *,
    num_returns: int = 1,
    timeout: float | None = None,
    fetch_local: bool = True,
) -> tuple[list[ObjectRef[T]], list[ObjectRef[T]]]: ...
@overload
def wait(
    ray_waitables: list[W], *, num_returns: int = 1, timeout: float | None = None, fetch_local: bool = True
) -> tuple[list[W], list[W]]: ...
@overload
def wait(
    ray_waitables: list[Any], *, num_returns: int = 1, timeout: float | None = None, fetch_local: bool = True
) -> tuple[list[Any], list[Any]]: ...


def wait(  # a list of checks
    ray_waitables: list[Any],
    *,
    num_returns: int = 1,
    timeout: float | None = None,
    fetch_local: bool = True,
) -> tuple[list[Any], list[Any]]:
    """Wait until ``num_returns`` of the objects exist or ``timeout`` seconds have passed: (ready, not ready).

    At most ``num_returns`` are in the first list; both keep the order of the input. An object that stands for an
    error is ready; an ObjectRefGenerator is when its next item has come or it is over. Raises TypeError for anything
    but a list of references and generators; ValueError for duplicates, a negative timeout, and a ``num_returns`` that
    is not positive or larger than the list.
    """
    del fetch_local  # there is one machine
    if not issubclass(type(ray_waitables), list):
        raise TypeError(f"wait() expected a list of ObjectRef, got {type(ray_waitables)}")
    kinds = set(map(type, ray_waitables))
    strangers = [kind for kind in kinds if not issubclass(kind, (ObjectRef, ObjectRefGenerator))]
    if strangers:
        raise TypeError(f"wait() expected a list of ObjectRef or ObjectRefGenerator, got one with {strangers[0]}")
    if timeout is not None:
        timeout = _seconds(timeout)
        if timeout < 0:
            raise ValueError(f"The 'timeout' argument must be nonnegative. Received {timeout}")
    if not ray_waitables:
        return [], []
    # One process has one entry per object, and entries are hashed in C: this is called in loops over many references.
    if len({ref._entry for ref in ray_waitables}) != len(ray_waitables):  # noqa: SLF001  # see above
        raise ValueError("Wait requires a list of unique refs.")
    num_returns = _count(num_returns)
    if num_returns <= 0:
        raise ValueError(f"Invalid number of objects to return {num_returns}.")
    if num_returns > len(ray_waitables):
        raise ValueError("num_returns cannot be greater than the number of refs provided to wait.")
    return _engine_of_references().wait(ray_waitables, num_returns, timeout)


def cancel(ray_waitable: Waitable, *, force: bool = False, recursive: bool = True) -> None:
    """Cancel the task that makes the object; its ``get`` raises TaskCancelledError unless it had finished.

    A running task sees a KeyboardInterrupt; with ``force`` its worker is killed instead. ``recursive``: also the tasks
    that it started. A generator that is cancelled ends at its next ``yield`` at the latest; what it has yielded can
    still be read, then comes the error. Nothing happens to finished tasks and to objects of ``put``. Raises TypeError
    for anything but a reference or generator, ValueError for ``force`` on a call of an actor.
    """
    if _is_generator(ray_waitable):
        ray_waitable = ray_waitable.completed()
    if not _is_ref(ray_waitable):
        raise TypeError(f"cancel() only supports ObjectRefs. Got: {type(ray_waitable)}.")
    _engine_of_references().cancel(ray_waitable, force=bool(force), recursive=bool(recursive))


def explain(object_ref: Waitable) -> str:
    """Return what an object waits for, in words: one line per call, from its own to what all wait for in the end.

    Not in Ray. Raises TypeError for anything but a reference or generator.
    """
    if _is_generator(object_ref):
        object_ref = object_ref.completed()
    if not _is_ref(object_ref):
        raise TypeError(f"explain() takes an ObjectRef, not {type(object_ref).__name__}")
    return "\n".join(_engine_of_references().explain(object_ref))


def kill(actor: ActorHandle[Any] | type[Any], *, no_restart: bool = True) -> None:
    """Kill an actor at once, without its exit handlers. ``no_restart=False``: it may restart as after a crash.

    Raises ValueError for anything but a handle, TypeError for a ``no_restart`` that is no bool, and
    ActorHandleNotFoundError for a handle of another session.
    """
    if not issubclass(type(actor), ActorHandle):
        raise ValueError(f"kill() only supports actors. For tasks, use cancel(). Got: {type(actor)}.")  # noqa: TRY004
    if not isinstance(no_restart, bool):
        raise TypeError(f"no_restart must be a bool, not {type(no_restart).__name__}: {no_restart!r:.100}")
    engine, ref = existing(), actor._actor_id  # noqa: SLF001  # our own class
    if engine is None:
        raise ActorHandleNotFoundError(f"{actor!r} belongs to a grid that has ended")
    if ref.engine is not engine:
        raise ActorHandleNotFoundError(
            f"{actor!r} belongs to another session: the grid that made it has ended or is another process's"
        )
    engine.kill(ref, no_restart=no_restart)


def get_actor(name: str, namespace: str | None = None) -> ActorHandle[Any]:
    """Return a handle of the actor of this name in ``namespace`` (None: the own one). It does not keep the actor alive.

    Raises ValueError if there is none or the name is empty.
    """
    if not name:
        raise ValueError("Please supply a non-empty value to get_actor")
    not_empty("name", name)
    if namespace is not None:
        not_empty("namespace", namespace)
    return rebuild(*current().get_actor(name, namespace))


def get_gpu_ids() -> list[int] | list[str]:
    """Return the GPUs that the running task or the actor has: their numbers, or names if the driver was given names.

    They are those of ``CUDA_VISIBLE_DEVICES``. In a driver, and without ``num_gpus``, there are none.
    """
    names = current().context().devices
    return [int(name) for name in names] if all(map(str.isdecimal, names)) else list(names)
