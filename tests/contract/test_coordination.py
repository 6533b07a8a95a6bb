"""Events, variables and barriers by name; the names of everything that processes meet at."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import asyncio
from threading import BrokenBarrierError
from typing import Any

import pytest

import actorgrid as ag
from actorgrid.engine.current import current
from actorgrid.exceptions import ActorDiedError
from actorgrid.testing.waiting import wait_until
from actorgrid.util import Barrier, Event, Lock, Semaphore, Variable, list_named_actors
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
    names,
    wait_at,
    waits,
)
from tests.contract.tools import DEADLINE

np = pytest.importorskip("numpy")

pytestmark = pytest.mark.usefixtures("grid")


@pytest.fixture(autouse=True)
def none_kept() -> Any:
    yield
    kept.clear()


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


@pytest.mark.processes("nobody waits in virtual time: there is nobody to warn")
def test_that_a_process_lives_on_is_nothing_to_say_after_a_while() -> None:
    def look(keeper: Any) -> tuple[bool, bool]:
        awaiting: Any = current().awaiting(asyncio.get_running_loop())
        return bool(keeper._watched), bool(awaiting.pending)

    with Lock("lock"):
        assert at_the_keeper(look) == (True, False)


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
