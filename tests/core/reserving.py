"""What the rules of placement groups and devices use: groups, what runs in them, and what is told."""

from __future__ import annotations

from typing import Any

import msgspec

from actorgrid.core import messages as m
from actorgrid.core.ids import DRIVER
from actorgrid.core.messages import Kind, Status, Value
from actorgrid.core.resources import Demand, demand
from actorgrid.core.states import ReservationState
from tests.core.bench import Bench

HERE = Value(Status.OK, b"placed")


def cpus(amount: float = 1) -> Demand:
    return demand({"CPU": amount})


def gpus(amount: float) -> Demand:
    return demand({"GPU": amount})


def reserve(bench: Bench, *bundles: Demand, source: int = DRIVER, **fields: Any) -> int:
    group = bench.id()
    bench.say(m.Reserve(group, bundles, "PACK", **fields), source=source)
    return group


def placed(bench: Bench, group: int) -> bool:
    return bench.head.reservations.table[group].state is ReservationState.PLACED


def inside(bench: Bench, group: int, name: str = "inside", bundle: int = -1, **options: Any) -> int:
    """Return a spec whose calls run in a group."""
    options.setdefault("demand", cpus())
    number = bench.id()
    bench.say(
        m.Spec(number, options.pop("kind", Kind.TASK), name, b"code", placement=m.Placement(group, bundle), **options)
    )
    return number


def ask(bench: Bench, group: int) -> int:
    oid = bench.id()
    bench.say(m.AwaitReserved(oid, group, HERE))
    return oid


def told(bench: Bench) -> dict[int, Value]:
    """Return what the driver was told of objects since it was last looked at."""
    return {message.oid: message.value for message in bench.sent() if isinstance(message, m.Ready)}


def failure(value: Value) -> m.Failure:
    assert value.status is Status.FAILURE
    return msgspec.msgpack.decode(value.data, type=m.Failure)


def create(bench: Bench, spec: int, **fields: Any) -> int:
    actor = bench.id()
    bench.say(m.CreateActor(actor, spec, **fields))
    return actor


def free(bench: Bench, name: str = "CPU") -> float:
    return bench.head.ready.pool.free[name] / 10_000


def gpu_spec(bench: Bench, amount: float) -> int:
    return bench.spec(f"g{amount}", demand=gpus(amount))
