"""What may break: each fault by itself, and the level at which every message is a choice."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import asyncio
import gc
import threading
import time
from typing import Any

import pytest

import actorgrid as ag
from actorgrid import sim
from actorgrid.engine import current
from actorgrid.exceptions import (
    ActorDiedError,
    HeadDiedError,
    ObjectLostError,
    ObjectStoreFullError,
    OutOfDiskError,
    OutOfMemoryError,
    WorkerCrashedError,
)
from actorgrid.sim.choices import Dull
from actorgrid.sim.engines import SimDriver
from actorgrid.sim.runner import Program, quiet_collector
from tests.zoo import shared_state
from tests.zoo.shared_state import Cell, read_then_write


@ag.remote(max_retries=2)
def add_twice(one: Any, other: Any) -> None:
    one.add.remote(1)
    other.add.remote(1)


def two_sends() -> tuple[int, int]:
    one, other = Cell.remote(), Cell.remote()
    ag.get(add_twice.remote(one, other))
    sim.settle()
    return sim.peek(one).value, sim.peek(other).value


def outcomes(program: Any, faults: sim.Faults) -> set[Any]:
    """Return everything that the program can return under these faults."""
    seen: set[Any] = set()

    def wrapped() -> None:
        seen.add(program())

    proof = sim.prove(wrapped, faults=faults)
    assert proof.complete
    assert not proof.failures, proof.failures[0].error
    return seen


@ag.remote
class Jobs:
    """Hands out jobs, for ever: no lease is ever over."""

    def __init__(self, count: int) -> None:
        self.items = list(range(count))
        self.done: list[int] = []

    def take(self) -> int | None:
        return self.items.pop() if self.items else None

    def ack(self, job: int) -> None:
        self.done.append(job)


@ag.remote(max_retries=3)
def drain(jobs: Any) -> None:
    while (job := ag.get(jobs.take.remote())) is not None:
        ag.get(jobs.ack.remote(job))


KILL_A_TASK = sim.Faults(kill=1, actors=False)


def all_jobs_are_done() -> None:
    jobs = Jobs.remote(2)
    sim.eventually("drained", lambda: len(sim.peek(jobs).done) == 2)
    for _ in range(2):
        drain.remote(jobs)
    sim.settle()


def test_what_was_submitted_just_before_settle_may_still_break() -> None:
    failure = sim.explore(all_jobs_are_done, faults=KILL_A_TASK, runs=100).failures[0]
    assert "eventually: 'drained' does not hold" in str(failure.run.error)
    assert len(failure.run.deaths) == 1


def test_nothing_breaks_once_settle_has_returned() -> None:
    def program() -> tuple[int, bool, int]:
        jobs = Jobs.remote(1)
        sim.settle()  # nothing breaks before it: nothing happens but the constructor
        began = time.time()
        drain.remote(jobs)
        odd = sim.buggify("an odd thing")
        sim.settle()
        return len(sim.peek(jobs).done), odd, round(time.time() - began)

    faults = sim.Faults(kill=1, actors=False, clock_jumps=1, head=True)
    assert outcomes(program, faults) == {(1, False, 0)}


@ag.remote
def tries_until_it_works(jobs: Any) -> None:
    tries = 1
    while sim.buggify("it does not work"):
        tries += 1
    ag.get(jobs.ack.remote(tries))


def test_who_tries_until_it_works_comes_to_an_end_once_the_program_settles() -> None:
    def program() -> tuple[int, ...]:
        jobs = Jobs.remote(1)
        for _ in range(2):
            tries_until_it_works.remote(jobs)
        sim.settle()
        return tuple(sim.peek(jobs).done)

    assert outcomes(program, sim.Faults()) == {(1, 1), (1, 2), (2, 1), (2, 2)}


def test_what_somebody_sees_first_is_left_open_after_settle_too() -> None:
    def program() -> Any:
        jobs = Jobs.remote(2)
        refs = [jobs.take.remote(), jobs.take.remote()]
        sim.settle()
        ready, _ = ag.wait(refs)
        return ag.get(ready[0])

    assert outcomes(program, sim.Faults()) == {0, 1}


@ag.remote(max_retries=3)
def takes_five_seconds(jobs: Any) -> None:
    time.sleep(5)
    ag.get(jobs.ack.remote(1))


@pytest.mark.parametrize(("within", "holds"), [(5.0, True), (4.0, False)])
def test_what_must_hold_in_time_has_that_long_after_the_last_fault(within: float, holds: bool) -> None:
    def program() -> None:
        jobs = Jobs.remote(0)
        sim.eventually("acknowledged", lambda: sim.peek(jobs).done, within=within)
        kept = takes_five_seconds.remote(jobs)
        sim.settle()
        del kept

    found = sim.explore(program, faults=KILL_A_TASK, runs=200)
    assert (not found.failures) is holds


def test_process_may_die_between_two_sends() -> None:
    faults = sim.Faults(kill=1, actors=False, kill_points=frozenset({"send"}))
    assert outcomes(two_sends, faults) == {(1, 1), (2, 1)}


@ag.remote(max_retries=2)
def add_twice_in_a_thread(one: Any, other: Any) -> None:
    thread = threading.Thread(target=lambda: (one.add.remote(1), other.add.remote(1)))
    thread.start()
    thread.join()


@ag.remote(max_restarts=1, max_task_retries=1)
class Async:
    async def answer(self) -> int:
        return 42

    async def add_twice(self, one: Any, other: Any) -> None:
        one.add.remote(1)
        await asyncio.sleep(0)
        other.add.remote(1)


def two_sends_of_a_thread() -> tuple[int, int]:
    one, other = Cell.remote(), Cell.remote()
    ag.get(add_twice_in_a_thread.remote(one, other))
    sim.settle()
    return sim.peek(one).value, sim.peek(other).value


def two_sends_of_an_async_actor() -> tuple[int, int]:
    one, other = Cell.remote(), Cell.remote()
    actor = Async.remote()
    ag.get(actor.add_twice.remote(one, other))
    sim.settle()
    return sim.peek(one).value, sim.peek(other).value


@pytest.mark.parametrize("program", [two_sends_of_a_thread, two_sends_of_an_async_actor])
def test_process_may_die_between_two_sends_of_a_thread_or_coroutine(
    program: Any, caplog: pytest.LogCaptureFixture
) -> None:
    faults = sim.Faults(kill=1, kill_points=frozenset({"send"}))
    assert outcomes(program, faults) == {(1, 1), (2, 1)}
    gc.collect()
    assert caplog.records == []  # asyncio does not complain of tasks that died with their process


def test_async_actor_that_dies_before_its_reply_dies_without_a_word(caplog: pytest.LogCaptureFixture) -> None:
    def program() -> int:
        return int(ag.get(Async.remote().answer.remote()))

    faults = sim.Faults(kill=1, kill_points=frozenset({"before_reply", "blocked"}))
    assert outcomes(program, faults) == {42}
    gc.collect()
    assert caplog.records == []


ENDED: list[str] = []


def ends() -> None:
    ENDED.append("finally")


@ag.remote(max_retries=0)
def cleans_up(cell: Any) -> None:
    try:
        ag.get(cell.get.remote())
    finally:
        ends()


def test_no_finally_runs_when_a_process_is_killed() -> None:
    sim.share(__name__, "ENDED")

    def program() -> tuple[bool, tuple[str, ...]]:
        ENDED.clear()
        try:
            ag.get(cleans_up.remote(Cell.remote()))
        except WorkerCrashedError:
            return False, tuple(ENDED)
        return True, tuple(ENDED)

    faults = sim.Faults(kill=1, actors=False, kill_points=frozenset({"blocked", "send"}))
    assert outcomes(program, faults) == {(True, ("finally",)), (False, ())}


def test_process_may_die_after_its_last_send_and_before_its_reply() -> None:
    faults = sim.Faults(kill=1, actors=False, kill_points=frozenset({"before_reply"}))
    assert outcomes(two_sends, faults) == {(1, 1), (2, 2)}


def test_actor_may_die_again_while_it_restarts() -> None:
    def program() -> bool:
        cell = Cell.options(max_restarts=1).remote()
        ag.get(cell.get.remote())
        ag.kill(cell, no_restart=False)
        try:
            ag.get(cell.get.options(max_task_retries=-1).remote())
        except ActorDiedError:
            return False
        return True

    faults = sim.Faults(kill=1, kill_points=frozenset({"restart"}))
    assert outcomes(program, faults) == {True, False}


def test_worker_that_fails_to_start_costs_a_task_nothing() -> None:
    def program() -> object:
        return ag.get(ag.remote(lambda: 1).remote())

    assert outcomes(program, sim.Faults(spawn_errors=1)) == {1}


def test_worker_that_fails_to_start_costs_an_actor_nothing_and_three_in_a_row_its_life() -> None:
    def program() -> str:
        cell = Cell.options(max_restarts=0).remote()
        try:
            return str(ag.get(cell.get.remote()))
        except ActorDiedError:
            return "died"

    assert outcomes(program, sim.Faults(spawn_errors=1)) == {"0"}
    assert outcomes(program, sim.Faults(spawn_errors=3)) == {"0", "died"}


def test_large_value_may_find_the_store_full() -> None:
    def program() -> bool:
        try:
            ag.put(bytes(300_000))
        except ObjectStoreFullError:
            return False
        return True

    assert outcomes(program, sim.Faults(store_full=1)) == {True, False}


def read_back_from_disk() -> tuple[str, int]:
    """Put two values of which the store holds one, and read the one that went to disk; and how many copiers died."""
    ag.init(num_cpus=1, object_store_memory=300_000)
    first = ag.put(bytes(200_000))
    try:
        second = ag.put(bytes(200_000))
        told = str(len(ag.get(first)))
        del second
    except (OutOfDiskError, ObjectLostError) as error:
        told = type(error).__name__
    engine = current.current()
    assert isinstance(engine, SimDriver)
    return told, engine.grid.copiers


def test_disk_may_be_full_or_damage_what_it_holds_and_who_copies_may_die_which_costs_nothing() -> None:
    found = outcomes(read_back_from_disk, sim.Faults(spill_errors=1))
    assert found == {("200000", 0), ("200000", 1), ("OutOfDiskError", 0), ("ObjectLostError", 0)}


def test_process_that_copies_may_die_time_and_again_until_the_object_is_lost_or_finds_no_room() -> None:
    found = outcomes(read_back_from_disk, sim.Faults(spill_errors=3))
    assert {told for told, deaths in found if deaths == 3} == {"200000", "OutOfDiskError", "ObjectLostError"}


def test_memory_may_run_short_and_whoever_is_killed_for_it_runs_again() -> None:
    @ag.remote(max_retries=1)
    def work(other: Any) -> None:
        ag.get(other.add.remote(1))

    def program() -> int:
        cell = Cell.options(max_restarts=0).remote()
        ag.get(work.remote(cell))
        return int(ag.get(cell.get.remote()))

    assert outcomes(program, sim.Faults(low_memory=1, actors=False)) == {1, 2}


def test_task_that_runs_alone_when_memory_runs_short_fails_and_says_so() -> None:
    @ag.remote(max_retries=3)
    def rest() -> None:
        time.sleep(1)

    def program() -> str:
        try:
            return str(ag.get(rest.remote()))
        except OutOfMemoryError as error:
            return "alone" if "nothing else was running" in str(error) else str(error)

    assert outcomes(program, sim.Faults(low_memory=1)) == {"None", "alone"}


def test_head_may_die_and_whoever_waits_is_told() -> None:
    def program() -> bool:
        cell = Cell.remote()
        try:
            ag.get(read_then_write.remote(cell, 2))
        except HeadDiedError:
            return False
        return True

    assert outcomes(program, sim.Faults(head=True)) == {True, False}


def test_driver_that_dies_ends_the_run_without_a_failure() -> None:
    ended: list[bool] = []

    def program() -> None:
        ended.append(False)
        cell = Cell.remote()
        ag.get(read_then_write.remote(cell, 1))
        ended[-1] = True

    proof = sim.prove(program, faults=sim.Faults(driver=True))
    assert proof.complete
    assert not proof.failures
    assert ended.count(False) == 2  # before each of the two calls
    assert ended.count(True) == 3  # a proof makes its first run before all others, and once more in the end


@ag.remote
class Sleeper:
    """An actor whose call is still there when its process is not."""

    async def sleep(self) -> None:
        try:
            await asyncio.sleep(1_000)
        finally:
            raise KeyError("nobody is there to hear it")


class Drawing(Dull):
    """The dull policy that counts what is drawn."""

    drawn = 0

    def draw(self, kind: str, bound: int) -> int:
        self.drawn += 1
        return super().draw(kind, bound)


@pytest.mark.parametrize("kills", [False, True])
def test_call_of_an_async_actor_that_is_gone_decides_nothing_when_it_is_collected(*, kills: bool) -> None:
    """That would be in the middle of the next run: of a proof all have one policy."""

    def program() -> None:
        sleeper = Sleeper.remote()
        ag.wait([sleeper.sleep.remote()], timeout=1)
        if kills:
            ag.kill(sleeper)

    policy = Drawing()
    with quiet_collector():
        assert Program(program, faults=sim.Faults(kill=1)).run(policy).error is None
        before = policy.drawn
        gc.collect()
    assert policy.drawn == before


def test_faults_are_written_into_the_schedule() -> None:
    faults = sim.Faults(
        kill=2, spawn_errors=1, spill_errors=2, low_memory=3, head=True, kill_points=frozenset({"send"})
    )
    assert sim.Faults.of(faults.settings()) == faults
    assert sim.Faults().settings() == {}


def test_unknown_kill_point_is_refused() -> None:
    with pytest.raises(ValueError, match="no kill point 'reboot'; there are before_reply, blocked, restart, send"):
        sim.Faults(kill=1, kill_points=frozenset({"reboot"}))


# --------------------------------------------------------------------------------------------------------- links


def test_every_message_is_a_choice_at_the_level_of_links() -> None:
    calls = sim.run(shared_state.account)
    links = sim.run(shared_state.account, level="links")
    assert links.decisions > 3 * calls.decisions
    assert calls.error is None
    assert links.error is None


def test_counterexample_of_links_is_replayed_from_its_line() -> None:
    found = sim.explore(shared_state.lost_update, runs=300, level="links", check_every=10)
    failure = found.failures[0]
    again = sim.replay(failure.schedule.dumps(), shared_state.lost_update)
    assert again.identity == failure.run.identity
    assert again.digest == failure.run.digest


def test_counterexample_of_links_happens_on_real_processes_by_the_order_of_each_actors_calls() -> None:
    found = sim.explore(shared_state.lost_update, runs=300, level="links", shrink=False)
    played = sim.replay(found.failures[0].schedule, shared_state.lost_update, real=True)
    assert played.confirmed
    assert "as in the simulator" in str(played)
    assert any("a message of the runtime overtook another" in each for each in played.unenforced)


def test_wall_clock_that_jumps_moves_no_time_limit_and_no_pause() -> None:
    @ag.remote(max_concurrency=2)
    class Event:
        def wait(self) -> None:
            time.sleep(3600)

    def program() -> None:
        actor = Event.remote()
        began = time.monotonic()
        with pytest.raises(ag.exceptions.GetTimeoutError):
            ag.get(actor.wait.remote(), timeout=60)
        assert time.monotonic() - began == pytest.approx(60, abs=1)
        time.sleep(60)
        assert time.monotonic() - began == pytest.approx(120, abs=1)

    proof = sim.prove(program, faults=sim.Faults(clock_jumps=1))
    assert proof.complete
    assert proof.classes > 1
    assert not proof.failures
