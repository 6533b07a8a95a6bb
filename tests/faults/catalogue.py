"""What a case of the catalogue is: a fault, how it is brought about, and what must come of it.

The cases are tables, one module for each group (WD: death of a worker, SE: serialization, UM: misuse, CA: cancelling,
FT: forks and threads, OR: order, MS and FD: memory and descriptors). ``test_catalogue`` runs every one of them on the
same grid of real processes, and the oracle (``tests.faults.oracle``) looks at everything around it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import actorgrid as ag

#: No case waits longer for something that must happen: far more than a busy machine needs.
LIMIT = 30.0
#: Logical CPUs of the grid: a fault may take two and leaves room for the innocent.
CPUS = 4

# A case is brought about by this: it gets a folder of its own and returns a reference, or what it has seen.
Inject = Callable[[Path], Any]


@dataclass(frozen=True)
class Raises:
    """``get`` raises this class, and each of these regular expressions is found in the text of the error."""

    error: type[BaseException]
    says: tuple[str, ...] = ()

    def check(self, outcome: Callable[[], Any]) -> None:
        """See that ``outcome`` raises as told."""
        try:
            value = outcome()
        except self.error as error:
            text = str(error)
            missing = [pattern for pattern in self.says if re.search(pattern, text, re.DOTALL) is None]
        else:
            raise AssertionError(f"no {self.error.__name__}, but {value!r:.200}")
        assert not missing, f"{self.error.__name__} does not say {missing}: {text}"
        assert len(text) < 1 << 20


@dataclass(frozen=True)
class Gives:
    """``get`` returns this value."""

    value: Any = True

    def check(self, outcome: Callable[[], Any]) -> None:
        """See that ``outcome`` returns as told."""
        value = outcome()
        assert value == self.value, value


def died(error: type[BaseException], cause: str, what: str) -> Raises:
    """The process of ``what`` died of ``cause``: the error names both and the process."""
    return Raises(error, (rf"\b{what}\b", r"\bpid \d+", cause))


def raised(error: type[BaseException], what: str, *says: str) -> Raises:
    """User code of ``what`` raised: the error names it and the process."""
    return Raises(error, (rf"\b{what}\b", r"\bpid[ =]\d+|process \d+", *says))


@dataclass(frozen=True)
class Case:
    """One row of the catalogue."""

    id: str
    what: str
    inject: Inject
    expected: Raises | Gives = Gives()  # it is frozen
    #: Lines on standard error that are documented: a regular expression for a whole line. Empty: there are none.
    stderr: str = ""
    slow: bool = False
    #: Why it cannot pass yet.
    fails: str = ""


@dataclass(frozen=True)
class Elsewhere:
    """A row whose test is another one: ``tests/…/test_x.py::test_y``, or ``::TestX::test_y``."""

    id: str
    what: str
    test: str


def run(function: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """Start ``function`` as a task and return its reference."""
    remote = ag.remote(**options)(function) if options else ag.remote(function)
    return remote.remote(*args)


def get(ref: Any) -> Any:
    """Wait for a value, but not for ever."""
    return ag.get(ref, timeout=LIMIT)


def error_of(outcome: Callable[[], Any]) -> BaseException:
    """Return what ``outcome`` raises."""
    try:
        value = outcome()
    except BaseException as error:  # noqa: BLE001  # whatever it is, the case tells
        return error
    raise AssertionError(f"no error, but {value!r:.200}")


def fate(ref: Any) -> BaseException:
    """Return the error that stands in the place of a value."""
    return error_of(lambda: get(ref))


def note(path: Path, word: object = "x") -> None:
    """Add a line to a file: it outlives any process."""
    with path.open("a", encoding="utf-8") as file:
        file.write(f"{word}\n")


def notes(path: Path) -> list[str]:
    """Return the lines of a file."""
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def numpy() -> Any:
    """Return numpy, loaded when a case wants it."""
    import numpy as np

    return sys.modules.get("numpy", np)
