"""Long lists of cases: a few run always, the rest with the slow tests, of which every run of CI draws a sample."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from _pytest.mark.structures import ParameterSet


def one_in(step: int, cases: Iterable[Any]) -> list[ParameterSet]:
    """Return ``cases`` for ``parametrize``: the first of each ``step`` runs always, the others are slow."""
    found: list[ParameterSet] = []
    for index, case in enumerate(cases):
        values = case if isinstance(case, tuple) else (case,)
        found.append(pytest.param(*values, marks=[pytest.mark.slow] if index % step else []))
    return found
