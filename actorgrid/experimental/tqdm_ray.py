"""``ray.experimental.tqdm_ray``: how far something is, said from within tasks and actors.

Bars of several processes cannot share a line of a terminal that none of them owns. So each says what it has to say as a
line of its output, which comes to the program like all output of tasks: at most once in a while, and at the end.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any, Generic, TypeVar

__all__ = ["safe_print", "tqdm"]

T = TypeVar("T")


class tqdm(Generic[T]):  # noqa: N801  # its name everywhere
    """Counts what is done; iterates over ``iterable`` if there is one. The parameters are Ray's."""

    def __init__(
        self, iterable: Iterable[T] | None = None, desc: str | None = None, total: int | None = None,
        unit: str | None = None, position: int | None = None, flush_interval_s: float | None = None,
    ) -> None:  # fmt: skip
        """``total``: how many there are (default: the length of ``iterable``, if it has one), each a ``unit`` ("it").

        ``flush_interval_s``: seconds between two lines (5). ``position`` has no meaning for lines.
        """
        del position
        self._iterable = iterable
        self.desc = desc or ""
        self.unit = unit or "it"
        self.total = len(iterable) if total is None and hasattr(iterable, "__len__") else total  # type: ignore[arg-type]  # it has a length
        self.n = 0
        self._interval = 5.0 if flush_interval_s is None else flush_interval_s
        self._began = self._said = time.monotonic()
        self._closed = False

    def set_description(self, desc: str) -> None:
        """Say something else in front from now on."""
        self.desc = desc

    def update(self, n: int = 1) -> None:
        """So many more are done."""
        self.n += n
        if time.monotonic() - self._said >= self._interval:
            self.refresh()

    def refresh(self) -> None:
        """Say how far it is now."""
        self._said = time.monotonic()
        rate = self.n / max(self._said - self._began, 1e-9)
        share = f"{100 * self.n / self.total:.0f} % of {self.total}" if self.total else f"{self.n}"
        print(f"{self.desc + ': ' if self.desc else ''}{share} {self.unit}, {rate:.3g} {self.unit}/s", file=sys.stderr)  # noqa: T201  # what it is for

    def close(self) -> None:
        """It is over: say so once."""
        if not self._closed:
            self._closed = True
            self.refresh()

    def __iter__(self) -> Iterator[T]:
        if self._iterable is None:
            raise ValueError("there is nothing to iterate over: this bar was made without an iterable")
        for value in self._iterable:
            yield value
            self.update()
        self.close()


def safe_print(*args: Any, **kwargs: Any) -> None:
    """Print a line: bars are lines as well, so there is nothing to be careful about."""
    print(*args, **kwargs)  # noqa: T201  # what it is for
