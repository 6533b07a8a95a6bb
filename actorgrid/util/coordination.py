"""What processes wait for together, by name: ``Lock``, ``Semaphore``, ``Event``, ``Variable``, ``Barrier``.

The names and their behaviour are those of ``threading`` and of dask.distributed. Objects of the same name, wherever in
the grid they are made, are the same thing; they can be sent to tasks and actors, too. What a process holds when it dies
is released, and the next holder learns that it was (``Lock.abandoned``).

All of it is kept by one actor for each namespace: if that process is killed, whoever uses it gets ActorDiedError.
"""

from __future__ import annotations

import uuid
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from actorgrid.api.basics import get, put
from actorgrid.engine.current import existing
from actorgrid.exceptions import ActorHandleNotFoundError, TaskError
from actorgrid.util.keeper import keeper

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


def _here() -> int:
    """Return the number of this process in its grid. Raises ActorHandleNotFoundError if that has ended."""
    engine = existing()
    if engine is None:
        raise ActorHandleNotFoundError("the grid that keeps this has ended")
    return engine.process()


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

    def _ask(self, timeout: float | None, *, blocking: bool) -> Any:
        if not blocking and timeout is not None:
            raise ValueError("a call that does not wait takes no timeout")
        patience = _seconds(timeout) if blocking else 0.0
        return self._keeper.acquire.remote(self._key, self.max_leases, _here(), patience)

    def acquire(self, blocking: bool = True, timeout: float | None = None) -> bool:  # the library's
        """Take a permit; wait for one (``timeout`` seconds at most). Return whether it was had.

        Raises ValueError for a negative timeout, and if others know the name with another number of permits.
        """
        return self._had(_answer(self._ask(timeout, blocking=blocking)))

    async def acquire_async(self, blocking: bool = True, timeout: float | None = None) -> bool:  # noqa: ASYNC109  # the library's
        """``acquire`` for event loops."""
        return self._had(await _answer_async(self._ask(timeout, blocking=blocking)))

    def _had(self, answer: tuple[bool, bool, int]) -> bool:
        had, abandoned, token = answer
        if had:
            self.abandoned, self.token = abandoned, token
        return had

    def release(self) -> None:
        """Give a permit back. Raises RuntimeError if this process has none."""
        _answer(self._keeper.release.remote(self._key, _here()))

    async def release_async(self) -> None:
        """``release`` for event loops."""
        await _answer_async(self._keeper.release.remote(self._key, _here()))

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
        _answer(self._keeper.set_event.remote(self._key, to=True))

    def clear(self) -> None:
        """Clear it."""
        _answer(self._keeper.set_event.remote(self._key, to=False))

    def is_set(self) -> bool:
        """Return whether it is set."""
        return bool(_answer(self._keeper.is_set.remote(self._key)))

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is set, or ``timeout`` seconds. Return whether it is set."""
        return bool(_answer(self._keeper.wait_event.remote(self._key, _seconds(timeout))))

    async def wait_async(self, timeout: float | None = None) -> bool:  # noqa: ASYNC109  # the library's
        """``wait`` for event loops."""
        return bool(await _answer_async(self._keeper.wait_event.remote(self._key, _seconds(timeout))))


class Variable(_Named, Generic[T]):
    """A value that everybody can read and set. It stays until it is deleted, or the grid ends."""

    def __init__(self, name: str | None = None) -> None:
        super().__init__("variable", name)

    def set(self, value: T) -> None:
        """Set it: anything that can be pickled, references and large arrays included."""
        _answer(self._keeper.set_value.remote(self._key, [put([value])]))

    def get(self, timeout: float | None = None) -> T:
        """Return its value, once it has one. Raises TimeoutError after ``timeout`` seconds."""
        return self._found(_answer(self._keeper.value.remote(self._key, _seconds(timeout))), timeout)

    async def get_async(self, timeout: float | None = None) -> T:  # noqa: ASYNC109  # the library's
        """``get`` for event loops."""
        return self._found(await _answer_async(self._keeper.value.remote(self._key, _seconds(timeout))), timeout)

    def _found(self, answer: list[Any], timeout: float | None) -> T:
        if not answer:
            raise TimeoutError(f"the variable {self.name!r} has no value within {timeout} s")
        value: T = get(answer[0])[0]
        return value

    def delete(self) -> None:
        """Forget its value."""
        _answer(self._keeper.set_value.remote(self._key, []))


class Barrier(_Named):
    """Where ``parties`` calls wait for one another. It can be used again and again."""

    def __init__(self, name: str | None = None, parties: int = 2) -> None:
        """All who use the name must say the same number of parties."""
        self.parties = _count(parties, "parties")
        super().__init__("barrier", name)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the others; return in which place this call has come (0 is the first).

        Raises ``threading.BrokenBarrierError`` if they do not come within ``timeout`` seconds, or one that waits dies:
        then it is broken for all, until ``reset``.
        """
        return int(_answer(self._keeper.meet.remote(self._key, self.parties, _here(), _seconds(timeout))))

    async def wait_async(self, timeout: float | None = None) -> int:  # noqa: ASYNC109  # the library's
        """``wait`` for event loops."""
        return int(await _answer_async(self._keeper.meet.remote(self._key, self.parties, _here(), _seconds(timeout))))

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
