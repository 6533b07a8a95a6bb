"""Pickling by value keeps what a traceback needs, whatever version of cloudpickle is installed."""

from __future__ import annotations

import copyreg
import pickle
import types
from collections.abc import Callable, Iterator
from typing import Any

import cloudpickle
import pytest

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
