"""``actorgrid sim``: what it prints and how it exits."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from actorgrid import sim
from actorgrid.cli import main
from actorgrid.sim import hashing

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
        (["prove", "{bank}::buggy", "--reduction", "guess"], "no reduction"),
        (["prove", "{bank}::buggy", "--real"], "prove does not take --real: replay does"),
        (["run", "{bank}::buggy", "--runs", "3"], "run does not take --runs: explore does"),
        (["explore", "{bank}::buggy", "ag1:x"], "explore does not take a schedule: replay does"),
        (["replay", "{bank}::buggy", "--seed", "3", "ag1:x"], "replay does not take --seed: the schedule"),
        (["prove", "{bank}::buggy", "--kill", "1", "--kill-points", "sleep"], "no kill point 'sleep'"),
    ],
)
def test_bad_arguments_are_refused(
    bank: str, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert main(["sim", *(argument.format(bank=bank) for argument in arguments)]) == 2
    assert said in capsys.readouterr().err


def test_schedule_may_come_after_the_options(bank: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sim", "replay", f"{bank}::buggy", "--real", "ag1:x"]) == 2
    assert "schedule" in capsys.readouterr().err


def test_argument_that_nobody_knows_is_named(bank: str, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["run", f"{bank}::buggy", "--sed", "3"], ["replay", f"{bank}::buggy", "--real", "ag1:x", "more"]):
        with pytest.raises(SystemExit, match="2"):
            main(["sim", *arguments])
        assert "unrecognized arguments" in capsys.readouterr().err


def test_story_is_written_as_a_page_that_needs_nothing_else(bank: str, tmp_path: Path) -> None:
    page = tmp_path / "story.html"
    assert main(["sim", "explore", f"{bank}::buggy", "--runs", "200", "--html", str(page)]) == 1
    text = page.read_text(encoding="utf-8")
    assert text.count('class="call odd"') == 1
    assert "Account.set" in text
    assert "http" not in text
    assert main(["sim", "replay", f"{bank}::buggy", str(page)]) == 1


def test_failures_that_a_proof_finds_are_shown(bank: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sim", "prove", f"{bank}::buggy"]) == 1
    said = capsys.readouterr().out
    assert "replay it:" in said
    assert "<-- deviates" in said
    assert said.splitlines()[-1].startswith("every schedule: 6 classes, 4 of them fail")


@pytest.mark.parametrize("how", ["explore", "prove"])
def test_progress_is_one_line_on_a_terminal(
    bank: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    assert main(["sim", how, f"{bank}::fixed"]) == 0
    assert capsys.readouterr().err == ""  # nobody watches

    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert main(["sim", how, f"{bank}::fixed"]) == 0
    said = capsys.readouterr().err
    lines = said.split("\r")
    assert re.fullmatch(r"1 schedules, \d+/s, 2 delivery pairs, 0 failures ", lines[1])
    assert lines[-1] == "\x1b[K"


@pytest.mark.parametrize(
    ("options", "faults"),
    [
        ([], sim.Faults()),
        (["--kill", "2"], sim.Faults(kill=2)),
        (["--kill", "1", "--tasks-only"], sim.Faults(kill=1, actors=False)),
        (["--kill", "1", "--kill-points", "send,restart"], sim.Faults(1, kill_points=frozenset({"send", "restart"}))),
        (["--clock-jumps", "1"], sim.Faults(clock_jumps=1)),
        (["--spawn-errors", "1"], sim.Faults(spawn_errors=1)),
        (["--store-full", "1"], sim.Faults(store_full=1)),
        (["--spill-errors", "1"], sim.Faults(spill_errors=1)),
        (["--low-memory", "1"], sim.Faults(low_memory=1)),
        (["--head"], sim.Faults(head=True)),
        (["--driver"], sim.Faults(driver=True)),
    ],
)
def test_every_fault_is_an_option(
    bank: str, monkeypatch: pytest.MonkeyPatch, options: list[str], faults: sim.Faults
) -> None:
    asked: list[sim.Faults] = []

    def prove(*_: object, faults: sim.Faults, **__: object) -> sim.Proof:
        asked.append(faults)
        return sim.Proof()

    monkeypatch.setattr(sim, "prove", prove)
    assert main(["sim", "prove", f"{bank}::fixed", *options]) == 0
    assert asked == [faults]


def test_level_and_reduction_are_options(bank: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sim", "prove", f"{bank}::fixed", "--reduction", "none"]) == 0
    assert "every schedule: 2 classes, none fails (0 runs were cut short)" in capsys.readouterr().out
    assert main(["sim", "explore", f"{bank}::buggy", "--level", "links", "--runs", "500"]) == 1
    line = re.search(r"ag1:[^']+", capsys.readouterr().out)
    assert line is not None
    assert sim.Schedule.loads(line[0]).settings["level"] == "links"


NAMES = """
import actorgrid as ag

@ag.remote
class Last:
    def __init__(self):
        self.name = ""
    def put(self, name):
        self.name = name
    def get(self):
        return self.name

def last_of_a_set():
    last = Last.remote()
    for name in {"alpha", "beta", "gamma", "delta"}:
        last.put.remote(name)
    assert ag.get(last.get.remote()) == "no"
"""


def command(*words: str, hash_seed: str | None) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONHASHSEED"}
    if hash_seed is not None:
        environment["PYTHONHASHSEED"] = hash_seed
    return subprocess.run(
        [sys.executable, "-m", "actorgrid", "sim", *words], env=environment, capture_output=True, text=True, check=False
    )


def test_sets_of_strings_have_one_order_on_the_command_line(tmp_path: Path) -> None:
    file = tmp_path / "names.py"
    file.write_text(NAMES, encoding="utf-8")
    program = f"{file}::last_of_a_set"
    found = [command("explore", program, hash_seed=None).stdout.partition("\n\n")[2] for _ in range(3)]
    assert len({text.partition("schedules/s")[0].rpartition(",")[0] for text in found}) == 1
    line = re.search(r"ag1:[^']+", command("explore", program, hash_seed="1").stdout)
    assert line is not None
    assert sim.Schedule.loads(line[0]).settings == {"hash": 1}
    told = [command("replay", program, line[0], hash_seed=seed).stdout for seed in ("1", "2", None)]
    assert told[0] == told[1] == told[2]


def test_replay_under_another_hash_seed_is_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashing, "HERE", 2)
    with pytest.warns(UserWarning, match="found under PYTHONHASHSEED=1, and this is PYTHONHASHSEED=2"):
        sim.replay(sim.Schedule(0, (), {"hash": 1}), lambda: None)


@pytest.mark.parametrize("seed", [None, 0, 7])
def test_report_says_that_strings_hash_at_random(seed: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> None:
        raise ValueError

    monkeypatch.setattr(hashing, "HERE", seed)
    failure = sim.explore(fails, runs=1).failures[0]
    assert ("strings hash at random here" in failure.report) == (seed is None)
    assert failure.schedule.settings == ({"hash": 7} if seed else {})
