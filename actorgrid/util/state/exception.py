"""What the state functions raise when the head does not answer in time, under Ray's name; and what they never raise."""

from __future__ import annotations

from actorgrid.exceptions import GetTimeoutError

RayStateApiException = GetTimeoutError

__all__ = ["DataSourceUnavailable", "RayStateApiException", "ServerUnavailable"]


class ServerUnavailable(RayStateApiException):
    """Ray's dashboard cannot be reached. There is none here, and so nothing raises this."""


class DataSourceUnavailable(Exception):  # noqa: N818  # Ray's name
    """Ray's dashboard cannot reach its sources. Nothing raises this, either."""
