"""The pytest plugin: a fixture with a running grid, and the markers.

pytest imports this module in every run of every environment that has actorgrid installed. So it imports nothing of
the package; fixtures import what they use when they are used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers."""
    config.addinivalue_line("markers", "actorgrid: the test uses a grid")
    config.addinivalue_line("markers", "slow: the test takes more than a few seconds")


@pytest.fixture
def grid() -> Iterator[None]:
    """Run the test on a grid of its own: real processes, two logical CPUs, gone when the test ends.

    A grid that an earlier test started and left is ended first.
    """
    import actorgrid

    actorgrid.shutdown()
    actorgrid.init(num_cpus=2)
    try:
        yield
    finally:
        actorgrid.shutdown()
