"""A world: one thread in which a whole grid runs, under virtual time, one choice at a time.

The hub is the greenlet that decides. User code runs in fibers until all of them are parked; then messages flow until
all is quiet; then the hub asks ``choices`` what happens next: which call an actor starts, time, a fault.
"""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakSet

from greenlet import getcurrent, greenlet

from actorgrid.engine import current
from actorgrid.exceptions import DeadlockError, LivelockError, SharedStateLeak
from actorgrid.sim.choices import Chain, Choices, Event
from actorgrid.sim.clock import Clock, Timer
from actorgrid.sim.faults import Faults, Level
from actorgrid.sim.fibers import DriverKilled, Fiber, Fibers, WorldOver
from actorgrid.sim.footprint import ALL, Footprint, touch
from actorgrid.sim.harm import Harm
from actorgrid.sim.homes import Homes
from actorgrid.sim.isolation import Isolation
from actorgrid.sim.onlookers import Holds, Onlookers
from actorgrid.sim.parts import Parts
from actorgrid.sim.places import call_site, places_of
from actorgrid.sim.promises import Promises
from actorgrid.sim.story import Story
from actorgrid.wire import custom

if TYPE_CHECKING:
    from actorgrid.engine.calls import PreparedCall
    from actorgrid.engine.definitions import StartConfig
    from actorgrid.sim.async_actor import SimLoop
    from actorgrid.sim.engines import SimDriver
    from actorgrid.sim.grid import Grid
    from actorgrid.sim.locks import OnePerProcess

#: Identifiers of simulated threads count from here.
FIRST_IDENT: Final = 1 << 40
#: After so many events of one chain in a row another one is next.
FAIR: Final = 100
#: Draws whose consequences are steps of the story.
TOLD_APART: Final = frozenset({"kill", "spawn", "store", "spill"})


