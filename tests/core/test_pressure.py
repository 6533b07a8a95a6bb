"""Rules of memory pressure: who is killed, how often, and when it is no use."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from actorgrid.core import messages as m
from actorgrid.core.head.effects import LookAtMemory, SignalWorker
from actorgrid.core.head.machine import Head, HeadConfig
from actorgrid.core.messages import FailureKind, Kind
from actorgrid.core.resources import demand
from actorgrid.core.states import TaskState
from tests.core.bench import Bench

GB = 10**9
LIMIT = 10 * GB
FULL = int(9.7 * GB)


class Short(Bench):
    """A head that looks at memory every second."""

    def __init__(self) -> None:
        super().__init__(CPU=8)
        config = HeadConfig(demand({"CPU": 8}), 1 << 20, 8, 100, memory_interval=1.0, memory_threshold=0.95)
        self.head = Head(config)
        self.specs.clear()
        self.say(m.Export(b"code", "f", m.Value(m.Status.OK, b"x")))

    def run(self, **options: Any) -> int:
        """Start a task that runs from now on."""
        options.setdefault("max_retries", 3)
        self.now += 0.01
        task = self.submit(self.spec(f"f{options['max_retries']}", **options))
        self.up(self.worker_of(task))
        return task

    def up(self, worker: Any) -> None:
        self.head.hear_launcher(m.Spawned(worker.number, 1000 + worker.number), self.now)
        worker.spoke = True

    def looks(self) -> bool:
        """Let a second pass; return whether the head wants to know how much memory is in use."""
        self.head.effects.clear()
        self.now += 1.0
        self.head.turn(self.now)
        return LookAtMemory() in self.head.effects

    def full(self, used: int = FULL) -> list[int]:
        """Tell it how much is in use; return the tasks whose workers are to be killed."""
        self.head.effects.clear()
        self.head.pressure.seen(used, LIMIT, dict.fromkeys(self.head.workers.table, GB))
        return [effect.task for effect in self.head.effects if isinstance(effect, SignalWorker)]

    def killed(self, task: int) -> None:
        """The worker that runs ``task`` is gone; the task is tried again after its rest."""
        self.die(self.worker_of(task), task)
        record = self.head.tasks.table.get(task)
        if record is None:
            return
        while record.state is not TaskState.ASSIGNED:
            self.now += 10
            self.head.turn(self.now)
        self.up(record.worker)

    def error(self, task: int) -> m.Failure:
        value = self.head.objects.table[task].value  # type: ignore[attr-defined]  # an object
        return msgspec.msgpack.decode(value.data, type=m.Failure)


def test_idle_grid_does_not_look() -> None:
    short = Short()
    assert not short.looks()
    task = short.run()
    assert short.looks()
    assert short.looks()
    short.done(task)
    short.looks()  # this one was due
    assert not short.looks()
    assert len(short.head.alarms) == 0


def test_nothing_happens_below_the_threshold() -> None:
    short = Short()
    short.run()
    assert short.full(int(9.4 * GB)) == []


def test_newest_task_that_may_be_tried_again_goes_first() -> None:
    short = Short()
    _, newest, for_good = short.run(), short.run(), short.run(max_retries=0)
    assert short.full() == [newest]
    assert for_good in short.head.tasks.table


def test_next_one_is_not_chosen_before_the_last_is_gone() -> None:
    short = Short()
    older, newest = short.run(), short.run()
    assert short.full() == [newest]
    assert short.full() == []
    short.die(short.worker_of(newest), newest)
    assert short.full() == [older]


def test_tasks_that_end_for_good_go_last_and_say_why() -> None:
    short = Short()
    first, second = short.run(max_retries=0), short.run(max_retries=0)
    assert short.full() == [second]
    short.killed(second)
    error = short.error(second)
    assert error.kind is FailureKind.OUT_OF_MEMORY
    assert (
        "f0 was killed because memory ran short: 9.70 of 10.00 GB were in use (threshold 95%), 1.00 of them by it"
        in (error.message)
    )
    assert first in short.head.tasks.table


def test_budget_is_its_own_and_not_that_of_crashes() -> None:
    short = Short()
    other, task = short.run(), short.run(max_retries=1)
    for _ in range(3):
        assert short.full() == [task]
        short.killed(task)
    assert short.head.tasks.table[task].retries == 1
    assert short.full() == [task]
    short.killed(task)
    assert "this was attempt 4 that ended so" in short.error(task).message
    assert other in short.head.tasks.table


def test_task_that_was_alone_is_not_tried_again() -> None:
    short = Short()
    task = short.run()
    assert short.full() == [task]
    short.killed(task)
    assert "nothing else was running, so it is not tried again" in short.error(task).message


def test_task_that_was_over_before_the_signal_came_is_no_victim() -> None:
    short = Short()
    _, task = short.run(), short.run()
    worker = short.worker_of(task)
    assert short.full() == [task]
    short.done(task)
    short.head.hear_launcher(m.Spared(worker.number, task), short.now)
    again = short.run()
    assert short.full() == [again]


def test_actor_that_restarts_goes_before_tasks_that_end_for_good() -> None:
    short = Short()
    short.run(max_retries=0)
    spec = short.spec("A", kind=Kind.ACTOR, num_returns=0, max_restarts=1, lifetime_demand=demand({"CPU": 1}))
    actor = short.id()
    short.say(m.CreateActor(actor, spec))
    worker = short.worker_of(actor)
    short.up(worker)
    short.done(actor, ())
    short.submit(short.spec("method", kind=Kind.METHOD, demand=()), actor=actor)
    short.full()
    assert [effect.number for effect in short.head.effects if isinstance(effect, SignalWorker)] == [worker.number]


@pytest.mark.parametrize("retries", [0, 1])
def test_kill_by_the_system_is_named(retries: int) -> None:
    short = Short()
    task = short.run(max_retries=retries)
    for _ in range(4 if retries else 1):
        number = short.worker_of(task).number
        short.head.hear_launcher(m.Exited(number, 1, -9, task, oom=True), short.now)
        while task in short.head.tasks.table and short.head.tasks.table[task].state is not TaskState.ASSIGNED:
            short.now += 10
            short.head.turn(short.now)
    assert short.error(task).kind is FailureKind.OUT_OF_MEMORY
    assert "was killed by the system's out-of-memory killer" in short.error(task).message


def test_another_signal_is_no_want_of_memory() -> None:
    short = Short()
    task = short.run(max_retries=0)
    short.head.hear_launcher(m.Exited(short.worker_of(task).number, 1, -11, task, oom=True), short.now)
    assert short.error(task).kind is FailureKind.WORKER_CRASHED
