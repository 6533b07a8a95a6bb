"""How many schedules differ in something that matters, by the simulator and by the literature.

    python benchmarks/golden.py

Prints a row per program of tests/zoo/test_golden_counts.py: what is known, what was counted, and how many schedules
were begun in vain.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).parents[1]))

from actorgrid import sim
from tests.zoo.test_golden_counts import CONCUERROR, COUNTS, LONG, ets

ASKED: Final = 20


def count(name: str, program: Callable[..., Any], args: tuple[Any, ...], reduction: str, known: int) -> bool:
    """Count, print a row, and return whether the count is exact."""
    began = time.process_time()
    proof = sim.prove(program, *args, reduction=reduction)
    exact = proof.complete and proof.classes == known
    took = time.process_time() - began
    verdict = "" if exact else "  WRONG"
    print(f"{name:34} {reduction:6} {known:6} {proof.classes:8} {proof.blocked:8} {took:6.1f} s{verdict}")
    return exact


def main() -> int:
    """Print the table. Returns the exit status: 0 if every count is exact."""
    print(f"{'program':34} {'how':6} {'known':>6} {'counted':>8} {'in vain':>8}")
    exact = []
    for program, args, reduction, known in [*COUNTS, *LONG]:
        name = program.__name__ + (str(args) if args and program is not ets else "")
        exact.append(count(name, program, args, reduction, known))
    for name, scripts, known in CONCUERROR:
        exact.append(count(f"Concuerror: {name}", ets, scripts, "dpor", known))
    print(f"\n{sum(exact)} of {len(exact)} programs exact   (asked: at least {ASKED})")
    return 0 if all(exact) else 1


if __name__ == "__main__":
    sys.exit(main())
