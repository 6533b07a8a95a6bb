"""What can be a step of a graph: calls of functions and methods, actors, the input, several outputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any, Self

from actorgrid.dag.graph import Node, Role, ordered
from actorgrid.dag.inputs import GraphInput, input_of
from actorgrid.engine.current import current

if TYPE_CHECKING:
    from actorgrid.dag.compiled import CompiledDAG


class DAGNode(Node):
    """A step of a graph. Steps are made by ``bind``, ``InputNode`` and ``MultiOutputNode``, and cannot be sent."""

    def execute(self, *args: Any, _ray_cache_refs: bool = False, **kwargs: Any) -> Any:
        """Make every call that this step needs, then its own; return what that call returns: a reference.

        The arguments are what the graph's InputNode stands for. Executing an ``Actor.bind()`` gives a handle, a
        MultiOutputNode a list. Raises TypeError for arguments of a graph without input, and the other way round;
        ValueError for ``_ray_cache_refs``; and what ``remote`` raises.
        """
        if _ray_cache_refs:
            raise ValueError("'_ray_cache_refs' keeps references with their steps: let the graph return what you need")
        order = ordered(self)
        given = GraphInput(args, kwargs, wanted=input_of(order) is not None)
        results: dict[Node, Any] = {}
        for node in order:
            results[node] = node._make(results, given)
        return results[self]

    #: What its call asks for besides.
    _bound_options: Mapping[str, Any] = MappingProxyType({})

    def get_args(self) -> tuple[Any, ...]:
        """Return what it was bound with by position."""
        return self._bound_args

    def get_kwargs(self) -> dict[str, Any]:
        """Return what it was bound with by keyword."""
        return dict(self._bound_kwargs)

    def get_options(self) -> dict[str, Any]:
        """Return the options of its call; of a method of a handle its name, number of results and concurrency group."""
        return dict(self._bound_options)

    def get_stable_uuid(self) -> str:
        """Return 32 hex digits that no other step has."""
        return self._uuid

    @cached_property
    def _uuid(self) -> str:
        from uuid import uuid4  # for programs that ask

        return uuid4().hex

    def experimental_compile(
        self,
        _submit_timeout: float | None = None,
        _buffer_size_bytes: int | None = None,
        enable_asyncio: bool = False,
        _max_inflight_executions: int | None = None,
        _max_buffered_results: int | None = None,
        _overlap_gpu_communication: bool | None = None,
        _default_communicator: Any = None,
    ) -> CompiledDAG:
        """Turn the graph into a pipeline of its actors, which do nothing else from now on, until ``teardown``.

        It must consist of methods of actors that are there (``handle.method.bind``), begin with one InputNode, and
        each method must be given it or another node. Values go through shared memory, not through the head.

        ``_submit_timeout``: seconds that ``execute`` may wait for an execution whose result nobody wants (10).
        ``_buffer_size_bytes``: the largest value between two steps (64 MiB; memory is taken as it is used).
        ``enable_asyncio``: for ``execute_async``. ``_max_inflight_executions``: whose results have not come (10).
        ``_max_buffered_results``: that have come before others which were asked for first (1000). The last two are for
        GPUs, and anything but their defaults is refused.

        Raises ValueError for a graph that cannot be compiled, TypeError and ValueError for bad options, ActorDiedError.
        """
        from actorgrid.dag.compiling import Limits, Plan  # for programs that compile

        if _overlap_gpu_communication or _default_communicator not in (None, "create"):
            raise ValueError("'_overlap_gpu_communication' and '_default_communicator' are for GPUs: leave them out")
        limits = Limits.checked(
            submit_timeout=_submit_timeout, buffer_size=_buffer_size_bytes, enable_asyncio=enable_asyncio,
            inflight=_max_inflight_executions, buffered=_max_buffered_results,
        )  # fmt: skip
        plan = Plan(self)
        if current().name == "process":
            from actorgrid.dag.pipeline import PipelinedDAG

            return PipelinedDAG(plan, limits)
        from actorgrid.dag.ordinary import OrdinaryDAG

        return OrdinaryDAG(plan, limits)


class FunctionNode(DAGNode):
    """``function.bind(...)``: executing it starts a task."""

    _role = Role.FUNCTION

    def __init__(
        self, caller: Any, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any], options: Mapping[str, Any]
    ) -> None:
        """``caller.remote`` makes the call, with ``options``."""
        super().__init__(args, kwargs)
        self._caller = caller
        self._name = name
        self._bound_options = options

    def _make(self, results: Mapping[Node, Any], given: Any) -> Any:
        del given
        args, kwargs = self._arguments(results)
        return self._caller.remote(*args, **kwargs)

    def __repr__(self) -> str:
        return f"FunctionNode({self._name})"


# --------------------------------------------------------------------------------------------------------- actors


class ClassNode(DAGNode):
    """``Actor.bind(...)``: each execution makes an actor of its own. Its methods are attributes, with ``bind``.

    The methods that are bound on it are called in the order in which they were bound: executing one of them calls
    those that were bound before it, too.
    """

    _role = Role.ACTOR

    def __init__(
        self, maker: Any, name: str, find: Callable[[str], Any], args: tuple[Any, ...], kwargs: Mapping[str, Any],
        options: Mapping[str, Any],
    ) -> None:  # fmt: skip
        """``maker.remote`` makes the actor, with ``options``; ``find(method)`` tells what is known of a method."""
        super().__init__(args, kwargs)
        self._bound_options = options
        self._maker = maker
        self._name = name
        self._find = find
        #: The method that was bound last.
        self._latest: ClassMethodNode | None = None

    def _make(self, results: Mapping[Node, Any], given: Any) -> Any:
        del given
        args, kwargs = self._arguments(results)
        return self._maker.remote(*args, **kwargs)

    def __getattr__(self, name: str) -> UnboundMethod:
        if name.startswith("_"):
            raise AttributeError(name)
        if self._find(name) is None:
            raise AttributeError(f"actor class {self._name!r} has no method {name!r}", name=name, obj=self)
        return UnboundMethod(self, name)

    def __repr__(self) -> str:
        return f"ClassNode({self._name})"


class UnboundMethod:
    """A method of an actor that is still to be made."""

    def __init__(self, actor: ClassNode, name: str, options: Mapping[str, Any] | None = None) -> None:
        self._actor = actor
        self._name = name
        self._options = dict(options or {})

    def options(self, **options: Any) -> UnboundMethod:
        """Return the method with other options. What is wrong with them is said when it is executed."""
        return UnboundMethod(self._actor, self._name, {**self._options, **options})

    def bind(self, /, *args: Any, **kwargs: Any) -> Any:
        """Note a call of the method; return its node, with ``num_returns=n`` a tuple of ``n`` nodes.

        Raises TypeError for arguments that the method does not take.
        """
        actor = self._actor
        known = actor._find(self._name)  # noqa: SLF001  # a class of this module
        known.checks.check(args, kwargs, known.display_name)
        count = self._options.get("num_returns", known.options.num_returns)
        node = ClassMethodNode(
            actor, self._name, self._options, args, kwargs,
            after=actor._latest, num_returns=count if isinstance(count, int) else 1,  # noqa: SLF001  # as above
        )  # fmt: skip
        actor._latest = node  # noqa: SLF001  # as above
        return outputs_of(node, count)


class ClassMethodNode(DAGNode):
    """``handle.method.bind(...)``: executing it calls the method, of an actor that is there or of a ClassNode's."""

    _role = Role.METHOD

    def __init__(
        self, actor: Any, method: str, options: Mapping[str, Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], *,
        after: ClassMethodNode | None = None, caller: Any = None, display_name: str = "", num_returns: int = 1,
    ) -> None:  # fmt: skip
        """``actor``: a handle, and ``caller`` (the method with its options) makes the call; or a ClassNode.

        ``after``: the call of the same ClassNode that comes before this one.
        """
        super().__init__(args, kwargs)
        self._actor = actor
        self._method = method
        self._bound_options = dict(options)
        self._after = after
        self._caller = caller
        self._name = display_name or f"{actor!r}.{method}"
        self._num_returns = num_returns

    def _needs(self) -> Iterator[Node]:
        if self._caller is None:
            yield self._actor
            if self._after is not None:
                yield self._after
        yield from super()._needs()

    def _make(self, results: Mapping[Node, Any], given: Any) -> Any:
        del given
        caller = self._caller
        if caller is None:
            caller = getattr(results[self._actor], self._method)
            if self._bound_options:
                caller = caller.options(**self._bound_options)
        args, kwargs = self._arguments(results)
        return caller.remote(*args, **kwargs)

    def get_method_name(self) -> str:
        """Return the name of the method."""
        return self._method

    @property
    def num_returns(self) -> int:
        """How many results the call has."""
        return self._num_returns

    @property
    def is_class_method_call(self) -> bool:
        """It is the call, and not one of its several results."""
        return not self.is_class_method_output

    @property
    def is_class_method_output(self) -> bool:
        """It is one of the several results of a call."""
        return self.class_method_call is not None

    @property
    def class_method_call(self) -> ClassMethodNode | None:
        """The call of which it is one result of several; None if it is the call."""
        return None

    @property
    def output_idx(self) -> int | None:
        """Which of the results it is, counted from 0; None if it is the call."""
        return None

    def __repr__(self) -> str:
        return f"ClassMethodNode({self._name})"


