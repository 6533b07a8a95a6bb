"""From definitions and options to specs: what is registered with the head once and mentioned by number ever after."""

from __future__ import annotations

import pickle
from copy import copy
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from actorgrid.core import messages as m
from actorgrid.core.messages import A_METHOD, A_TASK, AN_ACTOR, AS_ACTOR, Spec
from actorgrid.core.resources import demand
from actorgrid.core.stream import streams
from actorgrid.core.texts import visible
from actorgrid.engine.definitions import (
    DYNAMIC,
    STREAMING,
    ActorDefinition,
    ActorOptions,
    FunctionDefinition,
    MethodOptions,
    RetryExceptions,
    TaskOptions,
    Where,
)
from actorgrid.engine.interrupts import protected
from actorgrid.engine.serialize import dumps

if TYPE_CHECKING:
    from actorgrid.engine.local import CallingEngine

#: ``max_concurrency`` of an actor with async methods that does not say (Ray's default).
ASYNC_CONCURRENCY = 1000


class PreparedCall:
    """A registered spec. When the last one goes, the head may forget the spec and perhaps the code.

    ``engine`` is None when that engine is over and nobody is to be told any more.
    """

    __slots__ = ("__weakref__", "captured", "counted", "engine", "num_returns", "number", "spec", "streams")

    def __init__(self, engine: CallingEngine, spec: Spec) -> None:
        self.engine: CallingEngine | None = engine
        self.spec = spec
        self.number = spec.spec
        self.num_returns = spec.num_returns
        #: Calls return a generator.
        self.streams = streams(spec)
        #: The same call with one result, which says when it is over, for callers that count (``max_pending_calls``).
        self.counted: PreparedCall | None = None
        #: The same call for callers in a placement group that take along what they submit, by that group.
        self.captured: dict[int, PreparedCall] = {}

    @protected
    def __del__(self) -> None:
        """Tell the engine, which may only note it down here."""
        try:
            self.engine.forgotten.append(self.spec)  # type: ignore[union-attr]  # see below
        except AttributeError:  # never finished, or its engine is over, or the interpreter is going down
            pass


def task_spec(definition: FunctionDefinition, options: TaskOptions) -> Spec:
    """Return the spec of a remote function; its number and digest are still to be filled in."""
    return Spec(
        0,
        A_TASK,
        options.name or visible(definition.name),
        demand=demand(_amounts(options.num_cpus, options)),
        num_returns=options.num_returns if options.num_returns >= 0 else 1,
        yields=_yields(options),
        max_retries=options.max_retries,
        retry_exceptions=_pickled(options.retry_exceptions),
        max_calls=options.max_calls,
        priority=options.priority,
        timeout=options.timeout,
        run_timeout=options.run_timeout,
        function=visible(definition.name) if options.name else "",
        placement=_placement(options.where),
    )


def method_spec(method: str, display_name: str, options: MethodOptions) -> Spec:
    """Return the spec of an actor's method; its number is still to be filled in."""
    if type(options.retry_exceptions) is bool:
        return copy(_plain_method_spec(method, display_name, options))
    return _method_spec(method, display_name, options)  # how classes pickle depends on the process


def _method_spec(method: str, display_name: str, options: MethodOptions) -> Spec:
    return Spec(
        0,
        A_METHOD,
        options.name or visible(display_name),
        method=method,
        num_returns=options.num_returns if options.num_returns >= 0 else 1,
        yields=_yields(options),
        max_retries=AS_ACTOR if options.max_task_retries is None else options.max_task_retries,
        retry_exceptions=_pickled(options.retry_exceptions),
        readonly=options.readonly,
        timeout=options.timeout,
        run_timeout=options.run_timeout,
        group=options.concurrency_group,
        function=visible(display_name) if options.name else "",
    )


#: Each process that gets a handle needs it anew.
_plain_method_spec: Final = lru_cache(maxsize=1024)(_method_spec)


def _yields(options: TaskOptions | MethodOptions) -> int:
    if options.num_returns == STREAMING:
        return options.backpressure
    return m.DYNAMIC if options.num_returns == DYNAMIC else 0


def actor_spec(definition: ActorDefinition, options: ActorOptions) -> Spec:
    """Return the spec of an actor class."""
    resources = demand(_amounts(0.0, options))
    # Ray's rule: 1 CPU to be placed and 0 to live; if some resource is asked for, 1 CPU (or num_cpus) for life.
    if options.num_cpus is None and not resources:
        placement, lifetime = demand({"CPU": 1.0}), demand({})
    else:
        cpus = 1.0 if options.num_cpus is None else options.num_cpus
        placement = lifetime = demand(_amounts(cpus, options))
    concurrency = options.max_concurrency
    if concurrency is None:
        concurrency = ASYNC_CONCURRENCY if definition.is_async else 1
    groups = (("", concurrency), *options.concurrency_groups.items()) if options.concurrency_groups else ()
    return Spec(
        0,
        AN_ACTOR,
        visible(definition.name),
        demand=placement,
        num_returns=0,
        priority=options.priority,
        max_restarts=options.max_restarts,
        max_task_retries=options.max_task_retries,
        max_concurrency=sum(limit for _, limit in groups) or concurrency,
        groups=groups,
        is_async=definition.is_async,
        detached=options.detached,
        out_of_order=options.allow_out_of_order_execution,
        checkpoint_calls=options.checkpoint_calls,
        checkpoint_seconds=options.checkpoint_seconds,
        lifetime_demand=lifetime,
        placement=_placement(options.where),
    )


def _placement(where: Where) -> m.Placement | None:
    if not where.said:
        return None
    group = where.group
    return m.Placement(0) if group is None else m.Placement(group.ident, where.bundle, where.capture, group.bundles)


def _amounts(num_cpus: float, options: TaskOptions | ActorOptions) -> dict[str, float]:
    return {**options.resources, "CPU": num_cpus, "GPU": options.num_gpus, "memory": float(options.memory)}


def _pickled(retry: RetryExceptions) -> bytes:
    if retry is False or retry == ():
        return b""
    return pickle.dumps(True) if retry is True else dumps(retry, "retry_exceptions").inline()
