"""What type checkers see in a method that is marked with ``method``; nothing of it is there when a program runs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, Self, TypeVar, overload

if TYPE_CHECKING:
    from actorgrid.engine.generators import ObjectRefGenerator
    from actorgrid.engine.refs import ObjectRef

P = ParamSpec("P")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
S_contra = TypeVar("S_contra", contravariant=True)


class MarkedMethod(Generic[S_contra, P, R_co]):
    """A method: of an object the method itself, and of its class, for which a handle stands, what has ``remote``."""

    @overload
    def __get__(self, instance: None, owner: type[Any], /) -> Self: ...
    @overload
    def __get__(self, instance: object, owner: type[Any] | None = None, /) -> Callable[P, R_co]: ...

    def __get__(self, instance: Any, owner: Any = None, /) -> Any:
        """Return the method of an object, or this of its class."""

    def __call__(self, instance: S_contra, /, *args: P.args, **kwargs: P.kwargs) -> R_co:  # type: ignore[empty-body]
        """Call it as a function of its class."""

    @overload
    def remote(  # type: ignore[overload-overlap]  # generators first
        self: MarkedMethod[S_contra, P, Iterator[R] | AsyncIterator[R]], /, *args: P.args, **kwargs: P.kwargs
    ) -> ObjectRefGenerator[R]: ...
    @overload
    def remote(
        self: MarkedMethod[S_contra, P, Coroutine[Any, Any, R]], /, *args: P.args, **kwargs: P.kwargs
    ) -> ObjectRef[R]: ...
    @overload
    def remote(self, /, *args: P.args, **kwargs: P.kwargs) -> ObjectRef[R_co]: ...
    @overload
    def remote(self, first: ObjectRef[Any], /, *args: Any, **kwargs: Any) -> ObjectRef[R_co]: ...
    @overload
    def remote(self, first: Any, second: ObjectRef[Any], /, *args: Any, **kwargs: Any) -> ObjectRef[R_co]: ...

    def remote(self, /, *args: Any, **kwargs: Any) -> Any:
        """Call it in the actor."""

    def bind(self, /, *args: Any, **kwargs: Any) -> Any:
        """Note a call as a step of a graph."""

    @overload
    def options(self, *, num_returns: int | str | None, **options: Any) -> Any: ...
    @overload
    def options(self, **options: Any) -> Self: ...
    def options(self, **options: Any) -> Any:
        """Return the same with other options."""
