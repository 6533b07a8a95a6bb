"""Devices in the head, one rule at a time; every event is followed by a check of all books."""

from __future__ import annotations

from typing import Any

import pytest

from actorgrid.core import messages as m
from actorgrid.core.head.explain import explain
from actorgrid.core.head.ready import PATIENCE
from actorgrid.core.messages import Kind
from actorgrid.core.resources import demand
from tests.core.bench import Bench
from tests.core.reserving import create, free, gpu_spec, gpus, inside, placed, reserve


def devices(bench: Bench, task: int) -> list[int]:
    return [device for device, _ in bench.worker_of(task).devices]


def test_each_task_gets_devices_that_nobody_else_has() -> None:
    bench = Bench(CPU=4, GPU=4)
    one, two, three = (bench.submit(gpu_spec(bench, amount)) for amount in (1, 2, 1))
    assert sorted(devices(bench, one) + devices(bench, two) + devices(bench, three)) == [0, 1, 2, 3]
    last = bench.submit(gpu_spec(bench, 2))
    assert bench.worker_of(last) is None
    given = devices(bench, two)
    bench.done(two)
    assert devices(bench, last) == given


def test_parts_share_a_device_and_break_into_no_other_without_need() -> None:
    bench = Bench(GPU=2)
    spec = gpu_spec(bench, 0.5)
    first, second = bench.submit(spec), bench.submit(spec)
    assert devices(bench, first) == devices(bench, second) == [0]
    assert devices(bench, bench.submit(gpu_spec(bench, 1))) == [1]


def test_whole_device_is_not_pieced_together() -> None:
    bench = Bench(GPU=2)
    parts = [bench.submit(gpu_spec(bench, 0.6)) for _ in range(2)]
    whole = bench.submit(gpu_spec(bench, 0.8))
    assert free(bench, "GPU") == pytest.approx(0.8)
    assert bench.worker_of(whole) is None
    assert "waits for 0.8 GPU (0.8 GPU free, in pieces)" in explain(bench.head, whole)[0]
    bench.done(parts[1])
    assert devices(bench, whole) == [1]


def test_devices_in_pieces_that_actors_hold_keep_nobody_else_from_running() -> None:
    bench = Bench(CPU=1, GPU=2)
    for _ in range(2):
        actor = create(bench, bench.spec("A", kind=Kind.ACTOR, demand=gpus(0.6), lifetime_demand=gpus(0.6)))
        bench.done(actor, ())
    whole = bench.submit(bench.spec("whole", demand=demand({"CPU": 1, "GPU": 0.8})))
    for _ in range(2 * PATIENCE):
        bench.done(bench.submit(bench.spec()))
    assert bench.worker_of(whole) is None


def shown(worker: Any) -> list[tuple[int, ...]]:
    return [message.devices for message in worker.outbox if isinstance(message, m.Devices)]


def test_worker_is_told_its_devices_when_they_change_and_before_the_task() -> None:
    bench = Bench(CPU=1, GPU=1)
    first = bench.submit(gpu_spec(bench, 1))
    worker = bench.worker_of(first)
    kinds = [type(message) for message in worker.outbox if not isinstance(message, (m.Learn, m.Code))]
    assert kinds == [m.Devices, m.Run]
    bench.done(first)
    bench.done(bench.submit(gpu_spec(bench, 1)))
    assert shown(worker) == [(0,)]
    assert bench.worker_of(bench.submit(bench.spec())) is worker
    assert shown(worker) == [(0,), ()]


def test_actor_keeps_its_devices_for_life() -> None:
    bench = Bench(CPU=1, GPU=2)
    first = bench.submit(gpu_spec(bench, 1))
    actor = create(bench, bench.spec("A", kind=Kind.ACTOR, demand=gpus(1), lifetime_demand=gpus(1)))
    assert devices(bench, actor) == [1]
    bench.done(first)
    bench.done(actor, ())
    worker = bench.head.objects.table[actor].worker  # type: ignore[attr-defined]
    assert worker.devices == ((1, 10_000),)
    assert shown(worker) == [(1,)]


def test_blocked_task_keeps_its_devices() -> None:
    bench = Bench(CPU=1, GPU=1)
    blocks = bench.submit(bench.spec("g", demand=demand({"CPU": 1, "GPU": 1})))
    inner = bench.submit(gpu_spec(bench, 1), parent=blocks)
    bench.say(m.Blocked(blocks, "get", (inner,), finite=True), source=bench.worker_of(blocks).number)
    assert bench.worker_of(inner) is None
    assert bench.worker_of(bench.submit(bench.spec())) is not None


def test_bundle_has_devices_of_its_own_that_its_tasks_share() -> None:
    bench = Bench(GPU=3)
    group = reserve(bench, gpus(1), gpus(1))
    first, second = inside(bench, group, bundle=0, demand=gpus(0.5)), inside(bench, group, bundle=1, demand=gpus(1))
    halves = [bench.submit(first) for _ in range(2)]
    other = bench.submit(second)
    assert [devices(bench, task) for task in (*halves, other)] == [[0], [0], [1]]
    assert devices(bench, bench.submit(gpu_spec(bench, 1))) == [2]


def test_bundles_of_parts_go_together_where_they_fit() -> None:
    bench = Bench(GPU=2)
    half = bench.submit(gpu_spec(bench, 0.5))
    group = reserve(bench, gpus(0.5), gpus(1))
    assert placed(bench, group)
    assert [pool.parts for pool in bench.head.reservations.table[group].pools] == [((0, 5_000),), ((1, 10_000),)]
    bench.done(half)
    bench.say(m.Unreserve(group))
    assert devices(bench, bench.submit(gpu_spec(bench, 2))) == [0, 1]
