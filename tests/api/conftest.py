from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from actorgrid.engine import current

if TYPE_CHECKING:
    from tests.api.fake_engine import FakeEngine

# Under --import-mode=importlib test folders are no packages: load the helper under a name that pickle can find, too.
_spec = importlib.util.spec_from_file_location("actorgrid_fake_engine", Path(__file__).parent / "fake_engine.py")
assert _spec is not None
assert _spec.loader is not None
fake_engine = sys.modules["actorgrid_fake_engine"] = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(fake_engine)


@pytest.fixture(autouse=True)
def engine() -> Iterator[FakeEngine]:
    made: FakeEngine = fake_engine.FakeEngine()
    before = current.installed()
    current.install(made)
    try:
        yield made
    finally:
        current.install(before)
