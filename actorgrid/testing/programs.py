"""Programs as data: what a random program does, step by step, on whatever engine runs.

A program is a tuple of acts. Acts that refer to something (``which``) mean one of the references or handles that the
running code holds, counted modulo their number, and do nothing if it holds none: so every tuple of acts is a
program, and shrinking it leaves one. Programs seldom wait for themselves: methods of actors call tasks, and neither
they nor these call actors; coroutines do not block their loop. (A method may wait for what it was given: a call of the
same actor, or a task that calls it.)

What came of each call is in the ledger (``Outcome.ledger``), which also says what promise was not kept, and whether
calls that are said to wait for each other do.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import actorgrid as ag
from actorgrid.testing.ledger import MAIN, Ledger

#: What a random program may meet without being wrong: processes die, tasks are cancelled, the store is full.
EXPECTED: Final = (ag.exceptions.ActorGridError, ValueError)
#: How many bytes are large: too many for a message.
LARGE: Final = 200_000


@dataclass(frozen=True)
class Act:
    """One step of a program.

    ``what``: "task" (run ``body`` with ``number`` retries; it gets a reference that the caller holds, inside a list if
    ``flag``), "many" (five such tasks at once, without a reference), "limited" (one that may take a second; ``flag``:
    once it runs), "put" (``flag``: something that holds one), "large" (put 200 kB; ``flag``: return them), "get"
    (``flag``: and keep the references that came), "gather" (get ``number`` + 2 at once; ``flag``: if they are there),
    "wait", "drop", "cancel" (``flag``: by force), "actor" (``number`` restarts, concurrent if ``flag``), "coroutines"
    (such an actor, asynchronous), "saving" (one with a checkpoint every ``number`` + 1 calls, which restarts as often
    as need be), "grouped" (one with a concurrency group), "named" (an actor of one of two names, or the one that has
    it), "find" (get it by its name), "call" (run ``body`` in an actor, with ``number`` retries, and with two it
    gets a reference as its argument; in a list, or in its group, if ``flag``), "kill" (``flag``: it may restart),
    "lose" (a handle), "stream" (run ``body`` as a generator that yields after each act, with ``number`` retries; at
    most one item ahead if ``flag``), "next" (read a stream; to its end if ``flag``), "close" (one), "raise".
    """

    what: str
    which: int = 0
    number: int = 0
    flag: bool = False
    body: tuple[Act, ...] = ()


_OFTEN: Final = ("task", "call", "get")
#: What acts of random programs do, each as often as it stands here.
KINDS: Final = (
    *_OFTEN, *_OFTEN, *_OFTEN, "put", "gather", "wait", "actor", "drop", "cancel", "kill", "lose", "large", "raise",
    "coroutines", "named", "find", "many", "limited", "saving", "grouped", "stream", "next", "next", "close",
)  # fmt: skip
#: What random programs begin with: actors, or nothing.
STARTS: Final = (
    (),
    (Act("actor"),),
    (Act("actor", number=1), Act("actor", flag=True)),
    (Act("named", number=1), Act("coroutines", number=1)),
    (Act("saving", number=1), Act("grouped", number=1)),
)


@dataclass
class Outcome:
    """What came of a program: the errors that its own gets raised, by type, in order."""

    errors: list[str] = field(default_factory=list)
    values: int = 0
    ledger: Ledger = field(default_factory=Ledger)


#: The program that is being played. (A list: what its functions refer to is this one, in every simulated process.)
_playing: Final = [Outcome()]


def _ledger() -> Ledger:
    return _playing[-1].ledger


class Player:
    """Plays acts with the references and handles that it holds."""

    def __init__(self, refs: list[Any], run: int, *, may_call: bool, again: int = 0) -> None:
        """``run``: which run of which body this is, by the ledger.

        ``again``: the call whose body this is, if every run of it does the same, and what it calls is called once.
        """
        self.refs = refs
        self.run = run
        self.again = again
        self.actors: list[Any] = []
        #: Streams, and how many items of each were read.
        self.streams: list[tuple[Any, list[Any]]] = []
        self.may_call = may_call
        self.outcome = Outcome()
        #: What it returns beside references.
        self.result: Any = None

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
        passed = argument.hex() if isinstance(argument, ag.ObjectRef) else ""
        number = self._made(act.number, passed)
        self._hold(
            number, task.options(max_retries=act.number).remote(number, act.body, argument, may_call=self.may_call)
        )

    def _many(self, act: Act) -> None:
        for _ in range(5):
            number = self._made(act.number)
            ref = task.options(max_retries=act.number).remote(number, act.body, may_call=self.may_call)
            self._hold(number, ref)

    def _limited(self, act: Act) -> None:
        number = self._made(act.number)
        limit = {"run_timeout" if act.flag else "timeout": 1.0}
        ref = task.options(max_retries=act.number, **limit).remote(number, act.body, may_call=self.may_call)
        self._hold(number, ref)

    def _made(self, retries: int, passed: str = "") -> int:
        return _ledger().made(self.run, retries, passed, again=self.again)

    def _hold(self, number: int, ref: Any) -> None:
        _ledger().of_reference[ref.hex()] = number
        self.refs.append(ref)

    def _put(self, act: Act) -> None:
        inside = self._one(self.refs, act.which)
        self.refs.append(ag.put([inside] if act.flag else act.number))

    def _large(self, act: Act) -> None:
        large = bytes([act.number % 256]) * LARGE
        if act.flag:
            self.result = large
        else:
            self.refs.append(ag.put(large))

    def _get(self, act: Act) -> None:
        ref = self._one(self.refs, act.which)
        if ref is None:
            return
        with self._waits(ref):
            try:
                self._got(act, ref, ag.get(ref))
            except EXPECTED as error:
                self._failed(ref, error)

    def _waits(self, *refs: Any) -> contextlib.AbstractContextManager[None]:
        return _ledger().waits(self.run, [ref.hex() for ref in refs])

    def _got(self, act: Act, ref: Any, value: Any) -> None:
        self.outcome.values += 1
        _ledger().ended(self.run, ref.hex(), None)
        if isinstance(value, Told):
            _ledger().told(*value.told)
        if act.flag:
            self.refs += _inside(value)

    def _failed(self, ref: Any, error: BaseException) -> None:
        self.outcome.errors.append(type(error).__name__)
        _ledger().ended(self.run, ref.hex(), error)

    async def get_async(self, act: Act) -> None:
        """Get something as a coroutine does."""
        ref = self._one(self.refs, act.which)
        if ref is None:
            return
        with self._waits(ref):
            try:
                self._got(act, ref, await ref)
            except EXPECTED as error:
                self._failed(ref, error)

    def _gather(self, act: Act) -> None:
        start = act.which % max(len(self.refs), 1)
        some = self.refs[start : start + act.number + 2]
        with self._waits(*some):
            try:
                self.outcome.values += len(ag.get(some, timeout=0 if act.flag else None))
            except EXPECTED as error:
                self.outcome.errors.append(type(error).__name__)

    def _wait(self, act: Act) -> None:
        some = list(dict.fromkeys(self.refs))[-3:]
        if some:
            with self._waits(*some):
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
        options = Actor.options(max_restarts=act.number, max_concurrency=3 if act.flag else 1)
        self._keep(options, in_turn=not act.flag)

    def _coroutines(self, act: Act) -> None:
        self._keep(AsyncActor.options(max_restarts=act.number), in_turn=False)

    def _saving(self, act: Act) -> None:
        actor = self._keep(SavingActor.options(checkpoint=act.number + 1), in_turn=True)
        _ledger().saving.add(_name_of(actor))

    def _grouped(self, act: Act) -> None:
        actor = self._keep(GroupedActor.options(max_restarts=act.number), in_turn=False)
        _ledger().in_turn |= {_name_of(actor), f"{_name_of(actor)}: other"}
        _ledger().grouped.add(_name_of(actor))

    def _keep(self, options: Any, *, in_turn: bool) -> Any:
        actor = options.remote()
        self.actors.append(actor)
        if in_turn:
            _ledger().in_turn.add(_name_of(actor))
        return actor

    def _named(self, act: Act) -> None:
        options = Actor.options(name=f"actor {act.which % 2}", get_if_exists=True, max_restarts=act.number)
        self._keep(options, in_turn=True)

    def _find(self, act: Act) -> None:
        with contextlib.suppress(ValueError):  # there is none
            self.actors.append(ag.get_actor(f"actor {act.which % 2}"))

    def _call(self, act: Act) -> None:
        actor = self._one(self.actors, act.which)
        if actor is not None and self.may_call:
            name = _name_of(actor)
            ref = self._one(self.refs, act.which)
            direct = act.number == 2 and name not in _ledger().grouped  # these do not wait for each other's arguments
            argument = [ref] if act.flag else ref if direct else None
            passed = argument.hex() if isinstance(argument, ag.ObjectRef) else ""
            if name in _ledger().grouped and act.flag:
                method, name = actor.other, f"{name}: other"
            else:
                method = actor.do
            retries = -1 if name in _ledger().saving else act.number
            number = _ledger().made(self.run, retries, passed, name)
            self._hold(number, method.options(max_task_retries=retries).remote(number, act.body, argument))

    def _stream(self, act: Act) -> None:
        number = _ledger().made(self.run, act.number, "")  # anew in each run: what an earlier one has read is gone
        options: dict[str, Any] = {"_generator_backpressure_num_objects": 1} if act.flag else {}
        items = stream.options(max_retries=act.number, **options).remote(number, act.body, may_call=self.may_call)
        self.streams.append((items, []))

    def _next(self, act: Act) -> None:
        found = self._one(self.streams, act.which)
        if found is None:
            return
        items, read = found
        for ref in items if act.flag else itertools.islice(items, 1):
            try:
                read.append(ag.get(ref))
            except EXPECTED as error:
                self.outcome.errors.append(type(error).__name__)
                read.append(None)
            else:
                _ledger().read(len(read), read[-1][0])
                self.refs += _inside(read[-1])

    def _close(self, act: Act) -> None:
        found = self._one(self.streams, act.which)
        if found is not None:
            found[0].close()
            self.streams.remove(found)

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


def _name_of(actor: Any) -> str:
    return str(actor._actor_id.hex())  # noqa: SLF001  # a name for the ledger


@contextlib.contextmanager
def _body(number: int, argument: Any, *, may_call: bool, again: int = 0) -> Iterator[Player]:
    run = _ledger().begins(number)
    try:
        yield Player(_inside(argument), run, may_call=may_call, again=again)
    finally:
        _ledger().over(run)


def _result_of(player: Player) -> Any:
    held = player.refs[-2:]
    return held if player.result is None else [*held, player.result]


class Told(list[Any]):
    """The result of a call of an actor that saves its state, and which call of its life that was."""

    told: tuple[str, int, int]

    def __reduce__(self) -> Any:
        """Like a list's, with what it was told."""
        return Told, (), self.__dict__, iter(self)


