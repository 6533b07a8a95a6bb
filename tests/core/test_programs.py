"""Random programs on random schedules with random deaths: safety, liveness, conservation, blame, order."""

from __future__ import annotations

import gc
import itertools
from collections import Counter

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actorgrid.core import messages as m
from actorgrid.core.head.attempts import STRIKES
from actorgrid.core.head.pressure import RETRIES
from actorgrid.core.head.records import Actor, Object
from actorgrid.core.messages import FailureKind, Status
from actorgrid.core.states import ActorState, TaskState
from tests.core.body import Body
from tests.core.script import Script, Step
from tests.core.world import World

pytestmark = pytest.mark.search

numbers = st.integers(0, 3)
#: How many results.
returns = st.sampled_from([1, 1, 2, 3, 0])
ends = st.sampled_from([(), (Step("raise"),), (Step("retry"),), (Step("crash"),)])


def scripts(depth: int) -> st.SearchStrategy[Script]:
    """Scripts of tasks, nested at most ``depth`` deep."""
    leaf = st.one_of(
        st.builds(Step, st.just("put"), numbers, st.integers(0, 1)),
        st.builds(Step, st.just("get"), numbers),
        st.builds(Step, st.just("drop"), numbers),
        st.builds(Step, st.just("call"), numbers, st.integers(0, 7), ends, returns),
    )
    steps = leaf
    if depth:
        child = st.builds(Step, st.just("task"), numbers, st.integers(0, 7), scripts(depth - 1), returns)
        stream = st.builds(Step, st.just("stream"), numbers, st.integers(0, 7), generators())
        steps = st.one_of(leaf, child, stream, reading, st.builds(Step, st.just("cancel"), numbers, numbers))
    return st.builds(lambda body, end: (*body, *end), st.lists(steps, max_size=3).map(tuple), ends)


#: What is done with streams.
reading = st.one_of(
    st.builds(Step, st.just("next"), numbers),
    st.builds(Step, st.just("drain"), numbers),
    st.builds(Step, st.just("leave"), numbers, st.integers(0, 1)),
    st.builds(Step, st.just("halt"), numbers),
)


def generators() -> st.SearchStrategy[Script]:
    """Scripts of generators: items, and how they come to be."""
    step = st.one_of(
        st.builds(Step, st.just("yield"), numbers, st.integers(0, 1)),
        st.builds(Step, st.just("yield"), numbers, st.integers(0, 1)),
        st.builds(Step, st.just("put"), numbers, st.integers(0, 1)),
    )
    return st.builds(lambda body, end: (*body, *end), st.lists(step, max_size=6).map(tuple), ends)


def programs() -> st.SearchStrategy[Script]:
    """What a driver does: tasks, actors, and everything between."""
    task = st.builds(Step, st.just("task"), numbers, st.integers(0, 7), scripts(1), returns)
    call = st.builds(Step, st.just("call"), numbers, st.integers(0, 7), ends, returns)
    step = st.one_of(
        task,
        task,
        st.builds(Step, st.just("actor"), numbers, st.integers(0, 2)),
        call,
        call,
        st.builds(Step, st.just("stream"), numbers, st.integers(0, 7), generators()),
        reading,
        st.builds(Step, st.just("put"), numbers, st.integers(0, 1)),
        st.builds(Step, st.just("get"), numbers),
        st.builds(Step, st.just("drop"), numbers),
        st.builds(Step, st.just("cancel"), numbers, numbers),
        st.builds(Step, st.just("kill"), numbers, st.integers(0, 1)),
        st.builds(Step, st.just("lose"), numbers),
    )
    return st.lists(step, min_size=4, max_size=16).map(tuple)


#: What happens next, again and again. Short ones are not drawn by themselves: nearly all would be.
schedules = st.lists(st.integers(0, 30), min_size=40, max_size=160)


def failure(body: Body) -> list[FailureKind]:
    """Return the kinds of failure among a body's values."""
    values = [local.entry.value for local in body.locals]
    decode = msgspec.msgpack.Decoder(m.Failure).decode
    return [decode(value.data).kind for value in values if value is not None and value.status is Status.FAILURE]


def run(
    program: Script, choices: list[int], *, other: Script = (), leaves: int | None = None, **options: int
) -> tuple[World, Body]:
    """Run ``program`` on the schedule that ``choices`` makes. ``options`` are the world's."""
    world = World(**options)  # type: ignore[arg-type]  # those that are numbers
    stream = itertools.chain(choices, itertools.repeat(0))
    main = world.run(program, lambda count: next(stream) % count, len(choices), other, leaves)
    return world, main