class World(Parts):
    """Everything that one run consists of; ``Parts`` has what can be looked at."""

    def __init__(
        self, choices: Choices, faults: Faults | None = None, *, max_events: int = 100_000, checks: bool = False,
        tag: str = "", level: Level = "calls", holds: Holds = Holds.NOTHING,
    ) -> None:  # fmt: skip
        """``checks``: verify every invariant of the head after every message. ``tag``: hex digits for session names.

        ``level``: what is a choice: the order of "calls", or that of all messages on all "links".
        ``holds``: what else is (see ``onlookers``); at the level of links nothing, for all that is on links there.
        """
        self.tag = tag
        self.level = level
        self.choices = choices
        self.isolation = Isolation()
        self.harm = Harm(self, faults or Faults())
        self.onlookers = Onlookers(self, holds if level == "calls" else Holds.NOTHING)
        self.clock = Clock(self.onlookers.glance)
        self.fibers = Fibers(self._enter)
        self.fibers.hub = greenlet(self._hub)
        self.checks = checks
        self.max_events = max_events
        self.events = 0
        #: Messages that machines handled.
        self.messages = 0
        self.age = 0
        self._idents = self._chains = 0
        self.root_chain = self.chain("main")
        self._last_chain: Chain = self.root_chain
        self._last_path = ""
        self._in_a_row = 0
        self.grid: Grid | None = None
        self.grids = 0
        #: Things for the hub to do once user code is parked.
        self._later: deque[Callable[[], None]] = deque()
        #: Fibers that looked, saw nothing, and go on when everything else has had a chance.
        self._polls: dict[Fiber, None] = {}
        #: Fibers whose wait() is over and that have not seen it.
        self._noticing: dict[Fiber, None] = {}
        #: What each parked fiber waits for: the call and the objects.
        self.waits_for: dict[Fiber, tuple[str, tuple[int, ...]]] = {}
        #: What happened, if asked for.
        self.story: Story | None = None
        #: It is a program of its own, not one schedule of many: what a person should read is printed.
        self.loud = False
        #: How many calls each chain made; which calls each actor started, in order.
        self.lengths: dict[str, int] = {}
        self.orders: dict[str, list[str]] = {}
        #: How many calls each actor has finished.
        self.finished: dict[str, int] = {}
        #: Who waited for what when nothing could happen any more.
        self.last_waits = ""
        #: Where random numbers were drawn first.
        self.drew = ""
        #: Properties that must hold after every event, and those that must hold in the end.
        self.promises = Promises()
        #: What the step that is under way has touched (None: nobody asks), made, and gone on with.
        self.footprint: Footprint | None = {} if choices.policy.sees_all else None
        self.made: list[Any] = []
        self.seen: list[Any] = []
        #: The program has more than one line of execution.
        self.shared = False
        self._settling: Fiber | None = None
        self._main: Fiber | None = None
        self.over = False
        #: The program's environment variables.
        self.environment: dict[Any, Any] = os.environ._data  # type: ignore[attr-defined]  # noqa: SLF001  # see SimHost.enter
        #: Where processes with folders and modules of their own find these.
        self.homes, self.serializers = Homes(), custom.current
        #: The interpreter's own record of classes defined in functions (see ``SimHost.enter``).
        self.real_trackers: tuple[Any, Any] | None = None
        #: Event loops that were made, to be closed at the end.
        self.loops: list[SimLoop] = []
        #: What may outlive this world in the program's modules, and is not to keep it alive: locks, prepared calls.
        self.locks: WeakSet[OnePerProcess[Any]] = WeakSet()
        self.prepared: WeakSet[PreparedCall] = WeakSet()

    # -- the program

    def enter(self) -> None:
        """Make the calling code the main fiber of this world: it is the driver's main thread from now on."""
        self._main = self.fibers.adopt(None, "main", self.root_chain)
        assert self.fibers.hub is not None
        self.fibers.hub.parent = getcurrent()

    def start(self, config: StartConfig) -> SimDriver:
        """Start a grid."""
        from actorgrid.sim.grid import Grid  # the world is older than its grids
        from actorgrid.sim.links import Links

        self.grids += 1
        self.grid = grid = (Links if self.level == "links" else Grid)(self, config)
        if self.fibers.current is not None:
            self.fibers.current.home = grid.driver
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
            self.fibers.unwind()
            self.isolation.put_back()
            self.homes.close()
            custom.use(self.serializers)
            os.environ._data = self.environment  # type: ignore[attr-defined]  # noqa: SLF001  # see SimHost.enter
            for loop in self.loops:
                loop.bury()
            if self.real_trackers is not None:
                module = sys.modules["cloudpickle.cloudpickle"]
                module._DYNAMIC_CLASS_TRACKER_BY_CLASS, module._DYNAMIC_CLASS_TRACKER_BY_ID = self.real_trackers  # type: ignore[attr-defined]  # noqa: SLF001  # see SimHost.enter
            current.install(None)
            if "actorgrid.engine.logs" in sys.modules:  # the program may not have shut its grid down
                sys.modules["actorgrid.engine.logs"].restore()
            self._let_go()

    def _let_go(self) -> None:
        """Have nothing that outlives this world keep it: what it consists of is garbage when the run is over."""
        for lock in self.locks:
            lock.world_ends()
        for prepared in self.prepared:
            prepared.engine = None

    def check_over(self) -> None:
        """Stop user code that runs on after the end."""
        if self.over and self.fibers.current is not None:
            self.fibers.check_over(self.fibers.current)

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

    # -- waiting

    def wait(self, why: str, timeout: float | None, over: Callable[[], bool]) -> None:
        """Park the calling fiber until ``over()`` or until ``timeout`` virtual seconds have passed.

        It may be woken for nothing: by what a finalizer, which ran in the middle of this, had waited for.
        """
        fiber = self.fibers.current
        if fiber is None:
            raise RuntimeError("a finalizer that runs between two steps of the simulation cannot wait")
        timer: Timer | None = None
        due = self.clock.now + (timeout or 0.0)
        if timeout is not None:
            if timeout <= 0:
                self._polls[fiber] = None
            else:
                timer = self.clock.at(due, lambda: self.fibers.wake(fiber), f"{fiber.name}: {why} times out")
        try:
            while not over():
                self.fibers.park(why)
                if timeout is not None and (timeout <= 0 or self.clock.now >= due):
                    break
        finally:
            if timer is not None:
                timer.cancel()
            self._polls.pop(fiber, None)
            self._noticing.pop(fiber, None)
            self.waits_for.pop(fiber, None)

    def notice(self, fiber: Fiber, need: int) -> None:
        """Enough of what a fiber waits for is there: let it see that, now or after other things have happened."""
        self._noticing[fiber] = None
        _, oids = self.waits_for.get(fiber, ("", ()))
        if self.footprint is not None and need == len(oids):
            self.choices.policy.fed(("notice", fiber.name, ""), oids)

    def _notice(self, fiber: Fiber) -> Event:
        label = f"{fiber.name} sees what is ready"

        def see() -> None:
            self._noticing.pop(fiber, None)
            self.fibers.wake(fiber)

        return Event("notice", fiber.name, "", label, see, fiber.chain)

    def sleep(self, seconds: float) -> None:
        """Let virtual time pass for the calling fiber."""
        self.wait("sleep()", max(seconds, 0.0), lambda: False)

    def calls(self, home: Any, target: Any, what: str) -> None:
        """A call begins. The run ends with SharedStateLeak if its code would find what another process left."""
        try:
            self.isolation.calls(home, target, what, alone=home.machine.limit == 1)
        except SharedStateLeak as error:
            self._abort(error)
            raise

    def given(self, home: Any, values: tuple[Any, ...]) -> None:
        """A call has these arguments. See ``calls``."""
        try:
            self.isolation.given(home, values)
        except SharedStateLeak as error:
            self._abort(error)
            raise

    def _enter(self, fiber: Fiber) -> None:
        leak = self.isolation.enters(fiber.home)
        if leak is not None and self._main is not None:
            self._main.error = leak  # what it goes on with: now, or when its turn comes
            if self._main.parked and fiber is not self._main:
                self.fibers.wake(self._main, leak)
        if fiber.home is None:
            current.install(None)
            self.touch("driver", is_open=self.shared)
        else:
            fiber.home.enter()
            if self.footprint is not None:
                fiber.home.runs(fiber)

    # -- the hub

    def _hub(self) -> None:
        """Decide, for ever. What goes wrong here is thrown into the main fiber."""
        while True:
            try:
                self._step()
            except WorldOver:
                return
            except BaseException as error:  # noqa: BLE001  # an invariant is broken: the program ends with it
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
        self.events += 1
        if self.events > self.max_events:
            raise LivelockError(f"the program has not ended after {self.max_events} events: {self.describe_waits()}")
        self.end_step()
        event = self.choices.pick(events)
        self._begin_step(event)
        if self.story is not None:
            self.story.chosen(event, self.grid, decided=len(events) > 1)
        self.choices.observe(f"{event.kind} {event.label} {len(events)}")
        if event.kind == "call" and event.chain is not None:
            self._last_path = event.what
            self.lengths[event.chain.label] = self.lengths.get(event.chain.label, 0) + 1
            self.orders.setdefault(event.where, []).append(event.what)
        if event.kind != "start":
            self._in_a_row = self._in_a_row + 1 if event.chain is self._last_chain else 0
        if event.chain is not None:
            self._last_chain = event.chain
        event.happen()

    # -- what steps touch

    def touch(self, token: Any, *, writes: bool = True, is_open: bool = True) -> None:
        """Note that the step that is under way touches something (see ``footprint``)."""
        if self.footprint is not None:
            touch(self.footprint, token, writes=writes, is_open=is_open)

    def _begin_step(self, event: Event) -> None:
        if self.promises.always or not (event.is_call or event.kind in {"aside", "late"}):
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
        footprint, made, seen = self.footprint, self.made, self.seen
        self.footprint, self.made, self.seen = {}, [], []
        self.choices.policy.stepped(footprint, made, seen)

    def enabled(self) -> list[Event]:
        """Return what may happen next, the dullest first."""
        events = self.grid.offers() if self.grid is not None else []
        if len(events) > 1:
            events.sort(key=self._dullness)
        if self._noticing:
            events[:0] = [self._notice(fiber) for fiber in self._noticing if fiber.parked]
        events[:0] = self.onlookers.events()
        if self.grid is not None:
            events[:0] = self.grid.deliveries()
        for fiber in self._polls:
            if fiber.parked:
                what = f"{fiber.name} looks again"
                events.append(Event("poll", fiber.name, what, what, partial(self.fibers.wake, fiber)))
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

    def happened(self, kind: str, label: str) -> None:
        """Something broke just now because the last decision was that it should."""
        if self.story is not None:
            self.story.happened(kind, label)

    def end_driver(self) -> None:
        """The program's process is dead: nothing of it happens any more."""
        main = self._main
        assert main is not None
        main.parked = main.parked or "the hub"
        self.fibers.wake(main, DriverKilled())

    def _dullness(self, event: Event) -> tuple[int, int, int]:
        """Return what the dull order sorts by: closest in the tree of calls to what ran last, then chains by age.

        Even the dullest run is fair: a chain that loops until others have done something lets them.
        """
        number = event.chain.number if event.chain is not None else 0
        if event.kind == "start":
            return -sys.maxsize, 0, event.age
        if self._in_a_row % FAIR == FAIR - 1:
            return int(event.chain is self._last_chain), number, event.age
        return -_shared(self._last_path, event.what), number, event.age

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
        said = []
        for fiber in self.fibers.alive:
            if fiber.parked:
                call, oids = self.waits_for.get(fiber, (fiber.parked, ()))
                calls = self.grid.calls if self.grid is not None else {}
                named = [str(calls[oid]) if oid in calls else f"{oid:x}" for oid in oids]
                what = f"{fiber.name} waits in {call}" + (f" for {', '.join(named)}" if named else "")
                places = places_of(fiber.frame()) if stacks else ""
                said.append(f"{what}, at {places}" if places else what)
        return "; ".join(said) or "nobody waits"

    # -- choices that user code runs into

    def draw(self, kind: str, bound: int, label: str = "") -> int:
        """Return a number below ``bound``: for what is decided in the middle of a fiber."""
        try:
            value = self.choices.draw(kind, bound, label)
        except BaseException as error:
            self._abort(error)
            raise
        if value and self.story is not None and kind not in TOLD_APART:
            self.story.happened(kind, label, call_site())
        return value

    def _abort(self, error: BaseException) -> None:
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
        """Let everything come to rest, without further faults. Raises AssertionError for a promise that is not kept."""
        fiber = self.fibers.current
        assert fiber is not None
        self.choices.calm = True
        if self.grid is not None:
            self.grid.collect()
        self._settling = fiber
        self.promises.settling(self.clock.now)
        self.fibers.park("settle()")
        self.promises.settling(None)
        self.at_end()

    def at_end(self) -> None:
        """Look at what was to hold always, the last event included, and in the end."""
        if self.grid is not None:
            self.promises.check()
        if self.promises.eventually:
            self.touch(ALL)
        self.promises.at_rest()


def _shared(path: str, other: str) -> int:
    """Return how many steps from the root two paths in the tree of calls have in common."""
    count = 0
    for step, step_of_other in zip(path.split("."), other.split("."), strict=False):
        if step != step_of_other:
            break
        count += 1
    return count
