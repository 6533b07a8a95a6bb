"""Exploring, proving and replaying: what users call. Names and meaning are documented in ``docs/reference``."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import os
import shlex
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, NoReturn, TypeVar, overload

from actorgrid.exceptions import SimulationFailed
from actorgrid.sim import hashing, pythons
from actorgrid.sim.choices import Dull, Forced, Policy, Schedule, Source
from actorgrid.sim.exhaustive import Blocked, Proof, prove_program
from actorgrid.sim.faults import Faults, Level
from actorgrid.sim.files import why_not
from actorgrid.sim.nondeterminism import REPLAYS, must_be_equal
from actorgrid.sim.onlookers import Holds
from actorgrid.sim.patience import Patience
from actorgrid.sim.picture import picture
from actorgrid.sim.plainer import Plain, plainer
from actorgrid.sim.progress import Progress
from actorgrid.sim.realplay import RealRun, play_for_real
from actorgrid.sim.report import describe
from actorgrid.sim.runner import Program, Run, quiet_collector
from actorgrid.sim.search import policy_named, search_named
from actorgrid.sim.shrink import Shrinker
from actorgrid.sim.subject import name_of, program_of, set_body, told

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
    #: A file at which processes met, "" if they met at none: then there are orders that nobody can try.
    met: str = ""
    #: Pairs of calls that some actor has started one right after the other, in any run.
    pairs: int = 0
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
        return f"{self.runs} schedules ({scope}), {verdict}, {rate:.0f} schedules/s{never}{why_not(self.met)}"


def run(
    fn: Callable[..., Any], *args: Any, seed: int = 0, schedule: Source | None = None,
    policy: Policy | str | None = None, faults: Faults | None = None, max_events: int = 100_000, checks: bool = False,
    level: Level = "calls", strict: bool = False, **kwargs: Any,
) -> Run:  # fmt: skip
    """Run ``fn`` once in a world of its own and return what came of it; errors are in ``Run.error``, not raised.

    ``schedule`` replays one; else ``policy`` decides (default: the dull run), or the first run of the search of that
    name (see ``search_named``). Raises TypeError if ``fn`` does not take these arguments. ``checks`` verifies every
    invariant of the head after every message. ``level``: "calls" lets messages arrive at once and in one order, which
    is all that a program can tell apart; "links" makes every message of the runtime a choice. ``strict``: raise
    ValueError if the schedule does not fit the program any more, which has changed since; else it is followed as far
    as it goes.
    """
    fn = program_of(fn, args, kwargs, run)
    plan: Schedule | None = None
    holds = Holds.NOTHING
    if isinstance(policy, str):
        policy = policy_named(policy, seed)
    if schedule is not None:
        plan = schedule if isinstance(schedule, Schedule) else Schedule.loads(schedule)
        seed, policy, faults = plan.seed, Forced(dict(plan.deviations)), Faults.of(plan.settings)
        level, holds = plan.settings.get("level", "calls"), Holds(plan.settings.get("holds", 0))
        max_events = plan.settings.get("events", max_events)
    program = Program(fn, args, kwargs, faults or Faults(), max_events, checks, level, holds)
    with quiet_collector():
        result = program.run(policy or Dull(), seed, details=True)
    if strict and plan is not None and (misfit := plan.misfit(result.record)):
        raise ValueError(f"this schedule is not one of {name_of(fn)} as it is now: {misfit}")
    return result


def explore(
    fn: Callable[..., Any], *args: Any, runs: int = 1000, seconds: float | None = None, policy: str = "portfolio",
    seed: int = 0, faults: Faults | None = None, shrink: bool = True, check_every: int = 50, stop_at_first: bool = True,
    max_events: int | None = None, checks: bool = False, progress: Callable[[Progress], None] | None = None,
    level: Level = "calls", **kwargs: Any,
) -> Exploration:  # fmt: skip
    """Run ``fn`` under up to ``runs`` schedules (or for ``seconds``) and shrink what fails.

    One schedule in ``check_every`` is run twice, and what fails is replayed. NondeterminismError is raised if two runs
    differ: then something that the simulator does not control had a say. ``policy`` is a name (see ``search_named``);
    ``level``: see ``run``. Raises TypeError if ``fn`` does not take these arguments.

    A run fails with LivelockError if it has not ended after ``max_events`` events. Without that number: if it is 50
    times as long as each that has ended, and then goes on dully, which is fair, and has not ended after 50,000.
    """
    patience = Patience(max_events)
    program = Program(
        program_of(fn, args, kwargs, explore), args, kwargs, faults or Faults(), patience.events, checks, level
    )
    result = Exploration()
    state = Progress()
    identities: set[tuple[str, str]] = set()
    search = search_named(policy, seed)
    with quiet_collector():
        while result.runs < runs and (following := search.next()) is not None:
            chosen, learn = following
            one = program.run(chosen, seed)
            learn(one)
            if one.failed and one.identity not in identities:
                program, one = patience.judged(program, one)
            patience.saw(one)
            result.runs += 1
            state.saw(one)
            for name, reached in one.reached.items():
                result.reached[name] = result.reached.get(name, False) or reached
            if check_every and (result.runs - 1) % check_every == 0:
                must_be_equal(program, one)
            if one.failed and one.identity not in identities:
                identities.add(one.identity)
                result.failures.append(_failure(program, one, result.runs, shrink=shrink))
                if stop_at_first or len(result.failures) >= MOST_FAILURES:
                    break
            state.failures = len(result.failures)
            if progress is not None:
                progress(state)
            if seconds is not None and state.seconds > seconds:
                break
            more = program.holding(one)
            if more is not None:
                program, search = more, search_named(policy, seed)
            program = patience.given(program)
        else:
            result.exhaustive = result.runs < runs and not state.met
    result.distinct, result.pairs, result.seconds = state.distinct, state.pairs, state.seconds
    result.met = state.met
    return result


def _failure(program: Program, first: Run, found_after: int, *, shrink: bool) -> Failure:
    program, best, replays = plainer(program, first) if shrink else Plain(program, first)
    if shrink:
        shrinker = Shrinker(program, best)
        best = shrinker.shrink()
        replays += shrinker.runs
    detailed = must_be_equal(program, best, replays=REPLAYS)
    call = told(program.function, program.args, program.kwargs)
    passing = _nearest_that_passes(program, detailed)
    report = describe(detailed, call=call, shrunk_in=replays, passing=passing)
    return Failure(detailed, first, found_after, replays, report)


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
    max_schedules: int = 1_000_000, max_events: int | None = None, seed: int = 0, level: Level = "calls",
    progress: Callable[[Progress], None] | None = None, **kwargs: Any,
) -> Proof:  # fmt: skip
    """Run ``fn`` under every schedule there is. ``Proof.complete`` says whether that was possible.

    ``reduction``: "dpor" and "sleep" run one schedule for all that differ in nothing that matters, "none" runs each.
    "sleep" begins more of them that turn out to be such. ``level``: see ``run``; every message depends on every other.
    The first run is made once more in the end: NondeterminismError is raised if it has become another one.
    A run that has not ended after ``max_events`` events (without that number: see ``explore``) is the last one, for
    programs that may go on have no last schedule.
    """
    if reduction not in {"dpor", "sleep", "none"}:
        raise ValueError(f"there is no reduction {reduction!r}; there are 'dpor', 'sleep' and 'none'")
    state = Progress()

    def saw(run: Run) -> None:
        state.saw(run)
        state.failures += run.failed and not isinstance(run.error, Blocked)
        if progress is not None:
            progress(state)

    fn = program_of(fn, args, kwargs, prove)
    patience = Patience(max_events)
    program = Program(fn, args, kwargs, faults or Faults(), patience.events, level=level)
    with quiet_collector():
        proof = prove_program(
            program, seed=seed, reduction=reduction, most=max_schedules, keep=MOST_FAILURES, told=saw, patience=patience
        )
        if proof.first is not None:
            must_be_equal(_as_in(program, proof.first), proof.first)
    return proof


def _as_in(program: Program, run: Run) -> Program:
    """Return ``program`` with held back what was in ``run``."""
    return dataclasses.replace(program, holds=Holds(run.schedule.settings.get("holds", 0)))


@overload
def replay(
    source: Source, program: Callable[..., Any], *args: Any, real: Literal[False] = False, strict: bool = False,
    **kwargs: Any,
) -> Run: ...  # fmt: skip
@overload
def replay(
    source: Source, program: Callable[..., Any], *args: Any, real: Literal[True], timeout: float = 60.0,
    strict: bool = False, **kwargs: Any,
) -> RealRun: ...  # fmt: skip
def replay(
    source: Source, program: Callable[..., Any], *args: Any, real: bool = False, timeout: float = 60.0,
    strict: bool = False, **kwargs: Any,
) -> Run | RealRun:  # fmt: skip
    """Run ``program`` again exactly as in a report, and return the run. Raises ValueError for a broken ``source``.

    ``source``: the line of the report, or the path of a file that has it (``Failure.save`` writes one).
    ``program``: what was simulated, or the test that it is the body of; TypeError if it does not take these arguments.
    ``strict``: a schedule that does not fit the program any more is a ValueError, too.
    It warns if the schedule was found under another PYTHONHASHSEED: sets of strings may have another order here. And if
    turns of event loops are choices in it, and this is another Python: asyncio may take another number of them.

    ``real``: on real processes. Every actor starts its calls in the recorded order, and processes are killed where they
    were, the head too; what cannot be enforced (time, which of several results ``wait`` sees) is listed in the result,
    with its step and why. A deadlock that was foretold is confirmed by a program that hangs; it is ended then. After
    ``timeout`` seconds the grid is ended in any case, and the result says what had not come to pass. Raises
    RuntimeError in a process of a grid, which would start another grid each time that it imports the program.
    """
    program = program_of(program, args, kwargs, replay)
    plan = source if isinstance(source, Schedule) else Schedule.loads(source)
    hashing.warn_of_others(plan.settings)
    pythons.warn_of_others(plan.settings)
    simulated = run(program, *args, schedule=plan, strict=strict, **kwargs)
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

    ``prove_below``: first try everything, if that is less than so many schedules; what fails in so many fails the test.
    What takes a function to simulate (``prove``, ``replay``, ...) takes the test, too, and means its body. pytest's
    options ``--actorgrid-seed``, ``--actorgrid-runs`` and ``--actorgrid-replay`` go before what is given here.
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
            if prove_below and _proved(body, args, kwargs, prove_below, start, faults):
                return
            most = int(asked("ACTORGRID_SIM_RUNS", runs))
            found = explore(body, *args, runs=most, policy=policy, faults=faults, seed=start, **kwargs)
            for failure in found.failures:
                _fail(failure)

        set_body(wrapper, body)
        wrapper.__signature__ = inspect.signature(body)  # type: ignore[attr-defined]  # pytest reads fixtures from it
        return wrapper

    return decorate(fn) if fn is not None else decorate


def _proved(
    body: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], most: int, seed: int, faults: Faults | None
) -> bool:
    """Try everything, if that is less than ``most`` schedules; return whether it was. Raises SimulationFailed."""
    proof = prove(body, *args, faults=faults, max_schedules=most, seed=seed, **kwargs)
    if proof.failures:
        first = proof.failures[0]
        program = _as_in(Program(body, args, kwargs, faults or Faults()), first)
        with quiet_collector():
            program, first = Patience(program.max_events).judged(program, first)
            failure = _failure(program, first, proof.classes + proof.blocked, shrink=True)
        _fail(failure)
    return proof.complete


def _fail(failure: Failure) -> NoReturn:
    """Raise SimulationFailed, and say how pytest replays it, if that runs the test."""
    test_id = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" ")[0]
    line = f"pytest --actorgrid-replay={shlex.quote(failure.schedule.dumps())} {shlex.quote(test_id)}"
    how = f"\nor:         {line}" if test_id else ""
    raise SimulationFailed(f"\n{failure.report}{how}") from failure.run.error


test.__test__ = False  # type: ignore[attr-defined]  # pytest: this is not a test
