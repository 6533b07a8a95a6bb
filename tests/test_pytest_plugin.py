"""The plugin's fixture in a test run of its own, as users have it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

TESTS = """
import actorgrid as ag

double = ag.remote(lambda x: 2 * x)

def test_without_the_fixture_the_first_call_starts_a_grid():
    assert ag.get(double.remote(1)) == 2

def test_on_a_grid_of_its_own(grid):
    assert ag.cluster_resources()["CPU"] == 2
    assert ag.get(double.remote(2)) == 4

def test_after_it_nothing_runs():
    assert not ag.is_initialized()
"""


def test_fixture_gives_a_grid_of_its_own_whatever_ran_before(tmp_path: Path) -> None:
    (tmp_path / "test_user.py").write_text(TESTS, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", str(tmp_path)]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert "3 passed" in result.stdout, result.stdout
    assert result.returncode == 0
