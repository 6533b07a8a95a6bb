"""Which worker may run what: one setup each, fresh ones any; who makes room for another setup, one rule at a time."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from actorgrid.core import messages as m
from actorgrid.core.head.machine import Head, HeadConfig
from actorgrid.core.head.workers import KEEP_IDLE
from actorgrid.core.messages import FailureKind, Kind, Status, Value
from actorgrid.core.resources import demand
from actorgrid.core.states import WorkerState
from tests.core.bench import Bench

SETUP_FAILED = Value(Status.FAILURE, msgspec.msgpack.encode(m.Failure(FailureKind.SETUP_FAILED, "no such folder")))


class SmallBench(Bench):
    """A head that allows so many processes and no more."""

    def __init__(self, most: int, cpus: int = 2) -> None:
        super().__init__()
        self.head = Head(HeadConfig(demand({"CPU": cpus}), 1 << 20, 0, most))
        self.specs.clear()
        self.say(m.Export(b"code", "f", Value(Status.OK, b"x")))

    def left(self, worker: Any) -> None:
        """A worker that was told to leave has done so."""
        assert worker.state is WorkerState.LEAVING
        self.head.hear_launcher(m.Exited(worker.number, 1, 0, 0), self.now)
        self.head.turn(self.now)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def ran(bench: Bench, setup: bytes) -> Any:
    """Run a task with this setup to its end; return its worker, which is idle then."""
    task = bench.submit(bench.spec(setup=setup))
    worker = bench.worker_of(task)
    bench.done(task)
    return worker


def test_fresh_worker_runs_any_setup_and_keeps_it(bench: Bench) -> None:
    bench.head.workers.prestart(1)
    worker = ran(bench, b"a")
    assert worker.setup == b"a"
    assert ran(bench, b"a") is worker


def test_worker_that_has_run_a_task_runs_none_of_another_setup(bench: Bench) -> None:
    first = ran(bench, b"")
    assert ran(bench, b"a") is not first
    assert first.state is WorkerState.IDLE


def test_worker_of_the_same_setup_is_preferred_to_a_fresh_one(bench: Bench) -> None:
    worker = ran(bench, b"a")
    bench.head.workers.prestart(1)
    assert ran(bench, b"a") is worker


def test_tasks_are_not_sent_ahead_to_a_worker_with_another_setup() -> None:
    bench = Bench(CPU=1)
    plain, other = bench.spec(), bench.spec(setup=b"a")
    bench.done(bench.submit(plain), micros=1)  # they are so short that they would be sent ahead
    bench.done(bench.submit(other), micros=1)
    running, waits, behind = bench.submit(plain), bench.submit(other), bench.submit(plain)
    assert list(bench.worker_of(running).assigned) == [running]
    bench.done(running, micros=1)
    bench.done(waits, micros=1)
    assert bench.worker_of(behind).setup == b""


def test_idle_worker_of_another_setup_does_not_keep_tasks_from_being_sent_ahead() -> None:
    bench = Bench(CPU=1)
    other, spec = ran(bench, b"a"), bench.spec()
    bench.done(bench.submit(spec), micros=1)
    first, *tasks = [bench.submit(spec) for _ in range(4)]
    bench.done(first, micros=1)
    assert other in bench.head.dispatch.idle
    assert list(bench.worker_of(tasks[0]).assigned) == tasks


def test_worker_passes_on_to_the_next_task_of_its_setup_alone() -> None:
    bench = Bench(CPU=1)
    first, other = bench.submit(bench.spec(setup=b"a")), bench.submit(bench.spec(setup=b"b"))
    worker = bench.worker_of(first)
    bench.done(first)
    assert bench.worker_of(other) is not worker
    assert worker.state is WorkerState.IDLE


def test_many_setups_one_after_the_other_leave_few_processes(bench: Bench) -> None:
    for number in range(20):
        ran(bench, b"%d" % number)
    staying = [worker for worker in bench.head.workers.table.values() if worker.state is not WorkerState.LEAVING]
    assert len(staying) <= 3


def test_idle_workers_beyond_what_is_kept_leave_whatever_their_setup(bench: Bench) -> None:
    ran(bench, b"")
    ran(bench, b"a")
    last = ran(bench, b"b")
    bench.now += 2 * KEEP_IDLE
    bench.head.turn(bench.now)
    staying = [worker for worker in bench.head.workers.table.values() if worker.state is not WorkerState.LEAVING]
    assert last in staying
    assert len(staying) == 2  # as many as the pool keeps


def test_in_a_full_pool_the_longest_idle_worker_makes_room() -> None:
    bench = SmallBench(2)
    oldest, other = ran(bench, b"a"), ran(bench, b"b")
    task = bench.submit(bench.spec(setup=b"c"))
    assert (oldest.state, other.state, bench.worker_of(task)) == (WorkerState.LEAVING, WorkerState.IDLE, None)
    bench.left(oldest)
    assert bench.worker_of(task).setup == b"c"


def test_one_worker_makes_room_however_often_the_head_takes_its_turn() -> None:
    bench = SmallBench(2)
    _, other = ran(bench, b"a"), ran(bench, b"b")
    bench.submit(bench.spec(setup=b"c"))
    for _ in range(5):
        bench.head.turn(bench.now)
    assert other.state is WorkerState.IDLE


def test_task_that_waits_for_room_does_not_hold_up_those_that_have_a_worker() -> None:
    bench = SmallBench(2)
    leaves, stays = ran(bench, b"a"), ran(bench, b"b")
    waits = bench.submit(bench.spec(setup=b"c"))
    runs = bench.submit(bench.spec(setup=b"b"))
    assert bench.worker_of(waits) is None
    assert bench.worker_of(runs) is stays
    bench.left(leaves)
    assert bench.worker_of(waits) is not None


def test_setup_that_fails_costs_the_task_and_its_worker_and_nothing_else(bench: Bench) -> None:
    spec = bench.spec(setup=b"bad", max_retries=-1)
    task = bench.submit(spec)
    worker = bench.worker_of(task)
    bench.say(m.Done(task, 0, (SETUP_FAILED,), 1, leaving=True), source=worker.number)
    [ready] = [message for message in bench.sent() if isinstance(message, m.Ready)]
    assert Head.failure_of(ready.value).kind is FailureKind.SETUP_FAILED
    assert worker.state is WorkerState.LEAVING
    assert task not in bench.head.tasks.table  # it is not tried again
    assert ran(bench, b"") is not worker


def test_actor_whose_setup_fails_dies_of_that_and_is_not_restarted(bench: Bench) -> None:
    actor = bench.id()
    bench.say(m.CreateActor(actor, bench.spec("A", kind=Kind.ACTOR, setup=b"bad", max_restarts=-1)))
    bench.done(actor, (SETUP_FAILED,))
    spawned = bench.head.workers.spawned
    call = bench.submit(bench.spec("A.f", kind=Kind.METHOD, demand=()), actor=actor)
    failures = [Head.failure_of(message.value) for message in bench.sent() if isinstance(message, m.Ready)]
    assert [(failure.task, failure.kind, failure.message) for failure in failures] == [
        (0, FailureKind.SETUP_FAILED, "no such folder")
    ]
    assert call not in bench.head.tasks.table
    assert bench.head.workers.spawned <= spawned + bench.head.workers.keep


def test_actor_whose_argument_failed_for_its_setup_died_of_its_argument(bench: Bench) -> None:
    actor, task = bench.id(), bench.submit(bench.spec(setup=b"bad"))
    bench.say(m.CreateActor(actor, bench.spec("A", kind=Kind.ACTOR), deps=(task,), slots=(0,)))
    bench.done(task, (SETUP_FAILED,))
    bench.submit(bench.spec("A.f", kind=Kind.METHOD, demand=()), actor=actor)
    kinds = [Head.failure_of(message.value).kind for message in bench.sent() if isinstance(message, m.Ready)]
    assert kinds == [FailureKind.SETUP_FAILED, FailureKind.ACTOR_DIED]


def test_restarted_actor_gets_a_worker_of_its_setup(bench: Bench) -> None:
    ran(bench, b"")
    actor = bench.id()
    bench.say(m.CreateActor(actor, bench.spec("A", kind=Kind.ACTOR, setup=b"a", max_restarts=1)))
    bench.done(actor, ())
    before: Any = bench.head.objects.table[actor]
    bench.die(before.worker)
    assert before.worker is not None
    assert before.worker.setup == b"a"


def test_shapes_of_environments_that_nobody_uses_any_more_are_forgotten(bench: Bench) -> None:
    ran(bench, b"")
    for number in range(20):
        spec = bench.spec(setup=b"%d" % number)
        task = bench.submit(spec)
        worker = bench.worker_of(task)
        bench.done(task)
        bench.say(m.Forget(spec))
        bench.die(worker)
        bench.send_all()
    assert [setup for _, setup in bench.head.ready.shapes] in ([b""], [b"", b"19"])  # the last may be still at hand


def test_workers_whose_setup_is_needed_no_more_leave_and_no_others(bench: Bench) -> None:
    other, idle = ran(bench, b"b"), ran(bench, b"a")
    bench.say(m.Unneeded(b"a"))
    assert (idle.state, other.state) == (WorkerState.LEAVING, WorkerState.IDLE)


def test_worker_whose_setup_is_needed_no_more_ends_its_task_before_it_leaves(bench: Bench) -> None:
    task = bench.submit(bench.spec(setup=b"a"))
    worker = bench.worker_of(task)
    bench.say(m.Unneeded(b"a"))
    assert list(worker.assigned) == [task]
    bench.done(task)
    assert worker.state is WorkerState.LEAVING
    assert ran(bench, b"a") is not worker


def test_workers_that_anybody_may_use_are_always_needed(bench: Bench) -> None:
    worker = ran(bench, b"")
    bench.say(m.Unneeded(b""))
    assert worker.state is WorkerState.IDLE


@pytest.mark.parametrize("setup", [b"", b"a"])
def test_worker_that_dies_while_idle_is_forgotten_by_its_setup(bench: Bench, setup: bytes) -> None:
    worker = ran(bench, setup)
    bench.die(worker)
    assert worker not in [each for group in bench.head.dispatch.idle.groups().values() for each in group]
