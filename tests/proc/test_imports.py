"""Imports in tasks: they are never cut in half, since half a module would break whatever runs there next."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import actorgrid as ag
from actorgrid.testing.waiting import wait_until
from tests.contract.tools import DEADLINE

if TYPE_CHECKING:
    from actorgrid.testing import RealGrid

#: A package such as asyncio: it takes names from its submodule, which is there already if it is executed again. Its
#: first import lasts until the task is cancelled and a little longer, so that the interrupt comes in the middle.
PACKAGE = """
from .inside import *
import os, time
import actorgrid as ag
began = os.path.join(os.path.dirname(__file__), "began")
first = not os.path.exists(began)
open(began, "w").close()
while first and not ag.get_runtime_context().is_canceled():
    time.sleep(0.001)
for _ in range(20):
    time.sleep(0.001)
names = inside.__all__
"""
INSIDE = "__all__ = ['something']\nsomething = 1\n"


@pytest.mark.actorgrid(num_cpus=1)
def test_import_that_is_cancelled_comes_to_its_end_first(
    grid: RealGrid, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "half_a_module"
    package.mkdir()
    (package / "__init__.py").write_text(PACKAGE)
    (package / "inside.py").write_text(INSIDE)
    monkeypatch.syspath_prepend(tmp_path)

    @ag.remote
    def use() -> list[str]:
        import half_a_module  # type: ignore[import-not-found]  # written above

        while half_a_module.first:
            time.sleep(0.001)
        return list(half_a_module.names)

    ref = use.remote()
    assert wait_until((package / "began").exists)
    ag.cancel(ref)
    with pytest.raises(ag.exceptions.TaskCancelledError):
        ag.get(ref, timeout=DEADLINE)

    @ag.remote
    def use_again() -> list[str]:
        import half_a_module

        return list(half_a_module.names)

    assert ag.get(use_again.remote(), timeout=DEADLINE) == ["something"]
