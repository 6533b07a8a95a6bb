"""What the figures of ``chaos.py`` say of our promises: each one that they break, in words.

``timed``: speeds, durations and slopes count, too. In a run of a few seconds they say nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import chaos_cancel
import chaos_churn
import chaos_drivers
import chaos_notice
import chaos_program

#: What there is none of in a storm, nor before.
COUNTED: Final = ("lost", "delivered twice", "wrong results", "streams out of order", "hangs", "never ran")
#: A worker runs one call of a storm at a time: so many may have to run again for each that is killed.
RUNNING: Final = 1
#: Speed under kills, as a share of the calm one.
OF_CALM: Final = 0.8
#: ... but for those whose every death makes up to a hundred calls run again.
SLOWER: Final = ("storm, checkpoint=100",)
#: Until the prompt is back after Ctrl-C; until nothing is left, and all who wait are told, after a kill (milliseconds).
PROMPT: Final = 500.0
GONE: Final = 1000.0  # and until ``shutdown`` returns: it kills what runs, there is no grace to wait for
#: Until ``get`` of a cancelled task raises, and the next one has run (milliseconds); with ``force``, in another worker.
CANCELLED: Final = 500.0
FORCED: Final = 1000.0
#: Until the death of a worker is noticed, in 99 of 100 cases (milliseconds).
NOTICED: Final = 50.0
#: What may grow in a minute of the soak: (end of the name, most). Samples are noisy, and a leak grows with every call.
SLOPES: Final = (("memory, kB", 100.0), ("descriptors", 0.2), ("threads", 0.1), ("object store, kB", 50.0))


def broken(results: dict[str, Any], *, timed: bool = True) -> list[str]:
    """Return the promises that ``results`` breaks; parts that did not run promise nothing."""
    found: list[str] = []
    for part in ("storm", "actors", "streams", "checkpoints"):
        found += (f"{part}: {what}" for what in _storm(results.get(part, {}), timed=timed))
    for name, row in results.get("drivers", {}).items():
        found += (f"drivers, {name}: {what}" for what in chaos_drivers.broken(row))
    for name, row in results.get("notice", {}).items():
        found += (f"{name}: {what}" for what in _notice(row, timed=timed))
    for part, limit in (("ends", GONE), ("interrupts", PROMPT), ("shutdown", GONE)):
        for name, row in results.get(part, {}).items():
            found += (f"{part}, {name}: {what}" for what in _end(row, limit, timed=timed))
    for name, row in results.get("cancel", {}).items():
        found += (f"cancel, {name}: {what}" for what in _cancel(row, force=name.startswith("force"), timed=timed))
    found += (f"churn: more {what} at the end" for what in chaos_churn.leaks(results.get("churn", {})))
    if timed:
        found += (f"soak: {what}" for what in _soak(results.get("soak", {})))
    return found


def _storm(rows: dict[str, Any], *, timed: bool) -> Iterator[str]:
    for name, row in rows.items():
        for what in COUNTED:
            if row.get(what):
                yield f"{row[what]} {what} in the {name}"
        most = row.get("kills", 0) * RUNNING
        if row.get("ran again", 0) > most:
            yield f"{row['ran again']} ran again in the {name}, of {most} that can have been running then"
        there, _, wanted = row.get("workers afterwards", "").partition(" of ")
        if there != wanted:
            yield f"{there} workers are left of {wanted} after the {name}"
        if timed and name not in SLOWER and row.get("of calm", 1.0) < OF_CALM:
            yield f"{row['of calm']:.2f} of the calm speed in the {name}, less than {OF_CALM}"


def _end(row: dict[str, Any], limit: float, *, timed: bool) -> Iterator[str]:
    if row.get("left behind"):
        yield f"{row['left behind']} processes and names left behind"
    if row.get("bytes left"):
        yield f"{row['bytes left']} bytes of shared memory left behind"
    if row.get("other than one traceback"):
        yield f"{row['other than one traceback']} times other than one traceback"
    if row["p100, ms"] >= chaos_program.LIMIT * 1e3:
        yield f"not within {chaos_program.LIMIT:.0f} s"
    elif timed and row["p100, ms"] > limit:
        yield f"{row['p100, ms']:.0f} ms at worst, more than {limit:.0f}"


def _cancel(row: dict[str, Any], *, force: bool, timed: bool) -> Iterator[str]:
    limit = FORCED if force else CANCELLED
    if row["left behind"]:
        yield f"{row['left behind']} processes left behind"
    if force and row["in another process"] < row["trials"]:
        yield f"{row['trials'] - row['in another process']} workers live on"
    for column, what in (("p100, ms", "until it raises"), ("next task: p100, ms", "until the next task has run")):
        if row[column] >= chaos_cancel.LIMIT * 1e3:
            yield f"not within {chaos_cancel.LIMIT:.0f} s {what}"
        elif timed and row[column] > limit:
            yield f"{row[column]:.0f} ms at worst {what}, more than {limit:.0f}"


def _notice(row: dict[str, Any], *, timed: bool) -> Iterator[str]:
    if row["left behind"]:
        yield f"{row['left behind']} processes left behind"
    if row["p100, ms"] >= chaos_notice.LIMIT * 1e3:
        yield "a death was never noticed"
    elif timed and row["p99, ms"] > NOTICED:
        yield f"{row['p99, ms']:.0f} ms in the worst of a hundred, more than {NOTICED:.0f}"


def _soak(rows: dict[str, Any]) -> Iterator[str]:
    for name, row in rows.items():
        if isinstance(row, dict):
            most = next(most for end, most in SLOPES if name.endswith(end))
            if row["per minute"] > most:
                yield f"{name} grows by {row['per minute']:.3g} per minute, more than {most:g}"
