"""Every run there is: depth-first search over the tree of choices, with sleep sets.

Two runs that differ only in the order of steps that commute are the same run; sleep sets (Godefroid 1996) see to it
that only one of them is completed. ``classes`` counts the completed ones, ``blocked`` those that were given up because
all that they could do had been done. With "dpor" branches of which no race speaks are not even begun (``races``).

Whether two steps commute is seen, not assumed (see ``asleep``, ``footprint``).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from actorgrid.exceptions import LivelockError, NondeterminismError
from actorgrid.sim.asleep import Asleep, Explored, Taken
from actorgrid.sim.choices import Dull, Event, Policy
from actorgrid.sim.files import why_not
from actorgrid.sim.footprint import OPEN, WRITTEN, Footprint, StepDone, widen
from actorgrid.sim.patience import Patience
from actorgrid.sim.races import Order, Step
from actorgrid.sim.runner import Program, Run
from actorgrid.sim.turns import tokens_of


class Blocked(BaseException):
    """Everything that this run could go on to do has been explored."""


@dataclass
class Node:
    """A decision on the path that is being explored."""

    #: What may happen, as plain data; None for a draw in the middle of a step.
    events: list[Event] | None
    bound: int
    #: What these are called.
    keys: frozenset[Any] = frozenset()
    chosen: int = 0
    #: Events that need not be explored from here.
    sleep: dict[Any, Asleep] = field(default_factory=dict)
    #: Choices that are done, and what is under way.
    done: dict[int, Explored] = field(default_factory=dict)
    #: The choices that are to be explored; None: all.
    wanted: set[int] | None = None
    current: Explored = field(default_factory=Explored)
    #: The footprint of the step on the path that is being followed.
    now: Footprint = field(default_factory=dict)

    def awake(self) -> list[int]:
        """Return the choices that are neither done nor asleep."""
        if self.events is None:
            return [index for index in range(self.bound) if index not in self.done]
        return [
            index
            for index, event in enumerate(self.events)
            if index not in self.done and event.key not in self.sleep and (self.wanted is None or index in self.wanted)
        ]

    def want(self, keys: list[Any]) -> None:
        """Have one of these events explored from here, or all there are if none of them can happen here."""
        assert self.events is not None
        if self.wanted is None:
            return
        index_of = {event.key: index for index, event in enumerate(self.events)}
        there = [index_of[key] for key in keys if key in index_of]
        if any(key in self.sleep for key in keys) or any(index in self.wanted for index in there):
            return
        if there:
            self.wanted.add(there[0])
        else:
            self.wanted = None

    def asleep_below(self, number: int, needs: int) -> dict[Any, Asleep]:
        """Return the sleep set of the node that the chosen step leads to. For the arguments see ``Taken``."""
        assert self.events is not None
        taken = Taken(self.events[self.chosen].key, number, self.now, needs)
        before = {self.events[index].key: Asleep(explored) for index, explored in self.done.items()}
        behind = {key: asleep.behind(taken) for key, asleep in {**self.sleep, **before}.items()}
        return {key: asleep for key, asleep in behind.items() if asleep is not None}


class DepthFirst(Policy):
    """The policy: follows the path to the newest branch, then goes on with what is dullest and awake.

    One object serves all runs of a proof.
    """

    sees_all = True

    def __init__(self, reduction: str) -> None:
        """``reduction``: "none", "sleep" or "dpor"."""
        self._reduce = reduction != "none"
        self._races = reduction == "dpor"
        #: The calls that were submitted, by key: in which step, whether they only read, which steps fed them.
        self._born: dict[Any, tuple[int, bool]] = {}
        self._feeders: dict[Any, list[int]] = {}
        #: The calls that may start now, and those that no longer could after a step although they had not started.
        self._startable: dict[Any, None] = {}
        self._prevented: dict[Any, int] = {}
        #: Events that are no calls: since which step they can happen without a break.
        self._offered: dict[Any, int] = {}
        #: The steps that each step could not do without.
        self._causes: list[list[int]] = []
        #: The first step that the run before did not have.
        self._fresh = 0
        self._path: list[Node] = []
        self._depth = 0
        #: The steps of the run so far, and whether the last of them is under way.
        self._steps: list[Node] = []
        self._open = False
        #: Which step made each object, and which ones that needed (bits): itself, and those that made what its code had
        #: gone on with. Which steps each step needed.
        self._maker: dict[Any, tuple[int, int]] = {}
        self._joined: list[int] = []

    def begin(self) -> None:
        """A run starts."""
        self._depth = 0
        self._open = False
        self._steps.clear()
        self._maker.clear()
        self._joined.clear()
        self._born.clear()
        self._feeders.clear()
        self._causes.clear()
        self._offered.clear()
        self._startable.clear()
        self._prevented.clear()

    def choose(self, events: Sequence[Event]) -> int:
        """See ``Policy``."""
        node = self._node(events, len(events))
        self._steps.append(node)
        self._open = True
        if self._races:
            number = len(self._steps) - 1
            offers = {event.key: self._offered.get(event.key, number) for event in events if not event.is_call}
            self._offered = offers
            self._see_what_was_prevented(events, number)
            key = events[node.chosen].key  # a task that runs again submits its calls again, under the same keys
            born, _ = self._born.pop(key, (offers.get(key, 0) - 1, False))
            self._causes.append([*([born] if born >= 0 else []), *self._feeders.pop(key, [])])
        return node.chosen

    def _see_what_was_prevented(self, events: Sequence[Event], number: int) -> None:
        """Compare what may start now with what could before step ``number - 1``."""
        now = {event.key: None for event in events if event.is_call}
        for key in self._startable:
            if key not in now and key in self._born:
                self._prevented[key] = number
        for key in now:
            self._prevented.pop(key, None)
        self._startable = now

    def draw(self, kind: str, bound: int) -> int:
        """See ``Policy``."""
        del kind
        return self._node(None, bound).chosen

    def born(self, key: tuple[Any, ...], *, readonly: bool) -> None:
        """See ``Policy``. What has not started yet is none the younger for having been sent to another process."""
        self._born.setdefault(key, (len(self._steps) - 1, readonly))

    def fed(self, key: tuple[Any, ...], objects: Sequence[Any]) -> None:
        """See ``Policy``."""
        self._feeders[key] = [self._maker[oid][0] for oid in objects if oid in self._maker]

    def stepped(self, done: StepDone) -> None:
        """See ``Policy``."""
        if not self._open:
            return  # before the first step, or after the last
        self._open = False
        number = len(self._steps) - 1
        node = self._steps[number]
        node.now = done.footprint
        widen(node.current.footprint, done.footprint)
        joint = self._join(done, number)
        assert node.events is not None
        key = node.events[node.chosen].key
        for index, above in enumerate(self._steps[:number]):
            widen(above.current.below.setdefault(key, {}), joint.get(index, {}))

    def _join(self, done: StepDone, number: int) -> dict[int, Footprint]:
        """Return what the step has touched because code went on with what others had made, by their numbers.

        What it makes needs those that its code had gone on with by then: it may have done so to do something else.
        """
        made, joined = deque(done.made), 0
        joint: dict[int, Footprint] = {}
        for index, thing in enumerate([*done.seen, None]):
            while made and made[0][1] <= index:
                self._maker[made[0][0]] = number, joined | 1 << number
                made.popleft()
            bits = self._maker.get(thing, (number, 0))[1] & ~(joined | 1 << number)
            if bits:
                behind = done.touched_behind(index)
                joint |= {each: behind for each in range(number) if bits >> each & 1}
                joined |= bits
        self._joined.append(joined)
        return joint

    def _node(self, events: Sequence[Event] | None, bound: int) -> Node:
        depth = self._depth
        self._depth += 1
        if depth < len(self._path):
            node = self._path[depth]
            if node.bound != bound:
                raise NondeterminismError(
                    f"after the same {depth} choices there were {node.bound} possibilities, and now {bound}"
                )
            return node
        node = Node(None, bound)
        if events is not None:
            node.events = [event.plain() for event in events]
            node.keys = frozenset(event.key for event in node.events)
            if self._steps and self._reduce:
                number = len(self._steps) - 1
                node.sleep = self._steps[-1].asleep_below(number, self._needs(number))
        awake = node.awake()
        if not awake:
            raise Blocked
        node.chosen = awake[0]
        if self._races and node.events is not None:  # what need not happen in a run is in no race: a fault, say
            optional = {index for index, event in enumerate(node.events) if not event.is_call}
            node.wanted = {node.chosen, *optional}
        self._path.append(node)
        return node

    def _needs(self, number: int) -> int:
        """Return the steps that a step that is over needed (bits); -1: nobody has noted its causes."""
        return self._joined[number] | sum({1 << cause for cause in self._causes[number]}) if self._races else -1

    def ended(self, *, complete: bool) -> None:
        """A run is over: see which other orders are worth trying. ``complete``: it was not given up."""
        if not self._races or not self._steps:
            return
        steps = [self._step(number) for number in range(len(self._joined))]
        pending = self._never_started(len(steps), complete=complete)
        order = Order(steps)
        for number, keys in order.races(self._fresh, pending):
            self._steps[number].want(keys)
        if pending and complete:  # the program did not wait for them: what they would have led to is in no race
            for number, keys in order.too_early([call for until, call in pending if until == len(steps)]):
                self._steps[number].want(keys)
            self._steps[-1].wanted = None

    def _step(self, number: int) -> Step:
        node = self._steps[number]
        assert node.events is not None
        event = node.events[node.chosen]
        return Step(event.key, event.where, node.now, self._causes[number], node.keys)

    def _never_started(self, count: int, *, complete: bool) -> list[tuple[int, Step]]:
        """Return the calls that were submitted and never started, and before which step they last could have.

        Of a run that was given up only those are known that something prevented: a kill, a cancellation.
        """
        return [
            (
                self._prevented.get(key, count),
                Step(key, key[1], _footprint_of(key, readonly=readonly), [born] if born >= 0 else []),
            )
            for key, (born, readonly) in self._born.items()
            if complete or key in self._prevented
        ]

    def advance(self) -> bool:
        """Turn to the newest branch that is left. Returns False if there is none."""
        while self._path:
            node = self._path[-1]
            node.done[node.chosen] = node.current
            node.current = Explored()
            awake = node.awake()
            if awake:
                node.chosen = awake[0]
                above = sum(each.events is not None for each in self._path)
                self._fresh = max(above - 1, 0)
                return True
            self._path.pop()
        return False


def _footprint_of(key: Any, *, readonly: bool) -> Footprint:
    """Return what a call or turn that never happened would have touched, at the least."""
    kind, where, _ = key
    how = OPEN if readonly else OPEN | WRITTEN
    return dict.fromkeys(tokens_of(where) if kind == "turn" else (where,), how)


@dataclass
class Proof:
    """What came of trying everything."""

    #: Whether everything was tried.
    complete: bool = False
    #: Runs that ended, each standing for all that differ from it in nothing that matters.
    classes: int = 0
    blocked: int = 0
    failures: list[Run] = field(default_factory=list)
    #: How many of the classes failed.
    failing: int = 0
    #: A file at which processes met, "" if they met at none: then there are orders that nobody can try.
    met: str = ""
    #: The dull run, made before all others; None if it never ends.
    first: Run | None = field(default=None, repr=False)

    def saw(self, run: Run, keep: int) -> None:
        """One more run is over; ``keep`` failures at the most are kept."""
        self.met = self.met or run.met
        if isinstance(run.error, Blocked):
            self.blocked += 1
            return
        self.classes += 1
        if run.failed:
            self.failing += 1
            if len(self.failures) < keep:
                self.failures.append(run)

    def __str__(self) -> str:
        how = "every schedule" if self.complete else "not every schedule"
        verdict = f"{self.failing} of them fail" if self.failing else "none fails"
        return f"{how}: {self.classes} classes, {verdict} ({self.blocked} runs were cut short){why_not(self.met)}"


def explore_all(
    run: Callable[[DepthFirst], Run], *, reduction: str, most: int, keep: int,
    enough: Callable[[Run], bool] = lambda _: False,
) -> Proof:  # fmt: skip
    """Run everything, at most ``most`` runs, or until ``enough`` of a run; ``keep`` failures at the most are kept."""
    proof = Proof()
    policy = DepthFirst(reduction)
    for _ in range(most):
        policy.begin()
        result = run(policy)
        policy.ended(complete=not isinstance(result.error, Blocked))
        proof.saw(result, keep)
        if enough(result) or isinstance(result.error, LivelockError):  # there is no end of endless schedules
            return proof
        if not policy.advance():
            proof.complete = not proof.met
            return proof
    return proof


def prove_program(
    program: Program, *, seed: int, reduction: str, most: int, keep: int, told: Callable[[Run], None] = lambda _: None,
    patience: Patience | None = None,
) -> Proof:  # fmt: skip
    """Run everything that ``program`` can do; from the beginning if a run says that more must be held back.

    ``told`` is told of each run. The first one, which is dull, is made twice: what notes all that runs touch takes ages
    for one that goes on for ever, so whether that is so is seen without it.
    """
    patience = patience or Patience(program.max_events)
    program = patience.given(program)
    first = patience.judged(program, program.run(Dull(), seed))[1]
    if isinstance(first.error, LivelockError):
        told(first)
        proof = Proof()
        proof.saw(first, keep)
        return proof
    patience.saw(first)
    wider: list[Program] = []

    def one(policy: DepthFirst) -> Run:
        run = _judged(policy, program, seed, patience)
        patience.saw(run)
        told(run)
        return run

    def misses_something(run: Run) -> bool:
        more = program.holding(run)
        if more is not None:
            wider.append(more)
        return more is not None

    while misses_something(first):
        program = wider.pop()
    proof = explore_all(one, reduction=reduction, most=most, keep=keep, enough=misses_something)
    if wider:
        proof = prove_program(
            wider[0], seed=seed, reduction=reduction, most=most, keep=keep, told=told, patience=patience
        )
    proof.first = first
    return proof


def _judged(policy: DepthFirst, program: Program, seed: int, patience: Patience) -> Run:
    """Make a run. One that takes much longer than those that have ended goes on dully; if it ends, it is made again."""
    program = patience.given(program)
    run = program.run(policy, seed)
    patient, judged = patience.judged(program, run)
    if not isinstance(run.error, LivelockError) or isinstance(judged.error, LivelockError):
        return judged
    policy.begin()
    return patient.run(policy, seed)
