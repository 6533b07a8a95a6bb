"""Rules of journals: what is noted of an actor with checkpoints, what runs again, what is let go."""

from __future__ import annotations

from typing import Any

import pytest

from actorgrid.core import messages as m
from actorgrid.core.ids import first_id
from actorgrid.core.messages import STATE, Failure, FailureKind, Kind, Status, Value
from actorgrid.core.states import ActorState
from actorgrid.wire.codec import encode_failure
from tests.core.bench import OK, Bench

FAILED = (Value(Status.ERROR, b"e"),)
FULL = (Value(Status.FAILURE, encode_failure(Failure(FailureKind.STORE_FULL, "no room"))),)


class Play(Bench):
    """A head with one actor that saves its state after ``every`` calls, played by hand."""

    def __init__(self, every: int = 100, retries: int = -1) -> None:
        super().__init__()
        self.saves = 0
        self.method = self.spec("add", kind=Kind.METHOD, demand=(), max_retries=retries)
        options = {"kind": Kind.ACTOR, "num_returns": 0, "max_restarts": -1, "checkpoint_calls": every}
        self.actor_id = self.id()
        self.say(m.CreateActor(self.actor_id, self.spec("A", **options)))
        self.construct()

    @property
    def actor(self) -> Any:
        return self.head.objects.table[self.actor_id]

    def construct(self) -> m.Run:
        """The constructor runs in whatever process the actor has now; return what it was given."""
        worker = self.actor.worker
        run: m.Run = next(message for message in reversed(worker.outbox) if isinstance(message, m.Run))
        worker.outbox.clear()
        self.say(m.Done(self.actor_id, run.attempt, ()), source=worker.number)
        return run

    def call(self, **fields: Any) -> int:
        return self.submit(self.method, actor=self.actor_id, **fields)

    def over(self, task: int, values: tuple[Value, ...] = OK, *, saved: bool = False, **fields: Any) -> None:
        """The actor's process ends a call, and perhaps saves its state."""
        record = self.head.tasks.table[task]
        number = self.actor.worker.number
        done = m.Done(task, record.attempt, values, **fields)
        if saved:
            self.saves += 1
            done.saved = first_id(number) + 1000 + self.saves
            self.say(m.Put(done.saved, Value(Status.OK, b"state %d" % self.saves)), source=number)
        self.say(done, *([m.Release((done.saved,))] if saved else []), source=number)

    def dies(self, current: int = 0) -> m.Run:
        """Its process dies and the next one's constructor runs; return what that was given."""
        self.die(self.actor.worker, current)
        self.now += 100
        self.head.turn(self.now)
        return self.construct()

    def given(self) -> list[m.Run]:
        """Take what the actor's process was given to run."""
        outbox = self.actor.worker.outbox
        runs = [message for message in outbox if isinstance(message, m.Run)]
        outbox.clear()
        return runs


def test_calls_since_the_last_save_run_again_in_their_order_before_all_others() -> None:
    play = Play()
    tasks = [play.call() for _ in range(3)]
    for index, task in enumerate(tasks):
        play.over(task, saved=index == 0)
    play.sent()
    constructed = play.dies()
    later = play.call()
    assert [(value.data, slot) for value, slot in zip(constructed.deps, constructed.slots, strict=True)] == [
        (b"state 1", STATE)
    ]
    assert [run.again or run.task for run in play.given()] == [*tasks[1:], later]


def test_result_of_a_call_that_runs_again_goes_nowhere() -> None:
    play = Play()
    task = play.call()
    play.over(task)
    play.sent()
    play.dies()
    play.over(play.given()[0].task, (Value(Status.OK, b"other"),))
    assert not [message for message in play.sent() if isinstance(message, m.Ready)]
    assert play.head.objects.table[task].value.data == b"r"  # type: ignore[attr-defined]  # an object


def test_save_while_calls_run_again_lets_go_of_those_that_it_knows() -> None:
    play = Play()
    tasks = [play.call() for _ in range(3)]
    for task in tasks:
        play.over(task)
    play.dies()
    play.over(play.given()[0].task, saved=True)
    constructed = play.dies()
    assert constructed.deps[0].data == b"state 1"
    assert [run.again for run in play.given()] == tasks[1:]


