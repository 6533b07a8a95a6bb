"""The command line, as a person meets it."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import actorgrid as ag

COMMAND = [sys.executable, "-W", "error", "-m", "actorgrid"]


def actorgrid(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=55, check=False)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    for number in range(60):
        words = " ".join(f"word_{chr(97 + (number + each) % 26)}_{chr(97 + each % 26)}" for each in range(10_000))
        (tmp_path / f"module{number}.py").write_text(f"import socket\n{words}\n")
    return tmp_path


def test_demo_survives_its_own_killing_and_says_so(corpus: Path) -> None:
    done = actorgrid("demo", str(corpus), "--workers", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert lines[0].startswith("60 files, ")
    assert lines[1].startswith("2 workers and 4 actors, up after ")
    for essential in ("complete: ", "the sum is right", "copied nothing", "the same index, byte for byte", "speed-up "):
        assert essential in done.stdout
    killed = re.search(r"SIGKILL to worker (\d+), in the middle of batch (\d+)\n", done.stdout)
    assert killed, done.stdout
    again = re.search(rf"batch {killed[2]} begins again in worker (\d+)\n", done.stdout)
    assert again, done.stdout
    assert again[1] != killed[1]
    assert re.search(rf"^worker {killed[1]} .* killed after", done.stdout, re.MULTILINE)
    assert re.search(rf"^worker {killed[1]} \|[r.]*r?X *\|$", done.stdout, re.MULTILINE)
    assert len(lines) <= 45
    assert max(map(len, lines)) <= 80


def test_demo_of_one_file(tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_text("a single short text")
    done = actorgrid("demo", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("1 file, ")
    assert "batch 0 begins again" in done.stdout


@pytest.mark.parametrize(
    ("folder", "sentence"),
    [
        ("no/such/folder", "actorgrid demo: there is no folder no/such/folder"),
        (".", "actorgrid demo: there is no text file that can be read in ."),
    ],
)
def test_demo_of_nothing_is_one_clear_sentence(
    folder: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(ag.__file__).parents[1]))
    done = actorgrid("demo", folder)
    assert done.returncode == 2
    assert done.stderr.splitlines() == [sentence]
    assert done.stdout == ""


def test_ctrl_c_ends_the_demo_in_one_line(corpus: Path) -> None:
    with subprocess.Popen(
        [*COMMAND, "demo", str(corpus)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as demo:
        assert demo.stdout
        for line in demo.stdout:
            if line.startswith("INDEX"):
                break
        time.sleep(0.05)  # into the middle of the work; wherever that is, the line is the same
        demo.send_signal(signal.SIGINT)
        _, errors = demo.communicate(timeout=20)
    assert errors.splitlines() == ["actorgrid: interrupted"]
    assert demo.returncode == 130


def test_bad_number_of_workers_is_refused() -> None:
    done = actorgrid("demo", "--workers", "0")
    assert done.returncode == 2
    assert "'0' is not a number from 1 to 256" in done.stderr


def test_version() -> None:
    assert actorgrid("--version").stdout == f"actorgrid {ag.__version__}\n"


def test_no_command_shows_the_help() -> None:
    done = actorgrid()
    assert done.returncode == 0
    assert "demo" in done.stdout
