"""``world()``: a simulation around a block of code. In a Hypothesis test it draws its choices from the test case.

So inputs and schedule shrink together, and when Hypothesis has exhausted the tree of choices, it has tried every
schedule. A decision is a boolean (deviate?), rarely true, and then a number: that finds most and shrinks to the fewest
deviations. A test case has room for some thousand draws, so after the first decisions it is drawn how many more are
dull before one deviates, until none is to do so any more: a long run costs no draws where it is dull.
"""

from __future__ import annotations

import gc
import math
import os
import shlex
import sys
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter
from typing import Any, Final, Protocol

from actorgrid.sim.choices import PREFIX, Choices, Dull, Event, Forced, Policy, Schedule, Source
from actorgrid.sim.faults import Faults, Level
from actorgrid.sim.fibers import DriverKilled, WorldOver
from actorgrid.sim.nondeterminism import difference, error_of
from actorgrid.sim.onlookers import Holds
from actorgrid.sim.runner import settings_of, staged
from actorgrid.sim.search import policy_named
from actorgrid.sim.story import Step
from actorgrid.sim.world import World

#: How likely a decision deviates: drawn once per test case, the first is the simplest.
RATES: Final = (0.1, 0.3, 0.6)
#: So many decisions are drawn one by one.
ONE_BY_ONE: Final = 300
#: Where Hypothesis keeps what traces lines, and which tool of the interpreter it is (from Python 3.12 on).
_TRACER: Final = "hypothesis.internal.scrutineer"
_TRACERS_TOOL: Final = 3
#: What the time of a world is called among those of a test case.
_SIMULATING: Final = "generate:a simulated schedule"


#: Failed runs of which the story is kept, to be compared with what Hypothesis makes of them in the end.
MOST_FAILURES: Final = 500


class _Source(Protocol):
    """Where drawn values come from."""

    def flag(self, rate: float) -> bool:
        """Return True with probability ``rate``; shrinks to False."""

    def number(self, bound: int) -> int:
        """Return a number below ``bound``; shrinks to 0."""


class _Conjecture:
    """Hypothesis' engine itself: 5 microseconds a draw. What it offers here is what alternative backends implement."""

    def __init__(self, data: Any) -> None:
        self._data = data

    def flag(self, rate: float) -> bool:
        return bool(self._data.draw_boolean(rate))

    def number(self, bound: int) -> int:
        return int(self._data.draw_integer(0, bound - 1))


class _Strategies:
    """The public way, ``data.draw(strategy)``: 50 microseconds a draw."""

    def __init__(self, data: Any) -> None:
        from hypothesis import strategies

        self._draw = data.draw
        self._strategies = strategies

    def flag(self, rate: float) -> bool:
        return bool(self._draw(self._strategies.integers(0, 99)) >= 100 - 100 * rate)

    def number(self, bound: int) -> int:
        return int(self._draw(self._strategies.integers(0, bound - 1)))


class Drawn(Policy):
    """The policy that draws its choices from a test case."""

    #: How many there were: the pytest plugin sees whether a test has drawn any schedule.
    made = 0
    #: ... and how many of them in worlds where there are others that are not drawn: see ``world(starts=)``.
    partial = 0

    def __init__(self, source: _Source) -> None:
        Drawn.made += 1
        self._source = source
        self._rate = RATES[source.number(len(RATES))]
        self._decisions = 0
        #: Decisions until the next one deviates, this one included; whether there is a next one.
        self._gap = 0
        self._none_left = False

    def choose(self, events: Sequence[Event]) -> int:
        """See ``Policy``."""
        return self.draw("event", len(events))

    def draw(self, kind: str, bound: int) -> int:
        """See ``Policy``."""
        del kind
        self._decisions += 1
        deviates = self._source.flag(self._rate) if self._decisions <= ONE_BY_ONE else self._after_gap()
        if not deviates:
            return 0
        return 1 + self._source.number(bound - 1) if bound > 2 else 1

    def _after_gap(self) -> bool:
        """Return whether this decision deviates, of those that are not drawn one by one."""
        if self._none_left:
            return False
        if not self._gap:
            self._gap = self._source.number(1 + round(2 / self._rate))  # 1 / rate in the mean, as one by one
            self._none_left = not self._gap
        self._gap -= 1
        return not self._gap


def current_test_case() -> Policy | None:
    """Return the policy that draws from the Hypothesis test case that runs now, None outside of one."""
    data = _data_of_test_case()
    if data is None:
        return None
    if hasattr(data, "draw_boolean") and hasattr(data, "draw_integer"):
        return Drawn(_Conjecture(data))
    return Drawn(_Strategies(data))


