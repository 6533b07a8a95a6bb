"""Two runs with the same choices that differ: something that the simulator does not control decides. What shows it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from actorgrid.exceptions import NondeterminismError
from actorgrid.sim.choices import Forced, Schedule
from actorgrid.sim.payloads import different
from actorgrid.sim.runner import Program, Run
from actorgrid.sim.story import Step

#: How often a failure is played again before it is told.
REPLAYS: Final = 3
#: How often a schedule is run until two runs of it differ.
MOST_RUNS: Final = 20
_ADVICE: Final = (
    "Something that the simulator does not control decides: see actorgrid.sim.boundary(); sets of plain objects, id() "
    "and what earlier runs have left behind are the usual ones"
)


def difference(first: Sequence[Step], second: Sequence[Step]) -> str:
    """Return the first event in which two stories differ, "" if there is none."""
    for index, (left, right) in enumerate(zip(first, second, strict=False)):
        if left[:-1] == right[:-1] and left != right:
            return f"differ at step {index}: {_told(left)}, is not given the same arguments in both"
        if left != right:
            return f"differ at step {index}: {_told(left)} in one, {_told(right)} in the other"
    if len(first) == len(second):
        return ""
    longer, shorter = sorted((first, second), key=len, reverse=True)
    return f"differ after step {len(shorter) - 1}: one ends, the other goes on with {_told(longer[len(shorter)])}"


def _told(step: Step) -> str:
    what = f"{step.what} of {step.where}" if step.where else f"[{step.kind}] {step.what}"
    return f"{what} at {step.when:.6f} s" + (f", called at {step.site}" if step.site else "")


def error_of(found: str, *, ends: str = "") -> NondeterminismError:
    """Return the error. ``found``: what ``difference`` says; ``ends``: how the two runs ended, if that is all."""
    return NondeterminismError(f"two runs with the same choices {found or f'differ: {ends}'}. {_ADVICE}")


def must_be_equal(program: Program, one: Run, *, replays: int = 1) -> Run:
    """Run the schedule of ``one`` again, ``replays`` times, and return the last run, with all details.

    Raises NondeterminismError, which names the first event or value that differs, if any of these runs is another one.
    """
    again = one
    for _ in range(replays):
        again = _again(program, one.schedule)
        if (again.digest, again.checksum) != (one.digest, one.checksum):
            raise _searched(program, one, again)
    return again


def _again(program: Program, schedule: Schedule) -> Run:
    return program.run(Forced(dict(schedule.deviations)), schedule.seed, details=True)


def _searched(program: Program, one: Run, again: Run) -> NondeterminismError:
    ends = f"one ends with {_end(one)}, the other with {_end(again)}"
    if again.digest == one.digest:
        ends = "other values are passed between processes, as arguments or results"
    for _ in range(MOST_RUNS):  # the story of the first was not told
        other = _again(program, one.schedule)
        found = difference(again.story, other.story) or different(again.passed, other.passed)
        if found:
            return error_of(found)
    return error_of("", ends=ends)


def _end(run: Run) -> str:
    return " at ".join(part for part in run.identity if part) or "no error"
