"""Actor classes: ``A.remote(...)`` starts an actor, ``@method`` gives a method its options."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    Final,
    Generic,
    NamedTuple,
    NoReturn,
    ParamSpec,
    TypeVar,
    Union,
    overload,
)

from actorgrid.api.handle import SPECIAL, ActorHandle, ActorMethod, Methods
from actorgrid.api.options import (
    BOUND,
    BOUND_OF_ACTOR,
    METHOD,
    actor_options,
    check_actor_options,
    check_generator,
    check_group,
    checked,
    generates,
    method_options,
)
from actorgrid.api.signature import Signature, of_callable
from actorgrid.engine.checkpoints import RESTORE, SAVE
from actorgrid.engine.current import current
from actorgrid.engine.definitions import STREAMING, ActorDefinition, MethodOptions

if TYPE_CHECKING:
    from actorgrid.api.typed import MarkedMethod
    from actorgrid.dag.nodes import ClassNode

__all__ = [
    "ActorClass",
    "ActorClassInheritanceException",
    "ActorHandle",
    "ActorMethod",
    "ActorProxy",
    "exit_actor",
    "method",
]

T = TypeVar("T")
P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S")

#: What annotates a handle whose methods type checkers and editors are to know: ``ActorProxy[Counter]``. The methods
#: must be marked with ``method``. (Ray's name.)
ActorProxy = Union[ActorHandle[T], type[T]]  # noqa: UP007  # evaluated, and ``|`` would make no alias that takes T

#: Where ``@method`` leaves the options it was given.
_MARK: Final = "__actorgrid_method_options__"
#: Functions of a class that are not there to be called through a handle.
_NOT_METHODS: Final = frozenset({"__init__", "__new__", "__del__", "__init_subclass__", "__class_getitem__"})


class ActorClassInheritanceException(TypeError):  # noqa: N818  # Ray's name
    """A class inherits from an actor class. Inherit from the plain class, then decorate."""


class ActorClassMetadata(NamedTuple, Generic[T]):
    """What an actor class was made of."""

    class_name: str
    modified_class: type[T]


class ActorClass(Generic[T]):
    """What ``@remote`` makes of a class. Attributes of the class itself can be read through it.

    mypy does not see what a decorator makes of a class. For full type checks keep the class and wrap it beside it:
    ``RemoteCounter = remote(Counter)``, ``handle = RemoteCounter.remote(3)``, ``handle.call(Counter.add, by=2)``.
    """

    def __init__(self, cls: type[T], options: Mapping[str, Any], *_: Any) -> None:
        if not isinstance(cls, type):
            raise _inheritance(str(cls))
        checked_options = check_actor_options(options, at_use=False)
        functions = dict(_functions(cls))
        defaults = {name: _defaults(cls, name, function) for name, function in functions.items()}
        defaults |= {name: MethodOptions() for name in SPECIAL}
        is_async = any(_is_async(function) for function in [cls.__init__, *functions.values()])
        groups = tuple(checked_options.get("concurrency_groups") or ())
        for each in defaults.values():
            check_group(each.concurrency_group, groups, cls.__name__)
        self._definition = ActorDefinition(cls, cls.__name__, is_async, defaults, groups)
        self._methods = Methods(cls.__name__, defaults, groups, cls)
        self._checks: Signature = of_callable(cls)
        self._options = checked_options
        self._bounded: dict[int, tuple[ActorDefinition, Methods]] = {}
        for name in ("__module__", "__name__", "__qualname__", "__doc__"):
            setattr(self, name, getattr(cls, name, None))

    @property
    def __ray_metadata__(self) -> ActorClassMetadata[T]:
        """The way back to the plain class: its ``modified_class`` (Ray's name; nothing is modified here)."""
        return ActorClassMetadata(self._definition.name, self._definition.cls)

    def remote(self, *args: Any, **kwargs: Any) -> ActorHandle[T]:
        """Start an actor in a process of its own and return its handle at once; the arguments go to its constructor.

        Raises TypeError for arguments that the constructor does not take or that cannot be pickled,
        InfeasibleResourcesError, ActorAlreadyExistsError, ValueError for a ``runtime_env`` whose folders are not there.
        """
        return self._create(self._options, args, kwargs)

    def options(self, **options: Any) -> ConfiguredActorClass[T]:
        """Return the class with other options for one use: ``A.options(name="a").remote(...)``.

        Raises ValueError for unknown options and bad values, TypeError for wrong types.
        """
        merged = {**self._options, **check_actor_options(options, at_use=True, on=self._options)}
        actor_options(merged, is_async=self._definition.is_async)  # options that exclude each other fail here
        return ConfiguredActorClass(self, merged)

    def bind(self, *args: Any, **kwargs: Any) -> ClassNode:
        """Note an actor as a step of a graph (see ``actorgrid.dag``): each execution makes one of its own.

        Raises TypeError for arguments that the constructor does not take.
        """
        return self._bind(self, args, kwargs, self._options)

    def _bind(self, maker: Any, args: tuple[Any, ...], kwargs: dict[str, Any], options: Mapping[str, Any]) -> ClassNode:
        from actorgrid.dag.nodes import ClassNode  # for programs with graphs

        self._checks.check(args, kwargs, self._definition.name)
        return ClassNode(maker, self._definition.name, self._methods.find, args, kwargs, options)

    def _create(self, options: Mapping[str, Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> ActorHandle[T]:
        final = actor_options(options, is_async=self._definition.is_async)
        if final.checkpoint_calls or final.checkpoint_seconds:
            self._check_savable()
        checks = self._checks
        if kwargs or not checks.low <= len(args) <= checks.high:
            checks.check(args, kwargs, self._definition.name)
        definition, methods = self._definition, self._methods
        if (bound := options.get(BOUND_OF_ACTOR) or -1) > 0:
            definition, methods = self._within(bound)
        ref, _ = current().create_actor(definition, final, args, kwargs)
        return ActorHandle(ref, methods)

    def _within(self, bound: int) -> tuple[ActorDefinition, Methods]:
        """Return what the actor is if none of its generators may be further ahead of its reader than ``bound``."""
        known = self._bounded.get(bound)
        if known is None:
            plain = self._definition
            marks = {name: getattr(function, _MARK, {}).get(BOUND) or -1 for name, function in _functions(plain.cls)}
            tighter = {
                name: each._replace(backpressure=min(bound, marks[name]) if marks.get(name, -1) > 0 else bound)
                for name, each in plain.methods.items()
            }
            definition = ActorDefinition(plain.cls, plain.name, plain.is_async, tighter, plain.groups)
            known = self._bounded[bound] = definition, Methods(plain.name, tighter, plain.groups, plain.cls)
        return known

    def _check_savable(self) -> None:
        missing = [name for name in (SAVE, RESTORE) if not callable(getattr(self._definition.cls, name, None))]
        if missing:
            raise TypeError(
                f"option 'checkpoint' needs {' and '.join(missing)} in class {self._definition.name}: "
                f"{SAVE}(self) returns the state, {RESTORE}(self, state) takes it back after a restart"
            )

    def _remote(self, args: Any = (), kwargs: Any = None, **options: Any) -> ActorHandle[T]:
        return self.options(**options).remote(*args, **(kwargs or {}))

    def __call__(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raise TypeError: actors are made with ``.remote``."""
        del args, kwargs
        name = self._definition.name
        raise TypeError(f"Actors cannot be instantiated directly. Instead of '{name}()', use '{name}.remote()'.")

    def __mro_entries__(self, bases: tuple[Any, ...]) -> NoReturn:
        raise _inheritance(self._definition.name)

    def __getattr__(self, name: str) -> Any:
        definition = self.__dict__.get("_definition")
        if definition is None or (name.startswith("__") and name.endswith("__")):
            raise AttributeError(name)
        return getattr(definition.cls, name)

    def __repr__(self) -> str:
        return f"ActorClass({self._definition.name})"

    def __reduce__(self) -> str | tuple[Any, ...]:
        from actorgrid.api.remote_function import is_importable

        cls = self._definition.cls
        if is_importable(self, cls.__module__, cls.__qualname__):
            return cls.__qualname__
        return ActorClass, (cls, self._options)


class ConfiguredActorClass(Generic[T]):
    """An actor class with the options for one use."""

    __slots__ = ("_actor_class", "_options")

    def __init__(self, actor_class: ActorClass[T], options: Mapping[str, Any]) -> None:
        self._actor_class = actor_class
        self._options = options

    def remote(self, *args: Any, **kwargs: Any) -> ActorHandle[T]:
        """Start an actor. See ``ActorClass.remote``."""
        return self._actor_class._create(self._options, args, kwargs)  # noqa: SLF001  # a class of this module

    def bind(self, *args: Any, **kwargs: Any) -> ClassNode:
        """Note an actor as a step of a graph. See ``ActorClass.bind``."""
        return self._actor_class._bind(self, args, kwargs, self._options)  # noqa: SLF001  # a class of this module


def _defaults(cls: type[Any], name: str, function: Any) -> MethodOptions:
    """Return the options of a method: what ``@method`` was given, on top of what it is. Raises ValueError."""
    marked = getattr(function, _MARK, {})
    check_generator(marked, function, f"{cls.__name__}.{name}")
    return method_options(marked, MethodOptions(num_returns=STREAMING if generates(function) else 1))


def _inheritance(name: str) -> ActorClassInheritanceException:
    return ActorClassInheritanceException(
        f"inheriting from the actor class {name!r} is not supported: inherit from the plain class, decorate the result"
    )


def _functions(cls: type[Any]) -> Iterator[tuple[str, Any]]:
    """Yield what can be called as a method of ``cls``, inherited or not, without running any property."""
    for name, member in inspect.getmembers_static(cls):
        if name in _NOT_METHODS or (name in vars(object) and member is vars(object)[name]):
            continue
        if isinstance(member, (staticmethod, classmethod)):
            if name not in vars(object):
                yield name, member.__func__
        elif isinstance(member, functools.partialmethod):
            yield name, member.func
        elif callable(member) and hasattr(type(member), "__get__"):
            yield name, member


def _is_async(function: Any) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)


@overload
def method(function: Callable[Concatenate[S, P], R], /) -> MarkedMethod[S, P, R]: ...
@overload
def method(*, num_returns: int | str | None, **options: Any) -> Callable[[Callable[..., Any]], Any]: ...
@overload
def method(**options: Any) -> Callable[[Callable[Concatenate[S, P], R]], MarkedMethod[S, P, R]]: ...


def method(*functions: Any, **options: Any) -> Any:
    """Give a method of an actor class its default options: ``@method(num_returns=2)``.

    Type checkers then know ``handle.name.remote`` where ``handle`` is an ``ActorProxy`` of the class.

    Raises AssertionError for unknown options (Ray's rule), ValueError for bad values, TypeError for wrong types.
    """
    assert not (functions and options), "use @method or @method(option=value), not a mixture"
    unknown = [name for name in options if name not in METHOD]
    assert not unknown, (
        f"Invalid option keyword {unknown[0]!r} for @method. Valid ones are {', '.join(sorted(METHOD))}."
    )
    given = checked(METHOD, options, "an actor method")

    def mark(function: Any) -> Any:
        code = getattr(function, "__func__", function)
        if not callable(code):
            raise TypeError(
                f"@method is for methods of actor classes, not {type(function).__name__}: {function!r:.100}"
            )
        setattr(code, _MARK, given)
        return function

    return mark(functions[0]) if functions else mark


def exit_actor() -> None:
    """End the actor that the caller runs in, without restart. Raises TypeError elsewhere.

    Calls that run finish first; queued calls fail.
    """
    current().exit_actor()
