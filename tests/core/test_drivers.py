"""Several drivers on one head: what ends with the one that leaves, and what stays."""

from __future__ import annotations

import msgspec
import pytest

from actorgrid.core import messages as m
from actorgrid.core.head.effects import SignalWorker, Stop
from actorgrid.core.head.machine import Head, HeadConfig
from actorgrid.core.head.records import Actor
from actorgrid.core.ids import DRIVER, first_id
from actorgrid.core.messages import FailureKind, Kind, Status, Value
from actorgrid.core.resources import demand
from tests.core.bench import OK, Bench
from tests.core.script import Step
from tests.core.world import World

FIRST_OF_SECOND = first_id(DRIVER + 1) + 1


class TwoDrivers(Bench):
    """A bench whose second driver has registered a task, an actor class and a detached one."""

    def __init__(self, **capacity: float) -> None:
        super().__init__(**capacity)
        self.other = self.head.add_driver().number
        self.task, self.actor, self.detached, self.method = (FIRST_OF_SECOND + index for index in range(4))
        self.from_other(
            m.Export(b"code", "g", Value(Status.OK, b"x")),
            m.Spec(self.task, Kind.TASK, "g", b"code", demand({"CPU": 1}), max_retries=3),
            m.Spec(self.actor, Kind.ACTOR, "A", b"code", num_returns=0),
            m.Spec(self.detached, Kind.ACTOR, "A", b"code", num_returns=0, detached=True),
            m.Spec(self.method, Kind.METHOD, "f"),
        )

    def from_other(self, *messages: object) -> None:
        self.say(*messages, source=self.other)

    def leave(self) -> None:
        """The second driver's process ends."""
        self.head.leave(self.other)
        self.say()

    def create(self, ident: int, spec: int, name: str = "") -> int:
        """The second driver creates an actor, and its constructor returns."""
        self.from_other(m.CreateActor(ident, spec, name=name, namespace="here"))
        self.done(ident, ())
        return ident


def kind_of(message: m.Ready) -> FailureKind:
    return msgspec.msgpack.decode(message.value.data, type=m.Failure).kind


def test_waiting_task_of_a_driver_that_leaves_never_starts() -> None:
    bench = TwoDrivers(CPU=1)
    mine = bench.submit(bench.spec())
    bench.from_other(m.Submit(FIRST_OF_SECOND + 10, bench.task), m.Submit(FIRST_OF_SECOND + 11, bench.task))
    bench.leave()
    bench.die(bench.worker_of(mine), current=0)
    assert [*bench.head.tasks.table] == [mine]


def test_running_task_of_a_driver_that_leaves_is_killed_and_not_tried_again() -> None:
    bench = TwoDrivers()
    bench.from_other(m.Submit(FIRST_OF_SECOND + 10, bench.task))
    worker = bench.worker_of(FIRST_OF_SECOND + 10)
    bench.leave()
    killed = [effect.number for effect in bench.head.effects if isinstance(effect, SignalWorker)]
    assert killed == [worker.number]
    bench.die(worker, current=FIRST_OF_SECOND + 10)
    assert not bench.head.tasks.table
    assert bench.head.ready.pool.free == bench.head.ready.pool.capacity


def test_what_a_task_submitted_goes_with_the_driver_of_the_task() -> None:
    bench = TwoDrivers()
    outer, inner = FIRST_OF_SECOND + 10, first_id(99)
    bench.from_other(m.Submit(outer, bench.task))
    worker = bench.worker_of(outer)
    spec = first_id(worker.number)
    inner = spec + 1
    bench.say(m.Spec(spec, Kind.TASK, "inner", b"code"), m.Submit(inner, spec, parent=outer), source=worker.number)
    assert bench.head.tasks.table[inner].job == bench.other
    bench.leave()
    for task in list(bench.head.tasks.table.values()):
        if task.worker is not None:
            bench.die(task.worker, current=task.message.task)
    assert not bench.head.tasks.table


