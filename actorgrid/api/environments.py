"""What users may write as ``runtime_env``, checked; and ``RuntimeEnv``, a dictionary that checks itself."""

from __future__ import annotations

import inspect
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, Final, Self

from actorgrid.engine.hints import did_you_mean
from actorgrid.engine.setups import HOOK, OWNER, Owner, name_of

_INSTALL: Final = (
    "workers use the interpreter of the program and its packages: install there what they need, before the program "
    "starts"
)
_FORKED: Final = "workers are forked, they are not started by a command that could be another one"

#: Modules that cannot be others for some tasks.
_NEEDED: Final = frozenset({*sys.stdlib_module_names, __name__.partition(".")[0]})

#: What Ray has and we have not, and why.
_REFUSED: Final = {
    "pip": _INSTALL,
    "uv": _INSTALL,
    "conda": _INSTALL,
    "container": f"{_FORKED}; start the whole program in the container",
    "image_uri": f"{_FORKED}; start the whole program in the container",
    "py_executable": f"{_FORKED}; start the whole program with that interpreter",
    "nsight": f"{_FORKED}; attach the profiler to a running worker",
    "_nsight": f"{_FORKED}; attach the profiler to a running worker",
    "rocprof_sys": f"{_FORKED}; attach the profiler to a running worker",
    "_rocprof_sys": f"{_FORKED}; attach the profiler to a running worker",
    "java_jars": "there is no Java here",
    "mpi": f"{_FORKED}; give each rank an actor of its own",
    "_ray_release": "it is about builds of Ray",
    "_ray_commit": "it is about builds of Ray",
    "_inject_current_ray": "it is about builds of Ray",
}


def check_runtime_env(name: str, value: Any) -> dict[str, Any]:
    """Return a runtime environment with paths as text and without what asks for nothing.

    Raises TypeError for wrong types, ValueError for keys that are unknown or refused, and for anything that would have
    to be downloaded, unpacked or installed.
    """
    if not isinstance(value, Mapping):
        raise TypeError(f"{name!r} must be a dictionary, not {type(value).__name__}")
    found: dict[str, Any] = {}
    for key, given in value.items():
        if key in _CHECKS:
            if given is not None:
                found[key] = _CHECKS[key](given)
        elif key == OWNER and isinstance(given, Owner):
            found[key] = given
        elif key not in _REFUSED:
            hint = did_you_mean(str(key), _CHECKS)
            raise ValueError(f"{name!r} has no key {key!r}.{hint} Valid ones are {', '.join(sorted(_CHECKS))}.")
        elif given:
            raise ValueError(f"{key!r} of {name!r} is not supported: {_REFUSED[key]}")
    found.pop("excludes", None)  # what is not copied need not be left out
    found.pop("config", None)  # what is not installed takes no time
    return {key: given for key, given in found.items() if given}


def _variables(value: Any) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise TypeError(f"'env_vars' must be a dictionary, not {type(value).__name__}")
    for name, text in value.items():
        if not (isinstance(name, str) and isinstance(text, str)):
            raise TypeError(f"'env_vars' must map str to str: {name!r}: {text!r:.100}")
        if not name or "=" in name or "\0" in name + text:
            raise ValueError(f"'env_vars' has a name or value that no environment can hold: {name!r}: {text!r:.100}")
    return dict(value)


def _path(key: str, value: Any) -> str:
    if not isinstance(value, str | os.PathLike):
        raise TypeError(f"{key!r} must be a path, not {type(value).__name__}: {value!r:.100}")
    path = os.fspath(value)
    if not isinstance(path, str):
        raise TypeError(f"{key!r} must be a path of str, not of bytes: {path!r:.100}")
    if "://" in path:
        raise ValueError(f"{key!r} is not downloaded: give a folder of this machine instead of {path!r:.200}")
    if path.endswith((".zip", ".whl", ".jar", ".tar.gz")):
        raise ValueError(f"{key!r} is not unpacked: give the folder that {path!r:.200} is made of")
    return path


def _directory(value: Any) -> str:
    return _path("working_dir", value)


def _modules(value: Any) -> list[str]:
    if isinstance(value, str | os.PathLike) or not isinstance(value, Sequence):
        raise TypeError(f"'py_modules' must be a list of paths and modules: {value!r:.100}")
    return [_module(item) for item in value]


def _module(item: Any) -> str:
    path = _path("py_modules", _source(item) if isinstance(item, ModuleType) else item)
    name = name_of(str(Path(path).absolute()))
    if not name.isidentifier():
        raise ValueError(f"'py_modules' has what cannot be imported by its name: {path!r:.200}")
    if name in _NEEDED:
        raise ValueError(f"'py_modules' has {name!r}, a module that workers need themselves: give it another name")
    return path


def _source(module: ModuleType) -> str:
    """Return the file or folder of a module."""
    folders = list(getattr(module, "__path__", ()))
    source = folders[0] if folders else getattr(module, "__file__", None)
    if source is None or not (folders or source.endswith(".py")):
        raise ValueError(f"'py_modules' has {module.__name__!r}, which is not made of Python files")
    if "." in module.__name__:
        raise ValueError(f"'py_modules' has {module.__name__!r}, which is inside a package: give the package")
    return str(source)


def _hook(value: Any) -> Any:
    if isinstance(value, str):
        if not all(part.isidentifier() for part in value.split(".")) or "." not in value:
            raise ValueError(f"{HOOK!r} must be a function or its name, as 'module.function': {value!r:.100}")
        return value
    if not callable(value):
        raise TypeError(f"{HOOK!r} must be a function or its name, not {type(value).__name__}: {value!r:.100}")
    if inspect.iscoroutinefunction(value):
        raise TypeError(f"{HOOK!r} must not be an 'async def' function: nobody would await it")
    return value


