"""Serializers of a program's own, and finding what cannot be pickled."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import copy
import io
import pickle
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import actorgrid as ag
from actorgrid.util import deregister_serializer, inspect_serializability, register_serializer
from tests.contract.tools import DEADLINE

pytestmark = pytest.mark.usefixtures("grid")


class Connection:
    """What cannot be pickled: it has a lock."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.lock = threading.Lock()


def address_of(connection: Connection) -> str:
    return connection.address


@pytest.fixture
def registered() -> Iterator[None]:
    register_serializer(Connection, serializer=address_of, deserializer=Connection)
    yield
    deregister_serializer(Connection)


@ag.remote
def address(connection: Any) -> str:
    return str(connection.address)


@ag.remote
def connect(where: str) -> Connection:
    return Connection(where)


def fresh(name: str) -> dict[str, Any]:
    """Return an environment that no process has yet."""
    return {"env_vars": {"AG_TEST_FRESH": name}}


def get(ref: Any) -> Any:
    return ag.get(ref, timeout=DEADLINE)


@pytest.mark.usefixtures("registered")
class TestRegistered:
    def test_argument_arrives(self) -> None:
        assert get(address.remote(Connection("a"))) == "a"

    def test_argument_inside_of_others_arrives(self) -> None:
        @ag.remote
        def addresses(connections: list[Connection], by_name: dict[str, Connection]) -> list[str]:
            return [each.address for each in (*connections, *by_name.values())]

        assert get(addresses.remote([Connection("a")], by_name={"b": Connection("b")})) == ["a", "b"]

    def test_variable_of_a_closure_arrives(self) -> None:
        connection = Connection("captured")
        assert get(ag.remote(lambda: connection.address).remote()) == "captured"

    def test_stored_object_is_made_anew_by_each_get(self) -> None:
        ref = ag.put(Connection("stored"))
        one, other = ag.get(ref), ag.get(ref)
        assert (one.address, one is other) == ("stored", False)

    def test_exception_keeps_its_arguments(self) -> None:
        @ag.remote(runtime_env=fresh("fail"))  # what is registered stays in a process
        def fail(connection: Connection) -> None:
            register_serializer(Connection, serializer=address_of, deserializer=Connection)
            raise LookupError(connection)

        with pytest.raises(LookupError) as caught:
            get(fail.remote(Connection("lost")))
        [connection] = caught.value.cause.args
        assert connection.address == "lost"

    def test_functions_without_a_name_do(self) -> None:
        seen = "by a lambda"
        register_serializer(Connection, serializer=lambda _: seen, deserializer=lambda text: Connection(text + "!"))
        assert get(address.remote(Connection("a"))) == "by a lambda!"

    def test_large_arrays_stay_out_of_the_pickle(self) -> None:
        data = np.arange(100_000)

        def with_data(array: Any) -> Connection:
            made = Connection("with data")
            vars(made)["data"] = array
            return made

        register_serializer(Connection, serializer=lambda _: data, deserializer=with_data)
        array = vars(ag.get(ag.put(Connection("a"))))["data"]
        assert not array.flags.owndata
        assert (array == data).all()

    def test_subclass_is_another_class(self) -> None:
        class Secure(Connection):
            pass

        with pytest.raises(ag.exceptions.SerializationError, match="lock"):
            address.remote(Secure("a"))

    def test_other_processes_do_not_know_it(self) -> None:
        with pytest.raises(TypeError, match="lock"):
            get(connect.options(runtime_env=fresh("other")).remote("a"))

    def test_hook_may_register_it_everywhere(self) -> None:
        def hook() -> None:
            register_serializer(Connection, serializer=address_of, deserializer=Connection)

        ref = connect.options(runtime_env={"worker_process_setup_hook": hook}).remote("from there")
        assert get(ref).address == "from there"

    def test_pickle_and_copy_of_the_program_take_no_notice(self) -> None:
        with pytest.raises(TypeError):
            pickle.dumps(Connection("a"))
        with pytest.raises(TypeError):
            copy.deepcopy(Connection("a"))

    def test_serializer_that_raises_is_an_error_of_the_call(self) -> None:
        def fail(_: Connection) -> Any:
            raise LookupError("no address")

        register_serializer(Connection, serializer=fail, deserializer=Connection)
        with pytest.raises(ag.exceptions.SerializationError, match="no address"):
            address.remote(Connection("a"))

    def test_what_a_serializer_makes_must_be_sendable(self) -> None:
        register_serializer(Connection, serializer=lambda each: {"lock": each.lock}, deserializer=Connection)
        with pytest.raises(ag.exceptions.SerializationError, match=r"args\[0\]\.<serialized>\['lock'\]: "):
            address.remote(Connection("a"))

    def test_inspection_knows_it(self) -> None:
        assert inspect_serializability(Connection("a"), print_file=io.StringIO()) == (True, set())


