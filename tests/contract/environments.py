"""What the tests of runtime environments use: tasks that look around, hooks, modules to import."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Any

import actorgrid as ag
from tests.contract.tools import DEADLINE


@ag.remote
def variable(name: str) -> str | None:
    return os.environ.get(name)


@ag.remote
def variables(*names: str) -> list[str | None]:
    return [os.environ.get(name) for name in names]


@ag.remote
def process() -> int:
    return os.getpid()


@ag.remote
def where() -> str:
    return str(Path.cwd())


@ag.remote
def load(module: str) -> Any:
    return importlib.import_module(module).ANSWER


@ag.remote
def environment() -> dict[str, Any]:
    return dict(ag.get_runtime_context().runtime_env)


@ag.remote
class Inspector:
    def variables(self, *names: str) -> list[str | None]:
        return [os.environ.get(name) for name in names]

    def child_variables(self, *names: str) -> Any:
        return ag.get(variables.remote(*names))

    def where(self) -> str:
        return str(Path.cwd())

    def die(self) -> None:
        os._exit(1)


def get(ref: Any) -> Any:
    return ag.get(ref, timeout=DEADLINE)


def with_variables(**given: str) -> dict[str, Any]:
    return {"env_vars": given}


def write_module(folder: Path, name: str, answer: int) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.py"
    path.write_text(f"ANSWER = {answer}\n", encoding="utf-8")
    return path


def mark_process() -> None:
    os.environ["AG_TEST_HOOKED"] = "by the hook"


def refuse() -> None:
    raise LookupError("no licence here")
