"""What ``explain`` says of calls in every state, word by word: in the simulator they can be had one by one."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import functools
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import actorgrid as ag
from actorgrid import sim
from actorgrid.util.placement_group import placement_group
from actorgrid.util.scheduling_strategies import PlacementGroupSchedulingStrategy
from tests.contract.tools import Gate

BUSY = "nap runs in process N, for 1.0 s so far"
NO_CPU = "it waits for 1 CPU (0 CPU free); held by nap (pid N), nap (pid N)"


@ag.remote
def nap(seconds: Any) -> None:
    time.sleep(seconds)


@ag.remote
def after(*values: Any) -> int:
    return len(values)


@ag.remote(num_cpus=0)
def get_all(refs: list[Any]) -> Any:
    return ag.get(refs)


@ag.remote(num_cpus=0)
def get_and_nap(refs: list[Any]) -> None:
    ag.get(refs)
    time.sleep(5)


@ag.remote(num_cpus=0)
def wait_for_one(refs: list[Any]) -> Any:
    return ag.wait(refs)


@ag.remote(num_cpus=0)
class Napper:
    def nap(self, seconds: float) -> None:
        time.sleep(seconds)


@ag.remote(max_retries=9, retry_exceptions=True)
def fail() -> None:
    raise ValueError


@ag.remote(num_returns="streaming", _generator_backpressure_num_objects=3)
def count() -> Iterator[int]:
    yield from range(9)


def told(ref: Any) -> list[str]:
    """Return what is said of an object, without the numbers of processes."""
    return re.sub(r"(process|pid) \d+", r"\1 N", ag.explain(ref)).splitlines()


def simulated(program: Callable[[], None]) -> Callable[[], None]:
    """Run a test as a program in the simulator, on two CPUs and two GPUs."""

    @functools.wraps(program)
    def wrapped() -> None:
        def main() -> None:
            ag.init(num_cpus=2, num_gpus=2)
            program()

        run = sim.run(main, checks=True)
        if run.error is not None:
            raise run.error

    return wrapped


def both_busy() -> list[Any]:
    """Return two calls that take the CPUs for five seconds, of which one is over."""
    calls = [nap.remote(5), nap.remote(5)]
    time.sleep(1)
    return calls


@simulated
def test_what_exists_and_what_does_not() -> None:
    done, failed = nap.remote(0), nap.remote("a bit")
    ag.wait([done, failed], num_returns=2)
    assert told(done) == told(ag.put(1)) == ["the object exists"]
    assert told(failed) == ["the object exists: it is an error"]


@simulated
def test_task_that_runs() -> None:
    first = nap.remote(5)
    time.sleep(1)
    assert told(first) == [BUSY]
    ag.get([first, nap.remote(0)])
    second = nap.remote(5)  # in a process that has done something
    time.sleep(2)
    assert told(second) == ["nap runs in process N, for 2.0 s so far"]


@simulated
def test_task_that_lacks_a_cpu_and_those_that_need_its_result() -> None:
    calls = [*both_busy(), nap.remote(5)]
    waits = f"nap has not started: {NO_CPU}"
    assert told(calls[2]) == [waits]
    middle = after.remote(*calls)
    about_the_middle = ["after has not started: it needs an argument from nap, nap, nap", BUSY, BUSY, waits]
    assert told(middle) == about_the_middle
    assert told(after.remote(middle)) == [
        "after has not started: it needs an argument from after",
        *about_the_middle,
    ]


@simulated
def test_only_three_names_are_said_of_many_and_of_a_long_chain_the_first_calls_and_the_end() -> None:
    both_busy()
    many = after.remote(*[nap.remote(1) for _ in range(5)])
    assert told(many)[0] == "after has not started: it needs an argument from nap, nap, nap and 2 more"
    chain: Any = nap.remote(1)
    for _ in range(20):
        chain = after.remote(chain)
    end = "nap has not started: it waits for 1 CPU (0 CPU free); held by nap (pid N), nap (pid N)"
    assert told(chain) == ["after has not started: it needs an argument from after"] * 12 + ["...", end]


@simulated
def test_task_that_waits_for_others() -> None:
    gate = Gate.remote()
    inner = get_all.remote([gate.pass_through.remote()])
    outer, either = get_all.remote([inner]), wait_for_one.remote([inner, inner])
    time.sleep(1)
    chain = [
        "get_all waits in get() in process N for Gate.pass_through",
        "Gate.pass_through runs in process N, for 1.0 s so far",
    ]
    assert told(inner) == chain
    assert told(outer) == ["get_all waits in get() in process N for get_all", *chain]
    assert told(either) == ["the object exists: it is an error"]  # wait() takes an object once
    gate.open.remote()


@simulated
def test_task_that_has_waited_and_goes_on() -> None:
    call = get_and_nap.remote([nap.remote(1)])
    time.sleep(1.5)
    assert told(call) == ["get_and_nap runs in process N, for 1.5 s so far"]


@simulated
def test_wait_for_one_of_two() -> None:
    calls = both_busy()
    either = wait_for_one.remote(calls)
    time.sleep(1)
    busy = BUSY.replace("1.0", "2.0")
    assert told(either) == ["wait_for_one waits in wait() in process N for nap, nap", busy, busy]


@simulated
def test_calls_of_one_actor() -> None:
    actor = Napper.remote()
    first, second = actor.nap.remote(5), actor.nap.remote(5)
    held_up = actor.nap.remote(nap.remote(10))
    last = actor.nap.remote(0)
    time.sleep(1)
    assert told(first) == ["Napper.nap runs in process N, for 1.0 s so far"]
    assert told(second) == ["Napper.nap has not started: it waits for its turn behind Napper.nap", *told(first)]
    assert told(held_up) == ["Napper.nap has not started: it needs an argument from nap", BUSY]
    assert told(last) == [
        "Napper.nap has not started: it comes after an earlier call of its caller, Napper.nap",
        *told(held_up),
    ]


@simulated
def test_call_of_a_threaded_actor_that_is_full() -> None:
    actor = Napper.options(max_concurrency=2).remote()
    calls = [actor.nap.remote(5) for _ in range(3)]
    time.sleep(1)
    runs = "Napper.nap runs in process N, for 1.0 s so far"
    assert told(calls[1]) == [runs]
    turn = "Napper.nap has not started: it waits for its turn behind Napper.nap, Napper.nap"
    assert told(calls[2]) == [turn, runs, runs]


@ag.remote(num_cpus=0, concurrency_groups={"slow": 1, "fast": 1})
class Grouped:
    @ag.method(concurrency_group="slow")
    def slow(self, seconds: float) -> None:
        time.sleep(seconds)

    @ag.method(concurrency_group="fast")
    def fast(self, seconds: float) -> None:
        time.sleep(seconds)


@simulated
def test_call_of_a_group_that_is_full_waits_for_calls_of_that_group_alone() -> None:
    actor = Grouped.remote()
    slow, fast = actor.slow.remote(5), actor.fast.remote(5)
    waits = [actor.slow.remote(1), actor.fast.remote(1)]
    time.sleep(1)
    for name, first, second in (("slow", slow, waits[0]), ("fast", fast, waits[1])):
        turn = f"Grouped.{name} has not started: it waits for its turn behind Grouped.{name}"
        assert told(first) == [f"Grouped.{name} runs in process N, for 1.0 s so far"]
        assert told(second) == [turn, *told(first)]


@simulated
def test_call_of_an_actor_that_does_not_exist_yet() -> None:
    both_busy()
    call = Napper.options(num_cpus=1).remote().nap.remote(1)
    assert told(call) == [
        "Napper.nap has not started: its actor Napper is pending",
        f"Napper has not started: {NO_CPU}",
    ]


@simulated
def test_what_actors_hold_and_what_is_free_in_pieces() -> None:
    actors = [Napper.options(num_cpus=1, num_gpus=0.6).remote() for _ in range(2)]
    ag.get([actor.nap.remote(0) for actor in actors])
    call = nap.options(num_cpus=0, num_gpus=0.7).remote(1)
    wants = "it waits for 0.7 GPU (0.8 GPU free, in pieces); held by actor Napper (pid N), actor Napper (pid N)"
    assert told(call) == [f"nap has not started: {wants}"]
    both = nap.options(num_cpus=2, num_gpus=2).remote(1)
    wants = "it waits for 2 CPU, 2 GPU (0 CPU, 0.8 GPU free); held by actor Napper (pid N), actor Napper (pid N)"
    assert told(both) == [f"nap has not started: {wants}"]


@simulated
def test_placement_groups() -> None:
    actor = Napper.options(num_cpus=1).remote()
    ag.get(actor.nap.remote(0))
    first, second = placement_group([{"CPU": 1}], name="oven"), placement_group([{"CPU": 1}])
    ag.get(first.ready())
    inside = [nap.options(scheduling_strategy=PlacementGroupSchedulingStrategy(first)).remote(5) for _ in range(2)]
    waits = nap.options(scheduling_strategy=PlacementGroupSchedulingStrategy(second)).remote(5)
    time.sleep(1)
    assert told(inside[0]) == [BUSY]
    want = "it waits for 1 CPU (0 CPU free in placement group oven); held by nap (pid N)"
    assert told(inside[1]) == [f"nap has not started: {want}"]
    full = "it waits for 1 CPU (0 CPU free); held by actor Napper (pid N), placement group oven"
    assert told(waits) == [
        "nap has not started: it waits for its placement group",
        f"its placement group has not started: {full}",
    ]
    assert told(nap.remote(1)) == [f"nap has not started: {full}"]


def told_of_groups(*sizes: float) -> list[str]:
    """Return what is said of a task that waits for what groups of so many CPUs hold."""
    for size in sizes:
        ag.get(placement_group([{"CPU": size}]).ready())
    return told(nap.remote(1))


@simulated
def test_group_without_a_name_among_those_that_hold() -> None:
    full = "nap has not started: it waits for 1 CPU (0 CPU free); held by a placement group"
    assert told_of_groups(2) == [full]


@simulated
def test_groups_without_a_name_are_counted() -> None:
    full = "nap has not started: it waits for 1 CPU (0 CPU free); held by 3 placement groups"
    assert told_of_groups(0.5, 0.5, 1) == [full]


@simulated
def test_task_that_rests_before_it_is_tried_again() -> None:
    call = fail.remote()
    seen = set()
    while "the object exists: it is an error" not in seen:
        seen.update(told(call))
        time.sleep(0.001)
    resting = {
        re.sub(r"after [\d.]+ s", "after S s", line) for line in seen if line.endswith("is tried again in a moment")
    }
    ended = "pid N raised an exception after S s"
    assert resting == {
        f"fail has failed {times} times (attempt {times}: {ended}) and is tried again in a moment"
        for times in range(2, 10)
    }


@simulated
def test_generator_that_is_far_ahead_of_its_reader() -> None:
    generator = count.remote()
    time.sleep(1)
    assert told(generator.completed()) == ["count waits in process N until some of its 3 unread items are read"]
    next(generator)
    assert told(generator.completed()) == ["count runs in process N, for 1.0 s so far"]
