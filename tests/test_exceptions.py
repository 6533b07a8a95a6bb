from __future__ import annotations

import copy
import gc
import inspect
import pickle
from typing import Any

import pytest

from actorgrid import exceptions
from actorgrid.exceptions import (
    ActorDiedError,
    ActorGridError,
    GetTimeoutError,
    HeadDiedError,
    InfeasibleResourcesError,
    ObjectLostError,
    TaskCancelledError,
    TaskError,
    TaskTimeoutError,
    WorkerCrashedError,
)


class KeywordOnly(Exception):  # noqa: N818
    def __init__(self, *, code: int) -> None:
        super().__init__(f"code {code}")
        self.code = code


class ClassDefault(Exception):  # noqa: N818
    status = 500

    def __init__(self, status: int) -> None:
        super().__init__()
        self.status = status


class Slotted(Exception):  # noqa: N818
    __slots__ = ("place",)
    place: str


class Final(Exception):  # noqa: N818
    def __init_subclass__(cls, **kwargs: Any) -> None:
        raise TypeError("no subclasses, please")


class HasPid(Exception):  # noqa: N818
    def __init__(self, pid: int) -> None:
        super().__init__(pid)
        self.pid = pid

    def __setattr__(self, name: str, value: Any) -> None:
        if name != "pid":
            raise AttributeError(name)
        super().__setattr__(name, value)


def dual(cause: BaseException) -> TaskError:
    return TaskError("f", "Traceback: …", cause, pid=7).as_instanceof_cause()


def test_dual_is_both_and_has_rays_order_of_bases() -> None:
    cause = ValueError("boom")
    error = dual(cause)
    assert isinstance(error, ValueError)
    assert type(error).__name__ == "TaskError(ValueError)"
    assert type(error).__mro__[:4] == (type(error), TaskError, ActorGridError, ValueError)
    assert error.args == (cause,)
    assert error.cause is cause
    assert error.__cause__ is None
    assert (error.function_name, error.traceback_str, error.pid) == ("f", "Traceback: …", 7)


def test_text_names_function_process_and_traceback() -> None:
    text = str(dual(ValueError("boom")))
    assert "f()" in text
    assert "7" in text
    assert "Traceback: …" in text


def test_one_class_per_class_of_cause() -> None:
    assert type(dual(ValueError(1))) is type(dual(ValueError(2)))
    assert type(dual(KeyError(1))) is not type(dual(ValueError(1)))


