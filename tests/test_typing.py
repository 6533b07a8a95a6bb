"""Four type checkers over ``tests/typing``: what they must accept, and the lines that they must reject."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

HERE = Path(__file__).parent / "typing"
ROOT = HERE.parents[1]


def tool(name: str) -> str:
    """Return the path of a checker that is installed beside this Python; skip the test if there is none."""
    path = Path(sys.executable).with_name(name)
    if not path.exists():
        pytest.skip(f"{name} is not installed: it is one of the tools of the extra 'dev'")
    return str(path)


def run(*command: str) -> str:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout


def mypy(file: Path, tmp_path: Path) -> set[int]:
    """Return the lines of a file in which mypy finds something wrong, whatever its comments say."""
    plain = tmp_path / file.name
    plain.write_text(file.read_text(encoding="utf-8").replace("# type: ignore", "# rejected:"), encoding="utf-8")
    said = run(tool("mypy"), "--follow-imports=silent", "--no-error-summary", str(plain))
    return {int(line.split(":")[1]) for line in said.splitlines() if ": error:" in line}


def basedpyright(file: Path, tmp_path: Path) -> set[int]:
    """The same by pyright, in the distribution that brings its own node."""
    config = {"include": [str(file)], "extraPaths": [str(ROOT)], "enableTypeIgnoreComments": False}
    path = tmp_path / "pyrightconfig.json"
    path.write_text(json.dumps(config | {"typeCheckingMode": "standard"}), encoding="utf-8")
    said = json.loads(run(tool("basedpyright"), "-p", str(path), "--pythonpath", sys.executable, "--outputjson"))
    assert said["summary"]["filesAnalyzed"] == 1
    return {each["range"]["start"]["line"] + 1 for each in said["generalDiagnostics"] if each["severity"] == "error"}


def pyrefly(file: Path, tmp_path: Path) -> set[int]:
    """The same by pyrefly."""
    path = tmp_path / "pyrefly.toml"
    path.write_text(
        f"project-includes = [{str(file)!r}]\nsearch-path = [{str(ROOT)!r}]\nenabled-ignores = []\n", "utf-8"
    )
    said = run(
        tool("pyrefly"),
        "check",
        "-c",
        str(path),
        "--python-interpreter-path",
        sys.executable,
        "--output-format",
        "json",
    )
    return {each["line"] for each in json.loads(said)["errors"]}


def ty(file: Path, tmp_path: Path) -> set[int]:
    """The same by ty."""
    del tmp_path
    heed_no_comments = "analysis.respect-type-ignore-comments=false"
    command = ["check", "--python", sys.executable, "-c", heed_no_comments, "--output-format", "concise", str(file)]
    return {int(line.split(":")[1]) for line in run(tool("ty"), *command).splitlines() if ": error[" in line}


CHECKERS = [mypy, basedpyright, pyrefly, ty]


@pytest.mark.parametrize("checker", CHECKERS)
def test_checker_accepts(checker: Callable[[Path, Path], set[int]], tmp_path: Path) -> None:
    assert checker(HERE / "accepted.py", tmp_path) == set()


@pytest.mark.parametrize("checker", CHECKERS)
def test_checker_rejects_these_lines_and_no_others(checker: Callable[[Path, Path], set[int]], tmp_path: Path) -> None:
    file = HERE / "rejected.py"
    lines = file.read_text(encoding="utf-8").splitlines()
    marked = {number for number, line in enumerate(lines, 1) if "# type: ignore[" in line}
    assert len(marked) >= 15
    assert checker(file, tmp_path) == marked


def test_comments_name_the_errors_that_mypy_finds() -> None:
    command = ("--follow-imports=silent", "--no-error-summary", "--warn-unused-ignores", str(HERE / "rejected.py"))
    assert run(tool("mypy"), *command) == ""