class OneOfMany(ClassMethodNode):
    """One of the results of a method with several."""

    _role = Role.ONE_OF_MANY

    def __init__(self, node: ClassMethodNode, index: int) -> None:
        actor = node._actor  # noqa: SLF001  # a class of this module
        super().__init__(actor, f"return_idx_{index}", {}, (node, index), {}, num_returns=node.num_returns)
        self._node = node
        self._index = index

    def _needs(self) -> Iterator[Node]:
        yield self._node

    @property
    def class_method_call(self) -> ClassMethodNode:
        """The call."""
        return self._node

    @property
    def output_idx(self) -> int:
        """Which of its results it is."""
        return self._index

    def _make(self, results: Mapping[Node, Any], given: Any) -> Any:
        del given
        return results[self._node][self._index]

    def __repr__(self) -> str:
        return f"{self._node!r}[{self._index}]"


def outputs_of(node: ClassMethodNode, num_returns: object) -> Any:
    """Return what ``bind`` returns: the node, or one for each of its results."""
    if isinstance(num_returns, int) and num_returns > 1:
        return tuple(OneOfMany(node, index) for index in range(num_returns))
    return node


# ---------------------------------------------------------------------------------------------- input and output


class InputNode(DAGNode):
    """What ``execute`` is given: ``with InputNode() as value: graph = f.bind(value)``.

    With one argument it is that argument, and ``value[key]`` and ``value.name`` are its items and attributes. With
    several arguments ``value[0]`` is the first one, and ``value.name`` and ``value["name"]`` the one of that name.
    """

    _role = Role.INPUT

    def __init__(self) -> None:
        super().__init__()
        self._parts: dict[tuple[Any, bool], InputAttributeNode] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is left to do: the block shows what belongs together."""

    def __getitem__(self, key: Any) -> InputAttributeNode:
        return self._part(key, is_attribute=False)

    def __getattr__(self, name: str) -> InputAttributeNode:
        if name.startswith("_"):
            raise AttributeError(name)
        return self._part(name, is_attribute=True)

    def _part(self, key: Any, *, is_attribute: bool) -> InputAttributeNode:
        return self._parts.setdefault((key, is_attribute), InputAttributeNode(self, key, is_attribute=is_attribute))

    def __iter__(self) -> Iterator[Any]:
        raise TypeError("an InputNode cannot be iterated over: nobody knows how many items it will have")

    def _make(self, results: Mapping[Node, Any], given: Any) -> Any:
        del results
        return given.whole()

    def __repr__(self) -> str:
        return "InputNode()"


class InputAttributeNode(DAGNode):
    """``input[key]`` or ``input.name``."""

    _role = Role.PART_OF_INPUT

    def __init__(self, whole: InputNode, key: Any, *, is_attribute: bool) -> None:
        super().__init__((whole,))
        self._key = key
        self._is_attribute = is_attribute

    @property
    def key(self) -> Any:
        """The key or the name."""
        return self._key

    def _make(self, results: Mapping[Node, Any], given: Any) -> Any:
        del results
        return given.part(self._key, is_attribute=self._is_attribute)

    def __repr__(self) -> str:
        return f"InputNode().{self._key}" if self._is_attribute else f"InputNode()[{self._key!r}]"


class MultiOutputNode(DAGNode):
    """The end of a graph with several results: executing it gives a list of them."""

    _role = Role.OUTPUTS

    def __init__(self, args: Sequence[DAGNode]) -> None:
        """``args``: a list or tuple of nodes. Raises TypeError for anything else, ValueError if it is empty."""
        if not isinstance(args, (list, tuple)) or not all(isinstance(each, DAGNode) for each in args):
            raise TypeError(f"MultiOutputNode takes a list of nodes, which bind() returns, not {args!r:.100}")
        if not args:
            raise ValueError("MultiOutputNode needs at least one node")
        super().__init__(tuple(args))

    def _make(self, results: Mapping[Node, Any], given: Any) -> list[Any]:
        del given
        return [results[node] for node in self._bound_args]

    def __repr__(self) -> str:
        return f"MultiOutputNode({list(self._bound_args)!r})"
