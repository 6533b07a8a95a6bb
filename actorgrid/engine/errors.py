"""System failures, plain data on the wire, to the exceptions that users see."""

from __future__ import annotations

from collections.abc import Callable

from actorgrid import exceptions as e
from actorgrid.core.messages import Failure, FailureKind
from actorgrid.wire.errors import unpack_exception

#: The kinds whose exception takes the message and nothing else.
_PLAIN: dict[FailureKind, type[e.ActorGridError]] = {
    FailureKind.STORE_FULL: e.ObjectStoreFullError,
    FailureKind.INFEASIBLE: e.InfeasibleResourcesError,
    FailureKind.TOO_MANY_WORKERS: e.TooManyWorkersError,
    FailureKind.INTERNAL: e.InternalError,
    FailureKind.TIMED_OUT: e.TaskTimeoutError,
    FailureKind.OUT_OF_MEMORY: e.OutOfMemoryError,
    FailureKind.RESOURCE_LIMIT: e.ResourceLimitError,
    FailureKind.REPLAY: e.StreamingGeneratorReplayInconsistentError,
    FailureKind.GROUP_REMOVED: e.TaskPlacementGroupRemoved,
}


def failure_to_exception(failure: Failure, render: Callable[[int, int], str]) -> e.ActorGridError:
    """Return the exception for ``failure``; ``render(id, digits)`` shows an id as text.

    If user code is behind it (an actor's constructor raised), that exception is the ``__cause__``.
    """
    kind, message = failure.kind, failure.message
    if kind is FailureKind.CANCELLED:
        return e.TaskCancelledError(render(failure.task, 48) if failure.task else None, message)
    if kind is FailureKind.WORKER_CRASHED:
        return e.WorkerCrashedError(message, failure.pid, failure.status, failure.name)
    if kind is FailureKind.OBJECT_LOST:
        return e.ObjectLostError(message=message)
    if kind in _PLAIN:
        return _PLAIN[kind](message)
    cause = unpack_exception(failure.cause) if failure.cause else None
    if kind is FailureKind.SETUP_FAILED:
        failed = e.RuntimeEnvSetupError(message)
        failed.__cause__ = cause
        return failed
    actor = render(failure.actor, 32) if failure.actor else None
    told = f"{message}\n{cause}" if cause is not None else message
    error: e.ActorError
    if kind is FailureKind.ACTOR_UNAVAILABLE:
        error = e.ActorUnavailableError(message, actor, error_msg=told)
    else:
        cls = e.ActorPlacementGroupRemoved if kind is FailureKind.ACTOR_GROUP_REMOVED else e.ActorDiedError
        error = cls(cause, actor_id=actor, error_msg=told, actor_init_failed=failure.init_failed)
    error.__cause__ = cause
    return error
