"""The command line, as a person meets it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


def actorgrid(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "actorgrid", *arguments], capture_output=True, text=True, timeout=55, check=False
    )


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    for number in range(60):
        text = (
            f"import socket\nasync def f{number}():\n    await timeout({number})\n" + "deadlock pickle buffer\n" * 2000
        )
        (tmp_path / f"module{number}.py").write_text(text)
    return tmp_path


def test_demo_survives_its_own_killing_and_says_so(corpus: Path) -> None:
    done = actorgrid("demo", str(corpus))
    assert done.returncode == 0, done.stdout + done.stderr
    for line in ("60 files", "killed by us", "timeline", "index complete and equal to that of one process: yes",
                 "summed without a copy: right", "times as fast"):  # fmt: skip
        assert line in done.stdout
    assert all(len(line) <= 120 for line in done.stdout.splitlines())


def test_demo_of_a_missing_folder_is_one_clear_sentence() -> None:
    done = actorgrid("demo", "no/such/folder")
    assert done.returncode == 2
    assert done.stderr.splitlines() == ["actorgrid demo: no/such/folder is not a folder"]


def test_demo_of_a_folder_without_text_is_one_clear_sentence(tmp_path: Path) -> None:
    done = actorgrid("demo", str(tmp_path))
    assert done.returncode == 2
    assert done.stderr.splitlines() == [f"actorgrid demo: {tmp_path} holds no text files"]


def test_no_command_shows_the_help() -> None:
    done = actorgrid()
    assert done.returncode == 0
    assert "demo" in done.stdout
