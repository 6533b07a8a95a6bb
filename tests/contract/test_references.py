"""References: identity, futures, asyncio, threads, and how long an object lives."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import pickle
import threading
from collections.abc import Callable
from typing import Any

import pytest

import actorgrid as ag
from tests.contract.tools import DEADLINE, Gate

pytestmark = pytest.mark.usefixtures("grid")


@ag.remote
def echo(value: Any) -> Any:
    return value


@ag.remote
def fail() -> None:
    raise LookupError("as told")


@ag.remote(num_cpus=0)
def behind(gate: Any, value: Any) -> Any:
    ag.get(gate.pass_through.remote())
    return value


def test_hex_has_56_digits_and_differs_from_reference_to_reference() -> None:
    refs = [ag.put(1), ag.put(1), echo.remote(1), echo.remote(1)]
    assert len({ref.hex() for ref in refs}) == 4
    assert all(len(bytes.fromhex(ref.hex())) == 28 for ref in refs)


def test_binary_and_hex_are_the_same_id() -> None:
    ref = ag.put(1)
    assert ref.binary().hex() == ref.hex()
    assert not ref.is_nil()


def test_reference_knows_its_job_and_the_length_of_its_id() -> None:
    ref = ag.put(1)
    assert ref.size() == len(ref.binary())
    assert ref.job_id().hex() == ag.get_runtime_context().get_job_id()
    assert ref.job_id().binary() == b"\x01\0\0\0"
    assert not ref.job_id().is_nil()


@pytest.mark.parametrize("name", ["nil", "from_hex", "task_id", "owner_address", "call_site"])
def test_what_references_do_not_have_says_why(name: str) -> None:
    for whose in (ag.ObjectRef, ag.put(1)):
        with pytest.raises(AttributeError, match=f"an ObjectRef has no {name}: "):
            getattr(whose, name)
        assert not hasattr(whose, name)


def test_reference_cannot_be_made_of_bytes() -> None:
    with pytest.raises(TypeError, match="none can be made of bytes"):
        ag.ObjectRef(ag.put(1).binary())  # type: ignore[arg-type]  # the point


def test_references_are_keys() -> None:
    a, b = ag.put("a"), ag.put("b")
    assert {a: 1, b: 2}[b] == 2
    assert len({a, b, a}) == 2


def test_references_to_one_object_are_equal_wherever_they_come_from() -> None:
    ref = ag.put(1)
    (back,) = ag.get(echo.remote([ref]))
    assert back == ref
    assert hash(back) == hash(ref)
    assert back != ag.put(1)


def test_reference_is_true_and_not_iterable() -> None:
    ref: Any = ag.put(0)
    assert ref
    with pytest.raises(TypeError):
        iter(ref)


def test_await_in_an_asyncio_program() -> None:
    async def program() -> int:
        return int(await echo.remote(5))

    assert asyncio.run(program()) == 5


def test_await_raises_the_error_of_the_task() -> None:
    async def program() -> None:
        await fail.remote()

    with pytest.raises(LookupError, match="as told"):
        asyncio.run(program())


def test_gather_of_references() -> None:
    async def program() -> list[Any]:
        return list(await asyncio.gather(*[echo.remote(i) for i in range(50)]))

    assert asyncio.run(program()) == list(range(50))


def test_await_of_a_reference_again() -> None:
    async def program() -> tuple[Any, Any]:
        ref = ag.put(3)
        return await ref, await ref

    assert asyncio.run(program()) == (3, 3)


def test_event_loop_runs_on_while_a_reference_is_awaited() -> None:
    async def program() -> Any:
        gate = Gate.remote()
        ref = behind.remote(gate, "done")
        awaiting = asyncio.ensure_future(asyncio.wait_for(ref, DEADLINE))
        await gate.arrivals.remote(1)  # only reached if the loop is free
        assert not awaiting.done()
        gate.open.remote()
        return await awaiting

    assert asyncio.run(program()) == "done"


def test_error_that_no_coroutine_asks_for_is_told_by_asyncio() -> None:
    told: list[str] = []

    async def program() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: told.append(context["message"]))
        await asyncio.wait([asyncio.ensure_future(fail.remote())])
        gc.collect()

    asyncio.run(program())
    gc.collect()
    assert len(told) == 1
    assert told[0].endswith(" exception was never retrieved")


def test_wait_for_gives_up_and_the_task_goes_on() -> None:
    gate = Gate.remote()
    ref = behind.remote(gate, "done")

    async def program() -> None:
        await asyncio.wait_for(ref, 0.05)

    with pytest.raises(TimeoutError):
        asyncio.run(program())
    gate.open.remote()
    assert ag.get(ref, timeout=DEADLINE) == "done"


def test_blocking_calls_work_while_an_event_loop_runs() -> None:
    async def program() -> Any:
        return ag.get(echo.remote(ag.put(2)))

    assert asyncio.run(program()) == 2


def test_future_of_a_reference() -> None:
    future = echo.remote(8).future()
    assert isinstance(future, concurrent.futures.Future)
    assert future.result(DEADLINE) == 8


def test_future_of_an_object_that_exists() -> None:
    assert ag.put(8).future().result(DEADLINE) == 8


def test_future_carries_the_error_of_the_task() -> None:
    assert isinstance(fail.remote().future().exception(DEADLINE), LookupError)


def test_futures_as_they_are_completed() -> None:
    gate = Gate.remote()
    last = behind.remote(gate, "last").future()
    futures = [echo.remote("first").future(), last]
    order = []
    for future in concurrent.futures.as_completed(futures, DEADLINE):
        order.append(future.result())
        gate.open.remote()
    assert order == ["first", "last"]


def test_cancelled_future_leaves_its_task_alone() -> None:
    gate = Gate.remote()
    ref = behind.remote(gate, "done")
    ref.future().cancel()
    gate.open.remote()
    assert ag.get(ref, timeout=DEADLINE) == "done"


def test_many_threads_of_the_driver_submit_and_get() -> None:
    def work(n: int) -> list[Any]:
        return [ag.get(echo.remote((n, i))) for i in range(20)]

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        results = list(pool.map(work, range(8)))
    assert results == [[(n, i) for i in range(20)] for n in range(8)]


def test_many_threads_get_one_reference() -> None:
    gate = Gate.remote()
    ref = behind.remote(gate, "all")
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        waiting = [pool.submit(ag.get, ref) for _ in range(16)]
        gate.open.remote()
        assert [future.result(DEADLINE) for future in waiting] == ["all"] * 16


def test_threads_wait_for_different_references_at_once() -> None:
    gates = [Gate.remote() for _ in range(2)]
    refs = [behind.remote(gate, i) for i, gate in enumerate(gates)]
    results: dict[int, Any] = {}
    second_done = threading.Event()

    def wait_for(i: int) -> None:
        results[i] = ag.get(refs[i])
        if i == 1:
            second_done.set()

    threads = [threading.Thread(target=wait_for, args=(i,)) for i in range(2)]
    for thread in threads:
        thread.start()
    gates[1].open.remote()
    assert second_done.wait(DEADLINE)
    assert results == {1: 1}
    gates[0].open.remote()
    for thread in threads:
        thread.join(DEADLINE)
    assert results == {0: 0, 1: 1}


def test_object_lives_while_a_task_that_needs_it_waits() -> None:
    gate = Gate.remote()

    @ag.remote
    def use(data: bytes, _: Any) -> int:
        return len(data)

    result = use.remote(ag.put(b"x" * 200_000), behind.remote(gate, None))  # the reference is gone at once
    gate.open.remote()
    assert ag.get(result, timeout=DEADLINE) == 200_000


def test_object_lives_inside_another_object() -> None:
    outer = ag.put([ag.put("inner")])
    assert ag.get(ag.get(outer)[0]) == "inner"


@ag.remote(num_cpus=0)
class Keeper:
    def __init__(self, box: Any = None) -> None:
        self.box = box

    def keep(self, box: Any) -> None:
        self.box = box

    def keep_what_is_in(self, ref: list[Any]) -> None:
        self.box = ag.get(ref[0])

    def keep_what_is_made(self) -> None:
        self.box = ag.get(boxed.remote())

    def show(self) -> Any:
        return ag.get(self.box[0])


@ag.remote
def boxed() -> list[Any]:
    return [ag.put("kept")]


def large_box() -> list[Any]:
    return [ag.put("kept"), bytes(300_000)]


def by_closure() -> Any:
    box = [ag.put("kept")]

    @ag.remote(num_cpus=0)
    class Closed:
        def show(self) -> Any:
            return ag.get(box[0])

    keeper = Closed.remote()
    ag.get(keeper.__ray_ready__.remote())
    return keeper


def with_keeper(act: Callable[[Any], Any]) -> Callable[[], Any]:
    def make() -> Any:
        keeper = Keeper.remote()
        ag.get(act(keeper), timeout=DEADLINE)
        return keeper

    return make


WAYS: dict[str, Callable[[], Any]] = {
    "among the arguments": with_keeper(lambda keeper: keeper.keep.remote([ag.put("kept")])),
    "in an argument that is an object": with_keeper(lambda keeper: keeper.keep.remote(ag.put([ag.put("kept")]))),
    "in a large one": with_keeper(lambda keeper: keeper.keep.remote(ag.put(large_box()))),
    "in the result of a task": with_keeper(lambda keeper: keeper.keep.remote(boxed.remote())),
    "in an object that it gets": with_keeper(lambda keeper: keeper.keep_what_is_in.remote([ag.put([ag.put("kept")])])),
    "in the result of its own task": with_keeper(lambda keeper: keeper.keep_what_is_made.remote()),
    "among the arguments of its constructor": lambda: Keeper.remote([ag.put("kept")]),
    "in the code of its class": by_closure,
}


@pytest.mark.parametrize("way", WAYS)
def test_object_lives_while_an_actor_holds_its_reference_whichever_way_that_came(way: str) -> None:
    keeper = WAYS[way]()
    gc.collect()
    ag.get([echo.remote(1) for _ in range(4)])  # all that nobody holds is gone
    assert ag.get(keeper.show.remote(), timeout=DEADLINE) == "kept"


def test_reference_pickled_by_the_program_stays_valid() -> None:
    data = pickle.dumps(ag.put("pinned"))
    assert ag.get(pickle.loads(data)) == "pinned"


def test_result_nobody_waits_for_does_no_harm() -> None:
    for _ in range(20):
        echo.remote(1)
        fail.remote()
    assert ag.get(echo.remote(2), timeout=DEADLINE) == 2


def test_long_chain_of_objects_that_refer_to_each_other_is_freed() -> None:
    ref: ag.ObjectRef[Any] = ag.put(0)
    for _ in range(1500):
        ref = ag.put([ref])
    assert isinstance(ag.get(ref)[0], ag.ObjectRef)
    del ref
    assert ag.get(ag.put(1)) == 1
