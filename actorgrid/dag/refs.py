"""References to the results of a compiled graph: each is good for one ``get``."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, NoReturn, Protocol

from actorgrid.engine.interrupts import protected


class Result(Protocol):
    """One result of one execution, as the graph keeps it for whoever has the reference."""

    def clock(self) -> float:
        """Return seconds, as its graph counts them."""

    def wait(self, timeout: float | None) -> Callable[[], Any]:
        """Wait for it; return what gives its value, or raises the error that stands for it."""

    async def arrival(self) -> None:
        """Wait for it in an event loop."""

    def drop(self) -> None:
        """Nobody wants it any more. Called from ``__del__``: must not lock, block or raise."""


class CompiledDAGRef:
    """A result of a compiled graph that is perhaps still to come: ``get(ref)`` returns it, once.

    It cannot be sent: its value comes to the process that has called ``execute``.
    """

    __slots__ = ("__weakref__", "_result", "_taken")

    def __init__(self, result: Result) -> None:
        """Not for users: references come from ``CompiledDAG.execute``."""
        self._taken = False
        self._result = result

    def _get(self, timeout: float | None) -> Any:
        """Return the value. Raises what ``get`` raises. The timeout is None or not negative."""
        if self._taken:
            raise ValueError(
                "get() can be called once on a reference to a result of a compiled graph, and it was called already"
            )
        load = self._result.wait(timeout)
        self._taken = True
        try:
            return load()
        finally:
            self._result.drop()

    @protected
    def __del__(self) -> None:
        try:
            if not self._taken:
                self._result.drop()
        except AttributeError:  # never finished, or the interpreter is going down
            pass

    def __reduce__(self) -> NoReturn:
        raise TypeError("a reference to a result of a compiled graph cannot be sent: get() it, and send the value")


class CompiledDAGFuture:
    """What ``execute_async`` returns: ``await`` it, once, for the value."""

    __slots__ = ("_ref",)

    def __init__(self, ref: CompiledDAGRef) -> None:
        """Not for users."""
        self._ref = ref

    def __await__(self) -> Generator[Any, None, Any]:
        ref = self._ref
        if not ref._taken:  # noqa: SLF001  # a class of this module
            yield from ref._result.arrival().__await__()  # noqa: SLF001  # as above
        return ref._get(None)  # noqa: SLF001  # as above

    def __reduce__(self) -> NoReturn:
        raise TypeError("a future of a compiled graph cannot be sent: await it, and send the value")


def get_all(refs: list[Any], timeout: float | None) -> list[Any]:
    """Return the values of several references, all of them or none. Raises TypeError, ValueError."""
    for ref in refs:
        if not issubclass(type(ref), CompiledDAGRef):  # whatever it says of its own class
            kind = type(ref).__name__
            raise TypeError(f"get() takes a list of one kind of references, and this one also has a {kind}")
    if len(set(refs)) != len(refs):
        raise ValueError(
            "get() can be called once on a reference to a result of a compiled graph, and one is there twice"
        )
    clock = refs[0]._result.clock  # noqa: SLF001  # a class of this module
    deadline = None if timeout is None else clock() + timeout
    for ref in refs:
        if not ref._taken:  # noqa: SLF001  # as above
            ref._result.wait(None if deadline is None else max(0.0, deadline - clock()))  # noqa: SLF001  # as above
    return [ref._get(None) for ref in refs]  # noqa: SLF001  # as above