@ag.remote
def task(number: int, acts: tuple[Act, ...], argument: Any = None, *, may_call: bool = True) -> Any:
    """Play ``acts``; return what is held in the end. ``number``: what the ledger calls this call."""
    with _body(number, argument, may_call=may_call) as player:
        player.play(acts)
        return _result_of(player)


@ag.remote
def stream(number: int, acts: tuple[Act, ...], *, may_call: bool = True) -> Iterator[list[Any]]:
    """Play ``acts`` and yield after each of them its place, and the reference that was held last."""
    with _body(number, None, may_call=may_call) as player:
        for place, act in enumerate(acts, 1):
            player.play((act,))
            yield [place, *player.refs[-1:]]


class _Actor:
    """Plays acts, call after call, and keeps nothing."""

    def do(self, number: int, acts: tuple[Act, ...], argument: Any = None) -> Any:
        """Play ``acts``; return what is held in the end. ``number``: what the ledger calls this call."""
        with _body(number, argument, may_call=False) as player:
            player.play(acts)
            return _result_of(player)


class _AsyncActor:
    """The same as coroutines: other calls go on where one gets something."""

    async def do(self, number: int, acts: tuple[Act, ...], argument: Any = None) -> Any:
        """Play ``acts``; return what is held in the end. ``number``: what the ledger calls this call."""
        with _body(number, argument, may_call=False) as player:
            for act in acts:
                if act.what in {"get", "gather", "wait"}:
                    await player.get_async(act)
                else:
                    player.play((act,))
            return _result_of(player)


