"""A module that is to be patched and that nobody has imported yet: the run may do so."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any


class Late(MetaPathFinder):
    """Has a module of this name imported inside of ``around()``, as long as it is installed."""

    def __init__(self, name: str, around: Callable[[], AbstractContextManager[None]]) -> None:
        self._name = name
        self._around = around

    def install(self) -> None:
        """Look at what is imported from now on."""
        sys.meta_path.insert(0, self)

    def remove(self) -> None:
        """Look no more."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """See ``MetaPathFinder``: what the others find, if it is the module in question."""
        if fullname != self._name:
            return None
        for finder in sys.meta_path:
            spec = finder.find_spec(fullname, path, target) if finder is not self else None
            if spec is not None:
                return self._with_what_follows(spec)
        return None

    def _with_what_follows(self, spec: ModuleSpec) -> ModuleSpec:
        loader: Any = spec.loader
        if loader is not None:
            execute = loader.exec_module

            def exec_module(module: ModuleType) -> None:
                with self._around() if self in sys.meta_path else nullcontext():
                    execute(module)

            loader.exec_module = exec_module
        return spec
