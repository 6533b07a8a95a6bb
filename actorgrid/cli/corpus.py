"""Which files the demo reads: those of the running Python's standard library, or a folder of the user's."""

from __future__ import annotations

import os
import sysconfig
from pathlib import Path
from typing import Final

TEXT: Final = frozenset({".py", ".txt", ".rst", ".md", ".html", ".cfg", ".toml", ".pyi", ".c", ".h"})
SKIPPED: Final = frozenset({"__pycache__", "site-packages", "dist-packages", ".git", "node_modules", ".venv"})
LARGEST: Final = 2 << 20


class EmptyCorpusError(Exception):
    """There is nothing to read; the message says where and why."""


def files(folder: Path | None) -> list[str]:
    """Return the text files below ``folder`` (None: the standard library), sorted. Raises EmptyCorpusError."""
    where = Path(sysconfig.get_path("stdlib")) if folder is None else folder
    if not where.is_dir():
        raise EmptyCorpusError(f"{where} is not a folder")
    found: list[str] = []
    for root, folders, names in os.walk(where):
        folders[:] = [name for name in folders if name not in SKIPPED]
        found += [path for name in names if (path := _readable(root, name, anything=folder is not None))]
    if not found:
        raise EmptyCorpusError(f"{where} holds no text files")
    return sorted(found)


def _readable(root: str, name: str, *, anything: bool) -> str | None:
    if Path(name).suffix not in TEXT and not (anything and Path(name).suffix == ""):
        return None
    path = os.path.join(root, name)
    try:
        size = os.path.getsize(path)
    except OSError:
        return None
    return path if 0 < size <= LARGEST and os.access(path, os.R_OK) else None


def batches(paths: list[str], count: int) -> list[list[tuple[int, str]]]:
    """Deal numbered files into ``count`` batches of about equal number of bytes."""
    dealt: list[list[tuple[int, str]]] = [[] for _ in range(min(count, len(paths)))]
    loads = [0] * len(dealt)
    for number, path in sorted(enumerate(paths), key=lambda pair: -os.path.getsize(pair[1])):
        least = loads.index(min(loads))
        dealt[least].append((number, path))
        loads[least] += os.path.getsize(path)
    return dealt
