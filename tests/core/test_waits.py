"""Calls that wait for each other: found when the circle closes, and only when it is one."""

from __future__ import annotations

from typing import Any

from actorgrid.core import messages as m
from actorgrid.core.head.explain import explain
from actorgrid.core.messages import Blocked, Deadlock, Kind
from actorgrid.core.resources import demand
from tests.core.bench import Bench


class Calls(Bench):
    """A bench on which calls block and are told of deadlocks."""

    def actor(self, name: str = "A", **options: Any) -> int:
        spec = self.spec(name, kind=Kind.ACTOR, num_returns=0, **options)
        ident = self.id()
        self.say(m.CreateActor(ident, spec))
        self.done(ident, ())
        return ident

    def call(self, actor: int, name: str = "A.m", **fields: Any) -> int:
        return self.submit(self.spec(name, kind=Kind.METHOD, method="m", demand=()), actor=actor, **fields)

    def block(self, task: int, *oids: int, **fields: Any) -> str:
        """``task`` waits for ``oids``. Returns what it is told of a deadlock, "" if nothing."""
        worker = self.worker_of(task)
        worker.peer.outbox.clear()
        self.say(Blocked(task, fields.pop("call", "get"), oids, **fields), source=worker.number)
        told = [message.text for message in worker.peer.outbox if isinstance(message, Deadlock)]
        return told[0] if told else ""


def test_actor_that_waits_for_its_own_later_call() -> None:
    bench = Calls()
    actor = bench.actor()
    outer = bench.call(actor, "A.outer")
    inner = bench.call(actor, "A.inner", parent=outer)
    told = bench.block(outer, inner)
    assert told == (
        "these calls wait for each other and none can ever go on: A.outer waits in get() for A.inner; "
        "A.inner waits for its turn behind A.outer"
    )


def test_two_actors_that_wait_for_each_other() -> None:
    bench = Calls()
    one, two = bench.actor(), bench.actor()
    first, second = bench.call(one, "A.first"), bench.call(two, "A.second")
    back, forth = bench.call(one, "A.back", parent=second), bench.call(two, "A.forth", parent=first)
    assert not bench.block(first, forth)
    assert "A.second waits in get() for A.back" in bench.block(second, back)


def test_circle_through_a_task_and_an_argument() -> None:
    bench = Calls()
    actor = bench.actor()
    outer = bench.call(actor, "A.outer")
    inner = bench.call(actor, "A.inner", parent=outer)
    task = bench.submit(bench.spec("t"), deps=(inner,), slots=(0,), parent=outer)
    assert "t needs an argument from A.inner" in bench.block(outer, task)


def test_call_behind_an_earlier_one_of_its_caller_that_waits_for_the_circle() -> None:
    bench = Calls()
    actor = bench.actor()
    outer = bench.call(actor, "A.outer")
    late = bench.submit(bench.spec("t"), deps=(bench.call(actor, "A.inner", parent=outer),), slots=(0,))
    first = bench.call(actor, "A.first", deps=(late,), slots=(0,))
    second = bench.call(actor, "A.second")
    assert first
    assert "comes after an earlier call of its caller, A.first" in bench.block(outer, second)


def test_call_behind_an_earlier_one_of_its_caller_that_waits_for_what_runs_is_no_deadlock() -> None:
    bench = Calls()
    actor = bench.actor()
    bench.call(actor, "A.first", deps=(bench.submit(bench.spec("t")),), slots=(0,))
    outer = bench.submit(bench.spec("outer"))
    assert not bench.block(outer, bench.call(actor, "A.second"))


def test_tasks_that_hold_what_their_children_need() -> None:
    bench = Calls(CPU=2, GPU=1)
    spec = bench.spec("outer", demand=demand({"CPU": 1, "GPU": 1}))
    outer = bench.submit(spec)
    inner = bench.submit(bench.spec("inner", demand=demand({"GPU": 1})), parent=outer)
    assert "inner waits for GPU held by outer" in bench.block(outer, inner)


def test_actor_that_waits_for_what_needs_what_it_holds_itself() -> None:
    bench = Calls(CPU=2, GPU=1)
    call = bench.call(bench.actor(lifetime_demand=demand({"GPU": 1})))
    inner = bench.submit(bench.spec("inner", demand=demand({"GPU": 1})), parent=call)
    assert "inner waits for GPU held by A.m" in bench.block(call, inner)


