"""Compiled graphs: their references, their ends, event loops, and what is refused."""

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
from actorgrid.dag import InputNode, MultiOutputNode
from actorgrid.exceptions import (
    ActorDiedError,
    RayCgraphCapacityExceeded,
    RayChannelError,
    RayChannelTimeoutError,
)
from tests.contract.stages import AsyncStage, Stage, compiling, get, pipeline
from tests.contract.tools import DEADLINE, Gate

np = pytest.importorskip("numpy")

pytestmark = pytest.mark.usefixtures("grid")


@pytest.fixture
def compiled() -> Iterator[Callable[..., Any]]:
    """Return a function that compiles a graph, which is torn down after the test."""
    yield from compiling()


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
