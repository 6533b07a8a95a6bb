"""What came of each call of a random program: who made it, how often its body began, where, and how it ended.

In the simulator one ledger serves all processes: it is outside of what they know of each other, like whoever watches
the run. On real processes each has its own, and the driver's knows what the driver did and saw.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from actorgrid.exceptions import ActorUnavailableError, DeadlockError, TaskError, WorkerCrashedError

#: Who calls when no call runs: the program itself.
MAIN = 0


@dataclass
class Entry:
    """One call. ``caller`` is the run of a body (``Begun.run``) that made it."""

    number: int
    caller: int
    #: How often its body may begin, None: as often as need be.
    most: int | None
    #: The actor, "" for a task; whether that runs its calls one by one, and whether others may run beside them.
    actor: str = ""
    in_turn: bool = False
    beside: bool = False
    #: What it takes, by reference: an error of that is its own, too.
    argument: str = ""
    #: The latest run of its body, 0: none; and whether that came to its end.
    run: int = 0
    over: bool = False
    #: What ``get`` made of it: "value", or the error.
    end: str = ""
    error: BaseException | None = None
    #: Whether that says of calls that they wait for each other, and they do not.
    unfounded: bool = False


@dataclass(frozen=True)
class Begun:
    """A body began: ``run`` numbers all of them in the order in which they did."""

    run: int
    call: int
    pid: int


@dataclass
class Ledger:
    """Every call of a program."""

    calls: dict[int, Entry] = field(default_factory=dict)
    begun: list[Begun] = field(default_factory=list)
    #: What each call's reference is called.
    of_reference: dict[str, int] = field(default_factory=dict)
    #: Actors that run their calls one by one.
    in_turn: set[str] = field(default_factory=set)
    #: Actors with a concurrency group.
    grouped: set[str] = field(default_factory=set)
    #: Actors that save their state.
    saving: set[str] = field(default_factory=set)
    #: Actor and place in its life -> the call there, as somebody was told.
    lives: dict[tuple[str, int], int] = field(default_factory=dict)
    #: Items of streams that were not those of their place: (read, is).
    misplaced: list[tuple[int, int]] = field(default_factory=list)
    #: What each run waits for, now: calls.
    waiting: dict[int, list[int]] = field(default_factory=dict)
    #: The calls that a body made whose runs are repeated, and those of its latest run.
    _repeated: dict[int, list[int]] = field(default_factory=dict)
    _run: dict[int, tuple[int, int]] = field(default_factory=dict)

    def made(self, caller: int, retries: int, argument: str, actor: str = "", again: int = 0) -> int:
        """A call is being made; return its number.

        ``again``: made by that call, whose runs all make the same calls: the n-th of each run is one call.
        """
        if again:
            run, nth = self._run.get(again, (caller, 0))
            nth = nth if run == caller else 0
            self._run[again] = caller, nth + 1
            known = self._repeated.setdefault(again, [])
            if nth < len(known):
                return known[nth]
        number = self._add(caller, retries, argument, actor)
        if again:
            self._repeated[again].append(number)
        return number

    def _add(self, caller: int, retries: int, argument: str, actor: str) -> int:
        number = len(self.calls) + 1
        most = retries + 1 if retries >= 0 else None
        beside = actor.partition(":")[0] in self.grouped
        self.calls[number] = Entry(number, caller, most, actor, actor in self.in_turn, beside, argument)
        return number

    def told(self, actor: str, place: int, number: int) -> None:
        """Somebody was told that this call is the ``place``-th of its actor's life."""
        if self.lives.setdefault((actor, place), number) != number:
            self.lives[actor, place] = -1

    def read(self, place: int, item: int) -> None:
        """Somebody has read the ``place``-th item of a stream, and that is the ``item``-th."""
        if place != item:
            self.misplaced.append((place, item))

    def begins(self, number: int) -> int:
        """The body of a call begins; return the number of this run of it."""
        run = len(self.begun) + 1
        self.begun.append(Begun(run, number, os.getpid()))
        self.calls[number].run, self.calls[number].over = run, False
        return run

    def over(self, run: int) -> None:
        """A body came to its end; one whose process died never does: that can excuse a circle, not make one up."""
        call = self.calls[self.begun[run - 1].call]
        call.over = call.over or call.run == run

    @contextlib.contextmanager
    def waits(self, run: int, references: Iterable[str]) -> Iterator[None]:
        """While this is open, ``run`` waits for what these stand for."""
        self.waiting[run] = [self.of_reference[name] for name in references if name in self.of_reference]
        try:
            yield
        finally:
            self.waiting.pop(run, None)

    def circle(self, run: int) -> bool:
        """Whether calls wait for each other, among them that this run waits for, and those that these wait for."""
        done: set[int] = set()

        def closes(number: int, chain: tuple[int, ...]) -> bool:
            if number in chain:
                return True
            if number in done:
                return False
            done.add(number)
            return any(closes(other, (*chain, number)) for other in self._ahead(self.calls[number]))

        return any(closes(number, ()) for number in self.waiting.get(run, ()))

    def stuck(self) -> bool:
        """Whether some calls wait for each other: what they hold is never let go."""
        return any(self.circle(run) for run in self.waiting)

    def _ahead(self, call: Entry) -> list[int]:
        """What has to end before a call goes on: what it waits for, or what it takes and what its actor runs now."""
        if call.run and not call.over:
            return self.waiting.get(call.run, [])
        taken = [self.of_reference[call.argument]] if call.argument in self.of_reference else []
        actor = call.actor.partition(":")[0]
        busy = [
            other.number
            for other in self.calls.values()
            if actor and other.actor.partition(":")[0] == actor and other.run and not other.over
        ]
        return taken + busy

    def ended(self, run: int, reference: str, error: BaseException | None) -> None:
        """A run asked for what a reference stands for, and got it or an error."""
        call = self.calls.get(self.of_reference.get(reference, 0))
        if call is not None:
            call.unfounded = isinstance(error, DeadlockError) and not self.circle(run)
            call.end = type(error).__name__ if error is not None else "value"
            # Without its traceback, which would hold the references of whoever got it.
            call.error = error.with_traceback(None) if error is not None else None

    def wrong(self, starved: int = 0) -> list[str]:
        """Return every promise that was not kept, in words. ``starved``: how often memory may have run short.

        A task that was killed for memory, and may be tried again at all, is tried again without a charge.
        """
        runs: dict[int, list[Begun]] = {number: [] for number in self.calls}
        for begun in self.begun:
            runs[begun.call].append(begun)
        found = [words for call in self.calls.values() for words in _wrong_with(call, runs[call.number], starved)]
        return found + self._out_of_turn() + self._contradicted()

    def _contradicted(self) -> list[str]:
        """What an actor with a saved state has told stays so; and items are read in the order of the generator."""
        twice = [
            f"two calls are number {place} of actor {actor}" for (actor, place), who in self.lives.items() if who < 0
        ]
        return twice + [f"item {item} of a stream was read as number {place}" for place, item in self.misplaced]

    def _out_of_turn(self) -> list[str]:
        """Calls of one caller begin in the order in which it made them, in an actor that runs them one by one."""
        latest: dict[tuple[str, int], int] = {}
        seen: set[int] = set()
        found = []
        for begun in self.begun:
            call = self.calls[begun.call]
            if not call.in_turn or call.number in seen:
                continue
            seen.add(call.number)
            before = latest.get((call.actor, call.caller), 0)
            if call.number < before:
                found.append(f"call {call.number} of actor {call.actor} began after {before}, which was made later")
            latest[call.actor, call.caller] = call.number
        return found


