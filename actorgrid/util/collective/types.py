"""The names of ``ray.util.collective.types``: what can be done with arrays, and through what."""

from __future__ import annotations

from enum import Enum, StrEnum, nonmember

__all__ = ["Backend", "ReduceOp"]


class ReduceOp(Enum):
    """How the arrays of all members become one."""

    SUM = 0
    PRODUCT = 1
    MIN = 2
    MAX = 3


class Backend(StrEnum):
    """What carries arrays from process to process. Here all of them mean shared memory."""

    SHM = "shm"
    GLOO = "gloo"
    TORCH_GLOO = "torch_gloo"
    #: Names of Ray's that are no backend here: whoever asks for one is refused.
    NCCL = nonmember("NCCL")
    UNRECOGNIZED = nonmember("unrecognized")

    @classmethod
    def _missing_(cls, value: object) -> Backend | None:
        """Ray's are in capital letters."""
        return next((each for each in cls if isinstance(value, str) and each.value == value.lower()), None)

    @classmethod
    def of(cls, name: object) -> Backend:
        """Return the backend called ``name``. Raises TypeError, ValueError."""
        if not isinstance(name, str):
            raise TypeError(f"backend must be a str, not {type(name).__name__}")
        try:
            return cls(name)
        except ValueError:
            raise ValueError(
                f"backend {name!r} is not there: arrays go through the memory of this machine, whichever of "
                f"{', '.join(map(repr, map(str, cls)))} you say"
            ) from None
