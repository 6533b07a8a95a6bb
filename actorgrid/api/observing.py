"""What has run and when: ``timeline``."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from actorgrid.api.session import running
from actorgrid.core.ids import render
from actorgrid.observe.timeline import Ran, events

#: Digits of a task's id.
_DIGITS = 48


def timeline(filename: str | os.PathLike[str] | None = None) -> list[dict[str, Any]] | None:
    """Return what has run and runs, call by call, as trace events; or write them to a file, as JSON.

    ``chrome://tracing`` and https://ui.perfetto.dev draw them: a row per worker, more if its calls overlap. The newest
    10000 tasks that are over are in it (``ACTORGRID_TASK_EVENTS``; of floods a sample), of those that were tried again
    the last attempt.
    Raises NotStartedError if there is no grid, OSError if the file cannot be written.
    """
    engine = running()
    told = engine.inspect("ran", {})
    session = engine.context().session
    calls = [Ran(*row) for row in told["rows"]]
    made = events(calls, told["epoch"], {ran.task: render(ran.task, session, _DIGITS) for ran in calls})
    if filename is None:
        return made
    Path(filename).write_text(json.dumps(made), encoding="utf-8")
    return None
