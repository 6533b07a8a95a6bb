"""What processes wait for together, by name: ``Lock``, ``Semaphore``, ``Event``, ``Variable``, ``Barrier``.

The names and their behaviour are those of ``threading`` and of dask.distributed. Objects of the same name, wherever in
the grid they are made, are the same thing; they can be sent to tasks and actors, too. What a process holds when it dies
is released, and the next holder learns that it was (``Lock.abandoned``).

All of it is kept by one actor for each namespace: if that process is killed, whoever uses it gets ActorDiedError.
"""

from __future__ import annotations

import uuid
import weakref
from functools import partial
from itertools import count
from types import TracebackType
from typing import Any, Final, Generic, Self, TypeVar

from actorgrid.api.basics import cancel, get, put
from actorgrid.engine.current import existing
from actorgrid.engine.interrupts import protected
from actorgrid.engine.protocol import Engine
from actorgrid.exceptions import ActorHandleNotFoundError, TaskError
from actorgrid.util.giving_up import surely
from actorgrid.util.keeper import Answer, Ticket, keeper, told

__all__ = ["Barrier", "Event", "Lock", "Semaphore", "Variable"]

T = TypeVar("T")


def _answer(ref: Any) -> Any:
    """Return what the keeper answers, or raise what it has raised: that it is another process is our affair."""
    try:
        return get(ref)
    except TaskError as error:
        raise error.cause from None


async def _answer_async(ref: Any) -> Any:
    try:
        return await ref
    except TaskError as error:
        raise error.cause from None


#: What a permit is for: each namespace has a keeper.
_Place = tuple[Any, str]


class _Mine:
    """The permits that this process asks for and has."""

    def __init__(self, process: int) -> None:
        self.process = process
        self._numbers = count(1)
        #: Those that it has, the latest last. Threads share it: every change of it is a single step of the interpreter.
        self._had: dict[Ticket, _Place] = {}

    def ticket(self) -> Ticket:
        """Return a new ticket, for one acquire."""
        return self.process, next(self._numbers)

    def add(self, ticket: Ticket, place: _Place) -> None:
        """This process has the permit of ``ticket``."""
        self._had[ticket] = place

    def remove(self, ticket: Ticket) -> bool:
        """This process has it no more. Return whether it had."""
        return self._had.pop(ticket, None) is not None

    def take_latest(self, place: _Place) -> Ticket | None:
        """Remove the latest one and return it; None: there is none."""
        for ticket, other in reversed(list(self._had.items())):
            if other == place and self.remove(ticket):
                return ticket
        return None


#: By engine: in a simulation many processes share this module.
_of_engines: Final[weakref.WeakKeyDictionary[Engine, _Mine]] = weakref.WeakKeyDictionary()


def _mine() -> _Mine:
    """Return what this process has. Raises ActorHandleNotFoundError if its grid has ended."""
    engine = existing()
    if engine is None:
        raise ActorHandleNotFoundError("the grid that keeps this has ended")
    mine = _of_engines.get(engine)
    return mine if mine is not None else _of_engines.setdefault(engine, _Mine(engine.process()))


class _Named:
    """Something that is kept under a name."""

    def __init__(self, kind: str, name: str | None) -> None:
        if name is not None and not isinstance(name, str):
            raise TypeError(f"the name of a {kind} must be a str, not {type(name).__name__}")
        #: Without a name it is shared by sending it.
        self.name = name or f"{kind}-{uuid.uuid4().hex}"
        self._key = f"{kind}:{self.name}"
        self._keeper: Any = keeper()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    def _waited(self, ref: Any) -> Any:
        """Return the answer of a call that waits. Whoever is interrupted meanwhile waits no more at the keeper, too."""
        try:
            return _answer(ref)
        except BaseException:
            self._give_up(ref)
            raise

    async def _waited_async(self, ref: Any) -> Any:
        try:
            return await _answer_async(ref)
        except BaseException:
            self._give_up(ref)
            raise

    def _give_up(self, ref: Any) -> None:
        surely(lambda: self._keeper.give_up.remote(self._key, [ref]))
        surely(lambda: cancel(ref))  # if it has not begun


def _seconds(timeout: float | None) -> float | None:
    if timeout is None:
        return None
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)):
        raise TypeError(f"timeout must be a number of seconds or None, not {type(timeout).__name__}")
    if timeout != timeout or timeout < 0:  # noqa: PLR0124  # the test for NaN
        raise ValueError(f"timeout must not be negative: {timeout}")
    return float(timeout)


