"""Actors with checkpoints: a restart goes on where the callers left them."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import actorgrid as ag
from actorgrid.exceptions import ActorDiedError, ActorUnavailableError
from tests.contract.mortals import dies, eventually
from tests.contract.tools import DEADLINE, Gate, count_run, kill_this_process, runs

np = pytest.importorskip("numpy")

pytestmark = pytest.mark.usefixtures("grid")

HOUR = dt.timedelta(hours=1)


class Mortal:
    """Dies when it is told to."""

    def die(self) -> None:
        kill_this_process()


class Counting(Mortal):
    """Counts, keeps its count over deaths, and dies when it is told to."""

    def __init__(self, births: Path | None = None) -> None:
        self.count = 0
        if births is not None:
            count_run(births)

    def __actorgrid_save__(self) -> int:
        return self.count

    def __actorgrid_restore__(self, state: int) -> None:
        self.count = state

    def add(self, number: int = 1) -> int:
        self.count += number
        return self.count

    def add_and_fail(self) -> None:
        self.count += 1
        raise ValueError(self.count)

    def die_once(self, path: Path) -> int:
        self.count += 1
        if count_run(path) == 1:
            kill_this_process()
        return self.count


SAFE: dict[str, Any] = {"max_restarts": -1, "max_task_retries": -1}


def counter(checkpoint: Any, *args: Any, **options: Any) -> Any:
    return ag.remote(Counting).options(**{**SAFE, "checkpoint": checkpoint, **options}).remote(*args)


def survive(actor: Any) -> None:
    """Have the process of an actor die after all its calls."""
    with pytest.raises(ActorUnavailableError):
        get(actor.die.options(max_task_retries=0).remote())


def get(ref: Any) -> Any:
    return ag.get(ref, timeout=DEADLINE)


@pytest.mark.parametrize("every", [1, 2, 3, 100, HOUR])
def test_state_after_a_death_is_what_callers_have_seen(every: Any) -> None:
    actor = counter(every)
    seen = 0
    for _ in range(3):
        assert get([actor.add.remote() for _ in range(4)]) == list(range(seen + 1, seen + 5))
        seen += 4
        survive(actor)
    assert get(actor.add.remote(0)) == seen


def test_call_that_dies_runs_again_on_the_state_before_it(tmp_path: Path) -> None:
    actor = counter(2)
    refs = [actor.add.remote(), actor.die_once.remote(tmp_path / "runs"), actor.add.remote()]
    assert get(refs) == [1, 2, 3]


def test_calls_that_raised_run_again_too() -> None:
    actor = counter(100)
    ref = actor.add_and_fail.remote()
    with pytest.raises(ValueError, match="1"):
        get(ref)
    survive(actor)
    assert get(actor.add.remote()) == 2


def test_constructor_runs_before_the_state_comes_back(tmp_path: Path) -> None:
    actor = counter(1, tmp_path / "births")
    get(actor.add.remote(5))
    survive(actor)
    assert get(actor.add.remote()) == 6
    assert runs(tmp_path / "births") == 2


def test_results_that_were_delivered_stay_what_they_were() -> None:
    actor = counter(100)
    refs = [actor.add.remote() for _ in range(3)]
    get(refs)
    survive(actor)
    assert get(actor.add.remote()) == 4
    assert get(refs) == [1, 2, 3]


def test_arguments_that_nobody_else_holds_are_there_when_a_call_runs_again() -> None:
    actor = counter(100)
    large = ag.put(np.full(100_000, 1.0))

    def add_sum(self: Counting, values: Any) -> int:
        self.count += int(values.sum())
        return self.count

    assert get(actor.__ray_call__.remote(add_sum, large)) == 100_000
    del large
    survive(actor)
    assert get(actor.add.remote()) == 100_001


class Keeping(Mortal):
    """Keeps an array."""

    def __init__(self) -> None:
        self.weights = np.zeros(100_000)

    def __actorgrid_save__(self) -> Any:
        return self.weights

    def __actorgrid_restore__(self, state: Any) -> None:
        self.weights = state

    def step(self) -> float:
        self.weights += 1
        return float(self.weights.sum())


def test_large_state_comes_back_and_may_be_changed_in_place() -> None:
    actor = ag.remote(Keeping).options(checkpoint=1, **SAFE).remote()
    assert get(actor.step.remote()) == 100_000
    survive(actor)
    assert get(actor.step.remote()) == 200_000


class Nesting(Mortal):
    """Submits things, and remembers how often."""

    def __init__(self, log: Any) -> None:
        self.log = log
        self.total = 0
        self.helper: Any = None

    def __actorgrid_save__(self) -> Any:
        return self.total, self.helper

    def __actorgrid_restore__(self, state: Any) -> None:
        self.total, self.helper = state

    def hand_on(self, number: int) -> int:
        self.total += ag.get(self.log.add.remote(number))
        return self.total

    def make_helper(self) -> None:
        self.helper = ag.remote(Counting).options(num_cpus=0).remote()

    def ask_helper(self) -> int:
        return int(ag.get(self.helper.add.remote()))


def test_calls_that_such_an_actor_makes_are_not_made_twice() -> None:
    log = ag.remote(Counting).options(num_cpus=0).remote()
    actor = ag.remote(Nesting).options(checkpoint=100, num_cpus=0, **SAFE).remote(log)
    assert get([actor.hand_on.remote(1), actor.hand_on.remote(1)]) == [1, 3]
    survive(actor)
    assert get(actor.hand_on.remote(1)) == 6
    assert get(log.add.remote(0)) == 3


def test_actor_that_such_an_actor_has_made_is_the_same_after_a_restart() -> None:
    actor = ag.remote(Nesting).options(checkpoint=100, num_cpus=0, **SAFE).remote(None)
    get(actor.make_helper.remote())
    assert get(actor.ask_helper.remote()) == 1
    survive(actor)
    assert get(actor.ask_helper.remote()) == 2


class Watching(Counting):
    """Takes note of what it sees."""

    def first_of(self, refs: list[Any]) -> int:
        (ready,), _ = ag.wait(refs, num_returns=1)
        self.count = refs.index(ready)
        return self.count

    def is_late(self, refs: list[Any]) -> int:
        try:
            ag.get(refs, timeout=0)
            self.count = 0
        except ag.exceptions.GetTimeoutError:
            self.count = 1
        return self.count

    def finds(self, name: str) -> int:
        try:
            ag.get_actor(name)
            self.count = 1
        except ValueError:
            self.count = 0
        return self.count


@ag.remote(num_cpus=0)
def after(gate: Any) -> None:
    ag.get(gate.pass_through.remote())


class TestWhatACallHasSeen:
    """What need not be so another time is not looked at another time: the state is saved at once."""

    def test_which_of_two_came_first(self) -> None:
        gate = Gate.remote()
        slow, fast = after.remote(gate), ag.put(1)
        actor = ag.remote(Watching).options(checkpoint=100, num_cpus=0, **SAFE).remote()
        assert get(actor.first_of.remote([slow, fast])) == 1
        ag.get(gate.open.remote())
        get(slow)
        survive(actor)
        assert get(actor.add.remote(0)) == 1

    def test_that_something_was_late(self) -> None:
        gate = Gate.remote()
        slow = after.remote(gate)
        actor = ag.remote(Watching).options(checkpoint=100, num_cpus=0, **SAFE).remote()
        assert get(actor.is_late.remote([slow])) == 1
        ag.get(gate.open.remote())
        get(slow)
        survive(actor)
        assert get(actor.add.remote(0)) == 1

    def test_what_was_there_at_once_is_there_at_once_for_another_process(self) -> None:
        class Keeping(Watching):
            kept: list[Any]

            def __actorgrid_save__(self) -> Any:
                return self.count, self.kept

            def __actorgrid_restore__(self, state: Any) -> None:
                self.count, self.kept = state

            def keep(self, refs: list[Any]) -> None:
                self.kept = refs
                ag.get(refs)

            def is_any_late(self) -> int:
                return self.is_late(self.kept)

        actor = ag.remote(Keeping).options(checkpoint=2, num_cpus=0, **SAFE).remote()
        get([actor.keep.remote([ag.put(1)]), actor.add.remote(5)])  # the state is saved after these two
        assert get(actor.is_any_late.remote()) == 0
        survive(actor)
        assert get(actor.add.remote()) == 1

    def test_who_had_a_name(self) -> None:
        actor = ag.remote(Watching).options(checkpoint=100, num_cpus=0, **SAFE).remote()
        assert get(actor.finds.remote("late")) == 0
        late = counter(1, name="late")
        get(late.add.remote())
        survive(actor)
        assert get(actor.add.remote(0)) == 0

    def test_call_is_lost_rather_than_contradicted_if_it_cannot_be_saved(self) -> None:
        class Unsaved(Watching):
            def __actorgrid_save__(self) -> int:
                raise OSError("not today")

        gate = Gate.remote()
        slow, fast = after.remote(gate), ag.put(1)
        actor = ag.remote(Unsaved).options(checkpoint=100, num_cpus=0, **SAFE).remote()
        get(actor.add.remote(5))
        assert get(actor.first_of.remote([slow, fast])) == 1
        ag.get(gate.open.remote())
        get(slow)
        survive(actor)
        assert get(actor.add.remote(0)) == 5


class Employer(Counting):
    """Has a helper from the start, and tells a log of its birth."""

    def __init__(self, log: Any) -> None:
        super().__init__()
        self.helper = ag.remote(Counting).options(num_cpus=0).remote()
        ag.get([log.add.remote(), self.helper.add.remote(100)])

    def ask(self) -> int:
        self.count += int(ag.get(self.helper.add.remote()))
        return self.count


def test_helper_made_by_the_constructor_is_the_same_after_a_restart() -> None:
    log = ag.remote(Counting).options(num_cpus=0).remote()
    actor = ag.remote(Employer).options(checkpoint=100, num_cpus=0, **SAFE).remote(log)
    assert get(actor.ask.remote()) == 101
    survive(actor)
    assert get(actor.ask.remote()) == 101 + 102


def test_calls_that_the_constructor_makes_are_not_made_twice() -> None:
    log = ag.remote(Counting).options(num_cpus=0).remote()
    actor = ag.remote(Employer).options(checkpoint=1, num_cpus=0, **SAFE).remote(log)
    get(actor.ask.remote())
    survive(actor)
    get(actor.ask.remote())
    assert get(log.add.remote(0)) == 1


def test_constructor_that_does_something_else_next_time_may(tmp_path: Path) -> None:
    class Moody(Counting):
        def __init__(self) -> None:
            super().__init__()
            kind = Counting if count_run(tmp_path / "births") == 1 else Watching
            self.helper = ag.remote(kind).options(num_cpus=0).remote()
            ag.get(self.helper.add.remote())

    actor = ag.remote(Moody).options(checkpoint=1, num_cpus=0, **SAFE).remote()
    assert get(actor.add.remote()) == 1
    survive(actor)
    assert get(actor.add.remote()) == 2


class Fickle(Nesting):
    """Does something else each time."""

    def __init__(self, log: Any, path: Path) -> None:
        super().__init__(log)
        self.path = path

    def choose(self) -> None:
        get(
            self.log.add.remote()
            if count_run(self.path) == 1
            else ag.remote(Counting).options(num_cpus=0).remote().add.remote()
        )


def test_call_that_does_something_else_when_it_runs_again_ends_the_actor_and_says_what(tmp_path: Path) -> None:
    log = ag.remote(Counting).options(num_cpus=0).remote()
    actor = ag.remote(Fickle).options(checkpoint=100, num_cpus=0, **SAFE).remote(log, tmp_path / "runs")
    get(actor.choose.remote())
    survive(actor)
    with pytest.raises(ActorDiedError, match=r"choose, run again, called Counting where it had called .*add"):
        get(actor.choose.remote())


def test_calls_that_may_not_run_again_are_lost_with_those_after_them() -> None:
    actor = counter(3, max_task_retries=0)
    assert get([actor.add.remote() for _ in range(5)]) == [1, 2, 3, 4, 5]
    survive(actor)
    assert eventually(actor.add.remote) == 4


class Poisoned(Counting):
    """Has a call that does well the first time, and never again."""

    def add_once(self, path: Path) -> int:
        if count_run(path) > 1:
            kill_this_process()
        return self.add()


def test_call_that_kills_the_process_whenever_it_runs_again_does_so_as_often_as_it_may(tmp_path: Path) -> None:
    actor = ag.remote(Poisoned).options(checkpoint=100, **SAFE).remote()
    poison = actor.add_once.options(max_task_retries=3)
    assert get([actor.add.remote(), poison.remote(tmp_path / "runs"), actor.add.remote()]) == [1, 2, 3]
    survive(actor)
    assert eventually(actor.add.remote) == 2
    assert runs(tmp_path / "runs") == 1 + 3


class Unsavable(Counting):
    """Cannot be saved."""

    def __actorgrid_save__(self) -> int:
        raise OSError("not today")


def test_actor_whose_state_cannot_be_saved_goes_on_and_its_calls_run_again() -> None:
    actor = ag.remote(Unsavable).options(checkpoint=1, **SAFE).remote()
    assert get([actor.add.remote() for _ in range(3)]) == [1, 2, 3]
    survive(actor)
    assert get(actor.add.remote()) == 4


class Unrestorable(Counting):
    """Cannot be brought back."""

    def __actorgrid_restore__(self, state: int) -> None:
        raise OSError(f"cannot take {state}")


def test_state_that_cannot_be_taken_back_is_why_the_actor_is_dead() -> None:
    actor = ag.remote(Unrestorable).options(checkpoint=1, **SAFE).remote()
    get(actor.add.remote())
    survive(actor)
    ref = actor.add.remote()
    dies(ref)
    with pytest.raises(ActorDiedError, match="cannot take 1"):
        get(ref)


def test_method_that_only_reads_does_not_run_again(tmp_path: Path) -> None:
    class Reading(Counting):
        @ag.method(readonly=True)
        def look(self) -> int:
            count_run(tmp_path / "looks")
            return self.count

    actor = ag.remote(Reading).options(checkpoint=100, **SAFE).remote()
    get(actor.add.remote())
    assert get(actor.look.remote()) == 1
    survive(actor)
    assert get(actor.add.remote()) == 2
    assert runs(tmp_path / "looks") == 1


def test_named_actor_keeps_its_name_and_its_state() -> None:
    actor = counter(1, name="kept")
    get(actor.add.remote(7))
    survive(actor)
    assert get(ag.get_actor("kept").add.remote()) == 8


class TestRefusals:
    """What cannot have checkpoints says so at the call."""

    def test_class_without_the_two_methods(self) -> None:
        class Bare:
            """Nothing."""

        with pytest.raises(TypeError, match="needs __actorgrid_save__ and __actorgrid_restore__ in class Bare"):
            ag.remote(Bare).options(checkpoint=1, max_restarts=1).remote()

    def test_asynchronous_actor(self) -> None:
        class Async(Counting):
            async def wait(self) -> None:
                await asyncio.sleep(0)

        with pytest.raises(ValueError, match="one call at a time"):
            ag.remote(Async).options(checkpoint=1, max_restarts=1)

    def test_threaded_actor(self) -> None:
        with pytest.raises(ValueError, match="max_concurrency > 1"):
            counter(1, max_concurrency=2)

    def test_actor_that_does_not_restart(self) -> None:
        with pytest.raises(ValueError, match="max_restarts"):
            counter(1, max_restarts=0)

    @pytest.mark.parametrize("value", [0, -1, dt.timedelta()])
    def test_bad_value(self, value: Any) -> None:
        with pytest.raises(ValueError, match="checkpoint"):
            counter(value)

    @pytest.mark.parametrize("value", [1.5, "often", True])
    def test_wrong_type(self, value: Any) -> None:
        with pytest.raises(TypeError, match="checkpoint"):
            counter(value)


def test_without_checkpoints_the_state_is_lost() -> None:
    actor = ag.remote(Counting).options(**SAFE).remote()
    assert get([actor.add.remote() for _ in range(3)]) == [1, 2, 3]
    survive(actor)
    assert get(actor.add.remote()) == 1


def test_call_in_flight_without_retries_is_unavailable_and_not_part_of_the_state() -> None:
    actor = counter(1, max_task_retries=0)
    assert get(actor.add.remote()) == 1
    with pytest.raises(ActorUnavailableError):
        get(actor.die.remote())
    assert eventually(actor.add.remote) == 2


# ------------------------------------------------------------------------------------------ generators


class Streaming(Counting):
    """Counts what it yields and what it reads."""

    def count_up(self, most: int) -> Iterator[int]:
        for _ in range(most):
            self.count += 1
            yield self.count

    def count_up_and_fail(self, most: int) -> Iterator[int]:
        yield from self.count_up(most)
        raise ValueError(self.count)

    def read(self, other: Any, most: int) -> int:
        for ref in other.count_up.remote(most):
            self.count += 0 * ag.get(ref) + 1
        return self.count


def streaming() -> Any:
    return ag.remote(num_cpus=0)(Streaming).options(**SAFE, checkpoint=100).remote()


def read_all(generator: Any) -> list[int]:
    return [ag.get(ref, timeout=DEADLINE) for ref in generator]


def test_generators_that_bring_an_actor_back_yield_into_nothing() -> None:
    actor = streaming()
    assert read_all(actor.count_up.remote(100)) == list(range(1, 101))
    survive(actor)
    assert read_all(actor.count_up.remote(2)) == [101, 102]


def test_a_generator_that_raised_raises_again_and_no_harm_is_done() -> None:
    actor = streaming()
    *items, error = actor.count_up_and_fail.remote(3)
    assert ag.get(items, timeout=DEADLINE) == [1, 2, 3]
    with pytest.raises(ValueError, match="3"):
        ag.get(error, timeout=DEADLINE)
    survive(actor)
    assert ag.get(actor.add.remote(), timeout=DEADLINE) == 4


def test_a_stream_that_a_call_has_read_is_made_anew_when_the_call_runs_again() -> None:
    actor, other = streaming(), streaming()
    assert ag.get(actor.read.remote(other, 100), timeout=DEADLINE) == 100
    survive(actor)
    assert ag.get(actor.add.remote(), timeout=DEADLINE) == 101
