"""The page on what can fail names what there is."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

import actorgrid as ag
from actorgrid import exceptions
from actorgrid.api.options import ACTOR, METHOD, TASK

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "explanation" / "what-can-fail.md").read_text(encoding="utf-8")
BUILT_IN = {"TypeError", "ValueError", "RuntimeError"}


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`(\w+Error)`", PAGE)) - BUILT_IN))
def test_error_exists(name: str) -> None:
    assert issubclass(getattr(exceptions, name), exceptions.ActorGridError)


@pytest.mark.parametrize("name", sorted(set(re.findall(r"ACTORGRID_\w+", PAGE))))
def test_environment_variable_is_read_and_described(name: str) -> None:
    sources = (path.read_text(encoding="utf-8") for path in (ROOT / "actorgrid").rglob("*.py"))
    assert any(f'"{name}"' in source for source in sources)
    assert f"`{name}`" in (ROOT / "docs" / "reference" / "options.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", sorted({
    name for call in re.findall(r"`init\((.*?)\)`", PAGE) for name in re.findall(r"(\w+)=", call)
}))  # fmt: skip
def test_argument_of_init_exists(name: str) -> None:
    assert name in inspect.signature(ag.init).parameters


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`(\w+)=`", PAGE))))
def test_option_exists(name: str) -> None:
    assert name in {*TASK, *ACTOR, *METHOD}
