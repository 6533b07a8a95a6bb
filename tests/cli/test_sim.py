"""``actorgrid sim``: what it prints and how it exits."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from actorgrid.cli import main

PROGRAM = """
import actorgrid as ag

@ag.remote
class Account:
    def __init__(self):
        self.balance = 0
    def get(self):
        return self.balance
    def set(self, value):
        self.balance = value
    def add(self, n):
        self.balance += n

@ag.remote
def deposit(account, n):
    ag.get(account.set.remote(ag.get(account.get.remote()) + n))

@ag.remote
def deposit_well(account, n):
    ag.get(account.add.remote(n))

def buggy():
    account = Account.remote()
    ag.get([deposit.remote(account, 1) for _ in range(2)])
    assert ag.get(account.get.remote()) == 2

def fixed():
    account = Account.remote()
    ag.get([deposit_well.remote(account, 1) for _ in range(2)])
    assert ag.get(account.get.remote()) == 2
"""


@pytest.fixture
def bank(tmp_path: Path) -> str:
    path = tmp_path / "bank.py"
    path.write_text(PROGRAM, encoding="utf-8")
    return str(path)


def test_explore_finds_the_bug_and_says_how_to_replay_it(bank: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sim", "explore", f"{bank}::buggy", "--runs", "200"]) == 1
    report = capsys.readouterr().out
    assert "1 deviation from the dull run" in report
    line = re.search(r"ag1:[^']+", report)
    assert line is not None
    assert main(["sim", "replay", f"{bank}::buggy", line[0]]) == 1
    assert "AssertionError" in capsys.readouterr().out
    assert main(["sim", "replay", f"{bank}::buggy", line[0], "--real"]) == 1
    assert "the same failure" in capsys.readouterr().out


def test_prove_counts_every_schedule(bank: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sim", "prove", f"{bank}::fixed"]) == 0
    assert capsys.readouterr().out.startswith("every schedule: 2 classes, none fails")
    assert main(["sim", "prove", f"{bank}::buggy"]) == 1


def test_run_takes_the_dull_schedule(bank: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sim", "run", f"{bank}::buggy"]) == 0
    assert "no failure" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "nowhere.py::f"], "no file"),
        (["run", "bank.py"], "FILE.py::function"),
        (["explore", "{bank}::nothing"], "no function 'nothing'"),
        (["replay", "{bank}::buggy"], "ag1:"),
        (["replay", "{bank}::buggy", "ag1:x"], "schedule"),
        (["explore", "{bank}::buggy", "--policy", "guess"], "no policy"),
    ],
)
def test_bad_arguments_are_refused(
    bank: str, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert main(["sim", *(argument.format(bank=bank) for argument in arguments)]) == 2
    assert said in capsys.readouterr().err


def test_story_is_written_as_a_page_that_needs_nothing_else(bank: str, tmp_path: Path) -> None:
    page = tmp_path / "story.html"
    assert main(["sim", "explore", f"{bank}::buggy", "--runs", "200", "--html", str(page)]) == 1
    text = page.read_text(encoding="utf-8")
    assert text.count('class="call odd"') == 1
    assert "Account.set" in text
    assert "http" not in text
