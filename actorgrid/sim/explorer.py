"""Exploring, proving and replaying: what users call. Names and meaning are documented in ``docs/reference``."""

from __future__ import annotations

import functools
import inspect
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, TypeVar, overload

from actorgrid.exceptions import NondeterminismError, SimulationFailed
from actorgrid.sim.choices import Dull, Forced, Policy, Schedule
from actorgrid.sim.exhaustive import Proof, prove_program
from actorgrid.sim.faults import Faults, Level
from actorgrid.sim.onlookers import Holds
from actorgrid.sim.picture import picture
from actorgrid.sim.realplay import RealRun, play_for_real
from actorgrid.sim.report import describe
from actorgrid.sim.runner import Program, Run, quiet_collector
from actorgrid.sim.search import search_named
from actorgrid.sim.shrink import Shrinker

F = TypeVar("F", bound=Callable[..., Any])
#: Failures that are shrunk and kept, one per identity.
MOST_FAILURES: Final = 10


@dataclass
class Failure:
    """One way to fail: the smallest run that was found."""

    run: Run
    #: What was found first, before shrinking.
    first: Run
    #: How many schedules it took to find it, and how many replays to shrink it.
    found_after: int
    replays: int
    report: str

    @property
    def schedule(self) -> Schedule:
        """What replays it."""
        return self.run.schedule

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the story as one HTML file that needs nothing else: a lane per task and actor, an arrow per call."""
        Path(path).write_text(picture(self.run, self.report), encoding="utf-8")

    def __str__(self) -> str:
        return self.report


@dataclass
class Exploration:
    """What came of trying many schedules."""

    runs: int = 0
    #: Schedules in which different things happened.
    distinct: int = 0
    failures: list[Failure] = field(default_factory=list)
    #: Names given to ``sometimes``, and whether it was true in any run.
    reached: dict[str, bool] = field(default_factory=dict)
    #: Every schedule there is was tried.
    exhaustive: bool = False
    seconds: float = 0.0

    @property
    def never(self) -> list[str]:
        """What ``sometimes`` was told of, and was never true: the search did not get there."""
        return [name for name, reached in self.reached.items() if not reached]

    def check(self) -> None:
        """Raise SimulationFailed with the report if anything failed."""
        if self.failures:
            first = self.failures[0]
            raise SimulationFailed("\n" + first.report) from first.run.error

    def __str__(self) -> str:
        rate = self.runs / self.seconds if self.seconds else 0.0
        verdict = f"{len(self.failures)} ways to fail" if self.failures else "no failure"
        scope = "exhaustive" if self.exhaustive else f"{self.distinct} distinct"
        never = f", never: {', '.join(self.never)}" if self.never else ""
        return f"{self.runs} schedules ({scope}), {verdict}, {rate:.0f} schedules/s{never}"


def run(
    fn: Callable[..., Any], *args: Any, seed: int = 0, schedule: Schedule | str | None = None,
    policy: Policy | None = None, faults: Faults | None = None, max_events: int = 100_000, checks: bool = False,
    level: Level = "calls", **kwargs: Any,
) -> Run:  # fmt: skip
    """Run ``fn`` once in a world of its own and return what came of it; errors are in ``Run.error``, not raised.

    ``schedule`` replays one; else ``policy`` decides (default: the dull run). ``checks`` verifies every invariant of
    the head after every message. ``level``: "calls" lets messages arrive at once and in one order, which is all that a
    program can tell apart; "links" makes every message of the runtime a choice.
    """
    holds = Holds.NOTHING
    if schedule is not None:
        plan = Schedule.loads(schedule) if isinstance(schedule, str) else schedule
        seed, policy, faults = plan.seed, Forced(dict(plan.deviations)), Faults.of(plan.settings)
        level, holds = plan.settings.get("level", "calls"), Holds(plan.settings.get("holds", 0))
    program = Program(fn, args, kwargs, faults or Faults(), max_events, checks, level, holds)
    with quiet_collector():
        return program.run(policy or Dull(), seed, details=True)


def explore(
    fn: Callable[..., Any], *args: Any, runs: int = 1000, seconds: float | None = None, policy: str = "portfolio",
    seed: int = 0, faults: Faults | None = None, shrink: bool = True, check_every: int = 50, stop_at_first: bool = True,
    max_events: int = 100_000, checks: bool = False, progress: Callable[[Exploration], None] | None = None,
    level: Level = "calls", **kwargs: Any,
) -> Exploration:  # fmt: skip
    """Run ``fn`` under up to ``runs`` schedules (or for ``seconds``) and shrink what fails.

    One schedule in ``check_every`` is run twice, and NondeterminismError is raised if the two differ: then something
    that the simulator does not control had a say. ``policy`` is a name (see ``search_named``); ``level``: see ``run``.
    """
    program = Program(fn, args, kwargs, faults or Faults(), max_events, checks, level)
    result = Exploration()
    digests: set[str] = set()
    identities: set[tuple[str, str]] = set()
    began = time.perf_counter()
    search = search_named(policy, seed)
    with quiet_collector():
        while result.runs < runs and (following := search.next()) is not None:
            chosen, learn = following
            one = program.run(chosen, seed)
            learn(one)
            result.runs += 1
            digests.add(one.digest)
            for name, reached in one.reached.items():
                result.reached[name] = result.reached.get(name, False) or reached
            if check_every and result.runs % check_every == 1:
                _same_again(program, one)
            if one.failed and one.identity not in identities:
                identities.add(one.identity)
                result.failures.append(_failure(program, one, result.runs, shrink=shrink))
                if stop_at_first or len(result.failures) >= MOST_FAILURES:
                    break
            result.seconds = time.perf_counter() - began
            if progress is not None:
                result.distinct = len(digests)
                progress(result)
            if seconds is not None and result.seconds > seconds:
                break
            more = program.holding(one)
            if more is not None:
                program, search = more, search_named(policy, seed)
        else:
            result.exhaustive = result.runs < runs
    result.distinct = len(digests)
    result.seconds = time.perf_counter() - began
    return result


def _same_again(program: Program, one: Run) -> None:
    again = program.run(Forced(dict(one.schedule.deviations)), one.schedule.seed)
    if again.digest != one.digest:
        one = program.run(Forced(dict(one.schedule.deviations)), one.schedule.seed, details=True)
        again = program.run(Forced(dict(one.schedule.deviations)), one.schedule.seed, details=True)
        for index, (left, right) in enumerate(zip(one.story, again.story, strict=False)):
            if left != right:
                raise NondeterminismError(f"two runs with the same choices differ at step {index}: {left} and {right}")
        raise NondeterminismError(
            f"two runs with the same choices differ: {len(one.story)} and {len(again.story)} steps, "
            f"errors {one.identity} and {again.identity}"
        )


def _failure(program: Program, first: Run, found_after: int, *, shrink: bool) -> Failure:
    shrinker = Shrinker(program, first)
    best = shrinker.shrink() if shrink else first
    detailed = program.run(Forced(dict(best.schedule.deviations)), best.schedule.seed, details=True)
    name = getattr(program.function, "__name__", repr(program.function))
    passing = _nearest_that_passes(program, detailed)
    report = describe(detailed, program=f"{name}()", shrunk_in=shrinker.runs, passing=passing)
    return Failure(detailed, first, found_after, shrinker.runs, report)


def _nearest_that_passes(program: Program, failed: Run) -> Run | None:
    """Return a run that lacks one of the deviations of ``failed``, the latest that will do, and does not fail."""
    deviations = dict(failed.schedule.deviations)
    for at in sorted(deviations, reverse=True):
        fewer = {key: value for key, value in deviations.items() if key != at}
        other = program.run(Forced(fewer), failed.schedule.seed, details=True)
        if not other.failed:
            return other
    return None


def prove(
    fn: Callable[..., Any], *args: Any, reduction: str = "dpor", faults: Faults | None = None,
    max_schedules: int = 1_000_000, max_events: int = 100_000, seed: int = 0, level: Level = "calls", **kwargs: Any,
) -> Proof:  # fmt: skip
    """Run ``fn`` under every schedule there is. ``Proof.complete`` says whether that was possible.

    ``reduction``: "dpor" and "sleep" run one schedule for all that differ in nothing that matters, "none" runs each.
    "sleep" begins more of them that turn out to be such. ``level``: see ``run``; every message depends on every other.
    """
    if reduction not in {"dpor", "sleep", "none"}:
        raise ValueError(f"there is no reduction {reduction!r}; there are 'dpor', 'sleep' and 'none'")
    program = Program(fn, args, kwargs, faults or Faults(), max_events, level=level)

    with quiet_collector():
        return prove_program(program, seed=seed, reduction=reduction, most=max_schedules, keep=MOST_FAILURES)


@overload
def replay(
    source: str | Schedule, program: Callable[..., Any], *args: Any, real: Literal[False] = False, **kwargs: Any
) -> Run: ...
@overload
def replay(
    source: str | Schedule, program: Callable[..., Any], *args: Any, real: Literal[True], timeout: float = 60.0,
    **kwargs: Any,
) -> RealRun: ...  # fmt: skip
def replay(
    source: str | Schedule, program: Callable[..., Any], *args: Any, real: bool = False, timeout: float = 60.0,
    **kwargs: Any,
) -> Run | RealRun:  # fmt: skip
    """Run ``program`` again exactly as in a report, and return the run. Raises ValueError for a broken ``source``.

    ``real``: on real processes. Every actor starts its calls in the recorded order, and processes are killed where they
    were; what cannot be enforced (time, which of several results ``wait`` sees) is listed in the result. After
    ``timeout`` seconds the grid is ended, and the result says what had not come to pass.
    """
    plan = Schedule.loads(source) if isinstance(source, str) else source
    simulated = run(program, *args, schedule=plan, **kwargs)
    if not real:
        return simulated
    return play_for_real(simulated, program, args, kwargs, timeout)


@overload
def test(fn: F) -> F: ...
@overload
def test(
    *, runs: int = 500, policy: str = "portfolio", faults: Faults | None = None, prove_below: int = 0, seed: int = 0
) -> Callable[[F], F]: ...
def test(
    fn: Callable[..., Any] | None = None, *, runs: int = 500, policy: str = "portfolio", faults: Faults | None = None,
    prove_below: int = 0, seed: int = 0,
) -> Any:  # fmt: skip
    """Make a test that passes if its body passes under every schedule tried.

    ``prove_below``: first try everything, if that is less than so many schedules. pytest's options
    ``--actorgrid-seed``, ``--actorgrid-runs`` and ``--actorgrid-replay`` go before what is given here.
    """

    def decorate(body: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(body)
        def wrapper(*args: Any, **kwargs: Any) -> None:
            asked = os.environ.get
            if source := asked("ACTORGRID_SIM_REPLAY"):
                error = replay(source, body, *args, **kwargs).error
                if error is not None:
                    raise error
                return
            start = int(asked("ACTORGRID_SIM_SEED", seed))
            if prove_below:
                proof = prove(body, *args, faults=faults, max_schedules=prove_below, seed=start, **kwargs)
                if proof.complete and not proof.failures:
                    return
            most = int(asked("ACTORGRID_SIM_RUNS", runs))
            explore(body, *args, runs=most, policy=policy, faults=faults, seed=start, **kwargs).check()

        wrapper.__signature__ = inspect.signature(body)  # type: ignore[attr-defined]  # pytest reads fixtures from it
        return wrapper

    return decorate(fn) if fn is not None else decorate


test.__test__ = False  # type: ignore[attr-defined]  # pytest: this is not a test
