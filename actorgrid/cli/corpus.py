"""Which files the demo reads: those of the running Python's standard library, or a folder of the user's."""

from __future__ import annotations

import os
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from actorgrid.cli.index import File

TEXT: Final = frozenset({".py", ".txt", ".rst", ".md", ".html", ".cfg", ".toml", ".pyi", ".c", ".h"})
SKIPPED: Final = frozenset({"__pycache__", "site-packages", "dist-packages", ".git", "node_modules", ".venv"})
#: Limits on one file and on all files, in bytes: a demo must end, whatever folder it is shown.
LARGEST: Final = 2 << 20
MOST: Final = 128 << 20


class EmptyCorpusError(Exception):
    """There is nothing to read; the message says where and why."""


@dataclass(frozen=True)
class Corpus:
    """Files with their sizes; their numbers are their positions."""

    folder: Path
    paths: list[str]
    sizes: list[int]
    #: Whether there were more than a demo can take.
    cut: bool

    @property
    def size(self) -> int:
        """The bytes of all files."""
        return sum(self.sizes)

    def batches(self, count: int) -> list[list[File]]:
        """Deal the files into ``count`` batches of about equal size; fewer if there are not so many files."""
        dealt: list[list[File]] = [[] for _ in range(min(count, len(self.paths)))]
        loads = [0] * len(dealt)
        for number in sorted(range(len(self.paths)), key=lambda number: -self.sizes[number]):
            least = loads.index(min(loads))
            dealt[least].append((number, self.paths[number]))
            loads[least] += self.sizes[number]
        return dealt

    def sample(self, size: int) -> bytearray:
        """Return the content of the first files, from the beginning again if that is less than ``size`` bytes."""
        data = bytearray()
        for path in self.paths:
            data += _content(path)
            if len(data) >= size:
                break
        data = data or bytearray(8)
        return (data * -(-size // len(data)))[:size]


def _content(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError:
        return b""


def collect(folder: Path | None) -> Corpus:
    """Find the text files below ``folder`` (None: the standard library). Raises EmptyCorpusError."""
    where = Path(sysconfig.get_path("stdlib")) if folder is None else folder
    if not where.exists():
        raise EmptyCorpusError(f"there is no folder {where}")
    if not where.is_dir():
        raise EmptyCorpusError(f"{where} is not a folder")
    found: list[tuple[str, int]] = []
    total = 0
    for path, size in _texts(where):
        if total + size > MOST:
            return Corpus(where, *_columns(found), cut=True)
        found.append((path, size))
        total += size
    if not found:
        raise EmptyCorpusError(f"there is no text file that can be read in {where}")
    return Corpus(where, *_columns(found), cut=False)


def _columns(found: list[tuple[str, int]]) -> tuple[list[str], list[int]]:
    return [path for path, _ in found], [size for _, size in found]


def _texts(where: Path) -> Iterator[tuple[str, int]]:
    """Walk in a fixed order. What cannot be read is passed over."""
    for root, folders, names in os.walk(where):
        folders[:] = sorted(name for name in folders if name not in SKIPPED)
        for name in sorted(names):
            path = os.path.join(root, name)
            if os.path.splitext(name)[1].lower() in TEXT and 0 < (size := _size(path)) <= LARGEST:
                yield path, size


def _size(path: str) -> int:
    """Return the size of a file; 0 if it is no file or cannot be read."""
    try:
        return os.path.getsize(path) if os.path.isfile(path) and os.access(path, os.R_OK) else 0
    except OSError:  # it went away just now
        return 0
