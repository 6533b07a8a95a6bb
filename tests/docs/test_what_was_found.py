"""The page on the simulator lists every bug that it has found in this runtime, with the schedule that showed it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sim.test_found import FOUND

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "explanation" / "how-the-simulator-works.md").read_text(encoding="utf-8")
ROWS = [row for row in PAGE.splitlines() if row.startswith("|") and "`ag1:" in row]


@pytest.mark.parametrize(("row", "line"), list(zip(ROWS, (line for _, line in FOUND), strict=True)))
def test_schedule_of_a_bug_is_on_the_page(row: str, line: str) -> None:
    shown = "ag1:" + row.split("`ag1:")[1].split("`", maxsplit=1)[0]
    assert line.startswith(shown)
