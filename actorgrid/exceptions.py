"""Every exception that actorgrid raises. Ray's names are kept: as they are, or as the aliases on the right.

::

    Exception
    └─ ActorGridError                                        RayError
       ├─ TaskError                                          RayTaskError
       │  └─ TaskError(X)             made for each class X that user code raised: also an X
       ├─ TaskCancelledError
       ├─ TaskTimeoutError            also a TimeoutError
       ├─ GetTimeoutError             also a TimeoutError
       ├─ WorkerCrashedError
       ├─ OutOfMemoryError
       ├─ ResourceLimitError          no further process, thread or descriptor is allowed
       ├─ ActorError                                         RayActorError
       │  ├─ ActorDiedError
       │  │  └─ ActorPlacementGroupRemoved
       │  └─ ActorUnavailableError
       ├─ ActorAlreadyExistsError     also a ValueError
       ├─ ActorHandleNotFoundError    also a ValueError
       ├─ AsyncioActorExit
       ├─ PendingCallsLimitExceeded
       ├─ InfeasibleResourcesError    also a ValueError
       ├─ TooManyWorkersError
       ├─ DeadlockError
       ├─ ReplayError                 a call of an actor with checkpoints, run again, does something else
       ├─ SimulationError             only under engine="sim"
       │  ├─ LivelockError            the program goes on for ever
       │  ├─ SharedStateLeak          simulated processes share what real ones would not
       │  ├─ NondeterminismError      the same choices led elsewhere
       │  ├─ SimulationFailed         also an AssertionError: a program fails under some schedule
       │  └─ NotLinearizable          also an AssertionError: no order explains a history
       ├─ ObjectStoreFullError
       ├─ OutOfDiskError
       ├─ ObjectLostError             ObjectFetchTimedOutError, ObjectFreedError, OwnerDiedError,
       │                              ReferenceCountingAssertionError, ObjectReconstructionFailedError
       ├─ SerializationError          also a TypeError
       ├─ UnserializableException
       ├─ UserCodeException
       ├─ RuntimeEnvSetupError
       ├─ TaskPlacementGroupRemoved
       ├─ TaskUnschedulableError, ActorUnschedulableError
       ├─ ObjectRefStreamEndOfStreamError
       ├─ GridSystemError                                    RaySystemError
       │  ├─ NotStartedError          also a RuntimeError
       │  ├─ HeadDiedError
       │  ├─ InternalError            a bug in actorgrid: please report it
       │  ├─ StreamingGeneratorReplayInconsistentError
       │  └─ RayChannelError (RayChannelTimeoutError), RayCgraphCapacityExceeded, RayDirectTransportError
       └─ CrossLanguageError, NodeDiedError, LocalRayletDiedError, AuthenticationError, RpcError,
          PlasmaObjectNotAvailable, OufOfBandObjectRefSerializationException
                                      names that mean something only on Ray: never raised here

All of them can be pickled, and made by whoever imitates the grid: their parameters are Ray's, with defaults for all.
"""

# ruff: noqa: N818  # most of these names are Ray's

from __future__ import annotations

import types
import weakref
from typing import Any, TypeGuard, TypeVar

from actorgrid.anatomy import allocate, get_state, set_state


class ActorGridError(Exception):
    """Base of all exceptions of this package."""


# ---------------------------------------------------------------------------------------------- raised by user code


