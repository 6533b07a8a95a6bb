"""The real one: it knows nothing of either."""

from __future__ import annotations

import runpy
from pathlib import Path

_REAL = Path(__file__).parents[4] / "actorgrid" / "testing" / "waiting.py"
wait_until = runpy.run_path(str(_REAL))["wait_until"]
