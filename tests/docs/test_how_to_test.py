"""The tests on the page about tests pass."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "test-your-program.md"


def test_page_about_tests_runs(tmp_path: Path) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    (tmp_path / "test_page.py").write_text("\n".join(blocks), encoding="utf-8")
    options = ["-q", "-p", "no:cacheprovider", "-o", "actorgrid_leaks=true"]
    result = subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(tmp_path)],
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert "4 passed" in result.stdout, result.stdout + result.stderr


def test_debugger_stops_in_a_task_that_is_simulated(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import actorgrid as ag\n\n@ag.remote\ndef task(x):\n    breakpoint()\n    return x + 1\n\n"
        "print('result', ag.get(task.remote(41)))\n"
    )
    result = subprocess.run(
        [sys.executable, str(program)], input="p x * 100\nc\n", env={**os.environ, "ACTORGRID_ENGINE": "sim"},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert "task()\n" in result.stdout
    assert "(Pdb) 4100\n" in result.stdout
    assert "result 42" in result.stdout, result.stderr
