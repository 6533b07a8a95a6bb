"""An engine that runs every call at once, in the caller: enough to test what ``api`` does with the protocol."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from actorgrid.core.messages import Metric
from actorgrid.core.resources import demand
from actorgrid.engine.definitions import (
    ActorDefinition,
    ActorOptions,
    Context,
    FunctionDefinition,
    GroupRef,
    MethodOptions,
    TaskOptions,
    to_send,
)
from actorgrid.engine.generators import ObjectRefGenerator
from actorgrid.engine.protocol import Engine, Handle, Returns, Waitable
from actorgrid.engine.refs import ActorRef, ObjectRef
from actorgrid.exceptions import GetTimeoutError, TaskError

SESSION = "ab" * 16


class FakeEntry:
    def __init__(self, engine: FakeEngine, oid: int) -> None:
        self.fake = engine
        self.oid = oid
        self.refs = 0
        self.value: Any = None
        self.error: BaseException | None = None
        self.ready = True

    @property
    def engine(self) -> Engine:
        return self.fake

    def drop(self) -> None:
        self.refs -= 1

    def hex(self) -> str:
        return (f"{self.oid:016x}" + SESSION * 2)[:56]

    def reduce(self) -> tuple[Any, ...]:
        return find_ref, (self.oid, self.oid in self.fake.actors)


class Prepared(NamedTuple):
    """A call that can be made again and again."""

    engine: FakeEngine
    name: str
    options: Any
    #: The function, or the name of the method.
    what: Any


class FakeEngine:
    name = "fake"
    stall_warning: float | None = None

    def __init__(self) -> None:
        self.entries: dict[int, FakeEntry] = {}
        self.actors: dict[int, Any] = {}
        self.names: dict[tuple[str, str], tuple[int, str, dict[str, MethodOptions]]] = {}
        self.log: list[tuple[Any, ...]] = []
        self.here = Context(namespace="ns", session=SESSION)
        self.closed = 0
        self.belongings: dict[str, Any] = {}
        global _engine  # noqa: PLW0603
        _engine = self

    def entry(self) -> FakeEntry:
        oid = len(self.entries) + 1
        entry = self.entries[oid] = FakeEntry(self, oid)
        return entry

    def run(self, name: str, num_returns: int, function: Callable[..., Any], args: Any, kwargs: Any) -> Returns:
        def resolve(value: Any) -> Any:
            return self.value(value) if isinstance(value, ObjectRef) else value

        if num_returns < 0:  # what comes of a generator is told by the contract tests
            return None
        entries = [self.entry() for _ in range(max(num_returns, 1))]
        try:
            result = function(*map(resolve, args), **{key: resolve(value) for key, value in kwargs.items()})
            for entry, value in zip(entries, result if num_returns > 1 else [result], strict=True):
                entry.value = value
        except Exception as error:  # noqa: BLE001
            for entry in entries:
                entry.error = TaskError(name, "…", error, pid=1).as_instanceof_cause()
        refs = [ObjectRef[Any](entry) for entry in entries]
        return None if num_returns == 0 else refs[0] if num_returns == 1 else refs

    def prepare_task(self, definition: FunctionDefinition, options: TaskOptions) -> Any:
        self.log.append(("prepare_task", definition.name, options))
        return Prepared(self, definition.name, options, definition.function)

    def submit(self, prepared: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Returns:
        return self.run(prepared.name, prepared.options.num_returns, prepared.what, args, kwargs)

    def create_actor(
        self, definition: ActorDefinition, options: ActorOptions, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[ActorRef, bool]:
        self.log.append(("create_actor", definition, options))
        entry = self.entry()
        self.actors[entry.oid] = definition.cls(*args, **kwargs)
        if options.name:
            self.names[options.namespace or "ns", options.name] = (entry.oid, definition.name, definition.methods)
        return ActorRef(entry), True

    def prepare_method(self, method: str, display_name: str, options: MethodOptions) -> Any:
        self.log.append(("prepare_method", display_name, options))
        return Prepared(self, display_name, options, method)

    def call(self, actor: ActorRef, prepared: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Returns:
        _, name, options, method = prepared
        instance = self.actors[actor.ident]
        special: dict[str, Callable[..., Any]] = {
            "__ray_ready__": lambda: True,
            "__ray_call__": lambda f, *a, **k: f(instance, *a, **k),
        }
        return self.run(name, options.num_returns, special.get(method) or getattr(instance, method), args, kwargs)

    def put(self, value: Any) -> ObjectRef[Any]:
        entry = self.entry()
        entry.value = value
        return ObjectRef(entry)

    def setup_for(self, own: Mapping[str, Any]) -> bytes:
        return repr(own).encode()

    def unneeded(self, setup: bytes) -> None:
        self.log.append(("unneeded", setup))

    def keep_changes(self) -> None:
        self.log.append(("keep_changes",))

    def explain(self, ref: ObjectRef[Any]) -> list[str]:
        self.log.append(("explain", ref))
        return ["the object exists"]

    def get(self, refs: Sequence[ObjectRef[Any]], timeout: float | None) -> list[Any]:
        self.log.append(("get", timeout))
        if any(not self.entries[hash(ref)].ready for ref in refs):
            raise GetTimeoutError(str(timeout))
        return [self.value(ref) for ref in refs]

    def next_item(self, generator: ObjectRefGenerator[Any], timeout: float | None) -> ObjectRef[Any] | None:
        raise NotImplementedError

    def lets_come(self, entry: Any) -> bool:
        raise NotImplementedError

    def sees_item(self, generator: ObjectRefGenerator[Any]) -> bool:
        raise NotImplementedError

    def on_item(self, generator: ObjectRefGenerator[Any], callback: Callable[[], None]) -> None:
        raise NotImplementedError

    def close_stream(self, generator: ObjectRefGenerator[Any]) -> None:
        raise NotImplementedError

    def wait(self, refs: Sequence[Waitable], num_returns: int, timeout: float | None) -> tuple[list[Any], list[Any]]:
        return list(refs[:num_returns]), list(refs[num_returns:])

    def awaiting(self, loop: Any) -> None:
        del loop

    def say_stalled(self, call: str, seconds: float, entry: Any, others: int) -> None:
        raise NotImplementedError(call, seconds, entry, others)

    def on_ready(self, ref: ObjectRef[Any], callback: Callable[[ObjectRef[Any]], None]) -> None:
        callback(ref)

    def value(self, ref: ObjectRef[Any]) -> Any:
        entry = self.entries[hash(ref)]
        if entry.error is not None:
            raise entry.error
        return entry.value

    def cancel(self, ref: ObjectRef[Any], *, force: bool, recursive: bool, waiting: bool = False) -> None:
        del waiting
        self.log.append(("cancel", ref, force, recursive))

    def kill(self, actor: ActorRef, *, no_restart: bool) -> None:
        self.log.append(("kill", actor, no_restart))

    def get_actor(self, name: str, namespace: str | None) -> Handle:
        try:
            ident, class_name, methods = self.names[namespace or "ns", name]
        except KeyError:
            raise ValueError(f"Failed to look up actor with name '{name}'") from None
        return ActorRef(self.entries[ident], weak=True), class_name, to_send(methods), ()

    def process(self) -> int:
        return 1

    def end_of(self, process: int) -> ObjectRef[None]:
        raise AssertionError(process)

    def named_actors(self) -> list[tuple[str, str]]:
        return list(self.names)

    def exit_actor(self) -> None:
        raise TypeError("exit_actor can only be called inside an actor")

    def context(self) -> Context:
        return self.here

    def settle(self) -> bool:
        return True

    def current_actor(self) -> Handle:
        if not self.here.actor:
            raise RuntimeError("not in an actor")
        return ActorRef(self.entries[self.here.actor], weak=True), "A", {"m": MethodOptions()}, ()

    def create_group(self, bundles: Any, strategy: str, name: str, *, detached: bool, labels: Any) -> GroupRef:
        self.log.append(("create_group", bundles, strategy, name, detached, labels))
        return GroupRef(7, SESSION, tuple(map(demand, bundles)))

    def group_ready(self, group: GroupRef, value: Any) -> ObjectRef[Any]:
        return self.put(value)

    def remove_group(self, group: GroupRef) -> None:
        self.log.append(("remove_group", group))

    def find_group(self, name: str) -> GroupRef | None:
        return None

    def placement_groups(self) -> list[tuple[GroupRef, dict[str, Any]]]:
        return []

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": 2.0}

    def available_resources(self) -> dict[str, float]:
        return {"CPU": 1.0}

    def nodes(self) -> list[dict[str, Any]]:
        return [{"NodeID": SESSION[:28] * 2, "Labels": {"zone": "here"}}]

    def describe(self, metric: Metric) -> None:
        """Take any."""

    def measure(self, metric: Metric, tags: tuple[tuple[str, str], ...], value: float) -> None:
        raise NotImplementedError(metric, tags, value)

    def inspect(self, what: str, body: dict[str, Any], timeout: float | None = None) -> dict[str, Any]:
        raise NotImplementedError(what, body, timeout)

    def has_ended(self) -> bool:
        return False

    def shutdown(self) -> None:
        self.closed += 1


_engine: FakeEngine | None = None


def find_ref(oid: int, actor: bool) -> ObjectRef[Any] | ActorRef:
    """Unpickle a reference."""
    assert _engine is not None
    entry = _engine.entries[oid]
    return ActorRef(entry) if actor else ObjectRef(entry)
