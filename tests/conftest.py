"""For all tests: nothing may be left behind, and the folder of the tests can be imported by workers."""

from __future__ import annotations

import gc
import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from actorgrid.testing import no_leaks

# Behind everything else: an installed package goes before the working tree.
if (root := str(Path(__file__).parents[1])) not in sys.path:
    sys.path.append(root)


# No test asserts times, and Hypothesis would: an example may take 200 ms, and drawing one not much.
settings.register_profile("actorgrid's own tests", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("actorgrid's own tests")

_picked = pytest.StashKey[str]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add what picks a sample of the slow tests, or of all."""
    group = parser.getgroup("actorgrid's own tests")
    group.addoption("--slow-sample", type=int, help="of the slow tests, run only so many, picked at random")
    seed, share = int(os.environ.get("TESTS_SEED", "0")), float(os.environ.get("TESTS_SHARE", "1"))
    group.addoption("--slow-seed", type=int, default=seed, help="... by this seed (TESTS_SEED)")
    group.addoption("--share", type=float, default=share, help="run this share of all tests, picked so (TESTS_SHARE)")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the slow tests that are not in the sample, and what is not in the share."""
    share, seed = config.getoption("--share"), config.getoption("--slow-seed")
    if share < 1:
        kept = [item for item in items if random.Random(f"{seed} {item.nodeid}").random() < share]  # a sample
        config.hook.pytest_deselected(items=[item for item in items if item not in kept])
        items[:] = kept
    count, seed = config.getoption("--slow-sample"), config.getoption("--slow-seed")
    slow = [item for item in items if item.get_closest_marker("slow")]
    if count is None or count >= len(slow):
        return
    names = sorted(item.nodeid for item in slow)
    picked = random.Random(seed).sample(names, count)
    config.stash[_picked] = f"slow tests of --slow-seed {seed}: {', '.join(picked)}"
    left_out = [item for item in slow if item.nodeid not in picked]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


def pytest_report_collectionfinish(config: pytest.Config) -> str:
    """Say what was picked."""
    share, seed = config.getoption("--share"), config.getoption("--slow-seed")
    told = [f"a share of {share:g} of all tests, by seed {seed}"] if share < 1 else []
    return "; ".join([*told, *filter(None, [config.stash.get(_picked, "")])])


def pytest_collection_finish() -> None:
    """Keep what was imported out of every later collection of garbage: tests ask for thousands of them."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="module", autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """After each module: no process, thread, descriptor, shared memory or file that was not there before."""
    with no_leaks():
        yield