def _excludes(value: Any) -> list[str]:
    if isinstance(value, str) or not all(isinstance(item, str) for item in value):
        raise TypeError(f"'excludes' must be a list of patterns: {value!r:.100}")
    return list(value)


class RuntimeEnvConfig(dict[str, Any]):
    """How a runtime environment is to be made, its key "config". Nothing is installed here: it has no effect.

    ``setup_timeout_seconds``: how long that may take, -1 for any time; here ``run_timeout`` of a task includes its
    setup. ``eager_install``: whether it begins with ``init``. ``log_files``: what to show of it. Raises TypeError,
    ValueError.
    """

    known_fields: ClassVar[frozenset[str]] = frozenset({"setup_timeout_seconds", "eager_install", "log_files"})

    def __init__(
        self, setup_timeout_seconds: int = 600, eager_install: bool = True, log_files: Sequence[str] | None = None
    ) -> None:
        if isinstance(setup_timeout_seconds, bool) or not isinstance(setup_timeout_seconds, int):
            raise TypeError(f"'setup_timeout_seconds' must be an int: {setup_timeout_seconds!r:.100}")
        if setup_timeout_seconds <= 0 and setup_timeout_seconds != -1:
            raise ValueError(f"'setup_timeout_seconds' must be above 0, or -1: {setup_timeout_seconds}")
        if not isinstance(eager_install, bool):
            raise TypeError(f"'eager_install' must be a bool: {eager_install!r:.100}")
        if isinstance(log_files, str) or not all(isinstance(file, str) for file in log_files or ()):
            raise TypeError(f"'log_files' must be a list of names: {log_files!r:.100}")
        super().__init__(
            setup_timeout_seconds=setup_timeout_seconds, eager_install=eager_install, log_files=list(log_files or ())
        )


def _config(value: Any) -> RuntimeEnvConfig:
    if not isinstance(value, Mapping):
        raise TypeError(f"'config' must be a dictionary or RuntimeEnvConfig, not {type(value).__name__}")
    for name in value:
        if name not in RuntimeEnvConfig.known_fields:
            hint = did_you_mean(str(name), RuntimeEnvConfig.known_fields)
            raise ValueError(f"'config' of a runtime environment has no key {name!r:.100}.{hint}")
    return RuntimeEnvConfig(**value)


_CHECKS: Final[dict[str, Callable[[Any], Any]]] = {
    "env_vars": _variables,
    "working_dir": _directory,
    "py_modules": _modules,
    HOOK: _hook,
    "excludes": _excludes,
    "config": _config,
}


class RuntimeEnv(dict[str, Any]):
    """A runtime environment: a dictionary whose keys are checked when it is made. A plain one does as well.

    ``env_vars``: environment variables; ``${NAME}`` in a value is what that variable was before. ``working_dir``: the
    folder in which it runs, and from which it imports first. ``py_modules``: packages (folders), ``.py`` files or
    modules, which can be imported there. ``worker_process_setup_hook``: a function, or its name, which each process
    calls before anything else. Raises TypeError and ValueError as ``remote(runtime_env=…)`` does.
    """

    known_fields: ClassVar[frozenset[str]] = frozenset(_CHECKS)

    def __init__(
        self,
        *,
        py_modules: Sequence[Any] | None = None,
        working_dir: str | os.PathLike[str] | None = None,
        env_vars: Mapping[str, str] | None = None,
        worker_process_setup_hook: Callable[[], Any] | str | None = None,
        _validate: bool = True,
        **others: Any,
    ) -> None:
        given = {
            "py_modules": py_modules,
            "working_dir": working_dir,
            "env_vars": env_vars,
            HOOK: worker_process_setup_hook,
            **others,
        }
        super().__init__({name: value for name, value in given.items() if value is not None})
        if _validate:
            check_runtime_env("runtime_env", self)

    def __setitem__(self, name: str, value: Any) -> None:
        check_runtime_env("runtime_env", {name: value})
        super().__setitem__(name, value)

    def set(self, name: str, value: Any) -> None:
        """Set one key. Raises TypeError and ValueError as the constructor does; so does ``env[name] = value``."""
        self[name] = value

    def to_dict(self) -> dict[str, Any]:
        """Return it as a plain dictionary."""
        return dict(self)

    def serialize(self) -> str:
        """Return it as JSON, with the name of a function in place of the function."""
        return json.dumps(self, sort_keys=True, default=_shown)

    @classmethod
    def deserialize(cls, serialized_runtime_env: str) -> Self:
        """Return what ``serialize`` was given. Raises ValueError for what is no such text."""
        return cls(**json.loads(serialized_runtime_env))

    def env_vars(self) -> dict[str, str]:
        """Return the environment variables."""
        return dict(self.get("env_vars") or {})

    def working_dir(self) -> str | None:
        """Return the folder in which it runs, None if it names none."""
        found: str | None = self.get("working_dir")
        return found

    def has_working_dir(self) -> bool:
        """Return whether it names a folder."""
        return self.get("working_dir") is not None

    def py_modules(self) -> list[Any]:
        """Return what can be imported besides."""
        return list(self.get("py_modules") or ())

    def get(self, name: str, default: Any = None, data_class: Callable[..., Any] | None = None) -> Any:
        """Return one key, or ``default``; ``data_class``: made into one of these, its items by name."""
        if name not in self or data_class is None:
            return super().get(name, default)
        return data_class(**self[name])


def _shown(value: Any) -> str:
    if isinstance(value, os.PathLike):
        return str(value)
    module = getattr(value, "__module__", None)
    name = getattr(value, "__qualname__", None) or getattr(value, "__name__", None) or repr(value)
    return f"{module}.{name}" if module else str(name)
