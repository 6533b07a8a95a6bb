"""Handles of actors and their methods: ``handle.method.remote(...)``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Concatenate, Final, Generic, NoReturn, ParamSpec, TypeVar, overload

from actorgrid.api.options import METHOD, check_generator, check_group, checked, method_options
from actorgrid.api.signature import Signature, of_method
from actorgrid.engine.current import existing, installed
from actorgrid.engine.definitions import DYNAMIC, STREAMING, MethodOptions, Sent, to_send
from actorgrid.engine.protocol import UNPREPARED
from actorgrid.exceptions import ActorHandleNotFoundError

if TYPE_CHECKING:
    import inspect

    from actorgrid.engine.generators import ObjectRefGenerator
    from actorgrid.engine.protocol import Engine, Prepared
    from actorgrid.engine.refs import ActorRef, ObjectRef

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

#: Methods that every actor has (Ray's names).
SPECIAL: Final = ("__ray_ready__", "__ray_call__", "__ray_terminate__")
_ANY: Final = Signature(None)


class Call:
    """One method with its options: what its calls share."""

    __slots__ = ("checks", "display_name", "method", "options", "prepared")

    def __init__(self, method: str, display_name: str, options: MethodOptions, checks: Signature) -> None:
        self.method = method
        self.display_name = display_name
        self.options = options
        self.checks = checks
        self.prepared = UNPREPARED

    def prepare(self, engine: Engine) -> Prepared:
        """Make the engine's form of this."""
        self.prepared = prepared = engine.prepare_method(self.method, self.display_name, self.options)
        return prepared


class Methods:
    """The methods of an actor class, shared by all handles that one class made in this process."""

    __slots__ = ("calls", "class_name", "groups", "options", "owner", "sent")

    def __init__(
        self, class_name: str, options: Mapping[str, tuple[Any, ...]], groups: tuple[str, ...] = (),
        owner: type[Any] | None = None,
    ) -> None:  # fmt: skip
        """``options``: of each method, or what ``to_send`` made of them. ``groups``: those of the class.

        ``owner`` is the class itself where it is at hand: then arguments are checked before they are sent.
        """
        self.class_name = class_name
        self.options = options
        self.groups = groups
        self.owner = owner
        self.calls: dict[str, Call] = {}
        #: The options as they are sent, once a handle has been.
        self.sent: Sent | None = None

    def to_send(self) -> Sent:
        """Return the options as they are sent."""
        if self.sent is None:
            self.sent = to_send(self.options)
        return self.sent

    def call(self, method: str, options: tuple[Any, ...]) -> Call:
        """Return the call of ``method`` with these options."""
        name = f"{self.class_name}.{method}"
        if self.owner is not None and method not in SPECIAL:
            return Call(method, name, MethodOptions(*options), of_method(self.owner, method))
        key = (name, method, options)
        known = _calls.get(key)
        if known is None:
            known = Call(method, name, MethodOptions(*options), _ANY)
            if len(_calls) >= _REMEMBERED:
                _calls.clear()
            _calls[key] = known
        return known

    def find(self, method: str) -> Call | None:
        """Return the call of ``method`` with its default options; None if there is no such method."""
        options = self.options.get(method)
        if options is None:
            return None
        call = self.calls[method] = self.call(method, options)
        return call


#: For handles that came from elsewhere: a task that gets a handle a million times must not prepare a million calls.
_calls: dict[tuple[str, str, tuple[Any, ...]], Call] = {}
_REMEMBERED: Final = 4096


class _Docstring:
    """The docstring of ``ActorMethod``, and of each such object that of the user's method."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __get__(self, method: ActorMethod | None, owner: type[ActorMethod]) -> str | None:
        if method is None:
            return self._text
        cls = method._handle._methods.owner  # noqa: SLF001  # a class of this module
        function = getattr(cls, method._call.method, None)  # noqa: SLF001  # too
        return self._text if function is None else function.__doc__  # elsewhere the class is not at hand


class ActorMethod:  # noqa: D101  # it has one for each method
    __doc__ = _Docstring("A method of one actor. It keeps the actor alive, as a handle does.")

    __slots__ = ("_call", "_handle")

    def __init__(self, handle: ActorHandle[Any], call: Call) -> None:
        self._handle = handle
        self._call = call

    def remote(self, /, *args: Any, **kwargs: Any) -> Any:
        """Call the method and return a reference to its result at once.

        With ``num_returns=0`` the result is None, with ``num_returns=n`` a list of ``n`` references; a generator method
        returns an ObjectRefGenerator. Raises TypeError for arguments that the method does not take or that cannot be
        pickled, PendingCallsLimitExceeded.
        """
        engine = installed()
        if engine is None:
            existing()  # in a child that was forked there is more to say
            raise ActorHandleNotFoundError(f"{self._handle!r} belongs to a grid that has ended")
        call = self._call
        prepared = call.prepared
        if engine is not prepared.engine:
            prepared = call.prepare(engine)
        checks = call.checks
        if kwargs or not checks.low <= len(args) <= checks.high:
            checks.check(args, kwargs, call.display_name)
        return engine.call(self._handle._ref, prepared, args, kwargs)  # noqa: SLF001  # a class of this module

    def bind(self, /, *args: Any, **kwargs: Any) -> Any:
        """Note a call as a step of a graph (see ``actorgrid.dag``) instead of making it; arguments may be steps, too.

        Returns its node; with ``num_returns=n`` a tuple of ``n`` nodes, one for each result. Raises TypeError for
        arguments that the method does not take.
        """
        from actorgrid.dag.nodes import ClassMethodNode, outputs_of  # for programs with graphs

        call = self._call
        call.checks.check(args, kwargs, call.display_name)
        count = call.options.num_returns
        options = {
            "name": call.options.name,
            "num_returns": {STREAMING: "streaming", DYNAMIC: "dynamic"}.get(count, count),
            "concurrency_group": call.options.concurrency_group or None,
        }
        node = ClassMethodNode(
            self._handle, call.method, options, args, kwargs,
            caller=self, display_name=call.display_name, num_returns=count,
        )  # fmt: skip
        return outputs_of(node, count)

    def options(self, **options: Any) -> ActorMethod:
        """Return the method with other options for one call. Raises ValueError, TypeError."""
        given = checked(METHOD, options, "an actor method", unknown=TypeError)  # Ray's rule
        call = self._call
        methods = self._handle._methods  # noqa: SLF001  # a class of this module
        if methods.owner is not None and call.method not in SPECIAL:  # else its process says so
            check_generator(given, getattr(methods.owner, call.method), call.display_name)
        final = method_options(given, call.options)
        check_group(final.concurrency_group, methods.groups, methods.class_name)
        return ActorMethod(self._handle, methods.call(call.method, final))

    def _remote(self, args: Any = (), kwargs: Any = None, **options: Any) -> Any:
        method = self.options(**options) if options else self
        return method.remote(*args, **(kwargs or {}))

    def __call__(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raise TypeError: methods are called with ``.remote``."""
        del args, kwargs
        name = self._call.method
        raise TypeError(
            f"Actor methods cannot be called directly. Instead of running 'object.{name}()', "
            f"try 'object.{name}.remote()'."
        )

    @property
    def __signature__(self) -> inspect.Signature:
        """What ``remote`` takes. Raises AttributeError where the class is not at hand."""
        signature = self._call.checks.signature
        if signature is None:
            raise AttributeError("the class of the actor is not at hand", name="__signature__", obj=self)
        return signature

    def __repr__(self) -> str:
        return f"<method {self._call.display_name} of {self._handle!r}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return _method_of, (self._handle, self._call.method, self._call.options)


