"""Pickling by value keeps what a traceback needs, whatever version of cloudpickle is installed."""

from __future__ import annotations

import concurrent.futures.thread
import copyreg
import functools
import json
import os
import pickle
import subprocess
import sys
import types
import xml.etree.ElementTree  # noqa: ICN001  # found under this name
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, NewType, ParamSpec, TypeVarTuple

import cloudpickle
import pytest
from cloudpickle.cloudpickle import _find_imported_submodules

from actorgrid.wire import by_value


def made_here() -> Callable[[], Callable[[], int]]:
    def outer() -> Callable[[], int]:
        return lambda: 1

    return outer


def test_code_keeps_the_name_of_its_file() -> None:
    function = pickle.loads(by_value.dumps(made_here()))
    assert function.__code__.co_filename == __file__


def test_functions_inside_of_functions_keep_the_name_of_their_file() -> None:
    function = pickle.loads(by_value.dumps(made_here()))
    assert function().__code__.co_filename == __file__


def test_file_name_is_kept_where_cloudpickle_writes_none(monkeypatch: pytest.MonkeyPatch) -> None:
    known = cloudpickle.Pickler.dispatch_table[types.CodeType]

    def nowhere(code: types.CodeType) -> Any:
        constructor, arguments = known(code)
        return constructor, tuple("<dynamic-code>" if part == __file__ else part for part in arguments)

    by_value._pickler.cache_clear()
    monkeypatch.setitem(cloudpickle.Pickler.dispatch_table.maps[0], types.CodeType, nowhere)
    try:
        function = pickle.loads(by_value.dumps(made_here()))
    finally:
        by_value._pickler.cache_clear()
    assert function.__code__.co_filename == __file__


def test_one_function_pickles_to_the_same_bytes_here_and_where_it_arrived() -> None:
    data = by_value.dumps(made_here())
    assert by_value.dumps(pickle.loads(data)) == data


class Registered:
    def __init__(self, note: str = "") -> None:
        self.note = note


@pytest.fixture
def reducer() -> Iterator[None]:
    by_value.dumps(made_here())  # the pickler exists before the reducer does
    copyreg.pickle(Registered, lambda _: (Registered, ("reduced",)))
    yield
    copyreg.dispatch_table.pop(Registered)


def test_reducers_that_are_registered_later_are_used(reducer: None) -> None:
    assert pickle.loads(by_value.dumps(Registered())).note == "reduced"


def reads_a_submodule() -> Any:
    return xml.etree.ElementTree


def reads_a_name_that_is_no_submodule() -> Any:
    return json.loads


def reads_a_module_of_a_module() -> Any:
    return os.path.sep


def reads_an_attribute_of_a_submodule() -> Any:
    return concurrent.futures.thread


def reads_nothing() -> int:
    return 1


@pytest.mark.parametrize(
    "function",
    [
        reads_a_submodule, reads_a_name_that_is_no_submodule, reads_a_module_of_a_module,
        reads_an_attribute_of_a_submodule, reads_nothing,
    ],
)  # fmt: skip
def test_submodules_that_a_function_may_mean_are_those_that_cloudpickle_finds(function: Callable[[], Any]) -> None:
    values = [xml, json, os, concurrent, "no module", None]
    found = _find_imported_submodules(function.__code__, values)
    assert {module.__name__ for module in by_value.submodules(function.__code__, values)} == {
        module.__name__ for module in found
    }


