"""What type checkers must accept, and the types that they must see. Checked, never run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Generator, Iterator
from typing import Any, assert_type

import actorgrid as ag
from actorgrid.actor import ActorProxy
from actorgrid.dag import ClassNode, CompiledDAG, FunctionNode, InputNode, MultiOutputNode
from actorgrid.job_config import JobConfig
from actorgrid.util import get_current_placement_group, placement_group
from actorgrid.util.placement_group import PlacementGroup
from actorgrid.util.scheduling_strategies import PlacementGroupSchedulingStrategy


@ag.remote
def add(a: int, b: int = 0, *, scale: float = 1.0) -> float:
    return (a + b) * scale


@ag.remote(num_cpus=2)
def name(x: int) -> str:
    return str(x)


@ag.remote(num_returns=2)
def pair() -> tuple[int, int]:
    return 1, 2


class Counter:
    def __init__(self, value: int = 0) -> None:
        self.value = value

    @ag.method(max_task_retries=1)
    def add(self, by: int = 1) -> int:
        return self.value + by

    def count(self, most: int) -> Iterator[int]:
        yield from range(self.value, most)

    async def count_slowly(self, most: int) -> AsyncIterator[int]:
        yield most

    def anything(self, by: int) -> Any:
        return by


RemoteCounter = ag.remote(Counter)


def functions() -> None:
    ref = add.remote(1, 2, scale=2.0)
    assert_type(ref, ag.ObjectRef[float])
    assert_type(ag.get(ref), float)
    assert_type(ag.get([ref, ref]), list[float])
    assert_type(ag.get(ref, timeout=1), float)
    number = ag.put(int("1"))
    assert_type(number, ag.ObjectRef[int])
    assert_type(add.remote(number), ag.ObjectRef[float])
    assert_type(add.remote(1, number, scale=3.0), ag.ObjectRef[float])
    assert_type(add.remote(a=number.arg), ag.ObjectRef[float])
    assert_type(name.remote(1), ag.ObjectRef[str])
    assert_type(name.options(num_cpus=3).remote(1), ag.ObjectRef[str])
    _, _ = pair.remote()
    _, _ = add.options(num_returns=2).remote(1)
    ready, rest = ag.wait([ref], num_returns=1, timeout=0.5)
    assert_type(ready, list[ag.ObjectRef[float]])
    assert_type(rest, list[ag.ObjectRef[float]])
    ag.cancel(ref, force=True)


def actors() -> None:
    handle = RemoteCounter.options(name="n").remote(3)
    assert_type(handle, ag.ActorHandle[Counter])
    assert_type(handle.call(Counter.add, by=2), ag.ObjectRef[int])
    assert_type(ag.get(handle.call(Counter.add)), int)
    handle.add.remote(2)
    ag.kill(handle)


class Marked:
    @ag.method
    def add(self, by: int = 1) -> int:
        return self.plain(by)

    @ag.method(max_task_retries=1)
    def plain(self, by: int) -> int:
        return by

    @ag.method(num_returns=2)
    def both(self) -> tuple[int, int]:
        return 1, 2

    @ag.method
    def count(self, most: int) -> Iterator[str]:
        yield from map(str, range(most))

    @ag.method
    async def slowly(self, most: int) -> str:
        return await self.slowly(most)


def proxies(proxy: ActorProxy[Marked], cls: type[Marked]) -> None:
    number = cls.add.remote(2)
    assert_type(number, ag.ObjectRef[int])
    assert_type(cls.add.options(name="add").remote(number), ag.ObjectRef[int])
    assert_type(cls.count.remote(3), ag.ObjectRefGenerator[str])
    assert_type(ag.get(cls.slowly.remote(most=3)), str)
    _, _ = proxy.both.remote()
    _, _ = cls.add.options(num_returns=2).remote(1)
    cls.add.bind(1)
    ag.kill(proxy)
    proxy.add.remote()
    proxy.plain.remote(number)
    assert_type(Marked().add(3), int)
    handle = ag.remote(Marked).remote()
    proxies(handle, Marked)
    assert_type(handle.call(Marked.add, 2), ag.ObjectRef[int])


async def awaiting() -> None:
    ref = add.remote(1)
    assert_type(await ref, float)
    assert_type(await asyncio.gather(ref, name.remote(1)), tuple[float, str])


def session() -> None:
    with ag.init(num_cpus=2, namespace="n") as context:
        assert_type(context, ag.GridContext)
    assert_type(ag.cluster_resources(), dict[str, float])
    assert_type(ag.get_runtime_context(), ag.RuntimeContext)


@ag.remote
def numbers(most: int) -> Iterator[int]:
    yield from range(most)


@ag.remote(num_cpus=0)
def words(most: int) -> Generator[str, None, None]:
    yield from map(str, range(most))


@ag.remote
def anything(value: int) -> Any:
    return value


def generators() -> None:
    stream = numbers.remote(3)
    assert_type(stream, ag.ObjectRefGenerator[int])
    for ref in stream:
        assert_type(ref, ag.ObjectRef[int])
    assert_type(ag.get(next(stream)), int)
    assert_type(words.options(num_cpus=1).remote(3), ag.ObjectRefGenerator[str])
    handle = RemoteCounter.remote()
    assert_type(handle.call(Counter.count, 3), ag.ObjectRefGenerator[int])
    assert_type(handle.call(Counter.count_slowly, most=3), ag.ObjectRefGenerator[int])
    assert_type(ag.get(handle.call(Counter.anything, 3)), Any)
    ready, _ = ag.wait([stream, numbers.remote(1)])
    assert_type(ready, list[ag.ObjectRefGenerator[int]])
    ag.wait([stream, ag.put(1)])
    ag.cancel(stream)
    ag.explain(stream)
    assert_type(stream.next_ready() and stream.is_finished(), bool)
    stream.close()
    assert_type(ag.get(anything.remote(1)), Any)


def placing() -> None:
    group = placement_group([{"CPU": 1, "GPU": 0.5}], strategy="SPREAD", name="a", lifetime="detached")
    assert_type(group, PlacementGroup)
    assert_type(group.ready(), ag.ObjectRef[PlacementGroup])
    assert_type(group.wait(timeout_seconds=3), bool)
    assert_type(get_current_placement_group(), PlacementGroup | None)
    inside = add.options(scheduling_strategy=PlacementGroupSchedulingStrategy(group, 0), label_selector={"a": "b"})
    assert_type(inside.remote(1), ag.ObjectRef[float])


def modules() -> None:
    def f(ref: ag.types.ObjectRef[int]) -> None: ...

    f(ag.put(int("1")))
    ag.cloudpickle.loads(ag.cloudpickle.dumps(f))
    assert_type(ag.job_config.JobConfig(), JobConfig)
    assert_type(ag.experimental.get_object_locations([]), dict[ag.ObjectRef[Any], dict[str, Any]])
    assert_type(ag.runtime_context.get_runtime_context(), ag.RuntimeContext)
    isinstance(add, ag.remote_function.RemoteFunction)


def identifiers(
    job: ag.JobID, node: ag.NodeID, worker: ag.WorkerID, task: ag.TaskID, actor: ag.ActorID | None,
    group: ag.PlacementGroupID, unique: ag.UniqueID, function: ag.FunctionID, cls: ag.ActorClassID, thing: object,
) -> None:  # fmt: skip
    ids = [job, node, worker, task, group, unique, function, cls]
    assert_type([each.hex() for each in ids], list[str])
    assert_type(job.binary(), bytes)
    assert_type(task.is_nil(), bool)
    ref: ag.ObjectID[int] = ag.put(int("1"))
    job = ref.job_id()
    group = placement_group([{"CPU": 1}]).id
    actor = RemoteCounter.remote()._actor_id
    assert_type(actor.hex(), str)
    if isinstance(thing, ag.ActorID | ag.JobID):
        assert_type(thing.hex(), str)


async def reading() -> None:
    async for ref in numbers.remote(3):
        assert_type(await ref, int)


def graphs() -> None:
    with InputNode() as value:
        node = add.bind(value.x, b=value[1])
    assert_type(node, FunctionNode)
    assert_type(add.options(num_cpus=2).bind(1), FunctionNode)
    actor = RemoteCounter.options(num_cpus=0).bind(3)
    assert_type(actor, ClassNode)
    graph = MultiOutputNode([node, actor.add.bind(by=2)])
    graph.execute(1, x=2)
    assert_type(graph.experimental_compile(_max_inflight_executions=2), CompiledDAG)