def test_calls_to_an_actor_whose_driver_left_fail_with_actor_died() -> None:
    bench = TwoDrivers()
    actor = bench.create(FIRST_OF_SECOND + 10, bench.actor, name="theirs")
    bench.say(m.Query(1, "get_actor", {"namespace": "here", "name": "theirs"}))
    bench.head.objects.grant(bench.driver, actor)
    method = bench.id()
    bench.say(m.Spec(method, Kind.METHOD, "f"))
    running = bench.submit(method, actor=actor)
    bench.sent()
    bench.leave()
    late = bench.submit(method, actor=actor)
    answers = {message.oid: kind_of(message) for message in bench.sent() if isinstance(message, m.Ready)}
    assert answers == {running: FailureKind.ACTOR_DIED, late: FailureKind.ACTOR_DIED}
    assert not bench.head.actors.names


def test_detached_actor_outlives_its_driver_and_answers_the_others() -> None:
    bench = TwoDrivers()
    actor = bench.create(FIRST_OF_SECOND + 10, bench.detached, name="stays")
    bench.leave()
    held = bench.head.objects.table[actor]
    assert isinstance(held, Actor)
    assert held.death is None
    bench.head.objects.grant(bench.driver, actor)
    method = bench.id()
    bench.say(m.Spec(method, Kind.METHOD, "f"))
    call = bench.submit(method, actor=actor)
    bench.done(call)
    values = [message.value.status for message in bench.sent() if isinstance(message, m.Ready)]
    assert values == [Status.OK]


def test_call_of_a_driver_that_leaves_does_not_hurt_the_actor_of_another() -> None:
    bench = TwoDrivers()
    spec, actor = bench.spec("A", kind=Kind.ACTOR, num_returns=0), bench.id()
    bench.say(m.CreateActor(actor, spec))
    bench.done(actor, ())
    bench.head.objects.grant(bench.head.peers[bench.other], actor)
    call = FIRST_OF_SECOND + 10
    bench.from_other(m.Submit(call, bench.method, actor=actor))
    bench.leave()
    assert not [effect for effect in bench.head.effects if isinstance(effect, SignalWorker)]
    bench.done(call, OK)
    held = bench.head.objects.table[actor]
    assert isinstance(held, Actor)
    assert held.death is None
    assert not bench.head.tasks.table


def test_objects_of_a_driver_that_left_stay_while_another_refers_to_them() -> None:
    bench = TwoDrivers()
    put = FIRST_OF_SECOND + 10
    bench.from_other(m.Put(put, Value(Status.OK, b"1")))
    bench.head.objects.grant(bench.driver, put)
    bench.leave()
    assert put in bench.head.objects.table
    bench.say(m.Release((put,)))
    assert put not in bench.head.objects.table


def test_grid_ends_with_the_last_driver_and_not_before() -> None:
    bench = TwoDrivers()
    bench.say(m.Bye())
    assert not [effect for effect in bench.head.effects if isinstance(effect, Stop)]
    bench.from_other(m.Bye())
    assert [effect for effect in bench.head.effects if isinstance(effect, Stop)]


def test_what_a_detached_actor_submits_outlives_the_driver_that_created_it() -> None:
    bench = TwoDrivers()
    actor = bench.create(FIRST_OF_SECOND + 10, bench.detached, name="stays")
    held = bench.head.objects.table[actor]
    assert isinstance(held, Actor)
    assert held.worker is not None
    call, spec = FIRST_OF_SECOND + 11, first_id(held.worker.number)
    bench.from_other(m.Submit(call, bench.method, actor=actor))
    inner = m.Submit(spec + 1, spec, parent=call)
    bench.say(m.Spec(spec, Kind.TASK, "inner", b"code"), inner, source=held.worker.number)
    bench.leave()
    assert spec + 1 in bench.head.tasks.table
    bench.done(spec + 1)
    assert bench.head.objects.status(spec + 1) is Status.OK


def test_task_that_was_on_its_way_while_its_driver_left_does_not_run() -> None:
    bench = TwoDrivers(CPU=1)
    outer = FIRST_OF_SECOND + 10
    bench.from_other(m.Submit(outer, bench.task))
    worker = bench.worker_of(outer)
    spec = first_id(worker.number)
    bench.leave()
    inner = m.Submit(spec + 1, spec, parent=outer)
    bench.say(m.Spec(spec, Kind.TASK, "inner", b"code", demand({"CPU": 1})), inner, source=worker.number)
    assert [*bench.head.tasks.table] == [outer]


