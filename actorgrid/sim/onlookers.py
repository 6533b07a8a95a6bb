"""Onlookers: what a program does that shows it more of the others than the order in which actors start calls.

Processes share nothing, so when a task starts, and how long a process thinks before it does something, nobody can tell:
unless somebody has a timeout, looks at the clock, asks for a name, cancels, kills, or takes the first of several
errors. Then it matters, and what took no time becomes an event that others may come before:

* a task or a constructor starts ("start"),
* a process goes on with something that others can tell the time of, or a thread that is not alone with anything, after
  it has waited, say ("aside"),
* a kill or a cancellation reaches its victim ("late"),
* an event loop goes on with what is next in its queue ("turn", see ``turns``), if something may come in between.

Number 0 is always the dull one: at once. Only programs with onlookers pay for these choices: a run notes what it would
have ``needed`` to hold back, and the search begins again with ``holds`` at that. A schedule says what was held back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from enum import IntFlag
from functools import partial
from sys import getrefcount
from typing import TYPE_CHECKING, Final, NamedTuple

from actorgrid.core import messages as m
from actorgrid.core.messages import A_METHOD, A_TASK, AN_ACTOR, Kind
from actorgrid.sim.choices import Event
from actorgrid.sim.fibers import Fiber

if TYPE_CHECKING:
    from actorgrid.sim.host import SimHost
    from actorgrid.sim.world import World


#: The bits of ``Holds``.
_TIMES, _TURNS, _THREADS, _CALLS = 3, 4, 8, 16


class Holds(IntFlag):
    """What does not happen at once in a run: how much of what takes time, and what goes with each of that."""

    NOTHING = 0
    #: Tasks start when they are chosen.
    TASKS = 1
    #: Constructors, too; whoever does something that others can tell the time of may be slow; kills may come late.
    ALL = 2
    #: Whoever is about to touch a file, too (see ``files``).
    FILES = _TIMES
    #: Event loops take their turns when they are chosen.
    TURNS = _TURNS
    #: Threads of one process begin, call, and go on after they have waited when they are chosen.
    THREADS = _THREADS
    #: Whoever has just called an actor, and calls it again, may be slow in between: it may die there, and come back.
    CALLS = _CALLS

    # These look at a plain number: ``&`` of flags makes a flag, in Python code, and they are asked at every step.

    @property
    def times(self) -> int:
        """Without what goes with the others: a number to compare."""
        return self._value_ & _TIMES

    @property
    def turns(self) -> bool:
        """Whether event loops take their turns when they are chosen."""
        return bool(self._value_ & _TURNS)

    @property
    def threads(self) -> bool:
        """Whether threads go on when they are chosen."""
        return bool(self._value_ & _THREADS)

    @property
    def calls(self) -> bool:
        """Whether who calls an actor again may be slow."""
        return bool(self._value_ & _CALLS)

    def without_times(self) -> Holds:
        """Return what is left where messages come when they are chosen."""
        return self & (Holds.TURNS | Holds.THREADS)

    def joined(self, other: Holds) -> Holds:
        """Return what holds back all that either does."""
        return max(self.times, other.times) | (self | other) & ~Holds.FILES

    def covers(self, other: Holds) -> bool:
        """Return whether it holds back all that ``other`` does."""
        return self.joined(other) == self


#: Words to the head of which others can notice what comes of them.
_DEEDS: Final = frozenset({m.Submit, m.CreateActor, m.KillActor, m.Cancel})


def _references(errors: list[BaseException]) -> list[int]:
    """Return how many references each error has, as far as this interpreter counts them."""
    return [getrefcount(error) for error in errors]


#: So many has one that a list and nobody else holds.
_ALONE: Final = max(_references([ValueError()]))


class _Aside(NamedTuple):
    """A fiber that lets others go first, what it is about to do, and to which task or actor (0: to none)."""

    fiber: Fiber
    nth: int
    label: str
    victim: int


class _Late(NamedTuple):
    """What is on its way to a victim."""

    label: str
    victim: int
    arrive: Callable[[], None]


class Onlookers:
    """The onlookers of one run, and what is held back because of them."""

    def __init__(self, world: World, holds: Holds) -> None:
        self._world = world
        self.holds = holds
        #: What must be held back for nothing to be missed. Invariant: it only grows.
        self.needs = Holds.NOTHING
        self._aside: dict[Fiber, _Aside] = {}
        self._late: dict[tuple[str, int], _Late] = {}
        #: How often each of these has been there, by name.
        self._times: Counter[str] = Counter()
        #: The processes that have looked at the clock.
        self._glancers: set[int] = set()
        #: What would have to be held back for their sake.
        self._glances = Holds.NOTHING
        self._named = 0
        #: A constructor failed: whoever calls the actor hears of that, sooner or later.
        self.stillborn = False
        #: An actor has come back; a constructor has called one.
        self.restarted = self.constructors_call = False
        #: First errors of several, which the program may survive; one that it has survived is let go of at once.
        self.errors: list[BaseException] = []
        self._survived = False

    # -- what is seen

    def need(self, holds: Holds) -> None:
        """Somebody can tell the time of what ``holds`` names."""
        self.needs = self.needs.joined(holds)

    def glance(self) -> None:
        """Somebody looks at the clock: two who do can compare what they saw."""
        fiber = self._world.fibers.current
        if fiber is None:
            return
        self._world.endless.does()
        host: SimHost | None = fiber.home
        self._glancers.add(0 if host is None else host.client.number)
        # Whoever has just said something may be slow now. The others could have been slow before they began.
        may_be_slow = (
            host is not None and any(type(each) in _DEEDS for each in host.client.outbox) and not host.is_reader()
        )
        self._glances = max(self._glances, Holds.ALL if may_be_slow or _is_constructed(host) else Holds.TASKS)
        if len(self._glancers) > 1:
            self.need(self._glances)
        if may_be_slow:
            self.step_aside("looks at the clock")

    def touches_a_file(self, label: str) -> None:
        """The calling code is about to touch a file: let others go first, or not."""
        fiber = self._world.fibers.current
        if self.holds.times >= Holds.FILES and fiber is not None and (fiber.home is None or not fiber.home.is_reader()):
            self.step_aside(label)

    def name(self) -> None:
        """An actor gets a name: whoever comes second hears that it is taken."""
        self._named += 1
        if self._named > 1:
            self.need(Holds.ALL)

    def first_error(self, error: BaseException) -> None:
        """A ``get`` of several objects raises this: in another run it may be another one."""
        self.errors.append(error)

    def let_go(self) -> None:
        """Keep no error that nobody else has: its frames hold references, which are to die when the program's do."""
        kept = [error for error, count in zip(self.errors, _references(self.errors), strict=True) if count > _ALONE]
        self._survived |= len(kept) < len(self.errors)
        self.errors[:] = kept

    def ended(self, error: BaseException | None) -> None:
        """The program is over, and ended with ``error``."""
        if self._survived or any(each is not error for each in self.errors):
            self.need(Holds.TASKS)
        self.errors.clear()
        if self.stillborn and self.needs.times:
            self.need(Holds.ALL)

    # -- what is held back

    def held(self, kind: Kind) -> bool:
        """Return whether such a thing waits until it is chosen."""
        if kind is A_METHOD:
            return True
        return self.holds.times >= (Holds.TASKS if kind is A_TASK else Holds.ALL)

    def step_aside(self, label: str, victim: int = 0) -> None:
        """Let others go first, or not: the calling fiber is about to do something that they could tell the time of."""
        if self.holds.times >= Holds.ALL:
            self._let_others(label, victim)

    def thread_takes_turn(self, label: str) -> bool:
        """Let others go first, or not: the calling fiber is not alone in its process. Returns whether it did."""
        self.need(Holds.TASKS | Holds.THREADS)
        if self.holds.threads:
            self._let_others(label, 0)
        return self.holds.threads

    def calls_again(self, label: str) -> None:
        """Let others go first, or not: the calling fiber is about to call an actor that it has called just now."""
        if self.holds.calls:
            self._let_others(label, 0)

    def restarts(self) -> None:
        """An actor comes back: whoever has called it could have done so before it was gone, or after that."""
        self.restarted = True
        self.need(Holds.CALLS | (Holds.ALL if self.constructors_call else Holds.TASKS))

    def constructor_calls(self) -> None:
        """A constructor calls an actor: when it starts can be told if that comes back."""
        self.constructors_call = True
        if self.restarted:
            self.need(Holds.ALL)

    def _let_others(self, label: str, victim: int) -> None:
        fiber = self._world.fibers.current
        if fiber is None or fiber in self._aside:
            return
        self._times[fiber.name] += 1
        aside = _Aside(fiber, self._times[fiber.name], f"{fiber.name} {label}", victim)
        self._aside[fiber] = aside
        try:
            while self._aside.get(fiber) is aside:
                self._world.fibers.park(label)
        finally:
            self._aside.pop(fiber, None)

    def on_its_way(self, label: str, victim: int, arrive: Callable[[], None]) -> None:
        """Have ``arrive`` called when that is chosen; without onlookers, now."""
        if self.holds.times < Holds.ALL:
            arrive()
        else:
            self._times[label] += 1
            self._late[label, self._times[label]] = _Late(label, victim, arrive)

    def anything_under_way(self) -> bool:
        """Return whether somebody has been held back and has not gone on."""
        return bool(self._late or self._aside)

    def threaten(self, *victims: int) -> bool:
        """Return whether a kill or a cancellation of one of these (tasks, actors) is under way."""
        under_way = {each.victim for each in self._late.values()} | {each.victim for each in self._aside.values()}
        return any(victim in under_way for victim in victims if victim)

    def events(self) -> list[Event]:
        """Return what may arrive or go on, the dullest first."""
        arrivals = [
            Event("late", each.label, key[1], each.label, partial(self._arrive, key))
            for key, each in self._late.items()
        ]
        return arrivals + [
            Event("aside", each.fiber.name, each.nth, each.label, partial(self._go_on, each.fiber))
            for each in self._aside.values()
            if each.fiber.parked and not each.fiber.dead
        ]

    def _arrive(self, key: tuple[str, int]) -> None:
        self._late.pop(key).arrive()

    def _go_on(self, fiber: Fiber) -> None:
        del self._aside[fiber]
        self._world.fibers.wake(fiber)


def _is_constructed(host: SimHost | None) -> bool:
    """Return whether what runs in this process now is a constructor."""
    running = host.running() if host is not None else None
    return running is not None and running.spec.kind is AN_ACTOR
