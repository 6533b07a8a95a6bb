"""``ActorPool``: work for a number of actors, each of which does one thing at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from actorgrid.api.basics import get, wait
from actorgrid.api.handle import ActorHandle
from actorgrid.engine.refs import ObjectRef
from actorgrid.exceptions import ActorDiedError

#: Makes a call: ``lambda actor, value: actor.double.remote(value)``; if that has several results, they are a list.
Fn = Callable[[Any, Any], ObjectRef[Any] | list[ObjectRef[Any]]]


class _Call(NamedTuple):
    """A call under way: which one it is in the order of submission, who does it, and what comes of it."""

    number: int
    actor: Any
    result: Any


class _Results:
    """The results of ``map``: no generator, which would end with the first error that it lets out."""

    def __init__(self, get_one: Callable[[], Any]) -> None:
        """``get_one`` raises StopIteration at the end."""
        self._get_one = get_one

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        return self._get_one()


class ActorPool:
    """Hands values to whichever of its actors is free. Not to be shared by threads."""

    def __init__(self, actors: Iterable[ActorHandle[Any]]) -> None:
        """``actors``: handles; they stay alive as long as the pool. Raises TypeError for anything else."""
        self._idle: list[Any] = list(actors)
        for actor in self._idle:
            if not isinstance(actor, ActorHandle):
                raise TypeError(f"a pool is made of actor handles, not of {type(actor).__name__}")
        #: By reference, of several the first: they come together.
        self._calls: dict[ObjectRef[Any], _Call] = {}
        self._refs: dict[int, ObjectRef[Any]] = {}
        #: What no actor was free for: (fn, value).
        self._pending: deque[tuple[Fn, Any]] = deque()
        #: Numbers in the order of submission: of the next call to be made, and of the next ``get_next``.
        self._next_call = self._next_return = 0

    # -- all at once

    def map(self, fn: Fn, values: Iterable[Any]) -> Iterator[Any]:
        """Call ``fn(actor, value)`` for each value; return an iterator over the results, in order.

        What is there of earlier submissions is thrown away. An error is raised in its turn, and iterating goes on.
        """
        return self._map(fn, values, self.get_next)

    def map_unordered(self, fn: Fn, values: Iterable[Any]) -> Iterator[Any]:
        """As ``map``; results come as they are ready."""
        return self._map(fn, values, self.get_next_unordered)

    def _map(self, fn: Fn, values: Iterable[Any], get_one: Callable[[], Any]) -> Iterator[Any]:
        while self.has_next():  # of those that nobody has asked for
            try:
                self.get_next_unordered()
            except Exception:  # noqa: BLE001, S112  # nobody has asked for these results, nor for what went wrong
                continue
        for value in values:
            self.submit(fn, value)
        return _Results(get_one)

    # -- one by one

    def submit(self, fn: Fn, value: Any) -> None:
        """Have a free actor do ``fn(actor, value)``; if none is free, the next one that is."""
        if not self._idle:
            self._pending.append((fn, value))
            return
        actor = self._idle.pop()
        try:
            result = fn(actor, value)
        except BaseException:
            self._idle.append(actor)
            raise
        ref = result[0] if isinstance(result, list) and result else result
        if not isinstance(ref, ObjectRef):
            self._idle.append(actor)
            raise TypeError(f"fn(actor, value) must return the reference of a call, not {type(ref).__name__}")
        self._calls[ref] = _Call(self._next_call, actor, result)
        self._refs[self._next_call] = ref
        self._next_call += 1

    def has_next(self) -> bool:
        """Return whether there are results to come."""
        return bool(self._refs) or bool(self._pending)

    def get_next(self, timeout: float | None = None, ignore_if_timedout: bool = False) -> Any:  # Ray's
        """Return the next result, in the order of submission.

        Raises StopIteration if there are no more; TimeoutError after ``timeout`` seconds (with ``ignore_if_timedout``
        the call is given up and the next ``get_next`` is for the one after it); ValueError after
        ``get_next_unordered`` has taken one out of turn; and what the call has raised.
        """
        self._check_next()
        ref = self._refs.get(self._next_return)
        if ref is None:
            raise ValueError("It is not allowed to call get_next() after get_next_unordered().")
        if timeout is not None and not wait([ref], timeout=timeout)[0]:
            if ignore_if_timedout:
                self._next_return += 1
                self._take(ref)
                raise TimeoutError(f"no result within {timeout} s; the call {ref!r} is given up")
            raise TimeoutError(f"no result within {timeout} s")
        self._next_return += 1
        return self._result(ref)

    def get_next_unordered(self, timeout: float | None = None, ignore_if_timedout: bool = False) -> Any:  # Ray's
        """Return whichever result comes first. Raises StopIteration, TimeoutError, and what the call has raised."""
        self._check_next()
        ready, _ = wait(list(self._calls), num_returns=1, timeout=timeout)
        if not ready:
            told = "; none is given up, since it may be any" if ignore_if_timedout else ""
            raise TimeoutError(f"no result within {timeout} s{told}")
        self._next_return = max(self._next_return, self._calls[ready[0]].number + 1)
        return self._result(ready[0])

    def _check_next(self) -> None:
        if not self.has_next():
            raise StopIteration("No more results to get")
        if not self._calls:  # there is work, and nobody does anything
            left = len(self._pending)
            self._pending.clear()
            raise RuntimeError(f"the pool has no actors (any more) for the {left} values that were submitted last")

    def _result(self, ref: ObjectRef[Any]) -> Any:
        try:
            value = get(self._calls[ref].result)
        except ActorDiedError:
            call = self._calls.pop(ref)
            del self._refs[call.number]
            raise
        except BaseException:
            self._take(ref)
            raise
        self._take(ref)
        return value

    def _take(self, ref: ObjectRef[Any]) -> None:
        """The call is over, or given up: its actor is free."""
        call = self._calls.pop(ref)
        del self._refs[call.number]
        self.push(call.actor)

    # -- the actors

    def has_free(self) -> bool:
        """Return whether an actor is free, and nothing waits for one."""
        return bool(self._idle) and not self._pending

    def pop_idle(self) -> Any:
        """Take a free actor out of the pool and return its handle; None if none is free."""
        return self._idle.pop() if self.has_free() else None

    def push(self, actor: ActorHandle[Any]) -> None:
        """Add an actor, or give one back. Raises ValueError if the pool has it already."""
        if actor in self._idle or any(call.actor == actor for call in self._calls.values()):
            raise ValueError("Actor already belongs to current ActorPool")
        self._idle.append(actor)
        if self._pending:
            self.submit(*self._pending.popleft())
