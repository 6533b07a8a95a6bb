"""Actors with plain methods: state, order, handles, the end of an actor."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import os
from typing import Any

import pytest

import actorgrid as ag
from tests.contract.tools import DEADLINE, Gate

pytestmark = pytest.mark.usefixtures("grid")


@ag.remote
class Counter:
    """Counts."""

    def __init__(self, start: int = 0) -> None:
        self.value = start

    def add(self, by: int = 1) -> int:
        self.value += by
        return self.value

    def fail(self) -> None:
        raise LookupError("in a method")

    def pid(self) -> int:
        return os.getpid()


@ag.remote
class Log:
    def __init__(self) -> None:
        self.items: list[Any] = []

    def append(self, item: Any) -> None:
        self.items.append(item)

    def read(self) -> list[Any]:
        return self.items


@ag.remote(num_cpus=0)
def behind(gate: Any, value: Any) -> Any:
    ag.get(gate.pass_through.remote())
    return value


def test_method_can_be_sent_after_it_was_called() -> None:
    counter = Counter.remote()
    method = counter.add.options(num_returns=1)
    assert ag.get([counter.add.remote(), method.remote(2)]) == [1, 3]

    @ag.remote
    def call(one: Any, other: Any) -> list[int]:
        return [ag.get(one.remote(10)), ag.get(other.remote(20))]

    assert ag.get(call.remote(counter.add, method), timeout=DEADLINE) == [13, 33]


def test_actor_keeps_its_state() -> None:
    counter = Counter.remote(5)
    assert ag.get([counter.add.remote() for _ in range(3)]) == [6, 7, 8]


def test_constructor_takes_keyword_arguments() -> None:
    assert ag.get(Counter.remote(start=3).add.remote(by=2)) == 5


def test_constructor_takes_a_reference() -> None:
    assert ag.get(Counter.remote(ag.put(3)).add.remote()) == 4


def test_method_takes_a_reference() -> None:
    assert ag.get(Counter.remote().add.remote(ag.put(3))) == 3


def test_two_actors_have_states_and_processes_of_their_own() -> None:
    a, b = Counter.remote(), Counter.remote()
    ag.get(a.add.remote(5))
    assert ag.get(b.add.remote()) == 1
    assert len({os.getpid(), *ag.get([a.pid.remote(), b.pid.remote()])}) == 3


def test_calls_of_one_caller_run_in_order() -> None:
    log = Log.remote()
    for i in range(300):
        log.append.remote(i)
    assert ag.get(log.read.remote()) == list(range(300))


def test_call_with_an_unresolved_dependency_holds_up_the_calls_behind_it() -> None:
    log, gate = Log.remote(), Gate.remote()
    first = log.append.remote(behind.remote(gate, "first"))
    second = log.append.remote("second")
    ag.get(gate.arrivals.remote(1), timeout=DEADLINE)
    assert ag.wait([first, second], timeout=0.05) == ([], [first, second])
    gate.open.remote()
    assert ag.get(log.read.remote(), timeout=DEADLINE) == ["first", "second"]


def test_actor_that_allows_it_runs_later_calls_before_one_that_waits_for_an_argument() -> None:
    log, gate = Log.options(allow_out_of_order_execution=True).remote(), Gate.remote()
    first = log.append.remote(behind.remote(gate, "first"))
    ag.get(log.append.remote("second"), timeout=DEADLINE)
    gate.open.remote()
    ag.get(first, timeout=DEADLINE)
    assert ag.get(log.read.remote(), timeout=DEADLINE) == ["second", "first"]


def test_callers_do_not_hold_up_each_other() -> None:
    log, gate = Log.remote(), Gate.remote()

    @ag.remote
    def other(handle: Any) -> None:
        ag.get(handle.append.remote("other"))

    blocked = log.append.remote(behind.remote(gate, "first"))
    ag.get(other.remote(log), timeout=DEADLINE)
    gate.open.remote()
    ag.get(blocked, timeout=DEADLINE)
    assert ag.get(log.read.remote(), timeout=DEADLINE) == ["other", "first"]


def test_call_whose_dependency_failed_fails_and_the_next_one_runs() -> None:
    @ag.remote
    def fail() -> None:
        raise KeyError("dependency")

    log = Log.remote()
    with pytest.raises(KeyError):
        ag.get(log.append.remote(fail.remote()), timeout=DEADLINE)
    ag.get(log.append.remote("next"))
    assert ag.get(log.read.remote()) == ["next"]


def test_method_runs_one_call_at_a_time() -> None:
    @ag.remote
    class Alone:
        def __init__(self) -> None:
            self.inside = 0
            self.most = 0

        def visit(self) -> int:
            self.inside += 1
            self.most = max(self.most, self.inside)
            os.sched_yield()
            self.inside -= 1
            return self.most

    alone = Alone.remote()
    assert set(ag.get([alone.visit.remote() for _ in range(100)])) == {1}


def test_exception_in_a_method_leaves_the_actor_alive() -> None:
    counter = Counter.remote(1)
    with pytest.raises(LookupError, match="in a method") as caught:
        ag.get(counter.fail.remote())
    assert isinstance(caught.value, ag.exceptions.RayTaskError)
    assert ag.get(counter.add.remote()) == 2


def test_error_of_a_method_names_class_and_method() -> None:
    with pytest.raises(LookupError, match=r"Counter\.fail"):
        ag.get(Counter.remote().fail.remote())


def test_method_with_several_results() -> None:
    @ag.remote
    class Pair:
        @ag.method(num_returns=2)
        def both(self) -> tuple[int, int]:
            return 1, 2

        def three(self) -> list[int]:
            return [1, 2, 3]

    pair = Pair.remote()
    assert ag.get(pair.both.remote()) == [1, 2]  # type: ignore[comparison-overlap,unused-ignore]
    assert ag.get(pair.three.options(num_returns=3).remote()) == [1, 2, 3]


def test_method_with_no_result() -> None:
    counter = Counter.remote()
    assert counter.add.options(num_returns=0).remote(4) is None
    assert ag.get(counter.add.remote()) == 5


def test_static_and_class_methods() -> None:
    @ag.remote
    class Tools:
        @staticmethod
        def double(x: int) -> int:
            return 2 * x

        @classmethod
        def name(cls) -> str:
            return cls.__name__

    tools = Tools.remote()
    assert ag.get([tools.double.remote(4), tools.name.remote()]) == [8, "Tools"]


def test_inherited_methods() -> None:
    class Base:
        def who(self) -> str:
            return type(self).__name__

    @ag.remote
    class Derived(Base):
        def who(self) -> str:
            return super().who() + "!"

    assert ag.get(Derived.remote().who.remote()) == "Derived!"


def test_handle_as_an_argument_of_a_task() -> None:
    @ag.remote
    def use(counter: Any) -> int:
        return int(ag.get(counter.add.remote(10)))

    counter = Counter.remote()
    assert ag.get(use.remote(counter)) == 10
    assert ag.get(counter.add.remote()) == 11


def test_handle_inside_a_container() -> None:
    @ag.remote
    def use(box: dict[str, Any]) -> int:
        return int(ag.get(box["c"].add.remote()))

    assert ag.get(use.remote({"c": Counter.remote(1)}), timeout=DEADLINE) == 2


def test_handle_as_the_result_of_a_task() -> None:
    @ag.remote(num_cpus=0)
    class Registry:
        def __init__(self) -> None:
            self.counter: Any = Counter.remote(7)

        def lend(self) -> Any:
            return self.counter

    registry = Registry.remote()
    assert ag.get(ag.get(registry.lend.remote(), timeout=DEADLINE).add.remote()) == 8


def test_actor_that_uses_another_actor() -> None:
    @ag.remote
    class User:
        def __init__(self, counter: Any) -> None:
            self.counter = counter

        def use(self) -> int:
            return int(ag.get(self.counter.add.remote()))

    counter = Counter.remote()
    user = User.remote(counter)
    assert ag.get([user.use.remote() for _ in range(3)], timeout=DEADLINE) == [1, 2, 3]


def test_handles_to_one_actor_are_equal() -> None:
    @ag.remote
    def back(box: list[Any]) -> Any:
        return box

    counter = Counter.remote()
    (same,) = ag.get(back.remote([counter]))
    assert same == counter
    assert hash(same) == hash(counter)
    assert same != Counter.remote()


def test_handle_lists_its_methods() -> None:
    assert {"add", "fail", "pid"} <= set(dir(Counter.remote()))


def test_ready_call_waits_for_the_constructor() -> None:
    gate = Gate.remote()
    ready = Counter.remote(behind.remote(gate, 1)).__ray_ready__.remote()
    ag.get(gate.arrivals.remote(1), timeout=DEADLINE)
    assert ag.wait([ready], timeout=0) == ([], [ready])
    gate.open.remote()
    assert ag.get(ready, timeout=DEADLINE)


def test_ray_call_runs_a_function_on_the_instance() -> None:
    counter = Counter.remote(20)
    assert ag.get(counter.__ray_call__.remote(lambda self, by: self.value + by, 2), timeout=DEADLINE) == 22


def test_call_on_a_temporary_handle() -> None:
    assert ag.get(Counter.remote(1).add.remote(), timeout=DEADLINE) == 2


def test_submitted_calls_finish_after_the_last_handle_is_gone() -> None:
    gate = Gate.remote()
    counter = Counter.remote()
    refs = [counter.add.remote(behind.remote(gate, 1)), counter.add.remote(1)]
    del counter
    gate.open.remote()
    assert ag.get(refs, timeout=DEADLINE) == [1, 2]


def test_actor_that_creates_an_actor_and_hands_it_out() -> None:
    @ag.remote
    class Maker:
        def make(self) -> Any:
            self.made = Counter.remote()
            ag.get(self.made.add.remote())
            return self.made

    maker = Maker.remote()
    made = ag.get(maker.make.remote(), timeout=DEADLINE)
    assert ag.get(made.add.remote(), timeout=DEADLINE) == 2
    del maker
    assert ag.get(made.add.remote(), timeout=DEADLINE) == 3


def test_program_may_note_things_on_a_handle_which_are_not_sent_along() -> None:
    noted: Any = Counter.remote()
    noted.rank = 3
    assert noted.rank == 3
    assert ag.get(noted.add.remote(), timeout=DEADLINE) == 1
    arrived = ag.get(ag.put(noted))
    assert arrived == noted
    assert not hasattr(arrived, "rank")
    del noted.rank
    assert not hasattr(noted, "rank")
