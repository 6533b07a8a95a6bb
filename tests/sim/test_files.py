"""Processes that meet at files: what they do there is tried in other orders too, and nobody says that it is all."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import actorgrid as ag
from actorgrid import sim
from actorgrid.sim.onlookers import Holds

pytestmark = pytest.mark.search


def outcomes(program: Callable[[Path], Any], path: Path, *, reduction: str = "dpor") -> set[Any]:
    """Return everything that the program can return, as far as it is tried."""
    seen: set[Any] = set()
    proof = sim.prove(lambda: seen.add(program(path)), reduction=reduction, max_schedules=500)
    assert not proof.failures, proof.failures[0].error
    return seen


@ag.remote
def append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def two_appends(path: Path) -> str:
    path.write_text("")
    ag.get([append.remote(path, text) for text in "ab"])
    return path.read_text()


@ag.remote
def count_up(path: Path) -> None:
    count = int(path.read_text())
    path.write_text(str(count + 1))


def lost_update(path: Path) -> str:
    path.write_text("0")
    ag.get([count_up.remote(path) for _ in range(2)])
    return path.read_text()


@ag.remote
def rename(path: Path, new: str) -> bool:
    try:
        path.rename(path.with_suffix(new))
    except FileNotFoundError:
        return False
    return True


def two_renames(path: Path) -> tuple[bool, ...]:
    path.write_text("")
    return tuple(ag.get([rename.remote(path, new) for new in (".a", ".b")]))


@ag.remote
def make(path: Path) -> None:
    path.mkdir()


@ag.remote
def count(path: Path) -> int:
    return len(list(path.iterdir()))


def looks_while_another_makes(path: Path) -> int:
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir()
    made, seen = make.remote(path / "new"), count.remote(path)
    ag.get(made)
    return int(ag.get(seen))


@ag.remote
def is_there(path: Path) -> bool:
    return path.exists()


def asks_while_another_makes(path: Path) -> bool:
    shutil.rmtree(path, ignore_errors=True)
    made, seen = make.remote(path), is_there.remote(path)
    ag.get(made)
    return bool(ag.get(seen))


@ag.remote
class Keeper:
    def __init__(self, path: Path) -> None:
        self.path = path

    def keep(self, text: str) -> None:
        self.path.write_text(text)


def two_actors(path: Path) -> str:
    ag.get([Keeper.remote(path).keep.remote(text) for text in "ab"])
    return path.read_text()


MEETINGS: list[tuple[Callable[[Path], Any], set[Any]]] = [
    (two_appends, {"ab", "ba"}),
    (lost_update, {"1", "2"}),
    (two_renames, {(True, False), (False, True)}),
    (looks_while_another_makes, {0, 1}),
    (asks_while_another_makes, {False, True}),
    (two_actors, {"a", "b"}),
]


@pytest.mark.parametrize("reduction", ["dpor", "none"])
@pytest.mark.parametrize(("program", "expected"), MEETINGS)
def test_every_order_in_which_files_are_touched_is_tried(
    program: Callable[[Path], Any], expected: set[Any], reduction: str, tmp_path: Path
) -> None:
    assert outcomes(program, tmp_path / "file", reduction=reduction) == expected


def test_search_of_processes_that_meet_at_a_file_is_not_called_exhaustive(tmp_path: Path) -> None:
    path = tmp_path / "file"
    found, proof = sim.explore(two_appends, path, runs=500), sim.prove(two_appends, path)
    assert not found.failures
    assert not proof.failures
    assert not found.exhaustive
    assert not proof.complete
    for result in (found, proof):
        assert result.met == str(path)
        assert f"processes meet at {path}" in str(result)


def test_what_was_tried_is_replayed(tmp_path: Path) -> None:
    def program() -> None:
        assert lost_update(tmp_path / "file") == "2"

    failure = sim.explore(program, runs=100).failures[0]
    assert failure.schedule.settings == {"holds": int(Holds.FILES)}
    assert sim.replay(failure.schedule.dumps(), program).digest == failure.run.digest


# ------------------------------------------------------------------------------------------ no more than that


@ag.remote
def read(path: Path, _: Any = None) -> str:
    return path.read_text()


@ag.remote
def write(path: Path, text: str) -> None:
    path.write_text(text)


@ag.remote
def read_what_a_child_wrote(path: Path) -> str:
    ag.get(write.remote(path, "new"))
    return path.read_text()


@ag.remote
def remove_tree(path: Path) -> None:
    shutil.rmtree(path)


def hands_over(path: Path) -> list[str]:
    path.write_text("old")
    return ag.get([read.remote(path), read.remote(path)])


def takes_back(path: Path) -> str:
    ag.get(write.remote(path, "new"))
    return path.read_text()


def chain(path: Path) -> str:
    return str(ag.get(read.remote(path, write.remote(path, "new"))))


def one_after_the_other(path: Path) -> str:
    ag.get(write.remote(path, "old"))
    ag.get(write.remote(path, "new"))
    return path.read_text()


def asks_a_child(path: Path) -> str:
    assert ag.get(read_what_a_child_wrote.remote(path)) == "new"
    return path.read_text()


def files_of_their_own(path: Path) -> list[Any]:
    return ag.get([write.remote(path.with_suffix(f".{name}"), name) for name in "ab"])


def remove_trees(path: Path) -> list[Any]:
    for name in "ab":
        (path / name / "same").mkdir(parents=True)
    return ag.get([remove_tree.remote(path / name) for name in "ab"])


ORDERED = [hands_over, takes_back, chain, one_after_the_other, asks_a_child, files_of_their_own, remove_trees]


@pytest.mark.parametrize("program", ORDERED)
def test_who_had_to_wait_for_the_other_does_not_meet_it(program: Callable[[Path], Any], tmp_path: Path) -> None:
    path = tmp_path / "file"
    proof = sim.prove(program, path)
    assert (proof.complete, proof.failing, proof.classes) == (True, 0, 1)
    assert sim.explore(program, path, runs=20).exhaustive
    run = sim.run(program, path)
    assert (run.met, run.needs) == ("", Holds.NOTHING)


def test_driver_that_does_not_wait_meets_its_task(tmp_path: Path) -> None:
    def program() -> str:
        path = tmp_path / "file"
        path.write_text("old")
        ref = write.remote(path, "new")
        found = path.read_text()
        ag.get(ref)
        return found

    assert sim.run(program).met
