"""Concurrency groups: calls of one actor that have places of their own."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

import actorgrid as ag
from actorgrid.exceptions import ActorDiedError
from tests.contract.tools import DEADLINE, Gate, kill_this_process

pytestmark = pytest.mark.usefixtures("grid")


def get(ref: Any) -> Any:
    return ag.get(ref, timeout=DEADLINE)


class Async:
    """Counts how many of its calls are inside, and the most there were."""

    def __init__(self) -> None:
        self.inside = self.most = 0

    @ag.method(concurrency_group="io")
    async def read(self, gate: Any) -> int:
        self.inside += 1
        self.most = max(self.most, self.inside)
        await gate.pass_through.remote()
        self.inside -= 1
        return self.most

    async def plain(self) -> int:
        return self.inside

    @ag.method(concurrency_group="compute")
    async def work(self) -> int:
        return self.inside


class Threaded:
    """The same, with threads."""

    def __init__(self) -> None:
        self.inside = self.most = 0
        self.lock = threading.Lock()

    @ag.method(concurrency_group="io")
    def read(self, gate: Any) -> int:
        with self.lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        ag.get(gate.pass_through.remote())
        with self.lock:
            self.inside -= 1
        return self.most

    def plain(self) -> int:
        return self.inside

    @ag.method(concurrency_group="compute")
    def work(self) -> int:
        return self.inside

    def die(self) -> None:
        kill_this_process()


GROUPS = {"io": 2, "compute": 1}


@pytest.fixture(params=[Async, Threaded])
def actor(request: pytest.FixtureRequest) -> Any:
    return ag.remote(concurrency_groups=GROUPS)(request.param).options(num_cpus=0).remote()


def arrivals(gate: Any, count: int) -> int:
    return len(get(gate.arrivals.remote(count)))


def test_group_runs_as_many_calls_as_it_has_places(actor: Any) -> None:
    gate = Gate.remote()
    refs = [actor.read.remote(gate) for _ in range(5)]
    assert arrivals(gate, 2) == 2
    get(gate.open.remote())
    assert max(get(refs)) == 2


def test_full_group_does_not_hold_up_the_others_however_many_wait_for_it(actor: Any) -> None:
    gate = Gate.remote()
    refs = [actor.read.remote(gate) for _ in range(200)]
    arrivals(gate, 2)
    assert get([actor.work.remote(), actor.plain.remote()]) == [2, 2]
    get(gate.open.remote())
    assert max(get(refs)) == 2


def test_one_call_goes_to_another_group(actor: Any) -> None:
    gate = Gate.remote()
    refs = [actor.read.remote(gate) for _ in range(3)]
    other = actor.read.options(concurrency_group="compute").remote(gate)
    assert arrivals(gate, 3) == 3
    get(gate.open.remote())
    assert max(get([*refs, other])) == 3


def test_calls_without_a_group_have_places_of_their_own() -> None:
    actor = ag.remote(concurrency_groups={"io": 1, "compute": 1})(Threaded).options(num_cpus=0).remote()
    gate = Gate.remote()
    reads = [actor.read.remote(gate) for _ in range(2)]
    arrivals(gate, 1)
    assert get([actor.plain.remote() for _ in range(20)]) == [1] * 20
    get(gate.open.remote())
    get(reads)


def test_handle_from_elsewhere_knows_the_groups(actor: Any) -> None:
    @ag.remote(num_cpus=0)
    def call(actor: Any) -> int:
        with pytest.raises(ValueError, match="has no concurrency group 'net': it has 'io', 'compute'"):
            actor.plain.options(concurrency_group="net")
        return int(ag.get(actor.plain.options(concurrency_group="io").remote()))

    assert get(call.remote(actor)) == 0


def test_handle_by_name_knows_the_groups() -> None:
    keeps = ag.remote(concurrency_groups=GROUPS)(Async).options(name="grouped", num_cpus=0).remote()
    get(keeps.plain.remote())
    with pytest.raises(ValueError, match="has no concurrency group 'net'"):
        ag.get_actor("grouped").plain.options(concurrency_group="net")
    assert get(ag.get_actor("grouped").work.remote()) == 0


def test_calls_that_wait_for_a_place_outlive_a_restart() -> None:
    gate = Gate.remote()
    remote = ag.remote(concurrency_groups=GROUPS)(Threaded)
    actor = remote.options(num_cpus=0, max_restarts=1, max_task_retries=-1).remote()
    refs = [actor.read.remote(gate) for _ in range(30)]
    arrivals(gate, 2)
    dying = actor.die.options(max_task_retries=0).remote()
    with pytest.raises(ag.exceptions.ActorUnavailableError):
        get(dying)
    get(gate.open.remote())
    assert max(get(refs)) == 2


def test_calls_that_wait_for_a_place_die_with_the_actor() -> None:
    gate = Gate.remote()
    actor = ag.remote(concurrency_groups=GROUPS)(Threaded).options(num_cpus=0).remote()
    refs = [actor.read.remote(gate) for _ in range(30)]
    arrivals(gate, 2)
    ag.kill(actor)
    for ref in refs:
        with pytest.raises(ActorDiedError):
            get(ref)
    get(gate.open.remote())


def test_call_that_waits_for_a_place_can_be_cancelled(actor: Any) -> None:
    gate = Gate.remote()
    refs = [actor.read.remote(gate) for _ in range(30)]
    arrivals(gate, 2)
    ag.cancel(refs[-1])
    with pytest.raises(ag.exceptions.TaskCancelledError):
        get(refs[-1])
    get(gate.open.remote())
    assert max(get(refs[:-1])) == 2


def test_time_limit_of_a_run_does_not_count_the_wait_for_a_place(actor: Any) -> None:
    gate = Gate.remote()
    held = [actor.read.remote(gate) for _ in range(2)]
    arrivals(gate, 2)
    late = actor.plain.options(concurrency_group="io", run_timeout=1.0).remote()
    assert ag.wait([late], timeout=1.2)[0] == []  # longer than it may run
    get(gate.open.remote())
    get([*held, late])


@pytest.mark.processes("the simulator ends a program in which nothing can happen any more, and says who waits for whom")
def test_deadlock_within_a_group_is_found_and_another_group_would_have_been_none() -> None:
    @ag.remote(num_cpus=0, concurrency_groups={"one": 1})
    class Selfish:
        def __init__(self) -> None:
            self.me: Any = None

        def know(self, me: Any) -> None:
            self.me = me[0]

        @ag.method(concurrency_group="one")
        def ask(self, group: str) -> int:
            method = self.me.answer
            return int(ag.get(method.options(concurrency_group=group).remote() if group else method.remote()))

        def answer(self) -> int:
            return 1

    actor = Selfish.remote()
    get(actor.know.remote([actor]))
    assert get(actor.ask.remote("")) == 1
    with pytest.raises(ag.exceptions.DeadlockError, match="ask"):
        get(actor.ask.remote("one"))
    assert get(actor.ask.remote("")) == 1


class TestRefusals:
    """A group that does not exist is refused at the call, on the caller's side."""

    def test_method_of_a_group_that_the_class_does_not_have(self) -> None:
        with pytest.raises(ValueError, match=r"actor class Async has no concurrency group .*: it has none"):
            ag.remote(Async)

    def test_call_to_a_group_that_the_class_does_not_have(self, actor: Any) -> None:
        with pytest.raises(ValueError, match="has no concurrency group 'net': it has 'io', 'compute'"):
            actor.plain.options(concurrency_group="net")

    def test_groups_at_use(self) -> None:
        with pytest.raises(ValueError, match="belongs to the decorator"):
            ag.remote(concurrency_groups=GROUPS)(Async).options(concurrency_groups={"io": 1})

    @pytest.mark.parametrize("value", [["io"], {"io": 1.5}, {3: 1}])
    def test_wrong_type(self, value: Any) -> None:
        with pytest.raises(TypeError, match="concurrency_groups"):
            ag.remote(concurrency_groups=value)(Async)

    @pytest.mark.parametrize("value", [{"io": 0}, {"": 1}])
    def test_bad_value(self, value: Any) -> None:
        with pytest.raises(ValueError, match="concurrency_groups"):
            ag.remote(concurrency_groups=value)(Async)

    def test_checkpoints_with_groups(self) -> None:
        with pytest.raises(ValueError, match="concurrency groups"):
            ag.remote(concurrency_groups=GROUPS, checkpoint=1, max_restarts=1)(Threaded).remote()


@pytest.mark.parametrize("group", ["io", "compute"])
def test_groups_of_an_async_actor_share_one_event_loop(group: str) -> None:
    @ag.remote(concurrency_groups={"io": 2, "compute": 2})
    class Home:
        def __init__(self) -> None:
            self.found: list[Any] = []

        async def look(self) -> bool:
            self.found.append((asyncio.get_running_loop(), threading.get_ident()))
            return all(found == self.found[0] for found in self.found)

    home = Home.remote()
    assert get(home.look.remote())
    assert get(home.look.options(concurrency_group=group).remote())