def _count(number: object, what: str) -> int:
    if isinstance(number, bool) or not isinstance(number, int):
        raise TypeError(f"{what} must be an int, not {type(number).__name__}")
    if number < 1:
        raise ValueError(f"{what} must be at least 1: {number}")
    return number


class Semaphore(_Named):
    """A number of permits that processes take and give back. Whoever asked first has the next one."""

    _kind = "semaphore"

    def __init__(self, max_leases: int = 1, name: str | None = None) -> None:
        """``max_leases``: how many there are; all who use the name must say the same."""
        self.max_leases = _count(max_leases, "max_leases")
        super().__init__(self._kind, name)
        #: Whether a process has died holding a permit since the one before this process's latest was taken: what it
        #: was for may be half done.
        self.abandoned = False
        #: A number that grows from one holder of the name to the next; 0: this object was never had. What is guarded
        #: can refuse whoever comes with a smaller one than it has seen: what a dead holder had set in motion.
        #: (A fencing token: M. Kleppmann, "How to do distributed locking", 2016.)
        self.token = 0

    def _patience(self, timeout: float | None, *, blocking: bool) -> float | None:
        if not blocking and timeout is not None:
            raise ValueError("a call that does not wait takes no timeout")
        return _seconds(timeout) if blocking else 0.0

    def acquire(self, blocking: bool = True, timeout: float | None = None) -> bool:  # the library's
        """Take a permit; wait for one (``timeout`` seconds at most). Return whether it was had.

        Raises ValueError for a negative timeout, and if others know the name with another number of permits. If it is
        interrupted, nothing was had.
        """
        patience = self._patience(timeout, blocking=blocking)
        ticket = _mine().ticket()
        try:
            return self._had(ticket, get(self._keeper.acquire.remote(self._key, self.max_leases, ticket, patience)))
        except TaskError as error:  # it was refused
            raise error.cause from None
        except BaseException:
            self._withdraw([ticket], heard=False)
            raise

    async def acquire_async(self, blocking: bool = True, timeout: float | None = None) -> bool:  # noqa: ASYNC109  # the library's
        """``acquire`` for event loops."""
        patience = self._patience(timeout, blocking=blocking)
        ticket = _mine().ticket()
        try:
            return self._had(ticket, await self._keeper.acquire.remote(self._key, self.max_leases, ticket, patience))
        except TaskError as error:
            raise error.cause from None
        except BaseException:
            self._withdraw([ticket], heard=False)
            raise

    def _had(self, ticket: Ticket, answer: Answer) -> bool:
        had, abandoned, token = answer
        if had:
            _mine().add(ticket, self._place)
            self.abandoned, self.token = abandoned, token
        return had

    @protected
    def _withdraw(self, tickets: list[Ticket], *, heard: bool) -> None:
        """Give up what the keeper may have granted, may be about to, or may have taken back."""
        for ticket in tickets:
            surely(partial(self._withdraw_one, ticket, heard=heard))

    def _withdraw_one(self, ticket: Ticket, *, heard: bool) -> None:
        _mine().remove(ticket)
        self._keeper.withdraw.remote(self._key, ticket, heard=heard)

    @property
    def _place(self) -> _Place:
        return self._keeper, self._key

    @protected
    def _send_release(self, sent: list[Ticket]) -> Any:
        """Send word that a permit is given back, and return a reference to the answer; note in ``sent`` which."""
        ticket = _mine().take_latest(self._place)
        if ticket is None:
            raise self._not_ours()
        sent.append(ticket)
        return self._keeper.release.remote(self._key, ticket)

    def _not_ours(self) -> RuntimeError:
        return RuntimeError(f"{told(self._key)} is released by a process that does not hold it")

    def release(self) -> None:
        """Give a permit back. Raises RuntimeError if this process has none.

        If it is interrupted, it is given back all the same.
        """
        sent: list[Ticket] = []
        try:
            known = _answer(self._send_release(sent))
        except BaseException:  # that call may be cancelled with the task that has made it
            self._withdraw(sent, heard=True)
            raise
        if not known:
            raise self._not_ours()

    async def release_async(self) -> None:
        """``release`` for event loops."""
        sent: list[Ticket] = []
        try:
            known = await _answer_async(self._send_release(sent))
        except BaseException:
            self._withdraw(sent, heard=True)
            raise
        if not known:
            raise self._not_ours()

    def get_value(self) -> int:
        """Return how many permits nobody has at this moment."""
        return int(_answer(self._keeper.free.remote(self._key, self.max_leases)))

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    async def __aenter__(self) -> Self:
        await self.acquire_async()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.release_async()


