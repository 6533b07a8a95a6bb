"""The boundary's page says what the boundary says."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from actorgrid.sim.boundary import gate, page


def test_page_of_the_boundary_is_up_to_date() -> None:
    written = Path(__file__).parents[2] / "docs" / "reference" / "boundary.md"
    assert written.read_text(encoding="utf-8") == page(), "write actorgrid.sim.boundary.page() to it"


def test_hook_outlives_the_module_that_installed_it(monkeypatch: pytest.MonkeyPatch) -> None:
    # At the interpreter's end modules lose their globals, and what still happens is still audited.
    monkeypatch.setattr(sys.modules[type(gate).__module__], "_REFUSED", None)
    gate._hook("os.system", (b"true",))
