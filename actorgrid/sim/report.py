"""The report of a failure: one screen that tells the shortest story, and the line that replays it."""

from __future__ import annotations

from typing import Final

from actorgrid.sim.runner import Run

MOST_STEPS: Final = 40
#: Characters of an error's message that are shown.
WIDTH: Final = 120


#: Steps that are shown of where the nearest schedule that passes goes another way.
MOST_OTHER_STEPS: Final = 3


def describe(run: Run, *, program: str, shrunk_in: int = 0, passing: Run | None = None) -> str:
    """Return the report. ``run``, and ``passing``, the nearest that does not fail, were made with ``details``."""
    lines = [f"{program} fails: {_headline(run)}"]
    if run.identity[1]:
        lines.append(f"  at {run.identity[1]}")
    count = len(run.schedule.deviations)
    how = "in the dullest run there is" if not count else f"with {count} deviation{'s' * (count > 1)} from the dull run"
    lines.append(f"  {how}" + (f", found by {shrunk_in} replays of the first failure" if shrunk_in else ""))
    lines += ["", *_table(run)]
    if run.waits:
        lines += ["", "who waits for what:", *(f"  {wait}" for wait in run.waits.split("; "))]
    if passing is not None:
        lines += ["", *_difference(run, passing)]
    lines += ["", f"replay it:  actorgrid.sim.replay({run.schedule.dumps()!r}, {program.split('(', maxsplit=1)[0]})"]
    return "\n".join(lines)


def _difference(run: Run, passing: Run) -> list[str]:
    """Return where the nearest schedule that passes goes another way."""
    same = 0
    for here, there in zip(run.story, passing.story, strict=False):
        if (here.kind, here.what) != (there.kind, there.what):
            break
        same += 1
    after = f"after {run.story[same - 1].what}" if same else "at the beginning"
    lines = [f"the nearest schedule that passes goes another way {after}:"]
    for name, story in (("fails", run.story), ("passes", passing.story)):
        steps = [step.what for step in story[same : same + MOST_OTHER_STEPS]]
        rest = ", ..." if len(story) > same + MOST_OTHER_STEPS else ""
        lines.append(f"  {name + ':':<8}{', '.join(steps) or 'nothing more happens'}{rest}")
    return lines


def _headline(run: Run) -> str:
    error = run.error
    cause = getattr(error, "cause", None) or error
    lines = str(cause).strip().splitlines()
    if not lines:
        return type(cause).__name__
    first = lines[0] if len(lines[0]) <= WIDTH else lines[0][: WIDTH - 3] + "..."
    return f"{type(cause).__name__}: {first}"


def _table(run: Run) -> list[str]:
    """Return the steps: virtual time, actor, what it started, and the line that asked for it; deviations are marked."""
    story = run.story[-MOST_STEPS:]
    before = len(run.story) - len(story)
    lane = max([5, *(len(step.where) for step in story)])
    rows = [(step, step.what if step.kind == "call" else f"[{step.kind}] {step.what}") for step in story]
    width = max([4, *(len(what) for step, what in rows if step.site)])
    lines = [f"{'time':>10}  {'where':<{lane}}  {'what':<{width}}  called at"]
    if before:
        lines.append(f"{'':>10}  ... {before} steps before")
    for number, (step, what) in enumerate(rows, before):
        mark = "  <-- deviates" if run.deviates(number) else ""
        lines.append(f"{step.when:>10.6f}  {step.where:<{lane}}  {what:<{width}}  {step.site}{mark}".rstrip())
    return lines
