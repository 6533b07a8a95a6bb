"""Stands in for actorgrid where its contract suite is run on Ray itself: each name, in each module, is Ray's.

What Ray does not have is an object that says so when it is used, so that one test fails and not its whole file.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import ray

from actorgrid import exceptions as exceptions

#: What ``init`` of actorgrid takes, and what does not matter here.
_IGNORED = {"preload", "engine"}
#: What Ray has in another module.
_ELSEWHERE = {"ray.dag.CompiledDAGRef": "ray.experimental.compiled_dag_ref"}
#: Options that Ray does not have.
_BEYOND = {"checkpoint", "timeout", "run_timeout", "priority"}


def init(**options: Any) -> Any:
    """Start Ray as the tests want their grid: nothing is printed, nothing is served; variables have Ray's prefix."""
    for name in _IGNORED:
        options.pop(name, None)
    prefix = "ACTORGRID_"
    theirs = {f"RAY_{name.removeprefix(prefix)}": name for name in os.environ if name.startswith(prefix)}
    os.environ.update({name: os.environ[ours] for name, ours in theirs.items()})
    try:
        return ray.init(**{"include_dashboard": False, "logging_level": "ERROR"} | options)
    finally:
        for name in theirs:
            del os.environ[name]


def remote(*args: Any, **options: Any) -> Any:
    """Ray's; what asks for more than it has fails when it is used."""
    beyond = _BEYOND.intersection(options)
    if beyond:
        return lambda _: _Missing(f"the option {min(beyond)!r}")
    return ray.remote(*args, **options)


def __getattr__(name: str) -> Any:
    return getattr(ray, name)


class NotInRayError(Exception):
    """A test has used what only actorgrid has."""


class _Missing:
    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise NotInRayError(self._name)

    def __call__(self, *_: Any, **__: Any) -> Any:
        raise NotInRayError(self._name)

    def __mro_entries__(self, _: tuple[Any, ...]) -> tuple[type, ...]:
        return (object,)


class _Module(ModuleType):
    def __reduce__(self) -> tuple[Any, ...]:
        return importlib.import_module, (self.__name__,)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        its = f"{self.__name__}.{name}".replace("actorgrid", "ray", 1)
        home = importlib.import_module(_ELSEWHERE[its]) if its in _ELSEWHERE else self.__dict__["_theirs"]
        return getattr(home, name, None) or _Missing(its)


class _Finder:
    """Finds the modules of actorgrid that are not in this folder: each is Ray's of the same name."""

    def find_spec(self, name: str, path: Sequence[str] | None, _: object = None) -> ModuleSpec | None:
        if not name.startswith("actorgrid.") or name.startswith(("actorgrid.exceptions", "actorgrid.testing")):
            return None
        del path
        return ModuleSpec(name, self, is_package=True)  # type: ignore[arg-type]  # it is a loader, too

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        made = _Module(spec.name)
        try:
            made.__dict__["_theirs"] = importlib.import_module(spec.name.replace("actorgrid", "ray", 1))
        except ImportError:
            made.__dict__["_theirs"] = None
        return made

    def exec_module(self, module: ModuleType) -> None:
        """There is nothing to execute."""


sys.meta_path.append(_Finder())  # type: ignore[arg-type]  # what the import system needs of one
