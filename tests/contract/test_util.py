"""``actorgrid.util``: pools of actors, results as they come, queues, names."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import asyncio
import itertools
import queue
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import actorgrid as ag
from actorgrid import util
from actorgrid.engine.current import current
from actorgrid.exceptions import ActorDiedError
from actorgrid.testing.waiting import wait_until
from actorgrid.util.queue import Empty, Full, Queue
from tests.contract.tools import DEADLINE, Gate, kill_this_process

pytestmark = pytest.mark.usefixtures("grid")


def get(ref: Any) -> Any:
    return ag.get(ref, timeout=DEADLINE)


@ag.remote(num_cpus=0)
class Worker:
    def double(self, value: int) -> int:
        return 2 * value

    @ag.method(num_returns=2)
    def both(self, value: int) -> tuple[int, int]:
        return value, -value

    def pass_through(self, gate: Any, value: int) -> int:
        ag.get(gate.pass_through.remote(value))
        return value

    def fail_at(self, value: int) -> int:
        if value == 1:
            raise KeyError(value)
        return value

    def die_at(self, value: int) -> int:
        if value == 1:
            kill_this_process()
        return value


@ag.remote(num_cpus=0)
def square(value: int) -> int:
    return value * value


@ag.remote(num_cpus=0)
def held(gate: Any, value: int) -> int:
    ag.get(gate.pass_through.remote(value))
    return value


def pool_of(count: int) -> Any:
    return util.ActorPool([Worker.remote() for _ in range(count)])


def double(actor: Any, value: int) -> Any:
    return actor.double.remote(value)


class TestActorPool:
    """Work for a number of actors."""

    def test_map_keeps_the_order(self) -> None:
        assert list(pool_of(2).map(double, range(7))) == [0, 2, 4, 6, 8, 10, 12]

    def test_map_unordered_gives_every_result_once(self) -> None:
        assert sorted(pool_of(2).map_unordered(double, range(7))) == [0, 2, 4, 6, 8, 10, 12]

    def test_results_of_earlier_submissions_do_not_get_into_a_map(self) -> None:
        pool = pool_of(2)
        pool.submit(double, 100)
        assert list(pool.map(double, [1, 2])) == [2, 4]

    def test_get_next_is_in_the_order_of_submission(self) -> None:
        gate = Gate.remote()
        pool = pool_of(2)
        pool.submit(lambda actor, value: actor.pass_through.remote(gate, value), 1)
        pool.submit(double, 5)
        with pytest.raises(TimeoutError, match=r"no result within 0\.05 s"):
            pool.get_next(timeout=0.05)
        get(gate.open.remote())
        assert [pool.get_next(timeout=DEADLINE), pool.get_next()] == [1, 10]
        assert not pool.has_next()

    def test_get_next_unordered_gives_what_is_ready(self) -> None:
        gate = Gate.remote()
        pool = pool_of(2)
        pool.submit(lambda actor, value: actor.pass_through.remote(gate, value), 1)
        pool.submit(double, 5)
        assert pool.get_next_unordered(timeout=DEADLINE) == 10
        get(gate.open.remote())
        assert pool.get_next_unordered() == 1

    def test_get_next_after_one_out_of_turn_is_refused(self) -> None:
        gate = Gate.remote()
        pool = pool_of(2)
        pool.submit(lambda actor, value: actor.pass_through.remote(gate, value), 1)
        pool.submit(double, 5)
        pool.get_next_unordered(timeout=DEADLINE)
        with pytest.raises(ValueError, match="not allowed to call get_next"):
            pool.get_next()
        get(gate.open.remote())
        assert pool.get_next_unordered() == 1

    def test_call_that_is_given_up_leaves_the_next_one_to_get_next(self) -> None:
        gate = Gate.remote()
        pool = pool_of(2)
        pool.submit(lambda actor, value: actor.pass_through.remote(gate, value), 1)
        pool.submit(double, 5)
        with pytest.raises(TimeoutError, match="is given up"):
            pool.get_next(timeout=0.05, ignore_if_timedout=True)
        assert pool.get_next() == 10
        get(gate.open.remote())

    def test_nothing_left_is_the_end_of_an_iteration(self) -> None:
        pool = pool_of(1)
        with pytest.raises(StopIteration):
            pool.get_next()
        with pytest.raises(StopIteration):
            pool.get_next_unordered()

    def test_error_is_raised_in_its_turn_and_the_actor_goes_on(self) -> None:
        results = pool_of(1).map(lambda actor, value: actor.fail_at.remote(value), range(3))
        assert next(results) == 0
        with pytest.raises(KeyError):
            next(results)

    @pytest.mark.parametrize("ordered", [True, False])
    def test_map_goes_on_after_an_error(self, ordered: bool) -> None:
        pool = pool_of(1)
        results = (pool.map if ordered else pool.map_unordered)(
            lambda actor, value: actor.fail_at.remote(value), range(4)
        )
        assert next(results) == 0
        with pytest.raises(KeyError):
            next(results)
        assert list(results) == [2, 3]
        assert not pool.has_next()

    def test_map_goes_on_after_the_death_of_an_actor(self) -> None:
        results = pool_of(2).map(lambda actor, value: actor.die_at.remote(value), range(4))
        assert next(results) == 0
        with pytest.raises(ActorDiedError):
            next(results)
        assert list(results) == [2, 3]

    def test_map_whose_last_actor_has_died_ends(self) -> None:
        results = pool_of(1).map(lambda actor, value: actor.die_at.remote(value), [1, 2, 3])
        with pytest.raises(ActorDiedError):
            next(results)
        with pytest.raises(RuntimeError, match=r"no actors .* for the 2 values"):
            next(results)
        assert list(results) == []

    def test_pool_goes_on_after_an_error(self) -> None:
        pool = pool_of(1)
        for value in range(3):
            pool.submit(lambda actor, value: actor.fail_at.remote(value), value)
        assert pool.get_next() == 0
        with pytest.raises(KeyError):
            pool.get_next()
        assert pool.get_next() == 2

    def test_dead_actor_leaves_the_pool(self) -> None:
        pool = pool_of(2)
        for value in range(4):
            pool.submit(lambda actor, value: actor.die_at.remote(value), value)
        assert pool.get_next() == 0
        with pytest.raises(ActorDiedError):
            pool.get_next()
        assert [pool.get_next(), pool.get_next()] == [2, 3]

    def test_pool_whose_last_actor_has_died_says_what_is_left(self) -> None:
        pool = pool_of(1)
        for value in range(1, 4):
            pool.submit(lambda actor, value: actor.die_at.remote(value), value)
        with pytest.raises(ActorDiedError):
            pool.get_next()
        with pytest.raises(RuntimeError, match=r"no actors .* for the 2 values"):
            pool.get_next()
        assert not pool.has_next()

    def test_actors_can_be_taken_out_and_put_in(self) -> None:
        pool = pool_of(1)
        actor = pool.pop_idle()
        assert not pool.has_free()
        assert pool.pop_idle() is None
        pool.submit(double, 4)
        pool.push(actor)
        with pytest.raises(ValueError, match="already belongs"):
            pool.push(actor)
        assert pool.get_next() == 8
        assert pool.has_free()

    def test_results_of_a_call_that_has_several_come_together(self) -> None:
        pool = pool_of(2)
        pairs = pool.map(lambda actor, value: actor.both.remote(value), [1, 2, 3])
        assert list(pairs) == [[1, -1], [2, -2], [3, -3]]
        pool.submit(lambda actor, value: actor.both.remote(value), 4)
        assert pool.get_next_unordered(timeout=DEADLINE) == [4, -4]

    def test_what_is_no_call_is_refused_and_costs_no_actor(self) -> None:
        pool = pool_of(1)
        with pytest.raises(TypeError, match="must return the reference of a call, not int"):
            pool.submit(lambda _, value: value, 1)
        assert pool.has_free()
        with pytest.raises(TypeError, match="actor handles, not of int"):
            util.ActorPool([1])  # type: ignore[list-item]


class TestAsTheyCome:
    """``as_completed`` and ``map_unordered``."""

    def test_values_come_as_they_are_ready(self) -> None:
        gate = Gate.remote()
        slow = held.remote(gate, -1)
        results = util.as_completed([slow, *(square.remote(value) for value in range(5))], chunk_size=1)
        first = [next(results) for _ in range(5)]
        get(gate.open.remote())
        assert sorted(first) == [0, 1, 4, 9, 16]
        assert list(results) == [-1]

    def test_references_on_request(self) -> None:
        refs = [square.remote(value) for value in range(5)]
        assert set(util.as_completed(refs, yield_obj_refs=True)) == set(refs)

    def test_nothing_in_time_is_a_timeout(self) -> None:
        gate = Gate.remote()
        slow = held.remote(gate, 1)
        with pytest.raises(TimeoutError, match=r"none of 1 results has come within 0\.05 s"):
            next(util.as_completed([slow], timeout=0.05))
        get(gate.open.remote())

    def test_map_unordered_calls_for_each_item(self) -> None:
        assert sorted(util.map_unordered(square, range(30), backpressure_size=10)) == [n * n for n in range(30)]

    def test_map_unordered_takes_items_only_as_calls_are_made(self) -> None:
        taken = itertools.count()
        results = util.map_unordered(square, taken, backpressure_size=4, chunk_size=2)
        got = [next(results) for _ in range(6)]
        assert set(got) <= {n * n for n in range(10)}
        assert next(taken) <= 10

    def test_map_unordered_of_a_method(self) -> None:
        assert sorted(util.map_unordered(Worker.remote().double, [1, 2, 3])) == [2, 4, 6]

    def test_what_makes_no_sense_is_refused_at_the_call(self) -> None:
        with pytest.raises(TypeError, match="takes references, not int"):
            util.as_completed([1])  # type: ignore[list-item]
        with pytest.raises(ValueError, match="chunk_size must be at least 1"):
            util.as_completed([], chunk_size=0)
        with pytest.raises(ValueError, match="'num_returns' cannot be given"):
            util.as_completed([], num_returns=2)
        with pytest.raises(TypeError, match="no argument 'patience'"):
            util.as_completed([], patience=2)
        with pytest.raises(TypeError, match="takes a remote function"):
            util.map_unordered(print, [1])  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="must not be below chunk_size"):
            util.map_unordered(square, [1], backpressure_size=2)


def take_slowly(keeper: Any, takes: Path) -> None:
    """Have the actor of a queue take items so slowly that its calls may be cancelled meanwhile; it says when."""
    take = keeper._take

    def later() -> Any:
        takes.touch()
        until = time.monotonic() + 0.5
        while not current().context().cancelled and time.monotonic() < until:
            time.sleep(0.001)
        return take()

    keeper._take = later


class TestQueue:
    """A queue that everybody shares."""

    def test_first_in_first_out(self) -> None:
        items = Queue()
        for value in range(3):
            items.put(value)
        assert [items.get() for _ in range(3)] == [0, 1, 2]

    def test_size(self) -> None:
        items = Queue(maxsize=2)
        assert items.empty()
        items.put(1)
        assert (len(items), items.qsize(), items.full()) == (1, 1, False)
        items.put(2)
        assert items.full()

    def test_get_waits_for_a_put_of_somebody_else(self) -> None:
        items = Queue()

        @ag.remote(num_cpus=0)
        def put(items: Queue) -> None:
            items.put("late")

        ref = put.remote(items)
        assert items.get(timeout=DEADLINE) == "late"
        get(ref)

    def test_put_waits_for_a_get_of_somebody_else(self) -> None:
        items = Queue(maxsize=1)
        items.put(1)

        @ag.remote(num_cpus=0)
        def take(items: Queue) -> int:
            return int(items.get())

        ref = take.remote(items)
        items.put(2, timeout=DEADLINE)
        assert [get(ref), items.get()] == [1, 2]

    def test_full_and_empty_in_time(self) -> None:
        items = Queue(maxsize=1)
        with pytest.raises(Empty):
            items.get(timeout=0.02)
        items.put(1)
        with pytest.raises(Full):
            items.put(2, timeout=0.02)
        with pytest.raises(queue.Full):  # those of the standard library, too
            items.put(2, timeout=0.02)
        assert items.get() == 1

    def test_full_and_empty_at_once(self) -> None:
        items = Queue(maxsize=1)
        with pytest.raises(Empty):
            items.get_nowait()
        with pytest.raises(Empty):
            items.get(block=False)
        items.put_nowait(1)
        with pytest.raises(Full):
            items.put_nowait(2)
        with pytest.raises(Full):
            items.put(2, block=False)

    def test_batches_are_all_or_nothing(self) -> None:
        items = Queue(maxsize=4)
        items.put_nowait_batch([1, 2, 3])
        with pytest.raises(Full):
            items.put_nowait_batch([4, 5])
        with pytest.raises(Empty):
            items.get_nowait_batch(4)
        assert items.get_nowait_batch(2) == [1, 2]
        assert items.size() == 1

    def test_in_an_event_loop(self) -> None:
        items = Queue(maxsize=1)

        async def both() -> list[Any]:
            await items.put_async(1)
            with pytest.raises(Full):
                await items.put_async(2, block=False)
            waiting = asyncio.ensure_future(items.put_async(2))
            found = [await items.get_async(), await items.get_async()]
            await waiting
            with pytest.raises(Empty):
                await items.get_async(timeout=0.02)
            return found

        assert asyncio.run(both()) == [1, 2]

    def test_without_patience_it_takes_what_is_there_and_puts_where_room_is(self) -> None:
        items = Queue(maxsize=1)
        items.put(1, timeout=0)
        with pytest.raises(Full):
            items.put(2, timeout=0)
        assert items.get(timeout=0) == 1
        with pytest.raises(Empty):
            items.get(timeout=0)

    def test_many_may_wait_and_a_put_still_gets_through(self) -> None:
        items = Queue()
        refs = [items.actor.get.remote(None) for _ in range(1100)]  # what as many tasks would do
        items.put(1, timeout=DEADLINE)
        items.put_nowait(2)
        assert get(refs[:2]) == [1, 2]

    def test_many_may_wait_for_room_and_a_get_still_gets_through(self) -> None:
        items = Queue(maxsize=1)
        refs = [items.actor.put.remote(number, None) for number in range(1100)]
        assert [items.get(timeout=DEADLINE) for _ in range(3)] == [0, 1, 2]
        get(refs[:4])

    def test_what_was_given_up_takes_and_puts_nothing(self) -> None:
        items = Queue(maxsize=1)

        async def give_up(waiting: Any) -> None:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(waiting, 0.1)

        asyncio.run(give_up(items.get_async()))
        items.put(1)
        asyncio.run(give_up(items.put_async(2)))
        assert items.get(timeout=DEADLINE) == 1
        assert items.empty()

    @pytest.mark.processes("a simulated program has no terminal")
    def test_ctrl_c_in_a_get_costs_no_item(self) -> None:
        items = Queue()
        main = threading.get_ident()

        def press() -> None:
            look = items.actor.__ray_call__
            if wait_until(lambda: get(look.remote(lambda keeper: len(keeper._getters)))):
                signal.pthread_kill(main, signal.SIGINT)

        presser = threading.Thread(target=press)
        presser.start()
        with pytest.raises(KeyboardInterrupt):
            items.get()
        presser.join()
        items.put(1)
        assert items.get(timeout=DEADLINE) == 1

    def test_an_answer_that_nobody_wants_is_put_back_in_front(self) -> None:
        items = Queue()
        items.put_nowait_batch([1, 2, 3, 4])
        refs = [items.actor.get.remote(None), items.actor.get_nowait.remote(2)]
        get(refs)
        items._give_up([refs[0]], many=False)
        assert wait_until(lambda: items.size() == 2)
        for _ in range(2):  # an interrupt while it is said may have it said again
            items._give_up([refs[1]], many=True)
        assert wait_until(lambda: items.size() == 4)
        assert items.get_nowait_batch(4) == [1, 2, 3, 4]
        assert items.empty()

    @pytest.mark.processes("in the simulator nothing comes while an event loop is in the middle of a step")
    @pytest.mark.parametrize("way", ["get", "get_nowait"])
    def test_get_that_is_given_up_while_it_takes_an_item_costs_no_item(self, tmp_path: Path, way: str) -> None:
        items = Queue()
        items.put("kept")
        get(items.actor.__ray_call__.remote(take_slowly, tmp_path / "takes"))
        ref = items.actor.get.remote(None) if way == "get" else items.actor.get_nowait.remote(1)
        assert wait_until((tmp_path / "takes").exists)
        items._give_up([ref], many=way == "get_nowait")
        assert items.get(timeout=DEADLINE) == "kept"

    def test_shutdown_ends_it(self) -> None:
        items = Queue()
        items.put(1)
        actor = items.actor
        items.shutdown()
        items.shutdown()
        with pytest.raises(ActorDiedError):
            get(actor.qsize.remote())
        for use in (items.qsize, items.get, items.get_nowait, lambda: items.put(1), lambda: items.put_nowait(1)):
            with pytest.raises(ActorDiedError, match="the queue was shut down"):
                use()

    def test_what_makes_no_sense_is_refused(self) -> None:
        items = Queue()
        with pytest.raises(ValueError, match="non-negative"):
            items.get(timeout=-1)
        with pytest.raises(ValueError, match="nonnegative"):
            items.get_nowait_batch(-1)
        with pytest.raises(TypeError, match="num_items"):
            items.get_nowait_batch("1")  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="items"):
            items.put_nowait_batch(1)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="maxsize"):
            Queue("1")  # type: ignore[arg-type]


def test_names_of_this_namespace_and_of_all() -> None:
    here = Worker.options(name="here").remote()
    there = Worker.options(name="there", namespace="elsewhere").remote()
    get([here.double.remote(1), there.double.remote(1)])
    assert util.list_named_actors() == ["here"]
    every = util.list_named_actors(all_namespaces=True)
    assert {"name": "there", "namespace": "elsewhere"} in every
    assert len(every) == 2
    ag.kill(here)
    assert util.list_named_actors() == []
