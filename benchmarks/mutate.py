"""How many small mistakes in ``core`` does the simulation suite notice?

    python benchmarks/mutate.py [--mutants N] [--seed N] [--jobs N]

Plants one mutation at a time into a copy of the package (a condition negated, a comparison turned, a statement dropped,
a number off by one), runs the tests that need no processes until one fails, and prints the share that was noticed, and
what was not.
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
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
#: What only describes, or checks, or is about real memory.
SKIPPED = {"messages.py", "states.py", "signals.py", "check.py", "extents.py", "sortedints.py"}
#: The cheap ones first: most mistakes die there.
SUITE = ["tests/core", "tests/sim/test_machines.py", "tests/zoo", "tests/contract"]
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


class Planter(ast.NodeTransformer):
    """Visits places in a fixed order and changes number ``index`` (none if it is negative)."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.count = -1
        self.found: list[tuple[int, str]] = []

    def _here(self, node: ast.AST, what: str) -> bool:
        self.count += 1
        self.found.append((getattr(node, "lineno", 0), what))
        return self.count == self.index

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


def mutants() -> Iterator[Mutant]:
    """Yield every mutation there is."""
    for file in sorted((ROOT / "actorgrid" / "core").rglob("*.py")):
        if file.name in SKIPPED or file.name == "__init__.py":
            continue
        planter = Planter(-1)
        planter.visit(ast.parse(file.read_text(encoding="utf-8")))
        for index, (line, what) in enumerate(planter.found):
            yield Mutant(file.relative_to(ROOT), index, line, what)


def survives(mutant: Mutant | None) -> bool:
    """Return whether every test passes with this mistake (None: with none)."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        copy = Path(folder)
        for name in ("actorgrid", "tests", "docs"):
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", copy)
        if mutant is not None:
            tree = ast.parse((ROOT / mutant.file).read_text(encoding="utf-8"))
            changed = ast.fix_missing_locations(Planter(mutant.index).visit(tree))
            (copy / mutant.file).write_text(ast.unparse(changed), encoding="utf-8")
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-k", "not process"]
        environment = os.environ | {"PYTHONPATH": folder, "PYTHONDONTWRITEBYTECODE": "1"}
        try:
            done = subprocess.run(
                [*command, *SUITE], cwd=copy, env=environment, capture_output=True, timeout=LIMIT, check=False
            )
        except subprocess.TimeoutExpired:
            return False
        return done.returncode == 0


def main() -> None:
    """Print the share of mutants that were noticed, and the others."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--mutants", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    asked = parser.parse_args()
    if not survives(None):
        sys.exit("the tests fail without any mistake: nothing can be said")
    every = list(mutants())
    chosen = random.Random(asked.seed).sample(every, min(asked.mutants, len(every)))
    left: list[Mutant] = []
    with ThreadPoolExecutor(asked.jobs) as pool:
        for done, (mutant, survived) in enumerate(zip(chosen, pool.map(survives, chosen), strict=True), 1):
            if survived:
                left.append(mutant)
                print(f"not noticed: {mutant.file}:{mutant.line} {mutant.what}", flush=True)
            if done % 10 == 0:
                print(f"{done - len(left)} of {done} noticed", flush=True)
    print(f"\n{len(chosen) - len(left)} of {len(chosen)} mutants noticed ({len(every)} places in core)")


if __name__ == "__main__":
    main()