def _method_of(handle: ActorHandle[Any], method: str, options: MethodOptions) -> ActorMethod:
    """Return what an ``ActorMethod`` is where it was sent."""
    return ActorMethod(handle, handle._methods.call(method, options))  # noqa: SLF001  # a class of this module


class ActorHandle(Generic[T]):
    """A handle of an actor: its methods are attributes, called with ``handle.method.remote(...)``.

    Handles are hashable, comparable and can be sent to other tasks. The actor ends when its last handle goes, unless
    it is detached; handles from ``get_actor`` do not keep it alive. What a program notes on one (``handle.rank = 3``)
    stays where it is: it is not sent along.
    """

    __slots__ = ("__dict__", "__weakref__", "_methods", "_ref")

    def __init__(self, ref: ActorRef, methods: Methods) -> None:
        """Not for users: handles come from ``ActorClass.remote`` and ``get_actor``."""
        self._ref = ref
        self._methods = methods

    if TYPE_CHECKING:

        @overload
        def call(  # type: ignore[overload-overlap]  # generators first
            self,
            method: Callable[Concatenate[T, P], Iterator[R] | AsyncIterator[R]],
            /,
            *args: P.args,
            **kwargs: P.kwargs,
        ) -> ObjectRefGenerator[R]: ...
        @overload
        def call(
            self, method: Callable[Concatenate[T, P], R], /, *args: P.args, **kwargs: P.kwargs
        ) -> ObjectRef[R]: ...
        def call(self, method: Any, /, *args: Any, **kwargs: Any) -> Any:
            """Call ``method``, a function of the actor's class: ``handle.call(Counter.add, by=2)``.

            The same as ``handle.add.remote(by=2)``, and type checkers understand it. Where the class has a method
            ``call`` of its own, ``handle.call`` is that method.
            """

    def __getattr__(self, name: str) -> Any:
        methods = self._methods
        call = methods.calls.get(name) or methods.find(name)
        if call is not None:
            return ActorMethod(self, call)
        if name == "call":
            return self._typed_call
        raise AttributeError(f"'{methods.class_name}' actor has no method {name!r}", name=name, obj=self)

    def _typed_call(self, method: Any, /, *args: Any, **kwargs: Any) -> Any:
        return getattr(self, getattr(method, "__name__", str(method))).remote(*args, **kwargs)

    @property
    def _actor_id(self) -> ActorRef:
        return self._ref

    @property
    def _ray_actor_id(self) -> ActorRef:
        return self._ref

    def __dir__(self) -> list[str]:
        return sorted({*object.__dir__(self), *self._methods.options})

    def __hash__(self) -> int:
        return hash(self._ref)

    def __eq__(self, other: object) -> bool:
        # Not isinstance: that asks what a thing says of its own class.
        return issubclass(type(other), ActorHandle) and self._ref == other._ref  # type: ignore[attr-defined]  # it is one

    def __repr__(self) -> str:
        return f"Actor({self._methods.class_name}, {self._ref.hex()})"

    def __reduce__(self) -> tuple[Any, ...]:
        methods = self._methods
        if methods.groups:
            return rebuild, (self._ref, methods.class_name, methods.to_send(), methods.groups)
        return rebuild, (self._ref, methods.class_name, methods.to_send())


def rebuild(ref: ActorRef, class_name: str, methods: Sent, groups: tuple[str, ...] = ()) -> ActorHandle[Any]:
    """Return a handle of an actor whose class is not at hand."""
    return ActorHandle(ref, Methods(class_name, methods, groups))
