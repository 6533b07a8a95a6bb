"""The tutorial is true: its blocks, run as one program or typed into a REPL, print what the page says."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "tutorial" / "ten-minutes.md"
PAGES = [
    PAGE,
    ROOT / "docs" / "tutorial" / "every-schedule.md",
    ROOT / "docs" / "how-to" / "find-a-lost-update.md",
    ROOT / "docs" / "how-to" / "find-a-retry-that-pays-twice.md",
    ROOT / "docs" / "how-to" / "prove-a-lock.md",
    ROOT / "docs" / "how-to" / "make-a-program-survive-crashes.md",
    ROOT / "docs" / "how-to" / "give-tasks-an-environment.md",
    ROOT / "docs" / "how-to" / "run-a-pipeline-again-and-again.md",
    ROOT / "docs" / "how-to" / "see-what-runs.md",
    ROOT / "docs" / "how-to" / "place-work.md",
    ROOT / "docs" / "reference" / "util.md",
    ROOT / "docs" / "reference" / "dag.md",
]


def blocks(page: Path) -> list[str]:
    """Return the Python blocks of a Markdown page, in order."""
    return re.findall(r"^```python\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def promised(program: str) -> list[str]:
    """Return the comments after ``print(...)``: what the page says is printed."""
    return re.findall(r"^ *print\(.*\)  # (.+)$", program, re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_page_runs_and_prints_what_it_says(tmp_path: Path, page: Path) -> None:
    pytest.importorskip("numpy")
    program = "\n".join(blocks(page))
    script = tmp_path / "ten_minutes.py"
    script.write_text(program, encoding="utf-8")

    result = subprocess.run(
        [sys.executable, str(script)],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )

    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == promised(program)


def test_command_at_the_end_of_the_tutorial_finds_the_bug(tmp_path: Path) -> None:
    # The file is imported with everything in it, a replay on real processes included: no worker may do that again.
    page = ROOT / "docs" / "tutorial" / "every-schedule.md"
    (tmp_path / "bank.py").write_text("\n".join(blocks(page)), encoding="utf-8")
    (command,) = re.findall(r"^```sh\n(actorgrid .*?)\n```$", page.read_text(encoding="utf-8"), re.MULTILINE)

    with subprocess.Popen(
        [sys.executable, "-m", *shlex.split(command)],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            said, _ = process.communicate(timeout=50)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)

    assert process.returncode == 1, said
    assert said.startswith("\n".join(promised("\n".join(blocks(page)))) + "\ntwo_payments() fails: AssertionError"), (
        said
    )
    assert "replay it:" in said


def test_tutorial_can_be_typed_into_a_repl(tmp_path: Path) -> None:
    # There an empty line ends a class or a function, wherever it stands.
    pytest.importorskip("numpy")
    page = "\n".join(blocks(PAGE))

    result = subprocess.run(
        [sys.executable, "-q", "-i"],
        cwd=tmp_path,
        input=page,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )

    assert "Error" not in result.stderr, result.stderr
    printed = iter(result.stdout.splitlines())  # with the values of expressions in between
    assert [line for line in promised(page) if line not in printed] == []
