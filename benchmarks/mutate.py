"""How many small mistakes in ``core`` does the simulation suite notice?

    python benchmarks/coverage_by_simulation.py --by-test FILE
    python benchmarks/mutate.py --by-test FILE [--mutants N] [--minutes M] [--seed N] [--jobs N] [--each SECONDS]
        [--rest] [--line FILE:LINE ...]

Plants one mutation at a time into a copy of the package (a condition negated, a comparison turned, a statement or a
transition dropped, a number off by one) and runs those tests of the simulation suite that execute the line, by the
records in FILE, until one fails: what has noticed most in a second so far comes first, and a mutant is given so many
seconds. What they do not notice is given to the tests of the machines by hand. Prints the share that each of the two
noticed, and what was not: of those that were judged when the minutes were over, or when it was told to stop (Ctrl-C,
SIGTERM). Lines known to be beyond notice (``EQUIVALENT``) are not drawn, nor are the values of constants.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from coverage_by_simulation import SUITE

ROOT = Path(__file__).parents[1]
#: What only describes, or checks, or makes real processes follow a simulated run.
SKIPPED = {"signals.py", "check.py", "check_books.py", "check_calls.py", "check_rest.py", "stage.py"}
#: Lines, or mutants of one, that were looked at by hand and found to change nothing that anybody can see, and why.
EQUIVALENT = {
    "memory.py: peer.leased = peer.live_bytes = 0": "of a process that has died; nobody looks at it again",
    "reservations.py: self.head.objects.fulfil(oid, value, 0, asker)": "the writer matters in shared memory alone",
    "actors.py: actor.flying = 0": "set to 0 again when the next process starts; without one nothing is sent",
    "records.py: self.window = 64 + (concurrency if concurrency > 1 else 0)": "how far ahead it is sent: pace",
    "records.py: return 0 <= self.bound <= self.at - self.taken": "a bound of 0 is refused by the interface",
    "spilling.py: self._step(place, PI.ORPHANED)": "it stays in the state in which it is",
    "objects.py: while owed and budget > 0:": "how much is sent at once: pace",
    "reservations.py: self.owner = 0": "no actor has such a number",
    "reservations.py: self.head.tasks.end(task, (), 0) [0 -> 1]": "it makes nothing that could have an owner",
    "journals.py: self.head.tasks.end(task, (), 0) [0 -> 1]": "it makes nothing that could have an owner",
    "pressure.py: rank = 1 if worker.actor.restarts else 3 [3 -> 4]": "still the last to go",
    "backoff.py: return full * (0.5 + self._draw() / 2)": "how much of a pause is left to chance",
    "dispatch.py: if task.retries > 0: [Gt -> GtE]": "a task without retries does not come here",
    "workers.py: if missing > 0 and self.stillborn < STRIKES: [Gt -> GtE]": "starting none is nothing",
    "reservations.py: group.shapes.clear()": "breaks a circle of references: memory alone",
    "library.py: spec.taught.clear()": "breaks a circle of references: memory alone",
    "machine.py: if self.past.room < self.past.burst: [Lt -> LtE]": "filling what is full is nothing",
    "machine.py: self._last_peer += 1 [1 -> 2]": "numbers that nobody else has",
    "machine.py: self._last_id += 1 [1 -> 2]": "numbers that nobody else has",
    "alarms.py: self._last = number = self._last + 1 [1 -> 2]": "numbers that nobody else has",
    "refusals.py: there = sum(worker.pid > 0 for worker in head.workers.table.values()) [0 -> 1]": "no such pid",
    "records.py: self.checksum = 0": "set before it is read",
    "spilling.py: self.moves = 0": "two values of it are compared, from wherever it starts",
    "records.py: self.moves = 0": "set before it is read",
    "room.py: self._wait(RoomRequest(self._next(), reserved(place.extent.size), 0, 0, place)) [0 -> 1]": "unused",
    "machine.py: self._story: deque[tuple[float, int, str, str]] = deque(maxlen=4096)": "how many lines people get",
    "restarts.py: actor.restarts -= actor.restarts > 0 [Gt -> GtE]": "an actor that may not restart does not come here",
    "worker.py: if len(self.early) > MOST_EARLY: [Gt -> GtE]": "how many are remembered",
    "library.py: peer.specs.clear()": "breaks a circle of references: memory alone",
}
#: What is called to tell people, in logs of a bug.
FOR_PEOPLE = re.compile(r"dropped: [a-z_.]*\.note\(")
#: The tables of transitions; what else is in their file describes.
TABLES = {"TASK", "ACTOR", "WORKER"}
#: The machines, message by message; the random programs among them are the simulation's.
BY_HAND = ["-m", "not slow", "tests/core", *(f"--ignore={name}" for name in SUITE if name.startswith("tests/core"))]
#: More lines than any file of ``core`` has.
ROOM = 1000
#: Tests that take longer than this (seconds) hang: noticed.
LIMIT = 240
TURNED = {ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq}
TURNED |= {ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In}  # type: ignore[dict-item]


@dataclass(frozen=True)
class Mutant:
    """One mistake: the ``index``-th place of its kind in a file."""

    file: Path
    index: int
    line: int
    what: str


def _is_tuning(target: ast.expr) -> bool:
    """Return whether this is a constant by name: what somebody has chosen, and another number is no mistake."""
    return isinstance(target, ast.Name) and target.id.isupper()


class Planter(ast.NodeTransformer):
    """Visits places in a fixed order and changes number ``index`` (none if it is negative)."""

    def __init__(self, index: int, *, tables_only: bool = False) -> None:
        self.index = index
        self.tables_only = tables_only
        self.count = -1
        self.found: list[tuple[int, str]] = []

    def _here(self, node: ast.AST, what: str) -> bool:
        if self.tables_only:
            return False
        return self._count(getattr(node, "lineno", 0), what)

    def _count(self, line: int, what: str) -> bool:
        self.count += 1
        self.found.append((line, what))
        return self.count == self.index

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        if _is_tuning(node.target) and not self.tables_only:
            return node
        self.generic_visit(node)
        if isinstance(node.target, ast.Name) and node.target.id in TABLES and isinstance(node.value, ast.Dict):
            table = node.value
            for at, key in enumerate(table.keys):
                if key is not None and self._count(key.lineno, f"transition dropped: {ast.unparse(key)}"):
                    del table.keys[at], table.values[at]
                    break
        return node

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        return node if _is_tuning(node.targets[0]) else self.generic_visit(node)

    def visit_If(self, node: ast.If) -> ast.AST:
        self.generic_visit(node)
        if self._here(node, "condition negated"):
            node.test = ast.UnaryOp(ast.Not(), node.test)
        return node

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        self.generic_visit(node)
        turned = TURNED.get(type(node.ops[0]))
        if turned is not None and self._here(node, f"{type(node.ops[0]).__name__} -> {turned.__name__}"):
            node.ops[0] = turned()
        return node

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.AST:
        self.generic_visit(node)
        if self._here(node, "counting dropped"):
            return ast.Pass()
        return node

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.value, ast.Call) and self._here(node, f"dropped: {ast.unparse(node)[:60]}"):
            return ast.Pass()
        return node

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        if type(node.value) is int and self._here(node, f"{node.value} -> {node.value + 1}"):
            return ast.Constant(node.value + 1)
        return node


def planter(file: Path, index: int) -> Planter:
    """Return what plants mistake ``index`` into this file."""
    return Planter(index, tables_only=file.name == "states.py")


def mutants() -> Iterator[Mutant]:
    """Yield every mutation there is. Raises LookupError for a line in ``EQUIVALENT`` that is there no more."""
    unknown = dict(EQUIVALENT)
    for file in sorted((ROOT / "actorgrid" / "core").rglob("*.py")):
        if file.name in SKIPPED or file.name == "__init__.py" or file.parent.name == "messages":
            continue
        looks, text = planter(file, -1), file.read_text(encoding="utf-8")
        looks.visit(ast.parse(text))
        lines = text.splitlines()
        for index, (line, what) in enumerate(looks.found):
            where = f"{file.name}: {lines[line - 1].strip()}"
            names = {where, f"{where} [{what}]"}
            for name in names:
                unknown.pop(name, None)
            if not names.isdisjoint(EQUIVALENT) or FOR_PEOPLE.match(what):
                continue
            yield Mutant(file.relative_to(ROOT), index, line, what)
    if unknown:
        raise LookupError(f"EQUIVALENT has lines that are not in core: {', '.join(unknown)}")


class Suite:
    """The tests of the simulation: what each executes, how long it takes, and how much it has noticed."""

    def __init__(self, path: Path, each: float) -> None:
        """``each``: how long the tests for one mutant may take together, by what is on record (seconds)."""
        tests = json.loads(path.read_text(encoding="utf-8"))
        self.on_import: dict[str, list[int]] = tests.pop("", {"lines": {}})["lines"]
        self.seconds: dict[str, float] = {name: test["seconds"] for name, test in tests.items()}
        self.lines = {name: {file: set(at) for file, at in test["lines"].items()} for name, test in tests.items()}
        files = {
            file: at for at, file in enumerate(sorted({file for test in tests.values() for file in test["lines"]}))
        }
        #: Test -> what it executes, a bit for each line (no file has ``ROOM``).
        self.bits = {
            name: sum(sum(1 << line for line in lines) << ROOM * files[file] for file, lines in test["lines"].items())
            for name, test in tests.items()
        }
        self.noticed: Counter[str] = Counter()
        self.each = each

    def chosen(self, mutant: Mutant) -> tuple[list[str], list[str]]:
        """Return the tests that may notice this mutant, the best ones first: those for its time, and the others.

        A third of the time is for those that have noticed most so far. Then comes what executes most lines that no
        test before it has, for each second that it takes: what the line has spoilt may be seen elsewhere. (The order
        of "additional statement coverage": Rothermel, Untch, Chu and Harrold 2001, "Prioritizing test cases".)
        """
        file, line = mutant.file.as_posix(), mutant.line
        may = [name for name, lines in self.lines.items() if line in lines.get(file, ())]
        if not may and line in self.on_import.get(file, ()):
            may = list(self.lines)
        may.sort(key=lambda name: -(1 + 10 * self.noticed[name]) / self._cost(name))
        some = self._within(may, self.each / 3)
        some += self._within(self._widest(may, some), self.each - self.takes(some))
        return some, [name for name in may if name not in set(some)]

    def takes(self, names: list[str]) -> float:
        """Return how long some tests took when they were recorded (seconds)."""
        return sum(map(self.seconds.__getitem__, names))

    def _cost(self, name: str) -> float:
        return 0.02 + self.seconds[name]

    def _within(self, names: Iterable[str], seconds: float) -> list[str]:
        some: list[str] = []
        for name in names:
            seconds -= self.seconds[name]
            if seconds < 0 and some:
                break
            some.append(name)
        return some

    def _widest(self, may: list[str], before: list[str]) -> Iterator[str]:
        """Yield the others: at any time the one that adds most lines in a second to those before."""
        left = dict.fromkeys(may)
        unseen = -1
        for name in before:
            del left[name]
            unseen &= ~self.bits[name]
        while left:
            best = max(left, key=lambda name: (self.bits[name] & unseen).bit_count() / self._cost(name))
            del left[best]
            yield best
            unseen &= ~self.bits[best]
            if not any(self.bits[name] & unseen for name in left):
                unseen = -1  # every line was seen: once more from the start


class Bench:
    """A copy of the repository in which one mistake at a time is planted."""

    def __init__(self, folder: Path, suite: Suite, until: float, *, rest: bool) -> None:
        """Make the copy.

        ``until``: what is not judged by then is given up (``time.monotonic``). ``rest``: what is not noticed in its
        time is given to all other tests that execute the line.
        """
        self.folder = folder
        self.suite = suite
        self.rest = rest
        self._until = until
        self._running: subprocess.Popen[str] | None = None
        for name in ("actorgrid", "tests", "docs"):
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", folder)

    def stop(self) -> None:
        """Give up, from another thread."""
        self._until = 0.0
        if running := self._running:
            _end(running)

    def notices(self, mutant: Mutant) -> str | None:
        """Return who notices this mistake: "simulation", "by hand" or ""; None: nobody could say in time."""
        if self._over():
            return None
        original = (ROOT / mutant.file).read_text(encoding="utf-8")
        changed = ast.fix_missing_locations(planter(mutant.file, mutant.index).visit(ast.parse(original)))
        (self.folder / mutant.file).write_text(ast.unparse(changed), encoding="utf-8")
        try:
            who = self._who(mutant)
            return None if self._over() else who
        finally:
            (self.folder / mutant.file).write_text(original, encoding="utf-8")

    def _over(self) -> bool:
        return time.monotonic() > self._until

    def _who(self, mutant: Mutant) -> str:
        some, others = self.suite.chosen(mutant)
        for names in (some, others if self.rest else []):
            if not names:
                continue
            (self.folder / "order.json").write_text(json.dumps(names), encoding="utf-8")
            files = sorted({name.partition("::")[0] for name in names})
            limit = max(LIMIT, 3 * self.suite.takes(names))
            if by := self._fails(["-p", "in_order", "--in-order", "order.json", *files], limit):
                self.suite.noticed[by] += 1
                return "simulation"
        return "by hand" if self._fails(BY_HAND, LIMIT) else ""

    def _fails(self, arguments: list[str], limit: float) -> str:
        """Return the test that fails ("?": none, and yet it does not pass), or ""."""
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *arguments]
        path = os.pathsep.join([str(self.folder), str(Path(__file__).parent)])
        environment = os.environ | {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
        if self._over():
            return "?"
        limit = min(limit, self._until - time.monotonic() + 0.1)
        with subprocess.Popen(
            command, cwd=self.folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            start_new_session=True,
        ) as running:  # fmt: skip
            self._running = running
            try:
                printed, _ = running.communicate(timeout=limit)
            except subprocess.TimeoutExpired:
                return "?"
            finally:
                self._running = None
                _end(running)
        if running.returncode == 0:
            return ""
        failed = re.search(r"^(?:FAILED|ERROR) (\S+::.*?)(?: - |$)", printed, re.MULTILINE)
        return failed[1] if failed else "?"


def _end(running: subprocess.Popen[str]) -> None:
    """Kill some tests, and what they have started that is still in their process group."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(running.pid, signal.SIGKILL)


