"""Random histories of placement groups, tasks, actors and deaths: after every event all books agree, and all ends."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actorgrid.core import messages as m
from actorgrid.core.head.check import check
from actorgrid.core.head.records import Actor
from actorgrid.core.messages import Kind, Status, Value
from actorgrid.core.resources import Demand, demand
from tests.core.bench import OK, Bench
from tests.thinning import one_in

#: What bundles hold and calls ask for: all of it fits into the grid, and not all of it into every bundle.
AMOUNTS = [
    demand(amounts)
    for amounts in ({"CPU": 1}, {"CPU": 0.5}, {"GPU": 0.5}, {"CPU": 1, "GPU": 1}, {"CPU": 2}, {"GPU": 0.6}, {})
]
HELD = AMOUNTS[:5]
CAPACITY = {"CPU": 3, "GPU": 2}

Op = tuple[str, int, int, int]
NAMES = ["reserve", "remove", "task", "task", "actor", "done", "done", "block", "resume", "die", "ask", "call", "drop"]
NUMBER = st.integers(0, 30)
OPS = st.tuples(st.sampled_from(NAMES), NUMBER, NUMBER, NUMBER)


class History:
    """A bench and what has happened on it."""

    def __init__(self) -> None:
        self.bench = Bench(**CAPACITY)
        self.groups: list[tuple[int, tuple[Demand, ...]]] = []
        self.count = 0

    def spec(self, kind: Kind, a: int, b: int, c: int) -> int | None:
        """Register a spec: in a group if ``a`` is odd, and it fits there; else outside."""
        wanted = AMOUNTS[b % len(AMOUNTS)]
        placement = None
        if a % 2 and self.groups:
            group, bundles = self.groups[a % len(self.groups)]
            bundle = c % (len(bundles) + 1) - 1
            fitting = [held for held in bundles[bundle : bundle + 1] or bundles if _fits(held, wanted)]
            if not fitting:
                return None
            placement = m.Placement(group, bundle, None, bundles)
        lifetime = wanted if kind is Kind.ACTOR and b % 2 else ()
        self.count += 1
        number = self.bench.id()
        self.bench.say(
            m.Spec(
                number, kind, f"f{self.count}", b"code", wanted, max_retries=c % 3, max_restarts=c % 2,
                lifetime_demand=lifetime, placement=placement,
            )
        )  # fmt: skip
        return number

    def reserve(self, a: int, b: int, c: int) -> None:
        bundles = tuple(HELD[index % len(HELD)] for index in (a, b, c)[: 1 + a % 2])
        if not self.bench.head.ready.pool.feasible(_sum(bundles), [_gpus(bundle) for bundle in bundles]):
            return
        group = self.bench.id()
        self.bench.say(m.Reserve(group, bundles, "PACK"))
        self.groups.append((group, bundles))

    def remove(self, a: int, b: int, c: int) -> None:
        del b, c
        if self.groups:
            self.bench.say(m.Unreserve(self.groups[a % len(self.groups)][0]))

    def ask(self, a: int, b: int, c: int) -> None:
        del b, c
        if self.groups:
            self.bench.say(m.AwaitReserved(self.bench.id(), self.groups[a % len(self.groups)][0], OK[0]))

    def task(self, a: int, b: int, c: int) -> None:
        spec = self.spec(Kind.TASK, a, b, c)
        if spec is not None:
            tasks = [ident for ident, task in self.bench.head.tasks.table.items() if task.spec.kind is Kind.TASK]
            deps = (tasks[c % len(tasks)],) if tasks and c % 4 == 3 else ()
            self.bench.submit(spec, deps=deps, slots=(0,) * len(deps))

    def actor(self, a: int, b: int, c: int) -> None:
        spec = self.spec(Kind.ACTOR, a, b, c)
        if spec is not None:
            self.bench.say(m.CreateActor(self.bench.id(), spec))

    def _actors(self) -> list[int]:
        held = self.bench.driver.held
        return [ident for ident in held if isinstance(self.bench.head.objects.table[ident], Actor)]

    def call(self, a: int, b: int, c: int) -> None:
        actors = self._actors()
        if actors:
            spec = self.bench.spec("f", kind=Kind.METHOD, demand=(), max_retries=a % 2)
            mentioned = (actors[c % len(actors)],) if a % 3 else ()
            self.bench.submit(spec, actor=actors[b % len(actors)], refs=mentioned)

    def drop(self, a: int, b: int, c: int) -> None:
        del b, c
        actors = self._actors()
        if actors:
            self.bench.say(m.Release((actors[a % len(actors)],), (1 << 20,)))

    def _workers(self) -> list[Any]:
        return [worker for worker in self.bench.head.workers.table.values() if worker.assigned]

    def done(self, a: int, b: int, c: int) -> None:
        workers = self._workers()
        if workers:
            ident, task = next(iter(workers[a % len(workers)].assigned.items()))
            error = (Value(Status.ERROR, b"e"),)
            values = () if task.spec.kind is Kind.ACTOR else error if b % 3 == 0 else OK
            self.bench.done(ident, values, micros=1 if c % 2 else 5000, retry=values == error)

    def block(self, a: int, b: int, c: int) -> None:
        del b, c
        workers = self._workers()
        if workers:
            worker = workers[a % len(workers)]
            first, *others = worker.assigned
            if worker.assigned[first].spec.kind is Kind.TASK:
                self.bench.say(m.Blocked(first, "get", (), tuple(others), finite=True), source=worker.number)

    def resume(self, a: int, b: int, c: int) -> None:
        del b, c
        blocked = [worker for worker in self._workers() if next(iter(worker.assigned.values())).blocked]
        if blocked:
            worker = blocked[a % len(blocked)]
            self.bench.say(m.Resumed(next(iter(worker.assigned))), source=worker.number)

    def die(self, a: int, b: int, c: int) -> None:
        del c
        workers = list(self.bench.head.workers.table.values())
        if workers:
            worker = workers[a % len(workers)]
            self.bench.die(worker, next(iter(worker.assigned), 0) if b % 2 else 0)

    def end(self) -> None:
        """Let everything come to its end, however long that takes."""
        bench, head = self.bench, self.bench.head
        for group, _ in self.groups:
            bench.say(m.Unreserve(group))
        for _ in range(1000):
            self._kill_actors()
            if not head.tasks.table:
                break
            bench.now += 10  # what rests wakes
            head.turn(bench.now)
            check(head)
            for worker in self._workers():
                for ident in list(worker.assigned)[:1]:
                    bench.done(ident)

    def _kill_actors(self) -> None:
        for ident, held in list(self.bench.head.objects.table.items()):
            if getattr(held, "death", "no actor") is None:
                self.bench.say(m.KillActor(ident))


def _fits(bundle: Demand, wanted: Demand) -> bool:
    have = dict(bundle)
    return all(have.get(name, 0) >= units for name, units in wanted)


def _sum(bundles: tuple[Demand, ...]) -> Demand:
    return demand({name: sum(dict(b).get(name, 0) for b in bundles) / 10_000 for b in bundles for name, _ in b})


def _gpus(bundle: Demand) -> int:
    return dict(bundle).get("GPU", 0)


@pytest.mark.search
@settings(deadline=None, max_examples=150)
@given(st.lists(OPS, max_size=60))
def test_books_agree_after_every_event_and_everything_comes_back(ops: list[Op]) -> None:
    live(ops)


@pytest.mark.search
@pytest.mark.parametrize("block", one_in(5, range(30)))
def test_books_agree_in_long_histories(block: int) -> None:
    for seed in range(20 * block, 20 * (block + 1)):
        rng = random.Random(seed)
        numbers = range(31)
        live(
            [
                (rng.choice(NAMES), rng.choice(numbers), rng.choice(numbers), rng.choice(numbers))
                for _ in range(rng.randint(20, 150))
            ]
        )


def live(ops: list[Op]) -> None:
    history = History()
    for name, a, b, c in ops:
        getattr(history, name)(a, b, c)
    history.end()
    head = history.bench.head
    assert not head.reservations.table
    assert not head.tasks.table
    pool = head.ready.pool
    assert pool.free == pool.capacity
    assert not any(pool.passing.values())
    assert pool.devices is not None
    assert pool.devices.free == dict(pool.parts)
    assert set(head.ready.active) == set()