class Lock(Semaphore):
    """A lock. It belongs to the process that has taken it, and no other may release it."""

    _kind = "lock"

    def __init__(self, name: str | None = None) -> None:
        super().__init__(1, name)

    def locked(self) -> bool:
        """Return whether somebody has it at this moment."""
        return not self.get_value()


class Event(_Named):
    """A flag that processes wait for."""

    def __init__(self, name: str | None = None) -> None:
        super().__init__("event", name)

    def set(self) -> None:
        """Set it: whoever waits goes on."""
        _answer(self._keeper.set_cell.remote(self._key, [True]))

    def clear(self) -> None:
        """Clear it."""
        _answer(self._keeper.set_cell.remote(self._key, []))

    def is_set(self) -> bool:
        """Return whether it is set."""
        return bool(_answer(self._keeper.is_set.remote(self._key)))

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is set, or ``timeout`` seconds. Return whether it was (it may be cleared again)."""
        return bool(self._waited(self._keeper.wait_cell.remote(self._key, _seconds(timeout))))

    async def wait_async(self, timeout: float | None = None) -> bool:  # noqa: ASYNC109  # the library's
        """``wait`` for event loops."""
        return bool(await self._waited_async(self._keeper.wait_cell.remote(self._key, _seconds(timeout))))


class Variable(_Named, Generic[T]):
    """A value that everybody can read and set. It stays until it is deleted, or the grid ends."""

    def __init__(self, name: str | None = None) -> None:
        super().__init__("variable", name)

    def set(self, value: T) -> None:
        """Set it: anything that can be pickled, references and large arrays included."""
        _answer(self._keeper.set_cell.remote(self._key, [put([value])]))

    def get(self, timeout: float | None = None) -> T:
        """Return its value, once it has one. Raises TimeoutError after ``timeout`` seconds."""
        return self._found(self._waited(self._keeper.wait_cell.remote(self._key, _seconds(timeout))), timeout)

    async def get_async(self, timeout: float | None = None) -> T:  # noqa: ASYNC109  # the library's
        """``get`` for event loops."""
        return self._found(
            await self._waited_async(self._keeper.wait_cell.remote(self._key, _seconds(timeout))), timeout
        )

    def _found(self, answer: list[Any], timeout: float | None) -> T:
        if not answer:
            raise TimeoutError(f"the variable {self.name!r} has no value within {timeout} s")
        value: T = get(answer[0])[0]
        return value

    def delete(self) -> None:
        """Forget its value."""
        _answer(self._keeper.set_cell.remote(self._key, []))


class Barrier(_Named):
    """Where ``parties`` calls wait for one another. It can be used again and again."""

    def __init__(self, name: str | None = None, parties: int = 2) -> None:
        """All who use the name must say the same number of parties."""
        self.parties = _count(parties, "parties")
        super().__init__("barrier", name)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the others; return in which place this call has come (0 is the first).

        Raises ``threading.BrokenBarrierError`` if they do not come within ``timeout`` seconds, or one that waits dies
        or gives up (it is interrupted or cancelled): then it is broken for all, until ``reset``.
        """
        return int(self._waited(self._keeper.meet.remote(self._key, self.parties, _mine().process, _seconds(timeout))))

    async def wait_async(self, timeout: float | None = None) -> int:  # noqa: ASYNC109  # the library's
        """``wait`` for event loops."""
        return int(
            await self._waited_async(
                self._keeper.meet.remote(self._key, self.parties, _mine().process, _seconds(timeout))
            )
        )

    def reset(self) -> None:
        """Make it whole. Whoever waits gets BrokenBarrierError."""
        _answer(self._keeper.break_up.remote(self._key, self.parties, again=True))

    def abort(self) -> None:
        """Break it. Whoever waits, or comes, gets BrokenBarrierError."""
        _answer(self._keeper.break_up.remote(self._key, self.parties, again=False))

    @property
    def n_waiting(self) -> int:
        """How many wait at this moment."""
        return int(_answer(self._keeper.look.remote(self._key, self.parties))[0])

    @property
    def broken(self) -> bool:
        """Whether it is broken."""
        return bool(_answer(self._keeper.look.remote(self._key, self.parties))[1])
