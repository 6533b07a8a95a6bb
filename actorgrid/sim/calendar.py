"""``datetime.datetime`` and ``datetime.date`` on virtual time.

Both are immutable C types, so simulated code gets subclasses that count as the real ones, and hand out real ones.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any, Final

real_datetime: Final = dt.datetime
real_date: Final = dt.date


class _LikeDatetime(type):
    def __instancecheck__(cls, thing: object) -> bool:
        return isinstance(thing, real_datetime)

    def __subclasscheck__(cls, other: type) -> bool:
        return issubclass(other, real_datetime)


class _LikeDate(type):
    def __instancecheck__(cls, thing: object) -> bool:
        return isinstance(thing, real_date)

    def __subclasscheck__(cls, other: type) -> bool:
        return issubclass(other, real_date)


def stand_in_for_datetime(simulated: Callable[[], bool], wall: Callable[[], float]) -> Any:
    """Return what stands for ``datetime.datetime``; ``simulated()`` says whether simulated code asks."""

    def now(tz: Any = None) -> Any:
        return real_datetime.fromtimestamp(wall(), tz) if simulated() else real_datetime.now(tz)

    def utcnow() -> Any:
        return now(dt.UTC).replace(tzinfo=None)

    body = {
        "__new__": lambda _cls, *args, **kwargs: real_datetime(*args, **kwargs),
        "now": staticmethod(now),
        "today": staticmethod(now),
        "utcnow": staticmethod(utcnow),
    }
    for name in ("fromtimestamp", "fromisoformat", "fromordinal", "combine", "strptime", "fromisocalendar"):
        body[name] = getattr(real_datetime, name)  # bound to the real class: they hand out real ones
    return _LikeDatetime("datetime", (real_datetime,), body)


def stand_in_for_date(simulated: Callable[[], bool], wall: Callable[[], float]) -> Any:
    """Return what stands for ``datetime.date``."""

    def today() -> Any:
        return real_date.fromtimestamp(wall()) if simulated() else real_date.today()

    body = {
        "__new__": lambda _cls, *args, **kwargs: real_date(*args, **kwargs),
        "today": staticmethod(today),
    }
    for name in ("fromtimestamp", "fromisoformat", "fromordinal", "fromisocalendar"):
        body[name] = getattr(real_date, name)
    return _LikeDate("date", (real_date,), body)
