"""For all tests: nothing may be left behind, and the folder of the tests can be imported by workers."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from actorgrid.testing import no_leaks

# Behind everything else: an installed package goes before the working tree.
if (root := str(Path(__file__).parents[1])) not in sys.path:
    sys.path.append(root)


@pytest.fixture(scope="module", autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """After each module: no process, thread, descriptor, shared memory or file that was not there before."""
    with no_leaks():
        yield
