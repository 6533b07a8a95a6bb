"""Remote functions: arguments, results, closures, options."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import datetime as dt
import functools
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

import actorgrid as ag
from actorgrid.testing.waiting import wait_until
from tests.contract.tools import DEADLINE

pytestmark = pytest.mark.usefixtures("grid")


@ag.remote
def echo(value: Any) -> Any:
    return value


@ag.remote
def add(a: int, b: int = 10) -> int:
    return a + b


@ag.remote
def gather(*args: Any, **kwargs: Any) -> tuple[Any, Any]:
    return args, kwargs


@dataclass
class Point:
    x: int
    y: int


def test_positional_arguments() -> None:
    assert ag.get(add.remote(1, 2)) == 3


def test_keyword_arguments() -> None:
    assert ag.get(add.remote(b=2, a=1)) == 3


def test_default_argument() -> None:
    assert ag.get(add.remote(1)) == 11


def test_date_and_its_class_can_be_sent() -> None:
    there = ag.get(echo.remote([dt.datetime(2020, 1, 2, tzinfo=dt.UTC), dt.date(2020, 1, 2), dt.datetime, dt.date]))
    assert there == [dt.datetime(2020, 1, 2, tzinfo=dt.UTC), dt.date(2020, 1, 2), dt.datetime, dt.date]
    assert [type(each) for each in there[:2]] == there[2:]


def test_variable_arguments() -> None:
    assert ag.get(gather.remote(1, 2, x=3)) == ((1, 2), {"x": 3})


def test_task_without_arguments_that_returns_nothing_gives_none() -> None:
    @ag.remote
    def nothing() -> None:
        pass

    assert ag.get(nothing.remote()) is None


def test_task_runs_in_another_process() -> None:
    @ag.remote
    def pid() -> int:
        return os.getpid()

    assert ag.get(pid.remote()) != os.getpid()


def test_positional_reference_arrives_as_its_value() -> None:
    assert ag.get(add.remote(add.remote(1, 2), add.remote(3, 4))) == 10


def test_keyword_reference_arrives_as_its_value() -> None:
    keywords: dict[str, Any] = {"a": ag.put(5), "b": add.remote(1, 2)}
    assert ag.get(add.remote(**keywords)) == 8


def test_put_value_as_argument() -> None:
    assert ag.get(echo.remote(ag.put({"k": [1, 2]}))) == {"k": [1, 2]}


def test_function_with_options_can_be_sent_after_it_was_called() -> None:
    half = add.options(num_cpus=0.5, name="half")
    assert ag.get(half.remote(1)) == 11

    @ag.remote
    def call(function: Any) -> int:
        return int(ag.get(function.remote(2)) + ag.get(half.remote(3)))

    assert ag.get(call.remote(half), timeout=DEADLINE) == 12 + 13
    assert ag.get(ag.get(echo.remote(half)).remote(4), timeout=DEADLINE) == 14


def test_same_reference_twice_in_one_call() -> None:
    ref = ag.put(4)
    assert ag.get(gather.remote(ref, ref, x=ref)) == ((4, 4), {"x": 4})


def test_parameters_may_have_any_name() -> None:
    names = {"self": 1, "args": 2, "kwargs": 3, "function": 4, "options": 5}
    assert ag.get(gather.remote(**names)) == ((), names)


@pytest.mark.parametrize("kind", ["list", "tuple", "dict", "object"])
def test_reference_inside_a_container_arrives_as_a_reference(kind: str) -> None:
    @ag.remote
    def look(box: Any) -> tuple[bool, Any]:
        inner = box["k"] if isinstance(box, dict) else box.x if isinstance(box, Point) else box[0]
        return isinstance(inner, ag.ObjectRef), ag.get(inner)

    ref: Any = ag.put(7)
    box = {"list": [ref], "tuple": (ref,), "dict": {"k": ref}, "object": Point(ref, 0)}[kind]
    assert ag.get(look.remote(box)) == (True, 7)


def test_chain_of_dependent_tasks() -> None:
    ref = add.remote(0, 0)
    for _ in range(50):
        ref = add.remote(ref, 1)
    assert ag.get(ref) == 50


def test_many_tasks_at_once() -> None:
    assert ag.get([add.remote(i, i) for i in range(500)]) == [2 * i for i in range(500)]


def test_num_returns_0_gives_none_and_still_runs() -> None:
    @ag.remote(num_returns=0)
    def quiet(seen: Any) -> None:
        ag.get(seen.append.remote(1))

    @ag.remote(num_cpus=0)
    class Seen:
        def __init__(self) -> None:
            self.items: list[int] = []

        def append(self, item: int) -> None:
            self.items.append(item)

        def get(self) -> list[int]:
            return self.items

    seen = Seen.remote()
    result: Any = quiet.remote(seen)
    assert result is None
    assert wait_until(lambda: ag.get(seen.get.remote(), timeout=DEADLINE))


def test_num_returns_1_gives_one_reference() -> None:
    assert isinstance(echo.options(num_returns=1).remote(1), ag.ObjectRef)


def test_num_returns_n_gives_n_references() -> None:
    refs: Any = echo.options(num_returns=3).remote([1, 2, 3])
    assert len(refs) == 3
    assert ag.get(refs) == [1, 2, 3]
    assert ag.get(refs[1]) == 2


@pytest.mark.parametrize("returned", [None, 3])
def test_num_returns_n_of_what_has_no_items_is_a_type_error(returned: int | None) -> None:
    refs: Any = echo.options(num_returns=2).remote(returned)
    for ref in refs:
        with pytest.raises(TypeError, match=type(returned).__name__):
            ag.get(ref)


def test_num_returns_n_with_a_generator_function() -> None:
    @ag.remote(num_returns=2)
    def pair() -> Any:
        yield "a"
        yield "b"

    refs: Any = pair.remote()
    assert ag.get(refs) == ["a", "b"]


@pytest.mark.parametrize("returned", [2, 4])
def test_wrong_number_of_results_is_a_value_error(returned: int) -> None:
    refs: Any = echo.options(num_returns=3).remote(list(range(returned)))
    with pytest.raises(ValueError, match="num_returns=3") as caught:
        ag.get(refs[0])
    assert isinstance(caught.value, ag.exceptions.RayTaskError)


def test_results_of_one_call_fail_together() -> None:
    @ag.remote(num_returns=2)
    def fail() -> Any:
        raise KeyError("both")

    refs: Any = fail.remote()
    for ref in refs:
        with pytest.raises(KeyError):
            ag.get(ref)


def test_lambda() -> None:
    square: Any = ag.remote(lambda x: x * x)
    assert ag.get(square.remote(6)) == 36


def test_closure() -> None:
    factor = 7

    @ag.remote
    def scaled(x: int) -> int:
        return factor * x

    assert ag.get(scaled.remote(6)) == 42


def test_closure_over_a_reference() -> None:
    ref = ag.put([1, 2, 3])

    @ag.remote
    def total() -> int:
        return sum(ag.get(ref))

    assert ag.get(total.remote()) == 6


def test_closure_is_captured_at_the_first_call() -> None:
    box = [2]

    @ag.remote
    def look() -> int:
        return box[0]

    assert ag.get(look.remote()) == 2
    box[0] = 3
    assert ag.get(look.remote()) == 2


def test_arguments_are_captured_at_the_call() -> None:
    box = [1]
    refs = [echo.remote(box) for _ in range(3)]
    box[0] = 2
    assert ag.get(refs) == [[1], [1], [1]]


def test_decorated_function_keeps_name_and_docstring() -> None:
    @ag.remote
    def documented() -> None:
        """What it does."""

    assert documented.__name__ == "documented"
    assert documented.__doc__ == "What it does."


def test_function_wrapped_by_another_decorator() -> None:
    def twice(function: Any) -> Any:
        @functools.wraps(function)
        def wrapper(*args: Any) -> Any:
            return 2 * function(*args)

        return wrapper

    @ag.remote
    @twice
    def three() -> int:
        return 3

    assert ag.get(three.remote()) == 6


def test_function_that_calls_itself_through_its_module() -> None:
    @ag.remote
    def countdown(n: int) -> int:
        return 0 if n == 0 else 1 + ag.get(countdown.remote(n - 1))

    assert ag.get(countdown.remote(3)) == 3


def test_attributes_of_a_remote_function_go_where_it_goes() -> None:
    @ag.remote
    def painted() -> int:
        return 1

    painted.colour = "red"
    assert ag.get(ag.remote(lambda: painted.colour).remote(), timeout=DEADLINE) == "red"


def test_remote_as_a_plain_function_with_options() -> None:
    def one() -> int:
        return 1

    assert ag.get(ag.remote(num_cpus=2)(one).remote()) == 1


def test_remote_function_as_an_argument() -> None:
    @ag.remote
    def call(function: Any, value: int) -> int:
        return int(ag.get(function.remote(value)))

    assert ag.get(call.remote(add, 1)) == 11


def test_options_leave_the_original_function_as_it_was() -> None:
    two: Any = echo.options(num_returns=2)
    assert len(two.remote([1, 2])) == 2
    assert isinstance(echo.remote([1, 2]), ag.ObjectRef)


def test_name_option_is_the_name_of_the_task() -> None:
    @ag.remote
    def whoami() -> str:
        return str(ag.get_runtime_context().get_task_name())

    assert ag.get(whoami.options(name="alias").remote()) == "alias"


def test_returned_exception_is_a_value() -> None:
    @ag.remote
    def give() -> Exception:
        return ValueError("a value")

    value = ag.get(give.remote())
    assert isinstance(value, ValueError)
    assert value.args == ("a value",)


def test_instances_of_module_level_classes_come_back_as_their_class() -> None:
    assert ag.get(echo.remote(Point(1, 2))) == Point(1, 2)


def test_instances_of_local_classes_come_back_as_their_class() -> None:
    class Local:
        value = 5

    assert isinstance(ag.get(echo.remote(Local())), Local)


def test_max_calls_retires_the_worker() -> None:
    @ag.remote(max_calls=1)
    def pid() -> int:
        return os.getpid()

    pids = ag.get([pid.remote() for _ in range(4)])
    assert len(set(pids)) == 4


def test_worker_leaves_after_exactly_max_calls_calls(fresh_grid: Callable[..., Any]) -> None:
    fresh_grid(num_cpus=1)

    @ag.remote(max_calls=3)
    def pid() -> int:
        return os.getpid()

    pids = [ag.get(pid.remote()) for _ in range(7)]
    assert [pids.count(each) for each in dict.fromkeys(pids)] == [3, 3, 1]


def test_function_that_a_simulation_replaces_may_be_remote_as_any_other() -> None:
    assert ag.get(ag.remote(time.sleep).remote(0)) is None
    assert ag.get(ag.remote(os.getpid).remote()) != os.getpid()
