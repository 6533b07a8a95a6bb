"""Who ran what and when, as trace events: what ``chrome://tracing`` and Perfetto draw.

A worker says when a call is over together with others, and how long each has run. So the calls of a process that runs
one at a time are laid one before the other, the last one first; those that may overlap get a row for each that runs at
the same time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

#: The one process that there is for whoever draws: this machine.
MACHINE: Final = 1
_SECOND: Final = 1_000_000
#: The colours have names of their own there.
_COLOURS: Final = ("generic_work", "rail_load", "rail_response")
_FAILED: Final = "terrible"
_UNFINISHED: Final = "thread_state_runnable"


class Ran(NamedTuple):
    """A call that has run, or runs: as the head tells it. Times are seconds."""

    task: int
    name: str
    #: Of a task (0), a constructor (1), a method (2).
    kind: int
    worker: int
    pid: int
    attempt: int
    submitted: float
    ended: float
    micros: int
    state: str
    #: Others may run in the same process at the same time.
    overlaps: bool


class Span(NamedTuple):
    """When it ran, in microseconds, and in which of the rows of its process."""

    start: int
    end: int
    row: int
    ran: Ran


def events(calls: Iterable[Ran], epoch: float, ids: dict[int, str]) -> list[dict[str, Any]]:
    """Return the trace events of ``calls``; ``epoch`` is added to all times, ``ids`` says how tasks are called."""
    processes: dict[int, list[Ran]] = {}
    for ran in calls:
        processes.setdefault(ran.worker, []).append(ran)
    made = [_named("process_name", 0, "actorgrid")]
    tid = 0
    for own in processes.values():
        spans = _laid_out(own)
        for row in range(max(span.row for span in spans) + 1):
            name = f"worker {own[0].pid}" + (f", side by side {row + 1}" if row else "")
            made.append(_named("thread_name", tid + 1 + row, name))
        made += [_event(span, tid + 1 + span.row, int(epoch * _SECOND), ids) for span in spans]
        tid += 1 + max(span.row for span in spans)
    return made


def _laid_out(calls: Sequence[Ran]) -> list[Span]:
    """Return when the calls of one process ran, in order."""
    spans: list[Span] = []
    following: int | None = None
    for ran in reversed(calls):  # the last one first: where it begins the one before has ended
        end = int(ran.ended * _SECOND)
        if not ran.overlaps and following is not None:
            end = min(end, following)
        start = min(max(end - ran.micros, int(ran.submitted * _SECOND)), end)
        following = start if not ran.overlaps else following
        spans.append(Span(start, end, 0, ran))
    spans.sort(key=lambda span: (span.start, span.end))
    free: list[int] = []
    return [span._replace(row=_row(free, span)) for span in spans]


def _row(free: list[int], span: Span) -> int:
    """Return the first row that is free then. ``free``: when the rows will be, which is changed."""
    for row, end in enumerate(free):
        if end <= span.start:
            free[row] = span.end
            return row
    free.append(span.end)
    return len(free) - 1


def _event(span: Span, tid: int, epoch: int, ids: dict[int, str]) -> dict[str, Any]:
    ran = span.ran
    colour = _FAILED if ran.state == "FAILED" else _UNFINISHED if ran.state == "RUNNING" else _COLOURS[ran.kind]
    return {
        "cat": f"task::{ran.name}",
        "name": ran.name,
        "ph": "X",
        "pid": MACHINE,
        "tid": tid,
        "ts": epoch + span.start,
        "dur": span.end - span.start,
        "cname": colour,
        "args": {
            "task_id": ids[ran.task],
            "attempt_number": ran.attempt,
            "state": ran.state,
            "worker_pid": ran.pid,
            "waited_us": max(0, span.start - int(ran.submitted * _SECOND)),
        },
    }


def _named(what: str, tid: int, name: str) -> dict[str, Any]:
    return {"name": what, "ph": "M", "pid": MACHINE, "tid": tid, "args": {"name": name}}
