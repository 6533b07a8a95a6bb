"""Clocks that a module has kept from before the run, by whatever means: they are virtual while one lasts."""

from __future__ import annotations

import collections
import dataclasses
import datetime as dt
import functools
import pickle
import sched
import select
import selectors
import time
import timeit
import uuid
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import pytest

import actorgrid as ag
from actorgrid import sim

HOUR = 3600.0


class Later(datetime):
    """A class of the program's own."""


now = datetime.now
utcnow = datetime.utcnow
today = date.today
of_subclass = Later.now
zoned = functools.partial(datetime.now, dt.UTC)
clock = functools.partial(time.time)
by_argument = functools.partial(lambda read: read(), time.time)
by_keyword = functools.partial(lambda *, read: read(), read=time.time)
made: collections.defaultdict[str, float] = collections.defaultdict(time.time)
in_order = collections.OrderedDict(read=time.time)


def closing(read: Callable[[], float]) -> Callable[[], float]:
    return lambda: read()  # noqa: PLW0108  # the subject: a variable of a closure


closed = closing(time.time)


class Stamps:
    now = datetime.now
    look: Any = select.select


@dataclasses.dataclass
class Event:
    at: datetime = dataclasses.field(default_factory=datetime.now)
    zoned: datetime = dataclasses.field(default_factory=functools.partial(datetime.now, dt.UTC))
    seconds: float = dataclasses.field(default_factory=time.time)
    ident: uuid.UUID = dataclasses.field(default_factory=uuid.uuid4)


YEARS: dict[str, Callable[[], int]] = {
    "now": lambda: now().year,
    "utcnow": lambda: utcnow().year,
    "today": lambda: today().year,
    "of a subclass": lambda: of_subclass().year,
    "looked up in a subclass": lambda: Later.now().year,
    "class attribute": lambda: Stamps.now().year,
    "partial": lambda: zoned().year,
    "field": lambda: Event().at.year,
    "partial in a field": lambda: Event().zoned.year,
    "seconds in a field": lambda: datetime.fromtimestamp(Event().seconds, dt.UTC).year,
    "partial of seconds": lambda: datetime.fromtimestamp(clock(), dt.UTC).year,
    "argument of a partial": lambda: datetime.fromtimestamp(by_argument(), dt.UTC).year,
    "keyword of a partial": lambda: datetime.fromtimestamp(by_keyword(), dt.UTC).year,
    "default of a dictionary": lambda: datetime.fromtimestamp(made.pop("a", 0.0) or made["a"], dt.UTC).year,
    "ordered dictionary": lambda: datetime.fromtimestamp(in_order["read"](), dt.UTC).year,
    "closure": lambda: datetime.fromtimestamp(closed(), dt.UTC).year,
}
YEAR_LATER = 400 * 24 * HOUR


@ag.remote
def stamp() -> tuple[datetime, datetime, date]:
    return now(), zoned(), today()


@ag.remote
def same(value: Any) -> Any:
    return value


def value_of(program: Callable[..., Any], *args: Any) -> Any:
    result = sim.run(program, *args)
    if result.error is not None:
        raise result.error
    return result.value


@pytest.mark.parametrize("place", YEARS)
def test_calendar_that_a_module_keeps_is_virtual(place: str) -> None:
    def program() -> tuple[int, int]:
        made.clear()
        before = YEARS[place]()
        time.sleep(YEAR_LATER)
        made.clear()
        return before, YEARS[place]()

    assert value_of(program) == (2026, 2027)
    assert value_of(program) == (2026, 2027)


def test_nothing_is_left_of_the_virtual_calendar_after_the_run() -> None:
    kinds = type(now), type(Stamps.now), type(zoned.func), clock.func, by_argument.args, vars(Event)["__init__"]
    value_of(lambda: Event().at)
    assert kinds == (
        type(now),
        type(Stamps.now),
        type(zoned.func),
        clock.func,
        by_argument.args,
        vars(Event)["__init__"],
    )
    assert made.default_factory is time.time
    assert abs(now().timestamp() - time.time()) < 60
    assert abs(datetime.now().timestamp() - time.time()) < 60  # noqa: DTZ005  # the subject
    assert clock.func is time.time
    assert isinstance(vars(datetime)["now"], type(vars(datetime)["fromtimestamp"]))


def test_function_that_goes_by_value_takes_the_calendar_along() -> None:
    local, universal, day = value_of(lambda: ag.get(stamp.remote()))
    assert (local.year, universal.year, day.year) == (2026, 2026, 2026)


VALUES: list[Any] = [datetime(2020, 1, 1, tzinfo=dt.UTC), date(2020, 1, 1), Later(2020, 1, 1), datetime, date]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_dates_and_their_classes_are_sent_as_on_real_processes(value: Any) -> None:
    there = value_of(lambda: ag.get(same.remote(value)))
    assert (there, type(there)) == (value, type(value))
    assert value_of(lambda: pickle.loads(pickle.dumps(value)) == value)


def test_class_of_a_date_is_the_one_with_that_name() -> None:
    assert value_of(lambda: (type(dt.datetime.now()) is dt.datetime, type(dt.date.today()) is dt.date)) == (True, True)  # noqa: DTZ005, DTZ011
    assert value_of(lambda: type(Later.now())) is Later
    assert value_of(lambda: pickle.loads(pickle.dumps(dt.datetime.now))().year) == 2026


def test_wrong_argument_of_now_raises_what_it_raises_outside() -> None:
    wrong: Any = "no time zone"
    with pytest.raises(TypeError, match="tzinfo argument must be None or of a tzinfo subclass"):
        value_of(lambda: datetime.now(wrong))


def test_select_that_is_an_attribute_of_a_class_is_no_method() -> None:
    def program() -> float:
        began = time.monotonic()
        assert Stamps().look([], [], [], HOUR) == ([], [], [])
        return time.monotonic() - began

    assert value_of(program) == pytest.approx(HOUR, abs=1)


def test_selector_that_asks_select_waits_virtually() -> None:
    def program() -> float:
        began = time.monotonic()
        assert selectors.SelectSelector().select(HOUR) == []
        return time.monotonic() - began

    assert value_of(program) == pytest.approx(HOUR, abs=1)


def test_scheduler_waits_virtually() -> None:
    def program() -> tuple[float, list[str]]:
        began, said = time.monotonic(), list[str]()
        schedule = sched.scheduler()
        schedule.enter(HOUR, 1, said.append, ("late",))
        schedule.enter(1, 1, said.append, ("soon",))
        schedule.run()
        return time.monotonic() - began, said

    elapsed, said = value_of(program)
    assert (elapsed, said) == (pytest.approx(HOUR, abs=1), ["soon", "late"])


def test_timer_of_timeit_is_virtual() -> None:
    def program() -> float:
        began = timeit.default_timer()
        assert timeit.timeit(lambda: time.sleep(HOUR), number=2) == pytest.approx(2 * HOUR, abs=1)
        return timeit.default_timer() - began

    assert value_of(program) == pytest.approx(2 * HOUR, abs=1)
    assert timeit.default_timer is time.perf_counter
