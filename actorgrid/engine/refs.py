"""References: small counted names of objects and actors.

A reference holds an ``Entry``, this process's record of the thing, made by the engine. When the last reference to an
entry goes, its engine is told by ``Entry.drop``; ``__del__`` may run anywhere, inside any lock, so ``drop`` may only
append to a deque and wake somebody.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, Final, Generic, NoReturn, Protocol, TypeVar

from actorgrid.core.ids import Id
from actorgrid.engine.interrupts import protected

if TYPE_CHECKING:
    import asyncio
    import concurrent.futures

    from actorgrid.engine.protocol import Engine

R_co = TypeVar("R_co", covariant=True)


class Entry(Protocol):
    """What a reference knows of its engine."""

    oid: int
    refs: int

    @property
    def engine(self) -> Engine:
        """The engine that made it."""

    def drop(self) -> None:
        """One reference less. Called from ``__del__``: must not lock, block or raise."""

    def hex(self) -> str:
        """The id as text."""

    def reduce(self) -> tuple[Any, ...]:
        """How a reference to this pickles: inside the grid it is counted, outside it pins the object."""


class _Missing:
    """Stands for a name of Ray's that references do not have: whoever asks for it hears why."""

    __slots__ = ("_name", "_why")

    def __init__(self, why: str) -> None:
        self._why = why

    def __set_name__(self, owner: type[Any], name: str) -> None:
        self._name = name

    def __get__(self, ref: object, owner: type[Any] | None = None) -> NoReturn:
        raise AttributeError(f"an ObjectRef has no {self._name}: {self._why}", name=self._name, obj=ref)


_NO_OBJECT: Final = "references come from calls and put(), or are sent; there is none without its object"


class ObjectRef(Generic[R_co]):
    """A reference to an object that a task makes or that ``put`` stored.

    Hashable, comparable, picklable into other tasks and actors, awaitable. It is not iterable and always true.
    """

    __slots__ = ("__weakref__", "_entry")

    def __init__(self, entry: Entry) -> None:
        """Count one more reference on ``entry``. Not for users: references come from calls and ``put``."""
        try:
            entry.refs += 1
        except AttributeError:
            raise TypeError(
                f"references come from calls and put(), or are sent: none can be made of {type(entry).__name__}"
            ) from None
        self._entry = entry

    @protected
    def __del__(self) -> None:
        """Tell the engine. An interrupt raised here would be swallowed, hence protected."""
        try:
            self._entry.drop()
        except AttributeError:  # never finished, or the interpreter is going down
            pass

    @property
    def arg(self) -> R_co:
        """This reference, typed as its value: ``f.remote(x=ref.arg)`` stays fully type-checked."""
        return self  # type: ignore[return-value]  # a typing aid: the reference is resolved before the call runs

    def hex(self) -> str:
        """Return the id as 56 hex digits."""
        return self._entry.hex()

    def binary(self) -> bytes:
        """Return the id as 28 bytes."""
        return bytes.fromhex(self._entry.hex())

    def is_nil(self) -> bool:
        """Return False: there are no nil references."""
        return False

    @classmethod
    def size(cls) -> int:
        """Return how many bytes an id has."""
        return 28

    def job_id(self) -> Id:
        """Return the id of the job that it belongs to: that of the process which has it."""
        return Id(self._entry.engine.context().job.to_bytes(4, "little").hex())

    nil = _Missing(_NO_OBJECT)
    from_random = _Missing(_NO_OBJECT)
    from_binary = _Missing(_NO_OBJECT)
    from_hex = _Missing(_NO_OBJECT)
    task_id = _Missing("util.state.get_task() takes the reference instead, and its task_id tells")
    owner_address = _Missing("objects belong to the grid, and to no process of it")
    call_site = _Missing("the grid does not note where calls are made")
    tensor_transport = _Missing("arrays go through the memory of this machine, and not from GPU to GPU")
    _on_ready = _Missing("its future() can be asked, and called back")
    _ready = _Missing("its future() can be asked, and awaited")

    def future(self) -> concurrent.futures.Future[R_co]:
        """Return a ``concurrent.futures.Future`` of the value. Cancelling it does not cancel the task."""
        from actorgrid.engine.futures import PatientFuture  # logging and more, at start-up

        engine = self._entry.engine
        future: PatientFuture[R_co] = PatientFuture(engine, self._entry)
        future.set_running_or_notify_cancel()
        engine.on_ready(self, lambda ref: future.settle(*_outcome(engine, ref)))
        return future

    def as_future(self) -> asyncio.Future[R_co]:
        """Return an ``asyncio.Future`` of the value on the running loop."""
        from asyncio import get_running_loop  # whoever awaits has it; others save 40 ms at start-up

        loop = get_running_loop()
        future: asyncio.Future[R_co] = loop.create_future()
        engine = self._entry.engine
        awaiting = engine.awaiting(loop)

        def settle() -> None:
            if awaiting is not None:
                awaiting.over(future)
            if future.done():
                return
            value, error = _outcome(engine, self)
            if isinstance(error, StopIteration):
                # asyncio refuses StopIteration in a future; same answer as a coroutine gives (PEP 479).
                future.set_exception(RuntimeError(f"task raised StopIteration: {error}"))
            elif error is not None:
                future.set_exception(error)
            else:
                future.set_result(value)

        def from_any_thread(_: ObjectRef[Any]) -> None:
            try:
                loop.call_soon_threadsafe(settle)
            except RuntimeError:
                pass  # the loop has closed: nobody waits any more

        engine.on_ready(self, from_any_thread)
        if awaiting is not None:
            awaiting.add(future, self._entry)
        return future

    def __await__(self) -> Generator[Any, None, R_co]:
        """Wait for the value in an asyncio program."""
        return self.as_future().__await__()

    def _on_completed(self, callback: Callable[[Any], None]) -> None:
        """Call ``callback(value or error)`` once the object exists (Ray's name)."""
        engine = self._entry.engine

        def tell(ref: ObjectRef[Any]) -> None:
            value, error = _outcome(engine, ref)
            callback(value if error is None else error)  # as Ray: errors are handed over, not raised

        engine.on_ready(self, tell)

    def __hash__(self) -> int:
        return self._entry.oid

    def __eq__(self, other: object) -> bool:
        # Not isinstance: that asks what a thing says of its own class.
        return issubclass(type(other), ObjectRef) and self._entry.oid == other._entry.oid  # type: ignore[attr-defined]  # it is one

    def __repr__(self) -> str:
        return f"ObjectRef({self.hex()})"

    def __reduce__(self) -> tuple[Any, ...]:
        return self._entry.reduce()


