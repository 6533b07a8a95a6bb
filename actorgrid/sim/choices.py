"""Choices: everything that a run leaves open, asked one at a time, and how a run is written down.

A run is a sequence of decisions, each among ``n`` possibilities of which number 0 is the dull one: go on with the chain
of calls that ran last, let time rest, let nothing break. So a whole run is written as its few deviations from the dull
one: ``{index of the decision: value}``. Policies, shrinking, replay and Hypothesis all read and write that form.

This file may not know what an event does.
"""

from __future__ import annotations

import base64
import hashlib
import html
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from actorgrid.sim.footprint import StepDone

PREFIX: Final = "ag1:"
_LINE: Final = re.compile(re.escape(PREFIX) + r"[0-9A-Za-z!#$%&()*+;<=>?@^_`{|}~-]+")
#: So many decisions a program goes on for that catches what ends it.
PATIENCE: Final = 1000
#: The kinds of events that happen in every run that comes to rest: most of them somebody has submitted.
CALLS: Final = frozenset({"call", "start", "turn"})


class Chain:
    """A chain of calls: a task or the main program, and every method call made on its behalf."""

    __slots__ = ("label", "number")

    def __init__(self, number: int, label: str) -> None:
        self.number = number
        self.label = label


class Event:
    """Something that may happen next.

    ``kind``: "call" (an actor starts a call), "start" (a task or constructor starts, see ``onlookers``), "turn" (an
    event loop goes on, see ``turns``), "poll" (somebody who looked and saw nothing goes on), "time" (the next timer
    fires although others could go on), "kill".
    ``where`` and ``what`` name it the same way in every run: the actor or process, and the call's path.
    """

    __slots__ = ("again", "age", "chain", "happen", "kind", "label", "readonly", "what", "where")

    def __init__(
        self, kind: str, where: Any, what: Any, label: str, happen: Callable[[], None], chain: Chain | None = None,
        age: int = 0, *, readonly: bool = False, again: int = 0,
    ) -> None:  # fmt: skip
        self.kind = kind
        self.where = where
        self.what = what
        self.label = label
        self.happen = happen
        self.chain = chain
        self.age = age
        self.readonly = readonly
        #: How many others there were before that are named so: the same task may submit the same call twice.
        self.again = again

    @property
    def key(self) -> tuple[Any, ...]:
        """What it is called in every run of the same program."""
        return self.kind, self.where, (self.what, self.again)

    @property
    def is_call(self) -> bool:
        """Whether it happens in every run that comes to rest: somebody has submitted it, or it is a turn."""
        return self.kind in CALLS

    def plain(self) -> Event:
        """Return it without what it would do: it outlives its world."""
        return Event(self.kind, self.where, self.what, self.label, _nothing, readonly=self.readonly, again=self.again)

    def depends(self, other: Event) -> bool:
        """Return whether the order of the two matters."""
        if self.is_call and other.is_call and "turn" not in {self.kind, other.kind}:
            return bool(self.where == other.where and not (self.readonly and other.readonly))
        return True

    def __repr__(self) -> str:
        return f"<{self.kind} {self.label}>"


def _nothing() -> None: ...


class Choice(NamedTuple):
    """Decision number ``at`` of a run: number ``value`` of ``bound`` possibilities.

    ``kind``: that of the event, or of the draw; ``over``: the kind of the dull event that did not happen.
    """

    at: int
    value: int
    bound: int
    kind: str
    label: str
    over: str = ""


class Schedule(msgspec.Struct, frozen=True, array_like=True):
    """A run in short: the seed of its random numbers and its deviations from the dull choice.

    ``settings`` is what else the run depends on (faults allowed, number of CPUs), as plain data.
    """

    seed: int = 0
    deviations: tuple[tuple[int, int], ...] = ()
    settings: dict[str, Any] = msgspec.field(default_factory=dict)

    def dumps(self) -> str:
        """Return it as one line of text."""
        return PREFIX + base64.b85encode(msgspec.msgpack.encode(self)).decode("ascii")

    @classmethod
    def loads(cls, source: str | os.PathLike[str]) -> Schedule:
        """Return what ``dumps`` wrote: from text, or from a file that has it, a saved report, say.

        Raises ValueError, and OSError for a file that cannot be read.
        """
        text = source if isinstance(source, str) else _line_in(Path(source))
        if not text.startswith(PREFIX):
            if not _is_file(text):
                raise ValueError(f"a schedule starts with {PREFIX!r}, and there is no such file: {text[:40]!r}")
            text = _line_in(Path(text))
        try:
            return msgspec.msgpack.decode(base64.b85decode(text[len(PREFIX) :].strip()), type=cls)
        except (ValueError, msgspec.MsgspecError) as error:
            raise ValueError(f"this schedule cannot be read, part of it is missing: {text[:60]!r}") from error

    def misfit(self, record: Sequence[Choice]) -> str:
        """Return what of it a run could not follow, which made the decisions ``record``; "" if it followed it all."""
        for at, value in self.deviations:
            if at >= len(record):
                return f"it deviates at decision {at}, and there were only {len(record)}"
            if record[at].value != value:
                return f"at decision {at} it takes possibility {value}, and there were only {record[at].bound}"
        return ""

    @property
    def weight(self) -> int:
        """How far it is from dull: what shrinking makes small."""
        return len(self.deviations)


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except OSError:  # it is too long to be one
        return False