def _wrong_with(call: Entry, runs: list[Begun], starved: int) -> list[str]:
    what, count, error = f"call {call.number} ({call.end or 'not asked for'})", len(runs), call.error
    found = []
    free = 0 if call.actor or call.most in {None, 1} else starved
    if call.most is not None and count > call.most + free:
        found.append(f"{what} began {count} times, and may {call.most} times")
    if not runs and call.argument:
        return found
    # Retries are spent on nothing but deaths under its own body; the death that ended it was such a one, too.
    if type(error) is WorkerCrashedError:
        if call.most is None or not call.most <= count <= call.most + free:
            found.append(f"{what} began {count} times and is blamed for {call.most} deaths")
        elif runs[-1].pid != error.pid:
            found.append(f"{what} ran last in process {runs[-1].pid}, and the error names {error.pid}")
    if isinstance(error, ActorUnavailableError) and call.in_turn:
        # Where calls run side by side the head knows which were sent, and not which of them have begun.
        warned = "may have" in str(error)
        if count > warned or (count < warned and not call.beside):
            found.append(f"{what} began {count} times, and the error says: {error}")
    if call.unfounded:
        found.append(f"{what} is said to wait for itself: {error}")
    if not runs and (call.end == "value" or isinstance(error, TaskError)):
        found.append(f"{what} has a result and never ran")
    return found
