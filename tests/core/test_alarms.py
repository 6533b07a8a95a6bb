"""Alarms ring once, in order, unless they are called off."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actorgrid.core.head.alarms import Alarms


def test_alarms_ring_in_the_order_of_their_times() -> None:
    alarms, rung = Alarms(), list[int]()
    for when, ident in ((3.0, 3), (1.0, 1), (2.0, 2), (1.0, 4)):
        alarms.set(when, rung.append, ident)
    assert alarms.next() == 1.0
    alarms.due(2.5)
    assert rung == [1, 4, 2]
    assert alarms.next() == 3.0


def test_alarm_that_is_called_off_does_not_ring() -> None:
    alarms, rung = Alarms(), list[int]()
    first = alarms.set(1.0, rung.append, 1)
    alarms.set(2.0, rung.append, 2)
    alarms.call_off(first)
    alarms.call_off(first)
    alarms.call_off(0)
    assert alarms.next() == 2.0
    alarms.due(9.0)
    assert rung == [2]
    assert alarms.next() is None


def test_alarm_that_is_set_while_others_ring_waits_for_the_next_turn() -> None:
    alarms, rung = Alarms(), list[int]()

    def again(ident: int) -> None:
        rung.append(ident)
        alarms.set(0.0, again, ident + 1)

    alarms.set(1.0, again, 1)
    alarms.due(1.0)
    assert rung == [1]
    alarms.due(1.0)
    assert rung == [1, 2]


def test_alarms_that_are_called_off_do_not_pile_up() -> None:
    alarms = Alarms()
    for _ in range(10_000):
        alarms.call_off(alarms.set(1e9, print, 0))
    assert not len(alarms)
    assert len(alarms._heap) <= 130


@given(st.lists(st.tuples(st.integers(0, 9), st.booleans()), max_size=200), st.integers(0, 9))
def test_exactly_those_ring_that_are_due_and_were_not_called_off(plan: list[tuple[int, bool]], now: int) -> None:
    alarms, rung = Alarms(), list[int]()
    numbers = [alarms.set(when, rung.append, ident) for ident, (when, _) in enumerate(plan)]
    for number, (_, off) in zip(numbers, plan, strict=True):
        if off:
            alarms.call_off(number)
    alarms.due(now)
    expected = [(when, ident) for ident, (when, off) in enumerate(plan) if when <= now and not off]
    assert rung == [ident for _, ident in sorted(expected)]
    left = [when for when, off in plan if when > now and not off]
    assert len(alarms) == len(left)
    assert alarms.next() == (min(left) if left else None)