def test_what_is_no_longer_registered_cannot_be_sent() -> None:
    register_serializer(Connection, serializer=address_of, deserializer=Connection)
    deregister_serializer(Connection)
    with pytest.raises(ag.exceptions.SerializationError, match="lock"):
        address.remote(Connection("a"))


def test_what_was_never_registered_may_be_deregistered() -> None:
    deregister_serializer(Connection)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((Connection("a"), str, str), "a class"),
        ((dict, str, str), "no effect"),
        ((type, str, str), "no effect"),
        ((Connection, "text", str), "'serializer'"),
        ((Connection, str, None), "'deserializer'"),
    ],
)
def test_bad_serializers_are_a_type_error(arguments: tuple[Any, Any, Any], text: str) -> None:
    cls, serializer, deserializer = arguments
    with pytest.raises(TypeError, match=text):
        register_serializer(cls, serializer=serializer, deserializer=deserializer)


# ---------------------------------------------------------------------------------------------- what cannot be pickled


def inspected(value: Any, **options: Any) -> tuple[bool, dict[str, Any], str]:
    """Return (can be pickled, culprits by name, what was printed)."""
    told = io.StringIO()
    good, failures = inspect_serializability(value, print_file=told, **options)
    return good, {failure.path[-1]: failure for failure in failures}, told.getvalue()


def test_value_that_can_be_pickled_is_found_good(capsys: pytest.CaptureFixture[str]) -> None:
    assert inspect_serializability([1, 2], name="numbers") == (True, set())
    assert capsys.readouterr().out == "numbers can be pickled.\n"


def test_variable_of_a_closure_is_found_by_its_name() -> None:
    connection = Connection("a")

    def task() -> Any:
        return connection

    good, failures, told = inspected(task, name="task")
    assert (good, list(failures)) == (False, ["lock"])
    assert failures["lock"].obj is connection.lock
    assert failures["lock"].parent is connection
    assert failures["lock"].path == ("task", "connection", "lock")
    assert "task.<closure>.connection.lock: cannot pickle '_thread.lock' object" in told


def test_every_culprit_is_found() -> None:
    one, other = threading.Lock(), threading.Event()
    good, failures, told = inspected({"good": 1, "one": one, "inner": [other]}, name="settings")
    assert not good
    assert failures["['one']"].obj is one
    assert "settings['one']: " in told
    assert "settings['inner'][0]" in told


def test_culprit_in_two_places_is_found_once() -> None:
    lock = threading.Lock()
    good, failures, _ = inspected([lock, [lock]])
    assert (good, [failure.obj for failure in failures.values()]) == (False, [lock])


def test_deeper_than_depth_the_culprit_is_what_was_reached() -> None:
    lock = threading.Lock()
    nested = [[[lock]]]
    _, failures, _ = inspected(nested, depth=1)
    assert [failure.obj for failure in failures.values()] == [nested[0]]


def test_object_that_refuses_is_the_culprit_itself() -> None:
    class Refuses:
        def __reduce__(self) -> Any:
            raise LookupError("never")

    value = Refuses()
    good, failures, told = inspected(value, name="it")
    assert (good, failures["it"].obj, failures["it"].parent) == (False, value, None)
    assert "it: never" in told


def test_failures_show_what_they_are() -> None:
    _, failures, _ = inspected([threading.Lock()])
    assert "lock" in repr(failures["[0]"])
    (found,) = inspect_serializability(threading.Lock(), print_file=io.StringIO())[1]
    assert (found.path, found.name) == ((), "")


@pytest.mark.parametrize(("depth", "error"), [(-1, ValueError), ("3", TypeError), (True, TypeError)])
def test_bad_depth_is_refused(depth: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="depth"):
        inspect_serializability(1, depth=depth)


def test_class_that_says_nonsense_of_its_module_is_told_as_one_that_does_not_pickle() -> None:
    odd: Any = type("Odd", (), {"__module__": []})
    with pytest.raises(ag.exceptions.SerializationError, match="Odd"):
        ag.remote(odd).remote()
