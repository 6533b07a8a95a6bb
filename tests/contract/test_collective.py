"""Collective operations: what groups of processes do with arrays together."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import actorgrid as ag
from actorgrid.exceptions import ActorDiedError
from actorgrid.util import collective as col
from actorgrid.util.collective.types import Backend, ReduceOp
from tests.contract.tools import DEADLINE, Gate, kill_this_process

np = pytest.importorskip("numpy")

pytestmark = pytest.mark.usefixtures("grid")


def get(ref: Any) -> Any:
    return ag.get(ref, timeout=DEADLINE)


@ag.remote(num_cpus=0)
class Member:
    """Does what it is told, in a process of its own."""

    def do(self, function: Any, *args: Any) -> Any:
        return function(*args)

    def join(self, size: int, rank: int, **options: Any) -> None:
        col.init_collective_group(size, rank, **options)

    def die(self) -> None:
        kill_this_process()


def group(size: int, **options: Any) -> list[Any]:
    """Return the members of a new group."""
    members = [Member.remote() for _ in range(size)]
    get([member.join.remote(size, rank, **options) for rank, member in enumerate(members)])
    return members


def all_do(members: list[Any], function: Callable[[int], Any]) -> list[Any]:
    """Have each member call ``function(rank)``; return what comes of it."""
    results: list[Any] = get([member.do.remote(function, rank) for rank, member in enumerate(members)])
    return results


def fails(ref: Any, error: type[BaseException], match: str) -> None:
    with pytest.raises(error, match=match):
        get(ref)


def dies(member: Any) -> None:
    with pytest.raises(ActorDiedError):
        get(member.die.remote())


class TestOperations:
    """What comes of them."""

    @pytest.mark.parametrize(
        ("op", "expected"),
        [(ReduceOp.SUM, [6, 9]), (ReduceOp.PRODUCT, [6, 24]), (ReduceOp.MIN, [1, 2]), (ReduceOp.MAX, [3, 4])],
        ids=lambda value: getattr(value, "name", ""),
    )
    def test_allreduce(self, op: ReduceOp, expected: list[int]) -> None:
        def work(rank: int) -> Any:
            array = np.array([rank + 1, rank + 2])
            col.allreduce(array, op=op)
            return array.tolist()

        assert all_do(group(3), work) == [expected] * 3

    def test_allreduce_of_large_arrays(self) -> None:
        def work(rank: int) -> Any:
            array = np.full((1000, 500), float(rank))
            col.allreduce(array)
            return float(array.min()), float(array.max()), array.shape

        assert all_do(group(2), work) == [(1.0, 1.0, (1000, 500))] * 2

    def test_allreduce_of_views_and_numbers(self) -> None:
        def work(rank: int) -> Any:
            whole = np.zeros((2, 4))
            every_other = whole[:, ::2]
            every_other[...] = rank + 1
            col.allreduce(every_other)
            number = np.array(rank)
            col.allreduce(number)
            return whole.tolist(), number.item()

        assert all_do(group(2), work) == [([[3, 0, 3, 0]] * 2, 1)] * 2

    def test_reduce_changes_one(self) -> None:
        def work(rank: int) -> Any:
            array = np.array([rank + 1.0])
            col.reduce(array, dst_rank=1)
            return array[0]

        assert all_do(group(3), work) == [1, 6, 3]

    def test_broadcast(self) -> None:
        def work(rank: int) -> Any:
            array = np.array([rank, 10 * rank])
            col.broadcast(array, src_rank=2)
            return array.tolist()

        assert all_do(group(3), work) == [[2, 20]] * 3

    def test_allgather(self) -> None:
        def work(rank: int) -> Any:
            targets = [np.zeros(2, dtype=int) for _ in range(3)]
            col.allgather(targets, np.array([rank, -rank]))
            return [target.tolist() for target in targets]

        assert all_do(group(3), work) == [[[0, 0], [1, -1], [2, -2]]] * 3

    def test_reducescatter(self) -> None:
        def work(rank: int) -> Any:
            result = np.zeros(1)
            col.reducescatter(result, [np.array([float(10 * rank + part)]) for part in range(3)])
            return result[0]

        assert all_do(group(3), work) == [30, 33, 36]

    def test_send_and_recv_keep_their_order(self) -> None:
        def work(rank: int) -> Any:
            other = 1 - rank
            for value in (1, 2):
                col.send(np.array([10 * rank + value]), other)
            found = np.zeros(1, dtype=int)
            values = []
            for _ in range(2):
                col.recv(found, other)
                values.append(found[0])
            return values

        assert all_do(group(2), work) == [[11, 12], [1, 2]]

    def test_what_is_sent_is_what_it_was_then(self) -> None:
        def work(rank: int) -> Any:
            array = np.array([1])
            if rank == 0:
                col.send(array, 1)
                array[0] = 2
            else:
                col.recv(array, 0)
            return array[0]

        assert all_do(group(2), work) == [2, 1]

    def test_at_a_barrier_all_wait_for_the_last(self) -> None:
        gate = Gate.remote()
        first, second = group(2)

        def waits(gate: Any) -> None:
            ag.get(gate.arrive.remote())
            col.barrier()

        ref = first.do.remote(waits, gate)
        get(gate.arrivals.remote(1))
        assert ag.wait([ref], timeout=0.05)[0] == []
        get([ref, second.do.remote(col.barrier)])

    def test_a_program_is_a_member_like_any_other(self) -> None:
        member = Member.remote()
        joined = member.join.remote(2, 1, group_name="with the program")

        def work() -> None:
            col.allreduce(np.array([1]), "with the program")

        ref = member.do.remote(work)
        col.init_collective_group(2, 0, group_name="with the program")
        array = np.array([2])
        col.allreduce(array, "with the program")
        assert array[0] == 3
        get([joined, ref])
        col.destroy_collective_group("with the program")

    def test_tensors_of_torch(self, fresh_grid: Callable[..., Any]) -> None:
        torch = pytest.importorskip("torch")
        fresh_grid(num_cpus=2, preload=["torch"])  # it takes seconds to import

        def work(rank: int) -> Any:
            tensor = torch.full((2,), float(rank + 1))
            col.allreduce(tensor)
            parts = [torch.zeros(1) for _ in range(2)]
            col.allgather(parts, tensor[:1] + rank)
            large = torch.full((100_000,), rank)
            col.broadcast(large, 1)
            with pytest.raises(TypeError, match="cannot be seen as an array"):
                col.allreduce(torch.zeros(1, dtype=torch.bfloat16))
            return tensor.tolist(), [float(part) for part in parts], int(large[-1])

        assert all_do(group(2), work) == [([3.0, 3.0], [3.0, 4.0], 1)] * 2


class TestGroups:
    """Who belongs to what."""

    def test_members_know_their_rank(self) -> None:
        def work(rank: int) -> Any:
            return col.get_rank(), col.get_collective_group_size(), col.is_group_initialized()

        assert all_do(group(2), work) == [(0, 2, True), (1, 2, True)]
        assert (col.get_rank(), col.get_collective_group_size(), col.is_group_initialized()) == (-1, -1, False)

    def test_actors_are_made_a_group_from_outside(self) -> None:
        members = [Member.remote() for _ in range(2)]
        col.create_collective_group(members, 2, [1, 0], group_name="from outside")

        def work(_: int) -> Any:
            array = np.array([col.get_rank("from outside")])
            col.broadcast(array, 1, "from outside")
            return col.get_rank("from outside"), array[0]

        assert all_do(members, work) == [(1, 1), (0, 1)]
        with pytest.raises(RuntimeError, match="already"):
            col.create_collective_group(members, 2, [1, 0], group_name="from outside")
        col.destroy_collective_group("from outside")
        all_do(members, lambda _: col.destroy_collective_group("from outside"))
        assert all_do(members, lambda _: col.is_group_initialized("from outside")) == [False, False]

    def test_several_groups_do_not_meet(self) -> None:
        members = group(2)
        get([member.join.remote(2, 1 - rank, group_name="other") for rank, member in enumerate(members)])

        def work(rank: int) -> Any:
            array = np.array([rank])
            col.broadcast(array, 0, "other")
            col.allreduce(array)
            return array[0]

        assert all_do(members, work) == [2, 2]

    def test_a_group_can_be_made_again(self) -> None:
        members = group(2)
        for _ in range(2):
            all_do(members, lambda _: col.barrier())
            for rank, member in enumerate(members):
                get(member.do.remote(col.destroy_collective_group))
                get(member.join.remote(2, rank))
        all_do(members, lambda _: col.barrier())

    @pytest.mark.parametrize("size", [1, 2])
    def test_members_that_are_about_to_end_make_room_for_new_ones(self, size: int) -> None:
        members = group(2)
        joining = [Member.remote() for _ in range(size)]
        refs = [member.join.remote(size, rank) for rank, member in enumerate(joining)]
        ag.wait(refs, timeout=0.1)  # time to come too early
        del members  # as when a name is given to new ones
        get(refs)
        all_do(joining, lambda _: col.barrier())

    def test_who_is_no_member_is_told(self) -> None:
        with pytest.raises(RuntimeError, match="no member"):
            col.barrier("unknown")
        col.destroy_collective_group("unknown")

    def test_the_actor_behind_it_is_nobodys(self) -> None:
        group(1)
        assert ag.util.list_named_actors() == []


class TestEnds:
    """Every wait ends."""

    def test_a_members_death_is_told_to_those_who_wait_and_to_those_who_come(self) -> None:
        first, second, third = group(3)
        waiting = first.do.remote(col.barrier)
        dies(third)
        fails(waiting, ActorDiedError, "rank 2 of the collective group 'default' has died")
        fails(second.do.remote(col.barrier), ActorDiedError, "rank 2")

        def receive() -> None:
            col.recv(np.zeros(1), 2)

        fails(first.do.remote(receive), ActorDiedError, "rank 2")

    def test_who_waits_for_what_a_dead_member_was_to_send_is_told(self) -> None:
        first, second = group(2)

        def receive() -> None:
            col.recv(np.zeros(1), 1)

        waiting = first.do.remote(receive)
        dies(second)
        fails(waiting, ActorDiedError, "rank 1 of the collective group")

    def test_after_a_death_the_group_can_be_made_again(self) -> None:
        first, second = group(2)
        dies(second)
        fails(first.do.remote(col.barrier), ActorDiedError, "rank 1")
        third = Member.remote()
        get(first.do.remote(col.destroy_collective_group))
        get([first.join.remote(2, 0), third.join.remote(2, 1)])
        all_do([first, third], lambda _: col.barrier())

    def test_a_member_that_leaves_is_told_to_those_who_wait(self) -> None:
        first, second = group(2)
        waiting = first.do.remote(col.barrier)
        get(second.do.remote(col.destroy_collective_group))
        fails(waiting, RuntimeError, "rank 1 has destroyed")

    def test_a_member_that_does_not_come_is_late(self) -> None:
        first, second, _ = group(3, gloo_timeout=50)
        refs = [first.do.remote(col.barrier), second.do.remote(col.barrier)]
        fails(refs[0], TimeoutError, "did not come in time")
        fails(refs[1], TimeoutError, "did not come in time")

    def test_members_that_do_not_call_the_same_are_told_what_they_call(self) -> None:
        def work(rank: int) -> str:
            try:
                col.allreduce(np.zeros(2 + rank))
            except ValueError as error:
                return str(error)
            return ""

        texts = all_do(group(2), work)
        assert texts[0] == texts[1]
        assert "allreduce(ReduceOp.SUM, float64[2])" in texts[0]
        assert "allreduce(ReduceOp.SUM, float64[3])" in texts[0]

    def test_an_array_that_does_not_fit_what_was_sent_is_refused(self) -> None:
        def work(rank: int) -> str:
            if rank == 0:
                col.send(np.zeros(2), 1)
                return ""
            try:
                col.recv(np.zeros(3), 0)
            except ValueError as error:
                return str(error)
            return ""

        assert "float64[2]" in all_do(group(2), work)[1]


class TestRefusals:
    """Bad input is refused at the call."""

    @pytest.fixture
    def alone(self) -> Any:
        col.init_collective_group(1, 0, group_name="alone")
        yield
        col.destroy_collective_group("alone")

    @pytest.mark.parametrize(
        ("options", "error"),
        [
            ({"world_size": 0}, ValueError),
            ({"world_size": "2"}, TypeError),
            ({"rank": 2}, ValueError),
            ({"rank": True}, TypeError),
            ({"backend": "nccl"}, ValueError),
            ({"backend": None}, TypeError),
            ({"group_name": ""}, ValueError),
            ({"group_name": 3}, TypeError),
            ({"gloo_timeout": 0}, ValueError),
            ({"gloo_timeout": "1"}, TypeError),
        ],
    )
    def test_of_groups(self, options: dict[str, Any], error: type[Exception]) -> None:
        with pytest.raises(error):
            col.init_collective_group(**{"world_size": 2, "rank": 0, **options})

    def test_of_members(self) -> None:
        first, second = group(2)
        fails(first.join.remote(2, 0), RuntimeError, "already")
        other, another = Member.remote(), Member.remote()
        taken, too_many = other.join.remote(2, 1), another.join.remote(3, 2)
        fails(taken, ValueError, "another member of rank 1")
        fails(too_many, ValueError, "has 2 members, not 3")
        with pytest.raises(TypeError, match="actor handles"):
            col.create_collective_group([3], 1, [0])  # type: ignore[list-item]
        with pytest.raises(ValueError, match="world_size is 2"):
            col.create_collective_group([first, second], 2, [0])
        with pytest.raises(ValueError, match="twice"):
            col.create_collective_group([first, second], 2, [0, 0])

    def test_of_arrays(self, alone: None) -> None:
        with pytest.raises(TypeError, match="not list"):
            col.allreduce([1, 2], "alone")
        with pytest.raises(TypeError, match="not objects"):
            col.allreduce(np.array([None]), "alone")
        frozen = np.zeros(2)
        frozen.flags.writeable = False
        with pytest.raises(ValueError, match="read-only"):
            col.allreduce(frozen, "alone")
        with pytest.raises(TypeError, match="ReduceOp"):
            col.allreduce(np.zeros(1), "alone", op="sum")  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="must have 1"):
            col.allgather([], np.zeros(1), "alone")
        with pytest.raises(TypeError, match="must be a list"):
            col.allgather(np.zeros((1, 1)), np.zeros(1), "alone")
        with pytest.raises(ValueError, match="alike"):
            col.allgather([np.zeros(2)], np.zeros(1), "alone")
        with pytest.raises(ValueError, match="from 0 to 0"):
            col.broadcast(np.zeros(1), 1, "alone")
        with pytest.raises(ValueError, match="own rank"):
            col.send(np.zeros(1), 0, "alone")
        with pytest.raises(ValueError, match="own rank"):
            col.recv(np.zeros(1), 0, "alone")

    def test_rays_names_of_backends_are_known(self) -> None:
        assert Backend("GLOO") == Backend("gloo") == Backend.GLOO
        assert col.gloo_available()
        assert not col.nccl_available()
        with pytest.raises(ValueError, match="through the memory of this machine"):
            col.init_collective_group(1, 0, "nccl")
