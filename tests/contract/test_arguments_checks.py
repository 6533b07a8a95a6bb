"""What is refused, where and how: the golden facts."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import re
import types
from typing import Any

import pytest

import actorgrid as ag
from tests.contract.tools import DEADLINE, Gate

pytestmark = pytest.mark.usefixtures("grid")


def _f(a: int, b: int = 0) -> int:
    return a + b


class _A:
    def __init__(self, start: int = 0) -> None:
        self.start = start

    def m(self, by: int = 1) -> int:
        return self.start + by


# Any: what these tests do is what a type checker forbids.
f: Any = ag.remote(_f)
A: Any = ag.remote(_A)
get: Any = ag.get
wait: Any = ag.wait
options: Any = f.options


def test_get_of_a_tuple_is_a_value_error() -> None:
    with pytest.raises(ValueError):
        get((ag.put(1),))


def test_get_of_a_nested_list_is_a_type_error() -> None:
    with pytest.raises(TypeError):
        get([[ag.put(1)]])


@pytest.mark.parametrize("thing", [1, "x", None, {1}])
def test_get_of_something_else_is_a_value_error(thing: Any) -> None:
    with pytest.raises(ValueError):
        get(thing)


def test_get_of_a_list_of_values_is_a_type_error() -> None:
    with pytest.raises(TypeError):
        get([1, 2])


def test_put_of_a_reference_is_a_type_error() -> None:
    with pytest.raises(TypeError):
        ag.put(ag.put(1))


def test_direct_call_of_a_remote_function_is_a_type_error_that_names_the_way() -> None:
    with pytest.raises(TypeError, match=r"cannot be called directly.*\.remote\(\)"):
        f(1)


def test_direct_call_of_an_actor_class_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="cannot be instantiated directly"):
        A()


def test_direct_call_of_an_actor_method_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="cannot be called directly"):
        A.remote().m()


def test_unknown_method_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError):
        A.remote().no_such_method  # noqa: B018


def test_attribute_of_the_instance_cannot_be_read_through_the_handle() -> None:
    with pytest.raises(AttributeError):
        A.remote().start  # noqa: B018


@pytest.mark.parametrize("args", [(), (1, 2, 3)])
def test_wrong_number_of_arguments_is_a_type_error_at_the_call(args: tuple[int, ...]) -> None:
    with pytest.raises(TypeError):
        f.remote(*args)


def test_unexpected_keyword_argument_is_a_type_error_at_the_call() -> None:
    with pytest.raises(TypeError):
        f.remote(1, c=2)


def test_wrong_constructor_arguments_are_a_type_error_at_the_call() -> None:
    with pytest.raises(TypeError):
        A.remote(1, 2)


def test_wrong_method_arguments_are_a_type_error_at_the_call() -> None:
    actor = A.remote()
    with pytest.raises(TypeError):
        actor.m.remote(1, 2)


def test_unknown_option_is_a_value_error_that_names_it() -> None:
    with pytest.raises(ValueError, match="foo"):
        options(foo=1)


def test_unknown_actor_option_is_a_value_error_that_names_it() -> None:
    with pytest.raises(ValueError, match="foo"):
        A.options(foo=1)


def test_unknown_option_in_the_decorator_is_a_value_error() -> None:
    remote: Any = ag.remote
    with pytest.raises(ValueError, match="foo"):
        remote(foo=1)(_f)


def test_actor_option_on_a_function_is_a_value_error() -> None:
    with pytest.raises(ValueError):
        options(max_restarts=1)


def test_function_option_on_an_actor_class_is_a_value_error() -> None:
    with pytest.raises(ValueError):
        A.options(max_retries=1)


def test_max_calls_among_options_of_a_call_is_a_value_error() -> None:
    with pytest.raises(ValueError):
        options(max_calls=1)


@pytest.mark.parametrize("name", ["CPU", "GPU"])
def test_cpu_or_gpu_among_custom_resources_is_a_value_error(name: str) -> None:
    with pytest.raises(ValueError):
        options(resources={name: 1})


@pytest.mark.parametrize("bad", [{"num_cpus": -1}, {"num_returns": -1}, {"max_retries": -2}, {"num_gpus": 1.5}])
def test_option_out_of_range_is_a_value_error(bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        options(**bad)


@pytest.mark.parametrize("bad", [{"num_cpus": "1"}, {"max_retries": "1"}, {"resources": [1]}, {"name": 1}])
def test_option_of_the_wrong_type_is_a_type_error(bad: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        options(**bad)


def test_async_function_is_a_value_error() -> None:
    async def coroutine() -> None:
        pass

    with pytest.raises(ValueError):
        ag.remote(coroutine)


@pytest.mark.parametrize("thing", [3, "f", None])
def test_remote_of_what_is_no_function_or_class_is_an_assertion_error(thing: Any) -> None:
    remote: Any = ag.remote
    with pytest.raises(AssertionError):
        remote(thing)


def test_remote_with_positional_and_keyword_arguments_is_an_assertion_error() -> None:
    remote: Any = ag.remote
    with pytest.raises(AssertionError):
        remote(_f, num_cpus=1)


def test_unknown_option_of_method_is_an_assertion_error() -> None:
    method: Any = ag.method
    with pytest.raises(AssertionError):
        method(foo=1)


@pytest.mark.parametrize("foreign", ["foo", "num_cpus", "max_restarts"])
def test_unknown_option_of_a_call_of_a_method_is_a_type_error_that_names_it(foreign: str) -> None:
    actor = A.remote()
    with pytest.raises(TypeError, match=foreign):
        actor.m.options(**{foreign: 1}).remote()


def test_method_of_a_handle_takes_no_attributes() -> None:
    actor = A.remote()
    with pytest.raises(AttributeError, match="colour"):
        actor.m.colour = 3


def test_subclass_of_an_actor_class_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="nherit"):
        types.new_class("B", (A,))


def test_get_if_exists_without_a_name_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="name"):
        A.options(get_if_exists=True).remote()


def test_empty_actor_name_is_a_value_error() -> None:
    with pytest.raises(ValueError):
        A.options(name="").remote()


def test_unknown_lifetime_is_a_value_error() -> None:
    with pytest.raises(ValueError):
        A.options(lifetime="forever").remote()


def test_get_actor_of_an_unknown_name_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="Failed to look up actor with name 'zzz'"):
        ag.get_actor("zzz")


def test_get_actor_of_an_empty_name_is_a_value_error() -> None:
    with pytest.raises(ValueError):
        ag.get_actor("")


def test_wait_for_one_reference_that_is_not_in_a_list_is_a_type_error() -> None:
    with pytest.raises(TypeError):
        wait(ag.put(1))


def test_wait_for_a_tuple_is_a_type_error() -> None:
    with pytest.raises(TypeError):
        wait((ag.put(1),))


def test_wait_for_values_is_a_type_error() -> None:
    with pytest.raises(TypeError):
        wait([1])


def test_wait_for_duplicates_is_a_value_error() -> None:
    ref = ag.put(1)
    with pytest.raises(ValueError):
        wait([ref, ref])


@pytest.mark.parametrize("count", [0, -1, 2])
def test_wait_for_an_impossible_number_is_a_value_error(count: int) -> None:
    with pytest.raises(ValueError):
        wait([ag.put(1)], num_returns=count)


def test_wait_with_a_negative_timeout_is_a_value_error() -> None:
    with pytest.raises(ValueError):
        wait([ag.put(1)], timeout=-1)


def test_cancel_of_something_else_is_a_type_error() -> None:
    cancel: Any = ag.cancel
    with pytest.raises(TypeError):
        cancel(1)


def test_cancel_with_force_of_an_actors_task_is_a_value_error() -> None:
    gate: Any = Gate.remote()
    ref = gate.pass_through.remote()
    with pytest.raises(ValueError, match="force"):
        ag.cancel(ref, force=True)
    gate.open.remote()
    assert ag.get(ref, timeout=DEADLINE) is None


def test_kill_of_something_else_is_a_value_error() -> None:
    kill: Any = ag.kill
    with pytest.raises(ValueError):
        kill(ag.put(1))


def test_exit_actor_outside_an_actor_is_a_type_error() -> None:
    with pytest.raises(TypeError):
        ag.actor.exit_actor()


def test_remote_function_shows_the_name_of_its_function_in_errors() -> None:
    with pytest.raises(TypeError, match="_f"):
        f(1)


def test_representations_of_references_and_handles() -> None:
    assert re.fullmatch(r"ObjectRef\([0-9a-f]{56}\)", repr(ag.put(1)))
    assert re.fullmatch(r"Actor\(_A, [0-9a-f]{32}\)", repr(A.remote()))


def test_aliases_of_exceptions() -> None:
    assert issubclass(ag.exceptions.GetTimeoutError, TimeoutError)
    assert issubclass(ag.exceptions.ActorAlreadyExistsError, ValueError)
    assert issubclass(ag.exceptions.RayTaskError, ag.exceptions.RayError)
