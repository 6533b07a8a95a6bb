"""Locks and semaphores by name."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import actorgrid as ag
from actorgrid.engine.current import current
from actorgrid.exceptions import ActorDiedError
from actorgrid.testing.waiting import wait_until
from actorgrid.util import Lock, Semaphore
from tests.contract.meeting import (
    Process,
    at_the_keeper,
    ctrl_c,
    elsewhere,
    end,
    get,
    given_up,
    interrupted,
    kept,
    wait_at,
    waits,
)
from tests.contract.tools import DEADLINE, Gate

np = pytest.importorskip("numpy")

pytestmark = pytest.mark.usefixtures("grid")


@pytest.fixture(autouse=True)
def none_kept() -> Any:
    yield
    kept.clear()


class TestLock:
    """One at a time."""

    def test_is_had_by_one(self) -> None:
        lock = Lock("one")
        assert lock.acquire()
        assert lock.locked()
        assert elsewhere(lambda: Lock("one").acquire(blocking=False)) is False
        lock.release()
        assert elsewhere(lambda: Lock("one").acquire(timeout=5)) is True

    def test_who_waits_gets_it_when_it_is_released(self) -> None:
        gate = Gate.remote()
        lock = Lock("waited for")
        lock.acquire()

        @ag.remote(num_cpus=0)
        def wait_for(gate: Any) -> bool:
            ag.get(gate.arrive.remote())
            with Lock("waited for") as had:
                return not had.abandoned

        ref = wait_for.remote(gate)
        get(gate.arrivals.remote(1))
        assert ag.wait([ref], timeout=0.05)[0] == []
        lock.release()
        assert get(ref)

    def test_nothing_is_counted_twice_under_it(self) -> None:
        @ag.remote(num_cpus=0)
        class Cell:
            def __init__(self) -> None:
                self.value = 0

            def get(self) -> int:
                return self.value

            def set(self, value: int) -> None:
                self.value = value

        @ag.remote(num_cpus=0)
        def add(cell: Any) -> None:
            with Lock("the cell"):
                ag.get(cell.set.remote(ag.get(cell.get.remote()) + 1))

        cell = Cell.remote()
        get([add.remote(cell) for _ in range(8)])
        assert get(cell.get.remote()) == 8

    def test_what_a_dead_process_held_is_released_and_the_next_one_learns_it(self) -> None:
        holder = Process.remote()
        get(holder.do.remote(lambda: Lock("left behind").acquire()))
        lock = Lock("left behind")
        assert not lock.acquire(blocking=False)
        dying = holder.die.remote()
        assert lock.acquire(timeout=DEADLINE)
        assert lock.abandoned
        with pytest.raises(ActorDiedError):
            get(dying)
        lock.release()
        assert lock.acquire()
        assert not lock.abandoned

    def test_token_grows_from_holder_to_holder(self) -> None:
        lock = Lock("tokens")
        tokens = []
        for _ in range(3):
            with lock:
                tokens.append(lock.token)
        assert tokens == sorted(set(tokens))
        assert elsewhere(lambda: Lock("tokens").acquire()) is True
        assert Lock("tokens").token == 0

    def test_one_that_dies_while_it_waits_gets_nothing(self) -> None:
        lock = Lock("never had")
        lock.acquire()
        waiting = Process.remote()
        ref = waiting.do.remote(lambda: Lock("never had").acquire())
        assert wait_until(lambda: waits(lock._key))
        ag.kill(waiting)
        with pytest.raises(ActorDiedError):
            get(ref)
        lock.release()
        assert lock.acquire(timeout=DEADLINE)

    def test_waiting_ends_in_time(self) -> None:
        lock = Lock("held")
        lock.acquire()
        other = Lock("held")
        assert other.acquire(timeout=0.02) is False
        lock.release()
        assert other.acquire(blocking=False)

    def test_it_is_sent_and_needs_no_name(self) -> None:
        lock = Lock()
        lock.acquire()
        assert elsewhere(lambda lock: lock.acquire(blocking=False), lock) is False

    def test_only_the_holder_releases_it(self) -> None:
        lock = Lock("mine")
        lock.acquire()
        with pytest.raises(RuntimeError, match="lock 'mine' is released by a process that does not hold it"):
            elsewhere(lambda: Lock("mine").release())
        lock.release()
        with pytest.raises(RuntimeError, match="does not hold it") as caught:
            lock.release()
        assert type(caught.value) is RuntimeError  # as that of ``threading``: that an actor keeps it is our affair

    def test_in_an_event_loop(self) -> None:
        async def both() -> list[bool]:
            async with Lock("async") as lock:
                held = await lock.acquire_async(blocking=False)
            return [held, await Lock("async").acquire_async()]

        assert asyncio.run(both()) == [False, True]

    def test_a_task_that_waits_for_it_lends_its_cpu(self) -> None:
        lock = Lock("scarce")
        lock.acquire()

        @ag.remote
        def wait_for() -> bool:
            return Lock("scarce").acquire()

        @ag.remote
        def one() -> int:
            return 1

        refs = [wait_for.remote() for _ in range(2)]  # as many as there are CPUs
        assert get([one.remote() for _ in range(4)]) == [1] * 4
        lock.release()
        assert get(ag.wait(refs)[0]) == [True]


class TestGivenUpLock:
    """Whoever has given up is not granted it later, and what was granted meanwhile goes on."""

    def test_in_an_event_loop_it_is_free_after_its_holder(self) -> None:
        lock = Lock("given up in a loop")
        lock.acquire()
        asyncio.run(given_up(Lock(lock.name).acquire_async(), lock._key))
        lock.release()
        assert elsewhere(lambda: Lock("given up in a loop").acquire(blocking=False))

    def test_with_a_time_limit_around_it(self) -> None:
        lock = Lock("limited")
        lock.acquire()

        async def try_it() -> None:
            async with asyncio.timeout(0.05), Lock("limited"):
                pass

        with pytest.raises(TimeoutError):
            asyncio.run(try_it())
        lock.release()
        assert elsewhere(lambda: Lock("limited").acquire(blocking=False))

    @ctrl_c
    def test_by_ctrl_c(self) -> None:
        holder = Process.remote()
        get(holder.do.remote(lambda: Lock("interrupted").acquire()))
        lock = Lock("interrupted")
        interrupted(lock.acquire, lock._key)
        get(holder.do.remote(lambda: Lock("interrupted").release()))
        assert elsewhere(lambda: Lock("interrupted").acquire(blocking=False))

    @pytest.mark.parametrize("options", [{}, {"run_timeout": 0.2}])
    def test_by_a_task_that_is_stopped(self, options: dict[str, Any]) -> None:
        lock = Lock(f"wanted by a task with {options}")
        lock.acquire()
        ref = wait_at.options(**options).remote(lock)
        if not options:
            assert wait_until(lambda: waits(lock._key))
            ag.cancel(ref)
        end(ref)
        lock.release()
        assert lock.acquire(timeout=DEADLINE)
        assert not lock.abandoned

    def test_its_permit_goes_on_and_so_does_what_it_would_have_been_told(self) -> None:
        lock = Lock("granted and not wanted")
        keeper, ticket = lock._keeper, (current().process(), -1)
        holder = Process.remote()
        get(holder.do.remote(lambda: Lock("granted and not wanted").acquire()))
        granted = keeper.acquire.remote(lock._key, 1, ticket, None)  # as somebody who does not hear the answer
        holder.die.remote()
        assert get(granted)[:2] == (True, True)
        get(keeper.withdraw.remote(lock._key, ticket, heard=False))
        assert lock.acquire(blocking=False)
        assert lock.abandoned

    def test_one_that_comes_after_it_was_given_up_gets_nothing(self) -> None:
        lock = Lock("too late")
        keeper, ticket = lock._keeper, (current().process(), -2)
        get(keeper.withdraw.remote(lock._key, ticket, heard=False))
        assert get(keeper.acquire.remote(lock._key, 1, ticket, None))[0] is False
        assert not lock.locked()

    def test_what_comes_to_nothing_is_not_remembered_for_ever(self) -> None:
        keeper = Lock()._keeper
        get([keeper.withdraw.remote("lock:never", (0, number), heard=False) for number in range(1100)])
        assert at_the_keeper(lambda keeper: len(keeper._early)) <= 1024


class TestSemaphore:
    """So many at a time."""

    def test_gives_so_many(self) -> None:
        permits = Semaphore(2, "two")
        assert [permits.acquire(), permits.acquire(), permits.acquire(blocking=False)] == [True, True, False]
        assert permits.get_value() == 0
        permits.release()
        assert elsewhere(lambda: Semaphore(2, "two").acquire()) is True

    def test_all_must_say_the_same_number(self) -> None:
        Semaphore(2, "two").acquire()
        with pytest.raises(ValueError, match="semaphore 'two' has 2 permits, not 3"):
            Semaphore(3, "two").acquire()

    def test_dead_holder_gives_back_all_it_had(self) -> None:
        holder = Process.remote()
        get(holder.do.remote(lambda: [Semaphore(3, "three").acquire() for _ in range(3)]))
        holder.die.remote()
        permits = Semaphore(3, "three")
        assert [permits.acquire(timeout=DEADLINE) for _ in range(3)] == [True] * 3

    def test_any_object_of_the_name_gives_back_what_the_process_has(self) -> None:
        first, second = Semaphore(2, "mixed"), Semaphore(2, "mixed")
        first.acquire()
        second.acquire()
        Semaphore(2, "mixed").release()
        first.release()
        assert second.get_value() == 2
        with pytest.raises(RuntimeError, match="semaphore 'mixed' is released by a process that does not hold it"):
            second.release()
