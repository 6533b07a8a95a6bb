"""``actorgrid.util.state`` of objects: how large they are, and who refers to them."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import actorgrid as ag
from actorgrid.experimental import get_object_locations
from actorgrid.testing.waiting import wait_until
from actorgrid.util import state
from tests.contract.told import Counter, identity
from tests.contract.tools import DEADLINE, Gate, hold

pytestmark = pytest.mark.usefixtures("grid")


def test_objects_tell_their_size_and_who_refers_to_them() -> None:
    small, large = ag.put(b"x"), ag.put(b"x" * 300_000)
    (told,) = state.get_objects(large.hex())
    assert told.object_size > 300_000
    assert (told.reference_type, told.type, told.task_status) == ("LOCAL_REFERENCE", "DRIVER", "FINISHED")
    assert told.pid == state.list_workers(filters=[("worker_type", "=", "DRIVER")])[0].pid
    assert state.get_objects(small.hex())[0].object_size < 300
    ident = large.hex()
    del large
    assert state.get_objects(ident) == []


def test_handles_of_actors_are_not_listed_among_objects() -> None:
    counter = Counter.remote()
    ag.get(counter.increase.remote(), timeout=DEADLINE)
    listed = [one.object_id for one in state.list_objects(limit=1000)]
    assert not any(ident.startswith(counter._actor_id.hex()[:16]) for ident in listed)


@ag.remote(num_cpus=0)
def watch(ident: str, folder: Path) -> None:
    assert state.get_objects(ident)
    (folder / "seen").touch()
    assert wait_until(lambda: not state.get_objects(ident), DEADLINE)
    (folder / "gone").touch()


@pytest.mark.parametrize(
    "make", [lambda: bytes(1_000_000), lambda: bytes(5_000), lambda: [ag.put(1)]], ids=["large", "some", "references"]
)
def test_object_that_weighs_goes_at_once_though_its_holder_says_nothing_more(
    make: Callable[[], Any], tmp_path: Path
) -> None:
    ref = ag.put(make())
    watch.remote(ref.hex(), tmp_path)
    assert wait_until((tmp_path / "seen").exists, DEADLINE)
    del ref
    assert wait_until((tmp_path / "gone").exists, DEADLINE)  # from here on this process says nothing


def test_object_that_only_a_task_needs() -> None:
    holder = hold(num_cpus=2)
    used = ag.put(1)
    ident = used.hex()
    ref = identity.remote(used)
    del used
    assert [told.reference_type for told in state.get_objects(ident)] == ["USED_BY_PENDING_TASK"]
    (coming,) = state.get_objects(ref.hex())
    assert (coming.object_size, coming.task_status) == (-1, "PENDING_NODE_ASSIGNMENT")
    ag.kill(holder)
    assert ag.get(ref, timeout=DEADLINE) == 1


def test_objects_are_on_this_machine_once_they_are_made() -> None:
    gate = Gate.remote()
    there, coming = ag.put(b"x" * 1000), gate.pass_through.remote()
    ag.get(gate.arrivals.remote(at_least=1), timeout=DEADLINE)
    found = get_object_locations([there, coming])
    assert found[there]["node_ids"] == [ag.nodes()[0]["NodeID"]]
    assert found[there]["object_size"] >= 1000
    assert (found[coming]["node_ids"], found[coming]["object_size"]) == ([], None)
    gate.open.remote()
    ag.get(coming, timeout=DEADLINE)
    with pytest.raises(TypeError, match="a list of references is wanted"):
        get_object_locations(there)  # type: ignore[arg-type]  # that is the point
