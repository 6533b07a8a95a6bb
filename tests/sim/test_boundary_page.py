"""The boundary's page says what the boundary says."""

from __future__ import annotations

from pathlib import Path

from actorgrid.sim.boundary import page


def test_page_of_the_boundary_is_up_to_date() -> None:
    written = Path(__file__).parents[2] / "docs" / "reference" / "boundary.md"
    assert written.read_text(encoding="utf-8") == page(), "write actorgrid.sim.boundary.page() to it"