@protected
def _outcome(engine: Engine, ref: ObjectRef[Any]) -> tuple[Any, BaseException | None]:
    """Return the value of an object that is there, or its error: that, and not an interrupt that came meanwhile."""
    try:
        return engine.value(ref), None
    except BaseException as error:  # noqa: BLE001  # whatever the task raised goes to whoever waits
        return None, error


#: What Ray called them once.
ObjectID = ObjectRef


class ActorRef:
    """A reference to an actor, counted unless ``weak``. ``api`` wraps it in an ``ActorHandle``."""

    __slots__ = ("__weakref__", "_entry", "weak")

    def __init__(self, entry: Entry, *, weak: bool = False) -> None:
        """Count one more handle on ``entry`` unless ``weak``."""
        self._entry = entry
        self.weak = weak
        if not weak:
            entry.refs += 1

    @protected
    def __del__(self) -> None:
        """Tell the engine. An interrupt raised here would be swallowed, hence protected."""
        try:
            if not self.weak:
                self._entry.drop()
        except AttributeError:  # never finished, or the interpreter is going down
            pass

    @property
    def ident(self) -> int:
        """The actor's id."""
        return self._entry.oid

    @property
    def engine(self) -> Engine:
        """The engine that made it."""
        return self._entry.engine

    def hex(self) -> str:
        """Return the id as 32 hex digits."""
        return self._entry.hex()[:32]

    def binary(self) -> bytes:
        """Return the id as 16 bytes."""
        return bytes.fromhex(self.hex())

    def is_nil(self) -> bool:
        """Return False: it is the id of an actor."""
        return False

    def __hash__(self) -> int:
        return self._entry.oid

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ActorRef) and self._entry.oid == other._entry.oid

    def __reduce__(self) -> tuple[Any, ...]:
        return (_weakly, self._entry.reduce()) if self.weak else self._entry.reduce()


def _weakly(make: Callable[..., ActorRef], args: tuple[Any, ...]) -> ActorRef:
    """Return what a weak reference is where it was sent: what came along counts no longer than that takes."""
    return ActorRef(make(*args)._entry, weak=True)  # noqa: SLF001  # a class of this module
