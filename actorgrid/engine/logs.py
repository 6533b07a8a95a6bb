"""How processes of a grid log: the root logger writes to standard error, as text or JSON, and says where it was said.

Only imported where somebody asks for it: ``logging`` takes longer to import than a worker to start.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable
from typing import Any, Final, TextIO

from actorgrid.core.ids import render
from actorgrid.engine import current
from actorgrid.engine.definitions import LogSettings

#: Names that every record has: whatever else is in one, its author has put there.
STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}
_TEXT: Final = "%(asctime)s\t%(levelname)s %(filename)s:%(lineno)s -- %(message)s"

#: Undoes what ``apply`` has done to this process.
_undo: Callable[[], None] | None = None


def apply(settings: LogSettings) -> None:
    """Make the root logger of this process log as ``settings`` say, instead of as an earlier call of this said."""
    global _undo  # noqa: PLW0603  # there is one root logger
    restore()
    root = logging.getLogger()
    handler = _Handler()
    handler.setLevel(settings.level)
    handler.setFormatter(
        JsonFormatter(settings.attrs) if settings.encoding == "JSON" else TextFormatter(settings.attrs)
    )
    handler.addFilter(add_context)
    level = root.level
    root.addHandler(handler)
    root.setLevel(settings.level)

    def undo() -> None:
        root.removeHandler(handler)
        root.setLevel(level)

    _undo = undo


def restore() -> None:
    """Undo ``apply``, if it was called."""
    global _undo  # see apply
    undo, _undo = _undo, None
    if undo is not None:
        undo()


class _Handler(logging.StreamHandler[TextIO]):
    """Writes to whatever standard error is when something is logged: programs replace it."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:
        """Where it goes."""
        return sys.stderr

    @stream.setter
    def stream(self, _: TextIO) -> None:
        """``StreamHandler`` sets it."""


def add_context(record: logging.LogRecord) -> bool:
    """Note in a record which job, worker, actor and task it was made in."""
    engine = current.installed()
    if engine is None:
        return True
    here = engine.context()
    said: dict[str, Any] = {
        "job_id": here.job.to_bytes(4, "little").hex(),
        "worker_id": render(engine.process(), here.session, 56),
        "node_id": (here.session * 2)[:56],
    }
    if here.actor:
        said |= {"actor_id": render(here.actor, here.session, 32), "actor_name": here.actor_name}
    if here.task:
        said |= {"task_id": render(here.task, here.session, 48), "task_name": here.task_name}
        said["task_func_name"] = here.function
    vars(record).update(said)
    return True


class _Formatter(logging.Formatter):
    def __init__(self, attrs: tuple[str, ...], style: str | None = None) -> None:
        super().__init__(style)
        self._attrs = attrs

    def extras(self, record: logging.LogRecord) -> dict[str, Any]:
        """Return what a record has beyond the standard, and the standard names that were asked for."""
        wanted = {name: getattr(record, name, None) for name in self._attrs}
        return wanted | {name: value for name, value in vars(record).items() if name not in STANDARD}


class TextFormatter(_Formatter):
    """Text for people, then ``name=value`` for each extra."""

    def __init__(self, attrs: tuple[str, ...]) -> None:
        """``attrs`` are standard names to add."""
        super().__init__(attrs, _TEXT)

    def format(self, record: logging.LogRecord) -> str:
        """See ``logging.Formatter``."""
        text = super().format(record)
        return " ".join([text, *(f"{name}={value}" for name, value in self.extras(record).items())])


class JsonFormatter(_Formatter):
    """One JSON object per record."""

    def format(self, record: logging.LogRecord) -> str:
        """See ``logging.Formatter``."""
        told: dict[str, Any] = {
            "asctime": self.formatTime(record),
            "levelname": record.levelname,
            "message": record.getMessage(),
            "filename": record.filename,
            "lineno": record.lineno,
        }
        if record.exc_info:
            told["exc_text"] = record.exc_text or self.formatException(record.exc_info)
        told |= self.extras(record)
        told["timestamp_ns"] = int(record.created * 1e9)
        return json.dumps(told, default=str)