def test_death_while_calls_run_again_begins_anew() -> None:
    play = Play()
    tasks = [play.call() for _ in range(3)]
    for task in tasks:
        play.over(task)
    play.dies()
    first, second, _ = play.given()
    play.over(first.task)
    play.dies(current=second.task)
    assert [run.again for run in play.given()] == tasks


def test_call_that_may_run_again_once_does_so_once() -> None:
    play = Play(retries=1)
    task = play.call()
    play.over(task)
    play.dies()
    (again,) = play.given()
    play.over(again.task)
    play.sent()
    play.dies()
    assert play.given() == []
    (notice,) = [message for message in play.sent() if isinstance(message, m.Notice)]
    assert notice.text == (
        "actorgrid: A goes on from an earlier state: the last call is lost, because add may not run again "
        "(max_task_retries)"
    )


def test_call_that_had_not_begun_to_run_again_is_not_charged() -> None:
    play = Play(retries=1)
    tasks = [play.call() for _ in range(2)]
    for task in tasks:
        play.over(task)
    play.dies()
    first, _ = play.given()
    play.over(first.task, saved=True)
    play.dies()  # between the two
    assert [run.again for run in play.given()] == tasks[1:]


def test_call_that_never_started_is_not_noted() -> None:
    play = Play()
    task = play.call()
    record = play.head.tasks.table[task]
    play.say(m.Done(task, record.attempt, FAILED, unstarted=True), source=play.actor.worker.number)
    play.dies()
    assert play.given() == []


def test_what_a_call_submitted_is_there_when_it_runs_again_whether_it_had_ended_or_not() -> None:
    play = Play()
    ended, running = play.call(), play.call()
    number = play.actor.worker.number
    code = m.Export(b"code", "f", Value(Status.OK, b"x"))
    spec = m.Spec(first_id(number) + 1, Kind.TASK, "g", b"code")
    inner = [first_id(number) + 2, first_id(number) + 3]
    play.say(code, spec, source=number)
    for task, parent in zip(inner, (ended, running), strict=True):
        play.say(m.Submit(task, spec.spec, parent=parent, nth=0), m.Release((task,)), source=number)
        if parent == ended:
            play.over(ended)
    play.dies(current=running)
    runs = play.given()
    assert [(run.again, [(made.nth, made.ident, made.name) for made in run.made]) for run in runs] == [
        (ended, [(0, inner[0], "g")]),
        (0, [(0, inner[1], "g")]),
    ]
    assert set(inner) <= set(play.actor.worker.peer.held)


def test_call_that_ends_otherwise_than_before_ends_the_actor() -> None:
    play = Play()
    task = play.call()
    play.over(task)
    play.dies()
    waiting = play.call()
    play.over(play.given()[0].task, FAILED)
    assert play.actor.state is ActorState.DEAD
    error = play.head.objects.table[waiting].value  # type: ignore[attr-defined]  # an object
    assert b"cannot be brought back to where it was: add, run again, raised an exception" in error.data


def test_call_that_saw_what_need_not_be_so_again_is_lost_unless_the_state_was_saved() -> None:
    play = Play()
    tasks = [play.call() for _ in range(3)]
    play.over(tasks[0])
    play.over(tasks[1], chance=True)
    play.over(tasks[2])
    play.dies()
    assert [run.again for run in play.given()] == [tasks[0]]
    (notice,) = [message for message in play.sent() if isinstance(message, m.Notice)]
    assert notice.text.endswith("the last 2 calls are lost, because add saw what need not be so again")


def test_call_that_was_over_before_it_heard_of_its_cancellation_runs_again() -> None:
    play = Play()
    task = play.call()
    play.say(m.Cancel(task))
    play.over(task)
    play.dies()
    assert [run.again for run in play.given()] == [task]


def test_call_that_was_interrupted_and_whose_state_was_not_saved_is_lost() -> None:
    play = Play()
    task = play.call()
    play.say(m.Cancel(task))
    play.over(task, chance=True)
    play.dies()
    assert not play.given()
    (notice,) = [message for message in play.sent() if isinstance(message, m.Notice)]
    assert notice.text.endswith("the last call is lost, because add was interrupted")