def test_code_stays_from_its_export_on_though_others_forget_it_before_its_spec_comes() -> None:
    bench = TwoDrivers()
    code, mine, theirs = Value(Status.OK, b"y"), bench.id(), FIRST_OF_SECOND + 10
    bench.say(m.Export(b"new", "h", code), m.Spec(mine, Kind.TASK, "h", b"new", demand({"CPU": 1})))
    bench.from_other(m.Export(b"new", "h", code))
    bench.say(m.Forget(mine))
    bench.from_other(m.Spec(theirs, Kind.TASK, "h", b"new", demand({"CPU": 1})), m.Forget(theirs))
    assert b"new" not in bench.head.library.codes


def test_code_that_was_exported_and_never_used_goes_with_its_driver() -> None:
    bench = TwoDrivers()
    bench.from_other(m.Export(b"new", "h", Value(Status.OK, b"y")))
    bench.leave()
    assert b"new" not in bench.head.library.codes


def test_code_that_a_driver_had_exported_once_more_is_unlearnt_when_it_leaves() -> None:
    bench = TwoDrivers()
    code, mine = Value(Status.OK, b"y"), bench.id()
    bench.say(m.Export(b"new", "h", code), m.Spec(mine, Kind.TASK, "h", b"new", demand({"CPU": 1})))
    task = bench.submit(mine)
    worker = bench.worker_of(task)
    bench.done(task)
    bench.from_other(m.Export(b"new", "h", code))
    bench.say(m.Forget(mine))
    assert b"new" in worker.codes
    bench.leave()
    assert b"new" not in worker.codes


# ----------------------------------------------------------------------------------------------------- persistent grids


def persistent(**capacity: float) -> Head:
    return Head(HeadConfig(demand(capacity), 1 << 20, 1, 4, persistent=True))


def test_persistent_grid_has_no_driver_at_first_and_stays_without_one() -> None:
    head = persistent(CPU=1)
    assert not head.drivers
    head.leave(head.add_driver().number)
    assert not head.drivers
    assert not [effect for effect in head.effects if isinstance(effect, Stop)]


def test_driver_that_joins_learns_of_the_processes_that_there_are() -> None:
    head = persistent(CPU=1)
    head.workers.prestart(1)
    (number,) = head.workers.table
    head.hear_launcher(m.Spawned(number, 4711), 0.0)
    assert m.Group(4711, alive=True) in head.add_driver().outbox


def test_idle_processes_that_are_set_up_for_a_driver_go_with_it() -> None:
    head = persistent(CPU=2)
    mine, other = head.add_driver().number, head.add_driver().number
    for driver in (mine, other):
        spec, task = first_id(driver) + 1, first_id(driver) + 2
        head.handle(
            driver,
            [
                m.Export(b"code", "f", Value(Status.OK, b"x")),
                m.Spec(spec, Kind.TASK, "f", b"code", demand({"CPU": 1}), setup=b"of %d" % driver),
                m.Submit(task, spec),
            ],
            0.0,
        )
        head.turn(0.0)
        worker = head.tasks.table[task].worker
        assert worker is not None
        head.handle(worker.number, [m.Done(task, 0, OK)], 0.0)
        head.turn(0.0)
    ours, theirs = ([each for each in head.workers.table.values() if each.peer.job == job] for job in (mine, other))
    head.leave(mine)
    assert [worker.state for worker in ours] == ["leaving"]
    assert [worker.state for worker in theirs] == ["idle"]


def test_driver_that_leaves_has_ended_for_those_who_wait_for_that() -> None:
    bench = TwoDrivers()
    oid = bench.id()
    bench.say(m.AwaitEnd(oid, bench.other, Value(Status.OK, b"over")))
    assert not [message for message in bench.sent() if isinstance(message, m.Ready)]
    bench.leave()
    assert [message.oid for message in bench.sent() if isinstance(message, m.Ready)] == [oid]


@pytest.mark.parametrize("pick", [0, -1], ids=["first", "last"])
def test_driver_may_leave_at_any_time_with_streams_that_wait_run_and_are_over(pick: int) -> None:
    streams = (Step("stream", 0, 0, (Step("yield"),)),) * 3
    for leaves in range(30):
        world = World(cpus=1, drivers=2)
        world.run((), lambda count: pick % count, 40, streams, leaves)
        if len(world.hosts) > 1:  # nothing was left to happen before that
            world.leave(max(world.hosts))
            world.drain()
        assert not world.head.tasks.table