def _line_in(path: Path) -> str:
    """Return the first schedule in a file: a text, or a page with lanes."""
    text = path.read_text(encoding="utf-8")
    found = _LINE.search(html.unescape(text) if "<html" in text else text)
    if found is None:
        raise ValueError(f"there is no schedule ({PREFIX}...) in {str(path)!r}")
    return found[0]


class Policy(ABC):
    """What decides. One policy object serves one run, unless it says otherwise."""

    #: It wants to be asked even if there is only one possibility, and to be told what each step touched.
    sees_all = False

    @abstractmethod
    def choose(self, events: Sequence[Event]) -> int:
        """Return which of at least two events happens next; they stand in the dull order."""

    @abstractmethod
    def draw(self, kind: str, bound: int) -> int:
        """Return a number below ``bound``, for everything that is not an event; 0 is dull."""

    def born(self, key: tuple[Any, ...], *, readonly: bool) -> None:  # noqa: B027  # most policies need not know
        """A call was submitted: an event of this key can happen from now on."""

    def fed(self, key: tuple[Any, ...], objects: Sequence[Any]) -> None:  # noqa: B027  # see above
        """The event of this key could not happen before these objects were made."""

    def stepped(self, done: StepDone) -> None:  # noqa: B027  # see above
        """The step that was chosen last is over."""


class Dull(Policy):
    """The policy that never deviates."""

    def choose(self, events: Sequence[Event]) -> int:
        """See ``Policy``."""
        del events
        return 0

    def draw(self, kind: str, bound: int) -> int:
        """See ``Policy``."""
        del kind, bound
        return 0


#: A schedule, its line of text, or a file with that line in it.
Source = Schedule | str | os.PathLike[str]


class Forced(Policy):
    """Replays deviations; what they do not mention is dull. Values that are out of range mean the last possibility."""

    def __init__(self, deviations: Mapping[int, int]) -> None:
        self._deviations = deviations
        self._index = -1

    def choose(self, events: Sequence[Event]) -> int:
        """See ``Policy``."""
        return self.draw("event", len(events))

    def draw(self, kind: str, bound: int) -> int:
        """See ``Policy``."""
        del kind
        self._index += 1
        return min(self._deviations.get(self._index, 0), bound - 1)


@dataclass
class Choices:
    """The decisions of one run."""

    policy: Policy
    #: Deviations made so far.
    deviations: dict[int, int] = field(default_factory=dict)
    #: Every decision, if asked for.
    record: list[Choice] | None = None
    count: int = 0
    #: Nothing breaks any more. (Which of several results somebody sees first is no fault, and left open.)
    calm: bool = False
    #: Why the policy decides no more: what happens from then on counts for nothing.
    given_up: BaseException | None = None
    _ignored: int = 0

    def __post_init__(self) -> None:
        self._hash = hashlib.blake2b(digest_size=8)

    def pick(self, events: list[Event]) -> Event:
        """Return the event that happens next."""
        bound = len(events)
        if bound == 1 and not self.policy.sees_all:
            return events[0]
        if self.given_up is not None:
            return events[self._dull()]
        try:
            value = self.policy.choose(events)
        except BaseException as error:
            self._gives_up(error)
            raise
        event = events[value]
        if bound > 1:
            self._note(value, bound, event.kind, event.label, events[0].kind if value else "")
        return event

    def draw(self, kind: str, bound: int, label: str = "") -> int:
        """Return a number below ``bound``."""
        if bound < 2 or (self.calm and kind != "ready"):
            return 0
        if self.given_up is not None:
            return self._dull()
        try:
            value = self.policy.draw(kind, bound)
        except BaseException as error:
            self._gives_up(error)
            raise
        self._note(value, bound, kind, label)
        return value

    def _gives_up(self, error: BaseException) -> None:
        """The policy has raised this, which ends the program; what that does until then is nobody's decision."""
        if not isinstance(error, KeyboardInterrupt):
            self.given_up = error

    def _dull(self) -> int:
        """Return what is decided after the policy has given up. A program that has survived that hears it again."""
        assert self.given_up is not None
        self._ignored += 1
        if self._ignored % PATIENCE == 0:
            raise self.given_up
        return 0

    def _note(self, value: int, bound: int, kind: str, label: str, over: str = "") -> None:
        if value:
            self.deviations[self.count] = value
        if self.record is not None:
            self.record.append(Choice(self.count, value, bound, kind, label, over))
        self.count += 1

    def observe(self, what: str) -> None:
        """Add something that happened to the digest of the run."""
        self._hash.update(what.encode())

    def digest(self) -> str:
        """Return the digest of everything that happened: equal for equal runs."""
        return self._hash.hexdigest()
