"""Remote functions: ``f.remote(...)`` and ``f.options(...).remote(...)``."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, Generic, Never, ParamSpec, TypeVar, cast, overload

from actorgrid.api.options import check_generator, check_task_options, deprecated, generates, task_options
from actorgrid.api.signature import Signature, of_callable
from actorgrid.engine.current import current, installed
from actorgrid.engine.definitions import FunctionDefinition
from actorgrid.engine.protocol import UNPREPARED

if TYPE_CHECKING:
    from actorgrid.dag.nodes import FunctionNode
    from actorgrid.engine.generators import ObjectRefGenerator
    from actorgrid.engine.protocol import Engine, Prepared
    from actorgrid.engine.refs import ObjectRef

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
Out_co = TypeVar("Out_co", covariant=True)

#: So many results of ``options`` are remembered per function, so that its use in a loop prepares nothing anew.
_REMEMBERED: Final = 64


class TaskCaller(Generic[P, Out_co]):
    """A function with its options, ready to be called."""

    __slots__ = ("__dict__", "__weakref__", "_checks", "_definition", "_options", "_prepared")

    def __init__(self, definition: FunctionDefinition, checks: Signature, options: Mapping[str, Any]) -> None:
        self._definition = definition
        self._checks = checks
        self._options = options
        self._prepared = UNPREPARED

    # Checked in full unless a reference stands for a value: mypy, pyright, ty and pyrefly agree on this form only. What
    # returns an iterator is a generator. ``Never`` is for what returns ``Any``: it would be taken for an iterator, too.
    @overload
    def remote(self: TaskCaller[P, ObjectRef[Never]], /, *args: P.args, **kwargs: P.kwargs) -> Out_co: ...  # type: ignore[overload-overlap]  # the first counts
    @overload
    def remote(
        self: TaskCaller[P, ObjectRef[Iterator[T]]], /, *args: P.args, **kwargs: P.kwargs
    ) -> ObjectRefGenerator[T]: ...
    @overload
    def remote(self, /, *args: P.args, **kwargs: P.kwargs) -> Out_co: ...
    @overload
    def remote(self: TaskCaller[P, ObjectRef[Never]], a: ObjectRef[Any], /, *args: Any, **kwargs: Any) -> Out_co: ...
    @overload
    def remote(
        self: TaskCaller[P, ObjectRef[Iterator[T]]], a: ObjectRef[Any], /, *args: Any, **kwargs: Any
    ) -> ObjectRefGenerator[T]: ...
    @overload
    def remote(self, a: ObjectRef[Any], /, *args: Any, **kwargs: Any) -> Out_co: ...
    @overload
    def remote(
        self: TaskCaller[P, ObjectRef[Never]], a: Any, b: ObjectRef[Any], /, *args: Any, **kwargs: Any
    ) -> Out_co: ...
    @overload
    def remote(
        self: TaskCaller[P, ObjectRef[Iterator[T]]], a: Any, b: ObjectRef[Any], /, *args: Any, **kwargs: Any
    ) -> ObjectRefGenerator[T]: ...
    @overload
    def remote(self, a: Any, b: ObjectRef[Any], /, *args: Any, **kwargs: Any) -> Out_co: ...

    def remote(self, /, *args: Any, **kwargs: Any) -> Any:
        """Start a task that calls the function, and return a reference to its result at once.

        References among the arguments are replaced by their values before the function runs. With
        ``num_returns=0`` the result is None, with ``num_returns=n`` a list of ``n`` references; a generator function
        returns an ObjectRefGenerator. Raises TypeError for arguments that the function does not take or that cannot be
        pickled, InfeasibleResourcesError, ValueError for a ``runtime_env`` whose folders are not there.
        """
        engine = installed()
        if engine is None:
            engine = current()
        prepared = self._prepared
        if engine is not prepared.engine:
            prepared = self._prepare(engine)
        checks = self._checks
        if kwargs or not checks.low <= len(args) <= checks.high:
            checks.check(args, kwargs, self._definition.name)
        return engine.submit(prepared, args, kwargs)

    def bind(self, /, *args: Any, **kwargs: Any) -> FunctionNode:
        """Note a call as a step of a graph (see ``actorgrid.dag``) instead of making it; arguments may be steps, too.

        Raises TypeError for arguments that the function does not take.
        """
        from actorgrid.dag.nodes import FunctionNode  # for programs with graphs

        self._checks.check(args, kwargs, self._definition.name)
        return FunctionNode(self, self._definition.name, args, kwargs, self._options)

    def __reduce__(self) -> str | tuple[Any, ...]:
        # Not kept: it keeps what ``options`` made of it, and a circle would outlive its last user.
        function = self._definition.function
        made_of = importable(function.__module__, self._definition.name)
        if not isinstance(made_of, RemoteFunction) or made_of._function is not function:  # noqa: SLF001  # of this module
            made_of = RemoteFunction(function, {})
        return _configured, (made_of, dict(self._options))

    def _prepare(self, engine: Engine) -> Prepared:
        definition = self._definition
        options = task_options(self._options, streams=generates(definition.function))
        self._prepared = prepared = engine.prepare_task(definition, options)
        return prepared


class RemoteFunction(TaskCaller[P, "ObjectRef[R]"], Generic[P, R]):
    """What ``@remote`` makes of a function. ``_function`` is the function itself."""

    __slots__ = ("_configured",)
    __name__: str
    __qualname__: str

    def __init__(self, function: Callable[P, R], options: Mapping[str, Any]) -> None:
        if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
            raise ValueError("'async def' functions cannot be remote functions; use an async actor")
        checked = check_task_options(options, at_use=False)
        name = getattr(function, "__qualname__", None) or getattr(function, "__name__", None) or repr(function)
        check_generator(checked, function, name)
        super().__init__(FunctionDefinition(function, name), of_callable(function), checked)
        self._configured: dict[Any, TaskCaller[P, Any]] = {}
        functools.update_wrapper(self, function)

    @property
    def _function(self) -> Callable[P, R]:
        return cast("Callable[P, R]", self._definition.function)

    @overload
    def options(self, *, num_returns: int | str | None, **options: Any) -> TaskCaller[P, Any]: ...
    @overload
    def options(self, **options: Any) -> TaskCaller[P, ObjectRef[R]]: ...

    def options(self, **options: Any) -> TaskCaller[P, Any]:
        """Return the function with other options for one use: ``f.options(num_cpus=2).remote(...)``.

        Raises ValueError for unknown options and bad values, TypeError for wrong types.
        """
        key = tuple((name, type(value), value) for name, value in options.items())
        try:
            known = self._configured.get(key)
        except TypeError:  # a value that cannot be hashed
            return self._configure(options)
        if known is None:
            known = self._configure(options)
            if len(self._configured) >= _REMEMBERED:
                self._configured.clear()
            if not deprecated(options):  # which warns each time
                self._configured[key] = known
        return known

    def _configure(self, options: Mapping[str, Any]) -> TaskCaller[P, Any]:
        given = check_task_options(options, at_use=True, on=self._options)
        check_generator(given, self._definition.function, self._definition.name)
        return TaskCaller(self._definition, self._checks, {**self._options, **given})

    def _remote(self, args: Any = (), kwargs: Any = None, **options: Any) -> Any:
        caller: Any = self.options(**options) if options else self
        return caller.remote(*args, **(kwargs or {}))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Raise TypeError: remote functions are called with ``.remote``."""
        del args, kwargs
        name = f"{self._definition.function.__module__}.{self._definition.name}"
        raise TypeError(
            f"Remote functions cannot be called directly. Instead of running '{name}()', try '{name}.remote()'."
        )

    def __repr__(self) -> str:
        return f"<remote function {self._definition.name}>"

    def __reduce__(self) -> str | tuple[Any, ...]:
        name = self._definition.name
        if is_importable(self, self._definition.function.__module__, name):
            return name
        return RemoteFunction, (self._definition.function, dict(self._options)), self._attributes()

    def _attributes(self) -> dict[str, Any] | None:
        """Return those that it does not have from its function."""
        function = self._definition.function
        missing = object()
        own = {name: value for name, value in vars(self).items() if getattr(function, name, missing) is not value}
        own.pop("__wrapped__", None)
        return own or None


def _configured(function: RemoteFunction[P, R], options: Mapping[str, Any]) -> TaskCaller[P, Any]:
    """Return the function with exactly these options: what a ``TaskCaller`` is where it was sent."""
    return TaskCaller(function._definition, function._checks, options)  # noqa: SLF001  # a class of this module


def is_importable(thing: object, module: str | None, name: str) -> bool:
    """Return whether ``import module`` finds ``thing`` under ``name``, so that it can be pickled by reference."""
    return importable(module, name) is thing


def importable(module: str | None, name: str) -> object:
    """Return what ``import module`` finds under ``name``; None: nothing, or the module is pickled by value."""
    if module is None or module in {"__main__", "__mp_main__"} or _goes_by_value(module):
        return None
    found: object = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return found


def _goes_by_value(module: str) -> bool:
    cloudpickle = sys.modules.get("cloudpickle")
    if cloudpickle is None:
        return False
    return any(module == name or module.startswith(f"{name}.") for name in cloudpickle.list_registry_pickle_by_value())
