"""Locks, semaphores, events, variables and barriers by name."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable
from threading import BrokenBarrierError
from typing import Any

import pytest

import actorgrid as ag
from actorgrid.engine.current import current
from actorgrid.exceptions import ActorDiedError
from actorgrid.testing.waiting import wait_until
from actorgrid.util import Barrier, Event, Lock, Semaphore, Variable, list_named_actors
from tests.contract.tools import DEADLINE, Gate, kill_this_process

np = pytest.importorskip("numpy")

pytestmark = pytest.mark.usefixtures("grid")


def get(ref: Any) -> Any:
    return ag.get(ref, timeout=DEADLINE)


@ag.remote(num_cpus=0)
class Process:
    """Does what it is told, in a process of its own."""

    def do(self, function: Any, *args: Any) -> Any:
        return function(*args)

    def die(self) -> None:
        kill_this_process()


def elsewhere(function: Any, *args: Any) -> Any:
    """Call a function in another process, which stays."""
    process = Process.remote()
    kept.append(process)
    return get(process.do.remote(function, *args))


kept: list[Any] = []


@pytest.fixture(autouse=True)
def none_kept() -> Any:
    yield
    kept.clear()


def at_the_keeper(look: Any) -> Any:
    """Return what ``look`` finds in the keeper."""
    return get(Lock()._keeper.__ray_call__.remote(look))


def waits(key: str) -> bool:
    """Return whether somebody waits for what is kept under ``key``."""

    def look(keeper: Any) -> bool:
        for kept in (keeper._permits, keeper._cells, keeper._meetings):
            found = kept.get(key)
            if found is not None:
                return bool(found.here if kept is keeper._meetings else found.waiting)
        return False

    return bool(at_the_keeper(look))


def names(part: str) -> list[str]:
    """Return the names that the keeper knows and that have ``part`` in them."""

    def look(keeper: Any) -> list[str]:
        return [key for key in [*keeper._permits, *keeper._cells, *keeper._meetings] if part in key]

    return list(at_the_keeper(look))


async def given_up(waiting: Any, key: str) -> None:
    """Give something up in an event loop, once it waits."""
    task = asyncio.ensure_future(waiting)
    assert await asyncio.to_thread(wait_until, lambda: waits(key))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def interrupted(waiting: Callable[[], object], key: str) -> None:
    """Press Ctrl-C once the calling code waits."""
    main = threading.get_ident()

    def press() -> None:
        if wait_until(lambda: waits(key)):
            signal.pthread_kill(main, signal.SIGINT)

    presser = threading.Thread(target=press)
    presser.start()
    with pytest.raises(KeyboardInterrupt):
        waiting()
    presser.join()


def end(ref: Any) -> None:
    """See that a call comes to a bad end."""
    with pytest.raises(ag.exceptions.RayError):
        get(ref)


@ag.remote(num_cpus=0)
def wait_at(thing: Any) -> Any:
    """Wait for a thing of whatever kind."""
    return thing.acquire() if isinstance(thing, Semaphore) else thing.wait()


ctrl_c = pytest.mark.processes("a simulated program has no terminal")


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


class TestEvent:
    """A flag."""

    def test_waiting_ends_when_it_is_set(self) -> None:
        event = Event("go")
        assert not event.is_set()

        @ag.remote(num_cpus=0)
        def wait_for() -> bool:
            return Event("go").wait()

        refs = [wait_for.remote() for _ in range(3)]
        assert wait_until(lambda: waits(event._key))
        event.set()
        assert get(refs) == [True] * 3
        assert event.wait(timeout=0)
        event.clear()
        assert not event.is_set()
        assert event.wait(timeout=0.02) is False

    def test_in_an_event_loop(self) -> None:
        async def both() -> bool:
            waiting = asyncio.ensure_future(Event("a").wait_async())
            Event("a").set()
            return await waiting

        assert asyncio.run(both())

    def test_whoever_waited_when_it_was_set_is_told_so_although_it_is_cleared_at_once(self) -> None:
        event = Event("pulse")
        ref = wait_at.remote(event)
        assert wait_until(lambda: waits(event._key))
        keeper = event._keeper
        get([keeper.set_cell.remote(event._key, value) for value in ([True], [])])
        assert get(ref) is True
        assert not event.is_set()

    def test_giving_up_leaves_nobody_waiting(self) -> None:
        event = Event("never set")
        asyncio.run(given_up(event.wait_async(), event._key))
        assert names("never set") == []


class TestVariable:
    """A value."""

    def test_is_what_was_set_last_wherever_it_is_read(self) -> None:
        variable: Variable[Any] = Variable("v")
        variable.set({"a": 1})
        elsewhere(lambda: Variable[Any]("v").set({"a": 2}))
        assert variable.get() == {"a": 2}

    def test_reading_waits_for_the_first_value(self) -> None:
        @ag.remote(num_cpus=0)
        def read() -> Any:
            return Variable("later").get()

        ref, variable = read.remote(), Variable[Any]("later")
        assert wait_until(lambda: waits(variable._key))
        variable.set(3)
        assert get(ref) == 3

    def test_no_value_in_time_is_a_timeout(self) -> None:
        with pytest.raises(TimeoutError, match=r"'never' has no value within 0\.02 s"):
            Variable("never").get(timeout=0.02)

    def test_holds_references_and_arrays(self) -> None:
        variable: Variable[Any] = Variable("large")
        variable.set((ag.put(7), np.ones(100_000)))
        ref, array = elsewhere(lambda: Variable("large").get())
        assert get(ref) == 7
        assert array.sum() == 100_000

    def test_delete_forgets_the_value(self) -> None:
        variable: Variable[Any] = Variable("gone")
        variable.set(None)
        assert variable.get() is None
        variable.delete()
        with pytest.raises(TimeoutError):
            variable.get(timeout=0.02)

    def test_whoever_waited_when_it_was_set_gets_that_value_although_it_is_deleted_at_once(self) -> None:
        variable: Variable[int] = Variable("brief")
        read = ag.remote(num_cpus=0)(lambda: Variable[int]("brief").get()).remote()
        assert wait_until(lambda: waits(variable._key))
        keeper = variable._keeper
        get([keeper.set_cell.remote(variable._key, value) for value in ([ag.put([7])], [])])
        assert get(read) == 7


class TestBarrier:
    """Where all wait for one another."""

    def test_lets_go_when_all_have_come_again_and_again(self) -> None:
        @ag.remote(num_cpus=0)
        def meet() -> list[int]:
            return [Barrier("three", 3).wait() for _ in range(2)]

        rounds = get([meet.remote() for _ in range(3)])
        assert [sorted(places) for places in zip(*rounds, strict=True)] == [[0, 1, 2], [0, 1, 2]]

    def test_is_broken_by_one_that_does_not_come(self) -> None:
        barrier = Barrier("two")
        with pytest.raises(BrokenBarrierError):
            barrier.wait(timeout=0.02)
        assert barrier.broken
        with pytest.raises(BrokenBarrierError):
            elsewhere(lambda: Barrier("two").wait())
        barrier.reset()
        assert not barrier.broken

    def test_is_broken_by_one_that_dies_there(self) -> None:
        dying = Process.remote()
        ref = dying.do.remote(lambda: Barrier("fatal", 3).wait())
        other = Process.remote()
        waiting = other.do.remote(lambda: Barrier("fatal", 3).wait())
        barrier = Barrier("fatal", 3)
        assert wait_until(lambda: barrier.n_waiting == 2)
        ag.kill(dying)
        with pytest.raises(BrokenBarrierError):
            get(waiting)
        with pytest.raises(ActorDiedError):
            get(ref)

    def test_abort_ends_every_wait(self) -> None:
        waiting = Process.remote()
        ref = waiting.do.remote(lambda: Barrier("aborted").wait())
        barrier = Barrier("aborted")
        assert wait_until(lambda: barrier.n_waiting)
        barrier.abort()
        with pytest.raises(BrokenBarrierError):
            get(ref)
        with pytest.raises(BrokenBarrierError, match="the barrier 'aborted' is broken"):
            barrier.wait()
        with pytest.raises(ValueError, match="barrier 'aborted' is for 2 parties, not 3"):
            Barrier("aborted", 3).wait()

    @pytest.mark.parametrize("options", [{}, {"run_timeout": 0.2}])
    def test_is_broken_by_one_that_is_stopped_there(self, options: dict[str, Any]) -> None:
        barrier = Barrier(f"left by a task with {options}")
        ref = wait_at.options(**options).remote(barrier)
        if not options:
            assert wait_until(lambda: barrier.n_waiting)
            ag.cancel(ref)
        end(ref)
        assert wait_until(lambda: barrier.broken)
        assert barrier.n_waiting == 0
        with pytest.raises(BrokenBarrierError):
            barrier.wait(timeout=DEADLINE)

    def test_is_broken_for_all_by_one_that_gives_up_in_an_event_loop(self) -> None:
        barrier = Barrier("left in a loop", 3)
        other = wait_at.remote(barrier)
        assert wait_until(lambda: barrier.n_waiting)

        async def leave() -> None:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(barrier.wait_async(), 0.1)

        asyncio.run(leave())
        assert barrier.broken
        with pytest.raises(BrokenBarrierError, match="one that waited was interrupted"):
            get(other)

    @ctrl_c
    def test_is_broken_by_ctrl_c(self) -> None:
        barrier = Barrier("interrupted")
        interrupted(barrier.wait, barrier._key)
        assert barrier.broken


def test_many_may_wait_and_a_release_still_gets_through() -> None:
    lock = Lock("crowd")
    keeper, here = lock._keeper, current().process()  # what a thousand processes would do
    refs = [keeper.acquire.remote("lock:crowd", 1, (here, -number), None) for number in range(1, 1100)]
    for number, ref in enumerate(refs[:5], 1):
        assert get(ref)[0]
        assert get(keeper.release.remote("lock:crowd", (here, -number)))


def test_names_that_nobody_uses_are_forgotten() -> None:
    for number in range(3):
        with Lock(f"forgotten {number}") as lock:
            assert names("forgotten") == [lock._key]
            assert not Lock(lock.name).acquire(timeout=0.01)
        assert not Event(f"forgotten {number}").wait(timeout=0.01)
        Event("forgotten").set()
        Event("forgotten").clear()
        Variable[int]("forgotten").set(number)
        Variable[int]("forgotten").delete()
        Barrier("forgotten", 1).wait()
        Barrier("forgotten").abort()
        Barrier("forgotten").reset()
        assert Semaphore(2, "forgotten").get_value() == 2
        assert names("forgotten") == []


def test_tokens_grow_although_the_name_was_forgotten() -> None:
    tokens = []
    for _ in range(3):
        with Lock("forgotten and known again") as lock:
            tokens.append(lock.token)
    assert tokens == sorted(set(tokens))


def test_namespaces_keep_names_apart() -> None:
    Lock("a").acquire()
    assert list_named_actors() == []


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: Lock(3), TypeError),  # type: ignore[arg-type]
        (lambda: Semaphore(0), ValueError),
        (lambda: Semaphore("2"), TypeError),  # type: ignore[arg-type]
        (lambda: Barrier("b", 0), ValueError),
        (lambda: Lock().acquire(timeout=-1), ValueError),
        (lambda: Lock().acquire(timeout="1"), TypeError),  # type: ignore[arg-type]
        (lambda: Lock().acquire(blocking=False, timeout=1), ValueError),
        (lambda: Event().wait(timeout=float("nan")), ValueError),
    ],
)
def test_what_makes_no_sense_is_refused_at_the_call(make: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        make()
