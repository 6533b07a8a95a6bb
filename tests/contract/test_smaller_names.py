"""Names and parameters of Ray's that a program may use, and that no other test of the contract is about."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import queue
from collections.abc import Iterator
from typing import Any

import pytest

import actorgrid as ag
from actorgrid import util
from actorgrid.exceptions import TaskError
from actorgrid.experimental import get_local_object_locations, get_object_locations
from actorgrid.testing.waiting import wait_until
from actorgrid.util import state
from actorgrid.util.scheduling_strategies import NodeAffinitySchedulingStrategy
from tests.contract.tools import DEADLINE, Gate

pytestmark = pytest.mark.usefixtures("grid")


@ag.remote
def identity(value: Any) -> Any:
    return value


@ag.remote
def failing() -> None:
    raise ValueError("not today")


@ag.remote
def count(most: int) -> Iterator[int]:
    for number in range(most):  # noqa: UP028  # Ray fails to yield from what has no send()
        yield number


@ag.remote
def waiting(gate: Any) -> None:
    ag.get(gate.pass_through.remote("waiting"))


def test_objects_are_on_this_machine_as_soon_as_they_are_made() -> None:
    gate = Gate.remote()
    made, pending = ag.put(b"x" * 1000), waiting.remote(gate)
    here = ag.nodes()[0]["NodeID"]
    found = get_local_object_locations([made])
    assert found[made]["node_ids"] == [here]
    assert found[made]["object_size"] > 1000
    assert get_object_locations([made, pending])[pending]["node_ids"] == []
    ag.get(gate.open.remote())


def test_states_are_listed_with_the_parameters_that_ask_for_what_is_missing() -> None:
    ag.get(identity.remote(1))
    (task,) = state.list_tasks(filters=[("name", "=", "identity")], raise_on_missing_output=False, _explain=True)
    assert task.state == "FINISHED"
    assert state.list_actors(filters=[("name", "=", "nobody")], raise_on_missing_output=False) == []
    assert state.summarize_tasks(raise_on_missing_output=True)


@pytest.mark.parametrize("fetch_local", [True, False])
def test_what_is_ready_is_so_wherever_it_is(fetch_local: bool) -> None:
    refs = [identity.remote(value) for value in range(3)]
    ready, rest = ag.wait(refs, num_returns=3, timeout=DEADLINE, fetch_local=fetch_local)
    assert (ready, rest) == (refs, [])


def test_group_that_would_rather_be_on_a_machine_is_on_the_only_one() -> None:
    here = ag.nodes()[0]["NodeID"]
    group = util.placement_group([{"CPU": 1}], "STRICT_PACK", _soft_target_node_id=here)
    assert group.wait(DEADLINE)
    util.remove_placement_group(group)
    with pytest.raises(ValueError, match="only works with STRICT_PACK"):
        util.placement_group([{"CPU": 1}], "SPREAD", _soft_target_node_id=here)


def test_task_may_say_that_the_machine_it_would_rather_be_on_is_not_the_only_one() -> None:
    here = ag.nodes()[0]["NodeID"]
    strategy = NodeAffinitySchedulingStrategy(here, soft=True, _spill_on_unavailable=True)
    assert ag.get(identity.options(scheduling_strategy=strategy).remote(1)) == 1
    strategy = NodeAffinitySchedulingStrategy(here, soft=False, _fail_on_unavailable=True)
    assert ag.get(identity.options(scheduling_strategy=strategy).remote(2)) == 2


def test_callback_of_a_reference_is_given_the_value_or_the_error() -> None:
    told: queue.Queue[Any] = queue.Queue()
    ref = identity.remote("value")
    ref._on_completed(told.put)  # Ray's name
    assert ag.get(ref) == "value"
    assert wait_until(lambda: not told.empty())
    assert told.get() == "value"
    wrong = failing.remote()
    wrong._on_completed(told.put)  # Ray's name
    ag.wait([wrong])
    assert wait_until(lambda: not told.empty())
    error = told.get()
    assert isinstance(error, TaskError)
    assert "not today" in str(error)


def test_generator_that_is_read_by_a_coroutine_is_closed_by_it() -> None:
    @ag.remote
    class Reader:
        async def first(self) -> tuple[int, bool]:
            items = count.remote(1000)
            first = await (await anext(items))
            await items.aclose()
            return first, items.is_finished()

    assert ag.get(Reader.remote().first.remote(), timeout=DEADLINE) == (0, True)


@pytest.mark.parametrize("way", ["send", "throw"])
def test_values_go_one_way_through_a_generator(way: str) -> None:
    items = count.remote(3)
    with pytest.raises(NotImplementedError):
        getattr(items, way)(ValueError())
    assert [ag.get(item) for item in items] == [0, 1, 2]


@pytest.mark.parametrize("way", ["asend", "athrow"])
def test_values_go_one_way_through_a_generator_that_is_read_by_a_coroutine(way: str) -> None:
    items = count.remote(3)
    with pytest.raises(NotImplementedError):
        getattr(items, way)(ValueError()).send(None)
    assert [ag.get(item) for item in items] == [0, 1, 2]


def test_runtime_context_tells_session_and_folder() -> None:
    context = ag.get_runtime_context()
    assert context.get_session_name().startswith("session_")
    assert context.get_temp_dir()
