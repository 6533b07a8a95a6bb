"""One run of a program in a world of its own, and everything that is to be known of it afterwards."""

from __future__ import annotations

import dataclasses
import gc
import inspect
import os
import re
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final

from actorgrid.core.messages import Kill
from actorgrid.engine import current
from actorgrid.exceptions import LivelockError, SimulationError, TaskError
from actorgrid.sim import hashing, pythons, replaced
from actorgrid.sim.choices import Choice, Choices, Policy, Schedule
from actorgrid.sim.faults import Faults, Level
from actorgrid.sim.fibers import DriverKilled, pooled
from actorgrid.sim.holders import steady
from actorgrid.sim.onlookers import Holds
from actorgrid.sim.patches import Patches
from actorgrid.sim.standins import simulating
from actorgrid.sim.story import Step
from actorgrid.sim.world import World

_PLACE: Final = re.compile(r'File "([^"]+)", line (\d+), in (\S+)')
#: Frames of ours, and of what carries us, are nobody's fault.
_OURS: Final = re.compile(r"[/\\]actorgrid[/\\](sim|engine|api|core|wire)[/\\]|[/\\]lib[/\\]python3[^/\\]*[/\\]")

#: After so many schedules their garbage is collected.
COLLECT_EVERY: Final = 100


@dataclass
class Run:
    """What came of a run."""

    schedule: Schedule
    #: What the program returned, or raised.
    value: Any = None
    error: BaseException | None = None
    events: int = 0
    #: Messages that the machines of head, workers and driver handled.
    messages: int = 0
    #: Decisions that had more than one possibility.
    decisions: int = 0
    #: Virtual seconds that passed.
    seconds: float = 0.0
    #: Equal for runs in which the same things happened in the same order.
    digest: str = ""
    #: ... and, in one process, this for runs in which processes passed each other the same values (see ``payloads``).
    checksum: int = 0
    record: list[Choice] = field(default_factory=list, repr=False)
    story: list[Step] = field(default_factory=list, repr=False)
    #: What was passed, in words, and the checksum with it; only with details.
    passed: list[tuple[str, int]] = field(default_factory=list, repr=False)
    #: Step of the story -> the decision that led to it.
    decided: dict[int, int] = field(default_factory=dict, repr=False)
    #: How many calls each chain made.
    lengths: dict[str, int] = field(default_factory=dict, repr=False)
    #: Calls in the order in which each actor started them.
    orders: dict[str, list[str]] = field(default_factory=dict, repr=False)
    #: Deaths of processes, in order, with how far everybody was.
    deaths: list[Kill] = field(default_factory=list, repr=False)
    #: A file at which processes met, "" if they met at none: not every order of that was a choice (see ``files``).
    met: str = ""
    #: What ``sometimes`` was told.
    reached: dict[str, bool] = field(default_factory=dict)
    #: Who was waiting for what when a deadlock was found.
    waits: str = ""
    #: Where random numbers were drawn first: file and line, "" if nowhere.
    drew: str = ""
    #: What a search must hold back for nothing that this run gives an inkling of to be missed.
    needs: Holds = Holds.NOTHING

    @property
    def failed(self) -> bool:
        """Whether the program raised."""
        return self.error is not None

    def deviates(self, step: int) -> bool:
        """Return whether step number ``step`` of the story came of a decision that was not dull."""
        at = self.decided.get(step)
        return at is not None and bool(self.record[at].value)

    @property
    def identity(self) -> tuple[str, str]:
        """What makes two failures the same: the exception's type and the innermost place in the user's code."""
        return identity_of(self.error)


def identity_of(error: BaseException | None) -> tuple[str, str]:
    """Return (type of the exception, innermost place in user code)."""
    if error is None:
        return "", ""
    if isinstance(error, TaskError):
        return type(error.cause).__name__, _innermost(error.traceback_str)
    text = "".join(traceback.format_tb(error.__traceback__))
    return type(error).__name__, _innermost(text)


def _innermost(text: str) -> str:
    places = [match for match in _PLACE.findall(text) if not _OURS.search(match[0])]
    return f"{places[-1][0]}:{places[-1][1]}" if places else ""


