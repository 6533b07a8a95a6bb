"""Compiled graphs: pipelines of actors that run again and again."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import asyncio
import gc
import pickle
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import actorgrid as ag
from actorgrid.dag import CompiledDAGRef, InputNode, MultiOutputNode
from actorgrid.exceptions import (
    ActorDiedError,
    RayCgraphCapacityExceeded,
    RayChannelError,
    RayChannelTimeoutError,
    TaskError,
)
from tests.contract.tools import DEADLINE, Gate, kill_this_process

np = pytest.importorskip("numpy")

pytestmark = pytest.mark.usefixtures("grid")


def get(ref: Any) -> Any:
    return ag.get(ref, timeout=DEADLINE)


@ag.remote(num_cpus=0)
class Stage:
    """One step of a pipeline."""

    def __init__(self, by: int = 0) -> None:
        self.by = by
        self.seen: list[Any] = []

    def add(self, value: int) -> int:
        return value + self.by

    def sum(self, left: int, right: int) -> int:
        return left + right

    def echo(self, value: Any, *, extra: Any = None) -> Any:
        return value if extra is None else (value, extra)

    def keep(self, value: Any) -> Any:
        self.seen.append(value)
        return len(self.seen)

    def kept(self) -> list[Any]:
        return self.seen

    def fail_on(self, value: Any, bad: Any) -> Any:
        if value == bad:
            raise KeyError(value)
        return value

    @ag.method(num_returns=2)
    def divide(self, value: int) -> tuple[int, int]:
        return divmod(value, 10)

    def wait_at(self, value: Any, gate: Any) -> Any:
        ag.get(gate.pass_through.remote(value))
        return value

    def die_on(self, value: Any, bad: Any) -> Any:
        if value == bad:
            kill_this_process()
        return value

    def reference(self, value: Any) -> Any:
        return [ag.put(value)]

    def make(self, size: int) -> bytes:
        return bytes(size)

    def stream(self, value: Any) -> Iterator[Any]:
        yield value


@ag.remote(num_cpus=0)
class AsyncStage:
    async def echo(self, value: Any) -> Any:
        return value


@pytest.fixture
def compiled() -> Iterator[Callable[..., Any]]:
    """Return a function that compiles a graph, which is torn down after the test."""
    made: list[Any] = []

    def compile_graph(graph: Any, **options: Any) -> Any:
        made.append(graph.experimental_compile(**options))
        return made[-1]

    yield compile_graph
    for each in made:
        each.teardown()


def pipeline(compiled: Callable[..., Any], *stages: Any, **options: Any) -> Any:
    """Return a compiled graph that calls ``add`` of each."""
    with InputNode() as value:
        node: Any = value
        for stage in stages:
            node = stage.add.bind(node)
    return compiled(node, **options)


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


class TestReferences:
    """Each is good for one ``get``."""

    def test_once(self, compiled: Any) -> None:
        graph = pipeline(compiled, Stage.remote(1))
        ref = graph.execute(1)
        assert get(ref) == 2
        with pytest.raises(ValueError, match="once"):
            get(ref)

    def test_a_timeout_does_not_count(self, compiled: Any) -> None:
        gate, stage = Gate.remote(), Stage.remote()
        with InputNode() as value:
            graph = compiled(stage.wait_at.bind(value, gate))
        ref = graph.execute(1)
        for timeout in (0, 0.02):
            with pytest.raises(RayChannelTimeoutError):
                ag.get(ref, timeout=timeout)
        with pytest.raises(TimeoutError):
            ag.get([ref], timeout=0)
        get(gate.open.remote())
        assert get(ref) == 1

    def test_threads_may_execute_and_get_at_once(self, compiled: Any) -> None:
        graph = pipeline(compiled, Stage.remote(1), Stage.remote(10), _max_inflight_executions=8)
        found: list[list[int]] = [[], [], []]

        def work(number: int) -> None:
            found[number] += [get(graph.execute(value)) for value in range(20)]

        threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(DEADLINE)
        assert found == [[11 + value for value in range(20)]] * 3

    def test_of_a_list_all_come_or_none(self, compiled: Any) -> None:
        gate, stage = Gate.remote(), Stage.remote()
        with InputNode() as value:
            graph = compiled(MultiOutputNode([Stage.remote(1).add.bind(value), stage.wait_at.bind(value, gate)]))
        refs = graph.execute(1)
        with pytest.raises(TimeoutError):
            ag.get(refs, timeout=0.02)
        with pytest.raises(ValueError, match="twice"):
            ag.get([refs[0], refs[0]])
        get(gate.open.remote())
        assert get(refs) == [2, 1]

    def test_they_cannot_be_sent_or_mixed(self, compiled: Any) -> None:
        graph = pipeline(compiled, Stage.remote(1))
        ref = graph.execute(1)
        with pytest.raises(TypeError, match="cannot be sent"):
            pickle.dumps(ref)
        with pytest.raises(TypeError, match="one kind"):
            ag.get([ref, ag.put(1)])
        with pytest.raises(TypeError, match="not an ObjectRef"):
            ag.get([ag.put(1), ref])
        assert get(ref) == 2

    def test_those_that_nobody_keeps_hold_up_nothing(self, compiled: Any) -> None:
        graph = pipeline(compiled, Stage.remote(1), _max_inflight_executions=2)
        for value in range(10):
            graph.execute(value)
        assert get(graph.execute(10)) == 11

    def test_as_many_are_under_way_as_may_be(self, compiled: Any) -> None:
        graph = pipeline(compiled, Stage.remote(1), _max_inflight_executions=2)
        refs = [graph.execute(value) for value in range(2)]
        with pytest.raises(RayCgraphCapacityExceeded, match="_max_inflight_executions"):
            graph.execute(2)
        assert get(refs[0]) == 1
        refs.append(graph.execute(2))
        assert get(refs[1:]) == [2, 3]

    def test_as_many_results_are_kept_as_may_be(self, compiled: Any) -> None:
        graph = pipeline(compiled, Stage.remote(1), _max_buffered_results=1)
        refs = [graph.execute(value) for value in range(3)]
        with pytest.raises(RayCgraphCapacityExceeded, match="_max_buffered_results"):
            get(refs[2])
        assert get(refs) == [1, 2, 3]

    def test_waiting_for_what_nobody_wants_ends_in_time(self, compiled: Any) -> None:
        gate, stage = Gate.remote(), Stage.remote()
        with InputNode() as value:
            graph = compiled(stage.wait_at.bind(value, gate), _max_inflight_executions=1, _submit_timeout=0.02)
        graph.execute(1)
        with pytest.raises(RayChannelTimeoutError):
            graph.execute(2)
        get(gate.open.remote())


class TestEnds:
    """Teardown, and the death of an actor."""

    def test_after_teardown_the_actors_do_other_things(self, compiled: Any) -> None:
        stage = Stage.remote(1)
        graph = pipeline(compiled, stage)
        assert get(graph.execute(1)) == 2
        graph.teardown()
        graph.teardown()
        assert get(stage.add.remote(5)) == 6
        again = pipeline(compiled, stage)
        assert get(again.execute(2)) == 3

    def test_after_teardown_nothing_comes(self, compiled: Any) -> None:
        graph = pipeline(compiled, Stage.remote(1))
        done, pending = graph.execute(1), graph.execute(2)
        assert get(done) == 2
        graph.teardown()
        with pytest.raises(RayChannelError, match="torn down"):
            get(pending)
        with pytest.raises(RayChannelError, match="torn down"):
            graph.execute(3)

    def test_teardown_may_kill(self, compiled: Any) -> None:
        stage = Stage.remote(1)
        graph = pipeline(compiled, stage)
        graph.teardown(kill_actors=True)
        with pytest.raises(ActorDiedError):
            get(stage.add.remote(1))

    def test_a_graph_that_nobody_has_lets_its_actors_go(self) -> None:
        stage = Stage.remote(1)
        with InputNode() as value:
            graph = stage.add.bind(value).experimental_compile()
        assert get(graph.execute(1)) == 2
        del graph
        gc.collect()
        assert get(stage.add.remote(1)) == 2

    def test_a_reference_keeps_its_graph(self) -> None:
        stage = Stage.remote(1)
        with InputNode() as value:
            ref = stage.add.bind(value).experimental_compile().execute(1)
        gc.collect()
        assert get(ref) == 2

    def test_the_death_of_an_actor_is_told_to_all_who_wait_and_all_who_come(self, compiled: Any) -> None:
        first, second, third = Stage.remote(), Stage.remote(), Stage.remote()
        with InputNode() as value:
            graph = compiled(third.echo.bind(second.die_on.bind(first.echo.bind(value), "bad")))
        assert get(graph.execute("good")) == "good"
        refs = [graph.execute("bad"), graph.execute("good")]
        for ref in (*refs, *refs):
            with pytest.raises(ActorDiedError, match="Stage"):
                get(ref)
        with pytest.raises(ActorDiedError, match="teardown"):
            graph.execute("good")
        graph.teardown()
        assert get(third.echo.remote(1)) == 1

    def test_an_actor_that_restarts_has_died_for_its_graph(self, compiled: Any) -> None:
        stage = Stage.options(max_restarts=1, max_task_retries=-1).remote()
        with InputNode() as value:
            graph = compiled(stage.die_on.bind(value, "bad"))
        with pytest.raises(ActorDiedError, match="teardown"):
            get(graph.execute("bad"))
        graph.teardown()
        assert get(stage.echo.remote(1)) == 1

    def test_an_actor_that_is_killed_from_outside(self, compiled: Any) -> None:
        gate, stage = Gate.remote(), Stage.remote()
        with InputNode() as value:
            graph = compiled(stage.wait_at.bind(value, gate))
        ref = graph.execute(1)
        get(gate.arrivals.remote(1))
        ag.kill(stage)
        with pytest.raises(ActorDiedError):
            get(ref)

    def test_an_actor_that_is_dead_cannot_be_compiled(self) -> None:
        stage = Stage.remote()
        with pytest.raises(ActorDiedError):
            get(stage.die_on.remote(1, 1))
        with InputNode() as value, pytest.raises(ActorDiedError):
            get(stage.echo.bind(value).experimental_compile().execute(1))


class TestEventLoops:
    """``execute_async``."""

    def test_futures_are_awaited(self, compiled: Any) -> None:
        graph = pipeline(compiled, Stage.remote(1), Stage.remote(10), enable_asyncio=True)

        async def work() -> list[int]:
            futures = [await graph.execute_async(value) for value in range(5)]
            results = [await futures[3]]
            results += await asyncio.gather(*(each for index, each in enumerate(futures) if index != 3))
            with pytest.raises(ValueError, match="once"):
                await futures[0]
            return results

        assert asyncio.run(work()) == [14, 11, 12, 13, 15]

    def test_several_outputs_are_a_list_of_futures(self, compiled: Any) -> None:
        stage = Stage.remote(1)
        with InputNode() as value:
            step = stage.fail_on.bind(value, 0)
            graph = compiled(MultiOutputNode([step, stage.add.bind(value)]), enable_asyncio=True)

        async def work() -> int:
            bad, good = await graph.execute_async(0)
            with pytest.raises(KeyError):
                await bad
            result: int = await good
            return result

        assert asyncio.run(work()) == 1

    def test_a_death_is_told(self, compiled: Any) -> None:
        stage = Stage.remote()
        with InputNode() as value:
            graph = compiled(stage.die_on.bind(value, 1), enable_asyncio=True)

        async def work() -> None:
            await (await graph.execute_async(1))

        with pytest.raises(ActorDiedError):
            asyncio.run(work())

    def test_a_graph_is_for_event_loops_or_not(self, compiled: Any) -> None:
        graph = pipeline(compiled, Stage.remote(1), enable_asyncio=True)
        with pytest.raises(ValueError, match="execute_async"):
            graph.execute(1)
        other = pipeline(compiled, Stage.remote(1))
        with pytest.raises(ValueError, match="enable_asyncio=True"):
            asyncio.run(other.execute_async(1))


class TestRefusals:
    """What cannot be compiled is refused where it is compiled."""

    def test_tasks_and_actors_that_are_not_there(self) -> None:
        @ag.remote(num_cpus=0)
        def task(value: Any) -> Any:
            return value

        with InputNode() as value:
            with pytest.raises(ValueError, match="methods of actors"):
                Stage.remote().echo.bind(task.bind(value)).experimental_compile()
            with pytest.raises(ValueError, match="must be there"):
                Stage.bind().echo.bind(value).experimental_compile()

    def test_graphs_without_input_and_steps_without_one(self) -> None:
        stage = Stage.remote()
        with pytest.raises(ValueError, match="InputNode"):
            stage.echo.bind(1).experimental_compile()
        with InputNode() as value:
            with pytest.raises(ValueError, match="neither the input"):
                stage.sum.bind(stage.echo.bind(1), value).experimental_compile()
            with pytest.raises(ValueError, match="container"):
                stage.echo.bind([value], extra=value).experimental_compile()
            with pytest.raises(ValueError, match="ends with methods"):
                MultiOutputNode([stage.echo.bind(value), value]).experimental_compile()
            with pytest.raises(ValueError, match="end of a graph"):
                stage.echo.bind(MultiOutputNode([value])).experimental_compile()
            with pytest.raises(ValueError, match="no single result"):
                stage.stream.bind(value).experimental_compile()
            for option in ({"timeout": 1.0}, {"run_timeout": 1.0}, {"retry_exceptions": True}):
                with pytest.raises(ValueError, match="can have neither"):
                    stage.echo.options(**option).bind(value).experimental_compile()

    def test_an_actor_works_for_one_graph_at_a_time(self, compiled: Any) -> None:
        stage = Stage.remote(1)
        graph = pipeline(compiled, stage)
        with pytest.raises(ValueError, match="another compiled graph"):
            pipeline(compiled, stage)
        assert get(graph.execute(1)) == 2

    @pytest.mark.processes("in the simulator the steps are ordinary calls, which any actor can do")
    def test_asynchronous_actors(self) -> None:
        stage, other = AsyncStage.remote(), Stage.remote()
        with InputNode() as value, pytest.raises(ValueError, match="async def"):
            other.echo.bind(stage.echo.bind(value)).experimental_compile()
        assert get(stage.echo.remote(1)) == 1
        assert get(other.echo.remote(1)) == 1

    @pytest.mark.parametrize(
        ("option", "wrong", "error"),
        [
            ("_submit_timeout", -1, ValueError),
            ("_submit_timeout", "1", TypeError),
            ("_buffer_size_bytes", 0, ValueError),
            ("_buffer_size_bytes", 1.5, TypeError),
            ("enable_asyncio", 1, TypeError),
            ("_max_inflight_executions", 0, ValueError),
            ("_max_inflight_executions", 201, ValueError),
            ("_max_buffered_results", True, TypeError),
            ("_overlap_gpu_communication", True, ValueError),
            ("_default_communicator", "nccl", ValueError),
        ],
    )
    def test_options(self, option: str, wrong: Any, error: type[Exception]) -> None:
        with InputNode() as value:
            graph = Stage.remote().echo.bind(value)
        with pytest.raises(error, match=option):
            graph.experimental_compile(**{option: wrong})