def test_actor_that_waits_for_what_needs_what_another_actor_holds_that_runs() -> None:
    bench = Calls(CPU=2, GPU=1)
    bench.call(bench.actor(lifetime_demand=demand({"GPU": 1})))
    call = bench.call(bench.actor("B"), "B.m")
    inner = bench.submit(bench.spec("inner", demand=demand({"GPU": 1})), parent=call)
    assert not bench.block(call, inner)


def test_actor_of_which_another_call_may_go_on_and_end_it() -> None:
    bench = Calls(CPU=2, GPU=1)
    call = bench.call(bench.actor(lifetime_demand=demand({"GPU": 1}), max_concurrency=2))
    inner = bench.submit(bench.spec("inner", demand=demand({"GPU": 1})), parent=call)
    assert not bench.block(call, inner)


def test_what_an_idle_actor_holds_may_come_back() -> None:
    bench = Calls(CPU=2, GPU=1)
    bench.actor(lifetime_demand=demand({"GPU": 1}))
    outer = bench.submit(bench.spec("outer"))
    inner = bench.submit(bench.spec("inner", demand=demand({"GPU": 1})), parent=outer)
    assert not bench.block(outer, inner)


def test_call_that_waits_for_one_that_waits_for_its_placement_group_is_no_deadlock() -> None:
    bench = Calls(CPU=2, GPU=1)
    bench.actor(lifetime_demand=demand({"GPU": 1}))
    group = bench.id()
    bench.say(m.Reserve(group, (demand({"GPU": 1}),), "PACK"))
    outer = bench.submit(bench.spec("outer"))
    spec = m.Spec(bench.id(), Kind.TASK, "inner", b"code", demand=demand({"GPU": 1}), placement=m.Placement(group, -1))
    bench.say(spec)
    assert not bench.block(outer, bench.submit(spec.spec, parent=outer))


def test_wait_for_one_of_two_is_no_deadlock_while_the_other_may_come() -> None:
    bench = Calls()
    actor = bench.actor()
    outer = bench.call(actor, "A.outer")
    inner = bench.call(actor, "A.inner", parent=outer)
    task = bench.submit(bench.spec("t"))
    assert not bench.block(outer, inner, task, need=1)
    bench.say(m.Resumed(outer), source=bench.worker_of(outer).number)
    assert bench.block(outer, inner, task)


def test_wait_with_a_timeout_is_no_deadlock() -> None:
    bench = Calls()
    actor = bench.actor()
    outer = bench.call(actor, "A.outer")
    assert not bench.block(outer, bench.call(actor, "A.inner", parent=outer), finite=True)


def test_call_with_a_deadline_in_the_circle_is_no_deadlock() -> None:
    bench = Calls()
    actor = bench.actor()
    outer = bench.call(actor, "A.outer")
    spec = bench.spec("A.inner", kind=Kind.METHOD, method="m", demand=(), timeout=5.0)
    assert not bench.block(outer, bench.submit(spec, actor=actor, parent=outer))


def test_actor_with_a_free_place_is_no_deadlock_and_a_full_one_is() -> None:
    bench = Calls()
    actor = bench.actor(max_concurrency=2)
    first, second = bench.call(actor, "A.first"), bench.call(actor, "A.second")
    third = bench.call(actor, "A.third")
    assert not bench.block(first, third)
    assert "A.third waits for its turn behind" in bench.block(second, third)


def test_full_group_is_a_deadlock_for_its_own_calls_and_none_for_those_of_another() -> None:
    bench = Calls()
    actor = bench.actor(max_concurrency=3, groups=(("io", 1), ("", 2)))
    io = bench.spec("A.io", kind=Kind.METHOD, method="m", demand=(), group="io")
    reading = bench.submit(io, actor=actor)
    assert not bench.block(reading, bench.call(actor, "A.plain", parent=reading))
    told = bench.block(reading, bench.submit(io, actor=actor, parent=reading))
    assert "A.io waits for its turn behind A.io" in told


def test_call_that_waits_for_a_group_that_another_call_fills_waits_for_that_call_alone() -> None:
    bench = Calls()
    actor = bench.actor(max_concurrency=2, groups=(("io", 1), ("", 1)))
    io = bench.spec("A.io", kind=Kind.METHOD, method="m", demand=(), group="io")
    reading, plain = bench.submit(io, actor=actor), bench.call(actor, "A.plain")
    later = bench.submit(io, actor=actor, parent=plain)
    assert not bench.block(plain, later)
    assert explain(bench.head, later)[0] == "A.io has not started: it waits for its turn behind A.io"
    assert bench.block(reading, bench.call(actor, "A.other", parent=reading))


