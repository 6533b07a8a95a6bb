"""For all tests: nothing may be left behind, and the folder of the tests can be imported by workers."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# Behind everything else: an installed package goes before the working tree.
if (root := str(Path(__file__).parents[1])) not in sys.path:
    sys.path.append(root)

from tests import leaks

leaks.mark_this_run()


@pytest.fixture(scope="module", autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """After each module: no process, thread, descriptor or shared memory that was not there before."""
    before = leaks.Snapshot.take()
    yield
    before.check()