class TaskError(ActorGridError):
    """User code raised an exception in a task, a method or an argument of it.

    What ``get`` raises is also an instance of the class that user code raised (see ``as_instanceof_cause``), so
    ``except ValueError`` works. ``str()`` of it names the function and the process and holds the remote traceback.

    Attributes: ``function_name``, ``traceback_str`` (the remote traceback), ``pid``, and ``cause``, the innermost
    exception of user code, however many tasks it has passed through. The grid itself gives no ``proctitle``, ``ip``,
    ``actor_repr`` and ``actor_id``: they are parameters of Ray's, kept as attributes as long as there is no dual class.
    """

    function_name: str
    traceback_str: str
    pid: int

    def __init__(
        self, function_name: str, traceback_str: str, cause: BaseException, proctitle: str | None = None,
        pid: int | None = None, ip: str | None = None, actor_repr: str | None = None, actor_id: str | None = None,
    ) -> None:  # fmt: skip
        super().__init__(function_name, traceback_str, cause, proctitle, pid, ip)
        self._remember(function_name, traceback_str, cause, pid or 0)
        vars(self).update(proctitle=proctitle, ip=ip, actor_repr=actor_repr, _actor_id=actor_id)

    def _remember(self, function_name: str, traceback_str: str, cause: BaseException, pid: int) -> None:
        # Into the dictionary, past whatever descriptors or ``__setattr__`` the class of the cause may bring along.
        vars(self).update(
            function_name=function_name,
            traceback_str=traceback_str,
            pid=pid,
            _told=(function_name, traceback_str, cause, pid),
        )

    @property
    def cause(self) -> BaseException:
        """The exception that user code raised, as it came out of the worker."""
        told: tuple[str, str, BaseException, int] = vars(self)["_told"]
        return told[2]

    def as_instanceof_cause(self) -> TaskError:
        """Return this error as an instance of both ``TaskError`` and the class of its cause.

        The class is called ``TaskError(ValueError)`` and is the same for every cause of one class. Its instances
        have ``args == (cause,)`` and the attributes of the cause. Where there can be no such class (``Exception``
        itself, a class that refuses to be subclassed), the plain ``TaskError`` is returned.
        """
        cause = self.cause
        if isinstance(self, _Dual) or is_a(cause, TaskError) or type(cause) in TaskError.__mro__:
            return self
        try:
            return _make_dual(vars(self)["_told"])
        except Exception:  # noqa: BLE001  # a user's class may do anything when it is subclassed
            return self

    def __str__(self) -> str:
        function_name, traceback_str, _, pid = vars(self)["_told"]
        return f"{function_name}() failed{f' in process {pid}' if pid else ''}\n{traceback_str}"

    def __repr__(self) -> str:
        try:
            shown = repr(self.cause)
        except Exception:  # noqa: BLE001  # the repr of a user's class
            shown = f"<{type(self.cause).__name__}>"
        return f"{type(self).__name__}({shown})" if isinstance(self, _Dual) else f"TaskError({shown})"

    def __reduce__(self) -> tuple[Any, ...]:
        if isinstance(self, _Dual):
            return _rebuild, vars(self)["_told"]
        state = vars(self)
        told = (*state["_told"][:3], state["proctitle"], self.pid, state["ip"], state["actor_repr"], state["_actor_id"])
        return TaskError, told

    def __reduce_ex__(self, protocol: object) -> tuple[Any, ...]:
        return self.__reduce__()


class _Dual:
    """Marks the classes that ``as_instanceof_cause`` makes, and gives them the attributes of the cause."""

    def __getattr__(self, name: str) -> Any:
        told = vars(self).get("_told")
        # The notes stand in the remote traceback already: a traceback of this error would show them twice.
        if told is None or name == "__notes__":
            raise AttributeError(name)
        return getattr(told[2], name)


#: Class of a cause -> its dual class. Weak: a class that came by value with one error may go with it.
_duals: weakref.WeakValueDictionary[type[BaseException], type[TaskError]] = weakref.WeakValueDictionary()


def _dual_class(cls: type[BaseException]) -> type[TaskError]:
    dual = _duals.get(cls)
    if dual is None:
        members = {"__module__": __name__, "__doc__": f"A ``TaskError`` whose cause is a ``{cls.__name__}``."}
        made = types.new_class(f"TaskError({cls.__name__})", (TaskError, cls, _Dual), {}, lambda ns: ns.update(members))
        dual = _duals.setdefault(cls, made)
    return dual


def _make_dual(told: tuple[str, str, BaseException, int]) -> TaskError:
    cause = told[2]
    arguments = (cause.message, cause.exceptions) if isinstance(cause, BaseExceptionGroup) else ()
    error = allocate(_dual_class(type(cause)), arguments)
    error._remember(*told)  # noqa: SLF001  # this module's own class
    set_state(error, get_state(cause))
    BaseException.__setattr__(error, "args", (cause,))
    return error


E = TypeVar("E", bound=BaseException)


def is_a(error: BaseException, cls: type[E]) -> TypeGuard[E]:
    """Return ``isinstance(error, cls)`` without asking ``error`` itself: what a user's class does may raise."""
    return issubclass(type(error), cls)


def _rebuild(function_name: str, traceback_str: str, cause: BaseException, pid: int) -> TaskError:
    return TaskError(function_name, traceback_str, cause, pid=pid).as_instanceof_cause()


class _Told(Exception):  # only ever a base
    """Keeps what it is told as ``message``."""

    def __init__(self, message: str = "") -> None:
        super().__init__(message)
        self.message = message

    def __str__(self) -> str:
        return str(self.message or "")