def _data_of_test_case() -> Any:
    control: Any = sys.modules.get("hypothesis.control")
    if control is None or not control.currently_in_test_context():
        return None
    return control.current_build_context().data


@contextmanager
def _without_deadline() -> Iterator[None]:
    """Have the block not count for the ``deadline`` of a Hypothesis test, nor for what it says of slow ones.

    That deadline is on the code that is tested, whose time is virtual here. What simulating takes is the machine's, so
    it is told where Hypothesis notes what drawing takes; if it notes that no longer, the deadline counts all.
    """
    times = getattr(_data_of_test_case(), "draw_times", None)
    if not isinstance(times, dict):
        yield
        return
    drawn, began = math.fsum(times.values()), perf_counter()
    try:
        yield
    finally:
        took = perf_counter() - began - (math.fsum(times.values()) - drawn)
        times[_SIMULATING] = times.get(_SIMULATING, 0.0) + took


@contextmanager
def _unexplained() -> Iterator[None]:
    """Have Hypothesis not trace the block to explain a failure by lines of it: they would be lines of the simulator.

    What fails is not traced further, for the lines that tell of it run in failing cases only.
    """
    tracer = sys.gettrace()
    monitoring: Any = getattr(sys, "monitoring", None)
    if type(getattr(tracer, "__self__", None)).__module__ == _TRACER:
        sys.settrace(None)
        yield
        sys.settrace(tracer)
    elif monitoring is not None and monitoring.get_tool(_TRACERS_TOOL) == "scrutineer":
        events = monitoring.get_events(_TRACERS_TOOL)
        monitoring.set_events(_TRACERS_TOOL, 0)
        yield
        monitoring.set_events(_TRACERS_TOOL, events)
    else:
        yield


def _plan(source: Source | None) -> Schedule | None:
    """Return the schedule to be replayed: what the option of pytest names goes before ``source``."""
    source = os.environ.get("ACTORGRID_SIM_REPLAY") or source
    return source if source is None or isinstance(source, Schedule) else Schedule.loads(source)


def _error_since(error: BaseException | None) -> BaseException | None:
    """Return the exception that is under way, if it is another one than ``error``.

    That is how a state machine ends in a failing case: its ``teardown`` leaves the block as if all was well.
    """
    now = sys.exc_info()[1]
    return None if now is error else now


@contextmanager
def world(
    *, seed: int = 0, faults: Faults | None = None, data: Any = None, policy: Policy | str | None = None,
    max_events: int = 100_000, checks: bool = False, level: Level = "calls", starts: bool = False,
    schedule: Source | None = None,
) -> Iterator[World]:  # fmt: skip
    """Simulate the block: the grid that it starts, or uses, lives in a world of its own.

    Inside of a Hypothesis test the choices are drawn from the test case: from the ambient one, or from ``data`` (what
    ``strategies.data()`` gives). Elsewhere ``policy`` (or its name: see ``run``) decides, or nothing deviates. An
    exception that leaves the block, or that is under way when a ``teardown`` closes it, carries a note with the line
    that replays the schedule. If the driver dies (a fault), the block just ends there.

    ``schedule`` replays one (see ``replay``), with its seed, its faults and its level, and draws nothing; pytest's
    option ``--actorgrid-replay`` goes before it. In a Hypothesis test inputs are still drawn: give it the ones that the
    failure was found with as an ``example``. Raises ValueError for a broken one.

    ``starts``: tasks start when it is chosen, not at once, kills and cancellations may come late, and calls may come
    between two turns of an actor's event loop. What calls itself a search finds out whether a program can tell; here
    it has to be said, and the summary of pytest says where it was not. What the block takes does not count for the
    ``deadline`` of the test.
    """
    plan = _plan(schedule)
    holds = Holds.ALL | Holds.TURNS | Holds.THREADS if starts else Holds.NOTHING
    if plan is not None:
        seed, policy, faults = plan.seed, Forced(dict(plan.deviations)), Faults.of(plan.settings)
        level, holds = plan.settings.get("level", "calls"), Holds(plan.settings.get("holds", 0))
        max_events = plan.settings.get("events", max_events)
    elif isinstance(policy, str):
        policy = policy_named(policy, seed)
    elif policy is None:
        policy = Drawn(_Strategies(data)) if data is not None else current_test_case() or Dull()
    made = World(Choices(policy), faults, max_events=max_events, checks=checks, level=level, holds=holds)
    made.tell_story()
    collects, before = gc.isenabled(), sys.exc_info()[1]
    gc.disable()
    try:
        with _unexplained(), _without_deadline(), staged(made, seed):
            yield made
            under_way = _error_since(before)
            if under_way is None:
                _end(made)
    except DriverKilled:  # the block ends there, and that is no failure
        _remembered.ended(made, None)
    except WorldOver:  # the block has swallowed what it was told before
        assert made.endless.error is not None
        _told(made, made.endless.error, seed)
        raise made.endless.error from None
    except Exception as error:
        _told(made, error, seed)
        raise
    else:
        _told(made, under_way, seed)
    finally:
        partly = not holds.covers(made.onlookers.needs) or made.files.met
        if level == "calls" and partly and isinstance(policy, Drawn):
            Drawn.partial += 1
        if collects:
            gc.enable()


