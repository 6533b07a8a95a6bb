"""get, put and wait."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

from fractions import Fraction
from typing import Any, cast

import numpy as np
import pytest

import actorgrid as ag
from tests.contract.tools import DEADLINE, Gate

pytestmark = pytest.mark.usefixtures("grid")


@ag.remote
def echo(value: Any) -> Any:
    return value


@ag.remote(num_cpus=0)
def behind(gate: Any, value: Any) -> Any:
    ag.get(gate.pass_through.remote())
    return value


def test_get_of_a_list_keeps_its_order() -> None:
    refs = [echo.remote(i) for i in range(20)]
    assert ag.get(refs[::-1]) == list(range(19, -1, -1))


def test_get_of_an_empty_list() -> None:
    assert ag.get([]) == []


def test_get_of_a_list_with_duplicates() -> None:
    ref = ag.put(1)
    assert ag.get([ref, ref]) == [1, 1]


def test_get_again() -> None:
    ref = echo.remote([1])
    assert ag.get(ref) == ag.get(ref) == [1]


def test_get_gives_a_new_object_every_time() -> None:
    ref = ag.put([1])
    assert ag.get(ref) is not ag.get(ref)


def test_identity_within_one_object_is_kept() -> None:
    shared = [1]
    first, second = ag.get(ag.put([shared, shared]))
    assert first is second


def test_get_with_a_timeout_that_is_long_enough() -> None:
    assert ag.get(echo.remote(1), timeout=DEADLINE) == 1


def test_get_timeout_is_a_timeout_error() -> None:
    gate = Gate.remote()
    ref = behind.remote(gate, 1)
    with pytest.raises(TimeoutError) as caught:
        ag.get(ref, timeout=0.05)
    assert isinstance(caught.value, ag.exceptions.GetTimeoutError)
    gate.open.remote()
    assert ag.get(ref, timeout=DEADLINE) == 1


@pytest.mark.parametrize("kind", [np.int64, np.float32, Fraction])
def test_numbers_of_other_libraries_are_numbers(kind: Any) -> None:
    ref, one = echo.remote(1), cast("int", np.int64(1))
    assert ag.get(ref, timeout=kind(DEADLINE)) == 1
    assert ag.wait([ref], timeout=kind(DEADLINE), num_returns=one) == ([ref], [])


def test_get_timeout_0_polls() -> None:
    gate = Gate.remote()
    ref = behind.remote(gate, 1)
    with pytest.raises(ag.exceptions.GetTimeoutError):
        ag.get(ref, timeout=0)
    gate.open.remote()
    ag.wait([ref], timeout=DEADLINE)
    assert ag.get(ref, timeout=0) == 1


def test_get_raises_the_first_error_without_waiting_for_the_rest() -> None:
    @ag.remote
    def fail() -> None:
        raise KeyError("early")

    gate = Gate.remote()
    waiting = behind.remote(gate, 1)
    with pytest.raises(KeyError):
        ag.get([waiting, fail.remote()], timeout=DEADLINE)
    gate.open.remote()
    assert ag.get(waiting, timeout=DEADLINE) == 1


@pytest.mark.parametrize("timeout", [None, DEADLINE, 0])
def test_get_raises_an_error_that_is_there_already_without_waiting_for_the_rest(timeout: float | None) -> None:
    @ag.remote
    def fail() -> None:
        raise KeyError("there")

    gate = Gate.remote()
    waiting, failed = behind.remote(gate, 1), fail.remote()
    ag.wait([failed], timeout=DEADLINE)
    with pytest.raises(KeyError, match="there"):
        ag.get([waiting, failed], timeout=timeout)
    gate.open.remote()
    assert ag.get(waiting, timeout=DEADLINE) == 1


def test_put_captures_the_value_at_once() -> None:
    box = [1]
    ref = ag.put(box)
    box.append(2)
    assert ag.get(ref) == [1]


@pytest.mark.parametrize("value", [None, 0, "", b"", [], {"a": (1, 2)}, 1.5, frozenset({1}), "ü" * 300])
def test_put_and_get_give_an_equal_value(value: Any) -> None:
    assert ag.get(ag.put(value)) == value


def test_wait_splits_ready_from_not_ready() -> None:
    gate = Gate.remote()
    done, waiting = ag.put(1), behind.remote(gate, 2)
    assert ag.wait([waiting, done], timeout=DEADLINE) == ([done], [waiting])
    gate.open.remote()
    assert ag.wait([waiting], timeout=DEADLINE) == ([waiting], [])


def test_wait_for_all() -> None:
    refs = [echo.remote(i) for i in range(10)]
    assert ag.wait(refs, num_returns=10, timeout=DEADLINE) == (refs, [])


def test_wait_never_gives_more_than_num_returns() -> None:
    refs = [ag.put(i) for i in range(5)]
    ready, rest = ag.wait(refs, num_returns=2)
    assert (len(ready), len(rest)) == (2, 3)


def test_wait_gives_one_by_default() -> None:
    ready, rest = ag.wait([ag.put(1), ag.put(2)])
    assert (len(ready), len(rest)) == (1, 1)


def test_wait_keeps_the_order_of_its_argument_in_both_lists() -> None:
    gate = Gate.remote()
    refs = [ag.put(0), behind.remote(gate, 1), ag.put(2), behind.remote(gate, 3)]
    assert ag.wait(refs, num_returns=2, timeout=DEADLINE) == ([refs[0], refs[2]], [refs[1], refs[3]])
    gate.open.remote()
    ag.get(refs, timeout=DEADLINE)


def test_wait_gives_up_after_its_timeout() -> None:
    gate = Gate.remote()
    ref = behind.remote(gate, 1)
    assert ag.wait([ref], timeout=0.05) == ([], [ref])
    gate.open.remote()
    ag.get(ref, timeout=DEADLINE)


def test_wait_gives_what_is_ready_when_its_timeout_ends() -> None:
    gate = Gate.remote()
    done, waiting = ag.put(1), behind.remote(gate, 1)
    assert ag.wait([done, waiting], num_returns=2, timeout=0.05) == ([done], [waiting])
    gate.open.remote()
    ag.get(waiting, timeout=DEADLINE)


def test_wait_takes_a_failed_task_for_ready() -> None:
    @ag.remote
    def fail() -> None:
        raise ValueError

    ref = fail.remote()
    assert ag.wait([ref], timeout=DEADLINE) == ([ref], [])


def test_wait_of_an_empty_list() -> None:
    assert ag.wait([]) == ([], [])


def test_waiting_in_a_loop_meets_every_reference_once() -> None:
    refs = [echo.remote(i) for i in range(30)]
    seen = []
    while refs:
        ready, refs = ag.wait(refs, timeout=DEADLINE)
        seen += ag.get(ready)
    assert sorted(seen) == list(range(30))
