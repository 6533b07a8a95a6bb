"""Which lines of ``core`` and ``wire`` does the simulation suite execute?

    python benchmarks/coverage_by_simulation.py [--missing] [--by-test FILE] [TESTS ...]

Runs the simulation suite (or TESTS) in this process and prints a row per file. Lines are noted by ``sys.monitoring``
(Python 3.12 or later): each is reported once for each test, so that it costs little, and it knows nothing of threads,
which a tracer would have to tell from greenlets.

What is no line to execute: blocks for type checkers, and the bodies of protocols.
"""

from __future__ import annotations

import argparse
import ast
import json
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import CodeType
from typing import Any, Final

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
ASKED: Final = 95.0
#: The simulation suite: the machines alone under random programs (of tasks and actors, of placement groups, of what is
#: put and read under a store that is too small, of messages that make no sense), then whole programs. Tests that start
#: processes are none of it: "process" is in the name of those that have a twin there.
SUITE: Final = [
    "tests/core/test_programs.py", "tests/core/test_drawn_programs.py", "tests/core/test_reservation_programs.py",
    "tests/core/test_spilling.py", "tests/core/test_nonsense.py", "tests/sim", "tests/zoo", "tests/contract",
    "--ignore=tests/sim/test_realplay.py", "--ignore=tests/sim/test_differential.py", "-k", "not process and not real",
]  # fmt: skip
#: Not counted, and why.
EXCLUDED: Final = {
    "core/head/stage.py": "makes real processes follow a simulated run; in a simulation there is nothing for it to do",
}


class Recorder:
    """Notes the lines of some files that are executed, by test. A plug-in of pytest."""

    def __init__(self, folders: tuple[str, ...]) -> None:
        self._folders = folders
        #: Test ("": what is executed on import) -> file and line.
        self.lines: defaultdict[str, set[tuple[str, int]]] = defaultdict(set)
        #: Test -> how long it took (seconds).
        self.seconds: dict[str, float] = {}
        self._now = self.lines[""]
        #: The real one: by the names that modules have for it, it is virtual while a world is open, from test to test.
        self._clock = time.perf_counter
        #: What says that a line need not be reported again.
        self._enough: Any = None

    def start(self) -> None:
        """Begin: what was imported before has run unseen."""
        watch: Any = sys.monitoring  # type: ignore[attr-defined,unused-ignore]  # Python 3.12
        self._enough = watch.DISABLE
        self._again = watch.restart_events
        watch.use_tool_id(watch.COVERAGE_ID, "coverage by simulation")
        watch.register_callback(watch.COVERAGE_ID, watch.events.LINE, self._line)
        watch.set_events(watch.COVERAGE_ID, watch.events.LINE)

    def _line(self, code: CodeType, line: int) -> Any:
        if code.co_filename.startswith(self._folders):
            self._now.add((code.co_filename, line))
        return self._enough

    def pytest_runtest_protocol(self, item: Any) -> None:
        """What is executed from here on is of this test."""
        self._now = self.lines[item.nodeid]
        self._again()
        self.seconds[item.nodeid] = self._clock()

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """The test is over."""
        self.seconds[nodeid] = self._clock() - self.seconds[nodeid]

    def save(self, path: Path) -> None:
        """Write, for each test, how long it took and which lines of which files it executed."""
        tests = {}
        name = cache(lambda file: Path(file).relative_to(ROOT).as_posix())
        for test, lines in self.lines.items():
            files: defaultdict[str, list[int]] = defaultdict(list)
            for file, line in sorted(lines):
                files[name(file)].append(line)
            tests[test] = {"seconds": self.seconds.get(test, 0.0), "lines": files}
        path.write_text(json.dumps(tests), encoding="utf-8")


def executable(path: Path) -> set[int]:
    """Return the lines of a file that could be executed."""
    text = path.read_text(encoding="utf-8")
    left = set(_lines(compile(text, str(path), "exec")))
    for node in ast.walk(ast.parse(text)):
        if _is_for_readers(node):
            left -= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return left


def _lines(code: CodeType) -> Iterator[int]:
    yield from (line for _, _, line in code.co_lines() if line)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _lines(constant)


def _is_for_readers(node: ast.AST) -> Any:
    """Return whether this is a block for type checkers, or the body of a function that is a docstring."""
    if isinstance(node, ast.If):
        return isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
    if not isinstance(node, ast.FunctionDef):
        return False
    return len(node.body) == 1 and isinstance(node.body[0], ast.Expr) and isinstance(node.body[0].value, ast.Constant)


def report(lines: set[tuple[str, int]], *, missing: bool) -> float:
    """Print a row per file; return the share of all lines, in percent."""
    done = total = 0
    for path in sorted(path for part in ("core", "wire") for path in (ROOT / "actorgrid" / part).rglob("*.py")):
        name = path.relative_to(ROOT / "actorgrid").as_posix()
        wanted = executable(path)
        got = {line for file, line in lines if file == str(path)} & wanted
        if not wanted:
            continue
        note = f"  not counted: {EXCLUDED[name]}" if name in EXCLUDED else ""
        print(f"{name:28} {len(got):5} of {len(wanted):5}  {100 * len(got) / len(wanted):5.1f} %{note}")
        if missing and got != wanted and not note:
            print(f"{'':28} {', '.join(map(str, sorted(wanted - got)))}")
        if not note:
            done += len(got)
            total += len(wanted)
    return 100 * done / total


def main() -> int:
    """Run the tests and print what they executed. Returns the exit status of the tests."""
    if sys.version_info < (3, 12):
        sys.exit("sys.monitoring needs Python 3.12 or later")
    parser = argparse.ArgumentParser()
    parser.add_argument("--missing", action="store_true", help="print the numbers of the lines that were not executed")
    parser.add_argument("--by-test", type=Path, help="write which test executed what, as JSON")
    parser.add_argument("tests", nargs="*")
    asked = parser.parse_args()
    recorder = Recorder(tuple(str(ROOT / "actorgrid" / part) for part in ("core", "wire")))
    recorder.start()
    import pytest  # the plug-in imports actorgrid: only from here on is it seen

    options = ["-q", "-p", "no:cacheprovider", "--rootdir", str(ROOT), *(asked.tests or SUITE)]
    status = pytest.main(options, plugins=[recorder])
    if asked.by_test:
        recorder.save(asked.by_test)
    share = report(set().union(*recorder.lines.values()), missing=asked.missing)
    print(f"\nlines of core and wire executed: {share:.1f} %   (asked: at least {ASKED:.0f} %)")
    return int(status)


if __name__ == "__main__":
    sys.exit(main())