def _end(made: World) -> None:
    """The block has ended: look at what was to hold. Raises AssertionError, SharedStateLeak, what ended its case."""
    if made.choices.given_up is not None:
        raise made.choices.given_up
    if made.endless.error is not None:
        raise made.endless.error
    made.at_end()
    if made.isolation.leak is not None:
        raise made.isolation.leak


def _told(made: World, error: BaseException | None, seed: int) -> None:
    """Have the error that a world ends with, if any, tell the schedule. Raises NondeterminismError: see ``failed``."""
    if error is None:
        _remembered.ended(made, None)
    elif isinstance(error, Exception):
        _remembered.failed(made, error)
        error.add_note(_note(made, seed))


class _Failures:
    """Runs that failed in Hypothesis tests, by everything that was drawn until then.

    Hypothesis runs what it has found once more, and calls a test flaky if that passes. What is different in the second
    run only we can tell.
    """

    def __init__(self) -> None:
        self._stories: OrderedDict[Any, tuple[list[Step], str]] = OrderedDict()

    def failed(self, made: World, error: Exception) -> None:
        """A world ends with an error. Raises NondeterminismError if that shows that something else decides."""
        if type(error).__name__.startswith("Flaky"):  # Hypothesis' own: other things can be drawn than before
            found = "differ: they do not leave the same possibilities" + _last_of(made)
            raise error_of(found) from error
        self.ended(made, error)

    def ended(self, made: World, error: Exception | None) -> None:
        """A world ends. Raises NondeterminismError if it is another run than before with the same choices."""
        control: Any = sys.modules.get("hypothesis.control")
        if not isinstance(made.choices.policy, Drawn) or control is None or not control.currently_in_test_context():
            return
        context = control.current_build_context()
        drawn = getattr(context.data, "choices", None)
        story, end = _steps(made), type(error).__name__ if error is not None else "no error"
        if drawn is None:
            return
        before = self._stories.get(drawn) if getattr(context, "is_final", False) else None
        if before is not None and (_shape(before[0]), before[1]) != (_shape(story), end):
            raise error_of(
                difference(before[0], story), ends=f"one ends with {before[1]}, the other with {end}"
            ) from error
        if error is not None:
            self._stories[drawn] = story, end
            self._stories.move_to_end(drawn)
            if len(self._stories) > MOST_FAILURES:
                self._stories.popitem(last=False)


def _shape(story: list[Step]) -> list[tuple[Any, ...]]:
    """Return a story but for the arguments: those may be pickled in another order and mean the same."""
    return [step[:-1] for step in story]


_remembered: Final = _Failures()


def _steps(made: World) -> list[Step]:
    return made.story.steps if made.story is not None else []


def _last_of(made: World) -> str:
    steps = _steps(made)
    return f" after {steps[-1].what}" if steps else ""


def _note(made: World, seed: int, test: str = "") -> str:
    settings = settings_of(made.harm.faults, made.level, made.onlookers.holds)
    schedule = Schedule(seed, tuple(made.choices.deviations.items()), settings)
    steps = [f"  {step.when:10.6f}  {step.what:40}  {step.site}".rstrip() for step in _steps(made)[-20:]]
    line = schedule.dumps()
    how = f"replay it with the same input: actorgrid.sim.world(schedule={line!r}), or " if not test else "replay it: "
    how = f"{how}pytest --actorgrid-replay={shlex.quote(line)} {shlex.quote(test) if test else ''}".rstrip()
    return "\n".join([f"schedule {line}, {schedule.weight} deviations; the last steps:", *steps, how])


def tell(error: BaseException, made: World, seed: int, test: str) -> None:
    """Have the error with which a test of this name failed tell the schedule, unless it does already."""
    if not any(PREFIX in note for note in getattr(error, "__notes__", ())):
        error.add_note(_note(made, seed, test))
