"""Does what the contract suite says of actorgrid hold on Ray itself? Needs the extra ``ray``, and pytest.

    python benchmarks/agreement.py [--results FILE] [tests/contract/test_tasks.py ...]

Runs every contract test that is one for real processes on real Ray, a process per file, and prints a row for each file:
how many hold there too. What does not is on the page of differences (``tests/differences.py``), or printed.
Results are kept in FILE and not asked for again, so that a run that was interrupted goes on.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import runpy
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Container
from pathlib import Path
from typing import Final

ROOT = Path(__file__).resolve().parents[1]
HERE = ROOT / "benchmarks" / "on_ray"
#: Whatever takes longer than this for one test hangs where no signal reaches it (seconds).
LIMIT = 120
#: How pytest ends: all passed, some failed, there is nothing to run; or it was killed, because a test hung.
ENDINGS: Final = {0, 1, 5, -signal.SIGKILL}
#: What a test says that uses a name, or an option, of actorgrid's own.
USES_MORE = re.compile(
    "NotInRayError|module 'ray' has no attribute"
    "|(Invalid option keyword |unexpected keyword argument '|Unknown keyword argument.s.: )"
    "(checkpoint|timeout|run_timeout|priority|max_workers|max_pending_tasks|max_worker_memory|preload)"
)
#: What Ray has nothing to compare with.
BEYOND = {
    "test_checkpoints": "actors that resume from their saved state",
    **dict.fromkeys(["test_coordination", "test_locks"], "what processes meet at by name"),
    "test_executor": "concurrent.futures' interface",
    "test_explain": "explain()",
    "test_pending_tasks": "init(max_pending_tasks=)",
    **dict.fromkeys(
        ["test_state", "test_state_of_actors", "test_state_of_objects"],
        "Ray answers through its dashboard, which is a package of its own and lags behind",
    ),
    "test_timeouts": "time limits of tasks and calls",
}


def run(file: Path, results: Path, done: set[str]) -> None:
    """Run the tests of a file on Ray; add what comes of them to ``results``."""
    name = str(file.relative_to(ROOT))
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(HERE), str(ROOT)]), "PYTHONSAFEPATH": "1", "ON_RAY_RESULTS": str(results),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    }  # fmt: skip
    command = [
        sys.executable, "-P", "-m", "pytest", "-p", "on_ray", "-p", "no:cacheprovider", "--import-mode=importlib",
        "--rootdir", str(ROOT), "-c", str(ROOT / "pyproject.toml"), "-o", "addopts=", "-o", "filterwarnings=ignore",
        "-q", "-m", "not slow", str(file),
        *(f"--deselect={test}" for test in done if test.startswith(f"{name}::")),
    ]  # fmt: skip
    with tempfile.TemporaryFile("w+") as output:
        running = subprocess.Popen(command, cwd=HERE, env=environment, stdout=output)
        _run(running, results)
        output.seek(0)
        last = output.read().rpartition("\n\n")[2]
        if "error" in last or running.returncode not in ENDINGS:
            print(f"{name}: {last}", file=sys.stderr)


def _run(running: subprocess.Popen[bytes], results: Path) -> None:
    results.touch()
    try:
        while _goes_on(running, results):
            pass
    finally:
        running.kill()
        running.wait()
        subprocess.run([Path(sys.executable).parent / "ray", "stop", "--force"], check=False, capture_output=True)


def _goes_on(running: subprocess.Popen[bytes], results: Path) -> bool:
    """Wait until the process ends, or no test has begun or ended for too long. Returns whether neither is so."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        running.wait(10)
        return False
    return time.time() - results.stat().st_mtime < LIMIT


def read(results: Path) -> dict[str, dict[str, str]]:
    """Return what is known: test -> what came of it."""
    if not results.exists():
        return {}
    lines = results.read_text(encoding="utf-8").splitlines()
    return {row["test"]: row for row in map(json.loads, lines)}


def explained() -> dict[str, str]:
    """Return which tests do not hold on Ray as far as the page of differences knows: name -> what Ray does."""
    rows = [
        row
        for section in runpy.run_path(str(ROOT / "tests" / "differences.py"))["SECTIONS"].values()
        for row in section
    ]
    return {test: row.ray for row in rows for test in row.fails}


def kind(test: str, row: dict[str, str], known: Container[str]) -> str:
    """Return which column of the report a test belongs to."""
    if row["outcome"] in {"passed", "skipped"}:
        return row["outcome"]
    name = test.removeprefix("tests/contract/test_").replace(".py::", "::").partition("[")[0]
    if name in known or f"{name.rpartition('::')[0]}::*" in known:
        return "differs"
    return "beyond" if USES_MORE.search(row["why"]) else "unexplained"


def report(results: dict[str, dict[str, str]]) -> bool:
    """Print a row per file, and what does not hold on Ray for no known reason. Returns whether that is nothing."""
    known = explained()
    kinds = {test: kind(test, row, known) for test, row in results.items()}
    files: dict[str, Counter[str]] = {}
    for test, what in kinds.items():
        files.setdefault(Path(test.partition("::")[0]).stem.removeprefix("test_"), Counter())[what] += 1
    print("| | hold on Ray | differ as the page says | use what Ray has not | not explained |\n|---|--:|--:|--:|--:|")
    for name, counts in [*sorted(files.items()), ("all", sum(files.values(), Counter()))]:
        print(
            f"| {name} | "
            + " | ".join(str(counts[what]) for what in ("passed", "differs", "beyond", "unexplained"))
            + " |"
        )
    for name, reason in BEYOND.items():
        print(f"| {name.removeprefix('test_')} | – | – | all: {reason} | – |")
    open_ = [test for test, what in kinds.items() if what == "unexplained"]
    for test in open_:
        print(f"{test}: {results[test]['why'].splitlines()[0] if results[test]['why'] else 'hangs'}")
    return not open_


def main() -> int:
    """Run what is not known yet, and print what is. Returns the exit status: 0 if all that differs is known."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--results", type=Path, default=Path("agreement.jsonl"))
    parser.add_argument("files", nargs="*", type=Path)
    asked = parser.parse_args()
    for file in asked.files or sorted((ROOT / "tests" / "contract").glob("test_*.py")):
        if not asked.files and file.stem in BEYOND:
            continue
        known: set[str] | None = None
        while known != (known := set(read(asked.results))):  # again, without the test that hung
            run(file.resolve(), asked.results.resolve(), known)
    return 0 if report(read(asked.results)) else 1


if __name__ == "__main__":
    sys.exit(main())
