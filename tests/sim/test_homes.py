"""Runtime environments in the simulator: one interpreter, in which each process finds its own, and nothing stays."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from typing import Any

import pytest

import actorgrid as ag
from actorgrid import sim

COUNTER = """
COUNT = 0

def count(step):
    global COUNT
    COUNT += step
    return COUNT
"""


def write(folder: Path, name: str = "ag_homes_counter", text: str = COUNTER) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.py").write_text(text, encoding="utf-8")
    return folder


@ag.remote(num_cpus=0)
class Counter:
    def __init__(self, step: int) -> None:
        self.step = step

    def count(self) -> tuple[int, str]:
        return importlib.import_module("ag_homes_counter").count(self.step), str(Path.cwd())

    def move(self, folder: Path) -> None:
        os.chdir(folder)


def play(program: Any, *args: Any) -> Any:
    """Run a program once; raises what it raises."""
    done = sim.run(program, *args, checks=True)
    if done.error is not None:
        raise done.error
    return done


def of_interpreter() -> tuple[Any, ...]:
    return Path.cwd(), list(sys.path), list(sys.meta_path), sorted(sys.modules), dict(os.environ)


def two_counters(folder: Path) -> None:
    counters = [
        Counter.options(runtime_env={"working_dir": folder / name}).remote(step) for name, step in (("a", 1), ("b", 10))
    ]
    counts = ag.get([counter.count.remote() for counter in counters for _ in range(2)])
    home = {name: str(folder / name) for name in "ab"}
    assert sorted(counts) == [(1, home["a"]), (2, home["a"]), (10, home["b"]), (20, home["b"])]


@pytest.mark.parametrize("level", ["calls", "links"])
def test_processes_of_two_environments_that_take_turns_keep_to_their_own(tmp_path: Path, level: Any) -> None:
    for name in "ab":
        write(tmp_path / name)
    assert sim.explore(two_counters, tmp_path, runs=30, level=level, checks=True, check_every=5).failures == []


def fails_at_home(folder: Path) -> None:
    @ag.remote(runtime_env={"working_dir": folder, "py_modules": [folder / "ag_homes_counter.py"]})
    def leaves_early() -> None:
        importlib.import_module("ag_homes_counter")
        raise LookupError("in the midst of it")

    ag.get(leaves_early.remote())


def test_nothing_is_left_when_a_run_ends(tmp_path: Path) -> None:
    write(tmp_path)
    before = of_interpreter()
    with pytest.raises(LookupError):
        play(fails_at_home, tmp_path)
    assert of_interpreter() == before


def waits_at_home(folder: Path) -> None:
    @ag.remote(num_cpus=0, runtime_env={"working_dir": folder})
    def waits() -> None:
        importlib.import_module("ag_homes_counter")
        ag.get(never.remote())

    @ag.remote(num_cpus=1000)
    def never() -> None: ...

    ag.wait([waits.remote()], timeout=1)


def test_nothing_is_left_of_a_process_that_never_ends(tmp_path: Path) -> None:
    write(tmp_path)
    before = of_interpreter()
    play(waits_at_home, tmp_path)
    assert of_interpreter() == before


def moves(folder: Path) -> None:
    counter = Counter.options(runtime_env={"working_dir": folder / "a"}).remote(1)
    ag.get(counter.move.remote(folder / "b"))
    assert str(Path.cwd()) != str(folder / "b")
    assert ag.get(counter.count.remote()) == (1, str(folder / "b"))


def test_process_that_goes_elsewhere_is_found_there_again(tmp_path: Path) -> None:
    for name in "ab":
        write(tmp_path / name)
    play(moves, tmp_path)


def hidden(folder: Path) -> None:
    loaded = importlib.import_module("ag_homes_counter")

    @ag.remote(runtime_env={"py_modules": [folder / "ag_homes_counter.py"]})
    def count() -> Any:
        return importlib.import_module("ag_homes_counter").count(5)

    assert ag.get(count.remote()) == 5
    assert loaded is importlib.import_module("ag_homes_counter")
    assert loaded.COUNT == 0


def test_module_of_the_environment_goes_before_the_programs_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "program")
    write(tmp_path / "environment")
    monkeypatch.syspath_prepend(str(tmp_path / "program"))
    try:
        play(hidden, tmp_path / "environment")
    finally:
        del sys.modules["ag_homes_counter"]


def shares(folder: Path) -> None:
    loaded = importlib.import_module("ag_homes_counter")

    @ag.remote(runtime_env={"working_dir": folder})
    def found() -> int:
        return id(importlib.import_module("ag_homes_counter"))

    assert ag.get(found.remote()) == id(loaded)
    assert sys.modules["ag_homes_counter"] is loaded


def test_module_that_the_program_has_loaded_from_there_is_everybodys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    try:
        play(shares, tmp_path)
    finally:
        del sys.modules["ag_homes_counter"]


def hooked() -> None:
    @ag.remote(num_cpus=0)
    class Log:
        def __init__(self) -> None:
            self.notes: list[str] = []

        def note(self, what: str) -> list[str]:
            self.notes.append(os.environ["AG_TEST_HOOKED"] + what)
            return self.notes

    def hook() -> None:
        os.environ["AG_TEST_HOOKED"] = "hooked "

    @ag.remote(num_cpus=0)
    def note(log: Any, what: str) -> None:
        ag.get(log.note.remote(what))

    log = Log.options(runtime_env={"worker_process_setup_hook": hook}).remote()
    ag.get([note.remote(log, "a"), note.remote(log, "b")])
    assert sorted(ag.get(log.note.remote("c"))) == ["hooked a", "hooked b", "hooked c"]


def test_every_schedule_of_a_program_with_hooks_is_tried() -> None:
    proof = sim.prove(hooked)
    assert (proof.complete, proof.failures) == (True, [])
    assert proof.classes == 2
