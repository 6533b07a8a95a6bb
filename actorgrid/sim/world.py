"""A world: one thread in which a whole grid runs, under virtual time, one choice at a time.

The hub is the greenlet that decides. User code runs in fibers until all of them are parked; then messages flow until
all is quiet; then the hub asks ``choices`` what happens next: which call an actor starts, time, a fault.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from greenlet import getcurrent, greenlet

from actorgrid.engine import current
from actorgrid.exceptions import DeadlockError, SharedStateLeak
from actorgrid.sim.choices import Chain, Choices, Event
from actorgrid.sim.clock import Clock
from actorgrid.sim.course import Course
from actorgrid.sim.endless import Endless
from actorgrid.sim.faults import Faults, Level
from actorgrid.sim.fibers import DriverKilled, Fiber, Fibers, WorldOver
from actorgrid.sim.filelocks import FileLocks
from actorgrid.sim.files import Files
from actorgrid.sim.footprint import ALL, Footprint, StepDone, touch
from actorgrid.sim.harm import Harm
from actorgrid.sim.isolation import Isolation
from actorgrid.sim.onlookers import Holds, Onlookers
from actorgrid.sim.parts import Parts
from actorgrid.sim.payloads import Payloads
from actorgrid.sim.places import call_site
from actorgrid.sim.promises import Promises
from actorgrid.sim.story import Story
from actorgrid.sim.surroundings import Surroundings
from actorgrid.sim.turns import Turns
from actorgrid.sim.waits import Waits

if TYPE_CHECKING:
    from actorgrid.engine.definitions import StartConfig
    from actorgrid.sim.engines import SimDriver
    from actorgrid.sim.grid import Grid

#: Identifiers of simulated threads count from here.
FIRST_IDENT: Final = 1 << 40
#: Draws whose consequences are steps of the story.
TOLD_APART: Final = frozenset({"kill", "spawn", "store", "spill"})


class World(Parts):
    """Everything that one run consists of; ``Parts`` has what can be looked at."""

    #: The grid that runs now, and how many there have been.
    grid: Grid | None = None
    grids = 0
    #: Messages that machines handled, calls that were made.
    messages = 0
    age = 0
    #: What happened, if asked for.
    story: Story | None = None
    #: It is a program of its own, not one schedule of many: what a person should read is printed.
    loud = False
    #: The program has more than one line of execution.
    shared = False
    #: Where random numbers were drawn first.
    drew = ""
    #: Who waited for what when nothing could happen any more.
    last_waits = ""
    over = False
    #: The program's process is dead.
    _killed = False
    _settling: Fiber | None = None
    _main: Fiber | None = None
    _idents = _chains = _goings = 0

    def __init__(
        self, choices: Choices, faults: Faults | None = None, *, max_events: int = 100_000, checks: bool = False,
        tag: str = "", level: Level = "calls", holds: Holds = Holds.NOTHING,
    ) -> None:  # fmt: skip
        """``checks``: verify every invariant of the head after every message. ``tag``: hex digits for session names.

        ``level``: what is a choice: the order of "calls", or that of all messages on all "links".
        ``holds``: what else is (see ``onlookers``); at the level of links only turns, for all else is on links.
        """
        self.tag = tag
        self.level = level
        self.choices = choices
        self.checks = checks
        self.endless = Endless(self, max_events)
        self.root_chain = self.chain("main")
        self.course = Course(self.root_chain)
        self.surroundings = Surroundings()
        self.isolation = Isolation()
        self.promises = Promises()
        self.payloads = Payloads()
        self.files = Files(self)
        self.harm = Harm(self, faults or Faults())
        self.onlookers = Onlookers(self, holds if level == "calls" else holds.without_times())
        self.turns = Turns(self)
        self.clock = Clock(self.onlookers.glance)
        self.fibers = Fibers(self._enter)
        self.fibers.hub = greenlet(self._hub)
        self.waits = Waits(self.fibers, self.clock)
        self.file_locks = FileLocks(self)
        #: Things for the hub to do once user code is parked.
        self._later: deque[Callable[[], None]] = deque()
        #: What the step that is under way has touched; None: nobody asks.
        self.footprint: Footprint | None = {} if choices.policy.sees_all else None
        #: What its code has gone on with. What it has made, and touched, when it had gone on with so many of these.
        self.seen: list[Any] = []
        self._made: list[tuple[Any, int]] = []
        self._touched: dict[int, Footprint] = {}
        #: Actors that have names.
        self.named: set[int] = set()

    # -- the program

    def enter(self) -> None:
        """Make the calling code the main fiber of this world: it is the driver's main thread from now on."""
        self.surroundings.begin()
        self._main = self.fibers.adopt(None, "main", self.root_chain)
        assert self.fibers.hub is not None
        self.fibers.hub.parent = getcurrent()

    def start(self, config: StartConfig) -> SimDriver:
        """Start a grid."""
        from actorgrid.sim.grid import Grid  # the world is older than its grids
        from actorgrid.sim.links import Links

        self.grids += 1
        self.grid = grid = (Links if self.level == "links" else Grid)(self, config)
        for fiber in self.fibers.alive:  # every thread of the program: those of older grids are dead
            fiber.home = grid.driver
        return grid.driver

    def closed(self, grid: Grid) -> None:
        """A grid is over."""
        if self.grid is grid:
            self.grid = None

    def close(self) -> None:
        """End it all: unwind what is parked, dead or alive."""
        if not self.over:
            self.over = True
            self.isolation.ends()
            self.file_locks.close()
            self.fibers.unwind()
            self.isolation.put_back()
            self.surroundings.put_back()

    @property
    def events(self) -> int:
        """How many events have happened."""
        return self.endless.events

    @property
    def ends(self) -> bool:
        """Whether what the program does now is heard by nobody: it is over, was killed, or its run was given up."""
        return self.over or self._killed or self.choices.given_up is not None

    def check_over(self) -> None:
        """Stop user code that runs on after the end, or would for ever."""
        if self.over and self.fibers.current is not None:
            self.fibers.check_over(self.fibers.current)
        self.endless.does()

    def chain(self, label: str) -> Chain:
        """Return a new chain of calls."""
        self._chains += 1
        return Chain(self._chains, label)

    def new_ident(self) -> int:
        """Return an identifier for a simulated thread."""
        self._idents += 1
        return FIRST_IDENT + self._idents

    def later(self, action: Callable[[], None]) -> None:
        """Have the hub do something once user code is parked."""
        self._later.append(action)

    # -- code of the program goes on

    def notice(self, fiber: Fiber, need: int) -> None:
        """Enough of what a fiber waits for is there: let it see that, now or after other things have happened."""
        self.waits.is_enough(fiber)
        _, oids = self.waits.objects.get(fiber, ("", ()))
        if self.footprint is not None and need == len(oids):
            self.choices.policy.fed(self.waits.notice_of(fiber), oids)

    def takes_turn(self, label: str) -> None:
        """A thread is about to do something: other threads of its process, if it has any, may come before."""
        fiber = self.fibers.current
        if fiber is not None and fiber.home is not None:
            fiber.home.takes_turn(label)

    def calls(self, home: Any, target: Any, what: str, digest: bytes) -> None:
        """A call begins. The run ends with SharedStateLeak if its code would find what another process left."""
        try:
            self.isolation.calls(home, target, what, digest, alone=home.machine.limit == 1)
        except SharedStateLeak as error:
            self.abort(error)
            raise

    def given(self, home: Any, values: tuple[Any, ...]) -> None:
        """A call has these arguments. See ``calls``."""
        try:
            self.isolation.given(home, values)
        except SharedStateLeak as error:
            self.abort(error)
            raise

    def _enter(self, fiber: Fiber) -> None:
        leak = self.isolation.enters(fiber.home)
        if leak is not None and self._main is not None:
            self._main.error = leak  # what it goes on with: now, or when its turn comes
            if self._main.parked and fiber is not self._main:
                self.fibers.wake(self._main, leak)
        if self.footprint is not None:
            self._goes_on(fiber)
        if fiber.home is None:
            current.install(None)
            self.touch("driver", is_open=self.shared)
        else:
            fiber.home.enter()
            if self.footprint is not None:
                fiber.home.runs(fiber)

    def _goes_on(self, fiber: Fiber) -> None:
        """Note that it would not be where it is if it had not gone on before that; a loop that rests would be."""
        if self.turns.rests(fiber):
            return
        if fiber.went:
            self.seen.append(("went", fiber.went))
        self._goings += 1
        fiber.went = self._goings
        self.makes(("went", fiber.went))

    # -- the hub

    def _hub(self) -> None:
        """Decide, for ever. What goes wrong here is thrown into the main fiber."""
        step = self._step
        while True:
            try:
                while True:
                    step()
            except BaseException as error:  # noqa: BLE001  # an invariant is broken: the program ends with it
                if self.over and isinstance(error, WorldOver):
                    return
                assert self._main is not None
                self._main.parked = self._main.parked or "the hub"
                self.fibers.wake(self._main, error)

    def _step(self) -> None:
        fibers = self.fibers
        if self.onlookers.errors:
            self.onlookers.let_go()
        if fibers.ready:
            fibers.run_one()
        elif self._later:
            self._later.popleft()()
        elif self.grid is None or not self.grid.pump():
            self._next_event()

    def _next_event(self) -> None:
        if self.promises.always:
            self.promises.check()
        events = self.enabled()
        if not events:
            if self._settling is not None:
                settling, self._settling = self._settling, None
                self.fibers.wake(settling)
            elif not self._head_timer():
                self._stuck()
            return
        self.endless.happens()
        self.clock.looks = 0
        self.end_step()
        event = self.choices.pick(events)
        self._begin_step(event)
        if self.story is not None:
            self.story.chosen(event, self.grid, decided=len(events) > 1)
        self.choices.observe(f"{event.kind} {event.label} {len(events)}")
        self.course.goes_on(event)
        self.turns.after(event)
        event.happen()

    # -- what steps touch

    def touch(self, token: Any, *, writes: bool = True, is_open: bool = True) -> None:
        """Note that the step that is under way touches something (see ``footprint``)."""
        if self.footprint is not None:
            touch(self.footprint, token, writes=writes, is_open=is_open)
            if self.seen:
                touch(self._touched.setdefault(len(self.seen), {}), token, writes=writes, is_open=is_open)

    def makes(self, thing: Any) -> None:
        """Note that the step that is under way makes something that code waits for."""
        if self.footprint is not None:
            self._made.append((thing, len(self.seen)))

    def _begin_step(self, event: Event) -> None:
        # Of a cancellation that arrives ("late") ALL, too: what it ends leaves no trace of what it would have touched.
        if self.promises.always or self.file_locks.used or not (event.is_call or event.kind == "aside"):
            self.touch(ALL)
        elif event.is_call:
            self.touch(event.where, writes=not event.readonly)

    def end_step(self) -> None:
        """Tell the policy what the step that is over has touched."""
        if self.footprint is None:
            return
        if self.clock.touched:
            self.clock.touched = False
            self.touch("clock")
        done = StepDone(self.footprint, self.seen, self._made, self._touched)
        self.footprint, self.seen, self._made, self._touched = {}, [], [], {}
        self.choices.policy.stepped(done)

    def enabled(self) -> list[Event]:
        """Return what may happen next, the dullest first."""
        grid, waits, turns = self.grid, self.waits, self.turns
        events = grid.offers() if grid is not None else []
        if len(events) > 1:
            self.course.sort(events)
        if waits.noticing:
            events[:0] = waits.notices()
        if self.file_locks.waited_for:
            events[:0] = self.file_locks.events()
        if self.onlookers.anything_under_way():
            events[:0] = self.onlookers.events()
        if self.level == "links" and grid is not None:
            events[:0] = grid.deliveries()
        if turns.waiting and turns.come_first():
            return turns.events() + events
        if waits.polling:
            events += waits.polls()
        if turns.waiting:
            events += turns.events()
        self._offer_time(events)
        if events:
            events += self.harm.events()
        return events

    def _offer_time(self, events: list[Event]) -> None:
        timer = self.clock.next()
        alarm = self.grid.head.alarms.next() if self.grid is not None and self.grid.open else None
        if alarm is not None and (timer is None or alarm < timer.at):
            # Time stops here even if nobody else looks at it: what the head does now must be able to happen now.
            what = "a deadline is over"
            events.append(Event("time", "", what, what, partial(self._pass, alarm)))
        elif timer is not None:
            events.append(Event("time", "", timer.label, timer.label, partial(self._pass, timer.at)))

    def tell_story(self) -> None:
        """Have what happens from now on told in ``story``."""
        self.story = Story(self.clock, self.choices)
        self.payloads.record = []

    def happened(self, kind: str, label: str) -> None:
        """Something broke just now because the last decision was that it should."""
        if self.story is not None:
            self.story.happened(kind, label)

    def end_driver(self) -> None:
        """The program's process is dead: nothing of it happens any more."""
        main = self._main
        assert main is not None
        self._killed = True
        main.parked = main.parked or "the hub"
        self.fibers.wake(main, DriverKilled())

    def _pass(self, when: float) -> None:
        """Let time pass, for the head too. Raises AssertionError for a promise whose time is over by then."""
        self.promises.time_passes(when)
        while self.grid is not None and self.grid.open:
            deadline = self.grid.head.next_deadline()
            if deadline is None or deadline > when or deadline <= self.clock.now:
                break
            self.clock.advance(deadline)
            self.grid.turn()
        self.clock.advance(when)
        if self.grid is not None and self.grid.open:
            self.grid.turn()

    def _head_timer(self) -> bool:
        """Nothing can happen but what the head itself does after a while. Returns whether there is such a thing."""
        if self.grid is None or not self.grid.open:
            return False
        deadline = self.grid.head.next_deadline()
        if deadline is None or deadline <= self.clock.now:
            return False
        self._pass(deadline)
        return True

    def _stuck(self) -> None:
        """Nothing can ever happen again, and somebody waits."""
        self.last_waits = self.describe_waits(stacks=True)
        error = DeadlockError(f"nothing can happen any more: {self.describe_waits()}")
        main = self._main
        if main is not None and main.parked:
            self.fibers.wake(main, error)
        else:
            raise error

    def describe_waits(self, *, stacks: bool = False) -> str:
        """Return who waits for what; ``stacks``: and the lines of the program that do."""
        return self.waits.describe(self.grid.calls if self.grid is not None else {}, stacks=stacks)

    # -- choices that user code runs into

    def draw(self, kind: str, bound: int, label: str = "") -> int:
        """Return a number below ``bound``: for what is decided in the middle of a fiber."""
        try:
            value = self.choices.draw(kind, bound, label)
        except BaseException as error:
            self.abort(error)
            raise
        if value and self.story is not None and kind not in TOLD_APART:
            self.story.happened(kind, label, call_site())
        return value

    def abort(self, error: BaseException) -> None:
        """Whoever decides has had enough: the main program is told, not the task that happened to run."""
        main, here = self._main, self.fibers.current
        if main is None or here is None or here is main:
            return
        main.parked = main.parked or "the hub"
        self.fibers.wake(main, error)
        self.fibers.kill(here)
        self.fibers.park("for ever: the run is given up")

    # -- properties

    def settle(self) -> None:
        """Let everything come to rest; nothing breaks after that. Raises AssertionError for a promise that is not kept.

        What has been submitted just now has yet to run: until the first rest things may break as before. A run in
        which they do not is one of those.
        """
        fiber = self.fibers.current
        assert fiber is not None
        if self.grid is not None:
            self.grid.collect()
        self._settling = fiber
        self.harm.settles()
        self.promises.settling(self.clock.now)
        try:
            self.fibers.park("settle()")
        finally:
            self._settling = None
            self.choices.calm = True
            self.promises.settling(None)
        self.at_end()

    def at_end(self) -> None:
        """Look at what was to hold always, the last event included, and in the end."""
        if self.grid is not None:
            self.promises.check()
        if self.promises.eventually:
            self.touch(ALL)
        self.promises.at_rest()
