"""The pytest plugin: a fixture with a running grid, and the markers.

pytest imports this module in every run of every environment that has actorgrid installed. So it imports nothing of
the package; fixtures import what they use when they are used.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from actorgrid.sim.world import World


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of simulated tests (``actorgrid.sim.test``)."""
    group = parser.getgroup("actorgrid", "simulated tests")
    group.addoption("--actorgrid-seed", type=int, metavar="N", help="the seed of random schedules and numbers")
    group.addoption("--actorgrid-runs", type=int, metavar="N", help="how many schedules each test tries")
    group.addoption("--actorgrid-replay", metavar="ag1:...", help="run each test with this schedule and no other")


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers, and hand on the options by environment, where ``sim.test`` looks for them."""
    for name in ("seed", "runs", "replay"):
        value = config.getoption(f"--actorgrid-{name}")
        if value is not None:
            os.environ[f"ACTORGRID_SIM_{name.upper()}"] = str(value)
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


@pytest.fixture
def sim_grid() -> Iterator[World]:
    """Run the test inside of a simulation: the world, of which everything can be looked at, is the fixture's value."""
    from actorgrid import sim

    seed = os.environ.get("ACTORGRID_SIM_SEED")
    with sim.world(seed=int(seed or 0)) as world:
        yield world
