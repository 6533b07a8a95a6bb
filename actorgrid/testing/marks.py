"""Finding every process that somebody started, however indirectly.

A child inherits its parent's environment and keeps it when its parents die. So a word in one environment variable,
which nobody else has, finds them all. A zombie has no environment; it is found as a child.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import MutableMapping
from pathlib import Path
from typing import Final

import psutil

#: The variable. Its value is words, one for each run around the process: runs nest.
MARKS: Final = "ACTORGRID_MARKS"


def new_mark() -> str:
    """Return a word that nobody else has."""
    return f"{os.getpid()}-{uuid.uuid4().hex}"


def put(mark: str, environment: MutableMapping[str, str]) -> None:
    """Mark whatever is started with this environment."""
    words = environment.get(MARKS, "").split()
    if mark not in words:
        environment[MARKS] = " ".join([*words, mark])


def marked(mark: str) -> set[psutil.Process]:
    """Return all living processes, but this one, that were started with ``mark``."""
    needle, variable = mark.encode(), f"{MARKS}=".encode()
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            try:
                environment = (entry / "environ").read_bytes()
                if needle in environment and _has(environment, variable, needle):
                    found.add(psutil.Process(int(entry.name)))
            except (OSError, psutil.Error):
                pass  # gone, or another user's
    return found


def _has(environment: bytes, variable: bytes, needle: bytes) -> bool:
    return any(
        needle in line[len(variable) :].split() for line in environment.split(b"\0") if line.startswith(variable)
    )


def descendants(process: psutil.Process) -> set[psutil.Process]:
    """Return the children of a process, and theirs; zombies count."""
    try:
        return set(process.children(recursive=True))
    except psutil.Error:
        return set()
