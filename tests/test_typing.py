"""Runs mypy over ``tests/typing``: what must be accepted, and what must be rejected."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mypy")

HERE = Path(__file__).parent


@pytest.mark.parametrize("name", ["accepted", "rejected"])
def test_mypy_agrees(name: str) -> None:
    command = [sys.executable, "-m", "mypy", "--follow-imports=silent", "--no-error-summary", f"tests/typing/{name}.py"]
    shown = subprocess.run(command, cwd=HERE.parent, capture_output=True, text=True, check=False)
    assert shown.stdout + shown.stderr == ""
