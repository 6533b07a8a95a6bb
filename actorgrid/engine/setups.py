"""Runtime environments: what a process is set up with before it runs anything for anybody.

A call brings the setup that it needs in its spec: what its own process has, with what it asks for on top (``merge``),
so that children inherit. The head gives a worker calls of one setup alone. Folders are used where they lie: they are
on this machine, and a copy would have to be made for each environment and cleared away after each crash.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
from collections.abc import Mapping, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any, Final

import msgspec

from actorgrid.engine.definitions import Setup
from actorgrid.engine.serialize import INLINE_LIMIT, dumps, loads

#: Ray's name of what is called before anything else.
HOOK: Final = "worker_process_setup_hook"
#: Whose the processes are that are set up like this: they run no other calls. Users have no such key.
OWNER: Final = "_owner"
_VARIABLE: Final = re.compile(r"\$\{(\w+)\}")

encode: Final = msgspec.msgpack.Encoder().encode
decode: Final = msgspec.msgpack.Decoder(Setup).decode


class Owner(str):
    """Who has processes of its own."""

    __slots__ = ()


class SetupFailed(BaseException):  # not caught by what retries any Exception: it would fail again
    """A process could not be set up; its ``__cause__`` says why."""


def merge(parent: Setup, own: Mapping[str, Any]) -> Setup:
    """Return the setup of what ``own`` (checked by ``api``) asks for in a process that has ``parent``.

    Environment variables are merged by name, everything else is replaced: Ray's rules. Relative paths are seen from
    this process. Raises ValueError for folders and modules that are not there, and for a hook that is too large.
    """
    known = {**os.environ, **parent.env_vars}
    variables = {name: expanded(value, known) for name, value in (own.get("env_vars") or {}).items()}
    directory, modules, hook = own.get("working_dir"), own.get("py_modules"), own.get(HOOK)
    return msgspec.structs.replace(
        parent,
        env_vars=dict(sorted({**parent.env_vars, **variables}.items())),
        working_dir=_folder(directory) if directory else parent.working_dir,
        py_modules=tuple(_module(path) for path in modules) if modules else parent.py_modules,
        hook=_pickled(hook) if hook else parent.hook,
        owner=str(own.get(OWNER, "")),
    )


def expanded(value: str, known: Mapping[str, str]) -> str:
    """Return ``value`` with each ``${NAME}`` replaced by that variable; by nothing, if there is none."""
    return _VARIABLE.sub(lambda found: known.get(found[1], ""), value)


def _folder(path: str) -> str:
    folder = os.path.realpath(path)
    if not os.path.isdir(folder):
        raise ValueError(f"the 'working_dir' of 'runtime_env' is no folder: {folder}")
    return folder


def _module(path: str) -> str:
    module = os.path.abspath(path)
    if not (os.path.isdir(module) or os.path.isfile(module)):
        raise ValueError(f"of the 'py_modules' of 'runtime_env', this is no folder and no file: {module}")
    return module


def _pickled(hook: Any) -> bytes:
    pickled = dumps(hook, HOOK)
    if pickled.size > INLINE_LIMIT or pickled.refs:
        what = "refers to objects of the grid" if pickled.refs else f"is {pickled.size} bytes with what it refers to"
        raise ValueError(f"the {HOOK!r} of 'runtime_env' {what}: let it read from a file what it needs")
    return pickled.inline()


def hook_of(setup: Setup) -> Any:
    """Return the function, or the name of one, that ``setup`` has called; None: it has nothing called."""
    return loads(setup.hook) if setup.hook else None


def call_hook(setup: Setup) -> None:
    """Call it. Raises whatever it raises."""
    hook = hook_of(setup)
    if isinstance(hook, str):
        module, _, name = hook.rpartition(".")
        hook = getattr(importlib.import_module(module), name)
    if hook is not None:
        hook()


def as_given(setup: Setup) -> dict[str, Any]:
    """Return what a user would have to write to get this setup, with Ray's keys."""
    found: dict[str, Any] = {
        "env_vars": dict(setup.env_vars),
        "working_dir": setup.working_dir,
        "py_modules": list(setup.py_modules),
        HOOK: hook_of(setup),
    }
    return {name: value for name, value in found.items() if value}


# --------------------------------------------------------------------------------------------------- finding modules


def name_of(path: str) -> str:
    """Return the name under which a file or folder among ``py_modules`` is imported."""
    return os.path.basename(path).removesuffix(".py")


class Finder:
    """Finds the ``py_modules`` of a setup, and nothing that lies beside them: for ``sys.meta_path``."""

    def __init__(self, modules: Sequence[str]) -> None:
        self.places = {name_of(path): os.path.dirname(path) for path in modules}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """See ``importlib.abc.MetaPathFinder``."""
        place = self.places.get(fullname) if path is None else None
        return None if place is None else PathFinder.find_spec(fullname, [place], target)


def is_loaded(name: str, place: str) -> bool:
    """Return whether the module called so is loaded, and from the folder ``place``."""
    module = sys.modules.get(name)
    source = getattr(module, "__file__", None) or next(iter(getattr(module, "__path__", ())), "")
    return str(source).startswith(os.path.join(place, name))


def belongs(key: str, names: Mapping[str, Any]) -> bool:
    """Return whether the module called ``key`` is one of ``names``, or inside one of them."""
    return key.partition(".")[0] in names
