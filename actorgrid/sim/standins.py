"""What stands for a function of Python while a world is open: to simulated code something else, to all others itself.

There is one stand-in for each name, for ever, whatever worlds come and go. So a module that is imported in the middle
of a run, and keeps what it has found under ``time.monotonic``, has virtual time in every run, and real time outside.

This file may not know what any of them does.
"""

from __future__ import annotations

import _thread
from collections.abc import Callable
from types import ClassMethodDescriptorType, ModuleType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from actorgrid.sim.world import World

real_ident: Final = _thread.get_ident


class Stage:
    """An open world, and what its code calls instead of what."""

    __slots__ = ("_maker", "_virtual", "world")

    def __init__(self, world: World, maker: Any) -> None:
        """``maker``: what the functions in ``makers`` are given."""
        self.world = world
        self._maker = maker
        #: Made when they are first called: a run calls few of them, and there are more than a hundred.
        self._virtual: dict[StandIn, Callable[..., Any]] = {}

    def virtual(self, stand_in: StandIn) -> Callable[..., Any]:
        """Return what the world has for a stand-in."""
        found = self._virtual.get(stand_in)
        if found is None:
            make = makers.get(stand_in)
            found = self._virtual[stand_in] = stand_in.real if make is None else make(self._maker)
        return found


#: Thread -> the world that is open in it.
stages: Final[dict[int, Stage]] = {}


def simulating() -> World | None:
    """Return the world whose code runs now, None if it is nobody's: pytest, Hypothesis, another thread ask, too."""
    stage = stages.get(real_ident())
    return stage.world if stage is not None and stage.world.fibers.current is not None else None


class StandIn:
    """The stand-in for a function of a module. Like the builtin it stands for, it never becomes a method."""

    def __init__(self, owner: Any, name: str, real: Callable[..., Any]) -> None:
        self.real = real
        self.__name__ = name
        self.__qualname__ = name if isinstance(owner, ModuleType) else f"{owner.__qualname__}.{name}"
        self.__module__ = owner.__name__ if isinstance(owner, ModuleType) else owner.__module__

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the one or the other."""
        stage = stages.get(real_ident())
        if stage is None or stage.world.fibers.current is None:
            return self.real(*args, **kwargs)
        return stage.virtual(self)(*args, **kwargs)

    @property
    def stands_for(self) -> Callable[..., Any]:
        """The real one, for whoever wants to know what kind of thing this is."""
        return self.real

    def __reduce__(self) -> str:
        return self.__qualname__  # by name: on the other side it is whatever is called so there

    def __repr__(self) -> str:
        return f"<{self.__module__}.{self.__qualname__}, or what stands for it in a simulation>"

    def installed(self, owner: Any) -> Any:
        """Return what is put in the place of the real one: where that becomes a method, something that does so, too."""
        if isinstance(owner, ModuleType) or not hasattr(type(self.real), "__get__"):
            return self
        if isinstance(self.real, ClassMethodDescriptorType):
            return _OfClass(self)

        def method(*args: Any, **kwargs: Any) -> Any:
            return self(*args, **kwargs)

        return method


#: Stand-in -> what makes the function that it is in a world, given that world's patches.
makers: Final[dict[StandIn, Callable[[Any], Callable[..., Any]]]] = {}


class ClassMethod:
    """What ``datetime.now`` is while it is replaced: a method of a class, bound to that or to one derived from it."""

    def __init__(self, stand_in: StandIn, owner: type) -> None:
        self._stand_in = stand_in
        self.__self__ = owner
        self.__name__ = stand_in.__name__
        self.__qualname__ = f"{owner.__qualname__}.{stand_in.__name__}"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the one or the other."""
        return self._stand_in(self.__self__, *args, **kwargs)

    def __eq__(self, other: object) -> bool:
        return type(other) is ClassMethod and (self._stand_in, self.__self__) == (other._stand_in, other.__self__)

    def __hash__(self) -> int:
        return hash((self._stand_in, self.__self__))

    def __reduce__(self) -> tuple[Any, ...]:
        return getattr, (self.__self__, self.__name__)

    def __repr__(self) -> str:
        return repr(self._stand_in)


class _OfClass:
    """Lies under the name of a method of a class that is written in C."""

    def __init__(self, stand_in: StandIn) -> None:
        self._stand_in = stand_in

    def __get__(self, instance: Any, owner: type | None = None) -> ClassMethod:
        return ClassMethod(self._stand_in, type(instance) if owner is None else owner)


#: (module or class, name) -> what stands for it, and what is put in its place.
_made: Final[dict[tuple[Any, str], tuple[StandIn, Any]]] = {}


def stand_in_for(owner: Any, name: str) -> tuple[StandIn, Any]:
    """Return the stand-in for what a module or class has under a name, and what is put in its place."""
    real = vars(owner)[name]
    known = _made.get((owner, name))
    if known is None or (real is not known[0].real and real is not known[1]):
        made = StandIn(owner, name, real)
        known = _made[owner, name] = made, made.installed(owner)
    return known