def test_chain_of_waits_that_ends_in_something_that_runs_is_no_deadlock() -> None:
    bench = Calls()
    spec = bench.spec()
    tasks = [bench.submit(spec)]
    for _ in range(5):
        tasks.append(bench.submit(spec, parent=tasks[-1]))
        assert not bench.block(tasks[-2], tasks[-1])


def test_asynchronous_actor_that_awaits_its_own_later_call_and_has_no_place_for_it() -> None:
    bench = Calls()
    actor = bench.actor(is_async=True, max_concurrency=1)
    outer = bench.call(actor, "A.outer")
    inner = bench.call(actor, "A.inner", parent=outer)
    told = bench.block(outer, inner, call="await")
    assert told.endswith("A.outer awaits A.inner; A.inner waits for its turn behind A.outer")
    assert explain(bench.head, outer)[0].startswith("A.outer awaits in process")
    bench.say(m.Resumed(outer), source=bench.worker_of(outer).number)
    assert "awaits" not in explain(bench.head, outer)[0]


def test_asynchronous_actor_with_a_place_left_goes_on() -> None:
    bench = Calls()
    actor = bench.actor(is_async=True, max_concurrency=2)
    outer = bench.call(actor, "A.outer")
    inner = bench.call(actor, "A.inner", parent=outer)
    assert not bench.block(outer, inner, call="await")
    innermost = bench.call(actor, "A.innermost", parent=inner)
    assert "A.inner awaits A.innermost" in bench.block(inner, innermost, call="await")


def test_asynchronous_actors_that_await_each_other() -> None:
    bench = Calls()
    one, two = (bench.actor(is_async=True, max_concurrency=1) for _ in range(2))
    first, second = bench.call(one, "A.first"), bench.call(two, "A.second")
    back, forth = bench.call(one, "A.back", parent=second), bench.call(two, "A.forth", parent=first)
    assert not bench.block(first, forth, call="await")
    assert "A.second awaits A.back" in bench.block(second, back, call="await")


def test_await_with_a_time_limit_proves_nothing() -> None:
    bench = Calls()
    actor = bench.actor(is_async=True, max_concurrency=1)
    outer = bench.call(actor, "A.outer")
    inner = bench.call(actor, "A.inner", parent=outer)
    assert not bench.block(outer, inner, call="await", finite=True)
    assert "time limit" in explain(bench.head, outer)[0]


def test_explanation_follows_the_chain_to_what_runs() -> None:
    bench = Calls()
    actor = bench.actor()
    running, waiting = bench.call(actor, "A.running"), bench.call(actor, "A.waiting")
    task = bench.submit(bench.spec("t"), deps=(waiting,), slots=(0,))
    bench.worker_of(running).pid = 7
    bench.now += 2.5
    bench.say()
    assert explain(bench.head, task) == [
        "t has not started: it needs an argument from A.waiting",
        "A.waiting has not started: it waits for its turn behind A.running",
        "A.running runs in process 7, for 2.5 s so far",
    ]


def test_explanation_names_the_resource_and_who_holds_it() -> None:
    bench = Calls(CPU=2)
    first = bench.submit(bench.spec("big", demand=demand({"CPU": 2})))
    bench.worker_of(first).pid = 9
    second = bench.submit(bench.spec("small"))
    told = "small has not started: it waits for 1 CPU (0 CPU free); held by big (pid 9)"
    assert explain(bench.head, second) == [told]


def test_explanation_names_no_process_that_is_not_there_yet() -> None:
    bench = Calls(CPU=2)
    bench.submit(bench.spec("big", demand=demand({"CPU": 2})))
    second = bench.submit(bench.spec("small"))
    assert explain(bench.head, second)[0].endswith("held by big (its process starts)")


def test_explanation_says_that_a_call_was_cancelled_in_vain() -> None:
    bench = Calls()
    task = bench.submit(bench.spec("t"))
    worker = bench.worker_of(task)
    worker.pid = 7
    bench.say(m.Release(()), source=worker.number)
    bench.say(m.Cancel(task))
    assert explain(bench.head, task) == ["t was cancelled and runs on in process 7, for 0.0 s so far"]


def test_explanation_of_what_exists_and_of_what_is_gone() -> None:
    bench = Calls()
    task = bench.submit(bench.spec())
    bench.done(task)
    assert explain(bench.head, task) == ["the object exists"]
    assert "gone" in explain(bench.head, 12345)[0]