class _Unschedulable(Exception):  # only ever a base
    """Keeps what it is told as ``error_message``."""

    def __init__(self, error_message: str = "") -> None:
        super().__init__(error_message)
        self.error_message = error_message

    def __str__(self) -> str:
        return str(self.error_message or "")


class UserCodeException(ActorGridError):
    """User code outside tasks failed. Kept for programs that name it."""


class UnserializableException(ActorGridError):
    """An exception could not be unpickled where it arrived.

    Attribute: ``original_stack_trace``, its traceback as text. Here it is only ever the ``cause`` of a ``TaskError``.
    """

    def __init__(self, original_stack_trace: str = "") -> None:
        super().__init__(original_stack_trace)
        self.original_stack_trace = original_stack_trace

    def __str__(self) -> str:
        return f"the exception could not be unpickled here; what was raised:\n{self.original_stack_trace}"


class SerializationError(ActorGridError, TypeError):
    """An argument, a result or an exception cannot be pickled, or not be unpickled. The message names the path."""


# ------------------------------------------------------------------------------------------------ tasks and workers


class TaskCancelledError(ActorGridError):
    """The task was cancelled. Attributes: ``task_id`` (hex or None), ``error_message``."""

    def __init__(self, task_id: str | None = None, error_message: str | None = None) -> None:
        super().__init__(task_id, error_message)
        self.task_id = task_id
        self.error_message = error_message

    def __str__(self) -> str:
        what = f"task {self.task_id}" if self.task_id else "this task or one that makes its arguments"
        return f"{what} was cancelled" + (f": {self.error_message}" if self.error_message else "")


class TaskTimeoutError(ActorGridError, TimeoutError):
    """The task ran longer than its ``timeout`` and was stopped."""


class GetTimeoutError(ActorGridError, TimeoutError):
    """``get`` waited for ``timeout`` seconds and the object does not exist yet."""


class WorkerCrashedError(ActorGridError):
    """The process that ran the task ended without an answer, as often as ``max_retries`` allows.

    Attributes: ``pid``; ``status``, the exit code or minus the number of the signal, None if unknown; ``name``, the
    function.
    """

    def __init__(self, message: str = "", pid: int = 0, status: int | None = None, name: str = "") -> None:
        super().__init__(message, pid, status, name)
        self.pid = pid
        self.status = status
        self.name = name

    def __str__(self) -> str:
        if self.args[0]:
            return str(self.args[0])
        text = f"worker (pid {self.pid}) {_ending(self.status)}"
        return f"{text} while running {self.name}" if self.name else text


def _ending(status: int | None) -> str:
    if status is None:
        return "ended unexpectedly"
    return f"exited with code {status}" if status >= 0 else f"was killed by signal {-status}"


class OutOfMemoryError(_Told, ActorGridError):
    """The worker was killed because memory ran out: by the grid, in time, or by the system. The message has figures."""


class ResourceLimitError(ActorGridError):
    """The system allows no further process, thread or descriptor, and one is needed; the message says how many."""


class InfeasibleResourcesError(ActorGridError, ValueError):
    """The request is larger than the whole grid and could never be met: where Ray waits for ever."""


class TooManyWorkersError(ActorGridError):
    """All of ``max_workers`` processes wait for tasks that need one more. The message names the chain."""


class DeadlockError(ActorGridError):
    """Calls wait for each other in a circle, so that none can ever go on: the message names each of them.

    Raised by the ``get`` or ``wait`` that closed the circle. Make one of the calls elsewhere, give the wait a timeout,
    or give the actor ``max_concurrency`` or ``async def`` methods.
    """


class ReplayError(ActorGridError):
    """A call that runs again, to bring its actor back to where it was, submits something else than it had submitted.

    Raised inside that call. Even if that catches it, its actor dies with an ``ActorDiedError`` that says the same.
    """


class SimulationError(ActorGridError):
    """A program does something that the simulator cannot reproduce, or does not end."""


class LivelockError(SimulationError):
    """The program has not ended after as many events as were allowed."""


class SharedStateLeak(SimulationError):
    """Simulated processes changed and read the same object, which real processes would each have for themselves."""


class NondeterminismError(SimulationError):
    """Two runs with the same choices differ: something that the simulator does not control decided."""


class SimulationFailed(SimulationError, AssertionError):
    """A schedule was found under which the program fails; the message is the report, the cause the failure itself."""


