"""What the head must not keep: found by random programs (``test_programs``), each by itself."""

from __future__ import annotations

from typing import Any

from actorgrid.core import messages as m
from actorgrid.core.messages import Kind, Status, Value
from tests.core.bench import Bench

ERROR = (Value(Status.ERROR, b"e"),)


def test_call_that_fails_for_its_argument_leaves_no_line_of_calls_that_wait() -> None:
    bench = Bench(CPU=2)
    failed = bench.submit(bench.spec())
    bench.done(failed, ERROR)
    actor = bench.id()
    bench.say(m.CreateActor(actor, bench.spec("A", kind=Kind.ACTOR)))
    bench.done(actor, ())
    bench.submit(bench.spec("A.f", kind=Kind.METHOD, demand=()), actor=actor, deps=(failed,), slots=(0,))
    held: Any = bench.head.objects.table[actor]
    assert not held.lines


def subscribed() -> tuple[Bench, int, Any, int]:
    """Return a bench, a task that runs, the worker of another one that waits for its result, and that other one."""
    bench = Bench(CPU=2)
    awaited = bench.submit(bench.spec())
    waits = bench.submit(bench.spec(), refs=(awaited,))
    worker = bench.worker_of(waits)
    bench.say(m.Subscribe((awaited,)), source=worker.number)
    held: Any = bench.head.objects.table[awaited]
    assert held.subscribers == [worker.number]
    return bench, awaited, worker, waits


def test_client_that_has_died_is_forgotten_by_what_it_waited_for() -> None:
    bench, awaited, worker, waits = subscribed()
    bench.die(worker, current=waits)
    held: Any = bench.head.objects.table[awaited]
    assert not held.subscribers


def test_client_that_looks_again_and_again_is_told_once() -> None:
    bench, awaited, worker, _ = subscribed()
    held: Any = bench.head.objects.table[awaited]
    for _ in range(3):
        bench.say(m.Release((awaited,)), source=worker.number)
        assert not held.subscribers
        bench.head.objects.grant(worker.peer, awaited)  # it comes again, inside of a value
        bench.say(m.Subscribe((awaited,)), source=worker.number)
    bench.send_all()
    bench.done(awaited)
    assert [message.oid for message in worker.peer.outbox if isinstance(message, m.Ready)] == [awaited]


def test_call_behind_one_that_fails_with_a_restart_is_not_lost() -> None:
    bench = Bench(CPU=2)
    actor = bench.id()
    bench.say(m.CreateActor(actor, bench.spec("A", kind=Kind.ACTOR, max_restarts=1)))
    bench.done(actor, ())
    method = bench.spec("A.f", kind=Kind.METHOD, demand=())
    dies = bench.submit(method, actor=actor)
    fails = bench.submit(method, actor=actor, deps=(dies,), slots=(0,))
    behind = bench.submit(method, actor=actor)
    bench.die(bench.worker_of(dies), current=dies)
    assert fails not in bench.head.tasks.table
    bench.now += 10
    bench.head.turn(bench.now)
    bench.done(actor, ())
    bench.done(behind)
    assert [message.oid for message in bench.sent() if isinstance(message, m.Ready)] == [dies, fails, behind]