@dataclass(frozen=True)
class Program:
    """A program to simulate: a function, its arguments, and what its world is like."""

    function: Callable[..., Any]
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    faults: Faults = field(default_factory=Faults)
    max_events: int = 100_000
    checks: bool = False
    level: Level = "calls"
    #: What does not happen at once.
    holds: Holds = Holds.NOTHING

    def run(self, policy: Policy, seed: int = 0, *, details: bool = False) -> Run:
        """Run it once. ``details``: keep every decision and tell the story."""
        _collector.between_runs()
        choices = Choices(policy, record=[])
        world = World(
            choices, self.faults, max_events=self.max_events, checks=self.checks, level=self.level, holds=self.holds
        )
        if details:
            world.tell_story()
        run = Run(Schedule(seed))
        with staged(world, seed):
            world.isolation.program(self.function)  # as it finds its modules: with virtual clocks and locks
            try:
                run.value = call(self.function, self.args, self.kwargs)
                world.at_end()
            except (KeyboardInterrupt, GeneratorExit):
                raise
            except DriverKilled:
                pass
            except BaseException as error:  # noqa: BLE001  # whatever the program raises is what we look for
                run.error = _without_us(error)
            run.error = choices.given_up or world.isolation.leak or world.endless.error or run.error
            world.onlookers.ended(run.error)
            world.end_step()
        self._fill(run, world, choices)
        return run

    def _fill(self, run: Run, world: World, choices: Choices) -> None:
        settings = self.settings()
        if isinstance(run.error, LivelockError):
            settings["events"] = self.max_events  # it fails so soon again when it is replayed
        run.schedule = Schedule(run.schedule.seed, tuple(choices.deviations.items()), settings)
        run.messages = world.messages
        run.events, run.decisions, run.seconds = world.events, choices.count, world.clock.now
        choices.observe(f"{run.identity[0]} {run.identity[1].rpartition('/')[2]} {world.clock.now:.9f}")
        run.digest = choices.digest()
        run.checksum = world.payloads.checksum
        run.record = choices.record or []
        if world.story is not None:
            run.story, run.decided = world.story.steps, world.story.decided
            run.passed = world.payloads.record or []
        run.drew = world.drew
        run.waits = world.last_waits
        run.lengths = world.course.lengths
        run.orders = world.course.orders
        run.deaths = world.harm.deaths
        run.reached = world.promises.reached
        run.needs = world.onlookers.needs
        run.met = world.files.met

    def settings(self) -> dict[str, Any]:
        """Return what a schedule must remember of the program's world."""
        return settings_of(self.faults, self.level, self.holds)

    def holding(self, run: Run) -> Program | None:
        """Return what must be run instead, for nothing to be missed that ``run`` gives an inkling of; None: this."""
        needs = run.needs if self.level == "calls" else run.needs.without_times()
        return None if self.holds.covers(needs) else dataclasses.replace(self, holds=self.holds.joined(needs))


def settings_of(faults: Faults, level: Level, holds: Holds) -> dict[str, Any]:
    """Return what a schedule must remember of its world."""
    settings = {**faults.settings(), **hashing.settings(), **pythons.settings(turns=holds.turns)}
    if level != "calls":
        settings["level"] = level
    if holds:
        settings["holds"] = int(holds)
    return settings


def call(function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """Call a program. An ``async def`` one is run to its end, on the event loop of the world that it is in, if any."""
    if not inspect.iscoroutinefunction(function):
        return function(*args, **kwargs)
    import asyncio  # only where it is used

    return asyncio.run(function(*args, **kwargs))


@contextmanager
def staged(world: World, seed: int) -> Iterator[None]:
    """Make the calling code the main program of ``world``; clean up after it.

    Raises SimulationError if that code is simulated already.
    """
    if simulating() is not None:
        raise SimulationError(
            "a simulated program cannot start a simulation of its own: whoever searches its schedules sees none of "
            "that one's. Call the function itself, or simulate it from outside"
        )
    patches = Patches(world, seed)
    outer, outer_host = current.installed(), current.host()
    current.set_host(world.start)
    real_environment = os.environ._data  # type: ignore[attr-defined]  # noqa: SLF001  # see SimHost.enter
    os.environ._data = world.surroundings.environment = dict(real_environment)  # type: ignore[attr-defined]  # noqa: SLF001  # see above
    world.enter()
    try:
        with patches:
            current.install(None)
            try:
                yield
            finally:
                if world.grid is not None:
                    world.grid.close()
                world.close()
    finally:
        os.environ._data = real_environment  # type: ignore[attr-defined]  # noqa: SLF001  # see above
        current.set_host(outer_host)
        current.install(outer)


def _without_us(error: BaseException) -> BaseException:
    """Drop our own outermost frames from a traceback."""
    where: TracebackType | None = error.__traceback__
    while where is not None and where.tb_frame.f_code.co_filename == __file__:
        where = where.tb_next
    return error.with_traceback(where)


class _Collector:
    """The garbage collector while many schedules run."""

    def __init__(self) -> None:
        self.users = 0
        self.runs = 0
        #: The next collection is the first of ours.
        self.freezes = False

    def between_runs(self) -> None:
        """Collect what the last run has left: a thousand objects that refer to each other, while they are in the cache.

        What outlives that is looked at every so often. What outlives the first time (what runs have in common) is
        frozen, and not looked at by those that follow.
        """
        self.runs += 1
        if not self.users:
            return
        if self.runs % COLLECT_EVERY:
            gc.collect(0)
        else:
            gc.collect()
            if self.freezes:
                gc.freeze()
                self.freezes = False


_collector: Final = _Collector()


@contextmanager
def one_after_the_other() -> Iterator[None]:
    """While the block lasts, worlds that follow each other leave to the next what is the same for all."""
    with replaced.held(), pooled():
        yield


@contextmanager
def quiet_collector() -> Iterator[None]:
    """Run many schedules: what they share is prepared once, and garbage is collected between two of them only.

    When a collector runs by itself depends on everything, so it may not. What exists is frozen: a collection looks at
    what the schedules have left and at nothing else. Who has frozen things before us would not like them unfrozen.
    """
    enabled = gc.isenabled()
    ours = gc.get_freeze_count() == 0
    if ours:
        gc.freeze()
        _collector.freezes = True
    gc.disable()
    _collector.users += 1
    try:
        with steady(), one_after_the_other():
            yield
    finally:
        _collector.users -= 1
        if ours:
            _collector.freezes = False
            gc.unfreeze()
        if enabled:
            gc.enable()
