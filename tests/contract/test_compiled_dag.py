"""Compiled graphs, pipelines of actors that run again and again: results and errors."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import actorgrid as ag
from actorgrid.dag import CompiledDAGRef, InputNode, MultiOutputNode
from actorgrid.exceptions import (
    TaskError,
)
from tests.contract.stages import Stage, compiling, get, pipeline

np = pytest.importorskip("numpy")

pytestmark = pytest.mark.usefixtures("grid")


@pytest.fixture
def compiled() -> Iterator[Callable[..., Any]]:
    """Return a function that compiles a graph, which is torn down after the test."""
    yield from compiling()


class TestResults:
    """What comes of it."""

    def test_values_go_from_actor_to_actor(self, compiled: Any) -> None:
        graph = pipeline(compiled, Stage.remote(1), Stage.remote(10), Stage.remote(100))
        ref = graph.execute(0)
        assert isinstance(ref, CompiledDAGRef)
        assert get(ref) == 111
        assert [get(graph.execute(value)) for value in range(20)] == [111 + value for value in range(20)]

    def test_a_graph_is_not_drawn_and_tensors_have_one_way_to_go(self, compiled: Any) -> None:
        with pytest.raises(NotImplementedError, match=r"actorgrid has no CompiledDAG\.visualize: "):
            pipeline(compiled, Stage.remote(1)).visualize("graph", format="svg")
        with InputNode() as value:
            assert not hasattr(Stage.remote(1).add.bind(value), "with_tensor_transport")

    def test_each_has_an_identifier_of_its_own(self, compiled: Any) -> None:
        one, other = pipeline(compiled, Stage.remote(1)), pipeline(compiled, Stage.remote(1))
        assert one.get_id() == one.get_id() != other.get_id()
        assert isinstance(one.get_id(), str)

    def test_several_executions_are_under_way_at_once(self, compiled: Any) -> None:
        graph = pipeline(compiled, Stage.remote(1), Stage.remote(10))
        refs = [graph.execute(value) for value in range(8)]
        assert get(refs) == [11 + value for value in range(8)]

    def test_results_can_be_had_in_any_order(self, compiled: Any) -> None:
        graph = pipeline(compiled, Stage.remote(1))
        refs = [graph.execute(value) for value in range(4)]
        assert get(refs[2]) == 3
        assert get(refs[0]) == 1
        assert get([refs[3], refs[1]]) == [4, 2]

    def test_branches_meet(self, compiled: Any) -> None:
        left, right, end = Stage.remote(1), Stage.remote(10), Stage.remote()
        with InputNode() as value:
            graph = compiled(end.sum.bind(left.add.bind(value), right=right.add.bind(value)))
        assert get(graph.execute(5)) == 21

    def test_one_actor_may_do_several_steps(self, compiled: Any) -> None:
        first, second = Stage.remote(1), Stage.remote(10)
        with InputNode() as value:
            once = first.add.bind(value)
            graph = compiled(first.sum.bind(second.add.bind(once), first.add.bind(once)))
        assert [get(graph.execute(value)) for value in (0, 1)] == [13, 15]

    def test_several_outputs_are_a_list_of_references(self, compiled: Any) -> None:
        first, second = Stage.remote(1), Stage.remote(10)
        with InputNode() as value:
            step = first.add.bind(value)
            graph = compiled(MultiOutputNode([step, second.add.bind(step), step]))
        refs = graph.execute(0)
        assert get(refs) == [1, 11, 1]
        one, other, _ = graph.execute(1)
        assert (get(other), get(one)) == (12, 2)

    def test_one_output_of_a_list_is_a_list(self, compiled: Any) -> None:
        with InputNode() as value:
            graph = compiled(MultiOutputNode([Stage.remote(1).add.bind(value)]))
        assert get(graph.execute(0)) == [1]

    def test_a_method_with_several_results(self, compiled: Any) -> None:
        first, second = Stage.remote(), Stage.remote()
        with InputNode() as value:
            tens, ones = first.divide.bind(value)
            graph = compiled(MultiOutputNode([second.sum.bind(tens, ones), ones, first.sum.bind(ones, ones)]))
        assert get(graph.execute(47)) == [11, 7, 14]

    def test_parts_of_the_input(self, compiled: Any) -> None:
        stage, other = Stage.remote(), Stage.remote()
        with InputNode() as value:
            graph = compiled(
                MultiOutputNode([stage.sum.bind(value[0], value[1]), other.echo.bind(value.more, extra=7)])
            )
        assert get(graph.execute(1, 2, more="x")) == [3, ("x", 7)]
        with pytest.raises(ValueError, match="keyword argument 'more'"):
            graph.execute(1, 2)
        with pytest.raises(TypeError, match="must be given"):
            graph.execute()
        assert get(graph.execute(2, 3, more="y")) == [5, ("y", 7)]

    def test_arguments_that_no_step_takes_are_refused(self, compiled: Any) -> None:
        with InputNode() as value:
            graph = compiled(Stage.remote().sum.bind(value[0], value[1]))
        with pytest.raises(ValueError, match=r"takes 2 positional arguments, and .* was given 3"):
            graph.execute(1, 2, 3)
        with pytest.raises(ValueError, match="takes argument number 1, which"):
            graph.execute(1, more=2)
        assert get(graph.execute(1, 2)) == 3
        assert get(graph.execute([1, 2])) == 3

    def test_argument_by_position_of_a_graph_that_takes_names_is_refused(self, compiled: Any) -> None:
        with InputNode() as value:
            graph = compiled(Stage.remote(1).add.bind(value.number))
        with pytest.raises(ValueError, match="takes 0 positional arguments"):
            graph.execute(1, number=2)
        assert get(graph.execute(number=2)) == 3

    def test_of_a_graph_that_takes_the_last_argument_any_number_is_taken(self, compiled: Any) -> None:
        with InputNode() as value:
            graph = compiled(Stage.remote(1).add.bind(value[-1]))
        assert [get(graph.execute(*range(count))) for count in (2, 3)] == [2, 3]

    def test_what_takes_the_whole_input_takes_all_arguments_there_are(self, compiled: Any) -> None:
        with InputNode() as value:
            graph = compiled(Stage.remote().echo.bind(value))
        both = get(graph.execute(1, number=2))
        assert (both[0], both["number"]) == (1, 2)

    def test_first_item_of_the_only_argument(self, compiled: Any) -> None:
        with InputNode() as value:
            graph = compiled(Stage.remote(1).add.bind(value[0]))
        assert get(graph.execute([5, 6])) == 6

    def test_references_that_are_bound_are_values(self, compiled: Any) -> None:
        stage = Stage.remote()
        with InputNode() as value:
            graph = compiled(stage.sum.bind(value, right=ag.put(10)))
        assert [get(graph.execute(value)) for value in (1, 2)] == [11, 12]

    def test_any_value_may_pass(self, compiled: Any) -> None:
        first, second = Stage.remote(), Stage.remote()
        with InputNode() as value:
            graph = compiled(second.echo.bind(first.echo.bind(value)))
        for each in (None, "text", {"a": [1, 2]}, b""):
            assert get(graph.execute(each)) == each
        assert get(graph.execute(lambda: 4))() == 4

    def test_large_arrays_pass_and_what_is_kept_of_them_stays(self, compiled: Any) -> None:
        stage = Stage.remote()
        with InputNode() as value:
            graph = compiled(MultiOutputNode([stage.keep.bind(value), stage.echo.bind(value)]))
        results = []
        for number in range(4):
            count, array = get(graph.execute(np.full(300_000, number)))
            assert count == number + 1
            results.append(array)
        graph.teardown()
        assert [int(array[-1]) for array in get(stage.kept.remote())] == [0, 1, 2, 3]
        assert [int(array[-1]) for array in results] == [0, 1, 2, 3]
        assert not results[0].flags.writeable

    def test_a_task_that_waits_lends_its_cpus_to_what_a_step_needs(self) -> None:
        @ag.remote(num_cpus=2)
        def other() -> int:
            return 7

        @ag.remote(num_cpus=0)
        class Asker:
            def ask(self, value: int) -> int:
                return value + ag.get(other.remote())

        @ag.remote(num_cpus=2)
        def work() -> int:
            with InputNode() as value:
                graph = Asker.remote().ask.bind(value).experimental_compile()
            result: int = ag.get(graph.execute(1))
            graph.teardown()
            return result

        assert get(work.remote()) == 8

    def test_a_task_may_compile_too(self) -> None:
        @ag.remote(num_cpus=0)
        def work() -> list[int]:
            with InputNode() as value:
                graph = Stage.remote(1).add.bind(value).experimental_compile()
            results = [ag.get(graph.execute(value)) for value in range(3)]
            graph.teardown()
            return results

        assert get(work.remote()) == [1, 2, 3]


class TestErrors:
    """What user code raises, and values that cannot pass."""

    def test_an_error_comes_out_and_the_graph_goes_on(self, compiled: Any) -> None:
        first, second = Stage.remote(), Stage.remote()
        with InputNode() as value:
            graph = compiled(second.keep.bind(first.fail_on.bind(value, "bad")))
        refs = [graph.execute(value) for value in ("good", "bad", "better")]
        assert get(refs[0]) == 1
        with pytest.raises(KeyError, match="bad") as caught:
            get(refs[1])
        assert isinstance(caught.value, TaskError)
        assert "Stage.fail_on" in str(caught.value)
        assert get(refs[2]) == 2

    def test_of_several_outputs_only_those_fail_that_need_it(self, compiled: Any) -> None:
        first, second = Stage.remote(), Stage.remote(1)
        with InputNode() as value:
            bad = first.fail_on.bind(value, 0)
            graph = compiled(
                MultiOutputNode([second.add.bind(bad), second.add.bind(value), first.sum.bind(bad, value)])
            )
        one, other, third = graph.execute(0)
        assert get(other) == 1
        with pytest.raises(KeyError):
            get(one)
        with pytest.raises(KeyError):
            get(third)
        assert get(graph.execute(1)) == [2, 2, 2]

    def test_a_wrong_number_of_results_is_an_error(self, compiled: Any) -> None:
        stage = Stage.remote()
        with InputNode() as value:
            one, _ = stage.echo.options(num_returns=2).bind(value)
            graph = compiled(one)
        with pytest.raises(ValueError, match="num_returns=2"):
            get(graph.execute([1, 2, 3]))

    def test_what_is_too_large_is_refused(self, compiled: Any) -> None:
        stage = Stage.remote()
        with InputNode() as value:
            graph = compiled(stage.echo.bind(value), _buffer_size_bytes=1000)
        with pytest.raises(ValueError, match="_buffer_size_bytes"):
            graph.execute(bytes(1001))
        assert get(graph.execute(b"small")) == b"small"

    def test_a_result_that_is_too_large_is_an_error(self, compiled: Any) -> None:
        stage = Stage.remote()
        with InputNode() as value:
            graph = compiled(stage.make.bind(value), _buffer_size_bytes=1000)
        with pytest.raises(ValueError, match="_buffer_size_bytes"):
            get(graph.execute(1001))
        assert get(graph.execute(3)) == bytes(3)

    def test_references_cannot_pass(self, compiled: Any) -> None:
        stage = Stage.remote()
        with InputNode() as value:
            graph = compiled(stage.reference.bind(value))
        with pytest.raises(TypeError, match="reference or a handle"):
            graph.execute(ag.put(1))
        with pytest.raises(TypeError, match="reference or a handle"):
            get(graph.execute(1))

    def test_what_cannot_be_pickled_is_refused(self, compiled: Any) -> None:
        stage = Stage.remote()
        with InputNode() as value:
            graph = compiled(stage.echo.bind(value))
        with pytest.raises(TypeError, match="the input of a compiled graph"):
            graph.execute(threading.Lock())
        assert get(graph.execute(1)) == 1
