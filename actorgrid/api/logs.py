"""``LoggingConfig``: how the driver and its workers log."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self

from actorgrid.engine.definitions import LogSettings
from actorgrid.engine.hints import did_you_mean
from actorgrid.engine.logs import STANDARD

ENCODINGS = ("TEXT", "JSON")


@dataclass
class LoggingConfig:
    """For ``init(logging_config=...)``: the root logger of the driver and of every worker logs like this.

    ``encoding``: "TEXT" or "JSON"; each record says in which job, worker, actor and task it was made.
    ``log_level``: the name or number of a level. ``additional_log_standard_attrs``: names of attributes of Python's
    ``LogRecord`` that are told as well. Raises ValueError and TypeError for what there is not.
    """

    encoding: str = "TEXT"
    log_level: str | int = "INFO"
    additional_log_standard_attrs: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.encoding not in ENCODINGS:
            raise ValueError(
                f"Invalid encoding type: {self.encoding!r:.100}. Valid encoding types are: {list(ENCODINGS)}"
            )
        if isinstance(self.log_level, bool) or not isinstance(self.log_level, str | int):
            raise TypeError(f"'log_level' is the name or number of a level, not {type(self.log_level).__name__}")
        levels = logging.getLevelNamesMapping()
        if isinstance(self.log_level, str) and self.log_level not in levels:
            hint = did_you_mean(self.log_level.upper(), sorted(levels))
            raise ValueError(f"there is no log level {self.log_level!r:.100}.{hint} There are {sorted(levels)}")
        if isinstance(self.additional_log_standard_attrs, str):
            raise TypeError("'additional_log_standard_attrs' is a list of names, not one text")
        for name in self.additional_log_standard_attrs:
            if name not in STANDARD:
                hint = did_you_mean(str(name), sorted(STANDARD))
                raise ValueError(
                    f"Unknown python logging standard attribute: {name!r:.100}.{hint} There are {sorted(STANDARD)}"
                )

    def to_dict(self) -> dict[str, Any]:
        """Return what it was made of."""
        return asdict(self)

    @classmethod
    def from_dict(cls, d: Mapping[str, Any]) -> Self:
        """Return what ``to_dict`` was asked of; other keys mean nothing. Raises what the constructor raises."""
        return cls(**{each.name: d[each.name] for each in fields(cls) if each.name in d})

    def settings(self) -> LogSettings:
        """Return this in the form in which it travels to the workers."""
        level = self.log_level if isinstance(self.log_level, int) else logging.getLevelNamesMapping()[self.log_level]
        return LogSettings(self.encoding, level, tuple(self.additional_log_standard_attrs))


def check_logging(given: LoggingConfig | None) -> LogSettings | None:
    """Return how a grid logs, None if Python's own way. Raises TypeError, ValueError."""
    if given is None:
        encoding = os.environ.get("ACTORGRID_LOGGING_CONFIG_ENCODING")
        return LoggingConfig(encoding=encoding).settings() if encoding else None
    if not isinstance(given, LoggingConfig):
        raise TypeError(f"'logging_config' must be a LoggingConfig, not {type(given).__name__}")
    return given.settings()
