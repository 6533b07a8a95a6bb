"""Chains of any length: what happens to the first link happens to all, and the head's stack does not grow with it."""

from __future__ import annotations

from actorgrid.core import messages as m
from actorgrid.core.messages import Kind, Status, Value
from tests.core.bench import Bench

LINKS = 20_000
ERROR = (Value(Status.ERROR, b"e"),)


class Quiet(Bench):
    """A bench that does not look at everything after every event: that would be quadratic here."""

    def say(self, *messages: object, source: int = 1) -> None:
        for message in messages:
            self.head.handle(source, [message], self.now)
        self.head.turn(self.now)


def test_error_at_the_beginning_of_a_long_chain_of_tasks() -> None:
    bench = Quiet(CPU=1)
    spec = bench.spec()
    first = last = bench.submit(spec)
    for _ in range(LINKS):
        last = bench.submit(spec, deps=(last,), slots=(0,))
    bench.done(first, ERROR)
    assert not bench.head.tasks.table
    assert bench.head.objects.status(last) is Status.ERROR


def test_error_at_the_beginning_of_a_long_chain_of_actor_calls() -> None:
    bench = Quiet(CPU=1)
    actor = bench.id()
    bench.say(m.CreateActor(actor, bench.spec("A", kind=Kind.ACTOR, num_returns=0)))
    bench.done(actor, ())
    method = bench.spec("A.m", kind=Kind.METHOD, method="m", demand=())
    first = last = bench.submit(method, actor=actor)
    for _ in range(LINKS):
        last = bench.submit(method, actor=actor, deps=(last,), slots=(0,))
    bench.done(first, ERROR)
    assert not [task for task in bench.head.tasks.table.values() if task.spec.kind is Kind.METHOD]
    assert bench.head.objects.status(last) is Status.ERROR


def test_recursive_cancellation_of_a_deep_tree() -> None:
    bench = Quiet(CPU=1)
    spec = bench.spec()
    first = last = bench.submit(spec)
    for _ in range(LINKS):
        last = bench.submit(spec, parent=last)
    bench.say(m.Cancel(first, recursive=True))
    assert list(bench.head.tasks.table) == [first], "it runs, and was asked to stop"


def test_long_chain_of_objects_that_mention_each_other_is_freed() -> None:
    bench = Quiet(CPU=1)
    last = 0
    for _ in range(LINKS):
        oid = bench.id()
        bench.say(m.Put(oid, Value(Status.OK, b"v", None, (last,) if last else ())))
        if last:
            bench.say(m.Release((last,)))
        last = oid
    assert len(bench.head.objects.table) == LINKS
    bench.say(m.Release((last,)))
    assert not bench.head.objects.table
