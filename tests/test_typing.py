"""Runs mypy over ``tests/typing``: what must be accepted, and what must be rejected."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mypy")

HERE = Path(__file__).parent
ROOT = HERE.parent


def errors(path: Path) -> list[tuple[int, str]]:
    """Return line and code of what mypy says about ``path``."""
    shown = subprocess.run(
        [sys.executable, "-m", "mypy", "--no-error-summary", "--follow-imports=silent", str(path)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert shown.stderr == ""
    found = re.findall(rf"^\S*{path.name}:(\d+): error: .*\[([\w-]+)\]$", shown.stdout, re.MULTILINE)
    return [(int(line), code) for line, code in found]


def test_accepted() -> None:
    assert errors(HERE / "typing" / "accepted.py") == []


def test_rejected() -> None:
    path = HERE / "typing" / "rejected.py"
    lines = path.read_text().splitlines()
    expected = [(number, line.split("# E: ")[1]) for number, line in enumerate(lines, 1) if "# E: " in line]
    assert errors(path) == expected
