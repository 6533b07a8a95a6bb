"""What random programs under random schedules have found in the runtime: the program, and the schedule that showed it.

A schedule is a list of decisions by number: once the runtime decides other things it may lead elsewhere. The rule that
was broken has a test of its own beside the machine; this is how it came to light.
"""

from __future__ import annotations

import pytest

import actorgrid as ag
from actorgrid import sim
from actorgrid.testing.programs import Act, play

MAKE_ACTOR = Act("task", body=(Act("actor"),))


def two_tasks_make_an_actor_each() -> None:
    """The last spec that used a class was forgotten while another client's was on its way: KeyError in the head."""
    ag.init(num_cpus=1)
    play((MAKE_ACTOR, MAKE_ACTOR))
    sim.settle()


FOUND = [(two_tasks_make_an_actor_each, "ag1:lK_#D4FQ3rY-M(3Y^7{zZfkP")]


@pytest.mark.parametrize(("program", "line"), FOUND)
def test_schedule_that_broke_the_runtime_does_so_no_more(program: object, line: str) -> None:
    assert callable(program)
    run = sim.replay(line, program)
    assert run.error is None