def test_fields_of_builtin_classes_are_those_of_the_cause() -> None:
    missing = dual(FileNotFoundError(2, "No such file", "/nowhere"))
    assert isinstance(missing, FileNotFoundError)
    assert (missing.errno, missing.strerror, missing.filename) == (2, "No such file", "/nowhere")
    text = dual(UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"))
    assert isinstance(text, UnicodeDecodeError)
    assert (text.object, text.reason) == (b"\xff", "bad")
    leaving = dual(SystemExit(3))
    assert isinstance(leaving, SystemExit)
    assert leaving.code == 3


def test_constructors_of_user_classes_do_not_run_again() -> None:
    error = dual(KeywordOnly(code=4))
    assert isinstance(error, KeywordOnly)
    assert error.code == 4


def test_attributes_of_the_instance_win_over_those_of_the_class() -> None:
    error = dual(ClassDefault(404))
    assert isinstance(error, ClassDefault)
    assert error.status == 404


def test_slots_are_copied() -> None:
    cause = Slotted()
    cause.place = "here"
    error = dual(cause)
    assert isinstance(error, Slotted)
    assert error.place == "here"


def test_a_field_of_the_cause_may_have_a_name_that_we_use_too() -> None:
    error = dual(HasPid(99))
    assert isinstance(error, HasPid)
    assert error.pid == 99
    assert "process 7" in str(error)
    assert pickle.loads(pickle.dumps(error)).cause.pid == 99


@pytest.mark.parametrize("cause", [Exception(1), BaseException(2), Final(3), ActorGridError("x")])
def test_no_dual_where_there_can_be_none(cause: BaseException) -> None:
    error = dual(cause)
    assert type(error) is TaskError
    assert error.cause is cause


def test_our_own_errors_get_duals_too() -> None:
    error = dual(GetTimeoutError("slow"))
    assert isinstance(error, GetTimeoutError)
    assert isinstance(error, TimeoutError)
    assert isinstance(dual(TaskCancelledError()), TaskCancelledError)


def test_groups_can_be_caught_by_part() -> None:
    caught: list[object] = []
    try:
        raise dual(ExceptionGroup("two", [ValueError(1), KeyError(2)]))
    except* ValueError as group:
        caught += group.exceptions
    except* KeyError as group:
        caught += group.exceptions
    assert [type(error) for error in caught] == [ValueError, KeyError]


def test_unknown_attributes_are_attribute_errors() -> None:
    with pytest.raises(AttributeError):
        _ = dual(ValueError()).nothing  # type: ignore[attr-defined]


def test_notes_are_not_shown_twice() -> None:
    cause = ValueError(1)
    cause.add_note("look here")
    error = dual(cause)
    assert not hasattr(error, "__notes__")
    error.add_note("mine")
    assert error.__notes__ == ["mine"]
    assert cause.__notes__ == ["look here"]


@pytest.mark.parametrize("cause", [ValueError(1), OSError(2, "no"), Exception("plain")])
def test_pickle_and_copy_keep_the_class(cause: BaseException) -> None:
    error = dual(cause)
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(again) is type(error)
        assert str(again) == str(error)
        assert type(again.cause) is type(cause)


def test_dual_classes_of_classes_that_vanish_vanish() -> None:
    before = len(exceptions._duals)
    for _ in range(50):
        dual(type("Passing", (Exception,), {})())
    gc.collect()
    assert len(exceptions._duals) < before + 50


def classes() -> list[type[ActorGridError]]:
    found = [value for value in vars(exceptions).values() if inspect.isclass(value)]
    return [value for value in found if issubclass(value, ActorGridError) and not issubclass(value, TaskError)]


@pytest.mark.parametrize("cls", classes())
def test_every_exception_survives_pickle(cls: type[ActorGridError]) -> None:
    for error in (cls("one"), cls()):
        again = pickle.loads(pickle.dumps(error))
        assert type(again) is cls
        assert str(again) == str(error)
        assert vars(again) == vars(error)


def test_the_tree_is_drawn_in_full() -> None:
    text = exceptions.__doc__ or ""
    assert [cls.__name__ for cls in {*classes(), TaskError} if cls.__name__ not in text] == []


def test_rays_names() -> None:
    assert exceptions.RayError is ActorGridError
    assert exceptions.RayTaskError is TaskError
    assert exceptions.RayActorError is exceptions.ActorError
    assert exceptions.RaySystemError is exceptions.GridSystemError
    names = (
        "CrossLanguageError LocalRayletDiedError NodeDiedError AuthenticationError RpcError UserCodeException "
        "OutOfDiskError OutOfMemoryError ObjectFetchTimedOutError ObjectFreedError OwnerDiedError "
        "ReferenceCountingAssertionError ObjectReconstructionFailedError PlasmaObjectNotAvailable AsyncioActorExit "
        "RuntimeEnvSetupError TaskPlacementGroupRemoved ActorPlacementGroupRemoved TaskUnschedulableError "
        "ActorUnschedulableError ObjectRefStreamEndOfStreamError OufOfBandObjectRefSerializationException "
        "UnserializableException RayChannelError RayChannelTimeoutError RayCgraphCapacityExceeded "
        "RayDirectTransportError StreamingGeneratorReplayInconsistentError PendingCallsLimitExceeded"
    )
    for name in names.split():
        assert issubclass(getattr(exceptions, name), ActorGridError)


def test_builtin_bases() -> None:
    assert issubclass(GetTimeoutError, TimeoutError)
    assert issubclass(TaskTimeoutError, TimeoutError)
    assert issubclass(InfeasibleResourcesError, ValueError)
    assert issubclass(exceptions.ActorAlreadyExistsError, ValueError)
    assert issubclass(exceptions.SerializationError, TypeError)
    assert issubclass(HeadDiedError, ActorGridError)


def test_texts() -> None:
    assert str(WorkerCrashedError("", 5, -9, "f")) == "worker (pid 5) was killed by signal 9 while running f"
    assert str(WorkerCrashedError("", 5, 3)) == "worker (pid 5) exited with code 3"
    assert str(WorkerCrashedError("", 5, -200)) == "worker (pid 5) was killed by signal 200"
    assert str(WorkerCrashedError("as told", 5)) == "as told"
    assert "ended unexpectedly" in str(WorkerCrashedError())
    assert "ab12" in str(TaskCancelledError("ab12"))
    assert str(TaskCancelledError(None, "why")).endswith("why")
    assert "ab" in str(ObjectLostError("ab"))
    assert str(exceptions.ActorError("a", "gone", True)) == "gone"
    assert exceptions.ActorError("a", "gone", True).actor_init_failed
    assert str(ActorDiedError("gone")) == "gone"
    assert str(exceptions.RuntimeEnvSetupError()).endswith("could not be set up")


#: Class -> arguments under Ray's names, as whoever imitates a grid gives them, in Ray's order.
RAYS: dict[type[ActorGridError], dict[str, Any]] = {
    TaskCancelledError: {"task_id": "ab", "error_message": "why"},
    exceptions.ActorError: {"actor_id": "ab", "error_msg": "why", "actor_init_failed": True, "preempted": False},
    exceptions.GridSystemError: {"client_exc": ValueError("why"), "traceback_str": "lines"},
    exceptions.OutOfMemoryError: {"message": "why"},
    exceptions.NodeDiedError: {"message": "why"},
    exceptions.AuthenticationError: {"message": "why"},
    exceptions.RpcError: {"message": "why", "rpc_code": 14},
    ObjectLostError: {"object_ref_hex": "ab", "owner_address": None, "call_site": "here"},
    exceptions.OwnerDiedError: {"object_ref_hex": "ab", "owner_address": None, "call_site": "here"},
    exceptions.ObjectReconstructionFailedError: {
        "object_ref_hex": "ab", "reason": 3, "reason_message": "why", "owner_address": None, "call_site": "here",
    },
    exceptions.RuntimeEnvSetupError: {"error_message": "why"},
    exceptions.TaskUnschedulableError: {"error_message": "why"},
    exceptions.ActorUnschedulableError: {"error_message": "why"},
    exceptions.UnserializableException: {"original_stack_trace": "why"},
}  # fmt: skip


@pytest.mark.parametrize("cls", RAYS, ids=lambda cls: cls.__name__)
def test_whoever_imitates_the_grid_makes_them_as_ray_does(cls: Any) -> None:
    given = RAYS[cls]
    for error in (cls(**given), cls(*given.values())):
        again = pickle.loads(pickle.dumps(error))
        for each in (error, again):
            assert {name: repr(getattr(each, name)) for name in given} == {n: repr(v) for n, v in given.items()}
            assert "why" in str(each) or "ab" in str(each)


def test_actor_that_is_unavailable_is_told_of_as_ray_does() -> None:
    for error in (
        exceptions.ActorUnavailableError("busy", None),
        exceptions.ActorUnavailableError(error_message="busy", actor_id=b"\xab"),
        pickle.loads(pickle.dumps(exceptions.ActorUnavailableError("busy", "ab"))),
    ):
        assert "is unavailable: busy. The call may or may not have been executed" in str(error)
        assert error.actor_id in {None, "ab"}
        assert not error.actor_init_failed


def test_actor_that_died_is_told_of_by_its_cause() -> None:
    cause = TaskError("A.__init__", "Traceback: …", ValueError("boom"), actor_id="ab")
    error = ActorDiedError(cause)
    for each in (error, pickle.loads(pickle.dumps(error))):
        assert each.actor_init_failed
        assert each.actor_id == "ab"
        assert "Traceback: …" in str(each)
        assert isinstance(each.cause, TaskError)
    unknown = ActorDiedError(None)
    assert (str(unknown), unknown.actor_init_failed, unknown.actor_id) == ("the actor has died", False, None)


def test_all_parameters_of_a_task_error_are_kept() -> None:
    error = TaskError("f", "lines", ValueError(1), "title", 7, "10.0.0.1", "<me>", "ab")
    named = TaskError(
        "f", "lines", ValueError(1), proctitle="title", pid=7, ip="10.0.0.1", actor_repr="<me>", actor_id="ab"
    )
    for each in (error, named, pickle.loads(pickle.dumps(error))):
        kept = [getattr(each, name) for name in ("proctitle", "pid", "ip", "actor_repr", "_actor_id")]
        assert kept == ["title", 7, "10.0.0.1", "<me>", "ab"]


@pytest.mark.parametrize("cls", classes())
def test_text_is_a_text_whatever_the_message_is(cls: type[ActorGridError]) -> None:
    assert isinstance(str(cls(None)), str)