class NotLinearizable(SimulationError, AssertionError):
    """No order of the recorded operations explains their results; the message tells how far the best one comes."""


class PendingCallsLimitExceeded(ActorGridError):
    """The actor has ``max_pending_calls`` unfinished calls of this process already, or the process too many tasks.

    The latter under ``init(max_pending_tasks=…)``, if it was told to raise, or cannot wait where it is called.
    """


class RuntimeEnvSetupError(ActorGridError):
    """The environment of a task could not be set up. Attribute: ``error_message``."""

    def __init__(self, error_message: str = "") -> None:
        super().__init__(error_message)
        self.error_message = error_message

    def __str__(self) -> str:
        return str(self.error_message or "the environment of the task could not be set up")


class TaskUnschedulableError(_Unschedulable, ActorGridError):
    """This machine is not where the task may run: its node id or its labels are not those that were asked for."""


class ActorUnschedulableError(_Unschedulable, ActorGridError):
    """This machine is not where the actor may run: its node id or its labels are not those that were asked for."""


class TaskPlacementGroupRemoved(ActorGridError):
    """The placement group of the task was removed: the message says whether the task had begun."""


# ----------------------------------------------------------------------------------------------------------- actors


class ActorError(ActorGridError):
    """A call of an actor has no result because of what happened to the actor.

    Attributes: ``actor_id`` (hex or None), ``error_msg``, ``actor_init_failed`` (its constructor raised),
    ``preempted`` (always False here), and ``cause``, the exception of the constructor or None.
    """

    def __init__(
        self, actor_id: str | None = None, error_msg: str = "the actor failed before it could answer this call",
        actor_init_failed: bool = False, preempted: bool = False, cause: BaseException | None = None,
    ) -> None:  # fmt: skip
        super().__init__(actor_id, error_msg, actor_init_failed, preempted, cause)
        self.actor_id = actor_id
        self.error_msg = error_msg
        self.actor_init_failed = actor_init_failed
        self.preempted = preempted
        self.cause = cause

    def __str__(self) -> str:
        return str(self.error_msg or type(self).__name__)


class ActorDiedError(ActorError):
    """The actor is dead for good, or its constructor raised (then ``actor_init_failed`` is True).

    ``cause`` is the exception of its constructor, or a text that says why it died; ``error_msg`` says all of it.
    """

    def __init__(
        self, cause: BaseException | str | None = None, *, actor_id: str | None = None, error_msg: str | None = None,
        actor_init_failed: bool | None = None,
    ) -> None:  # fmt: skip
        error = cause if isinstance(cause, BaseException) else None
        told = "the actor has died" if not cause else cause if error is None else f"its constructor raised: {cause}"
        text = str(told) if error_msg is None else error_msg
        failed = isinstance(error, TaskError) if actor_init_failed is None else actor_init_failed
        super().__init__(getattr(error, "_actor_id", actor_id) or actor_id, text, failed, False, error)
        self.args = (text if error is None else error,)  # the rest of it travels as attributes


class ActorPlacementGroupRemoved(ActorDiedError):
    """The actor was ended because its placement group was removed."""


class ActorUnavailableError(ActorError):
    """The actor restarts. The call may or may not have been executed; later calls may succeed.

    ``error_message`` says why; ``actor_id`` is text or bytes; ``error_msg`` says all of it.
    """

    def __init__(
        self, error_message: str = "it restarts", actor_id: str | bytes | None = None, *, error_msg: str | None = None
    ) -> None:
        ident = actor_id.hex() if isinstance(actor_id, bytes) else actor_id
        who = f"actor {ident}" if ident else "the actor"
        text = f"{who} is unavailable: {error_message}. The call may or may not have been executed"
        super().__init__(ident, text if error_msg is None else error_msg)
        self.args = (error_message, ident)


class ActorAlreadyExistsError(ActorGridError, ValueError):
    """The namespace has a living actor of this name."""


class ActorHandleNotFoundError(ActorGridError, ValueError):
    """The handle belongs to an actor of another grid or session."""


class AsyncioActorExit(ActorGridError):
    """An async actor leaves."""


# ---------------------------------------------------------------------------------------------------------- objects


class ObjectStoreFullError(ActorGridError):
    """There is no room for the object in shared memory, and nothing can leave it: the message names who reads what.

    Arrays that ``get`` has returned, and what was made from them without a copy, keep their objects there.
    """


