"""Programs that lead the machines where the others of this suite do not."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import contextlib
import functools
import time
from typing import Any
from unittest import mock

import pytest

import actorgrid as ag
from actorgrid import sim
from actorgrid.engine import current
from actorgrid.exceptions import DeadlockError, TaskTimeoutError
from actorgrid.sim import grid
from tests.sim.test_machines import proving
from tests.zoo import actors
from tests.zoo.shared_state import Cell


def ends_well(program: Any, **options: Any) -> Any:
    run = sim.run(program, checks=True, **options)
    assert run.error is None, run.error
    return run.value


@ag.remote
def nap(seconds: float, value: Any = None) -> Any:
    time.sleep(seconds)
    return value


@ag.remote
class Sleeper:
    def nap(self, seconds: float) -> float:
        time.sleep(seconds)
        return seconds


# ------------------------------------------------------------------------------------------------ who waits for whom


@ag.remote
class Ring:
    """Asks the next of a ring of actors, until somebody asks one that has asked."""

    def join(self, after: list[Any]) -> None:
        self.after = after

    def ask(self, hops: int) -> int:
        return int(ag.get(self.after[0].ask.remote(hops - 1))) + 1 if hops else 0


def ring(count: int, hops: int) -> int:
    """So many actors, of which each asks the next."""
    members = [Ring.remote() for _ in range(count)]
    ag.get([one.join.remote([members[(number + 1) % count]]) for number, one in enumerate(members)])
    return int(ag.get(members[0].ask.remote(hops)))


def test_head_finds_a_ring_of_calls_and_nothing_in_a_chain() -> None:
    with mock.patch.object(grid, "HeadConfig", proving):
        assert ends_well(lambda: ring(3, 2)) == 2
        error = sim.run(ring, 3, 3, checks=True).error
    assert isinstance(error, DeadlockError)
    assert "Ring.ask" in str(error)


@pytest.mark.parametrize("program", [actors.behavioural_deadlock, actors.behavioural_deadlock_fixed])
def test_head_says_deadlock_under_the_schedules_under_which_the_simulator_does(program: Any) -> None:
    alone = sim.prove(program)
    with mock.patch.object(grid, "HeadConfig", proving):
        together = sim.prove(program)
    assert (together.classes, together.failing) == (alone.classes, alone.failing)
    assert {type(run.error) for run in together.failures} == {type(run.error) for run in alone.failures}


# -------------------------------------------------------------------------------------------------------- what is told


def test_head_counts_what_it_has() -> None:
    def program() -> tuple[dict[str, Any], dict[str, Any], str]:
        cell = Cell.options(name="it").remote()
        ag.get(cell.get.remote())
        kept = ag.put(bytes(300_000))
        engine: Any = current.installed()
        return engine.query("stats").body, engine.query("named_actors").body, kept.hex()

    counts, names, _ = ends_well(program)
    assert (counts["actors"], counts["objects"], counts["workers"], counts["tasks"]) == (1, 1, 1, 0)
    assert [name for _, name in names["names"]] == ["it"]


# ------------------------------------------------------------------------------------------------------------- limits


def work_on() -> str:
    """Work for 100 seconds and do not listen."""
    until = time.monotonic() + 100
    while time.monotonic() < until:
        with contextlib.suppress(KeyboardInterrupt):
            time.sleep(100)
    return "done"


@ag.remote
class Stubborn:
    def work(self) -> str:
        return work_on()

    def idle(self) -> str:
        return "idle"


def test_task_that_does_not_stop_is_killed() -> None:
    def program() -> float:
        with pytest.raises(TaskTimeoutError, match="had to be killed"):
            ag.get(ag.remote(work_on).options(timeout=5, max_retries=0).remote())
        return time.monotonic()

    assert ends_well(program) < 60


def test_call_that_has_not_started_is_overdue_too() -> None:
    def program() -> list[str]:
        actor = Stubborn.options(max_restarts=1, max_task_retries=0).remote()
        ag.get(actor.idle.remote())
        long, short = actor.work.remote(), actor.idle.options(timeout=5).remote()
        with pytest.raises(TaskTimeoutError):
            ag.get(short)
        return [ag.get(long)]

    assert ends_well(program) == ["done"]


# ------------------------------------------------------------------------------------------------------ large values


def test_large_values_are_laid_out_in_what_others_left() -> None:
    """Sizes that do and do not own their pages; what is freed lies beside what is not."""

    def program() -> int:
        ag.init(object_store_memory=64 << 20)
        sizes = [120_000, 1_000_001, 150_000, 200_064, 3_000_000]
        for _ in range(3):
            kept = [ag.put(bytes(size)) for size in sizes for _ in range(3)]
            del kept[1::2]
            kept += [ag.put(bytes(size // 2 + 70_000)) for size in sizes]
            assert [len(ag.get(ref)) for ref in kept[:3]] == [120_000, 120_000, 1_000_001]
            del kept
            time.sleep(1)
        return 1

    ends_well(program)


# ------------------------------------------------------------------------------------------------------------- errors


class OddError(Exception):
    """Cannot be made again from what it pickles to."""

    def __init__(self, one: int, other: int) -> None:
        super().__init__(f"{one} and {other}")


class MuteError(Exception):
    """Says nothing of itself."""

    def __repr__(self) -> str:
        raise RuntimeError("no")

    __str__ = __repr__

    def __reduce__(self) -> Any:
        raise RuntimeError("no")


class Slotted:
    __slots__ = ("lock",)

    def __init__(self, lock: Any) -> None:
        self.lock = lock


def raising(error: Any) -> str:
    @ag.remote
    def fail() -> None:
        raise error()

    with pytest.raises(ag.exceptions.TaskError) as caught:
        ag.get(fail.remote())
    return str(caught.value)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (lambda: OddError(1, 2), "1 and 2"),
        (MuteError, "MuteError"),
        (lambda: ExceptionGroup("several", [ValueError("a"), OddError(1, 2)]), "several"),
        (lambda: ValueError("long" * 200_000), "long"),
    ],
)
def test_error_of_any_kind_arrives(error: Any, told: str) -> None:
    assert told in ends_well(lambda: raising(error))


@pytest.mark.parametrize(
    "make",
    [
        lambda lock: functools.partial(print, lock),
        Slotted,
        lambda lock: {"deep": [Slotted(lock)]},
        lambda lock: lambda: lock,
    ],
)
def test_what_does_not_pickle_is_named(make: Any) -> None:
    def program() -> str:
        import _thread

        with pytest.raises(ag.exceptions.SerializationError) as caught:
            ag.put(make(_thread.RLock()))
        return str(caught.value)

    assert "lock" in ends_well(program).lower()
