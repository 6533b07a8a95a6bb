"""Driver scripts run in processes of their own; after each test nothing of them may be left."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.proc.helpers import Driver


@pytest.fixture
def drive(tmp_path: Path) -> Iterator[Callable[..., Driver]]:
    """Return a function that runs the source of a program: ``drive(source, args=…, flags=…, env=…, how=…)``."""
    drivers: list[Driver] = []
    numbers = itertools.count()

    def start(source: str, **options: Any) -> Driver:
        folder = tmp_path / f"driver{next(numbers)}"
        folder.mkdir()
        drivers.append(Driver(folder, source, **options))
        return drivers[-1]

    yield start
    for driver in drivers:
        driver.close()
