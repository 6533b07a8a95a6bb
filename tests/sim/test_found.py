"""What random programs under random schedules have found in the runtime: the program, and the schedule that showed it.

A schedule is a list of decisions by number: once the runtime decides other things it may lead elsewhere. The rule that
was broken has a test of its own beside the machine; this is how it came to light.
"""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

import actorgrid as ag
from actorgrid import sim
from actorgrid.engine import current
from actorgrid.testing.programs import Act, play
from tests.sim.test_machines import nothing_is_left

MAKE_ACTOR = Act("task", body=(Act("actor"),))


def two_tasks_make_an_actor_each() -> None:
    """The last spec that used a class was forgotten while another client's was on its way: KeyError in the head."""
    ag.init(num_cpus=1)
    play((MAKE_ACTOR, MAKE_ACTOR))
    sim.settle()


def play_and_look(acts: tuple[Act, ...], cpus: int = 3) -> None:
    """Play a program; nothing may be left of it."""
    ag.init(num_cpus=cpus)
    play(acts)
    sim.settle()
    engine: Any = current.installed()
    nothing_is_left(engine.world)


def hold_after_finding() -> None:
    """An actor that was held after it had been found by its name was never let go: the finder counted as a holder."""
    uses_it = Act("task", body=(Act("named", 1), Act("call")))
    play_and_look((uses_it, Act("wait"), Act("find", 1), Act("named", 1)))


def cancel_while_it_asks_for_a_name() -> None:
    """A task was cancelled while it asked for an actor by its name: nobody gave back what the head then granted."""
    asks = Act("task", body=(Act("named", number=1),))
    play_and_look((Act("named", number=1), asks, Act("named"), Act("cancel")), cpus=1)


def kill_while_it_looks() -> None:
    """A process was killed in ``wait(timeout=0)``: the simulator had it look again, for ever."""
    looks = Act("task", flag=True, body=(Act("wait", flag=True),))
    play_and_look((Act("task"), looks, Act("cancel", 3, flag=True)))


def result_that_does_not_fit() -> None:
    """The store was full: the error kept alive, in a circle of frames, what the result would have referred to."""
    play_and_look((Act("task", body=(Act("large", flag=True), Act("task"))), Act("get")))


def force_what_is_over() -> None:
    """The launcher found no such task to kill and said so: at the level of links its word was taken for a client's."""
    play_and_look((Act("task"), Act("cancel", flag=True)), cpus=2)


def calls_of_one_group() -> None:
    """Of a group with a single place the simulator began the later of two calls of one caller."""
    ag.init(num_cpus=3)
    outcome = play((Act("grouped", number=1), Act("call", 3), Act("call", 1, 1)), ask=True)
    sim.settle()
    assert not outcome.ledger.wrong(0)


def cancel_what_is_over_already() -> None:
    """A call of an actor with checkpoints was over before it heard of its cancellation, and lost with the process."""
    ag.init(num_cpus=2)
    outcome = play((Act("saving", number=1), Act("call"), Act("cancel"), Act("call")), ask=True)
    sim.settle()
    assert not outcome.ledger.wrong(0)


class Adder:
    def add(self, number: int) -> int:
        return number


def call_behind_one_that_fails_with_the_restart() -> None:
    """Behind a call that failed with its actor's restart, for its argument, the next one was lost."""
    ag.init(num_cpus=1)
    adder = ag.remote(max_restarts=1)(Adder).remote()
    dies = adder.add.remote(1)
    fails, behind = adder.add.remote(dies), adder.add.remote(2)
    for ref in (dies, fails, behind):
        with contextlib.suppress(ag.exceptions.ActorUnavailableError):
            ag.get(ref)


FOUND = [
    (two_tasks_make_an_actor_each, "ag1:lK_#D4FQ3rY-M(3Y^7{zZfkP"),
    (hold_after_finding, "ag1:lK_x_"),
    (cancel_while_it_asks_for_a_name, "ag1:lK_#D00DudYiVq30R"),
    (kill_while_it_looks, "ag1:lK_x_"),
    (result_that_does_not_fit, "ag1:lK_#D00Dueb98TVWdQ"),
    (
        force_what_is_over,
        "ag1:lK_&E1p<-`0fnS%X>4o(rf_d*Zgg{!tYT$mZ*pZ{a%FIAd8cA*Z)0m^WTk3#ZE$k|rE_p$cWwctY-M(3Y^7{zZfkP",
    ),
    (calls_of_one_group, "ag1:lK_#D0Re%fb8umIZUF"),
    (call_behind_one_that_fails_with_the_restart, "ag1:lK_#D00DudYiVq30R"),
    (cancel_what_is_over_already, "ag1:lK_;G00EK$0g?m(k_iEVq-$wxYyqWcZ){|90s"),
]


@pytest.mark.parametrize(("program", "line"), FOUND)
def test_schedule_that_broke_the_runtime_does_so_no_more(program: object, line: str) -> None:
    assert callable(program)
    run = sim.replay(line, program)
    assert run.error is None
