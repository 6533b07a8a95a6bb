"""Programs that were written for Ray run as they are, and print what they print there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
#: What Ray 2.60.0 printed in November 2026, by `python examples/ray/NAME.py` on CPython 3.11.
ON_RAY = {
    "bank": "40 transfers, in all 500\n",
    "batch_inference": (
        "2950 rows in 30 batches, by label: [263, 270, 224, 257, 315, 397, 304, 307, 293, 320]\n"
    ),
    "game_of_life": "146 cells live after 40 generations, in strips as in one piece\n",
    "hyper_parameters": "best: 0.3; stopped early: [0.001, 0.003, 0.01, 0.03, 0.1, 0.9]\n",
    "map_reduce": "[('the', 300), ('and', 100), ('holds', 100), ('is', 100), ('task', 100)]\n",
    "monte_carlo": "progress in the end: 100%\npi is about 3.1415166666666665\n",
    "parameter_server": "weights: [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]\n",
    "streaming_pipeline": "20 blocks, total 2470000, and the reader never ran far ahead\n",
    "tree_reduction": "16 arrays, 4 levels, every element is 120\n",
    "web_crawler": "120 pages; most links lead to page 1\n",
}  # fmt: skip


def test_every_program_is_known() -> None:
    assert {path.stem for path in (ROOT / "examples" / "ray").glob("*.py")} == set(ON_RAY)


@pytest.mark.parametrize("name", ON_RAY)
def test_program_prints_what_it_prints_on_ray(name: str) -> None:
    program = ROOT / "examples" / "ray" / f"{name}.py"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "actorgrid", "ray", str(program)],
        capture_output=True, text=True, timeout=50, check=False, cwd=ROOT,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, ON_RAY[name], "")
