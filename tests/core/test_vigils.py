"""Rules of vigils: an object that comes to exist when a process has ended."""

from __future__ import annotations

from typing import Any

from actorgrid.core import messages as m
from actorgrid.core.messages import Status, Value
from tests.core.bench import Bench

OVER = Value(Status.OK, b"over")


def ready(bench: Bench) -> list[int]:
    return [message.oid for message in bench.sent() if isinstance(message, m.Ready)]


def with_worker() -> tuple[Bench, Any]:
    bench = Bench()
    worker = bench.worker_of(bench.submit(bench.spec()))
    bench.sent()
    return bench, worker


def test_object_exists_when_the_process_has_ended_and_not_before() -> None:
    bench, worker = with_worker()
    oid = bench.id()
    bench.say(m.AwaitEnd(oid, worker.number, OVER))
    assert ready(bench) == []
    bench.die(worker)
    assert ready(bench) == [oid]


def test_process_that_is_not_there_has_ended() -> None:
    bench = Bench()
    oid = bench.id()
    bench.say(m.AwaitEnd(oid, 999_999, OVER))
    assert ready(bench) == [oid]


def test_nobody_is_told_who_does_not_want_to_know_any_more() -> None:
    bench, worker = with_worker()
    oid = bench.id()
    bench.say(m.AwaitEnd(oid, worker.number, OVER), m.Release((oid,)))
    bench.die(worker)
    assert ready(bench) == []
    assert oid not in bench.head.objects.table


def test_explanation_of_such_an_object_says_so() -> None:
    bench, worker = with_worker()
    oid = bench.id()
    bench.say(m.AwaitEnd(oid, worker.number, OVER), m.Query(1, "explain", {"oid": oid}))
    (answer,) = [message for message in bench.sent() if isinstance(message, m.Answer)]
    assert answer.body["told"] == ["the object will exist when a process has ended"]
