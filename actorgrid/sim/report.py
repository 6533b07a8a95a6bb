"""The report of a failure: one screen that tells the shortest story, and the line that replays it."""

from __future__ import annotations

from typing import Final

from actorgrid.sim import hashing
from actorgrid.sim.runner import Run
from actorgrid.sim.story import Step

#: A screen: so many lines of so many characters.
LINES: Final = 48
WIDTH: Final = 120
#: Lines of who waits for what, and steps of where the nearest schedule that passes goes another way.
MOST_WAITS: Final = 10
MOST_OTHER_STEPS: Final = 3
#: Steps that are shown whatever else there is to say.
FEWEST_STEPS: Final = 12
#: Columns of a step's actor and of what happens; steps around a deviation that is far from the end.
LANE: Final = 24
WHAT: Final = 52
AROUND: Final = 2
#: What the table has besides steps: its title and two lines that say what is left out.
_FRAME: Final = 3


def describe(run: Run, *, call: str, shrunk_in: int = 0, passing: Run | None = None) -> str:
    """Return the report. ``run``, and ``passing``, the nearest that does not fail, were made with ``details``.

    ``call``: the program and its arguments, separated by commas.
    """
    program, _, arguments = call.partition(", ")
    top = [f"{program}({arguments}) fails: {_headline(run)}"]
    if run.identity[1]:
        top.append(f"  at {run.identity[1]}")
    count = len(run.schedule.deviations)
    how = "in the dullest run there is" if not count else f"with {count} deviation{'s' * (count > 1)} from the dull run"
    top.append(f"  {how}" + (f", found by {shrunk_in} replays of the first failure" if shrunk_in else ""))
    rest = []
    if run.waits:
        rest += ["", "who waits for what:", *_waits(run.waits.split("; "))]
    if passing is not None:
        rest += ["", *_difference(run, passing)]
    if hashing.HERE is None:
        rest += ["", "strings hash at random here: if the order of a set of them matters, find and replay it under"]
        rest[-1] += f" {hashing.VARIABLE}=0"
    line = f"replay it:  actorgrid.sim.replay({run.schedule.dumps()!r}, {call})"
    room = LINES - len(top) - len(rest) - 3 - _FRAME
    lines = [*top, "", *_table(run, max(room, FEWEST_STEPS)), *rest]
    return "\n".join([*(_cut(line, WIDTH) for line in lines), "", line])  # which is whole, however long


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 3]}..."


def _waits(waits: list[str]) -> list[str]:
    """Return who waits for what; where, in lines of their own if they are long."""
    lines: list[str] = []
    for wait in waits:
        who, _, where = wait.partition(", at ")
        line = f"  {wait}"
        lines += [line] if len(line) <= WIDTH or not where else [f"  {who},", f"      at {where}"]
    if len(lines) > MOST_WAITS:
        lines = [*lines[:MOST_WAITS], f"  ... and {len(lines) - MOST_WAITS} lines more"]
    return lines


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
    return f"{type(cause).__name__}: {lines[0]}" if lines else type(cause).__name__


def _shown(run: Run, room: int) -> list[int]:
    """Return which steps are shown: the last ones, and those around deviations before them."""
    count = len(run.story)
    if count <= room:
        return list(range(count))
    odd = [number for number in range(count) if run.deviates(number)]
    chosen: dict[int, None] = {}
    for number in odd:
        around = range(max(number - AROUND, 0), min(number + AROUND + 1, count))
        if len(chosen.keys() | set(around)) <= room // 2:
            chosen.update(dict.fromkeys(around))
    last = count - 1
    while len(chosen) < room and last >= 0:
        chosen[last] = None
        last -= 1
    return sorted(chosen)


def _table(run: Run, room: int) -> list[str]:
    """Return the steps: virtual time, actor, what it started, the line that asked for it, and whose line that is.

    Deviations are marked.
    """
    shown = _shown(run, room)
    rows = [(run.story[number], _what(run.story[number])) for number in shown]
    lane = max([5, *(min(len(step.where), LANE) for step, _ in rows)])
    width = max([4, *(min(len(what), WHAT) for step, what in rows if step.site)])
    lines = [f"{'time':>10}  {'where':<{lane}}  {'what':<{width}}  called at, by"]
    before = -1
    for number, (step, what) in zip(shown, rows, strict=True):
        if number > before + 1:
            lines.append(f"{'':>10}  ... {number - before - 1} steps")
        before = number
        mark = "  <-- deviates" if run.deviates(number) else ""
        short = _cut(what, width if step.site else WIDTH - 12 - lane - 4 - len("  <-- deviates"))
        line = f"{step.when:>10.6f}  {_cut(step.where, lane):<{lane}}  {short:<{width}}  {_origin(step)}{mark}"
        lines.append(line.rstrip())
    return lines


def _origin(step: Step) -> str:
    """Return the line that asked for it, and which task or call that was a line of."""
    return f"{step.site}, {step.caller}" if step.site and step.caller else step.site


def _what(step: Step) -> str:
    return step.what if step.kind == "call" else f"[{step.kind}] {step.what}"
