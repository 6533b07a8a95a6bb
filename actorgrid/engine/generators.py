"""What calls of generators return: a stream of references, or (``num_returns="dynamic"``) a list of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Generic, NoReturn, Protocol, TypeVar

from actorgrid.engine.interrupts import protected
from actorgrid.engine.refs import ObjectRef

if TYPE_CHECKING:
    import asyncio

    from actorgrid.engine.protocol import Engine
    from actorgrid.engine.refs import Entry

T_co = TypeVar("T_co", covariant=True)


class Stream(Protocol):
    """What a generator knows of its engine."""

    oid: int

    @property
    def engine(self) -> Engine:
        """The engine that made it."""

    @property
    def end(self) -> Entry:
        """The object that tells the end."""

    @property
    def over(self) -> bool:
        """There is nothing more to read."""

    @property
    def ready(self) -> bool:
        """The next item can be read without waiting."""

    def leave(self) -> None:
        """Nobody reads on. Called from ``__del__``: must not lock, block or raise."""

    def hex(self) -> str:
        """The id of its end as text."""


class ObjectRefGenerator(Generic[T_co]):
    """The items of a generator that runs elsewhere, as references, in their order and as they come.

    An iterator and an asynchronous iterator, for one thread at a time. What the generator raises is the last item: the
    reference stands for the error. If the grid ended it (its process died, it was cancelled), that is the last item,
    too. The generator may be some items ahead of its reader (``_generator_backpressure_num_objects``); waiting for
    ``completed()`` lets it run ahead as far as it likes. When this object goes, or on ``close()``, it stops where it
    next yields, and items that were not read go.

    It can be given to ``wait`` and ``cancel``, and cannot be sent elsewhere: send the references.
    """

    __slots__ = ("__weakref__", "_entry")

    def __init__(self, stream: Stream) -> None:
        """Not for users: generators come from calls of remote generator functions."""
        self._entry = stream
        stream.end.refs += 1

    @protected
    def __del__(self) -> None:
        """Tell the engine. An interrupt raised here would be swallowed, hence protected."""
        try:
            self._entry.leave()
        except (AttributeError, TypeError):  # never finished, or the interpreter is going down
            pass

    # -- reading

    def __iter__(self) -> ObjectRefGenerator[T_co]:
        return self

    def __next__(self) -> ObjectRef[T_co]:
        """Wait for the next item and return a reference to it. Raises StopIteration at the end."""
        stream = self._entry
        ref = stream.engine.next_item(self, None)
        if ref is None:
            raise StopIteration
        return ref

    def __aiter__(self) -> ObjectRefGenerator[T_co]:
        return self

    async def __anext__(self) -> ObjectRef[T_co]:
        """Wait for the next item in an asyncio program. Raises StopAsyncIteration at the end."""
        stream = self._entry
        while not stream.ready:
            await self._next_ready()
        ref = stream.engine.next_item(self, 0)
        if ref is None:
            raise StopAsyncIteration
        return ref

    def _next_ready(self) -> asyncio.Future[None]:
        """Return a future, on the running loop, that is done when something can be read."""
        from asyncio import get_running_loop  # whoever awaits has it; others save 40 ms at start-up

        loop = get_running_loop()
        future: asyncio.Future[None] = loop.create_future()

        def settle() -> None:
            if not future.done():
                future.set_result(None)

        def from_any_thread() -> None:
            try:
                loop.call_soon_threadsafe(settle)
            except RuntimeError:
                pass  # the loop has closed: nobody waits any more

        self._entry.engine.on_item(self, from_any_thread)
        return future

    # -- looking

    def completed(self) -> ObjectRef[Any]:
        """Return a reference to None that exists once the generator has ended, in whatever way its code did.

        It stands for an error if the grid ended it. Waiting for it lets the generator run ahead of its reader.
        """
        return ObjectRef(self._entry.end)

    def next_ready(self) -> bool:
        """Return whether ``next()`` would return a reference at once."""
        stream = self._entry
        return stream.engine.sees_item(self) and not stream.over

    def is_finished(self) -> bool:
        """Return whether the generator has ended and everything was read."""
        stream = self._entry
        return stream.engine.sees_item(self) and stream.over

    # -- stopping

    def close(self) -> None:
        """Stop the generator where it next yields, and drop what was not read: from here on there is nothing to read.

        Its ``finally`` clauses run; ``completed()`` then stands for TaskCancelledError. (Ray: NotImplementedError.)
        """
        self._entry.engine.close_stream(self)

    async def aclose(self) -> None:
        """Do the same as ``close()``."""
        self.close()

    def send(self, value: Any) -> NoReturn:
        """Raise NotImplementedError: values go one way only."""
        del value
        raise _unsupported("send")

    def throw(self, value: Any) -> NoReturn:
        """Raise NotImplementedError, see ``send``."""
        del value
        raise _unsupported("throw")

    async def asend(self, value: Any) -> NoReturn:
        """Raise NotImplementedError, see ``send``."""
        del value
        raise _unsupported("asend")

    async def athrow(self, value: Any) -> NoReturn:
        """Raise NotImplementedError, see ``send``."""
        del value
        raise _unsupported("athrow")

    def __repr__(self) -> str:
        return f"ObjectRefGenerator({self._entry.hex()})"

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "an ObjectRefGenerator cannot be sent to another process, nor stored: only the process that has called the "
            "generator reads it. Send the references that it yields"
        )


def _unsupported(name: str) -> NotImplementedError:
    return NotImplementedError(f"`gen.{name}` is not supported: a generator that runs elsewhere takes no values")


class DynamicObjectRefGenerator(Generic[T_co]):
    """The references that a generator with ``num_returns="dynamic"`` has left; iterating takes them out."""

    def __init__(self, refs: deque[ObjectRef[T_co]]) -> None:
        """Not for users."""
        self._refs = refs

    def __iter__(self) -> Iterator[ObjectRef[T_co]]:
        while self._refs:
            yield self._refs.popleft()

    def __len__(self) -> int:
        return len(self._refs)
