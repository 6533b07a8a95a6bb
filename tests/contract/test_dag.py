"""Graphs of calls: ``bind``, ``InputNode``, ``MultiOutputNode``, ``execute``."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import pickle
from typing import Any, NamedTuple

import pytest

import actorgrid as ag
from actorgrid.dag import ClassMethodNode, ClassNode, FunctionNode, InputNode, MultiOutputNode
from tests.contract.tools import DEADLINE

pytestmark = pytest.mark.usefixtures("grid")


def get(ref: Any) -> Any:
    return ag.get(ref, timeout=DEADLINE)


@ag.remote(num_cpus=0)
def add(a: int, b: int) -> int:
    return a + b


@ag.remote(num_cpus=0)
def identity(value: Any) -> Any:
    return value


@ag.remote(num_cpus=0)
class Counter:
    def __init__(self, value: int = 0) -> None:
        self.value = value

    def add(self, by: int) -> int:
        self.value += by
        return self.value

    def get(self) -> int:
        return self.value

    @ag.method(num_returns=2)
    def both(self, by: int) -> tuple[int, int]:
        return self.value - by, self.value + by

    def fail(self, text: str) -> None:
        raise KeyError(text)


class Point(NamedTuple):
    x: Any
    y: Any


class TestFunctions:
    """Graphs of remote functions."""

    def test_nothing_is_called_before_execute(self) -> None:
        counter = Counter.remote()
        node = counter.add.bind(1)
        assert isinstance(node, ClassMethodNode)
        assert get(counter.get.remote()) == 0
        assert get(node.execute()) == 1
        assert get(node.execute(_ray_cache_refs=False)) == 2

    def test_references_are_not_kept_with_steps(self) -> None:
        with pytest.raises(ValueError, match="'_ray_cache_refs' keeps references"):
            Counter.remote().get.bind().execute(_ray_cache_refs=True)

    def test_steps_are_given_the_results_of_others(self) -> None:
        graph = add.bind(add.bind(1, 2), b=add.bind(3, 4))
        assert isinstance(graph, FunctionNode)
        assert get(graph.execute()) == 10

    def test_a_step_that_two_others_need_is_called_once(self) -> None:
        counter = Counter.remote()
        shared = counter.add.bind(1)
        graph = add.bind(shared, shared)
        assert get(graph.execute()) == 2
        assert get(counter.get.remote()) == 1

    def test_steps_inside_of_containers_become_references(self) -> None:
        graph = identity.bind([{"here": add.bind(1, 2)}, (add.bind(3, 4), 5), Point(add.bind(5, 6), 0)])
        first, second, third = get(graph.execute())
        assert get(first["here"]) == 3
        assert get(second[0]) == 7
        assert second[1] == 5
        assert type(third) is Point
        assert get(third.x) == 11

    def test_options_count(self) -> None:
        refs = identity.options(num_returns=2).bind((1, 2)).execute()
        assert get(refs) == [1, 2]

    def test_a_chain_may_be_longer_than_the_stack(self) -> None:
        counter = Counter.remote()
        graph = counter.add.bind(0)
        for _ in range(1200):
            graph = counter.add.bind(graph)
        assert get(graph.execute()) == 0

    def test_an_error_comes_out_at_the_end(self) -> None:
        graph = add.bind(Counter.remote().fail.bind("lost"), 1)
        with pytest.raises(KeyError, match="lost"):
            get(graph.execute())

    def test_arguments_are_checked_where_they_are_bound(self) -> None:
        with pytest.raises(TypeError, match=r"add\(\)"):
            add.bind(1)
        with pytest.raises(TypeError, match=r"Counter\(\)"):
            Counter.bind(1, 2)
        with pytest.raises(TypeError, match=r"Counter.add\(\)"):
            Counter.remote().add.bind()

    def test_a_step_cannot_be_sent(self) -> None:
        with pytest.raises(TypeError, match="a step of a graph"):
            pickle.dumps(add.bind(1, 2))
        with pytest.raises(TypeError, match="a step of a graph"):
            identity.remote(add.bind(1, 2))


class TestActors:
    """Actors that an execution makes."""

    def test_each_execution_makes_its_own(self) -> None:
        graph = Counter.bind(10).add.bind(1)
        assert get(graph.execute()) == 11
        assert get(graph.execute()) == 11

    def test_methods_are_called_in_the_order_in_which_they_were_bound(self) -> None:
        counter = Counter.bind(1)
        counter.add.bind(2)
        counter.add.bind(4)
        graph = counter.get.bind()
        counter.add.bind(8)
        assert get(graph.execute()) == 7

    def test_executing_one_gives_its_handle(self) -> None:
        counter = Counter.options(num_cpus=0).bind(add.bind(1, 2))
        assert isinstance(counter, ClassNode)
        handle = counter.execute()
        assert isinstance(handle, ag.actor.ActorHandle)
        assert get(handle.get.remote()) == 3

    def test_unknown_methods_are_refused(self) -> None:
        with pytest.raises(AttributeError, match="no method 'subtract'"):
            _ = Counter.bind().subtract

    def test_a_method_with_several_results_is_several_steps(self) -> None:
        less, more = Counter.remote(5).both.bind(1)
        assert get(add.bind(more, less).execute()) == 10
        less, more = Counter.bind(5).both.bind(2)
        assert get(MultiOutputNode([less, more]).execute()) == [3, 7]
        counter = Counter.bind(5)
        assert get(counter.add.options(name="renamed").bind(2).execute()) == 7


class TestInput:
    """What ``execute`` is given."""

    def test_one_argument_is_the_input(self) -> None:
        with InputNode() as value:
            graph = add.bind(value, value)
        assert get(graph.execute(3)) == 6
        assert get(graph.execute(ag.put(4))) == 8

    def test_its_items_and_attributes_are_steps(self) -> None:
        with InputNode() as value:
            graph = MultiOutputNode([add.bind(value[0], value[1]), identity.bind(value.y)])
        assert get(graph.execute(Point(1, 2))) == [3, 2]

    def test_number_0_of_one_argument_is_its_first_item(self) -> None:
        with InputNode() as value:
            graph = identity.bind(value[0])
        assert get(graph.execute([5, 6])) == 5
        assert get(graph.execute([5, 6], 7)) == [5, 6]

    def test_of_several_arguments_each_is_a_step(self) -> None:
        with InputNode() as value:
            graph = add.bind(value[1], add.bind(value.extra, value["more"]))
        assert get(graph.execute(0, 1, extra=10, more=100)) == 111
        with pytest.raises(ValueError, match="keyword argument 'more'"):
            graph.execute(0, 1, extra=10)
        with pytest.raises(ValueError, match="argument number 1"):
            graph.execute(0, extra=10, more=100)

    def test_several_arguments_together_are_one_value(self) -> None:
        with InputNode() as value:
            graph = identity.bind(value)
        data = get(graph.execute(1, b=2))
        assert (data[0], data["b"]) == (1, 2)

    def test_a_graph_has_the_input_it_is_executed_with(self) -> None:
        with InputNode() as value:
            graph = identity.bind(value)
        with pytest.raises(TypeError, match="must be given"):
            graph.execute()
        with pytest.raises(TypeError, match="takes no arguments"):
            add.bind(1, 2).execute(3)
        with InputNode() as other, pytest.raises(ValueError, match="has 2"):
            add.bind(value, other).execute(1)

    def test_it_cannot_be_iterated_over(self) -> None:
        with pytest.raises(TypeError, match="iterated"), InputNode() as value:
            list(value)


class TestOutput:
    """Several results."""

    def test_they_come_as_a_list_of_references(self) -> None:
        counter = Counter.remote()
        step = counter.add.bind(1)
        refs = MultiOutputNode([step, add.bind(step, 1)]).execute()
        assert get(refs) == [1, 2]

    @pytest.mark.parametrize("wrong", [[], 3, [3], add])
    def test_anything_but_steps_is_refused(self, wrong: Any) -> None:
        with pytest.raises((TypeError, ValueError), match="node"):
            MultiOutputNode(wrong)


def test_step_tells_what_it_was_bound_with() -> None:
    step = identity.bind(1)
    graph = add.bind(step, b=2)
    assert graph.get_args() == (step,)
    assert graph.get_kwargs() == {"b": 2}
    assert Counter.bind(value=3).get_kwargs() == {"value": 3}


def test_step_tells_the_options_of_its_call() -> None:
    step = identity.options(name="renamed").bind(1)
    assert (step.get_options()["name"], step.get_options()["num_cpus"]) == ("renamed", 0)
    step.get_options()["name"] = "elsewhere"  # it is a copy
    assert step.get_options()["name"] == "renamed"
    options = Counter.remote().add.options(name="adds").bind(1).get_options()
    assert (options["name"], options["num_returns"], options["concurrency_group"]) == ("adds", 1, None)
    counter = Counter.options(num_cpus=0.5).bind()
    assert counter.get_options()["num_cpus"] == 0.5
    assert counter.add.options(name="adds").bind(1).get_options() == {"name": "adds"}
    assert counter.add.bind(1).get_options() == InputNode().get_options() == {}


def test_each_step_has_an_identifier_of_its_own() -> None:
    one, other = identity.bind(1), identity.bind(1)
    assert len(bytes.fromhex(one.get_stable_uuid())) == 16
    assert one.get_stable_uuid() == one.get_stable_uuid() != other.get_stable_uuid()


def test_step_of_a_method_tells_its_name_and_its_results() -> None:
    counter = Counter.remote()
    less, more = counter.both.bind(1)
    assert isinstance(less, ClassMethodNode)
    assert [(each.is_class_method_output, each.output_idx, each.num_returns) for each in (less, more)] == [
        (True, 0, 2),
        (True, 1, 2),
    ]
    call = less.class_method_call
    assert call is more.class_method_call
    assert (call.get_method_name(), call.num_returns, call.is_class_method_call) == ("both", 2, True)
    assert (call.is_class_method_output, call.class_method_call, call.output_idx) == (False, None, None)
    assert counter.add.bind(1).num_returns == 1
    value = InputNode()
    assert [part.key for part in (value[0], value["x"], value.x)] == [0, "x", "x"]


@pytest.mark.parametrize(
    "name",
    ["apply_functional", "apply_recursive", "clear_cache", "get_object_refs_from_last_execute",
     "get_other_args_to_resolve", "traverse_and_apply", "type_hint"],
)  # fmt: skip
def test_steps_do_not_tell_how_they_are_built(name: str) -> None:
    assert not hasattr(identity.bind(1), name)