def tried(chosen: list[Mutant], suite: Suite, jobs: int, seconds: float, *, rest: bool) -> Iterator[tuple[Mutant, str]]:
    """Yield each mutant and who noticed it, in the order in which that is known, until the time is over."""
    until = time.monotonic() + seconds
    free: SimpleQueue[Bench] = SimpleQueue()

    def look(mutant: Mutant) -> str | None:
        bench = free.get()
        try:
            return bench.notices(mutant)
        finally:
            free.put(bench)

    with tempfile.TemporaryDirectory(prefix="mutants-") as folder, ThreadPoolExecutor(jobs) as pool:
        benches = [Bench(Path(folder) / str(number), suite, until, rest=rest) for number in range(jobs)]
        for bench in benches:
            free.put(bench)
        looks = {pool.submit(look, mutant): mutant for mutant in chosen}
        try:
            for done in as_completed(looks):
                if (who := done.result()) is not None:
                    yield looks[done], who
        finally:
            for bench in benches:
                bench.stop()


def main() -> None:
    """Print the share of mutants that were noticed, and the others."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--by-test", type=Path, required=True, help="what coverage_by_simulation.py has written")
    parser.add_argument("--mutants", type=int, default=100)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--each", type=float, default=60.0, help="seconds of tests for one mutant")
    parser.add_argument("--rest", action="store_true", help="give what is not noticed then to all tests that reach it")
    parser.add_argument("--line", action="append", default=[], metavar="FILE:LINE", help="only mutants of these lines")
    asked = parser.parse_args()
    suite = Suite(asked.by_test, asked.each)
    every = [each for each in mutants() if not asked.line or f"{each.file}:{each.line}" in asked.line]
    chosen = random.Random(asked.seed).sample(every, min(asked.mutants, len(every)))
    counts: Counter[str] = Counter()
    began = time.monotonic()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt):
        for mutant, who in tried(chosen, suite, asked.jobs, 60 * asked.minutes, rest=asked.rest):
            counts[who] += 1
            if who != "simulation":
                print(f"{who or 'not noticed':12} {mutant.file}:{mutant.line} {mutant.what}", flush=True)
    if not (total := counts.total()):
        sys.exit("no mutant was judged")
    simulated = counts["simulation"]
    print(f"\n{total} mutants of {len(every)} places in core, {(time.monotonic() - began) / 60:.0f} minutes")
    print(f"noticed by the simulation suite: {simulated:4} = {100 * simulated / total:5.1f} %   (asked: at least 85 %)")
    print(f"and by the tests by hand:        {simulated + counts['by hand']:4}")


if __name__ == "__main__":
    main()
