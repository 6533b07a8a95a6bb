"""Programs as data: what a random program does, step by step, on whatever engine runs.

A program is a tuple of acts. Acts that refer to something (``which``) mean one of the references or handles that the
running code holds, counted modulo their number, and do nothing if it holds none: so every tuple of acts is a
program, and shrinking it leaves one. No program waits for itself: methods of actors call tasks, and no actors.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import actorgrid as ag

#: What a random program may meet without being wrong: processes die, tasks are cancelled, the store is full.
EXPECTED: Final = (ag.exceptions.ActorGridError, ValueError)


@dataclass(frozen=True)
class Act:
    """One step of a program.

    ``what``: "task" (run ``body`` with ``number`` retries; it gets a reference that the caller holds, inside a list if
    ``flag``), "put" (``flag``: something that holds a reference), "large" (put 200 kB), "get", "wait", "drop", "cancel"
    (``flag``: by force), "actor" (``number`` restarts, concurrent if ``flag``), "call" (run ``body`` in an actor, with
    ``number`` retries), "kill" (``flag``: it may restart), "lose" (a handle), "raise".
    """

    what: str
    which: int = 0
    number: int = 0
    flag: bool = False
    body: tuple[Act, ...] = ()


@dataclass
class Outcome:
    """What came of a program: the errors that its own gets raised, by type, in order."""

    errors: list[str] = field(default_factory=list)
    values: int = 0


class Player:
    """Plays acts with the references and handles that it holds."""

    def __init__(self, refs: list[Any], *, may_call: bool) -> None:
        self.refs = refs
        self.actors: list[Any] = []
        self.may_call = may_call
        self.outcome = Outcome()

    def play(self, acts: tuple[Act, ...]) -> None:
        """Play every act. Raises ValueError where an act says so."""
        for act in acts:
            if act.what == "raise":
                raise ValueError("as the program says")
            getattr(self, f"_{act.what}")(act)

    def _one(self, among: list[Any], which: int) -> Any:
        return among[which % len(among)] if among else None

    def _task(self, act: Act) -> None:
        ref = self._one(self.refs, act.which)
        argument = [ref] if act.flag and ref is not None else ref
        self.refs.append(task.options(max_retries=act.number).remote(act.body, argument))

    def _put(self, act: Act) -> None:
        inside = self._one(self.refs, act.which)
        self.refs.append(ag.put([inside] if act.flag else act.number))

    def _large(self, act: Act) -> None:
        self.refs.append(ag.put(bytes([act.number % 256]) * 200_000))

    def _get(self, act: Act) -> None:
        ref = self._one(self.refs, act.which)
        if ref is None:
            return
        try:
            ag.get(ref)
            self.outcome.values += 1
        except EXPECTED as error:
            self.outcome.errors.append(type(error).__name__)

    def _wait(self, act: Act) -> None:
        some = list(dict.fromkeys(self.refs))[-3:]
        if some:
            ag.wait(some, num_returns=1 + act.number % len(some), timeout=0 if act.flag else None)

    def _drop(self, act: Act) -> None:
        if self.refs:
            self.refs.pop(act.which % len(self.refs))

    def _cancel(self, act: Act) -> None:
        ref = self._one(self.refs, act.which)
        if ref is not None:
            try:
                ag.cancel(ref, force=act.flag)
            except ValueError:  # actors' tasks cannot be forced
                ag.cancel(ref)

    def _actor(self, act: Act) -> None:
        self.actors.append(Actor.options(max_restarts=act.number, max_concurrency=3 if act.flag else 1).remote())

    def _call(self, act: Act) -> None:
        actor = self._one(self.actors, act.which)
        if actor is not None and self.may_call:
            method = actor.do.options(max_task_retries=act.number)
            self.refs.append(method.remote(act.body, [self._one(self.refs, act.which)] if act.flag else None))

    def _kill(self, act: Act) -> None:
        actor = self._one(self.actors, act.which)
        if actor is not None:
            ag.kill(actor, no_restart=not act.flag)

    def _lose(self, act: Act) -> None:
        if self.actors:
            self.actors.pop(act.which % len(self.actors))


def _inside(argument: Any) -> list[Any]:
    found = argument if isinstance(argument, list) else [argument]
    return [thing for thing in found if isinstance(thing, ag.ObjectRef)]


@ag.remote
def task(acts: tuple[Act, ...], argument: Any = None) -> Any:
    """Play ``acts``; return what is held in the end."""
    player = Player(_inside(argument), may_call=True)
    player.play(acts)
    return player.refs[-2:]


class _Actor:
    """Plays acts, call after call, and keeps nothing."""

    def do(self, acts: tuple[Act, ...], argument: Any = None) -> Any:
        """Play ``acts``; return what is held in the end."""
        player = Player(_inside(argument), may_call=False)
        player.play(acts)
        return player.refs[-2:]


Actor: Final = ag.remote(_Actor)


def play(acts: tuple[Act, ...]) -> Outcome:
    """Play a program as the driver does; everything it held is dropped when this returns."""
    player = Player([], may_call=True)
    try:
        player.play(acts)
    except EXPECTED as error:
        player.outcome.errors.append(type(error).__name__)
    return player.outcome