def test_submodule_that_a_function_means_is_there_where_it_is_loaded() -> None:
    data = by_value.dumps(lambda: xml.etree.ElementTree.__name__)
    there = f"import pickle; print(pickle.loads({data!r})())"
    said = subprocess.run([sys.executable, "-c", there], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "xml.etree.ElementTree"


def slotted(names: Any) -> type[Any]:
    """Make a class that goes by value, for its name leads nowhere."""
    return type("<locals>.Slotted", (), {"__slots__": names, "__module__": __name__})


def said_of(value: Any, expression: str) -> str:
    """Return what another interpreter says of ``it``, the value that arrives there."""
    program = f"import pickle; it = pickle.loads({by_value.dumps(value)!r}); print({expression})"
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize(
    ("names", "has_dict"),
    [
        ("one", False), (("one", "two"), False), (["one"], False), ({"one": "what it is"}, False), ((), False),
        (("one", "__dict__", "__weakref__"), True), (("__private",), False),
    ],
)  # fmt: skip
def test_class_with_slots_has_them_where_it_is_loaded(names: Any, has_dict: bool) -> None:
    assert said_of(slotted(names), "hasattr(it(), '__dict__')") == str(has_dict)


def test_slots_that_something_has_taken_the_place_of_are_left_to_cloudpickle() -> None:
    cls = slotted(("one",))
    cls.one = property(lambda _: 1)
    assert said_of(cls, "hasattr(it(), '__dict__')") == "True"


def test_slots_of_a_named_tuple_are_left_to_what_makes_one() -> None:
    class Pair(NamedTuple):
        one: int

        def twice(self) -> int:
            return 2 * self.one

    assert said_of(Pair, "it(3).twice()") == "6"


def test_slots_that_a_metaclass_makes_are_left_to_it() -> None:
    class Making(type):
        def __new__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> Any:
            assert "__slots__" not in namespace
            return super().__new__(cls, name, bases, {"__slots__": ("one",), **namespace})

    made: Any = Making("<locals>.Made", (), {"__module__": __name__})
    assert said_of(made, "it.__slots__, hasattr(it(), '__dict__')") == "('one',) False"


def test_function_with_a_cache_has_one_where_it_is_loaded_also_if_it_calls_itself() -> None:
    @functools.lru_cache(maxsize=100, typed=True)
    def fib(n: int) -> int:
        """Add up."""
        return n if n < 2 else fib(n - 1) + fib(n - 2)

    fib(3)
    said = said_of(fib, "it.cache_info().currsize, it(80), it.cache_info().currsize, it.cache_parameters(), it.__doc__")
    assert said == "0 23416728348467685 81 {'maxsize': 100, 'typed': True} Add up."


@functools.cache
def known_by_name(n: int) -> int:
    return n


def test_cache_that_can_be_imported_is_the_one_that_is_there() -> None:
    assert pickle.loads(by_value.dumps(known_by_name)) is known_by_name


def test_class_with_cached_results_has_them_where_it_is_loaded() -> None:
    class Circle:
        def __init__(self, radius: int) -> None:
            self.radius = radius

        @functools.cached_property
        def area(self) -> int:
            """About."""
            return 3 * self.radius**2

        @functools.cache  # noqa: B019  # the subject
        def times(self, n: int) -> int:
            return n * self.radius

    said = said_of(Circle(2), "it.area, vars(it), it.times(5), it.times.cache_info().currsize, type(it).area.__doc__")
    assert said == "12 {'radius': 2, 'area': 12} 10 1 About."


def test_cache_that_was_loaded_goes_further() -> None:
    @functools.cache
    def double(n: int) -> int:
        return 2 * n

    further = "__import__('actorgrid.wire.by_value', fromlist=['dumps']).dumps(it)"
    assert said_of(double, f"pickle.loads({further})(4)") == "8"


Known = NewType("Known", int)


def test_type_that_can_be_imported_is_the_one_that_is_there() -> None:
    assert pickle.loads(by_value.dumps(Known)) is Known


@pytest.mark.parametrize(
    ("made", "expression", "said"),
    [
        (NewType("Local", int), "it(3), it.__supertype__, it.__module__", f"3 <class 'int'> {__name__}"),
        (ParamSpec("Local", covariant=True), "it, it.__contravariant__", "+Local False"),
        (TypeVarTuple("Local"), "it", "Local"),
    ],
    ids=str,
)
def test_type_that_cannot_be_imported_is_made_again(made: Any, expression: str, said: str) -> None:
    assert said_of(made, expression) == said


@pytest.mark.skipif(sys.version_info < (3, 12), reason="there are no such statements")
@pytest.mark.parametrize(
    ("statement", "stands_for"),
    [
        ("type Local = tuple[int, int]", "tuple[int, int]"), ("type Local[T] = set[int]", "set[int]"),
        ("type Local = dict[str, Local]", "Local"), ("type Local = list[Other]; type Other = set[Local]", "Local"),
        ("type Local = of_type_checkers_alone", "Local"), ("type Local = Other; type Other = int", "Other"),
    ],
)  # fmt: skip
def test_alias_that_cannot_be_imported_is_made_again(statement: str, stands_for: str) -> None:
    names: dict[str, Any] = {"__name__": __name__}
    exec(statement, names)  # the syntax of later Pythons
    assert said_of(names["Local"], "it.__name__, it.__value__") == f"Local {stands_for}"
