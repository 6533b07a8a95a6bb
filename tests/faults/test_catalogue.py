"""Every case of the catalogue, on one grid of real processes, each judged by the same oracle."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import actorgrid as ag
from tests.faults import cancelling, descriptors, elsewhere, forks, misuse, order, serialization, worker_death
from tests.faults.catalogue import Case, Elsewhere, get
from tests.faults.oracle import Oracle

GROUPS = (worker_death, serialization, misuse, cancelling, forks, order, descriptors)
CASES: list[Case] = [case for group in GROUPS for case in group.CASES]
ELSEWHERE: list[Elsewhere] = [row for group in GROUPS for row in group.ELSEWHERE] + elsewhere.ELSEWHERE


def _marks(case: Case) -> list[pytest.MarkDecorator]:
    slow = [pytest.mark.slow] if case.slow else []
    return slow + ([pytest.mark.xfail(reason=case.fails, strict=True)] if case.fails else [])


class Oracles:
    """The oracle of this module, with its grid; another one after each case that has failed."""

    def __init__(self) -> None:
        self._made: Oracle | None = None

    @contextmanager
    def watch(self, said: Callable[[], str], documented: str) -> Iterator[None]:
        """See ``Oracle``. Workers know this module; one that a signal stops is killed soon."""
        if self._made is None:
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("ACTORGRID_STOPPED_LIMIT", "0.3")
                self._made = Oracle(preload=["numpy", __name__], restart_intensity=3, restart_period=60)
        try:
            with self._made.watch(said, documented):
                yield
        except BaseException:
            self.end()
            raise

    def end(self) -> None:
        """End the grid."""
        if self._made is not None:
            self._made.end()
            self._made = None


@pytest.fixture(scope="module")
def oracle() -> Iterator[Oracles]:
    """Return what looks at everything around a case."""
    made = Oracles()
    yield made
    made.end()


@pytest.mark.parametrize(
    "case", [pytest.param(case, id=f"{case.id}-{case.what.replace(' ', '-')}", marks=_marks(case)) for case in CASES]
)
def test_fault_costs_only_what_it_must(
    case: Case, oracle: Oracles, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def outcome() -> Any:
        found = case.inject(tmp_path)
        return get(found) if _holds_references(found) else found

    with oracle.watch(lambda: capfd.readouterr().err, case.stderr):
        case.expected.check(outcome)


def _holds_references(found: Any) -> bool:
    return isinstance(found, ag.ObjectRef) or (
        isinstance(found, list) and bool(found) and all(isinstance(each, ag.ObjectRef) for each in found)
    )


@pytest.mark.parametrize("row", ELSEWHERE, ids=lambda row: row.id)
def test_row_that_is_tested_elsewhere_has_its_test(row: Elsewhere) -> None:
    path, *names = row.test.split("::")
    place: Any = ast.parse(Path(__file__).parents[2].joinpath(path).read_text(encoding="utf-8"))
    for name in names:
        (place,) = [each for each in place.body if getattr(each, "name", "") == name]
    assert isinstance(place, ast.FunctionDef)


def test_every_row_is_a_case_or_tested_elsewhere_or_says_why_not() -> None:
    shutdown = Path(__file__).with_name("test_shutdown.py").read_text(encoding="utf-8")
    known = (
        {case.id[:4] for case in CASES} | {row.id for row in ELSEWHERE} | set(re.findall(r"\b[A-Z]{2}\d\d", shutdown))
    )
    assert [row for row in elsewhere.ROWS if row not in known and row not in elsewhere.OUT] == []
    assert [row for row in elsewhere.OUT if row in known] == []
