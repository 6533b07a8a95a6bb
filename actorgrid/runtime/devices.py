"""Which GPUs there are, what they are called, and how a process is told which of them it may use.

Nothing here opens a device: what the system tells of them in files is enough to count them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import Final

from actorgrid.engine.worker_side import CUDA

#: What ``CUDA_VISIBLE_DEVICES`` is called for AMD's GPUs.
HIP: Final = "HIP_VISIBLE_DEVICES"
#: With "1" nobody is told: the program sees to it itself.
UNSET: Final = "ACTORGRID_NOSET_VISIBLE_DEVICES"

NVIDIA_FILES: Final = "/proc/driver/nvidia/gpus"
AMD_FILES: Final = "/sys/class/kfd/kfd/topology/nodes"
_MODEL: Final = re.compile(r"^Model:\s*\w+\s+([A-Z]+\d+\w*)", re.MULTILINE)
_CORES: Final = re.compile(r"^simd_count [1-9]", re.MULTILINE)


def visible() -> list[str] | None:
    """Return the names of the GPUs that this process may use, if its environment says so."""
    for variable in (CUDA, HIP):
        if variable in os.environ:
            return [name for part in os.environ[variable].split(",") if (name := part.strip()) and name != "NoDevFiles"]
    return None


def names(count: float) -> list[str]:
    """Return what ``count`` GPUs are called: the first of those that this process may use."""
    whole = -int(-count // 1)
    return (visible() or [str(number) for number in range(whole)])[:whole]


def variables(count: float) -> list[str]:
    """Return which environment variables tell a process of its GPUs; none if a grid has none to give."""
    if not count or os.environ.get(UNSET) == "1":
        return []
    return [CUDA, HIP] if HIP in os.environ or _amd() else [CUDA]


def check(count: float | None) -> None:
    """Raise ValueError if a grid is to have more GPUs than this process may use."""
    allowed = visible()
    if count is not None and allowed is not None and count > len(allowed):
        raise ValueError(f"num_gpus={count:g}, but this process may use only {len(allowed)} ({CUDA} is {allowed})")


def detect() -> int:
    """Return how many GPUs this process may use."""
    found = len(_nvidia() or _amd())
    allowed = visible()
    return found if allowed is None else min(found, len(allowed))


def model() -> str:
    """Return what kind of GPU there is, as ``accelerator_type`` calls it: "A100", say; empty if that is not known."""
    for folder in _nvidia():
        match = _MODEL.search(_read(f"{folder}/information"))
        if match:
            return match.group(1)
    return ""


def _nvidia() -> list[str]:
    return list(_folders(NVIDIA_FILES))


def _amd() -> list[str]:
    return [folder for folder in _folders(AMD_FILES) if _CORES.search(_read(f"{folder}/properties"))]


def _folders(path: str) -> Iterable[str]:
    try:
        return [f"{path}/{name}" for name in sorted(os.listdir(path))]
    except OSError:
        return []


def _read(path: str) -> str:
    try:
        with open(path, errors="replace") as file:
            return file.read()
    except OSError:
        return ""