class _GroupedActor(_Actor):
    """The same with a group of its own for some calls."""

    @ag.method(concurrency_group="other")
    def other(self, number: int, acts: tuple[Act, ...], argument: Any = None) -> Any:
        """Play ``acts`` beside what else goes on."""
        return self.do(number, acts, argument)


class _SavingActor:
    """Keeps the calls of its life, over deaths, and returns the place of each."""

    def __init__(self) -> None:
        self.life: list[int] = []

    def __actorgrid_save__(self) -> list[int]:
        return self.life

    def __actorgrid_restore__(self, state: list[int]) -> None:
        self.life = state

    def do(self, number: int, acts: tuple[Act, ...], argument: Any = None) -> Told:
        """Play ``acts``; return what is held in the end."""
        self.life.append(number)
        with _body(number, argument, may_call=False, again=number) as player:
            player.play(acts)
        result = Told(_result_of(player))
        result.told = ag.get_runtime_context().get_actor_id() or "", len(self.life), number
        return result


Actor: Final = ag.remote(_Actor)
GroupedActor: Final = ag.remote(concurrency_groups={"other": 1})(_GroupedActor)
SavingActor: Final = ag.remote(max_restarts=-1, max_task_retries=-1)(_SavingActor)
AsyncActor: Final = ag.remote(_AsyncActor)


def play(acts: tuple[Act, ...], *, ask: bool = False) -> Outcome:
    """Play a program as the driver does; everything it held is dropped when this returns.

    ``ask``: in the end it gets everything that it holds, so that the ledger knows how it ended.
    """
    _playing[-1] = Outcome()
    player = Player([], MAIN, may_call=True)
    player.outcome = _playing[-1]
    try:
        player.play(acts)
        if ask:
            player.play(tuple(Act("get", which) for which in range(len(player.refs))))
    except EXPECTED as error:
        player.outcome.errors.append(type(error).__name__)
    return player.outcome