def assert_all_is_well(world: World, main: Body) -> None:
    assert not world.mains, "a driver still waits"
    for local in main.locals:
        assert local.entry.value is not None, f"object {local.entry.oid} was never made"
        main.process.look(local.entry.value)
    assert FailureKind.OBJECT_LOST not in failure(main)
    assert_blame_is_exact(world)
    assert_items_are_in_their_places(world)
    assert_what_was_told_is_true(world, main)
    for task, count in Counter(task for task, _, _ in world.started).items():
        most = world.retries.get(task)
        if most is not None:
            most += world.records[task].oom  # has a budget of its own
            assert count <= most + 1, f"task {task} started {count} times with {most} retries"


def assert_items_are_in_their_places(world: World) -> None:
    """Whatever attempt an item is from, it is the one of its place; an error is the last."""
    ends = {(stream, place) for stream, place, item in world.read if item.value and item.value.status is Status.ERROR}
    for stream, place, item in world.read:
        value = item.value
        if value is not None and value.status is Status.OK:
            assert int(world.text(value)) == place, f"item {place} of stream {stream} is another one"
            assert not any(stream == other and at < place for other, at in ends), f"stream {stream} goes on"


def assert_what_was_told_is_true(world: World, main: Body) -> None:
    """A call that has returned is part of its actor's state, at the place that its result tells, whoever died since."""
    for actor in world.journaled:
        held = world.head.objects.table.get(actor)
        calls = [task for (ident, _), tasks in world.caller_order.items() if ident == actor for task in tasks]
        if not isinstance(held, Actor) or held.state is not ActorState.ALIVE:
            continue
        for local in main.locals:
            value = local.entry.value
            if local.entry.oid in calls and value is not None and value.status is Status.OK:
                place = int(world.text(value))
                assert world.lived[actor][place - 1] == local.entry.oid, f"actor {actor} has forgotten a call"


def assert_blame_is_exact(world: World) -> None:
    """Charged is only who ran when a worker died, or raised what is retried; and who returned is finished."""
    for ident, record in world.records.items():
        suspected = max(record.strikes - STRIKES + 1, 0)  # its workers die before they say a word
        assert record.failures <= world.blame[ident] + suspected, f"task {ident} was charged for another"
        made = world.head.objects.table.get(ident)
        if isinstance(made, Object) and made.value is not None:
            returned = made.value.status is Status.OK
            if record.spec.spec.yields and returned:  # it is over; that it has raised, its last item says
                assert record.state in {TaskState.FINISHED, TaskState.FAILED}, f"stream {ident}"
                continue
            assert (record.state is TaskState.FINISHED) == returned, f"task {ident}"


def assert_nothing_is_left(world: World, main: Body) -> None:
    main.forget()
    world.drain()
    world.now += 10
    world.drain()
    head = world.head
    assert not head.tasks.table
    assert not len(head.alarms)
    assert not head.objects.table, {ident: type(held).__name__ for ident, held in head.objects.table.items()}
    assert head.ready.pool.free == head.ready.pool.capacity
    assert all(not worker.assigned for worker in head.workers.table.values())
    assert not head.memory.leased
    assert not any(segment.extents for segment in head.memory.segments.values())


def fifo(world: World) -> None:
    """Calls of one caller reach an actor that runs them one by one in the order of submission."""
    for (actor, _), submitted in world.caller_order.items():
        held = [task for task, attempt, who in world.started if who == actor and task in submitted and attempt == 0]
        first = list(dict.fromkeys(held))
        assert first == [task for task in submitted if task in first]


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(programs(), schedules, st.integers(0, 3), st.integers(0, 3))
def test_every_program_ends_and_leaves_nothing(program: Script, choices: list[int], deaths: int, jams: int) -> None:
    world, main = run(program, choices, deaths=deaths, jams=jams)
    assert_all_is_well(world, main)
    assert_nothing_is_left(world, main)


two_drivers = (programs(), programs(), schedules, st.integers(0, 2))


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(*two_drivers)
def test_two_drivers_side_by_side_both_end(program: Script, other: Script, choices: list[int], deaths: int) -> None:
    world, main = run(program, choices, deaths=deaths, drivers=2, jams=2, other=other)
    assert_all_is_well(world, main)
    fifo(world)
    world.leave(max(world.hosts))
    assert_nothing_is_left(world, main)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(*two_drivers, st.integers(0, 120))
def test_a_driver_that_leaves_takes_its_work_with_it_and_nothing_of_the_others(
    program: Script, other: Script, choices: list[int], deaths: int, leaves: int
) -> None:
    world, main = run(program, choices, deaths=deaths, drivers=2, other=other, leaves=leaves)
    assert_all_is_well(world, main)
    assert {task.job for task in world.head.tasks.table.values()} <= set(world.hosts)
    actors = [held for held in world.head.objects.table.values() if isinstance(held, Actor) and held.death is None]
    assert {actor.job for actor in actors} <= set(world.hosts)
    assert_nothing_is_left(world, main)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(programs(), schedules, st.integers(0, 2), st.integers(1, 4))
