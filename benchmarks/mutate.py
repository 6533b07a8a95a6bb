"""How many small mistakes in ``core`` does the simulation suite notice?

    python benchmarks/mutate.py [--mutants N] [--minutes M] [--seed N] [--jobs N]

Plants one mutation at a time into a copy of the package (a condition negated, a comparison turned, a statement or a
transition dropped, a number off by one) and runs tests until one fails. First those of the simulation: whole programs,
the ones that notice most first. What they do not notice is given to the tests of the machines by hand. Prints the share
that each of the two noticed, and what was not.
"""

from __future__ import annotations

import argparse
import ast
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

ROOT = Path(__file__).parents[1]
#: What only describes, or checks, or makes real processes follow a simulated run.
SKIPPED = {"messages.py", "signals.py", "check.py", "stage.py"}
#: The tables of transitions; what else is in their file describes.
TABLES = {"TASK", "ACTOR", "WORKER"}
#: Whole programs in the simulator, the stages in the order in which they notice most in a second.
SIMULATION = [
    ["tests/contract/test_tasks.py", "tests/contract/test_actors_sync.py", "tests/sim/test_found.py"],
    ["tests/contract"],
    ["tests/sim/test_machines.py", "tests/sim/test_faults.py"],
]
#: The machines, message by message.
BY_HAND = [["tests/core"]]
#: A stage that takes longer than this (seconds) hangs: noticed.
LIMIT = 120
TURNED = {ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq}
TURNED |= {ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In}  # type: ignore[dict-item]


@dataclass(frozen=True)
class Mutant:
    """One mistake: the ``index``-th place of its kind in a file."""

    file: Path
    index: int
    line: int
    what: str


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
        self.generic_visit(node)
        if isinstance(node.target, ast.Name) and node.target.id in TABLES and isinstance(node.value, ast.Dict):
            table = node.value
            for at, key in enumerate(table.keys):
                if key is not None and self._count(key.lineno, f"transition dropped: {ast.unparse(key)}"):
                    del table.keys[at], table.values[at]
                    break
        return node

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
    """Yield every mutation there is."""
    for file in sorted((ROOT / "actorgrid" / "core").rglob("*.py")):
        if file.name in SKIPPED or file.name == "__init__.py":
            continue
        looks = planter(file, -1)
        looks.visit(ast.parse(file.read_text(encoding="utf-8")))
        for index, (line, what) in enumerate(looks.found):
            yield Mutant(file.relative_to(ROOT), index, line, what)


class Bench:
    """A copy of the repository in which one mistake at a time is planted."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("actorgrid", "tests", "docs"):
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", folder)

    def notices(self, mutant: Mutant | None) -> str:
        """Return who notices this mistake (None: none): "simulation", "by hand" or ""."""
        if mutant is None:
            return self._who()
        original = (ROOT / mutant.file).read_text(encoding="utf-8")
        changed = ast.fix_missing_locations(planter(mutant.file, mutant.index).visit(ast.parse(original)))
        (self.folder / mutant.file).write_text(ast.unparse(changed), encoding="utf-8")
        try:
            return self._who()
        finally:
            (self.folder / mutant.file).write_text(original, encoding="utf-8")

    def _who(self) -> str:
        for who, stages in (("simulation", SIMULATION), ("by hand", BY_HAND)):
            if not all(self._passes(stage) for stage in stages):
                return who
        return ""

    def _passes(self, tests: list[str]) -> bool:
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-k", "not process", *tests]
        environment = os.environ | {"PYTHONPATH": str(self.folder), "PYTHONDONTWRITEBYTECODE": "1"}
        try:
            done = subprocess.run(
                command, cwd=self.folder, env=environment, capture_output=True, timeout=LIMIT, check=False
            )
        except subprocess.TimeoutExpired:
            return False
        return done.returncode == 0


def tried(chosen: list[Mutant], jobs: int, seconds: float) -> Iterator[tuple[Mutant, str]]:
    """Yield each mutant and who noticed it, until the time is over."""
    until = time.monotonic() + seconds
    free: SimpleQueue[Bench] = SimpleQueue()

    def look(mutant: Mutant) -> str | None:
        if time.monotonic() > until:
            return None
        bench = free.get()
        try:
            return bench.notices(mutant)
        finally:
            free.put(bench)

    with tempfile.TemporaryDirectory(prefix="mutants-") as folder, ThreadPoolExecutor(jobs) as pool:
        for number in range(jobs):
            free.put(Bench(Path(folder) / str(number)))
        bench = free.get()
        if bench.notices(None):
            sys.exit("the tests fail without any mistake: nothing can be said")
        free.put(bench)
        for mutant, who in zip(chosen, pool.map(look, chosen), strict=True):
            if who is not None:
                yield mutant, who


def main() -> None:
    """Print the share of mutants that were noticed, and the others."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--mutants", type=int, default=100)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    asked = parser.parse_args()
    every = list(mutants())
    chosen = random.Random(asked.seed).sample(every, min(asked.mutants, len(every)))
    counts: Counter[str] = Counter()
    began = time.monotonic()
    for mutant, who in tried(chosen, asked.jobs, 60 * asked.minutes):
        counts[who] += 1
        if who != "simulation":
            print(f"{who or 'not noticed':12} {mutant.file}:{mutant.line} {mutant.what}", flush=True)
    total = counts.total()
    simulated = counts["simulation"]
    print(f"\n{total} mutants of {len(every)} places in core, {(time.monotonic() - began) / 60:.0f} minutes")
    print(f"noticed by the simulation suite: {simulated:4} = {100 * simulated / total:5.1f} %   (asked: at least 85 %)")
    print(f"and by the tests by hand:        {simulated + counts['by hand']:4}")


if __name__ == "__main__":
    main()