@pytest.mark.parametrize(("first", "then"), [(OK, FULL), (FULL, OK), (FULL, FAILED)])
def test_result_that_the_store_had_no_room_for_is_no_other_end(first: Any, then: Any) -> None:
    play = Play()
    task = play.call()
    play.over(task, first)
    play.dies()
    play.over(play.given()[0].task, then)
    assert play.actor.state is ActorState.ALIVE


class Born(Play):
    """The constructor has made an actor, called it, and run a task."""

    def __init__(self) -> None:
        self.inner: list[int] = []
        super().__init__()

    def construct(self) -> m.Run:
        number = self.actor.worker.number
        if not self.inner:
            code = m.Export(b"code", "f", Value(Status.OK, b"x"))
            specs = [
                m.Spec(first_id(number) + 1, Kind.ACTOR, "Helper", b"code", num_returns=0),
                m.Spec(first_id(number) + 2, Kind.METHOD, "help", b"code"),
                m.Spec(first_id(number) + 3, Kind.TASK, "g", b"code"),
            ]
            self.inner = [spec.spec + 10 for spec in specs]
            helper, call, task = self.inner
            parent = self.actor_id
            self.say(
                code, *specs, m.CreateActor(helper, specs[0].spec, parent=parent, nth=0),
                m.Submit(call, specs[1].spec, actor=helper, parent=parent, nth=1),
                m.Submit(task, specs[2].spec, parent=parent, nth=2), source=number,
            )  # fmt: skip
        return super().construct()


def test_actors_and_calls_of_actors_by_the_constructor_are_there_when_it_runs_again() -> None:
    constructed = Born().dies()
    assert [(made.nth, made.name) for made in constructed.made] == [(0, "Helper"), (1, "help")]


def test_what_the_constructor_made_is_held_until_the_actor_is_dead_for_good() -> None:
    play = Born()
    held = [play.head.objects.table[ident] for ident in play.inner[:2]]
    play.dies()
    before = [each.pins for each in held]
    play.say(m.KillActor(play.actor_id))
    assert [each.pins for each in held] == [pins - 1 for pins in before]


def test_call_whose_caller_has_forgotten_what_it_calls_runs_again_all_the_same() -> None:
    play = Play()
    task = play.call()
    play.over(task)
    play.say(m.Release((task,)), m.Forget(play.method))
    play.dies()
    assert [run.again for run in play.given()] == [task]


def test_dead_actor_holds_nothing() -> None:
    play = Play()
    argument = play.id()
    play.say(m.Put(argument, Value(Status.OK, b"a")))
    first, second = play.call(deps=(argument,), slots=(0,)), play.call()
    play.over(first, saved=True)
    play.over(second)
    play.say(m.Release((first, second, argument)))
    play.say(m.KillActor(play.actor_id))
    assert list(play.head.objects.table) == [play.actor_id]
    play.say(m.Release((play.actor_id,)))
    assert not play.head.objects.table


def test_argument_is_held_until_the_call_need_not_run_again() -> None:
    play = Play()
    argument = play.id()
    play.say(m.Put(argument, Value(Status.OK, b"a")))
    first = play.call(deps=(argument,), slots=(0,))
    play.say(m.Release((argument,)))
    play.over(first)
    assert argument in play.head.objects.table
    play.over(play.call(), saved=True)
    assert argument not in play.head.objects.table


def test_deaths_without_a_new_call_between_them_are_a_loop() -> None:
    play = Play()
    play.over(play.call())
    poison = play.call()
    for _ in range(play.head.config.intensity + 1):
        worker = play.actor.worker
        for run in play.given():
            if run.again:
                play.over(run.task)
        play.die(worker, poison)
        if play.actor.state is ActorState.DEAD:
            return
        play.now += 0.001
        play.head.turn(play.now)
        while play.actor.worker is None:
            play.now += 0.05
            play.head.turn(play.now)
        play.construct()
    raise AssertionError("it restarts for ever")
