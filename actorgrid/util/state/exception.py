"""What the state functions raise when the head does not answer in time, under Ray's name."""

from __future__ import annotations

from actorgrid.exceptions import GetTimeoutError

RayStateApiException = GetTimeoutError

__all__ = ["RayStateApiException"]