class OutOfDiskError(ActorGridError):
    """The disk takes no more of what memory cannot hold: the message names the directory, the need and what is free.

    Raised by whatever needed the room, and by that alone; the objects that could not leave stay in memory.
    """


class ObjectLostError(ActorGridError):
    """The value of an object is gone.

    Attributes: ``object_ref_hex``, ``owner_address`` (always None here), ``call_site``.
    """

    def __init__(
        self, object_ref_hex: str = "", owner_address: object = None, call_site: str = "", message: str = ""
    ) -> None:
        super().__init__(object_ref_hex, owner_address, call_site, message)
        self.object_ref_hex = object_ref_hex
        self.owner_address = owner_address
        self.call_site = call_site
        self._message = message

    def __str__(self) -> str:
        return str(self._message or f"object {self.object_ref_hex} is lost")


class ObjectFetchTimedOutError(ObjectLostError):
    """Ray: fetching from another machine took too long."""


class ObjectFreedError(ObjectLostError):
    """The object was freed by hand."""


class OwnerDiedError(ObjectLostError):
    """Ray: the process that made the reference died. Never raised here: objects belong to the head."""


class ReferenceCountingAssertionError(ObjectLostError, AssertionError):
    """The object was deleted although it had a reference: a bug."""


class ObjectReconstructionFailedError(ObjectLostError):
    """Ray: the object could not be made again. Never raised here: nothing is made again."""

    def __init__(
        self, object_ref_hex: str = "", reason: object = None, reason_message: str | None = None,
        owner_address: object = None, call_site: str = "",
    ) -> None:  # fmt: skip
        super().__init__(object_ref_hex, owner_address, call_site, reason_message or "")
        self.args = (object_ref_hex, reason, reason_message, owner_address, call_site)
        self.reason = reason
        self.reason_message = reason_message


class ObjectRefStreamEndOfStreamError(ActorGridError):
    """The stream of a generator has ended."""


class PlasmaObjectNotAvailable(ActorGridError):
    """Ray: the object is not in this machine's store."""


class OufOfBandObjectRefSerializationException(ActorGridError):
    """Ray: a reference was pickled outside the grid while that was forbidden (the name is Ray's)."""


# ----------------------------------------------------------------------------------------------------------- system


class GridSystemError(ActorGridError):
    """Something of the grid itself failed. Attributes: ``client_exc``, ``traceback_str`` (or None)."""

    def __init__(self, client_exc: object = "", traceback_str: str | None = None) -> None:
        super().__init__(client_exc, traceback_str)
        self.client_exc = client_exc
        self.traceback_str = traceback_str

    def __str__(self) -> str:
        return f"{self.client_exc}\n{self.traceback_str}" if self.traceback_str else str(self.client_exc)


class NotStartedError(GridSystemError, RuntimeError):
    """There is no grid to ask: ``init`` was not called yet, or ``shutdown`` was."""


class HeadDiedError(GridSystemError):
    """The grid has ended while this process still used it. The message says why."""


class InternalError(GridSystemError):
    """A bug in actorgrid. Please report it with the message, which tells the story of the record concerned."""


class StreamingGeneratorReplayInconsistentError(GridSystemError):
    """A generator that was run again yielded another number of items."""


class RayChannelError(GridSystemError):
    """Nothing comes from a compiled graph any more: it was torn down."""


class RayChannelTimeoutError(RayChannelError, TimeoutError):
    """A result of a compiled graph has not come in time; it may still come."""


class RayCgraphCapacityExceeded(GridSystemError):
    """A compiled graph has as many executions under way, or results that nobody has asked for, as there may be."""


class RayDirectTransportError(GridSystemError):
    """Ray: a tensor could not be moved between devices."""


class NodeDiedError(_Told, ActorGridError):
    """Ray: a machine died."""


class LocalRayletDiedError(ActorGridError):
    """Ray: the local scheduler died. See ``HeadDiedError``."""


class CrossLanguageError(ActorGridError):
    """Ray: code in another language failed."""


class AuthenticationError(_Told, ActorGridError):
    """Ray: the token was refused."""


class RpcError(_Told, ActorGridError):
    """Ray: a remote procedure call failed. Attributes: ``message``, ``rpc_code``."""

    def __init__(self, message: str = "", rpc_code: int | None = None) -> None:
        super().__init__(message)
        self.args = (message, rpc_code)
        self.rpc_code = rpc_code


RayError = ActorGridError
RayTaskError = TaskError
RayActorError = ActorError
RaySystemError = GridSystemError
