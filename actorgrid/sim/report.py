"""The report of a failure: one screen that tells the shortest story, and the line that replays it."""

from __future__ import annotations

from typing import Final

from actorgrid.sim.runner import Run

MOST_STEPS: Final = 40
LANE: Final = 24


def describe(run: Run, *, program: str, shrunk_in: int = 0) -> str:
    """Return the report. ``run`` was made with ``details``."""
    lines = [f"{program} fails: {_headline(run)}"]
    if run.identity[1]:
        lines.append(f"  at {run.identity[1]}")
    count = len(run.schedule.deviations)
    how = "in the dullest run there is" if not count else f"with {count} deviation{'s' * (count > 1)} from the dull run"
    lines.append(f"  {how}" + (f", found by {shrunk_in} replays of the first failure" if shrunk_in else ""))
    lines += ["", *_table(run)]
    if run.waits:
        lines += ["", "who waits for what:", *(f"  {wait}" for wait in run.waits.split("; "))]
    lines += ["", f"replay it:  actorgrid.sim.replay({run.schedule.dumps()!r}, {program.split('(', maxsplit=1)[0]})"]
    return "\n".join(lines)


def _headline(run: Run) -> str:
    error = run.error
    cause = getattr(error, "cause", None) or error
    text = str(cause).strip().splitlines()
    return f"{type(cause).__name__}: {text[0]}" if text else type(cause).__name__


def _table(run: Run) -> list[str]:
    """Return the steps: virtual time, actor, what it started; deviations are marked."""
    deviating = {choice.label for choice in run.record if choice.value}
    actors = {where: f"actor {where}" if where else "" for _, _, where, _ in run.story}
    lines = [f"{'time':>10}  {'where':<{LANE}}  what"]
    story = run.story if len(run.story) <= MOST_STEPS else run.story[-MOST_STEPS:]
    if len(story) < len(run.story):
        lines.append(f"{'':>10}  ... {len(run.story) - len(story)} steps before")
    for when, kind, where, label in story:
        mark = "  <-- deviates" if label in deviating else ""
        what = label if kind == "call" else f"[{kind}] {label}"
        lines.append(f"{when:>10.6f}  {actors[where]:<{LANE}}  {what}{mark}")
    return lines
