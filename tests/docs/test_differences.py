"""The page of differences from Ray is what it is made from, and names tests that there are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.differences import SECTIONS, page

ROOT = Path(__file__).parents[2]
TESTS = sorted({row.test for rows in SECTIONS.values() for row in rows})


def test_page_is_what_it_is_made_from() -> None:
    assert (ROOT / "docs" / "reference" / "differences.md").read_text(encoding="utf-8") == page()


def test_tests_that_fail_on_ray_are_tests() -> None:
    for row in (row for rows in SECTIONS.values() for row in rows):
        for test in row.fails:
            file, *names = test.split("::")
            text = (ROOT / "tests" / "contract" / f"test_{file}.py").read_text(encoding="utf-8")
            for name in names:
                assert name == "*" or re.search(rf"(def|class) {name}\b", text), test


@pytest.mark.parametrize("test", TESTS)
def test_test_of_a_difference_exists(test: str) -> None:
    file, name = test.split("::")
    assert re.search(rf"def {name}\(", (ROOT / "tests" / file).read_text(encoding="utf-8"))
