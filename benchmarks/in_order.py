"""A plug-in for pytest: run only the tests that a file names, in that order.

    pytest -p in_order --in-order FILE ...

FILE: a list of node ids, as JSON.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    parser.addoption("--in-order", type=Path, required=True, help="a JSON file that lists the tests to run")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep what is listed, sorted."""
    names: list[str] = json.loads(config.getoption("--in-order").read_text(encoding="utf-8"))
    place = {name: at for at, name in enumerate(names)}
    items[:] = sorted((item for item in items if item.nodeid in place), key=lambda item: place[item.nodeid])
