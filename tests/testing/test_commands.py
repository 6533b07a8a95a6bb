"""Command lines under test: what they say, how they end, what they leave."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from actorgrid.testing import Command

ORPHAN = """
import subprocess, sys
orphan = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
print("orphan", orphan.pid, flush=True)
"""


@pytest.fixture
def orphanage(tmp_path: Path) -> Iterator[Command]:
    """Return a command that has ended and has left a process behind."""
    command = Command(tmp_path, "python", "-c", ORPHAN)
    command.succeeds()
    yield command
    assert command.others == []


def test_command_line_of_actorgrid(popen: Callable[..., Command]) -> None:
    command = popen("actorgrid", "--version")
    assert command.succeeds().startswith("actorgrid ")
    assert not command.alive
    assert command.err == ""


def test_input_environment_and_exit_code(popen: Callable[..., Command], tmp_path: Path) -> None:
    source = "import os, sys; print(input(), os.environ['NAME'], os.getcwd()); sys.exit('because')"
    command = popen("python", "-c", source, stdin="read this", env={"NAME": "this"}, cwd=tmp_path)
    assert command.wait() == 1
    assert command.out == f"read this this {tmp_path}\n"
    with pytest.raises(AssertionError, match=r"has ended with exit code 1\n(.*\n)*because"):
        command.succeeds()


@pytest.mark.parametrize(
    ("how", "code"), [("kill", -signal.SIGKILL), ("terminate", -signal.SIGTERM), ("interrupt", -signal.SIGINT)]
)
def test_command_is_ended(popen: Callable[..., Command], how: str, code: int) -> None:
    command = popen("sh", "-c", "echo here; exec sleep 600")
    command.wait_for("here")
    with pytest.raises(AssertionError, match=r"no end within 0.01 s: 'sh .*' runs"):
        command.wait(0.01)
    getattr(command, how)()
    assert command.wait() == code


def test_waiting_for_what_is_never_said_ends_with_the_command(popen: Callable[..., Command]) -> None:
    command = popen("sh", "-c", "echo something else")
    with pytest.raises(AssertionError, match=r"waited for 'this'.*\n.*\nsomething else"):
        command.wait_for("this")


def test_command_without_words_is_refused(popen: Callable[..., Command]) -> None:
    with pytest.raises(ValueError, match="needs a command line"):
        popen()


def test_orphan_is_named_and_killed(orphanage: Command) -> None:
    (orphan,) = orphanage.others
    assert orphanage.out == f"orphan {orphan.pid}\n"
    with pytest.raises(AssertionError, match=rf"now killed: \[<process {orphan.pid}: .*sleep\(600\)"):
        orphanage.close(0.01)
    assert not orphan.alive


def test_end_on_its_way_is_waited_for(tmp_path: Path) -> None:
    command = Command(tmp_path, "sh", "-c", "sleep 0.2")
    command.close()
    assert command.wait() == 0  # nobody has killed it