def test_every_program_ends_whoever_does_not_start_or_is_stopped_or_closes_its_links(
    program: Script, choices: list[int], deaths: int, nuisances: int
) -> None:
    world, main = run(program, choices, deaths=deaths, nuisances=nuisances)
    assert_all_is_well(world, main)
    assert_nothing_is_left(world, main)


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(programs(), schedules, st.integers(0, 2), st.integers(1, 8))
def test_every_program_ends_however_often_memory_is_short(
    program: Script, choices: list[int], deaths: int, famines: int
) -> None:
    world, main = run(program, choices, deaths=deaths, famines=famines)
    assert_all_is_well(world, main)
    assert all(record.oom <= RETRIES + 1 for record in world.records.values())
    assert_nothing_is_left(world, main)


@pytest.mark.slow
@settings(max_examples=5000, deadline=None, suppress_health_check=list(HealthCheck))
@given(programs(), st.lists(st.integers(0, 60), max_size=400), st.integers(0, 8), st.integers(0, 8))
def test_every_program_ends_and_leaves_nothing_at_length(
    program: Script, choices: list[int], deaths: int, nuisances: int
) -> None:
    world, main = run(program, choices, deaths=deaths, nuisances=nuisances)
    assert_all_is_well(world, main)
    assert_nothing_is_left(world, main)


streaming = st.lists(
    st.one_of(
        st.builds(Step, st.just("stream"), numbers, st.integers(0, 3), generators()),
        st.builds(Step, st.just("task"), numbers, st.just(0), scripts(1)),
        st.builds(Step, st.just("actor"), numbers, st.just(0)),
        st.builds(Step, st.just("stream"), numbers, st.just(4), generators()),
        reading,
        reading,
    ),
    min_size=5,
    max_size=16,
).map(tuple)


@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(streaming, schedules, st.integers(0, 3), st.integers(0, 3))
def test_every_stream_is_read_in_order_or_ends_and_leaves_nothing(
    program: Script, choices: list[int], deaths: int, jams: int
) -> None:
    world, main = run(program, choices, deaths=deaths, jams=jams)
    assert_all_is_well(world, main)
    assert_nothing_is_left(world, main)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(st.lists(st.builds(Step, st.just("call"), st.just(0), st.sampled_from([0, 2])), max_size=12), st.data())
def test_calls_of_one_caller_start_in_order(calls: list[Step], data: st.DataObject) -> None:
    slow = Step("task", 0, 0, (Step("put"),))
    program = (Step("actor"), slow, *calls[:6], slow, *calls[6:])
    choices = data.draw(st.lists(st.integers(0, 30), max_size=80))
    world, main = run(program, choices)
    assert_all_is_well(world, main)
    fifo(world)


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(
    st.lists(st.builds(Step, st.just("task"), numbers, st.sampled_from([0, 3, 4, 7]), ends), max_size=15).map(tuple),
    schedules,
    st.integers(0, 3),
    st.integers(1, 3),
)
def test_tasks_of_several_setups_all_end_however_few_processes_there_may_be(
    program: Script, choices: list[int], deaths: int, most: int
) -> None:
    world, main = run(program, choices, cpus=3, deaths=deaths, most=most)
    assert_all_is_well(world, main)
    assert FailureKind.TOO_MANY_WORKERS not in failure(main)
    assert_nothing_is_left(world, main)


def test_records_of_the_head_hold_no_cycles() -> None:
    nested = Step("task", 1, 1, (Step("task", 0, 2, (Step("put"), Step("get"))), Step("get"), Step("crash")))
    program = (Step("put"), nested, Step("actor", 2), Step("call", 0, 3), Step("call", 0, 0, (Step("crash"),)), nested)
    world, main = run(program, [])
    assert_nothing_is_left(world, main)
    gc.collect()
    gc.disable()
    try:
        world, main = run(program, [])
        main.forget()
        world.drain()
        kept = world.head
        del world, main
        gc.collect()  # what the test's own world leaves
        gc.set_debug(gc.DEBUG_SAVEALL)
        kept.turn(100.0)
        gc.collect()
        assert not [thing for thing in gc.garbage if type(thing).__module__.startswith("actorgrid.core.head")]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


def test_hundreds_of_tasks_that_wait_for_an_inner_one_need_few_workers() -> None:
    inner = Step("task", 0, 0, (Step("put"),))
    outer = Step("task", 0, 0, (inner, Step("get")))
    world = World()
    world.run((outer,) * 100, lambda count: 0, 0)
    assert world.head.workers.spawned <= 20  # plain first-in-first-out would need more than a hundred


def test_same_program_and_schedule_give_the_same_trace() -> None:
    nested = Step("task", 1, 1, (Step("task", 0, 2), Step("get"), Step("crash")))
    program = (Step("put"), nested, Step("actor", 1), Step("call"), nested, Step("get", 1))
    choices = [(7 * number) % 13 for number in range(200)]
    one, other = (run(program, choices, deaths=2)[0].trace for _ in range(2))
    assert one == other
    assert len(one) > 30
